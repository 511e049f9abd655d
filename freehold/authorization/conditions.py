"""The Condition element: every operator as a row of a table, compiled to closures over the request context.

A context is a mapping from lower-case key to text, to a tuple of texts (multivalued), or to None where the key is
absent. What the operators do with absent keys:

    positive            false        negated              true
    …IfExists           true         ForAllValues:…       true
    ForAnyValue:…       false        Null                 is the question itself

A policy variable that has no value makes its comparison fail; under a negated operator that only ever denies (an
`Allow` statement does not hold because of a variable that could not be resolved).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from freehold.authorization import effort, match
from freehold.authorization.keeping import are_small, kept
from freehold.authorization.match import Template, Test

Holds: TypeAlias = Callable[[Mapping[str, Any]], bool]
Effect: TypeAlias = Literal["Allow", "Deny"]


class BadCondition(ValueError):
    """A condition that has no meaning: unknown operator, wrong kind of value."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator, key and its wanted values."""

    operator: str
    """As written, with qualifier and IfExists."""
    key: str
    """As written; context keys are compared in lower case."""
    wanted: tuple[str, ...]
    holds: Holds
    keys: frozenset[str]
    """Every context key that the outcome depends on, in lower case."""
    equals: frozenset[str] | None = None
    """Of a plain comparison: it holds if and only if the key has one of these values."""


# --- values -----------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BINARY_MOST = 1 << 20


def number(text: str) -> float | int:
    """A decimal number. Raises ValueError."""
    text = text.strip()
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(f"not a number: {text[:100]!r}")
    return int(text) if found[1] is None and found[2] is None else float(text)


@lru_cache(maxsize=1024)
def instant(text: str) -> float | int:
    """Seconds since the epoch of an ISO 8601 date (W3C profile) or of an epoch time. Raises ValueError.

    Four digits alone are a year; a time without a zone is UTC.
    """
    text = text.strip()
    found = _DATE.fullmatch(text)
    if found is None:
        return number(text)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    offset = UTC
    if zone is not None and zone not in "Zz":
        sign = -1 if zone[0] == "-" else 1
        offset = timezone(sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:])))
    moment = datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=offset
    )
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    return seconds + float(f"0.{fraction}") if fraction else seconds


@lru_cache(maxsize=4096)
def address(text: str) -> tuple[int, int]:
    """(4 or 6, the address as a number). An IPv4 address inside IPv6 counts as the IPv4 address. Raises ValueError."""
    try:
        # The same addresses as ipaddress takes, in a tenth of the time: every new client comes by here.
        return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
    except (OSError, ValueError):
        found = ipaddress.ip_address(text.strip())
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.version, int(found)


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error


# --- tests for one value: each builder takes the wanted texts and returns whether a value is among them ---------------

Build: TypeAlias = Callable[[tuple[str, ...]], Test]


def _boolean(wanted: tuple[str, ...]) -> Test:
    among = frozenset(text.lower() for text in wanted)
    if not among <= {"true", "false"}:
        raise ValueError("a boolean is true or false")
    return lambda value: value.lower() in among


def _comparison(read: Callable[[str], float | int], compare: Callable[[Any, Any], bool]) -> Build:
    def build(wanted: tuple[str, ...]) -> Test:
        numbers = [read(text) for text in wanted]

        def test(value: str) -> bool:
            try:
                actual = read(value)
            except (ValueError, OverflowError):
                return False
            return any(compare(actual, one) for one in numbers)

        return test

    return build


def _binary_equals(wanted: tuple[str, ...]) -> Test:
    among = frozenset(map(_binary, wanted))

    def test(value: str) -> bool:
        if len(value) > _BINARY_MOST:
            return False
        try:
            return _binary(value) in among
        except ValueError:
            return False

    return test


def _ip_address(wanted: tuple[str, ...]) -> Test:
    networks = []
    for text in wanted:
        network = ipaddress.ip_network(text.strip(), strict=False)
        mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
        if mapped is not None and network.prefixlen >= 96:
            network = ipaddress.ip_network((mapped, network.prefixlen - 96))
        networks.append((network.version, int(network.network_address), int(network.netmask)))

    def test(value: str) -> bool:
        try:
            version, bits = address(value)
        except ValueError:
            return False
        for v, start, mask in networks:  # noqa: SIM110 - a generator would cost more than the tests
            if version == v and bits & mask == start:
                return True
        return False

    return test


# --- tests for one pattern, for the operators whose wanted values may hold variables ----------------------------------


def _equal_to(template: Template) -> Test:
    text = match.literal(template) or ""
    return text.__eq__


