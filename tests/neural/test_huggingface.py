"""Networks that others exported: a GPT-2 and a Llama in Hugging Face's ONNX layout against numpy."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ngramgen
from ngramgen.errors import ModelFormatError
from ngramgen.model import BOS, EOS
from ngramgen.neural.model import OnnxModel
from tests.neural.huggingface_models import (
    END_OF_TEXT,
    TEXT,
    Decoder,
    Weights,
    byte_fallback_tokenizer,
    byte_level_tokenizer,
    config,
    logits,
    random_weights,
)

DECODERS = {
    "gpt2": Decoder("gpt2", 300),
    "gpt2-places": Decoder("gpt2", 300, position_ids=False),
    "llama": Decoder("llama", 320),
    "llama-shared": Decoder("llama", 320, kv_heads=2),
    "llama-single": Decoder("llama", 320, kv_heads=1, position_ids=False),
}
FLOAT16 = 0.05  # how far a log-probability of the same network in float16 may be off; 0.022 was seen
LENGTH = 40  # tokens: two and a half contexts


@dataclasses.dataclass(frozen=True)
class Export:
    """A folder as an exporter leaves it, and what is in it."""

    folder: Path
    decoder: Decoder
    weights: Weights

    def open(self) -> OnnxModel:
        return OnnxModel(self.folder)

    def expected(self, model: OnnxModel, ids: NDArray[Any]) -> NDArray[np.float64]:
        """What numpy says comes behind <s> and each of the ids (T,): log-probabilities (T + 1, V)."""
        foreign = model.tokenizer.foreign_ids
        assert foreign is not None
        whole = np.concatenate([[BOS], ids])
        read = np.where(foreign >= 0, foreign, foreign[EOS])[whole]
        context, step = self.decoder.context, self.decoder.context // 2
        rows = []
        for length in range(1, len(whole) + 1):
            start = next(place for place in range(0, length, step) if length - place <= context)
            row = logits(self.decoder, self.weights, read[start:length])[-1][foreign]
            row[(foreign < 0) | (np.arange(len(row)) == BOS)] = -np.inf
            rows.append(row - np.logaddexp.reduce(row))
        return np.array(rows)


Exports = Callable[[str], Export]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """An export by its name, each made once; "/float16" behind it asks for that type."""
    for package in ("onnx", "onnxruntime", "tokenizers"):
        pytest.importorskip(package)
    from tests.neural.huggingface_graph import graph

    made: dict[str, Export] = {}

    def export(name: str) -> Export:
        if name not in made:
            base, _, form = name.partition("/")
            decoder = dataclasses.replace(DECODERS[base], float16=form == "float16")
            folder, weights = tmp_path_factory.mktemp("export"), random_weights(decoder)
            tokenizer = byte_level_tokenizer if decoder.is_gpt2 else byte_fallback_tokenizer
            (folder / "config.json").write_text(json.dumps(config(decoder)))
            (folder / "tokenizer.json").write_text(tokenizer(decoder.vocab_size), encoding="utf-8")
            (folder / "model.onnx").write_bytes(graph(decoder, weights).SerializeToString())
            made[name] = Export(folder, decoder, weights)
        return made[name]

    return export


@pytest.fixture(params=DECODERS)
def export(request: pytest.FixtureRequest, exports: Exports) -> Export:
    return exports(request.param)


@pytest.fixture(params=["gpt2", "llama-shared"])
def kind(request: pytest.FixtureRequest, exports: Exports) -> Export:
    """One of each kind."""
    return exports(request.param)


def random_ids(model: OnnxModel, *shape: int) -> NDArray[np.int32]:
    return np.random.default_rng(3).integers(2, model.vocab_size, shape).astype(np.int32)


def stepped(model: OnnxModel, ids: NDArray[Any], chunks: list[int]) -> NDArray[np.float32]:
    """Log-probabilities behind <s> and behind each of the chunks of ids, (len(chunks) + 1, V)."""
    state, at = model.start(), 0
    rows = [model.logprobs(state)[0]]
    for size in chunks:
        state = model.advance(state, ids[None, at : at + size])
        rows.append(model.logprobs(state)[0])
        at += size
    return np.array(rows)


def test_steps_agree(export: Export) -> None:
    """Token by token, far beyond the context, the log-probabilities are those of numpy."""
    model = export.open()
    ids = random_ids(model, LENGTH)
    found = stepped(model, ids, [1] * LENGTH)
    np.testing.assert_allclose(found, export.expected(model, ids), rtol=0, atol=1e-4)
    np.testing.assert_allclose(np.exp(found.astype(float)).sum(axis=1), 1, atol=1e-5)


def test_chunks_agree(kind: Export) -> None:
    """Several tokens in a call give what numpy says behind the last of them, and behind each with `logprobs_along`."""
    model = kind.open()
    ids = random_ids(model, LENGTH)
    expected, chunks = kind.expected(model, ids), [3, 1, 9, 7, 20]
    found = stepped(model, ids, chunks)
    np.testing.assert_allclose(found, expected[np.cumsum([0, *chunks])], rtol=0, atol=1e-4)
    along = model.logprobs_along(model.advance(model.start(), ids[None, :5]), ids[None, 5:])
    np.testing.assert_allclose(along[0], expected[5:], rtol=0, atol=1e-4)


def test_scores_agree(export: Export) -> None:
    """`score` in one pass gives the log-probability that numpy gives each token."""
    model = export.open()
    ids = random_ids(model, LENGTH)
    expected = export.expected(model, ids)[np.arange(LENGTH), ids]
    np.testing.assert_allclose(model.score(ids), expected, rtol=0, atol=1e-4)


def test_batches_agree(kind: Export) -> None:
    """Rows of a batch, of a prompt and single tokens behind it, have what each has alone."""
    model = kind.open()
    ids = random_ids(model, 3, 9)
    state = model.advance(model.start(3), ids[:, :6])
    expected = np.array([kind.expected(model, row) for row in ids])
    np.testing.assert_allclose(model.logprobs(state), expected[:, 6], rtol=0, atol=1e-4)
    for place in range(6, 9):
        state = model.advance(state, ids[:, place : place + 1])
        np.testing.assert_allclose(model.logprobs(state), expected[:, place + 1], rtol=0, atol=1e-4)


def test_forks_and_rewinds_agree(kind: Export) -> None:
    """Rows that were forked, reordered and taken back go on from what they have read; so does the state they left."""
    model = kind.open()
    ids, other = random_ids(model, 2, 12), random_ids(model, 3, 4)[:, ::-1]
    read = model.advance(model.start(2), ids)
    before = model.logprobs(read).copy()
    forked = model.advance(read.select(np.array([1, 0, 1])).rewind(5), other)
    rows = [np.concatenate([ids[row, :7], new]) for row, new in zip([1, 0, 1], other, strict=True)]
    expected = np.array([kind.expected(model, row)[-1] for row in rows])
    np.testing.assert_allclose(model.logprobs(forked), expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(model.logprobs(read), before, rtol=0, atol=1e-5)
    onwards = model.logprobs(model.advance(read, other[:2]))
    rows = [np.concatenate(pair) for pair in zip(ids, other, strict=False)]
    expected = np.array([kind.expected(model, row)[-1] for row in rows])
    np.testing.assert_allclose(onwards, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["gpt2/float16", "llama-shared/float16"])
def test_float16(exports: Exports, name: str) -> None:
    """A network of which all numbers are float16 gives rows that sum to 1, near those of its float32 weights."""
    export = exports(name)
    model = export.open()
    ids = random_ids(model, LENGTH)
    found, expected = stepped(model, ids, [7] + [1] * 33), export.expected(model, ids)[[0, *range(7, 41)]]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT16)
    np.testing.assert_allclose(np.exp(found.astype(float)).sum(axis=1), 1, atol=1e-5)
    assert model.score(ids).sum() == pytest.approx(export.expected(model, ids)[np.arange(LENGTH), ids].sum(), abs=0.5)


def test_many_ends(kind: Export, tmp_path: Path) -> None:
    """Of several tokens that end a text the first is </s> with the probability of all, and the others cannot come."""
    plain = kind.open()
    foreign = plain.tokenizer.foreign_ids
    assert foreign is not None
    other = int(foreign[40])
    shutil.copytree(kind.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [int(foreign[EOS]), other, 10**6]}))
    model = OnnxModel(tmp_path)
    ids = np.array([[7, 40, 9]])
    row = model.logprobs(model.advance(model.start(), ids))[0].astype(np.float64)
    before = plain.logprobs(plain.advance(plain.start(), ids))[0].astype(np.float64)
    assert row[EOS] == pytest.approx(np.logaddexp(before[EOS], before[40]), abs=1e-5)
    assert row[40] == -np.inf
    rest = np.delete(np.arange(len(row)), [EOS, 40])
    np.testing.assert_allclose(row[rest], before[rest], atol=1e-5)


def test_int8(kind: Export, tmp_path: Path) -> None:
    """Matrices of 8 bits, quantised as users do, run as the runtime runs them, and go along with the exact ones."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((kind.folder / name).read_bytes())
    logging.disable(logging.WARNING)  # the tool advises to preprocess
    quantize_dynamic(kind.folder / "model.onnx", tmp_path / "model_quantized.onnx", weight_type=QuantType.QInt8)
    logging.disable(logging.NOTSET)
    model = OnnxModel(tmp_path, precision="int8")
    ids = random_ids(model, LENGTH)
    found, expected = stepped(model, ids, [1] * LENGTH), kind.expected(model, ids)
    possible = np.isfinite(expected)
    assert (np.isfinite(found) == possible).all()
    np.testing.assert_allclose(np.exp(found.astype(float)).sum(axis=1), 1, atol=1e-5)
    assert 1e-4 < np.abs(found[possible] - expected[possible]).max() < 1.5
    assert np.corrcoef(found[possible], expected[possible])[0, 1] > 0.99
    session = onnxruntime.InferenceSession(tmp_path / "model_quantized.onnx", providers=["CPUExecutionProvider"])
    foreign, whole = model.tokenizer.foreign_ids, np.concatenate([[BOS], ids[:9]])
    cache = np.zeros((1, kind.decoder.kv_heads, 0, kind.decoder.head_dim), np.float32)
    feeds = {one.name: cache for one in session.get_inputs()} | {"position_ids": np.arange(10)[None]}
    feeds["input_ids"] = np.where(foreign >= 0, foreign, foreign[EOS])[whole][None]
    rows = session.run(["logits"], {**feeds, "attention_mask": np.ones((1, 10), np.int64)})[0][0][:, foreign]
    rows = np.where(possible[0], rows, -np.inf)
    rows -= np.logaddexp.reduce(rows, axis=-1, keepdims=True)
    np.testing.assert_allclose(model.score(ids[:9]), rows[np.arange(9), ids[:9]], rtol=0, atol=1e-5)


