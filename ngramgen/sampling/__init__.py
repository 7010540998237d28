"""One sampler for every LanguageModel: options, filters, random numbers, sequences and streams.

A filter is a function from log-probabilities to log-probabilities; a sequence is drawn with one uniform
number a token from its own child seed, so the same seed gives the same text on every machine.
"""

from ngramgen.randomness import child_seeds, uniform_block, uniforms
from ngramgen.sampling.draw import draw, greedy
from ngramgen.sampling.filters import (
    apply_temperature,
    build_filters,
    min_p,
    repetition_penalty,
    suppress,
    top_k,
    top_p,
    typical,
)
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.options import SamplingOptions
from ngramgen.sampling.rows import normalise
from ngramgen.sampling.sampler import FinishReason, Generated, generate, stream
from ngramgen.sampling.streaming import stream_text

__all__ = [
    "FinishReason",
    "Generated",
    "Moment",
    "SamplingOptions",
    "apply_temperature",
    "build_filters",
    "child_seeds",
    "draw",
    "generate",
    "greedy",
    "min_p",
    "normalise",
    "repetition_penalty",
    "stream",
    "stream_text",
    "suppress",
    "top_k",
    "top_p",
    "typical",
    "uniform_block",
    "uniforms",
]
