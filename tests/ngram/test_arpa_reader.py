"""Reading ARPA files: KenLM's fixtures, SRILM's habits, and every way to break the format."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import ArpaError, ModelNotFoundError
from ngramgen.model import BOS, EOS
from ngramgen.ngram import arpa_source, arpa_table
from ngramgen.ngram.arpa_reader import read_arpa
from ngramgen.ngram.lookup import score_text
from ngramgen.ngram.table import NgramTable
from ngramgen.text.vocabulary import Vocabulary

FIXTURES = ("test.arpa", "test_nounk.arpa", "toy0.arpa", "toy1.arpa")

# lines are counted from 1: \data\ is line 1, the 1-grams are lines 7 to 11, the 2-grams 14 to 16, the 3-gram 19
MODEL = """\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.6\t</s>
-0.7\ta\t-0.25
-0.4\tbé\t-0.125

\\2-grams:
-0.5\t<s> a\t-0.3
-0.2\ta bé\t-0.1
-0.9\tbé </s>

\\3-grams:
-0.05\t<s> a bé

\\end\\
"""


def read(folder: Path, text: str | bytes, lenient: bool = False) -> tuple[NgramTable, list[str]]:
    path = folder / "model.arpa"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    table, tokens = read_arpa(path, lenient=lenient)
    return table, [token.decode() for token in tokens]


def logs(model: tuple[NgramTable, list[str]], sentence: str) -> list[float]:
    """log10 of the probability of each word of a sentence, and of its end."""
    table, tokens = model
    words = [tokens.index(word) + 3 if word in tokens else 0 for word in sentence.split()]
    return list(np.log10(score_text(table, np.array([BOS, *words, EOS])))[1:])


def test_backing_off_is_as_the_format_defines_it(tmp_path: Path) -> None:
    """A listed n-gram has its own probability, any other its context's backoffs times the shorter one's."""
    model = read(tmp_path, MODEL)
    assert model[1] == ["bé", "a"]
    assert logs(model, "a bé") == pytest.approx([-0.5, -0.05, -0.1 - 0.9], abs=1e-6)
    assert logs(model, "bé a zz") == pytest.approx([-0.5 - 0.4, -0.125 - 0.7, -0.25 - 1.0, -0.6], abs=1e-6)
    assert model[0].sizes == (5, 3, 1)
    assert model[0].reading == "backoff"
    assert not model[0].normalised


@pytest.mark.parametrize("name", FIXTURES)
def test_kenlm_fixtures_score_as_with_kenlm(shared_data: Path, name: str) -> None:
    """Random text has KenLM's probabilities, with missing n-grams, backoffs above 1 and those nothing follows."""
    kenlm = pytest.importorskip("kenlm")
    path = shared_data / "arpa" / "kenlm" / name
    table, tokens = read_arpa(path)
    model = kenlm.Model(str(path))
    words = [token.decode() for token in tokens] + ([] if name == "test_nounk.arpa" else ["unseen"])
    choice = random.Random(name)
    for _ in range(200):
        line = ["also", "would", "consider", "higher", "looking", "on", "a", "little", "more", "loin"]
        line = [word for word in line[: choice.randrange(11)] if word in words] + choice.choices(
            words, k=choice.randrange(8)
        )
        found = logs((table, words[: len(tokens)]), " ".join(line))
        expected = [log10 for log10, _, _ in model.full_scores(" ".join(line))]
        assert np.allclose(found, expected, rtol=1e-6, atol=1e-5)


def test_the_order_of_ids_is_that_of_probability(tmp_path: Path) -> None:
    """The tokens come with the most probable first, whatever their order in the file."""
    table, tokens = read(tmp_path, MODEL)
    assert tokens == ["bé", "a"]
    assert np.allclose(table.unigrams, [0.1, 0, 10**-0.6, 10**-0.4, 10**-0.7])


