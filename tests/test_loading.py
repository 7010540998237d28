"""`load`: whatever names a model, and whatever does not."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

import ngramgen
from ngramgen.errors import ArpaError, ModelFormatError, ModelNotFoundError, OptionError, TokenizerError
from ngramgen.hybrid.model import HybridModel
from ngramgen.loading import load
from ngramgen.neural.model import OnnxModel
from ngramgen.ngram.model import NgramModel
from tests.hybrid.tiny import PARTS
from tests.neural.tiny import write_own
from tests.shipping import Ship

TEXT = ["a rose is a rose", "a rose", "is it", ""]
QUERY = "a rose is it red"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in each format."""
    folder = tmp_path_factory.mktemp("models")
    model = ngramgen.train(TEXT, order=3, tokenizer="whitespace")
    for name in ("m.ngram", "m.arpa", "m.arpa.gz"):
        model.save(folder / name)
    return folder


@pytest.mark.parametrize("name", ["m.ngram", "m.arpa", "m.arpa.gz"])
@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("verify", [False, True])
def test_formats(name: str, kind: type, verify: bool, folder: Path) -> None:
    """A .ngram file and an ARPA file, plain or packed, by name or path, give the same model."""
    model = load(kind(folder / name), verify=verify)
    expected = ngramgen.train(TEXT, order=3, tokenizer="whitespace")
    assert model.score(QUERY) == pytest.approx(expected.score(QUERY), abs=1e-5)
    assert [token.token for token in model.next("a", 3)] == [token.token for token in expected.next("a", 3)]


@pytest.mark.parametrize("name", ["m", "m.bin", "m.arpa", "m.NGRAM", "m.gz"])
def test_the_signature_tells_a_ngram_file(name: str, folder: Path, tmp_path: Path) -> None:
    """A .ngram file under any other name is one still."""
    shutil.copy(folder / "m.ngram", tmp_path / name)
    assert load(tmp_path / name).model.order == 3


def test_arpa_under_another_name(folder: Path, tmp_path: Path) -> None:
    """An ARPA file may be called as one likes, packed or not, but not .ngram."""
    shutil.copy(folder / "m.arpa.gz", tmp_path / "m.lm")
    assert load(tmp_path / "m.lm").model.order == 3
    shutil.copy(folder / "m.arpa", tmp_path / "m.ngram")
    with pytest.raises(ModelFormatError, match=r"m\.ngram: this is not an ngramgen model file"):
        load(tmp_path / "m.ngram")


def test_none(ship: Ship) -> None:
    """Without a name we are told how to get a model where none is shipped."""
    ship()
    with pytest.raises(ModelNotFoundError, match=r"no default model is shipped .* ngramgen train"):
        load()


