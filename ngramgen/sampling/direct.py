"""Draws in an engine's own way, where it knows one: whole sequences, or a stream of tokens, under guards or free.

A guard takes time where sequences are few, and few models often draw what that of characters vetoes. So a few are drawn
without it first, and where it would have vetoed a token another one is drawn in its place, as under the guard.

>>> own_way(model, SamplingOptions(top_p=0.9)) is None   # doctest: +SKIP
True
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ngramgen.model import EOS
from ngramgen.randomness import uniforms
from ngramgen.sampling.characters import CharacterGuard
from ngramgen.sampling.copying import guard_of
from ngramgen.sampling.filters import build_filters, ranked_probabilities
from ngramgen.sampling.guarded import ATTEMPTS, GuardedDrawer
from ngramgen.sampling.guards import guards
from ngramgen.sampling.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ngramgen.sampling.options import SamplingOptions

    Ids: TypeAlias = NDArray[np.int32]
    Seeds: TypeAlias = NDArray[np.uint64]

_RANKED = 1024  # the longest list of the likeliest tokens that an engine is asked for
_FEW = 48  # so few sequences are drawn sooner without a guard


def own_way(model: Any, options: SamplingOptions) -> dict[str, Any] | None:
    """How an engine's own way of drawing is asked for this distribution; None where it does not know one."""
    if not getattr(model, "draws_exactly", False) or options.min_new_tokens or options.max_time is not None:
        return None
    truncated = getattr(model, "draws_truncated", False)
    if options.is_plain:
        return {} if truncated or CharacterGuard.of(model.tokenizer) is None else None
    if not truncated:
        return None
    way: dict[str, Any] = {}
    if options.max_copied_words is not None:
        guard = guards(guard_of(model, options.max_copied_words), CharacterGuard.of(model.tokenizer))
        options = replace(options, max_copied_words=None)
        way["guarded"] = _guarding(model, options, guard)
    if options.is_plain:
        return way
    if options.is_history_free and 0 < options.top_k <= _RANKED and not options.is_greedy:
        return way | {"truncation": (options.top_k, ranked_probabilities(options))}
    return None


def sequences(
    model: Any, prompts: list[Ids], options: SamplingOptions, seeds: Seeds, way: dict[str, Any]
) -> Iterator[tuple[Ids, bool]]:
    """Whole sequences of whole characters, without ``</s>``, and whether it came."""
    most, guard = options.max_new_tokens, CharacterGuard.of(model.tokenizer)
    if guard is None:
        return model.sample_sequences(prompts, most, seeds, **way)  # type: ignore[no-any-return]
    if "guarded" in way:
        made = model.sample_sequences(prompts, most, seeds, **way)
    elif len(prompts) > _FEW:
        made = model.sample_sequences(prompts, most, seeds, guarded=_guarding(model, options, guard), **way)
    else:
        made = list(model.sample_sequences(prompts, most, seeds, **way))
        for row, (ids, ended) in enumerate(made):
            if not guard.permits(prompts[row], ids, ended):
                tokens = list(itertools.islice(_mended(model, prompts[row], seeds[row], options, way, guard), most))
                ended = tokens[-1] == EOS
                made[row] = np.array(tokens[:-1] if ended else tokens, np.int32), ended
    return (_whole(guard, prompt, ids, ended) for prompt, (ids, ended) in zip(prompts, made, strict=True))


def _whole(guard: CharacterGuard, prompt: Ids, ids: Ids, ended: bool) -> tuple[Ids, bool]:
    """A whole sequence without a character that its end cuts, and whether ``</s>`` is still that end."""
    kept = guard.kept(prompt, ids)
    return ids[:kept], ended and kept == len(ids)


def direct_stream(
    model: Any, prompt: Ids, child: np.uint64, options: SamplingOptions, way: dict[str, Any]
) -> Iterator[int]:
    """The tokens of one sequence as they come, without ``</s>``; the last ones may begin a character that is cut."""
    most, guard = options.max_new_tokens, CharacterGuard.of(model.tokenizer)
    if most == 0:
        return
    if guard is None or "guarded" in way:
        tokens = model.sample_stream(prompt, child, **way)
    else:
        tokens = _mended(model, prompt, child, options, way, guard)
    for count, token in enumerate(tokens, start=1):
        if token == EOS:
            return
        yield int(token)
        if count == most:  # before the engine draws one more
            return


def _mended(
    model: Any, prompt: Ids, child: np.uint64, options: SamplingOptions, way: dict[str, Any], guard: CharacterGuard
) -> Iterator[int]:
    """The tokens of one sequence under the guard, with ``</s>``: drawn without it but for those that it vetoes."""
    token = -1
    while token != EOS:
        new = []
        for token in guard.permitted(prompt, model.sample_stream(prompt, child, **way)):
            yield int(token)
            if token == EOS:
                return
            new.append(token)
        prompt, child = np.concatenate([prompt, np.array(new, np.int32)]), _later(child, len(new))
        token = _drawn_again(model, prompt, child, options, way, guard)
        yield token
        prompt, child = np.concatenate([prompt, np.array([token], np.int32)]), _later(child, 1)


def _drawn_again(
    model: Any, prompt: Ids, child: np.uint64, options: SamplingOptions, way: dict[str, Any], guard: CharacterGuard
) -> int:
    """What a `GuardedDrawer` draws in place of a first token that is vetoed, attempt for attempt."""
    [mixed] = uniforms(np.array([child]), 0).view(np.uint64)
    for attempt in range(ATTEMPTS):
        token = next(model.sample_stream(prompt, _later(mixed, attempt), **way))
        if list(guard.permitted(prompt, [token])):
            return int(token)
    guarding = _guarding(model, options, guard)
    [(ids, ended)] = model.sample_sequences([prompt], 1, np.array([child]), guarded=guarding, **way)
    return EOS if ended else int(ids[0])


def _later(child: np.uint64, steps: int) -> np.uint64:
    """The child seed whose numbers are those of another from so many steps on (`ngramgen.randomness`)."""
    return np.uint64((int(child) + steps * 0x9E3779B97F4A7C15) % 2**64)


def _guarding(model: Any, options: SamplingOptions, guard: Any) -> Any:
    """What makes a `GuardedDrawer` of an engine's drawer."""
    filters = build_filters(options, model.tokenizer)
    return lambda drawer, logprobs, after: GuardedDrawer(
        drawer, guard, logprobs, after, lambda rows: filters(rows, Moment.first(len(rows)))
    )
