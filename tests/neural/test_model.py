"""The network as it is run: against the runtime asked for whole windows at once, and against numpy."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ngramgen.errors import ModelFormatError, OptionError, TokenizerError
from ngramgen.model import BOS, EOS
from ngramgen.neural import reading, scoring
from ngramgen.neural.drafting import PromptLookup
from ngramgen.neural.key_values import Shared, _Binding
from ngramgen.neural.model import OnnxModel, OnnxState
from ngramgen.neural.pacing import Pace
from ngramgen.neural.session import Session
from ngramgen.sampling import SamplingOptions, stream
from tests.neural.tiny import CONTEXT, EMBEDDING, END, HEAD, Foreign, foreign_logits

TOKENS = [*(i for i in range(8) if i != END)]  # the foreign ids behind ours from 3 on


@pytest.fixture(scope="module")
def own(own_folder: Path) -> OnnxModel:
    return OnnxModel(own_folder, "float32")


@pytest.fixture
def foreign(own_folder: Path, tmp_path: Path) -> OnnxModel:
    return OnnxModel(Foreign().write(tmp_path / "foreign"))


def log_softmax(logits: Any) -> Any:
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def whole_window(model: OnnxModel, ids: Any) -> Any:
    """Log-probabilities behind ids (T,), all of them run at once with nothing kept, <unk> and <s> being impossible."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model.layout.model), providers=["CPUExecutionProvider"])
    feeds: dict[str, Any] = {one.name: np.zeros((1, 2, 0, 16), np.float32) for one in session.get_inputs()}
    feeds["input_ids"] = np.where(ids == BOS, EOS, ids).astype(np.int64)[None]
    feeds["attention_mask"] = np.ones((1, len(ids)), np.int64)
    logits = session.run(["logits"], feeds)[0][0, -1].astype(np.float64)
    logits[:EOS] = -np.inf
    return log_softmax(logits)


def apart(one: Any, other: Any) -> float:
    """How far log-probabilities are from each other, those of <unk> and <s> aside."""
    return float(np.abs(one[..., EOS:] - other[..., EOS:]).max())


def random_ids(model: OnnxModel, *shape: int) -> Any:
    return np.random.default_rng(7).integers(EOS, model.vocab_size, shape)


def test_own_network(own: OnnxModel) -> None:
    """Up to the context all is seen; of 17 tokens those from 8 on, of 25 those from 16 on."""
    ids = random_ids(own, 30)
    text = np.append(BOS, ids)
    for read, start in [(0, 0), (1, 0), (7, 0), (15, 0), (16, 8), (23, 8), (24, 16), (30, 16)]:
        found = own.logprobs(own.advance(own.start(), ids[None, :read]))[0]
        expected = whole_window(own, text[start : read + 1])
        assert apart(found, expected) < 1e-4


def test_foreign_network(foreign: OnnxModel) -> None:
    """Ids are translated both ways, and <s> is the end where there is no other beginning."""
    ids = np.array([3, 5, EOS, 4, 9])
    theirs = [END, *(END if i == EOS else TOKENS[i - 3] for i in ids.tolist())]
    logits = foreign_logits(np.array(theirs))[:, [END, *TOKENS]]  # the network's two spare rows never come
    expected = log_softmax(logits)
    assert foreign.vocab_size == 3 + len(TOKENS)
    found = foreign.logprobs_along(foreign.start(), ids[None])[0]
    assert found[:, EOS:] == pytest.approx(expected, abs=1e-4)
    assert foreign.score(ids) == pytest.approx([expected[i, ids[i] - 2] for i in range(5)], abs=1e-4)


def test_a_beginning_of_its_own(own_folder: Path, tmp_path: Path) -> None:
    """Where config.json tells a beginning other than the end, <s> is fed as that, and it never comes."""
    model = OnnxModel(Foreign().write(tmp_path / "foreign", bos_token_id=2))
    logits = foreign_logits(np.array([2]))[0, [END, *(i for i in TOKENS if i != 2)]]
    found = model.logprobs(model.start())[0]
    assert found[EOS:] == pytest.approx(log_softmax(logits), abs=1e-4)
    assert found[BOS] == -np.inf


