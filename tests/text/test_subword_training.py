"""Learning a byte-level BPE: the sample, the merges, and the ids."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ngramgen.errors import TokenizerError
from ngramgen.text.subword_training import check_size, renumbered, spread, trained_json, without_specials_in_text


def test_the_sample_is_even() -> None:
    """Blocks at equal distances, as many as the limit lets; a block over the limit comes alone; little is all taken."""
    blocks = [bytes([i]) * 10 for i in range(16)]
    assert spread(blocks, 160) == blocks
    assert spread(iter(blocks), 50) == blocks[::4]
    assert spread(blocks, 1) == blocks[:1]
    assert spread([], 100) == []


def test_merges_by_hand() -> None:
    """Of "aab aab aab" the pair a a comes first of equals, then aa b; the line's first word has no space before it."""
    pytest.importorskip("tokenizers")
    model = json.loads(trained_json([b"aab\n" * 3], 261))["model"]
    assert model["merges"] == [["a", "a"], ["aa", "b"]]
    assert len(model["vocab"]) == 261


def test_too_small_a_vocabulary() -> None:
    """The 256 bytes and three specials have to find room."""
    check_size(259)
    with pytest.raises(TokenizerError, match="a bpe vocabulary of 10 entries is too small"):
        check_size(10)


def toy(merges: list[list[str]], names: list[str]) -> str:
    return json.dumps({"model": {"merges": merges, "vocab": {name: i for i, name in enumerate(names)}}})


def test_no_text_spells_a_special() -> None:
    """The merge that makes its name goes, and those that need it; the specials and all else stay, ids close up."""
    merges = [["<", "s"], ["<s", ">"], ["<s>", "!"], ["s", "!"]]
    names = ["<unk>", "<s>", "</s>", "!", "<", ">", "s", "<s", "<s>!", "s!"]
    found = json.loads(without_specials_in_text(toy(merges, names)))["model"]
    assert found["merges"] == [["<", "s"], ["s", "!"]]
    assert found["vocab"] == {n: i for i, n in enumerate(["<unk>", "<s>", "</s>", "!", "<", ">", "s", "<s", "s!"])}
    whole = toy(merges[:1], names)
    assert without_specials_in_text(whole) is whole


def test_ids_fall_with_counts() -> None:
    """The specials stay, the most frequent token follows them, of equals the one that came first."""
    names = ["<unk>", "<s>", "</s>", "a", "b", "c", "d"]
    found = json.loads(renumbered(toy([], names), np.array([9, 9, 9, 1, 5, 1, 7])))
    assert list(found["model"]["vocab"]) == ["<unk>", "<s>", "</s>", "d", "b", "a", "c"]
    assert list(found["model"]["vocab"].values()) == list(range(7))
