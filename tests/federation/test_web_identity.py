"""AssumeRoleWithWebIdentity with real sign-ins at a real provider, as boto3 sees it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from freehold.testing import Principal, server

if TYPE_CHECKING:
    from openid_provider import OpenIdProvider

GOOGLE = "accounts.google.com"
CUSTOM = "idp.example.com"


@contextmanager
def fails(code: str, status: int, text: str = "") -> Any:
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    got = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    assert (got, text in response["Error"]["Message"]) == ((code, status), True), response["Error"]


def trust(federated: str, *actions: str, **condition: Any) -> str:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Federated": federated},
        "Action": ["sts:AssumeRoleWithWebIdentity", *actions],
    }
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(action: str, resource: str = "*", **condition: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def anonymous(aws: Principal) -> Any:
    """An STS client that signs nothing."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return boto3.client("sts", endpoint_url=aws.endpoint, region_name="us-east-1", config=config)


def a_role(aws: Principal, trust_policy: str, *policies: dict[str, Any], **more: Any) -> str:
    arn: str = aws.iam.create_role(RoleName="app", AssumeRolePolicyDocument=trust_policy, **more)["Role"]["Arn"]
    for number, policy in enumerate(policies):
        aws.iam.put_role_policy(RoleName="app", PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
    return arn


def a_provider(aws: Principal, *client_ids: str) -> str:
    made = aws.iam.create_open_id_connect_provider(Url=f"https://{CUSTOM}", ClientIDList=client_ids or ("app",))
    return str(made["OpenIDConnectProviderArn"])


def arn_of(aws: Principal, name: str) -> str:
    return f"arn:aws:iam::{aws.account_id}:oidc-provider/{name}"


def assume(aws: Principal, role: str, token: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = anonymous(aws).assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="session", WebIdentityToken=token, **more
    )
    return answer


def test_whoever_signs_in_at_google_gets_the_role_that_trusts_them(
    aws: Principal, openid_provider: OpenIdProvider
) -> None:
    condition = {f"{GOOGLE}:aud": "app", f"{GOOGLE}:sub": "alice"}
    role = a_role(aws, trust(GOOGLE, StringEquals=condition), allow("iam:ListUsers"))
    given = assume(aws, role, openid_provider.id_token("alice"), DurationSeconds=900)
    assert given["SubjectFromWebIdentityToken"] == "alice"
    assert given["Audience"] == "app"
    assert given["Provider"] == GOOGLE
    assert given["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{aws.account_id}:assumed-role/app/session"
    session = aws.using(given)
    assert session.iam.list_users()["Users"] == []
    with fails("AccessDenied", 403):
        session.iam.list_roles()
    for token in (openid_provider.id_token("bob"), openid_provider.id_token("alice", client_id="other-app")):
        with fails("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity"):
            assume(aws, role, token)


def test_a_session_keeps_what_the_provider_said_for_its_own_policies(
    aws: Principal, openid_provider: OpenIdProvider
) -> None:
    aws.s3.create_bucket(Bucket=f"b-{aws.account_id}")
    role = a_role(
        aws,
        trust(GOOGLE, StringEquals={f"{GOOGLE}:aud": "app"}),
        allow("s3:*Object", f"arn:aws:s3:::b-{aws.account_id}/${{{GOOGLE}:sub}}/*"),
        allow("iam:ListUsers", StringEquals={"aws:FederatedProvider": GOOGLE, f"{GOOGLE}:aud": "app"}),
        allow("iam:ListRoles", StringEquals={"aws:FederatedProvider": "other.example.com"}),
    )
    alice = aws.using(assume(aws, role, openid_provider.id_token("alice")))
    alice.s3.put_object(Bucket=f"b-{aws.account_id}", Key="alice/notes", Body=b"mine")
    with fails("AccessDenied", 403):
        alice.s3.put_object(Bucket=f"b-{aws.account_id}", Key="bob/notes", Body=b"not mine")
    assert alice.iam.list_users()["Users"] == []
    with fails("AccessDenied", 403):
        alice.iam.list_roles()


def test_an_accounts_own_provider_lets_in_the_applications_that_it_lists(
    aws: Principal, openid_provider: OpenIdProvider
) -> None:
    provider = a_provider(aws)
    role = a_role(aws, trust(provider, StringEquals={f"{CUSTOM}:sub": "alice"}))
    given = assume(aws, role, openid_provider.id_token("alice"))
    assert given["Provider"] == provider
    with fails("InvalidIdentityToken", 400, "Incorrect token audience"):
        assume(aws, role, openid_provider.id_token("alice", client_id="other-app"))
    aws.iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=provider, ClientID="other-app")
    assert assume(aws, role, openid_provider.id_token("alice", client_id="other-app"))["Audience"] == "other-app"
    aws.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    # The provider's other name is Google's, whom this role doesn't trust.
    with fails("AccessDenied", 403):
        assume(aws, role, openid_provider.id_token("alice"))


def test_a_provider_that_the_account_does_not_have_is_unknown(aws: Principal) -> None:
    role = a_role(aws, trust(arn_of(aws, "nobody.example.com")))
    token = jwt.encode({"iss": "https://nobody.example.com"}, "x" * 32, algorithm="HS256", headers={"alg": "HS256"})
    header = base64.urlsafe_b64encode(b'{"alg":"RS256"}').rstrip(b"=").decode()
    with fails("InvalidIdentityToken", 400, "No OpenIDConnect provider found in your account for https://nobody.ex"):
        assume(aws, role, header + token[token.index(".") :])


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"])
def test_each_algorithm_that_aws_accepts_is_accepted(
    aws: Principal, openid_provider: OpenIdProvider, algorithm: str
) -> None:
    client_id = f"app-{algorithm}"
    role = a_role(aws, trust(a_provider(aws, client_id)))
    assert assume(aws, role, openid_provider.id_token("alice", client_id=client_id))["Audience"] == client_id


@pytest.mark.parametrize("algorithm", ["PS256", "PS384", "PS512", "HS256"])
def test_no_other_algorithm_is_accepted(aws: Principal, openid_provider: OpenIdProvider, algorithm: str) -> None:
    client_id = f"app-{algorithm}"
    role = a_role(aws, trust(a_provider(aws, client_id)))
    with fails("InvalidIdentityToken", 400, "must be signed with one of"):
        assume(aws, role, openid_provider.id_token("alice", client_id=client_id))


def test_the_authorized_party_is_the_audience_where_a_token_names_one(
    aws: Principal, openid_provider: OpenIdProvider
) -> None:
    openid_provider.set_claims("hybrid", azp="android")
    role = a_role(aws, trust(GOOGLE, StringEquals={f"{GOOGLE}:aud": "android", f"{GOOGLE}:oaud": "app"}))
    token = openid_provider.id_token("hybrid")
    assert assume(aws, role, token)["Audience"] == "android"
    other = aws.iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust(a_provider(aws)))["Role"]["Arn"]
    with fails("InvalidIdentityToken", 400, "Incorrect token audience"):
        assume(aws, other, token)


