"""A network's weights as the files from which it is run.

>>> export_network("model", config, weights)                       # doctest: +SKIP
['model.onnx', 'model_int8.onnx', 'config.json']
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.atomic import replacing
from ngramgen.errors import MissingDependencyError, ModelFormatError, OptionError
from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.graph import Weights, build
from ngramgen.neural.quantising import quantised

FILES = {"float32": "model.onnx", "int8": "model_int8.onnx", "q4": "model_q4.onnx"}
"""The file of each precision."""

TOLERANCE = 1e-4
"""How far a logit in float32 may be from the reference's."""

Reference = Callable[[NDArray[np.int64]], NDArray[np.floating[Any]]]


def export_network(
    folder: str | os.PathLike[str],
    config: NetworkConfig,
    weights: Weights,
    precisions: Sequence[str] = ("float32", "int8"),
    reference: Reference | None = None,
) -> list[str]:
    """Write an ONNX file for each precision, then config.json, into a folder that is there; gives their names.

    Each model is run by ONNX Runtime before any file is written, and has to give finite logits; in float32, those of
    the ``reference`` within `TOLERANCE` of the largest, if one is passed: a function from ids (1, T) int64 to logits
    (1, T, V). Files appear whole or not at all. A file of another precision that is there is written anew, too, so that
    all hold these weights.

    Raises OptionError for an unknown precision or sizes that the runtime cannot take, ModelFormatError for weights that
    do not fit the config or fail the check, MissingDependencyError without onnx or onnxruntime, and OSError.
    """
    if not precisions:
        raise OptionError(f"at least one precision is needed, of {', '.join(FILES)}")
    for precision in precisions:
        if precision not in FILES:
            raise OptionError(f"precision must be one of {', '.join(FILES)}, not {precision!r}")
    wanted = [name for name, file in FILES.items() if name in precisions or (Path(folder) / file).exists()]
    models = _models(config, weights, wanted)
    ids = _probe(config)
    for precision, model in models.items():
        expected = reference(ids) if reference is not None and precision == "float32" else None
        _check(model, FILES[precision], config, ids, expected)
    return _write(Path(folder), config, models)


def _models(config: NetworkConfig, weights: Weights, precisions: Sequence[str]) -> dict[str, bytes]:
    """What each precision's file holds."""
    plain = build(config, weights)
    models = {name: plain if name == "float32" else quantised(plain, name) for name in precisions}
    return {name: model.SerializeToString() for name, model in models.items()}


def _probe(config: NetworkConfig) -> NDArray[np.int64]:
    """Ids (1, T) from all over the vocabulary."""
    places = min(config.context, 32)
    return np.linspace(0, config.vocab_size - 1, places).astype(np.int64)[None]


def _check(
    model: bytes, name: str, config: NetworkConfig, ids: NDArray[np.int64], expected: NDArray[Any] | None
) -> None:
    logits = _logits(_session(model, name), config, ids)
    if not np.isfinite(logits).all():
        raise ModelFormatError(f"{name} is not written: its network gives logits that are no numbers; train it anew")
    if expected is None:
        return
    found, most = np.abs(logits - expected).max(), TOLERANCE * max(1, np.abs(expected).max())
    if not found <= most:
        raise ModelFormatError(
            f"{name} is not written: its logits differ from those of the trained network by {found:.2g}, "
            f"which is more than {most:.2g}"
        )


def _session(model: bytes, name: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError(
            "checking ONNX files needs the package onnxruntime: pip install 'ngramgen[neural]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what it would log as an error is raised, too
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has no class of its own above its errors
        raise ModelFormatError(
            f"{name} is not written: onnxruntime {onnxruntime.__version__} cannot load it; "
            f"update it, or leave this precision out ({error})"
        ) from error


def _logits(session: Any, config: NetworkConfig, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits (1, T, V) of ids (1, T), nothing before them."""
    feed: dict[str, NDArray[Any]] = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    nothing = np.zeros((1, config.kv_heads, 0, config.head_dim), np.float32)
    feed.update((entry.name, nothing) for entry in session.get_inputs() if entry.name not in feed)
    logits: NDArray[np.float32] = session.run(["logits"], feed)[0]
    return logits


def _write(folder: Path, config: NetworkConfig, models: dict[str, bytes]) -> list[str]:
    contents = {FILES[precision]: model for precision, model in models.items()}
    contents["config.json"] = config.to_json().encode()
    for name, content in contents.items():
        with replacing(folder / name) as file:
            file.write(content)
    return list(contents)
