from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import OptionError
from ngramgen.sampling import Generated, SamplingOptions, generate, stepping, stream
from ngramgen.sampling.direct import own_way
from ngramgen.text.splitting import split_words
from ngramgen.textmodel import Generation, TextModel

Toy = Callable[..., Any]
PROMPTS = [[3, 4], [5], [], [3, 4], [6, 6, 6], [5], [9, 3]] * 3
OPTIONS = [
    SamplingOptions(max_new_tokens=30),
    SamplingOptions(max_new_tokens=30, temperature=0.8, top_k=4, top_p=0.9),
    SamplingOptions(max_new_tokens=30, repetition_penalty=1.5, typical_p=0.8, min_p=0.01),
    SamplingOptions(max_new_tokens=30, min_new_tokens=10),
    SamplingOptions(max_new_tokens=30, stop=("ab", "g")),
    SamplingOptions(max_new_tokens=30, greedy=True),
]


def plain(one: Generated) -> tuple[list[int], float | None, str, int | None]:
    return one.ids.tolist(), one.logprob, one.finish_reason, one.text_end


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_neither_batch_nor_order_matters(toy: Toy, options: SamplingOptions) -> None:
    """Sequence i is the same in any batch, alone, and after others were left out."""
    model = toy()
    together = [plain(one) for one in generate(model, PROMPTS, options, seed=5)]
    assert len(together) == len(PROMPTS)
    assert [plain(one) for one in generate(model, PROMPTS, options, seed=5, batch_size=4)] == together
    for i, prompt in enumerate(PROMPTS):
        assert [plain(one) for one in generate(model, [prompt], options, seed=5, first_index=i)] == [together[i]]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_filtering_in_blocks_changes_nothing(
    toy: Toy, options: SamplingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch too large to filter at once gives the same sequences."""
    expected = [plain(one) for one in generate(toy(), PROMPTS, options, seed=5)]
    monkeypatch.setattr(stepping, "_BLOCK", 25)  # two rows of ten tokens
    assert [plain(one) for one in generate(toy(), PROMPTS, options, seed=5)] == expected


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_rows_that_have_ended_may_stay(toy: Toy, options: SamplingOptions) -> None:
    """An engine that moves rows slowly keeps some that have ended, and the others say the same."""
    expected = [plain(one) for one in generate(toy(), PROMPTS, options, seed=5)]
    model = toy()
    model.moves_rows_slowly = True
    assert [plain(one) for one in generate(model, PROMPTS, options, seed=5)] == expected


@pytest.mark.parametrize("kind", ["plain", "direct"])
@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_a_stream_is_the_same_sequence(toy: Toy, options: SamplingOptions, kind: str) -> None:
    """stream() gives the tokens of generate() for the same seed and index, engine's own way or not."""
    model = toy(kind=kind)
    for i, one in enumerate(generate(model, PROMPTS, options, seed=6)):
        assert list(stream(model, PROMPTS[i], options, seed=6, index=i)) == one.ids.tolist()


def test_another_seed_is_another_text(toy: Toy) -> None:
    """Seeds, indices and no seed at all give different sequences."""
    model, options = toy(eos=1e-6), SamplingOptions(max_new_tokens=50)
    seeds = [(1, 0), (2, 0), (1, 1), (None, 0), (None, 0)]
    texts = {tuple(next(generate(model, [[3]], options, seed=s, first_index=i)).ids) for s, i in seeds}
    assert len(texts) == 5


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_the_log_probability_is_the_models_own(toy: Toy, options: SamplingOptions) -> None:
    """logprob is the sum of the unfiltered log-probabilities of the new tokens, ``</s>`` included if it came."""
    model = toy()
    for prompt, one in zip(PROMPTS, generate(model, PROMPTS, options, seed=7), strict=True):
        new = one.ids.tolist() + [2] * (one.finish_reason == "eos")
        scores = model.score(np.array([*prompt, *new], dtype=np.int64))[len(prompt) :]
        assert one.logprob == pytest.approx(scores.sum())
    assert all(one.logprob is None for one in generate(model, PROMPTS, options, with_logprob=False))


def test_reasons_to_finish(toy: Toy) -> None:
    """A chain <s> -> a -> b -> </s> ends by itself, at the limit, or at a stop string."""
    probs = np.zeros((5, 5))
    probs[1, 3] = probs[3, 4] = probs[4, 2] = probs[0, 2] = probs[2, 2] = 1
    model = toy([b"say ", b"be. so"], probs=probs)

    def finish(**options: Any) -> Any:
        return plain(next(generate(model, [[]], SamplingOptions(**options))))

    assert finish() == ([3, 4], 0.0, "eos", None)
    assert finish(max_new_tokens=2) == ([3, 4], 0.0, "length", None)
    assert finish(max_new_tokens=1) == ([3], 0.0, "length", None)
    assert finish(max_new_tokens=0) == ([], 0.0, "length", None)
    assert finish(stop=(".",)) == ([3, 4], 0.0, "stop", 6)
    assert finish(stop=("y b",)) == ([3, 4], 0.0, "stop", 2)
    assert finish(stop=("x",)) == ([3, 4], 0.0, "eos", None)


def test_special_tokens_are_never_new(toy: Toy) -> None:
    """``<unk>``, ``<s>`` and ``</s>`` are in no result, though the model gives the first two much mass."""
    probs = np.ones((10, 10))
    probs[:, :2] = 50
    model = toy(probs=probs)
    for one in generate(model, [[3]] * 200, SamplingOptions(max_new_tokens=20), seed=1):
        assert (one.ids > 2).all()
        assert one.ids.dtype == np.int32


def test_the_minimum_is_kept(toy: Toy) -> None:
    """No sequence of a model that loves to end is shorter than min_new_tokens, and some are no longer."""
    options = SamplingOptions(max_new_tokens=9, min_new_tokens=4)
    lengths = [len(one.ids) for one in generate(toy(eos=3.0), [[3]] * 100, options, seed=1)]
    assert min(lengths) == 4
    assert max(lengths) <= 9


def test_first_tokens_follow_the_model(toy: Toy) -> None:
    """Over 50,000 sequences each first token is as frequent as its probability, within 4.5 standard errors."""
    model = toy()
    options = SamplingOptions(max_new_tokens=1)
    results = generate(model, [[4]] * 50_000, options, seed=3, batch_size=10_000, with_logprob=False)
    counts = np.bincount([int(one.ids[0]) if one.ids.size else 2 for one in results], minlength=10) / 50_000
    probs = np.exp(model.table[4].astype(np.float64))
    probs[:2] = 0
    probs /= probs.sum()
    assert (np.abs(counts - probs) <= 4.5 * np.sqrt(probs * (1 - probs) / 50_000)).all()


def test_an_engine_may_draw_for_itself(toy: Toy) -> None:
    """Plain options use the engine's own way, which gives the same sequences and log-probabilities here."""
    options = SamplingOptions(max_new_tokens=12)
    expected = [plain(one) for one in generate(toy(), PROMPTS, options, seed=8)]
    direct = [plain(one) for one in generate(toy(kind="direct"), PROMPTS, options, seed=8)]
    assert [(i, r, e) for i, _, r, e in direct] == [(i, r, e) for i, _, r, e in expected]
    assert [one[1] for one in direct] == pytest.approx([one[1] for one in expected])
    unscored = toy(kind="direct")
    assert all(one.logprob is None for one in generate(unscored, PROMPTS, options, with_logprob=False))
    assert unscored.rows_read == 0


@pytest.mark.parametrize("options", OPTIONS[1:], ids=range(1, len(OPTIONS)))
def test_an_engine_draws_only_its_own_distribution(toy: Toy, options: SamplingOptions) -> None:
    """With a filter, a minimum or a stop string the engine's own way is left alone."""
    expected = [plain(one) for one in generate(toy(), PROMPTS, options, seed=8)]
    assert [plain(one) for one in generate(toy(kind="direct"), PROMPTS, options, seed=8)] == expected


def test_a_stream_of_nothing_is_empty(toy: Toy) -> None:
    """max_new_tokens=0 streams nothing."""
    for kind in ("plain", "direct"):
        assert list(stream(toy(kind=kind), [3], SamplingOptions(max_new_tokens=0))) == []


def test_equal_prompts_are_read_once_and_finished_rows_leave(toy: Toy) -> None:
    """Of 20 equal prompts one is read, and each row is advanced only while it runs."""
    model = toy(eos=0.5)
    results = list(generate(model, [[3, 4, 5]] * 20, SamplingOptions(), seed=2))
    assert {one.finish_reason for one in results} == {"eos"}
    # After the prompt, a row is advanced by each of its new tokens, since </s> comes after them.
    assert model.rows_read == 1 + sum(len(one.ids) for one in results)


def test_sequences_come_as_their_batch_is_done(toy: Toy) -> None:
    """The first results do not wait for later batches."""
    model = toy()
    next(generate(model, [[3]] * 1000, SamplingOptions(max_new_tokens=2), batch_size=10, seed=1))
    assert model.rows_read <= 11


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([3, 10], "id 10, but the vocabulary goes from 0 to 9"),
        ([-1], "id -1"),
        ([[3]], "one row of integer ids"),
        ([0.5], "one row of integer ids"),
        (["a"], "one row of integer ids"),
    ],
)
def test_wrong_prompts_are_refused_at_once(toy: Toy, prompt: Any, message: str) -> None:
    """An id outside the vocabulary, or no row of ids, is refused before anything is drawn."""
    with pytest.raises(OptionError, match=message):
        generate(toy(), [[3], prompt], SamplingOptions())
    with pytest.raises(OptionError, match=message):
        stream(toy(), prompt, SamplingOptions())


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": True}, {"first_index": -1}, {"seed": 1.5}])
def test_wrong_arguments_are_refused_at_once(toy: Toy, wrong: dict[str, Any]) -> None:
    """Batch size, first index and seed are checked like the options."""
    with pytest.raises(OptionError, match=f"^{next(iter(wrong))} is "):
        generate(toy(), [[3]], SamplingOptions(), **wrong)


