"""What a user holds: joints of prompt and continuation, scores, and clear errors."""

from __future__ import annotations

import dataclasses
import gzip
import io
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngramgen
from ngramgen.errors import ArpaError, CorpusError, OptionError
from ngramgen.text.subword import SubwordTokenizer
from ngramgen.textmodel import TextModel, sources_of

LINES = [
    "the cat sat on the mat.",
    "the dog sat, too!",
    "a cat and a dog",
    "",
    "the mat",
    "Let's say: it's a cat.",
    "naïve café 日本",
]
KINDS = ["word", "whitespace", "char", "byte", "bpe:300", "nltk:WhitespaceTokenizer"]

MODELS: dict[str, TextModel] = {}


def model_of(kind: str) -> TextModel:
    if kind.startswith("nltk"):
        pytest.importorskip("nltk")
    if kind.startswith("bpe"):
        pytest.importorskip("tokenizers")
    if kind not in MODELS:
        MODELS[kind] = ngramgen.train(LINES, order=4, tokenizer=kind)
    return MODELS[kind]


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> TextModel:
    return model_of(request.param)


# Joints


@pytest.mark.parametrize(
    ("kind", "prompt", "text"),
    [
        ("word", "the quick", "the quick brown fox"),
        ("word", "the quick ", "the quick brown fox"),
        ("word", "", "the quick brown fox"),
        ("word", "what?\nthe quick", "what?\nthe quick brown fox"),
        ("word", "what?\n", "what?\nthe quick brown fox"),
        ("whitespace", "the quick", "the quick brown fox"),
        ("whitespace", "the quick ", "the quick brown fox"),
        ("whitespace", "the quick\t", "the quick\tbrown fox"),
        ("whitespace", "", "the quick brown fox"),
        ("whitespace", "what?\nthe quick", "what?\nthe quick brown fox"),
        ("whitespace", "what?\n", "what?\nthe quick brown fox"),
        ("char", "the quick", "the quick brown fox"),
        ("char", "the quick ", "the quick brown fox"),
        ("char", "the qu", "the quick brown fox"),
        ("char", "", "the quick brown fox"),
        ("char", "what?\n", "what?\nthe quick brown fox"),
        ("byte", "the quick", "the quick brown fox"),
        ("byte", "the quick ", "the quick brown fox"),
        ("byte", "the qu", "the quick brown fox"),
        ("byte", "what?\nthe", "what?\nthe quick brown fox"),
        ("bpe:300", "the quick", "the quick brown fox"),
        ("bpe:300", "the quick ", "the quick brown fox"),
        ("bpe:300", "", "the quick brown fox"),
        ("bpe:300", "what?\nthe quick", "what?\nthe quick brown fox"),
        ("bpe:300", "what?\n", "what?\nthe quick brown fox"),
        ("nltk:WhitespaceTokenizer", "the quick", "the quick brown fox"),
        ("nltk:WhitespaceTokenizer", "the quick ", "the quick brown fox"),
    ],
)
def test_prompt_and_continuation_are_joined_as_text(kind: str, prompt: str, text: str) -> None:
    """The most likely continuation of a sentence seen often gives the sentence, with one space between its words."""
    if kind.startswith("nltk"):
        pytest.importorskip("nltk")
    model = ngramgen.train(["the quick brown fox"] * 3, order=6, tokenizer=kind)
    assert model.generate(prompt, greedy=True) == text
    assert prompt + "".join(model.stream(prompt, greedy=True)) == text
    [made] = model.generate_all(prompt, greedy=True)
    assert made.text == prompt + made.generated_text == text
    assert made.prompt == prompt
    assert made.finish_reason == "eos"


