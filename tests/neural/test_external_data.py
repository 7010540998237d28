"""Weights in other files: found as onnx itself finds them, and refused where they are none of the folder's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import ModelFormatError
from ngramgen.neural.external_data import check_external_data, external_locations

onnx = pytest.importorskip("onnx")


def tensor(location: str | None, name: str = "w") -> Any:
    made = onnx.numpy_helper.from_array(np.arange(6, dtype=np.float32), name)
    if location is not None:
        onnx.external_data_helper.set_external_data(made, location, offset=0, length=24)
        made.ClearField("raw_data")
    return made


def graph(*initializers: Any, nodes: Any = ()) -> Any:
    return onnx.helper.make_graph(list(nodes), "g", [], [], list(initializers))


def write(path: Path, made: Any, **more: Any) -> Path:
    path.write_bytes(onnx.helper.make_model(made, **more).SerializeToString())
    return path


def test_found_wherever_they_are(tmp_path: Path) -> None:
    """In initializers, sparse ones, constants, subgraphs inside subgraphs, lists of either, and functions."""
    helper = onnx.helper
    sparse = helper.make_sparse_tensor(tensor("sparse"), onnx.numpy_helper.from_array(np.arange(6), "i"), [9])
    inner = graph(tensor("deep"), nodes=[helper.make_node("Constant", [], ["c"], value=tensor("constant"))])
    outer = graph(nodes=[helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=graph(tensor("else")))])
    nodes = [
        helper.make_node("Loop", ["x"], ["y"], body=outer),
        helper.make_node("Many", [], ["z"], values=[tensor("list"), tensor(None)], graphs=[graph(tensor("graphs"))]),
    ]
    whole = graph(tensor("plain"), tensor(None, "inside"), nodes=nodes)
    whole.sparse_initializer.append(sparse)
    constant = helper.make_node("Constant", [], ["c"], value=tensor("function"))
    function = helper.make_function("d", "F", [], ["c"], [constant], [helper.make_opsetid("", 18)])
    path = write(tmp_path / "m.onnx", whole, functions=[function])
    names = {"plain", "sparse", "deep", "constant", "else", "list", "graphs", "function"}
    assert external_locations(path) == names


def test_nothing_outside(tmp_path: Path) -> None:
    """A model with all weights inside needs no other file."""
    assert check_external_data(write(tmp_path / "m.onnx", graph(tensor(None)))) == []


def test_beside(tmp_path: Path) -> None:
    """Plain files in the folder or below are taken."""
    (tmp_path / "below").mkdir()
    for name in ("m.onnx_data", "below/w"):
        (tmp_path / name).write_bytes(bytes(24))
    path = write(tmp_path / "m.onnx", graph(tensor("m.onnx_data"), tensor("./below/w")))
    assert check_external_data(path) == [tmp_path / "below/w", tmp_path / "m.onnx_data"]


@pytest.mark.parametrize(
    "location",
    ["../w", "below/../../w", "/etc/passwd", "", ".", "C:\\w", "..\\w", "*/_ORT_MEM_ADDR_/*", "w\0x", "\\\\host\\w"],
)
def test_no_way_out(location: str, tmp_path: Path) -> None:
    """Whatever may lead out of the folder is refused by its name alone."""
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (tmp_path / "w").write_bytes(bytes(24))
    path = write(folder / "m.onnx", graph(tensor(location)))
    with pytest.raises(ModelFormatError, match=r"m\.onnx keeps weights in .* which is no (plain )?file"):
        check_external_data(path)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_no_links(tmp_path: Path) -> None:
    """A symbolic link, one on the way, a second name of a file, a folder and a pipe are no files of the folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "w").write_bytes(bytes(24))
    (folder / "symbolic").symlink_to(tmp_path / "w")
    (folder / "way").symlink_to(tmp_path)
    os.link(tmp_path / "w", folder / "hard")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    for location in ("symbolic", "way/w", "hard", "folder", "pipe", "none"):
        path = write(folder / "m.onnx", graph(tensor(location)))
        with pytest.raises(ModelFormatError, match=r"keeps weights in .*(plain file|another folder|missing)"):
            check_external_data(path)


def test_damage(tmp_path: Path) -> None:
    """A file that breaks off anywhere, or is no ONNX file, is a ModelFormatError or misses nothing that is there."""
    path = write(tmp_path / "m.onnx", graph(tensor("first"), tensor("second")))
    data = path.read_bytes()
    assert external_locations(path) == {"first", "second"}
    for content in (b"", b"hello", b"\xff" * 40, bytes(40), b"<html></html>", data[:5], data[:-1], data[:40]):
        path.write_bytes(content)
        with pytest.raises(ModelFormatError, match=r"m\.onnx"):
            external_locations(path)


def test_too_deep(tmp_path: Path) -> None:
    """Subgraphs without end are refused."""

    def length(size: int) -> bytes:
        return bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])

    made = graph(tensor(None)).SerializeToString()
    for _ in range(40):
        for number in (6, 5, 1):  # the graph of an attribute of a node
            made = bytes([number << 3 | 2]) + length(len(made)) + made
    path = tmp_path / "m.onnx"
    path.write_bytes(bytes([7 << 3 | 2]) + length(len(made)) + made)
    with pytest.raises(ModelFormatError, match="too deep"):
        external_locations(path)
