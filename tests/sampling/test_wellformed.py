"""Well-formed UTF-8 as an automaton: Python's own decoder is the oracle."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.sampling.wellformed import BORDER, DEAD, STATES, are_whole, follow, token_states

BYTES = st.lists(
    st.sampled_from([0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC])
    | st.sampled_from([0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF])
    | st.integers(0, 255),
    max_size=4,
).map(bytes)

TAILS = [bytes(tail) for n in (1, 2, 3) for tail in itertools.product((0x80, 0xA0), repeat=n)]
"""What is begun rightly goes on with one of these: second bytes lie on both sides of A0, at times on one."""


def _by_python(text: bytes) -> str:
    """Whether bytes are whole characters, the beginning of such, or neither."""
    if _decodes(text):
        return "border"
    return "inside" if any(_decodes(text + tail) for tail in TAILS) else "dead"


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _by_us(text: bytes) -> str:
    return {BORDER: "border", DEAD: "dead"}.get(follow(BORDER, text), "inside")


def test_one_and_two_bytes() -> None:
    """All 65,792 of them."""
    for first in range(256):
        one = bytes([first])
        assert _by_us(one) == _by_python(one)
        for second in range(256):
            two = bytes([first, second])
            assert _by_us(two) == _by_python(two)


@given(text=BYTES)
def test_against_python(text: bytes) -> None:
    """Up to four bytes, the edges of table 3-7 among them."""
    assert _by_us(text) == _by_python(text)


@given(character=st.characters(codec="utf-8"))
def test_every_character(character: str) -> None:
    """It ends at a border, and each of its beginnings inside of it."""
    text = character.encode()
    assert follow(BORDER, text) == BORDER
    assert all(follow(BORDER, text[:n]) not in (BORDER, DEAD) for n in range(1, len(text)))


@given(tokens=st.lists(BYTES, min_size=1, max_size=6))
def test_tokens(tokens: list[bytes]) -> None:
    """Token by token the table is where byte by byte leads; one without bytes comes at a border alone."""
    data = np.frombuffer(b"".join(tokens), np.uint8)
    offsets = np.cumsum([0, *map(len, tokens)])
    states = token_states(data, offsets)
    assert states.shape == (STATES, len(tokens))
    for state in range(STATES):
        expected = [follow(state, token) if token or state == BORDER else DEAD for token in tokens]
        assert states[state].tolist() == expected
    assert are_whole(data, offsets) == all(_by_python(token) == "border" for token in tokens)
