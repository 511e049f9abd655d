"""Rotation by schedule and on demand: for which keys, when, and when not."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.errors import AwsError

DAY = 86_400
OTHERS = [
    ("RSA_2048", "SIGN_VERIFY"),
    ("ECC_NIST_P256", "KEY_AGREEMENT"),
    ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ("ML_DSA_44", "SIGN_VERIFY"),
]


def code(kms: Any, name: str, **params: Any) -> str:
    with pytest.raises(AwsError) as refused:
        kms(name, **params)
    found: str = refused.value.code
    return found


def rotations(kms: Any, key_id: str) -> list[str]:
    return [one["RotationType"] for one in kms("ListKeyRotations", KeyId=key_id)["Rotations"]]


@pytest.mark.parametrize(("spec", "usage"), OTHERS)
def test_keys_with_one_material_for_good_do_not_rotate(kms: Any, spec: str, usage: str) -> None:
    key_id = kms("CreateKey", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    for name in ("EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand", "ListKeyRotations"):
        assert code(kms, name, KeyId=key_id) == "UnsupportedOperationException"
    assert kms("GetKeyRotationStatus", KeyId=key_id)["KeyRotationEnabled"] is False


def test_no_rotation_on_demand_is_begun_just_before_a_scheduled_one(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    kms.app.clock.advance(90 * DAY - 25 * 60)
    kms("RotateKeyOnDemand", KeyId=key_id)
    kms.app.clock.advance(6 * 60)
    assert code(kms, "RotateKeyOnDemand", KeyId=key_id) == "ConflictException"
    kms.app.clock.advance(20 * 60)
    assert code(kms, "RotateKeyOnDemand", KeyId=key_id) == "ConflictException"
    kms.sweep()
    kms("RotateKeyOnDemand", KeyId=key_id)
    assert rotations(kms, key_id) == ["ON_DEMAND", "AUTOMATIC", "ON_DEMAND"]


def test_a_refused_rotation_counts_for_nothing(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    kms.app.clock.advance(90 * DAY - 60)
    for _ in range(26):
        assert code(kms, "RotateKeyOnDemand", KeyId=key_id) == "ConflictException"
    kms("DisableKeyRotation", KeyId=key_id)
    for _ in range(25):
        kms("RotateKeyOnDemand", KeyId=key_id)
    assert code(kms, "RotateKeyOnDemand", KeyId=key_id) == "LimitExceededException"


def test_years_without_a_look_are_one_rotation_and_the_next_is_on_its_day(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=100)
    first = kms("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"]
    kms.app.clock.advance(350 * DAY)
    kms.sweep()
    kms.sweep()
    assert rotations(kms, key_id) == ["AUTOMATIC"]
    assert (kms("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"] - first).days == 300


def test_a_new_period_counts_from_the_day_it_is_set(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    kms.app.clock.advance(60 * DAY)
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=120)
    kms.app.clock.advance(100 * DAY)
    kms.sweep()
    assert rotations(kms, key_id) == []
    kms.app.clock.advance(20 * DAY)
    kms.sweep()
    assert rotations(kms, key_id) == ["AUTOMATIC"]
    assert kms("GetKeyRotationStatus", KeyId=key_id)["RotationPeriodInDays"] == 120


def test_a_key_pending_deletion_is_not_rotated(kms: Any, key_id: str) -> None:
    kms("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    kms.app.clock.advance(85 * DAY)
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=30)
    assert code(kms, "RotateKeyOnDemand", KeyId=key_id) == "KMSInvalidStateException"
    kms.app.clock.advance(20 * DAY)
    kms.sweep()
    assert rotations(kms, key_id) == []
    kms("CancelKeyDeletion", KeyId=key_id)
    kms.sweep()
    assert rotations(kms, key_id) == []
    kms("EnableKey", KeyId=key_id)
    kms.sweep()
    assert rotations(kms, key_id) == ["AUTOMATIC"]


def test_rotations_come_in_pages(kms: Any, key_id: str) -> None:
    for _ in range(5):
        kms("RotateKeyOnDemand", KeyId=key_id)
    seen: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = kms("ListKeyRotations", KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL", Limit=2, **marker)
        seen += [one["KeyMaterialId"] for one in page["Rotations"]]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert len(seen) == len(set(seen)) == 6
    everything = kms("ListKeyRotations", KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [one["KeyMaterialId"] for one in everything] == seen
    assert "RotationDate" not in everything[0]
    assert [one["KeyMaterialState"] for one in everything] == ["NON_CURRENT"] * 5 + ["CURRENT"]
    assert not {"ImportState", "ExpirationModel"} & set(everything[0])
    assert code(kms, "ListKeyRotations", KeyId=key_id, Marker="x") == "InvalidMarkerException"


def test_a_rotation_is_done_with_its_call(kms: Any, key_id: str) -> None:
    before = kms("DescribeKey", KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"]
    kms("RotateKeyOnDemand", KeyId=key_id)
    status = kms("GetKeyRotationStatus", KeyId=key_id)
    assert "OnDemandRotationStartDate" not in status
    assert kms("DescribeKey", KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"] != before
