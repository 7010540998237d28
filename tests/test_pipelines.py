"""The Hugging Face face: what `transformers.pipeline("text-generation")` was seen to take and return, ours does too.

The tables were written from version 5.24.0 with a GPT-2 of random weights: what it returned and which errors it raised.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngramgen
from ngramgen.errors import ModelNotFoundError, OptionError
from ngramgen.pipelines import PipelineTokenizer, TextGenerationPipeline, pipeline
from tests.shipping import Ship

LINES = ["the quick brown fox jumps over the lazy dog.", "the cat sat on the mat.", "a dog ran and a cat sat!"]
MODEL = ngramgen.train(LINES * 3, order=4)
GENERATOR = pipeline("text-generation", model=MODEL)
GREEDY: dict[str, Any] = {"do_sample": False}
USER = {"role": "user", "content": "the quick"}
PREFILL = {"role": "assistant", "content": "the cat"}
FOX = " brown fox jumps over the lazy dog."
MAT = " sat on the mat."

TEXT = {"generated_text": "str"}
IDS = {"generated_token_ids": "ids"}
REPLY = {"generated_text": ["user", "assistant"]}


def form(value: Any) -> Any:
    """What a value is made of: texts, ids and chats by a word each, the roles for a chat."""
    if isinstance(value, str):
        return "str"
    if isinstance(value, dict):
        return {key: form(inner) for key, inner in value.items()}
    assert type(value) is list
    if value and all(type(item) is int for item in value):
        return "ids"
    if value and all(isinstance(item, dict) and "role" in item for item in value):
        return [item["role"] for item in value]
    return [form(item) for item in value]


class Dataset:
    """A map-style data set as torch has it: a length and items, and no end of its own."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Any:
        return self.items[place % len(self.items)]


class Streamer:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def put(self, ids: Any) -> None:
        self.log.append(ids.tolist())

    def end(self) -> None:
        self.log.append("end")


# What comes back


@pytest.mark.parametrize(
    ("inputs", "arguments", "expected"),
    [
        ("the cat", {}, [TEXT]),
        (["the cat"], {}, [[TEXT]]),
        (["the cat", "a dog"], {}, [[TEXT], [TEXT]]),
        ("", {}, [TEXT]),
        (" ", {}, [TEXT]),
        ("the cat", {"num_return_sequences": 3}, [TEXT] * 3),
        (["the cat", "a"], {"num_return_sequences": 2}, [[TEXT] * 2] * 2),
        (["the cat", "a", "the quick brown"], {"num_return_sequences": 2, "max_length": 9}, [[TEXT] * 2] * 3),
        ("the cat", {"return_full_text": False}, [TEXT]),
        ("the cat", {"return_tensors": True}, [IDS]),
        (["the cat"], {"return_tensors": True, "num_return_sequences": 2}, [[IDS, IDS]]),
        ("the cat", {"return_text": True}, [TEXT]),
        ("the cat", {"return_text": False}, [TEXT]),
        ("the cat", {"return_full_text": None, "return_tensors": True}, [IDS]),
        ("the cat", {"prefix": "hello "}, [TEXT]),
        ("the cat", {"prefix": None, "generation_config": None, "top_k": None}, [TEXT]),
        ("the cat", {"handle_long_generation": "hole"}, [TEXT]),
        ("the cat", {"clean_up_tokenization_spaces": True, "num_workers": 1, "continue_final_message": True}, [TEXT]),
        (["the cat", "a dog"], {"batch_size": 2}, [[TEXT], [TEXT]]),
        ([USER], {}, [REPLY]),
        ((USER,), {}, [REPLY]),
        ([USER], {"num_return_sequences": 2}, [REPLY, REPLY]),
        ([USER], {"return_full_text": False}, [TEXT]),
        ([USER], {"return_tensors": True}, [IDS]),
        ([USER], {"prefix": "hello "}, [REPLY]),
        ([[USER], [USER]], {}, [[REPLY], [REPLY]]),
        (([USER], [USER]), {}, [[REPLY], [REPLY]]),
        ([USER, PREFILL], {}, [REPLY]),
        ([USER, PREFILL], {"continue_final_message": False}, [{"generated_text": ["user", "assistant", "assistant"]}]),
        ([USER], {"continue_final_message": True}, [{"generated_text": ["user"]}]),
        ((message for message in [USER]), {}, [REPLY]),
    ],
)
def test_what_comes_back_has_their_form(inputs: Any, arguments: dict[str, Any], expected: Any) -> None:
    """Lists, keys and types are those of transformers for the same call."""
    assert form(GENERATOR(inputs, max_new_tokens=4, **arguments)) == expected


