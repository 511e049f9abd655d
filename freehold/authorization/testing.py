"""Unit tests for policies: runs cases that say who asks for what under which policies, and what should come out.

The pure engine behind `freehold policy test CASES.json`. A case:

    {"name": …, "request": {"principal": ARN, "action": …, "resource": ARN, "context": {key: text or [text]},
                            "role": ARN, "management_account": true},
     "policies": {"identity": [document], "resource": document or null, "boundary": document or null,
                  "session": [document], "scps": [[document, …] per level], "rcps": [[…]], "endpoint": document or null,
                  "kms_grants": [grant]},
     "account_of_resource": "12 digits", "expect": "allow" | "implicitDeny" | "explicitDeny"}

`principal` may also be `anonymous`, `service:NAME` or `federated:PROVIDER`. For `sts:` actions that a role's trust
policy governs, `resource` is that trust policy; for `kms:` it is the key policy. Condition keys that follow from the
principal are added; no others are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from freehold import arn
from freehold.authorization import context_keys, document, explain
from freehold.authorization.context_keys import Context
from freehold.authorization.decide import Decision, Kind, Policies, Request, decide
from freehold.authorization.document import MalformedPolicy, Policy, PolicyType
from freehold.authorization.permission import Grant
from freehold.authorization.policy_set import PolicySet, alone
from freehold.authorization.principal import Principal
from freehold.authorization.principal_element import caller

RESULTS: Final = ("allow", "implicitDeny", "explicitDeny")
_ACTION = re.compile(r"[A-Za-z0-9.-]+:[A-Za-z0-9_-]+", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_TRUST_ACTIONS: Final = frozenset(
    f"sts:{name}"
    for name in (
        *("assumerole", "assumerolewithsaml", "assumerolewithwebidentity", "assumeroot"),
        *("tagsession", "setsourceidentity", "setcontext"),
    )
)


_KMS_WITHOUT_A_KEY: Final = frozenset(
    f"kms:{name}"
    for name in (
        *("createkey", "listkeys", "listaliases", "generaterandom", "createcustomkeystore", "updatecustomkeystore"),
        *("connectcustomkeystore", "disconnectcustomkeystore", "deletecustomkeystore", "describecustomkeystores"),
    )
)
"""What identity-based policies alone decide:
https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html"""


class MalformedCases(ValueError):
    """A case, or the whole file, is not in the format. The message names the case and what is wrong."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    name: str
    expect: str
    got: str
    """`allow`, `implicitDeny` or `explicitDeny`."""
    why: str
    malformed: bool = False
    """Whether a policy can't be understood: it could not be attached anywhere, and nothing is allowed by such a set."""

    @property
    def passed(self) -> bool:
        return self.expect == self.got

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "expect": self.expect, "got": self.got, "why": self.why}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An outcome with its reason; `details()` gives every policy's verdict as JSON."""

    result: str
    why: str
    decision: Decision

    def details(self) -> dict[str, Any]:
        return explain.summary(self.decision)


def run_cases(data: Any) -> list[CaseResult]:
    """Run parsed cases: a list, or an object with the list under `cases`. Raises MalformedCases."""
    if isinstance(data, Mapping):
        data = data.get("cases")
    if not isinstance(data, list):
        raise MalformedCases('The cases are a list, or an object that has the list under "cases".')
    return [_run(number, case) for number, case in enumerate(data, 1)]


def _run(number: int, case: Any) -> CaseResult:
    name = f"case {number}"
    if not isinstance(case, Mapping):
        raise MalformedCases(f"{name} is not an object.")
    given = case.get("name", name)
    if not isinstance(given, str):
        raise MalformedCases(f"{name}: name is not text.")
    name = given or name
    expect = case.get("expect")
    if expect not in RESULTS:
        raise MalformedCases(f"{name}: expect is one of {', '.join(RESULTS)}, not {expect!r}.")
    request = _object(name, case, "request", required=True)
    policies = _object(name, case, "policies")
    for field in ("principal", "action", "resource"):
        if not isinstance(request.get(field), str) or not request[field]:
            raise MalformedCases(f"{name}: request.{field} is missing or not text.")
    try:
        found = evaluate(
            request["principal"],
            request["action"],
            request["resource"],
            context=_object(name, request, "context"),
            identity=_list(name, policies, "identity"),
            resource_policy=policies.get("resource"),
            boundary=policies.get("boundary"),
            session=_list(name, policies, "session"),
            scps=_levels(name, policies, "scps"),
            rcps=_levels(name, policies, "rcps"),
            kms_grants=_list(name, policies, "kms_grants"),
            endpoint=policies.get("endpoint"),
            account_of_resource=case.get("account_of_resource"),
            role=request.get("role"),
            management_account=_flag(name, request, "management_account"),
        )
    except MalformedPolicy as error:
        why = f"A policy cannot be understood, so nothing is allowed: {error.message}"
        return CaseResult(name, expect, "implicitDeny", why, malformed=True)
    except MalformedCases as error:
        raise MalformedCases(f"{name}: {error}") from error
    return CaseResult(name, expect, found.result, found.why)


