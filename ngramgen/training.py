"""From a corpus to a model: reading, cleaning, splitting, counting, smoothing.

>>> model = train(["a rose is a rose"], order=2, tokenizer="whitespace")
>>> model.score("a rose") < 0
True
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen import __version__
from ngramgen.errors import CorpusError, OptionError, TrainingError
from ngramgen.model import EOS
from ngramgen.ngram.copies import CopyFilter, check_length
from ngramgen.ngram.counting import count
from ngramgen.ngram.estimation import Estimate, OrderReport, check_interpolation, estimate, prune_thresholds
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.pruning import check_max_ngrams, pruned
from ngramgen.ngram.smoothing import Smoothing, smoothing_from_name
from ngramgen.text.cleaning import DEFAULT_STEPS, Cleaner
from ngramgen.text.corpus import CountedBlocks, read_blocks
from ngramgen.text.sentences import split_sentences
from ngramgen.text.subword import SubwordTokenizer, is_subword, subword_source
from ngramgen.text.tokenizers import Function, Tokenizer, fixed_vocabulary, kind_of, splitter, with_borders
from ngramgen.text.vocabulary import SPECIALS, Vocabulary, VocabularyBuilder
from ngramgen.textmodel import TextModel, Texts, sources_of

MAX_ORDER = 16
_FIRST = len(SPECIALS)
_LIMIT = (1 << 31) - 1

_Indexed = tuple[NDArray[np.int32], NDArray[np.int32], int, Tokenizer | SubwordTokenizer]
"""The corpus as ids with <s> and </s>, the tokens' ranks by first appearance, how many there are, and the tokenizer of
those that are kept, which are the first."""


def train(
    corpus: Texts,
    *,
    order: int = 5,
    smoothing: str = "modified-kneser-ney",
    tokenizer: str | Function = "word",
    prune: Sequence[int] = (),
    vocab_size: int | None = None,
    vocab_min_count: int | None = None,
    vocab_file: str | Path | None = None,
    cleaning: Iterable[str] | None = None,
    sentences: str = "line",
    field: str | None = None,
    errors: str = "strict",
    interpolate_unigrams: bool = True,
    discount_fallback: bool = True,
    max_ngrams: int | None = None,
    copy_filter: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> TextModel:
    """Train an n-gram model.

    ``corpus`` is a path, a list of `pathlib.Path`, a binary file, or a list or iterator of sentences (strings);
    ``field`` and ``errors`` are those of `ngramgen.text.corpus.read_blocks`, ``sentences`` is a method of
    `ngramgen.text.sentences.split_sentences`. ``order`` goes from 1 to 16, ``smoothing`` is a name that
    `ngramgen.ngram.smoothing.smoothing_from_name` knows, ``tokenizer`` one of `ngramgen.text.tokenizers.KINDS`, or
    ``bpe``, ``bpe:N`` or ``bpe:FILE`` (`ngramgen.text.subword.subword_source`), or a function that cuts a line into a
    list of words that join to it again, such as `jieba.lcut`: no file holds it, so `ngramgen.load` is given it anew.
    ``prune`` gives for each order the count up to which its grams are dropped, ``max_ngrams`` how many of the orders
    from 2 on are kept, the most relevant ones (`ngramgen.ngram.pruning`); ``vocab_size``, ``vocab_min_count`` and
    ``vocab_file`` (words between white space) limit the vocabulary as lmplz's ``--limit_vocab_file`` does.
    ``cleaning`` names the steps of `Cleaner`; None stands for `default_cleaning`.
    Without ``interpolate_unigrams`` <unk> alone gets what the unigrams' discounts leave; without ``discount_fallback``
    text from which a discount cannot be estimated is a TrainingError.
    ``copy_filter`` has the model remember which runs of that many tokens, 2 to 64, the corpus holds, so that it can be
    kept from copying them (`ngramgen.ngram.copies`); 6 suits words.
    ``progress`` is told how many raw bytes were read since its last call.
    Raises OptionError, CorpusError, TokenizerError, and TrainingError where nothing can be estimated.
    """
    method = smoothing_from_name(smoothing)
    if isinstance(order, bool) or not isinstance(order, int) or not 1 <= order <= MAX_ORDER:
        raise OptionError(f"order must be an integer from 1 to {MAX_ORDER}, not {order!r}")
    thresholds = prune_thresholds(prune, order)
    check_interpolation(method, interpolate_unigrams)
    if copy_filter is not None:
        check_length(copy_filter)
    if max_ngrams is not None:
        check_max_ngrams(max_ngrams, method)
    limit = _Limit(vocab_size, vocab_min_count, thresholds[0], vocab_file)
    if not isinstance(sentences, str):
        raise OptionError(f"sentences must be a string, not {sentences!r}")
    if not isinstance(tokenizer, str) and not callable(tokenizer):
        raise OptionError(f"tokenizer must be a string or a function, not {tokenizer!r}")
    indexed: Callable[[Iterable[bytes]], _Indexed]
    if isinstance(tokenizer, str) and is_subword(tokenizer):
        if copy_filter is not None:
            raise OptionError("a copy filter bounds words, which the tokens of bpe are not; leave it out")
        indexed = partial(_subwords, tokenizer, subword_source(tokenizer), limit)
    else:
        indexed = partial(_words, tokenizer, splitter(tokenizer), limit)
    cleaner = Cleaner(default_cleaning(tokenizer) if cleaning is None else cleaning)
    raw = CountedBlocks(read_blocks(sources_of(corpus), field=field, errors=errors, progress=progress))  # type: ignore[arg-type]
    blocks = cleaner.blocks(split_sentences(raw, sentences))
    words, appearance, total, made = indexed(blocks)
    kept = made.vocab_size
    lines = int(np.count_nonzero(words == EOS))
    tokens = len(words) - 2 * lines
    copies = None if copy_filter is None else CopyFilter.build(words, copy_filter, kept)
    counts = count(words, total, order, appearance)
    del words
    result = estimate(counts, kept, method, thresholds, interpolate_unigrams, with_counts=max_ngrams is not None)
    if max_ngrams is not None:
        result = pruned(result, max_ngrams, method, interpolate_unigrams)
    if not discount_fallback:
        _refuse_fallback(result.reports)
    about = _about(result, method, thresholds, interpolate_unigrams)
    about["corpus"] = {"bytes": raw.size, "lines": lines, "tokens": tokens}
    about["sentences"] = sentences
    if max_ngrams is not None:
        about["max_ngrams"] = max_ngrams
    if copies is not None:
        about["copy_filter"] = copies.about()
    return TextModel(NgramModel(result.table, made, copies), made, cleaner, about, _notices(result, method))


def default_cleaning(tokenizer: str | Function) -> tuple[str, ...]:
    """The steps for raw text; none for text that is tokenised already or meant byte for byte.

    >>> default_cleaning("word")
    ('nfc', 'control', 'whitespace')
    """
    is_raw = not isinstance(tokenizer, str) or tokenizer in ("word", "char") or is_subword(tokenizer)
    return DEFAULT_STEPS if is_raw else ()


@dataclass(frozen=True)
class _Limit:
    """Which words stay in the vocabulary. Raises OptionError for limits out of range."""

    size: int | None
    min_count: int | None
    threshold: int
    file: str | Path | None

    def __post_init__(self) -> None:
        for name, value in (("vocab_size", self.size), ("vocab_min_count", self.min_count)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise OptionError(f"{name} must be an integer of 1 or more, not {value!r}")

    @property
    def is_off(self) -> bool:
        return self.size is None and self.min_count is None and self.threshold == 0 and self.file is None

    def refuse(self, kind: str) -> None:
        """Raise OptionError where there is a limit: the vocabulary of this tokenizer takes none."""
        if not self.is_off:
            raise OptionError(
                f"the vocabulary of the tokenizer {kind} is fixed; leave out its limits and prune order 1 by 0"
            )

    def allowed(self) -> set[bytes] | None:
        """The words of the file; None without one. Raises CorpusError."""
        if self.file is None:
            return None
        try:
            return set(Path(self.file).read_bytes().removeprefix(BOM_UTF8).split())
        except OSError as error:
            raise CorpusError(f"the vocabulary file {self.file} cannot be read: {error.strerror}") from None

    def keep(self, counts: NDArray[np.int64], tokens: list[bytes], allowed: set[bytes] | None) -> NDArray[np.bool_]:
        """Which of these tokens stay, given how often each occurs and which may."""
        keep = counts >= max(self.min_count or 1, self.threshold + 1)
        if allowed is not None:
            # the file parts words by white space, so it cannot tell of the space that belongs to a token
            keep &= np.fromiter((t.lstrip(b" ") in allowed or t.isspace() for t in tokens), bool, len(tokens))
        if self.size is not None and np.count_nonzero(keep) > self.size:
            keep[_ranked(counts, keep)[self.size :]] = False
        return keep


def _ranked(counts: NDArray[np.int64], keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The tokens that are kept first, in both parts the most frequent first, and of equals the one that came first."""
    return np.lexsort((-counts, ~keep))


