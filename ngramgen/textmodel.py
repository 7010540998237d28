"""`TextModel`, what a user holds: text in, text out, over any language model.

>>> import ngramgen
>>> model = ngramgen.train(["a rose is a rose"], order=2, tokenizer="whitespace")
>>> model.next("a", k=1)[0].token
'rose'
"""

from __future__ import annotations

import gzip
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from threading import Lock
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ngramgen.atomic import replacing
from ngramgen.defaults import options_of
from ngramgen.errors import ArpaError, OptionError
from ngramgen.evaluation.novelty import Novelty, novelty
from ngramgen.evaluation.perplexity import LineScores, Perplexity, PerplexityCounter, score_block, score_lines
from ngramgen.hybrid.personal import PersonalModel, lessons
from ngramgen.model import TextTokenizer
from ngramgen.ngram.arpa_writer import write_arpa
from ngramgen.ngram.damage import blaming, blaming_items
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.storage import save_ngram
from ngramgen.randomness import child_seeds, fresh_seed
from ngramgen.sampling import Generated, SamplingOptions, generate, stream_text
from ngramgen.sampling.beams import beam_search
from ngramgen.sampling.constrained import generate_constrained
from ngramgen.sampling.constraints import Constraints
from ngramgen.sampling.explaining import TokenExplanation, explain
from ngramgen.text.cleaning import Cleaner
from ngramgen.text.corpus import read_blocks
from ngramgen.text.tokenizers import Tokenizer

Texts = str | os.PathLike[str] | BinaryIO | Iterable[str] | Iterable[os.PathLike[str]]

_DECODED_TOGETHER = 64
_LEARNING = Lock()
"""Held where a model becomes a personal one or stops being one, so that two threads that learn make one of it."""
MAX_SEQUENCES = 100_000_000
"""Texts made in one call at most: each takes some bytes before the first is drawn."""


@dataclass(frozen=True)
class Generation:
    """One generated text: the prompt and its continuation."""

    prompt: str
    text: str
    generated_text: str
    ids: NDArray[np.integer[Any]] = field(compare=False)  # (T,) int32, without </s>; arrays have no truth value
    logprob: float | None  # natural, of the new tokens, unfiltered
    finish_reason: str  # "eos", "stop", "length" or "time"
    explanations: list[TokenExplanation] | None = None  # of the tokens, and of </s> where it came, where asked for


@dataclass(frozen=True)
class NextToken:
    """A candidate for the next token; ``logprob`` is natural."""

    token: str
    logprob: float
    prob: float