def test_marks_follow_without_space() -> None:
    """A mark that comes next stands directly behind its word."""
    model = ngramgen.train(["stop, now!"] * 3, order=5)
    assert model.generate("stop", greedy=True) == "stop, now!"
    assert model.generate("stop, now", greedy=True) == "stop, now!"


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS[:5]),
    prompt=st.text("the cadog.,' \n\té", max_size=12),
    seed=st.integers(0, 10**6),
    options=st.sampled_from([{}, {"temperature": 0.7}, {"stop": (" ",)}, {"max_new_tokens": 0}, {"max_new_tokens": 1}]),
)
def test_the_stream_is_the_text(kind: str, prompt: str, seed: int, options: dict[str, Any]) -> None:
    """The pieces behind the prompt are what generate gives, for any prompt; the prompt itself is never changed."""
    model = model_of(kind)
    text = model.generate(prompt, seed=seed, **options)
    assert isinstance(text, str)
    assert text.startswith(prompt)
    assert prompt + "".join(model.stream(prompt, seed=seed, **options)) == text


def test_seed_and_number(model: TextModel) -> None:
    """The same seed gives the same text, the i-th of n does not depend on n, and different ones differ."""
    one = model.generate("the", seed=7)
    many = model.generate("the", n=1000, seed=7, max_new_tokens=30)
    few = model.generate("the", n=3, seed=7, max_new_tokens=30)
    assert isinstance(few, list)
    assert many[:3] == few
    assert model.generate("the", n=1, seed=7) == [one]
    assert len(set(many)) > 20


def test_generations_compare_by_value(model: TextModel) -> None:
    """The same call gives equal generations."""
    assert list(model.generate_all("the", n=3, seed=1)) == list(model.generate_all("the", n=3, seed=1))


def test_several_prompts(model: TextModel) -> None:
    """Each prompt n times, in order, with the log-probability that the continuation has after its prompt."""
    made = list(model.generate_all(["the", "a cat"], n=2, seed=3, max_new_tokens=5))
    assert [g.prompt for g in made] == ["the", "the", "a cat", "a cat"]
    for g in made:
        prompt = model.prompt_ids(g.prompt)
        ids = np.concatenate([prompt, g.ids, [2] * (g.finish_reason == "eos")]).astype(np.int32)
        assert g.logprob == pytest.approx(model.model.score(ids)[len(prompt) :].sum(), abs=1e-6)


def test_only_the_last_line_of_a_prompt_is_seen(model: TextModel) -> None:
    """A line is a sentence: what comes before it changes nothing."""
    assert model.next("who knows\nthe") == model.next("the")
    assert model.next("who knows\n") == model.next("")


class Running:
    """Stands in for a network, to which text runs on over lines: every token has 1/V."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def score(self, ids: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.full(len(ids), -math.log(self.tokenizer.vocab_size))


def test_a_tokenizer_of_lines_reads_them_all() -> None:
    """The whole cleaned prompt is read, each line end as </s>, but for the space that the next word brings."""
    pytest.importorskip("tokenizers")
    tokenizer = dataclasses.replace(model_of("bpe:300").tokenizer, reads_lines=True)  # type: ignore[type-var]
    model = TextModel(Running(tokenizer), tokenizer, model_of("bpe:300").cleaner)
    assert model.prompt_ids("").tolist() == []
    whole = model.prompt_ids(" the  cat\n\na cat \nthe ")
    assert whole.dtype == np.int32
    parts = [[*tokenizer.encode(line).tolist(), 2] for line in ("the cat", "", "a cat", "the")]
    assert whole.tolist() == [i for part in parts for i in part][:-1]
    assert model.prompt_ids("the\n ").tolist() == model.prompt_ids("the\n").tolist() == parts[3]
    assert model.joined("the\nthe ", tokenizer.decode(tokenizer.encode_inside(" cat"))) == "the\nthe cat"


def test_running_text_has_no_end() -> None:
    """A tokenizer with tokens for newlines: a score is of the text's own tokens, and perplexity counts no </s>."""
    library = pytest.importorskip("tokenizers")
    foreign = library.Tokenizer(library.models.BPE())
    foreign.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    foreign.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        special_tokens=["<|endoftext|>"], initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(), vocab_size=257
    )
    foreign.train_from_iterator([], trainer)
    tokenizer = SubwordTokenizer.from_json(foreign.to_str(), "bytes")  # </s> and 256 bytes; <unk> and <s> are added
    model = TextModel(Running(tokenizer), tokenizer)
    assert tokenizer.vocab_size == 259
    assert model.score("ab\n", base=259) == pytest.approx(-3)
    assert model.score("", base=259) == 0
    found = model.perplexity(["ab", ""])
    assert (found.tokens, found.perplexity) == pytest.approx((4, 259))
    [lines] = model.score_lines([b"ab\n\n"])
    assert lines.tokens.tolist() == [3, 1]