@pytest.mark.parametrize(
    "inputs",
    [
        lambda: (text for text in ["the cat", "a dog"]),
        lambda: Dataset(["the cat", "a dog"]),
        lambda: iter(["the cat", "a dog"]),
        lambda: map(str, ["the cat", "a dog"]),
        lambda: np.array(["the cat", "a dog"]),
        lambda: {"the cat": 1, "a dog": 2}.keys(),
        lambda: (chat for chat in [[USER], [USER]]),
        lambda: Dataset([[USER], [USER, PREFILL]]),
    ],
)
def test_iterators_and_data_sets_are_answered_item_by_item(inputs: Callable[[], Any]) -> None:
    """Whatever is no list is answered by an iterator, each item as it would be alone."""
    answers = GENERATOR(inputs(), max_new_tokens=4)
    assert iter(answers) is answers
    assert form(list(answers)) in ([[TEXT], [TEXT]], [[REPLY], [REPLY]])


def test_answers_to_a_data_set_have_its_length() -> None:
    """A progress bar can ask how many answers will come; of a generator nobody knows."""
    assert len(GENERATOR(Dataset(["a", "the"]))) == 2
    with pytest.raises(TypeError):
        len(GENERATOR(text for text in ["a"]))
    assert list(GENERATOR(text for text in [])) == []


def test_an_endless_generator_is_answered_as_far_as_one_asks() -> None:
    """No more is read than is needed: the first item at the call, and then batch_size at a time."""
    read = 0

    def prompts() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "the cat"

    answers = GENERATOR(prompts(), max_new_tokens=2)
    assert read == 1
    assert form([next(answers), next(answers)]) == [[TEXT], [TEXT]]
    assert read == 2
    next(GENERATOR(prompts(), max_new_tokens=2, batch_size=8))
    assert read == 2 + 8


def test_a_wrong_item_stops_a_generator_where_it_stands() -> None:
    """The answers before it have come by then."""
    answers = GENERATOR((item for item in ["a", 3]), max_new_tokens=2)
    assert form(next(answers)) == [TEXT]
    with pytest.raises(TypeError, match="a prompt is a string or a chat, not int"):
        next(answers)


# Texts, ids and chats


@pytest.mark.parametrize(
    ("prompt", "arguments", "text"),
    [
        ("the quick", {}, "the quick" + FOX),
        ("the quick ", {}, "the quick" + FOX),
        ("the quick", {"return_full_text": False}, FOX),
        ("quick", {"prefix": "the "}, "quick" + FOX),
        ("quick", {"prefix": "the ", "return_full_text": False}, FOX),
        ("quick", {"prefix": "the ", "max_length": 2}, "quick brown"),
        ("what?\nthe quick", {}, "what?\nthe quick" + FOX),
        ("the quick", {"max_new_tokens": 2}, "the quick brown fox"),
        ("the quick", {"max_length": 4}, "the quick brown fox"),
        ("the quick", {"max_length": 4, "max_new_tokens": 1}, "the quick brown"),
        ("the quick", {"stop_sequence": "um"}, "the quick brown fox jumps"),
        ("the quick", {"stop_strings": ["zzz", "ow"]}, "the quick brown"),
        ("the quick", {"stop": ("ow", "fo")}, "the quick brown"),
        ("the quick", {"stop_strings": "um", "stop_sequence": "fo", "tokenizer": "any"}, "the quick brown fox"),
    ],
)
def test_texts(prompt: str, arguments: dict[str, Any], text: str) -> None:
    """The prompt is shown as it was given, the prefix not, and a stop string with the token that completes it."""
    assert GENERATOR(prompt, **GREEDY, **arguments) == [{"generated_text": text}]


def test_the_known_line_works_with_another_import_alone(tmp_path: Path) -> None:
    """A line as it stands in many programs gives a text that begins with the prompt and keeps to max_length."""
    MODEL.save(tmp_path / "gpt2")
    generator = pipeline("text-generation", model=str(tmp_path / "gpt2"))
    text = generator("The world is a beautiful place", max_length=50)[0]["generated_text"]
    assert text.startswith("The world is a beautiful place")
    assert len(MODEL.tokenizer.encode(text)) <= 50


