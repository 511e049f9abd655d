"""Candidates for the smallest change (`remedy.py`): edits of one policy, or of what the caller asked for. Pure.

Each is a `Change` in words and as data, with the situation as it is after it. They come smallest first: what opens
nothing else before what opens more, which a `warning` then says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from freehold.authorization import checks
from freehold.authorization.decide import Decision
from freehold.authorization.key_names import spelled
from freehold.authorization.principal import Principal
from freehold.authorization.principal_element import Named
from freehold.authorization.situation import Document, Situation, compiled
from freehold.authorization.statement import Policy, Statement

Candidate = tuple["Change", Situation]

NAMES: Final = {
    "identity": "identity-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
    "scp": "service control policy",
    "rcp": "resource control policy",
    "endpoint": "VPC endpoint policy",
    "resource": "resource-based policy",
    "key": "key policy",
    "trust": "role trust policy",
    "request": "request",
}
_SHARED: Final = {
    "boundary": "everyone whose permissions boundary this is gains it as a possibility",
    "scp": "every principal of the accounts under it gains it as a possibility",
    "rcp": "it holds for the resources of every account under it",
    "endpoint": "it holds for everything that goes through the endpoint",
}
_ASKED_DIFFERENTLY: Final = re.compile(
    r"aws:(multifactorauthpresent|securetransport|requestedregion|sourceidentity|requesttag/.*|tagkeys)"
    r"|s3:x-amz-.*|s3:(prefix|delimiter|max-keys|if-match|if-none-match)|kms:encryptioncontext:.*|kms:viaservice"
    r"|sts:(externalid|rolesessionname|sourceidentity)"
)
"""Keys whose value the caller chooses with the request."""
_NOT_THE_REQUESTS: Final = re.compile(
    r"aws:(principal(?!tag/).*|userid|username|resource.*|currenttime|epochtime|tokenissuetime|federatedprovider)"
    r"|.*resourcetag/.*|s3:existingobjecttag/.*|kms:calleraccount"
)
_WANTS: Final = {
    "Allow": frozenset(("stringequals", "stringequalsignorecase", "stringlike", "ipaddress", "bool", "arnequals",
                        "arnlike", "numericequals", "null")),
    "Deny": frozenset(("stringnotequals", "stringnotequalsignorecase", "stringnotlike", "notipaddress", "bool", "null",
                       "arnnotequals", "arnnotlike", "numericnotequals")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One edit. `statements` replace or join those of `policy`; `document` is the whole policy afterwards."""

    policy_type: str
    """A key of `NAMES`."""
    policy: str
    """The policy's ARN or name; empty for a new one and for a change of the request."""
    edit: str
    """new-policy, add-statement, extend-resource, narrow-deny, exempt-principal, remove-statement, ask-differently."""
    words: str
    statements: tuple[Mapping[str, Any], ...] = ()
    replaces: Mapping[str, Any] | None = None
    document: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    """The condition keys that the request would have had."""
    warning: str = ""

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in ("", None, ())}


# --- a missing allow --------------------------------------------------------------------------------------------------


def for_a_missing_allow(current: Situation, decision: Decision) -> Iterator[Candidate]:
    """Candidates for a denial that no statement made."""
    yield from of_the_request(current, decision)
    by = decision.decided_by
    if by == "scp":
        yield from _for_levels(current, decision)
    elif by == "identity":
        yield from _for_identity(current)
    elif by == "boundary" and current.boundary is not None:
        yield _added(current, current.boundary, _allow(current), lambda to: replace(current, boundary=to))
    elif by == "session":
        yield _for_session(current)
    elif by == "endpoint" and current.endpoint is not None:
        yield _added(current, current.endpoint, _named_allow(current), lambda to: replace(current, endpoint=to))
    elif by in ("resource", "key", "trust", "grant"):
        yield _for_resource(current)


