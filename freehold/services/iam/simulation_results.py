"""What a simulation answers: a result per action, on each resource that was named, with the statements that decided.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from freehold.authorization import match, service_reference
from freehold.authorization.document import Statement
from freehold.authorization.testing import kind_of_request
from freehold.services.iam import context_keys_named, pages, simulated, simulation_input
from freehold.services.iam.errors import InvalidInput, PolicyEvaluation
from freehold.services.iam.simulated import Simulated, Situation, Source
from freehold.services.operation import Params, Result

MOST_AT_ONCE = 5_000
"""Decisions that one page makes at most. A page that ends there has fewer results than asked for."""
_VARIABLE = re.compile(r"\$\{[^}]*\}")


def page(params: Params, situation: Situation) -> Result:
    names, arns = simulation_input.actions(params), simulation_input.resources(params)
    start = pages.after(params)
    if start is not None and not start.isdigit():
        raise InvalidInput("Invalid Marker.")
    begin = 0 if start is None else int(start) + 1
    most = min(params.get("MaxItems") or pages.DEFAULT_ITEMS, max(1, MOST_AT_ONCE // len(arns)))
    missing = [
        key
        for key in context_keys_named.named(source.text for source in situation.sources())
        if not situation.known(key)
    ]
    positions = _Positions()
    numbered = list(enumerate(names))[begin:]
    return pages.page(
        {**params, "MaxItems": most},
        "EvaluationResults",
        numbered,
        lambda item: str(item[0]),
        lambda item: _evaluated(situation, item[1], arns, missing, positions),
    )


def _evaluated(
    situation: Situation, action: str, arns: list[str], missing: list[str], positions: _Positions
) -> dict[str, Any]:
    """The result of one action: over all resources, and on each that was named."""
    service, name = action.partition(":")[0].lower(), action.lower()
    try:
        found = [(arn, situation.simulate(action, arn, kind_of_request(service, name, arn))) for arn in arns]
    except (ValueError, KeyError, RecursionError) as error:
        raise PolicyEvaluation(f"{action} could not be evaluated: {type(error).__name__}.") from None
    decision = simulated.strictest(one.result for _, one in found)
    deciding = [one for _, one in found if one.result == decision]
    matched = list(dict.fromkeys(pair for one in deciding for pair in one.matched()))
    named = arns != ["*"]
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": _template(action, arns[0]) if named else "*",
        "EvalDecision": decision,
        "MatchedStatements": [positions.shown(source, statement) for source, statement in matched],
        "MissingContextValues": [] if named else missing,
    }
    _add_limits(result, (one for _, one in found))
    if not named:
        return result
    details = [told for _, one in found if (told := one.details()) is not None]
    if details:
        kinds = dict.fromkeys(kind for told in details for kind in told)
        result["EvalDecisionDetails"] = {
            kind: simulated.strictest(told[kind] for told in details if kind in told) for kind in kinds
        }
    result["ResourceSpecificResults"] = [_on_resource(arn, one, missing, positions) for arn, one in found]
    return result


def _on_resource(arn: str, one: Simulated, missing: list[str], positions: _Positions) -> dict[str, Any]:
    result: dict[str, Any] = {
        "EvalResourceName": arn,
        "EvalResourceDecision": one.result,
        "MatchedStatements": [positions.shown(source, statement) for source, statement in one.matched()],
        "MissingContextValues": missing,
    }
    details = one.details()
    if details is not None:
        result["EvalDecisionDetails"] = details
    allowed = one.allowed_by_boundary()
    if allowed is not None:
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    return result


def _add_limits(result: dict[str, Any], found: Iterable[Simulated]) -> None:
    """Whether organization and boundary allow the action on every resource; nothing where there is none."""
    decided = list(found)
    by_organization = [one.allowed_by_organization() for one in decided]
    if None not in by_organization:
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": all(by_organization)}
    by_boundary = [one.allowed_by_boundary() for one in decided]
    if None not in by_boundary:
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": all(by_boundary)}


def _template(action: str, arn: str) -> str:
    """The ARN of the action's resource type with variables; of several types, the one of this ARN's form."""
    known = service_reference.action(action)
    if known is None:
        return "*"
    service, described = known
    templates = [service.resource_arns[kind] for kind, _ in described.resource_types if kind in service.resource_arns]
    alike = [template for template in templates if _form(template)(arn)]
    return max(alike, key=len) if alike else (templates or ["*"])[0]


@lru_cache(maxsize=2048)
def _form(template: str) -> Callable[[str], bool]:
    """A test of ARNs: whether one could be made from the template."""
    return match.arn_test(match.parse(_VARIABLE.sub("*", template), variables=False))


class _Positions:
    """Statements as results show them; each text is scanned once."""

    def __init__(self) -> None:
        self._known: dict[int, list[Any]] = {}

    def shown(self, source: Source, statement: Statement) -> dict[str, Any]:
        places = self._known.get(id(source))
        if places is None:
            places = self._known[id(source)] = source.positions()
        start, end = places[statement.index]
        return {
            "SourcePolicyId": source.source_id,
            "SourcePolicyType": source.source_type,
            "StartPosition": {"Line": start.line, "Column": start.column},
            "EndPosition": {"Line": end.line, "Column": end.column},
        }
