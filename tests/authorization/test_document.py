"""What is a policy document, and what is refused with which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.authorization.document import MOST_CHARACTERS, MalformedPolicy, load_json, parse

GOOD = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}
TRUST = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}
ANY = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}


def doc(*statements: Any, **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements), **more}


def without(statement: dict[str, Any], *names: str, **more: Any) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name not in names} | more


ACCEPTED = [  # type, document
    ("identity", doc(GOOD)),
    ("identity", doc(GOOD, Id="x")),
    ("identity", {"Statement": GOOD}),
    ("identity", {"Version": "2008-10-17", "Statement": [GOOD]}),
    ("identity", doc(without(GOOD, "Action", NotAction=["s3:*", "ec2:Describe?"]))),
    ("identity", doc(without(GOOD, "Resource", NotResource=["arn:aws:s3:::x", "*"]))),
    ("identity", doc(GOOD | {"Sid": "One"}, GOOD | {"Sid": "Two"}, GOOD | {"Sid": ""}, GOOD | {"Sid": ""})),
    ("identity", doc(GOOD | {"Condition": {}})),
    ("identity", doc(GOOD | {"Condition": {"Bool": {"aws:SecureTransport": True}}})),
    ("identity", doc(GOOD | {"Condition": {"NumericLessThan": {"s3:max-keys": [10, 2.5]}}})),
    ("identity", doc(GOOD | {"Action": "*", "Resource": "arn:aws-cn:s3:::b"})),
    ("identity", doc(GOOD | {"Resource": "arn:*:s3:::b"})),
    ("scp", doc(without(GOOD, "Action", NotAction="iam:*"))),
    ("resource", doc(ANY | {"Sid": "Public access, since 2020"})),
    ("resource", doc(ANY | {"Principal": {"AWS": ["*", "111122223333", "arn:aws:iam::111122223333:role/a/b"]}})),
    ("resource", doc(ANY | {"Principal": {"Service": "s3.amazonaws.com", "CanonicalUser": "a" * 64}})),
    ("resource", doc(ANY | {"Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/a/s"}})),
    ("resource", doc(ANY | {"Principal": {"AWS": "AROAIOSFODNN7EXAMPLE"}})),
    ("resource", doc(ANY | {"Principal": {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access E1"}})),
    ("resource", doc(without(ANY, "Principal", NotPrincipal={"AWS": "111122223333"}, Effect="Deny"))),
    ("key", doc(ANY | {"Action": "kms:*"})),
    ("trust", doc(TRUST)),
    ("trust", doc(TRUST | {"Principal": {"Federated": "arn:aws:iam::111122223333:saml-provider/x"}})),
    ("trust", doc(TRUST | {"Action": ["sts:AssumeRole", "STS:TagSession"]})),
    ("rcp", doc(ANY | {"Effect": "Deny"})),
    ("identity", doc(GOOD | {"Condition": {"StringEquals": {"aws:" + "a" * 2044: "a"}}})),
    ("identity", doc(GOOD | {"Condition": {"Bool": {"aws:SecureTransport": [True, False, "false"]}}})),
    ("trust", doc(without(TRUST, "Action", NotAction="sts:TagSession"))),
]


@pytest.mark.parametrize(("kind", "document"), ACCEPTED)
def test_a_policy_is_accepted(kind: Any, document: dict[str, Any]) -> None:
    from_text = parse(json.dumps(document), kind, origin="here")
    assert len(from_text.statements) == len(parse(document, kind).statements)
    assert from_text.origin == "here"
    assert all(statement.policy is from_text for statement in from_text.statements)


REFUSED = [  # type, document, words of the message
    ("identity", doc(GOOD, Id=5), "Id is a string"),
    ("identity", doc(GOOD, Id=None), "Id is a string"),
    ("resource", doc(ANY | {"Sid": "a" * 2049}), "Statement IDs"),
    ("identity", [], "Syntax errors in policy."),
    ("identity", {}, "Statement"),
    ("identity", doc(), "Statement"),
    ("identity", doc("x"), "Syntax errors"),
    ("identity", doc(GOOD, version="2012-10-17"), "Unknown field version"),
    ("identity", {"Version": "2013-10-17", "Statement": GOOD}, "Syntax errors in policy."),
    ("identity", {"Version": 2012, "Statement": GOOD}, "Syntax errors in policy."),
    ("identity", doc(GOOD | {"Principal": "*"}), "Policy document should not specify a principal."),
    ("scp", doc(GOOD | {"Principal": "*"}), "Has prohibited field Principal"),
    ("identity", doc(GOOD | {"Extra": 1}), "Unknown field Extra"),
    ("identity", doc(GOOD | {"action": "s3:*"}), "Unknown field action"),
    ("identity", doc(without(GOOD, "Effect")), "Missing required field Effect"),
    ("identity", doc(GOOD | {"Effect": "allow"}), "Invalid effect: allow"),
    ("identity", doc(GOOD | {"Effect": ["Allow"]}), "Invalid effect"),
    ("identity", doc(without(GOOD, "Action")), "Policy statement must contain actions."),
    ("identity", doc(GOOD | {"Action": []}), "Policy statement must contain actions."),
    ("identity", doc(GOOD | {"NotAction": "s3:*"}), "both Action and NotAction"),
    ("identity", doc(GOOD | {"Action": ""}), "Syntax errors"),
    ("identity", doc(GOOD | {"Action": [1]}), "Syntax errors"),
    ("identity", doc(GOOD | {"Action": "GetObject"}), "Actions/Conditions must be prefaced by a vendor"),
    ("identity", doc(GOOD | {"Action": "s3:Get:Object"}), "Actions/Condition can contain only one colon."),
    ("identity", doc(GOOD | {"Action": "s3!:GetObject"}), "Vendor s3! is not valid"),
    ("identity", doc(GOOD | {"Action": "s*:GetObject"}), "Vendor s* is not valid"),
    ("identity", doc(GOOD | {"Action": ":GetObject"}), "Vendor  is not valid"),
    ("identity", doc(GOOD | {"Action": "s3:"}), "Syntax errors"),
    ("identity", doc(GOOD | {"Action": "s3:Get Object"}), "Syntax errors"),
    ("identity", doc(without(GOOD, "Resource")), "Policy statement must contain resources."),
    ("identity", doc(GOOD | {"Resource": None}), "Syntax errors"),
    ("identity", doc(GOOD | {"NotResource": "*"}), "both Resource and NotResource"),
    ("identity", doc(GOOD | {"Resource": "bucket"}), 'Resource bucket must be in ARN format or "*".'),
    ("identity", doc(GOOD | {"Resource": "arn:a!s:s3:::b"}), 'Partition "a!s" is not valid for resource'),
    ("identity", doc(GOOD | {"Resource": "arn:aws:s3:::${aws:username"}), "not closed"),
    ("identity", doc(GOOD | {"Sid": "a b"}), "Statement IDs (SID) must be alpha-numeric."),
    ("identity", doc(GOOD | {"Sid": 1}), "Statement IDs (SID) must be alpha-numeric."),
    ("identity", doc(GOOD | {"Sid": "A"}, GOOD | {"Sid": "A"}),
     "Statement IDs (SID) in a single policy must be unique."),
    ("identity", doc(GOOD | {"Condition": []}), "Condition is an object"),
    ("identity", doc(GOOD | {"Condition": {"StringEquals": "a"}}), "a condition is"),
    ("identity", doc(GOOD | {"Condition": {"Strange": {"aws:x": "a"}}}), "Invalid Condition type : Strange"),
    ("identity", doc(GOOD | {"Condition": {"StringEquals": {"x": "a"}}}), "prefaced by a vendor"),
    ("identity", doc(GOOD | {"Condition": {"StringEquals": {"aws:x": None}}}), "is not text"),
    ("identity", doc(GOOD | {"Condition": {"StringEquals": {"aws:x": {}}}}), "is not text"),
    ("identity", doc(GOOD | {"Condition": {"StringEquals": {"aws:x": [["a"]]}}}), "is not text"),
    ("identity", doc(GOOD | {"Condition": {"StringEquals": {"aws:x": []}}}), "has no value"),
    ("identity", doc(GOOD | {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/99"}}}), "is invalid"),
    ("resource", doc(without(ANY, "Principal")), "Missing required field Principal"),
    ("resource", doc(without(ANY, "Resource")), "Policy statement must contain resources."),
    ("resource", doc(ANY | {"NotPrincipal": "*"}), "both Principal and NotPrincipal"),
    ("resource", doc(without(ANY, "Principal", NotPrincipal={"AWS": "111122223333"})), "Allow with NotPrincipal"),
    ("resource", doc(ANY | {"Principal": {}}), "Invalid principal in policy"),
    ("resource", doc(ANY | {"Principal": "111122223333"}), "Invalid principal in policy"),
    ("resource", doc(ANY | {"Principal": {"AWS": []}}), "Invalid principal in policy"),
    ("resource", doc(ANY | {"Principal": {"AWS": "1111"}}), "Invalid principal in policy"),
    ("resource", doc(ANY | {"Principal": {"AWS": "arn:aws:iam::111122223333:user/*"}}), "Invalid principal in policy"),
    ("resource", doc(ANY | {"Principal": {"AWS": "arn:aws:iam::111122223333:group/g"}}), "Invalid principal in policy"),
    ("resource", doc(ANY | {"Principal": {"AWS": "arn:aws:iam::111122223333:user/${aws:x}"}}), "Invalid principal"),
    ("resource", doc(ANY | {"Principal": {"Aws": "*"}}), "unknown principal type"),
    ("resource", doc(ANY | {"Principal": {"Service": "s3"}}), "Invalid principal in policy"),
    ("resource", doc(ANY | {"Principal": {"CanonicalUser": "*"}}), "Invalid principal in policy"),
    ("trust", doc(without(TRUST, "Principal")), "Missing required field Principal"),
    ("trust", doc(TRUST | {"Resource": "*"}), "Has prohibited field Resource"),
    ("trust", doc(TRUST | {"NotResource": "*"}), "Has prohibited field NotResource"),
    ("trust", doc(without(TRUST, "Principal", NotPrincipal="*", Effect="Deny")), "Has prohibited field NotPrincipal"),
    ("trust", doc(TRUST | {"Action": "s3:GetObject"}), "AssumeRole policy may only specify STS AssumeRole actions."),
    ("rcp", doc(ANY | {"Principal": {"AWS": "111122223333"}}), "must be"),
    ("rcp", doc(without(ANY, "Principal", NotPrincipal="*", Effect="Deny")), "Has prohibited field NotPrincipal"),
    ("rcp", doc(ANY | {"Effect": "Deny", "Principal": {"AWS": "*"}}), "must be"),
    ("session", doc(GOOD | {"Principal": "*"}), "Policy document should not specify a principal."),
    ("boundary", doc(GOOD | {"NotPrincipal": "*"}), "Policy document should not specify a principal."),
    ("scp", doc(GOOD | {"NotPrincipal": "*"}), "Has prohibited field NotPrincipal"),
    ("identity", doc(GOOD | {"Action": ["s3:*", 1]}), "Action is a string or a list of strings"),
    ("identity", doc(GOOD | {"Resource": ["*", ""]}), "Resource is a string or a list of strings"),
    ("identity", doc(GOOD | {"Resource": []}), "Policy statement must contain resources."),
    ("identity", doc(GOOD | {"Action": ["*", "GetObject"]}), "must be prefaced by a vendor"),
    ("identity", doc(GOOD | {"Resource": ["*", "bucket"]}), "must be in ARN format"),
    ("identity", doc(without(GOOD, "Action", NotAction=None)), "Syntax errors"),
    ("identity", doc(without(GOOD, "Action", NotAction=[])), "Policy statement must contain actions."),
    ("identity", doc(GOOD | {"Resource": "arn:aws:s3:::a\0b"}), "must be in ARN format"),
    ("identity", doc(GOOD | {"Resource": "bucket/arn:"}), "must be in ARN format"),
    ("identity", doc(GOOD | {"Resource": "arn:"}), 'Partition "" is not valid'),
    ("identity", doc(GOOD | {"Condition": {"StringEquals": {"aws:" + "a" * 2045: "a"}}}), "prefaced by a vendor"),
    ("trust", doc(TRUST | {"Action": ["sts:AssumeRole", "s3:GetObject"]}), "may only specify STS AssumeRole"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "document", "words"), REFUSED)
def test_a_malformed_policy_is_refused_in_words(kind: Any, document: Any, words: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        parse(document, kind)
    assert words in refused.value.message
    with pytest.raises(MalformedPolicy) as refused:
        parse(json.dumps(document), kind)
    assert words in refused.value.message


TEXTS = [
    ("", "Json"),
    ("{", "Json"),
    ("null", "Syntax errors"),
    ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', "duplicate element 'Version'"),
    ('{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Effect": "Deny"}}', "duplicate"),
    ('{"Statement": NaN}', "Json"),
    ('{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Sid": "\\ud800"}]}', "Json"),
    ("[" * 100_000, "Syntax errors"),
    ('{"a":' * 20_000, "Syntax errors"),
    ('{"Statement": ' + "1" * 10_000 + "}", ""),
    (" " * (MOST_CHARACTERS + 1), "larger"),
]


@pytest.mark.parametrize(("text", "words"), TEXTS, ids=range(len(TEXTS)))
def test_text_that_is_no_policy_is_refused(text: str, words: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        parse(text)
    assert words in refused.value.message


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(MalformedPolicy):
        parse(b'{"Statement": "\xff"}')


def test_brackets_in_texts_are_not_depth() -> None:
    assert parse(json.dumps(doc(GOOD | {"Resource": "arn:aws:s3:::" + "[" * 100}))).statements


@pytest.mark.parametrize("version", ["2008-10-17", None])
def test_what_iam_stores_must_have_the_newest_version(version: str | None) -> None:
    document: dict[str, Any] = {"Statement": [GOOD]}
    if version is not None:
        document["Version"] = version
    with pytest.raises(MalformedPolicy) as refused:
        parse(document, newest_version_only=True)
    assert refused.value.message == "Policy document must be version 2012-10-17 or greater."


def test_a_service_may_do_without_resources() -> None:
    statement = without(ANY, "Resource")
    assert parse(doc(statement), "resource", resource_optional=True).statements[0].resources == ("*",)


@pytest.mark.parametrize("element", ["Resource", "NotResource"])
def test_resources_that_may_be_left_out_count_where_they_are(element: str) -> None:
    statement = without(ANY, "Resource", **{element: "arn:aws:sqs:us-east-1:1:q"})
    (found,) = parse(doc(statement), "resource", resource_optional=True).statements
    assert (found.resources, found.not_resources) == (("arn:aws:sqs:us-east-1:1:q",), element == "NotResource")
    with pytest.raises(MalformedPolicy):
        parse(doc(statement | {element: "q"}), "resource", resource_optional=True)


NOT_TEXT = [(True, "true"), (False, "false"), (1, "1"), (0, "0"), (2.5, "2.5"), ("x", "x")]


@pytest.mark.parametrize(("value", "text"), NOT_TEXT)
def test_a_value_that_is_no_text_is_compared_as_it_is_written(value: Any, text: str) -> None:
    document = doc(GOOD | {"Condition": {"StringEquals": {"aws:x": value}}})
    for policy in (parse(document), parse(json.dumps(document))):
        assert policy.statements[0].applies("arn:aws:s3:::bucket/k", {"aws:x": text})
        assert not policy.statements[0].applies("arn:aws:s3:::bucket/k", {"aws:x": f"{text}x"})


@pytest.mark.parametrize("tests", [{5: {"aws:x": "a"}}, {"StringEquals": {5: "a"}}])
def test_names_of_a_read_document_are_texts(tests: Any) -> None:
    with pytest.raises(MalformedPolicy):
        parse(doc(GOOD | {"Condition": tests}))


def test_statements_say_which_they_are() -> None:
    policy = parse(doc(GOOD | {"Sid": "Read"}, GOOD))
    assert [statement.label for statement in policy.statements] == ['statement "Read"', "statement 2"]


def test_a_regular_expression_in_a_document_takes_no_time() -> None:
    """The depth check looks at strings with a pattern that cannot backtrack."""
    with pytest.raises(MalformedPolicy):
        parse('{"a": "' + "\\" * 100_000)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (without(GOOD, "Action"), "Policy statement must contain actions."),
        (without(GOOD, "Resource"), "Policy statement must contain resources."),
    ],
)
def test_the_message_is_aws_s_to_the_letter(statement: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        parse(doc(statement))
    assert refused.value.message == str(refused.value) == message


def test_the_longest_sid_of_a_resource_policy() -> None:
    assert len(parse(doc(ANY | {"Sid": "a" * 2048}), "resource").statements[0].sid) == 2048
    with pytest.raises(MalformedPolicy, match="Statement IDs"):
        parse(doc(ANY | {"Sid": "a" * 2049}), "resource")


def test_the_element_that_is_there_twice_is_named() -> None:
    with pytest.raises(MalformedPolicy, match="duplicate element 'Sid'"):
        load_json('{"Effect": "Allow", "Sid": "a", "Resource": "*", "Sid": "b"}')


def test_what_is_closed_is_no_longer_deep() -> None:
    def nested(levels: int) -> str:
        return "[" + "[]," * 30 + "[" * (levels - 1) + "]" * (levels - 1) + "]"

    assert len(load_json(nested(12))) == 31
    with pytest.raises(MalformedPolicy, match="Syntax errors in policy"):
        load_json(nested(13))


def test_a_policy_has_no_name_that_nobody_gave_it() -> None:
    assert (parse(doc(GOOD)).origin, parse(doc(GOOD)).id) == ("", "")
    assert parse(doc(GOOD), origin="p").origin == "p"


def test_a_policy_keeps_what_it_was_made_of() -> None:
    text = json.dumps(doc(GOOD) | {"Id": "P1"})
    policy = parse(text)
    assert (policy.version, policy.id, policy.source) == ("2012-10-17", "P1", text)
    assert parse({"Statement": GOOD}).version == "2008-10-17"