def _equal_ignoring_case_to(template: Template) -> Test:
    text = (match.literal(template) or "").lower()
    return lambda value: value.lower() == text


@kept(4096, if_small=match.is_short)
def _like_arn(template: Template) -> Test:
    """Each of the six components on its own: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""
    parts = match.arn_parts(match.complete_arn(template))
    if parts is None:
        # A lone asterisk: any ARN. (Whatever else has fewer than six parts has been completed.)
        return lambda value: value.count(":") >= 5
    tests = [match.text_test(part) for part in parts]

    def test(value: str) -> bool:
        components = value.split(":", 5)
        if len(components) != 6:
            return False
        return all(check(component) for check, component in zip(tests, components, strict=True))

    return test


@dataclass(frozen=True, slots=True)
class Operator:
    negated: bool = False
    build: Build | None = None
    """For operators without variables: a test from all wanted values."""
    one: Callable[[Template], Test] | None = None
    """For operators with variables: a test from one resolved pattern."""
    wildcards: bool = False


_TEXT: dict[str, Any] = {"one": _equal_to}
_NOCASE: dict[str, Any] = {"one": _equal_ignoring_case_to}
_BY_SET: Final = (_equal_to, _equal_ignoring_case_to)
"""Where all wanted values are looked at in one step."""
_LIKE: dict[str, Any] = {"one": match.text_test, "wildcards": True}
_ARN: dict[str, Any] = {"one": _like_arn, "wildcards": True}


def _ordered(family: str, read: Callable[[str], float | int]) -> dict[str, Operator]:
    rows = {
        "Equals": (operator.eq, False),
        "NotEquals": (operator.eq, True),
        "LessThan": (operator.lt, False),
        "LessThanEquals": (operator.le, False),
        "GreaterThan": (operator.gt, False),
        "GreaterThanEquals": (operator.ge, False),
    }
    return {family + name: Operator(negated, _comparison(read, compare)) for name, (compare, negated) in rows.items()}


OPERATORS: Final[dict[str, Operator]] = {
    "StringEquals": Operator(**_TEXT),
    "StringNotEquals": Operator(negated=True, **_TEXT),
    "StringEqualsIgnoreCase": Operator(**_NOCASE),
    "StringNotEqualsIgnoreCase": Operator(negated=True, **_NOCASE),
    "StringLike": Operator(**_LIKE),
    "StringNotLike": Operator(negated=True, **_LIKE),
    **_ordered("Numeric", number),
    **_ordered("Date", instant),
    "Bool": Operator(build=_boolean, one=_equal_ignoring_case_to),
    "BinaryEquals": Operator(build=_binary_equals),
    "IpAddress": Operator(build=_ip_address),
    "NotIpAddress": Operator(negated=True, build=_ip_address),
    "ArnEquals": Operator(**_ARN),
    "ArnLike": Operator(**_ARN),
    "ArnNotEquals": Operator(negated=True, **_ARN),
    "ArnNotLike": Operator(negated=True, **_ARN),
}


# --- a whole condition ------------------------------------------------------------------------------------------------


def _is_small(name: str, key: str, wanted: tuple[str, ...], *, variables: bool, effect: Effect) -> bool:
    return are_small((name, key, *wanted), len(wanted))


@kept(16_384, if_small=_is_small)
def compile_condition(name: str, key: str, wanted: tuple[str, ...], *, variables: bool, effect: Effect) -> Condition:
    """`name` with qualifier and IfExists as written. Equal small conditions are one object. Raises BadCondition."""
    qualifier, colon, base = name.rpartition(":")
    if colon and qualifier not in ("ForAllValues", "ForAnyValue"):
        raise BadCondition(f"Invalid Condition type : {name[:200]}.")
    context_key = key.lower()
    if base == "Null" and not colon:
        return Condition(name, key, wanted, _null(context_key, wanted), frozenset((context_key,)))
    if_exists = base.endswith("IfExists")
    row = OPERATORS.get(base.removesuffix("IfExists"))
    if row is None:
        raise BadCondition(f"Invalid Condition type : {name[:200]}.")
    try:
        test, dynamic = _value_test(row, wanted, variables)
    except match.BadPattern as error:
        raise BadCondition(str(error)) from error
    except (ValueError, OverflowError) as error:
        raise BadCondition(f"The value of the condition {name[:100]} on {key[:200]} is invalid: {error}.") from error
    when_absent = if_exists or (row.negated if not colon else qualifier == "ForAllValues")
    if dynamic:
        keys = frozenset().union((context_key,), *map(match.variable_keys, dynamic))
        holds = _with_variables(context_key, row, dynamic, qualifier, when_absent, effect)
    else:
        keys = frozenset((context_key,))
        among = frozenset(wanted) if row.one is _equal_to and not _spelled_otherwise(wanted, variables) else None
        steps = effort.STEPS_OF_A_COMPARISON * (1 if row.one in _BY_SET else len(wanted))
        holds = _fixed(context_key, test, among, row.negated, qualifier, when_absent, steps)
        if among is not None and not (row.negated or qualifier or when_absent):
            return Condition(name, key, wanted, holds, keys, among)
    return Condition(name, key, wanted, holds, keys)


def _spelled_otherwise(wanted: tuple[str, ...], variables: bool) -> bool:
    return variables and any("${" in text for text in wanted)


def _value_test(row: Operator, wanted: tuple[str, ...], variables: bool) -> tuple[Test, tuple[Template, ...]]:
    """The test for one value, or the templates with variables that make it at each decision."""
    if row.one is not None:
        templates = tuple(match.parse(text, variables=variables, wildcards=row.wildcards) for text in wanted)
        if any(map(match.variable_keys, templates)):
            return bool, templates
        if row.one is _equal_to:
            return frozenset(match.literal(template) or "" for template in templates).__contains__, ()
        if row.one is _equal_ignoring_case_to and len(templates) > 1:
            # A value may have thousands of characters, and a policy thousands of values: it is lowered once.
            among = frozenset((match.literal(template) or "").lower() for template in templates)
            return (lambda value: value.lower() in among), ()
        if row.build is None:
            tests = [row.one(template) for template in templates]
            if len(tests) == 1:
                return tests[0], ()
            return (lambda value: any(test(value) for test in tests)), ()
    if row.build is None:
        raise ValueError("no such comparison")
    return row.build(wanted), ()


def _null(key: str, wanted: tuple[str, ...]) -> Holds:
    answers = {text.lower() for text in wanted}
    if not answers <= {"true", "false"}:
        raise BadCondition("The value of a Null condition is true or false.")
    if len(answers) == 2:
        return lambda context: True
    absent = "true" in answers
    return lambda context: (context[key] in (None, ())) is absent


def _values(actual: Any) -> tuple[str, ...]:
    """The values under a set operator: an empty text is an empty set."""
    if type(actual) is not tuple:
        actual = (actual,)
    return () if all(value == "" for value in actual) else actual


def _fixed(
    key: str, test: Test, among: frozenset[str] | None, negated: bool, qualifier: str, absent: bool, steps: int
) -> Holds:
    """`steps` are what one value takes."""
    if qualifier:
        quantify = all if qualifier == "ForAllValues" else any

        def over_set(context: Mapping[str, Any]) -> bool:
            actual = context[key]
            if actual is None or actual == ():
                return absent
            values = _values(actual)
            effort.spend(len(values) * steps)
            return quantify(test(value) is not negated for value in values)

        return over_set

    if among is not None and not negated and not absent:
        only = next(iter(among)) if len(among) == 1 else None
        if only is not None:

            def equals(context: Mapping[str, Any]) -> bool:
                actual = context[key]
                return actual == only or (type(actual) is tuple and only in actual)

            return equals

    def holds(context: Mapping[str, Any]) -> bool:
        actual = context[key]
        if actual is None or actual == ():
            return absent
        if type(actual) is tuple:
            effort.spend(len(actual) * steps)
            return any(map(test, actual)) is not negated
        return test(actual) is not negated

    return holds


def _with_variables(
    key: str, row: Operator, templates: tuple[Template, ...], qualifier: str, absent: bool, effect: Effect
) -> Holds:
    one, negated, unresolved_holds = row.one, row.negated, effect == "Deny"
    if one is None:
        raise BadCondition("this operator takes no variables")

    def holds(context: Mapping[str, Any]) -> bool:
        actual = context[key]
        if actual is None or actual == ():
            return absent
        tests = []
        for template in templates:
            resolved = match.resolve(template, context)
            if resolved is not None:
                tests.append(one(resolved))
            elif negated and not unresolved_holds:
                return False
        values = actual if type(actual) is tuple else (actual,)
        effort.spend(len(values) * len(tests) * effort.STEPS_OF_A_COMPARISON)
        if qualifier:
            quantify = all if qualifier == "ForAllValues" else any
            return quantify(any(test(value) for test in tests) is not negated for value in _values(actual))
        return any(test(value) for value in values for test in tests) is not negated

    return holds
