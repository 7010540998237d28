"""In how many ways a text fits a template."""

from __future__ import annotations

import pytest

from ngramgen.sampling.candidates import Frame
from ngramgen.sampling.constraints import Constraints
from ngramgen.sampling.forbidden import Forbidden
from ngramgen.sampling.options import SamplingOptions
from ngramgen.sampling.planning import plan
from ngramgen.sampling.readings import readings
from ngramgen.sampling.spelling import Spelling
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary

SPACED = Tokenizer("whitespace", Vocabulary.from_tokens([b"a", b"b", b"b,", b"a."]))
CHARS = Tokenizer("char", Vocabulary.from_tokens([b"a", b"b", b" "]))


@pytest.mark.parametrize(
    ("tokenizer", "template", "text", "times"),
    [
        (SPACED, "{words} a {words}", "b a b", 1),
        (SPACED, "{words} a {words}", "b a a a b", 3),
        (SPACED, "{words} a {words} a {words}", "a a a a a a a", 6),  # two of the five inside, not side by side
        (SPACED, "{1 words} a {words}", "a a a a b", 1),
        (SPACED, "{words} a {words}", "a b a", 0),
        (SPACED, "{words}, {words}", "a b, b, a", 2),
        (SPACED, "{words} a.", "b b a.", 1),
        (SPACED, "a {0..2 words} b", "a b", 1),
        (SPACED, "{2 tokens} a {..2 characters}", "b b a b,", 1),
        (CHARS, "{words} a {words}", "b a a a b", 3),
        (CHARS, "a{..2 characters}b", "aab", 1),
        (CHARS, "{words}a{words}", "baab", 2),
        (CHARS, "a {0..1 words} b", "a b b", 2),  # the space is said with the a, or with the hole
    ],
)
def test_readings(tokenizer: Tokenizer, template: str, text: str, times: int) -> None:
    """As many ways are there as there are places for the fixed texts with holes of the right sizes between them."""
    spelling, constraints = Spelling.of(tokenizer), Constraints(template=template)
    ids = tuple(tokenizer.encode(text).tolist())
    frame = Frame(constraints, spelling, 0, 100)
    found = readings(plan(constraints, tokenizer, spelling, Forbidden.of(SamplingOptions())), frame, ids)
    assert found == times
    assert (constraints.refusal_of(text) is None) == (times > 0)
