from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.sampling.codepoints import END, CharacterSet, cut, ranges_of
from ngramgen.sampling.dfa import determinise
from ngramgen.sampling.nfa import build_nfa
from ngramgen.sampling.patterns import Automaton, compile_pattern

# of one, two, three and four bytes; of either case, of three cases, digits, letters, spaces and marks
LETTERS = "abkK1_ .-éÉſßẞσςǅ\N{KELVIN SIGN}中\u0663\u00a0\u2028😀"
# the first and last character of every length, and those beside the surrogates
BORDERS = [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD7FF, 0xE000, 0xFFFF]
BORDERS += [0x10000, 0x1FFFF, 0x20000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF]

_SINGLE = st.one_of(
    st.sampled_from(LETTERS).map(re.escape),
    st.sampled_from([".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\x61", r"\N{LATIN SMALL LETTER K}", ""]),
    st.lists(
        st.sampled_from(["a-c", "k", r"\d", r"\W", r"\s", r"\-", "à-ſ", "一-鿿", "_", "A-Z", "😀-😎"]), min_size=1
    ).map(lambda items: f"[{''.join(items)}]"),
    st.lists(st.sampled_from(["a-c", "k", r"\d", r"\w", "é", "中"]), min_size=1).map(
        lambda items: f"[^{''.join(items)}]"
    ),
)
_REPEATS = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{,2}", "{2,}", "{1,3}?", "{0}"])
_GROUPS = st.sampled_from(["(", "(?:", "(?i:", "(?a:", "(?s:", "(?-i:"])


def _grown(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(parts, parts).map("".join),
        st.tuples(parts, parts).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(_GROUPS, parts).map(lambda two: f"{two[0]}{two[1]})"),
        st.tuples(parts, _REPEATS).map(lambda two: f"(?:{two[0]}){two[1]}"),
    )


UNANCHORED = st.recursive(_SINGLE, _grown, max_leaves=8)
ANCHORED = st.recursive(st.one_of(_SINGLE, st.sampled_from(["^", "$", r"\A", r"\Z"])), _grown, max_leaves=8)
FLAGS = st.sampled_from(["", "(?i)", "(?a)", "(?s)", "(?ia)", "(?x)"])


def texts_over(letters: str, longest: int) -> list[str]:
    return ["".join(text) for size in range(longest + 1) for text in itertools.product(letters, repeat=size)]


def assert_agrees(automaton: Automaton, patterns: list[str], texts: list[str]) -> None:
    expected = [text for text in texts if all(re.fullmatch(pattern, text) for pattern in patterns)]
    assert [text for text in texts if automaton.matches(text)] == expected


@given(FLAGS, UNANCHORED, st.text(st.sampled_from(LETTERS + "\n"), min_size=4, max_size=4))
def test_a_random_pattern_accepts_what_fullmatch_does(flags: str, pattern: str, letters: str) -> None:
    """Of all short texts over some letters, a newline among them, the same match as with Python's own engine."""
    assert_agrees(compile_pattern(flags + pattern), [flags + pattern], texts_over(letters, 3))


@given(FLAGS, ANCHORED, st.text(st.sampled_from(LETTERS), min_size=3, max_size=3))
def test_anchors_mean_the_ends_of_the_line(flags: str, pattern: str, letters: str) -> None:
    """Where a text is one line, ^ and $ anywhere in a pattern mean what they mean to Python."""
    assert_agrees(compile_pattern(flags + pattern), [flags + pattern], texts_over(letters, 3))


@given(st.lists(ANCHORED, min_size=2, max_size=3), st.text(st.sampled_from(LETTERS), min_size=3, max_size=3))
def test_several_patterns_must_all_match(patterns: list[str], letters: str) -> None:
    """The automaton of several patterns accepts the texts that every one of them matches."""
    assert_agrees(compile_pattern(*patterns), patterns, texts_over(letters, 3))


SETS = [".", "(?s).", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"(?a)\w", r"(?a)\W", "[^a]", "[^a-z]", r"[^\W\d_]"]
SETS += [r"\\", "(?i)k", "(?i)S", "(?i)[a-zß]", "(?i)[^µ]", r"(?i)\w", "(?i)Ǆ", "(?i)\U00010400", "[\ud7ff-\ue000]"]
SETS += ["[\U00010000-\U0010ffff]"]


