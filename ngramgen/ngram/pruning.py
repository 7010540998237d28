"""Pruning a model to a number of n-grams: those go whose loss changes it least, and the counts below hear of it.

The loss of gram hw is what the model's expected log-probability falls by without it (Stolcke 1998, "Entropy-based
pruning of backoff language models", equation 3, for interpolated models): with the explicit mass
d = value(hw) scale(h), the lower probability q(w) = p(w|h') and g = gamma(h), which becomes g + d,

    loss(hw) = P(h) ( p(w|h) log(p(w|h) / ((g + d) q(w))) - M log((g + d) / g) - d (E - q(w)) )

where M = g (1 - E) is what all words get that are not explicit after h, and E the sum of q over those that are; the
last term, what the other explicit words gain, is of first order. P(h) is the share of the corpus' places with that
context, from its raw counts: the lower orders of a Kneser-Ney model are no estimate of it (Chelba et al. 2010).

A Kneser-Ney count says how often the orders above leave a gram to this one: once for each gram there that ends in it.
Where such a gram is gone all its occurrences are left to this one, so its whole count is added (Siivola, Hirsimäki &
Virpioja 2007, "On growing and pruning Kneser-Ney smoothed n-gram models", section III).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.ngram.estimation import Estimate, unigram_probabilities
from ngramgen.ngram.lookup import find
from ngramgen.ngram.smoothing import Smoothing
from ngramgen.ngram.table import GramOrder, NgramTable, gram_order, kept_children

Floats = NDArray[np.float64]
Pairs = NDArray[np.float32]
Ids = NDArray[np.int64]
Ints = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]

_LEAST = 1e-300  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class Links:
    """Of the grams of one order, each (N,): the gram of the lower order that it begins with, and that it ends in."""

    parents: Ids
    suffixes: Ids


def check_max_ngrams(number: object, smoothing: Smoothing) -> None:
    """Raise OptionError for what is no number of n-grams, or a smoothing whose models do not interpolate."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise OptionError(f"max_ngrams must be an integer of 0 or more, not {number!r}")
    if smoothing.reading != "interpolate":
        raise OptionError(f"max_ngrams needs a smoothing that interpolates, which {smoothing.name} does not")


def pruned(estimate: Estimate, grams: int, smoothing: Smoothing, interpolate_unigrams: bool = True) -> Estimate:
    """The estimate with only the so many most relevant grams of the orders from 2 on (of equals all).

    It must have been made ``with_counts``, by the same smoothing and interpolation. Every context sums to 1 as before.
    """
    table = estimate.table
    if grams >= sum(table.sizes[1:]):
        return estimate
    linked = links(table)
    losses = relevance(table, [counts.raw for counts in estimate.counts], linked)
    border = np.inf
    if grams:
        together = np.concatenate(losses)
        border = float(np.partition(together, len(together) - grams)[-grams])
    masks = [loss >= border for loss in losses]
    counts = _counts_without(estimate, linked, masks, smoothing)
    values = [one - report.discount.of(one) for one, report in zip(counts, estimate.reports, strict=True)]
    unigrams = unigram_probabilities(
        counts[0], table.vocab_size, smoothing, estimate.reports[0].discount, interpolate_unigrams
    )
    pairs = [
        _pairs(estimate, k, linked[k - 1].parents, counts[k], np.where(masks[k - 1], values[k], 0), masks[k - 1])
        for k in range(1, table.order)
    ]
    orders = []
    for k, (order, mask) in enumerate(zip(table.orders, masks, strict=True), start=1):
        contexts = pairs[k][mask] if k < len(pairs) else None
        kept_contexts = None if k == 1 else masks[k - 2]
        orders.append(_order(order, mask, kept_contexts, values[k], contexts, table.word_bits))
    reports = [replace(report, kept=int(mask.sum())) for report, mask in zip(estimate.reports[1:], masks, strict=True)]
    smaller = replace(table, unigrams=unigrams, unigram_contexts=pairs[0], orders=tuple(orders))
    return Estimate(smaller, (estimate.reports[0], *reports))


def links(table: NgramTable) -> list[Links]:
    """How the grams of the orders from 2 on hang together."""
    found: list[Links] = []
    for k, order in enumerate(table.orders, start=2):
        children = order.children.astype(np.int64)
        parents = np.repeat(np.arange(len(children) - 1), children[1:] - children[:-1])
        words = order.words_of(order.packed)
        if k == 2:
            suffixes = table.scramble.inverse(words)
        else:
            _, suffixes, _ = find(table.orders[k - 3], table.word_bits, found[-1].suffixes.take(parents), words)
        found.append(Links(parents, suffixes))
    return found