def _for_identity(current: Situation) -> Iterator[Candidate]:
    """A statement for exactly this that lacks the resource gets it; otherwise a policy of its own."""
    decision = current.decision()
    for one in current.identity:
        if one.origin.startswith("arn:"):
            continue  # managed policies are others' too
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
        f"Add an identity-based policy to {principal.issuer_arn or principal.arn} that allows {_what(current)}.",
        (_allow(current),),
        document=document,
        warning=_everywhere(current),
    )
    yield change, replace(current, identity=(*current.identity, new))


def _extended(current: Situation, one: Document, statement: Statement) -> Candidate:
    raw = one.parsed()
    statements = _statements(raw)
    before = statements[statement.index]
    held = before["Resource"]
    after = {**before, "Resource": [*(held if isinstance(held, list) else [held]), literal(current.resource)]}
    statements[statement.index] = after
    changed = one.with_json({**raw, "Statement": statements})
    change = Change(
        "identity",
        one.origin,
        "extend-resource",
        f"Add {current.resource} to the Resource of {statement.label} of the {NAMES['identity']} {one.origin}.".strip(),
        (after,),
        before,
        changed.parsed(),
    )
    identity = tuple(changed if each is one else each for each in current.identity)
    return change, replace(current, identity=identity)


def _for_levels(current: Situation, decision: Decision) -> Iterator[Candidate]:
    request = decision.request
    for number, (level, found) in enumerate(zip(current.scps, decision.policies.scps, strict=True)):
        if checks._of_set(found, request)[0] == "ALLOW":
            continue

        def put(to: Document, one: Document | None, number: int = number) -> Situation:
            documents = current.scps[number]
            documents = (*documents, to) if one is None else tuple(to if each is one else each for each in documents)
            return replace(current, scps=(*current.scps[:number], documents, *current.scps[number + 1 :]))

        own = next((one for one in level if ":aws:policy/" not in one.origin), None)
        where = f"level {number + 1} of {len(current.scps)} of the organization"
        if own is None:
            document = {"Version": "2012-10-17", "Statement": [_allow(current)]}
            words = f"Attach a service control policy that allows {_what(current)} to {where}."
            change = Change(
                "scp", "", "new-policy", words, (_allow(current),), document=document, warning=_SHARED["scp"]
            )
            yield change, put(Document("scp", "", "").with_json(document), None)
        else:
            change, changed = _added(current, own, _allow(current), lambda to, one=own: put(to, one))
            yield replace(change, words=change.words.removesuffix(".") + f", at {where}."), changed
        return


def _for_session(current: Situation) -> Candidate:
    if current.session:
        first, *rest = current.session
        change, changed = _added(current, first, _allow(current), lambda to: replace(current, session=(to, *rest)))
        return replace(change, words=f"Pass a session policy that also allows {_what(current)}."), changed
    document = {"Version": "2012-10-17", "Statement": [_allow(current)]}
    new = Document("session", "", "").with_json(document)
    words = f"Pass a session policy that allows {_what(current)}."
    change = Change("session", "", "new-policy", words, (_allow(current),), document=document)
    return change, replace(current, session=(new,))


def _for_resource(current: Situation) -> Candidate:
    statement = _named_allow(current)
    if current.resource_policy is not None:
        return _added(current, current.resource_policy, statement, lambda to: replace(current, resource_policy=to))
    document = {"Version": "2012-10-17", "Statement": [statement]}
    new = Document(current.kind, current.resource, "").with_json(document)
    words = f"Have the {NAMES[current.kind]} of {_owner(current)} allow {_what(current)} to {_whom(current)}."
    change = Change(
        current.kind, "", "new-policy", words, (statement,), document=document, warning=_public(current.principal)
    )
    return change, replace(current, resource_policy=new)


def _added(current: Situation, one: Document, statement: dict[str, Any], put: Any) -> Candidate:
    raw = one.parsed()
    changed = one.with_json({**raw, "Statement": [*_statements(raw), statement]})
    to = f" to {_whom(current)}" if "Principal" in statement else ""
    name = f" {one.origin}" if one.origin else ""
    change = Change(
        one.type,
        one.origin,
        "add-statement",
        f"Add a statement to the {NAMES[one.type]}{name} that allows {_what(current)}{to}.",
        (statement,),
        document=changed.parsed(),
        warning=_SHARED.get(one.type, "") or (_public(current.principal) if to else "") or _everywhere(current),
    )
    return change, put(changed)


