"""Sets of categories in the trees of an ONNX model, searched by halves.

The converter asks whether a category is one of a set by a chain of nodes, one
for each member, and whoever answers walks along it. Codes are whole numbers from
0, so a set is some stretches of them, and in which one a code lies is found by as
many comparisons as the logarithm of their number. All nodes then compare in the
same way, for which ONNX Runtime has a shorter loop.

ONNX Runtime wants a node's false branch to be that node's own, and its very next
one. Where a set's false branch leads to what is another's already, a node that is
true of all numbers leads there.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

LESS, EQUAL, LEAF = b"BRANCH_LT", b"BRANCH_EQ", b"LEAF"
ENSEMBLES = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}
"""Operators that hold trees, and how the attributes of their leaves begin."""
NODES = {
    "nodes_treeids": "ints",
    "nodes_nodeids": "ints",
    "nodes_featureids": "ints",
    "nodes_modes": "strings",
    "nodes_values": "floats",
    "nodes_missing_value_tracks_true": "ints",
    "nodes_truenodeids": "ints",
    "nodes_falsenodeids": "ints",
}
"""Which tree a node is in, its number there, and what :class:`Node` says of it."""


class Node(NamedTuple):
    """One node of a tree: ``true`` and ``false`` are numbers of others, ``is_true_of_null`` where a null goes."""

    feature: int
    mode: bytes
    value: float
    is_true_of_null: int
    true: int
    false: int

    def continues(self, chain: "Node") -> bool:
        """Return whether this asks for one more member of the set that ``chain`` asks for."""
        return (self.mode, self.feature, self.true) == (EQUAL, chain.feature, chain.true)


Tree = dict[int, Node]
Leaves = dict[int, list[tuple[Any, ...]]]
"""For each leaf, which class or target it adds how much to."""


def search_by_halves(model: Any) -> None:
    """Replace each chain of an ONNX model; what it answers to codes and to null is the same to the bit."""
    for node in model.graph.node:
        if node.op_type in ENSEMBLES:
            _rewrite({attribute.name: attribute for attribute in node.attribute}, ENSEMBLES[node.op_type])


def _rewrite(attributes: dict[str, Any], prefix: str) -> None:
    trees, leaves = _read_trees(attributes), _read_leaves(attributes, prefix)
    written: list[tuple[Any, ...]] = []
    weights: list[tuple[Any, ...]] = []
    for number, tree in trees.items():
        adds = leaves.get(number, {})
        _replace_chains(tree, adds)
        place_of = {old: place for place, old in enumerate(_falses_first(tree))}
        for old, place in place_of.items():
            node = tree[old]
            if node.mode != LEAF:
                node = node._replace(true=place_of[node.true], false=place_of[node.false])
            written.append((number, place, *node))
            weights += [(number, place, *weight) for weight in adds.get(old, ())]
    _write(attributes, NODES, written)
    _write(attributes, _leaf_attributes(prefix), weights)


def _read_trees(attributes: dict[str, Any]) -> dict[int, Tree]:
    trees: dict[int, Tree] = {}
    for number, place, *node in _read(attributes, NODES):
        trees.setdefault(number, {})[place] = Node(*node)
    return trees


def _read_leaves(attributes: dict[str, Any], prefix: str) -> dict[int, Leaves]:
    leaves: dict[int, Leaves] = {}
    for number, place, *weight in _read(attributes, _leaf_attributes(prefix)):
        leaves.setdefault(number, {}).setdefault(place, []).append(tuple(weight))
    return leaves


def _leaf_attributes(prefix: str) -> dict[str, str]:
    return {f"{prefix}_{name}": "ints" for name in ("treeids", "nodeids", "ids")} | {f"{prefix}_weights": "floats"}


def _read(attributes: dict[str, Any], names: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(getattr(attributes[name], kind) for name, kind in names.items()), strict=True)


def _write(attributes: dict[str, Any], names: dict[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    for (name, kind), values in zip(names.items(), zip(*rows, strict=True), strict=True):
        getattr(attributes[name], kind)[:] = values


def _replace_chains(tree: Tree, leaves: Leaves) -> None:
    fresh = count(max(tree) + 1)
    inner = {node.false for node in tree.values() if node.mode == EQUAL and tree[node.false].continues(node)}
    for place in [place for place, node in tree.items() if node.mode == EQUAL and place not in inner]:
        chain = [tree[place]]
        while tree[chain[-1].false].continues(chain[0]):
            chain.append(tree[chain[-1].false])
        _Search(tree, leaves, fresh, chain).write(place)


class _Search:
    """The nodes that search one set: stretches of codes alternate between outside and inside, and end outside."""

    def __init__(self, tree: Tree, leaves: Leaves, fresh: Iterator[int], chain: Sequence[Node]) -> None:
        self._tree, self._leaves, self._fresh = tree, leaves, fresh
        self._feature, inside, outside = chain[0].feature, chain[0].true, chain[-1].false
        members = np.array(sorted({int(node.value) for node in chain}))
        gaps = np.flatnonzero(np.diff(members) > 1)
        begins, ends = members[[0, *(gaps + 1)]], members[[*gaps, -1]] + 1
        self._ends: list[int] = np.ravel((begins, ends), order="F").tolist()
        """Where each stretch ends, but for the last, which has no end."""
        self._leads = [inside if number % 2 else outside for number in range(len(self._ends) + 1)]
        if self._ends[0] <= 0:  # no code is below the first
            del self._ends[0], self._leads[0]
        self._is_inside = any(node.is_true_of_null for node in chain)

    def write(self, place: int) -> None:
        """Put the search where the chain began. The chain's other nodes stay, and nothing leads to them."""
        self._write(place, 0, len(self._leads) - 1)

    def _write(self, place: int, first: int, last: int) -> None:
        """Write at ``place`` the search among two or more stretches."""
        middle = (first + last) // 2
        true = self._leads[first] if middle == first else next(self._fresh)
        false = next(self._fresh)
        # a null goes by the false branches to the last stretch, which is outside, unless the last node sends it inside
        is_last = middle + 1 == len(self._leads) - 1
        self._tree[place] = Node(
            self._feature, LESS, float(self._ends[middle]), int(is_last and self._is_inside), true, false
        )
        if middle > first:
            self._write(true, first, middle)
        if middle + 1 < last:
            self._write(false, middle + 1, last)
        else:
            self._lead(false, self._leads[last])

    def _lead(self, place: int, to: int) -> None:
        """Let ``place``, which is a false branch, lead to where others lead too."""
        if self._tree[to].mode == LEAF:
            self._tree[place], self._leaves[place] = self._tree[to], self._leaves[to]
            return
        never = next(self._fresh)
        self._tree[place] = Node(self._feature, LESS, float("inf"), 1, to, never)
        self._tree[never] = Node(0, LEAF, 0.0, 0, 0, 0)


def _falses_first(tree: Tree) -> Iterator[int]:
    """Yield the nodes that the root leads to, each once, with a node's false branch next after it."""
    seen, ahead = set(), [0]
    while ahead:
        place = ahead.pop()
        if place in seen:
            continue
        seen.add(place)
        yield place
        if tree[place].mode != LEAF:
            ahead += (tree[place].true, tree[place].false)