def _subwords(name: str, source: int | SubwordTokenizer, limit: _Limit, blocks: Iterable[bytes]) -> _Indexed:
    limit.refuse(name)
    if isinstance(source, int):
        blocks = list(blocks)  # read twice: to learn the tokens, and to count them
        source = SubwordTokenizer.train(blocks, source)
    made = replace(source, reads_lines=False)
    chunks = [with_borders(*made.encode_block(block)).astype(np.int32) for block in blocks]
    return _concatenated(chunks), np.arange(made.vocab_size, dtype=np.int32), made.vocab_size, made


def _words(how: str | Function, split: Callable[[bytes], Any], limit: _Limit, blocks: Iterable[bytes]) -> _Indexed:
    kind, function = (how, None) if isinstance(how, str) else (kind_of(how), how)
    fixed = fixed_vocabulary(kind)
    if fixed is not None:
        limit.refuse(kind)
        chunks = [with_borders(fixed.find(s), s.line_ends).astype(np.int32) for s in map(split, blocks)]
        return _concatenated(chunks), np.arange(len(fixed), dtype=np.int32), len(fixed), Tokenizer(kind, fixed)
    allowed = limit.allowed()  # a file that is not there is told before the corpus is read
    builder = VocabularyBuilder()
    chunks = []
    for block in blocks:
        spans = split(block)
        ids = builder.add(spans)
        ids += _FIRST
        chunks.append(with_borders(ids, spans.line_ends).astype(np.int32))
    words = _concatenated(chunks)
    counts = np.bincount(words, minlength=_FIRST + len(builder.tokens))[_FIRST:]
    keep = limit.keep(counts, builder.tokens, allowed)
    # frequent words get low ids: their entries share cache lines, and those that are dropped come last
    ranked = _ranked(counts, keep)
    new_ids = np.empty(len(counts) + _FIRST, np.int32)
    new_ids[:_FIRST] = np.arange(_FIRST)
    new_ids[ranked + _FIRST] = np.arange(len(counts)) + _FIRST
    for begin in range(0, len(words), 1 << 18):
        words[begin : begin + (1 << 18)] = new_ids.take(words[begin : begin + (1 << 18)])
    vocabulary = Vocabulary.from_tokens([builder.tokens[i] for i in ranked.tolist()])
    appearance = np.empty_like(new_ids)
    appearance[new_ids] = np.arange(len(new_ids), dtype=np.int32)
    kept = vocabulary.first(_FIRST + int(np.count_nonzero(keep)))
    return words, appearance, len(vocabulary), Tokenizer(kind, kept, function)