# --- a deny -----------------------------------------------------------------------------------------------------------


def around_a_deny(current: Situation, statement: Statement) -> Iterator[Candidate]:
    """Candidates for a denial that a statement made."""
    one = document_of(current, statement.policy)
    if one is None:
        return
    yield from _asked_differently(current, statement, every_key=False)
    raw = one.parsed()
    statements = _statements(raw)
    before = statements[statement.index]
    name = one.origin or "without a name"
    where = f"{statement.label} of the {NAMES[one.type]} {name}"
    arn = current.principal.issuer_arn or current.principal.arn
    shared = one.type not in ("identity", "session")

    def replaced(edit: str, by: list[dict[str, Any]], words: str, warning: str = "") -> Candidate:
        after = [*statements[: statement.index], *by, *statements[statement.index + 1 :]]
        document: dict[str, Any] | None = {**raw, "Statement": after} if after else None
        kept = one.with_json(document) if document is not None else None
        change = Change(one.type, one.origin, edit, words, tuple(by), before, document, warning=warning)
        return change, put(current, one, kept)

    narrowed = _without(before, current, arn if shared else "")
    if narrowed is not None:
        who = f" by {arn}" if shared else ""
        yield replaced("narrow-deny", narrowed, f"Let {where} no longer deny {_what(current)}{who}.")
    elsewhere = _without_resource(before, current.resource)
    if shared and current.principal.arn and elsewhere is not None:
        by = [_exempting(before, arn), {key: value for key, value in _only_for(elsewhere, arn).items() if key != "Sid"}]
        words = f"Let {where} deny {arn} nothing on {current.resource}."
        yield replaced("exempt-principal", by, words, "it then denies this principal no other action on it either")
    if shared and current.principal.arn:
        exempt = _exempting(before, arn)
        words = f"Exempt {arn} from {where}."
        yield replaced("exempt-principal", [exempt], words, "it then denies this principal nothing else either")
    rest = _without_action(before, current.action)
    if rest:
        words = f"Take {current.action} out of {where}."
        yield replaced("narrow-deny", [rest], words, f"it then denies {current.action} on no resource any more")
    if elsewhere is not None:
        words = f"Take {current.resource} out of {where}."
        yield replaced("narrow-deny", [elsewhere], words, f"it then denies nothing on {current.resource} any more")
    if len(statements) == 1 and one.type in ("boundary", "endpoint"):
        return  # an empty one would allow nothing, and none at all would allow everything
    words = f"Remove {where}."
    yield replaced("remove-statement", [], words, "everything else that it denied is no longer denied by it")


def _without(statement: dict[str, Any], current: Situation, exempt_arn: str) -> list[dict[str, Any]] | None:
    """The statement without this action on this resource (for one principal, if named), None where that can't be said
    exactly."""
    if "Action" not in statement or "Resource" not in statement:
        return None
    resource = literal(current.resource)
    resources = _list(statement["Resource"])
    if "*" in resources and current.resource != "*":
        elsewhere: dict[str, Any] | None = {"NotResource": [resource]}
    elif resource in resources and not any(_is_pattern(each) for each in resources):
        left = [each for each in resources if each != resource]
        elsewhere = {"Resource": left} if left else None
    elif resource == "*" and resources == ["*"]:
        elsewhere = None
    else:
        return None
    actions = _list(statement["Action"])
    lower = current.action.lower()
    plain = {key: value for key, value in statement.items() if key not in ("Action", "Resource", "Sid")}
    parts: list[dict[str, Any]] = []
    if "*" in actions:
        parts.append({**plain, "NotAction": [current.action], "Resource": statement["Resource"]})
    elif any(_is_pattern(each) for each in actions):
        return None
    else:
        left = [each for each in actions if each.lower() != lower]
        if left:
            parts.append({**plain, "Action": left, "Resource": statement["Resource"]})
    if elsewhere is not None:
        parts.append({**plain, "Action": [current.action], **elsewhere})
    if exempt_arn:
        parts.append(_exempting({**plain, "Action": [current.action], "Resource": [resource]}, exempt_arn))
    if statement.get("Sid") and parts:
        parts[0] = {"Sid": statement["Sid"], **parts[0]}
    return parts


