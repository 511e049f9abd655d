"""SAML providers as boto3 sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from saml_forge import Forge


@contextmanager
def fails(code: str, status: int, text: str = "") -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    got = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    assert (got, text in response["Error"]["Message"]) == ((code, status), True), response["Error"]


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


def create(aws: Any, forge: Forge, name: str = "corp", **more: Any) -> str:
    made = aws.iam.create_saml_provider(Name=name, SAMLMetadataDocument=forge.metadata(), **more)
    return str(made["SAMLProviderArn"])


def test_a_provider_lives_from_creation_to_deletion(aws: Any, forge: Forge) -> None:
    arn = create(aws, forge, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}])
    assert arn == f"arn:aws:iam::{aws.account_id}:saml-provider/corp"
    got = aws.iam.get_saml_provider(SAMLProviderArn=arn)
    assert got["SAMLMetadataDocument"] == forge.metadata()
    assert [tag["Key"] for tag in got["Tags"]] == ["a", "b"]
    assert got["SAMLProviderUUID"].startswith("SAMLSP")
    assert (got["ValidUntil"] - got["CreateDate"]).days == 36_500
    (listed,) = aws.iam.list_saml_providers()["SAMLProviderList"]
    assert (listed["Arn"], listed["ValidUntil"]) == (arn, got["ValidUntil"])
    assert aws.iam.get_account_summary()["SummaryMap"]["Providers"] == 1
    aws.iam.tag_saml_provider(SAMLProviderArn=arn, Tags=[{"Key": "A", "Value": "3"}])
    aws.iam.untag_saml_provider(SAMLProviderArn=arn, TagKeys=["b"])
    assert aws.iam.list_saml_provider_tags(SAMLProviderArn=arn)["Tags"] == [{"Key": "A", "Value": "3"}]
    aws.iam.delete_saml_provider(SAMLProviderArn=arn)
    with fails("NoSuchEntity", 404):
        aws.iam.get_saml_provider(SAMLProviderArn=arn)
    assert aws.iam.get_account_summary()["SummaryMap"]["Providers"] == 0


def test_metadata_says_until_when(aws: Any, forge: Forge) -> None:
    document = forge.metadata(attributes=' validUntil="2099-01-02T03:04:05Z"')
    arn = aws.iam.create_saml_provider(Name="corp", SAMLMetadataDocument=document)["SAMLProviderArn"]
    assert aws.iam.get_saml_provider(SAMLProviderArn=arn)["ValidUntil"].year == 2099
    old = forge.metadata(attributes=' validUntil="2020-01-02T03:04:05Z"')
    with fails("InvalidInput", 400, "no longer valid"):
        aws.iam.update_saml_provider(SAMLProviderArn=arn, SAMLMetadataDocument=old)


@pytest.mark.parametrize("document", ["x" * 1000, "<a>" + " " * 1000 + "</a>", "<!DOCTYPE a []>" + "<a/>" * 400])
def test_what_is_no_metadata_is_refused(aws: Any, document: str) -> None:
    with fails("InvalidInput", 400, "Could not parse metadata"):
        aws.iam.create_saml_provider(Name="corp", SAMLMetadataDocument=document)
    assert aws.iam.list_saml_providers()["SAMLProviderList"] == []


def test_a_name_is_given_once(aws: Any, forge: Forge) -> None:
    create(aws, forge)
    with fails("EntityAlreadyExists", 409):
        create(aws, forge)


def test_at_most_a_hundred_providers(aws: Any, forge: Forge) -> None:
    for number in range(100):
        create(aws, forge, f"p{number}")
    with fails("LimitExceeded", 409):
        create(aws, forge, "one-too-many")


def test_private_keys_are_added_shown_by_id_and_removed(aws: Any, forge: Forge) -> None:
    arn = create(aws, forge)
    change = {"SAMLProviderArn": arn}
    with fails("InvalidInput", 400, "no private key is provided"):
        aws.iam.update_saml_provider(**change, AssertionEncryptionMode="Required")
    with fails("InvalidInput", 400, "No updates are defined"):
        aws.iam.update_saml_provider(**change)
    with fails("InvalidInput", 400, "Invalid private key"):
        aws.iam.update_saml_provider(**change, AddPrivateKey="no key")
    with fails("InvalidInput", 400, "Invalid private key"):
        aws.iam.update_saml_provider(**change, AddPrivateKey=Forge(curve=True).key_pem.decode())
    pem = forge.key_pem.decode()
    aws.iam.update_saml_provider(**change, AddPrivateKey=pem, AssertionEncryptionMode="Required")
    (key,) = aws.iam.get_saml_provider(**change)["PrivateKeyList"]
    with fails("InvalidInput", 400, "add and remove"):
        aws.iam.update_saml_provider(**change, AddPrivateKey=pem, RemovePrivateKey=key["KeyId"])
    with fails("InvalidInput", 400, "Failed to remove private key"):
        aws.iam.update_saml_provider(**change, RemovePrivateKey=key["KeyId"])
    with fails("InvalidInput", 400, "does not match"):
        aws.iam.update_saml_provider(**change, RemovePrivateKey="A" * 23)
    aws.iam.update_saml_provider(**change, AddPrivateKey=Forge().key_pem.decode())
    with fails("LimitExceeded", 409, "limit of 2"):
        aws.iam.update_saml_provider(**change, AddPrivateKey=pem)
    aws.iam.update_saml_provider(**change, RemovePrivateKey=key["KeyId"])
    assert len(aws.iam.get_saml_provider(**change)["PrivateKeyList"]) == 1


def test_a_refused_creation_leaves_nothing(aws: Any, forge: Forge) -> None:
    with fails("InvalidInput", 400):
        create(aws, forge, AssertionEncryptionMode="Required")
    assert aws.iam.list_saml_providers()["SAMLProviderList"] == []
    assert aws.iam.get_account_summary()["SummaryMap"]["Providers"] == 0


def test_permissions_are_on_the_providers_arn(aws: Any, forge: Forge) -> None:
    mine, other = create(aws, forge, "mine"), create(aws, forge, "other")
    allowed = {"Effect": "Allow", "Action": "iam:*SAML*", "Resource": mine}
    user = aws.new_user("bob", {"Version": "2012-10-17", "Statement": [allowed]})
    user.iam.get_saml_provider(SAMLProviderArn=mine)
    for call in (user.iam.get_saml_provider, user.iam.delete_saml_provider):
        with fails("AccessDenied", 403):
            call(SAMLProviderArn=other)
    with fails("AccessDenied", 403):
        create(user, forge, "new")


@pytest.mark.parametrize("arn", ["arn:aws:iam::aws:role/x" + "x" * 10, "a" * 30])
def test_what_is_no_providers_arn_is_refused(aws: Any, arn: str) -> None:
    with fails("InvalidInput", 400, "not valid"):
        aws.iam.get_saml_provider(SAMLProviderArn=arn)
