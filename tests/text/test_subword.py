"""Subword tokenizers: our own and foreign ones, beside what the library `tokenizers` says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ngramgen.errors import MissingDependencyError, TokenizerError
from ngramgen.model import BOS, EOS, UNK, TextTokenizer
from ngramgen.text.subword import SubwordTokenizer, is_subword, subword_source
from ngramgen.text.vocabulary import SPECIALS

library: Any = pytest.importorskip("tokenizers")

LINES = [
    "the lowest of the low, the lower of the two",
    "it's the naïve café: 日本語!",
    "",
    "  two  spaces  and </s> and <|endoftext|>",
    "the newest of the new",
]
BLOCK = "".join(f"{line}\n" for line in LINES).encode()
TEXT = st.text(
    st.one_of(st.characters(exclude_categories=["Cs", "Cn"]), st.sampled_from(" \t\r\n\0'’.theow\u0301中😀\u200d")),
    max_size=30,
)


def own() -> SubwordTokenizer:
    return SubwordTokenizer.train([BLOCK], 300)


def trained(model: Any, trainer: Any, **parts: Any) -> Any:
    made = library.Tokenizer(model)
    for name, part in parts.items():
        setattr(made, name, part)
    made.train_from_iterator(LINES * 3 + ["\n", "\n\n"], trainer)
    return made


def like_gpt2() -> Any:
    """Byte-level, with <|endoftext|> for all there is of specials, and with newlines in tokens."""
    parts = {
        "pre_tokenizer": library.pre_tokenizers.ByteLevel(add_prefix_space=False),
        "decoder": library.decoders.ByteLevel(),
    }
    trainer = library.trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return trained(library.models.BPE(), trainer, **parts)


def like_llama() -> Any:
    """SentencePiece's sign for a space, also before the text, and bytes where a character is not known."""
    normalizers, decoders = library.normalizers, library.decoders
    names = ["<unk>", "<s>", "</s>"]
    trainer = library.trainers.BpeTrainer(
        vocab_size=400, special_tokens=names + [f"<0x{byte:02X}>" for byte in range(256)], show_progress=False
    )
    made = trained(
        library.models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        trainer,
        normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        decoder=decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        ),
    )
    data = json.loads(made.to_str())
    data["added_tokens"] = data["added_tokens"][:3]  # its bytes are tokens of the model, not added ones
    return library.Tokenizer.from_str(json.dumps(data))


