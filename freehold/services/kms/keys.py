"""KMS keys: made, described, listed, enabled, disabled.

Serves keys of every spec in `specs.py` whose material is made here (`AWS_KMS`), comes later (`EXTERNAL`,
`importing.py`) or is elsewhere (`keys_in_stores.py`). What multi-Region keys have in common is in `multi_region.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization.permission import ContextValue, Permission
from freehold.services.iam import service_linked
from freehold.services.kms import (
    imported,
    key_making,
    key_policies,
    keys_in_stores,
    loaded,
    material,
    multi_region,
    paging,
    policies,
    records,
    rotation,
    specs,
    states,
    tags,
)
from freehold.services.kms.errors import InvalidMarker, LimitExceeded
from freehold.services.kms.identifiers import new_key_id
from freehold.services.kms.permissions import on_account, on_key
from freehold.services.kms.records import KEYS_OF_ACCOUNT, Key, Mark
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.storage.records import Transaction


MOST_PER_REGION: Final = 100_000
"""Customer managed keys of an account in a Region, each of related multi-Region keys counting where it is.

https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
"""


def metadata(key: Key, cluster_id: str = "") -> dict[str, Any]:
    """`KeyMetadata`, as every operation shows it. `cluster_id` is that of the key's custom key store."""
    shown: dict[str, Any] = {
        "AWSAccountId": key.account_id,
        "KeyId": key.key_id,
        "Arn": key.arn,
        "CreationDate": datetime.fromtimestamp(key.created_at, UTC),
        "Enabled": key.state == states.ENABLED,
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state,
        "Origin": key.origin,
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        specs.MEMBERS[key.usage]: list(specs.of(key.spec).usages[key.usage]),
        "MultiRegion": bool(key.primary_region),
    }
    if key.custom_key_store_id:
        shown["CustomKeyStoreId"] = key.custom_key_store_id
    if cluster_id:
        shown["CloudHsmClusterId"] = cluster_id
    if key.xks_key_id:
        shown["XksKeyConfiguration"] = {"Id": key.xks_key_id}
    if key.primary_region:
        shown["MultiRegionConfiguration"] = multi_region.configuration(key)
    if key.spec == specs.SYMMETRIC and key.origin in ("AWS_KMS", "EXTERNAL") and key.material_id:
        # Only these keys have more than one material.
        shown["CurrentKeyMaterialId"] = key.material_id
    if key.origin == imported.EXTERNAL and key.material and key.state != states.PENDING_IMPORT:
        shown["ExpirationModel"] = imported.EXPIRES if key.expires_at else imported.DOES_NOT_EXPIRE
        if key.expires_at:
            shown["ValidTo"] = datetime.fromtimestamp(key.expires_at, UTC)
    if key.state == states.PENDING_DELETION:
        shown["DeletionDate"] = datetime.fromtimestamp(key.deletion_at, UTC)
    elif key.state == states.PENDING_REPLICA_DELETION:
        shown["PendingDeletionWindowInDays"] = key.pending_window_days
    return shown


def _may_create(call: Call, params: Params) -> list[Permission]:
    context: dict[str, ContextValue] = {
        "kms:keyspec": params.get("KeySpec") or params.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT",
        "kms:keyusage": params.get("KeyUsage", "ENCRYPT_DECRYPT"),
        "kms:keyorigin": params.get("Origin", "AWS_KMS"),
        "kms:multiregion": "true" if params.get("MultiRegion") else "false",
    }
    context["kms:customermasterkeyspec"] = context["kms:keyspec"]
    context["kms:customermasterkeyusage"] = context["kms:keyusage"]
    if "BypassPolicyLockoutSafetyCheck" in params:
        context["kms:bypasspolicylockoutsafetycheck"] = "true" if params["BypassPolicyLockoutSafetyCheck"] else "false"
    new_tags = tags.read(params.get("Tags", []))
    context.update(tags.request_context(new_tags))
    if params.get("MultiRegion"):
        context["kms:multiregionkeytype"] = "PRIMARY"
    needed = [Permission("kms:CreateKey", "*", call.account_id, context)]
    if new_tags:
        needed.append(Permission("kms:TagResource", "*", call.account_id, context))
    if params.get("MultiRegion"):
        needed.append(service_linked.creation(call, multi_region.SERVICE))
    return needed


async def _make_material(call: Call, params: Params) -> None:
    """Make material that takes long (RSA) or is made elsewhere (a key store), not on the loop or the writer.

    Leaves it for the handler.
    """
    spec, _ = specs.chosen(params)
    call.prepared = await keys_in_stores.prepared(call, params)
    if spec.slow and params.get("Origin", "AWS_KMS") == "AWS_KMS":
        call.prepared = await key_making.made(call.app, spec, call.account_id)


@operation(
    "kms.CreateKey",
    permissions=_may_create,
    writes=True,
    prepare=_make_material,
)
def create_key(call: Call, params: Params) -> Result:
    """Make a key of any spec; with the origin EXTERNAL without material, pending its import.

    With `CustomKeyStoreId` its material is made in an HSM (AWS_CLOUDHSM), or it is for an external key
    (EXTERNAL_KEY_STORE, `XksKeyId`): symmetric encryption keys of one Region only. Policy 32 KiB, description 8,192
    characters, 50 tags at most.

    Its usage is for good. The policy must let the caller change it later, or BypassPolicyLockoutSafetyCheck be true.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
    """
    made = call.prepared
    if isinstance(made, keys_in_stores.InStore):
        return keys_in_stores.or_abandoned(call, made, lambda: _create(call, params, made))
    return _create(call, params, None)


