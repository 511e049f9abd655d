"""What stands in the way of a start is told in one line, with exit status 1 and without a traceback."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from freehold.config import Settings
from freehold.crypto.root_key import RootKey
from freehold.custody.keyring import Keyring
from freehold.custody.record import Record
from freehold.deployment import root_key_of
from freehold.storage import database
from freehold.testing import Server


def refusal(server: Server, *options: str) -> str:
    """The line that `freehold serve` ends with."""
    done = subprocess.run(
        [sys.executable, "-m", "freehold", "serve", f"--data={server.data}", "--port=0", "--json", *options],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("freehold: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def another_root_key(server: Server) -> None:
    server.root_key.unlink()
    RootKey.create(server.root_key)


def newer_deployment(server: Server) -> None:
    mark = server.data / "deployment"
    line = "freehold-data-3 " + mark.read_text().split()[1]
    mark.write_text(f"{line}\n{hashlib.sha256(line.encode()).hexdigest()}\n")


def keyring(server: Server) -> Keyring:
    return root_key_of(Settings(data=server.data, root_key=server.root_key))


def anothers_custody(server: Server) -> None:
    path = server.data / "custody"
    name = Record.read(server.data).head.deployment
    path.write_bytes(path.read_bytes().replace(name.encode(), name[::-1].encode()))


def newer_records(server: Server) -> None:
    page_key = keyring(server).sealing_key("pages")
    connection = database.connect(server.data / "records.db", page_key)
    connection.execute("UPDATE meta SET value = 2 WHERE name = 'format'")
    connection.close()


def older_records(server: Server) -> None:
    """Put the database back to what it was before the last start, but not the count of its commits."""
    before = (server.data / "records.db").read_bytes()
    server.start()
    server.account.s3.create_bucket(Bucket="later")
    server.stop()
    (server.data / "records.db").write_bytes(before)


def much_older_records(server: Server) -> None:
    older_records(server)
    (server.data / "records.acknowledged").unlink()


def no_records(server: Server) -> None:
    (server.data / "records.db").unlink()


CASES: list[tuple[str, Callable[[Server], object], str]] = [  # what is done to a deployment, what the line says
    ("no deployment", lambda s: (s.data / "deployment").unlink(), "holds no deployment; make one with: freehold init"),
    ("a damaged mark", lambda s: flip(s.data / "deployment", 20), "deployment is damaged"),
    ("an empty mark", lambda s: (s.data / "deployment").write_bytes(b""), "deployment is damaged"),
    ("a binary mark", lambda s: (s.data / "deployment").write_bytes(b"\xff\0"), "deployment is damaged"),
    ("a newer deployment", newer_deployment, r"another version of Freehold \(freehold-data-3\)"),
    ("no custody file", lambda s: (s.data / "custody").unlink(), "has no custody file"),
    ("an empty custody file", lambda s: (s.data / "custody").write_bytes(b""), "custody is damaged"),
    ("a newer custody file", lambda s: flip(s.data / "custody", 17), "another version of Freehold, or is damaged"),
    ("an altered custody file", lambda s: flip(s.data / "custody", -9), "was altered: the root key does not open it"),
    ("another's custody file", anothers_custody, "custody file in .* is another deployment's"),
    ("newer records", newer_records, "format 2; this version of the program reads format 1"),
    ("no root key", lambda s: s.root_key.unlink(), "there is no root key at .*; name it with --root-key"),
    ("another root key", another_root_key, "is not the one that the data was put under"),
    ("a root key that others read", lambda s: s.root_key.chmod(0o640), "may be used by others .* chmod 600"),
    ("an altered root key", lambda s: flip(s.root_key, 30), "was altered"),
    ("an empty root key", lambda s: s.root_key.write_bytes(b""), "is not a Freehold root key file"),
    ("a damaged first page", lambda s: flip(s.data / "records.db", 100), "another root key, or its first page"),
    ("older records", older_records, "lost .* acknowledged commits"),
    ("no records", no_records, "lost .* acknowledged commits"),
    ("an altered count", lambda s: flip(s.data / "records.acknowledged", 9), "is not what was written there"),
    ("records older than a checkpoint", much_older_records, "older than the newest checkpoint; were they put back"),
    ("no directory for blobs", lambda s: os.rename(s.data / "blobs", s.data / "b") or (s.data / "blobs").touch(),
     "blobs"),
    ("no directory for the audit", lambda s: os.rename(s.data / "audit", s.data / "a") or (s.data / "audit").touch(),
     "the audit log cannot be used"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_directory_that_cannot_be_served(server: Server, damage: Callable[[Server], object], says: str) -> None:
    damage(server)
    assert re.search(says, refusal(server))


def test_workers_that_cannot_start_say_so_once(server: Server) -> None:
    newer_records(server)
    assert "format 2; this version of the program reads format 1" in refusal(server, "--workers=3")


def test_a_directory_that_is_not_there(server: Server) -> None:
    server.data = server.data.with_name("elsewhere")
    assert "holds no deployment" in refusal(server)


def test_a_file_in_the_place_of_a_directory(server: Server) -> None:
    server.data = server.root_key
    assert "Not a directory" in refusal(server)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_directory_is_served_once(server: Server, workers: int) -> None:
    server._options = [f"--workers={workers}"]
    server.start()
    try:
        assert "another server is using the data directory" in refusal(server)
        assert server.account.s3.list_buckets()["Buckets"]
    finally:
        server.close()


def test_a_port_in_use(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(server, f"--port={port}")
        assert line == f"freehold: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_an_address_of_another_machine(server: Server) -> None:
    assert "cannot listen on 192.0.2.1:0" in refusal(server, "--host=192.0.2.1")
    assert "cannot listen on nowhere.invalid:0" in refusal(server, "--host=nowhere.invalid")


def pem_pair(directory: Path, passphrase: bytes | None = None) -> tuple[Path, Path]:
    directory.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    sealing = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing))
    return cert_file, key_file


def test_tls_files_that_cannot_be_used(server: Server, tmp_path: Path) -> None:
    certificate, key = pem_pair(tmp_path / "one")
    _, key_of_another = pem_pair(tmp_path / "other")
    _, encrypted = pem_pair(tmp_path / "encrypted", b"passphrase")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("not PEM")
    cannot = "the TLS certificate or key cannot be used"
    for cert_file, key_file, says in [
        (tmp_path / "missing.pem", key, f"{cannot}: No such file"),
        (certificate, tmp_path / "missing.pem", f"{cannot}: No such file"),
        (garbage, key, cannot),
        (certificate, garbage, cannot),
        (certificate, key_of_another, cannot),
        (certificate, encrypted, "the TLS key is encrypted with a passphrase"),
    ]:
        assert says in refusal(server, f"--tls-cert={cert_file}", f"--tls-key={key_file}")
    assert "--tls-cert and --tls-key go together" in refusal(server, f"--tls-cert={certificate}")


def test_a_refused_start_leaves_the_directory_as_it_was(server: Server) -> None:
    key = server.root_key.read_bytes()
    another_root_key(server)
    before = {path: path.read_bytes() for path in server.data.rglob("*") if path.is_file()}
    refusal(server)
    assert {path: path.read_bytes() for path in server.data.rglob("*") if path.is_file()} == before
    server.root_key.write_bytes(key)
    server.start()
    try:
        assert [bucket["Name"] for bucket in server.account.s3.list_buckets()["Buckets"]] == ["made"]
    finally:
        server.close()
