"""A GPT-2 and a Llama with random weights, and a numpy forward pass of each.

Beside them are tokenizers like theirs and their config.json, so a test needs neither torch nor transformers. The graphs
are in `huggingface_graph`; `huggingface_export` makes real exports.

Weights are named and laid out for x @ weight: (in, out).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]
END_OF_TEXT, SPECIALS = "<|endoftext|>", ("<unk>", "<s>", "</s>")
SPACE = "\u2581"  # what Llama's tokenizer has for a space
TEXT = """\
the cat sat on the mat. the dog sat on the cat, and the cat did not like it.
the end of the tale: 'naïve' 日本
"""
EPSILON = 1e-5
ROPE_BASE = 10000.0
GELU_FACTOR, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


@dataclass(frozen=True)
class Decoder:
    """The shape of a model and the form of its graph."""

    kind: str  # "gpt2" or "llama"
    vocab_size: int
    kv_heads: int = 4
    position_ids: bool = True  # whether the graph has that input
    float16: bool = False
    layers: int = 2
    width: int = 32
    heads: int = 4
    hidden: int = 64
    context: int = 16
    seed: int = 5

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def is_gpt2(self) -> bool:
        return self.kind == "gpt2"


# Weights


def random_weights(decoder: Decoder) -> Weights:
    """Float32 weights by name. No bias is 0 and no scale is 1, so that none can be left out unnoticed."""
    rng = np.random.default_rng(decoder.seed)
    width, hidden, shared = decoder.width, decoder.hidden, decoder.kv_heads * decoder.head_dim

    def matrix(rows: int, columns: int) -> NDArray[Any]:
        return rng.normal(0, 1 / math.sqrt(rows), (rows, columns))

    def scale() -> NDArray[Any]:
        return 1 + rng.normal(0, 0.2, width)

    def bias(size: int) -> NDArray[Any]:
        return rng.normal(0, 0.2, size)

    made: dict[str, NDArray[Any]] = {"embedding": rng.normal(0, 0.3, (decoder.vocab_size, width)), "norm": scale()}
    if decoder.is_gpt2:
        made |= {"positions": rng.normal(0, 0.3, (decoder.context, width)), "norm.bias": bias(width)}
    else:
        made["head"] = matrix(width, decoder.vocab_size) * 2
    for i in range(decoder.layers):
        layer = {"norm1": scale(), "norm2": scale(), "output": matrix(width, width), "down": matrix(hidden, width)}
        if decoder.is_gpt2:
            layer |= {"qkv": matrix(width, 3 * width), "up": matrix(width, hidden)}
            sizes = {"qkv": 3 * width, "up": hidden, "output": width, "down": width, "norm1": width, "norm2": width}
            layer |= {f"{name}.bias": bias(size) for name, size in sizes.items()}
        else:
            layer |= {"q": matrix(width, width), "k": matrix(width, shared), "v": matrix(width, shared)}
            layer |= {"gate": matrix(width, hidden), "up": matrix(width, hidden)}
        made |= {f"{i}.{name}": value for name, value in layer.items()}
    return {name: value.astype(np.float32) for name, value in made.items()}


def rotation(decoder: Decoder) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosine and sine (context, head_dim) of the angle that each position turns each pair (i, i + head_dim / 2) by."""
    half = decoder.head_dim // 2
    angles = np.arange(decoder.context)[:, None] * ROPE_BASE ** (-np.arange(half) / half)
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles), np.sin(angles)


# The oracle


