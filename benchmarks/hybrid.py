"""What calls of the network buy: bits per byte against their share and against the time of a token.

    python benchmarks/hybrid.py FOLDER --text TEXT.txt [--other OTHER.txt]... [--bytes 300000] [--out docs/curves]

FOLDER holds a network and an n-gram that were tuned (``ngramgen tune``) on other text than TEXT. Bits per byte are of
the first bytes of a text. Times are of that text's own tokens, asked for one after the other as a sampler asks, in
passages of 128 tokens, on one core, every way in turn, passage by passage; the mean of all. ``--out`` gets hybrid.csv,
calls.svg and time.svg.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peers import CORE, row

BUDGETS = (0.1, 0.25, 0.5, 0.75)
PASSAGE = 128
LIMITS = (0.35, 0.5, 0.65)
"""Times of a token that are asked for, as shares of that of the mixture."""


@dataclass
class Way:
    """One way of asking the folder: its name, the model, and what was measured."""

    name: str
    model: Any
    bits: float = float("nan")
    calls: float = float("nan")
    seconds: float = 0.0
    neural: float = 0.0
    tokens: int = 0

    @property
    def milliseconds(self) -> float:
        return 1000 * self.seconds / self.tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--other", type=Path, action="append", default=[], help="text unlike that of the tuning")
    parser.add_argument("--bytes", type=int, default=300_000)
    parser.add_argument("--passages", type=int, default=40)
    parser.add_argument("--precision")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    ways = made(arguments.folder, arguments.precision)
    for way in ways:
        way.bits, way.calls = measured(way.model, arguments.text, arguments.bytes)
    timed(ways, arguments.text, arguments.passages)
    report(ways)
    other_texts(ways, arguments.other, arguments.bytes)
    limits(arguments.folder, arguments.precision, ways, arguments.text, arguments.passages)
    ways += greedy_texts(arguments.folder, ways, arguments.text)
    if arguments.out:
        write(arguments.out, ways)


def made(folder: Path, precision: str | None) -> list[Way]:
    import ngramgen

    def load(**options: Any) -> Any:
        return ngramgen.load(folder, precision, **options)

    ways = [Way("n-gram alone", ngramgen.load(folder, neural="never"))]
    ways += [Way(f"fallback, {budget:.0%}", load(neural_budget=budget)) for budget in BUDGETS]
    ways += [Way("mixture", load(neural="always"))]
    ways += [Way("network alone", load(neural="only"))]
    for way in ways:
        clocked(way)
    return ways


def clocked(way: Way) -> None:
    """Lets the network's own time be added up apart."""
    network = getattr(way.model.model, "hybrid", way.model.model)
    network = getattr(network, "network", network)
    if not hasattr(network, "logprobs_along"):
        return
    ask = network.logprobs

    def asked(state: Any) -> Any:
        begun = time.perf_counter()
        found = ask(state)
        way.neural += time.perf_counter() - begun
        return found

    network.logprobs = asked


def measured(text_model: Any, path: Path, size: int) -> tuple[float, float]:
    """Bits per byte of the beginning of a text, and the share of tokens that called the network."""
    with path.open("rb") as file:
        text = (file.read(size) + file.readline()).decode()
    found = text_model.perplexity(text.splitlines())
    return found.bits_per_byte, found.neural_calls


