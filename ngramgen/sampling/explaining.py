"""Why these tokens: how likely each was, how many others there were, and what the filters made of it.

>>> from ngramgen.sampling import SamplingOptions, child_seeds
>>> options, child = SamplingOptions(top_k=40), child_seeds(1, 0, 1)[0]
>>> explain(model, [17, 4], [96, 12], True, options, child)[0].rank   # doctest: +SKIP
3
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ngramgen.model import BOS, EOS, UNK
from ngramgen.randomness import uniforms
from ngramgen.sampling.beams import beam_options
from ngramgen.sampling.characters import CharacterGuard, filtered_whole
from ngramgen.sampling.copying import guard_of
from ngramgen.sampling.filters import build_filters
from ngramgen.sampling.generated import checked_prompt
from ngramgen.sampling.mirostat import next_surprise
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.rows import normalise
from ngramgen.sampling.stepping import CHANCES, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ngramgen.model import FloatArray, LanguageModel
    from ngramgen.sampling.options import SamplingOptions
    from ngramgen.sampling.rows import Rows

    Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class TokenExplanation:
    """How one token came to be.

    Attributes:
        index: Its id.
        logprob: Its natural log-probability under the model itself, filters apart.
        rank: Its place among all tokens by that probability, 1 the likeliest, lower ids first among equals; ``<unk>``
            and ``<s>``, which are never drawn, are left out.
        kept: How many tokens the filters left to choose from.
        probability_kept: Its probability among these.
        source: What the n-gram has it from, as in "3-gram", where the model tells; else empty.
        neural_weight: How much a network counted for it, from 0, where the n-gram answered alone, to 1, where the
            network did; None for a model that knows no network.
        cache_weight: How much the text before it counted, where a mixture reads that; the rest is the n-gram's.
    """

    index: int
    logprob: float
    rank: int
    kept: int
    probability_kept: float
    source: str
    neural_weight: float | None = None
    cache_weight: float | None = None

    @property
    def engine(self) -> str | None:
        """Which engine answered: "ngram", "network" or "mixture"; None for a model that knows no network."""
        if self.neural_weight is None:
            return None
        return {0.0: "ngram", 1.0: "network"}.get(self.neural_weight, "mixture")

    @property
    def probability(self) -> float:
        """The token's probability under the model itself."""
        return math.exp(self.logprob)


def explain(
    model: LanguageModel,
    prompt: ArrayLike,
    new: ArrayLike,
    ended: bool,
    options: SamplingOptions,
    child_seed: np.uint64,
) -> list[TokenExplanation]:
    """An explanation of each new token (N,) after the prompt (T,), and of ``</s>`` where it ended the text.

    The model reads the tokens once more, so they are those that were drawn, whatever way they were drawn in. The
    options and the child seed of the sequence are those that it was generated with. Greedy options and beam search
    apply no filter after the penalties, biases and bans, so that most tokens count as kept. Raises OptionError for ids
    outside the vocabulary.

    >>> [one.source for one in explain(model, [17, 4], [96], False, options, child)]   # doctest: +SKIP
    ['4-gram']
    """
    before, tokens = checked_prompt(prompt, model.vocab_size), checked_prompt(new, model.vocab_size)
    tokens = np.append(tokens, np.int32(EOS)) if ended else tokens
    rows = _rows(model, before, tokens, beam_options(options) if options.num_beams > 1 else options, child_seed)
    return [
        TokenExplanation(
            index=token,
            logprob=float(row[token]),
            rank=_rank(row, token),
            kept=int(np.count_nonzero(filtered > -np.inf)),
            probability_kept=math.exp(filtered[token]),
            source=source,
            neural_weight=network,
            cache_weight=cache,
        )
        for token, source, (network, cache), (row, filtered) in zip(
            tokens.tolist(), _sources(model, before, tokens), _weights(model, before, tokens), rows, strict=True
        )
    ]


def _rows(
    model: LanguageModel, prompt: Ids, tokens: Ids, options: SamplingOptions, child_seed: np.uint64
) -> Iterator[tuple[FloatArray, Rows]]:
    """The model's log-probabilities before each token, (V,), and what the guard and the filters made of them."""
    filters = build_filters(options, model.tokenizer)
    guard = None if options.max_copied_words is None else guard_of(model, options.max_copied_words)
    copied = None if guard is None else guard.start([prompt])
    characters = CharacterGuard.of(model.tokenizer)
    spelt = None if characters is None else characters.start([prompt])
    history = np.concatenate([prompt, tokens])[None, :]
    state = read(model, prompt[None, :])
    surprise = _first_surprise(options)
    for step, token in enumerate(tokens.tolist()):
        logprobs = model.logprobs(state)
        permitted = logprobs if guard is None or copied is None else guard.mask(copied, logprobs)
        moment = _moment(history[:, : prompt.size + step], step, child_seed, surprise)
        if characters is None or spelt is None:
            kept = filtered = filters(permitted, moment)
        else:
            filtered, kept = filtered_whole(filters, permitted, moment, characters, spelt)
            kept, spelt = normalise(kept), characters.advance(spelt, tokens[step : step + 1])
        yield logprobs[0], kept[0]
        surprise = _next_surprise(surprise, float(filtered[0, token]), options)
        state = model.advance(state, tokens[None, step : step + 1])
        copied = None if guard is None or copied is None else guard.advance(copied, tokens[step : step + 1])


def _sources(model: Any, prompt: Ids, new: Ids) -> Sequence[str]:
    sources: Sequence[str] = model.sources(prompt, new) if hasattr(model, "sources") else [""] * len(new)
    return sources


def _weights(model: Any, prompt: Ids, new: Ids) -> Sequence[tuple[float | None, float | None]]:
    """How much a network and the cache counted for each token, where the model tells."""
    if not hasattr(model, "part_weights"):
        return [(None, None)] * len(new)
    return [(network, cache) for network, _, cache in model.part_weights(prompt, new).tolist()]


def _rank(row: FloatArray, token: int) -> int:
    own = row[token]
    ahead = row > own
    ahead[:token] |= row[:token] == own
    ahead[[UNK, BOS]] = False
    return 1 + int(np.count_nonzero(ahead))


# What stepping.steps does with chance and mirostat.


def _moment(history: Ids, step: int, child_seed: np.uint64, surprise: float) -> Moment:
    return Moment(history, step, uniforms(np.array([child_seed]), step + CHANCES), np.array([surprise]))


def _first_surprise(options: SamplingOptions) -> float:
    return 2 * options.mirostat_tau if options.mirostat else math.inf


def _next_surprise(surprise: float, drawn: float, options: SamplingOptions) -> float:
    if not options.mirostat:
        return surprise
    return next_surprise(surprise, -drawn / math.log(2), options.mirostat_tau, options.mirostat_eta)
