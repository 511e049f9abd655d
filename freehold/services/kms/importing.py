"""Importing key material: parameters to wrap it with, bringing it in, taking it out again.

For keys that were created without material (`Origin=EXTERNAL`). The wrapping key is made, and material is unwrapped and
checked, in threads; what a key then has is settled in one transaction (`imported.py`). Refuses material of another size
or type than the key's spec, other material than the key had before, and tokens for anything else.
https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys.html
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from freehold.authorization.permission import Permission
from freehold.services.kms import (
    import_tokens,
    imported,
    key_making,
    loaded,
    multi_region,
    records,
    specs,
    states,
    unwrapping,
)
from freehold.services.kms.errors import (
    IncorrectKeyMaterial,
    InvalidState,
    NotFound,
    UnsupportedOperation,
    ValidationException,
)
from freehold.services.kms.permissions import find, managing, on_key, request_context
from freehold.services.kms.records import Imported, Key
from freehold.services.kms.specs import InvalidMaterial, Spec
from freehold.services.operation import Params, Result, due_work, operation
from freehold.storage.records import CorruptRecord

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.storage.records import Transaction

log = logging.getLogger("freehold")

MOST_DAYS: Final = 365
_DAY_SECONDS: Final = 86_400
_NEW: Final = "NEW_KEY_MATERIAL"
_EXISTING: Final = "EXISTING_KEY_MATERIAL"
_AT_MOST_PER_SWEEP: Final = 100
_SYMMETRIC_ONLY: Final = ("ImportType", "KeyMaterialDescription", "KeyMaterialId")


class Unwrapped(NamedTuple):
    """Material as it will be kept, for the handler of the same call."""

    raw: bytes
    material_id: str

    def __repr__(self) -> str:
        return f"Unwrapped({self.material_id})"


def _importable(call: Call, params: Params, operation_name: str) -> Key:
    """One of the account's keys, if it takes imported material and its state admits the operation."""
    key = loaded.record_for(call, params["KeyId"], f"kms:{operation_name}")
    states.admit(operation_name, key)
    return key


def _may_get_parameters(call: Call, params: Params) -> list[Permission]:
    action = "kms:GetParametersForImport"
    key, _ = find(call, params["KeyId"], action, aliases=False, foreign=False)
    context = request_context(key)
    context["kms:wrappingalgorithm"] = params["WrappingAlgorithm"]
    context["kms:wrappingkeyspec"] = params["WrappingKeySpec"]
    return [managing(call, key, action, context)]


async def _make_wrapping_key(call: Call, params: Params) -> None:
    key = _importable(call, params, "GetParametersForImport")
    algorithm, wrapping_spec = params["WrappingAlgorithm"], params["WrappingKeySpec"]
    unwrapping.check(algorithm, wrapping_spec, specs.of(key.spec))
    private_key = await key_making.made(call.app, specs.of(wrapping_spec), call.account_id)
    token, expires_at = await import_tokens.issue(call.app, key, algorithm, private_key)
    call.prepared = {
        "KeyId": key.arn,
        "ImportToken": token,
        "PublicKey": imported.public_half(private_key),
        "ParametersValidTo": datetime.fromtimestamp(expires_at, UTC),
    }


@operation("kms.GetParametersForImport", permissions=_may_get_parameters, prepare=_make_wrapping_key)
def get_parameters_for_import(call: Call, params: Params) -> Result:
    """A public key to wrap key material with, and the token to import it with; both are valid for 24 hours.

    Each call makes an RSA key pair, which takes from a tenth of a second to seconds; in each worker one at a time.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_GetParametersForImport.html
    """
    result: Result = call.prepared
    return result