def test_normalised_means_that_all_contexts_sum_to_1(shared_data: Path, tmp_path: Path) -> None:
    """lmplz' own models are found to be normalised, and one changed number anywhere is noticed."""
    path = shared_data / "arpa" / "kenlm" / "toy0.arpa"
    assert read_arpa(path)[0].normalised
    text = path.read_text("utf-8")
    for line in ("-0.46943438\ta", "-0.2984526\tb a", "-0.2997394\ta b a"):
        assert line in text
        assert not read(tmp_path, text.replace(line, "-0.1" + line[line.index("\t") :]))[0].normalised


def test_a_gzipped_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    """Compression is told by the first bytes."""
    assert read(tmp_path, gzip.compress(MODEL.encode()))[1] == ["bé", "a"]


@pytest.mark.parametrize("chunk", [1, 2, 7, 50])
def test_the_size_of_chunks_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Lines, sections and characters may be cut anywhere by what is read at a time."""
    whole, tokens = read(tmp_path, MODEL)
    monkeypatch.setattr(arpa_source, "_CHUNK", chunk)
    table, again = read(tmp_path, MODEL)
    assert again == tokens
    for order, expected in zip(table.orders, whole.orders, strict=True):
        assert np.array_equal(order.packed, expected.packed)
        assert np.array_equal(order.children, expected.children)


def test_a_missing_beginning_or_end_is_put_in(tmp_path: Path) -> None:
    """The n-grams that pruning left out have the probability of backing off, and change no other."""
    text = MODEL.replace("ngram 2=3", "ngram 2=1").replace("-0.5\t<s> a\t-0.3\n-0.2\ta bé\t-0.1\n", "")
    model = read(tmp_path, text)
    assert model[0].sizes == (5, 3, 1)
    assert logs(model, "a bé") == pytest.approx([-0.5 - 0.7, -0.05, -0.9], abs=1e-6)
    assert logs(model, "bé a bé") == pytest.approx([-0.5 - 0.4, -0.125 - 0.7, -0.25 - 0.4, -0.9], abs=1e-6)


def test_whole_orders_may_be_missing_below_an_n_gram(tmp_path: Path) -> None:
    """A 4-gram over nothing but 1-grams is found, and all between has the probability of backing off."""
    head = MODEL[: MODEL.index("\\2-grams:")].replace("2=3", "2=0").replace("3=1", "3=0\nngram 4=1")
    model = read(tmp_path, f"{head}\\2-grams:\n\n\\3-grams:\n\n\\4-grams:\n-0.01\ta bé a bé\n\n\\end\\\n")
    assert model[0].sizes == (5, 2, 2, 1)
    assert logs(model, "a bé a bé") == pytest.approx(
        [-0.5 - 0.7, -0.25 - 0.4, -0.125 - 0.7, -0.01, -0.125 - 0.6], abs=1e-6
    )


def test_empty_highest_orders_are_left_out(tmp_path: Path) -> None:
    """A file that announces orders without n-grams gives a model of the order that has some."""
    text = MODEL.replace("ngram 3=1", "ngram 3=0").replace("-0.05\t<s> a bé\n", "")
    assert read(tmp_path, text)[0].order == 2


def test_unigrams_alone_are_a_model(tmp_path: Path) -> None:
    """A file of order 1 is read."""
    head, _, rest = MODEL.partition("ngram 2")
    text = head + rest[rest.index("\n\n\\1") :]
    text = text[: text.index("\\2-grams")].replace("\t-0.5", "").replace("\t-0.25", "\t0").replace("\t-0.125", "")
    model = read(tmp_path, f"{text}\\end\\\n")
    assert model[0].order == 1
    assert logs(model, "a") == pytest.approx([-0.7, -0.6], abs=1e-6)


def test_a_backoff_that_nothing_follows_is_applied(tmp_path: Path) -> None:
    """A context without successors keeps its backoff, as in KenLM."""
    model = read(tmp_path, MODEL.replace("bé </s>", "bé </s>\t0.5").replace("-1.0\t<unk>", "-1.0\t<unk>\t-2"))
    assert logs(model, "zz a") == pytest.approx([-0.5 - 1, -2 - 0.7, -0.25 - 0.6], abs=1e-6)


@pytest.mark.parametrize("missing", ["", "-1.0\t<UNK>\n"])
def test_without_unk_unknown_words_are_barely_possible(tmp_path: Path, missing: str) -> None:
    """A file without <unk> gives unknown words the least probability of a float32; <UNK> is another spelling."""
    text = MODEL.replace("-1.0\t<unk>\n", missing).replace("1=5", "1=5" if missing else "1=4")
    model = read(tmp_path, text)
    unknown = -1.0 if missing else np.log10(arpa_table.LEAST)
    assert model[1] == ["bé", "a"]
    assert logs(model, "zz")[0] == pytest.approx(-0.5 + unknown, abs=1e-5)


BROKEN: dict[str, tuple[str | bytes, int, str]] = {
    "no data": (MODEL.replace("\\data\\", "\\date\\"), 1, "\\data\\"),
    "text before data": ("made by hand\n" + MODEL, 1, "\\data\\"),
    "no end": (MODEL.replace("\\end\\\n", ""), 20, "\\end\\"),
    "cut in a section": (MODEL[: MODEL.index("\\2-grams:") + 18], 14, "fields"),
    "cut between sections": (MODEL[: MODEL.index("\\2-grams:")], 12, "\\2-grams:"),
    "text after end": (MODEL + "\nmore\n", 23, "\\end\\"),
    "no counts": ("\\data\\\n\n\\1-grams:\n", 3, "ngram 1="),
    "count no number": (MODEL.replace("ngram 2=3", "ngram 2=x"), 3, "ngram 2="),
    "count out of sequence": (MODEL.replace("ngram 2=3", "ngram 3=3"), 3, "ngram 2="),
    "too few": (MODEL.replace("ngram 2=3", "ngram 2=4"), 18, "there are 3 2-grams"),
    "too many": (MODEL.replace("ngram 3=1", "ngram 3=0"), 21, "there are 1 3-grams"),
    "huge count": (MODEL.replace("ngram 2=3", "ngram 2=" + "9" * 18), 18, "there are 3 2-grams"),
    "orders mixed up": (MODEL.replace("\\2-grams:", "\\3-grams:"), 13, "\\2-grams:"),
    "an order too many": (
        MODEL.replace("ngram 3=1\n", "").replace("-0.3\n", "0\n").replace("-0.1\n", "0\n"),
        17,
        "\\end",
    ),
    "a field too few": (MODEL.replace("-0.2\ta bé\t-0.1", "-0.2\ta"), 15, "2 fields"),
    "a word too many": (MODEL.replace("-0.9\tbé </s>", "-0.9\tbé a a </s>"), 16, "5 fields"),
    "a space in a word": (MODEL.replace("-0.7\ta\t", "-0.7\ta a\t"), 10, "4 fields"),
    "probability no number": (MODEL.replace("-0.9\t", "-0,9\t"), 16, "'-0,9' is not a number"),
    "probability NaN": (MODEL.replace("-0.9\t", "nan\t"), 16, "'nan' is not a number"),
    "probability infinite": (MODEL.replace("-0.9\t", "inf\t"), 16, "positive"),
    "probability positive": (MODEL.replace("-0.9\t", "0.9\t"), 16, "positive"),
    "backoff no number": (MODEL.replace("\t-0.3\n", "\tx\n"), 14, "backoff 'x'"),
    "backoff infinite": (MODEL.replace("\t-0.3\n", "\tinf\n"), 14, "backoff 'inf'"),
    "backoff in the highest order": (MODEL.replace("<s> a bé\n", "<s> a bé\t-1\n"), 19, "highest order"),
    "1-gram twice": (MODEL.replace("-0.7\ta\t", "-0.7\tbé\t"), 11, "'bé'"),
    "2-gram twice": (MODEL.replace("bé </s>", "a bé"), 16, "2-gram"),
    "3-gram twice": (MODEL.replace("3=1", "3=2").replace("<s> a bé\n", "<s> a bé\n-1\t<s> a bé\n"), 20, "3-gram"),
    "unknown word": (MODEL.replace("bé </s>", "be </s>"), 16, "'be'"),
    "no beginning": (MODEL.replace("<s>", "[s]"), 13, "no <s>"),
    "no ending": (MODEL.replace("</s>", "[/s]"), 13, "no </s>"),
    "spaces for tabs": (MODEL.replace("-0.2\ta bé\t-0.1", "-0.2 a bé -0.1"), 15, "tab"),
    "a space before the backoff": (MODEL.replace("-0.2\ta bé\t-0.1", "-0.2\ta bé -0.1"), 15, "tab"),
    "a blank line": (MODEL.replace("-0.2\ta", "\n-0.2\ta"), 15, "blank"),
    "not UTF-8": (MODEL.encode("latin-1"), 11, "UTF-8"),
    "nothing": ("", 0, "\\data\\"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_the_line(tmp_path: Path, name: str) -> None:
    """The message names the file, the line, what is wrong with it and a way out."""
    text, line, what = BROKEN[name]
    with pytest.raises(ArpaError) as refusal:
        read(tmp_path, text)
    message = str(refusal.value)
    assert message.startswith(f"{tmp_path / 'model.arpa'}, line {line}: ")
    assert what in message
    assert "; " in message


PIECES = [b"\n", b"\t", b" ", b"-99", b"0", b"9", b"33", b"<s>", b"</s>", b"a", b"\\4-grams:\n", b"inf", b"1e999"]

LENIENT = {
    "text before data": "made by hand\n\n" + MODEL,
    "text after end": MODEL + "more\n",
    "other counts": MODEL.replace("ngram 2=3", "ngram 2= 4").replace("ngram 3=1", "ngram 3=0"),
    "spaces for tabs": MODEL.replace("\t", "  "),
    "blank lines": MODEL.replace("\n", "\n \n"),
    "byte order mark": "\ufeff" + MODEL,
    "backoff in the highest order": MODEL.replace("<s> a bé\n", "<s> a bé\t-1\n"),
    "all at once": MODEL.replace("\t", " ").replace("\n", "\r\n\r\n").replace("ngram 1=5", "ngram 1=1"),
}


@pytest.mark.parametrize("name", LENIENT)
def test_lenient_reads_what_other_programs_write(tmp_path: Path, name: str) -> None:
    """Harmless deviations give the same model."""
    model = read(tmp_path, LENIENT[name], lenient=True)
    assert logs(model, "a bé a") == pytest.approx(logs(read(tmp_path, MODEL), "a bé a"), abs=1e-7)


LEGAL = {
    "comments": "# a comment\n\n" + MODEL,
    "CR LF": MODEL.replace("\n", "\r\n"),
    "exponents": MODEL.replace("-0.9\t", "-9e-1\t").replace("-0.25", "-2.5E-01"),
    "a zero backoff in the highest order": MODEL.replace("<s> a bé\n", "<s> a bé\t0\n"),
    "no last line break": MODEL[:-1],
}


@pytest.mark.parametrize("name", LEGAL)
def test_strict_reads_all_that_the_format_allows(tmp_path: Path, name: str) -> None:
    """Legal spellings give the same model."""
    model = read(tmp_path, LEGAL[name])
    assert logs(model, "a bé a") == pytest.approx(logs(read(tmp_path, MODEL), "a bé a"), abs=1e-7)


def test_lenient_bounds_impossible_probabilities(tmp_path: Path) -> None:
    """A probability above 1 is read as 1, and -inf as next to nothing."""
    text = MODEL.replace("-0.5\t<s> a", "0.5\t<s> a").replace("-0.9\t", "-inf\t")
    found = logs(read(tmp_path, text, lenient=True), "a bé")
    assert found == pytest.approx([0, -0.05, -0.1 + np.log10(arpa_table.LEAST)], abs=1e-5)


def test_lenient_does_without_sentence_marks(tmp_path: Path) -> None:
    """A model that knows no sentences can be read; their ends are next to impossible."""
    text = MODEL.replace("<s>", "[s]").replace("</s>", "[/s]")
    table, tokens = read(tmp_path, text, lenient=True)
    assert table.unigrams[BOS] == 0
    assert table.unigrams[EOS] == np.float32(arpa_table.LEAST)
    assert set(tokens) == {"[s]", "[/s]", "a", "bé"}


@pytest.mark.parametrize("name", sorted(set(BROKEN) - set(LENIENT) - {"too few", "too many", "huge count"}))
def test_lenient_still_refuses_damage(tmp_path: Path, name: str) -> None:
    """What cannot be meant is refused in both modes."""
    text = BROKEN[name][0]
    forgiven = {"a blank line", "a space before the backoff", "no beginning", "no ending", "no data"}
    forgiven |= {"probability infinite", "probability positive"}
    if name in forgiven - {"no data"}:
        read(tmp_path, text, lenient=True)
    else:
        with pytest.raises(ArpaError, match=r"line \d+: "):
            read(tmp_path, text, lenient=True)


EDITS = st.tuples(st.integers(0, len(MODEL)), st.integers(0, 12), st.binary(max_size=4) | st.sampled_from(PIECES))


@given(st.lists(EDITS, min_size=1, max_size=3), st.booleans())
def test_any_damage_is_an_arpa_error(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int, bytes]], lenient: bool
) -> None:
    """However a file is overwritten, it is refused or read as a model that gives every word a probability."""
    text = MODEL.encode()
    for begin, size, piece in edits:
        text = text[:begin] + piece + text[begin + size :]
    try:
        model = read(tmp_path_factory.mktemp("arpa"), text, lenient)
    except ArpaError:
        return
    assert np.isfinite(logs(model, "a bé a bé zz")).all()


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_gz_is_refused(tmp_path: Path, keep: float) -> None:
    """A compressed file that breaks off is told apart from an ARPA file that does."""
    packed = gzip.compress("".join(random.Random(1).choices("abc\n", k=1000)).encode())
    with pytest.raises(ArpaError, match=r"line \d+: the compressed file breaks off"):
        read(tmp_path, packed[: int(len(packed) * keep)])


def test_a_damaged_gz_is_refused(tmp_path: Path) -> None:
    """A compressed file with changed bytes is refused as such."""
    packed = bytearray(gzip.compress(MODEL.encode()))
    packed[-5] ^= 0xFF  # of the check sum
    with pytest.raises(ArpaError, match="the compressed file is damaged"):
        read(tmp_path, bytes(packed))


def test_a_file_without_line_breaks_is_not_swallowed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that has no end is refused before all of it is in memory."""
    monkeypatch.setattr(arpa_source, "_CHUNK", 100)
    monkeypatch.setattr(arpa_source, "_LONGEST_LINE", 1000)
    with pytest.raises(ArpaError, match="longer than 1000 bytes"):
        read(tmp_path, b"\\data\\\n" + bytes(5000))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere is a ModelNotFoundError."""
    with pytest.raises(ModelNotFoundError, match=r"nowhere\.arpa"):
        read_arpa(tmp_path / "nowhere.arpa")


def test_where_bits_are_few_probabilities_are_rounded(tmp_path: Path) -> None:
    """Codes that need more bits than are left are made fewer by rounding logarithms, no more than needed."""
    values = -np.random.default_rng(1).random(5000).astype(np.float32)
    found, codes = arpa_table._distinct(values, 10)
    assert len(found) < 1 << 10
    assert np.abs(found[codes] - values).max() < 2.0**-9
    exact, codes = arpa_table._distinct(values, 13)
    assert np.array_equal(exact[codes], values)


def test_the_vocabulary_finds_every_token(tmp_path: Path) -> None:
    """The tokens make the vocabulary that the table's ids belong to."""
    table, tokens = read(tmp_path, MODEL)
    vocabulary = Vocabulary.from_tokens(token.encode() for token in tokens)
    assert len(vocabulary) == table.vocab_size
