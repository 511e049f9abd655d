"""Which operation of a rest-json service a method and a path mean: the service's request URIs as a tree of segments.

A label (`{authorizationId}`) is one segment that isn't empty, a greedy label (`{Path+}`) one or more; at each segment
a literal is preferred to a label and a label to a greedy one. Operations of one method and path are told apart by the
literals in their query (`?mode=import`). Segments are compared as they were sent and decoded once, after the path was
split: an encoded slash never makes a segment. What no operation has is an UnknownOperationException (404).
https://smithy.io/2.0/spec/http-bindings.html#http-trait
"""

from __future__ import annotations

from collections.abc import Iterable

from freehold.errors import aws_error
from freehold.protocol import urls
from freehold.protocol.models import ServiceModel
from freehold.protocol.refusals import SerializationException

UnknownOperation = aws_error("UnknownOperationException", 404)

MOST_SEGMENTS = 1_000
"""How many segments a path may have."""


class _Leaf:
    """One operation: the labels' names in order, and what its query must hold."""

    __slots__ = ("labels", "name", "query")

    def __init__(self, name: str, labels: list[str], query: dict[str, str]) -> None:
        self.name = name
        self.labels = labels
        self.query = query

    def fits(self, query: dict[str, str]) -> bool:
        return all(name in query and (not value or query[name] == value) for name, value in self.query.items())


class _Node:
    """Where a path may go on from one place in it."""

    __slots__ = ("greedy", "label", "leaves", "literals")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.label: _Node | None = None
        self.greedy: list[tuple[list[str], dict[str, list[_Leaf]]]] = []
        """What follows a greedy label (literal segments), and the operations by method."""
        self.leaves: dict[str, list[_Leaf]] = {}
        """The operations of a path that ends here, by method."""


class Table:
    """The compiled routes of one service."""

    def __init__(self, service: ServiceModel) -> None:
        self._root = _Node()
        for name, method, uri in service.operation_uris():
            self._add(name, method, uri)
        _sort(self._root)

    def owns(self, raw_path: str) -> bool:
        """Whether a path begins as one of this service's does: with its first segment, where that is literal."""
        return raw_path[1:].partition("/")[0] in self._root.literals

    def operation(self, method: str, raw_path: str, query: dict[str, str]) -> tuple[str, dict[str, str]]:
        """The operation's name, and its labels' values, decoded. Raises UnknownOperation, SerializationException."""
        segments = raw_path[1:].split("/", MOST_SEGMENTS) if raw_path[:1] == "/" else []
        if not segments or len(segments) > MOST_SEGMENTS:
            raise UnknownOperation()
        found = _find(self._root, segments, 0, method, query, ())
        if found is None:
            raise UnknownOperation()
        leaf, values = found
        return leaf.name, {
            label: urls.decoded(value, SerializationException) for label, value in zip(leaf.labels, values, strict=True)
        }

    def _add(self, name: str, method: str, uri: str) -> None:
        path, _, query = uri.partition("?")
        node = self._root
        labels: list[str] = []
        segments = path[1:].split("/")
        leaf = _Leaf(name, labels, dict(_literal(part) for part in query.split("&") if part))
        for number, segment in enumerate(segments):
            if segment[:1] != "{":
                node = node.literals.setdefault(segment, _Node())
            elif segment.endswith("+}"):
                labels.append(segment[1:-2])
                _add_greedy(node, segments[number + 1 :], method, leaf)
                return
            else:
                labels.append(segment[1:-1])
                if node.label is None:
                    node.label = _Node()
                node = node.label
        node.leaves.setdefault(method, []).append(leaf)


def _add_greedy(node: _Node, following: list[str], method: str, leaf: _Leaf) -> None:
    for known, leaves in node.greedy:
        if known == following:
            leaves.setdefault(method, []).append(leaf)
            return
    node.greedy.append((following, {method: [leaf]}))


def _sort(node: _Node) -> None:
    """The most particular first, wherever there is a choice."""
    for leaves in (node.leaves, *(leaves for _, leaves in node.greedy)):
        for several in leaves.values():
            several.sort(key=lambda leaf: len(leaf.query), reverse=True)
    node.greedy.sort(key=lambda each: len(each[0]), reverse=True)
    for below in (*node.literals.values(), *filter(None, (node.label,))):
        _sort(below)


def _find(
    node: _Node, segments: list[str], at: int, method: str, query: dict[str, str], values: tuple[str, ...]
) -> tuple[_Leaf, tuple[str, ...]] | None:
    """At most one visit of each node, whatever the path: the tree is as deep as the longest request URI."""
    if at == len(segments):
        leaf = _first(node.leaves.get(method, ()), query)
        return None if leaf is None else (leaf, values)
    segment = segments[at]
    literal = node.literals.get(segment)
    found = None if literal is None else _find(literal, segments, at + 1, method, query, values)
    if found is None and node.label is not None and segment:
        found = _find(node.label, segments, at + 1, method, query, (*values, segment))
    if found is not None:
        return found
    for following, leaves in node.greedy:
        end = len(segments) - len(following)
        value = "/".join(segments[at:end])
        if value and segments[end:] == following:
            leaf = _first(leaves.get(method, ()), query)
            if leaf is not None:
                return leaf, (*values, value)
    return None


def _first(leaves: Iterable[_Leaf], query: dict[str, str]) -> _Leaf | None:
    return next((leaf for leaf in leaves if leaf.fits(query)), None)


def _literal(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name, value
