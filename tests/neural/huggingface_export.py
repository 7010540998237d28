"""Exports small random models of transformers to ONNX and compares what ngramgen makes of them with the models.

Each goes into a folder as the hub has them: config.json and tokenizer.json written by transformers, and in onnx/ the
network as model.onnx, model_fp16.onnx and model_quantized.onnx. It prints by how much log-probabilities differ at most.
Needs torch, onnx, onnxscript and transformers; written with torch 2.13.0 and transformers 5.24.0.

    python -m tests.neural.huggingface_export FOLDER
"""

from __future__ import annotations

import copy
import inspect
import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import DynamicCache, PreTrainedTokenizerFast

from ngramgen.model import BOS, EOS
from ngramgen.neural.model import OnnxModel
from tests.neural.huggingface_models import END_OF_TEXT, byte_fallback_tokenizer, byte_level_tokenizer

VOCAB_SIZE, CONTEXT, SEED = 300, 64, 7
EXPORTERS = ("script", "dynamo")
PRECISIONS = ("float32", "float16", "int8")
_LLAMA = {"num_hidden_layers": 2, "max_position_embeddings": CONTEXT}


@dataclass(frozen=True)
class Source:
    """A kind of model: its classes in transformers, and the arguments of its config."""

    kind: str
    config: dict[str, Any]
    fallback: bool = False  # whether its tokenizer is like Llama's

    def model(self) -> Any:
        """A model whose weights, biases among them, are random and large enough to matter."""
        torch.manual_seed(SEED)
        begin, end = (1, 2) if self.fallback else (VOCAB_SIZE - 1, VOCAB_SIZE - 1)
        specials = {"bos_token_id": begin, "eos_token_id": end}
        config = getattr(transformers, f"{self.kind}Config")(**{"vocab_size": VOCAB_SIZE, **self.config, **specials})
        head = "GPT2LMHeadModel" if self.kind == "GPT2" else f"{self.kind}ForCausalLM"
        made = getattr(transformers, head)._from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            for weight in made.parameters():
                if weight.ndim == 1:
                    weight.add_(torch.randn_like(weight) * 0.2)
                else:
                    weight.normal_(0, 1.5 * weight.shape[-1] ** -0.5)
        return made

    def tokenizer(self) -> Any:
        make = byte_fallback_tokenizer if self.fallback else byte_level_tokenizer
        names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
        names = names if self.fallback else {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
        return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(make(VOCAB_SIZE)), **names)


