"""The network in PyTorch, as it is trained: a decoder with everything that is learnt in plain matrices.

Norms before each block without weights (Xiong et al. 2020, Zhang & Sennrich 2019), queries and keys normed by head
(Henry et al. 2020), rotary positions (Su et al. 2021), feed-forward blocks with a squared ReLU (So et al. 2021), the
embeddings used again as the output matrix (Press & Wolf 2017), and blocks whose last matrix begins at zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.graph import rotary_tables


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d_k)) V, each place seeing itself and those before it (Vaswani et al. 2017, eq. 1).

    Query (B, H, T, D), key and value (B, H / G, T, D): G heads share a key. Gives (B, H, T, D). The matrix of weights
    is written out: on a processor that multiplies bfloat16 in hardware this trains faster than the fused operator.
    """
    groups = query.size(1) // key.size(1)
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = (query / math.sqrt(query.size(-1))) @ key.transpose(-1, -2)
    places = query.size(2)
    hidden = torch.full((places, places), -math.inf, device=query.device).triu(1)
    weights = torch.softmax(scores.float() + hidden, -1)
    return weights.to(value.dtype) @ value


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Heads (..., T, D) turned by the angles of their places: the halves a, b become a cos - b sin, b cos + a sin."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Layer(nn.Module):
    """Attention and a feed-forward block, each added to what came in."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        # apart, since each is a matrix of its own to Muon
        self.query, self.key, self.value = (_matrix(rows, config.width) for rows in config.qkv_sizes)
        self.output = nn.Parameter(torch.zeros(config.width, config.width))
        self.up = _matrix(config.hidden, config.width)
        self.down = nn.Parameter(torch.zeros(config.width, config.hidden))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, said: Tensor | None) -> Tensor:
        x = x + F.linear(self._attended(self._norm(x), cos, sin, said), self.output)
        return x + F.linear(F.relu(F.linear(self._norm(x), self.up)).square(), self.down)

    def _attended(self, x: Tensor, cos: Tensor, sin: Tensor, said: Tensor | None) -> Tensor:
        """``said`` (B, T, kv_heads * head_dim) is what the tokens add to the values."""
        batch, places, width = x.shape
        heads, shared = self.config.heads, self.config.kv_heads
        joint = (
            F.linear(x, torch.cat([self.query, self.key, self.value]))
            .view(batch, places, heads + 2 * shared, self.config.head_dim)
            .transpose(1, 2)
        )
        query, key, value = joint.split([heads, shared, shared], 1)
        query, key = (rotated(self._norm(part), cos, sin).to(value.dtype) for part in (query, key))
        if said is not None:
            value = value + said.view(batch, places, shared, -1).transpose(1, 2).to(value.dtype)
        return attention(query, key, value).transpose(1, 2).reshape(batch, places, width)

    def _norm(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.size(-1),), eps=self.config.norm_eps)


class Network(nn.Module):
    """The decoder; `hidden` gives what its output matrix, the embedding transposed, turns into logits."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.vocab_size, config.width) * 0.02)
        sizes = config.vocab_size, config.qkv_sizes[-1]
        self.values = nn.ParameterList(nn.Parameter(torch.zeros(*sizes)) for _ in range(config.value_embeddings))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        for name, table in zip(("cos", "sin"), rotary_tables(config), strict=True):
            self.register_buffer(name, torch.from_numpy(table), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) after each of the ids (B, T)."""
        return F.linear(self.hidden(ids), self.embedding)

    def hidden(self, ids: Tensor) -> Tensor:
        """The normed states (B, T, W) of the last layer."""
        places, norm = ids.size(1), (self.config.width,)
        cos, sin = self.cos[:places], self.sin[:places]
        x = F.rms_norm(F.embedding(ids, self.embedding), norm, eps=self.config.norm_eps)
        said = [F.embedding(ids, table) for table in self.values]
        for number, layer in enumerate(self.layers):
            x = layer(x, cos, sin, said[number % len(said)] if said else None)
        return F.rms_norm(x, norm, eps=self.config.norm_eps)

    def matrices(self) -> list[nn.Parameter]:
        """What Muon trains: all but the tables of embeddings."""
        return list(self.layers.parameters())

    def logits(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (B, T, V) after ids (B, T), as arrays."""
        with torch.no_grad():
            found: NDArray[np.float32] = self(torch.from_numpy(ids).to(self.embedding.device)).float().cpu().numpy()
        return found

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """All that was learnt, by name; the queries', keys' and values' matrices as one, ``qkv``."""
        found = {name: value.detach().float().cpu().numpy() for name, value in self.named_parameters()}
        for i in range(self.config.layers):
            parts = [found.pop(f"layers.{i}.{name}") for name in ("query", "key", "value")]
            found[f"layers.{i}.qkv"] = np.concatenate(parts)
        return found

    def load_weights(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes over what `weights` gave of a network of the same config."""
        state = {name: torch.from_numpy(value) for name, value in weights.items()}
        for i in range(self.config.layers):
            parts = state.pop(f"layers.{i}.qkv").split(list(self.config.qkv_sizes))
            state |= {f"layers.{i}.{name}": part for name, part in zip(("query", "key", "value"), parts, strict=True)}
        self.load_state_dict(state)


class MeanCrossEntropy(torch.autograd.Function):
    """The mean of -log softmax(h E^T)[target], with its gradients made in the same pass, some rows at a time.

    The logits of a batch take many times the memory of all else; a few rows of them stay in the cache.
    """

    @staticmethod
    def forward(context: Any, hidden: Tensor, embedding: Tensor, targets: Tensor, rows: int) -> Tensor:
        """Of hidden (N, W), embedding (V, W) float32 and targets (N,), in the dtype of hidden."""
        table = embedding.to(hidden.dtype)
        grad_hidden, grad_embedding = torch.empty_like(hidden), torch.zeros_like(embedding)
        total = torch.zeros((), device=hidden.device)
        for begin in range(0, len(hidden), rows):
            some, target = hidden[begin : begin + rows], targets[begin : begin + rows, None]
            probs = torch.softmax(some @ table.t(), -1)
            total -= probs.gather(1, target).float().clamp_min(1e-30).log().sum()
            # softmax less the one that was right is the gradient of the logits
            probs.scatter_add_(1, target, torch.full_like(target, -1, dtype=probs.dtype))
            torch.mm(probs, table, out=grad_hidden[begin : begin + rows])
            grad_embedding += probs.t() @ some
        context.save_for_backward(grad_hidden / len(hidden), grad_embedding / len(hidden))
        return total / len(hidden)

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> Any:
        grad_hidden, grad_embedding = context.saved_tensors
        return grad_hidden * grads[0], grad_embedding * grads[0], None, None


def mean_cross_entropy(hidden: Tensor, embedding: Tensor, targets: Tensor, rows: int = 512) -> Tensor:
    """`MeanCrossEntropy` of hidden states (B, T, W) and targets (B, T), as a scalar in nats."""
    flat = hidden.reshape(-1, hidden.size(-1))
    loss: Tensor = MeanCrossEntropy.apply(flat, embedding, targets.reshape(-1), rows)
    return loss


def _matrix(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * (0.7 / math.sqrt(columns)))