def like_bert() -> Any:
    """Words and their ends; what it does not know is [UNK]."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return trained(
        library.models.WordPiece(unk_token="[UNK]"),
        library.trainers.WordPieceTrainer(vocab_size=120, special_tokens=names, show_progress=False),
        pre_tokenizer=library.pre_tokenizers.Whitespace(),
        decoder=library.decoders.WordPiece(cleanup=False),
    )


FOREIGN = {"gpt2": like_gpt2(), "llama": like_llama(), "bert": like_bert()}
OWN = own()


def foreign(name: str, **options: Any) -> SubwordTokenizer:
    return SubwordTokenizer.from_json(FOREIGN[name].to_str(), name, **options)


def every(reads_lines: bool) -> list[SubwordTokenizer]:
    mine = SubwordTokenizer.from_json(OWN.json, "own", reads_lines=reads_lines)
    return [mine, *(foreign(name, reads_lines=reads_lines) for name in FOREIGN)]


# Our own


@given(text=TEXT)
@example(text="a\n\nb \n  c\n")
def test_own_is_lossless(text: str) -> None:
    """Any text comes back to the letter, a newline as </s>, and nothing is unknown."""
    ids = OWN.encode(text)
    assert ids.dtype == np.int32
    assert not np.isin(ids, [UNK, BOS]).any()
    assert np.count_nonzero(ids == EOS) == text.count("\n")
    assert OWN.decode(ids) == text
    assert OWN.encode_inside(text).tolist() == ids.tolist()


@given(texts=st.lists(TEXT.map(lambda text: text.replace("\n", "")), max_size=6))
@example(texts=["a ", "  b", "", " "])
def test_own_blocks_are_their_lines(texts: list[str]) -> None:
    """A block gives what each of its lines alone gives in the library, whatever white space meets at their ends."""
    mine = library.Tokenizer.from_str(OWN.json)
    mine.encode_special_tokens = True
    ids, line_ends = OWN.encode_block("".join(f"{text}\n" for text in texts).encode())
    expected = [mine.encode(text, add_special_tokens=False).ids for text in texts]
    assert [row.tolist() for row in np.split(ids, line_ends)[:-1]] == expected
    assert (ids.dtype, line_ends.dtype) == (np.int64, np.int64)


def test_own_ids() -> None:
    """Specials, then the tokens of the training text, the most frequent first, and the bytes that it lacks last."""
    assert OWN.foreign_ids is None
    assert not OWN.has_unknown
    assert OWN.special_ids == [0, 1, 2]
    assert [OWN.token(i) for i in range(3)] == list(SPECIALS)
    counts = np.bincount(OWN.encode_block(BLOCK)[0], minlength=OWN.vocab_size)[3:]
    assert (np.diff(counts) <= 0).all()
    assert counts[-1] == 0
    assert 259 < OWN.vocab_size <= 300
    assert " the" in [OWN.token(i) for i in range(3, 10)]


def test_training_again_gives_the_same() -> None:
    """The same text makes the same tokenizer.json, however it comes in blocks, and reading it back is no change."""
    lines = [f"{line}\n".encode() for line in LINES]
    assert SubwordTokenizer.train(iter(lines), 300).json == OWN.json
    again = SubwordTokenizer.from_json(OWN.json, "again")
    assert again.foreign_ids is None
    assert again.encode("the low").tolist() == OWN.encode("the low").tolist()


def test_specials_in_a_text_are_text() -> None:
    """A text that spells a special token is cut into others, also where training met it again and again."""
    often = SubwordTokenizer.train([b"a </s> b\n<s> </s> </s>! <unk>\n" * 50], 400)
    for tokenizer in (OWN, often, foreign("gpt2"), foreign("llama")):
        text = "</s> <s><unk> <|endoftext|>"
        ids = tokenizer.encode(text)
        assert not np.isin(ids, [UNK, BOS, EOS]).any()
        assert tokenizer.decode(ids).removeprefix(" ") == text
    assert often.foreign_ids is None
    data = json.loads(often.json)["model"]
    assert {left + right for left, right in data["merges"]} <= data["vocab"].keys() - set(SPECIALS)


def test_without_any_text() -> None:
    """No text at all gives the bytes and the specials."""
    tokenizer = SubwordTokenizer.train([])
    assert tokenizer.vocab_size == 259
    assert tokenizer.decode(tokenizer.encode("é\n")) == "é\n"
    assert [part.tolist() for part in tokenizer.encode_block(b"")] == [[], []]


# Foreign ones


@pytest.mark.parametrize("name", FOREIGN)
@given(text=TEXT)
@example(text="the\n\nlow\n")
def test_foreign_ids_are_the_library_s(name: str, text: str) -> None:
    """A text has the ids that it has there, by way of `foreign_ids`."""
    tokenizer = foreign(name)
    assert tokenizer.foreign_ids is not None
    made = library.Tokenizer.from_str(FOREIGN[name].to_str())
    made.encode_special_tokens = True
    expected = made.encode(text, add_special_tokens=False).ids
    assert tokenizer.foreign_ids[tokenizer.encode(text)].tolist() == expected


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@given(text=TEXT)
@example(text="\n")
def test_foreign_text_comes_back(name: str, text: str) -> None:
    """A tokenizer that knows all bytes gives any text back, but for the space that it puts before it."""
    tokenizer = foreign(name)
    found = tokenizer.decode(tokenizer.encode(text))
    assert (found.removeprefix(" ") if name == "llama" and text else found) == text
    assert tokenizer.decode(tokenizer.encode_inside(text)) == text


def test_a_foreign_special_layout() -> None:
    """<unk>, <s> and </s> first, -1 for those it lacks, then all other ids in their order, each once."""
    gpt2, llama, bert = (foreign(name) for name in FOREIGN)
    assert [gpt2.special_ids, llama.special_ids, bert.special_ids] == [[-1, -1, 0], [-1, 1, 2], [1, 2, 3]]
    assert [tokenizer.has_unknown for tokenizer in (gpt2, llama, bert)] == [False, False, True]
    for tokenizer, name in zip((gpt2, llama, bert), FOREIGN, strict=True):
        assert tokenizer.foreign_ids is not None
        rest = tokenizer.foreign_ids[3:].tolist()
        assert rest == [i for i in range(FOREIGN[name].get_vocab_size()) if i not in tokenizer.special_ids]
        assert tokenizer.vocab_size == len(rest) + 3
    assert bert.encode("the ☃").tolist()[-1] == UNK
    assert bert.decode(bert.encode("the low ☃")) == " the low\ufffd"


def test_given_ids_win() -> None:
    """Ids that a config tells stand before those with known names; -1 is none; the beginning is not also the end."""
    assert foreign("llama", eos_id=1).special_ids == [-1, -1, 1]
    assert foreign("llama", eos_id=5, bos_id=-1, unk_id=0).special_ids == [0, -1, 5]
    assert foreign("gpt2", bos_id=0).special_ids == [-1, -1, 0]
    with pytest.raises(TokenizerError, match="gpt2 has no token 999, which is said to be its </s>"):
        foreign("gpt2", eos_id=999)
    again = foreign("llama", **dict(zip(("unk_id", "bos_id", "eos_id"), foreign("llama").special_ids, strict=True)))
    assert again.special_ids == foreign("llama").special_ids


def test_bert_s_tokens() -> None:
    """Where the decoder is of another kind, a token is what the library makes of it behind another one."""
    tokenizer = foreign("bert")
    ids = tokenizer.encode("lowest of the low")
    assert tokenizer.decode(ids) == " lowest of the low"
    shown = [tokenizer.token(i) for i in range(3, tokenizer.vocab_size)]
    assert "[MASK]" in shown  # a special has no bytes, so its name is shown
    assert tokenizer.decode(np.array([3 + shown.index("[MASK]")])) == ""


@pytest.mark.parametrize("name", FOREIGN)
def test_running_text_is_one_text(name: str) -> None:
    """A block of running text has the tokens of the whole, those of newlines too, and each line ends behind its own."""
    tokenizer = foreign(name)
    assert not tokenizer.ends_lines
    lines = [f"{line}\n" for line in LINES if line]
    ids, line_ends = tokenizer.encode_block("".join(lines).encode())
    assert ids.tolist() == tokenizer.encode("".join(lines)).tolist()
    assert len(line_ends) == len(lines)
    assert line_ends[-1] == len(ids)
    if name != "bert":  # which drops newlines
        parts = np.split(ids, line_ends)[:-1]
        assert [tokenizer.decode(part).strip(" ") for part in parts] == [line.strip(" ") for line in lines]


def test_a_token_of_two_newlines_ends_two_lines() -> None:
    """It belongs to the first of them; the second has none."""
    tokenizer = foreign("gpt2")
    text = json.loads(tokenizer.json)
    text["model"]["merges"].append(["Ċ", "Ċ"])
    text["model"]["vocab"]["ĊĊ"] = len(text["model"]["vocab"])
    text["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    ids, line_ends = SubwordTokenizer.from_json(json.dumps(text), "x").encode_block(b"%\n\n!\n")
    assert len(ids) == 4  # % \n\n ! \n
    assert line_ends.tolist() == [2, 2, 4]


def test_our_form_with_newlines_in_tokens_is_foreign() -> None:
    """Lines could not be told apart in it, so it reads running text."""
    text = json.loads(OWN.json)
    text["model"]["merges"].append(["Ċ", "Ċ"])
    text["model"]["vocab"]["ĊĊ"] = len(text["model"]["vocab"])
    tokenizer = SubwordTokenizer.from_json(json.dumps(text), "x")
    assert tokenizer.foreign_ids is not None
    assert tokenizer.special_ids == [-1, 1, 2]


# All


@settings(max_examples=30)
@given(text=TEXT)
def test_without_lines_a_text_is_a_sentence(text: str) -> None:
    """With ``reads_lines`` off a newline counts as a space, and lines are encoded one by one."""
    for tokenizer in every(reads_lines=False):
        spaced = text.replace("\n", " ")
        ids = tokenizer.encode(text)
        assert ids.tolist() == tokenizer.encode(spaced).tolist()
        assert tokenizer.ends_lines
        found, line_ends = tokenizer.encode_block(f"{spaced}\n\n{spaced}\n".encode())
        assert found.tolist() == ids.tolist() * 2
        assert line_ends.tolist() == [len(ids), len(ids), 2 * len(ids)]


@settings(max_examples=30)
@given(data=st.data())
def test_decoding_is_of_the_bytes(data: st.DataObject) -> None:
    """`decode` joins the tokens' bytes, `decode_many` does it for rows, and halves of characters are U+FFFD."""
    for tokenizer in every(reads_lines=False):
        assert isinstance(tokenizer, TextTokenizer)
        row = np.array(data.draw(st.lists(st.integers(3, tokenizer.vocab_size - 1), max_size=6)), np.int32)
        buffer, offsets = tokenizer.token_bytes()
        assert (buffer.dtype, len(offsets), offsets[3]) == (np.uint8, tokenizer.vocab_size + 1, 0)
        raw = b"".join(buffer[int(offsets[i]) : int(offsets[i + 1])].tobytes() for i in row.tolist())
        assert tokenizer.decode(row) == raw.decode("utf-8", "replace")
        around = np.array([BOS, *row, UNK, EOS])
        assert tokenizer.decode_many([row, around]) == [tokenizer.decode(row), tokenizer.decode(around)]
        assert tokenizer.decode(around).endswith("\ufffd")


