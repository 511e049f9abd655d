"""What the operator configures for custom key stores: tokens of HSMs, and where external key store proxies really are.

    --hsm 'cluster-freeholdhsm22=pkcs11:token=freehold?module-path=/usr/lib/softhsm/libsofthsm2.so
           &x-trust-anchor=/etc/freehold/customerCA.crt&x-account=111122223333'
    --xks-resolve xks.example.com=10.0.0.7:8443

A customer names a token by its cluster id alone, and proves to know which one it is by its trust anchor's certificate
and its user's PIN. `x-account` keeps it for one account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from freehold.crypto.pkcs11_uri import BadUri, TokenUri, parse

_CLUSTER: Final = re.compile(r"cluster-[2-7a-zA-Z]{11,16}", re.ASCII)
_HOST: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", re.ASCII)
_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_OWN: Final = ("x-trust-anchor", "x-account")
_MOST_CERTIFICATE_BYTES: Final = 64 * 1024


class BadConfiguration(ValueError):
    """A setting that can't be used. The message says what it should be."""


@dataclass(frozen=True, slots=True)
class HsmToken:
    """A token as custom key stores name it."""

    cluster_id: str
    uri: TokenUri
    trust_anchor: bytes
    """The certificate (DER) that a store's TrustAnchorCertificate must be."""
    account_id: str = ""
    """The only account that may use it; any where this is empty."""


def hsm_setting(text: str) -> tuple[str, str]:
    """`CLUSTER-ID=URI` as (cluster id, URI); checked as far as that goes without the HSM. Raises BadConfiguration."""
    cluster_id, _, uri = text.partition("=")
    module = hsm_token(cluster_id, uri).uri.module
    if not module.is_file():
        raise BadConfiguration(f"--hsm {cluster_id}: there is no library {module}")
    return cluster_id, uri


def hsm_token(cluster_id: str, uri: str) -> HsmToken:
    """A configured token. Raises BadConfiguration."""
    if not _CLUSTER.fullmatch(cluster_id):
        raise BadConfiguration(
            "--hsm takes CLUSTER-ID=PKCS11-URI; a cluster id is cluster- and 11 to 16 of the characters a-z, A-Z, 2-7"
        )
    try:
        parsed = parse(uri, _OWN)
    except BadUri as error:
        raise BadConfiguration(f"--hsm {cluster_id}: {error}") from None
    account_id = parsed.own.get("x-account", "")
    if account_id and not _ACCOUNT.fullmatch(account_id):
        raise BadConfiguration(f"--hsm {cluster_id}: x-account is an account id of 12 digits")
    anchor = Path(parsed.own.get("x-trust-anchor", ""))
    if not anchor.is_absolute():
        raise BadConfiguration(f"--hsm {cluster_id}: x-trust-anchor=/PATH/TO/customerCA.crt is needed")
    return HsmToken(cluster_id, parsed, _certificate_of(anchor, cluster_id), account_id)


def certificate(pem: str) -> bytes | None:
    """The one certificate (DER) in a PEM text, None where there isn't just one."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        found = load_pem_x509_certificates(pem.encode())
    except ValueError:
        return None
    from cryptography.hazmat.primitives.serialization import Encoding

    return found[0].public_bytes(Encoding.DER) if len(found) == 1 else None


def _certificate_of(path: Path, cluster_id: str) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_CERTIFICATE_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise BadConfiguration(f"--hsm {cluster_id}: {path} can't be read: {error.strerror}") from None
    found = certificate(text)
    if found is None:
        raise BadConfiguration(f"--hsm {cluster_id}: {path} is not one certificate in PEM")
    return found


def resolve_setting(text: str) -> tuple[str, str, int]:
    """`HOST=ADDRESS:PORT` as (host, address, port). Raises BadConfiguration."""
    host, _, place = text.partition("=")
    address, _, port = place.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    try:
        ip_address(address)
    except ValueError:
        address = ""
    if not _HOST.fullmatch(host) or not address or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadConfiguration(f"--xks-resolve takes HOST=ADDRESS:PORT (xks.example.com=10.0.0.7:443), not {text!r}")
    return host, address, int(port)