@pytest.mark.parametrize(
    ("arguments", "end"),
    [({}, [2]), ({"max_new_tokens": 3}, []), ({"stop_strings": "um"}, [])],
)
def test_ids_are_those_of_the_prompt_and_the_new_ones(arguments: dict[str, Any], end: list[int]) -> None:
    """They are one list of integers, with </s> where the text ended of itself, and with the prefix."""
    (record,) = GENERATOR("quick", prefix="the ", return_tensors=True, **GREEDY, **arguments)
    (text,) = GENERATOR("quick", prefix="the ", **GREEDY, **arguments)
    assert record["generated_token_ids"] == [*MODEL.tokenizer.encode("the " + text["generated_text"]).tolist(), *end]


def test_ids_of_an_empty_prompt_begin_with_the_start_of_a_sentence() -> None:
    """As theirs do, which counts in max_length too."""
    (record,) = GENERATOR("", return_tensors=True, max_length=4, **GREEDY)
    assert record["generated_token_ids"][0] == 1
    assert len(record["generated_token_ids"]) == 4


@pytest.mark.parametrize(
    ("chat", "arguments", "expected"),
    [
        ([USER], {}, [USER, {"role": "assistant", "content": FOX[1:]}]),
        ([USER], {"return_full_text": False}, FOX[1:]),
        ([USER], {"continue_final_message": True}, [{"role": "user", "content": "the quick" + FOX}]),
        ([USER, PREFILL], {}, [USER, {"role": "assistant", "content": "the cat" + MAT}]),
        ([USER, PREFILL], {"return_full_text": False}, MAT),
        (
            [USER, PREFILL],
            {"continue_final_message": False},
            [USER, PREFILL, {"role": "assistant", "content": MAT[1:]}],
        ),
    ],
)
def test_chats(chat: list[dict[str, str]], arguments: dict[str, Any], expected: Any) -> None:
    """The last message is gone on with: where it is the assistant's it grows, else the assistant's comes behind it."""
    assert GENERATOR(chat, **GREEDY, **arguments) == [{"generated_text": expected}]


def test_messages_of_the_answer_are_those_of_the_chat() -> None:
    """They keep what else they hold, and the chat itself is left as it was."""
    chat = [{"role": "user", "content": "the quick", "name": "x"}]
    made = GENERATOR(chat, **GREEDY)[0]["generated_text"]
    assert made[0] is chat[0]
    assert len(chat) == 1


@settings(max_examples=30, deadline=None)
@given(
    prompt=st.sampled_from(["", "the", "the quick ", "a dog\n", "ünknown", "a\nthe cat"]),
    prefix=st.sampled_from(["", "the cat ", "a\n"]),
    seed=st.integers(0, 2**64 - 1),
)
def test_full_text_is_prompt_and_new_text(prompt: str, prefix: str, seed: int) -> None:
    """For any prompt and prefix return_full_text adds the prompt, and nothing else."""
    full, new = (
        GENERATOR(prompt, prefix=prefix, seed=seed, return_full_text=flag)[0]["generated_text"]
        for flag in (True, False)
    )
    assert full == prompt + new


# Lengths


@pytest.mark.parametrize(
    ("arguments", "most"),
    [
        ({}, 256),
        ({"max_new_tokens": 5}, 5),
        ({"max_length": 9}, 7),
        ({"max_length": 9, "max_new_tokens": 3}, 3),
        ({"max_new_tokens": None}, 256),
        ({"max_new_tokens": None, "max_length": 9}, 7),
        ({"min_length": 400}, 256),
        ({"min_new_tokens": 12, "max_new_tokens": 9}, 9),
    ],
)
def test_lengths(arguments: dict[str, Any], most: int) -> None:
    """So many new tokens come when no text ends before; max_length and min_length count the prompt's two."""
    arguments = {"min_length": 2 + most} | arguments
    (record,) = GENERATOR("the quick", return_tensors=True, **arguments)
    assert len(record["generated_token_ids"]) - 2 == most


def test_no_text_ends_before_min_length() -> None:
    """min_length counts the prompt, min_new_tokens does not, and wins."""
    for arguments, least in (({"min_length": 30}, 30), ({"min_new_tokens": 30, "min_length": 90}, 32)):
        made = GENERATOR("the quick", return_tensors=True, num_return_sequences=20, seed=1, **arguments)
        lengths = [len(record["generated_token_ids"]) for record in made]
        assert least <= min(lengths) < 90


# Defaults


