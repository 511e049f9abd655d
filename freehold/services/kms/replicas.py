"""The operations on multi-Region keys as such: a further replica, another primary.

Both take effect at once and in every Region together: no key is ever Creating or Updating, and nobody sees two
primaries or none. A replica's Region must be one that this deployment serves.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from freehold.arn import build
from freehold.audit import event
from freehold.authorization.permission import ContextValue, Permission
from freehold.services.call import Call
from freehold.services.iam import principals
from freehold.services.kms import (
    imported,
    key_policies,
    keys,
    loaded,
    multi_region,
    policies,
    records,
    rotation,
    states,
    tags,
)
from freehold.services.kms.errors import AlreadyExists, UnsupportedOperation, key_not_found
from freehold.services.kms.permissions import find, managing, request_context
from freehold.services.kms.records import TOMBSTONES, Key
from freehold.services.operation import REGISTRY, Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.operation import Operation


def _in_region(call: Call, region: str, declared: Operation | None = None) -> Call:
    """The same call in another Region: what is decided and audited there."""
    context = copy.copy(call.context)
    context["aws:requestedregion"] = region
    there = Call(
        call.app,
        call.request,
        declared or call.operation,
        call.principal,
        region,
        call.request_id,
        context,
        via=call.via,
        parent=call.parent,
        transaction=call.transaction,
    )
    there.endpoint, there.params = call.endpoint, call.params
    return there


def _arn_in(key: Key, region: str) -> str:
    return build("kms", region, key.account_id, f"key/{key.key_id}")


def _primary(call: Call, params: Params, operation_name: str) -> Key:
    key = loaded.changeable(call, params["KeyId"], operation_name)
    if key.multi_region_type != "PRIMARY":
        raise UnsupportedOperation(f"{key.arn} is not a multi-Region primary key.")
    return key


def _may_replicate(call: Call, params: Params) -> list[Permission]:
    key, _ = find(call, params["KeyId"], "kms:ReplicateKey", aliases=False, foreign=False)
    region = params["ReplicaRegion"]
    here: dict[str, ContextValue] = {**request_context(key), "kms:replicaregion": region}
    there: dict[str, ContextValue] = {
        "aws:requestedregion": region,
        "kms:keyspec": key.record.spec,
        "kms:customermasterkeyspec": key.record.spec,
        "kms:keyusage": key.record.usage,
        "kms:customermasterkeyusage": key.record.usage,
        "kms:keyorigin": key.record.origin,
        "kms:multiregion": "true",
        "kms:multiregionkeytype": "REPLICA",
    }
    if "BypassPolicyLockoutSafetyCheck" in params:
        bypass = "true" if params["BypassPolicyLockoutSafetyCheck"] else "false"
        there["kms:bypasspolicylockoutsafetycheck"] = here["kms:bypasspolicylockoutsafetycheck"] = bypass
    new_tags = tags.read(params.get("Tags", []))
    requested = tags.request_context(new_tags)
    here.update(requested)
    there.update(requested)
    needed = [
        managing(call, key, "kms:ReplicateKey", here),
        Permission("kms:CreateKey", "*", call.account_id, there),
    ]
    if new_tags:
        needed.append(Permission("kms:TagResource", "*", call.account_id, there))
    return needed


@operation("kms.ReplicateKey", permissions=_may_replicate, writes=True)
def replicate_key(call: Call, params: Params) -> Result:
    """Make a replica of a multi-Region primary key in another Region, usable at once: at most one a Region.

    Policy, description and tags are the replica's own; without a policy it gets the default one, not the primary's.
    A replica of a key with imported material is pending import. Needs kms:ReplicateKey on the primary key, and
    kms:CreateKey (with tags kms:TagResource) in the replica's Region.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html
    """
    primary = _primary(call, params, "ReplicateKey")
    region = params["ReplicaRegion"]
    if region not in call.app.settings.regions:
        raise UnsupportedOperation(f"The Region {region} is not served here.")
    if records.key_at(call.tx, region, primary.key_id) is not None:
        raise AlreadyExists(f"{_arn_in(primary, region)} already exists.")
    replica = Key(
        key_id=primary.key_id,
        account_id=primary.account_id,
        region=region,
        created_at=round(call.app.clock.now_seconds(), 3),
        policy=policies.default_policy(primary.account_id),
        description=params.get("Description", ""),
        tags=tags.read(params.get("Tags", [])),
        state=states.ENABLED if primary.origin == "AWS_KMS" else states.PENDING_IMPORT,
        spec=primary.spec,
        usage=primary.usage,
        origin=primary.origin,
        import_secret=primary.import_secret,
        primary_region=primary.region,
    )
    there = _in_region(call, region, REGISTRY["kms.CreateKey"])
    if "Policy" in params:
        bypass = params.get("BypassPolicyLockoutSafetyCheck", False)
        replica.policy = key_policies.accepted(there, replica, params["Policy"], bypass=bypass)
    replicas = [*primary.replica_regions, region]
    multi_region.regroup(call.tx, primary, primary=primary.region, replicas=replicas)
    records.save(call.tx, primary)
    replica.primary_region, replica.replica_regions = primary.region, replicas
    if primary.origin == "AWS_KMS":
        multi_region.copy_material(call.app, call.tx, primary, replica)
    else:
        imported.relate(call.tx, primary, replica, replica.created_at)
    multi_region.share(primary, replica)
    keys.enter(call.tx, replica)
    # The id is in use in this Region again: a key that had it here before doesn't count as deleted any more.
    TOMBSTONES.delete(call.tx, (region, replica.key_id))
    shown = keys.metadata(replica)
    _note_creation(call, there, replica)
    return {
        "ReplicaKeyMetadata": shown,
        "ReplicaPolicy": principals.to_arns(call.tx, replica.policy),
        "ReplicaTags": [{"TagKey": name, "TagValue": value} for name, value in replica.tags.items()],
    }


def _note_creation(call: Call, there: Call, replica: Key) -> None:
    """The replica's CreateKey, in its Region's trail."""
    there.params = {
        "Description": replica.description,
        "KeyUsage": replica.usage,
        "KeySpec": replica.spec,
        "Origin": replica.origin,
        "MultiRegion": True,
    }
    there.resources.append(("AWS::KMS::Key", replica.arn))
    call.events[:] = event.build(there, {"KeyMetadata": keys.metadata(replica)}, None)


def _may_update_primary(call: Call, params: Params) -> list[Permission]:
    key, _ = find(call, params["KeyId"], "kms:UpdatePrimaryRegion", aliases=False, foreign=False)
    region = params["PrimaryRegion"]
    context: dict[str, ContextValue] = {**request_context(key), "kms:primaryregion": region}
    needed = [managing(call, key, "kms:UpdatePrimaryRegion", context)]
    if region in key.record.replica_regions:
        there = _in_region(call, region)
        replica = loaded.by_id(there, key.key_id)
        if replica is not None and replica.account_id == key.account_id:
            context = {**request_context(replica), "kms:primaryregion": region, "aws:requestedregion": region}
            needed.append(managing(there, replica, "kms:UpdatePrimaryRegion", context))
    return needed


@operation("kms.UpdatePrimaryRegion", permissions=_may_update_primary, writes=True)
def update_primary_region(call: Call, params: Params) -> None:
    """Make the replica in `PrimaryRegion` the primary key, and the primary a replica. Both must be enabled.

    Needs kms:UpdatePrimaryRegion on both. Ids, material, policies and everything else stay as they are.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html
    """
    for permission in _may_update_primary(call, params):
        # Once more: the replica may have been made, or its policy changed, meanwhile.
        call.require(permission)
    primary = _primary(call, params, "UpdatePrimaryRegion")
    region = params["PrimaryRegion"]
    if region == primary.region:
        raise UnsupportedOperation(f"{primary.arn} is the primary key already.")
    # Nobody could reach a primary key in a Region that isn't served any more.
    reached = region in primary.replica_regions and region in call.app.settings.regions
    replica = records.key_at(call.tx, region, primary.key_id) if reached else None
    if replica is None or 0 < replica.deletion_at <= call.app.clock.now_seconds():
        raise key_not_found(_arn_in(primary, region))
    states.admit("UpdatePrimaryRegion", replica)
    rotation.pause(call.tx, primary)
    replicas = [primary.region if one == region else one for one in primary.replica_regions]
    multi_region.regroup(call.tx, primary, primary=region, replicas=replicas)
    records.save(call.tx, primary)
    replica.primary_region, replica.replica_regions = region, replicas
    rotation.resume(call.tx, replica)
    there = _in_region(call, region)
    there.params = {"KeyId": replica.arn, "PrimaryRegion": region}
    there.resources.append(("AWS::KMS::Key", replica.arn))
    call.events[:] = event.build(there, {}, None)
