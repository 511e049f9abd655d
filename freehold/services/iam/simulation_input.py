"""What a simulation is asked: its parameters checked and turned into typed values, or InvalidInput.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from freehold.authorization import conditions, document
from freehold.authorization.decide import Kind
from freehold.authorization.document import MalformedPolicy
from freehold.authorization.permission import ContextValue
from freehold.services.iam.errors import InvalidInput
from freehold.services.iam.simulated import Source
from freehold.services.operation import Params

MOST_RESOURCES: Final = 1_000
MOST_ACTIONS: Final = 1_000
MOST_POLICIES: Final = 100
MOST_LEVELS: Final = 7
_ACTION = re.compile(r"[A-Za-z0-9.-]+:[A-Za-z0-9_-]+", re.ASCII)
_CALLER = re.compile(r"arn:aws:iam::(\d{12}):(user|group|role)/[^*?]{1,600}", re.ASCII)
_OWNER = re.compile(r"arn:aws:iam::(\d{12}):root", re.ASCII)


def policies(
    texts: Iterable[str], member: str, source_type: str, type_: document.PolicyType = "identity"
) -> list[Source]:
    """Policies given as text; what results call them is their place: `PolicyInputList.1`."""
    found = []
    for number, text in enumerate(texts, 1):
        if number > MOST_POLICIES:
            raise InvalidInput(f"{member} has more than {MOST_POLICIES} policies.")
        source_id = f"{member}.{number}"
        try:
            compiled = document.parse(text, type_, origin=source_id)
        except MalformedPolicy as error:
            raise InvalidInput(f"{source_id}: {error.message}") from None
        found.append(Source(compiled, source_id, source_type, text))
    return found


def boundary(params: Params, source_type: str) -> Source | None:
    texts = params.get("PermissionsBoundaryPolicyInputList") or []
    if len(texts) > 1:
        raise InvalidInput("There can be only one policy in PermissionsBoundaryPolicyInputList.")
    found = policies(texts, "PermissionsBoundaryPolicyInputList", source_type, "boundary")
    return found[0] if found else None


def resource_policies(text: str | None, kinds: Iterable[Kind], source_type: str) -> dict[Kind, Source]:
    """The resource policy as the kinds of requests read it: a key policy, a trust policy, or any other."""
    found: dict[Kind, Source] = {}
    if text is None:
        return found
    for kind in dict.fromkeys(kinds):
        try:
            compiled = document.parse(text, kind, origin="ResourcePolicy", resource_optional=True)
        except MalformedPolicy as error:
            raise InvalidInput(f"ResourcePolicy: {error.message}") from None
        found[kind] = Source(compiled, "ResourcePolicy", source_type, text)
    return found


def actions(params: Params) -> list[str]:
    """`service:Name`, without wildcards, each once. Whether such an action exists is not asked: newer ones do."""
    names = list(dict.fromkeys(params["ActionNames"]))
    if not names or len(names) > MOST_ACTIONS:
        raise InvalidInput(f"ActionNames has 1 to {MOST_ACTIONS} actions.")
    for name in names:
        if not _ACTION.fullmatch(name):
            raise InvalidInput(f"{name} is not an action: it has the form service:Name, without wildcards.")
    return names


def resources(params: Params) -> list[str]:
    """ARNs, or `*` alone where none are given."""
    arns = list(dict.fromkeys(params.get("ResourceArns") or ["*"]))
    if len(arns) > MOST_RESOURCES:
        raise InvalidInput(f"ResourceArns has at most {MOST_RESOURCES} resources.")
    for arn in arns:
        if arn != "*" and (not arn.startswith("arn:") or arn.count(":") < 5):
            raise InvalidInput(f"{arn} is not a resource: it is an ARN, or *.")
    return arns


def caller(arn: str) -> tuple[str, str, str]:
    """(account, user or group or role, ARN). Sessions, federated users, services and root can't be simulated."""
    found = _CALLER.fullmatch(arn)
    if found is None:
        raise InvalidInput(f"{arn} is not the ARN of a user, group or role.")
    return found[1], found[2], arn