def _concatenated(chunks: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    total = sum(map(len, chunks))
    if total > _LIMIT:
        raise TrainingError(
            f"the corpus has {total} tokens, more than the {_LIMIT} that can be counted; train on a part"
        )
    if not total:
        raise TrainingError("the corpus is empty: there is not one line to learn from")
    words = np.empty(total, np.int32)
    begin = 0
    for i, chunk in enumerate(chunks):
        words[begin : begin + len(chunk)] = chunk
        begin += len(chunk)
        chunks[i] = chunk[:0]  # its memory is not needed twice
    return words


def _refuse_fallback(reports: Sequence[OrderReport]) -> None:
    for k, report in enumerate(reports, start=1):
        if report.discount.fallback:
            raise TrainingError(
                f"the discounts of the {k}-grams cannot be estimated from their counts (small or artificial text?); "
                "allow the discount fallback, or use another smoothing"
            )


def _notices(result: Estimate, method: Smoothing) -> list[str]:
    notices = []
    orders = [str(k) for k, report in enumerate(result.reports, start=1) if report.discount.fallback]
    if orders:
        amounts = ", ".join(
            f"{a:g}" for a in dict.fromkeys(next(r.discount.amounts for r in result.reports if r.discount.fallback))
        )
        notices.append(
            f"the discounts of order {', '.join(orders)} cannot be estimated from so little or so regular text; "
            f"{amounts} stand in for them"
        )
    if result.reports[0].kept == _FIRST < result.reports[0].total:
        notices.append("the limits of the vocabulary leave no word of the corpus: every word is unknown to this model")
    if not result.table.normalised:
        notices.append(f"{method.name} gives scores, not probabilities: they do not sum to 1")
    return notices


def _about(result: Estimate, method: Smoothing, thresholds: Sequence[int], interpolate: bool) -> dict[str, Any]:
    return {
        "ngramgen": __version__,
        "smoothing": {"name": method.name, **method.parameters()},
        "interpolate_unigrams": interpolate,
        "prune": list(thresholds),
        "orders": [
            {"kept": r.kept, "total": r.total, "discounts": list(r.discount.amounts), "fallback": r.discount.fallback}
            for r in result.reports
        ],
    }
