"""A key as requests use it: found by whatever names it, with its policy compiled, grants sorted and material opened.

Everything here is kept under the change counter of the key's part of the domain `kms` (`records.part_of`), so that a
disabled key, a revoked grant or destroyed material is gone for the next request on the node, and others stay. A key
whose deletion window ran out is not found, and one whose imported material has expired is pending import, even before
the sweeper destroyed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from freehold.authorization.document import Policy
from freehold.authorization.permission import ContextValue
from freehold.authorization.permission import Grant as DecisionGrant
from freehold.crypto.envelope import Header
from freehold.services.iam import principals
from freehold.services.kms import identifiers, material, policies, records, specs, states
from freehold.services.kms.errors import (
    AwsError,
    KmsInternal,
    NotFound,
    UnsupportedOperation,
    key_not_found,
    not_in_this_account,
)
from freehold.services.kms.records import ALIASES, COUNTS, Grant, Key
from freehold.services.kms.stores import records as stores
from freehold.storage.records import Reader

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.kms.stores.records import CustomKeyStore

_MOST_GRANTEES: Final = 10_000
_WEIGHT_CHARACTERS: Final = 2_048
"""What a key's texts may have for it to count as one of those that are kept (`Cache`)."""


class LoadedKey:
    """What a request needs of one key, made once per change of its part of `kms`. Don't keep it beyond the request."""

    __slots__ = (
        "_grants",
        "_has_grants",
        "_opened",
        "_secret",
        "account_id",
        "arn",
        "cache_weight",
        "context",
        "deadline",
        "enabled",
        "header",
        "key_id",
        "record",
        "region",
        "store",
        "symmetric",
        "use_context",
    )

    def __init__(self, reader: Reader, record: Key) -> None:
        self.record = record
        self.store: CustomKeyStore | None = None
        """Where the key is used, None for one that is used here."""
        if record.custom_key_store_id:
            self.store = stores.store_at(reader, record.region, record.custom_key_store_id)
            record.state = _state_in(self.store, record)
        self.arn = record.arn
        self.key_id = record.key_id
        self.account_id = record.account_id
        self.region = record.region
        self.enabled = record.state == "Enabled"
        self.symmetric = record.spec == "SYMMETRIC_DEFAULT"
        # Looked at by every request: when the key is gone or its imported material is, 0.0 if ever is never.
        self.deadline = min(filter(None, (record.deletion_at, record.expires_at)), default=0.0)
        self.context = context_of(reader, record)
        self.use_context = self.context
        if self.symmetric:
            self.use_context = {**self.context, "kms:encryptionalgorithm": "SYMMETRIC_DEFAULT"}
        counts = COUNTS.get(reader, (record.region, record.key_id))
        self._has_grants = counts is not None and counts.grants > 0
        self._grants: dict[str, list[tuple[Grant, DecisionGrant]]] = {}
        self._opened: dict[str, tuple[bytes, str]] = {}
        self._secret: Any = None
        self.header = Header(record.region, record.account_id, record.key_id, str(record.material))
        self.cache_weight = 1 + _characters(record, self.context) // _WEIGHT_CHARACTERS

    def __repr__(self) -> str:
        return f"LoadedKey({self.arn})"

    @property
    def policy(self) -> Policy:
        """The key policy, compiled: not held here, since many keys are."""
        return policies.compiled(self.record.policy)

    def opened(self, call: Call, version: str) -> tuple[bytes, str] | None:
        """(backing key, material id) of one version, None when there's none with this name."""
        held = self._opened.get(version)
        if held is None:
            if not version.isascii() or not version.isdigit() or len(version) > 9:
                return None
            held = material.open_version(call.app, call.reader, self.region, self.key_id, int(version))
            # The header of a blob spells a number in one way only.
            if held is None or str(int(version)) != version:
                return None
            self._opened[version] = held
        return held

    def expire(self) -> None:
        """Let go of the material: some of what the key needs has expired."""
        self.enabled = False
        self._opened.clear()
        self._secret = None

    def secret(self, call: Call) -> Any:
        """What computes with the material of a key that isn't symmetric: a `KeyPair`, or an HMAC key's bytes.

        Parsed once; the bytes of a private key are not kept.
        """
        held = self._secret
        if held is None:
            record = self.record
            opened = material.open_version(call.app, call.reader, self.region, self.key_id, record.material)
            if opened is None:
                raise KmsInternal
            held = self._secret = specs.SPECS[record.spec].load(opened[0])
        return held

    def grants_for(self, call: Call) -> list[tuple[Grant, DecisionGrant]]:
        """The grants that name the caller (itself, its role, its account, the service that it is), in both forms."""
        if not self._has_grants:
            return []
        principal = call.principal
        unique_id = principal.unique_id
        names = [unique_id, principal.arn, f"arn:aws:iam::{principal.account_id}:root"]
        head = unique_id.partition(":")[0]
        if head != unique_id:
            names.append(head)
        if principal.kind == "service":
            names.append(principal.name)
        found: list[tuple[Grant, DecisionGrant]] = []
        for name in dict.fromkeys(names):
            held = self._grants.get(name)
            if held is None:
                reader = call.reader
                held = [
                    (grant, _for_decision(reader, grant, name))
                    for grant in records.grants_to(reader, self.region, self.key_id, name)
                ]
                if len(self._grants) < _MOST_GRANTEES:
                    self._grants[name] = held
            found += held
        return found


