"""Texts with holes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.sampling.templates import Fixed, Hole, fits, parse, quoted, shown


@pytest.mark.parametrize(
    ("template", "hole"),
    [
        ("{5..10 words}", Hole("words", 5, 10)),
        ("{5 words}", Hole("words", 5, 5)),
        ("{1 word}", Hole("words", 1, 1)),
        ("{5.. characters}", Hole("characters", 5, None)),
        ("{..10 tokens}", Hole("tokens", 1, 10)),
        ("{ 0 .. 3 sentences }", Hole("sentences", 0, 3)),
        ("{words}", Hole("words", 1, None)),
    ],
)
def test_holes(template: str, hole: Hole) -> None:
    """A hole says how much of what stands there; without a least it is one."""
    assert parse(template) == [hole]


def test_pieces() -> None:
    """Fixed texts stand between holes, choices are multiplied out, and doubled braces are braces."""
    assert parse("  The\t {words} of {choices: a b , c}{{x}}, {choices:d,e}.") == [
        Fixed(("The",), "", " "),
        Hole("words", 1, None),
        Fixed(("of a b{x}, d.", "of a b{x}, e.", "of c{x}, d.", "of c{x}, e."), " ", ""),
    ]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("a {b", "without its other half"),
        ("a } b", "without its other half"),
        ("{x}", "a hole is like"),
        ("{5 10 words}", "a hole is like"),
        ("{.. words}", "a hole is like"),
        ("{-1 words}", "a hole is like"),
        ("{3..2 words}", "least is more than its most"),
        ("{words}{words}", "side by side"),
        ("{words} {3 tokens}", "side by side"),
        ("{choices:a,}", "empty choice"),
        ("{choices:a,b}" * 14, "combinations"),
    ],
)
def test_refusals(template: str, why: str) -> None:
    """What is no template is refused in one sentence that says why."""
    with pytest.raises(OptionError, match=why) as caught:
        parse(template)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("template", "right", "wrong"),
    [
        ("The {2 words} king.", ["The wise old king."], ["The old king.", "The a b c king.", "The  a b king."]),
        ("{0..2 words} king", ["king", "old king", "wise old king"], ["oldking", "a wise old king"]),
        ("The {0..2 words} king", ["The king", "The old king"], ["The  king", "Theking"]),
        ("The {..2 words}", ["The king", "The old king"], ["The", "The very old king"]),
        ("The {0..2 words}", ["The", "The king"], ["The "]),
        ("{words}, said the {words}.", ["So, said the fox.", "So, said the a, said the b."], [", said the fox."]),
        ("{1 words}, said {1 words}, said {1 words}", ["a, said b, said c"], ["a b, said c, said d"]),
        ('"{2 words}" {..3 characters}', ['"a b" cde', '"a b" c e'], ['" a b" c', '"a b" cdef', '"a b"']),
        ("{2 sentences} End", ["A. B! End"], ["A. End", "A. b. End", "A.B. End"]),
        ('"{1 sentence}" he said', ['"I am here." he said'], ['"I am." Here." he said']),
        ("{words}{choices:ing,ed}", ["walking", "she walked"], ["ing", "walk"]),
        ("{3 tokens} end", ["anything will do end"], ["end", " end"]),
    ],
)  # fmt: skip
def test_fits(template: str, right: list[str], wrong: list[str]) -> None:
    """A text fits a template where its fixed texts stand with holes of the right sizes between them."""
    pieces = parse(template)
    assert [text for text in right if not fits(pieces, text)] == []
    assert [text for text in wrong if fits(pieces, text)] == []


@given(
    st.lists(st.sampled_from(["a", "b,", "king", "c d"]), min_size=1, max_size=4),
    st.lists(st.integers(1, 4), min_size=4, max_size=4),
)
def test_what_is_filled_in_fits(fixed: list[str], sizes: list[int]) -> None:
    """A template whose holes are filled with as many words as they say fits, and with one more it does not."""
    template = " ".join(f"{{{size} words}} {text}" for size, text in zip(sizes, fixed, strict=False))
    filled = " ".join("x " * size + text for size, text in zip(sizes, fixed, strict=False))
    assert fits(parse(template), filled)
    assert not fits(parse(template), f"x {filled}")


def test_quotation() -> None:
    """Texts are shown in quotation marks that they do not hold, three of them at most."""
    assert quoted('say "no"') == "'say \"no\"'"
    assert shown("abcd") == '"a", "b", "c" ...'