def _exempting(statement: dict[str, Any], arn: str) -> dict[str, Any]:
    """The statement with a condition that leaves one principal out."""
    return _on_principal(statement, "ArnNotEquals", arn)


def _only_for(statement: dict[str, Any], arn: str) -> dict[str, Any]:
    """The statement for one principal alone. Where it has such a condition for others already, for these as well."""
    return _on_principal(statement, "ArnEquals", arn)


def _on_principal(statement: dict[str, Any], operator: str, arn: str) -> dict[str, Any]:
    conditions = {each: dict(block) for each, block in statement.get("Condition", {}).items()}
    block = conditions.setdefault(operator, {})
    key = next((key for key in block if key.lower() == "aws:principalarn"), "aws:PrincipalArn")
    block[key] = [*_list(block.get(key, [])), literal(arn)]
    return {**statement, "Condition": conditions}


def _without_action(statement: dict[str, Any], action: str) -> dict[str, Any] | None:
    actions = _list(statement.get("Action", []))
    left = [each for each in actions if each.lower() != action.lower()]
    return {**statement, "Action": left} if left and len(left) < len(actions) else None


def _without_resource(statement: dict[str, Any], resource: str) -> dict[str, Any] | None:
    if "*" not in _list(statement.get("Resource", [])) or resource == "*":
        return None
    return {key: value for key, value in statement.items() if key != "Resource"} | {"NotResource": [literal(resource)]}


# --- what the caller asks for -----------------------------------------------------------------------------------------


def of_the_request(current: Situation, decision: Decision, *, every_key: bool = False) -> Iterator[Candidate]:
    """The request with other values of condition keys, those that a statement wants which does not apply for them.

    `every_key`: also keys that the caller can't simply choose, such as the address that it calls from.
    """
    if decision.result == "explicitDeny" and decision.statement is not None:
        yield from _asked_differently(current, decision.statement, every_key=every_key)
        return
    request, policies = decision.request, decision.policies
    sets = {
        "identity": (policies.identity,),
        "boundary": (policies.boundary,),
        "session": (policies.session,),
        "scp": policies.scps,
        "endpoint": (policies.endpoint,),
    }.get(decision.decided_by, (request.resource_policy,))
    for one in sets:
        for statement in () if one is None else one.candidates(request.action).allows:
            principal = statement.principal
            if principal is not None and principal.names_for_allow(request.who) is Named.NOT:
                continue
            if statement.resource_test is None or statement.resource_test(request.resource, request.context):
                yield from _asked_differently(current, statement, every_key=every_key)


def _asked_differently(current: Situation, statement: Statement, *, every_key: bool) -> Iterator[Candidate]:
    """The request as a statement's conditions want it: to be allowed by it, or not to be denied."""
    context = dict(current.context)
    decision_context = current.decision().request.context
    given: dict[str, Any] = {}
    for condition in statement.conditions:
        holds = condition.holds(decision_context)
        if holds == (statement.effect == "Allow"):
            continue
        operator = condition.operator.lower().removesuffix("ifexists").rpartition(":")[2]
        key, wanted = condition.key.lower(), condition.wanted[0]
        chooses = _ASKED_DIFFERENTLY.fullmatch(key) or (every_key and not _NOT_THE_REQUESTS.fullmatch(key))
        if not chooses or operator not in _WANTS[statement.effect] or "*" in wanted or "${" in wanted:
            if statement.effect == "Allow":
                return
            continue
        value = given[key] = _value(operator, wanted, statement.effect)
        if value is None:
            context.pop(key, None)
        else:
            context[key] = value
        if statement.effect == "Deny":
            yield _asking(current, {key: value}, {**current.context, key: value} if value is not None else context)
            context = dict(current.context)
    if statement.effect == "Allow" and given:
        yield _asking(current, given, context)


