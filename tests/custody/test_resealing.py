"""KMS key material under another sealing key: everything opens as before, the former keyring opens none of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from custody_drive import CHEAP, PASSPHRASE, command, printed, trail

from freehold.config import Settings
from freehold.crypto.aead import IntegrityError, Sealer
from freehold.custody.keyring import Keyring
from freehold.deployment import root_key_of
from freehold.services.kms.material import bound_to
from freehold.services.kms.records import MATERIALS, Material
from freehold.storage.counters import SharedCounters
from freehold.storage.sqlite import SqliteRecords
from freehold.testing import Server


def keyring_of(server: Server) -> Keyring:
    return root_key_of(Settings(data=server.data, root_key=server.root_key))


def materials(server: Server) -> list[tuple[bytes, Material]]:
    """(what binds it, record) of every version."""
    keyring = keyring_of(server)
    sealer = Sealer(keyring.sealing_key("records"))
    records = SqliteRecords(server.data, keyring.sealing_key("pages"), sealer, SharedCounters())
    try:
        rows = list(MATERIALS.scan(records.reader()))
    finally:
        records.close()
    return [(bound_to(str(r[0]), str(r[1]), int(r[2]), m.material_id), m) for r, m in rows]


def test_resealed_material_opens_under_the_new_key_alone(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        kms = server.account.kms
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        blobs = [kms.encrypt(KeyId=key, Plaintext=b"first")["CiphertextBlob"]]
        kms.rotate_key_on_demand(KeyId=key)
        blobs.append(kms.encrypt(KeyId=key, Plaintext=b"second")["CiphertextBlob"])
        refused = subprocess.run(
            [sys.executable, "-m", "freehold", "root-key", "reseal", f"--data={server.data}"],
            capture_output=True,
            text=True,
        )
        assert refused.returncode == 1
        assert "another server is using the data directory" in refused.stderr
    finally:
        server.close()
    former = Sealer(keyring_of(server).sealing_key("kms"))
    assert [former.open(material.sealed, bound) for bound, material in materials(server)]
    for times in (1, 2):
        assert printed("root-key", "reseal", f"--data={server.data}") == {"materials": 2, "secrets": 0}
        assert len(keyring_of(server).former_keys("kms")) == times
    newest = Sealer(keyring_of(server).sealing_key("kms"))
    for bound, material in materials(server):
        assert len(newest.open(material.sealed, bound)) == 32
        with pytest.raises(IntegrityError):
            former.open(material.sealed, bound)
    server.start()
    try:
        assert [server.account.kms.decrypt(CiphertextBlob=blob)["Plaintext"] for blob in blobs] == [b"first", b"second"]
        assert server.operator.freehold.rotate_root_key()["Number"] == 2
        server.stop()
        server.start()
        assert server.account.kms.decrypt(CiphertextBlob=blobs[0])["Plaintext"] == b"first"
    finally:
        server.close()
    told = [event for event in trail(server) if event["eventName"] == "ResealKeyMaterial"]
    assert [event["additionalEventData"] for event in told] == [{"materials": 2, "secrets": 0}] * 2
    assert printed("audit", "verify", f"--data={server.data}")["ok"]


def test_resealing_that_is_killed_leaves_everything_readable(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        key = server.account.kms.create_key()["KeyMetadata"]["KeyId"]
        blob = server.account.kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
    finally:
        server.close()
    words = [sys.executable, "-m", "freehold", "root-key", "reseal", f"--data={server.data}"]
    before = (server.data / "custody").read_bytes()
    process = subprocess.Popen(words)
    while (server.data / "custody").read_bytes() == before and process.poll() is None:
        time.sleep(0.0005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    server.start()
    try:
        assert server.account.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    finally:
        server.close()


def test_a_sealer_opens_what_former_keys_sealed_and_seals_under_the_first() -> None:
    first, second, third = (Sealer(bytes((number,)) * 32) for number in range(3))
    both = Sealer(bytes((1,)) * 32, [bytes(32)])
    assert both.open(first.seal(b"old", b"a"), b"a") == b"old"
    assert second.open(both.seal(b"new", b"a"), b"a") == b"new"
    for _ in range(2):
        with pytest.raises(IntegrityError):
            both.open(third.seal(b"foreign", b"a"), b"a")
        with pytest.raises(IntegrityError):
            first.open(both.seal(b"new", b"a"), b"a")
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(bytes(32), [b"short"])


@pytest.mark.parametrize("words", [("audit", "verify"), ("verify",), ("root-key", "reseal")])
@pytest.mark.parametrize("by", ["--secret-file", "--secret-fd"])
def test_commands_on_a_stopped_directory_take_its_passphrase(
    words: tuple[str, ...], by: str, tmp_path: Path, under_a_passphrase: Path
) -> None:
    """Each tells to give it by these options when it is lacking: so each has them."""
    secret = tmp_path / "secret"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o600)
    called = [sys.executable, "-m", "freehold", *words, f"--data={under_a_passphrase}"]
    lacking = subprocess.run(called, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert lacking.returncode == 1
    assert by in lacking.stderr
    with secret.open() as file:
        given = f"{by}={secret if by == '--secret-file' else file.fileno()}"
        done = subprocess.run([*called, given], capture_output=True, text=True, pass_fds=[file.fileno()])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def under_a_passphrase(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("custody") / "data"
    secret = data.parent / "secret"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    command("init", f"--data={data}", "--custody=passphrase", *CHEAP, f"--secret-file={secret}")
    return data