@dataclass
class TextModel:
    """A language model with the cleaning of its training, as text sees it.

    Nothing changes it but `learn` and `forget`. Safe to share between threads.
    """

    model: Any  # a LanguageModel; Any lets mypy see an engine's faster ways
    tokenizer: TextTokenizer
    cleaner: Cleaner = field(default_factory=Cleaner)
    about: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    check: Callable[[], None] | None = None  # raises ModelFormatError if the file that is mapped is damaged
    defaults: dict[str, Any] = field(default_factory=dict)  # sampling options where a call gives none
    _learnt: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)  # blocks of clean lines

    def generate(
        self, prompt: str = "", *, n: int | None = None, seed: int | None = None, **options: Any
    ) -> str | list[str]:
        """The prompt with a continuation, or a list of ``n`` of them.

        ``options`` are those of `SamplingOptions` and of `Constraints`; ``defaults`` stand for those that are not given
        (see `ngramgen.defaults.fitting`). The same seed gives the same text. Raises OptionError, and ConstraintError
        where no text was found that is as the constraints ask.
        """
        made = self.generate_all(prompt, n=1 if n is None else n, seed=seed, with_logprob=False, **options)
        texts = [generation.text for generation in made]
        return texts[0] if n is None else texts

    def generate_all(
        self,
        prompts: str | Sequence[str] = "",
        *,
        n: int = 1,
        seed: int | None = None,
        with_logprob: bool = True,
        batch_size: int = 64,
        first_index: int = 0,
        explained: bool = False,
        **options: Any,
    ) -> Iterator[Generation]:
        """``n`` continuations of each prompt, in order, with all that is known of them.

        Text number i of a call, from 0, is drawn as number ``first_index`` + i of the seed. With ``num_beams`` above 1
        they are the best that beam search finds, which may be fewer than ``n``. ``explained`` adds `explain` of each.
        Raises OptionError, and ConstraintError where no text was found that is as the constraints ask.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise OptionError(f"n must be an integer of 1 or more, not {n!r}")
        listed = list(prompts) if isinstance(prompts, Iterable) and not isinstance(prompts, str) else [prompts]
        if not all(isinstance(prompt, str) for prompt in listed):
            raise OptionError(f"prompts must be a string or a list of strings, not {prompts!r}")
        if n * len(listed) > MAX_SEQUENCES:
            raise OptionError(f"{n * len(listed)} texts are too many for one call; ask for at most {MAX_SEQUENCES}")
        chosen, constraints = options_of(options, self.defaults)
        seed = fresh_seed() if seed is None else seed
        children = child_seeds(seed, first_index, n * len(listed))
        repeated = [ids for prompt in listed for ids in [self.prompt_ids(prompt)] * n]
        texts = (prompt for prompt in listed for _ in range(n))
        pairs: Iterator[tuple[str, Generated]]
        if chosen.num_beams > 1:
            _refuse_beside_beams(chosen, constraints, n)
            pairs = ((prompt, one) for prompt in listed for one in self._beams(prompt, chosen, n))
        else:
            with blaming(self.check):
                if constraints.is_empty:
                    own: dict[str, Any] = {"seed": seed, "first_index": first_index, "batch_size": batch_size}
                    made = generate(self.model, repeated, chosen, with_logprob=with_logprob, **own)
                else:
                    made = generate_constrained(self.model, repeated, chosen, constraints, children, with_logprob)
            pairs = zip(texts, made, strict=True)
        generations = self._generations(pairs)
        if explained:
            generations = self._explained(generations, chosen, children)
        return blaming_items(self.check, generations)

    def _beams(self, prompt: str, options: SamplingOptions, n: int) -> Iterator[Generated]:
        yield from beam_search(self.model, self.prompt_ids(prompt), options, n)

    def _generations(self, pairs: Iterator[tuple[str, Generated]]) -> Iterator[Generation]:
        while some := list(itertools.islice(pairs, _DECODED_TOGETHER)):
            texts = self.tokenizer.decode_many([result.ids for _, result in some])
            for (prompt, result), continuation in zip(some, texts, strict=True):
                yield self._generation(prompt, continuation, result)

    def _explained(
        self, generations: Iterator[Generation], options: SamplingOptions, children: NDArray[np.uint64]
    ) -> Iterator[Generation]:
        for one, child in zip(generations, children, strict=False):
            ids, ended = self.prompt_ids(one.prompt), one.finish_reason == "eos"
            yield replace(one, explanations=explain(self.model, ids, one.ids, ended, options, child))

    def _generation(self, prompt: str, continuation: str, result: Generated) -> Generation:
        if result.text_end is not None:
            continuation = continuation[: result.text_end]
        text = self.joined(prompt, continuation)
        generated = text[len(prompt) :] if text.startswith(prompt) else continuation
        return Generation(prompt, text, generated, result.ids, result.logprob, result.finish_reason)

    def prompt_ids(self, prompt: str) -> NDArray[np.int32]:
        """Ids of the prompt's last line: a line is a sentence, and what comes before it is not seen.

        Of all its lines where the tokenizer reads lines.
        """
        if self.tokenizer.reads_lines:
            line = self.cleaner.text(prompt).rstrip(" ")
        elif self.tokenizer.leads_with_space:
            line = self.cleaner.text(prompt).rpartition("\n")[2].rstrip(" ")  # the space belongs to the next word
        elif prompt[-1:].isspace() and not self.tokenizer.joins_with_space:
            # to the cleaner, white space at the end of a prompt is inside of a line
            line = self.cleaner.text(prompt + "|").rpartition("\n")[2].removesuffix("|")
        else:
            line = self.cleaner.text(prompt).rpartition("\n")[2]
        return self.tokenizer.encode(line).astype(np.int32, copy=False)

    def joined(self, prompt: str, continuation: str) -> str:
        """The prompt and a decoded continuation of `prompt_ids` as one text."""
        if not prompt or prompt.endswith("\n"):  # a line begins: its first word has a space before it
            return prompt + (continuation.removeprefix(" ") if self.tokenizer.leads_with_space else continuation)
        if not continuation:
            return prompt
        if self.tokenizer.joins_with_space:
            return prompt + ("" if prompt[-1].isspace() else " ") + continuation
        if self.tokenizer.leads_with_space and prompt[-1] == " ":
            return prompt + continuation.removeprefix(" ")
        return prompt + continuation

    def stream(self, prompt: str = "", *, seed: int | None = None, **options: Any) -> Iterator[str]:
        """The continuation in pieces, as it is made: joined to the prompt they are what `generate` gives."""
        chosen, constraints = options_of(options, self.defaults)
        if chosen.num_beams > 1 or not constraints.is_empty:  # such a text is known when it is whole
            whole = self.generate_all(prompt, seed=seed, with_logprob=False, **options)
            return (one.text[len(prompt) :] for one in whole)
        with blaming(self.check):
            pieces = stream_text(self.model, self.prompt_ids(prompt), chosen, seed=seed)
        return blaming_items(self.check, self._streamed(prompt, pieces))

    def _streamed(self, prompt: str, pieces: Iterator[str]) -> Iterator[str]:
        if first := next(pieces, ""):
            yield self.joined(prompt, first)[len(prompt) :]
        yield from pieces

    def next(self, context: str = "", k: int = 10) -> list[NextToken]:
        """The ``k`` most likely next tokens, best first; ``</s>`` is the end of the sentence. Raises OptionError."""
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise OptionError(f"k must be an integer of 1 or more, not {k!r}")
        ids = self.prompt_ids(context)
        model = self.model  # a thread that learns may put another in its place
        with blaming(self.check):
            state = model.start()
            state = model.advance(state, ids[None, :]) if len(ids) else state
            found, logprobs = model.top(state, k)
            return [
                NextToken(self.tokenizer.token(i), logprob, math.exp(logprob))
                for i, logprob in zip(found.tolist(), logprobs.tolist(), strict=True)
            ]

    def score(self, text: str, *, base: float = math.e) -> float:
        """The log-probability of a sentence, ``<s>`` before and ``</s>`` behind it; natural, or to another ``base``.

        Where the tokenizer has tokens for newlines it is that of the text as it stands, with nothing behind it.
        Raises OptionError for a base that no logarithm has.
        """
        if isinstance(base, bool) or not isinstance(base, Real) or not 0 < base < math.inf or base == 1:
            raise OptionError(f"base must be a positive number other than 1, not {base!r}")
        line = self.cleaner.text(text)
        with blaming(self.check):
            if self.tokenizer.ends_lines:
                block = line.replace("\n", " ").encode("utf-8", "replace") + b"\n"
                natural = float(score_block(self.model, block).log10[0]) * math.log(10)
            else:
                natural = float(self.model.score(self.tokenizer.encode(line)).sum())
        return natural / math.log(float(base))

    def score_lines(self, blocks: Iterable[bytes]) -> Iterator[LineScores]:
        """The scores of every line of blocks of whole lines (`ngramgen.text.corpus.read_blocks`)."""
        return blaming_items(self.check, score_lines(self.model, map(self.cleaner.lines_block, blocks)))

    def perplexity(self, texts: Texts, *, errors: str = "strict") -> Perplexity:
        """Perplexity of a file (a path), of several (paths), or of sentences (strings)."""
        counter = PerplexityCounter(self.model)
        for block in read_blocks(sources_of(texts), errors=errors):  # type: ignore[arg-type]
            with blaming(self.check):
                counter.add(self.cleaner.lines_block(block), len(block))
        return counter.result()

    def novelty(self, texts: Texts, *, errors: str = "strict") -> Novelty:
        """How much of a text stands so in the training text. Raises OptionError for a model without copy filter."""
        blocks = read_blocks(sources_of(texts), errors=errors)  # type: ignore[arg-type]
        with blaming(self.check):
            return novelty(self.model, map(self.cleaner.lines_block, blocks))

    def embed(self, text: str) -> NDArray[np.float32]:
        """The mean of a network's last hidden states over a text, (W,) float32. Raises OptionError for an n-gram."""
        if not hasattr(self.model, "embed"):
            raise OptionError("only a network has states that embed a text")
        embedded: NDArray[np.float32] = self.model.embed(self.tokenizer.encode(self.cleaner.text(text)))
        return embedded

    def learn(self, text: Texts, *, weight: float | None = None, errors: str = "strict") -> None:
        """Learn text of the user's own, in memory, beside what the model knows: all answers then heed it.

        A string is the text itself, each line a sentence, and so are those of a list; a path (`pathlib.Path`) is a
        file. Blank lines and words that the vocabulary lacks are not learnt. ``weight``, from 0 to 1, is how much all
        that was learnt counts from now on; it begins as 1. Raises OptionError and CorpusError, and then learns nothing.
        """
        sources = [[text]] if isinstance(text, str) else sources_of(text)
        blocks = list(map(self.cleaner.lines_block, read_blocks(sources, errors=errors)))  # type: ignore[arg-type]
        with blaming(self.check):
            read = list(lessons(self.tokenizer, blocks))
        if weight is None and not read:
            return
        model, kept = self._personal(weight)
        for lines, words in read:
            model.learn(words)
            kept.append(lines)

    def _personal(self, weight: float | None) -> tuple[PersonalModel, list[bytes]]:
        """The model that learns, and where its lines are kept."""
        with _LEARNING:
            model = self.model
            if not isinstance(model, PersonalModel):
                self.model = model = PersonalModel(model, 1.0 if weight is None else weight)
            elif weight is not None:
                model.weigh(weight)
            return model, self._learnt

    def forget(self) -> None:
        """Be the model again that has learnt nothing; the weight is forgotten, too."""
        with _LEARNING:
            if isinstance(self.model, PersonalModel):
                self.model, self._learnt = self.model.base, []

    def save_learnt(self, path: str | os.PathLike[str]) -> None:
        """Write the lines that were learnt, after cleaning, as UTF-8 text, which `learn` can read. Raises OSError."""
        with replacing(path) as file:
            for piece in list(self._learnt):
                file.write(piece)

    def save(self, path: str | os.PathLike[str], *, compress: bool = False) -> None:
        """Write a .ngram file, or an ARPA file where the name ends in ``.arpa`` or ``.arpa.gz``.

        With ``compress`` a .ngram file takes a third of the space or less, and is unpacked when it is opened, about
        10 million n-grams a second, instead of being mapped.
        Raises OSError, ArpaError for what an ARPA file cannot hold, and OptionError for a model that is no n-gram or
        has learnt something.
        """
        if os.fspath(path).endswith((".arpa", ".arpa.gz")):
            self.save_arpa(path)
        else:
            save_ngram(path, self._ngram(path), self.cleaner.steps, self.about, compress)

    def save_arpa(self, path: str | os.PathLike[str]) -> None:
        """Write an ARPA file, compressed where the name ends in ``.gz``. Raises ArpaError, OSError, OptionError."""
        model = self._ngram(path)
        if not isinstance(self.tokenizer, Tokenizer):
            raise ArpaError(f"an ARPA file cannot hold the tokens of {self.tokenizer.kind}; write a .ngram file")
        with blaming(self.check), replacing(path) as file:
            if os.fspath(path).endswith(".gz"):
                # no name and no time in the head: the same model gives the same bytes
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as packed:
                    write_arpa(cast(BinaryIO, packed), model.table, self.tokenizer.vocabulary)
            else:
                write_arpa(file, model.table, self.tokenizer.vocabulary)

    def _ngram(self, path: str | os.PathLike[str]) -> NgramModel:
        model = self.model
        if isinstance(model, PersonalModel):
            raise OptionError(
                f"{path} cannot hold what was learnt: write that with save_learnt, and call forget before save"
            )
        if not isinstance(model, NgramModel):
            raise OptionError(f"only an n-gram model can be written to {path}")
        return model

    def description(self) -> dict[str, Any]:
        """What the model is and how it was made, as plain values."""
        model = self.model
        if isinstance(model, PersonalModel):
            return {**replace(self, model=model.base).description(), **model.description()}
        told = {**self.about, **({"sampling_defaults": dict(self.defaults)} if self.defaults else {})}
        if not isinstance(model, NgramModel):
            own = {"tokenizer": self.tokenizer.kind, "cleaning": list(self.cleaner.steps)}
            return {**model.description(), **own, **told}
        table = model.table
        return {
            "kind": "ngram",
            "order": table.order,
            "ngrams": list(table.sizes),
            "vocab_size": table.vocab_size,
            "tokenizer": self.tokenizer.kind,
            "cleaning": list(self.cleaner.steps),
            "normalised": table.normalised,
            **told,
        }