def test_fused_attention(own_folder: Path, tmp_path: Path) -> None:
    """A graph with GroupQueryAttention, which continues no batch by many tokens, gives what rows alone have."""
    values = json.loads((own_folder / "config.json").read_text())
    names = {"vocab_size": values["vocab_size"], "max_position_embeddings": values["context"]}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **names}))
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes((own_folder / name).read_bytes())
    model = OnnxModel(tmp_path)
    ids = random_ids(model, 3, 12)
    state = model.advance(model.start(3), ids[:, :4])
    found = model.logprobs(state)
    along = model.logprobs_along(state, ids[:, 4:11])
    last = model.logprobs(model.advance(state, ids[:, 4:]))
    for row, rows in zip(ids, np.concatenate([found[:, None], along[:, 1:], last[:, None]], axis=1), strict=True):
        expected = stepped(model, row, [1] * 12)[4:]
        np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-4)


def test_spare_logits(exports: Exports, tmp_path: Path) -> None:
    """A network may have more logits than its tokenizer has tokens, as Qwen's do: no id is made for them."""
    from tests.neural.huggingface_graph import graph

    small, wide = exports("llama"), dataclasses.replace(DECODERS["llama"], vocab_size=352)
    weights = random_weights(wide)
    (tmp_path / "config.json").write_text(json.dumps(config(wide)))
    (tmp_path / "tokenizer.json").write_bytes((small.folder / "tokenizer.json").read_bytes())
    (tmp_path / "model.onnx").write_bytes(graph(wide, weights).SerializeToString())
    model = OnnxModel(tmp_path)
    assert model.vocab_size == small.open().vocab_size
    ids = random_ids(model, 6)
    expected = Export(tmp_path, wide, weights).expected(model, ids)
    np.testing.assert_allclose(stepped(model, ids, [1] * 6), expected, rtol=0, atol=1e-4)


