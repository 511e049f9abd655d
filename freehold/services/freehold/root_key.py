"""The root key of a running server: where it comes from, and another one in its place.

Nothing is sealed anew: the custody file is replaced, and the former root key opens it no more. Refuses what two
operators begin at once, and takes shares into use only once enough of them were given back.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from freehold.audit import unsealing
from freehold.crypto.root_key import RootKey
from freehold.custody import memory, opening
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError
from freehold.custody.keyring import Keyring
from freehold.custody.mark import head_of, write_mark
from freehold.custody.provider import Established, provider
from freehold.custody.record import Head
from freehold.services.call import Call
from freehold.services.freehold.accounts import operator_only
from freehold.services.freehold.errors import ConflictException, ValidationException
from freehold.services.operation import Params, Result, due_work, operation
from freehold.storage.records import Reader, Table, Transaction

if TYPE_CHECKING:
    from freehold.app import App

CONFIRM_SECONDS: Final = 3600
"""How long shares wait for their confirmation."""


class Pending(msgspec.Struct, array_like=True):
    """A root key that was split and isn't in use yet."""

    deployment: str
    number: int
    kind: str
    parameters: bytes
    material: bytes
    expires_at: int

    def __repr__(self) -> str:
        return "Pending(…)"


class Current(msgspec.Struct, array_like=True):
    number: int
    fingerprint: str


PENDING: Final = Table("freehold.root_keys_pending", Pending)  # (confirmation id,)
CURRENT: Final = Table("freehold.root_key", Current)
"""("current",): the last root key that the trail tells of."""
_AT: Final = ("current",)


@operation("freehold.GetRootKeyStatus", permissions=operator_only("freehold:GetRootKeyStatus"))
def get_root_key_status(call: Call, params: Params) -> Result:
    """Where the root key comes from, and how memory is protected. Says nothing that isn't in the open on the disk."""
    head, locking = _head(call.app), memory.locking()
    return {
        "Custody": head.kind,
        "Fingerprint": head.fingerprint,
        "Number": head.number,
        "ChangedAt": datetime.fromtimestamp(head.changed_at, UTC),
        "Sealable": call.app.seal is not None and provider(head.kind).BY_PEOPLE,
        "Pending": any(True for _ in PENDING.scan(call.reader, limit=1)),
        "MemoryLocked": locking.locked,
        "MemoryRemark": locking.remark,
    }


async def _establish(call: Call, params: Params) -> None:
    """Have the new root key, on a thread: a passphrase's hash, an HSM and a network all take their time."""
    call.prepared = await asyncio.get_running_loop().run_in_executor(call.app.pool, _established, call.app, params)


def _established(app: App, params: Params) -> tuple[Head, str, Established]:
    """(the head that is in use, the deployment's name, the new root key)."""
    head = _head(app)
    kind = params.get("Custody", head.kind)
    access = Access(app.settings.root_key, app.settings.secret_file, params.get("Secret"))
    options: dict[str, Any] = params.get("Options", {})
    deployment = head.deployment or secrets.token_hex(16)
    try:
        if kind == head.kind:
            options = {**provider(kind).again(head), **options}
        return head, deployment, opening.establish(kind, options, access, deployment)
    except CustodyError as error:
        raise ValidationException(str(error)) from None


@operation(
    "freehold.RotateRootKey", permissions=operator_only("freehold:RotateRootKey"), writes=True, prepare=_establish
)
def rotate_root_key(call: Call, params: Params) -> Result:
    """Another root key, from the same source or another. `Secret` is the new passphrase, or the token's PIN.

    At once, but for shares: those are in this answer alone, and take effect with ConfirmRootKeyShares within an hour.
    """
    head, deployment, new = call.prepared
    if not new.shares:
        return _put_under(call, head, deployment, new)
    confirmation_id = secrets.token_hex(16)
    pending = Pending(
        deployment,
        head.number,
        new.kind,
        orjson.dumps(new.parameters),
        new.root_key.material(),
        int(call.app.clock.now_seconds()) + CONFIRM_SECONDS,
    )
    PENDING.put(call.tx, (confirmation_id,), pending)
    return {
        "Custody": new.kind,
        "Fingerprint": new.root_key.fingerprint(),
        "ConfirmationId": confirmation_id,
        "Shares": list(new.shares),
        "Threshold": new.parameters["threshold"],
    }


@operation("freehold.ConfirmRootKeyShares", permissions=operator_only("freehold:ConfirmRootKeyShares"), writes=True)
def confirm_root_key_shares(call: Call, params: Params) -> Result:
    """Take the root key into use of which these are enough shares: who kept them can unseal."""
    from freehold.custody import shamir

    at = (params["ConfirmationId"],)
    pending = PENDING.get(call.tx, at)
    if pending is None or pending.expires_at <= call.app.clock.now_seconds():
        raise ValidationException("There are no shares with this ConfirmationId; they are kept for an hour.")
    new = Established(pending.kind, orjson.loads(pending.parameters), RootKey(pending.material))
    try:
        shamir.proven(new, pending.deployment, params["Shares"])
    except CustodyError as error:
        raise ValidationException(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    head = _head(call.app)
    if head.number != pending.number:
        raise ConflictException("The root key was changed since these shares were made. Rotate again.")
    # Erased, not only deleted: it is the root key.
    call.tx.erase(PENDING.name, at)
    return _put_under(call, head, pending.deployment, new)


def _put_under(call: Call, head: Head, deployment: str, new: Established) -> Result:
    """Replace the custody file, within the writer's transaction: one at a time across all workers."""
    app = call.app
    now = _head(app)
    if (now.number, now.fingerprint) != (head.number, head.fingerprint):
        raise ConflictException("The root key was changed meanwhile, by somebody else.")
    settings = app.settings
    assert isinstance(app.root_key, Keyring)
    try:
        made = opening.put_under(
            settings.data,
            new,
            app.root_key,
            access=Access(settings.root_key),
            deployment=deployment,
            number=head.number + 1,
            now_seconds=time.time(),
            then=lambda: None if head.deployment else write_mark(settings.data, deployment),
        )
    except CustodyError as error:
        raise ValidationException(f"The root key is as it was: {error}") from None
    CURRENT.put(call.tx, _AT, Current(made.number, made.fingerprint))
    return {"Custody": made.kind, "Fingerprint": made.fingerprint, "Number": made.number}


def _head(app: App) -> Head:
    try:
        return head_of(app.settings.data)
    except CustodyError as error:
        raise ValidationException(str(error)) from None


async def note_at_start(app: App) -> None:
    """Tell the trail of a root key that it doesn't know: one whose rotation was cut off, or was made offline."""
    fingerprint = app.root_key.fingerprint()
    known = CURRENT.get(app.records.reader(), _AT)
    if known is not None and known.fingerprint == fingerprint:
        return

    def note(tx: Transaction) -> None:
        number = head_of(app.settings.data).number
        CURRENT.put(tx, _AT, Current(number, fingerprint))
        if known is not None or number > 1:
            event = unsealing.another_root_key(fingerprint, number, app.clock.now_seconds(), app.settings.regions[0])
            app.audit.append_in(tx, [event])

    await app.records.submit_async(note)


@due_work
def forget_shares(app: App, tx: Transaction) -> None:
    """Root keys whose shares nobody confirmed."""
    for at in _expired(tx, app.clock.now_seconds()):
        tx.erase(PENDING.name, at)


def _expired(reader: Reader, now: float) -> list[tuple[str | int, ...]]:
    return [at for at, pending in PENDING.scan(reader) if pending.expires_at <= now]
