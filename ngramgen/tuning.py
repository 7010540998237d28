"""`tune`: how much the network of a hybrid's folder is to be trusted where, learnt from text that neither has seen."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.hybrid import cache
from ngramgen.hybrid.folder import Settings, write_settings
from ngramgen.hybrid.gate import fit_gate
from ngramgen.hybrid.model import HybridModel, Places, mixed
from ngramgen.hybrid.weighting import Weighting, fit_weighting
from ngramgen.loading import load
from ngramgen.neural.model import OnnxModel
from ngramgen.text.corpus import read_blocks
from ngramgen.text.splitting import pieces
from ngramgen.text.tokenizers import bordered
from ngramgen.textmodel import Texts, sources_of

BUDGETS = (0.1, 0.25, 0.5, 0.75)
"""Shares of calls for which bits per byte are told."""
MOST_BYTES = 1 << 20
"""So much of the text is read: what is fitted has a few hundred numbers, for which that is plenty."""
_NETWORK, _NGRAM = 0, 1  # as `Places` has them


def tune(folder: str | os.PathLike[str], on: Texts, *, errors: str = "strict") -> dict[str, Any]:
    """Fits how a folder's n-gram and network work together to text and writes it there; gives what was measured.

    That is the weighting of the mixture, and the gate that tells where the network is worth a call.

    ``on`` is text that neither was trained on, a path, several, or sentences, of which some `MOST_BYTES` are read.
    The result holds bits per byte of that text for both models, for the mixture, and for some budgets of calls, as
    does the folder's hybrid.json.
    Raises OptionError for a folder without model.ngram or for too little text, CorpusError, and what `load` raises.
    """
    text_model = load(folder, neural="only")  # both parts alone: an old hybrid.json may be damaged or of another n-gram
    network = OnnxModel(text_model.model.layout.model, threads=os.cpu_count() or 1)
    model = HybridModel(load(folder, neural="never").model, network, Weighting.fixed(0.5))
    parts, size = [], 0
    for block in read_blocks(sources_of(on), errors=errors):  # type: ignore[arg-type]
        for piece in pieces(text_model.cleaner.lines_block(block)):
            parts.append(model.places(bordered(text_model.tokenizer, piece)))
        size += len(block)
        if size >= MOST_BYTES:
            break
    places = Places.joined(parts)
    settings = _fitted(places, size)
    write_settings(Path(folder), settings)
    return settings.about


def _fitted(places: Places, size: int) -> Settings:
    """The weighting, then the gate for what the mixture gains under it; both measured on the text itself."""
    weighting = fit_weighting(places.numbers, places.logprobs)
    weights = weighting.weights(places.numbers).astype(np.float64)
    mixture, ngram = mixed(places.logprobs, weights), places.logprobs[:, _NGRAM]
    evidence = places.numbers[:, : -cache.SIZE]
    gate = fit_gate(evidence, mixture - ngram)

    def bits(logprobs: NDArray[np.float64]) -> float:
        return round(-float(logprobs.sum()) / math.log(2) / size, 5)

    scores = gate.scores(evidence)
    auto = [np.where(gate.along(scores, budget)[0], mixture, ngram) for budget in BUDGETS]
    about = {
        "bytes": size,
        "tokens": len(weights),
        "mean_weight": round(float(weights[:, _NETWORK].mean()), 4),
        "mean_cache_weight": round(float(weights[:, -1].mean()), 4),
        "bits_per_byte": {
            "ngram": bits(ngram),
            "network": bits(places.logprobs[:, _NETWORK]),
            "mixture": bits(mixture),
        },
        "auto_bits_per_byte": {f"{budget:g}": bits(found) for budget, found in zip(BUDGETS, auto, strict=True)},
    }
    return Settings(weighting, gate, about)
