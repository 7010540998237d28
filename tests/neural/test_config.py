"""The shape of a network and its config.json."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from ngramgen.errors import ModelFormatError, OptionError
from ngramgen.neural.config import SIZES, NetworkConfig


def test_sizes() -> None:
    """The named sizes are these, each larger than the one before."""
    assert list(SIZES) == ["tiny", "small", "base"]
    counts = [config.parameters for config in SIZES.values()]
    # V * W + L * W * (3 * W + W + 2 * H): 8192 * 256 + 6 * 256 * (4 * 256 + 2 * 1024)
    assert counts[1] == 8192 * 256 + 6 * 256 * 3072
    assert counts == sorted(counts)


def test_shared_keys() -> None:
    """Four heads of 16 that share two keys have joint matrices of 64, 32 and 32 rows."""
    config = NetworkConfig(vocab_size=10, layers=1, width=64, heads=4, kv_heads=2, hidden=96, context=16)
    assert config.head_dim == 16
    assert config.qkv_sizes == (64, 32, 32)
    assert config.parameters == 10 * 64 + 64 * 128 + 64 * 64 + 2 * 64 * 96


def test_value_embeddings() -> None:
    """Each table of value embeddings has a row of all key heads for each token; there is one a layer at most."""
    config = NetworkConfig(vocab_size=10, layers=2, width=64, heads=4, kv_heads=2, hidden=96, context=16)
    assert replace(config, value_embeddings=2).parameters == config.parameters + 2 * 10 * 32
    with pytest.raises(OptionError, match="at most as many value_embeddings as layers, 2, not 3"):
        replace(config, value_embeddings=3)


def test_older_json() -> None:
    """A config.json that knows no value embeddings is one of a network without them."""
    values = json.loads(SIZES["tiny"].to_json())
    del values["value_embeddings"]
    assert NetworkConfig.from_values(values, "config.json") == SIZES["tiny"]


def test_json() -> None:
    """config.json gives the same config back, and names its kind and format."""
    config = replace(SIZES["tiny"], kv_heads=1, rope_base=500.0)
    values = json.loads(config.to_json())
    assert (values["model_type"], values["format"]) == ("ngramgen", 1)
    assert NetworkConfig.from_values(values, "config.json") == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "config.json: format 2 is not known"),
        ({"width": "wide"}, "config.json: width must be above 0, not 'wide'"),
        ({"width": 97}, "config.json: width must be heads times a multiple of 16"),
    ],
)
def test_damaged_json(change: dict[str, object], message: str) -> None:
    """A config.json that makes no sense is one clear error that names it."""
    values = json.loads(SIZES["tiny"].to_json()) | change
    with pytest.raises(ModelFormatError, match=message):
        NetworkConfig.from_values(values, "config.json")


def test_missing_value() -> None:
    """A config.json without one of the numbers is refused by that number's name."""
    values = json.loads(SIZES["tiny"].to_json())
    del values["heads"]
    with pytest.raises(ModelFormatError, match="heads is missing"):
        NetworkConfig.from_values(values, "config.json")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": 0}, "layers must be above 0, not 0"),
        ({"context": -1}, "context must be above 0, not -1"),
        ({"value_embeddings": -1}, "value_embeddings must be 0 or more, not -1"),
        ({"hidden": True}, "hidden must be above 0, not True"),
        ({"rope_base": math.nan}, "rope_base must be above 0, not nan"),
        ({"rope_base": math.inf}, "rope_base must be above 0, not inf"),
        ({"hidden": 1024.5}, r"hidden must be a whole number, not 1024\.5"),
        ({"width": 255}, "width must be heads times a multiple of 16, but 255 is not, with 4 heads"),
        ({"width": 288}, "width must be heads times a multiple of 16, but 288 is not, with 4 heads"),
        ({"kv_heads": 3}, "heads must be a multiple of kv_heads, but 4 is none of 3"),
    ],
)
def test_refused(values: dict[str, float], message: str) -> None:
    """A shape that cannot be is refused with the field and the value."""
    with pytest.raises(OptionError, match=message):
        NetworkConfig(**values)  # type: ignore[arg-type]
