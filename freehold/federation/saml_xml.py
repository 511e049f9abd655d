"""XML from outside, as strictly as SAML allows: UTF-8, no document type, no entities, nothing fetched.

Of a response, comments, CDATA and processing instructions are refused too: no identity provider needs them, and each
has been a way to make two readers see different text. Metadata may hold comments; they are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from freehold.federation.identity import InvalidIdentity

if TYPE_CHECKING:
    from lxml.etree import XMLParser, _Element

ASSERTION: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE: Final = "http://www.w3.org/2000/09/xmldsig#"
ENCRYPTION: Final = "http://www.w3.org/2001/04/xmlenc#"
ENCRYPTION_11: Final = "http://www.w3.org/2009/xmlenc11#"

_MOST_DEPTH: Final = 64
_MOST_PARTS: Final = 500_000
"""Of metadata: tags and attributes, each of which takes a hundred bytes once it is read."""


def saml(name: str) -> str:
    return f"{{{ASSERTION}}}{name}"


def samlp(name: str) -> str:
    return f"{{{PROTOCOL}}}{name}"


def md(name: str) -> str:
    return f"{{{METADATA}}}{name}"


def ds(name: str) -> str:
    return f"{{{SIGNATURE}}}{name}"


def xenc(name: str) -> str:
    return f"{{{ENCRYPTION}}}{name}"


def parser(*, comments: bool = False) -> XMLParser:
    """A parser that resolves nothing. With `comments`, comments and processing instructions are dropped."""
    from lxml import etree

    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=comments,
        remove_pis=comments,
        collect_ids=False,
    )


def parse_response(document: bytes) -> _Element:
    """The root of a response or an assertion. Raises InvalidIdentity."""
    declaration, rest = b"", document
    if document.startswith(b"<?xml "):
        declaration, _, rest = document.partition(b"?>")
    if b"<!" in rest or b"<?" in rest:
        # Before any parser sees it. "<" is one byte in UTF-8, and never a part of another character.
        raise InvalidIdentity("The SAML response holds a document type, a comment or another declaration.")
    return _parse(declaration, document, parser())


def parse_metadata(document: bytes) -> _Element:
    """The root of a metadata document. Raises InvalidIdentity."""
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise InvalidIdentity("Metadata has no document type.")
    if document.count(b"<") + document.count(b"=") > _MOST_PARTS:
        raise InvalidIdentity(f"The metadata has more than {_MOST_PARTS:,} tags and attributes.")
    declaration = document.partition(b"?>")[0] if document.startswith(b"<?xml ") else b""
    return _parse(declaration, document, parser(comments=True))


def _parse(declaration: bytes, document: bytes, strict: XMLParser) -> _Element:
    from lxml import etree

    if b"encoding" in declaration and b"utf-8" not in declaration.lower():
        raise InvalidIdentity("Only UTF-8 is read.")
    try:
        document.decode("utf-8")
        root = etree.fromstring(document, strict)
    except (etree.XMLSyntaxError, UnicodeDecodeError, ValueError):
        raise InvalidIdentity("This is not well-formed XML in UTF-8.") from None
    info = root.getroottree().docinfo
    if info.internalDTD is not None or info.externalDTD is not None:
        raise InvalidIdentity("A document type is refused.")
    for element in root.iter():
        if not isinstance(element.tag, str):
            raise InvalidIdentity("Only elements and text are read.")
    return root


def refuse_deep(root: _Element) -> None:
    """Refuse what no SAML document is nested as deeply as. Raises InvalidIdentity."""
    level = list(root)
    for _ in range(_MOST_DEPTH):
        if not level:
            return
        level = [child for element in level for child in element]
    raise InvalidIdentity("The SAML response is nested too deeply.")


def children(element: _Element, tag: str) -> list[_Element]:
    return [child for child in element if child.tag == tag]


def only(element: _Element, tag: str, what: str) -> _Element:
    """The one child with a tag. Raises InvalidIdentity."""
    found = children(element, tag)
    if len(found) != 1:
        raise InvalidIdentity(f"The SAML response must have exactly one {what}.")
    return found[0]


def text(element: _Element) -> str:
    """An element's text, without the white space around it; one that holds elements has none."""
    return (element.text or "").strip() if len(element) == 0 else ""


def descendants(root: _Element, tag: str) -> Iterator[_Element]:
    """All elements with a tag, the root itself included."""
    return root.iter(tag)


def instant(value: str | None, what: str) -> float:
    """Seconds since the epoch of an xs:dateTime, which SAML writes in UTC. Raises InvalidIdentity."""
    if value is None or len(value) > 40 or "T" not in value:
        raise InvalidIdentity(f"The SAML response has no valid {what}.")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidIdentity(f"The SAML response has no valid {what}.") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
