"""Aliases: names for keys, unique in an account and Region, that can be pointed at another key.

An alias is no property of its key, but policies may look at it (`kms:RequestAlias`, `kms:ResourceAliases`): so each
change needs permission on the alias and on every key concerned. Names under `alias/aws/` are refused.
https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization.permission import Permission
from freehold.services.kms import identifiers, loaded, paging, records, specs, states
from freehold.services.kms.errors import AlreadyExists, InvalidAliasName, LimitExceeded, NotFound, ValidationException
from freehold.services.kms.permissions import find, managing, on_account, request_context
from freehold.services.kms.records import ALIASES, ALIASES_OF_KEY, COUNTS, Alias, Counts, Key, Mark
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.storage.records import Reader

MOST_PER_KEY: Final = 50
_RESERVED: Final = "alias/aws/"


def _check_name(name: str) -> None:
    if not name.startswith("alias/"):
        raise ValidationException(
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    if not identifiers.is_alias(name):
        raise ValidationException(f"{name} contains invalid characters for an alias")
    if name.startswith(_RESERVED) or name == "alias/aws":
        raise InvalidAliasName("Alias names that begin with alias/aws/ are reserved for AWS managed keys.")


def _arn(call: Call, name: str) -> str:
    return f"arn:aws:kms:{call.region}:{call.account_id}:{name}"


def _existing(call: Call, reader: Reader, name: str) -> Alias:
    alias = ALIASES.get(reader, (call.account_id, call.region, name))
    if alias is None:
        raise NotFound(f"Alias {_arn(call, name)} is not found.")
    return alias


def _needed(call: Call, action: str, alias: str, key_ids: list[str]) -> list[Permission]:
    """`action` on the alias, by the caller's own policies, and on each of the keys."""
    arn = _arn(call, alias)
    call.resources.append(("AWS::KMS::Alias", arn))
    needed = [Permission(action, arn, call.account_id)]
    for key_id in dict.fromkeys(key_ids):
        key, _ = find(call, key_id, action, aliases=False, foreign=False)
        needed.append(managing(call, key, action, request_context(key)))
    return needed


def _may_create(call: Call, params: Params) -> list[Permission]:
    _check_name(params["AliasName"])
    return _needed(call, "kms:CreateAlias", params["AliasName"], [_target(params)])


def _may_update(call: Call, params: Params) -> list[Permission]:
    name = params["AliasName"]
    _check_name(name)
    current = _existing(call, call.reader, name).target_key_id
    return _needed(call, "kms:UpdateAlias", name, [current, _target(params)])


def _may_delete(call: Call, params: Params) -> list[Permission]:
    name = params["AliasName"]
    _check_name(name)
    return _needed(call, "kms:DeleteAlias", name, [_existing(call, call.reader, name).target_key_id])


def _target(params: Params) -> str:
    target: str = params["TargetKeyId"]
    if "alias/" in target:
        raise ValidationException("Aliases must refer to keys. Not aliases")
    return target


def _attach(call: Call, name: str, key: Key) -> None:
    """Note at the key that it has one more alias. Raises LimitExceededException."""
    counts = COUNTS.get(call.tx, (key.region, key.key_id)) or Counts()
    if counts.aliases >= MOST_PER_KEY:
        raise LimitExceeded(f"{key.arn} has {MOST_PER_KEY} aliases, which is the limit.")
    records.recount(call.tx, key, aliases=1)
    ALIASES_OF_KEY.put(call.tx, (key.region, key.key_id, name), Mark())


def _detach(call: Call, name: str, key_id: str) -> None:
    key = records.key_at(call.tx, call.region, key_id)
    if key is not None:
        records.recount(call.tx, key, aliases=-1)
    ALIASES_OF_KEY.delete(call.tx, (call.region, key_id, name))


@operation("kms.CreateAlias", permissions=_may_create, writes=True)
def create_alias(call: Call, params: Params) -> None:
    """Give one of the account's customer managed keys a name: `alias/` and up to 250 characters, 50 per key.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
    """
    name = params["AliasName"]
    key = loaded.changeable(call, _target(params), "CreateAlias")
    place = (call.account_id, call.region, name)
    if ALIASES.get(call.tx, place) is not None:
        raise AlreadyExists(f"An alias with the name {_arn(call, name)} already exists")
    now = round(call.app.clock.now_seconds(), 3)
    _attach(call, name, key)
    ALIASES.put(call.tx, place, Alias(target_key_id=key.key_id, created_at=now, updated_at=now))


