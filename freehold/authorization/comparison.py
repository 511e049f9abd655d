"""What a change of policies opens and closes, on a set of requests: two versions decided side by side. Pure.

The requests are cases in the format of `freehold policy test`, or generated from what the two versions themselves
name. A generated set shows what it asked and no more: a change that its requests don't meet isn't in the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice, takewhile
from typing import Any, Final

import orjson

from freehold.authorization import cases, explain, match, service_reference
from freehold.authorization.decide import Decision
from freehold.authorization.document import MalformedPolicy, PolicyType, load_json
from freehold.authorization.situation import Document, Situation, compiled
from freehold.authorization.testing import MalformedCases

FIELDS: Final[dict[str, PolicyType]] = {
    "identity": "identity",
    "boundary": "boundary",
    "session": "session",
    "scp": "scp",
    "rcp": "rcp",
    "resource": "resource",
    "endpoint": "endpoint",
}
"""What a compared policy may be. As `resource` it is the key policy for `kms:` and the trust policy for `sts:`."""

MOST_GENERATED: Final = 5_000
PRINCIPAL: Final = "arn:aws:iam::111122223333:user/someone"
_SAMPLE: Final = "sample"
_ANYTHING: Final = f"{_SAMPLE}:Anything"
_VARIABLE: Final = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Difference:
    """One request under both versions. `change` is opens, closes, or same."""

    name: str
    principal: str
    action: str
    resource: str
    before: str
    after: str
    why: str
    """Of the version under which the request is denied, or of the later one."""

    @property
    def change(self) -> str:
        if (self.before == "allow") == (self.after == "allow"):
            return "same"
        return "opens" if self.after == "allow" else "closes"

    def as_json(self) -> dict[str, str]:
        return {
            "change": self.change,
            "name": self.name,
            "principal": self.principal,
            "action": self.action,
            "resource": self.resource,
            "before": self.before,
            "after": self.after,
            "why": self.why,
        }


def documents(raw: Any, type_: PolicyType, named: str) -> tuple[Document, ...]:
    """The policies of one version: a document, or a list of them. Raises MalformedPolicy, MalformedCases."""
    listed = raw if isinstance(raw, list) else [raw]
    if not all(isinstance(one, Mapping) for one in listed):
        raise MalformedCases(f"{named} is no policy document and no list of them.")
    found = []
    for number, one in enumerate(listed, 1):
        origin = named if len(listed) == 1 else f"{named} ({number})"
        document = Document(type_, origin, orjson.dumps(one).decode())
        if type_ != "resource":  # as a key policy or a trust policy it may be another document
            compiled(document)
        found.append(document)
    return tuple(found)


def compare(
    before: tuple[Document, ...],
    after: tuple[Document, ...],
    requests: Iterable[tuple[str, Situation]],
    field: str = "identity",
) -> list[Difference]:
    """Each request decided under both. Raises MalformedPolicy."""
    return [_difference(name, one, before, after, field) for name, one in requests]


def _difference(
    name: str, one: Situation, before: tuple[Document, ...], after: tuple[Document, ...], field: str
) -> Difference:
    first, second = with_policies(one, before, field).decision(), with_policies(one, after, field).decision()
    told = first if second.allowed and not first.allowed else second
    principal = one.principal
    return Difference(
        name,
        principal.arn or principal.name or principal.kind,
        one.action,
        one.resource,
        first.result,
        second.result,
        _reason(told),
    )


def _reason(decision: Decision) -> str:
    """Why, without the sentence that names the request."""
    why = explain.why(decision)
    line = explain.message(decision)
    if not why.startswith(line):
        return why
    _, because, short = line.rpartition(" because ")
    if not because:
        short = "an explicit deny" + line.rpartition("with an explicit deny")[2]
    return short + why[len(line) :]


def with_policies(one: Situation, policies: tuple[Document, ...], field: str) -> Situation:
    """The situation with these policies in the place of those of their type."""
    single = policies[0] if policies else None
    if field == "identity":
        return replace(one, identity=policies)
    if field == "session":
        return replace(one, session=policies)
    if field in ("scp", "rcp"):
        # The compared level is one more, nearest to the account.
        if field == "scp":
            return replace(one, scps=(*one.scps, policies))
        return replace(one, rcps=(*one.rcps, policies))
    if len(policies) > 1:
        raise MalformedCases(f"there is one {field} policy at a time")
    if field == "resource":
        attached = None if single is None else replace(single, type=one.kind)
        return replace(one, resource_policy=attached)
    return replace(one, boundary=single) if field == "boundary" else replace(one, endpoint=single)


def of_cases(data: Any) -> list[tuple[str, Situation]]:
    """The requests of a file of cases; `expect` is not looked at. Raises MalformedCases."""
    if isinstance(data, Mapping):
        data = data.get("cases")
    if not isinstance(data, list):
        raise MalformedCases('The requests are a list of cases, or an object that has the list under "cases".')
    found = []
    for number, case in enumerate(data, 1):
        if not isinstance(case, Mapping):
            raise MalformedCases(f"case {number} is not an object.")
        name = case.get("name") or f"case {number}"
        found.append((str(name), cases.situation(case, str(name))))
    return found


def generated(*versions: tuple[Document, ...], field: str = "identity") -> list[tuple[str, Situation]]:
    """A request for each action, resource and caller that the versions name, at most `MOST_GENERATED`.

    A pattern of actions is asked for as all of AWS's actions that have it and can have the resource, or as the first
    of them where those would be too many; a star elsewhere as `sample`. Conditions are met once as they stand, where
    one value can be given.
    """
    patterns: dict[str, None] = {}
    resources: dict[str, None] = {}
    principals: dict[str, None] = {}
    contexts: dict[str, dict[str, Any]] = {"{}": {}}
    for version in versions:
        for one in version:
            for statement in _statements(load_json(one.text)):
                patterns.update(dict.fromkeys(_texts(statement, "Action", "NotAction")))
                resources.update(dict.fromkeys(_plain(each) for each in _texts(statement, "Resource", "NotResource")))
                principals.update(dict.fromkeys(_callers(statement)))
                context = _context(statement.get("Condition"))
                contexts.setdefault(orjson.dumps(context, option=orjson.OPT_SORT_KEYS).decode(), context)
    callers = list(principals) if field in ("resource", "endpoint") and principals else [PRINCIPAL]
    most = MOST_GENERATED // (len(callers) * len(contexts)) + 1
    pairs = list(islice(chain.from_iterable(_asked(pattern, resources) for pattern in patterns), most + 1))
    if len(pairs) > most:
        pairs = list(islice(chain.from_iterable(_of_the_first(_asked(one, resources)) for one in patterns), most))
    found: list[tuple[str, Situation]] = []
    for action, resource in dict.fromkeys(pairs):
        for principal in callers:
            for context in contexts.values():
                if len(found) == MOST_GENERATED:
                    return found
                request = {"principal": principal, "action": action, "resource": resource, "context": context}
                # What limits shows its effect only where something is allowed; what allows, where nothing is.
                others = {} if field in ("identity", "resource") else {"identity": [_EVERYTHING]}
                given = ", ".join(f"{key} {value}" for key, value in context.items())
                name = f"generated {len(found) + 1}" + (f" with {given}" if given else "")
                try:
                    found.append((name, cases.situation({"request": request, "policies": others})))
                except MalformedCases:
                    continue
    return found


_EVERYTHING: Final = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def _statements(raw: Any) -> list[dict[str, Any]]:
    listed = raw.get("Statement", []) if isinstance(raw, dict) else []
    listed = listed if isinstance(listed, list) else [listed]
    return [one for one in listed if isinstance(one, dict)]


def _texts(statement: dict[str, Any], *elements: str) -> Iterator[str]:
    for element in elements:
        value = statement.get(element, [])
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _asked(pattern: str, resources: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Which actions on which of the resources a pattern of actions is asked for as: AWS's that can have them."""
    prefix, _, name = pattern.partition(":")
    fitting = [each for each in resources if _fits(prefix.lower(), each)] or ["*"]
    service = service_reference.service(prefix.lower()) if "*" in name or "?" in name else None
    some = False
    if service is not None:
        test = match.text_test(match.parse(name.lower(), variables=False))
        for lower, action in service.actions.items():
            if test(lower):
                kinds = [kind for kind, _ in action.resource_types]
                for resource in fitting:
                    if resource in ("*", _ANYTHING) or not _kinds(service.prefix, resource).isdisjoint(kinds):
                        some = True
                        yield f"{service.prefix}:{action.name}", resource
    if not some:
        yield from ((_plain(pattern), resource) for resource in fitting)


