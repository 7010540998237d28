"""From a corpus to a model: what is counted, what is kept, and one clear error for what is wrong."""

from __future__ import annotations

import io
import math
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen import load, train
from ngramgen.errors import CorpusError, NgramgenError, OptionError, TokenizerError, TrainingError
from ngramgen.ngram.smoothing import METHODS
from ngramgen.training import default_cleaning

LINES = ["a rose is a rose", "a rose is red", "the rose", "", "the rose is red red red"]
KINDS = [
    *("word", "whitespace", "char", "byte"),
    pytest.param("bpe:300", marks=pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs tokenizers")),
]


def tokens_of(model: Any) -> list[str]:
    return [model.tokenizer.token(i) for i in range(3, model.model.vocab_size)]


# What is learnt


def test_a_model_by_hand() -> None:
    """Order 2, Laplace, "a b" and "a": a follows <s> twice of 2, and 4 words can come: p(a|<s>) = 3/6."""
    model = train(["a b", "a"], order=2, smoothing="laplace", tokenizer="whitespace")
    assert model.next("", k=1)[0].token == "a"
    assert model.next("", k=1)[0].prob == pytest.approx(3 / 6, rel=1e-6)
    # a is followed by b and </s>: p(b|a) = 2/6; b by </s>: p(</s>|b) = 2/5
    assert model.score("a b") == pytest.approx(math.log(3 / 6 * 2 / 6 * 2 / 5), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("smoothing", METHODS)
@pytest.mark.parametrize("corpus", [["a"], [""], ["", ""], ["a b", ""], ["a"] * 9, ["aaaa aaaa"], ["<unk> <s> </s>"]])
def test_the_smallest_corpora_make_whole_models(kind: str, smoothing: str, corpus: list[str], tmp_path: Path) -> None:
    """Empty lines alone, one word, one word again and again: a model that scores, generates and is saved."""
    for order in (1, 2, 5):
        model = train(corpus, order=order, smoothing=smoothing, tokenizer=kind)
        assert model.score("a b") <= 0
        assert isinstance(model.generate("", seed=1, max_new_tokens=5), str)
        assert len(model.generate("", seed=1, n=60, max_new_tokens=5)) == 60
        total = np.exp(model.model.logprobs(model.model.start())[0].astype(float)).sum()
        assert total == pytest.approx(1, abs=1e-5) or not model.model.table.normalised
        assert model.next("a", k=3)
        model.save(tmp_path / "m.ngram")


def test_special_tokens_in_a_corpus_are_words_like_any_other() -> None:
    """<unk>, <s> and </s> as text have ids of their own, and mass is still kept for unknown words."""
    model = train(["<unk> <s> </s> x", "<unk> <unk>"], order=2, tokenizer="whitespace")
    assert sorted(tokens_of(model)) == ["</s>", "<s>", "<unk>", "x"]
    assert model.tokenizer.encode("<unk> <s> </s>").min() >= 3
    assert model.perplexity(["<unk> <s> </s>"]).oov == 0
    assert model.perplexity(["y"]).oov == 1
    assert model.score("y") > -math.inf
    assert "<unk>" in model.generate("", n=50, seed=1)[0] + "".join(model.generate("", n=50, seed=1))


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(st.text("abc \té", max_size=10), min_size=1, max_size=6))
def test_frequent_words_have_low_ids(lines: list[str]) -> None:
    """Ids follow falling counts and then first appearance, and the corpus' own numbers are told."""
    model = train(lines, order=2, tokenizer="whitespace")
    words = [word for line in lines for word in line.split()]
    counts = Counter(words)
    first = {word: words.index(word) for word in counts}
    assert tokens_of(model) == sorted(counts, key=lambda w: (-counts[w], first[w]))
    size = sum(len(line.encode()) + 1 for line in lines)
    assert model.about["corpus"] == {"bytes": size, "lines": len(lines), "tokens": len(words)}


def test_all_sources_make_the_same_model(tmp_path: Path) -> None:
    """A path, a string that is one, a list of paths, an open file, sentences, and an iterator of them."""
    data = "".join(f"{line}\n" for line in LINES).encode()
    path = tmp_path / "corpus.txt"
    path.write_bytes(data)
    sources: list[Any] = [
        path,
        str(path),
        [path],
        io.BytesIO(data),
        LINES,
        iter(LINES),
        tuple(LINES),
        (x for x in LINES),
    ]
    files = []
    for i, source in enumerate(sources):
        train(source, order=3).save(tmp_path / f"{i}.ngram")
        files.append((tmp_path / f"{i}.ngram").read_bytes())
    assert len(set(files)) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["m.ngram", "m.arpa.gz"])
