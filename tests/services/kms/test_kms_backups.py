"""Backups of key material bring back what damage took, and nothing that was deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from kms_damage import flip
from kms_wrapping import wrapped

from freehold.crypto import archive
from freehold.crypto.aead import IntegrityError, Sealer
from freehold.errors import AwsError
from freehold.services.kms import backups, material, restoring
from freehold.services.kms.backups import BACKUPS, Backup, Made
from freehold.services.kms.records import IMPORTED, KEYS, MATERIALS, TOMBSTONES
from freehold.services.kms.restoring import Refused, Restored

DAY = 86_400
HERE = "us-east-1"
NAME = "0" * 32


def sealer(kms: Any) -> Sealer:
    return material.sealer(kms.app)


def backed_up(kms: Any, days: int = 30) -> Made:
    """As the operator's operation does it."""
    made = backups.make(kms.app.records.reader(), sealer(kms), NAME, kms.app.clock.now_seconds(), days)
    head = made.head
    known = backups.Known(
        created_at=head.created_at, destroy_by=head.destroy_by, keys=head.keys, materials=head.materials
    )
    kms.write(lambda tx: BACKUPS.put(tx, (head.backup_id,), known))
    return made


def restored(kms: Any, made: Made) -> Restored:
    backup, now = backups.read(sealer(kms), made.file), kms.app.clock.now_seconds()
    restoring.admit(backup.head, NAME, now)
    done: Restored = kms.write(lambda tx: restoring.restore(tx, backup, sealer(kms), now))
    return done


def damage(kms: Any, key_id: str) -> None:
    flip(kms, "kms.materials", HERE, key_id, 1)


def delete(kms: Any, key_id: str) -> None:
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()


