"""`load`: a model from whatever names one. The one place that knows every engine."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ngramgen.errors import ModelFormatError, ModelNotFoundError, NgramgenError, OptionError
from ngramgen.hybrid.folder import NGRAM, read_settings
from ngramgen.hybrid.model import HybridModel
from ngramgen.model import TextTokenizer
from ngramgen.neural.layout import TRAINING, is_network
from ngramgen.neural.model import OnnxModel
from ngramgen.ngram.arpa_reader import read_arpa
from ngramgen.ngram.arpa_source import GZIP
from ngramgen.ngram.evidence import evidence_size
from ngramgen.ngram.file import MAGIC
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.storage import check_ngram, load_ngram
from ngramgen.text.cleaning import Cleaner
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary
from ngramgen.textmodel import TextModel

NEURAL = ("never", "always", "only")
"""How much the network of a folder takes part."""

_HEAD = 1 << 16  # bytes in which an ARPA file says that it is one


def load(
    name: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    *,
    neural: str | None = None,
    lenient: bool = False,
    verify: bool = False,
) -> TextModel:
    """A model from a .ngram file, an ARPA file (``.arpa``, ``.gz``), or a folder with a network or an .onnx file of it.

    None stands for the shipped model. A folder that holds a network and an n-gram, ``model.ngram``, is both as one:
    ``neural`` is "always" for their mixture at every token, "only" for the network alone, "never" for the n-gram alone.
    Without it, it is "always", or "never" with a notice where onnxruntime is not installed or the network is missing.
    ``precision`` picks among the forms of a network: "float32", "float16", "int8" or "q4". ``lenient`` takes ARPA files
    with the habits of other programs, ``verify`` checks all bytes of a .ngram file.
    Load networks from people you trust alone. Raises ModelNotFoundError, ModelFormatError, ArpaError, TokenizerError,
    OptionError, and MissingDependencyError for a network without the extra ``neural``.
    """
    if name is None:
        raise ModelNotFoundError(
            "no model is shipped with this version: name one, or train it first, "
            "as in: ngramgen train TEXTFILE -o model.ngram"
        )
    if neural not in (None, *NEURAL):
        raise OptionError(f"neural must be one of {', '.join(NEURAL)}, not {neural!r}")
    path = Path(name)
    try:
        if path.is_dir():
            return _from_folder(path, precision, neural, verify)
        if is_network(path):
            if neural == "never":
                raise OptionError(f"{path} is a network alone; name a folder that holds an n-gram, too")
            return _from_onnx(path, precision)
        if not path.exists():
            raise ModelNotFoundError(
                f"there is no model {str(name)!r}: give the path of a .ngram or ARPA file, or the folder of a network"
            )
        if not path.is_file():  # opening a pipe would wait for its writer
            raise ModelNotFoundError(f"{path} is a pipe or a device; a model needs a file")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except NgramgenError:
        raise
    except OSError as error:
        raise ModelNotFoundError(f"the model {path} cannot be read: {error.strerror}") from None
    if precision is not None:
        raise OptionError(f"{path} is no network, so there is no precision to choose")
    if neural in ("always", "only"):
        raise OptionError(f"{path} is no network; name the folder of one")
    if head.startswith(MAGIC) or path.suffix == ".ngram":
        return _from_ngram(path, verify)
    if not head.startswith(GZIP) and b"\\data\\" not in head and path.suffix != ".arpa":
        raise ModelFormatError(f"{path} is no model: neither a .ngram file nor an ARPA file")
    return _from_arpa(path, lenient)


def _from_folder(path: Path, precision: str | None, neural: str | None, verify: bool) -> TextModel:
    ngram, has_network = path / NGRAM, is_network(path)
    if not ngram.is_file():
        if not has_network:
            raise ModelNotFoundError(f"{path} is a folder without a network; name a .ngram or ARPA file")
        if neural == "never":
            raise OptionError(f"{path} holds a network alone: there is no {NGRAM} in it")
        return _from_onnx(path, precision)
    if neural == "only":
        return _from_onnx(path, precision)
    small = _from_ngram(ngram, verify)
    if neural == "never":
        return small
    if neural is None and not has_network:
        return replace(small, notices=[*small.notices, f"{path} holds no network, so the n-gram answers alone"])
    if neural is None and find_spec("onnxruntime") is None:
        notice = "onnxruntime is not installed, so the n-gram answers alone: pip install 'ngramgen[neural]'"
        return replace(small, notices=[*small.notices, notice])
    large = _from_onnx(path, precision)
    weighting, about = read_settings(path, evidence_size(small.model.table))
    model = HybridModel(small.model, large.model, weighting)
    return replace(large, model=model, about=large.about | ({"tuned_on": about} if about else {}), check=small.check)


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
