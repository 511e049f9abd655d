"""Documents that are made to be costly, or that are nearly policies: refused or decided as AWS does, in little time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from freehold.authorization import MalformedPolicy, is_allowed, match, parse
from freehold.authorization.context_keys import Context
from freehold.authorization.document import DEEPEST, MOST_CHARACTERS
from freehold.authorization.policy_set import alone

ALICE = "arn:aws:iam::111122223333:user/alice"
OBJECT = "arn:aws:s3:::bucket/key"


def document(**more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"} | more
    return {"Version": "2012-10-17", "Statement": [statement]}


def refused(text: Any, kind: Any = "identity") -> str:
    with pytest.raises(MalformedPolicy) as found:
        parse(text, kind)
    return found.value.message


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_document_at_the_largest_size_is_read_and_one_over_it_is_not() -> None:
    assert MOST_CHARACTERS == 131_072
    text = json.dumps(document())
    parse(text + " " * (MOST_CHARACTERS - len(text)))
    assert "larger" in refused(text + " " * (MOST_CHARACTERS - len(text) + 1))
    assert "larger" in refused((text + " " * (MOST_CHARACTERS - len(text) + 1)).encode())


def test_many_shallow_statements_are_not_deep() -> None:
    many = {"Version": "2012-10-17", "Statement": [document(Resource=["*"])["Statement"][0]] * 200}
    assert is_allowed(ALICE, "s3:GetObject", OBJECT, identity=[json.dumps(many)])


def test_huge_lists_are_decided() -> None:
    names = [f"arn:aws:s3:::bucket/{number}" for number in range(3500)]
    listed = document(Resource=names, Condition={"StringEquals": {"aws:x": [str(number) for number in range(1000)]}})
    assert is_allowed(ALICE, "s3:GetObject", names[-1], identity=[listed], context={"aws:x": "999"})
    assert not is_allowed(ALICE, "s3:GetObject", names[-1], identity=[listed], context={"aws:x": "1000"})
    assert not is_allowed(ALICE, "s3:GetObject", OBJECT, identity=[listed], context={"aws:x": "999"})
    actions = document(Action=[f"s3:Act{number}" for number in range(5000)])
    assert is_allowed(ALICE, "s3:Act4999", OBJECT, identity=[actions])
    statements = {"Version": "2012-10-17", "Statement": [document()["Statement"][0]] * 1500}
    assert is_allowed(ALICE, "s3:GetObject", OBJECT, identity=[statements])


def test_an_empty_list_is_no_list() -> None:
    for element in ("Action", "Resource"):
        refused(document(**{element: []}))
    refused(document(Condition={"StringEquals": {"aws:x": []}}))
    parse(document(Condition={"StringEquals": {}}))


# --- depth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opener", ["[", '{"a":', '[{"a":', '{"Statement":['])
def test_deep_nesting_is_refused_before_it_is_read(opener: str) -> None:
    text = opener * (MOST_CHARACTERS // len(opener))
    start = time.process_time()
    refused(text)
    assert time.process_time() - start < 0.5


def test_depth_is_counted_outside_of_texts() -> None:
    parse(document(Condition={"StringEquals": {"aws:x": "[{" * 100}}))
    assert DEEPEST == 12
    closed = '{"Version":"2012-10-17","Statement":' + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1) + "}"
    assert "a statement is an object" in refused(closed)
    assert refused(closed.replace("[[", "[[[").replace("]]", "]]]")) == "Syntax errors in policy."


@pytest.mark.parametrize(
    "text",
    ['{"a":"' + '\\"' * 65_000, '"' * 131_000, "\\" * 131_000, '"\\' * 65_000, '{"a":"' + "\\\\" * 65_000 + '"}'],
    ids=range(5),
)
def test_texts_that_nothing_closes_are_read_once(text: str) -> None:
    start = time.process_time()
    refused(text)
    assert time.process_time() - start < 0.5


# --- wildcards --------------------------------------------------------------------------------------------------------


class Counted(str):
    """Counts how often a matcher looks at it: a step for each character gone over, and for each search in it."""

    steps = 0

    def __iter__(self) -> Iterator[str]:
        for char in super().__iter__():
            Counted.steps += 1
            yield char

    def find(self, piece: str, start: Any = 0, end: Any = None) -> int:
        Counted.steps += 1
        return super().find(piece, start, len(self) if end is None else end)


PATTERNS = {
    "a*": "a*" * 5000, "a* then b": "a*" * 5000 + "b", "*?": "*?" * 5000, "?": "?" * 10_000, "*a?": "*a?" * 3333 + "b",
    "*": "*" * 10_000, "a?*": "a?*" * 3333, "*:": "*:" * 5000, "a*: then b": "a*:" * 3333 + "b",
       "?*a": "?*a" * 3333 + "?b",
}  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("length", [1000, 10_000])
def test_matching_goes_over_a_text_once(pattern: str, length: int) -> None:
    template = match.parse(pattern, variables=False)
    pieces = sum(isinstance(part, str) for part in template)
    for text in ("a" * length, "a:" * (length // 2), "b" * length, "ab" * (length // 2)):
        for test in (match.text_test(template), match.arn_test(template)):
            Counted.steps = 0
            test(Counted(text))
            # One way at a time: the string methods search for each piece once, the automaton takes each character once.
            assert Counted.steps <= len(text) + 2 * pieces + 2


def test_ten_thousand_wildcards_in_every_element() -> None:
    text = "a*" * 5000
    found = document(
        Action="s3:" + "a*" * 250, Resource="arn:aws:s3:::" + text,
        Condition={"StringLike": {"aws:x": text}, "ArnLike": {"aws:y": "arn:aws:s3:::" + text}},
    )  # fmt: skip
    policy = alone(parse(json.dumps(found)))
    start = time.process_time()
    for tail in ("b", "a"):
        context = Context({"aws:x": "a" * 9000 + tail, "aws:y": "arn:aws:s3:::" + "a" * 9000 + tail})
        policy.verdict("s3:" + "a" * 500, "arn:aws:s3:::" + "a" * 9000 + tail, context)
    assert time.process_time() - start < 1.0
    assert "is not valid" in refused(document(Action="s3:" + "a*" * 5000))


# --- variables --------------------------------------------------------------------------------------------------------

NEVER, ALWAYS = False, True
VARIABLES: list[tuple[str, dict[str, Any], bool | None]] = [
    # what, the statement's elements, whether it allows; None: refused
    ("in an action it is no variable", {"Action": "s3:${aws:username}"}, None),
    ("in the account of an ARN it is never replaced", {"Resource": "arn:aws:s3::${aws:PrincipalAccount}:*"}, NEVER),
    ("in the service of an ARN", {"Resource": "arn:aws:${aws:x}:::bucket/*"}, NEVER),
    ("in the partition it is no partition", {"Resource": "arn:${aws:x}:s3:::bucket/*"}, None),
    ("for the whole ARN", {"Resource": "${aws:x}"}, None),
    ("not closed", {"Resource": "arn:aws:s3:::bucket/${aws:username"}, None),
    ("without a name", {"Resource": "arn:aws:s3:::bucket/${}"}, None),
    ("in another", {"Resource": "arn:aws:s3:::bucket/${aws:${aws:x}}"}, NEVER),
    ("a key that no request has", {"Resource": "arn:aws:s3:::bucket/${aws:nothing}*"}, NEVER),
    ("a default", {"Resource": "arn:aws:s3:::bucket/${aws:nothing, 'key'}"}, ALWAYS),
    ("a default that is a pattern", {"Resource": "arn:aws:s3:::bucket/${aws:nothing, '*'}"}, NEVER),
    ("a default without quotes", {"Resource": "arn:aws:s3:::bucket/${aws:nothing, key}"}, None),
    ("a dollar alone", {"Resource": "arn:aws:s3:::bucket/key$"}, NEVER),
    ("a literal asterisk", {"Resource": "arn:aws:s3:::bucket/${*}"}, NEVER),
    ("in the key of a condition", {"Condition": {"StringEquals": {"aws:${aws:x}": "a"}}}, NEVER),
    ("in a number", {"Condition": {"NumericEquals": {"aws:x": "${aws:x}"}}}, None),
    ("in a date", {"Condition": {"DateEquals": {"aws:x": "${aws:x}"}}}, None),
    ("in a network", {"Condition": {"IpAddress": {"aws:x": "${aws:x}"}}}, None),
    ("in Null", {"Condition": {"Null": {"aws:x": "${aws:x}"}}}, None),
    ("in an operator", {"Condition": {"String${aws:x}": {"aws:x": "a"}}}, None),
    ("in a Sid", {"Sid": "${aws:x}"}, None),
    ("of many values", {"Resource": "arn:aws:s3:::bucket/${aws:many}"}, NEVER),
]


@pytest.mark.parametrize(("what", "elements", "allows"), VARIABLES, ids=[row[0] for row in VARIABLES])
def test_a_variable_in_an_odd_place(what: str, elements: dict[str, Any], allows: bool | None) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"""
    held = document(**elements)
    if allows is None:
        refused(held)
        return
    context = {"aws:x": "key", "aws:many": ["key", "kez"]}
    assert is_allowed(ALICE, "s3:GetObject", OBJECT, identity=[held], context=context) is allows


