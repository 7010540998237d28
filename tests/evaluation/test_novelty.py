"""How much of a text is copied: by hand, and beside plain Python."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngramgen
from ngramgen.errors import OptionError, TokenizerError
from ngramgen.evaluation.novelty import Novelty, NoveltyCounter, Reference, model_reference, novelty, text_reference
from ngramgen.text.splitting import pieces
from ngramgen.text.tokenizers import splitter

CORPUS = ["the cat sat on the mat", "a dog ran , and the cat sat"]


def block(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def of_model(lines: list[str], length: int, kind: str) -> Reference:
    return model_reference(ngramgen.train(lines, order=2, tokenizer=kind, cleaning=[], copy_filter=length).model)


def of_text(lines: list[str], length: int, kind: str) -> Reference:
    return text_reference([block(lines)], length, kind)


BOTH = pytest.mark.parametrize("reference", [of_model, of_text])
Making = Callable[[list[str], int, str], Reference]


@BOTH
def test_every_number_by_hand(reference: Making) -> None:
    """Runs of 3: line 1 has one of "so the cat sat"'s 2, line 2 none of 0, line 3 three of 4: ran , and the cat x."""
    found = novelty(
        reference(CORPUS, 3, "whitespace"),
        [block(["so the cat sat", "the cat", "ran , and the cat x"]), block(["", "a b c"])],
    )
    assert found == Novelty(
        lines=5,
        tokens=4 + 2 + 6 + 3,
        words=4 + 2 + 5 + 3,
        run_length=3,
        runs=2 + 4 + 1,
        copied_runs=1 + 3,
        copied_share=4 / 7,
        longest_copied=4,
        longest_copied_line=3,
        longest_copied_text="ran , and the cat",
    )


@BOTH
def test_nothing_copied_and_nothing_to_copy(reference: Making) -> None:
    """No copied stretch: 0 words, no line, no text; no run: a share that is no number."""
    source = reference(CORPUS, 3, "whitespace")
    found = novelty(source, [block(["the dog sat on a mat"])])
    assert (found.copied_share, found.longest_copied, found.longest_copied_line) == (0, 0, None)
    assert found.longest_copied_text == ""
    for blocks in ([], [b""], [block(["the cat", ""])]):
        assert math.isnan(novelty(source, blocks).copied_share)
    assert novelty(reference(["a b"], 3, "whitespace"), [block(["a b c d"])]).copied_runs == 0


@BOTH
def test_lines_do_not_run_together(reference: Making) -> None:
    """A run across a line end is none, in either text."""
    source = reference(["a b", "c d"], 2, "whitespace")
    assert novelty(source, [block(["a b c d"])]).copied_runs == 2
    assert novelty(source, [block(["a b", "c", "d"])]).copied_runs == 1


@BOTH
@pytest.mark.parametrize(
    ("kind", "text"),
    [("word", "the cat sat"), ("char", "he cat sat"), ("byte", "he cat sat"), ("nltk:TweetTokenizer", "the cat sat")],
)
def test_text_of_the_longest(kind: str, text: str, reference: Making) -> None:
    """The longest stretch is told as text, and words that it only touches are counted."""
    if kind.startswith("nltk"):
        pytest.importorskip("nltk")
    found = novelty(reference(["so the cat sat on"], 3, kind), [block(["xhe cat sat. So: the cat sat"])])
    assert (found.longest_copied, found.longest_copied_text) == (3, text)


def test_marks_alone_are_no_copy_to_tell() -> None:
    """A stretch without a word counts among the runs and has no words."""
    found = novelty(of_text(["- . - ."], 2, "whitespace"), [block(["- . x"])])
    assert (found.copied_runs, found.longest_copied, found.longest_copied_line) == (1, 0, None)


