"""The KMS key that an external key id names, and what using it through the proxy needs: KMS's own permissions.

An external key id is the id of a key in the credential's own account; aliases may move and aren't taken. The key's
policy, the user's policies and the key's state decide as for any other call of KMS. What AWS KMS says of its own caller
and key (`requestMetadata`) are condition keys, so that a policy here may have a say in what happens there:

    freehold:XksAwsPrincipalArn  freehold:XksKmsKeyArn  freehold:XksKmsOperation  freehold:XksKmsViaService
    freehold:XksAwsSourceVpc  freehold:XksAwsSourceVpce

They are believed as far as the credential is: whoever holds it can say anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from freehold.authorization.permission import ContextValue, Permission
from freehold.crypto import proxy_message
from freehold.services.kms import loaded, permissions
from freehold.services.kms.errors import NotFound
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms_xks_proxy.errors import (
    InternalException,
    InvalidCiphertext,
    InvalidKeyUsage,
    InvalidState,
    KeyNotFound,
    UnsupportedOperation,
)
from freehold.services.operation import Params

if TYPE_CHECKING:
    from freehold.services.call import Call

CONDITION_KEYS: Final = {
    "awsPrincipalArn": "freehold:xksawsprincipalarn",
    "awsSourceVpc": "freehold:xksawssourcevpc",
    "awsSourceVpce": "freehold:xksawssourcevpce",
    "kmsKeyArn": "freehold:xkskmskeyarn",
    "kmsOperation": "freehold:xkskmsoperation",
    "kmsViaService": "freehold:xkskmsviaservice",
}
"""By member of `requestMetadata`."""


def named(call: Call, params: Params) -> LoadedKey:
    """The key. Raises KeyNotFoundException for what the credential's account doesn't have."""
    key = loaded.by_id(call, params["externalKeyId"])
    if key is None or key.account_id != call.account_id:
        _unknown(call, params)
    try:
        loaded.in_force(call, key)
    except NotFound:
        _unknown(call, params)
    call.resources.append(("AWS::KMS::Key", key.arn))
    call.prepared = key
    return key


def _unknown(call: Call, params: Params) -> NoReturn:
    raise KeyNotFound(f"There is no key {params['externalKeyId']} in {call.region} for this credential.")


def told(params: Params) -> dict[str, ContextValue]:
    """The condition keys of what AWS KMS says."""
    metadata = params["requestMetadata"]
    return {name: metadata[member] for member, name in CONDITION_KEYS.items() if member in metadata}


def may_look(call: Call, params: Params) -> list[Permission]:
    """kms:DescribeKey on the key."""
    key = named(call, params)
    context = permissions.request_context(key)
    context.update(told(params))
    return [permissions.managing(call, key, "kms:DescribeKey", context)]


def may_encrypt(call: Call, params: Params) -> list[Permission]:
    return [_use(call, params, "kms:Encrypt")]


def may_decrypt(call: Call, params: Params) -> list[Permission]:
    return [_use(call, params, "kms:Decrypt")]


def _use(call: Call, params: Params, action: str) -> Permission:
    key = named(call, params)
    if key.store is not None:
        # A key that is in an external key store itself could lead round in a circle.
        raise UnsupportedOperation("Keys in custom key stores cannot be external keys.")
    return permissions.using(call, key, "", action, None, told(params))


def usable(call: Call) -> LoadedKey:
    """The call's key. Raises unless it is for encryption with AES-256, and enabled."""
    key: LoadedKey = call.prepared
    if not key.symmetric:
        raise InvalidKeyUsage(f"{key.arn} is a key of {key.record.spec}: external keys are SYMMETRIC_DEFAULT.")
    if not key.enabled:
        raise InvalidState(f"{key.arn} is not enabled: it is {key.record.state}.")
    return key


def current_material(call: Call, key: LoadedKey) -> tuple[bytes, int]:
    """The backing key that encrypts now, and its number."""
    number = key.record.material
    opened = key.opened(call, str(number))
    if opened is None:
        raise InternalException
    if number > proxy_message.MOST_NUMBER:
        raise UnsupportedOperation("The key has been rotated more often than a message can say.")
    return opened[0], number


def material_of(call: Call, key: LoadedKey, number: int) -> bytes:
    """The backing key of a message. Raises InvalidCiphertextException for a number that the key never had."""
    opened = key.opened(call, str(number))
    if opened is None:
        raise InvalidCiphertext
    return opened[0]
