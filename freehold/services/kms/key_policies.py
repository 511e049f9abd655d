"""The operations on key policies, and what makes a new one acceptable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization import decide, document, principal_element
from freehold.authorization.context_keys import Context, of_principal
from freehold.authorization.permission import ContextValue, Permission
from freehold.authorization.policy_set import alone
from freehold.authorization.principal import Principal
from freehold.services.iam import principals
from freehold.services.kms import loaded, policies, records
from freehold.services.kms.errors import LimitExceeded, MalformedPolicyDocument, NotFound, ValidationException
from freehold.services.kms.permissions import find, managing, on_key, request_context
from freehold.services.kms.records import Key
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call

_LOCKS_OUT: Final = "The new key policy will not allow you to update the key policy in the future."
_TOO_PERMISSIVE: Final = (
    "OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches "
    "requests without the specified {what} or with an unspecified {what}. To fix, remove ForAllValues."
)
_SHARED: Final = "AWS_RAM"
"""The policy of keys that are shared through Resource Access Manager, which isn't served."""
_SINGLE_VALUED: Final = {"kms:encryptioncontext:": "encryption context", "aws:requesttag/": "tag"}


def accepted(call: Call, key: Key, text: str, *, bypass: bool) -> str:
    """A new policy for `key` as it is kept, principals bound to unique ids.

    Raises MalformedPolicyDocumentException (also for a policy that would lock the caller out, unless `bypass`) or
    LimitExceededException.
    """
    if len(text.encode()) > policies.MOST_BYTES:
        raise LimitExceeded(f"The key policy is longer than {policies.MOST_BYTES} bytes.")
    try:
        # Kept by its text, like what is stored: parsing takes milliseconds of the writer, and mostly the two are one.
        policies.compiled(text)
        stored = principals.to_unique_ids(call.reader, text)
        compiled = policies.compiled(stored)
    except document.MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from None
    except principals.InvalidPrincipal:
        raise MalformedPolicyDocument("Policy contains a statement with one or more invalid principals.") from None
    _refuse_permissive_conditions(text)
    if not bypass:
        _refuse_lockout(call, key, compiled)
    return stored


def _refuse_lockout(call: Call, key: Key, policy: document.Policy) -> None:
    """Unless the caller, or the account that the policy delegates to, may put another policy afterwards."""
    # What that later request would be decided with: a policy may let in by what the key is.
    context = loaded.context_of(call.reader, key) | {"kms:policyname": policies.NAME}
    wanted = Permission("kms:PutKeyPolicy", key.arn, key.account_id, context, resource_policy=policy, kind="key")
    decision = call.may(wanted)
    if decision.allowed:
        return
    if decision.result == "explicitDeny" and decision.decided_by == "key":
        raise MalformedPolicyDocument(_LOCKS_OUT)
    arn = f"arn:aws:iam::{key.account_id}:root"
    root = principal_element.caller(Principal(kind="root", account_id=key.account_id, arn=arn))
    request = decide.Request(
        root,
        wanted.action,
        wanted.resource,
        wanted.account_id,
        Context(context, call.context, of_principal(root)),
        kind="key",
        resource_policy=alone(policy),
    )
    if not decide.decide(request, decide.Policies(decide.NO_POLICIES)).allowed:
        raise MalformedPolicyDocument(_LOCKS_OUT)


def _refuse_permissive_conditions(text: str) -> None:
    statements: Any = json.loads(text).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        for operator, pairs in (statement.get("Condition") or {}).items():
            if not operator.lower().startswith("forallvalues:"):
                continue
            for name in pairs:
                for prefix, what in _SINGLE_VALUED.items():
                    if name.lower().startswith(prefix):
                        raise MalformedPolicyDocument(_TOO_PERMISSIVE.format(what=what))


def _may_put(call: Call, params: Params) -> list[Permission]:
    key, _ = find(call, params["KeyId"], "kms:PutKeyPolicy", aliases=False, foreign=False)
    context: dict[str, ContextValue] = request_context(key)
    context["kms:policyname"] = params.get("PolicyName", policies.NAME)
    if "BypassPolicyLockoutSafetyCheck" in params:
        context["kms:bypasspolicylockoutsafetycheck"] = "true" if params["BypassPolicyLockoutSafetyCheck"] else "false"
    return [managing(call, key, "kms:PutKeyPolicy", context)]


def _may_get(call: Call, params: Params) -> list[Permission]:
    key, _ = find(call, params["KeyId"], "kms:GetKeyPolicy", aliases=False, foreign=False)
    context = request_context(key)
    context["kms:policyname"] = params.get("PolicyName", policies.NAME)
    return [managing(call, key, "kms:GetKeyPolicy", context)]


def _refuse_other_names(params: Params) -> None:
    name = params.get("PolicyName", policies.NAME)
    if name == _SHARED and "Policy" in params:
        raise ValidationException("The AWS_RAM policy can only be managed by the RAM service.")
    if name != policies.NAME:
        raise NotFound("No such policy exists")


@operation("kms.PutKeyPolicy", permissions=_may_put, writes=True)
def put_key_policy(call: Call, params: Params) -> None:
    """Replace a key's policy: at most 32 KiB; the only policy name is `default`.

    The new policy must let the caller change it again, unless BypassPolicyLockoutSafetyCheck is true.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html
    """
    _refuse_other_names(params)
    key = loaded.changeable(call, params["KeyId"], "PutKeyPolicy")
    bypass = params.get("BypassPolicyLockoutSafetyCheck", False)
    key.policy = accepted(call, key, params["Policy"], bypass=bypass)
    records.save(call.tx, key)


@operation("kms.GetKeyPolicy", permissions=_may_get)
def get_key_policy(call: Call, params: Params) -> Result:
    """A key's policy. Users and roles that are gone since show as their unique ids.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
    """
    _refuse_other_names(params)
    key = loaded.record_for(call, params["KeyId"], "kms:GetKeyPolicy")
    return {"Policy": principals.to_arns(call.reader, key.policy), "PolicyName": policies.NAME}


@operation("kms.ListKeyPolicies", permissions=on_key("kms:ListKeyPolicies"))
def list_key_policies(call: Call, params: Params) -> Result:
    """The names of a key's policies: always `default` alone.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeyPolicies.html
    """
    return {"PolicyNames": [policies.NAME], "Truncated": False}