@pytest.mark.parametrize("pattern", SETS)
def test_a_set_of_characters_is_that_of_re(pattern: str) -> None:
    """Every 211th code point, and each where the encoding changes, is in a set exactly if it is for `re`."""
    automaton, matcher = compile_pattern(pattern), re.compile(pattern)
    codes = [code for code in {*range(0x3000), *range(0x3000, END, 211), *BORDERS} if not 0xD800 <= code < 0xE000]
    wrong = [chr(code) for code in codes if automaton.matches(chr(code)) != bool(matcher.fullmatch(chr(code)))]
    assert wrong == []


def test_beyond_the_second_plane_no_letter_has_two_cases() -> None:
    """Which is why the other case of a letter is not looked for there."""
    text = "".join(map(chr, range(0x20000, END)))
    assert text.lower() == text == text.upper()


def test_a_letter_beyond_the_second_plane_is_itself_in_any_case() -> None:
    """Ignoring case does not lose a character of the planes where no case is looked for."""
    assert compile_pattern("(?i)\U00020000").matches("\U00020000")


@given(st.binary(max_size=6))
def test_only_utf8_is_a_text(data: bytes) -> None:
    """What accepts every text accepts exactly the bytes that decode: nothing overlong, no surrogate, no half."""
    anything = compile_pattern("(?s).*")
    state = anything.walk(anything.start, data)
    try:
        data.decode()
    except UnicodeDecodeError:
        assert state < 0 or not anything.accepts[state]
    else:
        assert anything.accepts[state]


def test_a_lone_surrogate_matches_nothing() -> None:
    """UTF-8 has no bytes for it, so no pattern accepts it, though `re` would."""
    assert not compile_pattern("(?s).*").matches("\ud800")
    assert compile_pattern("[\ud800-\udfff]").is_empty


@given(st.lists(UNANCHORED, min_size=1, max_size=2))
@settings(max_examples=40, deadline=None)
def test_the_automaton_is_the_smallest(patterns: list[str]) -> None:
    """All states are reached, all lead to acceptance, and no two of them accept the same continuations."""
    automaton = compile_pattern(*patterns)
    table = np.pad(automaton.table, ((0, 1), (0, 0)), constant_values=-1)  # a dead state, also found at -1
    if automaton.is_empty:
        assert table.shape[0] == 1
        return
    # blocks are split by what their states do until nothing splits any more (Moore 1956)
    blocks = np.append(automaton.accepts, False).astype(int)
    while True:
        signatures = np.column_stack([blocks, blocks[table]])
        finer = np.unique(signatures, axis=0, return_inverse=True)[1].reshape(-1)
        if finer.max() == blocks.max():
            break
        blocks = finer
    assert len(np.unique(blocks)) == len(table)  # the dead state differs from all others, so they are live
    reached, waiting = {automaton.start}, [automaton.start]
    while waiting:
        new = set(automaton.table[waiting.pop()].tolist()) - reached - {-1}
        reached |= new
        waiting += new
    assert len(reached) == len(automaton.table)


def test_the_arrays_are_as_promised() -> None:
    """One row a state, one column a class of bytes, whose numbers leave none out."""
    automaton = compile_pattern("[a-c]é?")
    assert (automaton.table.dtype, automaton.class_of_byte.dtype, automaton.accepts.dtype) == (np.int32, np.uint8, bool)
    # after nothing, after a letter, within é (accent begun), after é
    assert automaton.table.shape[0] == len(automaton.accepts) == 4
    assert set(automaton.class_of_byte.tolist()) == set(range(automaton.table.shape[1]))


@pytest.mark.parametrize("patterns", [("a+", "b+"), (r"[^\s\S]",), ("a^b",), (r"\w*", "a b"), ("x", "x", "y")])
def test_what_nothing_can_match_is_empty(patterns: tuple[str, ...]) -> None:
    """Patterns that no text meets leave no state at all, and nothing matches."""
    automaton = compile_pattern(*patterns)
    assert automaton.is_empty
    assert automaton.table.shape[0] == 0
    assert not automaton.matches("")
    assert automaton.walk(automaton.start, b"a") == -1


@pytest.mark.parametrize(
    ("pattern", "construct"),
    [
        (r"\bking\b", r"word boundary \b, which no automaton knows: a text with one word in it is (.*\W)?word(\W.*)?"),
        (r"a\Bb", r"word boundary \B"),
        ("a(?=b)", "look-ahead"),
        ("a(?!b)", "look-ahead"),
        ("a(?!)", "look-ahead"),
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", "back-reference"),
        ("(?P<x>a)(?P=x)", "back-reference"),
        ("(a)?(?(1)b|c)", "condition on a group"),
        ("a*+", "possessive quantifier"),
        ("(?>a*)b", "atomic group"),
        ("(?m)a$", "(?m)"),
    ],
)
def test_what_no_automaton_knows_is_refused_by_name(pattern: str, construct: str) -> None:
    """The error names the construct and the pattern that holds it, also where another pattern is fine."""
    with pytest.raises(OptionError) as caught:
        compile_pattern("a", pattern)
    assert construct in str(caught.value)
    assert f"'{pattern}'" in str(caught.value)


