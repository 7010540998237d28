"""The keys and values of the tokens that a network has read, in the two ways that graphs handle them.

Both append the tokens that are run behind the first ``past`` ones and forget whatever else they held, so going back is
only a smaller number.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ngramgen.neural.session import LOGITS, Array, Ids, Session, failure

Floats = NDArray[np.float32]

_FIRST = 64  # tokens for which there is room at first


class KeyValues(Protocol):
    """What a batch of sequences has left in a network."""

    def run(self, session: Session, ids: Ids, past: int, last: int) -> Floats:
        """Reads ids (B, T) behind the first ``past`` tokens; gives logits of the last ones (B, last, V).

        They may stand in memory that the next run uses again.
        """
        ...

    def select(self, rows: NDArray[Any], length: int) -> KeyValues:
        """A copy of the first ``length`` tokens of the given rows."""
        ...


class Concatenated:
    """For graphs whose output is the input with the new tokens behind it, as Hugging Face's are."""

    def __init__(self, values: list[Any] | None = None) -> None:
        self._values = values
        self._length = 0 if values is None else values[0].shape()[2]

    def run(self, session: Session, ids: Ids, past: int, last: int) -> Floats:
        count = ids.shape[1]
        if len(ids) > 1 and past and count > 1:  # GroupQueryAttention, which some graphs have, goes on so with one row
            parts = [self.run(session, ids[:, i : i + 1], past + i, 1) for i in range(count)]
            return np.concatenate(parts[count - last :], axis=1)
        feeds = {name: session.value(array) for name, array in session.feeds(ids, past, last).items()}
        for part, value in zip(session.cache_parts, self._first(session, len(ids), past), strict=True):
            feeds[part.past] = value
        logits, self._values = session.run_values(feeds)  # should it fail, what was there stays
        self._length = past + count
        return logits[:, logits.shape[1] - last :]

    def _first(self, session: Session, batch: int, past: int) -> list[Any]:
        if self._values is None or not past:
            return [session.value(part.empty(batch, 0)) for part in session.cache_parts]
        if past == self._length:
            return self._values
        return [session.value(np.ascontiguousarray(value.numpy()[:, :, :past])) for value in self._values]

    def select(self, rows: NDArray[Any], length: int) -> Concatenated:
        if self._values is None:
            return Concatenated()
        from onnxruntime import OrtValue

        copies = [np.ascontiguousarray(value.numpy()[:, :, :length][rows]) for value in self._values]
        return Concatenated([OrtValue.ortvalue_from_numpy(array) for array in copies])


