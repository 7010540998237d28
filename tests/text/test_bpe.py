"""Our own BPE, beside what the library `tokenizers` makes of the same tokenizer.json."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ngramgen.text import bpe
from ngramgen.text.bpe import BytePairEncoder, merged, words
from ngramgen.text.subword_training import trained_json
from ngramgen.text.tokenizer_json import byte_characters, library_tokenizer

ENGLISH = [
    "It's the lowest of the low, the lower of the two; they'll say we've 12 or 1,234 of them.",
    "  'Tis  two  spaces,\tand I'd say \"don't\"...  ",
    "the newest of the new: they're here, I'm there",
]
MIXED = [
    *ENGLISH,
    "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق ١٢٣",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में १२ हिन्दी",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน",
    "l'été, ça va? naïve cafe\u0301 ½ ⅷ ² 👨‍👩‍👧 🇩🇪 👍🏽",
]


def _made(lines: list[str]) -> tuple[BytePairEncoder, Any]:
    pytest.importorskip("tokenizers")
    text = trained_json(["".join(f"{line}\n" for line in lines * 3).encode()], 700)
    return BytePairEncoder.from_model(json.loads(text)["model"]), library_tokenizer(text, "x")


@pytest.fixture(scope="module")
def mixed() -> tuple[BytePairEncoder, Any]:
    return _made(MIXED)


@pytest.fixture(scope="module")
def english() -> tuple[BytePairEncoder, Any]:
    return _made(ENGLISH)


def _is_old(character: str) -> bool:
    """Whether both programs know it, whatever version of Unicode they have."""
    return unicodedata.ucd_3_2_0.category(character) not in ("Cn", "Cs")


ODD = "\n\r\t \x00\x1c\x1f\x7f\x85\xa0\u2003\u2028\u3000'’.!19stremvld\u0301"
ODD += "\u094d\u0651\u200d\ufe0f中的กあ가ا½ⅷ²👨👩👧🇩🇪👍🏽"
PIECES = [*"".join(MIXED).split(" "), "they're", "  the", " the\n", "\r\n", " \u3000", "''s", "</s>", "<unk>"]
TEXT = st.lists(
    st.one_of(st.sampled_from(ODD), st.sampled_from(PIECES), st.characters(exclude_categories=["Cs"]).filter(_is_old)),
    max_size=20,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
@example(text="")
@example(text="a\n \n\n  b \t c  ")
@example(text="it'S 'll''ve x'tt")
@example(text="a" * 3000)
@example(text="the new " * 300)
@example(text="中的" * 1000)
def test_ids_are_the_library_s(
    mixed: tuple[BytePairEncoder, Any], english: tuple[BytePairEncoder, Any], text: str
) -> None:
    """Any text has the ids that the library gives it, and its tokens' bytes are the text."""
    for own, library in (mixed, english):
        ids = own.encode(text)
        assert ids.dtype == np.int64
        assert ids.tolist() == library.encode(text, add_special_tokens=False).ids
        texts = own.token_texts()
        assert b"".join(texts[i] for i in ids.tolist()).decode() == text
        assert library.decode(ids.tolist()) == text


@settings(deadline=None)
@given(data=st.data())
def test_texts_are_the_library_s(mixed: tuple[BytePairEncoder, Any], data: st.DataObject) -> None:
    """Any ids, with halves of characters among them, make the text that the library decodes."""
    own, library = mixed
    ids = data.draw(st.lists(st.integers(3, len(own.vocab) - 1), max_size=12))
    texts = own.token_texts()
    assert b"".join(texts[i] for i in ids).decode("utf-8", "replace") == library.decode(ids)


def test_every_character_is_of_the_library_s_class() -> None:
    """Words end where they end there, whichever character stands beside letters, digits, spaces and marks."""
    library = pytest.importorskip("tokenizers")
    characters = [c for c in map(chr, range(0x110000)) if _is_old(c) and unicodedata.category(c) != "Co"]
    text = "".join(
        f"a{c}1{c} {c}{c}!" for c in characters if not 0x4E00 < ord(c) < 0x9F00 and not 0xAC01 < ord(c) < 0xD700
    )
    found = library.pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    ends = np.cumsum([len(word) for word in words(text)])
    assert ends.tolist() == [end for _, (_, end) in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("it's they'll", ["it", "'s", " they", "'ll"]),
        ("été 12a", ["été", " 12", "a"]),
        ("a  b \n\nc", ["a", " ", " b", " \n", "\n", "c"]),
    ],
)
def test_words_by_hand(text: str, expected: list[str]) -> None:
    """A contraction parts from its word, digits from letters, and one space goes with what follows."""
    assert words(text) == expected


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_words_lose_nothing(text: str) -> None:
    """They join to the text, with characters that Unicode has not assigned, too."""
    assert "".join(words(text)) == text


def test_merges_by_hand() -> None:
    """The lowest rank first, of equals the leftmost, and a pair that is gone does not come back."""
    ranks = {("a", "b"): 1, ("b", "c"): 0, ("a", "bc"): 3, ("a", "a"): 2, ("bc", "bc"): 4}
    # aabc: b c is first, then a a; a bc is gone by then
    assert merged(list("aabc"), ranks) == ["aa", "bc"]
    assert merged(list("abcbc"), ranks) == ["abc", "bc"]
    assert merged(list("aaa"), ranks) == ["aa", "a"]
    assert merged([], ranks) == []


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old words are forgotten when there are too many, long ones at once, and no id changes."""
    monkeypatch.setattr(bpe, "_KEPT", 2)
    own = BytePairEncoder(byte_characters(), [])
    text = "a b c d e " + "x" * 1000
    assert own.encode(text).tolist() == list(text.encode())
    assert own.encode(text).tolist() == list(text.encode())
    assert len(own._word_ids) <= 2
    assert max(map(len, own._word_ids)) < 1000