def _create(call: Call, params: Params, in_store: keys_in_stores.InStore | None) -> Result:
    spec, usage = specs.chosen(params)
    key = Key(
        key_id=new_key_id(multi_region=params.get("MultiRegion", False)) if in_store is None else in_store.key_id,
        account_id=call.account_id,
        region=call.region,
        created_at=round(call.app.clock.now_seconds(), 3),
        policy=policies.default_policy(call.account_id),
        description=params.get("Description", ""),
        spec=spec.name,
        usage=usage,
        origin=params.get("Origin", "AWS_KMS"),
        tags=tags.read(params.get("Tags", [])),
        primary_region=call.region if params.get("MultiRegion") else "",
    )
    is_imported = params.get("Origin") == imported.EXTERNAL
    if is_imported:
        imported.begin(key)
    if "Policy" in params:
        key.policy = key_policies.accepted(
            call, key, params["Policy"], bypass=params.get("BypassPolicyLockoutSafetyCheck", False)
        )
    if is_imported:
        enter(call.tx, key)
    elif in_store is not None:
        keys_in_stores.enter(call, key, in_store)
        enter(call.tx, key)
    else:
        store(call.app, call.tx, key, raw=call.prepared)
    if key.primary_region:
        service_linked.ensure(call.tx, key.account_id, multi_region.SERVICE, now_seconds=key.created_at)
    call.resources.append(("AWS::KMS::Key", key.arn))
    return {"KeyMetadata": metadata(key, "" if in_store is None else in_store.store.cluster_id)}


def store(app: App, tx: Transaction, key: Key, *, raw: bytes | None = None) -> None:
    """Write a new key with its first material: `raw`, or new material of its spec."""
    material.add(app, tx, key, key.created_at, raw=raw)
    enter(tx, key)


def enter(tx: Transaction, key: Key) -> None:
    """Write a new key, which has its material. Raises LimitExceededException."""
    if key.manager == "CUSTOMER" and records.count_keys(tx, key.account_id, key.region, 1) > MOST_PER_REGION:
        raise LimitExceeded(
            f"The account has {MOST_PER_REGION} customer managed keys in {key.region}, which is the limit."
        )
    records.save(tx, key)
    KEYS_OF_ACCOUNT.put(tx, (key.account_id, key.region, key.key_id), Mark())


@operation(
    "kms.DescribeKey",
    permissions=on_key("kms:DescribeKey", aliases=True, foreign=True),
)
def describe_key(call: Call, params: Params) -> Result:
    """What a key is and its state. By id, ARN, alias name or alias ARN; another account's by ARN.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
    """
    key = loaded.locate(call, params["KeyId"], "kms:DescribeKey").key
    return {"KeyMetadata": metadata(key.record, "" if key.store is None else key.store.cluster_id)}


@operation("kms.ListKeys", permissions=on_account("kms:ListKeys"))
def list_keys(call: Call, params: Params) -> Result:
    """The account's keys in the Region, AWS managed ones included: 1-1,000 a page, 100 by default.

    Of `ResourceOwners`, OTHER_ACCOUNTS_VIA_RAM adds nothing: there are no resource shares here, and so no key that came
    by one.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeys.html
    """
    if "SELF" not in params.get("ResourceOwners", ("SELF",)):
        if "Marker" in params:
            # No answer to this request ever had one.
            raise InvalidMarker
        return {"Keys": [], "Truncated": False}
    seen = paging.last_seen(params, 1)
    prefix = (call.account_id, call.region)
    after = None if seen is None else (*prefix, seen[0])
    limit: int = params.get("Limit", 100)
    rows = call.reader.scan(KEYS_OF_ACCOUNT.name, prefix, after=after, limit=limit + 1)
    arn = f"arn:aws:kms:{call.region}:{call.account_id}:key/"
    return paging.page(
        "Keys",
        (str(row[2]) for row, _ in rows),
        params,
        lambda key_id: {"KeyId": key_id, "KeyArn": arn + key_id},
        paging.marker,
    )


@operation("kms.EnableKey", permissions=on_key("kms:EnableKey"), writes=True)
def enable_key(call: Call, params: Params) -> None:
    """Let a disabled key be used again. A rotation that fell due meanwhile happens soon after.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKey.html
    """
    key = loaded.changeable(call, params["KeyId"], "EnableKey")
    if key.state != states.ENABLED:
        key.state = states.ENABLED
        rotation.resume(call.tx, key)
        records.save(call.tx, key)


@operation("kms.DisableKey", permissions=on_key("kms:DisableKey"), writes=True)
def disable_key(call: Call, params: Params) -> None:
    """Refuse every use of a key until it is enabled again; holds for the next request.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKey.html
    """
    key = loaded.changeable(call, params["KeyId"], "DisableKey")
    if key.state != states.DISABLED:
        key.state = states.DISABLED
        rotation.pause(call.tx, key)
        records.save(call.tx, key)


@operation("kms.UpdateKeyDescription", permissions=on_key("kms:UpdateKeyDescription"), writes=True)
def update_key_description(call: Call, params: Params) -> None:
    """Replace a key's description: at most 8,192 characters.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateKeyDescription.html
    """
    key = loaded.changeable(call, params["KeyId"], "UpdateKeyDescription")
    key.description = params["Description"]
    records.save(call.tx, key)
