"""`tune`: how much the network of a hybrid's folder is to be trusted where, learnt from text that neither has seen."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ngramgen.hybrid.folder import write_settings
from ngramgen.hybrid.model import HybridModel, Places, mixed
from ngramgen.hybrid.weighting import Weighting, fit_weighting
from ngramgen.loading import load
from ngramgen.text.corpus import read_blocks
from ngramgen.text.splitting import pieces
from ngramgen.text.tokenizers import bordered
from ngramgen.textmodel import Texts, sources_of

MOST_BYTES = 2_000_000
"""So much of the text is read: the weighting has a few hundred numbers, for which that is plenty."""


def tune(folder: str | os.PathLike[str], on: Texts, *, errors: str = "strict") -> dict[str, Any]:
    """Fits the weighting of a folder's n-gram and network to text and writes it there; gives what was measured.

    ``on`` is text that neither was trained on, a path, several, or sentences, of which the first `MOST_BYTES` are read.
    The result holds bits per byte of that text for both models and for the mixture, as does the folder's hybrid.json.
    Raises OptionError for a folder without model.ngram or for too little text, CorpusError, and what `load` raises.
    """
    text_model = load(folder, neural="only")  # both parts alone: an old hybrid.json may be damaged or of another n-gram
    model = HybridModel(load(folder, neural="never").model, text_model.model, Weighting.fixed(0.5))
    parts, size = [], 0
    for block in read_blocks(sources_of(on), errors=errors):  # type: ignore[arg-type]
        for piece in pieces(text_model.cleaner.lines_block(block)):
            parts.append(model.places(bordered(text_model.tokenizer, piece)))
        size += len(block)
        if size >= MOST_BYTES:
            break
    places = Places.joined(parts)
    weighting = fit_weighting(places.numbers, places.network, places.ngram)
    weights = weighting.weights(places.numbers).astype(np.float64)
    scores = {
        "ngram": places.ngram,
        "network": places.network,
        "mixture": mixed(places.network, places.ngram, weights),
    }
    bits = {name: round(-float(score.sum()) / math.log(2) / size, 5) for name, score in scores.items()}
    mean_weight = round(float(weights.mean()), 4)
    about = {"bytes": size, "tokens": len(weights), "mean_weight": mean_weight, "bits_per_byte": bits}
    write_settings(Path(folder), weighting, about)
    return about