class Shared:
    """For graphs with GroupQueryAttention, which writes the new tokens into the buffer that it reads the others from.

    The buffers have room for some tokens more; they double as they fill up, to the network's context at most. With
    ``even`` calls are filled up to an even number of rows where the session asks for it (`Session.pairs_rows`): by one
    more sequence, or where the operator takes but one, by one more token.
    """

    def __init__(self, context: int, even: bool, buffers: list[Array] | None = None) -> None:
        self._context, self._even = context, even
        self._buffers = buffers
        self._bound: _Binding | None = None
        self._row: Shared | None = None  # the first row alone, bound once

    def run(self, session: Session, ids: Ids, past: int, last: int) -> Floats:
        batch, count = ids.shape
        even = self._even and session.pairs_rows
        rows = batch + (batch % 2 if even else 0)  # one of no account beside them
        buffers = self._with_room(session, rows, past, min(self._context, past + count + even))
        if past and count > 1 and rows > 1:  # the operator continues a single sequence by many tokens, but no batch
            if batch == 1:
                self._row = self._row or self._alone(buffers, 0)
                return self._row._continued(session, ids, past)[:, count - last :]
            parts = [self._alone(buffers, i)._continued(session, ids[i : i + 1], past) for i in range(batch)]
            return np.concatenate(parts)[:, count - last :]
        if rows > batch:
            ids = np.concatenate([ids, ids[-1:]])
        return self._run(session, ids, past)[:batch, count - last :]

    def _alone(self, buffers: list[Array], row: int) -> Shared:
        return Shared(self._context, self._even, [buffer[row : row + 1] for buffer in buffers])

    def _continued(self, session: Session, ids: Ids, past: int) -> Floats:
        """Logits of ids (1, T) behind the tokens of buffers of one row, which have room."""
        count, buffers = ids.shape[1], self._buffers or []
        if not (self._even and session.pairs_rows and count % 2):
            return self._run(session, ids, past)
        if past + count < self._context:  # a token of no account behind them, which the next one overwrites
            return self._run(session, np.concatenate([ids, ids[:, -1:]], axis=1), past)[:, :count]
        first, end = self._run(session, ids[:, :-1], past).copy(), past + count
        twins = self.select(np.zeros(2, np.int64), end - 1)
        second = twins._run(session, np.repeat(ids[:, -1:], 2, axis=0), end - 1)
        for buffer, both in zip(buffers, twins._buffers or [], strict=True):
            buffer[:, :, end - 1] = both[:1, :, end - 1]
        return np.concatenate([first, second[:1]], axis=1)

    def _run(self, session: Session, ids: Ids, past: int) -> Floats:
        buffers = self._with_room(session, len(ids), past, past + ids.shape[1])
        if self._bound is None or self._bound.session is not session:
            self._bound = _Binding(session, buffers)
        return self._bound.run(ids, past)

    def _with_room(self, session: Session, batch: int, past: int, needed: int) -> list[Array]:
        if self._buffers is None or self._buffers[0].shape[2] < needed or len(self._buffers[0]) != batch:
            old = self._buffers
            room = min(self._context, max(_FIRST, 1 << (needed - 1).bit_length()))
            made = [part.empty(batch, max(room, needed)) for part in session.cache_parts]
            if old is not None and past:
                rows = min(batch, len(old[0]))
                for new, values in zip(made, old, strict=True):
                    new[:rows, :, :past] = values[:rows, :, :past]
            self._buffers, self._bound, self._row = made, None, None
        return self._buffers

    def select(self, rows: NDArray[Any], length: int) -> Shared:
        if self._buffers is None:
            return Shared(self._context, self._even)
        made = []
        for buffer in self._buffers:
            new = np.zeros((len(rows), *buffer.shape[1:]), buffer.dtype)
            new[:, :, :length] = buffer[:, :, :length][rows]
            made.append(new)
        return Shared(self._context, self._even, made)


class _Binding:
    """Buffers bound to a session; running one token more a row then binds no more than the mask."""

    def __init__(self, session: Session, buffers: list[Array]) -> None:
        self.session = session
        self._buffers = buffers  # not every runtime keeps alive what is bound
        self._io = session.session.io_binding()
        self._shape: tuple[int, int] | None = None
        self._ids: Ids = np.zeros((0, 0), np.int64)
        self._logits: Floats = np.zeros((0, 0, 0), np.float32)
        self._batch = len(buffers[0])
        self._ones = np.ones(self._batch * buffers[0].shape[2], np.int64)
        for part, buffer in zip(session.cache_parts, buffers, strict=True):
            value = session.value(buffer)
            self._io.bind_ortvalue_input(part.past, value)
            self._io.bind_ortvalue_output(part.present, value)

    def run(self, ids: Ids, past: int) -> Floats:
        if self._shape != ids.shape:
            self._bind(ids.shape)
        self._ids[...] = ids
        total = past + ids.shape[1]
        mask = self._ones[: self._batch * total].reshape(self._batch, total)
        self._io.bind_ortvalue_input("attention_mask", self.session.value(mask))
        try:
            self.session.session.run_with_iobinding(self._io)
        except Exception as error:
            raise failure(self.session.path, error) from None
        return self._logits

    def _bind(self, shape: tuple[int, ...]) -> None:
        width = self.session.vocab_size
        assert width is not None  # our own graphs tell
        self._ids, self._logits = np.zeros(shape, np.int64), np.empty((*shape, width), np.float32)
        self._io.bind_ortvalue_input("input_ids", self.session.value(self._ids))
        self._io.bind_ortvalue_output(LOGITS, self.session.value(self._logits))
        self._shape = (shape[0], shape[1])
