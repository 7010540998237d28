"""What a tokenizer.json tells beyond what the library `tokenizers` does with it: bytes of tokens, special ids, origin.

>>> byte_characters()["Ġ"]
32
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ngramgen.errors import MissingDependencyError, TokenizerError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.text.vocabulary import SPECIALS

SPACE_SIGN = "\u2581"
"""Stands for a space in the tokens of SentencePiece."""

_ENDS = ("</s>", "<|endoftext|>", "<|im_end|>", "<eos>", "<|end_of_text|>", "[SEP]")
_BEGINNINGS = ("<s>", "<|begin_of_text|>", "<|startoftext|>", "<bos>", "[CLS]")
_BYTE = re.compile("<0x([0-9A-F]{2})>")
_BPE_OPTIONS = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")  # none is ours
_SPACE_DECODERS = {"Replace", "Metaspace", "ByteFallback", "Fuse", "Strip"}


def library() -> Any:
    """The module `tokenizers`. Raises MissingDependencyError."""
    try:
        import tokenizers
    except ImportError:
        raise MissingDependencyError(
            "to learn the tokenizer bpe, or to read a tokenizer.json of another kind, needs tokenizers; "
            "install it with pip install 'ngramgen[neural]'"
        ) from None
    return tokenizers


def parsed(text: str, source: str) -> dict[str, Any]:
    """What a tokenizer.json says. Raises TokenizerError, which names the source, for what is no JSON."""
    with refused(f"{source} is no tokenizer.json"):
        data: dict[str, Any] = json.loads(text)
    return data


def library_tokenizer(text: str, source: str) -> Any:
    """The library's tokenizer for a tokenizer.json, to which special tokens in a text are text.

    Raises TokenizerError, which names the source, for what is no tokenizer.json, MissingDependencyError.
    """
    module = library()
    with refused(f"{source} is no tokenizer.json"):
        made = module.Tokenizer.from_str(text)
    made.no_truncation()
    made.no_padding()
    made.encode_special_tokens = True
    return made


@contextmanager
def refused(message: str) -> Iterator[None]:
    """Raise a TokenizerError of this message for whatever the library raises."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # which is no Exception
            raise
        raise TokenizerError(f"{message}: {error}") from None


def byte_characters() -> dict[str, int]:
    """For each of the 256 characters that stand for bytes in a byte-level vocabulary the byte (Radford et al. 2019).

    Printable characters of Latin-1 stand for themselves, the other bytes are the characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


NEWLINE = next(character for character, byte in byte_characters().items() if byte == 10)
"""The newline in a byte-level vocabulary."""


def is_own(data: Any) -> bool:
    """Whether a parsed tokenizer.json is a plain byte-level BPE of lines, with <unk>, <s> and </s> as ids 0, 1 and 2.

    Its vocabulary holds all 256 bytes, and nothing but bytes, and no token but the newline's own holds a newline.
    """
    try:
        return _is_own_form(data) and _is_own_vocab(data["model"]["vocab"])
    except (AttributeError, KeyError, TypeError):  # it lacks a part, or has another thing there
        return False


def _is_own_form(data: dict[str, Any]) -> bool:
    model, before = data["model"], data["pre_tokenizer"]
    if model["type"] != "BPE" or any(model.get(option) for option in _BPE_OPTIONS):
        return False
    if before["type"] != "ByteLevel" or before.get("add_prefix_space") or not before.get("use_regex", True):
        return False
    if data.get("normalizer") is not None or data["decoder"]["type"] != "ByteLevel":
        return False
    added = [(token["id"], token["content"], token["special"]) for token in data["added_tokens"]]
    return added == [(i, name, True) for i, name in enumerate(SPECIALS)]


def _is_own_vocab(vocab: dict[str, int]) -> bool:
    characters, text = byte_characters().keys(), "".join(vocab)
    if not vocab.keys() >= characters >= set(text) or text.count(NEWLINE) != 1:
        return False
    return set(vocab.values()) == set(range(len(vocab))) and [vocab.get(name) for name in SPECIALS] == [UNK, BOS, EOS]


def added_tokens(data: dict[str, Any]) -> dict[str, int]:
    """The ids of the tokens that were added to the model's own, by their names."""
    return {token["content"]: token["id"] for token in data.get("added_tokens", [])}