def relevance(table: NgramTable, raw: Sequence[Ints], linked: Sequence[Links]) -> list[Floats]:
    """The loss of every gram of the orders from 2 on, or that of a longer one that needs it, if that is larger.

    ``raw`` are the counts of the grams of each order, from the words on; a longer gram needs those that it begins with
    and ends in.
    """
    losses: list[Floats] = []
    lower = table.unigrams.astype(np.float64)
    for k, (order, link) in enumerate(zip(table.orders, linked, strict=True), start=2):
        pairs = table.pairs_of(k - 1)
        explicit = order.values.astype(np.float64).take(order.value_codes_of(order.packed))
        explicit *= pairs.imag.astype(np.float64).take(link.parents)
        below = np.maximum(lower.take(link.suffixes), _LEAST)
        gammas = np.maximum(pairs.real.astype(np.float64), _LEAST)
        covered = np.minimum(np.bincount(link.parents, below, len(gammas)), 1)
        gamma = gammas.take(link.parents)
        whole = explicit + gamma * below
        loss = whole * np.log(whole / ((gamma + explicit) * below))
        loss -= (gammas * (1 - covered)).take(link.parents) * np.log1p(explicit / gamma)
        loss -= explicit * np.maximum(covered.take(link.parents) - below, 0)
        loss *= raw[k - 2].astype(np.float64).take(link.parents)
        losses.append(loss)
        lower = whole
    for k in range(len(losses) - 1, 0, -1):
        for needed in (linked[k].parents, linked[k].suffixes):
            np.maximum.at(losses[k - 1], needed, losses[k])
    return losses


def _counts_without(
    estimate: Estimate, linked: Sequence[Links], masks: Sequence[Mask], smoothing: Smoothing
) -> list[Floats]:
    """The counts that the smoothing goes by, of every order, when only the grams in the masks are left."""
    counts = [one.used.astype(np.float64) for one in estimate.counts]
    if smoothing.counts == "adjusted":
        for k in range(len(masks), 0, -1):
            moved = np.where(masks[k - 1], 0, counts[k] - 1)
            counts[k - 1] += np.bincount(linked[k - 1].suffixes, moved, len(counts[k - 1]))
    return counts


def _pairs(estimate: Estimate, length: int, parents: Ids, counts: Floats, values: Floats, mask: Mask) -> Pairs:
    """Gamma and scale (C, 2) of the contexts of that length; ``values`` are 0 for grams that are gone."""
    before = estimate.table.pairs_of(length)
    with np.errstate(divide="ignore"):
        totals = np.rint(1 / before.imag.astype(np.float64))  # infinite where nothing follows
    totals += np.bincount(parents, counts - estimate.counts[length].used, len(before))
    pairs = np.empty((len(before), 2), np.float32)
    pairs[:, 0] = np.maximum(1 - np.bincount(parents, values, len(before)) / totals, 0)  # no rounding below 0
    pairs[:, 1] = 1 / totals
    pairs[np.bincount(parents, mask, len(before)) == 0] = (1, 0)
    return pairs


def _order(
    order: GramOrder, mask: Mask, kept_contexts: Mask | None, values: Floats, contexts: Pairs | None, word_bits: int
) -> GramOrder:
    """The grams in the mask with their new values and, unless the order is the highest, pairs as contexts."""
    children = kept_children(order.children.astype(np.int64), mask, kept_contexts)
    distinct, codes = np.unique(values[mask].astype(np.float32), return_inverse=True)
    pairs, context_codes = (None, None) if contexts is None else _coded(contexts)
    words = order.words_of(order.packed[mask])
    return gram_order(words, codes, context_codes, children, distinct, pairs, word_bits)


def _coded(pairs: Pairs) -> tuple[Pairs, Ids]:
    """The different pairs, (1, 0) first, and which of them each is."""
    nothing = np.array([[1, 0]], np.float32)
    keys = np.ascontiguousarray(np.concatenate([nothing, pairs])).view(np.uint64).ravel()
    distinct, codes = np.unique(keys, return_inverse=True)
    first = int(codes[0])
    ranks = np.arange(len(distinct)) + (np.arange(len(distinct)) < first)
    ranks[first] = 0
    ordered = np.empty_like(distinct)
    ordered[ranks] = distinct
    return ordered.view(np.float32).reshape(-1, 2), ranks.take(codes[1:])
