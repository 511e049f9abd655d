"""Candidates for a missing allow: a statement for exactly what was asked, in the policy of the type that lacked it.

Pure; see `changes.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from freehold.authorization import asking, checks
from freehold.authorization.changes import (
    NAMES,
    SHARED,
    Candidate,
    Change,
    is_all_of_a_service,
    is_aws_managed,
    is_service_linked,
    is_services_own,
    literal,
    statements_of,
    what,
    whom,
)
from freehold.authorization.decide import Decision
from freehold.authorization.key_names import spelled
from freehold.authorization.policy_set import is_of_group
from freehold.authorization.principal import Principal
from freehold.authorization.situation import Document, Situation, compiled
from freehold.authorization.statement import Statement


def for_a_missing_allow(current: Situation, decision: Decision) -> Iterator[Candidate]:
    """Candidates for a denial that no statement made."""
    yield from asking.of_the_request(current, decision)
    by = decision.decided_by
    if by == "scp":
        yield from _for_levels(current, decision)
    elif by == "identity":
        yield from _for_identity(current)
    elif by == "boundary" and current.boundary is not None:
        yield _for_boundary(current, current.boundary)
    elif by == "session":
        yield _for_session(current)
    elif by == "endpoint" and current.endpoint is not None:
        yield _added(current, current.endpoint, _named_allow(current), lambda to: replace(current, endpoint=to))
    elif by in ("resource", "key", "trust", "grant") and not is_services_own(current, current.resource_policy):
        yield _for_resource(current)


def _for_identity(current: Situation) -> Iterator[Candidate]:
    """A statement for exactly this that lacks the resource gets it; otherwise a policy of its own."""
    if is_service_linked(current.principal.issuer_arn):
        return
    decision = current.decision()
    for one in current.identity:
        if one.origin.startswith("arn:") or is_of_group(one.origin):
            continue  # managed policies and groups' are others' too
        for statement in compiled(one).statements:
            if (
                statement.effect == "Allow"
                and not statement.not_resources
                and [action.lower() for action in statement.actions] == [current.action.lower()]
                and not statement.not_actions
                and statement.conditions_hold(decision.request.context)
            ):
                yield _extended(current, one, statement)
    document = {"Version": "2012-10-17", "Statement": [_allow(current)]}
    new = Document("identity", "", "").with_json(document)
    principal = current.principal
    change = Change(
        "identity",
        "",
        "new-policy",
        f"Add an identity-based policy to {principal.issuer_arn or principal.arn} that allows {what(current)}.",
        (_allow(current),),
        document=document,
        warning=_everywhere(current),
    )
    yield change, replace(current, identity=(*current.identity, new))


def _extended(current: Situation, one: Document, statement: Statement) -> Candidate:
    raw = one.parsed()
    statements = statements_of(raw)
    before = statements[statement.index]
    held = before["Resource"]
    after = {**before, "Resource": [*(held if isinstance(held, list) else [held]), literal(current.resource)]}
    statements[statement.index] = after
    document = {**raw, "Statement": statements}
    changed = one.with_json(document)
    change = Change(
        "identity",
        one.origin,
        "extend-resource",
        f"Add {current.resource} to the Resource of {statement.label} of the {NAMES['identity']} {one.origin}.".strip(),
        (after,),
        before,
        document,
    )
    identity = tuple(changed if each is one else each for each in current.identity)
    return change, replace(current, identity=identity)


def _for_boundary(current: Situation, boundary: Document) -> Candidate:
    if not is_aws_managed(boundary):
        return _added(current, boundary, _allow(current), lambda to: replace(current, boundary=to))
    raw = boundary.parsed()
    document = {**raw, "Statement": [*statements_of(raw), _allow(current)]}
    arn = current.principal.issuer_arn or current.principal.arn
    change = Change(
        "boundary",
        boundary.origin,
        "replace-policy",
        f"Set a customer managed policy as the permissions boundary of {arn} in place of AWS's {boundary.origin}, "
        f"with a statement that allows {what(current)}.",
        (_allow(current),),
        document=document,
        warning=_everywhere(current),
    )
    own = Document("boundary", "", "").with_json(document)
    return change, replace(current, boundary=own)


def _for_levels(current: Situation, decision: Decision) -> Iterator[Candidate]:
    request = decision.request
    for number, (level, found) in enumerate(zip(current.scps, decision.policies.scps, strict=True)):
        if checks._of_set(found, request)[0] == "ALLOW":
            continue

        def put(to: Document, one: Document | None, number: int = number) -> Situation:
            documents = current.scps[number]
            documents = (*documents, to) if one is None else tuple(to if each is one else each for each in documents)
            return replace(current, scps=(*current.scps[:number], documents, *current.scps[number + 1 :]))

        own = next((one for one in level if not is_aws_managed(one)), None)
        where = f"level {number + 1} of {len(current.scps)} of the organization"
        if own is None:
            document = {"Version": "2012-10-17", "Statement": [_allow(current)]}
            words = f"Attach a service control policy that allows {what(current)} to {where}."
            change = Change(
                "scp", "", "new-policy", words, (_allow(current),), document=document, warning=SHARED["scp"]
            )
            yield change, put(Document("scp", "", "").with_json(document), None)
        else:
            change, changed = _added(current, own, _allow(current), lambda to, one=own: put(to, one))
            yield replace(change, words=change.words.removesuffix(".") + f", at {where}."), changed
        return


def _for_session(current: Situation) -> Candidate:
    passed = current.session or ()
    own = next((one for one in passed if not one.origin.startswith("arn:")), None)
    if own is not None:

        def put(to: Document) -> Situation:
            return replace(current, session=tuple(to if each is own else each for each in passed))

        change, changed = _added(current, own, _allow(current), put)
        return replace(change, words=f"Pass a session policy that also allows {what(current)}."), changed
    document = {"Version": "2012-10-17", "Statement": [_allow(current)]}
    new = Document("session", "", "").with_json(document)
    words = f"Pass a session policy that allows {what(current)}."
    change = Change("session", "", "new-policy", words, (_allow(current),), document=document)
    return change, replace(current, session=(*passed, new))


def _for_resource(current: Situation) -> Candidate:
    statement = _named_allow(current)
    if current.resource_policy is not None:
        return _added(current, current.resource_policy, statement, lambda to: replace(current, resource_policy=to))
    document = {"Version": "2012-10-17", "Statement": [statement]}
    new = Document(current.kind, current.resource, "").with_json(document)
    words = f"Have the {NAMES[current.kind]} of {_owner(current)} allow {what(current)} to {whom(current)}."
    change = Change(
        current.kind, "", "new-policy", words, (statement,), document=document, warning=_public(current.principal)
    )
    return change, replace(current, resource_policy=new)


def _added(current: Situation, one: Document, statement: dict[str, Any], put: Any) -> Candidate:
    raw = one.parsed()
    document = {**raw, "Statement": [*statements_of(raw), statement]}
    changed = one.with_json(document)
    to = f" to {whom(current)}" if "Principal" in statement else ""
    name = f" {one.origin}" if one.origin else ""
    change = Change(
        one.type,
        one.origin,
        "add-statement",
        f"Add a statement to the {NAMES[one.type]}{name} that allows {what(current)}{to}.",
        (statement,),
        document=document,
        warning=SHARED.get(one.type, "") or (_public(current.principal) if to else "") or _everywhere(current),
    )
    return change, put(changed)


def _allow(current: Situation) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": current.action, "Resource": literal(current.resource)}


def _named_allow(current: Situation) -> dict[str, Any]:
    """An allow in a policy that names principals: the caller alone, and for a service only on behalf of whom it was."""
    principal = current.principal
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": _principal(principal), "Action": current.action}
    if current.kind != "trust":
        statement["Resource"] = "*" if current.kind == "key" else literal(current.resource)
    if principal.kind in ("service", "federated"):
        kept = {
            spelled(key): current.context[key]
            for key in ("aws:sourceaccount", "aws:sourcearn")
            if isinstance(current.context.get(key), str)
        }
        if kept:
            statement["Condition"] = {"StringEquals": kept}
    return statement


def _principal(principal: Principal) -> Any:
    if principal.kind == "anonymous":
        return "*"
    if principal.kind == "service":
        return {"Service": principal.name}
    if principal.kind == "federated":
        return {"Federated": principal.name}
    return {"AWS": principal.issuer_arn if principal.kind == "role" else principal.arn}


def _public(principal: Principal) -> str:
    return "everyone in the world is then allowed this" if principal.kind == "anonymous" else ""


def _everywhere(current: Situation) -> str:
    everything = literal(current.resource) == "*" or is_all_of_a_service(current.resource)
    return "the action is not about one resource: it is allowed on all" if everything else ""


def _owner(current: Situation) -> str:
    if current.kind == "resource" and current.resource.startswith("arn:aws:s3:::"):
        return f"the bucket {current.resource[13:].partition('/')[0]}"
    return current.resource
