"""ListKeyRotations: the materials of a key, and when it was rotated to them.

Of a key with imported material also what became of each: whether it's there, until when, and what waits for a rotation.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from freehold.services.kms import imported, loaded, multi_region, paging, rotation, states
from freehold.services.kms.permissions import on_key
from freehold.services.kms.records import IMPORTED, MATERIALS, Imported, Key
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.storage.records import Reader


class Listed(NamedTuple):
    number: int
    material_id: str
    rotation: str
    rotated_at: float
    record: Imported | None
    """Of imported material."""


@operation("kms.ListKeyRotations", permissions=on_key("kms:ListKeyRotations"))
def list_key_rotations(call: Call, params: Params) -> Result:
    """The key's rotations, oldest first. 1-1,000 a page.

    With ALL_KEY_MATERIAL also its first material, and imported material that waits for a rotation.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeyRotations.html
    """
    key = loaded.record_for(call, params["KeyId"], "kms:ListKeyRotations")
    states.admit("ListKeyRotations", key)
    rotation.require_symmetric(key)
    everything = params.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
    seen = paging.last_seen(params, 1)
    first = 0 if seen is None else paging.number(seen[0])
    now = call.app.clock.now_seconds()
    materials = (one for one in _materials(call.reader, key, first) if one.rotation or everything)
    return paging.page(
        "Rotations",
        materials,
        params,
        lambda one: _shown(call.reader, key, one, now),
        lambda one: paging.marker(str(one.number)),
    )


def _materials(reader: Reader, key: Key, after: int) -> Iterator[Listed]:
    prefix = (key.region, key.key_id)
    if key.origin == imported.EXTERNAL:
        for row, known in IMPORTED.scan(reader, prefix, after=(*prefix, after)):
            yield Listed(int(row[2]), known.material_id, known.rotation, known.rotated_at, known)
    else:
        for row, version in MATERIALS.scan(reader, prefix, after=(*prefix, after)):
            yield Listed(int(row[2]), version.material_id, version.rotation, version.created_at, None)


def _shown(reader: Reader, key: Key, one: Listed, now: float) -> dict[str, Any]:
    shown: dict[str, Any] = {"KeyId": key.key_id, "KeyMaterialId": one.material_id}
    if one.number > key.material:
        shown["KeyMaterialState"] = _waiting(reader, key, one.number, now)
    else:
        shown["KeyMaterialState"] = "CURRENT" if one.number == key.material else "NON_CURRENT"
    if one.record is not None:
        shown.update(_import(one.record, now))
    if one.rotation:
        shown["RotationDate"] = datetime.fromtimestamp(one.rotated_at, UTC)
        shown["RotationType"] = one.rotation
    return shown


def _import(record: Imported, now: float) -> dict[str, Any]:
    there = imported.is_there(record, now)
    shown: dict[str, Any] = {"ImportState": "IMPORTED" if there else "PENDING_IMPORT"}
    if record.description:
        shown["KeyMaterialDescription"] = record.description
    if there:
        shown["ExpirationModel"] = imported.EXPIRES if record.expires_at else imported.DOES_NOT_EXPIRE
        if record.expires_at:
            shown["ValidTo"] = datetime.fromtimestamp(record.expires_at, UTC)
    return shown


def _waiting(reader: Reader, key: Key, number: int, now: float) -> str:
    others = list(multi_region.related(reader, key))
    if imported.is_everywhere(reader, [key, *others], number, now):
        return "PENDING_ROTATION"
    return "PENDING_MULTI_REGION_IMPORT_AND_ROTATION" if others else "PENDING_ROTATION"
