"""The continuation as text, piece by piece, while it is being generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngramgen.sampling.growing import Continuation
from ngramgen.sampling.sampler import unstopped_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from ngramgen.model import LanguageModel
    from ngramgen.sampling.options import SamplingOptions


def stream_text(
    model: LanguageModel, prompt: ArrayLike, options: SamplingOptions, *, seed: int | None = None, index: int = 0
) -> Iterator[str]:
    """Pieces of text that joined are the decoded continuation of generate(), up to the first stop string.

    No piece splits a character or shows the beginning of a stop string; none is empty.

    >>> "".join(stream_text(model, [17, 4], SamplingOptions(stop=(".",)), seed=1))   # doctest: +SKIP
    ' and so it was'
    """
    tokens = unstopped_stream(model, prompt, options, seed=seed, index=index)
    return _pieces(tokens, Continuation(model.tokenizer, options.stop))


def _pieces(tokens: Iterator[int], text: Continuation) -> Iterator[str]:
    for token in tokens:
        piece = text.push(token)
        if piece:
            yield piece
        if text.text_end is not None:
            return
    piece = text.finish()
    if piece:
        yield piece
