"""`load`: a model from whatever names one. The one place that knows every engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ngramgen.defaults import read_defaults
from ngramgen.errors import ModelFormatError, ModelNotFoundError, NgramgenError, OptionError
from ngramgen.hybrid.classes import evidence_size
from ngramgen.hybrid.fallback import FallbackModel
from ngramgen.hybrid.folder import NGRAM, SETTINGS, Settings, read_settings
from ngramgen.hybrid.gate import checked_budget
from ngramgen.hybrid.model import HybridModel, same_tokens, warned
from ngramgen.hybrid.time_limit import TimeLimit
from ngramgen.model import TextTokenizer
from ngramgen.neural.drafting import Drafter, PromptLookup
from ngramgen.neural.layout import CONFIG, TRAINING, is_network
from ngramgen.neural.model import OnnxModel
from ngramgen.ngram.arpa_reader import read_arpa
from ngramgen.ngram.arpa_source import GZIP
from ngramgen.ngram.drafting import NgramDrafter
from ngramgen.ngram.file import MAGIC
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.storage import check_ngram, load_ngram
from ngramgen.shipped import model_path
from ngramgen.text.cleaning import Cleaner
from ngramgen.text.tokenizers import PYTHON, Function, Tokenizer
from ngramgen.text.vocabulary import Vocabulary
from ngramgen.textmodel import TextModel

NEURAL = ("never", "auto", "always", "only")
"""How much the network of a folder takes part."""
BUDGET = 0.25
"""The share of tokens that may call it in "auto", where no other is given."""

_HEAD = 1 << 16  # bytes in which an ARPA file says that it is one


@dataclass(frozen=True)
class _Use:
    """How much the network of a folder takes part; raises OptionError for what does not go together."""

    neural: str | None
    budget: float | None
    max_ms: float | None
    speculate: bool | None
    notify: Callable[[str], None] | None

    def __post_init__(self) -> None:
        if self.neural not in (None, *NEURAL):
            raise OptionError(f"neural must be one of {', '.join(NEURAL)}, not {self.neural!r}")
        if self.is_limited and self.neural not in (None, "auto"):
            raise OptionError(f"a budget of calls or of time is for neural 'auto', not {self.neural!r}")
        if self.budget is not None:
            checked_budget(self.budget)
        if self.max_ms is not None:
            TimeLimit(self.max_ms)

    @property
    def is_limited(self) -> bool:
        return self.budget is not None or self.max_ms is not None

    @property
    def is_auto(self) -> bool:
        return self.neural == "auto" or self.is_limited

    def check_ngram(self, path: Path, precision: str | None) -> None:
        """Raises OptionError where something is asked of a network: there is but an n-gram."""
        if precision is not None:
            raise OptionError(f"{path} is no network, so there is no precision to choose")
        if self.neural in ("always", "only") or self.is_auto:
            raise OptionError(f"{path} is no network; name the folder of one")

    def alone(self, found: TextModel, ngram: Path | None) -> TextModel:
        """A network that answers alone; the n-gram beside it guesses, if it can be read and has its tokens."""
        guide = None
        if ngram is not None and self.speculate is not False:
            with suppress(NgramgenError):
                guide = _from_ngram(ngram, verify=False).model
        if guide is not None and not same_tokens(guide.tokenizer, found.tokenizer):
            guide = None
        return replace(found, model=self.guessing(found.model, guide))

    def guessing(self, network: OnnxModel, ngram: NgramModel | None) -> OnnxModel:
        """The network, which knows how to guess the tokens that it will be asked for, if it shall."""
        if self.speculate or (self.speculate is None and not network.has_few_bits):
            drafters: list[Drafter] = [PromptLookup()]
            if ngram is not None:
                drafters.append(NgramDrafter(ngram))
            network.guessing = network.speculating(*drafters, timed=False)  # timed, a text might hang on the clock
        return network

    def model(self, path: Path, small: NgramModel, large: OnnxModel, settings: Settings) -> HybridModel | FallbackModel:
        """Both as one. Raises OptionError where nothing was fitted that a budget could be held with."""
        network = large if self.is_auto else self.guessing(large, small)
        hybrid = HybridModel(small, network, settings.weighting, self.notify or warned)
        if not self.is_auto:
            return hybrid
        if settings.gate is None:
            raise OptionError(
                f"nothing tells yet where the network of {path} is worth a call; fit it to text that neither model was "
                f"trained on: ngramgen tune {path} --on TEXTFILE"
            )
        if self.max_ms is None:
            return FallbackModel(hybrid, settings.gate, BUDGET if self.budget is None else self.budget)
        return FallbackModel(hybrid, settings.gate, 1.0 if self.budget is None else self.budget, TimeLimit(self.max_ms))


def load(
    name: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    *,
    neural: str | None = None,
    neural_budget: float | None = None,
    max_ms_per_token: float | None = None,
    speculate: bool | None = None,
    lenient: bool = False,
    verify: bool = False,
    tokenizer: Function | None = None,
    notify: Callable[[str], None] | None = None,
) -> TextModel:
    """A model from a .ngram file, an ARPA file (``.arpa``, ``.gz``), or a folder with a network or an .onnx file of it.

    Where there is no file or folder of that name, it is the name of a shipped model; None is the default one. A folder
    with an n-gram, ``model.ngram``, and nothing of a network is as that file. One with both is both as one: ``neural``
    is "always" for their mixture at every token, "auto" for the mixture where it pays and the n-gram alone elsewhere,
    "only" for the network alone, "never" for the n-gram alone. Without it, it is "always". But for "only", the n-gram
    answers alone, with a notice, where onnxruntime is not installed or the network is missing or damaged, or should it
    fail later: then ``notify`` is told, which is a warning unless it is given.
    ``neural_budget`` is the share of tokens that may call the network in "auto", a quarter if neither it is given nor
    ``max_ms_per_token``, the milliseconds that a token may take on the mean; either makes ``neural`` "auto".
    A network that is asked at every token of a greedy text reads guesses of the next ones along where that is faster:
    always with ``speculate`` true, never with false, and without it where that cannot change a token, which is but in 8
    and 4 bits. ``precision`` picks among the forms of a network: "float32",
    "float16", "int8" or "q4".
    ``lenient`` takes ARPA files with the habits of other programs, ``verify`` checks all bytes of a .ngram file.
    ``tokenizer`` is the function that cut the text of an n-gram's training, which its file only names: nothing that a
    file names is ever imported, and without the function the model generates but reads no text.
    Load networks from people you trust alone. Raises ModelNotFoundError, ModelFormatError, ArpaError, TokenizerError,
    OptionError, and MissingDependencyError for a network without the extra ``neural``.
    """
    use = _Use(neural, neural_budget, max_ms_per_token, speculate, notify)
    if precision is not None and neural == "never":
        raise OptionError("neural 'never' leaves the network out, so there is no precision to choose")
    path = model_path(name)
    try:
        if path.is_dir():
            found = _from_folder(path, precision, use, verify)
            found = replace(found, defaults=_defaults(path, found.model))
            return _cut_by(tokenizer, found, path)
        if is_network(path):
            if neural == "never" or use.is_auto:
                raise OptionError(f"{path} is a network alone; name a folder that holds an n-gram, too")
            return _cut_by(tokenizer, use.alone(_from_onnx(path, precision), None), path)
        if not path.is_file():  # opening a pipe would wait for its writer
            raise ModelNotFoundError(f"{path} is a pipe or a device; a model needs a file")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except NgramgenError:
        raise
    except OSError as error:
        raise ModelNotFoundError(f"the model {path} cannot be read: {error.strerror}") from None
    use.check_ngram(path, precision)
    if head.startswith(MAGIC) or path.suffix == ".ngram":
        return _cut_by(tokenizer, _from_ngram(path, verify), path)
    if not head.startswith(GZIP) and b"\\data\\" not in head and path.suffix != ".arpa":
        raise ModelFormatError(f"{path} is no model: neither a .ngram file nor an ARPA file")
    return _cut_by(tokenizer, _from_arpa(path, lenient), path)


def _defaults(path: Path, model: Any) -> dict[str, Any]:
    """The folder's sampling options. DRY is for a mixture, which reads its own text; an n-gram draws faster without."""
    defaults = read_defaults(path)
    if isinstance(model, NgramModel) and is_network(path):
        defaults.pop("dry_multiplier", None)
    return defaults


