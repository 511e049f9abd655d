"""XML documents as small trees, from expat: UTF-8 only, no document types or entities, limited depth and size.

Prefixes are dropped from names, and namespaces are not compared, as S3 does not. Raises MalformedXML.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from freehold.protocol.refusals import MalformedXml

MOST_DEPTH = 32
MOST_ELEMENTS = 100_000
"""Room for CompleteMultipartUpload's 10,000 parts with their checksums."""


class Node:
    """One element: its local name, text, child elements in order, and attributes (local names)."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str] | None) -> None:
        self.name = name
        self.text = ""
        self.children: list[Node] = []
        self.attributes = attributes


def parse(document: bytes) -> Node:
    """The root of a document."""
    # What isn't UTF-8 is refused whatever it declares: expat would still follow a byte order mark to UTF-16.
    try:
        document.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedXml() from None
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.buffer_size = 65_536
    parser.ordered_attributes = True
    top = Node("", None)
    stack = [top]
    left = MOST_ELEMENTS

    def start(name: str, attributes: list[str]) -> None:
        nonlocal left
        left -= 1
        if len(stack) > MOST_DEPTH or left < 0:
            raise MalformedXml()
        made = Node(name.rpartition(":")[2], _attributes(attributes) if attributes else None)
        stack[-1].children.append(made)
        stack.append(made)

    def end(name: str) -> None:
        made = stack.pop()
        if made.children and made.text and not made.text.isspace():
            # No document here mixes text with elements, and to gather it piece by piece would take quadratic time.
            raise MalformedXml()

    def text(data: str) -> None:
        node = stack[-1]
        if not node.children:
            node.text += data
        elif not data.isspace():
            raise MalformedXml()

    def refuse(*declaration: Any) -> Any:
        raise MalformedXml()

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError):
        raise MalformedXml() from None
    return top.children[0]


def _attributes(flat: list[str]) -> dict[str, str]:
    names = flat[0::2]
    return {name.rpartition(":")[2]: value for name, value in zip(names, flat[1::2], strict=True)}
