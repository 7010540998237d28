"""Texts that meet constraints, from any LanguageModel: first by drawing freely, then by a search that cannot miss.

A free text that meets the constraints follows the model's distribution given them exactly; where they are likely, one
of the first few does. Where they are not, the texts are put together by `ngramgen.sampling.particles`, or, where a
regular expression says what they are, by `ngramgen.sampling.masked`. docs/constraints.md says what follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ngramgen.errors import ConstraintError, OptionError
from ngramgen.model import EOS
from ngramgen.randomness import child_seeds, uniform_block
from ngramgen.sampling.candidates import Frame, Rows
from ngramgen.sampling.characters import CharacterGuard
from ngramgen.sampling.direct import own_way
from ngramgen.sampling.edges import is_word_character
from ngramgen.sampling.filters import build_filters
from ngramgen.sampling.forbidden import Forbidden
from ngramgen.sampling.generated import Generated, checked_prompt
from ngramgen.sampling.goals import Goal, Plan, Way, check_room
from ngramgen.sampling.masked import ROUNDS, TEXTS, MaskedSearch
from ngramgen.sampling.openings import Openings
from ngramgen.sampling.particles import Search
from ngramgen.sampling.planning import plan
from ngramgen.sampling.sampler import drawn
from ngramgen.sampling.spelling import Spelling
from ngramgen.sampling.walking import ModelWalker

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ngramgen.model import LanguageModel
    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.options import SamplingOptions
    from ngramgen.sampling.walking import Walker

    Ids = NDArray[np.int32]
    Floats = NDArray[np.float64]
    Seeds = NDArray[np.uint64]
    Text = tuple[int, ...]

_TOGETHER = 16
"""Texts that are looked for side by side."""
_MOST_ROWS = 1024
"""Walks side by side."""
_CHARACTER = 4  # tokens that a character takes at most
_STREAM = 0xD1B54A32D192ED03


class Effort(NamedTuple):
    """How much is tried: free texts for each that is wanted, round by round, and then walks, search by search."""

    drafts: tuple[int, ...]
    walks: tuple[int, ...]


FAST = Effort((1, 7, 24), (48, 64, 256))
"""For an engine that walks by itself."""
SLOW = Effort((1, 7), (16, 32, 64))
"""For any other."""


def generate_constrained(
    model: LanguageModel,
    prompts: Sequence[ArrayLike],
    options: SamplingOptions,
    constraints: Constraints,
    seeds: Seeds,
    with_logprob: bool = True,
    effort: Effort | None = None,
) -> Iterator[Generated]:
    """One text for each prompt (T,) and child seed, each ended by the model's ``</s>`` and as the constraints ask.

    Text i depends on prompt i and seed i alone. Raises OptionError for options that do not go with constraints, and
    ConstraintError where what is asked cannot be; ConstraintError comes with the first text that was not found, too.

    >>> list(generate_constrained(model, [prompt], options, Constraints(contains="king"), seeds))    # doctest: +SKIP
    """
    _check(options)
    return _Maker(model, options, constraints, effort).texts(prompts, seeds, with_logprob)


def _check(options: SamplingOptions) -> None:
    if options.is_greedy:
        raise OptionError("greedy does not go with constraints on the text; give a seed or a low temperature instead")
    for name, asked in (
        ("num_beams", options.num_beams > 1),
        ("stop", bool(options.stop)),
        ("end_sentence", options.end_sentence),
        ("mirostat", bool(options.mirostat)),
        ("max_time", options.max_time is not None),
        ("max_copied_words", options.max_copied_words is not None),
        ("forced_bos_token_id", options.forced_bos_token_id is not None),
    ):
        if asked:
            raise OptionError(f"{name} does not go with constraints on the text; leave one of them out")


class _Round(NamedTuple):
    """A way to find texts for prompts and seeds, and from how many each is found."""

    find: Callable[[list[Ids], Seeds, int], list[Text | None]]
    size: int
    is_free: bool = False


class _Maker:
    """Makes texts for one set of constraints."""

    def __init__(
        self, model: LanguageModel, options: SamplingOptions, constraints: Constraints, effort: Effort | None
    ) -> None:
        self.model, self.options, self.constraints = model, options, constraints
        # a length in tokens is kept by choosing among texts, and </s> does not count
        self.free = replace(options, min_new_tokens=0, max_new_tokens=options.max_new_tokens + 1)
        way = own_way(model, self.free) if getattr(model, "draws_truncated", False) else None
        self.effort = effort or (SLOW if way is None else FAST)
        self.spelling = Spelling.of(model.tokenizer)
        self.characters = CharacterGuard.of(model.tokenizer)
        self.forbidden = Forbidden.of(options, model.tokenizer)
        self.walker: Walker
        if way is not None:
            self.walker = model.walker(**way)  # type: ignore[attr-defined]
        else:
            self.walker = ModelWalker(model, build_filters(self.free, model.tokenizer))
        self.masked: MaskedSearch | None = None
        self.plan = Plan()
        if constraints.regex is not None:
            self.masked = MaskedSearch(model, options, constraints, self.spelling)
        else:
            self.plan = plan(constraints, model.tokenizer, self.spelling, self.forbidden)
            check_room(self.plan, constraints, self.spelling, options.max_new_tokens)
        whole = self.plan.whole
        self.openings = Openings(model, whole or self.plan.opening, None if whole is None else self._is_right)

    def frame(self, *, loose: bool = False) -> Frame:
        options = self.options
        return Frame(self.constraints, self.spelling, options.min_new_tokens, options.max_new_tokens, loose)

    def texts(self, prompts: Sequence[ArrayLike], seeds: Seeds, with_logprob: bool) -> Iterator[Generated]:
        """The texts, some of them made together."""
        for begin in range(0, len(prompts), _TOGETHER):
            some = [checked_prompt(prompt, self.model.vocab_size) for prompt in prompts[begin : begin + _TOGETHER]]
            for prompt, ids in zip(some, self._made(some, seeds[begin : begin + _TOGETHER]), strict=True):
                if ids is None:
                    raise ConstraintError(self._failure())
                new = np.array(ids, np.int32)
                yield Generated(new, self._logprob(prompt, new) if with_logprob else None, "eos")

    def _logprob(self, prompt: Ids, ids: Ids) -> float:
        whole = np.concatenate([prompt, ids, np.array([EOS], np.int32)])
        return float(self.model.score(whole)[len(prompt) :].sum())

    def _made(self, prompts: list[Ids], seeds: Seeds) -> list[Text | None]:
        """A text for each prompt and seed, None where none was found."""
        made: list[Text | None] = [None] * len(prompts)
        for number, (find, count, _) in enumerate(self._rounds()):
            left = [i for i, text in enumerate(made) if text is None]
            some = max(1, _MOST_ROWS // count)
            for begin in range(0, len(left), some):
                part = left[begin : begin + some]
                own = seeds[part] ^ np.uint64(_STREAM * (number + 1) & (1 << 64) - 1)
                for i, text in zip(part, find([prompts[i] for i in part], own, count), strict=True):
                    made[i] = text
        return made

    def _rounds(self) -> list[_Round]:
        """What is tried, one after the other."""
        if self.plan.whole is not None:
            return [_Round(self._chosen, 1)]
        drafts, walks = self.effort
        if self.constraints.template is not None:  # a free text hardly fits one
            drafts = ()
        elif self.constraints.contains:
            drafts = drafts[:1]
        free = [_Round(self._drafts, count, is_free=True) for count in drafts]
        if self.masked is not None:
            return [*free, *(_Round(self._masked, TEXTS) for _ in range(ROUNDS))]
        last = (partial(self._searched, loose=True), walks[-1])
        return [*free, *(_Round(self._searched, count) for count in walks[:-1]), _Round(*last)]

    def _failure(self) -> str:
        if self.plan.whole is not None:
            return "The model gives no choice a chance, or the other options forbid them all; change one of them."
        free, guided = (sum(one.size for one in self._rounds() if one.is_free == kind) for kind in (True, False))
        limits = [name for name in ("max_words", "max_chars") if getattr(self.constraints, name) is not None]
        return (
            f"No text of at most {self.options.max_new_tokens} tokens that is all that was asked was among the {free} "
            f"free and {guided} guided ones that were tried; raise {' or '.join([*limits, 'max_new_tokens'])}, or ask "
            "for less."
        )

    def _is_right(self, prompt: Ids, ids: Text) -> bool:
        """Whether a text is all that is asked of it."""
        if not self.options.min_new_tokens <= len(ids) <= self.options.max_new_tokens:
            return False
        if self.characters is not None and not self.characters.permits(prompt, np.array(ids, np.int64), ended=True):
            return False
        return self.constraints.refusal_of(self.spelling.text(ids)) is None and not self.forbidden.holds(prompt, ids)

    def _chosen(self, prompts: list[Ids], seeds: Seeds, count: int) -> list[Text | None]:
        """One of the ways to be the whole text, for each prompt."""
        drawn_ways = [self.openings.draw(p, uniform_block(s, 0, count)) for p, s in zip(prompts, seeds, strict=True)]
        return [ways[0].ids if ways else None for ways in drawn_ways]

    def _drafts(self, prompts: list[Ids], seeds: Seeds, count: int) -> list[Text | None]:
        """The first free text for each prompt, behind its opening, that is right among so many."""
        begun: list[Text] = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            ways = self.openings.draw(prompt, uniform_block(child_seeds(int(seed), count, 1)[0], 0, count))
            begun += [way.ids for way in ways] or [()] * count
        rows = [
            np.concatenate([prompts[place // count], np.array(ids, np.int32)]) if ids else prompts[place // count]
            for place, ids in enumerate(begun)
        ]
        own = np.concatenate([child_seeds(int(seed), 0, count) for seed in seeds])
        found: list[Text | None] = [None] * len(prompts)
        for place, result in enumerate(drawn(self.model, rows, self.free, own, with_logprob=False)):
            output, ids = place // count, (*begun[place], *result.ids.tolist())
            if found[output] is None and result.finish_reason == "eos" and self._is_right(prompts[output], ids):
                found[output] = ids
        return found

    def _masked(self, prompts: list[Ids], seeds: Seeds, count: int) -> list[Text | None]:
        """A text for each prompt that the mask of a regular expression has led."""
        assert self.masked is not None
        return [
            self.masked.text(prompt, int(seed), partial(self._is_right, prompt), count)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]

    def _searched(self, prompts: list[Ids], seeds: Seeds, count: int, *, loose: bool = False) -> list[Text | None]:
        """A text for each prompt that is put together from so many walks."""
        marks = np.arange(count)
        ways, inside = [], []
        for prompt, seed in zip(prompts, seeds, strict=True):
            start = uniform_block(child_seeds(int(seed), 0, 1)[0], 0, 1)
            ways += self.openings.draw(prompt, (marks + start) / count) or [Way(())] * count
            inside += [self._ends_inside(prompt)] * count
        opening = self.plan.opening or Goal("", ())
        behind = [opening.behind(self.spelling.text(way.ids), way) for way in ways]
        texts = [(*prompts[place // count].tolist(), *way.ids) for place, way in enumerate(ways)]
        different = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        # what is begun alike is read once
        walk = self.walker.walk(self.walker.begin(list(different)), np.zeros(len(different), np.uint64), 0, [])
        which = np.array([different[text] for text in texts])
        places = walk.at(which, np.zeros(len(texts), np.int64))
        pending = np.ones((len(ways), 0), bool)
        rows = Rows(count, places, [way.ids for way in ways], behind, pending, np.array(inside))
        search = Search(self.walker, self.plan, self.frame(loose=loose), lambda i, ids: self._is_right(prompts[i], ids))
        return search.run(rows, seeds)

    def _ends_inside(self, prompt: Ids) -> bool:
        """Whether a prompt ends with a character of a word, which the next token may go on with."""
        text = "" if self.spelling.separator else self.spelling.text(prompt[-_CHARACTER:].tolist())
        return bool(text) and is_word_character(text[-1])