def test_no_prompts_no_sequences(toy: Toy) -> None:
    """An empty list gives an empty answer."""
    assert list(generate(toy(), [], SamplingOptions())) == []


EVERY_FILTER: list[dict[str, Any]] = [
    {},
    {"temperature": 0.8},
    {"temperature": 0.8, "top_k": 50, "top_p": 0.95},
    {"top_k": 20},
    {"top_k": 20, "min_p": 0.05, "typical_p": 0.9},
    {"top_k": 5000, "temperature": 1.5},
    {"top_p": 0.9},
    {"min_p": 0.05},
    {"typical_p": 0.7},
    {"epsilon_cutoff": 0.001},
    {"eta_cutoff": 0.01},
    {"top_n_sigma": 2.0},
    {"xtc_probability": 0.5, "xtc_threshold": 0.05},
    {"mirostat": 2, "mirostat_tau": 4.0},
    {"repetition_penalty": 1.2, "top_k": 50},
    {"frequency_penalty": 0.5, "presence_penalty": 0.5},
    {"dry_multiplier": 0.8},
    {"no_repeat_ngram_size": 2},
    {"bad_words": ("the",), "bad_words_ids": ((5, 6), (9,))},
    {"suppress_tokens": (4, 5), "logit_bias": {"the": 1.5, 12: -2.0}},
    {"forced_bos_token_id": 7, "min_new_tokens": 5},
    {"greedy": True},
    {"temperature": 0.0, "repetition_penalty": 1.3},
    {"max_time": 1000.0, "stop": (",", "the")},
    {"top_k": 30, "stop": (",", "the")},
    {"end_sentence": True},
    {"end_sentence": True, "temperature": 0.7, "stop": ("the",)},
    {"max_copied_words": 5},
    {"max_copied_words": 5, "top_k": 20, "top_p": 0.95},
    {"max_copied_words": 5, "temperature": 0.7},
    {"max_copied_words": 5, "repetition_penalty": 1.2, "stop": (",",)},
]
FAST: list[dict[str, Any]] = [
    {"temperature": 0.8, "top_k": 5, "top_p": 0.9},
    {"top_k": 1},
    {"top_k": 50, "min_p": 0.02},
    {"top_k": 40, "typical_p": 0.8, "top_n_sigma": 2.0},
    {"max_copied_words": 5},
    {"max_copied_words": 3, "top_k": 50, "temperature": 0.8},
    {"max_copied_words": 3, "top_k": 3},
    {"end_sentence": True},
]


