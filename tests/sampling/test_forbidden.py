"""Texts that hold what the options forbid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.sampling.forbidden import Forbidden
from ngramgen.sampling.options import SamplingOptions

TEXT = st.lists(st.integers(3, 5), max_size=6)


@given(TEXT, TEXT, st.lists(st.lists(st.integers(3, 5), min_size=1, max_size=3), max_size=3), st.integers(0, 3))
def test_against_the_letter(prompt: list[int], ids: list[int], banned: list[list[int]], size: int) -> None:
    """A text is forbidden where a banned sequence, or one that stood before, ends in the continuation."""
    text = prompt + ids
    forbidden = Forbidden.of(SamplingOptions(bad_words_ids=banned, no_repeat_ngram_size=size))
    ends = range(len(prompt) + 1, len(text) + 1)
    wrong = any(text[max(0, end - len(b)) : end] == b for end in ends for b in banned)
    for end in ends if size else ():
        earlier = [text[i : i + size] for i in range(end - size)]
        wrong |= end >= size and text[end - size : end] in earlier
    assert forbidden.holds(prompt, ids) == wrong


def test_suppressed_tokens_and_the_end() -> None:
    """A suppressed token is forbidden; so may be an end behind a word, but not every end."""
    assert Forbidden.of(SamplingOptions(suppress_tokens=[4])).holds([4], [3, 4])
    assert not Forbidden.of(SamplingOptions(suppress_tokens=[4])).holds([4], [3])
    assert Forbidden.of(SamplingOptions(bad_words_ids=[[3, 2]])).holds([], [4, 3])
    assert not Forbidden.of(SamplingOptions(bad_words_ids=[[3, 2]])).holds([], [4, 3], ends=False)
    with pytest.raises(OptionError, match="has to end"):
        Forbidden.of(SamplingOptions(suppress_tokens=[2]))