def test_next_is_sorted_and_sums_to_less_than_one(model: TextModel) -> None:
    """Best first, probabilities and their logarithms agree, and all of them with <unk> make 1."""
    found = model.next("the", k=10**6)
    assert all(a.prob >= b.prob - 1e-12 for a, b in itertools.pairwise(found))
    assert all(t.prob == pytest.approx(math.exp(t.logprob)) for t in found)
    assert len(found) == model.model.vocab_size - 2
    state = model.model.advance(model.model.start(), model.prompt_ids("the")[None])
    unknown = math.exp(float(model.model.logprobs(state)[0, 0]))
    assert sum(t.prob for t in found) + unknown == pytest.approx(1, abs=1e-5)
    assert [t.token for t in model.next("the", k=2)] == [t.token for t in found[:2]]


# Scores


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS[:5]), lines=st.lists(st.text("the cadogxé.,' \t", max_size=15), max_size=6))
def test_scores_add_up(kind: str, lines: list[str]) -> None:
    """score, score_lines and perplexity tell the same: natural logarithms, or those to a base."""
    model = model_of(kind)
    scores = [model.score(line, base=10) for line in lines]
    assert [model.score(line) for line in lines] == pytest.approx([s * math.log(10) for s in scores])
    assert [model.score(line, base=2) for line in lines] == pytest.approx([s * math.log2(10) for s in scores])
    by_line = [s for part in model.score_lines(["".join(f"{line}\n" for line in lines).encode()]) for s in part.log10]
    assert by_line == pytest.approx(scores)
    assert model.perplexity(lines).log10 == pytest.approx(sum(scores))


def test_a_score_by_hand() -> None:
    """Laplace, order 1, "a a b": p(a) = 3/8 and p(</s>) = 2/8."""
    model = ngramgen.train(["a a b"], order=1, smoothing="laplace", tokenizer="whitespace")
    assert model.score("a a") == pytest.approx(math.log(9 / 64 * 2 / 8), rel=1e-6)
    assert model.score("a\na") == model.score("a a")
    assert model.score("") == pytest.approx(math.log(2 / 8), rel=1e-6)


@pytest.mark.parametrize("base", [1, 0, -2, math.inf, math.nan, "10", True, None])
def test_a_wrong_base_is_an_option_error(base: Any) -> None:
    """No logarithm has it."""
    with pytest.raises(OptionError, match="base"):
        model_of("word").score("the", base=base)


def test_bits_are_per_byte_of_the_text_as_it_is(tmp_path: Path) -> None:
    """Cleaning and tokenising take bytes away; the text that was read has them, line ends and all."""
    raw = "the   cat\n\té \n".encode()
    (tmp_path / "text").write_bytes(raw)
    for kind in KINDS[:5]:
        found = model_of(kind).perplexity(tmp_path / "text")
        assert found.bits_per_byte == pytest.approx(-found.log10 * math.log2(10) / len(raw))


def test_every_line_end_is_one_byte(tmp_path: Path) -> None:
    """CR LF, LF and the end of the file after a last line: the same text has the same bits per byte."""
    found = []
    for number, raw in enumerate([b"the cat\na dog\n", b"the cat\r\na dog\r\n", b"the cat\na dog"]):
        (tmp_path / str(number)).write_bytes(raw)
        found.append(model_of("word").perplexity(tmp_path / str(number)))
    # a last line without its end comes alone, which may show in the last digit of the sum
    assert found[1].bits_per_byte == pytest.approx(found[0].bits_per_byte, rel=1e-12)
    assert found[2].bits_per_byte == pytest.approx(found[0].bits_per_byte, rel=1e-12)


