"""The direction of imports between the rooms of the package, read from the source with `ast`."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ngramgen"

LAYERS = (
    ("__main__",),
    ("cli",),
    ("pipelines", "augmentation"),
    ("training", "tuning"),
    ("loading",),
    ("textmodel",),
    ("defaults", "styles"),
    ("evaluation",),
    ("hybrid",),
    ("sampling",),
    ("ngram", "neural"),
    ("text",),
    ("model", "errors", "randomness", "atomic", "plots", "shipped"),
)
"""Top-level modules and packages, the highest first: imports run downwards (docs/architecture.md)."""

LAYER_OF = {room: layer for layer, rooms in enumerate(LAYERS) for room in rooms}
LONGEST = 400  # lines
SEPARATE = {"ngram", "neural"}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(module: str, *, running: bool = False) -> set[str]:
    """The modules of the package that a module imports; ``running`` leaves out those that only type checkers see."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    skipped = {id(part) for node in ast.walk(tree) if running and _is_typing(node) for part in _inside(node)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "ngramgen"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: a relative import"
            if (node.module or "").split(".")[0] == "ngramgen":
                found |= {_module_of(str(node.module), alias.name) for alias in node.names}
    return found


def _is_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _inside(node: ast.AST) -> list[ast.AST]:
    assert isinstance(node, ast.If)
    return [part for statement in node.body for part in ast.walk(statement)]


def _module_of(module: str, name: str) -> str:
    """``from module import name``: the module that is imported, name itself where that is one."""
    inner = f"{module}.{name}"
    return inner if inner in MODULES else module


def room(module: str) -> str:
    """The top-level module or package of the package that a module belongs to; "" for ``ngramgen`` itself."""
    return module.partition(".")[2].partition(".")[0]


@pytest.mark.parametrize("module", [name for name in MODULES if name != "ngramgen"])
def test_imports_run_downwards(module: str) -> None:
    """No module imports from a higher room, nor from the other engine, nor from the package's public face."""
    own = room(module)
    assert own in LAYER_OF, f"{own} has no place in LAYERS (and docs/architecture.md)"
    for imported in imports(module):
        other = room(imported)
        if other in ("", own):
            continue
        assert LAYER_OF[other] >= LAYER_OF[own], f"{module} imports {imported}, which lies above it"
        assert {own, other} != SEPARATE, f"{module} imports {imported}: the engines do not know each other"


def test_public_face_is_lazy() -> None:
    """`ngramgen/__init__.py` imports the errors alone when it runs, and nobody takes more from it than the version."""
    assert imports("ngramgen", running=True) == {"ngramgen.errors"}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "ngramgen":
                assert [alias.name for alias in node.names] == ["__version__"], f"{module}, line {node.lineno}"


def test_rooms_have_no_cycle() -> None:
    """The rooms can be put in an order in which each imports only from those before it."""
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        if module != "ngramgen":
            graph.setdefault(room(module), set()).update(map(room, imports(module)))
    TopologicalSorter({own: others - {own, ""} for own, others in graph.items()}).prepare()  # raises CycleError


def test_modules_have_no_cycle() -> None:
    """The modules can be put in an order in which each imports, when it runs, only from those before it."""
    graph = {module: imports(module, running=True) - {"ngramgen"} for module in MODULES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short(module: str) -> None:
    """No module is longer than a reader can hold in mind."""
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST, f"{module} has {lines} lines; split it by subject"