def options_of(**arguments: Any) -> dict[str, Any]:
    """What reaches the sampler."""
    seen: dict[str, Any] = {}

    def generate_all(texts: list[str], **options: Any) -> Iterator[Any]:
        seen.update(options)
        return MODEL.generate_all(texts, n=options["n"], max_new_tokens=1)

    model = SimpleNamespace(
        generate_all=generate_all, tokenizer=MODEL.tokenizer, prompt_ids=MODEL.prompt_ids, defaults={}
    )
    TextGenerationPipeline(model, **arguments.pop("defaults", {}))("the", **arguments)  # type: ignore[arg-type]
    return seen


def test_sampling_defaults_are_theirs() -> None:
    """256 new tokens, sampled at temperature 0.7 from the 50 likeliest."""
    seen = options_of()
    assert {name: seen[name] for name in ("max_new_tokens", "temperature", "top_k", "greedy")} == {
        "max_new_tokens": 256,
        "temperature": 0.7,
        "top_k": 50,
        "greedy": False,
    }


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({"top_k": 0, "temperature": 1.5}, {"top_k": 0, "temperature": 1.5}),
        ({"top_p": 0.9, "min_p": 0.1, "typical_p": 0.8}, {"top_p": 0.9, "min_p": 0.1, "typical_p": 0.8}),
        ({"epsilon_cutoff": 0.01, "eta_cutoff": 0.02}, {"epsilon_cutoff": 0.01, "eta_cutoff": 0.02}),
        (
            {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3},
            {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3},
        ),
        ({"bad_words_ids": [[5], [6, 7]], "suppress_tokens": [4]}, {"bad_words_ids": [[5], [6, 7]]}),
        ({"sequence_bias": {(5,): 2.0}}, {"logit_bias": {5: 2.0}}),
        ({"sequence_bias": [[[5], 2.0], [[6], -1.0]]}, {"logit_bias": {5: 2.0, 6: -1.0}}),
        ({"forced_bos_token_id": 5, "max_time": 2.5}, {"forced_bos_token_id": 5, "max_time": 2.5}),
        ({"num_beams": 3, "length_penalty": 0.5, "early_stopping": True}, {"num_beams": 3, "early_stopping": True}),
        ({"mirostat": 2, "frequency_penalty": 0.5}, {"mirostat": 2, "frequency_penalty": 0.5}),
        ({"do_sample": False}, {"greedy": True}),
        ({"greedy": True}, {"greedy": True}),
        ({"generation_config": {"top_k": 7, "do_sample": False, "top_p": None}}, {"top_k": 7, "greedy": True}),
        ({"generation_config": SimpleNamespace(top_k=7, _private=1), "top_k": 9}, {"top_k": 9}),
        ({"generation_config": ngramgen.SamplingOptions(top_p=0.5, stop="x")}, {"top_p": 0.5, "stop": ("x",)}),
        ({"generation_config": {"max_new_tokens": 3}, "max_new_tokens": 5}, {"max_new_tokens": 5}),
        ({"defaults": {"top_k": 3, "max_new_tokens": 2}}, {"top_k": 3, "max_new_tokens": 2}),
        ({"defaults": {"top_k": 3}, "top_k": 4}, {"top_k": 4}),
        ({"defaults": {"top_k": 3}, "top_k": None}, {"top_k": 50}),
        ({"defaults": {"max_new_tokens": 2}, "max_length": 20}, {"max_new_tokens": 2}),
        ({"defaults": {"num_return_sequences": 2}, "generation_config": {"top_k": 1}}, {"n": 1, "top_k": 1}),
        ({"defaults": {"stop_strings": ["a"]}, "stop_sequence": "b"}, {"stop": ("b",)}),
        ({"defaults": {"seed": 5}}, {"seed": 5}),
        ({"defaults": {"seed": 5}, "seed": 6}, {"seed": 6}),
    ],
)
def test_arguments_reach_the_sampler(arguments: dict[str, Any], options: dict[str, Any]) -> None:
    """Each under the sampler's own name; the call wins over its generation_config, that over the constructor."""
    seen = options_of(**arguments)
    assert {name: seen[name] for name in options} == options


def test_diff_of_their_generation_config_is_taken() -> None:
    """An object of transformers says what differs from its defaults, and what has no meaning here is passed over."""
    config = SimpleNamespace(
        to_diff_dict=lambda: {"top_k": 7, "pad_token_id": 50256, "transformers_version": "5.24.0", "_from": 1}, top_k=50
    )
    assert options_of(generation_config=config)["top_k"] == 7


