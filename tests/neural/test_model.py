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

from ngramgen.errors import ModelFormatError, OptionError, TokenizerError
from ngramgen.model import BOS, EOS
from ngramgen.neural import reading, scoring
from ngramgen.neural.key_values import Shared
from ngramgen.neural.model import OnnxModel
from ngramgen.neural.session import Session
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