def sources_of(texts: Texts) -> list[Any]:
    """What `read_blocks` reads: a string is a path, other strings in a list or iterator are sentences.

    Raises OptionError for a list of strings that are all names of files, and for what is no text at all.
    """
    if isinstance(texts, str | os.PathLike) or hasattr(texts, "read"):
        return [texts]
    if isinstance(texts, bytes | bytearray) or not isinstance(texts, Iterable):
        raise OptionError(f"a text is a path, a binary file or sentences (strings), not {type(texts).__name__}")
    listed = texts if isinstance(texts, Iterator) else list(texts)
    if isinstance(listed, list):
        if listed and all(isinstance(t, os.PathLike) or t == "-" or hasattr(t, "read") for t in listed):
            return listed
        if listed and all(isinstance(t, str) and "\n" not in t and len(t) < 256 and os.path.isfile(t) for t in listed):
            raise OptionError(f"{listed[0]!r} is the name of a file; give pathlib.Path objects to read several files")
    return [listed]


def _refuse_beside_beams(options: SamplingOptions, constraints: Constraints, n: int) -> None:
    if not constraints.is_empty:
        raise OptionError("num_beams does not go with constraints on the text; leave one of them out")
    if options.end_sentence:
        raise OptionError("num_beams does not go with end_sentence; leave one of them out")
    if n > options.num_beams:
        raise OptionError(f"num_beams is {options.num_beams}, so at most {options.num_beams} texts can be had, not {n}")
