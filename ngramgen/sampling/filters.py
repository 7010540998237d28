"""All filters of some options as one function from log-probabilities (B, V) to log-probabilities (B, V).

The filters themselves are in penalties, dry, bans, truncation, xtc and mirostat: plain functions that take natural
logarithms (float32 or float64; -inf is an excluded token) and give float64 rows whose probabilities sum to 1, with at
least one token left.

>>> import numpy as np
>>> from ngramgen.sampling import Moment
>>> filters = build_filters(SamplingOptions(top_k=1))
>>> np.exp(filters(np.log([[0.1, 0.2, 0.3, 0.4]]), Moment.first()))
array([[0., 0., 0., 1.]])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.sampling.bans import check_vocabulary, completions, endings, exclude, leave_only, repeated_endings
from ngramgen.sampling.dry import breakers, no_breakers, penalise_repetitions
from ngramgen.sampling.mirostat import mirostat
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.options import SamplingOptions
from ngramgen.sampling.penalties import add_biases, bias_arrays, penalise_counts, penalise_seen
from ngramgen.sampling.rows import ROUNDING, highest, normalise, probabilities
from ngramgen.sampling.truncation import (
    epsilon_cutoff,
    eta_cutoff,
    keep_mass,
    min_p,
    ranked_columns,
    spread,
    tempered,
    top_n_sigma,
    top_p,
    top_p_ranked,
    typical,
)
from ngramgen.sampling.wordings import biased_ids, needed, ways_to_write
from ngramgen.sampling.xtc import xtc

if TYPE_CHECKING:
    from ngramgen.model import FloatArray, Tokenizer
    from ngramgen.sampling.bans import Endings
    from ngramgen.sampling.dry import AreBreakers
    from ngramgen.sampling.rows import Rows

    Filter: TypeAlias = Callable[[FloatArray, Moment], Rows]
    Change: TypeAlias = Callable[[Rows, Moment], None]  # in place
    Step: TypeAlias = Callable[[Rows, Moment], Rows]

_NEVER = (slice(None), [UNK, BOS])
_END = (slice(None), [EOS])
_TRUNCATIONS = ("top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_n_sigma")
_ROW_OPTIONS = ("temperature", "greedy", *_TRUNCATIONS)
"""What can change the row of an engine that ranks its tokens."""


def build_filters(options: SamplingOptions, tokenizer: Tokenizer | None = None) -> Filter:
    """Composes the filters of options once: filters(logprobs (B, V), moment) -> (B, V) float64, rows summing to 1.

    ``<unk>`` and ``<s>`` are excluded, then come, in this order: logit_bias, repetition_penalty, frequency_penalty and
    presence_penalty, dry, no_repeat_ngram_size, bad words, suppress_tokens, ``</s>`` while step < min_new_tokens, the
    forced first token, temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff, top_n_sigma, xtc,
    mirostat. Greedy options stop before temperature: what follows would keep the most likely token or be beside the
    point. An exclusion that would leave a row empty is passed over for that row: the model has nothing else to say.

    Options that hold texts (bad_words, logit_bias, dry_sequence_breakers where dry is on) need the model's tokenizer.
    Raises OptionError where it is missing, where a biased text is no single token, and for ids outside the vocabulary.

    >>> import numpy as np
    >>> from ngramgen.sampling import Moment
    >>> filters = build_filters(SamplingOptions(suppress_tokens=(3,)))
    >>> np.exp(filters(np.log([[0.1, 0.2, 0.3, 0.2, 0.2]]), Moment.first())).round(3)
    array([[0. , 0. , 0.6, 0. , 0.4]])
    """
    biases = biased_ids(tokenizer, dict(options.logit_bias))
    banned = _banned(options, tokenizer)
    named = [*biases, *(i for ids in banned for i in ids), *options.suppress_tokens]
    named += [] if options.forced_bos_token_id is None else [options.forced_bos_token_id]
    highest_named = max(named, default=0)
    if tokenizer is not None:
        check_vocabulary([highest_named], tokenizer.vocab_size)
    changes = _changes(options, biases, endings(banned), _are_breakers(options, tokenizer))
    steps, ranked_steps = (_truncations(options, ranked) + _chance_steps(options) for ranked in (False, True))

    def filters(logprobs: FloatArray, moment: Moment) -> Rows:
        check_vocabulary([highest_named], logprobs.shape[1])
        rows = possible(logprobs)
        for change in changes:
            change(rows, moment)
        if options.is_greedy:
            return normalise(rows)
        width, k = rows.shape[1], options.top_k
        if not 0 < k < width:
            return _truncated(rows, options.temperature, steps, moment)
        highest(rows)  # NaN would break the choice of columns
        # No step asks which token is which: the rest sees the best alone, in falling order. The temperature comes after
        # the choice, which it does not change.
        columns = ranked_columns(rows, k)
        best = _truncated(np.take_along_axis(rows, columns, axis=1), options.temperature, ranked_steps, moment)
        return spread(best, columns, width)

    return filters


def possible(logprobs: FloatArray) -> Rows:
    """The rows as they are, without ``<unk>`` and ``<s>``, to draw from: float64, not normalised again.

    >>> import numpy as np
    >>> np.exp(possible(np.log([[0.25, 0.25, 0.5]])))
    array([[0. , 0. , 0.5]])
    """
    rows = np.array(logprobs, dtype=np.float64)
    exclude(rows, _NEVER)
    return rows


def truncate_ranked(options: SamplingOptions) -> Callable[[FloatArray], Rows]:
    """What build_filters does after the choice of the top_k tokens, for rows (M, K) that hold no others than these.

    Each row holds the log-probabilities of its K likeliest tokens without ``<unk>`` and ``<s>`` in falling order, -inf
    where there are fewer, normalised over the vocabulary or not; the first top_k are taken. Gives rows (M, K) that sum
    to 1, with the same tokens that build_filters keeps, to the last bit where the numbers going in are the same. Greedy
    options leave the rows as they are but for normalising. A vocabulary of fewer than top_k tokens has shorter rows.
    Raises OptionError unless options.is_history_free and top_k is above 0.

    >>> import numpy as np
    >>> truncate = truncate_ranked(SamplingOptions(top_k=3, top_p=0.8))
    >>> np.exp(truncate(np.log([[0.4, 0.3, 0.1, 0.05]]))).round(3)
    array([[0.571, 0.429, 0.   , 0.   ]])
    """
    if not options.is_history_free or not options.top_k:
        raise OptionError("These options look at more than the likeliest tokens: use build_filters.")
    k, steps = options.top_k, _truncations(options, ranked=True)

    def truncate(logprobs: FloatArray) -> Rows:
        rows = np.full(logprobs.shape, -np.inf)
        best = np.array(logprobs[:, :k], dtype=np.float64, order="C")
        moment = Moment.first(len(best))
        rows[:, :k] = normalise(best) if options.is_greedy else _truncated(best, options.temperature, steps, moment)
        return rows

    return truncate


def ranked_probabilities(options: SamplingOptions) -> Callable[[FloatArray], Rows]:
    """truncate_ranked() as probabilities; in few steps where temperature, top_p and min_p are all that is asked for.

    The same options give the same function, by which an engine may know what it has already made of it.

    >>> import numpy as np
    >>> ranked_probabilities(SamplingOptions(top_k=3, top_p=0.8))(np.log([[0.4, 0.3, 0.1, 0.05]])).round(3)
    array([[0.571, 0.429, 0.   , 0.   ]])
    """
    if not options.is_history_free:
        raise OptionError("These options look at more than the likeliest tokens: use build_filters.")
    return _ranked_probabilities(SamplingOptions(**{name: getattr(options, name) for name in _ROW_OPTIONS}))


@lru_cache(maxsize=64)
def _ranked_probabilities(options: SamplingOptions) -> Callable[[FloatArray], Rows]:
    truncate = truncate_ranked(options)
    if options.is_greedy or not _is_quick(options):
        return lambda logprobs: probabilities(truncate(logprobs))
    k, temperature = options.top_k, options.temperature

    def quick(logprobs: FloatArray) -> Rows:
        rows = logprobs - logprobs[:, :1]  # a row falls, so it begins with its highest
        if temperature != 1:
            rows /= temperature
        result = probabilities(rows)
        result[:, k:] = 0
        if options.top_p < 1:
            keep_mass(result, options.top_p)
        if options.min_p > 0:
            result[result < options.min_p * (1 - ROUNDING) * result[:, :1]] = 0
        result /= result.sum(axis=1, keepdims=True)
        return result

    return quick


def _is_quick(options: SamplingOptions) -> bool:
    """Whether temperature, top_k, top_p and min_p are all that changes the rows."""
    return replace(options, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0).is_plain


def _truncated(rows: Rows, temperature: float, steps: tuple[Step, ...], moment: Moment) -> Rows:
    rows = normalise(rows if temperature == 1 else tempered(rows, temperature))
    for step in steps:
        rows = step(rows, moment)
    return rows


def _changes(
    options: SamplingOptions, biases: dict[int, float], banned: Endings, are_breakers: AreBreakers
) -> list[Change]:
    """What happens before temperature, in order; rows need not be normalised in between."""
    changes: list[Change] = []
    if biases:
        ids, numbers = bias_arrays(biases)
        changes.append(lambda rows, moment: add_biases(rows, ids, numbers))
    if options.repetition_penalty != 1:
        changes.append(lambda rows, moment: penalise_seen(rows, moment.history, options.repetition_penalty))
    if options.frequency_penalty or options.presence_penalty:
        counts = options.frequency_penalty, options.presence_penalty
        changes.append(lambda rows, moment: penalise_counts(rows, moment.history, *counts))
    if options.dry_multiplier:
        dry = (options.dry_multiplier, options.dry_base, options.dry_allowed_length, options.dry_penalty_last_n)
        changes.append(lambda rows, moment: penalise_repetitions(rows, moment.history, *dry, are_breakers))
    if size := options.no_repeat_ngram_size:
        changes.append(lambda rows, moment: exclude(rows, repeated_endings(moment.history, size)))
    if banned:
        changes.append(lambda rows, moment: exclude(rows, completions(moment.history, banned)))
    if options.suppress_tokens:
        suppressed = (slice(None), list(options.suppress_tokens))
        changes.append(lambda rows, moment: exclude(rows, suppressed))
    if options.min_new_tokens:
        changes.append(lambda rows, moment: exclude(rows, _END) if moment.step < options.min_new_tokens else None)
    if options.forced_bos_token_id is not None:
        forced = options.forced_bos_token_id
        changes.append(lambda rows, moment: leave_only(rows, forced) if moment.step == 0 else None)
    return changes


def _truncations(options: SamplingOptions, ranked: bool) -> tuple[Step, ...]:
    """The filters behind top_k that look at the rows alone, in order; for rows in falling order, or any."""
    truncations: tuple[tuple[Callable[[FloatArray, float], Rows], float, float], ...] = (
        (top_p_ranked if ranked else top_p, options.top_p, 1),
        (min_p, options.min_p, 0),
        (typical, options.typical_p, 1),
        (epsilon_cutoff, options.epsilon_cutoff, 0),
        (eta_cutoff, options.eta_cutoff, 0),
        (top_n_sigma, options.top_n_sigma, 0),
    )
    return tuple(
        lambda rows, moment, truncation=truncation, value=value: truncation(rows, value)
        for truncation, value, off in truncations
        if value != off
    )


def _chance_steps(options: SamplingOptions) -> tuple[Step, ...]:
    """The filters that come last and look at the moment too."""
    steps: tuple[Step, ...] = ()
    if options.xtc_probability:
        threshold, probability = options.xtc_threshold, options.xtc_probability
        steps += (lambda rows, moment: xtc(rows, threshold, probability, moment.chances),)
    if options.mirostat:
        steps += (lambda rows, moment: mirostat(rows, moment.surprise),)
    return steps


def _banned(options: SamplingOptions, tokenizer: Tokenizer | None) -> tuple[tuple[int, ...], ...]:
    """The sequences of ids that bad_words and bad_words_ids stand for."""
    ways = [way for text in options.bad_words for way in ways_to_write(needed(tokenizer, "bad_words"), text)]
    return (*map(tuple, options.bad_words_ids), *ways)


def _are_breakers(options: SamplingOptions, tokenizer: Tokenizer | None) -> AreBreakers:
    if options.dry_multiplier == 0 or not options.dry_sequence_breakers:
        return no_breakers
    return breakers(needed(tokenizer, "dry_sequence_breakers"), options.dry_sequence_breakers)
