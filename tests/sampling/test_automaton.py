from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.sampling import automaton as module
from ngramgen.sampling.automaton import UNREACHABLE, TokenAutomaton
from ngramgen.sampling.patterns import compile_pattern
from ngramgen.sampling.trie import LONGEST, build_trie
from ngramgen.text.tokenizers import Tokenizer, fixed_vocabulary
from ngramgen.text.vocabulary import Vocabulary

PIECES = {
    "word": [b"a", b" a", b" ", b" be", b"be", b"."],
    "whitespace": [b"a", b"be", b".", b"abe", "é".encode()],
    "char": [b"a", b" ", b"b", "é".encode(), "中".encode()],
    "byte": [b"a", b" ", b"\xc3", b"\xa9", b"\x80"],
}
PATTERNS = [
    "",
    "a",
    ".*",
    ".",
    " ?a( be)+",
    "(be|a| )*",
    r"(.*\W)?be(\W.*)?",
    r"\S+(\s\S+){1,2}",
    "a*b",
    "x",
    r"\w é|中+",
]
PATTERNS += ["(?i)A é?", r"[^a]*\.", " .*", "a a( a)?", "((a|be)( |$))*", "é", "[^ ]{4}"]


def tokenizer(kind: str, pieces: list[bytes]) -> Tokenizer:
    return Tokenizer(kind, Vocabulary.from_tokens(pieces))


def token_automaton(made: Tokenizer, *patterns: str) -> TokenAutomaton:
    separator = b" " if made.joins_with_space else b""
    automaton = compile_pattern(*patterns)
    return TokenAutomaton(automaton, *made.token_bytes(), separator, strip_first_space=made.leads_with_space)


def after(tokens: TokenAutomaton, state: int, ids: tuple[int, ...]) -> int:
    """By rows of the whole vocabulary; `step` must agree."""
    for token in ids:
        stepped = tokens.step(state, token)
        state = int(tokens.next_states(state)[token]) if state >= 0 else -1
        assert stepped == state
    return state


def sequences(vocab_size: int, longest: int) -> Iterator[tuple[int, ...]]:
    for length in range(longest + 1):
        yield from itertools.product(range(3, vocab_size), repeat=length)


def is_match(made: Tokenizer, pattern: str, ids: tuple[int, ...]) -> bool:
    """Python's own engine on the text of some ids; bytes that are no text match nothing."""
    separator = b" " if made.joins_with_space else b""
    data = separator.join(made.vocabulary.token(i) for i in ids)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return bool(re.fullmatch(pattern, text.removeprefix(" ") if made.leads_with_space else text))


