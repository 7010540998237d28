"""Writes huggingface_values.json: what the logits processors of Hugging Face's transformers make of a few rows.

The processors and their order come from transformers itself, which builds them from a GenerationConfig. Run it with
torch and transformers installed; the file in this folder was written with transformers 5.24.0 and torch 2.13.0.

    python tests/sampling/huggingface_values.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PreTrainedConfig

VOCAB_SIZE, EOS = 24, 2
HISTORY = [
    [5, 9, 12, 5, 9, 12, 5],
    [7, 8, 4, 7, 8, 7, 8],
    [20, 21, 22, 20, 21, 3, 3],
    [3, 3, 3, 3, 3, 3, 3],
    [10, 11, 10, 11, 10, 11, 10],
    [4, 6, 8, 10, 12, 14, 16],
]
BAD_WORDS = [[5], [7, 8], [7, 8, 4], [11, 10, 9], [14, 16, 18]]
BIASES = {3: 2.5, 9: -1.5, 17: 0.75}

ALONE: list[dict[str, Any]] = [
    {},
    *({"temperature": value} for value in (0.3, 0.8, 1.7)),
    *({"top_k": value} for value in (1, 4, 7, 100)),
    *({"top_p": value} for value in (0.05, 0.5, 0.9, 0.99)),
    *({"min_p": value} for value in (0.02, 0.3, 1.0)),
    *({"typical_p": value} for value in (0.1, 0.5, 0.95)),
    *({"epsilon_cutoff": value} for value in (0.001, 0.03, 0.9)),
    *({"eta_cutoff": value} for value in (0.001, 0.03, 0.9)),
    *({"repetition_penalty": value} for value in (0.7, 1.3, 5.0)),
    *({"no_repeat_ngram_size": value} for value in (1, 2, 3, 4, 9)),
    {"bad_words_ids": BAD_WORDS},
    {"suppress_tokens": [4, 5, 6, 23]},
    {"logit_bias": BIASES},
    {"min_new_tokens": 5, "step": 4},
    {"min_new_tokens": 4, "step": 4},
]
TOGETHER: list[dict[str, Any]] = [
    {"temperature": 0.7, "top_k": 9, "top_p": 0.9},
    {"temperature": 1.4, "top_p": 0.85, "min_p": 0.1, "typical_p": 0.8},
    {"top_k": 12, "typical_p": 0.6, "epsilon_cutoff": 0.02, "eta_cutoff": 0.05},
    {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "temperature": 0.9, "top_k": 8},
    {"logit_bias": BIASES, "repetition_penalty": 1.5, "top_p": 0.7},
    {"logit_bias": {3: 30.0, 20: 4.0}, "repetition_penalty": 2.0},  # scores above 0
    {"bad_words_ids": BAD_WORDS, "suppress_tokens": [3, 13], "min_new_tokens": 9, "step": 2, "temperature": 1.2},
    {"logit_bias": BIASES, "repetition_penalty": 0.9, "no_repeat_ngram_size": 2, "bad_words_ids": BAD_WORDS}
    | {"min_new_tokens": 3, "step": 1, "suppress_tokens": [12], "temperature": 1.1, "top_k": 15, "top_p": 0.97}
    | {"min_p": 0.01, "typical_p": 0.95, "epsilon_cutoff": 0.005, "eta_cutoff": 0.01},
]


class NoModel(GenerationMixin):  # type: ignore[misc]
    config = PreTrainedConfig(is_encoder_decoder=False)


def rows() -> np.ndarray:
    """Log-probabilities without <unk> and <s>: flat and steep, some with equals, some with impossible tokens."""
    random = np.random.default_rng(8)
    logits = random.normal(size=(len(HISTORY), VOCAB_SIZE)) * np.array([[0.3], [1], [1.5], [2], [3], [6]])
    logits[3, [4, 9]] = logits[3].max() - 1.2  # equals, on which no edge of a case falls
    logits[4, 15:] = -np.inf
    logits[:, :2] = -np.inf
    return np.asarray(torch.log_softmax(torch.tensor(logits), dim=-1).numpy()).round(4)


def processed(logprobs: np.ndarray, history: list[list[int]], options: dict[str, Any]) -> list[list[float]]:
    """The probabilities after all processors of the options."""
    chosen = {key: value for key, value in options.items() if key not in ("step", "logit_bias")}
    if "logit_bias" in options:
        chosen["sequence_bias"] = [[[index], float(bias)] for index, bias in options["logit_bias"].items()]
    defaults = {"top_k": 0, "eos_token_id": EOS, "do_sample": True}
    config = GenerationConfig(**(defaults | chosen))
    config._eos_token_tensor = torch.tensor([EOS])
    length = len(history[0])
    processors = NoModel()._get_logits_processor(config, length - options.get("step", 0), device="cpu")
    scores = processors(torch.tensor(history), torch.tensor(logprobs, dtype=torch.float64))
    return [[float(f"{p:.9g}") for p in row] for row in scores.softmax(dim=-1).tolist()]


def case(logprobs: np.ndarray, options: dict[str, Any], history: list[list[int]] = HISTORY) -> dict[str, Any]:
    own = {key: value for key, value in options.items() if key != "step"}
    own |= {"logit_bias": list(own["logit_bias"].items())} if "logit_bias" in own else {}
    return {
        "options": own,
        "step": options.get("step", 0),
        "history": history,
        "probs": processed(logprobs, history, options),
    }


def main() -> None:
    logprobs = rows()
    cases = [case(logprobs, options) for options in (*ALONE, *TOGETHER)]
    for options in ({}, {"temperature": 0.7, "top_k": 3}):
        first = {"forced_bos_token_id": 11, "step": 0, **options}
        cases.append(case(logprobs, first, [[3]] * len(HISTORY)))
    # Equals at the very edge, where transformers keeps all of them in top_k and typical_p.
    with np.errstate(divide="ignore"):
        even = np.log([[0.0, 0.0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.1]]).round(4)
    ties = [case(even, options, [[3]]) for options in ({"top_k": 2}, {"typical_p": 0.3})]
    parts = {
        "transformers": transformers.__version__,
        "logprobs": finite(logprobs),
        "tied": finite(even),
        "cases": cases,
        "ties": ties,
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text("{\n" + ",\n".join(f'"{key}": {lines(value)}' for key, value in parts.items()) + "\n}\n")


def finite(logprobs: np.ndarray) -> list[list[float | None]]:
    return [[value if math.isfinite(value) else None for value in row] for row in logprobs.tolist()]


def lines(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in value) + "\n]"


if __name__ == "__main__":
    main()
