"""Nonsense that is rightly signed: it gets past authentication, and is refused without a defect all the same."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import attacking
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from freehold.protocol import models
from freehold.protocol.models import Shape

QUIET: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}
ODD = [
    "",
    "\0",
    "..",
    "/",
    "//",
    "%",
    "é",
    "￿",
    "\U0001f511",
    "*",
    "${aws:username}",
    "a" * 300,
    "-1",
    "0",
    "1",
    "99999999999",
    "true",
]
ODD += [
    "NaN",
    "1e999",
    "{}",
    "[]",
    "<a/>",
    "arn:aws:iam::111122223333:user/x",
    "arn:::::",
    "alias/aws/s3",
    "us-east-1",
    "AES256",
]
ODD += [
    "aws:kms",
    "bytes=0-",
    "bytes=5-1",
    '"x"',
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "2015-01-01T00:00:00Z",
    "REPLACE",
    "k",
    "COMPOSITE",
]
odd = st.one_of(st.sampled_from(ODD), st.text(max_size=12))
for_header = odd.map(lambda text: "".join(c for c in text if " " <= c <= "\xff" and c != "\x7f").strip())

POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
TRUST = POLICY.replace('"Resource": "*"', '"Principal": "*"').replace('"*", "Pr', '"sts:AssumeRole", "Pr')
MANAGED = "arn:aws:iam::aws:policy/ReadOnlyAccess"
LIKELY: dict[str, list[str]] = {
    "KeyId": ["alias/a"],
    "DestinationKeyId": ["alias/a"],
    "AliasName": ["alias/a", "alias/b"],
    "UserName": ["a", "b"],
    "GroupName": ["a", "b"],
    "RoleName": ["a", "b"],
    "InstanceProfileName": ["a", "b"],
    "PolicyName": ["a", "b"],
    "PolicyArn": [MANAGED, "arn:aws:iam::111122223333:policy/a"],
    "PermissionsBoundary": [MANAGED],
    "PolicyDocument": [POLICY, TRUST],
    "AssumeRolePolicyDocument": [TRUST],
    "Policy": [POLICY],
    "RoleArn": ["arn:aws:iam::111122223333:role/a"],
    "RoleSessionName": ["ab"],
    "Path": ["/", "/a/"],
    "Name": ["ab"],
    "VersionId": ["v1", "v2"],
    "Status": ["Active"],
    "GranteePrincipal": ["arn:aws:iam::111122223333:root"],
}
"""What gets past validation, for members of these names."""

NEVER = frozenset(("AdvanceClock", "CreateAccount"))
"""Would change the session's server for other tests."""


def _names(service: str) -> tuple[list[str], list[str]]:
    """(the query parameters, the headers) that a REST service's operations take."""
    found: dict[str, set[str]] = {"querystring": set(), "header": set()}
    for name, _, uri in models.service(service).operation_uris():
        found["querystring"] |= {part.partition("=")[0] for part in uri.partition("?")[2].split("&") if part}
        shape = models.service(service).operations[name].input
        for member, reference in (shape.members if shape is not None else {}).items():
            if reference.location in found:
                found[str(reference.location)].add(reference.location_name or member)
    return sorted(found["querystring"]), sorted(found["header"])