class Counting:
    """Counts the tokens that a model's session runs."""

    def __init__(self, model: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[int] = []
        run = Shared.run

        def counted(values: Shared, session: Session, ids: Any, past: int, last: int) -> Any:
            self.runs.append(ids.shape[1])
            return run(values, session, ids, past, last)

        monkeypatch.setattr(Shared, "run", counted)

    def taken(self) -> list[int]:
        runs, self.runs = self.runs, []
        return runs


def test_what_was_read_is_kept(own: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token more costs one token, the same question nothing, going back no more than what differs, a fork nothing."""
    counting, ids = Counting(own, monkeypatch), random_ids(own, 1, 12)
    state = own.start()
    for token in range(4):
        state = own.advance(state, ids[:, token : token + 1])
    own.logprobs(state)
    assert counting.taken() == [5]  # nothing is read before it is asked for, then all at once
    own.logprobs(state)
    assert counting.taken() == []
    after = own.advance(state, ids[:, 4:5])
    own.logprobs(after)
    assert counting.taken() == [1]
    own.logprobs(own.advance(after.rewind(2), ids[:, 7:9]))
    assert counting.taken() == [2]
    own.logprobs_along(own.advance(after.rewind(2), ids[:, 7:9]), ids[:, 9:12])
    assert counting.taken() == [3]
    own.logprobs(state)
    assert counting.taken() == [1]
    fork = state.select(np.array([0, 0]))
    own.logprobs(fork)
    own.logprobs(state.select(np.array([0, 0])).select(np.array([1, 0, 1])))
    assert counting.taken() == []
    own.logprobs(own.advance(fork, ids[:, 3:5].T))
    assert counting.taken() == [1]


@pytest.mark.parametrize("kind", ["own", "foreign"])
def test_a_run_that_fails(kind: str, own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure or an interruption what was read before still holds."""
    model = OnnxModel(own_folder, "float32") if kind == "own" else OnnxModel(Foreign().write(tmp_path / "foreign"))
    ids = random_ids(model, 1, 6)
    expected = model.logprobs(model.advance(model.start(), ids))
    state = model.advance(model.start(), ids[:, :3])
    model.logprobs(state)
    session = model._network.sessions.get()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for name in ("run_with_iobinding", "run_with_ort_values"):
            patch.setattr(session.session, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.logprobs(model.advance(state, ids[:, 3:]))
    assert apart(model.logprobs(model.advance(state, ids[:, 3:])), expected) < 1e-4


def test_buffers_grow(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read stays when the room is doubled, alone and in a batch."""
    from ngramgen.neural import key_values

    monkeypatch.setattr(key_values, "_FIRST", 2)
    model = OnnxModel(own_folder, "float32")
    ids = random_ids(model, 3, 15)
    for rows in (ids[:1], ids):
        state = model.start(len(rows))
        for token in range(15):
            state = model.advance(state, rows[:, token : token + 1])
            found = model.logprobs(state)
        for row, logprobs in zip(rows, found, strict=True):
            assert apart(logprobs, whole_window(model, np.append(BOS, row))) < 1e-4


@pytest.mark.parametrize("most", [1, 700, 5000])
def test_bounded_memory(most: int, own: OnnxModel, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where few logits may be made in a call, texts are read in more of them, with the same result."""
    ids = random_ids(own, 2, 40)
    expected = [own.logprobs(own.advance(own.start(2), ids)), own.score(ids[0])]
    along = own.logprobs_along(own.start(2), ids[:, :10])
    for module in (reading, scoring):
        monkeypatch.setattr(module, "LOGITS_TOGETHER", most)
    model = OnnxModel(own_folder, "float32")
    found = [model.logprobs(model.advance(model.start(2), ids)), model.score(ids[0])]
    assert apart(found[0], expected[0]) < 1e-4
    assert found[1] == pytest.approx(expected[1], abs=1e-4)
    assert apart(model.logprobs_along(model.start(2), ids[:, :10]), along) < 1e-4


def test_embed(foreign: OnnxModel, own: OnnxModel) -> None:
    """The mean of the last hidden states over the tokens, the beginning left out where there is any other."""
    theirs = np.array([END, TOKENS[0], TOKENS[1]])
    states = np.cumsum(EMBEDDING[theirs] * np.array([1, 1.1, 1.2])[:, None], axis=0)
    assert foreign.embed("ab") == pytest.approx(states[1:].mean(axis=0), abs=1e-5)
    assert foreign.embed(np.array([3, 4])) == pytest.approx(states[1:].mean(axis=0), abs=1e-5)
    assert foreign.embed("") == pytest.approx(states[0], abs=1e-5)
    long = own.embed(random_ids(own, 3 * CONTEXT))
    assert long.shape == (64,)
    assert long.dtype == np.float32
    assert np.isfinite(long).all()


def test_embed_without_states(own_folder: Path, tmp_path: Path) -> None:
    """A network that does not give its states says so."""
    model = OnnxModel(Foreign(hidden=False).write(tmp_path / "foreign"))
    with pytest.raises(ModelFormatError, match=r"model\.onnx has no output last_hidden_state"):
        model.embed("ab")


def test_threads_share_a_state(own: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """States of one lineage, asked by several threads, take turns and each get their own answer."""
    inside, most = 0, 0
    run = Shared.run

    def slow(*arguments: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.001)
        result = run(*arguments)
        inside -= 1
        return result

    ids = random_ids(own, 8, 6)
    expected = [own.logprobs(own.advance(own.start(), row[None])) for row in ids]
    monkeypatch.setattr(Shared, "run", slow)
    start = own.start()
    states = [own.advance(start, row[None]) for row in ids]
    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(own.logprobs, states), expected, strict=True):
            assert apart(found, right) < 1e-4
    assert most == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork(own: OnnxModel) -> None:
    """A forked process makes a session of its own and gives the same, even if a lock was held as it was forked."""
    state = own.advance(own.start(), random_ids(own, 1, 5))
    expected = own.logprobs(state)
    with state.reading._lock:
        child = os.fork()
        if child == 0:
            right = False
            signal.alarm(20)
            try:
                more = own.advance(state.rewind(1), state.ids[:, -1:])
                fork = state.select(np.array([0, 0]))
                right = all(apart(own.logprobs(one), expected) < 1e-4 for one in (more, fork))
            finally:
                os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_session_is_made_when_it_is_needed(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading, states and ids need none; then one serves all."""
    made: list[Session] = []
    init = Session.__init__

    def counted(session: Session, *arguments: Any) -> None:
        made.append(session)
        init(session, *arguments)

    monkeypatch.setattr(Session, "__init__", counted)
    model = OnnxModel(own_folder)
    state = model.advance(model.start(), [[3]])
    assert not made
    model.logprobs(state)
    model.score(np.array([3, 4]))
    assert len(made) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_numbers(value: float, own_folder: Path, tmp_path: Path) -> None:
    """A logit that is no number is an error that names the file, step by step and in one pass."""
    head = HEAD.copy()
    head[0, 1] = np.copysign(value, EMBEDDING[END, 0])
    model = OnnxModel(Foreign(head=head).write(tmp_path / "foreign"))
    with pytest.raises(ModelFormatError, match=r"model\.onnx gives logits that are no numbers"):
        model.logprobs(model.start())
    with pytest.raises(ModelFormatError, match=r"model\.onnx gives logits that are no numbers"):
        model.score(np.array([3, 4]))


def test_a_tokenizer_that_does_not_fit(own_folder: Path, tmp_path: Path) -> None:
    """Fewer logits than tokens are refused: as soon as config.json tells, or else when the network is run."""
    small = Foreign(head=HEAD[:, :6])
    with pytest.raises(TokenizerError, match=r"does not fit .*model\.onnx"):
        OnnxModel(small.write(tmp_path / "told", vocab_size=6))
    model = OnnxModel(small.write(tmp_path / "silent", vocab_size=None))
    with pytest.raises(TokenizerError, match="it has 8 tokens and the network 6"):
        model.logprobs(model.start())
    (tmp_path / "told" / "tokenizer.json").write_bytes((own_folder / "tokenizer.json").read_bytes())
    with pytest.raises(TokenizerError, match="does not fit"):
        OnnxModel(tmp_path / "told")


def test_arguments(own_folder: Path) -> None:
    """Threads are a number of 1 or more, and more of them change nothing."""
    for wrong in (0, True, 1.5):
        with pytest.raises(OptionError, match="threads must be"):
            OnnxModel(own_folder, threads=wrong)  # type: ignore[arg-type]
    model = OnnxModel(own_folder, "float32", threads=2)
    ids = random_ids(model, 5)
    assert model.score(ids) == pytest.approx(OnnxModel(own_folder, "float32").score(ids), abs=1e-4)


def test_description(own_folder: Path) -> None:
    """What a network is: its form, its size and its shape."""
    found = OnnxModel(own_folder).description()
    assert found["kind"] == "network"
    assert (found["file"], found["precision"]) == ("model_int8.onnx", "int8")
    assert found["file_bytes"] == (own_folder / "model_int8.onnx").stat().st_size
    assert (found["layers"], found["width"], found["context"]) == (2, 64, CONTEXT)


class Guessing:
    """Guesses that come true in part: of a text that is given to it, or by chance."""

    def __init__(self, text: Any, seed: int) -> None:
        self.text, self.rng = text, np.random.default_rng(seed)

    def draft(self, ids: Any, most: int) -> Any:
        tokens = self.text[len(ids) : len(ids) + most].copy()
        wrong = self.rng.random(len(tokens)) < 0.3
        tokens[wrong] = EOS + (self.rng.random() < 0.5)
        return [(token, 0.9) for token in tokens.tolist()]


@pytest.fixture
def all_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many guesses are read as the drafter and the window allow, at each call."""

    def guesses(pace: Pace, ids: Any, pending: int, room: int) -> list[int]:
        most = int(np.random.default_rng(len(ids)).integers(0, 8))
        found = pace.speculation.drafters[0].draft(ids, min(room, most))
        return [token for token, _ in found]

    monkeypatch.setattr(Pace, "guesses", guesses)


def forced(model: OnnxModel, text: Any, seed: int = 0) -> OnnxModel:
    return model.speculating(Guessing(text, seed))


def test_right_guesses_cost_nothing_more(own: OnnxModel, all_are_read: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a right guess is known; behind a wrong one a call reads on from the last right one."""
    counting, ids = Counting(own, monkeypatch), random_ids(own, 12)

    class Right:
        def draft(self, seen: Any, most: int) -> Any:
            tokens = [*ids[len(seen) - 1 : len(seen) + 2].tolist(), EOS]
            return [(token, 1.0) for token in tokens][: 4 if len(seen) == 3 else 0]

    model = own.speculating(Right())
    monkeypatch.setattr(Pace, "guesses", lambda pace, ids, pending, room: [t for t, _ in Right().draft(ids, 4)])
    state = model.advance(model.start(), ids[None, :1])
    model.logprobs(state)
    assert counting.taken() == [2]
    taken = []
    for token in ids[1:8]:
        state = model.advance(state, [[token]])
        assert np.array_equal(model.logprobs(state), model.logprobs(state))
        taken.append(counting.taken())
    # the second token, three guesses that are right and one that is wrong; then token by token
    assert taken == [[5], [], [], [], [1], [1], [1]]
    model.logprobs(state.rewind(1))
    assert counting.taken() == [1]


@pytest.mark.parametrize("kind", ["own", "foreign"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["follow", "follow", "advance", "rewind", "fork", "along"]), st.integers(0, 9)),
        max_size=25,
    ),
    seed=st.integers(0, 99),
)
def test_guesses_change_no_answer(
    kind: str, steps: list[tuple[str, int]], seed: int, all_are_read: None, own: OnnxModel, request: Any
) -> None:
    """Whatever is guessed and wherever the text goes, forward, back or aside, the answers are those without guesses."""
    plain = own if kind == "own" else request.getfixturevalue("foreign")
    text = np.append(BOS, random_ids(plain, 80))
    model = forced(plain, text, seed)
    states = [model.start()]
    for step, number in steps:
        state = states[number % len(states)]
        length = state.ids.shape[1]
        if step == "follow":
            state = model.advance(state, text[None, length : length + 1 + number % 3])
        elif step == "advance":
            state = model.advance(state, [[EOS + number % 3]])
        elif step == "rewind":
            state = state.rewind(min(number, length - 1))
        elif step == "fork":
            rows = state.select(np.array([0, 0]))
            if number % 2:
                assert apart(model.logprobs(rows), plain.logprobs(fresh(plain, rows))) < 1e-4
            state = rows.select(np.array([1]))
        else:
            more = text[None, length : length + 4]
            found = model.logprobs_along(state, more)
            assert apart(found, plain.logprobs_along(fresh(plain, state), more)) < 1e-4
        states = [*states[-3:], state]
        assert apart(model.logprobs(state), plain.logprobs(fresh(plain, state))) < 1e-4


def fresh(model: OnnxModel, state: OnnxState) -> OnnxState:
    """The same tokens, with nothing read."""
    return model.advance(model.start(state.batch), state.ids[:, 1:])


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_the_same_text(temperature: float, own: OnnxModel, all_are_read: None) -> None:
    """Every seed gives the tokens that it gives without guesses, over several windows, and many guesses come true."""
    options = SamplingOptions(max_new_tokens=40, min_new_tokens=40, temperature=temperature)
    for seed in range(1 if temperature == 0 else 12):
        expected = list(stream(own, [5, 9, 7], options, seed=seed))
        assert 36 < len(expected) <= 40  # an unfinished character is left out
        text = np.array([BOS, 5, 9, 7, *expected])
        windowed = Windowed(text, seed)
        model = own.speculating(windowed)
        assert list(stream(model, [5, 9, 7], options, seed=seed)) == expected
        assert windowed.given > 10


class Windowed(Guessing):
    """The same for windows of a text, whose place it looks up."""

    given = 0

    def draft(self, ids: Any, most: int) -> Any:
        places = (i for i in range(len(self.text)) if np.array_equal(self.text[i : i + len(ids)], ids))
        place = next(places, None)
        if place is None:  # within an unfinished character at the end
            return []
        self.given += most
        whole, self.text = self.text, self.text[place:]
        found = super().draft(ids, most)
        self.text = whole
        return found


def test_threads_share_guesses(own: OnnxModel, all_are_read: None) -> None:
    """States of one lineage and of others, asked by several threads, each get their own answer."""
    text = np.append(BOS, random_ids(own, 40))
    model = forced(own, text)
    start = model.start()
    states = [model.advance(start, text[None, 1 : 2 + i % 14]) for i in range(60)]
    expected = [own.logprobs(fresh(own, state)) for state in states]
    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(model.logprobs, states), expected, strict=True):
            assert apart(found, right) < 1e-4


def test_speculation_counts(own: OnnxModel) -> None:
    """The model tells how many calls there were: few for a text that repeats itself. Without drafters none guesses."""
    assert own.speculation is None
    assert own.speculating().speculation is None
    ids = np.tile([5, 6, 7], 30)
    model = own.speculating(PromptLookup())
    assert model.speculation is not None
    model.speculation.clock = iter(range(10**6)).__next__  # each call takes as long, whatever it reads
    state = model.start()
    for token in ids:
        state = model.advance(state, [[token]])
        model.logprobs(state)
    counts = model.speculation.counts
    assert counts.calls < 70
    assert 20 < counts.right <= counts.guesses < counts.tokens
    calls = counts.calls
    model.logprobs(model.advance(model.start(2), [[5], [6]]))  # a batch is read without guesses
    assert counts.calls == calls


def test_untimed(own: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a clock the same text is read by the same calls, whatever was read before; they are few where it pays."""
    counting, model = Counting(own, monkeypatch), own.speculating(PromptLookup(), timed=False)

    def calls(ids: Any) -> list[int]:
        state = model.start()
        for token in ids:
            state = model.advance(state, [[token]])
            model.logprobs(state)
        return counting.taken()

    repeating = np.tile([5, 6, 7], 30)
    first = calls(repeating)
    assert len(first) < 70
    calls(random_ids(own, 90))
    calls(np.tile([5, 6, 5, 8], 20))
    assert calls(repeating) == first


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_even_calls(precision: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where odd rows are computed otherwise, calls are filled up to pairs, which changes nothing but the rounding."""
    plain = OnnxModel(own_folder, precision)
    session = plain._network.sessions.get()
    assert session.pairs_rows == bool(session.pairs_rows)
    model = OnnxModel(own_folder, precision)
    model._network._even = True
    shapes: list[tuple[int, ...]] = []
    model._network.sessions.get().pairs_rows = True
    run = _Binding.run

    def counted(binding: Any, ids: Any, past: int) -> Any:
        if binding.session is model._network.sessions.get():
            shapes.append(ids.shape)
        return run(binding, ids, past)

    monkeypatch.setattr(_Binding, "run", counted)
    rows = random_ids(plain, 3, CONTEXT + 9)
    for batch in (1, 2, 3):
        for pieces in ((1,) * (CONTEXT + 9), (3, 1, 4, 2, 5) * 4, (CONTEXT, 1, 1, 1), (CONTEXT - 1, 1, 1)):
            state, expected, place = model.start(batch), plain.start(batch), 0
            for piece in pieces:
                some = rows[:batch, place : place + piece]
                place += some.shape[1]
                state, expected = model.advance(state, some), plain.advance(expected, some)
                assert apart(model.logprobs(state), plain.logprobs(expected)) < (
                    1e-4 if precision == "float32" else 0.01
                )
    assert shapes
    assert {shape[0] * shape[1] % 2 for shape in shapes} == {0}
