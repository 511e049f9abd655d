"""What keeps secrets off the disk, and out of what is printed and logged when something goes wrong."""

from __future__ import annotations

import base64
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from custody_drive import (
    CHEAP,
    PASSPHRASE,
    anyone,
    every_byte,
    giving,
    is_sealed,
    secret_file,
    shares_of,
    trail,
    unseal,
    until,
)

from freehold.custody import memory
from freehold.custody.access import Access
from freehold.custody.mark import open_directory
from freehold.custody.provider import provider
from freehold.testing import Server, ServerError


def status_of(pid: int, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def may_lock() -> bool:
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    return unlimited or bool(int(status_of(os.getpid(), "CapEff"), 16) >> 14 & 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_process_of_a_server_locks_its_memory_where_it_may(tmp_path: Path, workers: int) -> None:
    server = Server(tmp_path, workers=workers)
    server.start()
    try:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        for pid in (server.pid, *map(int, children)):
            locked = int(status_of(pid, "VmLck").split()[0])
            assert (locked > 10_000) == may_lock()
        status = server.operator.freehold.get_root_key_status()
        assert status["MemoryLocked"] == may_lock()
        assert "swap" in status["MemoryRemark"]
    finally:
        server.close()


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
from freehold.custody import memory
memory._may_lock_all.__globals__["_CAP_IPC_LOCK"] = 63
memory.protect()
print(memory.locking())
held = bytearray(64 * 1024 * 1024)
"""


def test_where_it_may_not_it_says_so_and_works_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "locked=False" in done.stdout
    assert "CAP_IPC_LOCK" in done.stdout


def test_nothing_of_a_server_is_dumped(tmp_path: Path) -> None:
    server = Server(tmp_path, init=("--custody=shamir", "--with=shares=2", "--with=threshold=2"))
    server.start()
    try:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        for pid in (server.pid, *map(int, children)):
            # Files of a process that can't be dumped are root's, whoever runs it.
            assert os.stat(f"/proc/{pid}/mem").st_uid == 0
        assert memory.locking().remark
    finally:
        server.close()


def everywhere(secret: bytes) -> list[bytes]:
    """A key as it might be shown."""
    return [
        secret,
        secret.hex().encode(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
        repr(secret).encode(),
    ]


class Told:
    """All that was said or kept, and what must not be in it."""

    def __init__(self) -> None:
        self.text = b""
        self.secrets: list[bytes] = []

    def check(self) -> None:
        assert self.secrets
        assert len(self.text) > 1000
        for secret in self.secrets:
            assert len(secret) >= 8
            assert secret not in self.text


def test_no_error_of_a_server_shows_a_secret(tmp_path: Path) -> None:
    """Errors are provoked at every place where a secret is at hand: while sealed, at rotation, at the start."""
    told = Told()
    server = Server(tmp_path, workers=2, init=("--custody=shamir", "--with=shares=3", "--with=threshold=2"))
    shares = shares_of(server)
    other = Server(elsewhere(tmp_path), init=("--custody=shamir", "--with=shares=3", "--with=threshold=2"))
    told.secrets += [share.encode() for share in (*shares, *shares_of(other))]
    told.secrets += [PASSPHRASE.encode(), b"another secret entirely"]
    remember_keys(told, server, giving(*shares))
    server.start()
    try:
        client = anyone(server)
        said: list[Any] = []
        for given in (
            {"Share": shares_of(other)[0]},
            {"Share": shares[0][:-3]},
            {"Passphrase": PASSPHRASE},
            {"Share": shares[0], "Passphrase": PASSPHRASE},
            {"Share": shares[0] * 40},
            {},
        ):
            with pytest.raises(ClientError) as refused:
                client.unseal(**given)
            said.append(refused.value)
        until(lambda: gives(client, shares[0]))
        unseal(server, shares[1])
        operator = server.operator.freehold
        for asked in (
            {"Custody": "passphrase", "Secret": PASSPHRASE, "Options": {"memory_mib": "no number"}},
            {"Custody": "passphrase", "Secret": PASSPHRASE, "Options": {"lanes": "70"}},
            {"Custody": "pkcs11", "Secret": "another secret entirely", "Options": {"token": "pkcs11:token=a"}},
            {"Custody": "kms", "Secret": "another secret entirely", "Options": {"endpoint": "x", "key_id": "k"}},
            {"Custody": "nowhere", "Secret": PASSPHRASE},
        ):
            try:
                operator.rotate_root_key(**asked)
            except Exception as error:
                said.append(error)
            else:
                raise AssertionError(asked)
        made = operator.rotate_root_key()
        told.secrets += [share.encode() for share in made["Shares"]]
        with pytest.raises(ClientError) as refused:
            operator.confirm_root_key_shares(
                ConfirmationId=made["ConfirmationId"], Shares=[*shares, *made["Shares"]][:4]
            )
        said.append(refused.value)
        (server.data / "custody").rename(tmp_path / "custody")
        for call in (operator.rotate_root_key, operator.get_root_key_status):
            with pytest.raises(ClientError) as refused:
                call()
            said.append(refused.value)
        (tmp_path / "custody").rename(server.data / "custody")
        operator.confirm_root_key_shares(ConfirmationId=made["ConfirmationId"], Shares=made["Shares"][1:])
        remember_keys(told, server, giving(*made["Shares"]))
        operator.seal()
        until(lambda: is_sealed(server))
        path = server.data / "records.db"
        whole = path.read_bytes()
        path.write_bytes(whole[:100] + b"\xff" + whole[101:])
        for share in made["Shares"][:2]:
            anyone(server).unseal(Share=share)
        assert server._process is not None
        assert server._process.wait(30) == 1
        assert b"belongs to another root key, or its first page is damaged" in server.log().encode()
        path.write_bytes(whole)
        told.text += "\0".join(map(repr, said)).encode() + server.log().encode()
    finally:
        server.close()
    told.text += every_byte(server) + str(trail(server, giving(*made["Shares"]))).encode()
    told.check()


def elsewhere(directory: Path) -> Path:
    made = directory / "elsewhere"
    made.mkdir()
    return made


def gives(client: Any, share: str) -> bool:
    try:
        client.unseal(Share=share)
    except ClientError:
        return False
    return True


def remember_keys(told: Told, server: Server, access: Access) -> None:
    """The root key and what it opens, in every spelling. The access is asked twice."""
    found = open_directory(server.data, access)
    for purpose in ("pages", "records", "tokens", "audit", "kms", "service-owned"):
        told.secrets += everywhere(found.keyring.sealing_key(purpose))
    told.secrets += everywhere(found.keyring._content.base)


def test_no_start_that_fails_shows_a_secret(tmp_path: Path) -> None:
    path = secret_file(tmp_path, PASSPHRASE)
    server = Server(tmp_path, init=("--custody=passphrase", f"--secret-file={path}", *CHEAP))
    told = Told()
    told.secrets += [PASSPHRASE.encode(), b"wrong horse battery staple"]
    remember_keys(told, server, Access(server.root_key, secret=PASSPHRASE))
    custody = server.data / "custody"
    whole = custody.read_bytes()
    server._options = [f"--secret-file={path}"]
    damages = [
        lambda: path.write_text("wrong horse battery staple"),
        lambda: path.chmod(0o644),
        lambda: path.write_bytes(b"wrong horse battery staple\xff"),
        lambda: path.write_text(PASSPHRASE * 200),
        lambda: custody.write_bytes(whole[:-20]),
        lambda: custody.write_bytes(whole.replace(b'"iterations":1', b'"iterations":2')),
        lambda: custody.write_bytes(whole.replace(b'"memory_mib":19', b'"memory_mib":9999999999')),
        lambda: custody.write_bytes(whole.replace(b'"kind":"passphrase"', b'"kind":"telepathy"')),
        lambda: custody.write_bytes(whole.replace(b'"kind":"passphrase"', b'"kind":"kms"')),
        lambda: custody.write_bytes(whole.replace(b'"number":1', b'"number":2')),
    ]
    for damage in damages:
        damage()
        with pytest.raises(ServerError) as refused:
            server.start()
        told.text += str(refused.value).encode()
        assert "Traceback" not in str(refused.value)
        server.close()
        custody.write_bytes(whole)
        path.write_text(PASSPHRASE)
        path.chmod(0o600)
    server.start()
    server.close()
    told.text += every_byte(server)
    told.check()


def test_what_holds_a_secret_shows_none_of_it() -> None:
    access = Access(Path("/nowhere"), secret=PASSPHRASE)
    new = provider("shamir").establish({"shares": 2, "threshold": 2}, access, "d")
    from freehold.custody.keyring import Keyring
    from freehold.custody.pkcs11 import Answer, Request
    from freehold.services.freehold.root_key import Pending

    pending = Pending("d", 1, "shamir", b"", new.root_key.material(), 0)
    request = Request("t", "k", PASSPHRASE, "d", wrap=new.root_key.material())
    shown = repr((access, new, Keyring.new(), pending, request, Answer("", new.root_key.material()), new.root_key))
    assert PASSPHRASE not in shown
    assert not [share for share in new.shares if share in shown]
    assert repr(new.root_key.material()) not in shown
