"""The permissions that KMS's operations need: one action on one key, with all that the decision may look at.

Which condition keys there are, and for which operations:
https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from freehold.authorization.permission import ContextValue, Permission
from freehold.authorization.permission import Grant as DecisionGrant
from freehold.services.kms import grant_tokens, loaded
from freehold.services.kms.errors import ValidationException, not_in_this_account
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.stores import backends
from freehold.services.operation import Params, Permissions

if TYPE_CHECKING:
    from freehold.services.call import Call

MOST_CONTEXT_CHARACTERS: Final = 8192

_NO_GRANTS: Final[tuple[DecisionGrant, ...]] = ()


def on_account(action: str) -> Permissions:
    """For operations that use no key: `action` on every resource, by the caller's own policies."""

    def needed(call: Call, params: Params) -> list[Permission]:
        return [Permission(action, "*", call.account_id)]

    return needed


def on_key(action: str, *, aliases: bool = False, foreign: bool = False) -> Permissions:
    """For operations that manage one key: `action` on the key that `KeyId` names.

    `aliases`: also by alias. `foreign`: also another account's, by ARN.
    """

    def needed(call: Call, params: Params) -> list[Permission]:
        if "GrantTokens" in params:
            grant_tokens.check(call, params["GrantTokens"])
        key, alias = find(call, params["KeyId"], action, aliases=aliases, foreign=foreign)
        context = request_context(key, alias)
        return [managing(call, key, action, context)]

    return needed


def find(call: Call, text: str, action: str, *, aliases: bool, foreign: bool) -> tuple[LoadedKey, str]:
    """The key named by `text` and the alias that named it, checked for what the operation takes."""
    if not aliases:
        record = loaded.record_for(call, text, action, foreign=foreign)
        text = record.arn
    located = loaded.locate(call, text, action)
    key = located.key
    if key.account_id != call.account_id and not foreign:
        raise not_in_this_account(call.principal.arn, action)
    call.resources.append(("AWS::KMS::Key", key.arn))
    return key, located.alias


def request_context(key: LoadedKey, alias: str = "") -> dict[str, ContextValue]:
    """The condition keys of the key. `kms:CallerAccount` and `kms:ViaService` come with the caller and the request."""
    context = dict(key.context)
    if alias:
        context["kms:requestalias"] = alias
    return context


def managing(call: Call, key: LoadedKey, action: str, context: Mapping[str, ContextValue]) -> Permission:
    """`action` on a key, for operations without an encryption context: constraints on that don't count."""
    grants = [
        replace(for_decision, constraints={}) if for_decision.constraints else for_decision
        for grant, for_decision in key.grants_for(call)
        if not grant.source_arn or grant.source_arn == call.context.get("aws:sourcearn")
    ]
    return Permission(
        action, key.arn, key.account_id, context, resource_policy=key.policy, kind="key", grants=tuple(grants)
    )


def using(
    call: Call,
    key: LoadedKey,
    alias: str,
    action: str,
    encryption_context: Mapping[str, str] | None,
    more: Mapping[str, ContextValue] | None = None,
) -> Permission:
    """`action` on a key, for cryptographic operations with a symmetric key."""
    if key.store is not None and key.store.connected:
        call.elsewhere = backends.of(call.app).elsewhere(key.store)
    context = key.use_context
    if alias or encryption_context or more:
        # The key's own dict is shared by all requests; a copy takes what is this request's.
        context = dict(context)
        if alias:
            context["kms:requestalias"] = alias
        if encryption_context:
            add_encryption_context(context, encryption_context)
        if more:
            context.update(more)
    named = key.grants_for(call)
    grants = _NO_GRANTS
    if named:
        grants = tuple(
            for_decision
            for grant, for_decision in named
            if not grant.source_arn or grant.source_arn == call.context.get("aws:sourcearn")
        )
    return Permission(
        action,
        key.arn,
        key.account_id,
        context,
        resource_policy=key.policy,
        kind="key",
        grants=grants,
        encryption_context=encryption_context or {},
    )


def add_encryption_context(context: dict[str, ContextValue], pairs: Mapping[str, str]) -> None:
    """`kms:EncryptionContext:…` and `kms:EncryptionContextKeys`. Raises ValidationException when it's too long.

    Condition keys don't distinguish case: pairs whose keys differ by case alone are values of one condition key.
    """
    size = 0
    for key, value in pairs.items():
        size += len(key) + len(value)
        name = f"kms:encryptioncontext:{key.lower()}"
        known = context.get(name)
        if known is None:
            context[name] = value
        else:
            context[name] = (*((known,) if isinstance(known, str) else known), value)
    if size > MOST_CONTEXT_CHARACTERS:
        raise ValidationException(f"The encryption context is longer than {MOST_CONTEXT_CHARACTERS} characters.")
    context["kms:encryptioncontextkeys"] = tuple(pairs)