def test_texts_come_as_paths_files_and_sentences(tmp_path: Path) -> None:
    """A string is a path, strings in a list or iterator are sentences, and all give the same numbers."""
    model = model_of("word")
    path = tmp_path / "text.txt"
    path.write_text("the cat\na dog\n", "utf-8")
    with gzip.open(tmp_path / "text.txt.gz", "wb") as file:
        file.write(path.read_bytes())
    expected = model.perplexity(["the cat", "a dog"])
    texts: list[Any] = [str(path), path, [path], (path,), iter(["the cat", "a dog"]), (s for s in ["the cat\na dog"])]
    texts += [io.BytesIO(b"the cat\na dog\n"), tmp_path / "text.txt.gz", ["the cat\na dog\n"]]
    for text in texts:
        assert dataclasses.astuple(model.perplexity(text))[:-1] == pytest.approx(dataclasses.astuple(expected)[:-1]), (
            text
        )
    assert model.perplexity([path, path]).tokens == 2 * expected.tokens


def test_names_of_files_in_a_list_of_strings_are_refused(tmp_path: Path) -> None:
    """Almost surely the files were meant; the message tells how to name them."""
    for name in ("one", "two"):
        (tmp_path / name).write_text("x\n", "utf-8")
    with pytest.raises(OptionError, match=r"pathlib\.Path"):
        model_of("word").perplexity([str(tmp_path / "one"), str(tmp_path / "two")])
    assert model_of("word").perplexity([str(tmp_path / "one"), "no file"]).tokens > 0
    assert model_of("word").perplexity(iter([str(tmp_path / "one")])).tokens > 0


@pytest.mark.parametrize("texts", [None, 5, b"bytes", bytearray(b"bytes"), [5], [None], ["a", 5], [b"a"]])
def test_what_is_no_text_is_an_option_error(texts: Any) -> None:
    """Numbers, bytes and None are neither paths nor sentences."""
    with pytest.raises(OptionError):
        model_of("word").perplexity(texts)


def test_a_missing_file_is_a_corpus_error(tmp_path: Path) -> None:
    """Its name is in the message."""
    with pytest.raises(CorpusError, match="missing"):
        model_of("word").perplexity(tmp_path / "missing.txt")
    with pytest.raises(OptionError, match="errors"):
        model_of("word").perplexity(["a"], errors="ignore")


def test_sources() -> None:
    """What read_blocks is given: each path and file as it is, sentences as one source."""
    assert sources_of("a") == ["a"]
    assert sources_of(["a", "b"]) == [["a", "b"]]
    assert sources_of([]) == [[]]
    assert sources_of(["-"]) == ["-"]
    assert sources_of([Path("a"), Path("b")]) == [Path("a"), Path("b")]
    assert sources_of(["漢" * 200]) == [["漢" * 200]]  # more bytes than the name of a file can have


# Options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 0),
        ("n", True),
        ("n", 1.5),
        ("n", "2"),
        ("seed", "x"),
        ("seed", 1.5),
        ("temperature", -1),
        ("temperature", math.nan),
        ("top_k", -1),
        ("top_p", 0),
        ("top_p", 1.1),
        ("min_p", 2),
        ("typical_p", 0),
        ("repetition_penalty", 0),
        ("max_new_tokens", -1),
        ("max_new_tokens", 1.5),
        ("min_new_tokens", 101),
        ("stop", ""),
        ("stop", 5),
        ("greedy", "yes"),
        ("tempature", 1),
    ],
)
def test_a_wrong_option_is_named(name: str, value: Any) -> None:
    """Before anything is drawn, one error tells which option is wrong."""
    options: dict[str, Any] = {name: value}
    with pytest.raises(OptionError, match=name):
        model_of("word").generate("the", **options)
    if name != "n":
        with pytest.raises(OptionError, match=name):
            model_of("word").stream("the", **options)


@pytest.mark.parametrize("k", [0, -1, True, 1.5, "3", None])
def test_a_wrong_k_is_named(k: Any) -> None:
    """next gives at least one token."""
    with pytest.raises(OptionError, match="k must be"):
        model_of("word").next("the", k=k)


