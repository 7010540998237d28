"""What a call of a pipeline may say, under Hugging Face's names, and what that is in ours.

>>> request = read_request({"max_length": 20, "do_sample": False}, {}, vocab_size=9)
>>> request.options(prompt_length=5)["max_new_tokens"], request.options(0)["greedy"]
(15, True)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

from ngramgen.defaults import DRAWING, fitting
from ngramgen.errors import OptionError
from ngramgen.model import EOS
from ngramgen.pipelines.names import HARMLESS, NEUTRAL
from ngramgen.sampling.checks import check_bool, check_int, check_strings, refusal
from ngramgen.sampling.options import SamplingOptions

_MAX_NEW_TOKENS = 256
_SAMPLING = {"temperature": 0.7, "top_k": 50}

_OWN = tuple(field.name for field in fields(SamplingOptions))
_LENGTHS = ("max_length", "min_length", "max_new_tokens", "min_new_tokens")
_RENAMED = ("do_sample", "num_return_sequences", "stop_strings", "stop_sequence", "sequence_bias")
_OUTPUTS = {"return_full_text": ("full", "new"), "return_tensors": ("ids", "full"), "return_text": ("full", "full")}
# Not the model's: a generation_config has no say in them, and None is as good as nothing.
_CALL = ("prefix", "continue_final_message", "handle_long_generation", "streamer", "batch_size", "seed", "output")

KNOWN = sorted({*_OWN, *_LENGTHS, *_RENAMED, *_OUTPUTS, *_CALL[:-1], "eos_token_id", "generation_config"})
"""The arguments of a call that make a difference."""


@dataclass(frozen=True)
class Request:
    """A call's arguments, checked, the pipeline's defaults filled in."""

    sampling: dict[str, Any]  # fields of SamplingOptions but lengths
    lengths: dict[str, int]  # of _LENGTHS those that are given
    most: int  # new tokens where no length is given
    least: int
    n: int
    output: str  # "full", "new" or "ids"
    prefix: str
    continues: bool | None
    batch_size: int
    streamer: Any
    seed: int | None

    @property
    def is_total(self) -> bool:
        """Whether the number of new tokens depends on the prompt's length."""
        return ("max_length" in self.lengths and "max_new_tokens" not in self.lengths) or (
            "min_length" in self.lengths and "min_new_tokens" not in self.lengths
        )

    def options(self, prompt_length: int) -> dict[str, Any]:
        """Fields of `SamplingOptions` for a prompt of so many tokens. Raises OptionError where it is too long."""
        given = self.lengths
        most = given.get("max_new_tokens")
        if most is None and "max_length" in given:
            most = given["max_length"] - prompt_length
            if most < 1:
                raise OptionError(
                    f"the prompt has {prompt_length} tokens and max_length is {given['max_length']}: "
                    "raise it, or give max_new_tokens, which counts the new tokens alone"
                )
        most = self.most if most is None else most
        total = max(given["min_length"] - prompt_length, 0) if "min_length" in given else self.least
        least = given.get("min_new_tokens", total)
        return {**self.sampling, "max_new_tokens": most, "min_new_tokens": min(least, most)}


def read_request(
    call: Mapping[str, Any], defaults: Mapping[str, Any], vocab_size: int, model: Mapping[str, Any] | None = None
) -> Request:
    """The arguments of a call over those of the constructor, and these over a model's defaults. Raises OptionError.

    A ``generation_config`` of the call takes the place of what the constructor says about generation.
    """
    under, over = _renamed(defaults), _renamed(call)
    if call.get("generation_config") is not None:
        under = {name: value for name, value in under.items() if name in _CALL}
    given = {name: value for name, value in {**under, **over}.items() if value is not None}
    _check_end(given.pop("eos_token_id", None), vocab_size)
    return _checked(given, model or {})