def test_lone_surrogates_do_no_harm() -> None:
    """They are question marks, as to the other tokenizers."""
    assert OWN.decode(OWN.encode("a\ud800b")) == "a?b"


# Names and errors


def test_names() -> None:
    """``bpe`` alone, with a number or with a file."""
    assert [is_subword(name) for name in ("bpe", "bpe:5", "bpe:x", "bp", "bpes", "word")] == [True] * 3 + [False] * 3
    assert subword_source("bpe") == 8192
    assert subword_source("bpe:4096") == 4096


def test_a_file(tmp_path: Path) -> None:
    """A tokenizer.json is read with its ids."""
    path = tmp_path / "tokenizer.json"
    path.write_text(OWN.json, encoding="utf-8")
    found = subword_source(f"bpe:{path}")
    assert isinstance(found, SubwordTokenizer)
    assert found.json == OWN.json
    path.write_text(FOREIGN["llama"].to_str(), encoding="utf-8")
    assert SubwordTokenizer.from_file(path, eos_id=1).special_ids == [-1, -1, 1]


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b'{"model": {}}', b"\xff\xfe", OWN.json[:-5].encode(), b"[" * 100_000]
)
def test_a_damaged_file_is_named(text: bytes, tmp_path: Path) -> None:
    """What is no tokenizer.json is one error with the file's name."""
    path = tmp_path / "tokenizer.json"
    path.write_bytes(text)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is no tokenizer\.json: "):
        SubwordTokenizer.from_file(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bpe:", "bpe: lacks a number of entries or the name"),
        ("bpe:no-such-file", "the tokenizer no-such-file cannot be read: No such file"),
        ("bpe:258", "a bpe vocabulary of 258 entries is too small: bytes and specials alone take 259"),
    ],
)
def test_wrong_names(name: str, message: str) -> None:
    """A name that leads to no tokenizer is told."""
    with pytest.raises(TokenizerError, match=message):
        subword_source(name)


