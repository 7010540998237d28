"""The filters against the logits processors of Hugging Face's transformers (see huggingface_values.py)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ngramgen.sampling import Moment, SamplingOptions, build_filters

VALUES = json.loads(Path(__file__).with_name("huggingface_values.json").read_text())


def rows(name: str) -> NDArray[np.float64]:
    """Log-probabilities; what JSON has no number for is impossible."""
    return np.array([[-np.inf if value is None else value for value in row] for row in VALUES[name]])


def filtered(case: dict[str, Any], logprobs: NDArray[Any]) -> NDArray[np.float64]:
    history = np.array(case["history"], dtype=np.int32)
    moment = dataclasses.replace(Moment.first(len(history)), history=history, step=case["step"])
    options = {"max_new_tokens": 20} | case["options"]
    return np.exp(build_filters(SamplingOptions(**options))(logprobs, moment))


@pytest.mark.parametrize("case", VALUES["cases"], ids=lambda case: "-".join(case["options"]) or "none")
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_processors_agree(case: dict[str, Any], kind: type) -> None:
    """Each filter alone, and several in the order of a GenerationConfig, leave the same tokens at the same chances."""
    ours, theirs = filtered(case, rows("logprobs").astype(kind)), np.array(case["probs"])
    assert ((ours > 0) == (theirs > 0)).all()
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("case", VALUES["ties"], ids=lambda case: "-".join(case["options"]))
def test_ties_at_the_edge_differ(case: dict[str, Any]) -> None:
    """Of four equals of which two suffice transformers keeps four, and we the two lowest ids."""
    assert np.flatnonzero(case["probs"][0]).tolist() == [3, 4, 5, 6]
    np.testing.assert_allclose(filtered(case, rows("tied")), [[0, 0, 0, 0.5, 0.5, 0, 0, 0]])


def test_the_values_are_of_use() -> None:
    """Every filter that transformers has too changes the rows of some case in which it is alone."""
    plain = np.array(VALUES["cases"][0]["probs"])
    alone = [case for case in VALUES["cases"] if len(case["options"]) == 1]
    changed = {name for case in alone for name in case["options"] if np.abs(case["probs"] - plain).max() > 0.01}
    truncations = {"temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"}
    others = {"repetition_penalty", "no_repeat_ngram_size", "bad_words_ids", "suppress_tokens", "logit_bias"}
    assert changed == truncations | others | {"min_new_tokens", "forced_bos_token_id"}