def test_the_same_input_makes_the_same_bytes(kind: str, name: str, tmp_path: Path) -> None:
    """Nothing of the time, the place or the process enters a file."""
    if kind in ("byte", "bpe:300") and "arpa" in name:
        pytest.skip("an ARPA file cannot hold the byte 0")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        train(LINES, order=3, tokenizer=kind, prune=(0, 0, 1)).save(tmp_path / folder / f"x{name}")
    assert (tmp_path / "one" / f"x{name}").read_bytes() == (tmp_path / "two" / f"x{name}").read_bytes()


def test_subwords_keep_their_ids(tmp_path: Path) -> None:
    """The ids of a tokenizer.json are the model's, and a file, trained here or foreign, makes the same model again."""
    library = pytest.importorskip("tokenizers")
    made = train(LINES, order=3, tokenizer="bpe:300")
    (tmp_path / "tokenizer.json").write_text(made.tokenizer.json, encoding="utf-8")
    named = train(iter(LINES), order=3, tokenizer=f"bpe:{tmp_path / 'tokenizer.json'}")
    for model, name in ((made, "a"), (named, "b")):
        model.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    mine = library.Tokenizer.from_str(made.tokenizer.json)
    assert made.tokenizer.encode("a rose").tolist() == mine.encode("a rose").ids
    assert made.description()["tokenizer"] == "bpe"
    assert made.description()["cleaning"] == ["nfc", "control", "whitespace"]


def test_a_foreign_tokenizer_is_used_by_line(tmp_path: Path) -> None:
    """Its ids come behind ours, a line ends with </s> and not with a newline, and the file remembers its specials."""
    library = pytest.importorskip("tokenizers")
    foreign = library.Tokenizer(library.models.WordLevel({"red": 0, "[E]": 1, "?": 2, "rose": 3}, unk_token="?"))
    foreign.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
    foreign.add_special_tokens(["[E]", "[SEP]"])
    foreign.save(str(tmp_path / "words.json"))
    model = train(
        ["red rose", "rose blue", ""], order=2, tokenizer=f"bpe:{tmp_path / 'words.json'}", smoothing="laplace"
    )
    assert model.tokenizer.special_ids == [2, -1, 4]
    assert [model.tokenizer.encode(text).tolist() for text in ("red", "[E]", "blue", "rose")] == [[3], [4], [0], [5]]
    assert model.about["corpus"]["tokens"] == 4
    # </s> follows <s> once of three times; red, [E], rose, <unk> and </s> can come: 2 / 8
    assert model.score("") == pytest.approx(math.log(2 / 8))
    model.save(tmp_path / "m.ngram")
    again = load(tmp_path / "m.ngram")
    assert again.tokenizer.special_ids == [2, -1, 4]
    assert again.score("red blue") == model.score("red blue")


def test_a_copy_filter_needs_words() -> None:
    """It is refused for bpe before anything is read."""
    with pytest.raises(OptionError, match="a copy filter bounds words, which the tokens of bpe are not"):
        train([], tokenizer="bpe", copy_filter=6)