SOURCES = {
    "gpt2": Source("GPT2", {"n_positions": CONTEXT, "n_embd": 64, "n_layer": 2, "n_head": 4}),
    "llama": Source(
        "Llama",
        _LLAMA | {"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 8, "num_key_value_heads": 2},
        fallback=True,
    ),
    # its queries, keys and values have biases, and there are more logits than tokens
    "qwen2": Source(
        "Qwen2",
        _LLAMA
        | {"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4, "num_key_value_heads": 2}
        | {"vocab_size": 320, "rope_theta": 1e6, "tie_word_embeddings": True},
    ),
    # the widths of SmolLM-135M
    "smollm": Source(
        "Llama",
        _LLAMA
        | {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
        | {"tie_word_embeddings": True},
    ),
}


class Flat(torch.nn.Module):
    """A model with its cache as a list of tensors: keys and values of each layer in turn, in and out."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        known = inspect.signature(model.forward).parameters
        self.cache = "cache" if "cache" in known else "past_key_values"  # its name depends on the version

    def forward(
        self, input_ids: Any, attention_mask: Any, past: list[Any], position_ids: Any = None
    ) -> tuple[Any, ...]:
        cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids}
        found = self.model(**inputs, **{self.cache: cache}, use_cache=True)
        return (found.logits, *(part for layer in cache.layers for part in (layer.keys, layer.values)))


def export_graph(model: Any, path: Path, exporter: str, position_ids: bool) -> None:
    """Writes an ONNX file with all batch and sequence lengths open, by either of torch's exporters."""
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    batch, before, length = 2, 5, 3
    shape = batch, heads, before, config.hidden_size // config.num_attention_heads
    names = [f"{i}.{part}" for i in range(config.num_hidden_layers) for part in ("key", "value")]
    past = [torch.randn(shape, dtype=model.dtype) for _ in names]
    mask = torch.ones((batch, before + length), dtype=torch.long)
    inputs = [torch.randint(0, VOCAB_SIZE, (batch, length)), mask, past]
    inputs += [torch.arange(before, before + length).repeat(batch, 1)] if position_ids else []
    outputs = ["logits", *(f"present.{name}" for name in names)]
    caches = [f"past_key_values.{name}" for name in names]
    input_names = ["input_ids", "attention_mask", *caches, *(["position_ids"] if position_ids else [])]
    named: dict[str, Any] = {"input_names": input_names, "output_names": outputs}
    if exporter == "dynamo":
        open_ = torch.export.Dim.DYNAMIC
        shapes: list[Any] = [{0: open_, 1: open_} for _ in inputs]
        shapes[2] = [{0: open_, 2: open_} for _ in past]
        form: dict[str, Any] = {"dynamo": True, "dynamic_shapes": tuple(shapes), "external_data": False}
    else:
        second = {"attention_mask": "total", "input_ids": "sequence", "position_ids": "sequence", "logits": "sequence"}
        axes = {name: {0: "batch", 1: axis} for name, axis in second.items()}
        axes |= {name: {0: "batch", 2: "past"} for name in caches} | {
            name: {0: "batch", 2: "total"} for name in outputs[1:]
        }
        form = {"dynamo": False, "opset_version": 17, "dynamic_axes": {n: axes[n] for n in [*input_names, *outputs]}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporters, to those who maintain them
        torch.onnx.export(Flat(model).eval(), tuple(inputs), path, verbose=False, **named, **form)


def export_folder(name: str, folder: Path, exporter: str, position_ids: bool = True) -> Any:
    """Writes a folder with all three forms of a model of `SOURCES`; the model."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source = SOURCES[name]
    model = source.model()
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    source.tokenizer().save_pretrained(folder)
    whole = folder / "onnx" / "model.onnx"
    export_graph(model, whole, exporter, position_ids)
    export_graph(copy.deepcopy(model).half(), folder / "onnx" / "model_fp16.onnx", exporter, position_ids)
    logging.disable(logging.WARNING)  # the tool advises to preprocess
    quantize_dynamic(whole, folder / "onnx" / "model_quantized.onnx", weight_type=QuantType.QInt8)
    logging.disable(logging.NOTSET)
    return model


def source_logprobs(model: Any, network: OnnxModel, ids: NDArray[Any]) -> NDArray[np.float64]:
    """What the source model says comes behind <s> and behind each of our ids (B, T): (B, T + 1, V).

    It is taken over the tokens that ngramgen knows as possible.
    """
    foreign = network.tokenizer.foreign_ids
    assert foreign is not None
    whole = np.concatenate([np.full((len(ids), 1), BOS), ids], axis=1)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(np.where(foreign >= 0, foreign, foreign[EOS])[whole])).logits
    rows: NDArray[np.float64] = logits.double().numpy()[..., foreign]
    rows[..., (foreign < 0) | (np.arange(len(foreign)) == BOS)] = -np.inf
    return rows - np.logaddexp.reduce(rows, axis=-1, keepdims=True)


def differences(model: Any, folder: Path, precision: str) -> float:
    """By how much a log-probability differs from the source model's at most, whichever way it is asked for."""
    network = OnnxModel(folder, precision)
    ids = np.random.default_rng(1).integers(2, network.vocab_size, (3, 24)).astype(np.int32)
    expected = source_logprobs(model, network, ids)
    places = np.arange(ids.shape[1])
    possible = np.isfinite(expected[0, 0])
    found = [abs(network.score(row) - rows[places, row]).max() for row, rows in zip(ids, expected, strict=True)]

    def compare(rows: NDArray[Any], wanted: NDArray[Any]) -> None:
        found.append(abs(rows[..., possible] - wanted[..., possible]).max())

    state = network.start(3)
    compare(network.logprobs(state), expected[:, 0])
    for begin, end in [(0, 7), (7, 8), (8, 9), (9, 14), (14, 24)]:  # a prompt, single tokens, several
        compare(network.logprobs_along(state, ids[:, begin:end]), expected[:, begin : end + 1])
        state = network.advance(state, ids[:, begin:end])
        compare(network.logprobs(state), expected[:, end])
    turned = network.advance(state.rewind(15).select(np.array([2, 0])), ids[[2, 0], 9:10])
    compare(network.logprobs(turned), expected[[2, 0], 10])
    return float(max(found))


def main(folder: Path) -> None:
    for name in SOURCES:
        for exporter in EXPORTERS:
            for position_ids in (True, False):
                place = folder / f"{name}-{exporter}{'' if position_ids else '-places'}"
                model = export_folder(name, place, exporter, position_ids)
                figures = {precision: differences(model, place, precision) for precision in PRECISIONS}
                print(place.name, *(f"{precision} {figure:.2g}" for precision, figure in figures.items()), sep="  ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
