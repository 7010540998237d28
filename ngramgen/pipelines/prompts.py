"""What a pipeline may be called with: texts, chats, and lists and iterators of them.

>>> read_prompt([{"role": "user", "content": "Hello,"}, {"role": "assistant", "content": "I am"}]).text
'Hello,\\nI am'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeAlias

from ngramgen.errors import NoPromptError, OptionError, PromptTypeError

Message: TypeAlias = dict[str, Any]

_NO_KEYS = "each message of a chat is a dict with the keys 'role' and 'content'"


@dataclass(frozen=True)
class Prompt:
    """A text to continue, and the chat that it stands for, if it does."""

    text: str
    messages: list[Message] | None = None

    def answer(self, continuation: str, *, full: bool, continues: bool | None) -> str | list[Message]:
        """What is returned for a continuation: the new text alone, or behind the prompt.

        In a chat it becomes the assistant's message, or the end of the last one; ``continues`` None does that where the
        last message is the assistant's.
        """
        if self.messages is None:
            return self.text + continuation if full else continuation
        last = self.messages[-1]
        if continues is None:
            continues = last["role"] == "assistant"
        if not continues:  # a message of its own has no space before it
            continuation = continuation.removeprefix(" ")
        if not full:
            return continuation
        if continues:
            return [*self.messages[:-1], {"role": last["role"], "content": last["content"] + continuation}]
        return [*self.messages, {"role": "assistant", "content": continuation}]


def read_prompt(item: object) -> Prompt:
    """A text, or a list or tuple of messages, as a prompt. Raises OptionError, which is a TypeError too."""
    if isinstance(item, str):
        return Prompt(item)
    if is_chat(item):
        return _chat(list(item))  # type: ignore[call-overload]
    if isinstance(item, Mapping):
        hint = f"; a chat is a list, and {_NO_KEYS}"
    elif isinstance(item, bytes):
        hint = "; decode it first"
    else:
        hint = ""
    raise PromptTypeError(f"a prompt is a string or a chat, not {_kind(item)}{hint}")


def is_chat(inputs: object) -> bool:
    """Whether it is a list or tuple that begins with a message."""
    return isinstance(inputs, list | tuple) and len(inputs) > 0 and _is_message(inputs[0])


def read_list(inputs: list[Any] | tuple[Any, ...]) -> list[Prompt]:
    """A prompt for each item. Raises OptionError for an empty list (an IndexError too) and what `read_prompt` does."""
    if not inputs:
        raise NoPromptError("the list of prompts is empty: give a string, or a list of at least one")
    return [read_prompt(item) for item in inputs]


def read_lazily(inputs: object) -> Prompt | Iterator[Prompt]:
    """A prompt for each item of an iterator or data set, read when it is asked for; messages make up one chat."""
    items = iterator_of(inputs)
    if items is None:
        return read_prompt(inputs)  # which says what is wrong
    if isinstance(inputs, Iterator):
        first = list(islice(items, 1))
        if first and _is_message(first[0]):
            return _chat([*first, *items])
        items = chain(first, items)
    return map(read_prompt, items)


def iterator_of(inputs: object) -> Iterator[Any] | None:
    """An iterator over what has several items; None for one item, or for what has none."""
    if isinstance(inputs, str | bytes | Mapping):
        return None
    if isinstance(inputs, Iterable):
        return iter(inputs)
    if isinstance(inputs, Sized) and hasattr(inputs, "__getitem__"):  # a map-style data set
        return (inputs[i] for i in range(len(inputs)))
    return None


def _chat(messages: list[Any]) -> Prompt:
    for message in messages:
        if not _is_message(message):
            raise OptionError(f"{_NO_KEYS}, not {_kind(message)}")
        if not isinstance(message["content"], str):
            raise PromptTypeError(f"the content of a message is a string, not {_kind(message['content'])}")
    return Prompt("\n".join(message["content"] for message in messages), messages)


def _is_message(item: object) -> bool:
    return isinstance(item, dict) and "role" in item and "content" in item


def _kind(item: object) -> str:
    return "None" if item is None else type(item).__name__