# What is kept


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, ["rose", "red", "a", "is", "the"]),
        ({"vocab_size": 2}, ["rose", "red"]),
        ({"vocab_size": 4}, ["rose", "red", "a", "is"]),  # a and is before the: as often, but earlier
        ({"vocab_size": 99}, ["rose", "red", "a", "is", "the"]),
        ({"vocab_min_count": 3}, ["rose", "red", "a", "is"]),
        ({"vocab_min_count": 4}, ["rose", "red"]),
        ({"prune": (3, 3)}, ["rose", "red"]),
        ({"vocab_min_count": 99}, []),
        ({"vocab_min_count": 3, "vocab_size": 1}, ["rose"]),
    ],
)
def test_the_vocabulary_is_limited(limits: dict[str, Any], kept: list[str]) -> None:
    """rose 5, red 4, a 3, is 3, the 2: what is dropped is unknown, and its mass stays in the model."""
    model = train(LINES, order=2, tokenizer="whitespace", **limits)
    assert tokens_of(model) == kept
    for context in ("", "rose", "the", "nobody"):
        found = model.next(context, k=99)
        state = model.model.advance(model.model.start(), model.prompt_ids(context)[None])
        assert sum(t.prob for t in found) + math.exp(model.model.logprobs(state)[0, 0]) == pytest.approx(1, abs=1e-5)
    assert model.perplexity(["rose a is"]).oov == 3 - len({"rose", "a", "is"} & set(kept))


def test_a_vocabulary_file_limits_too(tmp_path: Path) -> None:
    """Tokens between white space, behind a byte order mark or none; those that the corpus lacks do nothing."""
    (tmp_path / "words").write_text("red  is\nblue\n", "utf-8-sig")
    assert tokens_of(train(LINES, order=2, tokenizer="whitespace", vocab_file=tmp_path / "words")) == ["red", "is"]
    both = train(LINES, order=2, tokenizer="whitespace", vocab_file=str(tmp_path / "words"), vocab_size=1)
    assert tokens_of(both) == ["red"]


def test_a_vocabulary_file_speaks_of_words_without_their_space(tmp_path: Path) -> None:
    """The word tokenizer's " red" is the file's red, and a token of space alone always stays."""
    (tmp_path / "words").write_text("red is a", "utf-8")
    model = train([*LINES, "red  is"], order=2, vocab_file=tmp_path / "words", cleaning=())
    assert set(tokens_of(model)) == {" red", " is", " a", " "}
    letters = train(LINES, order=2, tokenizer="char", vocab_file=tmp_path / "words")
    assert set(tokens_of(letters)) == {"a", " "}


def test_pruning_is_told() -> None:
    """The thresholds, filled up to the order, and what was kept of each order."""
    model = train(LINES, order=3, tokenizer="whitespace", prune=(0, 1))
    assert model.about["prune"] == [0, 1, 1]
    assert [o["kept"] for o in model.about["orders"]] == list(model.model.table.sizes)
    # a rose 3, is red 2, rose is 3, the rose 2, red red 2, <s> a 2, <s> the 2, rose </s> 2, red </s> 2
    assert model.about["orders"][1]["kept"] == 9


def test_all_may_be_pruned(tmp_path: Path) -> None:
    """Orders without any gram left: a model that scores, generates in both ways, and is saved and loaded."""
    model = train(LINES, order=4, tokenizer="whitespace", prune=(0, 0, 50))
    assert model.model.table.sizes[2:] == (0, 0)
    model.save(tmp_path / "m.ngram")
    for made in (model, load(tmp_path / "m.ngram")):
        assert made.score("a rose is") == pytest.approx(model.score("a rose is"))
        assert made.generate("a rose", n=100, seed=2) == model.generate("a rose", n=100, seed=2)
        assert made.generate("a rose", seed=2) == model.generate("a rose", n=100, seed=2)[0]
        assert made.perplexity(LINES).tokens == 22


def test_notices_tell_what_stands_in() -> None:
    """A fallback, and scores that are no probabilities, are told; a well-behaved model tells nothing."""
    [notice] = train(["a"], order=2).notices
    assert "order 1, 2" in notice
    assert "0.5, 1, 1.5" in notice
    [notice] = train(["a"], order=2, smoothing="stupid-backoff").notices
    assert "stupid-backoff" in notice
    assert train(["a"], order=2, smoothing="witten-bell").notices == []


def test_progress_is_told_in_bytes() -> None:
    """The raw bytes read add up."""
    told: list[int] = []
    train(LINES, order=2, progress=told.append)
    assert sum(told) == sum(len(line) + 1 for line in LINES)