def test_shipped_models(
    ship: Ship, untuned_folder: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name is the default, a name is the shipped model, and what has that name in this folder comes first."""
    models = ship(english=untuned_folder, small={"model.ngram": (folder / "m.ngram").read_bytes()})
    assert isinstance(load().model, HybridModel)
    assert load("english", neural="never").score(QUERY) == load(untuned_folder, neural="never").score(QUERY)
    found = load("small", verify=True)
    assert (found.model.order, found.notices) == (3, [])
    with pytest.raises(OptionError, match="is no network; name the folder of one"):
        load("small", neural="always")
    for name in ("gpt2", "English", str(models / "none")):
        with pytest.raises(ModelNotFoundError, match=r"no model .*, or the name of a shipped model: english, small$"):
            load(name)
    monkeypatch.chdir(tmp_path)
    ngramgen.train(TEXT, order=2, tokenizer="whitespace").save("english.ngram")
    Path("english.ngram").rename("english")
    assert load("english").model.order == 2
    assert isinstance(load().model, HybridModel)


def test_dry_is_for_the_mixture(untuned_folder: Path, tmp_path: Path) -> None:
    """The n-gram of a folder with a network draws without it, that of a folder alone as the folder says."""
    folder = Path(shutil.copytree(untuned_folder, tmp_path / "both"))
    (folder / "generation.json").write_text('{"temperature": 0.8, "dry_multiplier": 0.8}')
    assert load(folder).defaults == {"temperature": 0.8, "dry_multiplier": 0.8}
    assert load(folder, neural="only").defaults == {"temperature": 0.8, "dry_multiplier": 0.8}
    assert load(folder, neural="never").defaults == {"temperature": 0.8}
    for path in folder.glob("*.onnx"):
        path.unlink()
    for name in ("config.json", "hybrid.json"):
        (folder / name).unlink(missing_ok=True)
    assert load(folder).defaults == {"temperature": 0.8, "dry_multiplier": 0.8}


def test_the_default_without_onnxruntime(ship: Ship, untuned_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its n-gram answers, and that is said once."""
    ship(english=untuned_folder)
    monkeypatch.setattr("ngramgen.loading.find_spec", lambda name: None)
    found = load()
    assert isinstance(found.model, NgramModel)
    assert found.notices == [
        "onnxruntime is not installed, so the n-gram answers alone: pip install 'ngramgen[neural]'"
    ]


@pytest.mark.parametrize("name", ["none", "none.ngram", "none/m.arpa", "m.ngram/below", "x" * 300, "a\0b", "x/" * 3000])
def test_missing(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads nowhere, even one that no file can have, is told."""
    monkeypatch.chdir(folder)
    with pytest.raises(ModelNotFoundError):
        load(name)


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_folder(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is told to be one."""
    monkeypatch.chdir(folder)
    with pytest.raises(ModelNotFoundError, match="is a folder without a network; name a"):
        load(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.ngram", "pipe.arpa"])
def test_pipe(name: str, tmp_path: Path) -> None:
    """A pipe without a writer is refused and not waited for; so is a device without an end."""
    os.mkfifo(tmp_path / name)
    for place in (tmp_path / name, Path("/dev/zero")):
        with pytest.raises(ModelNotFoundError, match="is a pipe or a device"):
            load(place)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user who may not read all")
@pytest.mark.parametrize("mode", [0o000, 0o200])
def test_unreadable(mode: int, folder: Path, tmp_path: Path) -> None:
    """A file or folder that may not be read is told with the reason."""
    inside = tmp_path / "closed"
    inside.mkdir()
    path = Path(shutil.copy(folder / "m.ngram", inside))
    path.chmod(mode)
    with pytest.raises(ModelNotFoundError, match="cannot be read: Permission denied"):
        load(path)
    inside.chmod(0)
    try:
        with pytest.raises(ModelNotFoundError, match="cannot be read: Permission denied"):
            load(path)
    finally:
        inside.chmod(0o700)


def test_reading_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the system does not let us open is told with the system's reason."""

    def failing(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(ModelNotFoundError, match=r"m\.ngram cannot be read: Permission denied"):
        load(folder / "m.ngram")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\x89NGRAM\n",
        b"hello\n",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        bytes(1000),
        b"\xff" * 1000,
        b"PK\x03\x04" + bytes(26),
        b"\x1f\x8b",
        b"\x1f\x8b\x08\x00" + bytes(20),
        gzip.compress(b"", mtime=0),
        gzip.compress(b"hello", mtime=0),
        gzip.compress(b"\\data\\\nngram 1=3\n", mtime=0)[:-4],
        b"\\data\\\n",
        b"\\data\\\nngram 1=999999999999\n\n\\1-grams:\n",
    ],
)
@pytest.mark.parametrize("name", ["m.ngram", "m.arpa", "m.arpa.gz", "m"])
@pytest.mark.parametrize("lenient", [False, True])
def test_foreign(name: str, content: bytes, lenient: bool, tmp_path: Path) -> None:
    """A file of another kind, by whatever name, is a ModelFormatError that names it."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=name.replace(".", r"\.")) as caught:
        load(path, lenient=lenient)
    says_arpa = content.startswith(b"\x1f\x8b") or b"\\data\\" in content or name == "m.arpa"
    assert isinstance(caught.value, ArpaError) == (says_arpa and name != "m.ngram")


def test_signature_and_no_more(folder: Path, tmp_path: Path) -> None:
    """A .ngram file that breaks off is told to be damaged, whatever its name."""
    for name in ("m.ngram", "m.arpa"):
        (tmp_path / name).write_bytes((folder / "m.ngram").read_bytes()[:8])
        with pytest.raises(ModelFormatError, match="8 bytes are too few"):
            load(tmp_path / name)


def test_verify(folder: Path, tmp_path: Path) -> None:
    """A wrong byte deep inside passes until all bytes are checked."""
    data = bytearray((folder / "m.ngram").read_bytes())
    place = len(data) - 64  # the last section's first byte
    data[place] ^= 1
    (tmp_path / "m.ngram").write_bytes(data)
    load(tmp_path / "m.ngram")
    with pytest.raises(ModelFormatError, match=rf"m\.ngram: section 'contexts\.3' at byte {place} is damaged"):
        load(tmp_path / "m.ngram", verify=True)


def test_errors_of_the_caller_stay(folder: Path) -> None:
    """An option out of range is not put down to the file."""
    model = load(folder / "m.ngram")
    with pytest.raises(OptionError, match="k must be"):
        model.next("a", k=0)
    with pytest.raises(OptionError, match="temperature"):
        model.generate("a", temperature=-1.0)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of ours with random weights."""
    for name in ("onnx", "onnxruntime", "tokenizers"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("network")
    write_own(folder)
    return folder


def test_networks(network: Path) -> None:
    """A folder is its network in int8 by default, a file or a precision is another form, and all know their making."""
    model = load(network)
    assert model.description()["file"] == "model_int8.onnx"
    assert load(str(network), "float32").description()["file"] == "model.onnx"
    assert load(network / "model.onnx").description()["precision"] == "float32"
    found = model.description()
    assert (found["kind"], found["tokenizer"], found["steps"]) == ("network", "bpe", 7)
    assert found["cleaning"] == list(model.cleaner.steps) == ["nfc", "whitespace"]
    assert model.generate("the cat", seed=1, max_new_tokens=5).startswith("the cat")  # type: ignore[union-attr]
    assert model.embed("the cat").shape == (64,)
    with pytest.raises(OptionError, match="only an n-gram model"):
        model.save(network / "copy.ngram")


def test_networks_that_are_none(network: Path, tmp_path: Path) -> None:
    """What is missing from a folder or wrong in it is told with the file."""
    folder = Path(shutil.copytree(network, tmp_path / "copy"))
    (folder / "training.json").write_text('{"cleaning": ["scrub"]}')
    with pytest.raises(ModelFormatError, match=r"training\.json names a cleaning"):
        load(folder)
    (folder / "training.json").write_text("[")
    with pytest.raises(ModelFormatError, match=r"training\.json is damaged"):
        load(folder)
    (folder / "training.json").unlink()
    data = (folder / "model_int8.onnx").read_bytes()
    (folder / "model_int8.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFormatError, match=r"model_int8\.onnx"):
        load(folder)
    for content in (None, "", "{}", "[1"):
        (folder / "tokenizer.json").unlink(missing_ok=True)
        if content is not None:
            (folder / "tokenizer.json").write_text(content)
        with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
            load(folder, "float32")
    (folder / "config.json").unlink()
    with pytest.raises(ModelFormatError, match=r"config\.json is missing"):
        load(folder)


def test_precision_of_a_network_alone(folder: Path) -> None:
    """An n-gram has no precision to choose, and no states to embed a text by."""
    with pytest.raises(OptionError, match=r"m\.ngram is no network"):
        load(folder / "m.ngram", "int8")
    with pytest.raises(OptionError, match="only a network"):
        load(folder / "m.ngram").embed("a rose")


@pytest.mark.parametrize(("neural", "kind"), PARTS)
def test_a_folder_with_both(neural: str | None, kind: type, hybrid_folder: Path) -> None:
    """It is their mixture unless another part is asked for; nothing is to be told."""
    found = load(hybrid_folder, neural=neural)
    assert isinstance(found.model, kind)
    assert found.notices == []
    assert str(found.generate("the cat", seed=1, max_new_tokens=3)).startswith("the cat")


def test_the_precision_of_a_hybrid(untuned_folder: Path) -> None:
    """It is that of its network."""
    assert load(untuned_folder).description()["precision"] == "int8"
    assert load(untuned_folder, "float32").description()["precision"] == "float32"
    with pytest.raises(OptionError, match="leaves the network out, so there is no precision to choose"):
        load(untuned_folder, "float32", neural="never")


def test_a_network_alone(network: Path) -> None:
    """It answers for itself, whatever part it was to have; there is no n-gram to stand in for it."""
    for path in (network, network / "model.onnx"):
        for neural in (None, "always", "only"):
            assert isinstance(load(path, neural=neural).model, OnnxModel)
    with pytest.raises(OptionError, match=r"holds a network alone: there is no model\.ngram in it"):
        load(network, neural="never")
    with pytest.raises(OptionError, match=r"model\.onnx is a network alone; name a folder"):
        load(network / "model.onnx", neural="never")


def test_a_folder_with_an_n_gram_alone(folder: Path, tmp_path: Path) -> None:
    """It is as the file: it can do without a network, but not with one, and has nothing to tell."""
    shutil.copy(folder / "m.ngram", tmp_path / "model.ngram")
    for neural in (None, "never"):
        found = load(tmp_path, neural=neural)
        assert isinstance(found.model, NgramModel)
        assert found.notices == []
    for options in ({"neural": "always"}, {"neural": "auto"}, {"neural": "only"}, {"neural_budget": 0.5}):
        with pytest.raises(OptionError, match=r"model\.ngram is no network; name the folder of one"):
            load(tmp_path, **options)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"model\.ngram is no network, so there is no precision to choose"):
        load(tmp_path, "int8")


@pytest.mark.parametrize("name", ["config.json", "hybrid.json"])
def test_a_folder_that_lost_its_network(name: str, folder: Path, tmp_path: Path) -> None:
    """The n-gram answers, and says so where the network was not left out on purpose; one alone is missed."""
    shutil.copy(folder / "m.ngram", tmp_path / "model.ngram")
    (tmp_path / name).write_text("{}")
    found = load(tmp_path)
    assert isinstance(found.model, NgramModel)
    assert found.notices == [f"{tmp_path} holds no network, so the n-gram answers alone"]
    assert load(tmp_path, neural="never").notices == []
    for neural in ("always", "auto"):
        assert load(tmp_path, neural=neural).notices == found.notices
    with pytest.raises(ModelNotFoundError, match="is a folder without a network"):
        load(tmp_path, neural="only")


@pytest.mark.parametrize("name", ["m.ngram", "m.arpa"])
def test_a_file_of_an_n_gram(name: str, folder: Path) -> None:
    """It can do without a network, but not with one."""
    assert isinstance(load(folder / name, neural="never").model, NgramModel)
    for neural in ("always", "auto", "only"):
        with pytest.raises(OptionError, match="is no network; name the folder of one"):
            load(folder / name, neural=neural)
    with pytest.raises(OptionError, match="is no network; name the folder of one"):
        load(folder / name, neural_budget=0.5)


@pytest.mark.parametrize("neural", ["sometimes", "", "Never", 1, True])
def test_no_part_that_a_network_can_have(neural: str, folder: Path) -> None:
    """Another word is refused with those that there are."""
    with pytest.raises(OptionError, match="neural must be one of never, auto, always, only, not"):
        load(folder / "m.ngram", neural=neural)


def test_a_budget(hybrid_folder: Path) -> None:
    """A share or a time makes it "auto", a quarter if neither is told; with a time alone the share is free."""
    for options, budget, limit in (
        ({"neural": "auto"}, 0.25, None),
        ({"neural_budget": 0.5}, 0.5, None),
        ({"neural": "auto", "max_ms_per_token": 2}, 1.0, 2.0),
        ({"max_ms_per_token": 2, "neural_budget": 0}, 0.0, 2.0),
    ):
        about = load(hybrid_folder, **options).description()  # type: ignore[arg-type]
        assert (about["neural"], about["neural_budget"], about.get("max_ms_per_token")) == ("auto", budget, limit)


def test_no_budget(hybrid_folder: Path, untuned_folder: Path) -> None:
    """A share or a time out of its range, beside another part of the network, or for a folder without a gate."""
    for share in (-0.1, 1.1, float("nan"), True, "0.5"):
        with pytest.raises(OptionError, match="the neural budget must be a number from 0 to 1"):
            load(hybrid_folder, neural_budget=share)  # type: ignore[arg-type]
    for limit in (0, -1, float("inf"), float("nan"), True, "1"):
        with pytest.raises(OptionError, match="max_ms_per_token must be a number above 0"):
            load(hybrid_folder, max_ms_per_token=limit)  # type: ignore[arg-type]
    for neural in ("never", "always", "only"):
        with pytest.raises(OptionError, match=f"a budget of calls or of time is for neural 'auto', not '{neural}'"):
            load(hybrid_folder, neural=neural, neural_budget=0.5)
    with pytest.raises(OptionError, match=r"nothing tells yet where .* ngramgen tune .* --on TEXTFILE"):
        load(untuned_folder, neural="auto")


def test_without_onnxruntime(untuned_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-gram of a folder answers and says why; it says nothing where the network was not wanted."""
    monkeypatch.setattr("ngramgen.loading.find_spec", lambda name: None)
    found = load(untuned_folder)
    assert isinstance(found.model, NgramModel)
    assert found.notices == [
        "onnxruntime is not installed, so the n-gram answers alone: pip install 'ngramgen[neural]'"
    ]
    assert load(untuned_folder, neural="never").notices == []


def test_a_damaged_network(untuned_folder: Path, tmp_path: Path) -> None:
    """The n-gram answers alone and tells what is wrong; where the network alone is wanted that is an error."""
    copy = Path(shutil.copytree(untuned_folder, tmp_path / "copy"))
    whole = (copy / "model_int8.onnx").read_bytes()
    (copy / "model_int8.onnx").write_bytes(whole[: len(whole) // 2])
    for neural in (None, "always"):
        found = load(copy, neural=neural)
        assert isinstance(found.model, NgramModel)
        assert len(found.notices) == 1
        assert "model_int8.onnx" in found.notices[0]
        assert found.notices[0].endswith("; the n-gram answers alone")
    with pytest.raises(ModelFormatError, match=r"model_int8\.onnx"):
        load(copy, neural="only")


def test_hybrids_that_are_none(untuned_folder: Path, tmp_path: Path) -> None:
    """Other tokens, another order than the weights are for, and damage are told with the file or the way out."""
    copy = Path(shutil.copytree(untuned_folder, tmp_path / "copy"))
    ngramgen.train(TEXT, order=2, tokenizer="bpe:270").save(copy / "model.ngram")
    with pytest.raises(TokenizerError, match="different tokenizers; train one with the other's"):
        load(copy)
    shutil.copy(untuned_folder / "model.ngram", copy)
    (copy / "hybrid.json").write_text("{")
    with pytest.raises(ModelFormatError, match=r"hybrid\.json cannot be read .*; tune the model again"):
        load(copy)
    assert isinstance(load(copy, neural="only").model, OnnxModel)
    (copy / "model.ngram").write_bytes(b"\x89NGRAM")
    with pytest.raises(ModelFormatError, match=r"model\.ngram"):
        load(copy, neural="never")
