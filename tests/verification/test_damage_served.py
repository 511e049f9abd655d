"""What a server answers over damaged records: an error, or what was sealed. Never another plaintext."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from damaged_data import BUCKET, Deployed
from test_verify import flipped

from freehold import testing
from freehold.testing import Principal

HERE = "us-east-1"
PLAIN = {"first": b"first", "second": b"second", "of other": b"other"}
OBJECTS = {"small": b"small", "large": b"l" * 40_000, "under kms": b"k" * 40_000, "parts": b"p" * 20_000}
DAMAGED = {"KMSInternalException", "InternalError"}
BROKEN_OFF = {"IncompleteReadError", "ResponseStreamingError", "ProtocolError"}


def client_of(copy: Deployed, server: testing.Server) -> Principal:
    key_id, secret = copy.server.names  # type: ignore[attr-defined]
    return server._principal({"access_key_id": key_id, "secret_access_key": secret}, copy.names["account"])


def answers(copy: Deployed) -> dict[str, Any]:
    """By name: the plaintext, or the code of the refusal."""
    server = copy.server.on_copy(copy.data)
    server.start()
    try:
        aws, found = client_of(copy, server), {}
        for name in PLAIN:
            try:
                found[name] = aws.kms.decrypt(CiphertextBlob=copy.names[name])["Plaintext"]
            except ClientError as error:
                found[name] = error.response["Error"]["Code"]
        for name in OBJECTS:
            try:
                found[name] = aws.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
            except ClientError as error:
                found[name] = error.response["Error"]["Code"]
            except Exception as error:
                # The answer broke off.
                found[name] = type(error).__name__
        return found
    finally:
        server.close()


def check(found: dict[str, Any]) -> set[str]:
    """The names of what was refused; the rest is what was sealed."""
    refused = {name for name, answer in found.items() if isinstance(answer, str)}
    assert {str(found[name]) for name in refused} <= DAMAGED | BROKEN_OFF
    for name, answer in found.items():
        if name not in refused:
            assert answer == (PLAIN | OBJECTS)[name], name
    return refused


def test_damaged_rows_are_refused_by_code_and_the_others_served(copy: Deployed) -> None:
    main, rows = (HERE, copy.names["main"], 1), copy.rows("kms.materials")
    copy.set_sealed("kms.materials", main, flipped(rows[main], 70))
    copy.set_sealed("s3.objects", (BUCKET, "small"), flipped(copy.rows("s3.objects")[BUCKET, "small"]))
    copy.blob("large").write_bytes(flipped(copy.blob("large").read_bytes(), 30))
    found = answers(copy)
    assert check(found) == {"first", "small", "large"}
    assert len(copy.told()) == 4


def test_exchanged_and_put_back_material_opens_nothing_wrong(copy: Deployed) -> None:
    """By someone who holds all keys: rows exchanged, a key's record put back, material sealed for another place."""
    other = copy.get("kms.materials", (HERE, copy.names["other"], 1))
    copy.set("kms.materials", (HERE, copy.names["main"], 1), other)
    copy.change("kms.keys", (HERE, copy.names["main"]), material=1)
    found = answers(copy)
    assert "first" in check(found)
    assert found["first"] == "KMSInternalException"
    assert found["of other"] == b"other"


def test_a_truncated_record_of_a_key_is_refused(copy: Deployed) -> None:
    key = (HERE, copy.names["other"])
    copy.set_sealed("kms.keys", key, copy.rows("kms.keys")[key][:-1])
    found = answers(copy)
    assert check(found) == {"of other", "under kms"}
    assert any("kms.keys" in each for each in copy.told())


def test_a_damaged_page_of_the_materials_is_refused(copied: Callable[[], Deployed]) -> None:
    copy = copied()
    [(page,)] = copy.run("SELECT rootpage FROM sqlite_schema WHERE name = 'r.kms.materials'")
    database = copy.data / "records.db"
    database.write_bytes(flipped(database.read_bytes(), (page - 1) * 4096 + 2_000))
    found = answers(copy)
    assert check(found) >= {"first", "second", "of other", "under kms"}
    assert found["large"] == OBJECTS["large"]
    assert any(each.startswith("kms.materials: a page of it") for each in copy.told())