@pytest.mark.parametrize("kind", KINDS[:4])
@pytest.mark.parametrize("length", [2, 3, 64])
def test_a_copy_filter_knows_the_runs_of_the_corpus(kind: str, length: int, tmp_path: Path) -> None:
    """Every run of a cleaned line is known, it is told in few words, and the rest of the model is as without it."""
    lines = ["A  rose is a rose, is a rose " * 9, "", "the rose is red"]
    model = train(lines, order=3, tokenizer=kind, copy_filter=length)
    copies = model.model.copies
    assert copies.length == length
    for line in lines:
        assert copies.runs(model.tokenizer.encode(model.cleaner.text(line))).all()
    assert model.description()["copy_filter"] == copies.about()
    assert copies.about()["length"] == length
    free = train(lines, order=3, tokenizer=kind)
    assert free.model.copies is None
    assert "copy_filter" not in free.description()
    assert model.score("the rose is a rose") == free.score("the rose is a rose")
    assert model.generate("the", seed=1, n=3) == free.generate("the", seed=1, n=3)
    for name, some in (("a", model), ("b", train(lines, order=3, tokenizer=kind, copy_filter=length))):
        some.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_words_outside_of_the_vocabulary_are_in_no_run() -> None:
    """Of "a b x a b c c b a" without x the runs of two are ab, ab, bc, cc, cb and ba; what stands for x is in none."""
    model = train(["a b x a b c c b a"], order=2, tokenizer="whitespace", vocab_min_count=2, copy_filter=2)
    ids = model.tokenizer.encode("a b x a b c c b a")
    assert ids.tolist().count(0) == 1
    assert model.model.copies.runs(ids).tolist() == [True, False, False, True, True, True, True, True]


def test_default_cleaning_is_for_raw_text() -> None:
    """Text that is tokenised already, or meant byte for byte, is left as it is; cleaning=() leaves all."""
    assert default_cleaning("whitespace") == default_cleaning("byte") == ()
    assert default_cleaning("word") == default_cleaning("char") == ("nfc", "control", "whitespace")
    assert tokens_of(train(["a  b"], order=1, cleaning=())) != tokens_of(train(["a  b"], order=1))
    assert train(["A"], order=2, cleaning=["lowercase"]).generate("", greedy=True) == "a"


# What is wrong


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("order", [0, 17, -1, 2.0, "3", None, True]),
        ("smoothing", ["katz", "", None, 5, "lidstone:0", "kneser-ney:1"]),
        ("prune", [3, None, "0,1", (0.5,), (True,), ("0",), (-1,), (1, 0), (0, 0, 0, 0)]),
        ("vocab_size", [0, -1, 1.5, "3", True]),
        ("vocab_min_count", [0, -1, 1.5, "3", True]),
        ("copy_filter", [0, 1, 65, -1, 6.0, "6", True]),
        ("sentences", ["paragraph", "", None, "line:german", "punkt:"]),
        ("errors", ["ignore", None]),
        ("field", ["text"]),
        ("cleaning", ["nfc", ["wash"]]),
    ],
)
def test_a_wrong_option_is_an_option_error(option: str, values: list[Any]) -> None:
    """One sentence tells which option, or which method, is wrong."""
    for value in values:
        options: dict[str, Any] = {"order": 3, "tokenizer": "whitespace", option: value}
        with pytest.raises(OptionError) as caught:
            train(LINES, **options)
        message = str(caught.value)
        named = [option.rstrip("s"), str(value).partition(":")[0] or "''"]
        assert any(name in message.lower() for name in named), message


@pytest.mark.parametrize("kind", ["wordpiece", "", "nltk:", "nltk:Nothing", "nltk:RegexpTokenizer"])
def test_a_tokenizer_that_there_is_not(kind: str) -> None:
    """The message names it."""
    if kind.startswith("nltk"):
        pytest.importorskip("nltk")
    with pytest.raises(TokenizerError, match=repr(kind.removeprefix("nltk:"))):
        train(LINES, tokenizer=kind)