@pytest.mark.parametrize(
    "pattern", ["(", "a**", "[b-a]", r"\q", "a{99999999999}", "a{2,1}", "(?z)", "a{" + "9" * 5000 + "}"]
)
def test_what_is_no_regular_expression_is_refused(pattern: str) -> None:
    """What `re` cannot read is an OptionError that says why."""
    with pytest.raises(OptionError, match="is no regular expression: "):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "((a{100}){100}){100}",
        ".*a.{20}",
        "(a?){6000}",
        r"(\w+ ){2000}",
        "(" * 3000 + "a" + ")" * 3000,
    ],
)
def test_a_pattern_too_large_is_refused_soon(pattern: str) -> None:
    """Where an automaton would outgrow memory, the error says so and shows the pattern, shortened if need be."""
    with pytest.raises(OptionError, match="is too large: shorten it") as caught:
        compile_pattern(pattern)
    assert pattern[:20] in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_intersection_too_large_names_all_its_patterns() -> None:
    """Two patterns that are fine alone may be too large together."""
    patterns = ".*a.{9}", ".*b.{9}"  # each letter of the last ten is a, b or neither: 3 ** 10 states
    with pytest.raises(OptionError, match=re.escape(" & ".join(patterns))):
        compile_pattern(*patterns)


@pytest.mark.parametrize("patterns", [(), (b"a",), (3,), ("a", None)])
def test_a_pattern_is_a_string(patterns: tuple[object, ...]) -> None:
    """Anything else, or no pattern at all, is an OptionError."""
    with pytest.raises(OptionError, match="must be a string"):
        compile_pattern(*patterns)  # type: ignore[arg-type]


def test_nothing_repeated_costs_nothing() -> None:
    """A repeated part that reads nothing is read once, however large the numbers."""
    assert compile_pattern("(?:(?:){99999999}|b){,2}").matches("bb")


def test_a_list_of_many_words_is_quick_to_make() -> None:
    """Thousands of alternatives inside of a text share what they have in common."""
    words = ["".join(word) for word in itertools.product("aeiou", "rst", "aeiou", "lmn", "aeiou")]
    automaton = compile_pattern(f".* ({'|'.join(words)})")
    assert automaton.matches("x aresa erala")
    assert not automaton.matches("x areza")
    # each letter of a word leads to the same next letters: six states in a word, a character's parts, ... in all few
    assert len(automaton.table) < 40


def test_ranges_are_merged_and_turned_over() -> None:
    """Ranges that overlap or touch are one, and the others are what lies between, before and behind."""
    items = (("RANGE", (97, 105)), ("LITERAL", 106), ("RANGE", (100, 103)), ("LITERAL", 0))
    assert ranges_of(CharacterSet(False, items)).tolist() == [[0, 0], [97, 106]]
    assert ranges_of(CharacterSet(True, items)).tolist() == [[1, 96], [107, END - 1]]
    assert ranges_of(CharacterSet(False, ())).tolist() == []
    assert ranges_of(CharacterSet(True, ())).tolist() == [[0, END - 1]]


def test_characters_of_the_same_sets_are_one_piece() -> None:
    """Two sets that overlap cut the characters into those of one, of both and of none, surrogates among the last."""
    pieces = cut([CharacterSet(False, (("RANGE", (97, 100)),)), CharacterSet(True, (("LITERAL", 98),))])
    # in the first (a to d), in the second (all but b), in both (a, c, d)
    named = {tuple(sorted(sets)): piece for piece, sets in enumerate(pieces.sets)}
    assert set(named) == {(), (0,), (1,), (0, 1)}
    assert [pieces.of_code[ord(c)] for c in "abcde"] == [named[k] for k in [(0, 1), (0,), (0, 1), (0, 1), (1,)]]
    assert pieces.of_code[0xD800] == pieces.of_code[0xDFFF] == named[()] == 0


def test_an_anchor_at_the_begin_holds_only_there() -> None:
    """`(^a|b)*` is a's only as the first letter: the start is told from the same states met later."""
    sets: dict[CharacterSet, int] = {}
    dfa = determinise(build_nfa("(^a|b)*", sets), cut(list(sets)).sets)
    assert len(dfa.table) == 2
    assert_agrees(compile_pattern("(^a|b)*"), ["(^a|b)*"], texts_over("ab", 4))
