"""SSH public keys of users: RSA of 2,048 bits and more, five each at most, in ssh-rsa or PEM form.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_UploadSSHPublicKey.html
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from freehold.authentication.key_ids import new_unique_id
from freehold.services.call import Call
from freehold.services.iam import entities, pages, shapes
from freehold.services.iam.authorized import iam, on_entity, own_name
from freehold.services.iam.errors import (
    DuplicateSSHPublicKey,
    InvalidInput,
    InvalidPublicKey,
    NoSuchEntity,
    UnrecognizedPublicKeyEncoding,
    quota,
)
from freehold.services.iam.records import Record, User
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader, Table

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MOST_KEYS = 5
_LEAST_BITS = 2048
_MOST_BITS = 16_384


class SshKey(Record, kw_only=True):
    key_id: str
    body: str
    """As it was uploaded."""
    fingerprint: str
    uploaded_at: int
    active: bool = True


SSH_KEYS = Table("iam.ssh_keys", SshKey)  # (user's unique id, key id)


def of(reader: Reader, user_id: str) -> list[SshKey]:
    return [record for _, record in SSH_KEYS.scan(reader, (user_id,))]


def _parsed(body: str) -> RSAPublicKey:
    """The key in an upload. Raises UnrecognizedPublicKeyEncoding, InvalidPublicKey."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

    text = body.strip().encode()
    if not text.startswith((b"ssh-", b"-----BEGIN ")):
        raise UnrecognizedPublicKeyEncoding("The public key must be encoded in ssh-rsa format or PEM format.")
    try:
        key = load_ssh_public_key(text) if text.startswith(b"ssh-") else load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidPublicKey("The public key is malformed or otherwise invalid.") from None
    if not isinstance(key, RSAPublicKey) or not _LEAST_BITS <= key.key_size <= _MOST_BITS:
        raise InvalidPublicKey(f"The public key must be an RSA key of at least {_LEAST_BITS} bits.")
    return key


def _in_ssh_form(key: RSAPublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def _in_pem_form(key: RSAPublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def _fingerprint(key: RSAPublicKey) -> str:
    """As `ssh-keygen -l -E md5` tells it: MD5 of the key's wire form."""
    wire = base64.b64decode(_in_ssh_form(key).split()[1])
    return hashlib.md5(wire, usedforsecurity=False).digest().hex(":")


def _user(reader: Reader, call: Call, params: Params) -> User:
    name = params.get("UserName")
    return entities.require_user(reader, call.account_id, own_name(call) if name is None else name)


def _require(reader: Reader, user: User, params: Params) -> SshKey:
    found = SSH_KEYS.get(reader, (user.unique_id, params["SSHPublicKeyId"]))
    if found is None:
        raise NoSuchEntity(f"The Public Key with id {params['SSHPublicKeyId']} cannot be found.")
    return found


def _metadata(user: User, record: SshKey) -> Result:
    return {
        "UserName": user.name,
        "SSHPublicKeyId": record.key_id,
        "Status": "Active" if record.active else "Inactive",
        "UploadDate": shapes.date(record.uploaded_at),
    }


@iam("UploadSSHPublicKey", on_entity("UploadSSHPublicKey", "user"), writes=True)
def upload_ssh_public_key(call: Call, params: Params) -> Result:
    """A key that the user doesn't have yet, in whichever form."""
    user = _user(call.tx, call, params)
    fingerprint = _fingerprint(_parsed(params["SSHPublicKeyBody"]))
    present = of(call.tx, user.unique_id)
    if any(record.fingerprint == fingerprint for record in present):
        raise DuplicateSSHPublicKey("The SSH public key is already associated with the specified IAM user.")
    if len(present) >= MOST_KEYS:
        raise quota("SSHPublicKeysPerUser", MOST_KEYS)
    record = SshKey(
        key_id=new_unique_id("APKA"),
        body=params["SSHPublicKeyBody"],
        fingerprint=fingerprint,
        uploaded_at=int(call.app.clock.now_seconds()),
    )
    SSH_KEYS.put(call.tx, (user.unique_id, record.key_id), record)
    return {"SSHPublicKey": _metadata(user, record) | {"Fingerprint": fingerprint, "SSHPublicKeyBody": record.body}}


@iam("GetSSHPublicKey", on_entity("GetSSHPublicKey", "user"))
def get_ssh_public_key(call: Call, params: Params) -> Result:
    """The key in ssh-rsa form (`SSH`) or as PEM, however it was uploaded."""
    user = _user(call.reader, call, params)
    record = _require(call.reader, user, params)
    key = _parsed(record.body)
    body = _in_ssh_form(key) if params["Encoding"] == "SSH" else _in_pem_form(key)
    return {"SSHPublicKey": _metadata(user, record) | {"Fingerprint": record.fingerprint, "SSHPublicKeyBody": body}}


@iam("ListSSHPublicKeys", on_entity("ListSSHPublicKeys", "user"))
def list_ssh_public_keys(call: Call, params: Params) -> Result:
    """A user's keys without their bodies; without UserName the caller's own."""
    user = _user(call.reader, call, params)
    found = {record.key_id: record for record in of(call.reader, user.unique_id)}
    return pages.page_of_texts(params, "SSHPublicKeys", found, lambda each: _metadata(user, found[each]))


@iam("UpdateSSHPublicKey", on_entity("UpdateSSHPublicKey", "user"), writes=True)
def update_ssh_public_key(call: Call, params: Params) -> None:
    """Active or Inactive."""
    user = _user(call.tx, call, params)
    record = _require(call.tx, user, params)
    if params["Status"] == "Expired":
        raise InvalidInput("The status of an SSH public key can be set to Active or Inactive.")
    record.active = params["Status"] == "Active"
    SSH_KEYS.put(call.tx, (user.unique_id, record.key_id), record)


@iam("DeleteSSHPublicKey", on_entity("DeleteSSHPublicKey", "user"), writes=True)
def delete_ssh_public_key(call: Call, params: Params) -> None:
    """Delete a key for good."""
    user = _user(call.tx, call, params)
    SSH_KEYS.delete(call.tx, (user.unique_id, _require(call.tx, user, params).key_id))
