"""What a training keeps beside the model: its texts as tokens, and what they were made of.

It lies in the folder ``training`` of the model's folder, which may be deleted when the model is finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ngramgen.atomic import replacing
from ngramgen.errors import ModelFormatError, OptionError, TrainingError
from ngramgen.neural.stream import Encoder, Tokens, read_stream, with_ends, write_stream
from ngramgen.neural.trainer import LATEST, Texts

_SHARE = 50  # without a text to measure on, one part of so many is left out of the training


@dataclass(frozen=True)
class TextFacts:
    """Of the texts on disk: where they come from, raw bytes and tokens, how many tokens at the end are for measuring;
    and what the training began with."""

    sources: list[list[str | int]]
    bytes: int
    tokens: int
    valid_bytes: int
    valid_tokens: int
    begun: dict[str, Any] | None = None  # the network that it began with, and its shape; None for a new one


class Workspace:
    """The files of a training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "training"
        self._facts, self._train, self._valid = (
            self.folder / name for name in ("texts.json", "train.tokens", "valid.tokens")
        )

    def begin(self) -> None:
        """Makes the folder. Raises OptionError where it holds a training that would be lost."""
        if (self.folder / LATEST).exists():
            raise OptionError(f"{self.folder} holds a training: go on with it by resume, or delete that folder first")
        self.folder.mkdir(parents=True, exist_ok=True)

    def write_train(self, blocks: Iterable[bytes], encoder: Encoder) -> int:
        """Encodes the cleaned text to learn; gives the number of tokens."""
        return write_stream(self._train, blocks, encoder)

    def write_valid(self, pieces: Iterable[tuple[bytes, int]], encoder: Encoder, limit: int) -> tuple[int, int]:
        """Cleaned blocks and how many raw bytes each stands for, up to so many tokens; gives bytes and tokens."""
        size, count = 0, 0
        kept: list[bytes] = []
        for block, raw in pieces:
            kept.append(block)
            size += raw
            count += len(with_ends(*encoder.encode_block(block)))
            if count >= limit:
                break
        write_stream(self._valid, kept, encoder)
        return size, count

    def write_facts(self, facts: TextFacts) -> None:
        with replacing(self._facts) as file:
            file.write((json.dumps(asdict(facts), indent=2) + "\n").encode())

    def facts(self) -> TextFacts:
        """What `write_facts` wrote. Raises OptionError where there is none, ModelFormatError for a damaged one."""
        try:
            return TextFacts(**json.loads(self._facts.read_text()))
        except FileNotFoundError:
            raise OptionError(f"there is nothing to resume in {self.folder}; train without resume first") from None
        except (ValueError, TypeError):
            raise ModelFormatError(f"{self._facts} is damaged; delete {self.folder} and train anew") from None

    def texts(self, vocab_size: int, limit: int) -> Texts:
        """The tokens, mapped. Raises TrainingError where there is too little text."""
        facts = self.facts()
        tokens = read_stream(self._train, vocab_size)
        if facts.valid_tokens:
            valid, valid_bytes = np.array(read_stream(self._valid, vocab_size)), facts.valid_bytes / facts.valid_tokens
        else:
            tokens, valid = _parted(tokens, limit)
            valid_bytes = facts.bytes / facts.tokens
        if len(valid) < 2:
            raise TrainingError("the text is too short to measure anything on it; give more")
        return Texts(tokens, valid, facts.bytes / facts.tokens, valid_bytes)


def _parted(tokens: Tokens, limit: int) -> tuple[Tokens, Tokens]:
    """The tokens without their end, and the end."""
    count = min(limit, len(tokens) // _SHARE)
    return tokens[: len(tokens) - count], np.array(tokens[len(tokens) - count - 1 :]) if count else tokens[:0]