def imported_key(kms: Any, raw: bytes, **params: Any) -> str:
    key_id: str = kms("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    bring(kms, key_id, raw, **params)
    return key_id


def bring(kms: Any, key_id: str, raw: bytes, **params: Any) -> None:
    algorithm = "RSAES_OAEP_SHA_256"
    given = kms("GetParametersForImport", KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    kms(
        "ImportKeyMaterial",
        KeyId=key_id,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrapped(algorithm, given["PublicKey"], raw),
        **(params or {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}),
    )


def test_damaged_and_missing_material_comes_back(kms: Any, key_id: str) -> None:
    first = kms("Encrypt", KeyId=key_id, Plaintext=b"first")["CiphertextBlob"]
    kms("RotateKeyOnDemand", KeyId=key_id)
    second = kms("Encrypt", KeyId=key_id, Plaintext=b"second")["CiphertextBlob"]
    kms("CreateKey")
    made = backed_up(kms)
    assert (made.head.keys, made.head.materials, made.damaged) == (2, 3, [])
    damage(kms, key_id)
    kms.write(lambda tx: MATERIALS.delete(tx, (HERE, key_id, 2)))
    for blob in (first, second):
        with pytest.raises(AwsError):
            kms("Decrypt", CiphertextBlob=blob)
    done = restored(kms, made)
    assert done.restored == [f"{HERE} {key_id}, material 1", f"{HERE} {key_id}, material 2"]
    assert (done.whole, done.left_out, done.destroyed) == (1, {}, [])
    assert kms("Decrypt", CiphertextBlob=first)["Plaintext"] == b"first"
    assert kms("Decrypt", CiphertextBlob=second)["Plaintext"] == b"second"


def test_material_of_a_deleted_key_never_comes_back(kms: Any, key_id: str) -> None:
    blob = kms("Encrypt", KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    made = backed_up(kms)
    delete(kms, key_id)
    done = restored(kms, made)
    assert done.left_out == {f"{HERE} {key_id}, material 1": "its key was deleted"}
    assert list(MATERIALS.scan(kms.app.records.reader())) == []
    with pytest.raises(AwsError):
        kms("Decrypt", CiphertextBlob=blob)


def test_material_of_a_key_whose_window_ran_out_stays_away_before_the_sweeper(kms: Any, key_id: str) -> None:
    made = backed_up(kms)
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    damage(kms, key_id)
    kms.app.clock.advance(8 * DAY)
    assert list(restored(kms, made).left_out.values()) == ["its key's deletion window has run out"]
    later = backed_up(kms)
    assert later.head.materials == 0


def test_an_older_copy_of_the_data_loses_what_the_backup_knows_to_be_deleted(kms: Any, key_id: str) -> None:
    """The directory is put back to before a deletion; the newer backup deletes the key again."""
    kept = kms("CreateKey")["KeyMetadata"]["KeyId"]
    kms("CreateAlias", AliasName="alias/gone", TargetKeyId=key_id)
    for_import = imported_key(kms, bytes(32))
    older = {table.name: list(kms.app.records.reader().scan(table.name)) for table in (KEYS, MATERIALS, IMPORTED)}
    delete(kms, key_id)
    kms("DeleteImportedKeyMaterial", KeyId=for_import)
    made = backed_up(kms)
    assert made.head.tombstones == 1

    def put_back(tx: Any) -> None:
        for table, rows in older.items():
            for row, value in rows:
                tx.put(table, row, value)
        TOMBSTONES.delete(tx, (HERE, key_id))
        BACKUPS.delete(tx, (made.head.backup_id,))
        tx.touch("kms")

    kms.write(put_back)
    assert kms("Encrypt", KeyId=key_id, Plaintext=b"text")
    assert kms("Encrypt", KeyId=for_import, Plaintext=b"text")
    done = restored(kms, made)
    assert [each.split("key/")[1] for each in done.destroyed] == [key_id, f"{for_import}, material 1"]
    assert len(done.events) == 2
    reader = kms.app.records.reader()
    assert [str(row[1]) for row, _ in MATERIALS.scan(reader)] == [kept]
    assert TOMBSTONES.get(reader, (HERE, key_id)) is not None
    with pytest.raises(AwsError) as refused:
        kms("Encrypt", KeyId=key_id, Plaintext=b"text")
    assert refused.value.code == "NotFoundException"
    with pytest.raises(AwsError) as refused:
        kms("Encrypt", KeyId=for_import, Plaintext=b"text")
    assert refused.value.code == "KMSInvalidStateException"


def test_deleted_and_expired_imported_material_never_comes_back(kms: Any) -> None:
    deleted = imported_key(kms, bytes(32))
    until = kms.app.clock.now() + timedelta(days=1)
    expiring = imported_key(kms, b"\1" * 32, ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=until)
    damaged = imported_key(kms, b"\2" * 32)
    blob = kms("Encrypt", KeyId=damaged, Plaintext=b"text")["CiphertextBlob"]
    made = backed_up(kms)
    assert made.head.materials == 3
    kms("DeleteImportedKeyMaterial", KeyId=deleted)
    kms.app.clock.advance(2 * DAY)
    damage(kms, damaged)
    done = restored(kms, made)
    assert done.restored == [f"{HERE} {damaged}, material 1"], done
    assert set(done.left_out) == {f"{HERE} {deleted}, material 1", f"{HERE} {expiring}, material 1"}
    assert kms("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"text"
    assert [row[1] for row, _ in MATERIALS.scan(kms.app.records.reader(), (HERE, deleted))] == []


def test_a_backup_holds_no_expired_material(kms: Any) -> None:
    until = kms.app.clock.now() + timedelta(days=1)
    imported_key(kms, bytes(32), ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=until)
    kms.app.clock.advance(2 * DAY)
    assert backed_up(kms).head.materials == 0


def test_a_backup_is_refused_after_its_retention_and_elsewhere(kms: Any, key_id: str) -> None:
    head = backed_up(kms, days=3).head
    assert head.destroy_by == head.created_at + 3 * DAY
    restoring.admit(head, NAME, head.destroy_by - 1)
    for deployment, now, why in (
        (NAME, float(head.destroy_by), "past its retention"),
        ("1" * 32, float(head.created_at), "another deployment"),
        (NAME, head.created_at - 3600.0, "from the future"),
    ):
        with pytest.raises(Refused, match=why):
            restoring.admit(head, deployment, now)


def test_material_that_does_not_open_is_named_and_left_out(kms: Any, key_id: str) -> None:
    kms("CreateKey")
    damage(kms, key_id)
    made = backed_up(kms)
    assert [arn.rpartition("/")[2] for arn in made.damaged] == [key_id]
    assert made.head.materials == 1


def test_every_byte_of_a_backup_is_authenticated(kms: Any, key_id: str) -> None:
    made = backed_up(kms)
    assert isinstance(backups.read(sealer(kms), made.file), Backup)
    for place in range(len(made.file)):
        altered = made.file[:place] + bytes((made.file[place] ^ 0x10,)) + made.file[place + 1 :]
        with pytest.raises(IntegrityError):
            backups.read(sealer(kms), altered)
    for length in range(len(made.file)):
        with pytest.raises(IntegrityError):
            backups.read(sealer(kms), made.file[:length])
    with pytest.raises(IntegrityError):
        backups.read(sealer(kms), made.file + b"\0")


def test_frames_cannot_be_left_out_or_exchanged() -> None:
    key = Sealer(bytes(32))
    file = archive.write(key, b"{}", [b"first", b"other", b"third"])
    assert list(archive.read(key, file)) == [b"first", b"other", b"third"]
    assert list(archive.read(key, archive.write(key, b"{}", []))) == [b""]
    frame = 5 + 5 + 16
    one, two, three = file[-3 * frame : -2 * frame], file[-2 * frame : -frame], file[-frame:]
    start = file[: -3 * frame]
    for altered in (start + one + three, start + two + one + three, start + one + two, start + three, start):
        with pytest.raises(IntegrityError):
            list(archive.read(key, altered))
    with pytest.raises(IntegrityError):
        list(archive.read(Sealer(b"\1" * 32), file))
    other = archive.write(key, b"{}", [b"first", b"other", b"third"])
    with pytest.raises(IntegrityError):
        list(archive.read(key, start + other[-3 * frame :]))


def test_no_material_shows_in_a_backup_or_in_its_parts(kms: Any, key_id: str) -> None:
    made = backed_up(kms)
    entries = backups.read(sealer(kms), made.file).entries
    [entry] = [each for each in entries if isinstance(each, backups.MaterialEntry)]
    assert entry.raw not in made.file
    assert repr(entry.raw)[2:10] not in repr(entries)
