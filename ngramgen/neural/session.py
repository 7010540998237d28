"""A session of ONNX Runtime over a decoder's file, what its graph takes and gives being checked before it runs.

The graph is laid out as Hugging Face's exports are: ``input_ids`` and ``attention_mask`` with ``past_key_values.N.key``
and ``.value`` make ``logits`` and ``present.N.key`` and ``.value``. Some want positions and the like besides.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import MissingDependencyError, ModelFormatError
from ngramgen.neural.external_data import check_external_data

Ids = NDArray[np.int64]
Array = NDArray[Any]

LOGITS = "logits"
HIDDEN = "last_hidden_state"
_SILENT = 4  # what is fatal alone is logged: errors are raised
_DTYPES = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
_WHOLE, _REAL = ("tensor(int64)", "tensor(int32)"), ("tensor(float)", "tensor(float16)")

# What graphs want besides the cache, made of the ids (B, T), how many came before, and how many logits are wanted.
_FEEDS: dict[str, Callable[[Ids, int, int], Array]] = {
    "input_ids": lambda ids, past, last: ids,
    "attention_mask": lambda ids, past, last: np.ones((len(ids), past + ids.shape[1]), np.int64),
    "position_ids": lambda ids, past, last: np.repeat(np.arange(past, past + ids.shape[1])[None], len(ids), axis=0),
    "cache_position": lambda ids, past, last: np.arange(past, past + ids.shape[1]),
    "num_logits_to_keep": lambda ids, past, last: np.array(last),
    "use_cache_branch": lambda ids, past, last: np.array([past > 0]),
}
_RANKS: dict[str, tuple[int, ...]] = {
    "input_ids": (2,),
    "attention_mask": (2,),
    "position_ids": (2,),
    "cache_position": (1,),
}
_RANKS |= {"num_logits_to_keep": (0, 1), "use_cache_branch": (1,)}
_TYPES = dict.fromkeys(_FEEDS, _WHOLE) | {"use_cache_branch": ("tensor(bool)",)}
_PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")


@dataclass(frozen=True)
class CachePart:
    """The keys or the values of a layer: names of the input and the output, and the shape (B, heads, T, head_dim)."""

    past: str
    present: str
    heads: int
    head_dim: int
    dtype: np.dtype[Any]

    def empty(self, batch: int, length: int) -> Array:
        return np.zeros((batch, self.heads, length, self.head_dim), self.dtype)


class Session:
    """An open decoder. Safe to share between threads, of no use in a forked process.

    Raises ModelFormatError for a file that is damaged, whose weights lie outside its folder, or whose inputs and
    outputs are not those of a decoder; and MissingDependencyError without onnxruntime.
    """

    def __init__(self, path: Path, threads: int, heads: tuple[int, int] | None = None) -> None:
        """``heads`` are the number of key heads and their width, for graphs that leave them open."""
        self.path = path
        self.runtime = import_onnxruntime()
        try:
            check_external_data(path)
        except OSError as error:
            raise ModelFormatError(f"{path} cannot be read: {error.strerror}") from None
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        try:
            self.session = self.runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors have no class of their own
            raise ModelFormatError(f"{path} cannot be run: {_sentence(error)}") from None
        self._inputs = {one.name: one for one in self.session.get_inputs()}
        self._outputs = {one.name: one for one in self.session.get_outputs()}
        self.cache_parts = [self._cache_part(name, heads) for name in self._inputs if _PAST.fullmatch(name)]
        self._check()

    def _check(self) -> None:
        for name in ("input_ids", LOGITS):
            if name not in self._inputs and name not in self._outputs:
                raise ModelFormatError(f"{self.path} is no decoder: it has no {name}")
        if not self.cache_parts:
            raise ModelFormatError(
                f"{self.path} has no inputs past_key_values.N.key: export it with its cache, "
                "as optimum does for the task text-generation-with-past"
            )
        for name, one in self._inputs.items():
            if name in _FEEDS:
                self._check_one(one, _RANKS[name], _TYPES[name])
            elif not _PAST.fullmatch(name):
                raise ModelFormatError(f"{self.path} has an input {name!r}, which this version cannot give it")
        for name in (LOGITS, HIDDEN):
            if name in self._outputs:
                self._check_one(self._outputs[name], (3,), _REAL)

    def _cache_part(self, name: str, heads: tuple[int, int] | None) -> CachePart:
        one, present = self._inputs[name], name.replace("past_key_values", "present")
        self._check_one(one, (4,), _REAL)
        if present not in self._outputs:
            raise ModelFormatError(f"{self.path} has the input {name}, but no output {present}")
        self._check_one(self._outputs[present], (4,), (one.type,))
        sizes = one.shape[1], one.shape[3]
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            if heads is None:
                raise ModelFormatError(
                    f"{self.path}: neither {name} nor config.json tells the number of heads and their width"
                )
            sizes = heads
        return CachePart(name, present, *sizes, np.dtype(_DTYPES[one.type]))

    def _check_one(self, one: Any, ranks: tuple[int, ...], types: Sequence[str]) -> None:
        if one.type not in types:
            raise ModelFormatError(f"{self.path}: {one.name} is of the type {one.type}, not {' or '.join(types)}")
        # an empty shape stands for an unknown one too
        if one.shape and len(one.shape) not in ranks:
            raise ModelFormatError(f"{self.path}: {one.name} has {len(one.shape)} dimensions, not {ranks[0]}")
        fixed = [size for size in one.shape[: 1 if len(one.shape) in (3, 4) else 2] if isinstance(size, int)]
        if fixed and one.name in ("input_ids", "attention_mask", "position_ids", LOGITS):
            raise ModelFormatError(f"{self.path}: {one.name} has a fixed shape; export it with dynamic axes")

    @cached_property
    def vocab_size(self) -> int | None:
        """How many logits a token has, where the graph tells."""
        size = self._outputs[LOGITS].shape[-1:]
        return size[0] if size and isinstance(size[0], int) else None

    @cached_property
    def pairs_rows(self) -> bool:
        """Whether the runtime computes an odd row by other instructions than pairs of rows, as some processors do.

        Then a token's logits would depend on what else is in the call, unless all calls are of an even number of rows.
        """
        ids = np.arange(4)[:, None]
        together = self.run(ids, LOGITS)
        return any(not np.array_equal(self.run(ids[i : i + 1], LOGITS)[0], together[i]) for i in range(len(ids)))

    @property
    def has_hidden(self) -> bool:
        """Whether it gives the last hidden states."""
        return HIDDEN in self._outputs

    def feeds(self, ids: Ids, past: int, last: int) -> dict[str, Array]:
        """All inputs but the cache for ids (B, T) behind ``past`` tokens, when the ``last`` logits are wanted."""
        found: dict[str, Array] = {}
        for name, one in self._inputs.items():
            if name in _FEEDS:
                value = _FEEDS[name](ids, past, last)
                if len(one.shape) == 1 and not value.ndim:
                    value = value[None]
                found[name] = np.array(value, _DTYPES[one.type], order="C")
        return found

    def run(self, ids: Ids, output: str) -> NDArray[np.float32]:
        """An output (B, T, ...) for ids (B, T) with nothing before them."""
        feeds = self.feeds(ids, 0, ids.shape[1])
        feeds |= {part.past: part.empty(len(ids), 0) for part in self.cache_parts}
        try:
            return _floats(self.session.run([output], feeds)[0])
        except Exception as error:
            raise failure(self.path, error) from None

    def run_values(self, feeds: dict[str, Any]) -> tuple[NDArray[np.float32], list[Any]]:
        """Logits, and the cache as the runtime's own values, for feeds of such values."""
        names = [LOGITS, *(part.present for part in self.cache_parts)]
        try:
            logits, *present = self.session.run_with_ort_values(names, feeds)
            return _floats(logits.numpy()), present
        except Exception as error:
            raise failure(self.path, error) from None

    def value(self, array: Array) -> Any:
        """An array as a value of the runtime, which keeps it alive and reads its memory."""
        return self.runtime.OrtValue.ortvalue_from_numpy(array)


class Sessions:
    """The session of each process, made when it is first asked for: one does not live through a fork."""

    def __init__(self, path: Path, threads: int, heads: tuple[int, int] | None = None) -> None:
        self._arguments = path, threads, heads
        self._made: tuple[int, Session] | None = None

    def get(self) -> Session:
        made = self._made
        if made is None or made[0] != os.getpid():
            # two threads may both make one: a lock could be held in the moment of a fork
            made = self._made = os.getpid(), Session(*self._arguments)
        return made[1]


def failure(path: Path, error: Exception) -> Exception:
    """What to raise for an error of the runtime, which has classes of its own for none."""
    if isinstance(error, MemoryError):
        return error
    return ModelFormatError(f"{path} fails as it runs: {_sentence(error)}")


def import_onnxruntime() -> Any:
    """The package onnxruntime. Raises MissingDependencyError where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError(
            "running a network needs the package onnxruntime: pip install 'ngramgen[neural]'"
        ) from None
    return onnxruntime


def _floats(array: Array) -> NDArray[np.float32]:
    return array if array.dtype == np.float32 else array.astype(np.float32)


def _sentence(error: BaseException) -> str:
    """The first line of what the runtime says, which likes to say a lot."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:300] + " ..."
