"""Tokens by which others verify who somebody is here: given by boto3, verified as a stranger would."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from provider_authority import Authority, make_authority
from test_web_identity import a_role, allow, assume, events_of, fails, trust

from freehold.testing import Principal, Server, server

AUDIENCE = "https://api.example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def issuing(authority: Authority) -> Iterator[Server]:
    """A server over https that knows its public URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [
        f"--port={port}",
        f"--public-url=https://localhost:{port}",
        f"--tls-cert={authority.certificate}",
        f"--tls-key={authority.key}",
    ]
    with server(options=options, ca_bundle=str(authority.bundle)) as running:
        yield running
        assert running.log() == ""


@pytest.fixture
def ours(issuing: Server) -> Principal:
    return issuing.new_account()


def fetched(url: str, authority: Authority) -> Any:
    context = ssl.create_default_context(cafile=str(authority.bundle))
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert "max-age" in answer.headers["Cache-Control"]
        return json.load(answer)


def verified(token: str, issuer: str, authority: Authority, audience: str = AUDIENCE) -> dict[str, Any]:
    """What a stranger makes of a token, who knows the issuer's URL only."""
    metadata = fetched(f"{issuer}/.well-known/openid-configuration", authority)
    assert metadata["issuer"] == issuer
    header = jwt.get_unverified_header(token)
    assert header["alg"] in metadata["id_token_signing_alg_values_supported"]
    (key,) = [one for one in fetched(metadata["jwks_uri"], authority)["keys"] if one["kid"] == header["kid"]]
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)
    claims: dict[str, Any] = jwt.decode(
        token, jwt.PyJWK(key), algorithms=[header["alg"]], audience=audience, issuer=issuer
    )
    return claims


def test_a_stranger_verifies_who_somebody_is_here(ours: Principal, authority: Authority) -> None:
    issuer = ours.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    info = ours.iam.get_outbound_web_identity_federation_info()
    assert (info["IssuerIdentifier"], info["JwtVendingEnabled"]) == (issuer, True)
    ours.iam.create_user(UserName="worker", Tags=[{"Key": "team", "Value": "blue"}])
    for number, action in enumerate(("sts:GetWebIdentityToken", "sts:TagGetWebIdentityToken")):
        ours.iam.put_user_policy(UserName="worker", PolicyName=f"p{number}", PolicyDocument=json.dumps(allow(action)))
    worker = ours.using(ours.iam.create_access_key(UserName="worker"))
    for algorithm in ("RS256", "ES384"):
        given = worker.sts.get_web_identity_token(
            Audience=[AUDIENCE], SigningAlgorithm=algorithm, Tags=[{"Key": "job", "Value": "7"}], DurationSeconds=60
        )
        claims = verified(given["WebIdentityToken"], issuer, authority)
        assert claims["sub"] == f"arn:aws:iam::{ours.account_id}:user/worker"
        assert claims["exp"] - claims["iat"] == 60
        assert claims["exp"] == given["Expiration"].timestamp()
        assert claims["https://sts.amazonaws.com/"] == {
            "aws_account": ours.account_id,
            "source_region": "us-east-1",
            "principal_tags": {"team": "blue"},
            "request_tags": {"job": "7"},
        }
    both = worker.sts.get_web_identity_token(Audience=[AUDIENCE, "b"], SigningAlgorithm="ES384")["WebIdentityToken"]
    assert verified(both, issuer, authority, "b")["aud"] == [AUDIENCE, "b"]
    (event, *_) = events_of(ours, "GetWebIdentityToken")
    assert event["requestParameters"]["audience"] == [AUDIENCE, "b"]
    assert both.split(".")[1] not in json.dumps(event)
    assert both.split(".")[2] not in json.dumps(event)


def test_policies_limit_whom_a_token_is_for(ours: Principal) -> None:
    ours.iam.enable_outbound_web_identity_federation()
    condition = {
        "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": AUDIENCE},
        "StringEquals": {"sts:SigningAlgorithm": "ES384"},
        "NumericLessThanEquals": {"sts:DurationSeconds": "300"},
    }
    worker = ours.new_user("worker", allow("sts:GetWebIdentityToken", **condition))
    good = {"Audience": [AUDIENCE], "SigningAlgorithm": "ES384"}
    assert worker.sts.get_web_identity_token(**good)["WebIdentityToken"]
    for wrong in (
        {"Audience": ["other"]},
        {"Audience": [AUDIENCE, "other"]},
        {"SigningAlgorithm": "RS256"},
        {"DurationSeconds": 301},
    ):
        with fails("AccessDenied", 403, "sts:GetWebIdentityToken"):
            worker.sts.get_web_identity_token(**good | wrong)
    with fails("AccessDenied", 403, "sts:TagGetWebIdentityToken"):
        worker.sts.get_web_identity_token(**good, Tags=[{"Key": "a", "Value": "b"}])