def _expires_at(params: Params, now: float) -> float:
    """When the request's material expires, in whole seconds; 0.0 for never. Raises ValidationException."""
    valid_to: datetime | None = params.get("ValidTo")
    if params.get("ExpirationModel", imported.EXPIRES) == imported.DOES_NOT_EXPIRE:
        if valid_to is not None:
            raise ValidationException(
                "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"
            )
        return 0.0
    if valid_to is None:
        raise ValidationException("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
    at = float(int(valid_to.timestamp()))
    if not now < at <= now + MOST_DAYS * _DAY_SECONDS:
        raise ValidationException(f"The validTo date must be in the future, and at most {MOST_DAYS} days from now")
    return at


def _may_import(call: Call, params: Params) -> list[Permission]:
    action = "kms:ImportKeyMaterial"
    key, _ = find(call, params["KeyId"], action, aliases=False, foreign=False)
    context = request_context(key)
    context["kms:expirationmodel"] = params.get("ExpirationModel", imported.EXPIRES)
    if "ValidTo" in params:
        context["kms:validto"] = str(int(params["ValidTo"].timestamp()))
    return [managing(call, key, action, context)]


def _unwrapped(key: Key, spec: Spec, token: import_tokens.Token, wrapped: bytes) -> Unwrapped:
    opened = unwrapping.unwrap(token.algorithm, token.private_key, wrapped)
    try:
        raw = spec.accept(opened)
    except InvalidMaterial as error:
        raise IncorrectKeyMaterial(str(error)) from None
    return Unwrapped(raw, imported.material_id(key, raw))


async def _unwrap(call: Call, params: Params) -> None:
    key = _importable(call, params, "ImportKeyMaterial")
    now = call.app.clock.now_seconds()
    _expires_at(params, now)
    spec = specs.of(key.spec)
    if spec.name != specs.SYMMETRIC:
        given = [name for name in _SYMMETRIC_ONLY if name in params]
        if given:
            raise UnsupportedOperation(f"{given[0]} is supported for symmetric encryption keys only.")
    if params.get("ImportType") == _NEW and "KeyMaterialId" in params:
        raise ValidationException("You cannot specify KeyMaterialId with the ImportType NEW_KEY_MATERIAL.")
    token = import_tokens.read(call.reader, key, params["ImportToken"], now)
    call.prepared = await asyncio.get_running_loop().run_in_executor(
        call.app.pool, _unwrapped, key, spec, token, params["EncryptedKeyMaterial"]
    )


@operation("kms.ImportKeyMaterial", permissions=_may_import, writes=True, prepare=_unwrap)
def import_key_material(call: Call, params: Params) -> Result:
    """Bring material into a key. It is enabled when all that belongs to it is there; a disabled key stays disabled.

    Symmetric keys take further material (NEW_KEY_MATERIAL), one at a time, for RotateKeyOnDemand; all others only what
    they had. `ValidTo` is at most 365 days ahead, and the material is erased then.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html
    """
    key = _importable(call, params, "ImportKeyMaterial")
    app, tx = call.app, call.tx
    now = app.clock.now_seconds()
    expires_at = _expires_at(params, now)
    brought: Unwrapped = call.prepared
    imported.expire(app, tx, key, now)
    number, record = _place(key, imported.of(tx, key), params, brought.material_id)
    record.expires_at = expires_at
    record.description = params.get("KeyMaterialDescription", record.description)
    imported.put(app, tx, key, number, record, brought.raw, now)
    if not key.material:
        key.material, key.material_id = number, record.material_id
    imported.settle(tx, key, now)
    records.save(tx, key)
    if not key.is_replica:
        multi_region.synchronize(app, tx, key)
    result: Result = {"KeyId": key.arn}
    if key.spec == specs.SYMMETRIC:
        result["KeyMaterialId"] = record.material_id
    return result


@due_work
def expire_due(app: App, tx: Transaction) -> None:
    """Erase the imported material whose time is up, of at most 100 keys a call."""
    now = app.clock.now_seconds()
    for key in records.due(tx, now, imported.DUE, _AT_MOST_PER_SWEEP):
        try:
            # Material that was deleted or came again since then left its old date on the list.
            expired = imported.expire(app, tx, key, now)
        except CorruptRecord as error:
            # By the clock nobody uses it any more. Tried again, and keeps no other key from its time.
            log.error("imported material that has expired is left: %s", error)
            records.plan(tx, now, imported.DUE, key)
            continue
        if expired:
            records.save(tx, key)
            if not key.is_replica:
                # What only waited for a rotation is nothing to the replicas any more.
                multi_region.synchronize(app, tx, key)


def _place(key: Key, known: dict[int, Imported], params: Params, material_id: str) -> tuple[int, Imported]:
    """The number and the record of the material to be imported. Raises unless the key has a place for it."""
    wanted_id = params.get("KeyMaterialId", material_id)
    if wanted_id != material_id:
        raise IncorrectKeyMaterial(f"The key material is not that with the id {wanted_id}.")
    same = [(number, record) for number, record in known.items() if record.material_id == material_id]
    if params.get("ImportType", _EXISTING if known else _NEW) == _EXISTING or "KeyMaterialId" in params:
        if not same:
            raise IncorrectKeyMaterial(f"The key material was not imported into {key.arn} before.")
        return same[0]
    if key.is_replica:
        raise UnsupportedOperation(
            f"{key.arn} is a multi-Region replica key: import new key material into its primary key first."
        )
    if same:
        raise IncorrectKeyMaterial(f"The key material is already associated with {key.arn}.")
    if any(number > key.material for number in known):
        raise InvalidState(f"{key.arn} already has key material that is pending rotation; delete that first.")
    return key.material + 1, Imported(material_id=material_id)


@operation("kms.DeleteImportedKeyMaterial", permissions=on_key("kms:DeleteImportedKeyMaterial"), writes=True)
def delete_imported_key_material(call: Call, params: Params) -> Result:
    """Erase imported material: the current one, or the one with `KeyMaterialId`. The same may be imported again.

    The key is pending import then, unless it is pending deletion or the material only waited for a rotation. Succeeds
    where the material is gone already.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteImportedKeyMaterial.html
    """
    key = _importable(call, params, "DeleteImportedKeyMaterial")
    app, tx = call.app, call.tx
    now = app.clock.now_seconds()
    if "KeyMaterialId" in params and key.spec != specs.SYMMETRIC:
        raise UnsupportedOperation("KeyMaterialId is supported for symmetric encryption keys only.")
    wanted_id = params.get("KeyMaterialId", key.material_id)
    imported.expire(app, tx, key, now)
    for number, record in imported.of(tx, key).items():
        if record.material_id == wanted_id:
            imported.remove(tx, key, number, record)
            break
    else:
        if wanted_id:
            raise NotFound(f"{key.arn} has no key material with the id {wanted_id}.")
    imported.settle(tx, key, now)
    records.save(tx, key)
    if not key.is_replica:
        multi_region.synchronize(app, tx, key)
    result: Result = {"KeyId": key.arn}
    if wanted_id and key.spec == specs.SYMMETRIC:
        result["KeyMaterialId"] = wanted_id
    return result
