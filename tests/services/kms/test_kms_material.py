"""Key material: sealed, bound to its place, kept through rotations, and gone after deletion."""

from __future__ import annotations

import hmac
import shutil
from pathlib import Path
from typing import Any

import apsw
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from freehold.crypto import envelope
from freehold.crypto.aead import IntegrityError, Sealer
from freehold.errors import AwsError
from freehold.services.kms import loaded
from freehold.services.kms.records import KEYS, MATERIALS, TOMBSTONES
from freehold.storage.database import connect

DAY = 86_400


def backing_key(kms: Any, key_id: str, version: str = "1") -> bytes:
    key = loaded.by_id(kms.call("DescribeKey"), key_id)
    assert key is not None
    opened = key.opened(kms.call("Encrypt"), version)
    assert opened is not None
    return opened[0]


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_records_show_no_key_material(kms: Any, key_id: str) -> None:
    secret = backing_key(kms, key_id)
    reader = kms.app.records.reader()
    for table in (KEYS, MATERIALS):
        for _, value in reader.scan(table.name):
            assert secret not in value
    assert not any(secret in content for content in files(kms.data).values())


def test_material_opens_in_its_own_place_only(kms: Any, key_id: str) -> None:
    other = kms("CreateKey")["KeyMetadata"]["KeyId"]
    record = MATERIALS.get(kms.app.records.reader(), ("us-east-1", key_id, 1))
    assert record is not None
    kms.write(lambda tx: MATERIALS.put(tx, ("us-east-1", other, 1), record))
    with pytest.raises(AwsError) as refused:
        kms("Encrypt", KeyId=other, Plaintext=b"text")
    assert refused.value.code == "KMSInternalException"


def test_material_needs_the_root_keys_kms_key_besides_the_records(kms: Any, key_id: str) -> None:
    record = MATERIALS.get(kms.app.records.reader(), ("us-east-1", key_id, 1))
    assert record is not None
    with pytest.raises(IntegrityError):
        Sealer(kms.root_key.sealing_key("records")).open(record.sealed, b"")


def test_material_can_be_read_from_its_format_page_alone(kms: Any, key_id: str) -> None:
    """Written from docs/formats/kms-key-material.md and sealed-value.md, with the root key's sealing key."""
    kms("RotateKeyOnDemand", KeyId=key_id)
    for number in (1, 2):
        record = MATERIALS.get(kms.app.records.reader(), ("us-east-1", key_id, number))
        assert record is not None
        purpose_key, sealed = kms.root_key.sealing_key("kms"), record.sealed
        assert sealed[0] == 1
        info = b"freehold sealed value v1\0" + sealed[1:17] + b"\1"
        derived = hmac.digest(purpose_key, info, "sha512")
        assert derived[32:] == sealed[17:49]
        parts = ["freehold kms material v1", "us-east-1", key_id, str(number), record.material_id]
        associated = "\0".join(parts).encode()
        secret = AESGCM(derived[:32]).decrypt(sealed[49:61], sealed[61:], associated)
        assert secret == backing_key(kms, key_id, str(number))


def test_every_version_still_decrypts_after_rotations(kms: Any, key_id: str) -> None:
    blobs = []
    for number in range(4):
        blobs.append(kms("Encrypt", KeyId=key_id, Plaintext=b"%d" % number)["CiphertextBlob"])
        kms("RotateKeyOnDemand", KeyId=key_id)
    seen = [kms("Decrypt", CiphertextBlob=blob) for blob in blobs]
    assert [one["Plaintext"] for one in seen] == [b"0", b"1", b"2", b"3"]
    assert len({one["KeyMaterialId"] for one in seen}) == 4


def test_a_key_is_rotated_on_demand_25_times_and_no_more(kms: Any, key_id: str) -> None:
    for _ in range(25):
        kms("RotateKeyOnDemand", KeyId=key_id)
    with pytest.raises(AwsError) as refused:
        kms("RotateKeyOnDemand", KeyId=key_id)
    assert refused.value.code == "LimitExceededException"
    assert len(kms("ListKeyRotations", KeyId=key_id)["Rotations"]) == 25


