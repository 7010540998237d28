"""Texts that meet constraints, from any LanguageModel: first by drawing freely, then by a search that cannot miss.

A free text that meets the constraints follows the model's distribution given them exactly; where they are likely, one
of the first few does. Where they are not, the texts are put together by `ngramgen.sampling.particles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ngramgen.errors import ConstraintError, OptionError
from ngramgen.model import EOS
from ngramgen.randomness import child_seeds
from ngramgen.sampling.filters import build_filters
from ngramgen.sampling.generated import Generated
from ngramgen.sampling.goals import plan
from ngramgen.sampling.masked import MaskedSearch
from ngramgen.sampling.particles import Search
from ngramgen.sampling.sampler import drawn, own_way
from ngramgen.sampling.spelling import Spelling
from ngramgen.sampling.walking import ModelWalker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import LanguageModel
    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.options import SamplingOptions
    from ngramgen.sampling.walking import Walker

    Ids = NDArray[np.int32]
    Seeds = NDArray[np.uint64]

_TOGETHER = 16
"""Texts that are looked for side by side."""
_ATTEMPTS = (1, 7, 24)
"""Free texts for each that is wanted, round by round, where only its length or its end is asked for."""
_WALKS = (40, 64, 256)
"""Walks for each text, search by search, of an engine that walks by itself; another is too slow for so many."""
_FEW_WALKS = (16, 32)
_STREAM = 0xD1B54A32D192ED03


def generate_constrained(
    model: LanguageModel,
    prompts: list[Ids],
    options: SamplingOptions,
    constraints: Constraints,
    seeds: Seeds,
    with_logprob: bool = True,
) -> Iterator[Generated]:
    """One text for each prompt, each ended by the model's ``</s>`` and all of them as the constraints ask.

    Raises OptionError for options that do not go with constraints, and ConstraintError where no text was found.
    """
    _check(options)
    return _Maker(model, options, constraints).texts(prompts, seeds, with_logprob)


def _check(options: SamplingOptions) -> None:
    for name, asked in (
        ("greedy", options.is_greedy),
        ("num_beams", options.num_beams > 1),
        ("stop", bool(options.stop)),
        ("mirostat", bool(options.mirostat)),
        ("max_time", options.max_time is not None),
        ("max_copied_words", options.max_copied_words is not None),
    ):
        if asked:
            raise OptionError(f"{name} does not go with constraints on the text; leave one of them out")


class _Maker:
    """Makes texts for one set of constraints."""

    def __init__(self, model: LanguageModel, options: SamplingOptions, constraints: Constraints) -> None:
        self.model, self.options, self.constraints = model, options, constraints
        self.way = own_way(model, options) if getattr(model, "draws_truncated", False) else None
        self.spelling = Spelling.of(model.tokenizer)
        self.masked = None
        if constraints.regex is not None:
            self.masked = MaskedSearch(model, options, constraints, self.spelling)
        else:
            self.plan = plan(constraints, model.tokenizer, self.spelling)
        self.walker: Walker
        if self.way is not None:
            self.walker = model.walker(**self.way)  # type: ignore[attr-defined]
        else:
            self.walker = ModelWalker(model, build_filters(options, model.tokenizer))

    def texts(self, prompts: list[Ids], seeds: Seeds, with_logprob: bool) -> Iterator[Generated]:
        for begin in range(0, len(prompts), _TOGETHER):
            some = slice(begin, begin + _TOGETHER)
            for prompt, ids in zip(prompts[some], self._made(prompts[some], seeds[some]), strict=True):
                logprob = self._logprob(prompt, ids) if with_logprob else None
                yield Generated(ids, logprob, "eos")

    def _logprob(self, prompt: Ids, ids: Ids) -> float:
        whole = np.concatenate([prompt, ids, np.array([EOS], np.int32)])
        return float(self.model.score(whole)[len(prompt) :].sum())

    def _made(self, prompts: list[Ids], seeds: Seeds) -> list[Ids]:
        made: dict[int, Ids] = {}
        tried = "the model's own choice of a text"
        # choices are drawn from the exact distribution at once
        wished = self.constraints
        likely = self.way is not None and not (wished.contains or wished.starts_with or wished.template)
        attempts = () if wished.choices else _ATTEMPTS if likely else _ATTEMPTS[:1]
        for number, count in enumerate(attempts):
            left = [i for i in range(len(prompts)) if i not in made]
            self._draw_freely(prompts, seeds, left, number, count, made)
        walks = _WALKS if self.way is not None else _FEW_WALKS
        for number, count in enumerate(walks):
            left = [i for i in range(len(prompts)) if i not in made]
            if left:
                self._search(prompts, seeds, left, number, count, made)
        if len(made) < len(prompts):
            tried = f"{sum(attempts)} free texts and {sum(walks)} guided ones"
            raise ConstraintError(
                f"No text of at most {self.options.max_new_tokens} tokens was found that is as asked, among {tried}; "
                f"{self._hint()}"
            )
        return [made[i] for i in range(len(prompts))]

    def _hint(self) -> str:
        wished = self.constraints
        if wished.max_words is not None or wished.max_chars is not None:
            return "allow it more words or characters, or ask for less in it."
        return "raise max_new_tokens, or ask for less in it."

    def _draw_freely(
        self, prompts: list[Ids], seeds: Seeds, left: list[int], number: int, count: int, made: dict[int, Ids]
    ) -> None:
        if not left:
            return
        own = np.concatenate([child_seeds(_stream(seeds[i], number), 0, count) for i in left])
        rows = [prompts[i] for i in left for _ in range(count)]
        results = list(drawn(self.model, rows, self.options, own, len(rows), with_logprob=False))
        for place, result in enumerate(results):
            output = left[place // count]
            if output in made or result.finish_reason != "eos":
                continue
            text = self.spelling.text(result.ids.tolist()).decode("utf-8", "replace")
            if self.constraints.refusal_of(text) is None:
                made[output] = result.ids.astype(np.int32)

    def _search(
        self, prompts: list[Ids], seeds: Seeds, left: list[int], number: int, walks: int, made: dict[int, Ids]
    ) -> None:
        if self.masked is not None:
            self._search_masked(self.masked, prompts, seeds, left, number, made)
            return
        search = Search(self.walker, self.plan, self.constraints, self.spelling, self.options.max_new_tokens, walks)
        places: Any = self.walker.begin([prompts[i].tolist() for i in left for _ in range(walks)])
        own = np.array([_stream(seeds[i], len(_ATTEMPTS) + number) for i in left], np.uint64)
        for i, ids in zip(left, search.run(places, own), strict=True):
            if ids is not None:
                made[i] = np.array(ids, np.int32)

    def _search_masked(
        self,
        masked: MaskedSearch,
        prompts: list[Ids],
        seeds: Seeds,
        left: list[int],
        number: int,
        made: dict[int, Ids],
    ) -> None:
        for i in left:
            ids = masked.text(prompts[i], _stream(seeds[i], len(_ATTEMPTS) + number))
            if ids is not None:
                made[i] = np.array(ids, np.int32)


def _stream(seed: np.uint64, number: int) -> int:
    return int(seed) ^ (_STREAM * (number + 1) & (1 << 64) - 1)