def test_a_tokenizer_that_refuses_a_text() -> None:
    """A text that the library cannot encode is one error with the tokenizer's name."""
    model = library.models.WordLevel({"a": 0}, unk_token="?")
    tokenizer = SubwordTokenizer.from_json(library.Tokenizer(model).to_str(), "odd.json")
    assert tokenizer.encode("a").tolist() == [3]
    for refused in (lambda: tokenizer.encode("b"), lambda: tokenizer.encode_block(b"b\n")):
        with pytest.raises(TokenizerError, match=r"odd\.json refuses the text 'b"):
            refused()


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without it our own tokenizer runs; for all else the pip command that brings it is told."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    path = tmp_path / "tokenizer.json"
    path.write_text(OWN.json, encoding="utf-8")
    alone = subword_source(f"bpe:{path}")
    assert isinstance(alone, SubwordTokenizer)
    assert alone.decode(alone.encode("the lower\n")) == "the lower\n"
    for needs in (
        lambda: subword_source("bpe"),
        lambda: subword_source("bpe:300"),
        lambda: SubwordTokenizer.train([BLOCK], 300),
        lambda: SubwordTokenizer.from_json("{}", "x"),
        lambda: SubwordTokenizer.from_json(FOREIGN["gpt2"].to_str(), "x"),
    ):
        with pytest.raises(MissingDependencyError, match=r"pip install 'ngramgen\[neural\]'"):
            needs()


@pytest.mark.parametrize("merge", [["t", "qq"], ["", "t"], ["t"], 5])
def test_a_merge_that_makes_no_token(merge: Any) -> None:
    """A tokenizer.json of ours with one is refused."""
    data = json.loads(OWN.json)
    data["model"]["merges"].append(merge)
    with pytest.raises(TokenizerError, match=r"x is no tokenizer\.json: "):
        SubwordTokenizer.from_json(json.dumps(data), "x")
