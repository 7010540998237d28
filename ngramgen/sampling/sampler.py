"""Draws sequences from any LanguageModel: many at once, or one token by token.

Sequence i uses child seed i and one uniform number a token, so what it says depends neither on the batch it
ran in nor on the other sequences.

>>> from ngramgen.sampling import SamplingOptions, generate
>>> next(generate(model, [[17, 4]], SamplingOptions(), seed=1)).finish_reason   # doctest: +SKIP
'eos'
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.model import EOS
from ngramgen.randomness import child_seeds, uniforms
from ngramgen.sampling.draw import draw, greedy
from ngramgen.sampling.filters import build_filters
from ngramgen.sampling.growing import Continuation
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.options import check_int

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ngramgen.model import FloatArray, IntArray, LanguageModel, State
    from ngramgen.sampling.options import SamplingOptions

    Ids: TypeAlias = NDArray[np.int32]
    Seeds: TypeAlias = NDArray[np.uint64]

_SCORED_TOGETHER = 256  # sequences whose log-probabilities an engine gives in one call
_BLOCK = 2**21  # log-probabilities filtered at a time: 16 MB a copy, however large batch and vocabulary

FinishReason: TypeAlias = Literal["stop", "length", "eos"]


@dataclass(frozen=True, eq=False)
class Generated:
    """One generated sequence.

    Attributes:
        ids: The new tokens, (T,) int32, without ``</s>``.
        logprob: Natural log-probability of the new tokens under the model itself, filters apart, with ``</s>``
            where it ended the sequence; None where it was not asked for.
        finish_reason: "eos" after ``</s>``, "stop" after a stop string, "length" at max_new_tokens.
        text_end: Characters of the decoded continuation before the stop string; None where none came.
    """

    ids: IntArray
    logprob: float | None
    finish_reason: FinishReason
    text_end: int | None = None


def generate(
    model: LanguageModel,
    prompts: Sequence[ArrayLike],
    options: SamplingOptions,
    *,
    seed: int | None = None,
    first_index: int = 0,
    batch_size: int = 64,
    with_logprob: bool = True,
) -> Iterator[Generated]:
    """One sequence for each prompt (T,) of ids, in order; the i-th is sequence number first_index + i.

    Raises OptionError, before anything is drawn, for a prompt that holds an id outside the vocabulary.

    >>> for one in generate(model, [[17, 4]] * 3, options, seed=1):   # doctest: +SKIP
    ...     print(one.ids, one.logprob)
    """
    batch_size = check_int("batch_size", batch_size)
    first_index = check_int("first_index", first_index)
    distinct = {id(prompt): _checked(prompt, model.vocab_size) for prompt in {id(p): p for p in prompts}.values()}
    rows = [distinct[id(prompt)] for prompt in prompts]
    seeds = child_seeds(seed, first_index, len(rows))
    if _is_direct(model, options):
        return _direct(model, rows, options, seeds, with_logprob)
    return _in_batches(model, rows, options, seeds, batch_size, with_logprob)


def stream(
    model: LanguageModel, prompt: ArrayLike, options: SamplingOptions, *, seed: int | None = None, index: int = 0
) -> Iterator[int]:
    """The new tokens as they come, without ``</s>``: those that generate() gives for that seed and index.

    >>> list(stream(model, [17, 4], SamplingOptions(max_new_tokens=3), seed=1))   # doctest: +SKIP
    [96, 12, 5]
    """
    tokens = unstopped_stream(model, prompt, options, seed=seed, index=index)
    return _until_stop(model, tokens, options.stop) if options.stop else tokens


def unstopped_stream(
    model: LanguageModel, prompt: ArrayLike, options: SamplingOptions, *, seed: int | None = None, index: int = 0
) -> Iterator[int]:
    """As stream(), but leaves the stop strings to its caller."""
    ids = _checked(prompt, model.vocab_size)
    children = child_seeds(seed, check_int("index", index), 1)
    if _is_direct(model, options):
        return _direct_stream(model, ids, options, children[0])
    steps = _steps(model, ids[None, :], options, children)
    return (int(tokens[0]) for _, tokens, _, _ in steps if tokens[0] != EOS)


def _checked(prompt: ArrayLike, vocab_size: int) -> Ids:
    ids = np.asarray(prompt)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise OptionError(f"A prompt is one row of integer ids, not {ids.ndim}-dimensional {ids.dtype}.")
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if wrong.size:
        raise OptionError(f"The prompt holds id {wrong[0]}, but the vocabulary goes from 0 to {vocab_size - 1}.")
    return ids.astype(np.int32)


def _is_direct(model: Any, options: SamplingOptions) -> bool:
    """Whether an engine's own way of drawing gives the distribution that was asked for."""
    return (
        getattr(model, "draws_exactly", False) and options.is_plain and not options.stop and not options.min_new_tokens
    )


def _direct(
    model: Any, prompts: list[Ids], options: SamplingOptions, seeds: Seeds, with_logprob: bool
) -> Iterator[Generated]:
    pairs = zip(prompts, model.sample_sequences(prompts, options.max_new_tokens, seeds), strict=True)
    if not with_logprob:
        for _, (ids, ended) in pairs:
            yield Generated(ids, None, "eos" if ended else "length")
        return
    while some := list(itertools.islice(pairs, _SCORED_TOGETHER)):
        ends = np.array([EOS], dtype=np.int32)
        rows = [np.concatenate([ids, ends]) if ended else ids for _, (ids, ended) in some]
        logprobs = model.score_continuations([prompt for prompt, _ in some], rows)
        for (_, (ids, ended)), logprob in zip(some, logprobs.tolist(), strict=True):
            yield Generated(ids, logprob, "eos" if ended else "length")


