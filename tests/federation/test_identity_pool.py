"""A mobile app's user signs in at a real OpenID provider in Google's place and reaches their own S3 prefix alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from freehold.testing import Principal, server

if TYPE_CHECKING:
    from openid_provider import OpenIdProvider

GOOGLE = "accounts.google.com"
COGNITO = "cognito-identity.amazonaws.com"
SUB = "${cognito-identity.amazonaws.com:sub}"


@pytest.fixture(scope="module")
def aws(openid_provider: OpenIdProvider) -> Iterator[Principal]:
    with server(options=openid_provider.options) as made:
        yield made.account


class App:
    """The app: an identity pool, its role, and a bucket with a prefix for each user."""

    def __init__(self, aws: Principal) -> None:
        self.aws = aws
        self.bucket = f"b-{aws.account_id}"
        aws.s3.create_bucket(Bucket=self.bucket)
        self.pool_id = aws.cognito_identity.create_identity_pool(
            IdentityPoolName="app",
            AllowUnauthenticatedIdentities=False,
            AllowClassicFlow=True,
            SupportedLoginProviders={GOOGLE: "app"},
        )["IdentityPoolId"]
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": COGNITO},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{COGNITO}:aud": self.pool_id},
                "ForAnyValue:StringLike": {f"{COGNITO}:amr": "authenticated"},
            },
        }
        own = [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": f"arn:aws:s3:::{self.bucket}/{SUB}/*",
            },
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": f"arn:aws:s3:::{self.bucket}",
                "Condition": {"StringLike": {"s3:prefix": [f"{SUB}/*"]}},
            },
        ]
        self.role = aws.iam.create_role(RoleName="app-user", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        aws.iam.put_role_policy(RoleName="app-user", PolicyName="own", PolicyDocument=_policy(*own))
        aws.cognito_identity.set_identity_pool_roles(IdentityPoolId=self.pool_id, Roles={"authenticated": self.role})

    def client(self, service: str) -> Any:
        """For whoever has no credentials, as an app has none."""
        config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={})
        return boto3.client(service, endpoint_url=self.aws.endpoint, region_name="us-east-1", config=config)

    def enhanced(self, login: str) -> tuple[str, Principal]:
        cognito, logins = self.client("cognito-identity"), {GOOGLE: login}
        identity = cognito.get_id(IdentityPoolId=self.pool_id, Logins=logins)["IdentityId"]
        given = cognito.get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"]
        return identity, self.aws.using({**given, "SecretAccessKey": given["SecretKey"]})

    def basic(self, login: str) -> tuple[str, Principal]:
        cognito, logins = self.client("cognito-identity"), {GOOGLE: login}
        identity = cognito.get_id(IdentityPoolId=self.pool_id, Logins=logins)["IdentityId"]
        token = cognito.get_open_id_token(IdentityId=identity, Logins=logins)["Token"]
        given = self.client("sts").assume_role_with_web_identity(
            RoleArn=self.role, RoleSessionName="phone", WebIdentityToken=token
        )
        return identity, self.aws.using(given)


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def app(aws: Principal) -> App:
    return App(aws)


@pytest.mark.parametrize("flow", [App.enhanced, App.basic])
def test_a_user_reaches_their_own_prefix_and_nobody_elses(app: App, openid_provider: OpenIdProvider, flow: Any) -> None:
    alice_id, alice = flow(app, openid_provider.id_token("alice"))
    bob_id, bob = flow(app, openid_provider.id_token("bob"))
    assert alice_id != bob_id
    for own, other, user in ((alice_id, bob_id, alice), (bob_id, alice_id, bob)):
        user.s3.put_object(Bucket=app.bucket, Key=f"{own}/notes.txt", Body=own.encode())
        assert user.s3.get_object(Bucket=app.bucket, Key=f"{own}/notes.txt")["Body"].read() == own.encode()
        listed = user.s3.list_objects_v2(Bucket=app.bucket, Prefix=f"{own}/")["Contents"]
        assert [entry["Key"] for entry in listed] == [f"{own}/notes.txt"]
        app.aws.s3.put_object(Bucket=app.bucket, Key=f"{other}/theirs", Body=b"not yours")
        for refused in (
            lambda u=user, o=other: u.s3.get_object(Bucket=app.bucket, Key=f"{o}/theirs"),
            lambda u=user, o=other: u.s3.put_object(Bucket=app.bucket, Key=f"{o}/theirs", Body=b"mine"),
            lambda u=user, o=other: u.s3.delete_object(Bucket=app.bucket, Key=f"{o}/theirs"),
            lambda u=user, o=other: u.s3.list_objects_v2(Bucket=app.bucket, Prefix=f"{o}/"),
            lambda u=user: u.s3.list_objects_v2(Bucket=app.bucket),
            lambda u=user: u.s3.put_object(Bucket=app.bucket, Key="notes.txt", Body=b""),
            lambda u=user: u.s3.list_buckets(),
            lambda u=user: u.cognito_identity.list_identity_pools(MaxResults=1),
        ):
            with pytest.raises(ClientError) as caught:
                refused()
            assert caught.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
        app.aws.s3.delete_object(Bucket=app.bucket, Key=f"{other}/theirs")


def test_whoever_signed_in_to_another_app_is_not_let_in(app: App, openid_provider: OpenIdProvider) -> None:
    with pytest.raises(ClientError, match=r"NotAuthorizedException.*Invalid login token. Incorrect token audience"):
        app.enhanced(openid_provider.id_token("alice", client_id="other-app"))


def test_googles_own_token_is_no_token_of_the_pool(app: App, openid_provider: OpenIdProvider) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|InvalidIdentityToken"):
        app.client("sts").assume_role_with_web_identity(
            RoleArn=app.role, RoleSessionName="phone", WebIdentityToken=openid_provider.id_token("alice")
        )