@pytest.mark.parametrize("prompt", [None, 5, b"the", ["the", 5]])
def test_a_wrong_prompt_is_an_option_error(prompt: Any) -> None:
    """A prompt is a string; several come as a list."""
    with pytest.raises(OptionError, match="prompts"):
        model_of("word").generate_all(prompt)


# Files


def test_the_suffix_tells_the_format(tmp_path: Path) -> None:
    """.arpa and .arpa.gz are ARPA files, anything else is a .ngram file; the same model gives the same bytes."""
    model = model_of("whitespace")
    for name, magic in (
        ("m.arpa", b"\\data\\"),
        ("m.arpa.gz", b"\x1f\x8b"),
        ("m.ngram", b"\x89NGRAM"),
        ("m", b"\x89NGRAM"),
    ):
        model.save(tmp_path / name)
        model.save(str(tmp_path / f"again-{name}"))
        data = (tmp_path / name).read_bytes()
        assert data.startswith(magic)
        assert data == (tmp_path / f"again-{name}").read_bytes()
    assert gzip.decompress((tmp_path / "m.arpa.gz").read_bytes()) == (tmp_path / "m.arpa").read_bytes()


def test_a_model_that_arpa_cannot_hold_leaves_what_was_there(tmp_path: Path) -> None:
    """An error names the reason, and neither the old file is lost nor a temporary one left."""
    (tmp_path / "m.arpa").write_text("old", "utf-8")
    model = ngramgen.train(LINES, order=2, smoothing="laplace", tokenizer="whitespace")
    with pytest.raises(ArpaError, match="laplace"):
        model.save(tmp_path / "m.arpa")
    assert [p.name for p in tmp_path.iterdir()] == ["m.arpa"]
    assert (tmp_path / "m.arpa").read_text("utf-8") == "old"


def test_arpa_cannot_hold_subwords(tmp_path: Path) -> None:
    """It is told, and nothing is written."""
    with pytest.raises(ArpaError, match="an ARPA file cannot hold the tokens of bpe"):
        model_of("bpe:300").save(tmp_path / "m.arpa")
    assert not (tmp_path / "m.arpa").exists()


def test_the_description_is_plain() -> None:
    """Values that JSON and msgpack know, and what the model says of itself."""
    import json

    about = model_of("char").description()
    assert json.loads(json.dumps(about)) == about
    assert (about["kind"], about["order"], about["tokenizer"], about["normalised"]) == ("ngram", 4, "char", True)
    assert about["ngrams"][0] == about["vocab_size"]
    assert about["cleaning"] == ["nfc", "control", "whitespace"]


@pytest.mark.parametrize("n", [10**9, 10**30])
def test_too_many_texts_are_refused(n: int) -> None:
    """More texts than memory can plan for are one clear error."""
    with pytest.raises(OptionError, match="too many for one call"):
        model_of("word").generate_all("the", n=n)


CONSTRAINTS: list[dict[str, Any]] = [
    {"contains": ("cat", "dog"), "max_words": 9},
    {"contains": ("dog", "cat"), "in_order": True},
    {"starts_with": "the dog", "ends_with": "mat"},
    {"min_words": 6, "max_words": 7},
    {"min_chars": 20, "max_chars": 24},
    {"choices": ("the cat", "a dog sat")},
    {"template": "the {1..3 words} on {choices:the,a} mat"},
    {"regex": "the (cat|dog) .*", "max_words": 6},
]


@pytest.mark.parametrize("kind", ["word", "whitespace", "char"])
@pytest.mark.parametrize("wanted", CONSTRAINTS, ids=lambda wanted: "-".join(wanted))
def test_constraints_hold(kind: str, wanted: dict[str, Any]) -> None:
    """Every text is as asked, and text number i is the same whatever else is drawn beside it."""
    lines = ["the cat sat on the mat", "a dog sat on the mat", "the dog saw a cat on a mat", "the cat saw the dog"] * 3
    model = ngramgen.train(lines, order=4, tokenizer=kind, smoothing="witten-bell")
    texts = model.generate(n=3, seed=5, max_new_tokens=80, **wanted)
    assert [ngramgen.Constraints(**wanted).refusal_of(text) for text in texts] == [None] * 3
    assert model.generate(n=2, seed=5, max_new_tokens=80, **wanted) == texts[:2]
    assert "".join(model.stream(seed=5, max_new_tokens=80, **wanted)) == texts[0]