def _value(operator: str, wanted: str, effect: str) -> str | None:
    """What the key has to be. `Null` wants a key to be there ("false") or not."""
    if operator == "null":
        is_there = (wanted.lower() == "false") == (effect == "Allow")
        return "…" if is_there else None
    if operator == "bool" and effect == "Deny":
        return "false" if wanted.lower() == "true" else "true"
    return wanted


def _asking(current: Situation, given: Mapping[str, Any], context: Mapping[str, Any]) -> Candidate:
    named = " and ".join(_in_words(key, value) for key, value in given.items())
    change = Change(
        "request",
        "",
        "ask-differently",
        f"Make the request {named}.",
        context={spelled(k): v for k, v in given.items()},
    )
    return change, replace(current, context=context)


def _in_words(key: str, value: Any) -> str:
    if key == "aws:multifactorauthpresent":
        return "with multi-factor authentication" if value == "true" else "without multi-factor authentication"
    if key == "aws:securetransport" and value == "true":
        return "over TLS"
    if value is None:
        return f"without {spelled(key)}"
    return f"with {spelled(key)}" + ("" if value == "…" else f" = {value}")


# --- parts ------------------------------------------------------------------------------------------------------------


def literal(resource: str) -> str:
    """A name as a policy writes it, where a star would mean anything. What stands for all of a service's resources
    (`arn:aws:s3:::*`) is written as it is."""
    if resource in ("", "*"):
        return "*"
    if _is_all_of_a_service(resource):
        return resource
    return re.sub(r"\$(?=\{)|[*?]", lambda found: f"${{{found[0]}}}", resource)


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
    everything = literal(current.resource) == "*" or _is_all_of_a_service(current.resource)
    return "the action is not about one resource: it is allowed on all" if everything else ""


def _is_all_of_a_service(resource: str) -> bool:
    return resource.split(":", 5)[5:] == ["*"]


def _what(current: Situation) -> str:
    return current.action + (f" on {current.resource}" if current.resource not in ("", "*") else "")


def _whom(current: Situation) -> str:
    principal = current.principal
    if principal.kind == "anonymous":
        return "everyone"
    return (principal.issuer_arn if principal.kind == "role" else principal.arn) or principal.name


def _owner(current: Situation) -> str:
    if current.kind == "resource" and current.resource.startswith("arn:aws:s3:::"):
        return f"the bucket {current.resource[13:].partition('/')[0]}"
    return current.resource


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?$")


def _statements(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    return _list(raw["Statement"])


def document_of(current: Situation, policy: Policy) -> Document | None:
    """The document that a policy was compiled from."""
    for one in _documents(current):
        if compiled(one) is policy:
            return one
    return None


def _documents(current: Situation) -> Iterator[Document]:
    yield from current.identity
    yield from current.session or ()
    for level in (*current.scps, *current.rcps):
        yield from level
    for one in (current.boundary, current.endpoint, current.resource_policy):
        if one is not None:
            yield one


def put(current: Situation, one: Document, changed: Document | None) -> Situation:
    """The situation with a document changed wherever it is, or gone (None)."""

    def each(documents: tuple[Document, ...]) -> tuple[Document, ...]:
        changed_each = ((changed if held is one else held) for held in documents)
        return tuple(held for held in changed_each if held is not None)

    def single(held: Document | None) -> Document | None:
        return changed if held is one else held

    return replace(
        current,
        identity=each(current.identity),
        session=None if current.session is None else each(current.session),
        scps=tuple(map(each, current.scps)),
        rcps=tuple(map(each, current.rcps)),
        boundary=single(current.boundary),
        endpoint=single(current.endpoint),
        resource_policy=single(current.resource_policy),
    )
