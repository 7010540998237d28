"""What a network costs to run, beside PyTorch on the same weights and core.

    python benchmarks/network.py FOLDER [--text FILE] [--bytes 300000] [--runs 5]

FOLDER is what ``ngramgen train --engine transformer`` wrote, with its training/latest.pt. Times are the medians of
calls behind 128 tokens, one text at a time, one thread. Torch runs eagerly with a cache of its own, in float32.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers import CORE, row

BEFORE = 128
_CALLS = 200
_LOAD = """
import json, os, sys, time, numpy, click
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
import onnxruntime
from ngramgen.neural.model import OnnxModel
before, begin = memory(), time.perf_counter()
model = OnnxModel(sys.argv[1], sys.argv[2])
model.logprobs(model.start())
print(json.dumps([1000 * (time.perf_counter() - begin), memory() - before]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--text", type=Path, help="measure bits per byte on it")
    parser.add_argument("--bytes", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    folder: Path = arguments.folder
    files = {"float32": "model.onnx", "int8": "model_int8.onnx", "q4": "model_q4.onnx"}
    precisions = [name for name, file in files.items() if (folder / file).exists()]
    sides: dict[str, Callable[[int], float]] = {"torch float32": torch_calls(folder)}
    sides |= {name: calls(folder, name) for name in precisions}
    counts = (1, 2, 3, 5, 9)
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(arguments.runs):
        for name, call in sides.items():
            for count in counts if name != "torch float32" else (1,):
                found.setdefault((name, count), []).append(call(count))
    medians = {key: statistics.median(values) for key, values in found.items()}
    torch_time = medians["torch float32", 1]
    row("", "file", "ms a token", "against torch", *(f"{count} tokens in a call" for count in counts[1:]))
    row(*["---"] * (4 + len(counts) - 1))
    row("torch eager, float32", "", f"{torch_time:.2f}", "1.0", *[""] * (len(counts) - 1))
    for name in precisions:
        size = f"{(folder / files[name]).stat().st_size / 1e6:.1f} MB"
        one = medians[name, 1]
        row(name, size, f"{one:.3f}", f"{torch_time / one:.1f}", *(f"{medians[name, c] / one:.2f}" for c in counts[1:]))
    print()
    row("", "load and first token", "memory added", "generate one by one", "generate 64 at once", "bits per byte")
    row(*["---"] * 6)
    for name in precisions:
        load, memory = loading(folder, name)
        single, many = generation(folder, name)
        bits = f"{bits_per_byte(folder, name, arguments.text, arguments.bytes):.4f}" if arguments.text else ""
        row(name, f"{load:.0f} ms", f"{memory:.0f} MB", f"{single:,.0f} tokens/s", f"{many:,.0f} tokens/s", bits)


def calls(folder: Path, precision: str) -> Callable[[int], float]:
    """Milliseconds of a call of so many tokens behind `BEFORE` others."""
    from ngramgen.neural.model import OnnxModel

    model = OnnxModel(folder, precision)
    rng = np.random.default_rng(0)
    begun = model.advance(model.start(), rng.integers(3, model.vocab_size, (1, BEFORE - 1)))
    model.logprobs(begun)

    def timed(count: int) -> float:
        times = []
        for ids in rng.integers(3, model.vocab_size, (_CALLS, 1, count)):
            begin = time.perf_counter()
            if count == 1:
                model.logprobs(model.advance(begun, ids))
            else:
                model.logprobs_along(model.advance(begun, ids[:, :1]), ids[:, 1:])
            times.append(1000 * (time.perf_counter() - begin))
        return statistics.median(times)

    return timed


def torch_calls(folder: Path) -> Callable[[int], float]:
    """Milliseconds of one token in PyTorch, as one would write it: eager, keys and values in preallocated tensors."""
    import torch

    from ngramgen.neural.checkpoint import load_checkpoint
    from ngramgen.neural.config import NetworkConfig
    from ngramgen.neural.network import Network

    torch.set_num_threads(1)
    state = load_checkpoint(folder / "training" / "latest.pt")
    network = Network(NetworkConfig(**state["config"]))
    network.load_state_dict(state["network"])
    step = _torch_step(network)

    def timed(count: int) -> float:
        times = []
        with torch.inference_mode():
            for place in range(_CALLS):
                begin = time.perf_counter()
                torch.log_softmax(step(torch.tensor([[place + 3]])), -1)
                times.append(1000 * (time.perf_counter() - begin))
        return statistics.median(times)

    return timed


def _torch_step(network: Any) -> Callable[[Any], Any]:
    import torch
    import torch.nn.functional as F

    from ngramgen.neural.network import rotated

    config = network.config
    shape = (config.layers, 1, config.kv_heads, BEFORE + 1, config.head_dim)
    keys, values = torch.randn(shape), torch.randn(shape)
    joint = [torch.cat([layer.query, layer.key, layer.value]) for layer in network.layers]
    cos, sin = network.cos[BEFORE : BEFORE + 1], network.sin[BEFORE : BEFORE + 1]
    heads, shared, norm = config.heads, config.kv_heads, (config.width,)

    def step(ids: Any) -> Any:
        x = F.rms_norm(F.embedding(ids, network.embedding), norm)
        for i, layer in enumerate(network.layers):
            parts = F.linear(F.rms_norm(x, norm), joint[i]).view(1, 1, heads + 2 * shared, -1).transpose(1, 2)
            query, key, value = parts.split([heads, shared, shared], 1)
            query, key = (rotated(F.rms_norm(one, (config.head_dim,)), cos, sin) for one in (query, key))
            keys[i][:, :, BEFORE:], values[i][:, :, BEFORE:] = key, value
            seen = F.scaled_dot_product_attention(query, keys[i], values[i], enable_gqa=heads != shared)
            x = x + F.linear(seen.transpose(1, 2).reshape(1, 1, -1), layer.output)
            x = x + F.linear(F.relu(F.linear(F.rms_norm(x, norm), layer.up)).square(), layer.down)
        return F.linear(F.rms_norm(x, norm), network.embedding)

    return step


def loading(folder: Path, precision: str) -> tuple[float, float]:
    """Milliseconds and MB of opening a network and its first answer, in fresh processes with the libraries loaded."""
    command = [sys.executable, "-c", _LOAD, str(folder), precision]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(5)]
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)


def generation(folder: Path, precision: str) -> tuple[float, float]:
    """Tokens a second through the sampler, one text after the other and 64 side by side."""
    import ngramgen

    model = ngramgen.load(folder, precision=precision)
    rates = []
    for size, count in ((1, 20), (64, 128)):
        begin = time.perf_counter()
        made = list(model.generate_all(n=count, seed=1, batch_size=size, max_new_tokens=100, with_logprob=False))
        rates.append(sum(len(one.ids) + 1 for one in made) / (time.perf_counter() - begin))
    return rates[0], rates[1]


def bits_per_byte(folder: Path, precision: str, text: Path, size: int) -> float:
    """Of the first bytes of a text, as ``ngramgen perplexity`` counts them."""
    import io

    import ngramgen

    with text.open("rb") as file:
        head = file.read(size).decode(errors="ignore").encode()
    return ngramgen.load(folder, precision=precision).perplexity(io.BytesIO(head)).bits_per_byte


if __name__ == "__main__":
    main()
