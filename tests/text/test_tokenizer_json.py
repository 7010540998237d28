"""What is read off a tokenizer.json."""

from __future__ import annotations

from typing import Any

import pytest

from ngramgen.text.tokenizer_json import NEWLINE, byte_characters, is_own, special_ids, token_texts


class Names:
    """Stands in for the library where only names are asked for."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def id_to_token(self, index: int) -> str:
        return self.names[index]


def test_characters_of_bytes() -> None:
    """Those of GPT-2: printable ones of Latin-1 are themselves, the others begin with U+0100."""
    library = pytest.importorskip("tokenizers")
    found = byte_characters()
    assert set(found) == set(library.pre_tokenizers.ByteLevel.alphabet())
    assert sorted(found.values()) == list(range(256))
    assert [found[character] for character in "AĠĊ¡ÿ"] == [0x41, 0x20, 0x0A, 0xA1, 0xFF]
    assert found["ł"] == 0xA0  # the 33 bytes to 0x20 and 34 from 0x7F to 0xA0 come before U+0100 + 67
    assert NEWLINE == "Ċ"


@pytest.mark.parametrize(
    ("decoder", "texts"),
    [
        ({"type": "ByteLevel"}, [b"", b" the", b"\xc3", b"<0x0A>", "▁a".encode(), "é!".encode()]),
        (
            {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                              {"type": "ByteFallback"}, {"type": "Fuse"}]},
            [b"", "Ġthe".encode(), "Ã".encode(), b"\n", b" a", "é!".encode()],
        ),
        (
            {"type": "Metaspace", "replacement": "▁"},
            [b"", "Ġthe".encode(), "Ã".encode(), b"<0x0A>", b" a", "é!".encode()],
        ),
    ],
)  # fmt: skip
def test_bytes_of_tokens(decoder: dict[str, Any], texts: list[bytes]) -> None:
    """By the decoder's kind; a special has none, an added token is what it says."""
    added = [{"id": 0, "content": "<s>", "special": True}, {"id": 5, "content": "é!", "special": False}]
    data = {"decoder": decoder, "added_tokens": added}
    assert token_texts(data, Names(["<s>", "Ġthe", "Ã", "<0x0A>", "▁a", "é!"]), range(6)) == texts


def named(*names: str, **model: Any) -> dict[str, Any]:
    return {"model": model, "added_tokens": [{"id": i, "content": name} for i, name in enumerate(names)]}


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        (named(), (-1, -1, -1)),
        (named("<|endoftext|>", "<|im_start|>", "<|im_end|>"), (-1, -1, 0)),
        (named("<pad>", "<eos>", "<bos>", "<unk>", unk_token="<unk>", byte_fallback=True), (-1, 2, 1)),
        (named("<unk>", "<s>", "</s>", unk_token="<unk>"), (0, 1, 2)),
        (named("<|begin_of_text|>", "<|end_of_text|>"), (-1, 0, 1)),
        (named("<s>", "</s>", type="Unigram", unk_id=7, vocab=[]), (7, 0, 1)),
        (named("</s>", unk_token="a", vocab={"a": 3}), (3, -1, 0)),
        (named("</s>", unk_token="</s>"), (-1, -1, 0)),
    ],
)
def test_names_of_specials(data: dict[str, Any], ids: tuple[int, int, int]) -> None:
    """<unk>, <s> and </s> by the names that models give them; an unknown token that cannot come is none."""
    assert special_ids(data) == ids


def test_what_is_own() -> None:
    """Byte-level BPE with our specials as the first three ids, and every part of that is needed."""
    characters = list(byte_characters())
    vocab = {name: i for i, name in enumerate(["<unk>", "<s>", "</s>", *characters])}
    added = [{"id": i, "content": name, "special": True} for i, name in enumerate(["<unk>", "<s>", "</s>"])]
    right: dict[str, Any] = {
        "model": {"type": "BPE", "vocab": vocab},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "normalizer": None,
        "decoder": {"type": "ByteLevel"},
        "added_tokens": added,
    }
    assert is_own(right)
    assert not is_own(None)
    for part in right.keys() - {"normalizer"}:
        assert not is_own({name: value for name, value in right.items() if name != part})
    for wrong in (
        {"model": {"type": "WordPiece", "vocab": vocab}},
        {"model": {"type": "BPE", "vocab": {k: i for k, i in vocab.items() if k != "ÿ"}}},
        {"model": {"type": "BPE", "vocab": vocab | {"aĊ": len(vocab)}}},
        {"model": {"type": "BPE", "vocab": vocab | {"aa": len(vocab) + 1}}},
        {"model": {"type": "BPE", "vocab": vocab | {"中": len(vocab)}}},
        {"model": {"type": "BPE", "vocab": vocab | {"<s>": 2, "</s>": 1}}},
        {"model": {"type": "BPE", "vocab": vocab, "dropout": 0.1}},
        {"model": {"type": "BPE", "vocab": vocab, "continuing_subword_prefix": "##"}},
        {"model": {"type": "BPE", "vocab": vocab, "end_of_word_suffix": "_"}},
        {"model": {"type": "BPE", "vocab": vocab, "ignore_merges": True}},
        {"model": []},
        {"pre_tokenizer": None},
        {"pre_tokenizer": right["pre_tokenizer"] | {"add_prefix_space": True}},
        {"pre_tokenizer": right["pre_tokenizer"] | {"use_regex": False}},
        {"normalizer": {"type": "NFC"}},
        {"decoder": {"type": "WordPiece"}},
        {"added_tokens": added[:2]},
        {"added_tokens": [*added, {"id": 4, "content": "#", "special": True}]},
    ):
        assert not is_own(right | wrong)
