"""An app's developer and its users: what the tests of identity pools say often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from freehold.testing import Principal

OWN = "cognito-identity.amazonaws.com"
GOOGLE = "accounts.google.com"


@contextmanager
def fails(code: str, text: str = "", status: int = 400) -> Iterator[Any]:
    with pytest.raises(ClientError) as caught:
        yield caught
    response = caught.value.response
    got = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    assert (got, text in response["Error"]["Message"]) == ((code, status), True), response["Error"]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: Any = "*", **condition: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return made | ({"Condition": condition} if condition else {})


class App:
    """`aws`: the developer, root of an account. `public`: Cognito for whoever has no credentials."""

    def __init__(self, aws: Principal) -> None:
        self.aws = aws
        self.cognito = aws.cognito_identity

    @cached_property
    def public(self) -> Any:
        return self.unsigned("cognito-identity")

    def unsigned(self, service: str) -> Any:
        config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={})
        return boto3.client(
            service,
            endpoint_url=self.aws.endpoint,
            region_name="us-east-1",
            config=config,
            verify=self.aws.ca_bundle,
        )

    def pool(self, *, guests: bool = False, **params: Any) -> str:
        """A pool whose users come from Google (client id `app`), unless other providers are named."""
        if not params.keys() & {"CognitoIdentityProviders", "OpenIdConnectProviderARNs", "SamlProviderARNs"}:
            params.setdefault("SupportedLoginProviders", {GOOGLE: "app"})
        made = self.cognito.create_identity_pool(
            IdentityPoolName="pool", AllowUnauthenticatedIdentities=guests, **params
        )
        return str(made["IdentityPoolId"])

    def trust(self, pool_id: str, amr: str = "authenticated", *, tags: bool = False) -> str:
        """The trust policy that AWS's pages show."""
        actions = ["sts:AssumeRoleWithWebIdentity", *(["sts:TagSession"] if tags else [])]
        return policy(
            {
                "Effect": "Allow",
                "Principal": {"Federated": OWN},
                "Action": actions,
                "Condition": {
                    "StringEquals": {f"{OWN}:aud": pool_id},
                    "ForAnyValue:StringLike": {f"{OWN}:amr": amr},
                },
            }
        )

    def role(self, name: str, trust: str, *statements: dict[str, Any]) -> str:
        arn: str = self.aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        if statements:
            self.aws.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))
        return arn

    def set_roles(self, pool_id: str, mappings: dict[str, Any] | None = None, **roles: str) -> None:
        more = {"RoleMappings": mappings} if mappings else {}
        self.cognito.set_identity_pool_roles(IdentityPoolId=pool_id, Roles=roles, **more)

    def ready(self, *statements: dict[str, Any], tags: bool = False, **params: Any) -> str:
        """A pool with a role for its authenticated users."""
        pool_id = self.pool(**params)
        self.set_roles(pool_id, authenticated=self.role("user", self.trust(pool_id, tags=tags), *statements))
        return pool_id

    def get_id(self, pool_id: str, **logins: str) -> str:
        """The identity of logins; names with an underscore for each dot."""
        given = {"Logins": named(logins)} if logins else {}
        return str(self.public.get_id(IdentityPoolId=pool_id, **given)["IdentityId"])

    def credentials(self, identity_id: str, logins: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        given = {"Logins": logins} if logins else {}
        answer: dict[str, Any] = self.public.get_credentials_for_identity(IdentityId=identity_id, **given, **more)
        return answer

    def signed_in(self, identity_id: str, logins: dict[str, str] | None = None, **more: Any) -> Principal:
        """The user, with credentials of the enhanced flow."""
        given = self.credentials(identity_id, logins, **more)["Credentials"]
        return self.aws.using({**given, "SecretAccessKey": given["SecretKey"]})

    def session_of(self, user: Principal) -> str:
        return str(user.sts.get_caller_identity()["Arn"])


def named(logins: dict[str, str]) -> dict[str, str]:
    return {{"google": GOOGLE}.get(name, name): token for name, token in logins.items()}