def _direct_stream(model: Any, prompt: Ids, options: SamplingOptions, child: np.uint64) -> Iterator[int]:
    if options.max_new_tokens == 0:
        return
    for count, token in enumerate(model.sample_stream(prompt, child), start=1):
        if token == EOS:
            return
        yield int(token)
        if count == options.max_new_tokens:  # before the engine draws one more
            return


def _until_stop(model: LanguageModel, tokens: Iterator[int], stop: tuple[str, ...]) -> Iterator[int]:
    text = Continuation(model.tokenizer, stop)
    for token in tokens:
        yield token
        text.push(token)
        if text.text_end is not None:
            return


def _in_batches(
    model: LanguageModel,
    prompts: list[Ids],
    options: SamplingOptions,
    seeds: Seeds,
    batch_size: int,
    with_logprob: bool,
) -> Iterator[Generated]:
    for start in range(0, len(prompts), batch_size):
        window = range(start, min(start + batch_size, len(prompts)))
        lengths: dict[int, list[int]] = {}
        for i in window:
            lengths.setdefault(prompts[i].size, []).append(i)
        done: dict[int, Generated] = {}
        for same in lengths.values():  # a state is rectangular: one length at a time
            batch = _batch(model, np.stack([prompts[i] for i in same]), options, seeds[same], with_logprob)
            done.update(zip(same, batch, strict=True))
        yield from (done[i] for i in window)


def _batch(
    model: LanguageModel, prompts: Ids, options: SamplingOptions, seeds: Seeds, with_logprob: bool
) -> list[Generated]:
    size = len(prompts)
    ids: list[list[int]] = [[] for _ in range(size)]
    totals = np.zeros(size)
    reasons: list[FinishReason] = ["length"] * size
    texts = [Continuation(model.tokenizer, options.stop) if options.stop else None for _ in range(size)]
    for rows, tokens, logprobs, alive in _steps(model, prompts, options, seeds):
        if with_logprob:
            totals[rows] += logprobs[np.arange(len(rows)), tokens]
        for place, (row, token) in enumerate(zip(rows.tolist(), tokens.tolist(), strict=True)):
            if token == EOS:
                reasons[row] = "eos"
                continue
            ids[row].append(token)
            text = texts[row]
            if text is not None:
                text.push(token)
                alive[place] = text.text_end is None
    return [
        _finished(np.array(ids[row], dtype=np.int32), float(totals[row]) if with_logprob else None, reason, text)
        for row, (reason, text) in enumerate(zip(reasons, texts, strict=True))
    ]


def _finished(ids: Ids, logprob: float | None, reason: FinishReason, text: Continuation | None) -> Generated:
    if text is not None:
        text.finish()
        if text.text_end is not None:
            return Generated(ids, logprob, "stop", text.text_end)
    return Generated(ids, logprob, reason)


def _steps(
    model: LanguageModel, prompts: Ids, options: SamplingOptions, seeds: Seeds
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], FloatArray, NDArray[np.bool_]]]:
    """Step by step: the rows still running, their new tokens, the model's log-probabilities, and which go on.

    Rows leave the batch after ``</s>``; the caller clears the last array where it wants one to leave.
    """
    filters = build_filters(options)
    rows = np.arange(len(prompts))
    history = prompts if options.repetition_penalty != 1 else prompts[:, :0]
    state = _read(model, prompts)
    for step in range(options.max_new_tokens):
        logprobs = model.logprobs(state)
        block = max(1, _BLOCK // logprobs.shape[1])
        blocks = [slice(start, start + block) for start in range(0, len(rows), block)]
        filtered = (filters(logprobs[some], _moment(history[some], step)) for some in blocks)
        if options.is_greedy:
            tokens = np.concatenate([greedy(part) for part in filtered])
        else:
            numbers = uniforms(seeds[rows], step)
            tokens = np.concatenate([draw(part, numbers[some]) for part, some in zip(filtered, blocks, strict=True)])
        alive = tokens != EOS
        yield rows, tokens, logprobs, alive
        if not alive.any() or step + 1 == options.max_new_tokens:
            return
        if not alive.all():
            places = np.flatnonzero(alive)
            rows, tokens, history, state = rows[places], tokens[places], history[places], state.select(places)
        new = tokens[:, None].astype(np.int32)
        if options.repetition_penalty != 1:
            history = np.concatenate([history, new], axis=1)
        state = model.advance(state, new)


def _read(model: LanguageModel, prompts: Ids) -> State:
    """The state after the prompts (B, T), each different one read once."""
    different, which = np.unique(prompts, axis=0, return_inverse=True)
    state = model.start(len(different))
    if prompts.shape[1]:
        state = model.advance(state, different)
    return state if len(prompts) == 1 else state.select(which.reshape(-1))


def _moment(history: Ids, step: int) -> Moment:
    size = len(history)
    return Moment(history, step, np.zeros(size), np.full(size, np.inf))