def test_what_is_returned_may_be_a_default_of_the_constructor() -> None:
    """And a call may say otherwise."""
    generator = TextGenerationPipeline(MODEL, max_new_tokens=2, return_full_text=False, do_sample=False)
    assert generator("the quick") == [{"generated_text": " brown fox"}]
    assert form(generator("the quick", return_tensors=True)) == [IDS]


@pytest.mark.parametrize(
    "arguments",
    [
        {"pad_token_id": 50256, "eos_token_id": 50256, "use_cache": True, "bos_token_id": 1},
        {"eos_token_id": 2},
        {"eos_token_id": [2, 99999], "truncation": True, "padding": True, "add_special_tokens": False},
        {"penalty_alpha": None, "guidance_scale": 1.0, "num_beam_groups": 1, "logits_processor": []},
        {"return_dict_in_generate": False, "skip_special_tokens": True, "tools": None, "transformers_version": "5"},
    ],
)
def test_what_makes_no_difference_is_accepted(arguments: dict[str, Any]) -> None:
    """An argument that cannot change the result of an n-gram model does not."""
    assert GENERATOR("the cat", seed=1, **arguments) == GENERATOR("the cat", seed=1)


# Chance


@settings(max_examples=25, deadline=None)
@given(
    prompts=st.lists(st.sampled_from(["", "the", "the cat", "a dog", "x y z"]), min_size=1, max_size=6),
    seed=st.integers(-5, 2**65),
    n=st.integers(1, 3),
    batch_size=st.integers(1, 4),
    total=st.booleans(),
)
def test_a_seed_gives_the_same_texts_lazily_and_at_once(
    prompts: list[str], seed: int, n: int, batch_size: int, total: bool
) -> None:
    """A list, a generator read in any batches, and prompts of any lengths: one seed, one result."""
    arguments: dict[str, Any] = {
        "seed": seed,
        "num_return_sequences": n,
        "max_length" if total else "max_new_tokens": 8,
    }
    at_once = GENERATOR(prompts, **arguments)
    assert list(GENERATOR((prompt for prompt in prompts), batch_size=batch_size, **arguments)) == at_once
    assert GENERATOR(prompts[0], **arguments) == at_once[0]


def test_texts_of_a_call_are_drawn_anew() -> None:
    """One seed does not make equal prompts, nor the texts of one prompt, the same."""
    texts = [record["generated_text"] for (record,) in GENERATOR(["a"] * 20, seed=1)]
    assert len(set(texts)) > 1
    assert [record["generated_text"] for record in GENERATOR("a", num_return_sequences=20, seed=1)] == texts
    assert len({GENERATOR("a", max_new_tokens=40)[0]["generated_text"] for _ in range(20)}) > 1


# Streaming


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("arguments", [{}, {"max_new_tokens": 3}, {"stop_strings": ["at"]}, {"top_k": 0, "min_p": 0.1}])
def test_streamer_gets_prompt_and_tokens_and_the_end(arguments: dict[str, Any], seed: int) -> None:
    """First the prompt's ids as one row, then each new id, then the end; the result is that without a streamer."""
    streamer = Streamer()
    made = GENERATOR("the cat", streamer=streamer, seed=seed, return_tensors=True, **arguments)
    assert made == GENERATOR("the cat", seed=seed, return_tensors=True, **arguments)
    assert streamer.log[-1] == "end"
    assert streamer.log[0] == [MODEL.tokenizer.encode("the cat").tolist()]
    assert all(len(ids) == 1 for ids in streamer.log[1:-1])
    assert [i for row in streamer.log[:-1] for i in np.ravel(row)] == made[0]["generated_token_ids"]
    text = GENERATOR("the cat", seed=seed, **arguments)
    assert GENERATOR("the cat", streamer=Streamer(), seed=seed, **arguments) == text


@pytest.mark.parametrize("kind", ["whitespace", "char", "byte"])
@pytest.mark.parametrize("arguments", [{}, {"stop_strings": ["ï", "og"]}, {"return_full_text": False}])
def test_streamed_or_not_with_any_tokenizer(kind: str, arguments: dict[str, Any]) -> None:
    """Joints and stop strings are the same in both, also where a token is a byte or joins with a space."""
    generator = pipeline(model=ngramgen.train(["a naïve dog sat", "the naïve cat", "日本 dog"], tokenizer=kind))
    for prompt in ("a", "the ", "", "日", "a\n"):
        made = generator(prompt, seed=2, **arguments)
        assert generator(prompt, streamer=Streamer(), seed=2, **arguments) == made
        if "return_full_text" not in arguments:
            assert made[0]["generated_text"].startswith(prompt)


