"""The walk of a listing against a naive model of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.crypto.aead import Sealer
from freehold.services.s3.listing import walk
from freehold.services.s3.records import ENTRIES, Entry
from freehold.storage.counters import SharedCounters
from freehold.storage.records import Transaction
from freehold.storage.sqlite import SqliteRecords


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteRecords]:
    directory: Path = tmp_path_factory.mktemp("listing")
    records = SqliteRecords(directory, b"p" * 32, Sealer(b"s" * 32), SharedCounters())
    yield records
    records.close()


def fill(records: SqliteRecords, bucket: str, keys: set[str]) -> None:
    def work(tx: Transaction) -> None:
        for key, _ in list(ENTRIES.scan(tx, (bucket,))):
            ENTRIES.delete(tx, key)
        for key in keys:
            ENTRIES.put(tx, (bucket, key), Entry(len(key), "etag", 0))

    records.submit(work).result(10)


def naive(keys: set[str], prefix: str, delimiter: str, after: str, most: int) -> tuple[list[str], list[str], bool]:
    """(keys, common prefixes, truncated), from all keys at once."""
    shown: list[str] = []
    common: list[str] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        rolled = key[: at + len(delimiter)] if at >= 0 else None
        if key <= after or rolled == after:
            continue
        if rolled is not None and rolled in common:
            continue
        if len(shown) + len(common) == most:
            return shown, common, most > 0
        if rolled is None:
            shown.append(key)
        else:
            common.append(rolled)
    return shown, common, False


names = st.text(alphabet="ab/\0é\U0001f600-", min_size=1, max_size=6)
short = st.text(alphabet="ab/é", max_size=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.sets(names, max_size=30),
    prefix=short,
    delimiter=st.sampled_from(["", "/", "a", "//", "\U0001f600"]),
    most=st.integers(0, 8),
)
def test_pages_together_are_what_the_naive_model_shows(
    records: SqliteRecords, keys: set[str], prefix: str, delimiter: str, most: int
) -> None:
    fill(records, "bucket", keys)
    after = ""
    for _ in range(len(keys) + 2):
        page = walk(records.reader(), "bucket", prefix, delimiter, after, most)
        shown, common, truncated = naive(keys, prefix, delimiter, after, most)
        assert [key for key, _ in page.contents] == shown
        assert page.common_prefixes == common
        assert page.truncated == truncated
        if not page.truncated:
            return
        after = page.last
    pytest.fail("the listing does not end")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.sets(names, max_size=20), after=names, delimiter=st.sampled_from(["", "/"]))
def test_a_listing_may_begin_anywhere(records: SqliteRecords, keys: set[str], after: str, delimiter: str) -> None:
    fill(records, "bucket", keys)
    page = walk(records.reader(), "bucket", "", delimiter, after, 1_000)
    shown, common, _ = naive(keys, "", delimiter, after, 1_000)
    assert ([key for key, _ in page.contents], page.common_prefixes) == (shown, common)


def test_another_bucket_s_keys_are_never_listed(records: SqliteRecords) -> None:
    fill(records, "bucket", {"a"})
    fill(records, "bucket2", {"b"})
    assert [key for key, _ in walk(records.reader(), "bucket", "", "", "", 10).contents] == ["a"]


def test_a_common_prefix_is_passed_by_seeking(records: SqliteRecords) -> None:
    fill(records, "deep", {f"{letter}/{number:05}" for letter in "abc" for number in range(2_000)})
    rows = 0
    reader = records.reader()

    class Counting:
        def scan(self, *arguments: object, **options: object) -> Iterator[object]:
            nonlocal rows
            for row in reader.scan(*arguments, **options):  # type: ignore[arg-type]
                rows += 1
                yield row

    page = walk(Counting(), "deep", "", "/", "", 1_000)  # type: ignore[arg-type]
    assert page.common_prefixes == ["a/", "b/", "c/"]
    assert rows < 30