def test_how_somebody_signed_in_is_the_trust_policys_to_ask(aws: Principal, openid_provider: OpenIdProvider) -> None:
    openid_provider.set_claims("careful", amr=["pwd", "mfa"])
    openid_provider.set_claims("careless", amr=["pwd"])
    with_mfa = {"ForAnyValue:StringEquals": {f"{GOOGLE}:amr": "mfa"}}
    role = a_role(
        aws,
        trust(GOOGLE, **with_mfa),
        allow("iam:ListUsers", **with_mfa),
        allow("iam:ListRoles", **{"ForAnyValue:StringEquals": {f"{GOOGLE}:amr": "hwk"}}),
    )
    for refused in ("careless", "alice"):
        with fails("AccessDenied", 403):
            assume(aws, role, openid_provider.id_token(refused))
    session = aws.using(assume(aws, role, openid_provider.id_token("careful")))
    assert session.iam.list_users()["Users"] == []
    with fails("AccessDenied", 403):
        session.iam.list_roles()


def test_session_tags_and_source_identity_come_with_the_token(aws: Principal, openid_provider: OpenIdProvider) -> None:
    openid_provider.set_claims(
        "tagged",
        **{
            "https://aws.amazon.com/tags": {
                "principal_tags": {"Team": ["blue"], "Cost": ["7"]},
                "transitive_tag_keys": ["Team"],
            },
            "https://aws.amazon.com/source_identity": "tagged@example.com",
        },
    )
    token = openid_provider.id_token("tagged")
    role = a_role(aws, trust(GOOGLE), allow("iam:ListUsers", StringEquals={"aws:PrincipalTag/team": "blue"}))
    for missing in ("sts:TagSession", "sts:SetSourceIdentity"):
        with fails("AccessDenied", 403, f"Not authorized to perform {missing}"):
            assume(aws, role, token)
        given = [missing] if missing == "sts:TagSession" else []
        aws.iam.update_assume_role_policy(RoleName="app", PolicyDocument=trust(GOOGLE, *given))
    condition = {
        "aws:RequestTag/Team": "blue",
        "sts:SourceIdentity": "tagged@example.com",
        "sts:RoleSessionName": "session",
    }
    aws.iam.update_assume_role_policy(
        RoleName="app",
        PolicyDocument=trust(GOOGLE, "sts:TagSession", "sts:SetSourceIdentity", StringEquals=condition),
    )
    answer = assume(aws, role, token)
    assert answer["SourceIdentity"] == "tagged@example.com"
    assert 0 < answer["PackedPolicySize"] <= 100
    session = aws.using(answer)
    assert session.iam.list_users()["Users"] == []
    # The transitive tag goes on along a chain of roles.
    chained = aws.iam.create_role(
        RoleName="chained",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": aws.account_id},
                        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
                        "Condition": {"StringEquals": {"aws:RequestTag/Team": "blue"}},
                    }
                ],
            }
        ),
    )["Role"]["Arn"]
    for number, action in enumerate(("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")):
        aws.iam.put_role_policy(RoleName="app", PolicyName=f"c{number}", PolicyDocument=json.dumps(allow(action)))
    assert session.sts.assume_role(RoleArn=chained, RoleSessionName="two")["SourceIdentity"] == "tagged@example.com"