def kind_of_request(service: str, action: str, resource: str) -> Kind:
    """Which rules hold for the resource's policy."""
    if service == "kms" and action not in _KMS_WITHOUT_A_KEY and ":alias/" not in resource:
        return "key"
    return "trust" if action in _TRUST_ACTIONS else "resource"


def is_allowed(principal: str, action: str, resource: str, **policies: Any) -> bool:
    """Whether the request is allowed; arguments as for `evaluate`."""
    return evaluate(principal, action, resource, **policies).result == "allow"


def evaluate(
    principal: str,
    action: str,
    resource: str,
    *,
    context: Mapping[str, Any] | None = None,
    identity: Sequence[Any] = (),
    resource_policy: Any = None,
    boundary: Any = None,
    session: Sequence[Any] = (),
    scps: Sequence[Sequence[Any]] = (),
    rcps: Sequence[Sequence[Any]] = (),
    kms_grants: Sequence[Mapping[str, Any]] = (),
    endpoint: Any = None,
    account_of_resource: str | None = None,
    role: str | None = None,
    management_account: bool = False,
) -> Evaluation:
    """Evaluate one request. Documents are JSON text, parsed JSON or compiled policies.

    Raises MalformedPolicy for a document that cannot be understood, MalformedCases for anything else that can't.
    """
    if not _ACTION.fullmatch(action):
        raise MalformedCases(f"the action {action[:100]!r} is not of the form service:Name.")
    who = caller(principal_of(principal, role))
    service = action.partition(":")[0].lower()
    kind = kind_of_request(service, action.lower(), resource)
    if account_of_resource is not None and not (
        isinstance(account_of_resource, str) and _ACCOUNT.fullmatch(account_of_resource)
    ):
        raise MalformedCases("account_of_resource is not 12 digits.")
    account_id = account_of_resource or _account_in(resource) or who.account_id
    given = _context(context or {})
    layers = Context(given, context_keys.of_principal(who), resource_account=account_id)
    named = "identity-based policy {}"
    policies = Policies(
        PolicySet(_compile(one, "identity", named.format(i)) for i, one in enumerate(identity, 1)),
        None if boundary is None else alone(_compile(boundary, "boundary", "permissions boundary")),
        PolicySet(_compile(one, "session", f"session policy {i}") for i, one in enumerate(session, 1))
        if session
        else None,
        _organization(scps, "scp", "service control policy"),
        _organization(rcps, "rcp", "resource control policy"),
        None if endpoint is None else alone(_compile(endpoint, "endpoint", "VPC endpoint policy")),
        management_account=management_account,
        resource_in_management_account=management_account and account_id == who.account_id,
    )
    attached = None
    if resource_policy is not None:
        attached = alone(_compile(resource_policy, kind, "", resource_optional=service != "s3"))
    request = Request(
        who,
        action,
        resource,
        account_id,
        layers,
        kind,
        attached,
        tuple(_grant(one) for one in kms_grants),
        _encryption_context(context or {}),
    )
    decision = decide(request, policies)
    return Evaluation(decision.result, explain.why(decision), decision)


