"""From a corpus to a folder with a network: tokens, training, export."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ngramgen import __version__
from ngramgen.atomic import replacing
from ngramgen.errors import MissingDependencyError, OptionError, TokenizerError, TrainingError
from ngramgen.neural.beginning import SHAPE, Beginning, check_shape, read_beginning
from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.options import TrainingOptions, settings
from ngramgen.neural.quantising import BITS, LEAST_BLOCK, block_size
from ngramgen.text.cleaning import DEFAULT_STEPS, Cleaner
from ngramgen.text.corpus import CountedBlocks, Source, corpus_bytes, read_blocks
from ngramgen.text.subword import SubwordTokenizer

if TYPE_CHECKING:
    from ngramgen.neural.trainer import Progress, Trainer
    from ngramgen.neural.workspace import Workspace

_SAMPLE = 40_000_000  # bytes of text, spread over the corpus, that a tokenizer is learnt from
_BLOCK = 1 << 20
_SPOOLED = "text"
PRECISIONS = ("float32", "int8", "q4")
SHIPPED = ("float32", "int8")
"""The precisions that are written unless others are asked for."""


@dataclass(frozen=True)
class NetworkCorpus:
    """The text to learn and, where it is given, other text to measure on; how both are read and cleaned."""

    sources: Sequence[Source]
    valid: Sequence[Source] = ()
    field: str | None = None
    errors: Any = "strict"
    cleaning: tuple[str, ...] = DEFAULT_STEPS
    progress: Callable[[int], None] | None = None

    def train_blocks(self) -> Iterator[bytes]:
        return read_blocks(self.sources, field=self.field, errors=self.errors, progress=self.progress)

    def names(self) -> list[list[str | int]]:
        """The name and size of every file that is read."""
        paths = [Path(one) for one in [*self.sources, *self.valid] if isinstance(one, str | Path) and one != "-"]
        return [[path.name, path.stat().st_size] for path in paths]


def train_network(
    corpus: NetworkCorpus,
    folder: str | Path,
    *,
    size: str = "small",
    seconds: float | None = None,
    tokens: int | None = None,
    seed: int = 1,
    device: str = "auto",
    tokenizer: str | Path | None = None,
    precisions: Sequence[str] = SHIPPED,
    resume: bool = False,
    init_from: str | Path | None = None,
    report: Callable[[Progress], None] | None = None,
    notify: Callable[[str], None] | None = None,
    **named: Any,
) -> Path:
    """Trains a network of a size ("tiny", "small", "base") and writes its folder, which `ngramgen.load` takes.

    ``seconds``, counted from the call, or ``tokens`` is the budget. ``tokenizer`` names a tokenizer.json; without one a
    byte-level BPE is learnt from the corpus. ``resume`` goes on with what is in the folder, with a budget that counts
    from the training's first beginning. ``init_from`` is the folder of a network of ngramgen's whose weights, shape and
    tokenizer are where the training begins; it is not named again to resume. ``named`` replaces fields of
    `NetworkConfig` and `TrainingOptions`. ``report`` is told of the progress, ``notify`` of what a person should know.
    Raises OptionError, CorpusError, TokenizerError, TrainingError, ModelFormatError, MissingDependencyError.
    """
    begun = time.monotonic()
    notify = notify or (lambda message: None)
    config, options = settings(size, named, seconds=seconds, tokens=tokens, seed=seed, device=device)
    _check_precisions(precisions)
    _check_blocks(config, precisions)
    if init_from is not None:
        if resume:
            raise OptionError("resume goes on with what is in the folder; leave init_from out")
        if tokenizer is not None:
            raise OptionError("a training that begins with a network takes over its tokenizer too; leave yours out")
        check_shape(named)
    _needs_torch()
    first = None
    if init_from is not None:
        first = read_beginning(init_from, named)
        config, tokenizer = first.config, first.tokenizer
        _check_blocks(config, precisions)
    from ngramgen.neural.workspace import Workspace

    folder = Path(folder)
    workspace = Workspace(folder)
    corpus_bytes([*corpus.sources, *corpus.valid])  # a file that is not there is told before any is read
    if resume:
        config = _resumed(corpus, workspace, config, named)
        _check_blocks(config, precisions)
        made = SubwordTokenizer.from_file(folder / "tokenizer.json")
    else:
        given = None if tokenizer is None else _own_tokenizer(Path(tokenizer))
        if first is not None and given is not None:
            first.check(given)
        workspace.begin()
        made = _prepare(corpus, workspace, given, config.vocab_size, options, first)
        _write(folder / "tokenizer.json", made.json)
    config = replace(config, vocab_size=made.vocab_size)
    trainer = _trainer(config, options, workspace, begun, resume)
    if first is not None:
        trainer.network.load_weights(first.weights)
    for message in trainer.notices:
        notify(message)
    trainer.run(report)
    _finish(folder, _about(workspace, corpus.cleaning, trainer, size), trainer, precisions)
    return folder


def _resumed(
    corpus: NetworkCorpus, workspace: Workspace, config: NetworkConfig, named: dict[str, Any]
) -> NetworkConfig:
    """The shape of the training in the folder, if that began with a network; else the one that is asked for."""
    facts = workspace.facts()
    if facts.sources != corpus.names():
        raise OptionError(f"{workspace.folder.parent} was trained on other files; resume with the same ones")
    if facts.begun is None:
        return config
    return replace(NetworkConfig(**facts.begun["shape"]), **{name: named[name] for name in named if name in SHAPE})


def export_checkpoint(folder: str | Path, name: str = "latest", precisions: Sequence[str] = SHIPPED) -> Path:
    """Writes the model of a folder's checkpoint, "latest" or "constant", as training does when it ends.

    Raises OptionError where there is none, ModelFormatError for a damaged one, MissingDependencyError.
    """
    _check_precisions(precisions)
    _needs_torch()
    from ngramgen.neural.checkpoint import load_checkpoint
    from ngramgen.neural.export import export_network
    from ngramgen.neural.network import Network

    folder = Path(folder)
    path = folder / "training" / f"{name}.pt"
    if not path.exists():
        raise OptionError(f"there is no checkpoint {path}; train first, or name latest or constant")
    state = load_checkpoint(path)
    network = Network(NetworkConfig(**state["config"]))
    network.load_state_dict(state["network"])
    export_network(folder, network.config, network.weights(), tuple(precisions), network.logits)
    return folder


def _own_tokenizer(path: Path) -> SubwordTokenizer:
    made = SubwordTokenizer.from_file(path)
    if made.foreign_ids is not None:
        raise TokenizerError(f"{path} was made by another program; give a tokenizer.json of ngramgen's, or none")
    return made


def _check_precisions(precisions: Sequence[str]) -> None:
    if not precisions:
        raise OptionError(f"at least one precision is needed, of {', '.join(PRECISIONS)}")
    for name in precisions:
        if name not in PRECISIONS:
            raise OptionError(f"there is no precision {name!r}; they are {', '.join(PRECISIONS)}")


def _check_blocks(config: NetworkConfig, precisions: Sequence[str]) -> None:
    """Refuse before training what could not be written after it."""
    for name in precisions:
        if name in BITS and not all(block_size(BITS[name], inputs) for inputs in (config.width, config.hidden)):
            least = LEAST_BLOCK[name]
            raise OptionError(
                f"{name} needs a width and a hidden that are multiples of {least}, not {config.width} and "
                f"{config.hidden}; set others, or leave {name} out"
            )


def _needs_torch() -> None:
    try:
        import onnx  # noqa: F401
        import torch
    except ImportError:
        raise MissingDependencyError(
            "training a network needs torch and onnx; install them with pip install 'ngramgen[train]'"
        ) from None
    if not hasattr(torch.optim, "Muon"):
        raise MissingDependencyError("training a network needs torch 2.9 or newer; pip install -U torch")


def _prepare(
    corpus: NetworkCorpus,
    workspace: Workspace,
    tokenizer: SubwordTokenizer | None,
    vocab_size: int,
    options: TrainingOptions,
    first: Beginning | None,
) -> SubwordTokenizer:
    """Reads, cleans and encodes the texts once; notes what the training begins with."""
    from ngramgen.neural.workspace import TextFacts

    cleaner = Cleaner(corpus.cleaning)
    spool = workspace.folder / _SPOOLED
    try:
        raw = _spooled(corpus.train_blocks(), cleaner, spool)
        if tokenizer is None:
            tokenizer = SubwordTokenizer.train(_sample(spool), vocab_size)
        tokens = workspace.write_train(_blocks(spool), tokenizer)
    finally:
        spool.unlink(missing_ok=True)
    valid_bytes = valid_tokens = 0
    if corpus.valid:
        blocks = read_blocks(corpus.valid, field=corpus.field, errors=corpus.errors, block_size=1 << 14)
        pieces = ((cleaner.lines_block(block), len(block)) for block in blocks)
        valid_bytes, valid_tokens = workspace.write_valid(pieces, tokenizer, options.valid_tokens)
        if not valid_tokens:
            raise TrainingError("the text to measure on is empty; give another, or none")
    begun = None if first is None else {"init_from": first.about, "shape": asdict(first.config)}
    workspace.write_facts(TextFacts(corpus.names(), raw, tokens, valid_bytes, valid_tokens, begun))
    return tokenizer


def _spooled(blocks: Iterable[bytes], cleaner: Cleaner, path: Path) -> int:
    """Writes the cleaned text to a file, since it is read twice; gives the raw bytes."""
    counted = CountedBlocks(blocks)
    with path.open("wb") as file:
        for block in cleaner.blocks(counted):
            file.write(block)
    return counted.size


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _whole_lines(file)


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block + file.readline()


def _sample(path: Path) -> Iterator[bytes]:
    """Every so many blocks, for about as many bytes as a tokenizer needs."""
    stride = max(1, round(path.stat().st_size / _SAMPLE))
    return (block for number, block in enumerate(_blocks(path)) if number % stride == 0)


def _trainer(
    config: NetworkConfig, options: TrainingOptions, workspace: Workspace, begun: float, resume: bool
) -> Trainer:
    from ngramgen.neural.trainer import Trainer

    texts = workspace.texts(config.vocab_size, options.valid_tokens)
    trainer = Trainer(config, options, texts, workspace.folder, begun)
    if resume:
        trainer.resume()
    return trainer


def _about(workspace: Workspace, cleaning: Sequence[str], trainer: Trainer, size: str) -> dict[str, Any]:
    """What training.json tells."""
    facts, last = workspace.facts(), trainer.points[-1] if trainer.points else None
    about = {
        "ngramgen": __version__,
        "python": platform.python_version(),
        "size": size,
        "parameters": trainer.config.parameters,
        "options": {option.name: getattr(trainer.options, option.name) for option in fields(trainer.options)},
        "corpus": {"files": facts.sources, "tokens": len(trainer.texts.train)},
        "cleaning": list(cleaning),
        "device": str(trainer.device),
        "seconds": round(trainer.seconds, 1),
        "steps": trainer.step,
        "tokens": trainer.tokens,
        "valid_bits_per_byte": None if last is None else round(last.valid_bits_per_byte, 5),
    }
    if facts.begun is not None:
        about |= {"size": None, "init_from": facts.begun["init_from"]}
    return about


def _finish(folder: Path, about: dict[str, Any], trainer: Trainer, precisions: Sequence[str]) -> None:
    """Writes the model, what it was made of, and the curve."""
    from ngramgen.neural.curve import write_curve
    from ngramgen.neural.export import export_network

    write_curve(folder, trainer.points)
    network = trainer.network
    export_network(folder, trainer.config, network.weights(), tuple(precisions), network.logits)
    _write(folder / "training.json", json.dumps(about, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())