def special_ids(
    data: dict[str, Any], unk_id: int | None = None, bos_id: int | None = None, eos_id: int | None = None
) -> tuple[int, int, int]:
    """Which ids of a foreign tokenizer stand for <unk>, <s> and </s>, -1 where there is none.

    None takes the token with a name known for it, -1 none. A beginning that is the end too counts as the end alone,
    and an unknown token that no text can give is none.
    """
    named = added_tokens(data)
    if eos_id is None:
        eos_id = next((named[name] for name in _ENDS if name in named), -1)
    if bos_id is None:
        bos_id = next((named[name] for name in _BEGINNINGS if name in named), -1)
    if unk_id is None:
        unk_id = _unknown(data, named)
    bos_id = -1 if bos_id == eos_id else bos_id
    return -1 if unk_id in (bos_id, eos_id) else unk_id, bos_id, eos_id


def _unknown(data: dict[str, Any], named: dict[str, int]) -> int:
    model = data["model"]
    if model.get("type") == "Unigram":
        found = model.get("unk_id")
        return -1 if found is None or model.get("byte_fallback") else int(found)
    name, vocab = model.get("unk_token"), model.get("vocab")
    if not name or model.get("byte_fallback") or "ByteLevel" in _types(data.get("pre_tokenizer"), "pretokenizers"):
        return -1
    return int(named.get(name, vocab.get(name, -1) if isinstance(vocab, dict) else -1))


def _types(part: dict[str, Any] | None, inner: str) -> set[str]:
    """The types of a pre-tokenizer or decoder, those of a sequence one by one."""
    return {str(one.get("type")) for one in _parts(part, inner)}


def _parts(part: dict[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    if not part:
        return []
    return list(part[inner]) if part.get("type") == "Sequence" else [part]


def token_texts(data: dict[str, Any], library: Any, ids: Sequence[int]) -> list[bytes]:
    """The bytes that each token of a tokenizer adds to a text; tokens that were added as special add none.

    They are read off the decoder's kind: byte-level, or SentencePiece's with its sign for a space and ``<0x0A>`` for a
    byte. Those of any other kind are what the library's own ``decode`` makes of a token behind another one.
    """
    parts = _parts(data.get("decoder"), "decoders")
    kinds = {str(part.get("type")) for part in parts}
    added = {
        token["id"]: b"" if token["special"] else token["content"].encode() for token in data.get("added_tokens", [])
    }
    if kinds == {"ByteLevel"}:
        values = byte_characters()
        return [added[i] if i in added else _of_characters(library.id_to_token(i), values) for i in ids]
    if kinds & {"Replace", "Metaspace"} and kinds <= _SPACE_DECODERS and all(map(_is_of_spaces, parts)):
        fallback = "ByteFallback" in kinds
        return [added[i] if i in added else _of_spaces(library.id_to_token(i), fallback) for i in ids]
    return _decoded(library, ids)


def _is_of_spaces(part: dict[str, Any]) -> bool:
    if part["type"] == "Replace":
        return part.get("pattern") == {"String": SPACE_SIGN} and part.get("content") == " "
    return part["type"] != "Metaspace" or part.get("replacement") == SPACE_SIGN


def _of_characters(token: str, values: dict[str, int]) -> bytes:
    try:
        return bytes([values[character] for character in token])
    except KeyError:  # a token that was never turned into the characters of bytes
        return token.encode()


def _of_spaces(token: str, fallback: bool) -> bytes:
    byte = _BYTE.fullmatch(token) if fallback else None
    return bytes([int(byte[1], 16)]) if byte else token.replace(SPACE_SIGN, " ").encode()


def _decoded(library: Any, ids: Sequence[int]) -> list[bytes]:
    """What each token adds behind another one: alone it would lack the space that parts it from others."""
    found = library.token_to_id("a")
    first = next((i for i in ids if library.decode([i])), None) if found is None else found
    if first is None:
        return [b""] * len(ids)
    head = library.decode([first])
    texts = library.decode_batch([[first, i] for i in ids])
    return [
        (text[len(head) :] if text.startswith(head) else library.decode([i])).encode()
        for i, text in zip(ids, texts, strict=True)
    ]
