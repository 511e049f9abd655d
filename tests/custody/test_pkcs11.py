"""A root key that an HSM's token unwraps (SoftHSM); real processes, real library."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from custody_drive import every_byte, secret_file, trail
from custody_hsm import PIN, Hsm

from freehold.custody.access import Access
from freehold.custody.errors import CustodyError, Locked
from freehold.custody.mark import open_directory
from freehold.custody.opening import establish
from freehold.custody.record import Head, Record
from freehold.testing import Server, ServerError


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Hsm:
    return Hsm(tmp_path_factory.mktemp("hsm"))


@pytest.fixture
def here(hsm: Hsm, monkeypatch: pytest.MonkeyPatch) -> Hsm:
    """The token, seen by this process's children too."""
    for name, value in hsm.environment.items():
        monkeypatch.setenv(name, value)
    return hsm


def test_a_token_opens_the_data_and_rotates(hsm: Hsm, tmp_path: Path) -> None:
    pin = secret_file(tmp_path, PIN)
    words = ("--custody=pkcs11", f"--with=token={hsm.uri}", "--with=key=root", "--with=create=true")
    options = (f"--secret-file={pin}",)
    server = Server(tmp_path, environment=hsm.environment, options=options, init=(*words, *options))
    assert not server.root_key.exists()
    server.start()
    try:
        server.account.s3.create_bucket(Bucket="kept")
        operator = server.operator.freehold
        assert operator.rotate_root_key()["Number"] == 2
        assert operator.rotate_root_key(Options={"key": "rsa"})["Number"] == 3
        server.stop()
        server.start()
        assert [bucket["Name"] for bucket in server.account.s3.list_buckets()["Buckets"]] == ["kept"]
        assert operator.rotate_root_key(Custody="file")["Number"] == 4
        assert operator.rotate_root_key(Custody="pkcs11", Options={"token": hsm.uri, "key": "root"})["Number"] == 5
        server.root_key.unlink()
        server.stop()
        server.start()
        assert len(server.account.s3.list_buckets()["Buckets"]) == 1
        server.stop()
        pin.write_text("00000000")
        with pytest.raises(ServerError, match="the token refuses this PIN"):
            server.start()
        pin.write_text(PIN)
        server._environment = {**os.environ, "SOFTHSM2_CONF": str(tmp_path / "none")}
        with pytest.raises(ServerError, match=r"PKCS#11 library .* cannot be loaded"):
            server.start()
    finally:
        server.close()
    assert PIN.encode() not in every_byte(server)


def test_the_pin_of_an_operators_request_is_not_in_the_trail(here: Hsm, tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        options = {"token": here.uri, "key": "rsa"}
        done = server.operator.freehold.rotate_root_key(Custody="pkcs11", Options=options, Secret=PIN)
        assert done["Custody"] == "pkcs11"
    finally:
        server.close()
    told = str(trail(server, Access(server.root_key, secret=PIN)))
    assert "RotateRootKey" in told
    assert PIN not in told


def made(options: dict[str, str], secret: str | None = PIN) -> None:
    establish("pkcs11", options, Access(Path("/nowhere"), secret=secret), "d" * 32)


def test_what_a_token_cannot_give_is_said_in_a_line(here: Hsm, tmp_path: Path) -> None:
    library = tmp_path / "library.so"
    shutil.copy("/usr/lib/softhsm/libsofthsm2.so", library)
    library.chmod(0o666)
    other = here.uri.replace("freehold", "elsewhere")
    for options, says in [
        ({"token": here.uri, "key": "leaves"}, "can be taken out of the token"),
        ({"token": here.uri, "key": "none"}, "has no AES or RSA key none"),
        ({"token": other}, "one token elsewhere is needed, and the library shows 0"),
        ({"token": f"pkcs11:token=freehold?module-path={library}"}, "not writable by others"),
        ({"token": f"pkcs11:token=freehold?module-path={tmp_path}/none.so"}, "cannot be read: No such file"),
        ({"token": "pkcs11:token=freehold?module-path=/etc/passwd"}, "cannot be loaded"),
        ({"token": "freehold"}, "pkcs11:token=LABEL"),
        ({"token": here.uri + "&pin-value=1"}, "no PIN"),
        ({}, "missing required field `token`"),
    ]:
        with pytest.raises(CustodyError, match=says) as refused:
            made(options)
        assert PIN not in str(refused.value)
    with pytest.raises(CustodyError, match="refuses this PIN") as refused:
        made({"token": here.uri, "key": "rsa"}, "99999999")
    assert "99999999" not in str(refused.value)
    with pytest.raises(Locked, match="--secret-file"):
        made({"token": here.uri, "key": "rsa"}, None)


def test_a_wrapped_root_key_is_bound_to_its_deployment_and_key(here: Hsm, tmp_path: Path) -> None:
    access = Access(Path("/nowhere"), secret=PIN)
    new = establish("pkcs11", {"token": here.uri, "key": "bound", "create": "true"}, access, "d" * 32)
    from freehold.custody.pkcs11 import obtain

    head = Head("d" * 32, 1, new.root_key.fingerprint(), 0, "pkcs11", new.parameters)
    assert obtain(head, access).material() == new.root_key.material()
    for changed in (
        Head("e" * 32, 1, head.fingerprint, 0, "pkcs11", new.parameters),
        Head("d" * 32, 1, head.fingerprint, 0, "pkcs11", {**new.parameters, "key": "rsa"}),
        Head("d" * 32, 1, head.fingerprint, 0, "pkcs11", {**new.parameters, "mechanism": "RSA_OAEP_SHA1"}),
    ):
        with pytest.raises(CustodyError):
            obtain(changed, access)
    with pytest.raises(CustodyError):
        open_directory(tmp_path, access)
    assert Record.read(tmp_path) is None