@pytest.fixture(scope="module")
def fables() -> TextModel:
    """A model of the sample text that knows which runs of four tokens stand in it."""
    return ngramgen.train(ngramgen.sample_text(), copy_filter=4)


def everything(one: Generation) -> tuple[str, list[int], float | None, str]:
    return one.text, one.ids.tolist(), one.logprob, one.finish_reason


@pytest.mark.parametrize("options", EVERY_FILTER, ids=str)
def test_the_batch_size_never_matters(fables: TextModel, options: dict[str, Any]) -> None:
    """Fifty texts of each of two prompts are the same in batches of 1, 7 and 64, to the last bit of the logprob."""
    common: dict[str, Any] = {"n": 25, "seed": 3, "max_new_tokens": 12, **options}
    made = [
        [everything(one) for one in fables.generate_all(["The fox", ""], batch_size=size, **common)]
        for size in (1, 7, 64)
    ]
    assert len(made[0]) == 50
    assert made[0] == made[1] == made[2]


def test_every_filter_is_among_them() -> None:
    """No option that changes the distribution is left out above; beams are not drawn, and the rest only bounds them."""
    others = {"max_new_tokens", "num_beams", "length_penalty", "early_stopping", "mirostat_eta", "dry_base"}
    others |= {"dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"}
    assert {name for options in EVERY_FILTER for name in options} | others == {f.name for f in fields(SamplingOptions)}


