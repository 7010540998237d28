from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import ngramgen
from ngramgen.errors import OptionError
from ngramgen.sampling import Generated, SamplingOptions, beams, generate
from ngramgen.sampling.beams import beam_search
from ngramgen.sampling.growing import Continuation

Toy = Callable[..., Any]
Ids = NDArray[np.integer[Any]]
PENALTIES = [-1.0, 0.0, 0.5, 1.0, 2.0]
STOPPING: list[Any] = [False, True, "never"]
HUGGING_FACE = json.loads(Path(__file__).with_name("huggingface_beams.json").read_text("utf-8"))


def tokens_of(one: Generated) -> list[int]:
    return [*one.ids.tolist(), *[2] * (one.finish_reason == "eos")]


def score_of(one: Generated, penalty: float) -> float:
    """The score where no filter changes the model's log-probabilities."""
    assert one.logprob is not None
    return float(one.logprob / len(tokens_of(one)) ** penalty)


def without_specials(toy: Toy, letters: bytes, seed: int, eos: float = 0.2) -> Any:
    """A random bigram model over some letters that gives ``<unk>`` and ``<s>`` nothing."""
    size = len(letters) + 3
    probs = np.random.default_rng(seed).gamma(0.5, size=(size, size)) + 1e-3
    probs[:, 2] = eos * probs.sum(axis=1)
    probs[:, :2] = 0
    return toy([bytes([c]) for c in letters], probs=probs)


def every_sequence(model: Any, prompt: list[int], length: int) -> Iterator[tuple[list[int], float]]:
    """All that the model can say in so many tokens, with its log-probability."""
    words = range(3, model.vocab_size)
    for size in range(length + 1):
        for some in itertools.product(words, repeat=size):
            new = [*some, 2] if size < length else list(some)
            scores = model.score(np.array([*prompt, *new]))[len(prompt) :]
            yield new, float(scores.sum())


@pytest.mark.parametrize("early", STOPPING)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("letters", "length"), [(b"ab", 4), (b"abc", 4), (b"ab", 6)])
def test_with_enough_beams_it_finds_the_best(toy: Toy, letters: bytes, length: int, penalty: float, early: Any) -> None:
    """With as many beams as there are sequences the result is that of looking at each, in the same order."""
    for seed in range(5):
        model = without_specials(toy, letters, seed)
        every = sorted(every_sequence(model, [3], length), key=lambda item: -item[1] / len(item[0]) ** penalty)
        options = SamplingOptions(
            max_new_tokens=length, num_beams=len(every), length_penalty=penalty, early_stopping=early
        )
        found = beam_search(model, [3], options, len(every))
        assert sorted(map(tokens_of, found)) == sorted(new for new, _ in every)  # each once
        expected = [logprob / len(new) ** penalty for new, logprob in every]
        assert [score_of(one, penalty) for one in found] == pytest.approx(expected, abs=1e-6)
        assert tokens_of(found[0]) == every[0][0]


