from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import OptionError
from ngramgen.sampling import Moment, SamplingOptions, build_filters, child_seeds, generate, stepping
from ngramgen.sampling.beams import beam_search
from ngramgen.sampling.explaining import TokenExplanation, explain
from ngramgen.sampling.filters import possible
from ngramgen.sampling.rows import normalise

Toy = Callable[..., Any]
CHILD = child_seeds(1, 0, 1)[0]
OPTIONS = {
    "plain": SamplingOptions(max_new_tokens=30),
    "cut": SamplingOptions(max_new_tokens=30, temperature=0.8, top_k=4, top_p=0.9, min_p=0.01),
    "history": SamplingOptions(
        max_new_tokens=30, repetition_penalty=1.5, no_repeat_ngram_size=3, frequency_penalty=0.3
    ),
    "minimum": SamplingOptions(max_new_tokens=30, min_new_tokens=10),
    "stop": SamplingOptions(max_new_tokens=30, stop=("ab", "g")),
    "greedy": SamplingOptions(max_new_tokens=30, greedy=True, repetition_penalty=1.3),
    "forced": SamplingOptions(max_new_tokens=30, forced_bos_token_id=5),
    "xtc": SamplingOptions(max_new_tokens=30, xtc_probability=0.5, xtc_threshold=0.1),
    "mirostat": SamplingOptions(max_new_tokens=30, mirostat=2, mirostat_tau=1.0, mirostat_eta=0.5),
}


def explained(model: Any, prompt: list[int], one: Any, options: SamplingOptions, child: Any) -> list[TokenExplanation]:
    return explain(model, prompt, one.ids, one.finish_reason == "eos", options, child)