@pytest.mark.parametrize("options", FAST, ids=str)
def test_the_engines_own_way_in_every_way(fables: TextModel, options: dict[str, Any]) -> None:
    """A hundred sequences together, each alone, and as they come: the same tokens, with and without a prompt."""
    chosen = SamplingOptions(max_new_tokens=25, **options)
    way = own_way(fables.model, chosen)
    assert way is not None
    assert ("guarded" in way, "truncation" in way) == ("max_copied_words" in options, "top_k" in options)
    prompts = [fables.prompt_ids(text) for text in ("", "The fox", "Once upon a time there was")]
    rows = [prompts[i % 3] for i in range(100)]
    together = [plain(one) for one in generate(fables.model, rows, chosen, seed=5)]
    for i in range(0, 100, 7):
        assert [plain(one) for one in generate(fables.model, [rows[i]], chosen, seed=5, first_index=i)] == [together[i]]
        assert list(stream(fables.model, rows[i], chosen, seed=5, index=i)) == together[i][0]
    assert all(len(ids) <= 25 for ids, *_ in together)


@pytest.mark.parametrize("stop", [",", "the", "o", ". "])
@pytest.mark.parametrize("options", FAST, ids=str)
def test_a_stop_string_cuts_the_same_text(fables: TextModel, options: dict[str, Any], stop: str) -> None:
    """With a stop string every text is the one without it, up to where the string begins; streamed too."""
    common: dict[str, Any] = {"n": 40, "seed": 4, "max_new_tokens": 20, **options}
    cut = 0
    whole, stopped = (list(fables.generate_all("The fox", **common, **more)) for more in ({}, {"stop": stop}))
    for full, one in zip(whole, stopped, strict=True):
        place = full.generated_text.find(stop)
        cut += place >= 0
        assert one.generated_text == full.generated_text[: place if place >= 0 else None]
        assert one.finish_reason == ("stop" if place >= 0 else full.finish_reason)
        assert one.ids.tolist() == full.ids.tolist()[: len(one.ids)]
    assert cut or options.get("top_k") == 1
    assert "".join(fables.stream("The fox", seed=4, max_new_tokens=20, stop=stop, **options)) == (
        stopped[0].generated_text
    )


@pytest.mark.parametrize("options", EVERY_FILTER + FAST, ids=str)
def test_no_new_tokens(fables: TextModel, options: dict[str, Any]) -> None:
    """With max_new_tokens 0 every text is its prompt, many or streamed."""
    if options.get("min_new_tokens"):
        return
    made = list(fables.generate_all("The fox", n=70, max_new_tokens=0, **options))
    assert {(one.text, one.finish_reason, one.logprob) for one in made} <= {
        ("The fox", "length", 0.0),
        ("The fox", "time", 0.0),
    }
    assert list(fables.stream("The fox", max_new_tokens=0, **options)) == []


@pytest.mark.parametrize("extra", [{}, {"top_k": 50, "temperature": 0.8}, {"top_k": 2}, {"top_p": 0.9}], ids=str)
@pytest.mark.parametrize("most", [3, 5])
def test_no_text_copies_more_words(fables: TextModel, most: int, extra: dict[str, Any]) -> None:
    """No text has more words in a row that stand so in the sample text; without the limit some texts have."""
    lines = [fables.cleaner.text(line) for line in ngramgen.sample_text().read_text("utf-8").split("\n")]
    count = 100 if "top_p" in extra else 300
    free, held = (
        fables.generate("The fox", n=count, seed=6, max_new_tokens=40, **extra, **limit)
        for limit in ({}, {"max_copied_words": most})
    )
    assert not _stretches(held, most + 1) & _stretches(lines, most + 1)
    assert _stretches(held, most) & _stretches(lines, most)
    assert _stretches(free, most + 1) & _stretches(lines, most + 1)


def _stretches(texts: list[str], words: int) -> set[tuple[bytes, ...]]:
    """All stretches of so many successive words, and the marks between them, as text that is split again has them."""
    found = set()
    for text in texts:
        tokens = split_words(f"{text}\n".encode()).tokens()
        places = [i for i, token in enumerate(tokens) if any(map(str.isalnum, token.decode()))]
        found |= {tuple(tokens[i : j + 1]) for i, j in zip(places, places[words - 1 :], strict=False)}
    return found


def test_threads_share_a_model(fables: TextModel) -> None:
    """Eight threads that draw at once, each in its own ways, get what they would get alone."""

    def texts(number: int) -> list[tuple[str, list[int], float | None, str]]:
        common: dict[str, Any] = {"n": (1, 30)[number % 2], "max_new_tokens": 15, **FAST[number % len(FAST)]}
        return [everything(one) for one in fables.generate_all("The", seed=number, **common)]

    alone = [texts(number) for number in range(28)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(texts, range(28))) == alone
