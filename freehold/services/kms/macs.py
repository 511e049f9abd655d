"""GenerateMac and VerifyMac: RFC 2104's HMAC of a message under an HMAC key, whole, never truncated.

A code that isn't the message's, of whatever length, is KMSInvalidMacException, and comparing takes the same time for
all of one length.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from freehold.authorization.permission import Permission
from freehold.services.kms.admission import may_use, usable_for
from freehold.services.kms.errors import DryRun, InvalidMac
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.specs import GENERATE_VERIFY_MAC
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call

_HASHES: Final = {f"HMAC_SHA_{bits}": f"sha{bits}" for bits in (224, 256, 384, 512)}


def _may_generate(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:GenerateMac", {"kms:macalgorithm": params["MacAlgorithm"]})


def _may_verify(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:VerifyMac", {"kms:macalgorithm": params["MacAlgorithm"]})


def _mac(call: Call, key: LoadedKey, operation_name: str, params: Params) -> bytes:
    """The message's code, once the key is found fit for it; ends a dry run."""
    algorithm: str = params["MacAlgorithm"]
    usable_for(key, operation_name, GENERATE_VERIFY_MAC, algorithm)
    if params.get("DryRun"):
        raise DryRun
    return hmac.digest(key.secret(call), params["Message"], _HASHES[algorithm])


@operation("kms.GenerateMac", permissions=_may_generate)
def generate_mac(call: Call, params: Params) -> Result:
    """The code of a message of 1-4,096 bytes: 28 to 64 bytes.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
    """
    key: LoadedKey = call.prepared.key
    mac = _mac(call, key, "GenerateMac", params)
    return {"Mac": mac, "MacAlgorithm": params["MacAlgorithm"], "KeyId": key.arn}


@operation("kms.VerifyMac", permissions=_may_verify)
def verify_mac(call: Call, params: Params) -> Result:
    """Check a message's code. One that isn't the message's is KMSInvalidMacException, never `false`.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html
    """
    key: LoadedKey = call.prepared.key
    if not hmac.compare_digest(_mac(call, key, "VerifyMac", params), params["Mac"]):
        raise InvalidMac
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": params["MacAlgorithm"]}