def logits(decoder: Decoder, weights: Weights, ids: NDArray[Any]) -> NDArray[np.float64]:
    """(T, V) in float64 for at most ``context`` ids (T,) of the foreign vocabulary, the first at position 0."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    x = w["embedding"][ids]
    if decoder.is_gpt2:
        x = x + w["positions"][: len(ids)]
    for i in range(decoder.layers):
        layer = {name.partition(".")[2]: value for name, value in w.items() if name.startswith(f"{i}.")}
        x = x + _attention(decoder, layer, _norm(decoder, layer, "norm1", x))
        x = x + _feed_forward(decoder, layer, _norm(decoder, layer, "norm2", x))
    x = _norm(decoder, w, "norm", x)
    return x @ (w["embedding"].T if decoder.is_gpt2 else w["head"])


def _linear(layer: dict[str, Any], name: str, x: NDArray[Any]) -> NDArray[Any]:
    return x @ layer[name] + layer.get(f"{name}.bias", 0)


def _norm(decoder: Decoder, layer: dict[str, Any], name: str, x: NDArray[Any]) -> NDArray[Any]:
    if decoder.is_gpt2:
        x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
    return x * layer[name] + layer.get(f"{name}.bias", 0)


def _attention(decoder: Decoder, layer: dict[str, Any], x: NDArray[Any]) -> NDArray[Any]:
    if decoder.is_gpt2:
        parts = np.split(_linear(layer, "qkv", x), 3, axis=-1)
    else:
        parts = [x @ layer[name] for name in "qkv"]
    q, k, v = (part.reshape(len(x), -1, decoder.head_dim).swapaxes(0, 1) for part in parts)  # (heads, T, head_dim)
    if not decoder.is_gpt2:
        q, k = _rotated(decoder, q), _rotated(decoder, k)
    k, v = (np.repeat(part, decoder.heads // decoder.kv_heads, axis=0) for part in (k, v))
    scores = q @ k.swapaxes(1, 2) / math.sqrt(decoder.head_dim)
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    odds = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = odds / odds.sum(-1, keepdims=True) @ v
    return _linear(layer, "output", mixed.swapaxes(0, 1).reshape(len(x), -1))


def _rotated(decoder: Decoder, x: NDArray[Any]) -> NDArray[Any]:
    cos, sin = (table[: x.shape[1]] for table in rotation(decoder))
    a, b = np.split(x, 2, axis=-1)
    return x * cos + np.concatenate([-b, a], axis=-1) * sin


def _feed_forward(decoder: Decoder, layer: dict[str, Any], x: NDArray[Any]) -> NDArray[Any]:
    up = _linear(layer, "up", x)
    if decoder.is_gpt2:
        active = 0.5 * up * (1 + np.tanh(GELU_FACTOR * (up + GELU_CUBE * up**3)))  # gelu_new
    else:
        gate = x @ layer["gate"]
        active = gate / (1 + np.exp(-gate)) * up  # SwiGLU
    return _linear(layer, "down", active)


# The tokenizers


def byte_level_tokenizer(vocab_size: int) -> str:
    """A tokenizer.json like GPT-2's: a byte-level BPE learnt from `TEXT`, <|endoftext|> being its last token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size - 1, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([TEXT], trainer)
    made.decoder, made.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=False)
    parsed = json.loads(made.to_str())
    last = vocab_size - 1
    assert len(parsed["model"]["vocab"]) == last, "the text has no more tokens"
    parsed["model"]["vocab"][END_OF_TEXT] = last
    parsed["added_tokens"] = [_added(last, END_OF_TEXT)]
    return json.dumps(parsed)


def byte_fallback_tokenizer(vocab_size: int) -> str:
    """A tokenizer.json like Llama's: <unk>, <s>, </s>, 256 bytes for what no other token spells, "▁" for a space."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    learnt = Tokenizer(models.BPE())
    learnt.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    learnt.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    learnt.train_from_iterator(TEXT.split("\n"), trainers.BpeTrainer(vocab_size=vocab_size - 259, show_progress=False))
    parsed = json.loads(learnt.to_str())
    found = sorted(parsed["model"]["vocab"], key=parsed["model"]["vocab"].__getitem__)
    tokens = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256)), *found]
    parsed["model"] |= {"vocab": {token: i for i, token in enumerate(tokens)}, "unk_token": "<unk>"}
    parsed["model"] |= {"byte_fallback": True, "fuse_unk": True}
    parsed["pre_tokenizer"] = None
    parsed["added_tokens"] = [_added(i, name) for i, name in enumerate(SPECIALS)]
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    spaces = {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}
    decoding = [spaces, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]
    parsed["decoder"] = {"type": "Sequence", "decoders": decoding}
    begin, sequence = (
        {kind: {"id": name, "type_id": 0}} for kind, name in (("SpecialToken", "<s>"), ("Sequence", "A"))
    )
    special = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
    template = {"type": "TemplateProcessing", "single": [begin, sequence], "pair": [begin, sequence]}
    parsed["post_processor"] = {**template, "special_tokens": special}
    return json.dumps(parsed)


def _added(index: int, name: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": name, "special": True, **flags}


# The folder


def config(decoder: Decoder) -> dict[str, Any]:
    """What transformers writes into config.json, as far as it matters to a model's shape and special tokens."""
    last = decoder.vocab_size - 1
    if decoder.is_gpt2:
        sizes = {"n_ctx": decoder.context, "n_positions": decoder.context, "n_embd": decoder.width}
        sizes |= {"n_layer": decoder.layers, "n_head": decoder.heads, "vocab_size": decoder.vocab_size}
        names = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new"}
        return {**names, **sizes, "bos_token_id": last, "eos_token_id": last, "layer_norm_epsilon": EPSILON}
    sizes = {"max_position_embeddings": decoder.context, "hidden_size": decoder.width, "head_dim": decoder.head_dim}
    sizes |= {"num_hidden_layers": decoder.layers, "num_attention_heads": decoder.heads}
    sizes |= {"num_key_value_heads": decoder.kv_heads, "intermediate_size": decoder.hidden}
    names = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu"}
    specials = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None, "vocab_size": decoder.vocab_size}
    others = {"rms_norm_eps": EPSILON, "rope_theta": ROPE_BASE, "tie_word_embeddings": False}
    return {**names, **sizes, **specials, **others}