@pytest.mark.parametrize("kind", PIECES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_all_short_sequences_of_tokens_match_as_their_text_does(kind: str, pattern: str) -> None:
    """A sequence of up to four tokens ends in an accepting state exactly if its decoded text is a full match."""
    made = tokenizer(kind, PIECES[kind])
    tokens = token_automaton(made, pattern)
    states = {(): tokens.start}
    for ids in sequences(made.vocab_size, 4):
        if ids:
            states[ids] = after(tokens, states[ids[:-1]], ids[-1:])
        assert tokens.accepts(states[ids]) == is_match(made, pattern, ids), ids


@pytest.mark.parametrize("kind", PIECES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_distance_is_that_of_the_shortest_way_to_a_match(kind: str, pattern: str) -> None:
    """Behind every sequence of up to two tokens, a match is as many tokens away as trying them all finds."""
    made = tokenizer(kind, PIECES[kind])
    tokens = token_automaton(made, pattern)
    for ids in sequences(made.vocab_size, 2):
        further = sequences(made.vocab_size, 4 - len(ids))  # shortest first
        found = next((len(more) for more in further if is_match(made, pattern, ids + more)), None)
        distance = tokens.distance(after(tokens, tokens.start, ids))
        assert distance == found if found is not None else distance > 4 - len(ids), ids


@given(
    st.lists(st.text(st.sampled_from("ab é"), min_size=1, max_size=3), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(["a", "b", " ", "é", ".", r"\w", r"\s", "(a|b )"]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["", "*", "+", "?", "{2}"]), min_size=4, max_size=4),
    st.sampled_from(["word", "whitespace", "char"]),
)
@settings(max_examples=60)
def test_random_patterns_over_random_tokens(words: list[str], parts: list[str], repeats: list[str], kind: str) -> None:
    """As with chosen patterns and tokens, so with random ones, tokens that hold spaces among them."""
    pattern = "".join(map("".join, zip(parts, repeats, strict=False)))
    made = tokenizer(kind, [word.encode() for word in words])
    tokens = token_automaton(made, pattern)
    matches = [ids for ids in sequences(made.vocab_size, 3) if is_match(made, pattern, ids)]
    assert [ids for ids in sequences(made.vocab_size, 3) if tokens.accepts(after(tokens, tokens.start, ids))] == matches
    distance = tokens.distance(tokens.start)
    assert distance == min(map(len, matches)) if matches else distance > 3


def test_half_a_character_is_a_token_like_any_other() -> None:
    """Over the 256 bytes, a character of three bytes is three tokens away, and only its bytes lead on."""
    vocabulary = fixed_vocabulary("byte")
    assert vocabulary is not None
    tokens = token_automaton(Tokenizer("byte", vocabulary), "中")
    state, text = tokens.start, b""
    for left in (3, 2, 1):
        assert tokens.distance(state) == left
        ids, states = tokens.live(state)
        assert len(ids) == 1
        text += bytes([int(ids[0]) - 3])
        state = int(states[0])
    assert tokens.accepts(state)
    assert text.decode() == "中"


def test_what_the_vocabulary_cannot_say_is_unreachable() -> None:
    """The bytes could match, no sequence of tokens can; and a state from which none can is told from its neighbours."""
    made = tokenizer("char", [b"a", b"b", b"c"])
    assert token_automaton(made, "ax|bz+").distance(token_automaton(made, "ax|bz+").start) == UNREACHABLE
    tokens = token_automaton(made, "ax|bc")
    assert tokens.distance(tokens.start) == 2
    # a leads on as far as bytes go, but only b leads to an end
    ids, states = tokens.live(tokens.start)
    assert ids.tolist() == [3, 4]
    assert tokens.distances()[states].tolist() == [UNREACHABLE, 1]


@pytest.mark.parametrize("pattern", ["a^b", r"[^\s\S]"])
def test_an_automaton_that_is_empty_has_no_token(pattern: str) -> None:
    """No token leads on from the start, which does not accept and has no way to an end."""
    tokens = token_automaton(tokenizer("word", PIECES["word"]), pattern)
    assert tokens.live(tokens.start)[0].tolist() == []
    assert not tokens.accepts(tokens.start)
    assert tokens.distance(tokens.start) == UNREACHABLE


def test_nothing_comes_behind_the_dead_state() -> None:
    """State -1, where a dead token leads, has no token, accepts nothing and has no way to an end."""
    tokens = token_automaton(tokenizer("char", [b"a"]), "a*")
    assert tokens.accepts(tokens.start)
    assert tokens.live(-1)[0].tolist() == []
    assert tokens.step(-1, 3) == -1
    assert not tokens.accepts(-1)
    assert tokens.distance(-1) == UNREACHABLE


def test_specials_and_tokens_without_bytes_never_come() -> None:
    """<unk>, <s> and </s> are dead even where they have bytes, as is a token without: it would lead nowhere new."""
    data = np.frombuffer(b"aaaab", np.uint8)
    tokens = TokenAutomaton(compile_pattern("[ab]*"), data, np.array([0, 1, 2, 3, 4, 4, 5]))
    # ids 0 to 2 are specials with the text a, 3 is a, 4 has no text, 5 is b
    assert tokens.next_states(tokens.start).tolist() == [-1, -1, -1, 0, -1, 0]
    assert [tokens.step(tokens.start, i) for i in range(6)] == [-1, -1, -1, 0, -1, 0]


def test_a_token_of_unusual_length_never_comes() -> None:
    """One byte more than the limit is dead, the limit itself is not."""
    made = tokenizer("char", [b"a" * LONGEST, b"a" * (LONGEST + 1)])
    tokens = token_automaton(made, "a*")
    assert tokens.live(tokens.start)[0].tolist() == [3]
    assert [tokens.step(tokens.start, i) >= 0 for i in (3, 4)] == [True, False]


def test_a_text_may_begin_or_go_on() -> None:
    """At the start no space stands before a token, or it is skipped; in the automaton's own start it counts."""
    words = token_automaton(tokenizer("word", [b" a", b"a"]), "( a|a)b?")
    assert words.live(words.start)[0].tolist() == [3, 4]
    spaced = token_automaton(tokenizer("word", [b" a", b"a"]), " a")
    # at the start " a" is but a, and a space that could be skipped must come by itself
    assert spaced.live(spaced.start)[0].tolist() == []
    assert spaced.live(spaced.automaton.start)[0].tolist() == [3]
    joined = token_automaton(tokenizer("whitespace", [b"a"]), " a")
    assert joined.live(joined.start)[0].tolist() == []
    assert joined.distance(joined.automaton.start) == 1


def test_a_space_is_skipped_alone_though_other_bytes_lead_where_it_leads() -> None:
    """To the pattern a tab is as good as a space, but only the space is lost at the beginning of a text."""
    tokens = token_automaton(tokenizer("word", [b" a", b"\ta", b"a"]), r"a|\sab")
    assert tokens.live(tokens.start)[0].tolist() == [3, 4, 5]
    assert [tokens.accepts(int(state)) for state in tokens.live(tokens.start)[1]] == [True, False, True]


def test_a_state_that_no_token_leads_to_has_its_distance_too() -> None:
    """Behind a prompt that ends inside of a word, where no sequence of tokens from the start leads."""
    made = tokenizer("char", [b"rose", b"se"])
    tokens = token_automaton(made, "(rose)+")
    assert tokens.distance(tokens.start) == 1
    inside = tokens.automaton.walk(tokens.automaton.start, b"ro")
    assert tokens.distances()[inside] == UNREACHABLE
    assert tokens.distance(inside) == 1
    assert tokens.distances()[inside] == 1
    assert tokens.distance(tokens.start) == 1


def test_what_live_gives_can_not_be_changed() -> None:
    """The rows and the distances are kept for the next call, so they are read-only."""
    tokens = token_automaton(tokenizer("char", [b"a"]), "a*")
    for array in (*tokens.live(tokens.start), tokens.distances()):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


def test_rows_are_kept_within_bounds_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for few rows the answers are the same, and the rows used last are those that stay."""
    made = tokenizer("char", [b"a", b"b", b"c"])
    tokens = token_automaton(made, "[abc]{6}")
    expected = [[array.tolist() for array in tokens.live(state)] for state in range(6)]
    monkeypatch.setattr(module, "_KEPT_TOKENS", 6)
    small = token_automaton(made, "[abc]{6}")
    assert [[array.tolist() for array in small.live(state)] for state in range(6)] == expected
    first = small.live(0)
    second = small.live(1)
    assert small.live(0) is first
    small.live(2)  # drops the row of state 1, which was used before that of state 0
    assert small.live(0) is first
    assert small.live(1) is not second
    assert len(small._rows) == 2


@pytest.mark.parametrize(("few", "cells"), [(10**9, 1), (1, 1), (1, 10**6), (8, 50)])
def test_every_way_to_walk_finds_the_same(monkeypatch: pytest.MonkeyPatch, few: int, cells: int) -> None:
    """All nodes or only the reached ones, one state at a time or all together: the same rows and distances."""
    made = tokenizer("word", [b" ", b" the", b" king", b" kin", b"s", b" spoke", b"."])
    patterns = "The king( the king)*".lower() + r"s? spoke\.*", r".{0,30}\."
    plain = token_automaton(made, *patterns)
    monkeypatch.setattr(module, "_FEW", few)
    monkeypatch.setattr(module, "_CELLS", cells)
    other = token_automaton(made, *patterns)
    assert other.distances().tolist() == plain.distances().tolist()
    # " the", " king", " spoke", "."
    assert other.distance(other.start) == 4
    for state in range(other.start + 1):
        assert other.next_states(state).tolist() == plain.next_states(state).tolist()


def test_tokens_that_are_the_same_to_the_automaton_are_one_node() -> None:
    """A date does not tell letters apart: words are as many nodes as the longest of them has bytes."""
    automaton = compile_pattern("[0-9]{4}-[0-9]{2}")
    words = Vocabulary.from_tokens([b"king", b"rose", b"spoke", b"1865", b"18"])
    trie = build_trie(words.data, words.offsets, automaton.class_of_byte)
    # the root, five letters, four digits
    assert len(trie.parents) == 10
    king, rose, spoke = trie.node_of_token[3:6].tolist()
    assert king == rose != spoke
    assert trie.parents[spoke] == king
    assert trie.node_of_token[:3].tolist() == [10, 10, 10]


@pytest.mark.parametrize("offsets", [[0, 0, 0, 0, 2, 1], [0, 0, 0, 0, 2, 9], [-1, 0, 0, 0, 2, 2]])
def test_offsets_of_a_damaged_file_are_refused(offsets: list[int]) -> None:
    """Offsets that fall or lead outside are a ValueError, never bytes of something else."""
    with pytest.raises(ValueError, match="outside of the bytes"):
        TokenAutomaton(compile_pattern("a"), np.frombuffer(b"ab", np.uint8), np.array(offsets))


def test_a_vocabulary_of_specials_alone_says_nothing() -> None:
    """Without a token, only the empty text can match."""
    made = tokenizer("word", [])
    assert token_automaton(made, "a*").distance(token_automaton(made, "a*").start) == 0
    assert token_automaton(made, "a+").distance(token_automaton(made, "a+").start) == UNREACHABLE