def test_the_best_agree(kind: Export) -> None:
    """`top` gives the ids that numpy finds the most likely."""
    model = kind.open()
    ids = random_ids(model, 5)
    row = kind.expected(model, ids)[-1]
    found, logprobs = model.top(model.advance(model.start(), ids[None]), 7)
    np.testing.assert_array_equal(found, np.argsort(-row)[:7])
    np.testing.assert_allclose(logprobs, np.sort(row)[::-1][:7], rtol=0, atol=1e-4)


def test_no_hidden_states(kind: Export) -> None:
    """An export that keeps its hidden states to itself cannot embed, and the error says why."""
    with pytest.raises(ModelFormatError, match="last_hidden_state"):
        kind.open().embed("the cat")


@pytest.mark.parametrize(
    "text", ["the cat", "a b  c\n\nthe end\n", "naïve 日本 🙂\ttab", f"{END_OF_TEXT}</s><s>", "", "\n"]
)
def test_ids_are_those_of_the_tokenizer(kind: Export, text: str) -> None:
    """A text has the ids that the library gives it, with the names of special tokens taken as text, and comes back."""
    import tokenizers

    library = tokenizers.Tokenizer.from_file(str(kind.folder / "tokenizer.json"))
    library.encode_special_tokens = True
    tokenizer = kind.open().tokenizer
    ids = tokenizer.encode(text)
    assert tokenizer.foreign_ids is not None
    assert tokenizer.foreign_ids[ids].tolist() == library.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids).removeprefix("" if kind.decoder.is_gpt2 else " ") == text


