"""What GetRequestAuthorizationDetails answers, read back into situations that can be decided again. Pure.

Works on AWS's own answers as well: it reads the operation's documented members and nothing else. Where an answer leaves
something out (another account's policies), `Denied.note` says what can't be known from here.
https://docs.aws.amazon.com/iam-toolbox/latest/APIReference/API_GetRequestAuthorizationDetails.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from freehold.authorization import testing
from freehold.authorization.document import MalformedPolicy, PolicyType
from freehold.authorization.permission import ContextValue, Grant
from freehold.authorization.principal import Kind, Principal, Session
from freehold.authorization.situation import Document, Situation

Details = Mapping[str, Any]

_KINDS: Final[dict[str, Kind]] = {
    "Account": "root",
    "User": "user",
    "AssumedRole": "role",
    "FederatedUser": "federated-user",
}
RESULTS: Final = {"ALLOW": "allow", "IMPLICIT_DENY": "implicitDeny", "EXPLICIT_DENY": "explicitDeny"}


@dataclass(frozen=True, slots=True)
class Denied:
    """One evaluation. `situation` is None where it can't be decided again; `note` then says why."""

    evaluation: Details
    situation: Situation | None
    note: str = ""


def read(details: Details, documents: Mapping[str, Any]) -> list[Denied]:
    """Every evaluation of an answer (all pages as one). `documents`: by URI, those that could be had."""
    context = _lower(details["requestContext"])
    principal = _principal(context)
    return [_denied(one, details, documents, context, principal) for one in details["evaluations"]]


def _denied(
    evaluation: Details,
    details: Details,
    documents: Mapping[str, Any],
    shared: dict[str, ContextValue],
    principal: Principal | None,
) -> Denied:
    if principal is None:
        return Denied(evaluation, None, "the answer doesn't say what kind of principal it was")
    context = {**shared, **_lower(evaluation.get("context") or {})}
    action, resource = evaluation["action"], evaluation["resource"]
    kind = testing.kind_of_request(action.partition(":")[0].lower(), action.lower(), resource)
    held = context.get("aws:resourceaccount") or context.get("s3:resourceaccount") or testing._account_in(resource)
    account_id = held if isinstance(held, str) and held else principal.account_id
    of_type: dict[str, list[Details]] = {}
    for policy in details["policies"]:
        of_type.setdefault(policy["type"], []).append(policy)

    def made(type_: PolicyType, kinds: str) -> tuple[Document, ...]:
        found = (_document(one, type_, documents) for one in of_type.get(kinds, ()))
        return tuple(one for one in found if one is not None)

    checks = evaluation.get("checks") or []
    session = made("session", "SESSION_POLICY")
    effects = {check["checkType"]: check["evaluatedEffect"] for check in checks}
    resource_policy, note = _resource_policy(of_type, documents, resource, kind, effects)
    boundary = made("boundary", "PERMISSIONS_BOUNDARY")
    endpoint = made("endpoint", "VPC_ENDPOINT_POLICY")
    situation = Situation(
        principal,
        action,
        resource,
        account_id,
        kind,
        context,
        made("identity", "IDENTITY_BASED_POLICY"),
        boundary[0] if boundary else None,
        session if session or "SESSION" in effects else None,
        _levels(checks, "SERVICE_CONTROL_POLICY", "scp", of_type, documents),
        _levels(checks, "RESOURCE_CONTROL_POLICY", "rcp", of_type, documents),
        endpoint[0] if endpoint else None,
        resource_policy,
        _grants(of_type, effects, resource, principal, action, documents),
        {
            key.removeprefix("kms:encryptioncontext:"): value
            for key, value in context.items()
            if key.startswith("kms:encryptioncontext:") and isinstance(value, str)
        },
    )
    if note:
        return Denied(evaluation, None, note)
    try:
        result = situation.decision().result
    except MalformedPolicy:
        return Denied(evaluation, None, "a policy of the answer can't be understood")
    if result != RESULTS.get(evaluation.get("evaluatedEffect", "")):
        return Denied(
            evaluation, None, "the answer leaves out something that decided, such as another account's policy"
        )
    return Denied(evaluation, situation)