def _check_same_kind(call: Call, alias: Alias, key: Key) -> None:
    """Raise ValidationException unless `key` is of the type and usage of the alias's key."""
    current = records.key_at(call.tx, call.region, alias.target_key_id)
    if current is not None and (_type(current), current.usage) != (_type(key), key.usage):
        raise ValidationException(
            "The current and new KMS key must be the same type (both symmetric, both asymmetric or both HMAC), and "
            "they must have the same key usage."
        )


def _type(key: Key) -> str:
    spec = specs.SPECS[key.spec]
    return "asymmetric" if spec.asymmetric else spec.kind


@operation("kms.UpdateAlias", permissions=_may_update, writes=True)
def update_alias(call: Call, params: Params) -> None:
    """Point an alias at another key of the same type and usage. The state of the key that it leaves doesn't matter.

    For another kind of key, delete the alias and make it again: whoever uses it must know.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateAlias.html
    """
    for permission in _may_update(call, params):
        # Once more: the alias may have been pointed at another key meanwhile.
        call.require(permission)
    name = params["AliasName"]
    alias = _existing(call, call.tx, name)
    key = loaded.changeable(call, _target(params), "UpdateAlias")
    if key.key_id != alias.target_key_id:
        _check_same_kind(call, alias, key)
        _detach(call, name, alias.target_key_id)
        _attach(call, name, key)
    now = round(call.app.clock.now_seconds(), 3)
    new = Alias(target_key_id=key.key_id, created_at=alias.created_at, updated_at=now)
    ALIASES.put(call.tx, (call.account_id, call.region, name), new)


@operation("kms.DeleteAlias", permissions=_may_delete, writes=True)
def delete_alias(call: Call, params: Params) -> None:
    """Remove an alias; its key is untouched.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteAlias.html
    """
    for permission in _may_delete(call, params):
        # Once more: the alias may have been pointed at another key meanwhile.
        call.require(permission)
    name = params["AliasName"]
    alias = _existing(call, call.tx, name)
    key = records.key_at(call.tx, call.region, alias.target_key_id)
    if key is not None:
        states.check("DeleteAlias", key.state, key.arn)
    _detach(call, name, alias.target_key_id)
    ALIASES.delete(call.tx, (call.account_id, call.region, name))


@operation("kms.ListAliases", permissions=on_account("kms:ListAliases"))
def list_aliases(call: Call, params: Params) -> Result:
    """The account's aliases in the Region by name, or those of one key: 1-100 a page, 50 by default.

    Predefined aliases of AWS managed keys that were never used are left out.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ListAliases.html
    """
    seen = paging.last_seen(params, 1)
    of_account = (call.account_id, call.region)
    if "KeyId" in params:
        key = loaded.record_for(call, params["KeyId"], "kms:ListAliases")
        of_key = (call.region, key.key_id)
        after = None if seen is None else (*of_key, seen[0])
        names = (str(row[2]) for row, _ in ALIASES_OF_KEY.scan(call.reader, of_key, after=after))
        entries: Iterator[tuple[str, Alias]] = ((name, _existing(call, call.reader, name)) for name in names)
    else:
        after = None if seen is None else (*of_account, seen[0])
        entries = ((str(row[2]), alias) for row, alias in ALIASES.scan(call.reader, of_account, after=after))

    def show(entry: tuple[str, Alias]) -> dict[str, Any]:
        name, alias = entry
        return {
            "AliasName": name,
            "AliasArn": _arn(call, name),
            "TargetKeyId": alias.target_key_id,
            "CreationDate": datetime.fromtimestamp(alias.created_at, UTC),
            "LastUpdatedDate": datetime.fromtimestamp(alias.updated_at, UTC),
        }

    return paging.page("Aliases", entries, params, show, lambda entry: paging.marker(entry[0]), default=50)