class Located:
    """A key, and the alias by which the request named it ("" when it used another way)."""

    __slots__ = ("alias", "key")

    def __init__(self, key: LoadedKey, alias: str) -> None:
        self.key = key
        self.alias = alias


def locate(call: Call, text: str, action: str) -> Located:
    """The key that `KeyId` names, for operations that take aliases and other accounts' keys.

    Raises NotFoundException or InvalidArnException; for what isn't found in another account, AccessDeniedException.
    """
    region, account_id = call.region, call.account_id

    def load(reader: Reader) -> Located | identifiers.Name:
        name = identifiers.parse(text, region, account_id, aliases=True)
        if not name.alias:
            return _located(call, name, action)
        alias = ALIASES.get(reader, (name.account_id, region, name.alias))
        if alias is None:
            raise _missing(call, name, action)
        # The key is in another part than its alias: what is kept of the alias is the key's name alone.
        return name._replace(key_id=alias.target_key_id)

    found = call.cached(records.part_of(text), (region, account_id, text), load)
    located = found if isinstance(found, Located) else _located(call, found, action)
    if located.key.deadline:
        _meet_deadline(call, located.key)
    return located


def _located(call: Call, name: identifiers.Name, action: str) -> Located:
    key = by_id(call, name.key_id)
    if key is None or key.account_id != name.account_id:
        raise _missing(call, name, action)
    return Located(key, name.alias)


def by_id(call: Call, key_id: str) -> LoadedKey | None:
    """The key with this id in the call's Region, whoever owns it."""
    region = call.region

    def load(reader: Reader) -> LoadedKey:
        record = records.key_at(reader, region, key_id)
        if record is None:
            # Raised, so that ids that nobody has don't fill the cache.
            raise KeyError(key_id)
        return LoadedKey(reader, record)

    try:
        return call.cached(records.part_of(key_id), (region, key_id), load)
    except KeyError:
        return None


def in_force(call: Call, key: LoadedKey) -> LoadedKey:
    """The key as the clock has it; NotFoundException if its deletion window ran out."""
    if key.deadline:
        _meet_deadline(call, key)
    return key


def _meet_deadline(call: Call, key: LoadedKey) -> None:
    now = call.app.clock.now_seconds()
    if now < key.deadline:
        return
    _not_overdue(key.record, now)
    if key.enabled:
        key.expire()


