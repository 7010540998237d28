"""Models as .ngram files: round trips, wrong sections, and files damaged at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import ArpaError, ModelFormatError, OptionError, TokenizerError
from ngramgen.evaluation.novelty import novelty
from ngramgen.ngram import file
from ngramgen.ngram.file import Arrays
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.storage import load_ngram, save_ngram
from ngramgen.text.subword import SubwordTokenizer
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import VocabularyBuilder
from ngramgen.textmodel import TextModel

TEXT = [
    "the fox saw the crow and the crow saw the fox",
    "the crow had a piece of cheese and the fox had none",
    "a fox is a fox",
    "",
    "the fox said to the crow that the crow could sing as no crow could",
    "so the crow sang and the fox had the cheese",
    "the lion and the mouse and the net",
]
QUERY = "the fox and the crow saw a lion"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of all readings, tokenizers and orders that lay their sections out in different ways."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "words": ngramgen.train(TEXT, order=3),
        "one": ngramgen.train(TEXT, order=1),
        "pruned": ngramgen.train(TEXT, order=4, tokenizer="whitespace", prune=(0, 0, 1)),
        "bytes": ngramgen.train(TEXT, order=3, tokenizer="byte"),
        "backoff": ngramgen.train(TEXT, order=3, smoothing="stupid-backoff"),
        "uniform": ngramgen.train(TEXT, order=3, smoothing="laplace", tokenizer="char"),
        "empty": ngramgen.train(["", ""], order=3),
        "copies": ngramgen.train(TEXT, order=3, copy_filter=4),
    }
    if find_spec("tokenizers"):
        made["subwords"] = ngramgen.train(TEXT, order=3, tokenizer="bpe:300")
    for name, model in made.items():
        model.save(folder / f"{name}.ngram")
    return folder


NAMES = ["words", "one", "pruned", "bytes", "backoff", "uniform", "empty", "copies"]
NAMES += ["subwords"] if find_spec("tokenizers") else []


def arrays_of(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Meta data and copies of the sections, to be changed."""
    meta, arrays = file.read(path)
    return meta, {name: array.copy() for name, array in arrays.items()}