def test_a_token_does_not_outlive_the_session_that_asks_for_it(ours: Principal, authority: Authority) -> None:
    issuer = ours.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    policy = json.loads(trust("x"))
    policy["Statement"][0] |= {
        "Principal": {"AWS": ours.account_id},
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
    }
    role = a_role(ours, json.dumps(policy), allow("sts:GetWebIdentityToken"))
    user = ours.new_user("u", allow("sts:*"))
    given = user.sts.assume_role(RoleArn=role, RoleSessionName="session", DurationSeconds=900, SourceIdentity="alice")
    session = ours.using(given)
    asked = {"Audience": [AUDIENCE], "SigningAlgorithm": "RS256"}
    with fails("SessionDurationEscalationException", 403):
        session.sts.get_web_identity_token(**asked, DurationSeconds=901)
    claims = verified(session.sts.get_web_identity_token(**asked)["WebIdentityToken"], issuer, authority)
    assert claims["sub"] == role
    about = claims["https://sts.amazonaws.com/"]
    assert about["source_identity"] == "alice"
    assert about["original_session_exp"] == f"{given['Credentials']['Expiration']:%Y-%m-%dT%H:%M:%SZ}"


def test_the_issuer_stays_the_same_and_its_keys_stay_public(ours: Principal, authority: Authority) -> None:
    asked = {"Audience": [AUDIENCE], "SigningAlgorithm": "ES384"}
    with fails("FeatureDisabled", 404):
        ours.iam.get_outbound_web_identity_federation_info()
    with fails("FeatureDisabled", 404):
        ours.iam.disable_outbound_web_identity_federation()
    with fails("OutboundWebIdentityFederationDisabledException", 403):
        ours.sts.get_web_identity_token(**asked)
    issuer = ours.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    with fails("FeatureEnabled", 409):
        ours.iam.enable_outbound_web_identity_federation()
    token = ours.sts.get_web_identity_token(**asked)["WebIdentityToken"]
    ours.iam.disable_outbound_web_identity_federation()
    with fails("OutboundWebIdentityFederationDisabledException", 403):
        ours.sts.get_web_identity_token(**asked)
    assert verified(token, issuer, authority)["sub"] == f"arn:aws:iam::{ours.account_id}:root"
    assert ours.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"] == issuer
    assert verified(token, issuer, authority)


def test_wrong_parameters_are_refused(ours: Principal) -> None:
    ours.iam.enable_outbound_web_identity_federation()
    with fails("ValidationError", 400):
        ours.sts.get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="HS256")
    tags = [{"Key": f"{number:0128}", "Value": "v" * 256} for number in range(50)]
    with fails("JWTPayloadSizeExceededException", 400):
        ours.sts.get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="ES384", Tags=tags)


