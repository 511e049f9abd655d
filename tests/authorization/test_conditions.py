"""Condition operators, one value at a time.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from freehold.authorization.conditions import OPERATORS, BadCondition, compile_condition

KEY = "aws:Key"


def holds(operator: str, actual: Any, wanted: Any, *, effect: Any = "Allow", **context: Any) -> bool:
    values = tuple(wanted) if isinstance(wanted, list) else (wanted,)
    condition = compile_condition(operator, KEY, values, variables=True, effect=effect)
    keys: dict[str, Any] = defaultdict(lambda: None, {f"aws:{name}": value for name, value in context.items()})
    keys["aws:key"] = tuple(actual) if isinstance(actual, list) else actual
    return condition.holds(keys)


CASES = [  # operator, actual, wanted, holds
    ("StringEquals", None, ["eu"], False),
    ("StringEqualsIfExists", None, ["eu"], True),
    ("StringEquals", "eu", ["us", "eu"], True),
    ("StringEquals", "EU", "eu", False),
    ("StringEquals", "", "", True),
    ("StringEquals", "*", "*", True),
    ("StringEquals", "eu", "*", False),
    ("StringNotEquals", "eu", ["us", "eu"], False),
    ("StringNotEquals", None, "eu", True),
    ("StringNotEqualsIfExists", None, "eu", True),
    ("StringEqualsIgnoreCase", "EU", "eu", True),
    ("StringNotEqualsIgnoreCase", "EU", "eu", False),
    ("StringLike", "home/alice", "home/*", True),
    ("StringLike", "Home/alice", "home/*", False),
    ("StringLike", "", "*", True),
    ("StringLike", "ab", "?", False),
    ("StringLike", "a:b", "a*", True),
    ("StringNotLike", "home/alice", "home/*", False),
    ("StringNotLike", None, "home/*", True),
    ("NumericEquals", "10", "10.0", True),
    ("NumericEquals", "1e1", "10", True),
    ("NumericEquals", "ten", "10", False),
    ("NumericNotEquals", "10", "10", False),
    ("NumericNotEquals", None, "10", True),
    ("NumericNotEquals", "ten", "10", True),
    ("NumericLessThan", "9", "10", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThan", "-1", "0", True),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericLessThan", "9007199254740992", "9007199254740993", True),
    ("NumericGreaterThan", "10.5", "10", True),
    ("NumericGreaterThanEquals", "10", "10", True),
    ("NumericGreaterThan", None, "10", False),
    ("NumericGreaterThanIfExists", None, "10", True),
    ("NumericEquals", "1_0", "10", False),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", True),
    ("DateEquals", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", True),
    ("DateLessThan", "2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00Z", True),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False),
    ("DateLessThanEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
    ("DateGreaterThan", "2026-01-01T00:00Z", "2025-06-01T00:00:00Z", True),
    ("DateGreaterThanEquals", "yesterday", "2025-06-01", False),
    ("DateNotEquals", "2026-01-02", "2026-01-01", True),
    ("DateGreaterThan", "2026-13-01T00:00:00Z", "2025-06-01", False),
    ("Bool", "true", "true", True),
    ("Bool", "True", "true", True),
    ("Bool", "false", "true", False),
    ("Bool", None, "false", False),
    ("BoolIfExists", None, "true", True),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
    ("BinaryEquals", "QmluYXJ4", "QmluYXJ5", False),
    ("BinaryEquals", "not base64!", "QmluYXJ5", False),
    ("IpAddress", "203.0.113.7", "203.0.113.0/24", True),
    ("IpAddress", "203.0.114.7", "203.0.113.0/24", False),
    ("IpAddress", "203.0.113.7", "203.0.113.7", True),
    ("IpAddress", "203.0.113.7", ["10.0.0.0/8", "203.0.113.4/30"], True),
    ("IpAddress", "2001:db8::1", "2001:DB8::/32", True),
    ("IpAddress", "2001:db8::1", "0.0.0.0/0", False),
    ("IpAddress", "10.0.0.1", "::/0", False),
    ("IpAddress", "::ffff:10.0.0.1", "10.0.0.0/8", True),
    ("IpAddress", "here", "0.0.0.0/0", False),
    ("NotIpAddress", "2001:db8::1", ["10.0.0.0/8"], True),
    ("NotIpAddress", "10.9.8.7", "10.0.0.0/8", False),
    ("NotIpAddress", None, "10.0.0.0/8", True),
    ("ArnEquals", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/a", True),
    ("ArnEquals", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/*", True),
    ("ArnLike", "arn:aws:iam::1:role/a/b", "arn:aws:iam::*:role/*", True),
    ("ArnLike", "arn:aws:sns:r:1:a:b:c", "arn:aws:sns:r:1:a*", True),
    ("ArnLike", "arn:aws:sns:r:1:topic", "arn:aws:s*:1:topic", False),
    ("ArnLike", "arn:aws:sns:r:1:topic", "arn:aws:sns", True),
    ("ArnLike", "topic", "arn:aws:sns:*:*:*", False),
    ("ArnLike", "arn:aws:sns:r:1:topic", "*", True),
    ("ArnLike", "topic", "*", False),
    ("ArnNotEquals", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b", True),
    ("ArnNotLike", "arn:aws:iam::1:role/a", "arn:aws:iam::1:*", False),
    ("ArnNotLike", None, "arn:aws:iam::1:*", True),
    ("Null", None, "true", True),
    ("Null", "x", "true", False),
    ("Null", "", "true", False),
    ("Null", None, "false", False),
    ("Null", "x", "false", True),
    ("Null", [], "true", True),
    ("Null", None, "True", True),
    ("ForAllValues:StringEquals", None, "a", True),
    ("ForAllValues:StringEquals", [], "a", True),
    ("ForAllValues:StringEquals", "", "a", True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b", "c"], True),
    ("ForAllValues:StringEquals", ["a", "d"], ["a", "b"], False),
    ("ForAllValues:StringNotEquals", None, "a", True),
    ("ForAllValues:StringNotEquals", ["a", "b"], "a", False),
    ("ForAllValues:StringNotEquals", ["c", "b"], "a", True),
    ("ForAllValues:StringLike", ["ax", "ay"], "a*", True),
    ("ForAnyValue:StringEquals", None, "a", False),
    ("ForAnyValue:StringEquals", [], "a", False),
    ("ForAnyValue:StringEquals", "", "", False),
    ("ForAnyValue:StringEquals", ["a", "d"], ["a", "b"], True),
    ("ForAnyValue:StringEquals", ["d"], ["a", "b"], False),
    ("ForAnyValue:StringNotEquals", None, "a", False),
    ("ForAnyValue:StringNotEquals", ["a", "b"], "a", True),
    ("ForAnyValue:StringNotEquals", ["a"], "a", False),
    ("ForAnyValue:StringEqualsIfExists", None, "a", True),
    ("ForAnyValue:ArnLike", ["arn:aws:sns:r:1:a"], "arn:aws:sns:*:*:*", True),
    ("ForAnyValue:IpAddress", ["10.0.0.1", "11.0.0.1"], "11.0.0.0/8", True),
    ("DateEquals", "2026-01-01T05:30:00+05:30", "2026-01-01T00:00:00Z", True),
    ("DateEquals", "2026-01-01T05:30:00+0530", "2026-01-01T00:00:00Z", True),
    ("DateEquals", "2025-12-31T16:00:00-08:00", "2026-01-01T00:00:00Z", True),
    ("DateEquals", "2025-12-31T12:30:00-11:30", "2026-01-01T00:00:00Z", True),
    ("DateEquals", "2026-01-01t00:00:00z", "2026-01-01 00:00:00Z", True),
    ("DateEquals", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00,500Z", True),
    ("DateGreaterThan", "2026-01-01T00:00:00.25Z", "2026-01-01T00:00:00Z", True),
    ("DateLessThan", "2026-01-01T00:00:00.25Z", "2026-01-01T00:00:00.5Z", True),
    ("DateEquals", "2026-01-01T24:00:00Z", "2026-01-02", False),
    ("DateEquals", "2026-02-03T04:05:06Z", "1770091506", True),
    ("BinaryEquals", "A" * (1 << 20), "A" * (1 << 20), True),
    ("BinaryEquals", "A" * ((1 << 20) + 4), "A" * ((1 << 20) + 4), False),
    ("BinaryEquals", "QmluYXJ5\n", "QmluYXJ5", False),
    ("NumericEquals", "2", ["1", "2"], True),
    ("NumericNotEquals", "2", ["1", "2"], False),
    ("NumericLessThan", "2", ["1", "3"], True),
    ("DateEquals", "2026-01-01", ["2025-01-01", "2026-01-01"], True),
    ("IpAddress", "10.9.9.9", "10.0.0.1/8", True),
    ("IpAddress", "10.9.9.09", "10.0.0.0/8", False),
    ("IpAddress", " 10.9.9.9 ", "10.0.0.0/8", True),
    ("IpAddress", "10.9.9.9\0", "10.0.0.0/8", False),
    ("IpAddress", "10.9.9", "10.0.0.0/8", False),
    ("IpAddress", "0x0a.9.9.9", "10.0.0.0/8", False),
    ("IpAddress", "10.9.9.256", "10.0.0.0/8", False),
    ("IpAddress", "\u0661\u0660.9.9.9", "10.0.0.0/8", False),
    ("IpAddress", "10.1.2.3", "::ffff:10.0.0.0/104", True),
    ("IpAddress", "::ffff:10.1.2.3", "::ffff:10.0.0.0/104", True),
    ("IpAddress", "11.1.2.3", "::ffff:10.0.0.0/104", False),
    ("IpAddress", "10.1.2.3", "::ffff:0:0/96", True),
    ("IpAddress", "10.1.2.3", "::fffe:0:0/95", False),
    ("IpAddress", "10.1.2.3", "::ffff:10.1.2.3", True),
    ("IpAddress", "10.1.2.4", "::ffff:10.1.2.3", False),
    ("IpAddress", "2001:db8::1", "2001:db8::/97", True),
    ("StringEqualsIgnoreCase", "", "", True),
    ("StringEqualsIgnoreCase", "x", "", False),
    ("StringNotEquals", "", "", False),
    ("StringEquals", ["", "x"], "", True),
    ("StringEquals", "*", ["a", "${*}"], True),
    ("StringEquals", "${*}", ["a", "${*}"], False),
    ("ArnLike", "arn:aws", "arn:aws:sns:*:*:*", False),
    ("ArnLike", "arn:aws:sns:r:1:x", "arn:aws:sns:r:1:a:b", False),
    ("ArnLike", "arn:aws:sns:r:1:a:b", "arn:aws:sns:r:1:a:b", True),
    ("ArnEquals", "arn:aws:sns:r:1:a:c", "arn:aws:sns:r:1:a:b:*", False),
    ("ArnLike", "arn:aws:sns:r:1", "arn:aws:sns:*:*:*", False),
    ("ArnLike", "arn:aws:sns:r:1:topic", "**", True),
    ("ArnLike", "arn:aws:sns:r:1:topic", "topic", False),
    ("ArnLike", "arn:aws:sns:r:1:topic", ["arn:aws:sqs:*:*:*", "arn:aws:sns:*:*:*"], True),
    ("ArnNotLike", "arn:aws:sns:r:1:topic", ["arn:aws:sqs:*:*:*", "arn:aws:sns:*:*:*"], False),
    ("Null", None, ["true", "false"], True),
    ("Null", "x", ["true", "false"], True),
    ("Null", "x", ["false", "FALSE"], True),
    ("ForAllValues:StringEquals", ["", "a"], ["a"], False),
    ("ForAnyValue:StringEquals", ["", "a"], [""], True),
    ("ForAllValues:StringEquals", ["", ""], ["a"], True),
    ("ForAllValues:StringEqualsIfExists", None, "a", True),
    ("ForAllValues:StringNotEqualsIfExists", ["a"], "a", False),
    ("StringEquals", ["a", "b"], "b", True),
    ("StringNotEquals", ["a", "b"], "b", False),
    ("StringEquals", ["b"], "b", True),
    ("StringLike", ["a", "b"], "b*", True),
]


@pytest.mark.parametrize(("operator", "actual", "wanted", "expected"), CASES)
def test_an_operator(operator: str, actual: Any, wanted: Any, expected: bool) -> None:
    assert holds(operator, actual, wanted) is expected


VARIABLES = [  # operator, actual, wanted, username, effect, holds
    ("StringEquals", "alice", "${aws:username}", "alice", "Allow", True),
    ("StringEquals", "bob", "${aws:username}", "alice", "Allow", False),
    ("StringEquals", "${aws:username}", "${aws:username}", None, "Allow", False),
    ("StringEquals", "bob", ["${aws:username}", "bob"], None, "Allow", True),
    ("StringEqualsIgnoreCase", "ALICE", "${aws:username}", "alice", "Allow", True),
    ("StringLike", "home/alice/x", "home/${aws:username}/*", "alice", "Allow", True),
    ("StringLike", "home/bob/x", "home/${aws:username}/*", "*", "Allow", False),
    ("StringLike", "home/*/x", "home/${aws:username}/*", "*", "Allow", True),
    ("StringNotEquals", "bob", "${aws:username}", "alice", "Allow", True),
    ("StringNotEquals", "bob", "${aws:username}", None, "Allow", False),
    ("StringNotEquals", "bob", "${aws:username}", None, "Deny", True),
    ("StringNotEquals", None, "${aws:username}", None, "Allow", True),
    ("StringNotEqualsIfExists", None, "${aws:username}", None, "Deny", True),
    ("ArnLike", "arn:aws:iam::1:user/alice", "arn:aws:iam::*:user/${aws:username}", "alice", "Allow", True),
    ("ArnNotLike", "arn:aws:iam::1:user/bob", "arn:aws:iam::*:user/${aws:username}", "alice", "Deny", True),
    ("Bool", "true", "${aws:username}", "true", "Allow", True),
    ("ForAnyValue:StringEquals", ["x", "alice"], "${aws:username}", "alice", "Allow", True),
    ("ForAllValues:StringEquals", ["x", "alice"], "${aws:username}", "alice", "Allow", False),
    ("ForAllValues:StringEquals", None, "${aws:username}", "alice", "Allow", True),
    ("StringEquals", "anyone", "${aws:username, 'anyone'}", None, "Allow", True),
    ("StringEquals", "*", "${*}", None, "Allow", True),
    ("StringEquals", "", "${aws:username}", "", "Allow", True),
    ("StringEquals", "home/alice", "home/${aws:username}", "alice", "Allow", True),
    ("StringEquals", "home/alice/alice", "home/${aws:username}/${aws:username}", "alice", "Allow", True),
    ("StringEqualsIgnoreCase", "HOME/alice", "home/${aws:username}", "ALICE", "Allow", True),
    ("StringEquals", "", "home/${aws:username}", "alice", "Allow", False),
    ("StringEquals", "", "${aws:username, ''}", None, "Allow", True),
    ("StringEquals", "alice", ["${aws:username}", "bob"], "alice", "Allow", True),
    ("StringEquals", "", ["${aws:username}", "bob"], "alice", "Allow", False),
    ("StringLike", "alice/x", ["${aws:username}/*", "bob/*"], "alice", "Allow", True),
    ("StringEqualsIgnoreCase", "", "${aws:username}", "", "Allow", True),
    ("StringEquals", [], "${aws:username}", "alice", "Allow", False),
    ("StringEqualsIfExists", [], "${aws:username}", "alice", "Allow", True),
    ("StringNotEquals", [], "${aws:username}", None, "Allow", True),
    ("StringEquals", ["x", "alice"], "${aws:username}", "alice", "Allow", True),
    ("StringNotEquals", ["x", "alice"], "${aws:username}", "alice", "Allow", False),
    ("StringNotEquals", ["x", "y"], "${aws:username}", "alice", "Allow", True),
    ("StringNotEquals", "bob", ["${aws:username}", "bob"], None, "Deny", False),
    ("StringEquals", "alice", "${aws:username}", ("alice",), "Allow", True),
    ("StringEquals", "alice", "${aws:username}", ("alice", "bob"), "Allow", False),
    ("ForAnyValue:StringEquals", ["", ""], "${aws:username}", "", "Allow", False),
    ("ForAllValues:StringNotEquals", ["x", "alice"], "${aws:username}", "alice", "Allow", False),
    ("ForAnyValue:StringNotEquals", ["x", "alice"], "${aws:username}", "alice", "Allow", True),
    ("ForAnyValue:StringNotEquals", ["alice"], "${aws:username}", None, "Allow", False),
    ("ForAllValues:StringLike", ["alice-1", "alice-2"], ["${aws:username}-*", "x"], "alice", "Allow", True),
]


@pytest.mark.parametrize(("operator", "actual", "wanted", "username", "effect", "expected"), VARIABLES)
def test_an_operator_with_a_variable(
    operator: str, actual: Any, wanted: Any, username: str | None, effect: str, expected: bool
) -> None:
    assert holds(operator, actual, wanted, effect=effect, username=username) is expected


REFUSED = [
    ("StringEqual", "a"),
    ("stringequals", "a"),
    ("ForSomeValues:StringEquals", "a"),
    ("ForAllValues:Null", "true"),
    ("NullIfExists", "true"),
    ("Null", "maybe"),
    ("Bool", "yes"),
    ("NumericEquals", "ten"),
    ("NumericEquals", "${aws:username}"),
    ("NumericEquals", "nan"),
    ("DateEquals", "tomorrow"),
    ("DateEquals", "2026-02-30"),
    ("IpAddress", "10.0.0.0/33"),
    ("IpAddress", "10.0.0"),
    ("BinaryEquals", "?"),
    ("StringLike", "${aws:username"),
    ("StringEqualsIfExistsIfExists", "a"),
]


@pytest.mark.parametrize(("operator", "wanted"), REFUSED)
def test_what_has_no_meaning_is_refused(operator: str, wanted: str) -> None:
    with pytest.raises(BadCondition):
        compile_condition(operator, KEY, (wanted,), variables=True, effect="Allow")


def test_every_documented_operator_is_there() -> None:
    assert len(OPERATORS) == 26  # and Null, which takes no negation and no IfExists
    for name, operator in OPERATORS.items():
        assert operator.negated is ("Not" in name)


def test_a_condition_knows_the_keys_it_looks_at() -> None:
    condition = compile_condition("StringLike", "aws:A", ("${aws:B}-${aws:C, 'x'}",), variables=True, effect="Allow")
    assert condition.keys == {"aws:a", "aws:b", "aws:c"}


EQUALS = [  # operator, wanted, what alone makes it hold
    ("StringEquals", ["eu", "us"], {"eu", "us"}),
    ("StringEquals", ["*"], {"*"}),
    ("StringEquals", ["${aws:x}"], None),
    ("StringEquals", ["a${$}b"], None),
    ("StringEquals", ["a", "a${$}b"], None),
    ("StringNotEquals", ["eu"], None),
    ("StringEqualsIfExists", ["eu"], None),
    ("ForAllValues:StringEquals", ["eu"], None),
    ("ForAnyValue:StringEquals", ["eu"], None),
    ("ForAnyValue:StringNotEquals", ["eu"], None),
    ("StringEqualsIgnoreCase", ["eu"], None),
    ("StringLike", ["eu"], None),
    ("NumericEquals", ["1"], None),
    ("Null", ["true"], None),
]


@pytest.mark.parametrize(("operator", "wanted", "alone"), EQUALS)
def test_only_a_plain_comparison_is_looked_up_by_its_values(
    operator: str, wanted: list[str], alone: set[str] | None
) -> None:
    """Statements are found by these values: what holds otherwise too must not be."""
    found = compile_condition(operator, KEY, tuple(wanted), variables=True, effect="Allow")
    assert found.equals == alone


def test_a_dollar_is_no_variable_where_there_are_none() -> None:
    found = compile_condition("StringEquals", KEY, ("${aws:x}",), variables=False, effect="Allow")
    assert found.equals == {"${aws:x}"}
    assert found.holds({"aws:key": "${aws:x}"})
