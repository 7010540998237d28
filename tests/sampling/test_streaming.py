from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ngramgen.sampling import SamplingOptions, generate, stream_text

Toy = Callable[..., Any]
BYTES = [bytes([b]) for b in "é€😀 .a".encode()]
WORDS = [b"so", b"it", b"was", b"the end", b"of"]


@pytest.mark.parametrize("kind", ["plain", "direct"])
@pytest.mark.parametrize(
    ("pieces", "separator", "stop"),
    [
        (BYTES, b"", ()),
        (BYTES, b"", ("a",)),
        (BYTES, b"", ("é", ". ")),
        (WORDS, b" ", ()),
        (WORDS, b" ", ("a",)),
        (WORDS, b" ", ("d o", "t w")),
    ],
)
def test_pieces_are_the_text_up_to_the_stop(
    toy: Toy, pieces: list[bytes], separator: bytes, stop: tuple[str, ...], kind: str
) -> None:
    """Joined, the pieces are the decoded continuation of generate(), cut where it says."""
    model = toy(pieces, separator, kind=kind)
    options = SamplingOptions(max_new_tokens=40, stop=stop)
    reasons = set()
    for i, one in enumerate(generate(model, [[3]] * 40, options, seed=9)):
        expected = model.tokenizer.decode(one.ids)[: one.text_end]
        assert "".join(stream_text(model, [3], options, seed=9, index=i)) == expected
        assert not any(s in expected for s in stop)
        reasons.add(one.finish_reason)
    assert ("stop" in reasons) == bool(stop)


def test_no_piece_splits_a_character_or_is_empty(toy: Toy) -> None:
    """A model that spells the euro sign byte by byte streams the sign."""
    probs = np.zeros((6, 6))
    probs[1, 3] = probs[3, 4] = probs[4, 5] = 1
    probs[5, 3] = 1
    probs[0, 2] = probs[2, 2] = 1
    model = toy([bytes([b]) for b in "€".encode()], probs=probs)
    assert list(stream_text(model, [], SamplingOptions(max_new_tokens=7))) == ["€", "€"]


def test_the_beginning_of_a_stop_string_waits(toy: Toy) -> None:
    """Of a, b, c, b, d with stop "bd" the first b comes with the c, and the second never."""
    probs = np.zeros((8, 8))
    for here, there in [(1, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 2), (0, 2), (2, 2)]:
        probs[here, there] = 1
    model = toy([b"a", b"b", b"c", b"b", b"d"], probs=probs)
    assert list(stream_text(model, [], SamplingOptions(stop=("bd",)))) == ["a", "bc"]
    assert list(stream_text(model, [], SamplingOptions(stop=("dx",)))) == ["a", "b", "c", "b", "d"]


def test_pieces_come_while_the_model_runs(toy: Toy) -> None:
    """The first piece needs no more than the first token."""
    model = toy(eos=1e-9)
    next(stream_text(model, [3], SamplingOptions(max_new_tokens=10**9), seed=1))
    assert model.rows_read == 1
