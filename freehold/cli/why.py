"""`freehold why`: a denial told in words, with the smallest change that would have allowed it.

Asks the server (or AWS) for the details of one authorization id, and works the answer out here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freehold.cli.output import Problem, print_json, printable

if TYPE_CHECKING:
    from freehold.authorization.decide import Decision
    from freehold.authorization.remedy import Remedy
    from freehold.cli.authorization_details import Denied

_MARKS = {
    "ALLOW": ("✔", "green", "allowed"),
    "NO_IMPACT": ("·", "dim", "nothing is said, and nothing is needed"),
    "IMPLICIT_DENY": ("✘", "yellow", "not allowed"),
    "EXPLICIT_DENY": ("✘", "red", "denied"),
}
_CHECKS = {
    "SERVICE_CONTROL_POLICY": "Service control policies",
    "RESOURCE_CONTROL_POLICY": "Resource control policies",
    "VPC_ENDPOINT": "VPC endpoint policy",
    "RESOURCE": "Resource's policy",
    "PRINCIPAL": "Principal's policies",
    "PERMISSIONS_BOUNDARY": "Permissions boundary",
    "SESSION": "Session policies",
}
_VERDICTS = {
    "SERVICE_CONTROL_POLICY": "service control policies",
    "RESOURCE_CONTROL_POLICY": "resource control policies",
    "VPC_ENDPOINT": "VPC endpoint policy",
    "PRINCIPAL": "identity-based policies",
    "PERMISSIONS_BOUNDARY": "permissions boundary",
    "SESSION": "session policies",
}
_NOT_FOR_YOU = (
    "you may not read why: iam:GetRequestAuthorizationDetails and iam:GetRequestAuthorizationPolicy are needed. "
    "Give the id to somebody who has them in the account of the principal that was denied"
)
"""Instead of the denial's own words, which tell to ask why of it in turn."""


