"""A custody file read by a decoder written from docs/formats alone, and every byte of it altered."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from freehold.custody.access import Access
from freehold.custody.errors import CustodyError
from freehold.custody.keyring import Keyring
from freehold.custody.mark import open_directory, write_mark
from freehold.custody.opening import establish, put_under
from freehold.custody.shamir import Collected
from freehold.deployment import DeploymentError

SECRET = "correct horse battery staple"


def made(directory: Path, kind: str = "file", **options: Any) -> tuple[Keyring, tuple[str, ...]]:
    access = Access(directory / "key", secret=SECRET)
    keyring = Keyring.new().with_new_key("kms").with_new_key("kms")
    new = establish(kind, options, access, "d" * 32)
    put_under(directory, new, keyring, access=access, deployment="d" * 32, number=7, now_seconds=12.9)
    write_mark(directory, "d" * 32)
    return keyring, new.shares


def hkdf(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256 and no salt, one block."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")[:length]


def decode(custody: bytes, root_key: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(head, keyring), by docs/formats/custody.md, keyring.md, root-key.md and sealed-value.md."""
    first, head_line, sealed_line, end = custody.split(b"\n")
    assert (first, end) == (b"freehold-custody 1", b"")
    head = json.loads(head_line)
    assert head["fingerprint"] == hkdf(root_key, b"freehold root key fingerprint v1\0", 16).hex()
    sealed = base64.b64decode(sealed_line, validate=True)
    assert sealed[0] == 1
    purpose_key = hkdf(root_key, b"freehold sealing key v1\0keyring", 32)
    derived = hmac.digest(purpose_key, b"freehold sealed value v1\0" + sealed[1:17] + b"\1", "sha512")
    assert derived[32:] == sealed[17:49]
    associated = b"freehold keyring v1\0" + first + b"\n" + head_line + b"\n"
    return head, json.loads(AESGCM(derived[:32]).decrypt(sealed[49:61], sealed[61:], associated))


def test_an_independent_decoder_reads_it(tmp_path: Path) -> None:
    keyring, _ = made(tmp_path)
    root_key = base64.urlsafe_b64decode((tmp_path / "key").read_text().split(" ")[2] + "=")
    head, content = decode((tmp_path / "custody").read_bytes(), root_key)
    assert head == {
        "deployment": "d" * 32,
        "number": 7,
        "fingerprint": head["fingerprint"],
        "changed_at": 12,
        "kind": "file",
        "parameters": {},
    }
    base = base64.b64decode(content["base"])
    assert keyring.sealing_key("records") == hkdf(base, b"freehold sealing key v1\0records", 32)
    newest, former, first = map(base64.b64decode, content["replaced"]["kms"])
    assert keyring.sealing_key("kms") == newest
    assert keyring.former_keys("kms") == [former, first]
    assert first == hkdf(base, b"freehold sealing key v1\0kms", 32)
    line = b"freehold-data-2 " + b"d" * 32
    assert (tmp_path / "deployment").read_bytes() == line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def test_shares_are_slip_39(tmp_path: Path) -> None:
    from shamir_mnemonic import combine_mnemonics

    _, shares = made(tmp_path, "shamir", shares=3, threshold=2)
    head, _ = decode((tmp_path / "custody").read_bytes(), combine_mnemonics(shares[1:]))
    assert head["parameters"]["threshold"] == 2
    hashes = [base64.b64encode(hashlib.sha256(b"freehold share v1\0" + share.encode()).digest()) for share in shares]
    assert head["parameters"]["hashes"] == [each.decode() for each in hashes]
    assert all(len(share.split()) == 33 for share in shares)


def test_no_altered_byte_of_it_opens(tmp_path: Path) -> None:
    made(tmp_path)
    path = tmp_path / "custody"
    whole = path.read_bytes()
    access = Access(tmp_path / "key")
    open_directory(tmp_path, access)
    for place in range(len(whole)):
        for altered in (whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :], whole[:place]):
            path.write_bytes(altered)
            with pytest.raises(CustodyError):
                open_directory(tmp_path, access)
    for appended in (b"\n", b" ", b"x", b"{}"):
        path.write_bytes(whole + appended)
        with pytest.raises(CustodyError):
            open_directory(tmp_path, access)


def test_a_passphrase_is_taken_as_it_is_meant(tmp_path: Path) -> None:
    """Composed or not, the letters are the same; a space at the end is another passphrase."""
    access = Access(tmp_path / "key", secret="caf\u00e9 caf\u00e9 caf\u00e9")
    options = {"memory_mib": 19, "iterations": 1, "lanes": 1}
    new = establish("passphrase", options, access, "d" * 32)
    put_under(tmp_path, new, Keyring.new(), access=access, deployment="d" * 32, number=1, now_seconds=0)
    write_mark(tmp_path, "d" * 32)
    assert open_directory(tmp_path, Access(tmp_path / "key", secret="cafe\u0301 caf\u00e9 caf\u00e9")).head.number == 1
    with pytest.raises(CustodyError, match="not the passphrase"):
        open_directory(tmp_path, Access(tmp_path / "key", secret="caf\u00e9 caf\u00e9 caf\u00e9 "))


def test_shares_that_make_another_key_are_all_forgotten(tmp_path: Path) -> None:
    """Only a custody file that was altered can say so: the root key then doesn't fit."""
    from freehold.custody.record import Record

    _, shares = made(tmp_path, "shamir", shares=3, threshold=2)
    record = Record.read(tmp_path)
    assert record is not None
    import msgspec

    collected = Collected(msgspec.structs.replace(record.head, fingerprint="0" * 32))
    for share in shares[:2]:
        collected.add(share)
    with pytest.raises(CustodyError, match="all of them are forgotten"):
        collected.root_key()
    assert len(collected) == 0
    collected.add(shares[0])
    with pytest.raises(CustodyError, match="not one of"):
        collected.add(shares[0].replace(" ", "  ").upper() + " academic")
    assert len(collected) == 1
    assert shares[0] not in repr(collected)


def test_deployment_errors_are_custodys(tmp_path: Path) -> None:
    from freehold.config import Settings
    from freehold.deployment import opened

    with pytest.raises(DeploymentError, match="holds no deployment"):
        opened(Settings(data=tmp_path, root_key=tmp_path / "key"))