@pytest.mark.parametrize("early", [False, "never"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_never_worse_than_greedy(toy: Toy, penalty: float, early: Any) -> None:
    """However few beams there are, the best continuation scores at least as high as the greedy one."""
    for seed, length in itertools.product(range(30), (4, 12)):
        model = without_specials(toy, b"abcdefghi", seed, eos=(0.02, 0.1, 0.3)[seed % 3])
        greedy = next(generate(model, [[3]], SamplingOptions(max_new_tokens=length, greedy=True)))
        for num_beams in (1, 2, 3):
            options = SamplingOptions(
                max_new_tokens=length, num_beams=num_beams, length_penalty=penalty, early_stopping=early
            )
            best = beam_search(model, [3], options)[0]
            assert score_of(best, penalty) >= score_of(greedy, penalty) - 1e-6


@pytest.mark.parametrize("penalty", [-1.0, -0.25, 0.0])
def test_without_a_premium_on_length_never_is_false(toy: Toy, penalty: float) -> None:
    """Where longer continuations cannot score higher, both ways to end are the same."""
    for seed in range(40):
        model = without_specials(toy, b"abcdefghi", seed, eos=0.3)
        found = [
            beam_search(
                model, [3], SamplingOptions(max_new_tokens=40, num_beams=3, length_penalty=penalty, early_stopping=e), 3
            )
            for e in (False, "never")
        ]
        assert [tokens_of(one) for one in found[0]] == [tokens_of(one) for one in found[1]]


def test_the_greedy_continuation_is_not_lost(toy: Toy) -> None:
    """Where two beams leave the greedy way and end worse, it comes first, but with early_stopping=True."""
    # Greedy: a 0.4, ax 0.4 * 0.4 = 0.16, ax</s> 0.16. Two beams: a 0.4 and b 0.35; then by and bz, each 0.175, so that
    # ax is lost; y and z scatter, so that nothing that begins with b reaches more than 0.175 * 0.2 = 0.035.
    a, b, c, x, y, z = range(3, 9)
    probs = np.zeros((9, 9))
    probs[[0, 2]] = 1
    probs[1, [a, b, c]] = 0.4, 0.35, 0.25
    probs[a, [x, a, b, c]] = 0.4, 0.2, 0.2, 0.2
    probs[b, [y, z]] = 0.5
    probs[[y, z, c], 2:] = [[0.2, 0.2, 0.1, 0.1, 0.2, 0.1, 0.1]]
    probs[x, 2] = 1
    model = toy([bytes([i]) for i in b"abcxyz"], probs=probs)
    for early in STOPPING:
        options = SamplingOptions(max_new_tokens=6, num_beams=2, length_penalty=0, early_stopping=early)
        first, second = beam_search(model, [], options, 2)
        assert second.logprob is not None
        assert (tokens_of(first) == [a, x, 2]) == (early is not True)
        assert np.exp(second.logprob) == pytest.approx(0.035)


@dataclass(frozen=True)
class SumState:
    read: Ids

    @property
    def batch(self) -> int:
        return len(self.read)

    def select(self, rows: Ids) -> SumState:
        return SumState(self.read[rows])


class SumModel:
    """Logits are the sum of a row for the last token and one for the number of tokens (see huggingface_beams.py)."""

    tokenizer = None

    def __init__(self, by_token: list[list[float]], by_place: list[list[float]]) -> None:
        self._by_token, self._by_place = np.array(by_token), np.array(by_place)
        self.vocab_size = len(by_token)

    def start(self, batch: int = 1) -> SumState:
        return SumState(np.zeros((batch, 0), np.int32))

    def advance(self, state: SumState, ids: Ids) -> SumState:
        return SumState(np.concatenate([state.read, ids], axis=1))

    def logprobs(self, state: SumState) -> NDArray[np.float32]:
        logits = self._by_token[state.read[:, -1]] + self._by_place[state.read.shape[1]]
        rows: NDArray[np.float32] = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
        return rows


@pytest.mark.parametrize("case", HUGGING_FACE["cases"], ids=range(len(HUGGING_FACE["cases"])))
def test_it_is_hugging_faces_search(case: dict[str, Any]) -> None:
    """Sequences and scores are those of transformers; only a better greedy continuation may come before them."""
    model: Any = SumModel(HUGGING_FACE["by_token"], HUGGING_FACE["by_place"])
    prompt, count, penalty = case["prompt"], case["num_beams"], case["length_penalty"]
    options = SamplingOptions(
        max_new_tokens=8, num_beams=count, length_penalty=penalty, early_stopping=case["early_stopping"]
    )
    expected = list(zip(case["ids"], case["scores"], strict=True))
    greedy = next(generate(model, [prompt], SamplingOptions(max_new_tokens=8, greedy=True)))
    if case["early_stopping"] is not True and score_of(greedy, penalty) > expected[0][1] + 1e-4:
        expected = [(tokens_of(greedy), score_of(greedy, penalty)), *expected][:count]
    found = beam_search(model, prompt, options, count)
    assert [tokens_of(one) for one in found] == [ids for ids, _ in expected]
    assert [score_of(one, penalty) for one in found] == pytest.approx([score for _, score in expected], abs=2e-5)


def test_the_comparison_holds_a_lost_greedy_continuation() -> None:
    """Among Hugging Face's searches is one that ends with less than greedy's score, so that the exception is seen."""
    assert any(
        case["early_stopping"] is not True and case["num_beams"] > 1 and is_lost(case) for case in HUGGING_FACE["cases"]
    )


def is_lost(case: dict[str, Any]) -> bool:
    model: Any = SumModel(HUGGING_FACE["by_token"], HUGGING_FACE["by_place"])
    greedy = next(generate(model, [case["prompt"]], SamplingOptions(max_new_tokens=8, greedy=True)))
    return bool(score_of(greedy, case["length_penalty"]) > case["scores"][0] + 1e-4)


@pytest.mark.parametrize("early", STOPPING)
def test_more_beams_than_continuations(toy: Toy, early: Any) -> None:
    """Where fewer continuations exist than are asked for, each is given, and once."""
    model = without_specials(toy, b"a", seed=1)
    found = beam_search(model, [3], SamplingOptions(max_new_tokens=3, num_beams=50, early_stopping=early), 50)
    assert sorted(map(tokens_of, found)) == [[2], [3, 2], [3, 3, 2], [3, 3, 3]]
    one_way = np.zeros((4, 4))
    one_way[[0, 1, 2], 3] = one_way[3, 2] = 1  # <s> a </s> and nothing else
    found = beam_search(toy([b"a"], probs=one_way), [], SamplingOptions(num_beams=5, early_stopping=early), 5)
    assert [(tokens_of(one), one.logprob) for one in found] == [([3, 2], 0.0)]


@given(
    seed=st.integers(0, 1000),
    num_beams=st.integers(1, 8),
    penalty=st.sampled_from(PENALTIES),
    early=st.sampled_from(STOPPING),
    length=st.integers(0, 7),
    stop=st.sampled_from([(), ("b",), ("ab", "ca")]),
    minimum=st.integers(0, 3),
)
def test_what_every_result_keeps_to(
    toy: Toy, seed: int, num_beams: int, penalty: float, early: Any, length: int, stop: tuple[str, ...], minimum: int
) -> None:
    """At most num_beams different continuations, best first, each with the model's logprob and the right reason."""
    model = without_specials(toy, b"abc", seed)
    options = SamplingOptions(
        max_new_tokens=length,
        min_new_tokens=min(minimum, length),
        num_beams=num_beams,
        length_penalty=penalty,
        early_stopping=early,
        stop=stop,
        repetition_penalty=1.2,
    )
    found = beam_search(model, [3], options, num_beams)
    assert 1 <= len(found) <= num_beams
    assert len({tuple(tokens_of(one)) for one in found}) == len(found)
    assert [tokens_of(one) for one in found] == [tokens_of(one) for one in beam_search(model, [3], options, num_beams)]
    for one in found:
        assert one.ids.dtype == np.int32
        assert (one.ids > 2).all()
        assert one.logprob == pytest.approx(model.score(np.array([3, *tokens_of(one)]))[1:].sum(), abs=1e-4)
        reason, text_end = outcome(model, one, stop)
        assert (one.finish_reason, one.text_end) == (reason, text_end)
        assert len(one.ids) == length or reason != "length"
        assert len(one.ids) >= options.min_new_tokens or reason == "stop"


def outcome(model: Any, one: Generated, stop: tuple[str, ...]) -> tuple[str, int | None]:
    """How a continuation with these ids ends when it is drawn token by token."""
    text = Continuation(model.tokenizer, stop)
    for place, index in enumerate(one.ids.tolist()):
        assert text.text_end is None, f"a stop string came before token {place}"
        text.push(index)
    text.finish()
    if stop and text.text_end is not None:
        return "stop", text.text_end
    return ("eos" if one.finish_reason == "eos" else "length"), None


@example(pieces=[b"a\xc3", b"\xa9"], ids=[0, 1], stop=["a"])
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=6),
    ids=st.lists(st.integers(0, 5), max_size=8),
    stop=st.lists(st.text(min_size=1, max_size=2), min_size=1, max_size=2),
)
def test_stop_strings_are_found_where_streaming_finds_them(
    toy: Toy, pieces: list[bytes], ids: list[int], stop: list[str]
) -> None:
    """Looking at the whole text after each token gives what a growing text gives, also amid bytes of a character."""
    tokenizer = toy([*pieces, "é".encode()[:1], "é".encode()[1:]]).tokenizer
    growing = Continuation(tokenizer, tuple(stop))
    row = [3 + i % (len(pieces) + 2) for i in ids]
    for length in range(1, len(row) + 1):
        growing.push(row[length - 1])
        found = beams._stop_place(tokenizer, np.array(row[:length], np.int32), tuple(stop), is_whole=False)
        assert found == growing.text_end
        if found is not None:
            return
    growing.finish()
    assert beams._stop_place(tokenizer, np.array(row, np.int32), tuple(stop), is_whole=True) == growing.text_end