def test_session_policies_and_durations_have_limits(aws: Principal, openid_provider: OpenIdProvider) -> None:
    role = a_role(aws, trust(GOOGLE), allow("iam:*"))
    token = openid_provider.id_token("alice")
    session = aws.using(assume(aws, role, token, Policy=json.dumps(allow("iam:ListUsers"))))
    assert session.iam.list_users()["Users"] == []
    with fails("AccessDenied", 403, "because no session policy allows"):
        session.iam.list_roles()
    with fails("MalformedPolicyDocument", 400):
        assume(aws, role, token, Policy="{}")
    with fails("ValidationError", 400, "MaxSessionDuration"):
        assume(aws, role, token, DurationSeconds=3601)
    arns = [f"arn:aws:iam::aws:policy/{name}" for name in ("ReadOnlyAccess", "SecurityAudit", "PowerUserAccess")]
    with fails("PackedPolicyTooLarge", 400):
        assume(
            aws,
            role,
            token,
            Policy=json.dumps(allow("iam:ListUsers", "arn:aws:iam::*:" + "x" * 1900)),
            PolicyArns=[{"arn": arn} for arn in arns],
        )


def test_a_role_that_is_not_there_is_refused_like_one_that_trusts_others(
    aws: Principal, openid_provider: OpenIdProvider
) -> None:
    token = openid_provider.id_token("alice")
    role = a_role(aws, trust("www.amazon.com"))
    for arn in (role, f"{role}-not-there"):
        with fails("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity"):
            assume(aws, arn, token)
    with fails("ValidationError", 400):
        assume(aws, f"arn:aws:iam::{aws.account_id}:user/app", token)


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("nonsense", "not a valid JWT"),
        ("a.b.c", "not a valid JWT"),
        ("e30.e30.e30", "must be signed with"),
        ("x" * 20_000, "not a valid JWT"),
    ],
)
def test_what_is_no_token_is_refused(aws: Principal, token: str, text: str) -> None:
    with fails("InvalidIdentityToken", 400, text):
        assume(aws, a_role(aws, trust(GOOGLE)), token)


def test_access_tokens_of_oauth_providers_are_refused_honestly(aws: Principal) -> None:
    role = a_role(aws, trust("graph.facebook.com"))
    with fails("NotImplemented", 501, "graph.facebook.com"):
        assume(aws, role, "an access token", ProviderId="graph.facebook.com")
    with fails("ValidationError", 400):
        assume(aws, role, "an access token", ProviderId="accounts.google.com")


def test_a_role_trusts_no_provider_of_another_account(aws: Principal) -> None:
    foreign = a_provider(aws).replace(aws.account_id, "999999999999")
    with fails("MalformedPolicyDocument", 400):
        a_role(aws, trust(foreign))


def events_of(aws: Principal, name: str) -> list[dict[str, Any]]:
    found = aws.cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}])
    return [json.loads(event["CloudTrailEvent"]) for event in found["Events"]]


