"""`TextGenerationPipeline`: prompts and chats in, lists of dicts out.

>>> generator = TextGenerationPipeline(model, max_new_tokens=8)   # doctest: +SKIP
>>> generator(["The fox", "The king"], seed=1)   # doctest: +SKIP
[[{'generated_text': 'The fox came to the well'}], [{'generated_text': 'The king of the frogs'}]]
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from itertools import groupby, islice
from operator import length_hint
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS
from ngramgen.ngram.damage import blaming_items
from ngramgen.pipelines.arguments import Request, read_request
from ngramgen.pipelines.prompts import Prompt, is_chat, read_lazily, read_list, read_prompt
from ngramgen.pipelines.tokenizer import PipelineTokenizer
from ngramgen.sampling import SamplingOptions, stream
from ngramgen.sampling.ending import SentenceEnds
from ngramgen.textmodel import Generation, TextModel

Record: TypeAlias = dict[str, Any]
Ids: TypeAlias = NDArray[np.integer[Any]]


class TextGenerationPipeline:
    """Continues a prompt, or answers a chat, under the names of ``transformers.TextGenerationPipeline``.

    >>> TextGenerationPipeline(model)("The fox", return_full_text=False)   # doctest: +SKIP
    [{'generated_text': ' came to the well'}]

    Attributes:
        model: The `TextModel`.
        tokenizer: Its tokenizer with Hugging Face's names, a `PipelineTokenizer`.
        task: "text-generation".
    """

    task = "text-generation"

    def __init__(self, model: TextModel, **defaults: Any) -> None:
        self.model = model
        self.tokenizer = PipelineTokenizer(model)
        self._defaults = defaults
        self._request({})  # refuse at once what no call could do

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.tokenizer.vocab_size})"

    @overload
    def __call__(self, text_inputs: str, **arguments: Any) -> list[Record]: ...

    @overload
    def __call__(self, text_inputs: Any, **arguments: Any) -> Any: ...

    def __call__(self, text_inputs: Any, **arguments: Any) -> Any:
        """Records with "generated_text" or "generated_token_ids": a list for a text or a chat (a list of messages).

        A list or tuple of these gives a list of such lists; an iterator or data set an iterator of them, each made when
        it is asked for. The arguments are in docs/pipeline.md. Raises OptionError, which is a ValueError; for what is
        no text it is a TypeError too, for an empty list an IndexError.
        """
        request = self._request(arguments)
        if isinstance(text_inputs, str) or is_chat(text_inputs):
            return next(self._answers([read_prompt(text_inputs)], request))
        if isinstance(text_inputs, list | tuple):
            return list(self._answers(read_list(text_inputs), request))
        prompts = read_lazily(text_inputs)
        if isinstance(prompts, Prompt):
            return next(self._answers([prompts], request))
        answers = self._lazy_answers(prompts, request)
        length = length_hint(text_inputs, -1) if isinstance(text_inputs, Sized) else -1
        return answers if length < 0 else SizedAnswers(answers, length)

    def _request(self, arguments: dict[str, Any]) -> Request:
        return read_request(arguments, self._defaults, self.tokenizer.vocab_size, self.model.defaults)

    def _lazy_answers(self, prompts: Iterator[Prompt], request: Request) -> Iterator[list[Record]]:
        done = 0
        while some := list(islice(prompts, request.batch_size)):
            yield from self._answers(some, request, done)
            done += len(some)

    def _answers(self, prompts: list[Prompt], request: Request, done: int = 0) -> Iterator[list[Record]]:
        """The records of each prompt, ``done`` prompts of the call being answered already."""
        if request.streamer is not None:
            for index, prompt in enumerate(prompts, start=done):
                yield [self._streamed(prompt, request, index)]
            return
        options = [self._options(prompt, request) for prompt in prompts]
        for _, group in groupby(range(len(prompts)), key=lambda i: _group(i, options[i])):
            places = list(group)
            made = self._generations([prompts[i] for i in places], options[places[0]], request, done + places[0])
            for i, generations in zip(places, made, strict=True):
                yield [self._record(prompts[i], one, request) for one in generations]

    def _options(self, prompt: Prompt, request: Request) -> dict[str, Any]:
        return request.options(len(self._shown_ids(prompt.text)) if request.is_total else 0)

    def _generations(
        self, prompts: list[Prompt], options: dict[str, Any], request: Request, first: int
    ) -> Iterator[list[Generation]]:
        n = request.n
        texts = [_model_text(prompt, request) for prompt in prompts]
        made = self.model.generate_all(
            texts, n=n, seed=request.seed, first_index=first * n, with_logprob=False, **options
        )
        if len(prompts) == 1:  # of beams there may be fewer than n
            yield list(made)
        else:
            for _ in prompts:
                yield list(islice(made, n))

    def _streamed(self, prompt: Prompt, request: Request, index: int) -> Record:
        """The record of a prompt whose ids, and then each new one, went to the streamer."""
        text, streamer = _model_text(prompt, request), request.streamer
        options = SamplingOptions(**self._options(prompt, request))
        streamer.put(np.array([self._shown_ids(text)], dtype=np.int64))
        begun = time.monotonic()
        ids: list[int] = []
        drawn = stream(self.model.model, self.model.prompt_ids(text), options, seed=request.seed, index=index)
        for token in blaming_items(self.model.check, drawn):
            ids.append(token)
            streamer.put(np.array([token], dtype=np.int64))
        late = options.max_time is not None and time.monotonic() - begun >= options.max_time
        continuation = self.model.tokenizer.decode(np.array(ids, dtype=np.int32))
        stopped = any(string in continuation for string in options.stop)
        ends = SentenceEnds.asked(self.model.tokenizer, options)
        left = ends is not None and ends.reached(self.model.prompt_ids(text), ids)
        ended = len(ids) < options.max_new_tokens and not (late or stopped or left)
        if ended:
            streamer.put(np.array([EOS], dtype=np.int64))
        streamer.end()
        return self._put(prompt, ids, ended, self._joined(text, continuation), request)

    def _record(self, prompt: Prompt, made: Generation, request: Request) -> Record:
        continuation = made.generated_text
        if made.finish_reason == "stop":  # its text ends before the string, theirs with the token that completes it
            continuation = self._joined(made.prompt, self.model.tokenizer.decode(made.ids))
        return self._put(prompt, made.ids.tolist(), made.finish_reason == "eos", continuation, request)

    def _put(self, prompt: Prompt, ids: list[int], ended: bool, continuation: str, request: Request) -> Record:
        if request.output == "ids":
            end = [EOS] if ended else []
            return {"generated_token_ids": [*self._shown_ids(_model_text(prompt, request)), *ids, *end]}
        full = request.output == "full"
        return {"generated_text": prompt.answer(continuation, full=full, continues=request.continues)}

    def _joined(self, text: str, continuation: str) -> str:
        return self.model.joined(text, continuation)[len(text) :]

    def _shown_ids(self, text: str) -> list[int]:
        """The ids that the model reads; ``<s>``, which it always sees, stands for none."""
        return self.tokenizer.encode(text) or [BOS]


class SizedAnswers(Iterator[list[Record]]):
    """The answers to a data set, which has a length."""

    def __init__(self, answers: Iterable[list[Record]], length: int) -> None:
        self._answers = iter(answers)
        self._length = length

    def __next__(self) -> list[Record]:
        return next(self._answers)

    def __len__(self) -> int:
        return self._length


def _model_text(prompt: Prompt, request: Request) -> str:
    """What the model continues: a chat takes no prefix."""
    return prompt.text if prompt.messages is not None else request.prefix + prompt.text


def _group(index: int, options: dict[str, Any]) -> tuple[int, int, int]:
    """Prompts that may be continued in one call: with the same lengths, and none of them beside beams."""
    alone = index if options.get("num_beams", 1) != 1 else 0
    return options["max_new_tokens"], options["min_new_tokens"], alone
