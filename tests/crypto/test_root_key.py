"""The root key file: how it's made, what is refused, what is derived from it."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.crypto.root_key import RootKey, RootKeyError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root.key"


def test_a_created_key_loads_as_the_same_key(path: Path) -> None:
    created = RootKey.create(path)
    loaded = RootKey.load(path)
    assert loaded.fingerprint() == created.fingerprint()
    assert loaded.sealing_key("records") == created.sealing_key("records")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_an_existing_file_is_not_overwritten(path: Path) -> None:
    RootKey.create(path)
    before = path.read_bytes()
    with pytest.raises(RootKeyError, match="exists already"):
        RootKey.create(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_every_flipped_bit_of_the_file_is_refused(path: Path) -> None:
    RootKey.create(path)
    text = path.read_bytes()
    for at in range(len(text)):
        for bit in range(8):
            altered = bytearray(text)
            altered[at] ^= 1 << bit
            path.write_bytes(altered)
            with pytest.raises(RootKeyError):
                RootKey.load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary(max_size=200) | st.binary(max_size=80).map(lambda rest: b"freehold-root-key v1 " + rest))
def test_arbitrary_files_raise_nothing_but_root_key_error(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(RootKeyError) as refusal:
        RootKey.load(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o610])
def test_a_file_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    RootKey.create(path)
    path.chmod(mode)
    with pytest.raises(RootKeyError, match="chmod 600"):
        RootKey.load(path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda line: line + b"\n", "altered"),
        (lambda line: line.rstrip(b"\n"), "altered"),
        (lambda line: line.replace(b"v1", b"v2"), "version"),
        (lambda line: b"freehold-root-key v1 AAAA BBBB\n", "32 bytes"),
        (lambda line: b"", "not a Freehold root key"),
        (lambda line: line * 100, "not a Freehold root key"),
    ],
)
def test_a_malformed_file_is_refused(path: Path, edit: object, message: str) -> None:
    RootKey.create(path)
    path.write_bytes(edit(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(RootKeyError, match=message):
        RootKey.load(path)


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("missing", ".", "pipe"):
        with pytest.raises(RootKeyError):
            RootKey.load(tmp_path / name)
    with pytest.raises(RootKeyError, match="cannot be written"):
        RootKey.create(tmp_path / "no such directory" / "key")


def test_purposes_get_unrelated_keys_derived_as_the_page_says() -> None:
    key = RootKey(bytes(range(32)))
    expected = HKDF(SHA256(), 32, None, b"freehold sealing key v1\x00records").derive(bytes(range(32)))
    assert key.sealing_key("records") == expected
    assert len({key.sealing_key(purpose) for purpose in ("records", "pages", "tokens", "audit")}) == 4


def test_the_key_shows_nowhere() -> None:
    key = RootKey(bytes(range(32)))
    assert bytes(range(32)).hex() not in repr(key) + str(key) + key.fingerprint()
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(ValueError, match="32 bytes"):
        RootKey(b"short")
