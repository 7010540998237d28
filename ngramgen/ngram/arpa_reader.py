r"""Reading ARPA files, the text format of lmplz, SRILM, IRSTLM and KenLM: a few megabytes of lines at a time.

>>> table, tokens = read_arpa("model.arpa.gz")  # doctest: +SKIP
>>> vocabulary = Vocabulary.from_tokens(tokens)  # doctest: +SKIP

What is done where programs differ:

=============================================  =======================================  ==============================
in the file                                    strict                                   lenient
=============================================  =======================================  ==============================
no ``<unk>``                                   the least probability, 1.2e-38           the same
``<UNK>`` and no ``<unk>``                     is ``<unk>``                             the same
numbers below 1.2e-38 (such as SRILM's -99)    become 1.2e-38, p(``<s>``) becomes 0     the same
an n-gram whose beginning or end is missing    is put in with what backing off gives    the same
CR LF, numbers with exponents                  read                                     read
comments before ``\data\``                     lines that begin with ``#``              any text
spaces for tabs, blank lines between n-grams   ArpaError                                read
other numbers of n-grams than announced        ArpaError                                those that are there
a probability above 1                          ArpaError                                1
``-inf``                                       is 0, which becomes 1.2e-38              the same
a backoff in the highest order                 ArpaError, unless it is 0                not used
no ``<s>`` or ``</s>``                         ArpaError                                is put in with the least one
text behind ``\end\``                          ArpaError                                not read
=============================================  =======================================  ==============================

All else that breaks the format is an ArpaError that names the line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ArpaError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram.arpa_lines import Lines, SectionRules, parse_lines, shown, word_at
from ngramgen.ngram.arpa_numbers import LOG_ZERO
from ngramgen.ngram.arpa_source import ArpaSource, open_arpa
from ngramgen.ngram.arpa_table import Grams, build_table
from ngramgen.ngram.table import NgramTable
from ngramgen.text.splitting import Offsets
from ngramgen.text.vocabulary import SPECIALS, HashIndex, build_index, token_keys

_COUNT = re.compile(rb"ngram\s+(\d{1,18})\s*=\s*(\d{1,18})")
_HIGHEST = 64  # orders; nobody has more, and a damaged head shall not announce a million


def read_arpa(path: str | os.PathLike[str], *, lenient: bool = False) -> tuple[NgramTable, list[bytes]]:
    """The model in a plain or gzipped ARPA file, and its tokens: that at place i has the id i + 3.

    Tokens come with the most probable first. ``table.normalised`` tells that the probabilities after every context sum
    to 1 within a thousandth. Raises ArpaError, which names the line, and ModelNotFoundError.
    """
    with open_arpa(path) as source:
        reader = _Reader(source, lenient)
        announced = reader.counts()
        tokens, unigrams = reader.unigrams(announced[0], highest=len(announced) == 1)
        orders = [unigrams]
        for k, count in enumerate(announced[1:], start=2):
            orders.append(reader.grams(k, count, highest=k == len(announced)))
        reader.end()
        while len(orders) > 1 and not len(orders[-1].rows):
            orders.pop()
        return build_table(orders, source.refusal), tokens


class _Reader:
    """One pass through the file, section by section."""

    def __init__(self, source: ArpaSource, lenient: bool) -> None:
        self.source = source
        self.lenient = lenient
        self.header: bytes | None = None  # the line that ended what was read last
        self.index = HashIndex(np.zeros(16, np.uint32), np.zeros(0, np.uint64))  # of the words as they appear
        self.ids = np.zeros(0, np.int32)  # of these words

    def counts(self) -> list[int]:
        """How many n-grams of each order the file announces."""
        line = self.source.filled_line()
        while line is not None and line != b"\\data\\" and (self.lenient or line.startswith(b"#")):
            line = self.source.filled_line()
        if line is None:
            raise self._here("the file ends without a line \\data\\; is it an ARPA file?")
        if line != b"\\data\\":
            way_out = "is it an ARPA file? --lenient (lenient=True) skips text before that line"
            raise self._here(f"{shown(line)} stands where \\data\\ is expected; {way_out}")
        announced: list[int] = []
        while (line := self.source.filled_line()) is not None and not line.startswith(b"\\"):
            match = _COUNT.fullmatch(line)
            if not match or int(match[1]) != len(announced) + 1 or len(announced) == _HIGHEST:
                what = f"{shown(line)} stands where 'ngram {len(announced) + 1}=' and a number are expected"
                raise self._here(f"{what}; repair the line")
            announced.append(int(match[2]))
        if not announced:
            raise self._here("no line 'ngram 1=' and a number follows \\data\\; write the file anew")
        self.header = line
        return announced

    def unigrams(self, announced: int, highest: bool) -> tuple[list[bytes], Grams]:
        """The tokens by id, from 3 on, and the unigrams of all ids."""
        blocks = list(self._section(1, announced, highest))
        words = [token for block in blocks for token in block.words.tokens()]
        found = _joined(blocks, np.arange(len(words), dtype=np.int32)[:, None])
        keys = [token_keys(block.words) for block in blocks]
        self.index = build_index(self._distinct(np.concatenate(keys), words, found) if keys else np.zeros(0, np.uint64))
        specials = self._specials(words)
        plain = np.ones(len(words), bool)
        plain[specials[specials >= 0]] = False
        plain = np.flatnonzero(plain)
        plain = plain[np.argsort(-found.logs[plain], kind="stable")]
        order = np.concatenate([specials, plain])  # the place in the file of each id
        present = np.flatnonzero(order >= 0)
        self.ids = np.zeros(len(words), np.int32)
        self.ids[order[present]] = present
        by_id = Grams.missing(np.arange(len(order), dtype=np.int32)[:, None])
        by_id.logs[:] = LOG_ZERO
        for column, values in zip(by_id.columns, found.columns, strict=True):
            column[present] = values[order[present]]
        return [words[i] for i in plain.tolist()], by_id

    def _distinct(self, keys: NDArray[np.uint64], words: list[bytes], found: Grams) -> NDArray[np.uint64]:
        _, firsts = np.unique(keys, return_index=True)
        if len(firsts) < len(keys):
            again = np.ones(len(keys), bool)
            again[firsts] = False
            place = int(np.argmax(again))
            what = f"the 1-gram {shown(words[place])} stands in the file twice; delete one of the lines"
            raise self.source.refusal(int(found.lines[place]), what)
        return keys

    def _specials(self, words: list[bytes]) -> Offsets:
        """The places of <unk>, <s> and </s>, -1 for one that is missing."""
        names = [name.encode() for name in SPECIALS]
        places = {word: place for place, word in enumerate(words) if word in (*names, b"<UNK>")}
        found = np.array([places.get(name, -1) for name in names])
        if found[UNK] < 0:
            found[UNK] = places.get(b"<UNK>", -1)
        for special in (BOS, EOS):
            if found[special] < 0 and not self.lenient:
                what = f"there is no {SPECIALS[special]} among the 1-grams before this line"
                raise self._here(
                    f"{what}; put it in, or convert it with --lenient (lenient=True) if the model knows no sentences"
                )
        return found

    def grams(self, k: int, announced: int, highest: bool) -> Grams:
        """The n-grams of order ``k``, in the order of the file."""
        blocks, rows = [], []
        for block in self._section(k, announced, highest):
            rows.append(self._known(block, k).reshape(-1, k))
            blocks.append(block.without_words())
        return _joined(blocks, np.concatenate(rows) if rows else np.zeros((0, k), np.int32))

    def _known(self, block: Lines, k: int) -> NDArray[np.int32]:
        places = self.index.find(token_keys(block.words))
        if places.min(initial=0) < 0:
            first = int(np.argmin(places >= 0))
            what = f"the word {word_at(block.words, first)} is not among the 1-grams; add it there"
            raise self.source.refusal(int(block.numbers[first // k]), what)
        return self.ids.take(places)

    def _section(self, k: int, announced: int, highest: bool) -> Iterator[Lines]:
        """The n-grams of order ``k``, which come next, in blocks."""
        expected = f"\\{k}-grams:"
        if self.header != expected.encode():
            raise self._here(f"{self._found()} where {expected} is expected; is the file cut short, or out of order?")
        rules = SectionRules(k, highest, self.lenient, self.source.refusal)
        size = blank = 0
        first = self.source.line + 1
        while block := self.source.grams():
            lines, blanks = parse_lines(block, first, rules)
            first = self.source.line + 1
            blank = blank or int(blanks[0] if len(blanks) else 0)
            if len(lines) and 0 < blank < lines.numbers[-1] and not self.lenient:
                raise self.source.refusal(
                    blank,
                    "the line is blank, but n-grams follow; delete it, or convert it with --lenient (lenient=True)",
                )
            size += len(lines)
            if len(lines):
                yield lines
        self.header = self.source.filled_line()
        if size != announced and not self.lenient:
            what = f"before this line there are {size} {k}-grams, but \\data\\ announces {announced}"
            raise self._here(f"{what}; the file was cut or edited, and --lenient (lenient=True) takes what is there")

    def end(self) -> None:
        """Check that the file is complete."""
        if self.header != b"\\end\\":
            raise self._here(f"{self._found()} where \\end\\ is expected; is the file cut short, or out of order?")
        if not self.lenient and (line := self.source.filled_line()) is not None:
            raise self._here(f"{shown(line)} follows \\end\\; delete it, or convert it with --lenient (lenient=True)")

    def _found(self) -> str:
        return "the file ends" if self.header is None else f"{shown(self.header)} stands"

    def _here(self, what: str) -> ArpaError:
        return self.source.refusal(self.source.line, what)


def _joined(blocks: list[Lines], rows: NDArray[np.int32]) -> Grams:
    """The n-grams of all blocks."""
    result = Grams.missing(rows)
    begin = 0
    for block in blocks:
        end = begin + len(block)
        result.logs[begin:end], result.backoffs[begin:end] = block.logs, block.backoffs
        result.lines[begin:end] = block.numbers
        begin = end
    return result