@pytest.mark.parametrize("kind", ["word", "whitespace", "char", "byte"])
@settings(max_examples=60, deadline=None)
@given(
    corpus=st.lists(st.text("ab ,é", max_size=12), min_size=1, max_size=5),
    texts=st.lists(st.text("ab ,éx", max_size=12), max_size=6),
    length=st.integers(2, 4),
)
def test_as_plain_python_counts(kind: str, corpus: list[str], texts: list[str], length: int) -> None:
    """Against a text, exactly what plain Python finds; against a model's filter at least that."""
    expected = plainly(kind, corpus, texts, length)
    assert asdict(novelty(of_text(corpus, length, kind), [block(texts)])) == expected
    filtered = asdict(novelty(of_model(corpus, length, kind), [block(texts)]))
    for name in ("lines", "tokens", "words", "run_length", "runs"):
        assert filtered[name] == expected[name]
    assert filtered["copied_runs"] >= expected["copied_runs"]
    assert filtered["longest_copied"] >= expected["longest_copied"]


def plainly(kind: str, corpus: list[str], texts: list[str], length: int) -> dict[str, Any]:
    known = {run for line in corpus for run in windows(tokens_of(kind, line), length)}
    counts = dict.fromkeys(("lines", "tokens", "words", "runs", "copied_runs"), 0)
    best: tuple[int, int | None, str] = 0, None, ""
    for number, line in enumerate(texts, start=1):
        tokens = tokens_of(kind, line)
        flags = [run in known for run in windows(tokens, length)]
        counts["lines"] += 1
        counts["tokens"] += len(tokens)
        counts["words"] += words_in(kind, tokens)
        counts["runs"] += len(flags)
        counts["copied_runs"] += sum(flags)
        for match in re.finditer("1+", "".join(str(int(flag)) for flag in flags)):
            stretch = tokens[match.start() : match.end() + length - 1]
            if words_in(kind, stretch) > best[0]:
                text = (b" " if kind == "whitespace" else b"").join(stretch).decode("utf-8", "replace").strip()
                best = words_in(kind, stretch), number, text
    share = counts["copied_runs"] / counts["runs"] if counts["runs"] else pytest.approx(math.nan, nan_ok=True)
    names = ("longest_copied", "longest_copied_line", "longest_copied_text")
    return counts | {"run_length": length, "copied_share": share} | dict(zip(names, best, strict=True))


def tokens_of(kind: str, line: str) -> list[bytes]:
    return splitter(kind)(f"{line}\n".encode()).tokens()


def windows(tokens: list[bytes], length: int) -> list[tuple[bytes, ...]]:
    return [tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)]


def words_in(kind: str, tokens: list[bytes]) -> int:
    if kind in ("char", "byte"):
        return len(b"".join(tokens).split())
    return sum(any(map(str.isalnum, token.decode())) for token in tokens)


@pytest.mark.parametrize("size", [1, 9, 1 << 18])
def test_pieces_do_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers are the same however small the pieces are that are read together, and over several blocks."""
    texts = ["so the cat sat on the dog", "", "a dog ran , and", "the cat sat on the mat"]
    expected = novelty(of_text(CORPUS, 3, "word"), [block(texts)])
    monkeypatch.setattr("ngramgen.evaluation.novelty.pieces", lambda block: pieces(block, size))
    reference = of_text(CORPUS, 3, "word")
    assert novelty(reference, [block(texts)]) == expected
    counter = NoveltyCounter(reference)
    for text in texts:
        counter.add(block([text]))
    assert counter.result() == expected
    assert expected.longest_copied_line == 4


def test_words_that_the_model_lacks() -> None:
    """They count as words, and part what is copied."""
    model = ngramgen.train(["a b c d e"], order=2, tokenizer="whitespace", copy_filter=2)
    found = novelty(model.model, [block(["a b xyz d e"])])
    assert (found.tokens, found.words, found.runs, found.copied_runs) == (5, 5, 4, 2)
    limited = ngramgen.train(["a a b b c a a"], order=2, tokenizer="whitespace", copy_filter=2, vocab_size=2)
    assert novelty(limited.model, [block(["a a b b c a a"])]).copied_runs == 4  # aa, ab, bb, aa


def test_refusals() -> None:
    """A model without a filter, a length out of range and an unknown tokenizer are told."""
    with pytest.raises(OptionError, match="train an n-gram model with --copy-filter 6"):
        novelty(ngramgen.train(["a b"], order=2).model, [])
    with pytest.raises(OptionError, match="length must be an integer from 2 to 64"):
        text_reference([], 1)
    with pytest.raises(TokenizerError, match="no tokenizer 'x'"):
        text_reference([b"a\n"], 2, "x")
