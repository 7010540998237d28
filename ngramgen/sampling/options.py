"""How to sample: every option, its default and the values it may take.

>>> SamplingOptions(temperature=0.8, top_p=0.95).is_plain
False
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ngramgen.sampling.checks import (
    Biases,
    check_biases,
    check_bool,
    check_early_stopping,
    check_float,
    check_id_sequences,
    check_ids,
    check_int,
    check_strings,
    refusal,
)

__all__ = ["SamplingOptions", "check_float", "check_int"]

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "greedy": check_bool,
    "end_sentence": check_bool,
    "early_stopping": check_early_stopping,
    "bad_words_ids": check_id_sequences,
    "suppress_tokens": check_ids,
    "logit_bias": check_biases,
}
_CHECKS |= dict.fromkeys(("stop", "dry_sequence_breakers", "bad_words"), check_strings)
_CHECKS |= dict.fromkeys(
    (
        *("max_new_tokens", "min_new_tokens", "top_k", "mirostat", "no_repeat_ngram_size"),
        *("dry_allowed_length", "dry_penalty_last_n", "num_beams", "forced_bos_token_id", "max_copied_words"),
    ),
    check_int,
)

# What leaves the model's own distribution as it is, of the options that change it.
_WITHOUT_HISTORY: dict[str, float] = {
    "temperature": 1,
    "top_k": 0,
    "top_p": 1,
    "min_p": 0,
    "typical_p": 1,
    "epsilon_cutoff": 0,
    "eta_cutoff": 0,
    "top_n_sigma": 0,
}
_WITH_HISTORY: dict[str, float] = {
    "repetition_penalty": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "dry_multiplier": 0,
    "no_repeat_ngram_size": 0,
}
_OTHERS: dict[str, object] = {
    "xtc_probability": 0,
    "mirostat": 0,
    "bad_words": (),
    "bad_words_ids": (),
    "suppress_tokens": (),
    "logit_bias": (),
    "forced_bos_token_id": None,
    "num_beams": 1,
    "max_copied_words": None,
}


@dataclass(frozen=True)
class SamplingOptions:
    """How to sample; every value is checked, and OptionError names the one out of its range.

    The order in which the filters work, and the sources of their definitions, are in docs/sampling.md.

    >>> SamplingOptions(top_k=40, stop=("\\n",), logit_bias={7: -1.5}).logit_bias
    ((7, -1.5),)

    Attributes:
        max_new_tokens: A sequence ends after so many new tokens.
        min_new_tokens: ``</s>`` is not drawn before so many new tokens; a stop string still ends the sequence.
        end_sentence: From half of max_new_tokens on, a sequence ends as soon as a sentence does.
        max_time: A sequence ends at the first token after so many seconds; None is no limit.
        stop: Strings that end the sequence. One string or a list is taken too.
        temperature: Divides the log-probabilities; 0 is greedy.
        greedy: Always the most likely token; only penalties, biases and bans then matter.
        top_k: Keep the k most likely tokens; 0 is off, more than the vocabulary keeps all.
        top_p: Keep the fewest tokens, most likely first, whose probabilities reach p; 1 is off.
        min_p: Keep tokens at least so likely as min_p times the most likely one; 0 is off.
        typical_p: Keep the fewest tokens, nearest to the entropy first, whose probabilities reach p; 1 is off.
        epsilon_cutoff: Keep tokens at least so likely; 0 is off.
        eta_cutoff: Keep tokens at least so likely as the smaller of eta and sqrt(eta) exp(-entropy); 0 is off.
        top_n_sigma: Keep tokens within n standard deviations of the highest log-probability; 0 is off.
        xtc_probability: How often, of all draws, the likeliest tokens are left out (see xtc_threshold); 0 is off.
        xtc_threshold: All tokens at least so likely are left out but the least likely of them.
        mirostat: 2 holds the surprise of the drawn tokens near mirostat_tau; 0 is off.
        mirostat_tau: The surprise that mirostat aims at, in bits.
        mirostat_eta: How fast mirostat corrects itself.
        repetition_penalty: Multiplies the log-probability of every token seen in prompt or continuation; 1 is off.
        frequency_penalty: Taken off a token's log-probability as often as it was seen; 0 is off.
        presence_penalty: Taken off a token's log-probability once if it was seen; 0 is off.
        dry_multiplier: Taken off the log-probability of a token that would go on with a repetition of
            dry_allowed_length tokens, times dry_base for each token that the repetition is longer; 0 is off.
        dry_base: See dry_multiplier.
        dry_allowed_length: See dry_multiplier.
        dry_penalty_last_n: The last tokens in which repetitions are looked for; -1 is all.
        dry_sequence_breakers: No repetition reaches across a token that contains one of these strings.
        no_repeat_ngram_size: No sequence of so many tokens comes twice; 0 is off.
        bad_words: Texts that do not come, with or without a space before them.
        bad_words_ids: Sequences of token ids that do not come.
        suppress_tokens: Ids of tokens that do not come.
        logit_bias: A mapping from a token, its id or its text, to what is added to its log-probability.
        forced_bos_token_id: The id of the first new token; None leaves it to chance.
        num_beams: More than 1 is beam search with so many beams.
        length_penalty: Beams are compared by log-probability over length to this power; above 0 favours longer ones.
        early_stopping: Beam search ends at num_beams finished beams (True), where a better one is unlikely (False)
            or impossible ("never").
        max_copied_words: The most words in a row that may come as they stand in the training text; None is no limit.
    """

    max_new_tokens: int = 100
    min_new_tokens: int = 0
    end_sentence: bool = False
    max_time: float | None = None
    stop: tuple[str, ...] = ()
    temperature: float = 1.0
    greedy: bool = False
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0
    top_n_sigma: float = 0.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    no_repeat_ngram_size: int = 0
    bad_words: tuple[str, ...] = ()
    bad_words_ids: Sequence[Sequence[int]] = ()
    suppress_tokens: Sequence[int] = ()
    logit_bias: Mapping[int | str, float] | Biases = ()
    forced_bos_token_id: int | None = None
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    max_copied_words: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None or _DEFAULTS[name] is not None:
                # Frozen: the only moment at which a value may be cast.
                object.__setattr__(self, name, _CHECKS.get(name, check_float)(name, value))
        if self.min_new_tokens > self.max_new_tokens:
            permitted = f"at most max_new_tokens, which is {self.max_new_tokens}"
            raise refusal("min_new_tokens", self.min_new_tokens, permitted)

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.greedy or self.temperature == 0

    @property
    def is_plain(self) -> bool:
        """Whether the model's own distribution is sampled: not greedy, no beams and every filter off.

        Lengths, end_sentence, max_time and stop strings do not count: they end a sequence and filter nothing.
        """
        return not self.is_greedy and self._has(_WITHOUT_HISTORY | _WITH_HISTORY | _OTHERS)

    @property
    def needs_history(self) -> bool:
        """Whether a filter reads the ids of prompt and continuation."""
        return not self._has(_WITH_HISTORY) or bool(self.bad_words) or any(len(ids) > 1 for ids in self.bad_words_ids)

    @property
    def is_history_free(self) -> bool:
        """Whether a token's chance depends on the model's row alone, not on what came before or on which token it is.

        So with temperature and truncation (top_k to top_n_sigma) and nothing else but lengths, max_time and stop
        strings; min_new_tokens must be 0, since it looks for ``</s>``.
        """
        return self.min_new_tokens == 0 and self._has(_WITH_HISTORY | _OTHERS)

    def _has(self, values: Mapping[str, object]) -> bool:
        return all(getattr(self, name) == value for name, value in values.items())


_DEFAULTS = {name: field.default for name, field in SamplingOptions.__dataclass_fields__.items()}
