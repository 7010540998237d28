"""The models that travel with ngramgen: what the manifest says of them, and where they lie."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from pathlib import Path

import pytest

from ngramgen import shipped
from ngramgen.errors import ModelFormatError, ModelNotFoundError
from ngramgen.loading import load
from ngramgen.shipped import model_path, shipped_file, shipped_folder, shipped_models
from tests.shipping import FACTS, ROOT, Ship, manifest_program

FILES = {"model.ngram": b"gram", "README.md": b"A card."}


def test_facts(ship: Ship) -> None:
    """All that a manifest tells arrives: the facts of model.json, and of each file its length and SHA-256."""
    models = ship(tales={"model.ngram": b""}, english=FILES)
    found = shipped_models()
    assert list(found) == ["english", "tales"]  # the default is the first
    one = found["english"]
    assert (one.name, one.path, one.is_default, one.bytes) == ("english", models / "english", True, 4 + 7)
    assert not found["tales"].is_default
    assert (one.summary, one.languages, one.licence) == (FACTS["summary"], ("en", "fr"), FACTS["licence"])
    assert (one.bits_per_byte, one.measured_on) == ({"never": 2.0}, "two lines")
    assert {name: (file.bytes, file.sha256) for name, file in one.files.items()} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in FILES.items()
    }


def test_folder(ship: Ship) -> None:
    """A name leads to the folder, none to the default's; a path that is there comes before a name."""
    models = ship(english=FILES, tales=FILES)
    assert shipped_folder() == model_path(None) == models / "english"
    assert shipped_folder("tales") == model_path("tales") == models / "tales"
    assert model_path(models) == models
    with pytest.raises(
        ModelNotFoundError, match=r"no model 'tale': .*, or the name of a shipped model: english, tales$"
    ):
        model_path("tale")


def test_read_only_place(ship: Ship) -> None:
    """Nothing is written where the models lie."""
    models = ship(english=FILES)
    folders = [models / "english", models]
    for folder in folders:
        folder.chmod(0o555)
    before = sorted(models.rglob("*"))
    try:
        shipped_models()["english"].verify()
        assert shipped_folder("english") == models / "english"
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert sorted(models.rglob("*")) == before


