"""The model's tokenizer with the names and habits of Hugging Face's: what a pipeline's user asks of it.

>>> tokenizer = PipelineTokenizer(model)                # doctest: +SKIP
>>> tokenizer.decode(tokenizer.encode("The fox"))       # doctest: +SKIP
' The fox'
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ngramgen.model import BOS, EOS, UNK
from ngramgen.pipelines.prompts import read_prompt
from ngramgen.text.vocabulary import SPECIALS
from ngramgen.textmodel import TextModel


class PipelineTokenizer:
    """Text to lists of ids and back.

    ``eos_token_id`` and its like are the model's own; ``pad_token`` and ``padding_side`` may be set and change nothing.
    """

    def __init__(self, model: TextModel) -> None:
        self.model = model
        self.unk_token, self.bos_token, self.eos_token = (SPECIALS[i] for i in (UNK, BOS, EOS))
        self.unk_token_id, self.bos_token_id, self.eos_token_id = UNK, BOS, EOS
        self.pad_token: str | None = None
        self.pad_token_id: int | None = None
        self.padding_side = "left"

    @property
    def vocab_size(self) -> int:
        """The number of ids."""
        return self.model.tokenizer.vocab_size

    def __len__(self) -> int:
        return self.vocab_size

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        """The ids under "input_ids", and as many ones under "attention_mask"."""
        ids = self.encode(text)
        return {"input_ids": ids, "attention_mask": [1] * len(ids)}

    def encode(self, text: str, **_: Any) -> list[int]:
        """The ids that the model reads when text is a prompt: those of its last line, ``<s>`` not among them."""
        return [int(i) for i in self.model.prompt_ids(text)]

    def decode(self, token_ids: Any, **_: Any) -> str:
        """The text of ids; ``<s>`` and ``</s>`` give nothing. A word's token holds the space before it."""
        return self.model.tokenizer.decode(np.atleast_1d(np.asarray(token_ids, dtype=np.int64)))

    def apply_chat_template(self, conversation: Any, *, tokenize: bool = True, **_: Any) -> str | list[int]:
        """The text (or the ids) of a chat: the contents of its messages, one behind the other as lines."""
        text = read_prompt(conversation).text
        return self.encode(text) if tokenize else text
