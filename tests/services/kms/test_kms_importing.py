"""Imported key material: brought in, expired, deleted, brought in again, rotated; and everything that is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from kms_wrapping import ALGORITHMS, FOR_EVER, private_bytes, wrapped
from test_kms_material import pages

from freehold.errors import AwsError
from freehold.services.kms import loaded
from freehold.services.kms.records import DUE, IMPORT_EPOCHS, IMPORTED, KEYS, MATERIALS

HOUR, DAY = 3_600, 86_400
HYBRID = "RSA_AES_KEY_WRAP_SHA_256"
MATERIAL = bytes(range(32))
OTHER = bytes(range(1, 33))


@pytest.fixture
def external(kms: Any) -> str:
    made: str = kms("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    return made


def refused(code: str, text: str = "") -> Any:
    """`with refused("…Exception"): …`: the operation in this process is refused so."""

    class Expect:
        def __enter__(self) -> None:
            self.raises = pytest.raises(AwsError)
            self.info = self.raises.__enter__()

        def __exit__(self, *what: Any) -> bool:
            caught = self.raises.__exit__(*what)
            assert self.info.value.code == code, self.info.value
            assert text in self.info.value.message
            return bool(caught)

    return Expect()


def parameters(kms: Any, key_id: str, algorithm: str = "RSAES_OAEP_SHA_256", spec: str = "RSA_2048") -> Any:
    return kms("GetParametersForImport", KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)


def bring(kms: Any, key_id: str, material: bytes, algorithm: str = "RSAES_OAEP_SHA_256", **params: Any) -> Any:
    """GetParametersForImport and ImportKeyMaterial, for ever unless `params` say otherwise."""
    given = parameters(kms, key_id, algorithm)
    return kms(
        "ImportKeyMaterial",
        KeyId=key_id,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrapped(algorithm, given["PublicKey"], material),
        **(params if "ExpirationModel" in params or "ValidTo" in params else {**FOR_EVER, **params}),
    )


def until(kms: Any, seconds: int) -> dict[str, Any]:
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": kms.app.clock.now() + timedelta(seconds=seconds)}


def metadata(kms: Any, key_id: str) -> Any:
    return kms("DescribeKey", KeyId=key_id)["KeyMetadata"]


def listed(kms: Any, key_id: str) -> list[tuple[str, str]]:
    """(state, import state) of all the key's materials."""
    found = kms("ListKeyRotations", KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    return [(one["KeyMaterialState"], one["ImportState"]) for one in found]


def sealed(kms: Any, key_id: str) -> list[int]:
    """The numbers of the materials that the store has."""
    return [int(row[2]) for row, _ in kms.app.records.reader().scan(MATERIALS.name, ("us-east-1", key_id))]


# --- symmetric keys ---------------------------------------------------------------------------------------------------


def test_a_key_made_for_imports_has_no_material_and_does_nothing(kms: Any, external: str) -> None:
    shown = metadata(kms, external)
    assert (shown["KeyState"], shown["Enabled"], shown["Origin"]) == ("PendingImport", False, "EXTERNAL")
    assert not {"ExpirationModel", "ValidTo", "CurrentKeyMaterialId"} & set(shown)
    assert sealed(kms, external) == []
    for name, params in (("Encrypt", {"Plaintext": b"text"}), ("EnableKey", {}), ("RotateKeyOnDemand", {})):
        with refused("KMSInvalidStateException", "is pending import"):
            kms(name, KeyId=external, **params)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_material_comes_in_every_wrapping(kms: Any, external: str, algorithm: str) -> None:
    answer = bring(kms, external, MATERIAL, algorithm)
    shown = metadata(kms, external)
    assert (shown["KeyState"], shown["Enabled"]) == ("Enabled", True)
    assert shown["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    assert shown["CurrentKeyMaterialId"] == answer["KeyMaterialId"]
    blob = kms("Encrypt", KeyId=external, Plaintext=b"text")["CiphertextBlob"]
    opened = kms("Decrypt", CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"text", answer["KeyMaterialId"])


@pytest.mark.parametrize(("spec", "bits"), [("RSA_2048", 2048), ("RSA_3072", 3072), ("RSA_4096", 4096)])
def test_the_wrapping_key_is_as_long_as_was_asked(kms: Any, external: str, spec: str, bits: int) -> None:
    before = kms.app.clock.now_seconds()
    given = parameters(kms, external, spec=spec)
    key = serialization.load_der_public_key(given["PublicKey"])
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == bits
    assert len(given["ImportToken"]) <= 6144
    assert 0 <= given["ParametersValidTo"].timestamp() - before - DAY + 1 <= 5
    assert given["KeyId"].endswith(f"key/{external}")


def test_the_material_is_the_importers_own(kms: Any, external: str) -> None:
    """Whoever has the material and docs/formats/kms-ciphertext.md opens what was encrypted under it."""
    bring(kms, external, MATERIAL)
    blob = kms("Encrypt", KeyId=external, Plaintext=b"text")["CiphertextBlob"]
    end = 1
    for _ in range(4):
        end += 1 + blob[end]
    info = b"freehold kms message v1\0" + blob[end : end + 16] + blob[:end] + bytes(4)
    assert hmac.digest(MATERIAL, info + b"\1", "sha512")[32:] == blob[end + 16 : end + 48]


def test_a_token_serves_for_as_many_imports_as_a_day_has(kms: Any, external: str) -> None:
    given = parameters(kms, external)
    again = {
        "KeyId": external,
        "ImportToken": given["ImportToken"],
        "EncryptedKeyMaterial": wrapped("RSAES_OAEP_SHA_256", given["PublicKey"], MATERIAL),
        **FOR_EVER,
    }
    kms("ImportKeyMaterial", **again)
    kms.app.clock.advance(DAY - 60)
    kms.sweep()
    kms("ImportKeyMaterial", **again)
    kms.app.clock.advance(61)
    with refused("ExpiredImportTokenException"):
        kms("ImportKeyMaterial", **again)
    kms.app.clock.advance(3 * DAY)
    kms.sweep()
    with refused("ExpiredImportTokenException"):
        kms("ImportKeyMaterial", **again)


def test_what_sealed_a_token_is_gone_after_its_time(kms: Any, external: str) -> None:
    """A client's token and wrapped material, the root key and the whole directory then open nothing together."""
    parameters(kms, external)
    ((number, epoch),) = IMPORT_EPOCHS.scan(kms.app.records.reader())
    assert len(epoch.secret) == 32
    assert "secret" not in repr(epoch)
    kms.app.clock.advance(DAY - 60)
    kms.sweep()
    assert [row for row, _ in IMPORT_EPOCHS.scan(kms.app.records.reader())] == [number]
    kms.app.clock.advance(DAY + 60)
    kms.sweep()
    assert list(IMPORT_EPOCHS.scan(kms.app.records.reader())) == []
    assert (kms.data / "records.db-wal").stat().st_size == 0


def test_asking_for_many_parameters_keeps_nothing(kms: Any, external: str) -> None:
    for _ in range(3):
        parameters(kms, external)
    assert len(list(IMPORT_EPOCHS.scan(kms.app.records.reader()))) == 1


# --- deleted and brought in again -------------------------------------------------------------------------------------


def test_deleted_material_opens_nothing_until_it_comes_again(kms: Any, external: str) -> None:
    first = bring(kms, external, MATERIAL)["KeyMaterialId"]
    blob = kms("Encrypt", KeyId=external, Plaintext=b"text")["CiphertextBlob"]
    gone = kms("DeleteImportedKeyMaterial", KeyId=external)
    assert gone["KeyMaterialId"] == first
    assert metadata(kms, external)["KeyState"] == "PendingImport"
    assert sealed(kms, external) == []
    with refused("KMSInvalidStateException", "is pending import"):
        kms("Decrypt", CiphertextBlob=blob)
    assert bring(kms, external, MATERIAL)["KeyMaterialId"] == first
    assert kms("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"text"


def test_deleted_material_is_not_even_in_unused_pages_under_the_root_key(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL)
    record = MATERIALS.get(kms.app.records.reader(), ("us-east-1", external, 1))
    assert record is not None
    kms.app.records.purge()
    before = pages(kms.data, kms.root_key.sealing_key("pages"))
    kms("DeleteImportedKeyMaterial", KeyId=external)
    assert (kms.data / "records.db-wal").stat().st_size == 0
    after = pages(kms.data, kms.root_key.sealing_key("pages"))
    assert b"r.kms.materials" in before
    assert list(kms.app.records.reader().scan(MATERIALS.name)) == []
    assert MATERIAL not in before + after


def test_other_material_never_takes_the_place_of_what_was_there(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL)
    for _ in range(2):
        with refused("IncorrectKeyMaterialException"):
            bring(kms, external, OTHER)
        with refused("IncorrectKeyMaterialException"):
            bring(kms, external, OTHER, ImportType="EXISTING_KEY_MATERIAL")
        kms("DeleteImportedKeyMaterial", KeyId=external)


def test_deleting_what_is_not_there_succeeds(kms: Any, external: str) -> None:
    assert "KeyMaterialId" not in kms("DeleteImportedKeyMaterial", KeyId=external)
    bring(kms, external, MATERIAL)
    for _ in range(2):
        kms("DeleteImportedKeyMaterial", KeyId=external)
    assert metadata(kms, external)["KeyState"] == "PendingImport"
    with refused("NotFoundException"):
        kms("DeleteImportedKeyMaterial", KeyId=external, KeyMaterialId="0" * 64)


def test_importing_does_not_enable_what_was_disabled(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL)
    kms("DisableKey", KeyId=external)
    bring(kms, external, MATERIAL)
    assert metadata(kms, external)["KeyState"] == "Disabled"


def test_a_key_pending_deletion_stays_so_without_material(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL)
    kms("ScheduleKeyDeletion", KeyId=external)
    kms("DeleteImportedKeyMaterial", KeyId=external)
    assert metadata(kms, external)["KeyState"] == "PendingDeletion"
    assert sealed(kms, external) == []
    for name in ("GetParametersForImport", "ImportKeyMaterial"):
        with refused("KMSInvalidStateException", "is pending deletion"):
            if name == "GetParametersForImport":
                parameters(kms, external)
            else:
                kms(name, KeyId=external, ImportToken=b"t", EncryptedKeyMaterial=b"m", **FOR_EVER)
    kms("CancelKeyDeletion", KeyId=external)
    assert metadata(kms, external)["KeyState"] == "PendingImport"
    bring(kms, external, MATERIAL)
    assert metadata(kms, external)["KeyState"] == "Enabled"


def test_a_destroyed_key_leaves_nothing_of_its_imports(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL, **until(kms, 3 * DAY))
    kms("ScheduleKeyDeletion", KeyId=external, PendingWindowInDays=7)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()
    reader = kms.app.records.reader()
    for table in (KEYS, MATERIALS, IMPORTED, DUE):
        assert list(reader.scan(table.name)) == [], table.name


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_expired_material_is_gone_at_once_and_comes_again(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL, **until(kms, HOUR))
    assert metadata(kms, external)["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
    assert metadata(kms, external)["ValidTo"] > kms.app.clock.now()
    blob = kms("Encrypt", KeyId=external, Plaintext=b"text")["CiphertextBlob"]
    kms.app.clock.advance(HOUR - 60)
    assert kms("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"text"
    kms.app.clock.advance(61)
    # The sweeper has not come yet.
    assert sealed(kms, external) == [1]
    for _ in range(2):
        with refused("KMSInvalidStateException", "is pending import"):
            kms("Decrypt", CiphertextBlob=blob)
        with refused("KMSInvalidStateException", "is pending import"):
            kms("Encrypt", KeyId=external, Plaintext=b"text")
        with refused("KMSInvalidStateException", "is pending import"):
            kms("EnableKey", KeyId=external)
    shown = metadata(kms, external)
    assert (shown["KeyState"], shown["Enabled"]) == ("PendingImport", False)
    assert listed(kms, external) == [("CURRENT", "PENDING_IMPORT")]
    bring(kms, external, MATERIAL)
    assert kms("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"text"
    assert [event["eventName"] for event in kms.events] == ["DeleteExpiredKeyMaterial"]


def test_the_sweeper_erases_what_expired_and_tells_the_account(kms: Any, external: str) -> None:
    material_id = bring(kms, external, MATERIAL, **until(kms, HOUR))["KeyMaterialId"]
    kms.app.clock.advance(HOUR + 1)
    kms.sweep()
    kms.sweep()
    assert sealed(kms, external) == []
    assert (kms.data / "records.db-wal").stat().st_size == 0
    (event,) = kms.events
    assert (event["eventName"], event["eventType"]) == ("DeleteExpiredKeyMaterial", "AwsServiceEvent")
    assert event["serviceEventDetails"] == {"keyId": external, "keyMaterialId": material_id}
    assert event["recipientAccountId"] == kms.account.account_id
    assert metadata(kms, external)["KeyState"] == "PendingImport"
    kept = KEYS.get(kms.app.records.reader(), ("us-east-1", external))
    assert kept is not None
    assert (kept.state, kept.expires_at) == ("PendingImport", 0.0)


def test_expired_material_is_let_go_of_with_the_first_refusal(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL, **until(kms, HOUR))
    kms("Encrypt", KeyId=external, Plaintext=b"text")
    held = loaded.by_id(kms.call("DescribeKey"), external)
    assert held is not None
    assert [opened[0] for opened in held._opened.values()] == [MATERIAL]
    kms.app.clock.advance(HOUR + 1)
    with refused("KMSInvalidStateException"):
        kms("Encrypt", KeyId=external, Plaintext=b"text")
    assert loaded.by_id(kms.call("DescribeKey"), external) is held
    assert held._opened == {}


def test_importing_again_sets_and_takes_away_the_date(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL, **until(kms, HOUR))
    bring(kms, external, MATERIAL, **until(kms, 2 * HOUR))
    kms.app.clock.advance(HOUR + 1)
    kms.sweep()
    assert metadata(kms, external)["KeyState"] == "Enabled"
    bring(kms, external, MATERIAL)
    assert "ValidTo" not in metadata(kms, external)
    kms.app.clock.advance(2 * HOUR)
    kms.sweep()
    assert metadata(kms, external)["KeyState"] == "Enabled"
    assert kms.events == []


def test_a_deadline_that_a_deletion_comes_before_is_not_waited_for(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL, **until(kms, 30 * DAY))
    kms("ScheduleKeyDeletion", KeyId=external, PendingWindowInDays=7)
    kms.app.clock.advance(7 * DAY + 1)
    with refused("NotFoundException"):
        metadata(kms, external)


EXPIRATIONS: list[tuple[dict[str, Any], int | None, bool]] = [
    # model, seconds from now or none, accepted
    ({}, None, False),
    ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, None, False),
    ({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}, HOUR, False),
    ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, -1, False),
    ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, 365 * DAY + 60, False),
    ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, 365 * DAY - 60, True),
    ({}, HOUR, True),
    ({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}, None, True),
]


@pytest.mark.parametrize(("model", "seconds", "accepted"), EXPIRATIONS)
def test_dates_are_in_the_future_and_at_most_a_year_ahead(
    kms: Any, external: str, model: dict[str, Any], seconds: int | None, accepted: bool
) -> None:
    given = parameters(kms, external)
    params = dict(model)
    if seconds is not None:
        params["ValidTo"] = kms.app.clock.now() + timedelta(seconds=seconds)
    params["EncryptedKeyMaterial"] = wrapped("RSAES_OAEP_SHA_256", given["PublicKey"], MATERIAL)
    if accepted:
        kms("ImportKeyMaterial", KeyId=external, ImportToken=given["ImportToken"], **params)
    else:
        with refused("ValidationException"):
            kms("ImportKeyMaterial", KeyId=external, ImportToken=given["ImportToken"], **params)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_every_altered_token_is_refused(kms: Any, external: str) -> None:
    given = parameters(kms, external)
    token, material = given["ImportToken"], wrapped("RSAES_OAEP_SHA_256", given["PublicKey"], MATERIAL)
    cases = [b"t", bytes(5), token[:4], token[:5], token[:80], token[:-1], token + b"\0", b"\2" + token[1:]]
    cases += [token[:at] + bytes((token[at] ^ 1,)) + token[at + 1 :] for at in (2, 5, 20, 60, 70, len(token) - 1)]
    for case in cases:
        with refused("InvalidImportTokenException"):
            kms("ImportKeyMaterial", KeyId=external, ImportToken=case, EncryptedKeyMaterial=material, **FOR_EVER)
    assert metadata(kms, external)["KeyState"] == "PendingImport"


def test_a_token_is_for_its_own_key(kms: Any, external: str) -> None:
    given = parameters(kms, external)
    other = kms("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    material = wrapped("RSAES_OAEP_SHA_256", given["PublicKey"], MATERIAL)
    with refused("InvalidImportTokenException"):
        kms(
            "ImportKeyMaterial",
            KeyId=other,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=material,
            **FOR_EVER,
        )


@pytest.mark.parametrize("asked", ALGORITHMS)
def test_material_in_another_wrapping_than_was_asked_for_is_refused(kms: Any, external: str, asked: str) -> None:
    given = parameters(kms, external, asked)
    for used in ALGORITHMS:
        if used == asked:
            continue
        with refused("InvalidCiphertextException"):
            kms(
                "ImportKeyMaterial",
                KeyId=external,
                ImportToken=given["ImportToken"],
                EncryptedKeyMaterial=wrapped(used, given["PublicKey"], MATERIAL),
                **FOR_EVER,
            )


def _altered(content: bytes) -> bytes:
    return content[:-1] + bytes((content[-1] ^ 1,))


BAD_WRAPPINGS: list[tuple[str, str, Callable[[bytes], bytes], str]] = [
    # what, wrapping algorithm, what is sent (from the public key), error
    ("one byte", "RSAES_OAEP_SHA_256", lambda key: b"x", "InvalidCiphertextException"),
    ("altered", "RSAES_OAEP_SHA_256", lambda key: _altered(wrapped("RSAES_OAEP_SHA_256", key, MATERIAL)), "Invalid"),
    ("cut", "RSAES_OAEP_SHA_256", lambda key: wrapped("RSAES_OAEP_SHA_256", key, MATERIAL)[:-1], "Invalid"),
    ("longer", "RSAES_OAEP_SHA_256", lambda key: wrapped("RSAES_OAEP_SHA_256", key, MATERIAL) + b"\0", "Invalid"),
    ("beyond the modulus", "RSAES_OAEP_SHA_256", lambda key: b"\xff" * 256, "Invalid"),
    ("hybrid, RSA alone", "RSA_AES_KEY_WRAP_SHA_256", lambda key: wrapped("RSAES_OAEP_SHA_256", key, MATERIAL), "In"),
    (
        "hybrid, altered",
        "RSA_AES_KEY_WRAP_SHA_256",
        lambda key: _altered(wrapped("RSA_AES_KEY_WRAP_SHA_256", key, MATERIAL)),
        "Invalid",
    ),
    (
        "hybrid, cut",
        "RSA_AES_KEY_WRAP_SHA_256",
        lambda key: wrapped("RSA_AES_KEY_WRAP_SHA_256", key, MATERIAL)[:-8],
        "Invalid",
    ),
    (
        "hybrid, AES-128",
        "RSA_AES_KEY_WRAP_SHA_256",
        lambda key: wrapped("RSA_AES_KEY_WRAP_SHA_256", key, MATERIAL, aes_key_bytes=16),
        "Invalid",
    ),
]


@pytest.mark.parametrize(("what", "algorithm", "sent", "error"), BAD_WRAPPINGS, ids=[row[0] for row in BAD_WRAPPINGS])
def test_what_does_not_open_or_does_not_fit_is_refused(
    kms: Any, external: str, what: str, algorithm: str, sent: Callable[[bytes], bytes], error: str
) -> None:
    given = parameters(kms, external, algorithm)
    with pytest.raises(AwsError) as answer:
        kms(
            "ImportKeyMaterial",
            KeyId=external,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=sent(given["PublicKey"]),
            **FOR_EVER,
        )
    assert answer.value.code.startswith(error)
    assert metadata(kms, external)["KeyState"] == "PendingImport"
    assert sealed(kms, external) == []


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [*(("RSAES_OAEP_SHA_256", size) for size in (1, 16, 31, 33, 64)), *((HYBRID, size) for size in (1, 24, 4096))],
)
def test_material_of_another_length_is_refused(kms: Any, external: str, algorithm: str, size: int) -> None:
    with refused("IncorrectKeyMaterialException", "must have 32 bytes"):
        bring(kms, external, bytes(size), algorithm)
    assert metadata(kms, external)["KeyState"] == "PendingImport"
    assert sealed(kms, external) == []


UNSUPPORTED = [
    ("RSAES_PKCS1_V1_5", "RSA_2048"),
    ("SM2PKE", "SM2"),
    ("RSAES_OAEP_SHA_256", "SM2"),
    ("SM2PKE", "RSA_2048"),
]


@pytest.mark.parametrize(("algorithm", "spec"), UNSUPPORTED)
def test_wrappings_that_aws_has_ended_or_has_in_china_are_refused(
    kms: Any, external: str, algorithm: str, spec: str
) -> None:
    with refused("UnsupportedOperationException"):
        parameters(kms, external, algorithm, spec)


def test_keys_whose_material_was_made_here_take_none(kms: Any, key_id: str, external: str) -> None:
    with refused("UnsupportedOperationException", "origin is AWS_KMS"):
        parameters(kms, key_id)
    with refused("UnsupportedOperationException", "origin is AWS_KMS"):
        kms("ImportKeyMaterial", KeyId=key_id, ImportToken=b"t", EncryptedKeyMaterial=b"m", **FOR_EVER)
    with refused("UnsupportedOperationException", "origin is AWS_KMS"):
        kms("DeleteImportedKeyMaterial", KeyId=key_id)
    assert kms("Encrypt", KeyId=key_id, Plaintext=b"text")


def test_another_accounts_key_takes_nothing(kms: Any, external: str) -> None:
    stranger = kms.new_account()
    arn = metadata(kms, external)["Arn"]
    for name, params in (
        ("GetParametersForImport", {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
        ("ImportKeyMaterial", {"ImportToken": b"t", "EncryptedKeyMaterial": b"m", **FOR_EVER}),
        ("DeleteImportedKeyMaterial", {}),
    ):
        with refused("AccessDeniedException"):
            kms(name, as_=stranger, KeyId=arn, **params)


# --- several materials ------------------------------------------------------------------------------------------------


def test_a_key_is_rotated_to_what_was_imported_for_it(kms: Any, external: str) -> None:
    first = bring(kms, external, MATERIAL)["KeyMaterialId"]
    old = kms("Encrypt", KeyId=external, Plaintext=b"old")["CiphertextBlob"]
    with refused("KMSInvalidStateException", "pending rotation"):
        kms("RotateKeyOnDemand", KeyId=external)
    second = bring(kms, external, OTHER, ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="of 2027")
    assert metadata(kms, external)["CurrentKeyMaterialId"] == first
    assert listed(kms, external) == [("CURRENT", "IMPORTED"), ("PENDING_ROTATION", "IMPORTED")]
    assert kms("ListKeyRotations", KeyId=external)["Rotations"] == []

    kms("RotateKeyOnDemand", KeyId=external)
    assert metadata(kms, external)["CurrentKeyMaterialId"] == second["KeyMaterialId"]
    assert listed(kms, external) == [("NON_CURRENT", "IMPORTED"), ("CURRENT", "IMPORTED")]
    new = kms("Encrypt", KeyId=external, Plaintext=b"new")["CiphertextBlob"]
    assert kms("Decrypt", CiphertextBlob=old)["KeyMaterialId"] == first
    assert kms("Decrypt", CiphertextBlob=new)["KeyMaterialId"] == second["KeyMaterialId"]
    (rotation,) = kms("ListKeyRotations", KeyId=external)["Rotations"]
    assert (rotation["RotationType"], rotation["KeyMaterialDescription"]) == ("ON_DEMAND", "of 2027")
    assert rotation["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"


def test_a_key_needs_all_that_belongs_to_it(kms: Any, external: str) -> None:
    first = bring(kms, external, MATERIAL)["KeyMaterialId"]
    old = kms("Encrypt", KeyId=external, Plaintext=b"old")["CiphertextBlob"]
    bring(kms, external, OTHER, ImportType="NEW_KEY_MATERIAL", **until(kms, HOUR))
    kms("RotateKeyOnDemand", KeyId=external)
    assert metadata(kms, external)["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
    kms("DeleteImportedKeyMaterial", KeyId=external, KeyMaterialId=first)
    assert listed(kms, external) == [("NON_CURRENT", "PENDING_IMPORT"), ("CURRENT", "IMPORTED")]
    with refused("KMSInvalidStateException", "is pending import"):
        kms("Encrypt", KeyId=external, Plaintext=b"text")
    kms.app.clock.advance(HOUR + 1)
    kms.sweep()
    bring(kms, external, MATERIAL, KeyMaterialId=first)
    assert metadata(kms, external)["KeyState"] == "PendingImport"
    bring(kms, external, OTHER)
    assert metadata(kms, external)["KeyState"] == "Enabled"
    assert kms("Decrypt", CiphertextBlob=old)["Plaintext"] == b"old"


def test_material_that_waits_may_go_without_a_trace(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL)
    waiting = bring(kms, external, OTHER, ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]
    kms("DeleteImportedKeyMaterial", KeyId=external, KeyMaterialId=waiting)
    assert metadata(kms, external)["KeyState"] == "Enabled"
    assert listed(kms, external) == [("CURRENT", "IMPORTED")]
    with refused("IncorrectKeyMaterialException"):
        bring(kms, external, OTHER)

    bring(kms, external, bytes(32), ImportType="NEW_KEY_MATERIAL", **until(kms, HOUR))
    assert "ValidTo" not in metadata(kms, external)
    kms.app.clock.advance(HOUR + 1)
    with refused("KMSInvalidStateException", "pending rotation"):
        kms("RotateKeyOnDemand", KeyId=external)
    kms.sweep()
    assert metadata(kms, external)["KeyState"] == "Enabled"
    assert listed(kms, external) == [("CURRENT", "IMPORTED")]
    assert sealed(kms, external) == [1]


def test_one_material_waits_at_a_time(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL)
    bring(kms, external, OTHER, ImportType="NEW_KEY_MATERIAL")
    with refused("KMSInvalidStateException", "pending rotation"):
        bring(kms, external, bytes(32), ImportType="NEW_KEY_MATERIAL")
    for known in (MATERIAL, OTHER):
        with refused("IncorrectKeyMaterialException", "already associated"):
            bring(kms, external, known, ImportType="NEW_KEY_MATERIAL")


def test_a_material_id_names_that_material_alone(kms: Any, external: str) -> None:
    first = bring(kms, external, MATERIAL)["KeyMaterialId"]
    second = bring(kms, external, OTHER, ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]
    with refused("IncorrectKeyMaterialException"):
        bring(kms, external, MATERIAL, KeyMaterialId=second)
    with refused("IncorrectKeyMaterialException"):
        bring(kms, external, bytes(32), KeyMaterialId="0" * 64)
    with refused("ValidationException"):
        bring(kms, external, bytes(32), KeyMaterialId=first, ImportType="NEW_KEY_MATERIAL")
    assert bring(kms, external, OTHER, KeyMaterialId=second)["KeyMaterialId"] == second


def test_the_first_import_is_of_new_material(kms: Any, external: str) -> None:
    with refused("IncorrectKeyMaterialException"):
        bring(kms, external, MATERIAL, ImportType="EXISTING_KEY_MATERIAL")
    with refused("IncorrectKeyMaterialException"):
        bring(kms, external, MATERIAL, KeyMaterialId="0" * 64)
    bring(kms, external, MATERIAL, ImportType="NEW_KEY_MATERIAL")
    assert metadata(kms, external)["KeyState"] == "Enabled"


def test_a_description_stays_until_another_comes(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL, KeyMaterialDescription="first")
    bring(kms, external, MATERIAL)

    def description() -> str:
        found = kms("ListKeyRotations", KeyId=external, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
        shown: str = found[0]["KeyMaterialDescription"]
        return shown

    assert description() == "first"
    bring(kms, external, MATERIAL, KeyMaterialDescription="second")
    assert description() == "second"


def test_a_material_id_tells_nobody_which_material_it_is(kms: Any, external: str) -> None:
    """The same material has another id in another key, and none that can be worked out from what clients see."""
    other = kms("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    ids = [bring(kms, one, MATERIAL)["KeyMaterialId"] for one in (external, other)]
    assert len(set(ids)) == 2
    named = b"freehold kms imported material v1\0" + external.encode() + b"\0"
    for guess in (hashlib.sha256(MATERIAL), hashlib.sha256(named + MATERIAL), hmac.new(MATERIAL, named, "sha256")):
        assert guess.hexdigest() not in ids
    record = KEYS.get(kms.app.records.reader(), ("us-east-1", external))
    assert record is not None
    assert ids[0] == hmac.digest(record.import_secret, named + MATERIAL, "sha256").hex()
    assert "import_secret" not in repr(record)


def test_imported_keys_have_no_schedule(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL)
    for name in ("EnableKeyRotation", "DisableKeyRotation"):
        with refused("UnsupportedOperationException", "origin is EXTERNAL"):
            kms(name, KeyId=external)
    assert kms("GetKeyRotationStatus", KeyId=external)["KeyRotationEnabled"] is False


# --- HMAC keys and key pairs ------------------------------------------------------------------------------------------


@cache
def rsa_key() -> Any:
    return rsa.generate_private_key(65537, 2048)


def new_key(kms: Any, spec: str, usage: str) -> str:
    made: str = kms("CreateKey", Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    return made


SIGNING: list[tuple[str, Callable[[], Any], str, Callable[[Any, bytes, bytes], None]]] = [
    # spec, private key, signing algorithm, verification outside of Freehold
    (
        "RSA_2048",
        rsa_key,
        "RSASSA_PKCS1_V1_5_SHA_256",
        lambda key, signature, text: key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256()),
    ),
    (
        "ECC_NIST_P256",
        lambda: ec.generate_private_key(ec.SECP256R1()),
        "ECDSA_SHA_256",
        lambda key, signature, text: key.verify(signature, text, ec.ECDSA(hashes.SHA256())),
    ),
    (
        "ECC_SECG_P256K1",
        lambda: ec.generate_private_key(ec.SECP256K1()),
        "ECDSA_SHA_256",
        lambda key, signature, text: key.verify(signature, text, ec.ECDSA(hashes.SHA256())),
    ),
    (
        "ECC_NIST_EDWARDS25519",
        ed25519.Ed25519PrivateKey.generate,
        "ED25519_SHA_512",
        lambda key, signature, text: key.verify(signature, text),
    ),
    (
        "ML_DSA_44",
        mldsa.MLDSA44PrivateKey.generate,
        "ML_DSA_SHAKE_256",
        lambda key, signature, text: key.verify(signature, text),
    ),
]


@pytest.mark.parametrize(("spec", "make", "algorithm", "verify"), SIGNING, ids=[row[0] for row in SIGNING])
def test_an_imported_private_key_signs_as_itself(
    kms: Any, spec: str, make: Callable[[], Any], algorithm: str, verify: Callable[[Any, bytes, bytes], None]
) -> None:
    private_key = make()
    key_id = new_key(kms, spec, "SIGN_VERIFY")
    answer = bring(kms, key_id, private_bytes(private_key), HYBRID)
    assert "KeyMaterialId" not in answer
    assert "CurrentKeyMaterialId" not in metadata(kms, key_id)
    signature = kms("Sign", KeyId=key_id, Message=b"text", SigningAlgorithm=algorithm)["Signature"]
    verify(private_key.public_key(), signature, b"text")
    kms("DeleteImportedKeyMaterial", KeyId=key_id)
    with refused("KMSInvalidStateException", "is pending import"):
        kms("Sign", KeyId=key_id, Message=b"text", SigningAlgorithm=algorithm)
    with refused("IncorrectKeyMaterialException"):
        bring(kms, key_id, private_bytes(_another(spec)), HYBRID)
    bring(kms, key_id, private_bytes(private_key), HYBRID)
    verify(
        private_key.public_key(),
        kms("Sign", KeyId=key_id, Message=b"text", SigningAlgorithm=algorithm)["Signature"],
        b"text",
    )


@cache
def _another(spec: str) -> Any:
    if spec == "RSA_2048":
        return rsa.generate_private_key(65537, 2048)
    return next(make for name, make, _, _ in SIGNING if name == spec)()


@pytest.mark.parametrize(("spec", "size"), [("HMAC_224", 28), ("HMAC_256", 32), ("HMAC_384", 48), ("HMAC_512", 64)])
def test_an_imported_hmac_key_makes_the_macs_of_its_bytes(kms: Any, spec: str, size: int) -> None:
    material, bits = os.urandom(size), spec.removeprefix("HMAC_")
    key_id = new_key(kms, spec, "GENERATE_VERIFY_MAC")
    with refused("IncorrectKeyMaterialException"):
        bring(kms, key_id, material[:-1])
    bring(kms, key_id, material)
    mac = kms("GenerateMac", KeyId=key_id, Message=b"text", MacAlgorithm=f"HMAC_SHA_{bits}")["Mac"]
    assert mac == hmac.digest(material, b"text", f"sha{bits}")


def test_expired_key_pairs_do_not_sign(kms: Any) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    key_id = new_key(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    bring(kms, key_id, private_bytes(private_key), HYBRID, **until(kms, HOUR))
    signing = {"KeyId": key_id, "Message": b"text", "SigningAlgorithm": "ECDSA_SHA_256"}
    kms("Sign", **signing)
    kms.app.clock.advance(HOUR + 1)
    with refused("KMSInvalidStateException", "is pending import"):
        kms("Sign", **signing)
    with refused("KMSInvalidStateException", "is pending import"):
        kms("GetPublicKey", KeyId=key_id)


WRONG_KEYS: list[tuple[str, str, Callable[[], bytes]]] = [
    ("ECC_NIST_P256", "SIGN_VERIFY", lambda: private_bytes(ec.generate_private_key(ec.SECP384R1()))),
    ("ECC_NIST_P256", "SIGN_VERIFY", lambda: private_bytes(ed25519.Ed25519PrivateKey.generate())),
    ("ECC_SECG_P256K1", "SIGN_VERIFY", lambda: private_bytes(ec.generate_private_key(ec.SECP256R1()))),
    ("RSA_3072", "SIGN_VERIFY", lambda: private_bytes(rsa_key())),
    ("RSA_2048", "ENCRYPT_DECRYPT", lambda: private_bytes(ec.generate_private_key(ec.SECP256R1()))),
    ("RSA_2048", "SIGN_VERIFY", lambda: private_bytes(rsa_key())[:-20]),
    ("RSA_2048", "SIGN_VERIFY", lambda: b"not a key"),
    ("ML_DSA_44", "SIGN_VERIFY", lambda: private_bytes(mldsa.MLDSA65PrivateKey.generate())),
    ("ECC_NIST_P256", "KEY_AGREEMENT", lambda: os.urandom(32)),
]


@pytest.mark.parametrize(("spec", "usage", "material"), WRONG_KEYS)
def test_keys_of_another_spec_are_refused(kms: Any, spec: str, usage: str, material: Callable[[], bytes]) -> None:
    key_id = new_key(kms, spec, usage)
    with refused("IncorrectKeyMaterialException"):
        bring(kms, key_id, material(), HYBRID)
    assert metadata(kms, key_id)["KeyState"] == "PendingImport"


def test_private_keys_that_do_not_fit_into_a_wrapping_are_refused_beforehand(kms: Any) -> None:
    rsa_id = new_key(kms, "RSA_2048", "SIGN_VERIFY")
    with refused("UnsupportedOperationException", "RSA_AES_KEY_WRAP"):
        parameters(kms, rsa_id, "RSAES_OAEP_SHA_256", "RSA_4096")
    p521 = new_key(kms, "ECC_NIST_P521", "SIGN_VERIFY")
    with refused("UnsupportedOperationException", "RSA_AES_KEY_WRAP"):
        parameters(kms, p521, "RSAES_OAEP_SHA_256", "RSA_2048")
    parameters(kms, p521, "RSAES_OAEP_SHA_256", "RSA_3072")
    small = new_key(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    bring(kms, small, private_bytes(ec.generate_private_key(ec.SECP256R1())), "RSAES_OAEP_SHA_256")


def test_what_only_symmetric_keys_have_is_refused_for_others(kms: Any) -> None:
    key_id = new_key(kms, "HMAC_256", "GENERATE_VERIFY_MAC")
    for params in (
        {"ImportType": "NEW_KEY_MATERIAL"},
        {"KeyMaterialDescription": "text"},
        {"KeyMaterialId": "0" * 64},
    ):
        with refused("UnsupportedOperationException"):
            bring(kms, key_id, MATERIAL, **params)
    bring(kms, key_id, MATERIAL)
    with refused("UnsupportedOperationException"):
        kms("DeleteImportedKeyMaterial", KeyId=key_id, KeyMaterialId="0" * 64)
    for name in ("RotateKeyOnDemand", "ListKeyRotations"):
        with refused("UnsupportedOperationException"):
            kms(name, KeyId=key_id)


def test_neither_events_nor_reprs_show_tokens_or_material(kms: Any, external: str) -> None:
    bring(kms, external, MATERIAL, **until(kms, HOUR))
    kms.app.clock.advance(HOUR + 1)
    kms.sweep()
    assert MATERIAL.hex() not in json.dumps(kms.events)
