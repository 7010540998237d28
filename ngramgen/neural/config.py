"""The shape of a network, as its folder's config.json tells it.

>>> SIZES["tiny"].parameters
282624
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from ngramgen.errors import ModelFormatError, OptionError

MODEL_TYPE = "ngramgen"
FORMAT = 1
HEAD_STEP = 16
"""The width of a head is a multiple of it."""


@dataclass(frozen=True)
class NetworkConfig:
    """A decoder with tied embeddings, RMS norms before each block and rotary positions.

    ``heads`` share the keys and values of ``kv_heads`` (Ainslie et al. 2023); ``hidden`` is the inner width of the
    feed-forward blocks; ``context`` is the number of tokens that are seen at once. Each of the ``value_embeddings``
    is a table that adds to the values of every so many-th layer what their token says by itself (Zhou et al. 2024,
    in the form of Jordan et al. 2024): parameters that cost a look-up and no product. Raises OptionError for what does
    not fit together.
    """

    vocab_size: int = 8192
    layers: int = 6
    width: int = 256
    heads: int = 4
    kv_heads: int = 4
    hidden: int = 1024
    context: int = 256
    value_embeddings: int = 0
    rope_base: float = 10000.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            may_be_zero = field.name == "value_embeddings"
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise OptionError(f"{field.name} must be {'0 or more' if may_be_zero else 'above 0'}, not {value!r}")
            if value == 0 and not may_be_zero:
                raise OptionError(f"{field.name} must be above 0, not {value!r}")
            if field.type == "int" and not isinstance(value, int):
                raise OptionError(f"{field.name} must be a whole number, not {value!r}")
        if self.width % (HEAD_STEP * self.heads):  # what the runtime's attention asks for
            raise OptionError(
                f"width must be heads times a multiple of {HEAD_STEP}, but {self.width} is not, with {self.heads} heads"
            )
        if self.heads % self.kv_heads:
            raise OptionError(f"heads must be a multiple of kv_heads, but {self.heads} is none of {self.kv_heads}")
        if self.value_embeddings > self.layers:
            raise OptionError(
                f"there are at most as many value_embeddings as layers, {self.layers}, not {self.value_embeddings}"
            )

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def qkv_sizes(self) -> tuple[int, int, int]:
        """The rows of queries, keys and values in a layer's joint matrix."""
        shared = self.kv_heads * self.head_dim
        return self.width, shared, shared

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        layer = self.width * (sum(self.qkv_sizes) + self.width + 2 * self.hidden)
        tables = self.width + self.value_embeddings * self.kv_heads * self.head_dim
        return self.vocab_size * tables + self.layers * layer

    def to_json(self) -> str:
        return json.dumps({"model_type": MODEL_TYPE, "format": FORMAT, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_values(cls, values: dict[str, Any], source: str) -> NetworkConfig:
        """The config in what a config.json holds. Raises ModelFormatError, which names the source."""
        if values.get("format") != FORMAT:
            raise ModelFormatError(f"{source}: format {values.get('format')!r} is not known to this ngramgen")
        values = {"value_embeddings": 0} | values  # which the first networks did not know
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise ModelFormatError(f"{source}: {missing[0]} is missing")
        try:
            return cls(**{name: values[name] for name in names})
        except OptionError as error:
            raise ModelFormatError(f"{source}: {error}") from None


SIZES = {
    "tiny": NetworkConfig(vocab_size=1024, layers=2, width=96, heads=3, kv_heads=3, hidden=288, context=128),
    "small": NetworkConfig(),
    "base": NetworkConfig(layers=8, width=384, heads=6, kv_heads=6, hidden=1536),
}
