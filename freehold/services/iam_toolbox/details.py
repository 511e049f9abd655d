"""Authorization details: why a call was denied, by the id that its refusal named.

They belong to the account of the principal that was denied, or to its organization where it was in one. What another
account's resource has for policies counts in the checks and is not shown. Ids are found from every Region.
https://docs.aws.amazon.com/iam-toolbox/latest/APIReference/API_GetRequestAuthorizationDetails.html
https://docs.aws.amazon.com/iam-toolbox/latest/APIReference/API_GetRequestAuthorizationPolicy.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization import checks, denial, effort
from freehold.authorization.denial import Denial
from freehold.authorization.document import MalformedPolicy
from freehold.authorization.key_names import spelled
from freehold.authorization.permission import ContextValue, Permission
from freehold.services.iam.principals import to_arns
from freehold.services.iam_toolbox import kept
from freehold.services.iam_toolbox.errors import ResourceNotFoundException, ValidationException
from freehold.services.operation import Params, Permissions, Result, operation

if TYPE_CHECKING:
    from freehold.authorization.decide import Decision
    from freehold.authorization.statement import Policy
    from freehold.services.call import Call
    from freehold.storage.records import Reader

EVALUATIONS_A_PAGE: Final = 10
_POLL_SECONDS: Final = 0.05
_STORED_AFTER_SECONDS: Final = 2.0


def _may(action: str) -> Permissions:
    def needed(call: Call, params: Params) -> list[Permission]:
        return [Permission(f"iam:{action}", "*", call.account_id)]

    needed.__doc__ = f"`iam:{action}`, in the account or organization of the principal that was denied."
    return needed


async def _until_stored(call: Call, params: Params) -> None:
    """A denial's details are stored a moment after its answer, perhaps by another worker."""
    authorization_id = params["authorizationId"]
    age = call.app.clock.now_seconds() - kept.time_of(authorization_id)
    if not 0 <= age < _STORED_AFTER_SECONDS + 1:
        return
    for _ in range(int(_STORED_AFTER_SECONDS / _POLL_SECONDS)):
        if kept.find(call.app.records.reader(), authorization_id) is not None:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _found(call: Call, params: Params) -> tuple[Denial, list[Decision]]:
    """The denial and its decisions, made again. Raises ResourceNotFoundException."""
    held = kept.find(call.reader, params["authorizationId"])
    if held is None or not _may_read(call, held):
        raise ResourceNotFoundException
    oldest = call.app.clock.now_seconds() - kept.KEPT_SECONDS
    if kept.time_of(params["authorizationId"]) < oldest:
        raise ResourceNotFoundException
    found, texts = kept.opened(call.reader, held)
    try:
        decisions = [situation.decision() for situation in denial.situations(found, texts)]
    except MalformedPolicy:
        raise ResourceNotFoundException from None
    for decision, recorded in zip(decisions, found.decisions, strict=True):
        # What was answered then stands, whatever this version would answer.
        if (decision.result, decision.decided_by) != (recorded.result, recorded.decided_by):
            decision.result = recorded.result  # type: ignore[assignment]
            decision.decided_by = recorded.decided_by  # type: ignore[assignment]
    return found, decisions


def _may_read(call: Call, held: kept.Kept) -> bool:
    if held.organization_id:
        return bool(call.decisions[-1].request.context["aws:principalorgid"] == held.organization_id)
    return held.account_id == call.account_id


@operation(
    "iam-toolbox.GetRequestAuthorizationDetails",
    permissions=_may("GetRequestAuthorizationDetails"),
    prepare=_until_stored,
)
def get_request_authorization_details(call: Call, params: Params) -> Result:
    """The context, every evaluation with its checks, and the policies of one denied call; 10 evaluations a page.

    Kept for 26 hours. Equal denials within a minute share an id, whose details are the first one's.
    """
    found, decisions = _found(call, params)
    first = _first(params)
    if first and first >= len(decisions):
        raise ValidationException("The nextToken is not one that this authorization id gave.")
    evaluations = []
    for decision in decisions[first : first + EVALUATIONS_A_PAGE]:
        held = decision.request.context
        own = found.decisions[decisions.index(decision)].context
        context = {key: held[key] for key in own if checks.is_visible_key(key, decision.request)}
        context["aws:resourceaccount"] = held["aws:resourceaccount"]
        try:
            with effort.limited():
                told = checks.evaluation(decision)
        except effort.TooMuchToCompare:
            # Here every statement is looked at, though one had decided.
            raise ValidationException("What was evaluated takes too long to be compared again.") from None
        evaluations.append(told | {"context": _shown(context)})
    result: Result = {
        "requestContext": _shown(found.context),
        "evaluations": evaluations,
        "policies": list(_infos(decisions).values()),
    }
    if first + EVALUATIONS_A_PAGE < len(decisions):
        result["nextToken"] = f"{first + EVALUATIONS_A_PAGE}"
    return result


@operation(
    "iam-toolbox.GetRequestAuthorizationPolicy",
    permissions=_may("GetRequestAuthorizationPolicy"),
    prepare=_until_stored,
)
def get_request_authorization_policy(call: Call, params: Params) -> Result:
    """A policy as it was when the call was denied, by the URI that the details give it."""
    _, decisions = _found(call, params)
    for decision in decisions:
        for policy in _policies(decision):
            if checks.uri(policy) == params["policyUri"] and checks.is_visible(policy, decision.request):
                return {"policyDocument": _document(call.reader, policy)}
    raise ResourceNotFoundException


def _first(params: Params) -> int:
    token = params.get("nextToken")
    if token is None:
        return 0
    if not (token.isascii() and token.isdigit() and len(token) <= 4 and int(token) % EVALUATIONS_A_PAGE == 0):
        raise ValidationException("The nextToken is not one that this authorization id gave.")
    return int(token)


def _policies(decision: Decision) -> Iterable[Policy]:
    request, applied = decision.request, decision.policies
    sets = (
        *applied.rcps,
        *applied.scps,
        applied.endpoint,
        request.resource_policy,
        applied.identity,
        applied.boundary,
        applied.session,
    )
    for one in sets:
        if one is not None:
            yield from one.policies


def _infos(decisions: list[Decision]) -> dict[tuple[str, str], dict[str, Any]]:
    """What is told of each policy that may be seen, once."""
    infos: dict[tuple[str, str], dict[str, Any]] = {}
    for decision in decisions:
        request = decision.request
        principal = request.who.principal
        targets = checks.targets(decision)
        for policy in _policies(decision):
            if not checks.is_visible(policy, request):
                continue
            attached_to = targets.get(checks.uri(policy), [])
            if policy.type in ("identity", "boundary", "session"):
                attached_to = [principal.issuer_arn or principal.arn]
            elif policy.type in ("resource", "key", "trust"):
                attached_to = [policy.origin if policy.origin.startswith("arn:") else request.resource]
            infos.setdefault((policy.type, checks.uri(policy)), checks.policy_info(policy, attached_to))
        if request.account_id == principal.account_id:
            for grant in request.grants:
                infos.setdefault(("grant", grant.grant_id), checks.grant_info(grant.grant_id, request.resource))
    return infos


def _document(reader: Reader, policy: Policy) -> dict[str, Any]:
    text = denial.text_of(policy)
    if policy.type in ("resource", "key", "trust"):
        text = to_arns(reader, text)
    found: dict[str, Any] = json.loads(text)
    return found


def _shown(context: dict[str, ContextValue]) -> dict[str, Any]:
    return {
        spelled(key): list(value) if isinstance(value, tuple | list) else value
        for key, value in sorted(context.items())
        if value is not None
    }
