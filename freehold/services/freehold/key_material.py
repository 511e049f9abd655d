"""Backups of key material, for the operator: made while the server runs, restored into a stopped deployment (the CLI).

The answer is the only place of the file: nothing is kept but when it was made and until when it may be kept. Deleting a
key can't reach copies of a backup; the list says when the last of them must be gone.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from freehold.custody.mark import head_of
from freehold.services.call import Call
from freehold.services.freehold.accounts import operator_only
from freehold.services.freehold.errors import ValidationException
from freehold.services.kms import backups, material
from freehold.services.kms.backups import BACKUPS, Known, Made
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.app import App

_MOST_LISTED: Final = 1000


async def _collect(call: Call, params: Params) -> None:
    """Make the file on a thread: it takes seconds for 100,000 keys."""
    days = params.get("RetentionDays", backups.DEFAULT_DAYS)
    call.prepared = await asyncio.get_running_loop().run_in_executor(call.app.pool, _made, call.app, days)


def _made(app: App, days: int) -> Made:
    deployment = head_of(app.settings.data).deployment
    if not deployment:
        raise ValidationException("This deployment has no name yet: rotate the root key first.")
    return backups.make(app.records.reader(), material.sealer(app), deployment, app.clock.now_seconds(), days)


@operation(
    "freehold.BackupKeyMaterial", permissions=operator_only("freehold:BackupKeyMaterial"), writes=True, prepare=_collect
)
def backup_key_material(call: Call, params: Params) -> Result:
    """All key material that the KMS service has, in one sealed file that is refused after `RetentionDays` (1-365, 30).

    It opens under this deployment's keyring only. `Damaged` are keys of which some material doesn't open.
    """
    made: Made = call.prepared
    head = made.head
    known = Known(created_at=head.created_at, destroy_by=head.destroy_by, keys=head.keys, materials=head.materials)
    BACKUPS.put(call.tx, (head.backup_id,), known)
    return {
        **_shown(head.backup_id, known),
        "Tombstones": head.tombstones,
        "Damaged": made.damaged,
        "File": made.file,
    }


@operation("freehold.ListKeyMaterialBackups", permissions=operator_only("freehold:ListKeyMaterialBackups"))
def list_key_material_backups(call: Call, params: Params) -> Result:
    """The newest 1,000 backups that were made, each with the time by which it must be destroyed."""
    found = sorted(BACKUPS.scan(call.reader), key=lambda row: -row[1].created_at)
    return {"Backups": [_shown(str(at[0]), known) for at, known in found[:_MOST_LISTED]]}


def _shown(backup_id: str, known: Known) -> dict[str, Any]:
    return {
        "BackupId": backup_id,
        "CreatedAt": datetime.fromtimestamp(known.created_at, UTC),
        "DestroyBy": datetime.fromtimestamp(known.destroy_by, UTC),
        "Keys": known.keys,
        "Materials": known.materials,
    }
