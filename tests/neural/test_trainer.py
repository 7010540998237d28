"""The training loop: what it learns, when it ends, and how it goes on after it was stopped."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from ngramgen.errors import ModelFormatError, OptionError, TrainingError  # noqa: E402
from ngramgen.neural.checkpoint import load_checkpoint  # noqa: E402
from ngramgen.neural.config import NetworkConfig  # noqa: E402
from ngramgen.neural.options import TrainingOptions  # noqa: E402
from ngramgen.neural.trainer import Progress, Texts, Trainer  # noqa: E402

CONFIG = NetworkConfig(vocab_size=16, layers=1, width=32, heads=2, kv_heads=1, hidden=32, context=8)
BATCH = 4 * 8  # tokens in a step
OPTIONS = TrainingOptions(tokens=24 * BATCH, batch_size=4, warmup_steps=2, evaluations=4, compile=False, device="cpu")


class StoppedError(Exception):
    """As if the process had been killed."""


@pytest.fixture
def texts() -> Texts:
    """Tokens that follow one another by a rule, with some noise."""
    rng = np.random.default_rng(1)
    row = (np.cumsum(rng.choice([1, 3], 900)) % 13 + 3).astype(np.uint16)
    return Texts(row[:700], row[699:], train_bytes_a_token=2.0, valid_bytes_a_token=4.0)


@pytest.fixture
def trainer(texts: Texts, tmp_path: Path) -> Callable[..., Trainer]:
    """Makes a trainer, each in the same folder unless another is named."""

    def made(folder: str = "run", config: NetworkConfig = CONFIG, **options: Any) -> Trainer:
        (tmp_path / folder).mkdir(exist_ok=True)
        return Trainer(config, replace(OPTIONS, **options), texts, tmp_path / folder)

    return made


def weights(trainer: Trainer) -> list[Any]:
    return [parameter.detach().clone() for parameter in trainer.network.parameters()]


def are_equal(one: Trainer, other: Trainer) -> bool:
    return all(map(torch.equal, weights(one), weights(other)))


def stop_at(trainer: Trainer, step: int) -> None:
    """Trains, and breaks off in the middle of a step."""
    inner = trainer._step

    def broken(batch: Any) -> float:
        if trainer.step == step:
            raise StoppedError
        return inner(batch)

    trainer._step = broken  # type: ignore[method-assign]
    with pytest.raises(StoppedError):
        trainer.run()


def test_learns(trainer: Callable[..., Trainer]) -> None:
    """A training of a few hundred steps learns the rule: one of two tokens comes next, which is a bit a token."""
    made = trainer(tokens=300 * BATCH)
    made.run()
    first, last = made.points[0].valid_bits_per_byte, made.points[-1].valid_bits_per_byte
    # four bytes a token; to know nothing would be log2 16 / 4 = 1
    assert last < first
    assert 0.24 < last < 0.35
    assert made.points[-1].train_bits_per_byte == pytest.approx(2 * last, rel=0.25)  # two bytes a token there


def test_end(trainer: Callable[..., Trainer]) -> None:
    """A budget of tokens ends at the first step that reaches it, and each quarter was measured once."""
    made = trainer(tokens=24 * BATCH - 5)
    made.run()
    assert (made.step, made.tokens) == (24, 24 * BATCH)
    assert [point.steps for point in made.points] == [6, 12, 18, 24]
    assert [point.tokens for point in made.points] == [6 * BATCH, 12 * BATCH, 18 * BATCH, 24 * BATCH]
    assert made.points[-1].learning_rate == 0
    assert made.progress == 1


def test_same_seed(trainer: Callable[..., Trainer]) -> None:
    """The same seed gives the same weights, bit for bit, and another seed others."""
    one, again, other = trainer("a"), trainer("b"), trainer("c", seed=2)
    for made in (one, again, other):
        made.run()
    assert are_equal(one, again)
    assert not are_equal(one, other)


@pytest.mark.parametrize("step", [1, 7, 20])
def test_resume(trainer: Callable[..., Trainer], step: int) -> None:
    """A training that was stopped, in either stage, and goes on ends with the weights of one that was not, exactly."""
    whole = trainer("whole")
    whole.run()
    stop_at(trainer(checkpoint_seconds=1e-9), step)
    resumed = trainer()
    resumed.resume()
    assert resumed.step == step
    resumed.run()
    assert resumed.step == whole.step
    assert are_equal(resumed, whole)
    assert [point.steps for point in resumed.points] == [6, 12, 18, 24]
    assert resumed.points[-1].valid_bits_per_byte == whole.points[-1].valid_bits_per_byte


def test_resume_of_a_finished_training(trainer: Callable[..., Trainer]) -> None:
    """With the same budget nothing is left to do, and nothing is written."""
    first = trainer()
    first.run()
    written = (first.folder / "latest.pt").read_bytes()
    again = trainer()
    again.resume()
    told: list[Progress] = []
    again.run(told.append)
    assert told == []
    assert again.points == first.points
    assert are_equal(again, first)
    assert (first.folder / "latest.pt").read_bytes() == written


def test_longer_budget(trainer: Callable[..., Trainer]) -> None:
    """With a longer budget a training goes back to where its rates were constant: it ends as if never decayed."""
    first = trainer()
    first.run()
    constant = load_checkpoint(first.folder / "constant.pt")
    assert constant["is_constant"]
    assert constant["step"] == 12  # half of 24, where the decay begins
    longer = trainer(tokens=40 * BATCH)
    longer.resume()
    assert longer.step == 12
    longer.run()
    whole = trainer("whole", tokens=40 * BATCH)
    whole.run()
    assert are_equal(longer, whole)


def test_longer_budget_in_the_constant_stage(trainer: Callable[..., Trainer]) -> None:
    """A training that was stopped before the decay goes on where it was, whatever its new budget."""
    stop_at(trainer(checkpoint_seconds=1e-9), 9)
    longer = trainer(tokens=40 * BATCH)
    longer.resume()
    assert longer.step == 9


def test_longer_budget_without_a_constant_stage(trainer: Callable[..., Trainer]) -> None:
    """Where the rates fell from the beginning, the newest checkpoint is taken."""
    made = trainer(decay_share=1.0)
    made.run()
    assert not (made.folder / "constant.pt").exists()
    longer = trainer(decay_share=1.0, tokens=40 * BATCH)
    longer.resume()
    assert longer.step == 24


def test_resume_without_a_checkpoint(trainer: Callable[..., Trainer]) -> None:
    """There is nothing to resume in an empty folder, and the error says so."""
    with pytest.raises(OptionError, match=r"there is nothing to resume in .*run; train without resume first"):
        trainer().resume()


def test_resume_of_another_shape(trainer: Callable[..., Trainer]) -> None:
    """The checkpoint of another shape is refused before its weights are."""
    trainer().run()
    with pytest.raises(OptionError, match="of a network of another shape; resume with the same"):
        trainer(config=replace(CONFIG, hidden=16)).resume()


def test_resume_of_a_damaged_checkpoint(trainer: Callable[..., Trainer]) -> None:
    """A damaged checkpoint is one clear error."""
    made = trainer()
    made.run()
    (made.folder / "latest.pt").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(ModelFormatError, match=r"latest\.pt is damaged"):
        trainer().resume()


def test_seconds(trainer: Callable[..., Trainer]) -> None:
    """A budget of seconds ends within a second, with the rates at their end, and the seconds before count too."""
    begun = time.monotonic()
    made = trainer(tokens=None, seconds=0.6)
    made.begun -= 0.2
    made.run()
    assert 0.3 < time.monotonic() - begun < 1.4
    assert made.seconds >= 0.6
    assert made.points[-1].learning_rate == 0
    state = load_checkpoint(made.folder / "latest.pt")
    assert state["seconds"] == pytest.approx(made.seconds, abs=0.3)
    assert state["progress"] == 1


def test_seconds_over_two_sittings(trainer: Callable[..., Trainer]) -> None:
    """A resumed training has what the earlier sitting left of the seconds."""
    first = trainer(tokens=None, seconds=100.0, checkpoint_seconds=1e-9)
    first.begun -= 40
    stop_at(first, 5)
    state = load_checkpoint(first.folder / "latest.pt")
    made = trainer(tokens=None, seconds=state["seconds"] + 0.3)
    made.resume()
    assert made.seconds >= 40
    begun = time.monotonic()
    made.run()
    assert made.step > 5
    assert time.monotonic() - begun < 20  # not the 40 that the first sitting used


def test_no_time_left(trainer: Callable[..., Trainer]) -> None:
    """A time that is over before the first step gives no model but an error that says what took it."""
    made = trainer(tokens=None, seconds=5.0)
    made.begun -= 6
    with pytest.raises(TrainingError, match=r"the time was over .* reading the text took 6\.\d s; give more time"):
        made.run()


def test_loss_that_is_no_number(trainer: Callable[..., Trainer]) -> None:
    """A loss that is NaN ends the training at that step, with a smaller rate to try, and is not saved."""
    made = trainer(checkpoint_seconds=1e-9)
    inner = made._step

    def poisoned(batch: Any) -> float:
        if made.step == 3:
            made.network.embedding.data.fill_(math.nan)
        return inner(batch)

    made._step = poisoned  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"no number any more after 4 steps; .* muon_learning_rate=0\.01, and"):
        made.run()
    assert load_checkpoint(made.folder / "latest.pt")["step"] == 3


def test_measurement_that_is_no_number(trainer: Callable[..., Trainer]) -> None:
    """Weights that a step made NaN are noticed when they are measured, and are not saved."""
    made = trainer()
    inner = made._step

    def poisoned(batch: Any) -> float:
        loss = inner(batch)
        if made.step == 12:
            made.network.embedding.data.fill_(math.nan)
        return loss

    made._step = poisoned  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="no number any more after 12 steps"):
        made.run()
    assert load_checkpoint(made.folder / "latest.pt")["step"] == 6


def test_progress(trainer: Callable[..., Trainer]) -> None:
    """Progress is told at every measurement and every sixteenth step, and grows to 1 with nothing remaining."""
    told: list[Progress] = []
    made = trainer()
    made.begun -= 100  # reading a text that takes so long does not count in the estimate
    made.run(told.append)
    assert [progress.steps for progress in told] == [6, 12, 16, 18, 24]
    assert [progress.share for progress in told] == [0.25, 0.5, pytest.approx(2 / 3), 0.75, 1.0]
    assert [progress.point is not None for progress in told] == [True, True, False, True, True]
    # a quarter took so many seconds: three times as many remain
    assert told[0].remaining == pytest.approx(3 * (told[0].seconds - 100), abs=0.1)
    assert told[-1].remaining == 0


def test_other_sharing_of_time(trainer: Callable[..., Trainer]) -> None:
    """More evaluations than steps give one each step."""
    made = trainer(tokens=3 * BATCH, evaluations=100)
    made.run()
    assert [point.steps for point in made.points] == [1, 2, 3]


def test_cuda_is_missing(trainer: Callable[..., Trainer]) -> None:
    """Asking for a device that is not there is an error, and not a slow training."""
    if torch.cuda.is_available():
        pytest.skip("there is such a device here")
    with pytest.raises(OptionError, match="device is cuda, but PyTorch sees no such device"):
        trainer(device="cuda")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own
def test_compiled(trainer: Callable[..., Trainer]) -> None:
    """A compiled network learns the same as one that is not, but for rounding."""
    if not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
        pytest.skip("needs a C++ compiler")
    plain, compiled = trainer("plain"), trainer("compiled", compile=True)
    for made in (plain, compiled):
        made.run()
    assert compiled.hidden != compiled.network.hidden
    found = [made.points[-1].valid_bits_per_byte for made in (plain, compiled)]
    assert found[1] == pytest.approx(found[0], abs=0.01)


def test_no_compiler(trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a C++ compiler the network trains as it is, and a notice says so."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    made = trainer(compile=True)
    assert made.notices == ["There is no C++ compiler, so training takes about half as long again."]
    assert made.hidden == made.network.hidden