def test_only_an_issuers_two_documents_are_public(ours: Principal, authority: Authority) -> None:
    issuer = ours.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    for url in (
        issuer,
        f"{issuer}/.well-known/",
        f"{issuer}/.well-known/openid-configuration/",
        f"{issuer}/.well-known/../.well-known/jwks.json",
        issuer[:-1] + ("0" if issuer[-1] != "0" else "1") + "/.well-known/jwks.json",
        issuer.rpartition("/")[0] + "/%2e%2e/.well-known/jwks.json",
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetched(url, authority)
        assert caught.value.code in (400, 403, 404)
        caught.value.close()


def test_other_accounts_and_users_cannot_enable_it(ours: Principal) -> None:
    nobody = ours.new_user("nobody")
    for call in (
        nobody.iam.enable_outbound_web_identity_federation,
        nobody.iam.disable_outbound_web_identity_federation,
        nobody.iam.get_outbound_web_identity_federation_info,
    ):
        with fails("AccessDenied", 403):
            call()


def test_a_server_without_a_public_url_says_what_it_needs(aws: Principal) -> None:
    with fails("NotImplemented", 501, "--public-url"):
        aws.iam.enable_outbound_web_identity_federation()


def test_another_deployment_lets_in_who_is_vouched_for_here(ours: Principal, authority: Authority) -> None:
    """The token of one deployment assumes a role of another, which knows it as an OpenID Connect provider."""
    issuer = ours.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    token = ours.sts.get_web_identity_token(Audience=["other"], SigningAlgorithm="RS256")["WebIdentityToken"]
    options = [f"--issuer=partner.example.com={issuer}", f"--issuer-ca={authority.bundle}"]
    with server(options=options) as other:
        theirs = other.new_account()
        made = theirs.iam.create_open_id_connect_provider(Url="https://partner.example.com", ClientIDList=["other"])
        subject = {"partner.example.com:sub": f"arn:aws:iam::{ours.account_id}:root"}
        role = a_role(theirs, trust(made["OpenIDConnectProviderArn"], StringEquals=subject))
        given = assume(theirs, role, token)
        assert given["SubjectFromWebIdentityToken"] == f"arn:aws:iam::{ours.account_id}:root"


def test_a_deployments_own_tokens_assume_no_roles_in_it(ours: Principal) -> None:
    issuer = ours.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    token = ours.sts.get_web_identity_token(Audience=["app"], SigningAlgorithm="RS256")["WebIdentityToken"]
    role = a_role(ours, trust(f"arn:aws:iam::{ours.account_id}:oidc-provider/{issuer[8:]}"))
    from botocore import UNSIGNED
    from botocore.config import Config

    sts = ours.client("sts", config=Config(signature_version=UNSIGNED))
    with fails("InvalidIdentityToken", 400, "cannot be used to assume roles here"):
        sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="session", WebIdentityToken=token)


# Rotation


def test_keys_are_rotated_and_no_token_ever_lacks_its_published_key(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [
        f"--port={port}",
        f"--public-url=https://localhost:{port}",
        f"--tls-cert={authority.certificate}",
        f"--tls-key={authority.key}",
    ]
    with server(options=options, ca_bundle=str(authority.bundle)) as running:
        ours = running.new_account()
        issuer = ours.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
        worker = ours.new_user("worker", allow("sts:GetWebIdentityToken"))

        def published() -> dict[str, Any]:
            return {key["kid"]: key for key in fetched(f"{issuer}/.well-known/jwks.json", authority)["keys"]}

        def token(algorithm: str) -> str:
            asked = {"Audience": [AUDIENCE], "SigningAlgorithm": algorithm, "DurationSeconds": 3600}
            given: str = worker.sts.get_web_identity_token(**asked)["WebIdentityToken"]
            return given

        def by_published(given: str) -> str:
            header = jwt.get_unverified_header(given)
            key = jwt.PyJWK(published()[header["kid"]])
            # The token's times are the deployment's, whose clock was moved.
            unmoved = {"verify_iat": False, "verify_exp": False}
            jwt.decode(given, key, algorithms=[header["alg"]], audience=AUDIENCE, options=unmoved)
            return str(header["kid"])

        for algorithm in ("RS256", "ES384"):
            by_published(token(algorithm))
        first = {algorithm: by_published(token(algorithm)) for algorithm in ("RS256", "ES384")}
        assert set(published()) == set(first.values())
        running.advance(days=28, hours=23)
        assert set(published()) == set(first.values())
        running.advance(hours=2)  # a day before they are changed, the next ones are known
        assert len(published()) == 4
        assert {algorithm: by_published(token(algorithm)) for algorithm in first} == first
        running.advance(hours=22)
        last = [token(algorithm) for algorithm in first]
        running.advance(hours=2)
        second = {algorithm: by_published(token(algorithm)) for algorithm in first}
        assert set(second.values()).isdisjoint(first.values())
        assert [by_published(one) for one in last] == list(first.values())
        running.advance(hours=24)
        assert set(published()) == set(second.values())
        running.advance(days=300)  # nobody looked for long: one change, with its day of notice
        assert len(published()) == 4
        assert {algorithm: by_published(token(algorithm)) for algorithm in second} == second
        running.advance(days=1)
        third = {algorithm: by_published(token(algorithm)) for algorithm in first}
        assert set(third.values()).isdisjoint(second.values())
        assert running.log() == ""
