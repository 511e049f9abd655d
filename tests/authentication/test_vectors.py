"""AWS's published signatures are accepted; each of them, altered in any signed part, is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from signed_requests import Keys, altered, by_vector, check, services_of, vectors, with_header

from freehold.errors import AwsError
from freehold.message import Request

SUITE = vectors("suite.json")
S3 = vectors("s3_documentation.json")
AT = {"20150830T123600Z": 1440938160, "20130524T000000Z": 1369353600}
CASES = [pytest.param(suite, case, id=case["name"]) for suite in (SUITE, S3) for case in suite["cases"]]


def verify(suite: dict[str, Any], case: dict[str, Any], request: Request) -> Any:
    return check(
        request,
        AT[suite["timestamp"]],
        Keys(suite["access_key_id"], suite["secret"]),
        regions=("us-east-1", "us-west-2"),
        services=services_of(case),
    )


@pytest.mark.parametrize(("suite", "case"), CASES)
def test_a_published_signature_is_accepted(suite: dict[str, Any], case: dict[str, Any]) -> None:
    authenticated = verify(suite, case, by_vector(suite, case))
    assert authenticated.principal.name == "ann"
    assert authenticated.kind == "header"
    assert authenticated.payload.kind == "verified"


@pytest.mark.parametrize(("suite", "case"), CASES)
def test_a_published_request_altered_in_any_signed_part_is_refused(suite: dict[str, Any], case: dict[str, Any]) -> None:
    request = by_vector(suite, case)
    authorization = request.headers["authorization"]
    variants = {
        "method": altered(request, method="DELETE"),
        "path": altered(request, raw_path=request.raw_path + "x"),
        "body": altered(request, body=request.body + b"x"),
        "query item added": altered(request, query_string=request.query_string + "&a=b"),
    }
    items = [item for item in request.query_string.split("&") if item]
    for index, item in enumerate(items):
        for label, replaced in (("changed", [item + "x"]), ("removed", []), ("repeated", [item, item])):
            variants[f"query {item} {label}"] = altered(
                request, query_string="&".join(items[:index] + replaced + items[index + 1 :])
            )
    for name in set(request.headers) - {"authorization"}:
        variants[f"header {name} changed"] = with_header(request, name, request.headers[name] + "x")
        variants[f"header {name} removed"] = with_header(request, name, None)
    for name, pattern, replacement in (
        ("key", suite["access_key_id"], "AKIAOTHER"),
        ("date", suite["scope"][:8], "20150831"),
        ("region", "us-east-1", "us-west-2"),
        ("service", "/(service|s3)/", "/sts/"),
        ("header list", "SignedHeaders=", "SignedHeaders=accept;"),
        ("signature", "Signature=.", "Signature=" + ("0" if case["signature"][0] != "0" else "1")),
        ("algorithm", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
    ):
        changed = re.sub(pattern, replacement, authorization, count=1)
        assert changed != authorization
        variants[name] = with_header(request, "authorization", changed)
    verify(suite, case, request)
    for name, variant in variants.items():
        with pytest.raises(AwsError):
            pytest.fail(f"accepted with another {name}: {verify(suite, case, variant)}")


def _presigned(query: str, suite: dict[str, Any] = S3) -> Any:
    case = suite.get("presigned", {})
    headers = {"host": case.get("host", "example.amazonaws.com")}
    return verify(suite, case, Request("GET", case.get("path", "/"), query, headers))


def test_the_documented_presigned_request_is_accepted() -> None:
    authenticated = _presigned(S3["presigned"]["query"])
    assert authenticated.kind == "query"
    assert authenticated.payload.kind == "unsigned"


def test_the_suites_presigned_request_is_accepted() -> None:
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request"
        "&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600"
        "&X-Amz-Signature=e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"
    )
    assert _presigned(query, SUITE).kind == "query"


def test_the_documented_presigned_request_altered_in_any_item_is_refused() -> None:
    items = S3["presigned"]["query"].split("&")
    for index, item in enumerate(items):
        name, _, value = item.partition("=")
        for other in ("", f"{name}=", f"{name}={value}0", f"{item}&{item}", f"{name}={'1' + value[1:]}"):
            query = "&".join([*items[:index], other, *items[index + 1 :]])
            with pytest.raises(AwsError):
                pytest.fail(f"accepted {other}: {_presigned(query)}")