@pytest.mark.parametrize(
    "wanted",
    [{"contains": "zebra"}, {"contains": ("cat", "dog"), "max_words": 1}, {"regex": "z+"}, {"template": "the zebra"}],
)
def test_what_no_text_meets_is_said(wanted: dict[str, Any]) -> None:
    """Constraints that the model cannot meet are a ConstraintError of one line."""
    model = ngramgen.train(["the cat sat on the mat", "the cat saw the dog"], order=3)
    with pytest.raises(ngramgen.ConstraintError) as raised:
        model.generate(seed=1, **wanted)
    assert "\n" not in str(raised.value)


def test_beams_explanations_and_novelty() -> None:
    """Beams come best first, each token is explained, and a text of the corpus is not novel."""
    lines = ["the cat sat on the mat", "the dog sat on the mat"] * 4
    model = ngramgen.train(lines, order=3, tokenizer="whitespace", copy_filter=3)
    beams = list(model.generate_all("the", n=2, num_beams=4))
    assert beams[0].logprob is not None
    assert beams[1].logprob is not None
    assert beams[0].text != beams[1].text
    (one,) = model.generate_all("the", seed=1, explained=True, top_k=5)
    assert one.explanations is not None
    assert sum(e.logprob for e in one.explanations) == pytest.approx(one.logprob, abs=1e-4)
    assert all(e.rank <= 5 for e in one.explanations)
    assert model.novelty(["the cat sat on the mat"]).copied_share == 1
    assert model.novelty(["the mat sat the on cat"]).copied_share == 0


# What a user's own text teaches


NOTES = "the dog and a cat\nthe dog and the mat\n"


@pytest.fixture
def fresh() -> TextModel:
    return ngramgen.train(LINES, order=4, tokenizer="whitespace", cleaning=["lowercase"])


def answers(model: TextModel) -> tuple[Any, ...]:
    texts = model.generate("the", n=5, seed=1, max_new_tokens=6)
    return model.next("the dog"), model.score("the dog and"), model.perplexity(LINES).log10, texts, model.description()


def test_learning_makes_own_text_likelier(model: TextModel) -> None:
    """With any tokenizer, and the model is the old one to the last bit when it has forgotten."""
    before, perplexity = answers(model), model.perplexity(["the mat", "the dog, too!"] * 2).perplexity
    model.learn("the mat\nthe dog, too!\n" * 2)
    try:
        assert model.perplexity(["the mat", "the dog, too!"] * 2).perplexity < 0.85 * perplexity
        one, other = answers(model), answers(model)
        assert one == other
        assert one[0] != before[0]
        assert model.description()["learnt_tokens"] > 4
    finally:
        model.forget()
    assert answers(model) == before


def test_a_string_is_text_and_a_path_is_a_file(fresh: TextModel, tmp_path: Path) -> None:
    """A list holds sentences; all of them teach the same, at once or one after the other."""
    (tmp_path / "notes.txt").write_text("The dog and a cat\n\nThe dog AND the mat", "utf-8")
    found = []
    for texts in (
        [NOTES],
        [tmp_path / "notes.txt"],
        [["The DOG and a cat", "the dog and the mat"]],
        NOTES.splitlines(),
    ):
        for text in texts:
            fresh.learn(text)
        found.append(answers(fresh))
        fresh.forget()
    assert found == [found[0]] * 4
    for wrong in (7, b"the dog", ["the dog", 3]):
        with pytest.raises(OptionError):
            fresh.learn(wrong)  # type: ignore[arg-type]


