"""Writes huggingface_beams.json: what the beam search of Hugging Face's transformers finds in a small random model.

The model's logits are the sum of a row for the last token and a row for the number of tokens before, so that a test
can have the same model without transformers. Run it with torch and transformers installed; the file in this folder
was written with transformers 5.24.0 and torch 2.13.0.

    python tests/sampling/huggingface_beams.py
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

VOCAB_SIZE, NEW_TOKENS, EOS = 13, 8, 2
PROMPTS = [[3, 4], [12]]
IMPOSSIBLE = -1e4  # <unk> and <s>
SEED = 29  # its searches differ much between settings, and one of them loses the greedy continuation


class Sums(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    config_class = PreTrainedConfig

    def __init__(self, by_token: np.ndarray, by_place: np.ndarray) -> None:
        super().__init__(PreTrainedConfig(vocab_size=VOCAB_SIZE, is_encoder_decoder=False))
        self.by_token = torch.nn.Parameter(torch.tensor(by_token, dtype=torch.float32))
        self.by_place = torch.nn.Parameter(torch.tensor(by_place, dtype=torch.float32))

    def forward(self, input_ids: torch.Tensor, **_: Any) -> CausalLMOutput:
        logits = self.by_token[input_ids] + self.by_place[1 : input_ids.shape[1] + 1]
        return CausalLMOutput(logits=logits)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        return {"input_ids": input_ids}


def search(model: Sums, prompt: list[int], beams: int, penalty: float, early: bool | str) -> dict[str, Any]:
    config = GenerationConfig(
        num_beams=beams,
        num_return_sequences=beams,
        length_penalty=penalty,
        early_stopping=early,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=EOS,
        pad_token_id=EOS,
        do_sample=False,
        use_cache=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    found = model.generate(torch.tensor([prompt]), generation_config=config)
    new = [row[len(prompt) :] for row in found.sequences.tolist()]
    return {
        "prompt": prompt,
        "num_beams": beams,
        "length_penalty": penalty,
        "early_stopping": early,
        "ids": [row[: row.index(EOS) + 1] if EOS in row else row for row in new],  # more of </s> pads
        "scores": [round(score, 5) for score in found.sequences_scores.tolist()],
    }


def main() -> None:
    random = np.random.default_rng(SEED)
    by_token = random.normal(scale=1.5, size=(VOCAB_SIZE, VOCAB_SIZE)).round(2)
    by_place = random.normal(scale=0.5, size=(len(PROMPTS[0]) + NEW_TOKENS, VOCAB_SIZE)).round(2)
    by_token[:, EOS] += 1
    by_token[:, :2] = IMPOSSIBLE
    model = Sums(by_token, by_place)
    settings = itertools.product(PROMPTS, (2, 3, 4, 5), (-0.25, 0.5, 1.0, 2.0), (False, True, "never"))
    parts = {
        "by_token": by_token.tolist(),
        "by_place": by_place.tolist(),
        "cases": [search(model, *setting) for setting in settings],
    }
    lines = [f'"{name}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in parts.items()]
    Path(__file__).with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