def _not_overdue(record: Key, now: float) -> None:
    """Raise NotFoundException for a key whose window ran out; one whose material has expired is pending import."""
    if record.deletion_at and now >= record.deletion_at:
        raise key_not_found(record.arn)
    if record.expires_at and now >= record.expires_at and record.state in (states.ENABLED, states.DISABLED):
        record.state = states.PENDING_IMPORT


def record_for(call: Call, text: str, action: str, *, foreign: bool = False) -> Key:
    """The key's record, fresh from the call's reader, for operations that take a key id or key ARN only.

    Without `foreign` another account's key is refused as one that doesn't exist.
    """
    name = identifiers.parse(text, call.region, call.account_id, aliases=False)
    if name.account_id != call.account_id and not foreign:
        raise not_in_this_account(call.principal.arn, action)
    record = records.key_at(call.reader, call.region, name.key_id)
    if record is None or record.account_id != name.account_id:
        raise _missing(call, name, action)
    if record.deletion_at or record.expires_at:
        _not_overdue(record, call.app.clock.now_seconds())
    return record


def changeable(call: Call, text: str, operation: str) -> Key:
    """The record of one of the account's own keys, to be changed and saved by `operation` if its state admits that.

    AWS managed keys are refused: their policy gives nobody these actions, and this holds even if it did.
    """
    key = record_for(call, text, f"kms:{operation}")
    if key.custom_key_store_id:
        store = stores.store_at(call.reader, key.region, key.custom_key_store_id)
        states.check_origin(operation, key.origin, key.arn)
        states.check(operation, _state_in(store, key), key.arn)
    else:
        states.admit(operation, key)
    if key.manager != "CUSTOMER":
        raise UnsupportedOperation(f"{key.arn} is an AWS managed key, which is not valid for this operation.")
    return key


def _state_in(store: CustomKeyStore | None, record: Key) -> str:
    return states.with_store(record.state, connected=store is not None and store.connected)


def _missing(call: Call, name: identifiers.Name, action: str) -> AwsError:
    if name.account_id != call.account_id:
        return not_in_this_account(call.principal.arn, action)
    where = f"arn:aws:kms:{call.region}:{name.account_id}:"
    if name.alias:
        return NotFound(f"Alias {where}{name.alias} is not found.")
    return key_not_found(f"{where}key/{name.key_id}")


def context_of(reader: Reader, record: Key) -> dict[str, ContextValue]:
    """The condition keys that follow from the key alone."""
    context: dict[str, ContextValue] = {
        "kms:keyspec": record.spec,
        "kms:customermasterkeyspec": record.spec,
        "kms:keyusage": record.usage,
        "kms:customermasterkeyusage": record.usage,
        "kms:keyorigin": record.origin,
        "kms:multiregion": "true" if record.primary_region else "false",
    }
    if record.primary_region:
        context["kms:multiregionkeytype"] = record.multi_region_type
    aliases = tuple(records.alias_names(reader, record.region, record.key_id))
    if aliases:
        context["kms:resourcealiases"] = aliases
    for key, value in record.tags.items():
        context[f"aws:resourcetag/{key.lower()}"] = value
    return context


def _characters(record: Key, context: dict[str, ContextValue]) -> int:
    """Of the texts that are kept with a key: policy, description, tags and aliases."""
    found = len(record.policy) + len(record.description)
    for name, value in context.items():
        found += 2 * len(name) + (2 * len(value) if isinstance(value, str) else sum(map(len, value)))
    return found


def _for_decision(reader: Reader, grant: Grant, grantee: str) -> DecisionGrant:
    unique_id = grantee if grantee.startswith(("AIDA", "AROA")) else ""
    constraints: dict[str, dict[str, str]] = {}
    if grant.context_subset is not None:
        constraints["EncryptionContextSubset"] = grant.context_subset
    if grant.context_equals is not None:
        constraints["EncryptionContextEquals"] = grant.context_equals
    return DecisionGrant(
        grantee=principals.arn_of(reader, grantee) if unique_id else grantee,
        operations=tuple(grant.operations),
        constraints=constraints,
        grant_id=grant.grant_id,
        grantee_unique_id=unique_id,
    )