def passages(text_model: Any, path: Path, count: int) -> Iterator[np.ndarray]:
    """Beginnings of lines of the text that lie far apart, read on over the lines behind them."""
    lines = path.read_text(encoding="utf-8").splitlines()
    step = max(1, len(lines) // (count + 1))
    for first in range(0, count * step, step):
        ids: list[int] = []
        for line in lines[first:]:
            ids += [*text_model.tokenizer.encode(line).tolist(), 2]
            if len(ids) >= PASSAGE:
                break
        yield np.array(ids[:PASSAGE], np.int32)


def stepped(way: Way, ids: np.ndarray) -> None:
    """Asks for each token of a passage as a sampler does, and adds the time up."""
    model = way.model.model
    begun = time.perf_counter()
    state = model.start()
    for token in ids:
        model.logprobs(state)
        state = model.advance(state, token.reshape(1, 1))
    way.seconds += time.perf_counter() - begun
    way.tokens += len(ids)


def timed(ways: list[Way], path: Path, count: int) -> None:
    for number, ids in enumerate(passages(ways[0].model, path, count + 2)):
        for place in range(len(ways)):
            stepped(ways[(number + place) % len(ways)], ids)
        if number == 1:  # what was first read into the caches does not count
            for way in ways:
                way.seconds, way.neural, way.tokens = 0.0, 0.0, 0


def report(ways: list[Way]) -> None:
    none, whole = ways[0], next(way for way in ways if way.name == "mixture")
    row("", "bits per byte", "of the mixture's gain", "calls", "ms a token", "network's time, of the mixture's")
    row(*["---"] * 6)
    for way in ways:
        gain = (none.bits - way.bits) / (none.bits - whole.bits)
        shown = f"{gain:.0%}" if way.name.startswith(("fallback", "mixture")) else ""
        share = f"{way.neural / whole.neural:.2f}" if way.neural else ""
        row(way.name, f"{way.bits:.4f}", shown, f"{way.calls:.1%}", f"{way.milliseconds:.3f}", share)


def other_texts(ways: list[Way], others: list[Path], size: int) -> None:
    """The calls and the gain on text that the gate was not fitted for."""
    if not others:
        return
    whole = next(way for way in ways if way.name == "mixture")
    print()
    row("text unlike that of the tuning", "n-gram", "mixture", *(f"{budget:.0%}: calls, gain" for budget in BUDGETS))
    row(*["---"] * (3 + len(BUDGETS)))
    for path in others:
        none, best = (measured(way.model, path, size)[0] for way in (ways[0], whole))
        cells = []
        for way in ways:
            if way.name.startswith("fallback"):
                bits, calls = measured(way.model, path, size)
                cells.append(f"{calls:.1%}, {(none - bits) / (none - best):.0%}")
        row(path.name, f"{none:.4f}", f"{best:.4f}", *cells)


def limits(folder: Path, precision: str | None, ways: list[Way], path: Path, count: int) -> None:
    """What a token takes where a time is asked for; half of the passages are for getting used to it."""
    import ngramgen

    whole = next(way for way in ways if way.name == "mixture")
    print()
    row("max_ms_per_token", "ms a token", "against what was asked for")
    row(*["---"] * 3)
    for share in LIMITS:
        wanted = round(share * whole.milliseconds, 3)
        way = Way("limit", ngramgen.load(folder, precision, max_ms_per_token=wanted))
        for number, ids in enumerate(passages(way.model, path, 2 * count)):
            stepped(way, ids)
            if number == count - 1:
                way.seconds, way.tokens = 0.0, 0
        row(f"{wanted:.3f}", f"{way.milliseconds:.3f}", f"{way.milliseconds / wanted - 1:+.0%}")


def greedy_texts(folder: Path, ways: list[Way], path: Path, prompts: int = 20, length: int = 100) -> list[Way]:
    """Greedy texts with guesses and without, in pairs; the ways as points of the curve, in the default precision."""
    import ngramgen
    from ngramgen.sampling import SamplingOptions, stream

    print()
    row("greedy texts", "ms a token", "with guesses", "as fast", "the same tokens", "guesses that came true")
    row(*["---"] * 6)
    options, found = SamplingOptions(greedy=True, max_new_tokens=length, min_new_tokens=length), []
    for neural in ("only", "always"):
        for precision in ("float32", "int8"):
            model = ngramgen.load(folder, precision, neural=neural, speculate=True).model
            plain = ngramgen.load(folder, precision, neural=neural, speculate=False).model
            times, same = {True: 0.0, False: 0.0}, 0
            for number, ids in enumerate(passages(ngramgen.load(folder, precision, neural=neural), path, prompts + 1)):
                texts = {}
                for guessing in (True, False) if number % 2 else (False, True):
                    begun = time.perf_counter()
                    texts[guessing] = list(stream(model if guessing else plain, ids[:32], options, seed=1))
                    if number:
                        times[guessing] += time.perf_counter() - begun
                same += bool(number) and texts[True] == texts[False]
            network = getattr(model.guessing, "network", model.guessing)
            counts = network.speculation.counts
            each = {guessing: 1000 * seconds / prompts / length for guessing, seconds in times.items()}
            name = f"{'network' if neural == 'only' else 'mixture'}, {precision}"
            share = f"{counts.right / max(1, counts.guesses):.0%} of {counts.guesses}"
            ratio = f"{each[False] / each[True]:.2f}"
            row(name, f"{each[False]:.3f}", f"{each[True]:.3f}", ratio, f"{same} of {prompts}", share)
            if precision == "int8":
                base = next(way for way in ways if way.name == ("network alone" if neural == "only" else "mixture"))
                for guessing, words in ((False, "greedy"), (True, "greedy, guessing")):
                    way = Way(f"{name.split(',')[0]}, {words}", model, base.bits, 1.0)
                    way.seconds, way.tokens = times[guessing], prompts * length
                    found.append(way)
    return found


def write(folder: Path, ways: list[Way]) -> None:
    from ngramgen.plots import Line, line_plot

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "hybrid.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["way", "neural_calls", "ms_per_token", "bits_per_byte"])
        for way in ways:
            table.writerow([way.name, f"{way.calls:.4f}", f"{way.milliseconds:.4f}", f"{way.bits:.5f}"])
    curve = [way for way in ways if way.name.startswith(("n-gram", "fallback")) or way.name == "mixture"]
    network = next(way for way in ways if way.name == "network alone")
    calls = [
        Line("n-gram to mixture", [(100 * way.calls, way.bits) for way in curve]),
        Line("calls by chance", [(100 * way.calls, way.bits) for way in (curve[0], curve[-1])]),
        Line("network alone", [(100.0, network.bits)], is_scatter=True),
    ]
    (folder / "calls.svg").write_text(line_plot(calls, "calls of the network, % of tokens", "bits per byte"))
    times = [
        Line("n-gram to mixture", [(way.milliseconds, way.bits) for way in curve]),
        Line("network alone", [(network.milliseconds, network.bits)], is_scatter=True),
    ]
    for name in ("greedy", "greedy, guessing"):
        points = [(way.milliseconds, way.bits) for way in ways if way.name.endswith(f", {name}")]
        times.append(Line(name, points, is_scatter=True))
    (folder / "time.svg").write_text(line_plot(times, "milliseconds a token", "bits per byte"))


if __name__ == "__main__":
    main()