def _cut_by(function: Function | None, found: TextModel, path: Path) -> TextModel:
    """The model with the function that its tokenizer lacks. Raises OptionError where it lacks none."""
    if function is None:
        return found
    tokenizer = found.tokenizer
    if not isinstance(tokenizer, Tokenizer) or not tokenizer.kind.startswith(PYTHON):
        raise OptionError(f"{path} holds its tokenizer, {tokenizer.kind}; leave out the function")
    tokenizer = replace(tokenizer, function=function)
    return replace(found, model=replace(found.model, tokenizer=tokenizer), tokenizer=tokenizer)


def _from_folder(path: Path, precision: str | None, use: _Use, verify: bool) -> TextModel:
    ngram, has_network = path / NGRAM, is_network(path)
    if not ngram.is_file():
        if not has_network:
            raise ModelNotFoundError(f"{path} is a folder without a network; name a .ngram or ARPA file")
        if use.neural == "never" or use.is_auto:
            raise OptionError(f"{path} holds a network alone: there is no {NGRAM} in it")
        return use.alone(_from_onnx(path, precision), None)
    if not has_network and not any((path / name).exists() for name in (CONFIG, SETTINGS)):
        use.check_ngram(ngram, precision)
        return _from_ngram(ngram, verify)
    if use.neural == "only":
        return use.alone(_from_onnx(path, precision), ngram)
    small = _from_ngram(ngram, verify)
    if use.neural == "never":
        return small
    notice = None
    if not has_network:
        notice = f"{path} holds no network, so the n-gram answers alone"
    elif find_spec("onnxruntime") is None:
        notice = "onnxruntime is not installed, so the n-gram answers alone: pip install 'ngramgen[neural]'"
    if notice is None:
        try:
            large = _from_onnx(path, precision)
        except ModelFormatError as error:
            notice = f"{error}; the n-gram answers alone"
    if notice is not None:
        return replace(small, notices=[*small.notices, notice])
    settings = read_settings(path, evidence_size(small.model.table))
    about = large.about | ({"tuned_on": settings.about} if settings.about else {})
    return replace(large, model=use.model(path, small.model, large.model, settings), about=about, check=small.check)


def _from_ngram(path: Path, verify: bool) -> TextModel:
    model, cleaning, about = load_ngram(path, verify)
    assert isinstance(model.tokenizer, TextTokenizer)
    return TextModel(model, model.tokenizer, Cleaner(cleaning), about, check=partial(check_ngram, path, model))


def _from_onnx(path: Path, precision: str | None) -> TextModel:
    model = OnnxModel(path, precision)
    about = dict(model.layout.about)
    steps = about.pop("cleaning", ())
    try:
        cleaner = Cleaner(steps)
    except (OptionError, TypeError, AttributeError):
        raise ModelFormatError(f"{model.layout.folder / TRAINING} names a cleaning that is not known") from None
    return TextModel(model, model.tokenizer, cleaner, about)


def _from_arpa(path: Path, lenient: bool) -> TextModel:
    table, tokens = read_arpa(path, lenient=lenient)
    tokenizer = Tokenizer("whitespace", Vocabulary.from_tokens(tokens))  # the format knows no other
    about: dict[str, Any] = {"source": "ARPA", "orders": [{"kept": n, "total": n} for n in table.sizes]}
    return TextModel(NgramModel(table, tokenizer), tokenizer, Cleaner(), about)
