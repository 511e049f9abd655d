"""Damaged rows keep no other key from its time, and material goes whatever else is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from kms_damage import count, flip
from kms_wrapping import wrapped

from freehold.errors import AwsError
from freehold.services.kms.records import KEYS, MATERIALS
from freehold.storage.records import CorruptRecord

DAY = 86_400
HERE = "us-east-1"


def doomed(kms: Any) -> str:
    key_id: str = kms("CreateKey")["KeyMetadata"]["KeyId"]
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    return key_id


def test_damaged_material_is_destroyed_with_its_key(kms: Any) -> None:
    flip(kms, "kms.materials", HERE, doomed(kms), 1)
    doomed(kms)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()
    assert list(kms.app.records.reader().scan(KEYS.name)) == []
    assert count(kms, "kms.materials") == 0


def test_a_damaged_key_record_keeps_no_other_key_from_its_deletion(kms: Any) -> None:
    damaged, other = doomed(kms), doomed(kms)
    flip(kms, "kms.keys", HERE, damaged)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()
    reader = kms.app.records.reader()
    assert KEYS.get(reader, (HERE, other)) is None
    with pytest.raises(CorruptRecord):
        KEYS.get(reader, (HERE, damaged))


def test_a_damaged_grant_keeps_no_material(kms: Any) -> None:
    key_id = kms("CreateKey")["KeyMetadata"]["KeyId"]
    grant = kms("CreateGrant", KeyId=key_id, GranteePrincipal=kms.account.arn, Operations=["Decrypt"])
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    other = doomed(kms)
    flip(kms, "kms.grants", HERE, key_id, grant["GrantId"])
    kms.app.clock.advance(8 * DAY)
    for _ in range(2):
        kms.sweep()
    assert KEYS.get(kms.app.records.reader(), (HERE, other)) is None
    assert count(kms, "kms.materials") == 0
    with pytest.raises(AwsError) as refused:
        kms("DescribeKey", KeyId=key_id)
    assert refused.value.code == "NotFoundException"


def test_a_damaged_import_keeps_no_other_material_from_expiring(kms: Any) -> None:
    made = []
    for _ in range(2):
        key_id = kms("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
        algorithm = "RSAES_OAEP_SHA_256"
        given = kms("GetParametersForImport", KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
        kms(
            "ImportKeyMaterial",
            KeyId=key_id,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=wrapped(algorithm, given["PublicKey"], bytes(32)),
            ExpirationModel="KEY_MATERIAL_EXPIRES",
            ValidTo=kms.app.clock.now() + timedelta(days=1),
        )
        made.append(key_id)
    damaged, other = made
    flip(kms, "kms.imported", HERE, damaged, 1)
    kms.app.clock.advance(2 * DAY)
    kms.sweep()
    reader = kms.app.records.reader()
    assert MATERIALS.get(reader, (HERE, other, 1)) is None
    with pytest.raises(AwsError) as refused:
        kms("Encrypt", KeyId=damaged, Plaintext=b"text")
    assert refused.value.code == "KMSInvalidStateException"