@pytest.mark.parametrize("kind", [None, 5])
def test_a_tokenizer_that_is_no_name(kind: Any) -> None:
    """An OptionError names the option."""
    with pytest.raises(OptionError, match="tokenizer"):
        train(LINES, tokenizer=kind)


@pytest.mark.parametrize("limit", [{"vocab_size": 5}, {"vocab_min_count": 2}, {"prune": (1,)}, {"vocab_file": "words"}])
def test_bytes_have_a_fixed_vocabulary(limit: dict[str, Any]) -> None:
    """All 256 are known, so a limit is refused."""
    with pytest.raises(OptionError, match="byte"):
        train(LINES, order=2, tokenizer="byte", **limit)
    if find_spec("tokenizers"):
        with pytest.raises(OptionError, match="the tokenizer bpe:300 is fixed"):
            train(LINES, order=2, tokenizer="bpe:300", **limit)
    model = train(LINES, order=2, tokenizer="byte", prune=(0, 1))
    assert model.model.vocab_size == 259


@pytest.mark.parametrize("corpus", [None, 5, b"text", [5], [None], ["a", None], [b"a"]])
def test_what_is_no_corpus_is_an_option_error(corpus: Any) -> None:
    """Neither a path, a file nor sentences."""
    with pytest.raises(OptionError):
        train(corpus, order=2)


def test_files_that_are_not_there_are_corpus_errors(tmp_path: Path) -> None:
    """Their names are in the message."""
    for corpus in (tmp_path / "missing.txt", [tmp_path / "missing.txt"], str(tmp_path / "missing.txt")):
        with pytest.raises(CorpusError, match=r"missing\.txt"):
            train(corpus, order=2)
    with pytest.raises(CorpusError, match="folder"):
        train(tmp_path, order=2)
    unread = iter(LINES)
    with pytest.raises(CorpusError, match="words"):
        train(unread, order=2, tokenizer="whitespace", vocab_file=tmp_path / "words")
    assert list(unread) == LINES


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_corpus_is_a_training_error(kind: str, tmp_path: Path) -> None:
    """No line at all; an empty line is a sentence, and enough."""
    (tmp_path / "empty").write_bytes(b"")
    sources: list[Any] = [[], iter([]), tmp_path / "empty", io.BytesIO(b"")]
    for source in sources:
        with pytest.raises(TrainingError, match="empty"):
            train(source, order=2, tokenizer=kind)
    with pytest.raises(TrainingError, match="empty"):
        train(["a"], order=2, tokenizer=kind, cleaning=["min-length=5"])


def test_the_fallback_can_be_refused() -> None:
    """As lmplz does without --discount_fallback; the message names the order and a way out."""
    with pytest.raises(TrainingError, match="1-grams"):
        train(["a b", "a"], order=2, discount_fallback=False)
    assert train(LINES, order=2, smoothing="witten-bell", discount_fallback=False).score("a") < 0


@pytest.mark.parametrize("smoothing", ["lidstone", "laplace", "stupid-backoff"])
def test_unigrams_that_are_not_interpolated_anyway(smoothing: str) -> None:
    """Turning off what a method does not do is refused."""
    with pytest.raises(OptionError, match="interpolate_unigrams"):
        train(LINES, order=2, smoothing=smoothing, interpolate_unigrams=False)


def test_numpy_numbers_can_be_saved(tmp_path: Path) -> None:
    """Thresholds from an array are written as plain numbers."""
    train(LINES, order=3, prune=np.array([0, 0, 1])).save(tmp_path / "m.ngram")  # type: ignore[arg-type]


def test_every_error_is_ours() -> None:
    """All of the above have one root, and are also the built-in that fits."""
    for options in ({"order": 0}, {"tokenizer": "x"}, {"smoothing": "x"}):
        with pytest.raises(NgramgenError) as caught:
            train(LINES, **options)  # type: ignore[arg-type]
        assert isinstance(caught.value, ValueError)
        assert "\n" not in str(caught.value)


def test_a_vocabulary_without_words_is_told() -> None:
    """Limits that leave no word make a model, as lmplz does, and a notice."""
    model = train(LINES, order=2, tokenizer="whitespace", vocab_min_count=99)
    assert any("leave no word" in notice for notice in model.notices)