def owner(params: Params) -> str:
    """The account of ResourceOwner (`arn:aws:iam::ACCOUNT:root`), empty without one."""
    arn = params.get("ResourceOwner")
    if arn is None:
        return ""
    found = _OWNER.fullmatch(arn)
    if found is None:
        raise InvalidInput(f"{arn} is not the ARN of an account: arn:aws:iam::ACCOUNT:root.")
    return found[1]


# Context entries


def _boolean(text: str) -> str:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text


def _number(text: str) -> str:
    conditions.number(text)
    return text


def _date(text: str) -> str:
    conditions.instant(text)
    return text


def _ip(text: str) -> str:
    ipaddress.ip_address(text)
    return text


def _binary(text: str) -> str:
    base64.b64decode(text, validate=True)
    return text


_READ: Final[dict[str, Callable[[str], str]]] = {
    "string": str,
    "numeric": _number,
    "boolean": _boolean,
    "ip": _ip,
    "binary": _binary,
    "date": _date,
}


def entries(params: Params) -> dict[str, ContextValue]:
    """The context keys, in lower case. A value must be what its type says; only a list type takes several."""
    found: dict[str, ContextValue] = {}
    for entry in params.get("ContextEntries") or []:
        name, values, type_ = (entry.get(f"ContextKey{part}") for part in ("Name", "Values", "Type"))
        if name is None or values is None or type_ is None:
            raise InvalidInput("A context entry has a ContextKeyName, ContextKeyValues and a ContextKeyType.")
        if ":" not in name:
            raise InvalidInput(f"{name} is not a context key: it has the form service:name.")
        if name.lower() in found:
            raise InvalidInput(f"The context key {name} is given twice.")
        several = type_.endswith("List")
        if not several and len(values) != 1:
            raise InvalidInput(f"The context key {name} of type {type_} takes one value.")
        found[name.lower()] = _values(name, values, type_, several)
    return found


def _values(name: str, values: list[str], type_: str, several: bool) -> ContextValue:
    read = _READ[type_.removesuffix("List")]
    try:
        given = tuple(read(value) for value in values)
    except (ValueError, OverflowError, binascii.Error):
        raise InvalidInput(f"A value of the context key {name} is not of the type {type_}.") from None
    return given if several else given[0]


# What EC2's scenarios need

_SCENARIOS: Final = {
    "EC2-Classic-InstanceStore": ("instance", "image", "security-group"),
    "EC2-Classic-EBS": ("instance", "image", "security-group", "volume"),
    "EC2-VPC-InstanceStore": ("instance", "image", "security-group", "network-interface"),
    "EC2-VPC-InstanceStore-Subnet": ("instance", "image", "security-group", "network-interface", "subnet"),
    "EC2-VPC-EBS": ("instance", "image", "security-group", "network-interface", "volume"),
    "EC2-VPC-EBS-Subnet": ("instance", "image", "security-group", "network-interface", "subnet", "volume"),
}


def check_scenario(params: Params, arns: list[str]) -> None:
    """ResourceHandlingOption: that each type of resource of the scenario is there."""
    option = params.get("ResourceHandlingOption")
    if option is None:
        return
    wanted = _SCENARIOS.get(option)
    if wanted is None:
        raise InvalidInput(f"{option} is not a ResourceHandlingOption: {', '.join(_SCENARIOS)}.")
    given = {_ec2_type(arn) for arn in arns}
    missing = [kind for kind in wanted if kind not in given]
    if missing:
        raise InvalidInput(f"The scenario {option} needs a resource of each type; missing: {', '.join(missing)}.")


def _ec2_type(arn: str) -> str:
    parts: list[Any] = arn.split(":", 5)
    return parts[5].partition("/")[0] if len(parts) == 6 and parts[2] == "ec2" else ""