def test_many_variables_with_long_values_cost_little() -> None:
    held = document(Resource="arn:aws:s3:::" + "${aws:x}" * 16_000)
    policy = alone(parse(held))
    start = time.process_time()
    policy.verdict("s3:GetObject", OBJECT, Context({"aws:x": "b" * 256}))
    assert time.process_time() - start < 1.0


# --- Unicode ----------------------------------------------------------------------------------------------------------

UNICODE: list[tuple[str, dict[str, Any], str, bool | None]] = [
    # what, the statement's elements, the object's key, whether it allows; None: refused
    ("a key in its own spelling", {"Resource": "arn:aws:s3:::bucket/grün"}, "grün", True),
    ("a key that is composed otherwise", {"Resource": "arn:aws:s3:::bucket/gr\u00fcn"}, "gru\u0308n", False),
    ("a question mark is one code point", {"Resource": "arn:aws:s3:::bucket/?"}, "\U0001f512", True),
    ("a question mark is not two", {"Resource": "arn:aws:s3:::bucket/?"}, "\U0001f512\U0001f512", False),
    ("an emoji under an asterisk", {"Resource": "arn:aws:s3:::bucket/\U0001f512*"}, "\U0001f512/a", True),
    ("a right-to-left mark is a character", {"Resource": "arn:aws:s3:::bucket/key"}, "\u202ekey", False),
    ("a full-width asterisk is no wildcard", {"Resource": "arn:aws:s3:::bucket/\uff0a"}, "key", False),
    ("an action in other letters", {"Action": "s3:Getﬁle"}, "key", None),
    ("an action whose lower case is ASCII", {"Action": "\u212ams:*"}, "key", None),
    ("a dotted capital I", {"Action": "s3:L\u0130stBucket"}, "key", None),
    ("a vendor in other letters", {"Action": "ѕ3:*"}, "key", None),
    ("half a pair", {"Resource": "arn:aws:s3:::bucket/\ud83d"}, "key", None),
    ("a NUL", {"Resource": "arn:aws:s3:::bucket/\x00"}, "key", None),
    ("other digits in a number", {"Condition": {"NumericEquals": {"aws:x": "١"}}}, "key", None),
    ("other digits in an address", {"Condition": {"IpAddress": {"aws:x": "١٠.0.0.1"}}}, "key", None),
    ("an effect in other letters", {"Effect": "Аllow"}, "key", None),
]  # fmt: skip


@pytest.mark.parametrize(("what", "elements", "key", "allows"), UNICODE, ids=[row[0] for row in UNICODE])
def test_unicode(what: str, elements: dict[str, Any], key: str, allows: bool | None) -> None:
    held = json.dumps(document(**elements))
    if allows is None:
        refused(held)
        return
    assert is_allowed(ALICE, "s3:GetObject", f"arn:aws:s3:::bucket/{key}", identity=[held]) is allows


def test_bytes_that_are_no_utf8_are_no_policy() -> None:
    refused(json.dumps(document()).encode()[:-1] + b'"\xff"}')
    refused(json.dumps(document()).encode("utf-16"))
    refused(b"\xef\xbb\xbf" + json.dumps(document()).encode())
