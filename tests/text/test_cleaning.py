"""Cleaning does what its steps say, in their order, and does nothing to what is clean."""

from __future__ import annotations

import pickle
import re
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.text.cleaning import DEFAULT_STEPS, Cleaner
from ngramgen.text.corpus import read_blocks

CHARACTER_STEPS = ["nfc", "control", "whitespace", "lowercase"]
EVERY_CHARACTER = [chr(i) for i in range(sys.maxunicode + 1) if not 0xD800 <= i <= 0xDFFF]

# Letters, marks and separators that compose, reorder, change length or stand in each other's way.
NASTY = st.text(
    st.sampled_from(
        "aAeEiI \t\n\r\0\x1c\x85\xa0\u2000\u3000\ufeffıİſKÅΣς\u0301\u0307\u0323\u0331\u0345\ud800\U0001d15e각ᄀ"
    )
    | st.characters()
)


def plain(name: str, text: str) -> str:
    """Each character step in the plainest words."""
    if name == "nfc":
        return unicodedata.normalize("NFC", text)
    if name == "lowercase":
        return text.lower()
    if name == "control":
        return "".join(c for c in text if c in "\n\t" or (unicodedata.category(c) != "Cc" and c != "\ufeff"))
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


class TestCharacterSteps:
    @pytest.mark.parametrize("step", CHARACTER_STEPS)
    @given(text=NASTY)
    def test_a_step_alone(self, step, text):
        """Each step gives what its plainest form gives."""
        assert Cleaner([step]).text(text) == plain(step, text)

    @pytest.mark.parametrize("step", CHARACTER_STEPS)
    def test_every_character_there_is(self, step):
        """Each step agrees with its plainest form on all of Unicode, each character by itself."""
        text = "\n".join(f"x{c}x" for c in EVERY_CHARACTER)
        assert Cleaner([step]).text(text) == plain(step, text)

    @given(NASTY)
    def test_the_default_steps(self, text):
        """The default is the three steps one after another, composed once more at the end."""
        expected = plain("nfc", plain("whitespace", plain("control", plain("nfc", text))))
        assert Cleaner(DEFAULT_STEPS).text(text) == expected

    @given(st.lists(st.sampled_from(CHARACTER_STEPS), max_size=6), NASTY)
    @example(["nfc", "lowercase"], "İ\u0331")
    @example(["nfc", "control"], "e\0\u0301")
    @example(["whitespace", "control"], "a \0 b\n\0 c")
    @example(["control", "whitespace", "lowercase", "nfc", "control"], "ΑΣ\0Β")
    def test_cleaning_twice_is_cleaning_once(self, steps, text):
        """What is clean stays as it is, for any steps in any order."""
        cleaner = Cleaner(steps)
        once = cleaner.text(text)
        assert cleaner.text(once) == once

    @given(st.lists(st.sampled_from(CHARACTER_STEPS), max_size=4), NASTY)
    def test_lines_stay_lines(self, steps, text):
        """lines_block keeps the number of lines, and cleans each as it would alone but for the context of letters."""
        block = (text.replace("\ud800", "") + "\n").encode(errors="replace")
        cleaned = Cleaner(steps).lines_block(block)
        assert cleaned.count(b"\n") == block.count(b"\n")
        alone = [Cleaner(steps).text(line) for line in block.decode().split("\n")]
        assert cleaned.decode().split("\n") == alone

    def test_prompts_keep_what_a_corpus_loses(self):
        """Length limits and deduplication do not hold for prompts and queries."""
        cleaner = Cleaner(["min-length=5", "max-length=2", "deduplicate", "lowercase"])
        assert [cleaner.text("ABC"), cleaner.text("ABC")] == ["abc", "abc"]
        assert cleaner.lines_block(b"A\nA\n") == b"a\na\n"