def _of_the_first(pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Those of the first action."""
    first = next(pairs)
    return chain((first,), takewhile(lambda pair: pair[0] == first[0], pairs))


@lru_cache(maxsize=4096)
def _kinds(prefix: str, resource: str) -> frozenset[str]:
    """The resource types of a service whose form an ARN has."""
    service = service_reference.service(prefix)
    assert service is not None
    return frozenset(kind for kind, template in service.resource_arns.items() if _shaped(template)(resource))


@lru_cache(maxsize=1024)
def _shaped(template: str) -> Callable[[str], object]:
    """Tests for ARNs of a form: a slash is in none of the form's parts but the last, if the form has one itself."""
    pieces = _VARIABLE.split(template)
    middle = "[^/]*".join(map(re.escape, pieces[:-1]))
    last = ".*" if "/" in template else "[^/]*"
    return re.compile(f"{middle}{last}{re.escape(pieces[-1])}" if len(pieces) > 1 else re.escape(template)).fullmatch


def _plain(pattern: str) -> str:
    """A name that the pattern means: `arn:aws:s3:::b/*` by `arn:aws:s3:::b/sample`."""
    if pattern == "*":
        return _ANYTHING
    text = pattern.replace("${*}", "*").replace("*", _SAMPLE).replace("?", "s")
    while "${" in text:
        start, _, rest = text.partition("${")
        text = start + _SAMPLE + rest.partition("}")[2]
    return text


def _callers(statement: dict[str, Any]) -> Iterator[str]:
    named = statement.get("Principal", statement.get("NotPrincipal"))
    if named == "*":
        yield from ("anonymous", PRINCIPAL)
    elif isinstance(named, dict):
        for kind, value in named.items():
            for one in value if isinstance(value, list) else [value]:
                if kind == "Service":
                    yield f"service:{one}"
                elif kind == "Federated":
                    yield f"federated:{one}"
                elif one == "*":
                    yield from ("anonymous", PRINCIPAL)
                elif str(one).isdigit():
                    yield f"arn:aws:iam::{one}:user/{_SAMPLE}"
                elif str(one).endswith(":root"):
                    yield f"{str(one)[:-4]}user/{_SAMPLE}"
                elif str(one).startswith("arn:"):
                    yield str(one)


def _fits(vendor: str, resource: str) -> bool:
    """Whether a resource can be the vendor's."""
    parts = resource.split(":")
    return len(parts) < 3 or parts[2] in (vendor, _SAMPLE) or vendor == _SAMPLE or (vendor, parts[2]) == ("sts", "iam")


def _context(condition: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(condition, dict):
        for operator, block in condition.items():
            if not isinstance(block, dict) or "not" in operator.lower() or operator.lower() == "null":
                continue
            for key, wanted in block.items():
                value = wanted[0] if isinstance(wanted, list) and wanted else wanted
                if isinstance(value, str | bool | int):
                    text = str(value).lower() if isinstance(value, bool) else str(value)
                    found[key] = _plain(text) if operator.lower().startswith(("string", "arn")) else text.split("/")[0]
    return found


__all__ = ["Difference", "MalformedCases", "MalformedPolicy", "compare", "documents", "generated", "of_cases"]