def test_the_schedule_rotates_by_the_clock_and_on_demand_leaves_it_alone(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    due = kms("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"]
    kms.app.clock.advance(89 * DAY)
    kms("RotateKeyOnDemand", KeyId=key_id)
    kms.sweep()
    assert kms("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"] == due
    kms.app.clock.advance(1 * DAY)
    kms.sweep()
    kms.sweep()
    types = [one["RotationType"] for one in kms("ListKeyRotations", KeyId=key_id)["Rotations"]]
    assert types == ["ON_DEMAND", "AUTOMATIC"]
    told = [(event["eventName"], event["serviceEventDetails"]) for event in kms.events]
    assert [(name, details["rotationType"]) for name, details in told] == [
        ("RotateKey", "ON_DEMAND"),
        ("RotateKey", "AUTOMATIC"),
    ]
    assert told[1][1]["previousKeyMaterialId"] == told[0][1]["currentKeyMaterialId"]
    assert told[0][1]["keyOrigin"] == "AWS_KMS"
    status = kms("GetKeyRotationStatus", KeyId=key_id)
    assert (status["NextRotationDate"] - due).days == 90


def test_a_disabled_key_is_not_rotated_until_it_is_enabled(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    kms("DisableKey", KeyId=key_id)
    kms.app.clock.advance(200 * DAY)
    kms.sweep()
    assert kms("ListKeyRotations", KeyId=key_id)["Rotations"] == []
    kms("EnableKey", KeyId=key_id)
    kms.sweep()
    assert len(kms("ListKeyRotations", KeyId=key_id)["Rotations"]) == 1


def test_disabled_rotation_never_comes_due(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id)
    kms("DisableKeyRotation", KeyId=key_id)
    kms.app.clock.advance(400 * DAY)
    kms.sweep()
    assert kms("ListKeyRotations", KeyId=key_id)["Rotations"] == []
    assert kms("GetKeyRotationStatus", KeyId=key_id)["KeyRotationEnabled"] is False


def test_cancelling_a_deletion_restores_the_schedule(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    kms("ScheduleKeyDeletion", KeyId=key_id)
    assert kms("GetKeyRotationStatus", KeyId=key_id)["KeyRotationEnabled"] is False
    kms("CancelKeyDeletion", KeyId=key_id)
    assert kms("GetKeyRotationStatus", KeyId=key_id)["KeyRotationEnabled"] is True


def test_a_key_whose_window_ran_out_is_gone_before_the_sweeper_comes(kms: Any, key_id: str) -> None:
    blob = kms("Encrypt", KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    kms.app.clock.advance(7 * DAY - 60)
    assert kms("DescribeKey", KeyId=key_id)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    kms.app.clock.advance(61)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("CancelKeyDeletion", {"KeyId": key_id}),
        ("EnableKey", {"KeyId": key_id}),
        ("DescribeKey", {"KeyId": key_id}),
        ("Encrypt", {"KeyId": key_id, "Plaintext": b"text"}),
        ("Decrypt", {"CiphertextBlob": blob}),
    ]
    for name, params in calls:
        with pytest.raises(AwsError) as refused:
            kms(name, **params)
        assert refused.value.code == "NotFoundException"


def test_a_deleted_keys_material_is_in_no_file_and_opens_nothing(kms: Any, key_id: str) -> None:
    kms("RotateKeyOnDemand", KeyId=key_id)
    blob = kms("Encrypt", KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    kms("CreateAlias", AliasName="alias/gone", TargetKeyId=key_id)
    kms("CreateGrant", KeyId=key_id, GranteePrincipal=kms.account.arn, Operations=["Decrypt"], Name="n")
    sealed = [value for _, value in kms.app.records.reader().scan(MATERIALS.name)]
    assert len(sealed) == 2
    assert envelope.open_message(backing_key(kms, key_id, "2"), blob, {}) == b"text"
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()

    reader = kms.app.records.reader()
    assert list(reader.scan(MATERIALS.name)) == []
    assert [row for row, _ in TOMBSTONES.scan(reader)] == [("us-east-1", key_id)]
    for table in ("kms.keys", "kms.aliases", "kms.aliases_of_key", "kms.grants", "kms.grants_of_grantee"):
        assert list(reader.scan(table)) == [], table
    for table in ("kms.named_grants", "kms.counts", "kms.due", "kms.keys_of_account"):
        assert list(reader.scan(table)) == [], table
    with pytest.raises(AwsError) as refused:
        kms("Decrypt", CiphertextBlob=blob)
    assert refused.value.code == "NotFoundException"
    event = kms.events[-1]
    assert (event["eventName"], event["recipientAccountId"]) == ("DeleteKey", kms.account.account_id)
    assert event["resources"][0]["ARN"].endswith(key_id)


def pages(directory: Path, page_key: bytes) -> bytes:
    """What whoever holds the root key can read in the data directory: the database's pages, and its log."""
    copy = directory.parent / "copy.db"
    shutil.copy(directory / "records.db", copy)
    connection = apsw.Connection(str(copy))
    connection.execute("PRAGMA cipher = 'aegis'")
    connection.execute(f'PRAGMA key = "raw:{page_key.hex()}"')
    connection.pragma("journal_mode", "delete")
    connection.execute("PRAGMA rekey = ''")
    connection.close()
    assert copy.read_bytes().startswith(b"SQLite format 3")
    return copy.read_bytes()


def test_deleted_material_is_not_even_in_unused_pages_under_the_root_key(kms: Any, key_id: str) -> None:
    kept = kms("CreateKey")["KeyMetadata"]["KeyId"]
    kms.app.records.purge()
    connection = connect(kms.data / "records.db", kms.root_key.sealing_key("pages"))
    rows = [value for (value,) in connection.execute('SELECT value FROM "r.kms.materials"')]
    connection.close()
    assert len(rows) == 2
    parts = [row[10:90] for row in rows]
    before = pages(kms.data, kms.root_key.sealing_key("pages"))
    assert all(part in before for part in parts)

    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()
    assert (kms.data / "records.db-wal").stat().st_size == 0
    after = pages(kms.data, kms.root_key.sealing_key("pages"))
    assert sorted(part in after for part in parts) == [False, True]
    assert kms("Encrypt", KeyId=kept, Plaintext=b"text")


def test_the_sweeper_leaves_alone_what_was_cancelled(kms: Any, key_id: str) -> None:
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    kms("CancelKeyDeletion", KeyId=key_id)
    kms.app.clock.advance(60 * DAY)
    kms.sweep()
    assert kms("DescribeKey", KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"


def test_material_ids_say_nothing_of_the_material(kms: Any, key_id: str) -> None:
    shown = kms("DescribeKey", KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert len(shown) == 64
    assert bytes.fromhex(shown) != backing_key(kms, key_id)
    assert len(backing_key(kms, key_id)) == 32
