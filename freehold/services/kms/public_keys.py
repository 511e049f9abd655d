"""GetPublicKey: the public half of an asymmetric key, with all that one must know to use it outside.

Refuses symmetric and HMAC keys, which have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.authorization.permission import Permission
from freehold.services.kms import specs, states
from freehold.services.kms.admission import may_use
from freehold.services.kms.errors import UnsupportedOperation
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.specs import KeyPair
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call


def _may_get(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:GetPublicKey")


@operation("kms.GetPublicKey", permissions=_may_get)
def get_public_key(call: Call, params: Params) -> Result:
    """The public key as SubjectPublicKeyInfo in DER. A disabled key doesn't show it.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html
    """
    key: LoadedKey = call.prepared.key
    record = key.record
    spec = specs.of(record.spec)
    if not spec.asymmetric:
        raise UnsupportedOperation(f"{key.arn} key spec is {spec.name} which is not valid for GetPublicKey.")
    if not key.enabled:
        states.check("GetPublicKey", record.state, key.arn)
    pair: KeyPair = key.secret(call)
    return {
        "KeyId": key.arn,
        "PublicKey": pair.spki,
        "CustomerMasterKeySpec": spec.name,
        "KeySpec": spec.name,
        "KeyUsage": record.usage,
        specs.MEMBERS[record.usage]: list(spec.usages[record.usage]),
    }
