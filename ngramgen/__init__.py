"""Text generation, next-word suggestion and text scoring with smoothed n-gram models.

>>> import ngramgen
>>> model = ngramgen.train(ngramgen.sample_text(), order=3)  # doctest: +SKIP
>>> model.generate("Once upon a time", seed=1)  # doctest: +SKIP

Public names are resolved on first use (PEP 562): numpy alone would cost every ``ngramgen --help`` 0.2 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngramgen.errors import (
    ArpaError,
    ConstraintError,
    CorpusError,
    MissingDependencyError,
    ModelFormatError,
    ModelNotFoundError,
    NgramgenError,
    NoPromptError,
    OptionError,
    PromptTypeError,
    TokenizerError,
    TrainingError,
)

__version__ = "0.1.0"

__all__ = [
    "ArpaError",
    "Cleaner",
    "ConstraintError",
    "Constraints",
    "CorpusError",
    "MissingDependencyError",
    "ModelFormatError",
    "ModelNotFoundError",
    "NgramgenError",
    "NoPromptError",
    "OptionError",
    "PromptTypeError",
    "SamplingOptions",
    "TextModel",
    "TokenizerError",
    "TrainingError",
    "__version__",
    "load",
    "pipeline",
    "sample_text",
    "train",
]

if TYPE_CHECKING:
    from ngramgen.loading import load
    from ngramgen.pipelines import pipeline
    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.options import SamplingOptions
    from ngramgen.shipped import sample_text
    from ngramgen.text.cleaning import Cleaner
    from ngramgen.textmodel import TextModel
    from ngramgen.training import train
else:  # a type checker that saw __getattr__ would believe in every name
    _HOMES = {
        "Cleaner": "ngramgen.text.cleaning",
        "Constraints": "ngramgen.sampling.constraints",
        "SamplingOptions": "ngramgen.sampling.options",
        "TextModel": "ngramgen.textmodel",
        "load": "ngramgen.loading",
        "pipeline": "ngramgen.pipelines",
        "sample_text": "ngramgen.shipped",
        "train": "ngramgen.training",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'ngramgen' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value  # the next access does not come here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