def test_signed_nonsense_for_s3(aws: Any, bucket: str) -> None:
    in_query, in_header = _names("s3")
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"what it holds")
    value = st.one_of(odd, st.sampled_from([upload, bucket, f"/{bucket}/k"]))
    codes: dict[str, int] = {}

    @settings(max_examples=900, **QUIET)
    @given(
        st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
        st.sampled_from([f"/{bucket}", f"/{bucket}/k", f"/{bucket}/k", "/", "/nobody-has-this"]),
        st.dictionaries(st.sampled_from(in_query), value, max_size=3),
        st.dictionaries(st.sampled_from(in_header), st.one_of(for_header, st.just(f"/{bucket}/k")), max_size=3),
        st.sampled_from([b"", b"x", b"<a/>", b"{}", b"<Delete><Object><Key>z</Key></Object></Delete>", b"\xff"]),
    )
    def ask(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> None:
        if method == "DELETE" and path == f"/{bucket}":
            path += "/k"
        target = path + ("?" + "&".join(f"{quote(n)}={quote(v, safe='')}" for n, v in query.items()) if query else "")
        headers.pop("Content-Length", None)
        answer = attacking.s3(aws, method, target, headers, body)
        assert 200 <= answer.status < 500 or answer.status == 501, (method, target, headers, body, answer)
        codes[answer.code] = codes.get(answer.code, 0) + 1

    ask()
    assert len(codes) > 10, codes
    assert codes.get("SignatureDoesNotMatch", 0) < 300, codes


def _value(draw: Any, shape: Shape, depth: int = 0) -> Any:
    """Something for a shape: of its type most of the time."""
    if depth > 4 or draw(st.integers(0, 11)) == 0:
        return draw(st.one_of(odd, st.integers(-(2**70), 2**70), st.none(), st.booleans(), st.just([]), st.just({})))
    if shape.type == "structure":
        chosen = draw(st.sets(st.sampled_from(sorted(shape.members)), max_size=4)) if shape.members else set()
        return {
            name: draw(st.sampled_from(LIKELY[name]))
            if name in LIKELY and draw(st.integers(0, 5))
            else _value(draw, shape.members[name].shape, depth + 1)
            for name in sorted({*chosen, *shape.required})
        }
    if shape.type == "list" and shape.member is not None:
        return [_value(draw, shape.member.shape, depth + 1) for _ in range(draw(st.integers(0, 2)))]
    if shape.type == "map" and shape.value is not None:
        return {draw(odd): _value(draw, shape.value.shape, depth + 1) for _ in range(draw(st.integers(0, 2)))}
    if shape.type in ("integer", "long"):
        return draw(st.sampled_from([-1, 0, 1, 7, 90, 900, 3600, 2**31, 2**63]))
    if shape.type == "boolean":
        return draw(st.booleans())
    if shape.type == "timestamp":
        return draw(st.sampled_from([0, 1.5, -1e18, 2e9, 1e300, 253402300799]))
    if shape.type == "blob":
        return draw(st.sampled_from(["", "eA==", "!!", "AAAA" * 20, "AQ" + "A" * 398]))
    if shape.enum:
        return draw(st.sampled_from(list(shape.enum)))
    return draw(odd)


@st.composite
def calls(draw: Any, services: tuple[str, ...]) -> tuple[str, str, Any]:
    service = draw(st.sampled_from(services))
    model = models.service(service)
    name = draw(st.sampled_from(sorted(set(model.operations) - NEVER)))
    shape = model.operations[name].input
    return service, name, {} if shape is None else _value(draw, shape)


def _fields(prefix: str, value: Any) -> list[tuple[str, str]]:
    """A query protocol's form; the name of a list's members doesn't matter to nonsense."""
    if isinstance(value, dict):
        return [pair for name, part in value.items() for pair in _fields(f"{prefix}.{name}" if prefix else name, part)]
    if isinstance(value, list):
        return [pair for at, part in enumerate(value, 1) for pair in _fields(f"{prefix}.member.{at}", part)]
    return [(prefix, {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value))]


def test_signed_nonsense_for_the_other_services(server: Any, aws: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    aws.kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    aws.iam.create_user(UserName="a")
    aws.iam.create_group(GroupName="a")
    aws.iam.create_role(RoleName="a", AssumeRolePolicyDocument=TRUST)
    codes: dict[str, int] = {}

    @settings(max_examples=900, **QUIET)
    @given(calls(("kms", "iam", "sts", "cloudtrail", "freehold")))
    def ask(made: tuple[str, str, Any]) -> None:
        service, name, params = made
        if service in attacking.VERSIONS:
            body = "&".join(f"{quote(n)}={quote(v, safe='')}" for n, v in _fields("", params)).encode()
            answer = attacking.call(aws, service, name, body)
        else:
            who = server.operator if service == "freehold" else aws
            target = f"{models.service(service).target_prefix}.{name}"
            answer = attacking.call(who, service, target, json.dumps(params).encode())
        assert 200 <= answer.status < 500 or answer.status == 501, (made, answer)
        codes[answer.code] = codes.get(answer.code, 0) + 1

    ask()
    assert len(codes) > 6, codes


def test_signed_and_unsigned_nonsense_for_identity_pools(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = aws.cognito_identity.create_identity_pool(
        IdentityPoolName="a",
        AllowUnauthenticatedIdentities=True,
        AllowClassicFlow=True,
        SupportedLoginProviders={"accounts.google.com": "app"},
        DeveloperProviderName="login.a",
    )
    pool_id = made["IdentityPoolId"]
    role = f"arn:aws:iam::{aws.account_id}:role/a"
    aws.cognito_identity.set_identity_pool_roles(IdentityPoolId=pool_id, Roles={"unauthenticated": role})
    guests = [aws.cognito_identity.get_id(IdentityPoolId=pool_id)["IdentityId"] for _ in range(3)]
    arn = f"arn:aws:cognito-identity:us-east-1:{aws.account_id}:identitypool/{pool_id}"
    likely: dict[str, list[Any]] = {
        "IdentityPoolId": [pool_id],
        "IdentityId": guests,
        "IdentityIdsToDelete": [["us-east-1:0"]],
        "Logins": [{"accounts.google.com": "a.b.c"}, {"login.a": "x"}, {"cognito-identity.amazonaws.com": "a.b.c"}],
        "LoginsToRemove": [["accounts.google.com"], ["login.a"]],
        "ResourceArn": [arn],
        "IdentityProviderName": ["accounts.google.com"],
        "DeveloperProviderName": ["login.a"],
        "DeveloperUserIdentifier": ["x", "y"],
        "SourceUserIdentifier": ["x"],
        "DestinationUserIdentifier": ["y"],
        "CustomRoleArn": [role],
        "RoleARN": [role],
        "IdentityPoolName": ["a"],
        "Roles": [{"authenticated": role}],
    }
    for name, values in likely.items():
        monkeypatch.setitem(LIKELY, name, values)
    codes: dict[str, int] = {}

    @settings(max_examples=600, **QUIET)
    @given(calls(("cognito-identity",)), st.booleans())
    def ask(made: tuple[str, str, Any], signed: bool) -> None:
        _, name, params = made
        target = f"AWSCognitoIdentityService.{name}"
        if name == "DeleteIdentityPool":
            params = {"IdentityPoolId": "us-east-1:0"}
        body = json.dumps(params).encode()
        if signed:
            answer = attacking.call(aws, "cognito-identity", target, body)
        else:
            fields = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
            answer = attacking.ask(aws, "POST", "/", fields, body)
        assert 200 <= answer.status < 500 or answer.status == 501, (made, answer)
        codes[answer.code] = codes.get(answer.code, 0) + 1

    ask()
    assert len(codes) > 8, codes