def test_a_text_that_cannot_be_read_teaches_nothing(fresh: TextModel, tmp_path: Path) -> None:
    """Neither do a file that ends badly, a wrong weight, or one that is not there."""
    before = answers(fresh)
    (tmp_path / "bad.txt").write_bytes(b"the dog\n\xff\n")
    for text in (tmp_path / "bad.txt", tmp_path / "none.txt", "\ud800"):
        with pytest.raises(CorpusError):
            fresh.learn(text)
    with pytest.raises(OptionError, match="weight of what was learnt"):
        fresh.learn(NOTES, weight=2)
    assert answers(fresh) == before
    fresh.learn(tmp_path / "bad.txt", errors="replace")
    assert fresh.description()["learnt_tokens"] == 5


def test_the_weight_of_what_was_learnt(fresh: TextModel) -> None:
    """0 is the model without, and the last that was given holds until all is forgotten."""
    found = []
    for text, weight in ((NOTES, None), ("", 0.5), ("", 0)):
        fresh.learn(text, weight=weight)
        found += [one.prob for one in fresh.next("the dog", k=20) if one.token == "and"]
    assert found[1] == pytest.approx((found[0] + found[2]) / 2, rel=1e-5)
    assert found[2] < found[0] / 4
    fresh.forget()
    fresh.learn(NOTES)
    assert found[0] in [one.prob for one in fresh.next("the dog", k=20)]


def test_what_was_learnt_is_saved_as_text(fresh: TextModel, tmp_path: Path) -> None:
    """The clean lines, words that the vocabulary lacks too, which a new model learns to the same effect."""
    fresh.learn("The zebra RAN\n \n")
    fresh.learn(NOTES)
    fresh.save_learnt(tmp_path / "learnt.txt")
    assert (tmp_path / "learnt.txt").read_bytes() == b"the zebra ran\nthe dog and a cat\nthe dog and the mat\n"
    expected = answers(fresh)
    fresh.forget()
    fresh.learn(tmp_path / "learnt.txt")
    assert answers(fresh) == expected
    fresh.forget()
    fresh.save_learnt(tmp_path / "learnt.txt")
    assert (tmp_path / "learnt.txt").read_bytes() == b""


def test_a_model_file_holds_nothing_learnt(fresh: TextModel, tmp_path: Path) -> None:
    """It is told how to keep both, and nothing is written."""
    fresh.learn(NOTES)
    for name in ("m.ngram", "m.arpa"):
        with pytest.raises(OptionError, match="save_learnt"):
            fresh.save(tmp_path / name)
    assert not list(tmp_path.iterdir())
    fresh.forget()
    fresh.save(tmp_path / "m.ngram")


def test_all_ways_to_ask_heed_what_was_learnt(fresh: TextModel) -> None:
    """Beams, constraints, streams, explanations and scores of lines see one and the same model."""
    fresh.learn("the dog and the mat\n" * 5)
    assert fresh.generate("the dog", num_beams=3, max_new_tokens=6) == "the dog and the mat"
    [made] = fresh.generate_all("the dog", seed=2, max_new_tokens=4, explained=True)
    assert made.explanations
    assert sum(one.logprob for one in made.explanations) == pytest.approx(made.logprob, abs=1e-4)
    assert "".join(["the dog", *fresh.stream("the dog", seed=2, max_new_tokens=4)]) == made.text
    [scores] = fresh.score_lines([b"the dog and\n"])
    assert scores.log10[0] == pytest.approx(fresh.score("the dog and", base=10))
    assert "cat" in str(fresh.generate("the", seed=1, contains="cat", max_new_tokens=8))


def test_threads_learn_and_ask(fresh: TextModel) -> None:
    """Nobody fails, and nothing that was learnt is lost."""
    import threading

    failures: list[Exception] = []

    def often(call: Any) -> None:
        try:
            for _ in range(40):
                call()
        except Exception as error:
            failures.append(error)

    calls = [lambda: fresh.learn(NOTES)] * 2 + [lambda: fresh.next("the dog"), lambda: fresh.perplexity(LINES)]
    threads = [threading.Thread(target=often, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert fresh.description()["learnt_tokens"] == 80 * 12
