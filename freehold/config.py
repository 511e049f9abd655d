"""Settings, with units and defaults, and where things lie in a data directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_REGION = "us-east-1"
DEFAULT_PORT = 4600


def default_data_directory() -> Path:
    """`$FREEHOLD_DATA`, or `freehold` in the user's data home."""
    named = os.environ.get("FREEHOLD_DATA")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "freehold"


def default_root_key(data: Path) -> Path:
    """`$FREEHOLD_ROOT_KEY`, or a file beside (never in) the data directory: `DIR.root-key`."""
    named = os.environ.get("FREEHOLD_ROOT_KEY")
    return Path(named) if named else data.with_name(data.name + ".root-key")


def default_secret_file() -> Path | None:
    """`$FREEHOLD_SECRET_FILE`: the name of a file, never a secret itself."""
    named = os.environ.get("FREEHOLD_SECRET_FILE")
    return Path(named) if named else None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server needs to know. Paths are absolute."""

    data: Path
    root_key: Path
    secret_file: Path | None = None
    """Has the passphrase or PIN that the root key's provider asks for (docs/custody.md)."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0 takes a free port."""
    workers: int = 1
    regions: tuple[str, ...] = (DEFAULT_REGION,)
    """The Regions that are served; requests scoped to another are refused."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    movable_clock: bool = False
    host_names: tuple[str, ...] = ()
    """Further host names under which `BUCKET.NAME` is a bucket's virtual host."""
    issuers: tuple[tuple[str, str], ...] = ()
    """Where identity providers are really reached: (`accounts.google.com`, `https://127.0.0.1:9000`). Such an address
    alone may be inside one's own network (docs/federation.md)."""
    issuer_ca: Path | None = None
    """Certificate authorities (PEM) that identity providers' certificates are verified with, beside the system's."""
    public_url: str = ""
    """`https://HOST[:PORT]` under which others reach this server: the base of issuers of outbound tokens."""
    hsm_tokens: tuple[tuple[str, str], ...] = ()
    """Tokens for custom key stores: (cluster id, PKCS#11 URI), see docs/key-stores.md."""
    hsm_timeout_milliseconds: int = 5_000
    """How long one call of a token may take."""
    xks_resolve: tuple[tuple[str, str, int], ...] = ()
    """Where external key store proxies are really reached: (host, address, port). Such an address alone may be inside
    one's own network."""
    xks_ca: Path | None = None
    """Certificate authorities (PEM) that those proxies' certificates are verified with, beside the system's."""
    xks_timeout_milliseconds: int = 250
    """How long an external key store proxy may take for one request, as AWS KMS has it."""
    graceful_seconds: int = 30
    """How long requests in flight may take to finish on SIGTERM."""

    @property
    def scheme(self) -> str:
        return "https" if self.tls_cert else "http"

    @property
    def deployment(self) -> Path:
        return self.data / "deployment"

    @property
    def records(self) -> Path:
        return self.data / "records.db"

    @property
    def blobs(self) -> Path:
        return self.data / "blobs"

    @property
    def audit(self) -> Path:
        return self.data / "audit"