def test_a_stop_string_before_an_unfinished_character(toy: Toy) -> None:
    """It is seen once the character is whole, and never if it is cut: as in a stream."""
    probs = np.zeros((5, 5))
    probs[[0, 1, 2, 3, 4], [3, 3, 3, 4, 3]] = 1
    model = toy([b"a\xc3", b"\xa9"], probs=probs)
    for most, expected in ((1, ([], "length", None)), (2, ([3, 4], "stop", 0)), (3, ([3, 4], "stop", 0))):
        (one,) = beam_search(model, [], SamplingOptions(max_new_tokens=most, num_beams=2, stop=("a",)))
        assert (one.ids.tolist(), one.finish_reason, one.text_end) == expected


def test_an_end_that_is_put_off(toy: Toy) -> None:
    """A model that would end at once does so after min_new_tokens."""
    model = without_specials(toy, b"ab", seed=2, eos=50.0)
    one = beam_search(model, [3], SamplingOptions(max_new_tokens=9, min_new_tokens=2, num_beams=4))[0]
    assert (len(one.ids), one.finish_reason) == (2, "eos")


def test_a_beam_is_read_once(toy: Toy) -> None:
    """While the greedy continuation is one of the beams it takes no row of its own."""
    probs = np.ones((6, 6))
    probs[:, :3] = 0
    model = toy([b"a", b"b", b"c"], probs=probs)
    beam_search(model, [3], SamplingOptions(max_new_tokens=5, num_beams=3))
    assert model.rows_read == 1 + 4 * 3  # the prompt, then three beams after each token but the last