class TestLineSteps:
    def clean(self, steps: list[str], *blocks: str) -> list[str]:
        return [block.decode() for block in Cleaner(steps).blocks([block.encode() for block in blocks])]

    def test_lengths_are_of_characters(self):
        """Length limits count characters and include their number; a line outside is dropped whole."""
        # "éé" is two characters in four bytes.
        assert self.clean(["min-length=2"], "a\néé\n\nabc\n") == ["éé\nabc\n"]
        assert self.clean(["max-length=2"], "a\néé\n\nabc\n") == ["a\néé\n\n"]

    def test_duplicates_across_blocks(self):
        """A line is given once in a corpus, where it was first; empty lines all stay."""
        assert self.clean(["deduplicate"], "a\n\nb\na\n", "\nb\nc\n") == ["a\n\nb\n", "\nc\n"]

    def test_each_corpus_starts_anew(self):
        """A cleaner remembers nothing from one corpus to the next."""
        cleaner = Cleaner(["deduplicate"])
        assert list(cleaner.blocks([b"a\n"])) == list(cleaner.blocks([b"a\n"])) == [b"a\n"]

    def test_the_order_is_the_user_s(self):
        """Steps see what the steps before them left."""
        assert self.clean(["min-length=3", "whitespace"], "a  \n") == ["a\n"]
        assert self.clean(["whitespace", "min-length=3"], "a  \n") == []
        assert self.clean(["lowercase", "deduplicate"], "A\na\n") == ["a\n"]
        assert self.clean(["deduplicate", "lowercase"], "A\na\n") == ["a\na\n"]

    @given(st.lists(st.lists(st.sampled_from(["", "a", "b", "cc", "é"])), max_size=5))
    def test_deduplicate_as_a_dict_would(self, blocks):
        """Lines that are not empty come out as the keys of a dict."""
        out = "".join(self.clean(["deduplicate"], *["".join(f"{line}\n" for line in lines) for lines in blocks]))
        given_lines = [line for lines in blocks for line in lines]
        assert [line for line in out.split("\n") if line] == list(dict.fromkeys(filter(None, given_lines)))
        assert out.count("\n") - len({*given_lines} - {""}) == given_lines.count("")


class TestCleaner:
    def test_nothing_to_do_costs_nothing(self):
        """A block that does not change is the same object, for no steps and for clean text."""
        blocks = [b"plain ascii\n", "clean é\n".encode()]
        for steps in ([], ["nfc"], DEFAULT_STEPS, [*DEFAULT_STEPS, "lowercase", "deduplicate", "max-length=99"]):
            assert all(a is b for a, b in zip(Cleaner(steps).blocks(blocks), blocks, strict=True))

    def test_blocks_are_read_as_they_are_asked_for(self):
        """A corpus is cleaned block by block."""

        def endless():
            while True:
                yield b" a \n"

        assert next(Cleaner(["whitespace"]).blocks(endless())) == b"a\n"

    def test_steps_are_written_and_read_back(self):
        """The canonical steps make an equal cleaner, and so does pickling."""
        cleaner = Cleaner(iter(["nfc", "min-length=007", "deduplicate"]))
        assert cleaner.steps == ("nfc", "min-length=7", "deduplicate")
        assert Cleaner(cleaner.steps) == cleaner == pickle.loads(pickle.dumps(cleaner))
        assert hash(Cleaner(cleaner.steps)) == hash(cleaner)
        assert cleaner != Cleaner()
        assert cleaner != "nfc"
        assert repr(Cleaner(["nfc"])) == "Cleaner(['nfc'])"

    @pytest.mark.parametrize(
        "step",
        ["", "nfd", "NFC", "nfc=1", "deduplicate=2", "min-length", "max-length=", "min-length=-1", "min-length=²"],
    )
    def test_unknown_steps(self, step):
        """A step that is not known, or lacks its number, is refused with what there is."""
        with pytest.raises(OptionError, match=re.escape(repr(step))):
            Cleaner([step])

    def test_the_error_lists_what_there_is(self):
        """An unknown step is answered with all that are known."""
        with pytest.raises(
            OptionError, match="nfc, control, whitespace, lowercase, min-length=N, max-length=N, deduplicate"
        ):
            Cleaner(["stem"])
        with pytest.raises(OptionError, match="list of names"):
            Cleaner("nfc")


def test_a_real_corpus(shared_data):
    """Cleaning novels and Chinese prose in blocks equals the plain steps on the whole."""
    for path in [shared_data / "fiction" / "valid.txt", *sorted((shared_data / "chinese").glob("*.txt"))[:1]]:
        text = path.read_bytes().decode()
        expected = text
        for step in DEFAULT_STEPS:
            expected = plain(step, expected)
        cleaned = b"".join(Cleaner(DEFAULT_STEPS).blocks(read_blocks([path], block_size=1 << 16)))
        assert cleaned.decode() == expected