def test_streamer_shows_one_prompt_after_the_other() -> None:
    """A list is streamed prompt by prompt, with the same result as without a streamer, and an empty prompt as <s>."""
    streamer = Streamer()
    made = GENERATOR(["the cat", ""], streamer=streamer, seed=3)
    assert made == GENERATOR(["the cat", ""], seed=3)
    assert streamer.log.count("end") == 2
    assert streamer.log[streamer.log.index("end") + 1] == [[1]]


def test_text_is_streamed_from_another_thread() -> None:
    """What transformers' TextIteratorStreamer does with ids and tokenizer gives the new text as it comes."""
    pieces: Queue[str | None] = Queue()

    class TextStreamer(Streamer):
        shown = ""

        def put(self, ids: Any) -> None:
            if len(ids.shape) > 1:
                return  # the prompt
            self.log.extend(ids.tolist())
            text = GENERATOR.tokenizer.decode(self.log, skip_special_tokens=True)
            pieces.put(text[len(self.shown) :])
            self.shown = text

        def end(self) -> None:
            pieces.put(None)

    thread = threading.Thread(target=GENERATOR, args=("the quick",), kwargs={"streamer": TextStreamer(), **GREEDY})
    thread.start()
    assert "".join(iter(pieces.get, None)) == FOX
    thread.join()


def test_a_streamed_text_that_runs_out_of_time_has_not_ended() -> None:
    """After max_time no </s> is put behind what there is."""

    class Slow(Streamer):
        def put(self, ids: Any) -> None:
            super().put(ids)
            time.sleep(0.02)

    slow = Slow()
    (record,) = GENERATOR("the cat", streamer=slow, max_time=0.01, min_new_tokens=50, return_tensors=True)
    assert len(record["generated_token_ids"]) < 20
    assert record["generated_token_ids"][-1] != 2


# Beams


def test_beams_give_different_texts_and_no_chance() -> None:
    """num_return_sequences of the beams come, best first, whatever the seed."""
    arguments: dict[str, Any] = {"num_beams": 3, "num_return_sequences": 2, "max_new_tokens": 4}
    made = GENERATOR("the", seed=1, **arguments)
    assert GENERATOR("the", seed=2, **arguments) == made
    assert form(made) == [TEXT, TEXT]
    assert made[0] != made[1]
    assert GENERATOR(["a", "the"], **arguments)[1] == made


# Refusals


@pytest.mark.parametrize(
    ("inputs", "kind", "message"),
    [
        (None, TypeError, "a prompt is a string or a chat, not None"),
        (3, TypeError, "not int"),
        (b"the", TypeError, "not bytes; decode it first"),
        ([3], TypeError, "not int"),
        ([None], TypeError, "not None"),
        (["the", 3], TypeError, "not int"),
        ([["the", "cat"]], TypeError, "not list"),
        ([{"text": "the"}], TypeError, "a chat is a list, and each message of a chat is a dict with"),
        (USER, TypeError, "not dict; a chat is a list"),
        ([{"role": "user"}], TypeError, "keys 'role' and 'content'"),
        ([[USER], []], TypeError, "not list"),
        ([[[USER]]], TypeError, "not list"),
        ([USER, {"role": "user"}], ValueError, "keys 'role' and 'content', not dict"),
        ([USER, "x"], ValueError, "keys 'role' and 'content', not str"),
        ([{"role": "user", "content": None}], TypeError, "the content of a message is a string, not None"),
        ([], IndexError, "the list of prompts is empty"),
        ((), IndexError, "the list of prompts is empty"),
    ],
)
def test_what_is_no_prompt_is_refused_as_theirs(inputs: Any, kind: type[Exception], message: str) -> None:
    """The error is of the type that transformers raises, and an OptionError that says what is wrong."""
    with pytest.raises(OptionError, match=message) as caught:
        GENERATOR(inputs)
    assert isinstance(caught.value, kind)