def test_filters_before_temperature_apply(toy: Toy) -> None:
    """Bans hold for all beams; temperature and truncation change nothing."""
    model = without_specials(toy, b"abcde", seed=3)
    plain = SamplingOptions(max_new_tokens=6, num_beams=4)
    sampled = SamplingOptions(max_new_tokens=6, num_beams=4, temperature=0.3, top_k=1, top_p=0.1)
    found = [tokens_of(one) for one in beam_search(model, [3], plain, 4)]
    assert [tokens_of(one) for one in beam_search(model, [3], sampled, 4)] == found
    banned = found[0][0]
    options = SamplingOptions(max_new_tokens=6, num_beams=4, suppress_tokens=(banned,), no_repeat_ngram_size=1)
    for one in beam_search(model, [3], options, 4):
        ids = [3, *one.ids.tolist()]
        assert banned not in ids[1:]
        assert len(set(ids)) == len(ids)


def test_no_beam_copies_too_much() -> None:
    """With max_copied_words no continuation holds more words in a row of the training text, unlike without."""
    lines = ["the cat sat on the mat and the dog ran", "a dog sat on the cat and the mat ran off"]
    trained = ngramgen.train(lines, order=4, tokenizer="whitespace", copy_filter=4)
    prompt = trained.tokenizer.encode("the")
    longest = []
    for most in (None, 3):
        options = SamplingOptions(max_new_tokens=8, num_beams=4, max_copied_words=most)
        texts = [trained.tokenizer.decode(one.ids) for one in beam_search(trained.model, prompt, options, 4)]
        longest.append(max(copied_words(f"the {text}", lines) for text in texts))
    assert longest[0] > 3 >= longest[1]