def test_the_trail_shows_who_signed_in_and_no_token(aws: Principal, openid_provider: OpenIdProvider) -> None:
    provider = a_provider(aws)
    role = a_role(aws, trust(provider, StringEquals={f"{CUSTOM}:sub": "alice"}), allow("iam:ListUsers"))
    token, refused = openid_provider.id_token("alice"), openid_provider.id_token("mallory")
    given = assume(aws, role, token)
    with fails("AccessDenied", 403):
        assume(aws, role, refused)
    with fails("InvalidIdentityToken", 400):
        assume(aws, role, refused[:-8] + "AAAAAAAA")
    aws.using(given).iam.list_users()
    tampered, denied, allowed = events_of(aws, "AssumeRoleWithWebIdentity")
    assert allowed["userIdentity"] == {
        "type": "WebIdentityUser",
        "principalId": f"{provider}:app:alice",
        "userName": "alice",
        "identityProvider": provider,
    }
    assert allowed["requestParameters"]["roleArn"] == role
    assert allowed["responseElements"]["subjectFromWebIdentityToken"] == "alice"
    assert allowed["responseElements"]["provider"] == provider
    assert (denied["errorCode"], denied["userIdentity"]["userName"]) == ("AccessDenied", "mallory")
    assert tampered["errorCode"] == "InvalidIdentityToken"
    assert tampered["userIdentity"]["type"] == "WebIdentityUser"
    assert tampered["userIdentity"].get("userName", "") != "mallory"
    whole = json.dumps([tampered, denied, allowed])
    for secret in (*token.split("."), *refused.split(".")[1:], given["Credentials"]["SessionToken"]):
        assert secret not in whole
    (used,) = [event for event in events_of(aws, "ListUsers") if event["userIdentity"]["type"] == "AssumedRole"]
    assert used["userIdentity"]["sessionContext"]["webIdFederationData"]["federatedProvider"] == provider


def test_keys_are_rotated_without_a_restart(rotating_provider: OpenIdProvider) -> None:
    with server(options=rotating_provider.options) as running:
        aws = running.new_account()
        role = a_role(aws, trust(GOOGLE))
        old = rotating_provider.id_token("alice")
        assert assume(aws, role, old)["Provider"] == GOOGLE
        rotating_provider.rotate(keep=True)
        assert assume(aws, role, rotating_provider.id_token("alice"))["Provider"] == GOOGLE
        assert assume(aws, role, old)["Provider"] == GOOGLE
        rotating_provider.rotate()
        assert assume(aws, role, rotating_provider.id_token("alice"))["Provider"] == GOOGLE
        with fails("InvalidIdentityToken", 400, "Couldn't retrieve verification key"):
            assume(aws, role, old)


def test_a_thumbprint_vouches_where_no_authority_does(openid_provider: OpenIdProvider) -> None:
    with server(options=[f"--issuer={CUSTOM}={openid_provider.issuer}"]) as running:
        aws = running.new_account()
        with fails("OpenIdIdpCommunicationError", 400, "ThumbprintList"):
            aws.iam.create_open_id_connect_provider(Url=f"https://{CUSTOM}")
        made = aws.iam.create_open_id_connect_provider(
            Url=f"https://{CUSTOM}", ClientIDList=["app"], ThumbprintList=[openid_provider.authority.thumbprint.upper()]
        )
        role = a_role(aws, trust(made["OpenIDConnectProviderArn"]))
        assert assume(aws, role, openid_provider.id_token("alice"))["Audience"] == "app"
        aws.iam.update_open_id_connect_provider_thumbprint(
            OpenIDConnectProviderArn=made["OpenIDConnectProviderArn"], ThumbprintList=["00" * 20]
        )
        with fails("InvalidIdentityToken", 400, "HTTPS certificate doesn't match configured thumbprint"):
            assume(aws, role, openid_provider.id_token("alice"))


def test_a_workload_works_with_its_token_file_alone(
    aws: Principal, openid_provider: OpenIdProvider, tmp_path: Path
) -> None:
    """As pods and build jobs do: the SDK reads a file, calls STS unsigned, and signs with what it gets."""
    role = a_role(aws, trust(GOOGLE, StringEquals={f"{GOOGLE}:sub": "job"}))
    token_file = tmp_path / "token"
    token_file.write_text(openid_provider.id_token("job"))
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ROLE_ARN": role,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
        "AWS_ROLE_SESSION_NAME": "build-7",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == f"arn:aws:sts::{aws.account_id}:assumed-role/app/build-7", done.stderr
