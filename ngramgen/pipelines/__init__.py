"""Hugging Face's face: `pipeline("text-generation")` takes and returns what `transformers.pipeline` does.

>>> generator = pipeline("text-generation", model="fables.ngram")   # doctest: +SKIP
>>> generator("Once upon a time", max_new_tokens=8, seed=1)   # doctest: +SKIP
[{'generated_text': 'Once upon a time there was a king'}]
"""

from __future__ import annotations

import os
from typing import Any

from ngramgen.errors import ModelNotFoundError, OptionError
from ngramgen.loading import load
from ngramgen.pipelines.generation import TextGenerationPipeline
from ngramgen.pipelines.tokenizer import PipelineTokenizer
from ngramgen.sampling.checks import refusal
from ngramgen.shipped import shipped_models
from ngramgen.textmodel import TextModel

__all__ = ["PipelineTokenizer", "TextGenerationPipeline", "pipeline"]

_TASKS = {"text-generation": TextGenerationPipeline}

# Where a model comes from and where it runs: an n-gram is a file on this machine, and runs on its processor.
_WITHOUT_EFFECT: dict[str, tuple[type, ...]] = {
    "revision": (str,),
    "code_revision": (str,),
    "framework": (str,),
    "token": (str, bool),
    "use_auth_token": (str, bool),
    "trust_remote_code": (bool,),
    "local_files_only": (bool,),
    "use_fast": (bool,),
    "device_map": (str, int, dict),
    "dtype": (object,),
    "torch_dtype": (object,),
    "model_kwargs": (dict,),
    "binary_output": (bool,),
}
_PARTS = ("config", "feature_extractor", "image_processor", "video_processor", "processor", "pipeline_class")


def pipeline(
    task: str | None = None,
    model: str | os.PathLike[str] | TextModel | None = None,
    *,
    tokenizer: Any = None,
    **arguments: Any,
) -> TextGenerationPipeline:
    """A callable that continues texts and chats; ``model`` is a `TextModel` or what `ngramgen.load` takes.

    Without a model it is the default of those that are shipped. Other arguments are the defaults of its calls (see
    `TextGenerationPipeline`), or of ``transformers.pipeline`` and without effect here (see docs/pipeline.md). Raises
    OptionError, ModelNotFoundError, ModelFormatError.

    >>> pipeline("text-generation", model="fables.ngram", device=0)   # doctest: +SKIP
    """
    kind = _TASKS.get("text-generation" if task is None else task) if isinstance(task, str | None) else None
    if kind is None:
        raise OptionError(f"there is no task {task!r}; the tasks are {', '.join(_TASKS)}")
    calls = _without_origin(arguments)
    loaded = _loaded(model)
    if not _is_own(tokenizer, loaded, model):
        raise OptionError("a model carries its own tokenizer: leave the argument tokenizer out")
    return kind(loaded, **calls)


def _without_origin(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are defaults of the calls; those of the origin and the machine are checked and left out."""
    left = {}
    for name, value in arguments.items():
        if name in _PARTS:
            if value is not None:
                raise OptionError(f"an n-gram model has no {name}: leave that argument out")
        elif name == "device":
            _check_device(value)
        elif name in _WITHOUT_EFFECT:
            if value is not None and not isinstance(value, _WITHOUT_EFFECT[name]):
                kinds = " or ".join(kind.__name__ for kind in _WITHOUT_EFFECT[name])
                raise refusal(name, value, f"of type {kinds}, or None")
        else:
            left[name] = value
    return left


def _check_device(value: object) -> None:
    is_named = isinstance(value, str | None) or hasattr(value, "type")  # torch.device has a type, such as "cuda"
    if not is_named and (isinstance(value, bool) or not isinstance(value, int)):
        raise refusal("device", value, "a number, a name such as 'cpu', a torch.device or None")


def _loaded(model: object) -> TextModel:
    if isinstance(model, TextModel):
        return model
    if model is not None and not isinstance(model, str | os.PathLike):
        raise OptionError(f"a model is a name, a path or a TextModel, not {type(model).__name__}")
    try:
        return load(model)
    except ModelNotFoundError as error:
        if model is None or os.path.exists(model) or os.fspath(model) in shipped_models():
            raise
        raise ModelNotFoundError(
            f"{error} (the names of the Hugging Face hub are not known here); "
            "train one with: ngramgen train TEXTFILE -o model.ngram"
        ) from None


def _is_own(tokenizer: object, loaded: TextModel, model: object) -> bool:
    """Whether a tokenizer, or the name of the place it comes from, is the model's own."""
    if tokenizer is None or isinstance(tokenizer, str | os.PathLike):
        return tokenizer is None or tokenizer == model
    if isinstance(tokenizer, PipelineTokenizer):
        return tokenizer.model is loaded
    return tokenizer is loaded.tokenizer