def test_by_hand(toy: Toy) -> None:
    """Probabilities, ranks and what is kept are those of the rows that one can see."""
    # Rows of <unk> <s> </s> a b c d; the text is: a, then c b </s>.
    probs = np.ones((7, 7))
    probs[3] = [0.0, 0.5, 0.05, 0.2, 0.1, 0.1, 0.05]  # after a: a 0.2, b 0.1, c 0.1, </s> and d 0.05, <s> left out
    probs[5] = [0.0, 0.0, 0.1, 0.2, 0.4, 0.2, 0.1]  # after c: b 0.4, a and c 0.2, </s> and d 0.1
    probs[4] = [0.0, 0.0, 0.6, 0.1, 0.1, 0.1, 0.1]  # after b: </s> 0.6
    model = toy([b"a", b"b", b"c", b"d"], probs=probs)
    c, b, end = explain(model, [3], [5, 4], True, SamplingOptions(top_k=3), CHILD)
    assert (c.index, b.index, end.index) == (5, 4, 2)
    # c has 0.1 and comes after a (0.2) and b, as likely, but of a lower id; <s> (0.5) is never drawn.
    assert (c.rank, b.rank, end.rank) == (3, 1, 1)
    assert [one.probability for one in (c, b, end)] == pytest.approx([0.1, 0.4, 0.6])
    assert [one.logprob for one in (c, b, end)] == pytest.approx(np.log([0.1, 0.4, 0.6]))
    assert (c.kept, b.kept, end.kept) == (3, 3, 3)
    # Of 0.2, 0.1, 0.1 c is a quarter; of 0.4, 0.2, 0.2 b is a half; of 0.6, 0.1, 0.1 </s> is three quarters.
    assert [one.probability_kept for one in (c, b, end)] == pytest.approx([0.25, 0.5, 0.75])
    assert [one.source for one in (c, b, end)] == ["", "", ""]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_it_sees_what_the_sampler_saw(toy: Toy, options: SamplingOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every token the filters leave the very rows that the sampler drew it from."""
    rows: list[Any] = []

    def spied(*args: Any) -> Any:
        filters = build_filters(*args)

        def noting(logprobs: Any, moment: Moment) -> Any:
            rows.append(filters(logprobs, moment)[0])
            return rows[-1][None, :]

        return noting

    draw_plainly = stepping._draw_plainly

    def noted_plainly(logprobs: Any, numbers: Any) -> Any:
        rows.append(normalise(possible(logprobs))[0])
        return draw_plainly(logprobs, numbers)

    monkeypatch.setattr(stepping, "build_filters", spied)
    monkeypatch.setattr(stepping, "_draw_plainly", noted_plainly)
    model = toy()
    for index in range(8):
        rows.clear()
        one = next(generate(model, [[3, 4]], options, seed=5, first_index=index))
        found = explained(model, [3, 4], one, options, child_seeds(5, index, 1)[0])
        assert len(found) == len(rows)
        assert [e.kept for e in found] == [np.count_nonzero(row > -np.inf) for row in rows]
        expected = [np.exp(row[e.index]) for row, e in zip(rows, found, strict=True)]
        assert [e.probability_kept for e in found] == pytest.approx(expected)
        assert sum(e.logprob for e in found) == pytest.approx(one.logprob)


def test_vetoed_tokens_are_not_kept() -> None:
    """A token that would copy too much counts as one that the filters left out."""
    lines = ["the cat sat on the mat", "a dog ran off"]
    trained = ngramgen.train(lines, order=3, tokenizer="whitespace", copy_filter=3)
    model, encode = trained.model, trained.tokenizer.encode
    for most, vetoed in ((4, 0), (2, 1)):
        options = SamplingOptions(max_copied_words=most)
        _, one = explain(model, encode("the"), encode("cat sat"), False, options, CHILD)
        assert (one.kept, one.probability_kept > 0) == (model.vocab_size - 2 - vetoed, not vetoed)


def test_beams(toy: Toy) -> None:
    """What beam search found is explained with the filters that it applied: bans, but no truncation."""
    model = toy()
    options = SamplingOptions(max_new_tokens=8, num_beams=3, suppress_tokens=(4,), top_k=1)
    for one in beam_search(model, [3], options, 3):
        found = explained(model, [3], one, options, CHILD)
        assert [e.kept for e in found] == [7] * len(found)  # of 10 <unk>, <s> and 4 are out
        assert sum(e.logprob for e in found) == pytest.approx(one.logprob)


def test_an_ngram_tells_its_sources() -> None:
    """The source is the longest n-gram, and ranks and probabilities are those of the model's own list."""
    trained = ngramgen.train(["a rose is a rose", "a rose is red"], order=3, tokenizer="whitespace")
    model, encode = trained.model, trained.tokenizer.encode
    found = explain(model, encode("a rose"), encode("is red"), True, SamplingOptions(), CHILD)
    if hasattr(model, "sources"):
        assert [one.source for one in found] == ["3-gram", "3-gram", "3-gram"]
    for context, one in zip(("a rose", "a rose is", "a rose is red"), found, strict=True):
        listed = trained.next(context, k=model.vocab_size)
        assert listed[one.rank - 1].token == trained.tokenizer.token(one.index)
        assert listed[one.rank - 1].prob == pytest.approx(one.probability)
        assert one.kept == len(listed)


def test_nothing_to_explain(toy: Toy) -> None:
    """No new tokens, no explanations; an end alone has one, also without a prompt."""
    assert explain(toy(), [3], [], False, SamplingOptions(), CHILD) == []
    assert [one.index for one in explain(toy(), [], [], True, SamplingOptions(), CHILD)] == [2]


def test_a_text_that_was_not_drawn_so(toy: Toy) -> None:
    """Tokens that the options exclude have a probability of 0 among those kept, and mirostat goes on."""
    for options in (SamplingOptions(suppress_tokens=(4,)), SamplingOptions(suppress_tokens=(4,), mirostat=2)):
        found = explain(toy(), [3], [4, 4, 5], False, options, CHILD)
        assert [one.probability_kept for one in found[:2]] == [0, 0]
        assert all(one.kept for one in found)


def test_a_foreign_id(toy: Toy) -> None:
    """An id outside the vocabulary is refused, in the prompt and in the text."""
    for prompt, new in (([10], [3]), ([3], [10])):
        with pytest.raises(OptionError, match="holds id 10"):
            explain(toy(), prompt, new, False, SamplingOptions(), CHILD)
