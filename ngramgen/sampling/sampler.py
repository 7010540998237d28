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
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.model import EOS
from ngramgen.randomness import child_seeds
from ngramgen.sampling.characters import CharacterGuard
from ngramgen.sampling.checks import check_int
from ngramgen.sampling.direct import direct_stream, own_way, sequences
from ngramgen.sampling.ending import SentenceEnds
from ngramgen.sampling.generated import FinishReason, Generated, checked_prompt
from ngramgen.sampling.growing import Continuation
from ngramgen.sampling.stepping import steps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ngramgen.model import LanguageModel
    from ngramgen.sampling.options import SamplingOptions

    Ids: TypeAlias = NDArray[np.int32]
    Seeds: TypeAlias = NDArray[np.uint64]

_SCORED_TOGETHER = 256  # sequences whose log-probabilities an engine gives in one call


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

    Raises OptionError, before anything is drawn, for a prompt that holds an id outside the vocabulary and for
    num_beams above 1, which `ngramgen.sampling.beams` is for.

    >>> for one in generate(model, [[17, 4]] * 3, options, seed=1):   # doctest: +SKIP
    ...     print(one.ids, one.logprob)
    """
    batch_size = check_int("batch_size", batch_size)
    first_index = check_int("first_index", first_index)
    if options.num_beams > 1:
        raise OptionError(f"num_beams is {options.num_beams}, but beam search is not drawn: call beam_search.")
    distinct = {id(prompt): checked_prompt(prompt, model.vocab_size) for prompt in {id(p): p for p in prompts}.values()}
    rows = [distinct[id(prompt)] for prompt in prompts]
    return drawn(model, rows, options, child_seeds(seed, first_index, len(rows)), batch_size, with_logprob)


def drawn(
    model: LanguageModel,
    rows: list[Ids],
    options: SamplingOptions,
    seeds: Seeds,
    batch_size: int = 64,
    with_logprob: bool = True,
) -> Iterator[Generated]:
    """As generate(), from prompts that were checked and a child seed for each."""
    way = own_way(model, options)
    if way is not None:
        return _direct(model, rows, options, seeds, way, with_logprob)
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
    ids = checked_prompt(prompt, model.vocab_size)
    children = child_seeds(seed, check_int("index", index), 1)
    way = own_way(model, options)
    if way is not None:
        tokens = direct_stream(model, ids, children[0], options, way)
    else:
        made = steps(model, ids[None, :], options, children)
        tokens = (int(step.tokens[0]) for step in made if step.tokens[0] != EOS)
    characters = CharacterGuard.of(model.tokenizer)
    tokens = tokens if characters is None else characters.whole(ids, tokens)
    ends = SentenceEnds.asked(model.tokenizer, options)
    return tokens if ends is None else _until_sentence(ends, ids, tokens)


def _direct(
    model: Any, prompts: list[Ids], options: SamplingOptions, seeds: Seeds, way: dict[str, Any], with_logprob: bool
) -> Iterator[Generated]:
    made = sequences(model, prompts, options, seeds, way)
    sentences = SentenceEnds.asked(model.tokenizer, options)
    if sentences is not None:
        made = (_cut(sentences, prompt, ids, ended) for prompt, (ids, ended) in zip(prompts, made, strict=True))
    results = (_stopped(model, ids, ended, options.stop) for ids, ended in made)
    if not with_logprob:
        yield from results
        return
    pairs = zip(prompts, results, strict=True)
    while some := list(itertools.islice(pairs, _SCORED_TOGETHER)):
        ends = np.array([EOS], dtype=np.int32)
        rows = [np.concatenate([one.ids, ends]) if one.finish_reason == "eos" else one.ids for _, one in some]
        logprobs = model.score_continuations([prompt for prompt, _ in some], rows)
        for (_, one), logprob in zip(some, logprobs.tolist(), strict=True):
            yield replace(one, logprob=logprob)


def _cut(ends: SentenceEnds, prompt: Ids, ids: Ids, ended: bool) -> tuple[Ids, bool]:
    """A whole sequence up to where a sentence ends it, and whether ``</s>`` still does."""
    place = ends.first(prompt, ids)
    return (ids, ended) if place is None else (ids[:place], False)


def _stopped(model: Any, ids: Ids, ended: bool, stop: tuple[str, ...]) -> Generated:
    """A whole sequence, cut behind the token that completes a stop string."""
    reason: FinishReason = "eos" if ended else "length"
    if not stop:
        return Generated(ids, None, reason)
    text = Continuation(model.tokenizer, stop)
    for count, token in enumerate(ids.tolist(), start=1):
        text.push(token)
        if text.text_end is not None:
            return Generated(ids[:count], None, "stop", text.text_end)
    return _finished(ids, None, reason, text)


def _until_sentence(ends: SentenceEnds, prompt: Ids, tokens: Iterator[int]) -> Iterator[int]:
    ids: list[int] = []
    for token in tokens:
        ids.append(token)
        yield token
        if ends.reached(prompt, ids):
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
    sums: list[list[float]] = [[] for _ in range(size)]  # the total after each token
    guard = CharacterGuard.of(model.tokenizer)
    reasons: list[FinishReason] = ["time" if options.max_time is not None else "length"] * size
    texts = [Continuation(model.tokenizer, options.stop) if options.stop else None for _ in range(size)]
    ends = SentenceEnds.asked(model.tokenizer, options)
    for step in steps(model, prompts, options, seeds):
        if with_logprob:
            totals[step.rows] += step.logprobs[np.arange(len(step.rows)), step.tokens]
        for place, (row, token) in enumerate(zip(step.rows.tolist(), step.tokens.tolist(), strict=True)):
            if token == EOS:
                reasons[row] = "eos"
                continue
            ids[row].append(token)
            if guard is not None:
                sums[row].append(totals[row])
            is_last = ends is not None and ends.reached(prompts[row], ids[row])
            if is_last or len(ids[row]) == options.max_new_tokens:
                reasons[row] = "length"
            step.alive[place] = not is_last
            text = texts[row]
            if text is not None:
                text.push(token)
                step.alive[place] &= text.text_end is None
    made = []
    for row, (reason, text) in enumerate(zip(reasons, texts, strict=True)):
        whole = np.array(ids[row], dtype=np.int32)
        is_stopped = text is not None and text.text_end is not None
        kept = len(whole) if guard is None or is_stopped else guard.kept(prompts[row], whole)
        if kept < len(whole):
            one = _stopped(model, whole[:kept], False, options.stop)
            total = sums[row][kept - 1] if kept else 0.0
            reason = "stop" if one.text_end is not None else "length" if reason == "eos" else reason
            made.append(replace(one, logprob=float(total) if with_logprob else None, finish_reason=reason))
        else:
            made.append(_finished(whole, float(totals[row]) if with_logprob else None, reason, text))
    return made


def _finished(ids: Ids, logprob: float | None, reason: FinishReason, text: Continuation | None) -> Generated:
    if text is not None:
        text.finish()
        if text.text_end is not None:
            return Generated(ids, logprob, "stop", text.text_end)
    return Generated(ids, logprob, reason)
