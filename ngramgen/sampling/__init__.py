"""One sampler for every LanguageModel: options, filters, random numbers, sequences and streams.

A filter is a function from log-probabilities to log-probabilities; a sequence is drawn with one uniform
number a token from its own child seed, so the same seed gives the same text on every machine.
"""

from ngramgen.randomness import child_seeds, uniform_block, uniforms
from ngramgen.sampling.bans import ban_sequences, force, no_repeat_ngram, suppress
from ngramgen.sampling.draw import draw, greedy
from ngramgen.sampling.dry import dry
from ngramgen.sampling.filters import build_filters, truncate_ranked
from ngramgen.sampling.generated import FinishReason, Generated
from ngramgen.sampling.mirostat import mirostat, next_surprise
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.options import SamplingOptions
from ngramgen.sampling.penalties import frequency_penalty, logit_bias, presence_penalty, repetition_penalty
from ngramgen.sampling.rows import normalise
from ngramgen.sampling.sampler import generate, stream
from ngramgen.sampling.streaming import stream_text
from ngramgen.sampling.truncation import (
    apply_temperature,
    epsilon_cutoff,
    eta_cutoff,
    min_p,
    top_k,
    top_n_sigma,
    top_p,
    typical,
)
from ngramgen.sampling.wordings import ways_to_write
from ngramgen.sampling.xtc import xtc

__all__ = [
    "FinishReason",
    "Generated",
    "Moment",
    "SamplingOptions",
    "apply_temperature",
    "ban_sequences",
    "build_filters",
    "child_seeds",
    "draw",
    "dry",
    "epsilon_cutoff",
    "eta_cutoff",
    "force",
    "frequency_penalty",
    "generate",
    "greedy",
    "logit_bias",
    "min_p",
    "mirostat",
    "next_surprise",
    "no_repeat_ngram",
    "normalise",
    "presence_penalty",
    "repetition_penalty",
    "stream",
    "stream_text",
    "suppress",
    "top_k",
    "top_n_sigma",
    "top_p",
    "truncate_ranked",
    "typical",
    "uniform_block",
    "uniforms",
    "ways_to_write",
    "xtc",
]