def _principal(context: Mapping[str, ContextValue]) -> Principal | None:
    def text(key: str) -> str:
        value = context.get(key, "")
        return value if isinstance(value, str) else ""

    kind, arn, account_id = (
        _KINDS.get(text("aws:principaltype")),
        text("aws:principalarn"),
        text("aws:principalaccount"),
    )
    if kind is None or not arn:
        return None
    unique_id = text("aws:userid")
    name = arn.rpartition("/")[2]
    issuer_arn = ""
    if kind == "role":
        issuer_arn, session_name = arn, unique_id.partition(":")[2]
        arn = f"arn:{arn.split(':')[1]}:sts::{account_id}:assumed-role/{name}/{session_name}"
    session = None
    if "aws:tokenissuetime" in context or kind == "federated-user":
        mfa_at = 0 if text("aws:multifactorauthpresent") == "true" else None
        if kind == "role":
            session = Session(0, 1, kind="assume-role", mfa_at=mfa_at)
        elif kind == "federated-user":
            session = Session(0, 1, kind="federation-token", mfa_at=mfa_at)
        elif text("aws:assumedroot") == "true":
            session = Session(0, 1, kind="assume-root", mfa_at=mfa_at)
        else:
            session = Session(0, 1, kind="session-token", mfa_at=mfa_at)
    return Principal(kind, account_id, arn, unique_id, name, issuer_arn, session=session)


def _resource_policy(
    of_type: Mapping[str, list[Details]],
    documents: Mapping[str, Any],
    resource: str,
    kind: PolicyType,
    effects: Mapping[str, str],
) -> tuple[Document | None, str]:
    """The resource's policy, one that stands for what can't be seen, or a note on what decided out of sight."""
    for policy in of_type.get("RESOURCE_BASED_POLICY", ()):
        attached = [one.get("arn", "") for one in policy.get("attachedTo") or ()]
        if policy["uri"] in documents and any(_is_of(resource, arn) for arn in attached):
            return _document(policy, kind, documents), ""
    effect = effects.get("RESOURCE")
    if effect == "ALLOW":
        statement: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
        if kind == "trust":
            statement = {"Effect": "Allow", "Principal": "*", "Action": "sts:*"}
        unseen = {"Version": "2012-10-17", "Statement": [statement]}
        return Document(kind, "the resource owner's policy", orjson.dumps(unseen).decode()), ""
    if effect == "EXPLICIT_DENY":
        return None, "the policy of the resource denies it, and belongs to another account: its owner can see it"
    return None, ""


def _is_of(resource: str, arn: str) -> bool:
    return resource == arn or resource.startswith((f"{arn}/", f"{arn}:"))


def _levels(
    checks: list[Details],
    check_type: str,
    type_: PolicyType,
    of_type: Mapping[str, list[Details]],
    documents: Mapping[str, Any],
) -> tuple[tuple[Document, ...], ...]:
    """The policies of each level: by what they are attached to; else by where they matched; else where none did."""
    levels = [check for check in checks if check["checkType"] == check_type]
    found: list[list[Document]] = [[] for _ in levels]
    unplaced = []
    for policy in of_type.get(check_type, ()):
        document = _document(policy, type_, documents)
        if document is None:
            continue
        targets = {one.get("arn") for one in policy.get("attachedTo") or ()}
        places = [
            number
            for number, check in enumerate(levels)
            if check.get("targetArn") in targets - {None}
            or any(one["uri"] == policy["uri"] for one in check.get("matchedPolicies") or ())
        ]
        for number in places:
            found[number].append(document)
        if not places:
            unplaced.append(document)
    lacking = next((n for n, check in enumerate(levels) if check["evaluatedEffect"] == "IMPLICIT_DENY"), 0)
    if levels:
        found[lacking].extend(unplaced)
    return tuple(tuple(level) for level in found)


def _grants(
    of_type: Mapping[str, list[Details]],
    effects: Mapping[str, str],
    resource: str,
    principal: Principal,
    action: str,
    documents: Mapping[str, Any],
) -> tuple[Grant, ...]:
    """A grant has no document: one counts where the resource's side allowed and no policy that is seen did."""
    source = "KMS_GRANT"
    grants = [one for one in of_type.get("RESOURCE_BASED_POLICY", ()) if _source(one) == source]
    if not grants or effects.get("RESOURCE") != "ALLOW":
        return ()
    return (Grant(principal.issuer_arn or principal.arn, (action.partition(":")[2],)),)


def _source(policy: Details) -> str:
    return str((policy.get("policySource") or {}).get("type", ""))


def _document(policy: Details, type_: PolicyType, documents: Mapping[str, Any]) -> Document | None:
    raw = documents.get(policy["uri"])
    if raw is None:
        return None
    return Document(type_, name_of(policy["uri"]), orjson.dumps(raw).decode())


def name_of(uri: str) -> str:
    """How a policy is called: its ARN, or the name that Freehold's URIs of inline policies end with."""
    if uri.startswith("inline:"):
        return uri.split(":", 3)[3] if uri.count(":") >= 3 else uri
    return uri


def _lower(context: Mapping[str, Any]) -> dict[str, ContextValue]:
    return {
        key.lower(): tuple(map(_text, value)) if isinstance(value, list) else _text(value)
        for key, value in context.items()
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
