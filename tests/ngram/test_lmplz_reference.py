"""What lmplz wrote for 25 corpora, against what we write for the same: statistics, n-grams, probabilities and backoffs.

The cases lie in the shared data (arpa/lmplz): each has the corpus, lmplz's options, its printed counts and discounts,
and its ARPA file. Folders that end in _ERROR hold what lmplz refuses without --discount_fallback.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ngramgen.errors import TrainingError
from ngramgen.loading import load
from ngramgen.textmodel import TextModel
from ngramgen.training import train

ROOT = Path(__file__).parents[2].parent / "shared" / "data"
DATA = Path(os.environ.get("NGRAMGEN_TEST_DATA", ROOT))
CASES = sorted(p.name for p in (DATA / "arpa" / "lmplz").glob("*")) if DATA.is_dir() else []
WRITTEN = [name for name in CASES if not name.endswith("_ERROR")]

pytestmark = pytest.mark.skipif(not CASES, reason="the shared data with lmplz's reference files is not there")


def facts_of(name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((DATA / "arpa" / "lmplz" / name / "case.json").read_text("utf-8"))
    return facts


def corpus_of(name: str) -> bytes:
    source = facts_of(name).get("source")
    if source is None:
        return (DATA / "arpa" / "lmplz" / name / "corpus.txt").read_bytes()
    lines = (DATA / source["file"]).read_text("utf-8").split("\n")[source["first_line"] - 1 : source["last_line"]]
    if "segmentation" in source:
        lines = [" ".join("".join(line.split())) for line in lines]
    return "".join(f"{line}\n" for line in lines).encode()


def train_case(name: str, folder: Path) -> TextModel:
    """The model of a case, trained with what lmplz's options mean here."""
    corpus = folder / "corpus.txt"
    corpus.write_bytes(corpus_of(name))
    words = iter(facts_of(name)["options"])
    options: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("-"):
            options[word] = []
        else:
            options[list(options)[-1]].append(word)
    return train(
        corpus,
        order=int(options["-o"][0]),
        tokenizer="whitespace",
        prune=[int(threshold) for threshold in options.get("--prune", [])],
        vocab_file=DATA / "arpa" / "lmplz" / name / "vocab.txt" if "--limit_vocab_file" in options else None,
        interpolate_unigrams=options.get("--interpolate_unigrams") != ["0"],
        discount_fallback="--discount_fallback" in options,
    )


def entries(text: str) -> dict[str, tuple[float, float]]:
    """The n-grams of an ARPA file and their two numbers."""
    found = {}
    for line in text.split("\n"):
        fields = line.split("\t")
        if len(fields) > 1:
            assert fields[1] not in found
            found[fields[1]] = float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0
    return found


def reference(name: str) -> dict[str, tuple[float, float]]:
    path = DATA / "arpa" / "lmplz" / name / "model.arpa"
    return entries(path.read_text("utf-8") if path.exists() else gzip.open(f"{path}.gz", "rt", encoding="utf-8").read())


@pytest.mark.parametrize("name", CASES)
def test_the_corpus_is_the_one_that_lmplz_read(name: str) -> None:
    """The bytes have the recorded digest."""
    assert hashlib.sha256(corpus_of(name)).hexdigest() == facts_of(name)["corpus_sha256"]


@pytest.mark.parametrize("name", WRITTEN)
def test_counts_and_discounts_are_as_printed(name: str, tmp_path: Path) -> None:
    """Each order's line of statistics is lmplz's: kept and all n-grams, and the discounts to six digits."""
    model = train_case(name, tmp_path)
    lines = []
    for k, order in enumerate(model.description()["orders"], start=1):
        size = f"{order['total']}" if order["kept"] == order["total"] else f"{order['kept']}/{order['total']}"
        one, two, three = order["discounts"]
        lines.append(f"{k} {size} D1={one:g} D2={two:g} D3+={three:g}")
    assert lines == facts_of(name)["statistics"]


@pytest.mark.parametrize("name", WRITTEN)
def test_the_arpa_file_says_the_same(name: str, tmp_path: Path) -> None:
    """The same n-grams, each log10 probability and backoff within 2e-6, also by way of a .ngram file."""
    model = train_case(name, tmp_path)
    model.save(tmp_path / "model.ngram")
    load(tmp_path / "model.ngram").save(tmp_path / "model.arpa")
    ours, theirs = entries((tmp_path / "model.arpa").read_text("utf-8")), reference(name)
    assert ours.keys() == theirs.keys()
    for ngram, numbers in theirs.items():
        assert ours[ngram] == pytest.approx(numbers, abs=2e-6), ngram


@pytest.mark.parametrize("name", sorted(set(CASES) - set(WRITTEN)))
def test_what_lmplz_refuses_is_refused(name: str, tmp_path: Path) -> None:
    """Without the fallback a corpus whose discounts cannot be estimated is an error that says what to do."""
    with pytest.raises(TrainingError, match="allow the discount fallback"):
        train_case(name, tmp_path)


@pytest.mark.parametrize("order", [3, 5])
def test_sentence_scores_are_kenlms(order: int) -> None:
    """Fifty lines of a novel score as KenLM's Python module scores them, up to its addition in single precision."""
    model = train(DATA / "tinyshakespeare" / "input.txt", order=order, tokenizer="whitespace")
    lines = (DATA / "fiction" / "test.txt").read_text("utf-8").split("\n")[:50]
    expected = json.loads((DATA / "arpa" / "scores.json").read_text("utf-8"))[f"ts_o{order}"]
    assert [model.score(line, base=10) for line in lines] == pytest.approx(expected, rel=1e-6)