def _renamed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments under one name each: those of a generation_config below, and without effect none."""
    named = {name: value for name, value in arguments.items() if name != "generation_config"}
    named = {**_config_fields(arguments.get("generation_config")), **named}
    _refuse_unknown(named)
    result = {name: value for name, value in named.items() if name in _OWN or name in _LENGTHS or name in _RENAMED[:2]}
    result |= {name: named[name] for name in _CALL if named.get(name) is not None}
    if "eos_token_id" in named:
        result["eos_token_id"] = named["eos_token_id"]
    if "greedy" in result:
        greedy = result.pop("greedy")
        if greedy is not None:
            result.setdefault("do_sample", not check_bool("greedy", greedy))
    stops = [name for name in ("stop", "stop_strings", "stop_sequence") if name in named]
    if stops:
        result["stop"] = tuple(one for name in stops for one in check_strings(name, named[name] or ()))
    if named.get("sequence_bias") is not None:
        if named.get("logit_bias"):
            raise OptionError("sequence_bias and logit_bias are one and the same here: give one of them")
        result["logit_bias"] = _biases(named["sequence_bias"])
    output = _output(named)
    return result if output is None else {**result, "output": output}


def _config_fields(config: Any) -> dict[str, Any]:
    """What a generation_config says: a mapping, or an object with attributes."""
    if config is None:
        return {}
    if isinstance(config, Mapping):
        said = dict(config)
    elif hasattr(config, "to_diff_dict"):  # transformers' own, without its defaults
        said = config.to_diff_dict()
    elif hasattr(config, "__dict__") and not isinstance(config, type):
        said = vars(config)
    else:
        raise refusal("generation_config", config, "a dict or an object with attributes")
    return {name: value for name, value in said.items() if value is not None and not str(name).startswith("_")}


def _refuse_unknown(named: Mapping[str, Any]) -> None:
    for name, value in named.items():
        if name in NEUTRAL:
            if not _asks_nothing(value, NEUTRAL[name]):
                raise OptionError(f"{name} is not to be had with an n-gram model: leave it out")
        elif name not in KNOWN and name not in HARMLESS:
            raise OptionError(f"there is no argument {name!r}; those that make a difference are {', '.join(KNOWN)}")


def _asks_nothing(value: object, neutral: tuple[object, ...]) -> bool:
    if isinstance(value, bool | int | float | str):
        return value in neutral
    return value is None or (isinstance(value, list | tuple | dict) and not value)


def _output(named: Mapping[str, Any]) -> str | None:
    """What is returned, where an argument says so; two that say it are refused, even if they agree."""
    given = [name for name in _OUTPUTS if named.get(name) is not None]
    if len(given) > 1:
        raise OptionError(f"{given[0]} and {given[1]} exclude each other: give one of them")
    return _OUTPUTS[given[0]][not check_bool(given[0], named[given[0]])] if given else None


def _biases(value: Any) -> dict[int, Any]:
    """Hugging Face's biases of sequences, {(id,): bias} or [[[id], bias]], as biases of ids."""
    pairs = value.items() if isinstance(value, Mapping) else value
    biases = {}
    try:
        for sequence, bias in pairs:
            (index,) = sequence
            biases[index] = bias
    except (TypeError, ValueError):
        raise refusal("sequence_bias", value, "biases of single tokens: {(id,): bias} or [[[id], bias]]") from None
    return biases


def _check_end(eos_token_id: Any, vocab_size: int) -> None:
    """Refuse another end than the model's; an id that it does not have never comes, and is harmless."""
    for index in eos_token_id if isinstance(eos_token_id, list | tuple) else [eos_token_id]:
        if index is None or (_is_int(index) and (index == EOS or index >= vocab_size)):
            continue
        raise OptionError(
            f"eos_token_id is {index!r}, but this model's texts end with {EOS}: leave it out, or end them at a string "
            "with stop_strings"
        )


def _checked(given: dict[str, Any], model: Mapping[str, Any]) -> Request:
    lengths = {name: _count(name, given.pop(name), name.startswith("max")) for name in _LENGTHS if name in given}
    sampled = check_bool("do_sample", given.pop("do_sample", True))
    n = _count("num_return_sequences", given.pop("num_return_sequences", 1), True)
    call = {name: given.pop(name, None) for name in _CALL}
    asked = {**given, "greedy": not sampled}
    own = fitting(model, asked)
    most, least = own.pop("max_new_tokens", _MAX_NEW_TOKENS), own.pop("min_new_tokens", 0)
    sampling = {**(_SAMPLING if DRAWING.isdisjoint(model) else {}), **own, **asked}
    _check_call(call)
    request = Request(
        sampling=sampling,
        lengths=lengths,
        most=most,
        least=least,
        n=n,
        output=call["output"] or "full",
        prefix=call["prefix"] or "",
        continues=call["continue_final_message"],
        batch_size=check_int("batch_size", 1 if call["batch_size"] is None else call["batch_size"]),
        streamer=call["streamer"],
        seed=call["seed"],
    )
    _check_number(request, SamplingOptions(**request.options(0)))
    return request


def _check_call(call: Mapping[str, Any]) -> None:
    if call["handle_long_generation"] not in (None, "hole"):
        raise refusal("handle_long_generation", call["handle_long_generation"], "None or 'hole'")
    if call["continue_final_message"] is not None:
        check_bool("continue_final_message", call["continue_final_message"])
    if not isinstance(call["prefix"], str | None):
        raise refusal("prefix", call["prefix"], "a string")
    if call["seed"] is not None and not _is_int(call["seed"]):
        raise refusal("seed", call["seed"], "an integer or None")
    streamer = call["streamer"]
    if streamer is not None and not all(callable(getattr(streamer, name, None)) for name in ("put", "end")):
        raise refusal("streamer", streamer, "an object with the methods put(ids) and end()")


def _check_number(request: Request, options: SamplingOptions) -> None:
    if options.num_beams > 1:
        if request.streamer is not None:
            raise OptionError("a streamer shows tokens as they are drawn, and beams are drawn side by side: leave one")
        if request.n > options.num_beams:
            raise refusal("num_return_sequences", request.n, f"at most num_beams, which is {options.num_beams}")
    elif request.n > 1:
        if request.streamer is not None:
            raise OptionError("a streamer shows one text at a time: num_return_sequences must be 1")
        if options.is_greedy:
            raise OptionError("without sampling all texts are the same: num_return_sequences must be 1")


def _count(name: str, value: object, some: bool) -> int:
    if not _is_int(value) or value < some:  # type: ignore[operator]
        raise refusal(name, value, f"an integer of {int(some)} or more")
    return int(value)  # type: ignore[call-overload, no-any-return]


def _is_int(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
