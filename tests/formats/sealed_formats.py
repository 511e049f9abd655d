"""Each sealed format: how the program makes and opens one, and, by its page, what its message keys are.

`derive` gives (message key, commitment, nonce, associated data) of a blob under a key, so that a test can seal other
content as an attacker who knows both keys would.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pages_crypto import blob_parts, encoded_context, expand_sha512

from freehold.audit.segment import DamagedSegment, SegmentReader, SegmentWriter, Tail
from freehold.authentication.credentials import TokenSealer
from freehold.authorization.principal import Principal, Session
from freehold.clock import Clock
from freehold.crypto import archive, envelope, proxy_message, store_envelope, stream
from freehold.crypto.aead import Sealer
from freehold.crypto.envelope import Header
from freehold.crypto.root_key import RootKey
from freehold.crypto.store_envelope import Outer
from freehold.custody.keyring import Keyring
from freehold.custody.record import Head, Record
from freehold.services.iam_toolbox.kept import DenialLog
from freehold.services.kms import grant_tokens, import_tokens, material
from freehold.services.kms.records import Key
from freehold.services.kms.stores import secret
from freehold.services.kms.stores.records import CustomKeyStore
from freehold.services.s3.encryption import bound_to
from freehold.storage.sealed import SealedTable

TEXT = b"what is sealed"
REGION, KEY_ID = "us-east-1", "1234abcd-12ab-34cd-56ef-1234567890ab"
HEADER = Header(REGION, "111122223333", KEY_ID, "1")
CONTEXT = {"table": "invoices"}
KEY = Key(key_id=KEY_ID, account_id="111122223333", region=REGION, created_at=0.0, policy="{}")


class Derived(NamedTuple):
    message_key: bytes
    commitment: bytes
    nonce: bytes
    associated: bytes


class Places(NamedTuple):
    """Where in a blob the salt (with it all that the key is derived from), the commitment and the ciphertext begin."""

    salt: int
    commitment: int
    ciphertext: int


class Format(NamedTuple):
    page: str
    make: Callable[[bytes], bytes]
    """From a key of 32 bytes, a blob."""
    open: Callable[[bytes, bytes], Any]
    """(key, blob): what was sealed; raises."""
    derive: Callable[[bytes, bytes], Derived]
    places: Callable[[bytes], Places]
    end: int = 0
    """How many bytes follow the tag."""


class App:
    """What the program's parts ask of a deployment; each has a sealer of its own."""

    def __init__(self, key: bytes, rows: dict[tuple[str, tuple[Any, ...]], bytes] | None = None) -> None:
        self.root_key = SimpleNamespace(sealing_key=lambda purpose: key, former_keys=lambda purpose: [])
        self.rows = rows or {}

    def get(self, table: str, key: tuple[Any, ...]) -> bytes | None:
        return self.rows.get((table, key))


def _sealed(
    associated: Callable[[bytes], bytes], prefix: int = 0
) -> tuple[Callable[[bytes, bytes], Derived], Callable[[bytes], Places]]:
    """Of what is a sealed value after `prefix` bytes."""

    def derive(key: bytes, blob: bytes) -> Derived:
        value = blob[prefix:]
        derived = hmac.digest(key, b"freehold sealed value v1\x00" + value[1:17] + b"\x01", "sha512")
        return Derived(derived[:32], derived[32:], value[49:61], associated(blob))

    return derive, lambda blob: Places(prefix + 1, prefix + 17, prefix + 61)


def _of_sealer(page: str, associated: bytes) -> Format:
    return Format(
        page,
        lambda key: Sealer(key).seal(TEXT, associated),
        lambda key, blob: Sealer(key).open(blob, associated),
        *_sealed(lambda blob: associated),
    )


# --- messages of KMS -------------------------------------------------------------------------------------------------


def _kms_places(blob: bytes) -> Places:
    end = len(blob_parts(blob, blob[0]).header)
    return Places(end, end + 16, end + 48)


def _kms_derive(key: bytes, blob: bytes) -> Derived:
    parts = blob_parts(blob)
    associated = parts.header + encoded_context(CONTEXT)
    derived = expand_sha512(key, b"freehold kms message v1\x00" + parts.rest[:16] + associated, 64)
    return Derived(derived[:32], derived[32:], bytes(12), associated)


def _token_derive(key: bytes, blob: bytes) -> Derived:
    parts = blob_parts(blob, 2)
    associated = parts.header + encoded_context(CONTEXT)
    info = b"freehold kms token message v2\x00" + parts.rest[:16] + hashlib.sha512(associated).digest()
    derived = hmac.digest(key, info + b"\x01", "sha512")
    return Derived(derived[:32], derived[32:], bytes(12), associated)


