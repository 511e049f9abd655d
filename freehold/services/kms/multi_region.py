"""Multi-Region keys: one primary key and its replica keys, a key each in its Region, with one id and one material.

Related keys share key id, spec, usage, origin, material and rotation; everything else (policy, grants, aliases, tags,
description, state) is each key's own. The primary is where shared properties change, and each change reaches the
replicas in its own transaction, so that no related key is ever behind: what a key encrypts, every other opens at once.
Each Region has its own sealed copy of the material, and deleting one replica destroys that copy alone. Imported
material is never copied: it is imported in each Region.
https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from freehold.arn import build
from freehold.services.iam import service_linked
from freehold.services.iam.records import Role
from freehold.services.kms import identifiers, imported, material, records, service_events, states
from freehold.services.kms.errors import KmsInternal, UnsupportedOperation
from freehold.services.kms.records import KEYS_OF_ACCOUNT, MATERIALS, Key

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.storage.records import Reader, Transaction

SERVICE: Final = "mrk.kms.amazonaws.com"
"""Whose service-linked role an account has from its first multi-Region key on, as on AWS. Nothing here needs it."""

_DAY_SECONDS: Final = 86_400


def configuration(key: Key) -> dict[str, Any]:
    """`MultiRegionConfiguration`: which kind of key this is, and where the others are."""

    def shown(region: str) -> dict[str, str]:
        return {"Arn": build("kms", region, key.account_id, f"key/{key.key_id}"), "Region": region}

    return {
        "MultiRegionKeyType": key.multi_region_type,
        "PrimaryKey": shown(key.primary_region),
        "ReplicaKeys": [shown(region) for region in key.replica_regions],
    }


def related(reader: Reader, key: Key) -> Iterator[Key]:
    """The other keys of a multi-Region key; none for a single-Region key."""
    if not key.primary_region:
        return
    for region in (key.primary_region, *key.replica_regions):
        if region != key.region:
            other = records.key_at(reader, region, key.key_id)
            if other is not None:
                yield other


def require_primary(key: Key) -> None:
    """Raise unless shared properties may be changed on this key: only a replica's are its primary's to change."""
    if key.is_replica:
        raise UnsupportedOperation(
            f"{key.arn} is a multi-Region replica key. Use the primary key in {key.primary_region} for this operation."
        )


def synchronize(app: App, tx: Transaction, primary: Key) -> None:
    """Bring what the primary key shares to its replicas. The caller saves `primary`."""
    for replica in related(tx, primary):
        if primary.origin == "AWS_KMS":
            copy_material(app, tx, primary, replica)
        else:
            imported.relate(tx, primary, replica, app.clock.now_seconds())
        share(primary, replica)
        records.save(tx, replica)
    if primary.replica_regions:
        service_events.tell(app, tx, "SynchronizeMultiRegionKey", primary)


def share(primary: Key, replica: Key) -> None:
    """Give a replica the primary's shared properties but the material itself."""
    replica.rotation_period_days = primary.rotation_period_days
    replica.next_rotation_at = primary.next_rotation_at
    replica.on_demand_rotations = primary.on_demand_rotations
    if primary.origin == "AWS_KMS":
        replica.material, replica.material_id = primary.material, primary.material_id


def copy_material(app: App, tx: Transaction, source: Key, target: Key) -> None:
    """Seal for `target`'s Region each version that `source` has and it hasn't: same numbers, same ids."""
    for row, version in list(MATERIALS.scan(tx, (source.region, source.key_id))):
        number = int(row[2])
        place = (target.region, target.key_id, number)
        if MATERIALS.get(tx, place) is not None:
            continue
        opened = material.open_version(app, tx, source.region, source.key_id, number)
        if opened is None:
            raise KmsInternal
        bound = material.bound_to(target.region, target.key_id, number, version.material_id)
        sealed = material.sealer(app).seal(opened[0], bound)
        MATERIALS.put(tx, place, msgspec.structs.replace(version, sealed=sealed))


def regroup(tx: Transaction, key: Key, *, primary: str, replicas: list[str]) -> None:
    """Note in `key` and all related keys where the primary is and where the replicas are. The caller saves `key`."""
    others = list(related(tx, key))
    for one in (key, *others):
        one.primary_region, one.replica_regions = primary, replicas
    for other in others:
        records.save(tx, other)


@service_linked.uses_service_linked_role(SERVICE)
def _users_of_role(reader: Reader, role: Role) -> service_linked.Usage:
    """The account's multi-Region keys, which keep its service-linked role."""
    found: dict[str, list[str]] = {}
    for row, _ in KEYS_OF_ACCOUNT.scan(reader, (role.account_id,)):
        region, key_id = str(row[1]), str(row[2])
        if key_id.startswith(identifiers.MULTI_REGION):
            found.setdefault(region, []).append(build("kms", region, role.account_id, f"key/{key_id}"))
    return found


def leave(tx: Transaction, key: Key, now: float) -> None:
    """Take a key that is being destroyed out of its relation.

    With the last replica gone, the window of a primary key that waited for that begins.
    """
    if not key.is_replica:
        return
    remaining = [region for region in key.replica_regions if region != key.region]
    for other in related(tx, key):
        other.replica_regions = remaining
        if other.state == states.PENDING_REPLICA_DELETION and not remaining:
            other.state = states.PENDING_DELETION
            other.deletion_at = float(int(now) + other.pending_window_days * _DAY_SECONDS)
            records.plan(tx, other.deletion_at, "delete", other)
        records.save(tx, other)
