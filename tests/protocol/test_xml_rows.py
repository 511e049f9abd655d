"""A long list of structures is written by columns: the document is the same as when it is written row by row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.protocol import models, xml_write
from freehold.protocol.models import Shape
from freehold.protocol.xml_write import FEWEST_ROWS_BY_COLUMNS, Writers

TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(["a", "<&>", "\x01", "\r\n", "\ud800", '"']))
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))
OBJECT = {
    "Key": TEXTS,
    "LastModified": MOMENTS,
    "ETag": TEXTS,
    "ChecksumAlgorithm": st.lists(st.sampled_from(["CRC32", "SHA1", "<new>"]), max_size=2),
    "ChecksumType": st.sampled_from(["FULL_OBJECT", "COMPOSITE", "unheard of &"]),
    "Size": st.integers(0, 2**40),
    "Owner": st.fixed_dictionaries({}, optional={"ID": TEXTS, "DisplayName": TEXTS}),
    "Unmodelled": TEXTS,
}
ROW = st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in OBJECT.items()})
ALIKE = st.fixed_dictionaries(dict(OBJECT))


def _contents(service: str, operation: str, rows: list[dict[str, Any]], member: str) -> str:
    shape = models.service(service).operations[operation].output
    assert isinstance(shape, Shape)
    out: list[str] = []
    Writers("rest-xml" if service == "s3" else "query").contents(shape)({member: rows}, out)
    return "".join(out)


def _one_by_one(service: str, operation: str, rows: list[dict[str, Any]], member: str) -> str:
    before = xml_write.FEWEST_ROWS_BY_COLUMNS
    xml_write.FEWEST_ROWS_BY_COLUMNS = len(rows) + 1
    try:
        return _contents(service, operation, rows, member)
    finally:
        xml_write.FEWEST_ROWS_BY_COLUMNS = before


@given(
    st.one_of(
        st.lists(ROW, min_size=FEWEST_ROWS_BY_COLUMNS, max_size=20),
        st.lists(ALIKE, min_size=FEWEST_ROWS_BY_COLUMNS, max_size=20),
        ALIKE.map(lambda row: [row] * FEWEST_ROWS_BY_COLUMNS),
    )
)
def test_columns_and_rows_are_the_same_document(rows: list[dict[str, Any]]) -> None:
    by_columns = _contents("s3", "ListObjectsV2", rows, "Contents")
    assert by_columns.count("<Contents>") == len(rows)
    assert by_columns == _one_by_one("s3", "ListObjectsV2", rows, "Contents")


def test_a_long_list_that_is_wrapped_and_holds_lists() -> None:
    rows = [
        {"UserName": f"u{number}", "CreateDate": number, "Tags": [{"Key": "k", "Value": str(number)}] * (number % 3)}
        for number in range(FEWEST_ROWS_BY_COLUMNS)
    ]
    by_columns = _contents("iam", "ListUsers", rows, "Users")
    assert by_columns.startswith("<Users><member><UserName>u0</UserName><CreateDate>1970-01-01T00:00:00Z</CreateDate>")
    assert by_columns == _one_by_one("iam", "ListUsers", rows, "Users")