def why(
    authorization_id: Annotated[
        str, typer.Argument(help="The id at the end of an access-denied message.", metavar="AUTHORIZATION_ID")
    ],
    endpoint: Annotated[
        str | None, typer.Option(help="The server's endpoint [default: the profile's].", metavar="URL")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile to ask with.", metavar="NAME")] = None,
    ca_bundle: Annotated[
        str | None, typer.Option(help="PEM file to verify an https endpoint with.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell why a request was denied, and the smallest change that would have allowed it.

    Needs iam:GetRequestAuthorizationDetails and iam:GetRequestAuthorizationPolicy in the account of the principal that
    was denied. The change is worked out by deciding again with each candidate applied; nothing is changed.

    Example: freehold why 0tozcwnwky9oiwxu1ez9bhxgcy --endpoint http://127.0.0.1:4600 --profile freehold
    """
    from freehold.cli.authorization_details import read
    from freehold.cli.clients import client_of

    client = client_of("iam-toolbox", endpoint, profile=profile, verify=ca_bundle)
    details, documents = _asked(client, authorization_id)
    told = [_Told(one) for one in read(details, documents)]
    if as_json:
        print_json(
            {
                "authorization_id": authorization_id,
                "context": details["requestContext"],
                "evaluations": [one.as_json() for one in told],
            }
        )
        return
    _print(authorization_id, details["requestContext"], told)


def _asked(client: Any, authorization_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """All pages as one answer, and the documents of its policies."""
    from botocore.exceptions import ClientError

    from freehold.cli.operator_client import called

    if not (authorization_id.isascii() and authorization_id.isalnum() and len(authorization_id) <= 256):
        raise Problem("an authorization id is made of lower-case letters and digits")
    try:
        details = called(client.get_request_authorization_details, authorizationId=authorization_id)
    except Problem as problem:
        if str(problem).startswith("AccessDenied"):
            raise Problem(_NOT_FOR_YOU) from None
        raise
    token = details.get("nextToken")
    while token:
        page = called(client.get_request_authorization_details, authorizationId=authorization_id, nextToken=token)
        details["evaluations"] += page["evaluations"]
        token = page.get("nextToken")
    documents = {}
    for uri in dict.fromkeys(policy["uri"] for policy in details["policies"]):
        try:
            answer = client.get_request_authorization_policy(authorizationId=authorization_id, policyUri=uri)
            documents[uri] = answer["policyDocument"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise Problem(f"{error.response['Error']['Code']}: {error.response['Error']['Message']}") from None
    return details, documents


class _Told:
    """One evaluation, decided again where that can be done."""

    def __init__(self, denied: Denied) -> None:
        from freehold.authorization.remedy import remedy

        self.denied = denied
        self.evaluation = denied.evaluation
        self.decision: Decision | None = None
        self.remedy: Remedy | None = None
        if denied.situation is not None:
            self.decision = denied.situation.decision()
            if not self.decision.allowed:
                self.remedy = remedy(denied.situation)

    def checks(self) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Each check, with what the statements of its policies said and the condition that failed."""
        seen: Counter[str] = Counter()
        for check in self.evaluation.get("checks") or ():
            yield check, self._findings(check["checkType"], seen[check["checkType"]])
            seen[check["checkType"]] += 1

    def _findings(self, check_type: str, number: int) -> list[str]:
        """Those of the check's own level, where there are several checks of a type."""
        from freehold.authorization import explain

        if self.decision is None:
            return []
        wanted = _VERDICTS.get(check_type) or explain._NAMES[self.decision.request.kind]
        verdicts = [one for one in explain.verdicts(self.decision) if one.policy_type == wanted]
        statements = list(verdicts[number].findings) if number < len(verdicts) else []
        types = [check["checkType"] for check in self.evaluation.get("checks") or ()]
        if check_type == "PRINCIPAL" and "RESOURCE" not in types:
            # Within an account the resource's policy is part of this check; otherwise it has one of its own.
            for one in explain.verdicts(self.decision):
                statements += one.findings if one.policy_type == explain._NAMES["resource"] else ()
        lines = []
        for finding in statements:
            said = "applies" if finding.applies else f"does not apply: {finding.why}"
            lines.append(f"{finding.statement} of {finding.policy}: {finding.effect} {said}")
        return list(dict.fromkeys(lines))

    def deciding(self) -> str:
        """The statement that decided, or what was missing."""
        from freehold.authorization import explain

        if self.decision is None:
            return ""
        statement = self.decision.statement
        if statement is not None:
            return explain._place(statement)
        return explain.why(self.decision).partition(" because ")[2] or explain.why(self.decision)

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "action": self.evaluation["action"],
            "resource": self.evaluation["resource"],
            "effect": self.evaluation.get("evaluatedEffect"),
            "decided_by": self.deciding(),
            "checks": [{**check, "findings": findings} for check, findings in self.checks()],
        }
        if self.remedy is not None:
            found["remedy"] = self.remedy.as_json()
        if self.denied.note:
            found["note"] = self.denied.note
        return found


def _print(authorization_id: str, context: dict[str, Any], told: list[_Told]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)

    def line(*parts: Any, indent: int = 0) -> None:
        # Not wrapped, so that statements can be copied.
        shown = [(printable(part[0]), part[1]) if isinstance(part, tuple) else printable(part) for part in parts]
        console.print(Text.assemble(" " * indent, *shown), soft_wrap=True)

    for one in told:
        effect = one.evaluation.get("evaluatedEffect", "")
        allowed = effect == "ALLOW"
        line(("Allowed" if allowed else "Denied", "bold green" if allowed else "bold red"), " ",
             (one.evaluation["action"], "bold"), f" on {one.evaluation['resource']}")  # fmt: skip
        line(f"by {context.get('aws:PrincipalArn', '?')}", indent=2)
        line(f"at {context.get('aws:CurrentTime', '?')} {_from(context)}", indent=2)
        for check, findings in one.checks():
            mark, style, says = _MARKS[check["evaluatedEffect"]]
            target = f" ({check['targetArn']})" if check.get("targetArn") else ""
            name = _CHECKS.get(check["checkType"], check["checkType"])
            line((f"{mark} ", style), (f"{name}{target}: ", "bold"), says, indent=2)
            if not allowed:
                for finding in findings:
                    line((finding, "dim"), indent=6)
        if allowed:
            console.print()
            continue
        deciding = one.deciding()
        if deciding:
            line("Decided by: ", deciding, indent=2)
        console.print()
        _print_remedy(line, one)
        console.print()


def _from(context: dict[str, Any]) -> str:
    """Where the request came from: an address, or the service that asked for the caller."""
    if "aws:SourceIp" in context:
        return f"from {context['aws:SourceIp']}"
    return f"through {context.get('kms:ViaService') or context.get('aws:CalledViaLast') or 'a service'}"


def _print_remedy(line: Any, one: _Told) -> None:
    import json

    found = one.remedy
    if found is None:
        line(f"What would have allowed it can't be told: {one.denied.note}", indent=2)
        return
    if not found.enough and not found.changes:
        line(("Nothing would have allowed it: ", "bold"), found.obstacle, indent=2)
        return
    many = len(found.changes) > 1
    title = (
        "What would have allowed it, all of it together:" if many else "The smallest change that would have allowed it:"
    )
    line((title, "bold"), indent=2)
    for number, change in enumerate(found.changes, 1):
        line(f"{number}. {change.words}" if many else change.words, indent=4)
        for statement in change.statements:
            line((json.dumps(statement, ensure_ascii=False), "cyan"), indent=7)
        if change.warning:
            line(("Mind: ", "yellow"), change.warning, indent=7)
    if not found.enough:
        line(("That is not enough: ", "bold"), found.obstacle, indent=4)
    for change in found.instead:
        line(("Or instead: ", "bold"), change.words, indent=4)