@pytest.mark.parametrize("prompt", ["", "the cat", "the cat ", "two\nlines", "two\n\nlines\n", "café 日本"])
def test_generation(kind: Export, prompt: str) -> None:
    """A text begins with its prompt, goes on beyond the context, and is the same for the same seed."""
    model = ngramgen.load(kind.folder)
    made = list(model.generate_all(prompt, n=2, seed=4, max_new_tokens=24, batch_size=2))
    again = list(model.generate_all(prompt, n=2, seed=4, max_new_tokens=24, batch_size=1))
    assert [one.text for one in made] == [one.text for one in again]
    for one in made:
        assert one.text == prompt + one.generated_text
        assert 20 < len(one.ids) <= 24 or one.finish_reason == "eos"  # an unfinished character is left out
    assert "".join(model.stream(prompt, seed=4, max_new_tokens=24)) == made[0].generated_text


def test_likelihood_of_what_is_generated(kind: Export) -> None:
    """The log-probability of a text that was made is the sum of those that numpy gives its tokens."""
    model = ngramgen.load(kind.folder)
    (one,) = model.generate_all("the cat", seed=1, max_new_tokens=12, min_new_tokens=12, top_k=5)
    prompt = model.prompt_ids("the cat")
    rows = kind.expected(model.model, np.concatenate([prompt, one.ids]))
    places = np.arange(len(prompt), len(prompt) + len(one.ids))
    assert one.logprob == pytest.approx(rows[places, one.ids].sum(), abs=1e-3)


def test_beams_and_next(kind: Export) -> None:
    """Beam search finds at least the greedy text's likelihood, and `next` begins with the greedy token.

    But for bytes that begin no character, which are not drawn.
    """
    model = ngramgen.load(kind.folder)
    options = {"max_new_tokens": 6, "min_new_tokens": 6, "length_penalty": 0.0}
    (best,) = model.generate_all("the cat", num_beams=4, **options)
    (greedy,) = model.generate_all("the cat", temperature=0, max_new_tokens=6, min_new_tokens=6)
    assert best.logprob is not None
    assert greedy.logprob is not None
    assert best.logprob >= greedy.logprob - 1e-4
    tokens = [one.token for one in model.next("the cat", k=100)]
    whole = next(token for token in tokens if "\ufffd" not in token)
    assert model.tokenizer.token(int(greedy.ids[0])) in (whole, "\ufffd")


def test_perplexity(kind: Export) -> None:
    """Perplexity reads a text as it stands, newlines and all: its bits are those of numpy, byte for byte."""
    model = ngramgen.load(kind.folder)
    lines = TEXT.split("\n")[:-1]
    found = model.perplexity(iter(lines))
    ids = model.tokenizer.encode(TEXT)
    bits = -kind.expected(model.model, ids)[np.arange(len(ids)), ids].sum() / math.log(2)
    assert found.tokens == len(ids)
    assert found.bits_per_byte == pytest.approx(bits / len(TEXT.encode()), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("exporter", ["script", "dynamo"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2", "smollm"])
@pytest.mark.filterwarnings("ignore")  # of transformers and torch, to those who maintain them
def test_real_exports(name: str, exporter: str, tmp_path: Path) -> None:
    """Models of transformers, exported by torch, have the log-probabilities of their sources, in float16 nearly."""
    for package in ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "tokenizers"):
        pytest.importorskip(package)
    from tests.neural.huggingface_export import differences, export_folder

    source = export_folder(name, tmp_path, exporter, position_ids=exporter == "script")
    assert differences(source, tmp_path, "float32") < 1e-4
    assert differences(source, tmp_path, "float16") < FLOAT16
    assert differences(source, tmp_path, "int8") < 1.5
    text = ngramgen.load(tmp_path).generate("the cat", seed=1, max_new_tokens=80)
    assert text.startswith("the cat")