def principal_of(text: str, role: str | None = None) -> Principal:
    """The principal that a case's text stands for. `role`: the ARN of the role behind a session, with its path."""
    if text == "anonymous":
        return Principal(kind="anonymous", name="anonymous")
    prefix, colon, name = text.partition(":")
    if colon and prefix in ("service", "federated"):
        if not name:
            raise MalformedCases(f"the principal {text!r} names no {prefix}.")
        return Principal(kind="service" if prefix == "service" else "federated", name=name)
    try:
        parts = arn.parse(text)
    except ValueError as error:
        raise MalformedCases(f"the principal {text[:200]!r} is no ARN, anonymous, service:… or federated:….") from error
    account_id, (kind, _, rest) = parts.account_id, parts.resource.partition("/")
    if not _ACCOUNT.fullmatch(account_id):
        raise MalformedCases(f"the principal {text[:200]!r} has no account.")
    if (parts.service, parts.resource) == ("iam", "root"):
        return Principal(kind="root", account_id=account_id, arn=text, unique_id=account_id)
    if rest and parts.service == "iam" and kind == "user":
        return Principal(kind="user", account_id=account_id, arn=text, name=rest.rpartition("/")[2])
    if rest and parts.service == "iam" and kind == "role":
        return Principal(kind="role", account_id=account_id, arn=text, issuer_arn=text, name=rest.rpartition("/")[2])
    if rest and parts.service == "sts" and kind == "federated-user":
        return Principal(
            kind="federated-user", account_id=account_id, arn=text, unique_id=f"{account_id}:{rest}", name=rest
        )
    role_name, slash, session_name = rest.partition("/")
    if parts.service == "sts" and kind == "assumed-role" and slash and session_name:
        if role is not None and not isinstance(role, str):
            raise MalformedCases("request.role is not an ARN.")
        issuer = role or f"arn:{parts.partition}:iam::{account_id}:role/{role_name}"
        return Principal(kind="role", account_id=account_id, arn=text, issuer_arn=issuer, name=role_name)
    raise MalformedCases(f"the principal {text[:200]!r} is no user, role, session or root user.")


def _account_in(resource: str) -> str:
    parts = resource.split(":", 5)
    return parts[4] if len(parts) == 6 and _ACCOUNT.fullmatch(parts[4]) else ""


def _compile(raw: Any, type: PolicyType, origin: str, *, resource_optional: bool = False) -> Policy:
    if isinstance(raw, Policy):
        return raw
    return document.parse(raw, type, origin=origin, resource_optional=resource_optional)


def _organization(levels: Sequence[Sequence[Any]], type: PolicyType, name: str) -> tuple[PolicySet, ...]:
    return tuple(
        PolicySet(_compile(one, type, f"{name} {i} of level {depth}") for i, one in enumerate(level, 1))
        for depth, level in enumerate(levels, 1)
    )


def _context(given: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    keys: dict[str, str | tuple[str, ...]] = {}
    for key, value in given.items():
        values = value if isinstance(value, list | tuple) else [value]
        texts = tuple(_text(key, one) for one in values)
        keys[key.lower()] = texts if isinstance(value, list | tuple) else texts[0]
    return keys


def _text(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise MalformedCases(f"the value of the context key {key!r} is not text or a list of texts.")


_ENCRYPTION_CONTEXT = "kms:encryptioncontext:"


def _encryption_context(given: Mapping[str, Any]) -> dict[str, str]:
    """The encryption context as the context keys tell it; its own keys are case-sensitive."""
    return {
        key[len(_ENCRYPTION_CONTEXT) :]: value
        for key, value in given.items()
        if key.lower().startswith(_ENCRYPTION_CONTEXT) and isinstance(value, str)
    }


def _grant(raw: Any) -> Grant:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("grantee"), str):
        raise MalformedCases("a KMS grant is an object with a grantee and operations.")
    operations = raw.get("operations")
    constraints = raw.get("constraints") or {}
    if not isinstance(operations, list) or not all(isinstance(one, str) for one in operations):
        raise MalformedCases("the operations of a KMS grant are a list of texts.")
    if not isinstance(constraints, Mapping) or not all(isinstance(one, Mapping) for one in constraints.values()):
        raise MalformedCases("the constraints of a KMS grant are an object of objects.")
    return Grant(raw["grantee"], tuple(one.removeprefix("kms:") for one in operations), constraints)


def _object(name: str, case: Mapping[str, Any], field: str, *, required: bool = False) -> Mapping[str, Any]:
    value = case.get(field)
    if value is None and not required:
        return {}
    if not isinstance(value, Mapping):
        raise MalformedCases(f"{name}: {field} is missing or not an object.")
    return value


def _list(name: str, policies: Mapping[str, Any], field: str) -> list[Any]:
    value = policies.get(field)
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [value]
    if not isinstance(value, list):
        raise MalformedCases(f"{name}: policies.{field} is not a list.")
    return value


def _levels(name: str, policies: Mapping[str, Any], field: str) -> list[list[Any]]:
    levels = _list(name, policies, field)
    if not all(isinstance(level, list) for level in levels):
        raise MalformedCases(f"{name}: policies.{field} is a list of levels, each a list of documents.")
    return levels


def _flag(name: str, request: Mapping[str, Any], field: str) -> bool:
    value = request.get(field, False)
    if not isinstance(value, bool):
        raise MalformedCases(f"{name}: request.{field} is true or false.")
    return value