def copied_words(text: str, lines: list[str]) -> int:
    words = text.split()
    runs = (words[i:j] for i in range(len(words)) for j in range(i + 1, len(words) + 1))
    return max(len(run) for run in runs if any(f" {' '.join(run)} " in f" {line} " for line in lines))


def test_looking_in_blocks_changes_nothing(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """More beams than can be filtered at once give the same continuations."""
    model, options = without_specials(toy, b"abcdefg", seed=4), SamplingOptions(max_new_tokens=8, num_beams=5)
    expected = [(tokens_of(one), one.logprob) for one in beam_search(model, [3], options, 5)]
    monkeypatch.setattr(beams, "_BLOCK", 25)  # two rows of ten tokens
    assert [(tokens_of(one), one.logprob) for one in beam_search(model, [3], options, 5)] == expected


def test_equal_scores_go_to_lower_ids(toy: Toy) -> None:
    """A uniform model's continuations come in the order of their ids."""
    probs = np.ones((7, 7))
    probs[:, :3] = 0
    found = beam_search(
        toy([b"a", b"b", b"c", b"d"], probs=probs), [], SamplingOptions(max_new_tokens=2, num_beams=3), 3
    )
    assert [tokens_of(one) for one in found] == [[3, 3], [3, 4], [3, 5]]


def test_time_is_up(toy: Toy) -> None:
    """With max_time over, the next token is the last of every beam."""
    model = without_specials(toy, b"abc", seed=1, eos=1e-3)
    found = beam_search(model, [3], SamplingOptions(num_beams=3, max_time=1e-9), 3)
    assert [(len(one.ids), one.finish_reason) for one in found] == [(1, "time")] * 3


def test_no_tokens(toy: Toy) -> None:
    """At max_new_tokens=0 there is one continuation, the empty one."""
    (one,) = beam_search(toy(), [3], SamplingOptions(max_new_tokens=0, num_beams=3), 3)
    assert (one.ids.tolist(), one.logprob, one.finish_reason) == ([], 0.0, "length")


@pytest.mark.parametrize("penalty", [1e6, -1e6])
def test_extreme_penalties(toy: Toy, penalty: float) -> None:
    """A power beyond float64 is no error, not even where the only continuation is certain."""
    options = SamplingOptions(max_new_tokens=5, num_beams=3, length_penalty=penalty, early_stopping="never")
    assert len(beam_search(toy(), [3], options, 3)) == 3
    (one,) = beam_search(toy([b"a"], probs=np.array([[0, 0, 0, 1.0]] * 4)), [], options, 3)
    assert (one.ids.tolist(), one.logprob) == ([3] * 5, 0.0)


@pytest.mark.parametrize("count", [0, 4, -1, True])
def test_count_out_of_range(toy: Toy, count: int) -> None:
    """More continuations than beams, or none, is an error that names the option."""
    with pytest.raises(OptionError, match=r"num_return_sequences is .* from 1 to num_beams, 3"):
        beam_search(toy(), [3], SamplingOptions(num_beams=3), count)


def test_a_foreign_id(toy: Toy) -> None:
    """A prompt's id outside the vocabulary is refused before the model sees it."""
    with pytest.raises(OptionError, match="holds id 10"):
        beam_search(toy(), [10], SamplingOptions(num_beams=2), 1)
