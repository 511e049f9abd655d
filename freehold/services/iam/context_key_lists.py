"""GetContextKeysForCustomPolicy and GetContextKeysForPrincipalPolicy: what a simulation should be told.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForPrincipalPolicy.html
"""

from __future__ import annotations

from freehold.authorization.document import MalformedPolicy, Policy, parse
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import context_keys_named
from freehold.services.iam.authorized import refuse_session_without_mfa
from freehold.services.iam.errors import InvalidInput
from freehold.services.iam.policy_sources import in_thread, on_source, principal_sources, require_at
from freehold.services.operation import Params, Result, operation


def _may_list_custom(call: Call, params: Params) -> list[Permission]:
    refuse_session_without_mfa(call)
    return [Permission("iam:GetContextKeysForCustomPolicy", "*", call.account_id)]


def _list_custom(call: Call, params: Params) -> Result:
    return {"ContextKeyNames": context_keys_named.named(_checked(params["PolicyInputList"]))}


@operation("iam.GetContextKeysForCustomPolicy", permissions=_may_list_custom, prepare=in_thread(_list_custom))
def get_context_keys_for_custom_policy(call: Call, params: Params) -> Result:
    """The context keys that policies given as text name, each once, as first written."""
    result: Result = call.prepared
    return result


def _list_principal(call: Call, params: Params) -> Result:
    entity = require_at(call.reader, call.account_id, params["PolicySourceArn"])
    own = [source.text for source in principal_sources(call.reader, entity)]
    return {"ContextKeyNames": context_keys_named.named([*own, *_checked(params.get("PolicyInputList") or [])])}


@operation(
    "iam.GetContextKeysForPrincipalPolicy",
    permissions=on_source("GetContextKeysForPrincipalPolicy"),
    prepare=in_thread(_list_principal),
)
def get_context_keys_for_principal_policy(call: Call, params: Params) -> Result:
    """As GetContextKeysForCustomPolicy, with the policies of a user (and its groups), group or role first."""
    result: Result = call.prepared
    return result


def _checked(texts: list[str]) -> list[str]:
    """Identity-based or resource-based policies, as they are. Raises InvalidInput."""
    for number, text in enumerate(texts, 1):
        try:
            _parsed(text)
        except MalformedPolicy as error:
            raise InvalidInput(f"PolicyInputList.{number}: {error.message}") from None
    return texts


def _parsed(text: str) -> Policy:
    try:
        return parse(text)
    except MalformedPolicy as error:
        try:
            return parse(text, "resource", resource_optional=True)
        except MalformedPolicy:
            raise error from None