def test_nothing_shipped(ship: Ship) -> None:
    """Without a default, and without any model, the way out is to train one."""
    models = ship()
    assert shipped_models() == {}
    with pytest.raises(ModelNotFoundError, match=r"no default model is shipped .* ngramgen train TEXTFILE"):
        shipped_folder()
    with pytest.raises(ModelNotFoundError, match=r"or the folder of a network$"):
        shipped_folder("english")
    (models / "manifest.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"manifest\.json is not part of this installation"):
        shipped_models()


def test_a_missing_file(ship: Ship) -> None:
    """A model that lost a file is not taken for a smaller one."""
    models = ship(english=FILES)
    (models / "english/model.ngram").unlink()
    with pytest.raises(
        ModelNotFoundError, match=r"english/model\.ngram of the shipped model english is missing; reinst"
    ):
        shipped_folder("english")
    with pytest.raises(ModelNotFoundError, match=r"english/model\.ngram cannot be read: No such file"):
        shipped_models()["english"].verify()


def test_verify(ship: Ship) -> None:
    """A byte that differs is found, and the file is named."""
    models = ship(english=FILES)
    shipped_models()["english"].verify()
    (models / "english/model.ngram").write_bytes(b"gran")
    with pytest.raises(ModelFormatError, match=r"english/model\.ngram is damaged: it is not the file that was shipped"):
        shipped_models()["english"].verify()


def test_a_damaged_manifest(ship: Ship) -> None:
    """Whatever is wrong with it, it is one sentence that names it."""
    models = ship(english=FILES)
    path = models / "manifest.json"
    whole = json.loads(path.read_text())
    broken = [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000]
    for name in ("default", "models"):
        broken.append(json.dumps({key: value for key, value in whole.items() if key != name}).encode())
    for changed in (
        {"summary": "x"},
        FACTS | {"files": ["model.ngram"]},
        FACTS | {"files": {"model.ngram": {"bytes": 1}}},
        FACTS | {"files": {}, "bits_per_byte": {"never": "few"}},
        FACTS | {"files": {}, "bits_per_byte": [2.0]},
        FACTS | {"files": {}, "languages": None},
    ):
        broken.append(json.dumps(whole | {"models": {"english": changed}}).encode())
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(ModelFormatError, match=r"manifest\.json is damaged; reinstall ngramgen with pip"):
            shipped_models()
    path.write_text(json.dumps(whole | {"format": 2}))
    with pytest.raises(ModelFormatError, match=r"manifest\.json is of another version"):
        shipped_models()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user who may not read all")
def test_an_unreadable_manifest(ship: Ship) -> None:
    """The system's reason is told."""
    (ship(english=FILES) / "manifest.json").chmod(0)
    with pytest.raises(ModelFormatError, match=r"manifest\.json cannot be read: Permission denied"):
        shipped_models()


def test_shipped_file_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file inside the package, where a wheel puts it, wins over one beside it."""
    inside, beside = (tmp_path / folder / "models/a.txt" for folder in ("site/ngramgen", "site"))
    for path in (inside, beside):
        path.parent.mkdir(parents=True)
        path.write_text("text")
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "site/ngramgen")
    assert shipped_file("a.txt") == inside
    inside.unlink()
    assert shipped_file("a.txt") == beside
    with pytest.raises(ModelNotFoundError, match=r"b\.txt is not part of this installation"):
        shipped_file("b.txt")


def test_the_manifest_is_true() -> None:
    """models/manifest.json and the list in pyproject.toml are what models/manifest.py makes of the files on disk."""
    program = manifest_program()
    manifest = program.manifest_of(ROOT / "models")
    assert (ROOT / "models/manifest.json").read_text(encoding="utf-8") == program.text_of(manifest)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert project == program.with_included(project, manifest)
    included = tomllib.loads(project)["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {"models/manifest.json", "models/sample/fables.txt"} <= set(included)
    for source, target in included.items():
        assert (ROOT / source).is_file()
        assert target == f"ngramgen/{source}"


def test_what_is_shipped_speaks() -> None:
    """Every shipped model is whole, has a card, loads by its name, and goes on with a text."""
    for name, model in shipped_models().items():
        model.verify()
        assert "README.md" in model.files
        assert load(name, neural="never").generate("", seed=1, max_new_tokens=5)


def test_manifest_program(ship: Ship) -> None:
    """It takes the files that a model may have and no other, and lists them for the wheel, a line each, in order."""
    models = ship(b=FILES | {"checkpoint.pt": b"large"}, a=FILES)
    (models / "sample").mkdir()  # no model
    program = manifest_program()
    manifest = program.manifest_of(models)
    assert {name: sorted(model["files"]) for name, model in manifest["models"].items()} == {
        "a": ["README.md", "model.ngram"],
        "b": ["README.md", "model.ngram"],
    }
    header = "[tool.hatch.build.targets.wheel.force-include]\n"
    before, after = f'name = "x"\n\n# why\n{header}"old" = "old"\n', '\n[tool.ruff]\nselect = ["E"]\n'
    names = ["a/README.md", "a/model.ngram", "b/README.md", "b/model.ngram", "manifest.json", "sample/fables.txt"]
    lines = "".join(f'"models/{name}" = "ngramgen/models/{name}"\n' for name in names)
    assert program.with_included(before + after, manifest) == before.replace('"old" = "old"\n', lines) + after
    (models / "a/model.json").write_text('{"summary": "x", "languages": []}')
    with pytest.raises(SystemExit, match=r"a/model\.json does not tell: licence, bits_per_byte, measured_on"):
        program.manifest_of(models)
