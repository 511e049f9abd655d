"""An app in JavaScript whose user signs in at a real OpenID provider: the SDK's own Cognito credentials, unmodified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clients_programs import environment_of, succeed
from test_javascript import HERE, node

from freehold.testing import server

if TYPE_CHECKING:
    from openid_provider import OpenIdProvider

__all__ = ["node"]

COGNITO = "cognito-identity.amazonaws.com"


def test_an_apps_user_reaches_what_is_their_own(node: str, openid_provider: OpenIdProvider, home: Path) -> None:
    with server(options=openid_provider.options) as made:
        aws: Any = made.account
        bucket = f"b-{aws.account_id}"
        aws.s3.create_bucket(Bucket=bucket)
        pool_id = aws.cognito_identity.create_identity_pool(
            IdentityPoolName="app",
            AllowUnauthenticatedIdentities=False,
            SupportedLoginProviders={"accounts.google.com": "app"},
        )["IdentityPoolId"]
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": COGNITO},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{COGNITO}:aud": pool_id}},
        }
        own = {
            "Effect": "Allow",
            "Action": "s3:*Object",
            "Resource": f"arn:aws:s3:::{bucket}/${{{COGNITO}:sub}}/*",
        }
        role = aws.iam.create_role(RoleName="app", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        aws.iam.put_role_policy(RoleName="app", PolicyName="own", PolicyDocument=_policy(own))
        aws.cognito_identity.set_identity_pool_roles(IdentityPoolId=pool_id, Roles={"authenticated": role})

        def app(user: str, someone_else: str) -> dict[str, str]:
            token = openid_provider.id_token(user)
            words = (str(HERE / "app.mjs"), made.endpoint, pool_id, bucket, token, someone_else)
            said: dict[str, str] = json.loads(succeed(node, *words, environment=environment_of(aws, home)))
            return said

        alice = app("alice", "nobody")
        bob = app("bob", alice["identityId"])
        assert alice["identityId"] != bob["identityId"]
        assert {alice["body"], bob["body"]} == {"mine"}
        assert bob["refusal"] == "AccessDenied"
        kept = aws.s3.list_objects_v2(Bucket=bucket)["Contents"]
        assert {entry["Key"] for entry in kept} == {f"{one['identityId']}/notes" for one in (alice, bob)}


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
