"""A folder with a network and an n-gram, small enough for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import ngramgen
from ngramgen.hybrid.cache import SIZE
from ngramgen.hybrid.fallback import FallbackModel
from ngramgen.hybrid.gate import Gate
from ngramgen.hybrid.model import HybridModel
from ngramgen.hybrid.perceptron import Perceptron
from ngramgen.hybrid.weighting import Weighting
from ngramgen.model import EOS
from ngramgen.neural.model import OnnxModel
from ngramgen.ngram.model import NgramModel
from tests.neural.tiny import TEXT, write_own

UNSEEN = "the cat sat on the mat\nqz xk vw jb\nthe dog sat on the cat\nplb tmk rgh\n" * 3
"""Half of it as the n-gram's text, half of it letters that it never saw in such an order."""

PARTS = [
    (None, HybridModel),
    ("always", HybridModel),
    ("auto", FallbackModel),
    ("only", OnnxModel),
    ("never", NgramModel),
]
"""What a folder with both is, by how much its network takes part."""


def state_of(model: Any, rows: Any) -> Any:
    return model.advance(model.start(len(rows)), np.array(rows))


def rows_of_ids(model: Any) -> Any:
    """Rows of 21 tokens, more than the context of the network; some as in the n-gram's text, with </s> inside.

    The last token of one stood there before.
    """
    rows = np.random.default_rng(0).integers(EOS, model.vocab_size, (4, 21))
    rows[1:3] = model.tokenizer.encode(TEXT)[:21], model.tokenizer.encode(TEXT)[4:25]
    rows[3, -1] = rows[3, 4]
    assert EOS in rows[1, :-1]
    return rows.astype(np.int32)


def write_ngram(folder: Path, order: int = 3) -> None:
    """An n-gram of a few lines beside the network, in its tokens."""
    model = ngramgen.train(TEXT.splitlines(), order=order, tokenizer=f"bpe:{folder / 'tokenizer.json'}")
    model.save(folder / "model.ngram")


def write_hybrid(folder: Path, order: int = 3) -> None:
    """A network with random weights and an n-gram of its tokens."""
    write_own(folder)
    write_ngram(folder, order)


def random_weighting(size: int) -> Weighting:
    """A weighting that gives each place another weight, where the n-gram tells so many numbers."""
    return Weighting(*_random(size + SIZE, 3), np.array([-0.3, 0.0, -0.5], np.float32))


def random_gate(size: int) -> Gate:
    """A gate that gives each place another score, with borders as if all scores were alike between -2 and 2."""
    return Gate(Perceptron(*_random(size, 1), np.array([0.1], np.float32)), np.linspace(2, -2, 9))


def _random(size: int, outputs: int) -> list[Any]:
    rng = np.random.default_rng(2)
    arrays = [rng.normal(0, 1, shape).astype(np.float32) for shape in [(5, size), (5,), (outputs, 5)]]
    arrays[0][:, 6:] *= 0.02  # what is known of the last token is not standardised here
    return [np.zeros(size, np.float32), np.ones(size, np.float32), *arrays]
