"""Who may look at and delete identities, by their pool."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def test_identities_are_described_and_deleted_by_their_pool(aws: Any) -> None:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncognitoidentity.html"""
    cognito = aws.cognito_identity
    pools = [
        cognito.create_identity_pool(IdentityPoolName=name, AllowUnauthenticatedIdentities=True)["IdentityPoolId"]
        for name in ("one", "two")
    ]
    first, second = (cognito.get_id(IdentityPoolId=pool)["IdentityId"] for pool in pools)
    arn = f"arn:aws:cognito-identity:us-east-1:{aws.account_id}:identitypool/{pools[0]}"
    statement = {
        "Effect": "Allow", "Action": ["cognito-identity:DescribeIdentity", "cognito-identity:DeleteIdentities"],
        "Resource": "*", "Condition": {"ArnEquals": {"cognito-identity:IdentityPoolArn": arn}},
    }  # fmt: skip
    user = aws.new_user("u", {"Version": "2012-10-17", "Statement": [statement]}).cognito_identity
    assert user.describe_identity(IdentityId=first)["IdentityId"] == first
    for refused in (
        lambda: user.describe_identity(IdentityId=second),
        lambda: user.describe_identity(IdentityId="us-east-1:11111111-2222-3333-4444-555555555555"),
        lambda: user.delete_identities(IdentityIdsToDelete=[first, second]),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
    assert cognito.describe_identity(IdentityId=first)["IdentityId"] == first
    assert user.delete_identities(IdentityIdsToDelete=[first])["UnprocessedIdentityIds"] == []
