"""SoftHSM with tokens of its own, a server that has them, and a certificate that is their trust anchor."""

from __future__ import annotations

import string
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

MODULE = next(
    (
        str(path)
        for path in (Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/pkcs11/libsofthsm2.so"))
        if path.exists()
    ),
    "/usr/lib/softhsm/libsofthsm2.so",
)
PIN = "kmsuser-pin-1"


def certificate(name: str) -> str:
    """A self-signed certificate (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


class SoftHsm:
    """Tokens in a directory, each under a cluster id: `cluster_id(n)` is the token `token-n`."""

    def __init__(self, directory: Path, tokens: int) -> None:
        self.tokens_directory = directory / "tokens"
        self.tokens_directory.mkdir(parents=True)
        self.configuration = directory / "softhsm2.conf"
        self.configuration.write_text(
            f"directories.tokendir = {self.tokens_directory}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.environment = {"SOFTHSM2_CONF": str(self.configuration)}
        self.trust_anchor = certificate("customer CA")
        self.anchor_file = directory / "customerCA.crt"
        self.anchor_file.write_text(self.trust_anchor)
        (directory / "unrelated.crt").write_text(certificate("unrelated CA"))
        self.count = tokens
        self._free = iter(range(tokens))
        for number in range(tokens):
            self.make_token(f"token-{number}")

    def make_token(self, label: str, pin: str = PIN) -> None:
        self.run("--init-token", "--free", f"--label={label}", "--so-pin=security-officer", f"--pin={pin}")

    def remove_token(self, label: str) -> None:
        self.run("--delete-token", f"--token={label}")

    def run(self, *arguments: str) -> None:
        subprocess.run(
            ["softhsm2-util", f"--module={MODULE}", *arguments], check=True, capture_output=True, env=self.environment
        )

    def uri(self, label: str, *more: str) -> str:
        return f"pkcs11:token={label}?" + "&".join(
            (f"module-path={MODULE}", f"x-trust-anchor={self.anchor_file}", *more)
        )

    @property
    def options(self) -> list[str]:
        """For `freehold serve`."""
        unrelated = self.uri("token-0").replace(self.anchor_file.name, "unrelated.crt")
        return [
            *(f"--hsm={cluster_id(number)}={self.uri(f'token-{number}')}" for number in range(self.count)),
            f"--hsm=cluster-unrelatedhsma={unrelated}",
            f"--hsm=cluster-anotheraccoun={self.uri('token-0', 'x-account=999999999999')}",
        ]

    def free(self) -> int:
        """The number of a token that no test has used."""
        return next(self._free)

    @contextmanager
    def gone(self) -> Iterator[None]:
        """The HSM has gone away, with all its tokens."""
        away = self.tokens_directory.with_name("away")
        self.tokens_directory.rename(away)
        try:
            yield
        finally:
            away.rename(self.tokens_directory)

    def files(self) -> dict[str, bytes]:
        """Everything that the tokens keep."""
        return {str(path): path.read_bytes() for path in self.tokens_directory.rglob("*") if path.is_file()}


_ENDS = ["".join(pair) for pair in product(string.ascii_lowercase[:8], repeat=2)]


def cluster_id(number: int) -> str:
    return f"cluster-softhsmtoken{_ENDS[number]}"
