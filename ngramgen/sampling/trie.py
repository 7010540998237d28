"""Tokens as a tree of classes of bytes, walked for all tokens at once.

To an automaton, tokens whose bytes are of the same classes are the same, and so are tokens up to where they begin to
differ: a hundred thousand words are often a few thousand nodes.

>>> trie = build_trie(np.frombuffer(b"abacad", np.uint8), np.array([0, 0, 2, 4, 6]), np.arange(256) > 97)
>>> trie.node_of_token.tolist(), trie.parents.tolist(), trie.classes.tolist()
([3, 2, 2, 2], [0, 0, 1], [0, 0, 1])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.int64]

LONGEST = 1000
"""Bytes of a token at most: each is a step in every walk, so the blobs that text from the web holds stay outside."""


@dataclass(frozen=True, eq=False)
class Trie:
    """Nodes in order of depth; node 0 is the root, and one more behind all stands for tokens that are left out."""

    parents: Nodes  # (N,)
    children: Nodes  # (N + 1,): node n's are numbers ``children[n]`` to ``children[n + 1] - 1``
    classes: Nodes  # (N,): the class of the byte that leads to each node; the root's is 0 and means nothing
    depths: list[int]  # where the nodes of each depth begin, from depth 1 on, and N
    node_of_token: Nodes  # (V,): where each token ends; N where it has no bytes, or more than `LONGEST`


def build_trie(data: NDArray[np.uint8], offsets: NDArray[np.integer[Any]], class_of_byte: NDArray[Any]) -> Trie:
    """The tree of V tokens, token v being ``data[offsets[v]:offsets[v + 1]]``.

    Raises ValueError for offsets that lead outside, as those of a damaged file may.
    """
    begins = offsets.astype(np.int64)
    lengths = np.diff(begins)
    if len(lengths) and (begins[0] < 0 or int(lengths.min()) < 0 or begins[-1] > len(data)):
        raise ValueError("a token lies outside of the bytes of all tokens")
    lengths[lengths > LONGEST] = 0
    longest_first = np.argsort(-lengths, kind="stable")
    begins = begins[:-1].take(longest_first)
    longer = (
        len(lengths) - np.cumsum(np.bincount(lengths)) if len(lengths) else np.zeros(1, np.int64)
    )  # than each depth
    class_of_byte = class_of_byte.astype(np.int64)
    width = int(class_of_byte.max()) + 1
    parents, classes, depths = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)], [1]
    ends = np.empty(len(lengths), np.int64)
    node = np.zeros(len(lengths), np.int64)  # of the tokens that are long enough, counted within their depth
    for depth, count in enumerate(longer[:-1].tolist()):
        key = node[:count] * width
        key += class_of_byte.take(data.take(begins[:count] + depth))
        distinct, node = _ranked(key, len(parents[-1]) * width)
        parents.append(distinct // width + (depths[-2] if depth else 0))
        classes.append(distinct % width)
        ends[:count] = node
        ends[:count] += depths[-1]
        depths.append(depths[-1] + len(distinct))
    ends[int(longer[0]) :] = depths[-1]
    node_of_token = np.empty(len(lengths), np.int64)
    node_of_token[longest_first] = ends
    joined = np.concatenate(parents)
    children = np.searchsorted(joined[1:], np.arange(len(joined) + 1)) + 1
    return Trie(joined, children, np.concatenate(classes), depths, node_of_token)


def _ranked(keys: Nodes, end: int) -> tuple[Nodes, Nodes]:
    """The distinct keys, ascending, and the rank of each key among them; all are below ``end``."""
    if end > 8 * len(keys) + 1024:
        distinct, ranks = np.unique(keys, return_inverse=True)
        return distinct, ranks.reshape(-1)
    present = np.zeros(end, bool)
    present[keys] = True
    return np.flatnonzero(present), (np.cumsum(present, dtype=np.int64) - 1).take(keys)
