"""Bodies that are cheap to send must be cheap to refuse: nobody has been authorized yet when they are parsed."""

from __future__ import annotations

import time

import pytest

from freehold.protocol import xml_read
from freehold.protocol.refusals import MalformedXml


def test_text_between_many_elements_is_refused_in_linear_time() -> None:
    document = b"<Delete>" + b"".join([b"x" * 38 + b"<b/>"] * 90_000) + b"</Delete>"
    start = time.process_time()
    with pytest.raises(MalformedXml):
        xml_read.parse(document)
    assert time.process_time() - start < 1


def test_blank_text_between_many_elements_is_read_in_linear_time() -> None:
    document = b"<Delete>" + b"".join([b" " * 38 + b"<b/>"] * 90_000) + b"</Delete>"
    start = time.process_time()
    assert len(xml_read.parse(document).children) == 90_000
    assert time.process_time() - start < 2


@pytest.mark.parametrize("document", [b"<a>text<b/></a>", b"<a><b/>text</a>", b"<a><b/>&#120;</a>"])
def test_text_beside_elements_is_refused(document: bytes) -> None:
    with pytest.raises(MalformedXml):
        xml_read.parse(document)