def _mac(key: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.digest(key, message, "sha512")


_OUTER_BYTES = 1 + 12 + 1 + 16
"""Vector, metadata and tag before the outer ciphertext."""


def _outer(plaintext: bytes, data: bytes) -> Outer:
    """An external key manager that does nothing to the message, but authenticates what it was asked with."""
    return Outer(plaintext, bytes(12), hashlib.sha256(data).digest()[:16])


def _inner(outer: Outer, data: bytes) -> bytes:
    if (outer.tag, outer.vector, outer.metadata) != (hashlib.sha256(data).digest()[:16], bytes(12), b""):
        raise envelope.InvalidBlob("the external key manager refuses")
    return outer.ciphertext


def _external_places(blob: bytes) -> Places:
    end = len(blob_parts(blob, 3).header) + _OUTER_BYTES
    return Places(end, end + 16, end + 48)


def _external_derive(key: bytes, blob: bytes) -> Derived:
    parts = blob_parts(blob, 3)
    associated = parts.header + encoded_context(CONTEXT)
    random = parts.rest[_OUTER_BYTES : _OUTER_BYTES + 16]
    info = b"freehold kms external message v3\x00" + random + hashlib.sha512(associated).digest()
    derived = expand_sha512(key, info, 64)
    return Derived(derived[:32], derived[32:], bytes(12), associated)


def _proxied(blob: bytes) -> proxy_message.Sealed:
    return proxy_message.Sealed(blob[36:-16], blob[:16], blob[-16:], blob[16:36])


def _proxy_make(key: bytes) -> bytes:
    made = proxy_message.seal(key, 1, KEY_ID, b"data", TEXT)
    return made.vector + made.metadata + made.ciphertext + made.tag


def _proxy_derive(key: bytes, blob: bytes) -> Derived:
    digest = hashlib.sha512(blob[16:19] + len(KEY_ID).to_bytes(2, "big") + KEY_ID.encode() + b"data").digest()
    derived = expand_sha512(key, b"freehold xks proxy message v1\x00" + blob[:16] + digest, 49)
    # The metadata, with the commitment, are associated data too: those of whoever seals.
    metadata = blob[16:19] + derived[32:]
    return Derived(derived[:32], derived[32:], blob[:16], b"\x00\x04data\x14" + metadata)


# --- objects, backups, the trail -------------------------------------------------------------------------------------


def _stream_derive(key: bytes, blob: bytes) -> Derived:
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + blob[:24] + b"context"
    derived = expand_sha512(key, info, 76)
    return Derived(derived[:32], derived[44:], derived[32:44], b"")


def _backup_wrapped_at(blob: bytes) -> int:
    return 12 + int.from_bytes(blob[8:12], "big")


def _backup_derive(key: bytes, blob: bytes) -> Derived:
    """Of the file's key, wrapped: what a second key would have to open first."""
    start = _backup_wrapped_at(blob)
    value = blob[start:]
    derived = hmac.digest(key, b"freehold sealed value v1\x00" + value[1:17] + b"\x01", "sha512")
    associated = b"freehold key material backup v1\x00" + blob[:start]
    return Derived(derived[:32], derived[32:], value[49:61], associated)


def _backup_places(blob: bytes) -> Places:
    start = _backup_wrapped_at(blob)
    return Places(start + 1, start + 17, start + 61)


def _segment_make(key: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        writer = SegmentWriter(Path(directory), key, 3, 1_000_000)
        writer.append([TEXT], 1_000_001)
        writer.close()
        return next(Path(directory).glob("*.segment")).read_bytes()


def _segment_open(key: bytes, blob: bytes) -> list[Any]:
    with tempfile.TemporaryDirectory() as directory:
        name = f"{int.from_bytes(blob[26:34], 'big'):016d}-{int.from_bytes(blob[24:26], 'big'):05d}-{blob[8:24].hex()}"
        path = Path(directory) / f"{name}.segment"
        path.write_bytes(blob)
        steps = list(SegmentReader(path, key).walk())
        if any(isinstance(step, Tail) and step.bytes_over for step in steps):
            raise DamagedSegment("it ends within a frame, which a checkpoint knows")
        return steps


def _segment_derive(key: bytes, blob: bytes) -> Derived:
    derived = expand_sha512(key, b"freehold audit segment v1\x00" + blob[:34], 64)
    return Derived(derived[:32], derived[32:], bytes(12), blob[66:78])


# --- what is carried or kept as a sealed value -----------------------------------------------------------------------

_CLOCK = Clock()
_NOW = int(_CLOCK.now_seconds())
_ACCESS_KEY = {"id": ""}


def _session_make(key: bytes) -> bytes:
    arn = "arn:aws:sts::111122223333:assumed-role/role/session"
    session = Session(issued_at=_NOW, expires_at=_NOW + 3600)
    who = Principal("role", "111122223333", arn, "AROA:session", "role", session=session)
    issued = TokenSealer(Sealer(key), _CLOCK).issue(who)
    _ACCESS_KEY["id"] = issued.access_key_id
    return base64.b64decode(issued.token)


def _session_open(key: bytes, blob: bytes) -> Any:
    return TokenSealer(Sealer(key), _CLOCK).open(_ACCESS_KEY["id"], base64.b64encode(blob).decode())


def _import_make(key: bytes) -> bytes:
    token = import_tokens.Token(
        region=REGION, key_id=KEY_ID, algorithm="RSAES_OAEP_SHA_256", expires_at=_NOW + 60, private_key=b"private"
    )
    header = b"\x01" + (_NOW // 86_400).to_bytes(4, "big")
    return header + Sealer(key).seal(msgspec.msgpack.encode(token), b"freehold kms import token v1\x00" + header)


def _import_open(key: bytes, blob: bytes) -> Any:
    rows = {("kms.import_epochs", (_NOW // 86_400,)): msgspec.msgpack.encode({"secret": key})}
    return import_tokens.read(App(key, rows), KEY, blob, _NOW)  # type: ignore[arg-type]


def _grant_make(key: bytes) -> bytes:
    return Sealer(key).seal(f"{REGION}\n{KEY_ID}\nid".encode(), b"freehold kms grant token v1")


def _grant_open(key: bytes, blob: bytes) -> Any:
    return grant_tokens.read(App(key), base64.b64encode(blob).decode())  # type: ignore[arg-type]


def _material_open(key: bytes, blob: bytes) -> Any:
    row = {"material_id": "m", "sealed": blob, "created_at": 0.0}
    rows = {("kms.materials", (REGION, KEY_ID, 1)): msgspec.msgpack.encode(row)}
    app: Any = App(key, rows)
    return material.open_version(app, app, REGION, KEY_ID, 1)


_MATERIAL = f"freehold kms material v1\x00{REGION}\x00{KEY_ID}\x001\x00m".encode()
_STORE = CustomKeyStore(
    store_id="cks-1", account_id="111122223333", region=REGION, name="n", kind="AWS_CLOUDHSM", created_at=0.0
)


def _secret_open(key: bytes, blob: bytes) -> Any:
    return secret.opened(App(key), msgspec.structs.replace(_STORE, sealed_secret=blob))  # type: ignore[arg-type]


def _denial_make(key: bytes) -> bytes:
    return Sealer(key).seal(zlib.compress(b'["111122223333", {}]'), b"encoded authorization message")


def _denial_open(key: bytes, blob: bytes) -> Any:
    log: Any = DenialLog.__new__(DenialLog)
    log._sealer = Sealer(key)
    return log.decoded(base64.urlsafe_b64encode(blob).decode().rstrip("="))


_HEAD = Head("d" * 32, 1, "", 0, "file", {})


def _custody_head(key: bytes) -> Head:
    return msgspec.structs.replace(_HEAD, fingerprint=RootKey(b"\x07" * 32).fingerprint())


def _custody_key(key: bytes) -> RootKey:
    """A root key of one fingerprint, whatever its sealing key: the test is of what is under the fingerprint."""

    class Named(RootKey):
        def fingerprint(self) -> str:
            return RootKey(b"\x07" * 32).fingerprint()

        def sealing_key(self, purpose: str) -> bytes:
            return key

    return Named(key)


def _custody_make(key: bytes) -> bytes:
    """The head's two lines and the sealed keyring, as they are authenticated together."""
    with tempfile.TemporaryDirectory() as directory:
        Record.make(_custody_head(key), _custody_key(key), Keyring.new()).write(Path(directory))
        first, head, sealed, _ = (Path(directory) / "custody").read_bytes().split(b"\n")
        return first + b"\n" + head + b"\n" + base64.b64decode(sealed)


def _custody_at(blob: bytes) -> int:
    return blob.index(b"\n", blob.index(b"\n") + 1) + 1


_CUSTODY_AT = _custody_at(_custody_make(bytes(32)))


def _custody_open(key: bytes, blob: bytes) -> Any:
    with tempfile.TemporaryDirectory() as directory:
        sealed = base64.b64encode(blob[_CUSTODY_AT:])
        (Path(directory) / "custody").write_bytes(blob[:_CUSTODY_AT] + sealed + b"\n")
        record = Record.read(Path(directory))
        assert record is not None
        return record.open(_custody_key(key))


def _table() -> Format:
    return Format(
        "records.md",
        lambda key: SealedTable("table", Sealer(key)).seal(b"key", TEXT),
        lambda key, blob: SealedTable("table", Sealer(key)).open(b"key", blob),
        *_sealed(lambda blob: b"table\x00key"),
    )


FORMATS = {
    "a sealed value": _of_sealer("sealed-value.md", b"associated"),
    "a record": _table(),
    "a data key of SSE-S3": _of_sealer("s3-objects.md", bound_to("bucket", "key", "id")),
    "key material": Format(
        "kms-key-material.md",
        lambda key: Sealer(key).seal(TEXT, _MATERIAL),
        _material_open,
        *_sealed(lambda _: _MATERIAL),
    ),
    "a grant token": Format(
        "kms-key-material.md", _grant_make, _grant_open, *_sealed(lambda _: b"freehold kms grant token v1")
    ),
    "a key store's secret": Format(
        "kms-store-ciphertext.md",
        lambda key: Sealer(key).seal(b"1234", f"freehold kms custom key store v1\x00{REGION}\x00cks-1".encode()),
        _secret_open,
        *_sealed(lambda _: f"freehold kms custom key store v1\x00{REGION}\x00cks-1".encode()),
    ),
    "an import token": Format(
        "import-token.md",
        _import_make,
        _import_open,
        *_sealed(lambda blob: b"freehold kms import token v1\x00" + blob[:5], 5),
    ),
    "a session token": Format(
        "session-token.md",
        _session_make,
        _session_open,
        *_sealed(lambda _: b"session token\x00" + _ACCESS_KEY["id"].encode(), 1),
    ),
    "an encoded message": Format(
        "denials.md", _denial_make, _denial_open, *_sealed(lambda _: b"encoded authorization message")
    ),
    "a device token": _of_sealer("small-tokens.md", b"sign-in device"),
    "a place in the trail": _of_sealer("small-tokens.md", b"111122223333\x00us-east-1\x00\x00None\x00None\x00"),
    "a keyring": Format(
        "keyring.md",
        _custody_make,
        _custody_open,
        *_sealed(lambda blob: b"freehold keyring v1\x00" + blob[:_CUSTODY_AT], _CUSTODY_AT),
    ),
    "a KMS ciphertext": Format(
        "kms-ciphertext.md",
        lambda key: envelope.seal_message(key, HEADER, CONTEXT, TEXT),
        lambda key, blob: envelope.open_message(key, blob, CONTEXT),
        _kms_derive,
        _kms_places,
    ),
    "a KMS ciphertext of a token's key": Format(
        "kms-store-ciphertext.md",
        lambda key: store_envelope.seal_in_token(_mac(key), HEADER, CONTEXT, TEXT),
        lambda key, blob: store_envelope.open_in_token(_mac(key), blob, CONTEXT),
        _token_derive,
        _kms_places,
    ),
    "a KMS ciphertext of an external key": Format(
        "kms-store-ciphertext.md",
        lambda key: store_envelope.seal_twice(_outer, key, HEADER, CONTEXT, TEXT),
        lambda key, blob: store_envelope.open_twice(_inner, key, blob, CONTEXT),
        _external_derive,
        _external_places,
    ),
    "a proxy's message": Format(
        "xks-proxy-message.md",
        _proxy_make,
        lambda key, blob: proxy_message.open_(key, KEY_ID, b"data", _proxied(blob)),
        _proxy_derive,
        lambda blob: Places(0, 19, 36),
    ),
    "an object's stream": Format(
        "object-stream.md",
        lambda key: stream.seal(key, b"context", TEXT),
        lambda key, blob: stream.open_whole(key, b"context", blob, len(TEXT)),
        _stream_derive,
        lambda blob: Places(0, 24, 56),
    ),
    "a backup of key material": Format(
        "key-material-backup.md",
        lambda key: archive.write(Sealer(key), b"{}", [TEXT, TEXT]),
        lambda key, blob: list(archive.read(Sealer(key), blob)),
        _backup_derive,
        _backup_places,
        end=32 + 2 * (5 + len(TEXT) + 16),
    ),
    "a segment of the trail": Format(
        "audit-segment.md", _segment_make, _segment_open, _segment_derive, lambda blob: Places(0, 34, 78)
    ),
}


def forged(form: Format, key: bytes, other: bytes, blob: bytes, *, committed: bool) -> bytes:
    """The blob with its content sealed anew under what `other` derives; `committed` to it as well, or as it was."""
    places, beyond = form.places(blob), len(blob) - form.end
    own, new = form.derive(key, blob), form.derive(other, blob)
    sealed = blob[places.ciphertext : beyond]
    content = AESGCM(own.message_key).decrypt(own.nonce, sealed, own.associated)
    again = AESGCM(new.message_key).encrypt(new.nonce, content, new.associated)
    commitment = new.commitment if committed else own.commitment
    after = places.commitment + len(commitment)
    return blob[: places.commitment] + commitment + blob[after : places.ciphertext] + again + blob[beyond:]