def test_a_call_without_a_prompt() -> None:
    """It is Python's own TypeError, as with transformers."""
    with pytest.raises(TypeError, match="text_inputs"):
        GENERATOR()  # type: ignore[call-overload]
    assert form(GENERATOR(text_inputs="the", max_new_tokens=1)) == [TEXT]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flavour": 3}, "no argument 'flavour'; those that make a difference are .*temperature"),
        ({"generation_config": {"temprature": 3}}, "no argument 'temprature'"),
        ({"generation_config": 3}, "generation_config is 3"),
        ({"penalty_alpha": 0.6}, "penalty_alpha is not to be had"),
        ({"guidance_scale": 1.5}, "guidance_scale is not to be had"),
        ({"logits_processor": [len]}, "logits_processor is not to be had"),
        ({"eos_token_id": 5}, "eos_token_id is 5"),
        ({"eos_token_id": [2, 5]}, "eos_token_id is 5"),
        ({"return_text": True, "return_tensors": True}, "return_tensors and return_text exclude each other"),
        ({"return_full_text": True, "return_tensors": True}, "return_full_text and return_tensors exclude"),
        ({"return_full_text": True, "return_text": True}, "return_full_text and return_text exclude"),
        ({"return_full_text": "no"}, "return_full_text is 'no'"),
        ({"handle_long_generation": "xx"}, "handle_long_generation is 'xx', but must be None or 'hole'"),
        ({"max_length": 2}, "the prompt has 2 tokens and max_length is 2"),
        ({"max_length": 0}, "max_length is 0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"max_new_tokens": "5"}, "max_new_tokens is '5'"),
        ({"max_length": 9.0}, "max_length is 9.0"),
        ({"min_length": -1}, "min_length is -1"),
        ({"num_return_sequences": 0}, "num_return_sequences is 0"),
        ({"num_return_sequences": 2, "do_sample": False}, "num_return_sequences must be 1"),
        ({"num_return_sequences": 2, "temperature": 0}, "num_return_sequences must be 1"),
        ({"num_return_sequences": 3, "num_beams": 2}, "num_return_sequences is 3, but must be at most num_beams"),
        ({"do_sample": "yes"}, "do_sample is 'yes'"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_k": 0.5}, "top_k is 0.5"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0"),
        ({"stop_sequence": 3}, "stop_sequence is 3"),
        ({"stop_strings": [""]}, "stop_strings is"),
        ({"sequence_bias": {(5, 6): 1.0}}, "biases of single tokens"),
        ({"sequence_bias": 3}, "biases of single tokens"),
        ({"sequence_bias": {(5,): 1.0}, "logit_bias": {5: 1.0}}, "give one of them"),
        ({"prefix": 3}, "prefix is 3"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"streamer": 3}, "streamer is 3, but must be an object with the methods put"),
        ({"streamer": Streamer(), "num_return_sequences": 2}, "one text at a time"),
        ({"streamer": Streamer(), "num_beams": 2}, "beams are drawn side by side"),
        ({"continue_final_message": "x"}, "continue_final_message is 'x'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    """Each with its name, by a ValueError, in the call and, where no prompt is needed to tell, in the constructor."""
    with pytest.raises(OptionError, match=message) as caught:
        GENERATOR("the cat", **arguments)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(OptionError, match=message):
        GENERATOR((text for text in ["the cat"]), **arguments).__next__()
    if arguments != {"max_length": 2}:
        with pytest.raises(OptionError, match=message):
            pipeline(model=MODEL, **arguments)


# pipeline()


def test_a_model_may_be_a_name_a_path_or_a_model(tmp_path: Path) -> None:
    """All that `load` takes, and a TextModel as it is."""
    MODEL.save(tmp_path / "m.ngram")
    for model in (MODEL, tmp_path / "m.ngram", str(tmp_path / "m.ngram")):
        generator = pipeline("text-generation", model)
        assert generator("the quick", **GREEDY) == [{"generated_text": "the quick" + FOX}]
    assert pipeline(model=MODEL).model is MODEL
    assert pipeline(model=MODEL).task == "text-generation"


def test_a_shipped_model(ship: Ship, tmp_path: Path) -> None:
    """Without a model it is the default; a shipped model that lost a file is not taken for one of the hub."""
    MODEL.save(tmp_path / "m.ngram")
    models = ship(english={"model.ngram": (tmp_path / "m.ngram").read_bytes()})
    for generator in (pipeline("text-generation"), pipeline(model="english", tokenizer="english")):
        assert generator("the quick", **GREEDY) == [{"generated_text": "the quick" + FOX}]
    (models / "english/model.ngram").unlink()
    with pytest.raises(ModelNotFoundError, match=r"english is missing; reinstall ngramgen with pip$"):
        pipeline("text-generation", model="english")


def test_an_unknown_model_is_named_with_the_way_out(tmp_path: Path, ship: Ship) -> None:
    """A name of the hub is not looked up; the message says how to train a model or where to find one."""
    ship()
    with pytest.raises(ModelNotFoundError, match=r"no model 'gpt2'.*path.*ngramgen train TEXTFILE") as caught:
        pipeline("text-generation", model="gpt2")
    assert isinstance(caught.value, OSError)
    with pytest.raises(ModelNotFoundError, match="ngramgen train"):
        pipeline("text-generation")
    with pytest.raises(ModelNotFoundError, match="is a folder"):
        pipeline("text-generation", model=tmp_path)
    with pytest.raises(OptionError, match="a model is a name, a path or a TextModel, not int"):
        pipeline("text-generation", model=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["text-gen", "fill-mask", "", 3])
def test_other_tasks_are_refused_with_those_that_work(task: Any) -> None:
    """There is one."""
    with pytest.raises(OptionError, match=f"no task {task!r}; the tasks are text-generation"):
        pipeline(task, model=MODEL)


@pytest.mark.parametrize(
    "arguments",
    [
        {"device": 0},
        {"device": -1},
        {"device": "cuda:1", "dtype": "auto"},
        {"device": SimpleNamespace(type="cuda"), "torch_dtype": object()},
        {"device_map": "auto", "model_kwargs": {"load_in_8bit": True}},
        {"framework": "pt", "revision": "main", "trust_remote_code": True, "use_fast": False, "token": False},
        {"config": None, "tokenizer": None, "device": None, "revision": None, "feature_extractor": None},
        {"tokenizer": MODEL.tokenizer},
        {"tokenizer": GENERATOR.tokenizer},
        {"num_workers": 2, "batch_size": 8},
    ],
)
def test_arguments_of_place_and_machine_are_accepted(arguments: dict[str, Any]) -> None:
    """They change nothing, for an n-gram model runs on the processor as it is."""
    assert pipeline("text-generation", model=MODEL, **arguments)("the", seed=1) == GENERATOR("the", seed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": [1]}, "device is \\[1\\]"),
        ({"device": True}, "device is True"),
        ({"revision": 3}, "revision is 3, but must be of type str, or None"),
        ({"model_kwargs": "x"}, "model_kwargs is 'x'"),
        ({"trust_remote_code": "yes"}, "trust_remote_code is 'yes'"),
        ({"config": {}}, "an n-gram model has no config"),
        ({"image_processor": "x"}, "an n-gram model has no image_processor"),
        ({"tokenizer": "gpt2"}, "a model carries its own tokenizer"),
        ({"tokenizer": object()}, "a model carries its own tokenizer"),
        ({"flavour": 3}, "no argument 'flavour'"),
    ],
)
def test_wrong_arguments_of_pipeline_are_refused(arguments: dict[str, Any], message: str) -> None:
    """What is of another type, or would make another model of it, is not passed over."""
    with pytest.raises(OptionError, match=message):
        pipeline("text-generation", model=MODEL, **arguments)


def test_tokenizer_by_the_name_of_the_model(tmp_path: Path) -> None:
    """pipeline(model=X, tokenizer=X), as it is often written."""
    MODEL.save(tmp_path / "m.ngram")
    name = str(tmp_path / "m.ngram")
    assert isinstance(pipeline("text-generation", model=name, tokenizer=name).tokenizer, PipelineTokenizer)


def test_tokenizer_has_what_their_users_ask_of_it() -> None:
    """Ids there and back, the special ones, a length, and the text of a chat."""
    tokenizer = GENERATOR.tokenizer
    ids = tokenizer.encode("the cat")
    assert ids == MODEL.tokenizer.encode("the cat").tolist()
    assert tokenizer("the cat", return_tensors=None) == {"input_ids": ids, "attention_mask": [1, 1]}
    assert tokenizer.decode(ids, skip_special_tokens=True) == " the cat"
    assert tokenizer.decode(ids[0]) == " the"
    assert tokenizer.decode([]) == ""
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.eos_token) == (1, 2, "</s>")
    assert len(tokenizer) == tokenizer.vocab_size == MODEL.tokenizer.vocab_size
    chat = [USER, PREFILL]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text == "the quick\nthe cat"
    assert tokenizer.apply_chat_template(chat) == ids
    tokenizer.pad_token = tokenizer.eos_token
    assert GENERATOR(text, pad_token_id=tokenizer.eos_token_id, **GREEDY)[0]["generated_text"] == text + MAT
