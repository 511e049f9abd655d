"""What someone may pass on who may create grants only because of a grant."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.authorization.principal import Principal
from freehold.errors import AwsError
from freehold.services.kms.grants import passes_on
from freehold.services.kms.records import Grant

GIVEN: dict[str, Any] = {
    "grant_id": "0" * 64,
    "key_id": "k",
    "account_id": "111122223333",
    "region": "us-east-1",
    "created_at": 0.0,
    "issuing_account": "111122223333",
}
OPERATIONS = ["CreateGrant", "Decrypt", "Encrypt"]
A, AB, AC = {"a": "1"}, {"a": "1", "b": "2"}, {"a": "1", "c": "3"}

CASES: list[tuple[dict[str, Any], list[str], dict[str, Any], bool]] = [
    # the parent's constraints, the child's operations, the child's constraints, passes
    ({}, ["Decrypt"], {}, True),
    ({}, ["Decrypt", "CreateGrant"], {}, True),
    ({}, ["Decrypt", "GenerateDataKey"], {}, False),
    ({}, ["Decrypt"], {"EncryptionContextSubset": A}, True),
    ({"context_subset": A}, ["Decrypt"], {}, False),
    ({"context_subset": A}, ["Decrypt"], {"EncryptionContextSubset": A}, True),
    ({"context_subset": A}, ["Decrypt"], {"EncryptionContextSubset": AB}, True),
    ({"context_subset": AB}, ["Decrypt"], {"EncryptionContextSubset": A}, False),
    ({"context_subset": AB}, ["Decrypt"], {"EncryptionContextSubset": AC}, False),
    ({"context_subset": A}, ["Decrypt"], {"EncryptionContextSubset": {"a": "2"}}, False),
    ({"context_subset": A}, ["Decrypt"], {"EncryptionContextEquals": AB}, True),
    ({"context_subset": A}, ["Decrypt"], {"EncryptionContextEquals": {"b": "2"}}, False),
    ({"context_equals": A}, ["Decrypt"], {"EncryptionContextEquals": A}, True),
    ({"context_equals": A}, ["Decrypt"], {"EncryptionContextEquals": AB}, False),
    ({"context_equals": A}, ["Decrypt"], {"EncryptionContextSubset": A}, False),
    ({"context_equals": {}}, ["Decrypt"], {}, False),
    ({"source_arn": "arn:aws:s3:::b"}, ["Decrypt"], {}, False),
    ({"source_arn": "arn:aws:s3:::b"}, ["Decrypt"], {"SourceArn": "arn:aws:s3:::b"}, True),
    ({"source_arn": "arn:aws:s3:::b"}, ["Decrypt"], {"SourceArn": "arn:aws:s3:::c"}, False),
]


@pytest.mark.parametrize(("parent", "operations", "constraints", "passes"), CASES)
def test_a_grant_passes_on_no_more_than_it_gives(
    parent: dict[str, Any], operations: list[str], constraints: dict[str, Any], passes: bool
) -> None:
    grant = Grant(**GIVEN, operations=OPERATIONS, **parent)
    assert passes_on(grant, {"Operations": operations, "Constraints": constraints}) is passes


def test_a_service_lists_what_it_may_retire_and_no_other_does(kms: Any, key_id: str) -> None:
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_ListRetirableGrants.html"""
    backup, dynamodb = (Principal("service", name=f"{name}.amazonaws.com") for name in ("backup", "dynamodb"))
    given = kms(
        "CreateGrant",
        KeyId=key_id,
        GranteeServicePrincipal=dynamodb.name,
        RetiringServicePrincipal=backup.name,
        Operations=["Decrypt"],
        Constraints={"SourceArn": "arn:aws:dynamodb:us-east-1:111122223333:table/t"},
    )
    listed = kms("ListRetirableGrants", as_=backup, RetiringServicePrincipal=backup.name)["Grants"]
    assert [grant["GrantId"] for grant in listed] == [given["GrantId"]]
    for other in (dynamodb, kms.account):
        with pytest.raises(AwsError) as error:
            kms("ListRetirableGrants", as_=other, RetiringServicePrincipal=backup.name)
        assert error.value.code == "AccessDeniedException"
