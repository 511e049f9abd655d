"""Candidates that change no policy: the request as a statement's conditions want it, by the caller's own choice.

Pure; see `changes.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from freehold.authorization.changes import Candidate, Change
from freehold.authorization.decide import Decision
from freehold.authorization.key_names import spelled
from freehold.authorization.principal_element import Named
from freehold.authorization.situation import Situation
from freehold.authorization.statement import Statement

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


def of_the_request(current: Situation, decision: Decision, *, every_key: bool = False) -> Iterator[Candidate]:
    """The request with other values of condition keys, those that a statement wants which does not apply for them.

    `every_key`: also keys that the caller can't simply choose, such as the address that it calls from.
    """
    if decision.result == "explicitDeny" and decision.statement is not None:
        yield from asked_differently(current, decision.statement, every_key=every_key)
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
                yield from asked_differently(current, statement, every_key=every_key)


def asked_differently(current: Situation, statement: Statement, *, every_key: bool) -> Iterator[Candidate]:
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
