"""What stands before each place of walks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.sampling.edges import is_word_character, occurrences, sentence_ends, touches
from ngramgen.sampling.spelling import Spelling
from ngramgen.sampling.tallies import Tallies
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary

TOKENS: dict[str, list[str]] = {
    "whitespace": ["a", "bb", "königin", "c.", '"C', '."', "王。", "d?"],
    "word": [" a", "b", " kö", ".", '"', "。", " ", " B", ' "'],
    "char": list('aB."? ö王。」'),
}
SPELLINGS = {
    kind: Spelling.of(Tokenizer(kind, Vocabulary.from_tokens(token.encode() for token in tokens)))
    for kind, tokens in TOKENS.items()
}


@pytest.mark.parametrize("kind", TOKENS)
@settings(max_examples=150)
@given(data=st.data())
def test_counts(kind: str, data: st.DataObject) -> None:
    """Every count at every place is that of the text before it."""
    spelling = SPELLINGS[kind]
    index = st.integers(3, len(TOKENS[kind]) + 2)
    prefix, tokens = (data.draw(st.lists(index, max_size=size)) for size in (2, 5))
    other = data.draw(st.lists(index, min_size=len(tokens), max_size=len(tokens)))
    rows = np.array([other, tokens], np.int64).reshape(2, -1)
    tallies = Tallies(spelling.flat([(), tuple(prefix)], rows), np.zeros(2, bool))
    begun = spelling.text(prefix)
    for place in range(len(tokens) + 1):
        text = spelling.text([*prefix, *tokens[:place]])
        shown, ends = text.strip(), sentence_ends(text.strip())
        assert tallies.words[1, place] == len(text.split())
        assert tallies.chars[1, place] == len(shown)
        assert tallies.reach[1, place] == len(text.lstrip())
        assert tallies.closed[1, place] == (text != "" and not text[-1].isspace())
        assert tallies.in_word[1, place] == (text != "" and is_word_character(text[-1]))
        assert tallies.free_chars[1, place] == len(text[len(begun) :].strip())
        at_end = bool(ends) and ends[-1] == len(shown)
        assert tallies.at_end[1, place] == at_end
        # an end that more text may take back is not counted yet
        assert tallies.sentences[1, place] + 1 == len(ends) if at_end else tallies.sentences[1, place] <= len(ends)


@pytest.mark.parametrize("kind", TOKENS)
@settings(max_examples=150)
@given(data=st.data())
def test_sightings(kind: str, data: st.DataObject) -> None:
    """A sought text is seen where it stands as whole words, and where it is new is where it ends."""
    spelling = SPELLINGS[kind]
    index = st.integers(3, len(TOKENS[kind]) + 2)
    prefix, tokens = tuple(data.draw(st.lists(index, max_size=2))), data.draw(st.lists(index, max_size=5))
    part = data.draw(st.sampled_from(["a", "c.", "ö", "王", ".", "B"]))
    tallies = Tallies(spelling.flat([prefix], np.array([tokens], np.int64)), np.zeros(1, bool))
    seen, suffix = tallies.sightings(part), tallies.ends_with(part)
    begun, whole = len(spelling.text(prefix)), spelling.text([*prefix, *tokens])
    for place in range(len(tokens) + 1):
        text = spelling.text([*prefix, *tokens[:place]])
        ends = [p + len(part) for p in occurrences(text, part) if p + len(part) > begun]
        kept = [end for end in ends if not touches(whole, end)]  # a word that goes on is another word
        assert seen.done[0, place] == bool(kept or (ends and ends[-1] == len(text)))
        assert seen.exact[0, place] == (bool(ends) and ends[-1] == len(text))
        shown = text.strip()
        assert suffix[0, place] == (shown.endswith(part) and not touches(shown, len(shown) - len(part)))
    assert (seen.early[:, 1:] <= seen.done[:, :-1]).all()


def test_glued_marks() -> None:
    """A mark counts as glued where it is the end of a longer token of the walk, and a lead where one begins with it."""
    spelling = SPELLINGS["whitespace"]
    index = {token: i for i, token in enumerate(TOKENS["whitespace"], start=3)}
    walk = np.array([[index[token] for token in ('"C', "c.", "a", '."')]])
    tallies = Tallies(spelling.flat([(index["c."],)], walk), np.zeros(1, bool))
    assert tallies.glued(".").tolist() == [[False, False, True, False, False]]
    assert tallies.leads('"', joined=True).tolist() == [True]
    assert tallies.leads('"C', joined=True).tolist() == [False]  # nothing is left for the hole


def test_prompt_inside_a_word() -> None:
    """Where the prompt ends inside a word, a text that goes on with it holds no whole word at its beginning."""
    spelling = SPELLINGS["char"]
    flat = spelling.flat([(), ()], np.array([[3], [3]]))
    seen = Tallies(flat, np.array([True, False])).sightings("a")
    assert seen.exact.tolist() == [[False, False], [False, True]]
