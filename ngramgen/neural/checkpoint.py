"""Checkpoints of a training: all that it needs to go on, in one file that is whole or not there."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from ngramgen.atomic import replacing
from ngramgen.errors import ModelFormatError

FORMAT = 1


def save_checkpoint(path: Path, values: dict[str, Any]) -> None:
    """Write tensors and plain values. Raises OSError."""
    with replacing(path) as file:
        torch.save({"format": FORMAT, **values}, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote; nothing in the file is run. Raises ModelFormatError for a damaged one, OSError."""
    with path.open("rb") as file:
        try:
            if (part := zipfile.ZipFile(file).testzip()) is not None:  # PyTorch overlooks changed bytes of tensors
                raise ValueError(f"the checksum of {part} is wrong")
            file.seek(0)
            found = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file can raise anything
            reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
            raise ModelFormatError(f"{path} is damaged ({reason}); delete it, or take a copy of it") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ModelFormatError(f"{path} is no checkpoint of this ngramgen; train without --resume")
    return found
