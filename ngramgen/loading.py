"""`load`: a model from whatever names one. The one place that knows every engine."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from ngramgen.errors import ModelFormatError, ModelNotFoundError, NgramgenError, OptionError
from ngramgen.model import TextTokenizer
from ngramgen.neural.layout import TRAINING, is_network
from ngramgen.neural.model import OnnxModel
from ngramgen.ngram.arpa_reader import read_arpa
from ngramgen.ngram.arpa_source import GZIP
from ngramgen.ngram.file import MAGIC
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.storage import check_ngram, load_ngram
from ngramgen.text.cleaning import Cleaner
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary
from ngramgen.textmodel import TextModel

_HEAD = 1 << 16  # bytes in which an ARPA file says that it is one


def load(
    name: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    *,
    lenient: bool = False,
    verify: bool = False,
) -> TextModel:
    """A model from a .ngram file, an ARPA file (``.arpa``, ``.gz``), or a folder with a network or an .onnx file of it.

    None stands for the shipped model. ``precision`` picks among the forms of a network: "float32", "float16", "int8" or
    "q4". ``lenient`` takes ARPA files with the habits of other programs, ``verify`` checks all bytes of a .ngram file.
    Load networks from people you trust alone. Raises ModelNotFoundError, ModelFormatError, ArpaError, TokenizerError,
    OptionError, and MissingDependencyError for a network without the extra ``neural``.
    """
    if name is None:
        raise ModelNotFoundError(
            "no model is shipped with this version: name one, or train it first, "
            "as in: ngramgen train TEXTFILE -o model.ngram"
        )
    path = Path(name)
    try:
        if is_network(path):
            return _from_onnx(path, precision)
        if path.is_dir():
            raise ModelNotFoundError(f"{path} is a folder without a network; name a .ngram or ARPA file")
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
    if head.startswith(MAGIC) or path.suffix == ".ngram":
        return _from_ngram(path, verify)
    if not head.startswith(GZIP) and b"\\data\\" not in head and path.suffix != ".arpa":
        raise ModelFormatError(f"{path} is no model: neither a .ngram file nor an ARPA file")
    return _from_arpa(path, lenient)


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