def use(model: TextModel, folder: Path) -> list[Any]:
    """All that a user does with a model."""
    lines = [line.encode() + b"\n" for line in TEXT]
    return [
        lambda: model.score(QUERY),
        lambda: model.perplexity(TEXT),
        lambda: [scores.log10.tolist() for scores in model.score_lines(lines)],
        lambda: model.next("the fox", 5),
        lambda: model.next("", 1000),
        lambda: model.generate("the", n=3, seed=1, max_new_tokens=12),
        lambda: model.generate("", n=60, seed=2, max_new_tokens=12),
        lambda: model.generate("a", n=2, seed=3, max_new_tokens=6, top_k=4, temperature=0.8),
        lambda: model.generate("", greedy=True, max_new_tokens=6),
        lambda: list(model.stream("the crow", seed=1, max_new_tokens=8)),
        lambda: model.description(),
        lambda: model.save(folder / "copy.ngram"),
        lambda: model.save(folder / "copy.arpa"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(name: str, folder: Path, tmp_path: Path) -> None:
    """A loaded model is whole, answers as it did and is written as the same bytes."""
    path = folder / f"{name}.ngram"
    model = ngramgen.load(path, verify=True)
    model.save(tmp_path / "again.ngram")
    assert (tmp_path / "again.ngram").read_bytes() == path.read_bytes()
    again = ngramgen.load(tmp_path / "again.ngram")
    for some, other in zip(use(model, tmp_path)[:-1], use(again, tmp_path)[:-1], strict=True):
        assert some() == other()
    assert model.check is not None
    model.check()


def test_same_training_same_bytes(tmp_path: Path) -> None:
    """The same input and options give the same file."""
    for name in ("a.ngram", "b.ngram"):
        ngramgen.train(TEXT, order=3).save(tmp_path / name)
    assert (tmp_path / "a.ngram").read_bytes() == (tmp_path / "b.ngram").read_bytes()


def test_cleaning_and_about(folder: Path, tmp_path: Path) -> None:
    """Cleaning and what was told of the making come back."""
    model, _, _ = load_ngram(folder / "words.ngram")
    save_ngram(tmp_path / "m.ngram", model, ("lowercase", "min-length=2"), {"a": [1, "é", None]})
    _, cleaning, about = load_ngram(tmp_path / "m.ngram")
    assert cleaning == ("lowercase", "min-length=2")
    assert about == {"a": [1, "é", None]}


def test_foreign_tokenizer(folder: Path, tmp_path: Path) -> None:
    """A tokenizer that the file could not name is refused."""
    model, _, _ = load_ngram(folder / "words.ngram")
    with pytest.raises(TokenizerError, match=r"m\.ngram: a tokenizer of type VocabularyBuilder"):
        save_ngram(tmp_path / "m.ngram", NgramModel(model.table, VocabularyBuilder()), (), {})  # type: ignore[arg-type]


CHANGES: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "longer": lambda a: np.concatenate([a, a[-1:]]),
    "shorter": lambda a: a[:-1],
    "empty": lambda a: a[:0],
    "of another type": lambda a: a.astype(np.int16 if a.dtype != np.int16 else np.float32),
    "of bytes": lambda a: a.astype(np.int8 if a.dtype.kind == "u" else np.uint8),
    "of two axes": lambda a: a.reshape(1, *a.shape)[:, :, 0] if a.ndim == 2 else a.reshape(1, -1),
    "of eight-byte words": lambda a: a.astype(np.uint64 if a.dtype != np.uint64 else np.uint32),
}

# What has no size of its own: more tokens' bytes than the offsets tell, more or fewer codes, another type where several
# do. A look-up cannot leave the arrays by it, or `check` tells.
TOLERATED = {
    "vocabulary.data": {"longer", "shorter"},
    "vocabulary.offsets": {"of eight-byte words"},
    "values": {"longer", "shorter", "empty"},
    "contexts": {"longer", "shorter", "empty"},
    "children": {"of eight-byte words"},
    "packed": {"of eight-byte words"},
    "shifts": {"of another type", "of bytes"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_wrong_sections(change: str, folder: Path, tmp_path: Path) -> None:
    """A section of the wrong size or type is refused at once, with the file's and the section's name."""
    meta, arrays = arrays_of(folder / "words.ngram")
    for name, array in arrays.items():
        if change in TOLERATED.get(name, TOLERATED.get(name.partition(".")[0], set())):
            continue
        file.write(tmp_path / "m.ngram", meta, arrays | {name: CHANGES[change](array)})
        with pytest.raises(
            ModelFormatError, match=r"m\.ngram: section '[a-z.0-9_]+' .*; the file is damaged"
        ) as caught:
            load_ngram(tmp_path / "m.ngram")
        if change not in (
            "longer",
            "shorter",
            "empty",
        ):  # of two that must be as long as each other either may be wrong
            assert repr(name) in str(caught.value)


def test_missing_and_unknown_sections(folder: Path, tmp_path: Path) -> None:
    """A section that is missing, and one that is not known, are refused."""
    meta, arrays = arrays_of(folder / "words.ngram")
    some = [{k: v for k, v in arrays.items() if k != name} for name in arrays]
    for wrong in [*some, arrays | {"more": arrays["unigrams"]}, {}]:
        file.write(tmp_path / "m.ngram", meta, wrong)
        with pytest.raises(ModelFormatError, match=r"m\.ngram: the sections are not those of a model of order 3"):
            load_ngram(tmp_path / "m.ngram")


def test_a_filter_comes_back(folder: Path, tmp_path: Path) -> None:
    """A copy filter is the same after loading, and mapped; an ARPA file, and what is made of it, has none."""
    made = ngramgen.train(TEXT, order=3, copy_filter=4)
    model = ngramgen.load(folder / "copies.ngram")
    copies = model.model.copies
    assert copies.length == 4
    assert np.array_equal(copies.bits, made.model.copies.bits)
    assert not copies.bits.flags.owndata
    assert not copies.bits.flags.writeable
    block = "".join(f"{line}\n" for line in TEXT).encode()
    found = novelty(model.model, [block])
    assert found == novelty(made.model, [block])
    assert (found.copied_share, found.longest_copied) == (1, 15)  # the fox said ... crow could
    model.save(tmp_path / "m.arpa")
    model = ngramgen.load(tmp_path / "m.arpa")
    assert model.model.copies is None
    model.save(tmp_path / "m.ngram")
    assert "copies" not in file.read(tmp_path / "m.ngram")[1]


def test_without_a_filter_nothing_is_stored(folder: Path) -> None:
    """A model without a filter has neither the key nor the section: its file is what it was before there were any."""
    meta, arrays = arrays_of(folder / "words.ngram")
    other_meta, other_arrays = arrays_of(folder / "copies.ngram")
    assert set(other_meta) - set(meta) == {"copy_filter"}
    assert list(other_arrays) == [*arrays, "copies"]
    assert ngramgen.load(folder / "words.ngram").model.copies is None


@pytest.mark.parametrize(
    "bits",
    [
        np.zeros((2, 8), np.uint32),
        np.zeros((2, 7), np.uint64),
        np.zeros((0, 8), np.uint64),
        np.zeros(16, np.uint64),
        np.zeros((2, 8), np.float32),
    ],
)
def test_wrong_filters(bits: np.ndarray[Any, Any], folder: Path, tmp_path: Path) -> None:
    """A filter of the wrong size or type is refused."""
    meta, arrays = arrays_of(folder / "copies.ngram")
    file.write(tmp_path / "m.ngram", meta, arrays | {"copies": bits})
    with pytest.raises(ModelFormatError, match=r"m\.ngram: section 'copies' has the wrong size or type; the file is"):
        load_ngram(tmp_path / "m.ngram")


@pytest.mark.parametrize("bits", [np.zeros((1, 8), np.uint64), np.full((99, 8), 2**64 - 1, np.uint64)])
def test_any_bits_are_a_filter(bits: np.ndarray[Any, Any], folder: Path, tmp_path: Path) -> None:
    """Whatever bits a filter has and however many, look-ups stay within it: only the answers differ."""
    meta, arrays = arrays_of(folder / "copies.ngram")
    file.write(tmp_path / "m.ngram", meta, arrays | {"copies": bits})
    model = ngramgen.load(tmp_path / "m.ngram", verify=True)
    assert novelty(model.model, [b"the fox saw the crow and\n"]).copied_share == bool(bits.any())


@pytest.mark.parametrize("value", [1, 65, -1, 1 << 62, True, "4", None, 4.0])
def test_wrong_lengths_of_runs(value: Any, folder: Path, tmp_path: Path) -> None:
    """The length of a filter's runs is an integer from 2 to 64; key and section are there or neither."""
    meta, arrays = arrays_of(folder / "copies.ngram")
    file.write(tmp_path / "m.ngram", meta | {"copy_filter": value}, arrays)
    with pytest.raises(ModelFormatError, match=r"m\.ngram: (section 'copies' is of|the header's copy_filter)"):
        load_ngram(tmp_path / "m.ngram")
    del arrays["copies"]
    file.write(tmp_path / "m.ngram", meta, arrays)
    with pytest.raises(ModelFormatError, match="the sections are not those"):
        load_ngram(tmp_path / "m.ngram")


def test_a_damaged_filter_is_found(folder: Path, tmp_path: Path) -> None:
    """A wrong bit is told by the section's checksum when all of the file is checked."""
    data = bytearray((folder / "copies.ngram").read_bytes())
    data[-1] ^= 1
    (tmp_path / "m.ngram").write_bytes(data)
    ngramgen.load(tmp_path / "m.ngram")
    with pytest.raises(ModelFormatError, match=r"section 'copies' at byte \d+ is damaged \(checksum\)"):
        ngramgen.load(tmp_path / "m.ngram", verify=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "neural"),
        ("order", 2),
        ("order", 0),
        ("order", -1),
        ("order", 1 << 62),
        ("order", True),
        ("order", "3"),
        ("tokenizer", "wort"),
        ("tokenizer", ""),
        ("tokenizer", "x" * 100_000),
        ("cleaning", ["nfx"]),
        ("cleaning", [1]),
        ("cleaning", ["min-length=" + "9" * 5000]),
        ("cleaning", "nfc"),
        ("reading", "sideways"),
        ("normalised", 1),
        ("word_bits", 0),
        ("word_bits", 1),
        ("word_bits", 64),
        ("word_bits", -1),
        ("value_bits", []),
        ("value_bits", [1, 2, 3]),
        ("value_bits", [-1, 1]),
        ("value_bits", [64, 1]),
        ("value_bits", ["1", "1"]),
        ("context_bits", [1 << 40, 0]),
        ("about", []),
        ("more", 1),
    ],
)
def test_wrong_meta(key: str, value: Any, folder: Path, tmp_path: Path) -> None:
    """Meta data that no model has are refused, at once and in a short message."""
    meta, arrays = arrays_of(folder / "words.ngram")
    file.write(tmp_path / "m.ngram", meta | {key: value}, arrays)
    with pytest.raises(ModelFormatError, match=r"m\.ngram: ") as caught:
        ngramgen.load(tmp_path / "m.ngram")
    assert len(str(caught.value)) < len(str(tmp_path)) + 300
    meta.pop(key, None)
    if key != "more":
        file.write(tmp_path / "m.ngram", meta, arrays)
        with pytest.raises(ModelFormatError, match=rf"m\.ngram: the header's {key} "):
            load_ngram(tmp_path / "m.ngram")


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file with some bytes behind its header changed: flipped, overwritten, or copied from elsewhere."""
    changed = bytearray(data)
    body = 20 + int.from_bytes(data[12:16], "little")
    for _ in range(chance.choice([1, 1, 2, 5, 50, 1000])):
        place = chance.randrange(body, len(changed))
        end = min(len(changed), place + chance.choice([1, 4, 8, 64]))
        kind = chance.randrange(4)
        if kind == 0:
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[place:end] = chance.randbytes(end - place)
        elif kind == 2:
            changed[place:end] = bytes([chance.choice([0, 0x7F, 0x80, 0xFF])]) * (end - place)
        else:
            source = chance.randrange(body, len(changed) - 64)
            changed[place:end] = changed[source : source + end - place]
    return bytes(changed)


def works_or_tells(path: Path, folder: Path, also: type[Exception] = ArpaError) -> int:
    """How many uses of a file's model were refused with the one error; any other error is raised."""
    try:
        model = ngramgen.load(path)
    except ModelFormatError:
        return 1
    refused = 0
    for step in use(model, folder):
        try:
            step()
        except (ArpaError, also):  # tokens that ARPA cannot hold
            pass
        except ModelFormatError as error:
            assert f"{path}: section" in str(error)  # noqa: PT017
            refused += 1
    return refused


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, for probabilities that are none
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("files", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_damaged_files(name: str, files: int, folder: Path, tmp_path: Path) -> None:
    """However a file is damaged, whatever is asked of its model is answered or is a ModelFormatError."""
    data = (folder / f"{name}.ngram").read_bytes()
    chance = random.Random(f"{name} {files}")
    refused = 0
    for _ in range(files):
        (tmp_path / "m.ngram").write_bytes(damaged(data, chance))
        refused += works_or_tells(tmp_path / "m.ngram", tmp_path)
    assert refused


def spoiled(array: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The array with values that lead elsewhere."""
    most = np.finfo(array.dtype).max if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    spread = np.random.default_rng(1).permutation(array.ravel()).reshape(array.shape)
    return [np.zeros_like(array), np.full_like(array, most), array[::-1].copy(), spread]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["words", "uniform", "one"])
def test_check_finds_what_sums_do_not(name: str, folder: Path, tmp_path: Path) -> None:
    """Sections whose sums are right but whose ids, codes or offsets lead elsewhere are found by reading them."""
    meta, arrays = arrays_of(folder / f"{name}.ngram")
    path = tmp_path / "m.ngram"
    for section, array in arrays.items():
        for wrong in spoiled(array):
            if section.startswith("vocabulary.data") or np.array_equal(wrong, array):
                continue
            file.write(path, meta, arrays | {section: wrong})
            works_or_tells(path, tmp_path, also=OptionError)  # rows in which nothing is left to draw
            if section.partition(".")[0] in ("children", "shifts", "packed") or section == "vocabulary.offsets":
                with pytest.raises(ModelFormatError, match=r"m\.ngram: section '.*' .*; the file is damaged"):
                    load_ngram(path, verify=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_damaged_while_open(folder: Path, tmp_path: Path) -> None:
    """Bytes that change under an open model are told by the first look-up that they lead astray."""
    path = tmp_path / "m.ngram"
    data = (folder / "words.ngram").read_bytes()
    path.write_bytes(data)
    model = ngramgen.load(path)
    expected = model.score(QUERY)
    with path.open("r+b") as stream:
        stream.seek(20 + int.from_bytes(data[12:16], "little") + 64)
        stream.write(b"\xff" * (len(data) - stream.tell()))
    with pytest.raises(ModelFormatError, match=r"m\.ngram: section '.*' at byte \d+ is damaged \(checksum\)"):
        model.score(QUERY)
    path.write_bytes(data)
    assert model.score(QUERY) == expected


def test_an_error_of_ours_stays(folder: Path) -> None:
    """An error that a whole file has not caused is not put down to it."""
    model = ngramgen.load(folder / "words.ngram")
    with pytest.raises(IndexError):
        model.tokenizer.decode(np.array([1 << 20]))

    class Broken:
        tokenizer = model.tokenizer

        def score_text(self, words: Any) -> Any:
            raise IndexError("ours")

    broken = TextModel(Broken(), model.tokenizer, check=model.check)
    with pytest.raises(IndexError, match="ours"):
        broken.score("a")


@pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs tokenizers")
def test_wrong_subwords(folder: Path, tmp_path: Path) -> None:
    """A tokenizer.json that is none, of another size or type, and wrong special ids, are told at once."""
    meta, arrays = arrays_of(folder / "subwords.ngram")
    path, data = tmp_path / "m.ngram", arrays["tokenizer"]
    other = SubwordTokenizer.train([b"a\n"], 259).json.encode()
    for wrong, told in (
        (data[:-1], "its text is no tokenizer.json"),
        (data[:0], "its text is no tokenizer.json"),
        (np.full(9, 255, np.uint8), "'utf-8' codec"),
        (data.view(np.int8), "has the wrong type"),
        (data.reshape(1, -1), "has the wrong type"),
    ):
        file.write(path, meta, arrays | {"tokenizer": wrong})
        with pytest.raises(ModelFormatError, match=rf"m\.ngram: section 'tokenizer'.* {told}.*; the file is damaged"):
            load_ngram(path)
    file.write(path, meta, arrays | {"tokenizer": np.frombuffer(other, np.uint8)})
    with pytest.raises(ModelFormatError, match=r"section 'unigrams' has \d+ words, the vocabulary 259"):
        load_ngram(path)
    for ids in ([], [0, 1], [0, 1, "2"], [0, 1, True]):
        file.write(path, meta | {"special_ids": ids}, arrays)
        with pytest.raises(ModelFormatError, match="section 'tokenizer' comes with a list of special ids"):
            load_ngram(path)
    words, _ = arrays_of(folder / "words.ngram")
    for keys in (meta | {"copy_filter": 4}, {k: v for k, v in meta.items() if k != "special_ids"}, meta | words):
        file.write(path, keys, arrays)
        with pytest.raises(ModelFormatError, match=r"m\.ngram: the (header's keys|sections) are not those"):
            load_ngram(path)


@pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs tokenizers")
def test_damage_of_subwords_is_found_on_opening(folder: Path, tmp_path: Path) -> None:
    """The tokenizer's section is read then, so its sum is checked too."""
    data = (folder / "subwords.ngram").read_bytes()
    (tmp_path / "m.ngram").write_bytes(data.replace('"Ġthe"'.encode(), '"Ġtha"'.encode(), 1))
    with pytest.raises(ModelFormatError, match=r"section 'tokenizer' at byte \d+ is damaged \(checksum\)"):
        ngramgen.load(tmp_path / "m.ngram")


def test_vocabulary_keeps_its_table(folder: Path) -> None:
    """A mapped vocabulary finds its tokens without building its table again."""
    model, _, _ = load_ngram(folder / "words.ngram")
    assert isinstance(model.tokenizer, Tokenizer)
    vocabulary = model.tokenizer.vocabulary
    assert not vocabulary.index.slots.flags.owndata
    ids = model.tokenizer.encode("the fox").tolist()
    assert [vocabulary.token(index) for index in ids] == [b" the", b" fox"]
