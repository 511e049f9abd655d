"""OpenID Connect providers of an account, as boto3 sees them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from test_web_identity import CUSTOM, allow, fails, trust

from freehold.testing import Principal

if TYPE_CHECKING:
    from openid_provider import OpenIdProvider

THUMBPRINT = "990f4193972f2becf12ddeda5237f9c952f20d9e"
URL = "https://token.actions.githubusercontent.com"


def create(aws: Principal, url: str = URL, **more: Any) -> str:
    made = aws.iam.create_open_id_connect_provider(Url=url, **{"ThumbprintList": [THUMBPRINT], **more})
    return str(made["OpenIDConnectProviderArn"])


def test_a_provider_is_made_shown_changed_and_deleted(aws: Principal) -> None:
    arn = create(aws, ClientIDList=["sts.amazonaws.com"], Tags=[{"Key": "team", "Value": "blue"}])
    assert arn == f"arn:aws:iam::{aws.account_id}:oidc-provider/token.actions.githubusercontent.com"
    assert aws.iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == [{"Arn": arn}]
    at = {"OpenIDConnectProviderArn": arn}
    aws.iam.add_client_id_to_open_id_connect_provider(**at, ClientID="another")
    aws.iam.add_client_id_to_open_id_connect_provider(**at, ClientID="another")
    aws.iam.remove_client_id_from_open_id_connect_provider(**at, ClientID="never there")
    aws.iam.update_open_id_connect_provider_thumbprint(**at, ThumbprintList=["AB" * 20, "00" * 20])
    aws.iam.tag_open_id_connect_provider(**at, Tags=[{"Key": "Team", "Value": "red"}, {"Key": "cost", "Value": "7"}])
    shown = aws.iam.get_open_id_connect_provider(**at)
    assert shown["Url"] == "token.actions.githubusercontent.com"
    assert shown["ClientIDList"] == ["sts.amazonaws.com", "another"]
    assert shown["ThumbprintList"] == ["ab" * 20, "00" * 20]
    assert shown["CreateDate"]
    aws.iam.untag_open_id_connect_provider(**at, TagKeys=["cost"])
    assert aws.iam.list_open_id_connect_provider_tags(**at)["Tags"] == [{"Key": "Team", "Value": "red"}]
    aws.iam.remove_client_id_from_open_id_connect_provider(**at, ClientID="sts.amazonaws.com")
    assert aws.iam.get_open_id_connect_provider(**at)["ClientIDList"] == ["another"]
    aws.iam.delete_open_id_connect_provider(**at)
    aws.iam.delete_open_id_connect_provider(**at)
    with fails("NoSuchEntity", 404):
        aws.iam.get_open_id_connect_provider(**at)


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example.com",
        "idp.example.com",
        "https://",
        "https://idp.example.com?tenant=1",
        "https://idp.example.com#x",
        "https://idp.example.com:8443",
        "https://user:password@idp.example.com",
        "https://idp.example.com/\u00fc",
        "https://idp.example.com/a b",
        "https://idp.example.com/" + "a" * 232,
    ],
)
def test_a_url_that_is_no_issuers_is_refused(aws: Principal, url: str) -> None:
    with pytest.raises(aws.iam.exceptions.ClientError) as caught:
        create(aws, url)
    assert caught.value.response["Error"]["Code"] in ("InvalidInput", "ValidationError")


def test_a_path_belongs_to_the_provider(aws: Principal) -> None:
    first, second = create(aws, "https://idp.example.com/a"), create(aws, "https://idp.example.com/a/")
    assert first.endswith(":oidc-provider/idp.example.com/a")
    assert second == first + "/"
    assert len(aws.iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]) == 2


def test_limits_are_aws(aws: Principal) -> None:
    arn = create(aws, ClientIDList=[f"client-{number}" for number in range(100)])
    with fails("EntityAlreadyExists", 409, f"Provider with url {URL} already exists."):
        create(aws)
    with fails("EntityAlreadyExists", 409):  # nobody is called for a certificate first
        aws.iam.create_open_id_connect_provider(Url=URL)
    with fails("LimitExceeded", 409, "ClientIdsPerOpenIdConnectProvider: 100"):
        aws.iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="one more")
    with fails("LimitExceeded", 409):
        create(aws, "https://other.example.com", ClientIDList=[f"client-{number}" for number in range(101)])
    for thumbprints in ([f"{number:040x}" for number in range(6)], ["xyz" * 13 + "x"]):
        with fails("InvalidInput", 400):
            create(aws, "https://other.example.com", ThumbprintList=thumbprints)
        with fails("InvalidInput", 400):
            aws.iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=thumbprints)
    assert aws.iam.get_account_summary()["SummaryMap"]["Providers"] == 1
    for number in range(99):
        create(aws, f"https://idp{number}.example.com")
    with fails("LimitExceeded", 409, "OpenIdConnectProvidersPerAccount: 100"):
        create(aws, "https://one-more.example.com")


def test_without_a_thumbprint_the_providers_own_is_kept(aws: Principal, openid_provider: OpenIdProvider) -> None:
    arn = aws.iam.create_open_id_connect_provider(Url=f"https://{CUSTOM}")["OpenIDConnectProviderArn"]
    shown = aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert shown["ThumbprintList"] == [openid_provider.authority.thumbprint]


def test_a_provider_that_points_inward_is_not_asked_for_its_certificate(aws: Principal) -> None:
    for url in ("https://localhost", "https://127.0.0.1", "https://169.254.169.254", "https://10.0.0.1/tenant"):
        with fails("OpenIdIdpCommunicationError", 400, "the identity provider can't be reached"):
            aws.iam.create_open_id_connect_provider(Url=url)


def test_only_who_is_allowed_to_may_change_whom_an_account_trusts(aws: Principal) -> None:
    arn = create(aws, Tags=[{"Key": "team", "Value": "blue"}])
    at = {"OpenIDConnectProviderArn": arn}
    nobody = aws.new_user("nobody")
    for call in (
        lambda: create(nobody, "https://evil.example.com"),
        lambda: nobody.iam.get_open_id_connect_provider(**at),
        lambda: nobody.iam.list_open_id_connect_providers(),
        lambda: nobody.iam.delete_open_id_connect_provider(**at),
        lambda: nobody.iam.add_client_id_to_open_id_connect_provider(**at, ClientID="evil"),
        lambda: nobody.iam.remove_client_id_from_open_id_connect_provider(**at, ClientID="evil"),
        lambda: nobody.iam.update_open_id_connect_provider_thumbprint(**at, ThumbprintList=[THUMBPRINT]),
        lambda: nobody.iam.tag_open_id_connect_provider(**at, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: nobody.iam.untag_open_id_connect_provider(**at, TagKeys=["a"]),
        lambda: nobody.iam.list_open_id_connect_provider_tags(**at),
    ):
        with fails("AccessDenied", 403, "is not authorized to perform: iam:"):
            call()
    blue = aws.new_user("blue", allow("iam:*", StringEquals={"aws:ResourceTag/team": "blue"}))
    assert blue.iam.get_open_id_connect_provider(**at)["Url"]
    red = aws.new_user("red", allow("iam:*", StringEquals={"aws:ResourceTag/team": "red"}))
    with fails("AccessDenied", 403):
        red.iam.delete_open_id_connect_provider(**at)
    maker = aws.new_user("maker", allow("iam:CreateOpenIDConnectProvider"))
    with fails("AccessDenied", 403, "iam:TagOpenIDConnectProvider"):
        create(maker, "https://idp.example.com", Tags=[{"Key": "team", "Value": "blue"}])


def test_another_accounts_provider_is_not_in_reach(aws: Principal, freehold_server: Any) -> None:
    arn = create(aws)
    other = freehold_server.new_account()
    for call in (other.iam.get_open_id_connect_provider, other.iam.delete_open_id_connect_provider):
        with fails("AccessDenied", 403):
            call(OpenIDConnectProviderArn=arn)
    assert aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["Url"]


@pytest.mark.parametrize(
    "arn",
    ["arn:aws:iam::123456789012:oidc-provider/", "arn:aws:iam::123456789012:saml-provider/x", "not an arn at all, no"],
)
def test_an_arn_that_is_no_providers_is_refused(aws: Principal, arn: str) -> None:
    with fails("InvalidInput", 400):
        aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def test_events_name_the_provider(aws: Principal) -> None:
    arn = create(aws)
    found = aws.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateOpenIDConnectProvider"}]
    )["Events"]
    event = json.loads(found[0]["CloudTrailEvent"])
    assert event["responseElements"]["openIDConnectProviderArn"] == arn
    assert event["requestParameters"]["url"] == URL


def test_a_role_cannot_trust_everybody_who_uses_a_shared_provider(aws: Principal) -> None:
    github = create(aws)
    everybody = {"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}}
    some = {"StringLike": {"token.actions.githubusercontent.com:SUB": "repo:octo/*"}}
    workflow = {"StringEquals": {"token.actions.githubusercontent.com:job_workflow_ref": "octo/x@refs/heads/main"}}
    pool = {"StringEquals": {"cognito-identity.amazonaws.com:aud": "us-east-1:pool"}}
    for federated, condition in ((github, {}), (github, everybody), ("cognito-identity.amazonaws.com", {})):
        with fails("MalformedPolicyDocument", 400, "must have a condition on"):
            aws.iam.create_role(RoleName="shared", AssumeRolePolicyDocument=trust(federated, **condition))
    for number, (federated, condition) in enumerate(
        ((github, some), (github, workflow), ("cognito-identity.amazonaws.com", pool), ("accounts.google.com", {}))
    ):
        aws.iam.create_role(RoleName=f"good-{number}", AssumeRolePolicyDocument=trust(federated, **condition))
    with fails("MalformedPolicyDocument", 400):
        aws.iam.update_assume_role_policy(RoleName="good-0", PolicyDocument=trust(github, **everybody))
    denied = json.loads(trust(github))
    denied["Statement"][0]["Effect"] = "Deny"
    aws.iam.update_assume_role_policy(RoleName="good-0", PolicyDocument=json.dumps(denied))
