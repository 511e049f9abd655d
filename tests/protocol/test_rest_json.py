"""rest-json: which operation a path means, what arrives, and how each kind of bad input is answered."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from freehold.errors import AwsError, aws_error
from freehold.message import Request
from freehold.protocol import header_lists, models
from freehold.protocol.codec import codec, serialize_error
from freehold.protocol.rest_json_route import Table
from freehold.protocol.route import SHARED_SIGNING_NAMES, Router
from freehold.services.operation import SERVED

SERVICES = ("accessanalyzer", "apigateway", "dataexchange", "iam-toolbox", "iot-data", "lex-runtime", "mediastore-data")
ROUTER = Router((*SERVICES, "iam"))
TOOLBOX = "/authorization-details"

ROUTES = [  # service, method, path, query, operation, labels
    ("iam-toolbox", "GET", f"{TOOLBOX}/abc", "", "GetRequestAuthorizationDetails", {"authorizationId": "abc"}),
    ("iam-toolbox", "GET", f"{TOOLBOX}/abc/policy", "", "GetRequestAuthorizationPolicy", {"authorizationId": "abc"}),
    (
        "iam-toolbox",
        "GET",
        f"{TOOLBOX}/a%2Fpolicy",
        "",
        "GetRequestAuthorizationDetails",
        {"authorizationId": "a/policy"},
    ),
    ("iam-toolbox", "GET", f"{TOOLBOX}/policy", "", "GetRequestAuthorizationDetails", {"authorizationId": "policy"}),
    ("accessanalyzer", "GET", "/analyzer", "", "ListAnalyzers", {}),
    ("accessanalyzer", "GET", "/analyzer/a", "", "GetAnalyzer", {"analyzerName": "a"}),
    (
        "accessanalyzer",
        "GET",
        "/analyzer/a/archive-rule/r%20s",
        "",
        "GetArchiveRule",
        {"analyzerName": "a", "ruleName": "r s"},
    ),
    ("accessanalyzer", "POST", "/policy/validation", "", "ValidatePolicy", {}),
    ("accessanalyzer", "POST", "/findingv2", "", "ListFindingsV2", {}),
    ("apigateway", "POST", "/restapis", "", "CreateRestApi", {}),
    ("apigateway", "POST", "/restapis", "mode=import", "ImportRestApi", {}),
    ("apigateway", "POST", "/apikeys", "mode=import&format=csv", "ImportApiKeys", {}),
    ("apigateway", "POST", "/apikeys", "mode=export", "CreateApiKey", {}),
    ("mediastore-data", "GET", "/a", "", "GetObject", {"Path": "a"}),
    ("mediastore-data", "GET", "/a/b%2F/c", "", "GetObject", {"Path": "a/b//c"}),
    ("mediastore-data", "GET", "/", "", "ListItems", {}),
    ("mediastore-data", "GET", "/a/", "", "GetObject", {"Path": "a/"}),
]

NO_ROUTES = [  # service, method, path
    ("iam-toolbox", "DELETE", f"{TOOLBOX}/abc"),
    ("iam-toolbox", "get", f"{TOOLBOX}/abc"),
    ("iam-toolbox", "GET", TOOLBOX),
    ("iam-toolbox", "GET", f"{TOOLBOX}/"),
    ("iam-toolbox", "GET", f"{TOOLBOX}//policy"),
    ("iam-toolbox", "GET", f"{TOOLBOX}/abc/policy/"),
    ("iam-toolbox", "GET", f"{TOOLBOX}/abc/policy/x"),
    ("iam-toolbox", "GET", f"{TOOLBOX}%2Fabc"),
    ("iam-toolbox", "GET", "/"),
    ("iam-toolbox", "GET", ""),
    ("iam-toolbox", "GET", "/Authorization-Details/abc"),
    ("iam-toolbox", "GET", TOOLBOX + "/a" * 100_000),
    ("accessanalyzer", "GET", "/analyzer/a/archive-rule/"),
]


@pytest.mark.parametrize(("service", "method", "path", "query", "operation", "labels"), ROUTES)
def test_a_path_means_one_operation(
    service: str, method: str, path: str, query: str, operation: str, labels: dict[str, str]
) -> None:
    routed = ROUTER.route(Request(method, path, query, {}), service)
    assert (routed.operation.name, routed.path_params) == (operation, labels)


@pytest.mark.parametrize(("service", "method", "path"), NO_ROUTES)
def test_any_other_path_is_no_operation(service: str, method: str, path: str) -> None:
    with pytest.raises(AwsError) as refused:
        ROUTER.route(Request(method, path, "", {}), service)
    assert (refused.value.code, refused.value.status) == ("UnknownOperationException", 404)


def test_a_path_decides_between_services_that_sign_with_one_name() -> None:
    for path, service in [
        (f"{TOOLBOX}/abc", "iam-toolbox"),
        (f"{TOOLBOX}/abc/nothing/of/that/kind", "iam-toolbox"),
        ("/", "iam"),
        ("//authorization-details/abc", "iam"),
        ("/authorization-detailsx", "iam"),
        ("/anything", "iam"),
    ]:
        assert ROUTER.meant(Request("GET", path, "", {}), "iam") == service, path
    assert ROUTER.meant(Request("GET", f"{TOOLBOX}/abc", "", {}), "accessanalyzer") == "accessanalyzer"


def test_the_services_that_share_a_signing_name_are_those_whose_models_say_so() -> None:
    sharing: dict[str, tuple[str, ...]] = {}
    for service in SERVED:
        name = models.service(service).signing_name
        if name != service:
            sharing[name] = (*sharing.get(name, ()), service)
    assert sharing == SHARED_SIGNING_NAMES


def test_an_operation_with_literals_in_its_query_never_hides_the_plain_one() -> None:
    table = Table(models.service("apigateway"))
    assert table.operation("PUT", "/restapis/x", {})[0] == "PutRestApi"
    with pytest.raises(AwsError):
        table.operation("PATCH", "/restapis", {"mode": "import"})


def _parse(
    service: str, method: str, path: str, query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
) -> dict[str, Any]:
    request = Request(method, path, query, headers or {}, body)
    routed = ROUTER.route(request, service)
    return codec(routed.operation).parse(request, routed)


def _b64(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


ANALYZER = b'{"analyzerName": "a", "type": "ACCOUNT"'
SERIALIZATION = [  # service, method, path, query, headers, body
    ("iam-toolbox", "GET", f"{TOOLBOX}/%zz", "", {}, b""),
    ("iam-toolbox", "GET", f"{TOOLBOX}/%ff", "", {}, b""),
    ("iam-toolbox", "GET", f"{TOOLBOX}/abc", "nextToken=%", {}, b""),
    ("iam-toolbox", "GET", f"{TOOLBOX}/abc", "nextToken=a&nextToken=b", {}, b""),
    ("iam-toolbox", "GET", f"{TOOLBOX}/abc", "a&" * 6_000, {}, b""),
    ("accessanalyzer", "GET", "/analyzer", "maxResults=ten", {}, b""),
    ("accessanalyzer", "GET", "/analyzer", "maxResults=1.5", {}, b""),
    ("accessanalyzer", "GET", "/analyzer", "maxResults=" + "9" * 40, {}, b""),
    ("accessanalyzer", "GET", "/analyzer", "maxResults=", {}, b""),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b"{"),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b"[]"),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b"null"),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b'"text"'),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b"\xff"),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b'{"x":' * 2000 + b"1" + b"}" * 2000),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b'{"analyzerName": 1}'),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, ANALYZER + b', "tags": []}'),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, ANALYZER + b', "archiveRules": {}}'),
    ("apigateway", "PUT", "/restapis/a/gatewayresponses/DEFAULT_4XX", "", {}, b'{"responseParameters": 5}'),
    ("lex-runtime", "POST", "/bot/b/alias/a/user/uu/content", "", {"x-amz-lex-session-attributes": "{}"}, b"x"),
    ("lex-runtime", "POST", "/bot/b/alias/a/user/uu/content", "", {"x-amz-lex-session-attributes": "YQ=="}, b"x"),
    ("lex-runtime", "POST", "/bot/b/alias/a/user/uu/content", "", {"x-amz-lex-session-attributes": "é"}, b"x"),
    ("iot-data", "POST", "/topics/t", "retain=maybe", {}, b""),
    ("dataexchange", "GET", "/v1/data-sets", "maxResults=1&maxResults=2", {}, b""),
]

VALIDATION = [  # service, method, path, query, headers, body, what is said
    ("iam-toolbox", "GET", f"{TOOLBOX}/ABC", "", {}, b"", "Value 'ABC' at 'authorizationId'"),
    ("iam-toolbox", "GET", f"{TOOLBOX}/{'a' * 257}", "", {}, b"", "length less than or equal to 256"),
    ("iam-toolbox", "GET", f"{TOOLBOX}/a/policy", "", {}, b"", "Value null at 'policyUri'"),
    ("iam-toolbox", "GET", f"{TOOLBOX}/A/policy", "policyUri=", {}, b"", "2 validation errors detected"),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b"", "Value null at 'analyzerName'"),
    ("accessanalyzer", "PUT", "/analyzer", "", {}, b'{"analyzerName": "a", "type": "WHATEVER"}', "enum value set"),
    ("accessanalyzer", "GET", "/analyzer", "type=WHATEVER", {}, b"", "enum value set"),
    ("dataexchange", "GET", "/v1/data-sets", "maxResults=0", {}, b"", "greater than or equal to 1"),
    ("lex-runtime", "POST", "/bot/b/alias/a/user/uu/content", "", {}, b"x", "Value null at 'contentType'"),
    ("lex-runtime", "POST", "/bot/b/alias/a/user/u/content", "", {"content-type": "t"}, b"x", "at 'userId'"),
]


@pytest.mark.parametrize(("service", "method", "path", "query", "headers", "body"), SERIALIZATION)
def test_what_cannot_be_read_is_a_serialization_exception(
    service: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(AwsError) as refused:
        _parse(service, method, path, query, headers, body)
    assert (refused.value.code, refused.value.status) == ("SerializationException", 400)


@pytest.mark.parametrize(("service", "method", "path", "query", "headers", "body", "said"), VALIDATION)
def test_a_constraint_that_fails_is_named(
    service: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes, said: str
) -> None:
    with pytest.raises(AwsError) as refused:
        _parse(service, method, path, query, headers, body)
    assert (refused.value.code, refused.value.status) == ("ValidationException", 400)
    assert said in refused.value.message


def test_what_the_model_does_not_know_is_ignored() -> None:
    read = _parse("iam-toolbox", "GET", f"{TOOLBOX}/abc", "x=1&y=2&X-Amz-Date=now", {"x-amz-more": "1"}, b"not read")
    assert read == {"authorizationId": "abc"}
    assert _parse("accessanalyzer", "PUT", "/analyzer", "", {}, ANALYZER + b', "x": {"y": [1]}, "tags": null}') == {
        "analyzerName": "a",
        "type": "ACCOUNT",
    }


def test_json_in_headers_and_bytes_in_the_body_arrive() -> None:
    headers = {"content-type": "text/plain", "x-amz-lex-session-attributes": _b64({"a": [1, None]})}
    read = _parse("lex-runtime", "POST", "/bot/b/alias/a/user/uu/content", "", headers, b"\x00\xff")
    assert read["sessionAttributes"] == {"a": [1, None]}
    assert read["inputStream"] == b"\x00\xff"


def test_a_header_map_and_the_rest_of_the_query_arrive_and_the_signature_is_not_in_them() -> None:
    headers = {"x-amzn-dataexchange-header-one": "1", "x-amzn-dataexchange-asset-id": "a", "other": "x"}
    headers |= {"x-amzn-dataexchange-data-set-id": "d", "x-amzn-dataexchange-revision-id": "r"}
    read = _parse("dataexchange", "POST", "/v1", "p=1&q=&X-Amz-Signature=abc", headers, b"hello")
    assert read["QueryStringParameters"] == {"p": "1", "q": ""}
    assert read["RequestHeaders"] == {"one": "1"}
    assert read["Body"] == "hello"


HEADER_LISTS = [  # text, values
    ("a,b", ["a", "b"]),
    (" a ,\tb ", ["a", "b"]),
    ('"a,b",c', ["a,b", "c"]),
    (r'"a \"b\" \\",c', ['a "b" \\', "c"]),
    ("a b", ["a b"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "values"), HEADER_LISTS)
def test_a_list_in_a_header_is_taken_apart(text: str, values: list[str]) -> None:
    assert header_lists.split(text) == values


@pytest.mark.parametrize("values", [["a"], ["a", "b,c", 'd"e', 'f\\"g,']])
def test_a_list_in_a_header_comes_back_as_it_was(values: list[str]) -> None:
    assert header_lists.split(header_lists.joined(values, quoted=True)) == values


@pytest.mark.parametrize("text", ['"a', '"a"b', 'a,"' + "x" * 100_000, '"' + "\\" * 100_001])
def test_a_quoted_value_that_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not closed"):
        header_lists.split(text)


def test_dates_in_a_list_keep_their_comma() -> None:
    dates = ["Mon, 16 Dec 2019 23:48:18 GMT", "Tue, 17 Dec 2019 23:48:18 GMT"]
    assert header_lists.split(", ".join(dates), dates=True) == dates
    assert header_lists.split("2019-12-16T23:48:18Z,2020-12-16T23:48:18Z", dates=True)[1] == "2020-12-16T23:48:18Z"


def test_an_error_has_its_code_in_the_header_and_the_models_status_and_members() -> None:
    throttled = aws_error("ThrottlingException", 400, "slow down")(retryAfterSeconds=7)
    model = models.service("accessanalyzer")
    operation = model.operations["GetAnalyzer"]
    response = serialize_error("accessanalyzer", operation, throttled, "id", Request("GET", "/", "", {}))
    assert response.status == 429
    assert dict(response.headers)["Retry-After"] == "7"
    assert dict(response.headers)["x-amzn-ErrorType"] == "ThrottlingException"
    assert json.loads(response.body) == {"__type": "ThrottlingException", "message": "slow down"}


def test_an_error_of_no_operation_is_told_in_json() -> None:
    refusal = aws_error("UnknownOperationException", 404)()
    response = serialize_error("iam-toolbox", None, refusal, "id", Request("GET", "/", "", {}))
    assert (response.status, json.loads(response.body)["__type"]) == (404, "UnknownOperationException")
    assert dict(response.headers)["Content-Type"] == "application/json"
