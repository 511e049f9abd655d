"""Identity pools: their configuration, roles, tags and limits, and whose they are."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from apps import GOOGLE, App, allow, fails, policy
from hostile import Signer

from freehold.testing import Server

USER_POOL = "cognito-idp.us-east-1.amazonaws.com/us-east-1_Users"


def test_a_pool_is_described_as_it_was_made(app: App) -> None:
    arn = app.aws.iam.create_open_id_connect_provider(Url="https://idp.example.com", ClientIDList=["app"])[
        "OpenIDConnectProviderArn"
    ]
    wanted = {
        "IdentityPoolName": "my pool",
        "AllowUnauthenticatedIdentities": True,
        "AllowClassicFlow": True,
        "SupportedLoginProviders": {GOOGLE: "a.apps.googleusercontent.com;b.apps.googleusercontent.com"},
        "DeveloperProviderName": "login.example.app",
        "OpenIdConnectProviderARNs": [arn],
        "CognitoIdentityProviders": [{"ProviderName": USER_POOL, "ClientId": "app", "ServerSideTokenCheck": False}],
        "IdentityPoolTags": {"team": "red"},
    }
    made = app.cognito.create_identity_pool(**wanted)
    described = app.cognito.describe_identity_pool(IdentityPoolId=made["IdentityPoolId"])
    for answer in (made, described):
        answer.pop("ResponseMetadata")
        assert answer == {"IdentityPoolId": made["IdentityPoolId"], **wanted}
    updated = app.cognito.update_identity_pool(
        IdentityPoolId=made["IdentityPoolId"], IdentityPoolName="other", AllowUnauthenticatedIdentities=False
    )
    updated.pop("ResponseMetadata")
    assert updated == {
        "IdentityPoolId": made["IdentityPoolId"],
        "IdentityPoolName": "other",
        "AllowUnauthenticatedIdentities": False,
        "DeveloperProviderName": "login.example.app",
        "IdentityPoolTags": {"team": "red"},
    }


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"SupportedLoginProviders": {"evil.example.com": "app"}}, "InvalidParameterException", "valid public provider"),
    ({"OpenIdConnectProviderARNs": ["arn:aws:iam::{}:oidc-provider/none"]}, "InvalidParameterException", "OpenID"),
    (
        {"OpenIdConnectProviderARNs": ["arn:aws:iam::999999999999:oidc-provider/idp.example.com"]},
        "InvalidParameterException",
        "none of this account",
    ),
    ({"SamlProviderARNs": ["arn:aws:iam::{}:saml-provider/none"]}, "InvalidParameterException", "SAML"),
    ({"SamlProviderARNs": ["x" * 30]}, "InvalidParameterException", "SAML"),
    (
        {"CognitoIdentityProviders": [{"ProviderName": "evil.example.com/x", "ClientId": "app"}]},
        "InvalidParameterException",
        "Cognito Identity Provider",
    ),
    ({"CognitoIdentityProviders": [{"ProviderName": USER_POOL}]}, "InvalidParameterException", "client id"),
    (
        {"CognitoIdentityProviders": [{"ProviderName": USER_POOL, "ClientId": "app"}] * 2},
        "InvalidParameterException",
        "Duplicate",
    ),
    (
        {"CognitoIdentityProviders": [{"ProviderName": USER_POOL, "ClientId": f"app{n}"} for n in range(51)]},
        "LimitExceededException",
        "50",
    ),
    ({"DeveloperProviderName": GOOGLE}, "InvalidParameterException", "another provider's name"),
    ({"DeveloperProviderName": "cognito-identity.amazonaws.com"}, "InvalidParameterException", "another provider"),
    ({"IdentityPoolTags": {"aws:x": "y"}}, "InvalidParameterException", "reserved"),
    ({"IdentityPoolTags": {f"key{n}": "" for n in range(51)}}, "InvalidParameterException", "at most 50"),
    ({"IdentityPoolName": "x" * 129}, "ValidationException", "length less than or equal to 128"),
    ({"IdentityPoolName": "<script>"}, "ValidationException", "pattern"),
    ({"SupportedLoginProviders": {f"p{n}": "x" for n in range(11)}}, "ValidationException", "10"),
]


@pytest.mark.parametrize(("params", "code", "text"), REFUSED)
def test_what_no_pool_may_say_is_refused(app: App, params: dict[str, Any], code: str, text: str) -> None:
    given = json.loads(json.dumps(params).replace("{}", app.aws.account_id))
    with fails(code, text):
        app.cognito.create_identity_pool(
            **{"IdentityPoolName": "pool", "AllowUnauthenticatedIdentities": False, **given}
        )
    assert app.cognito.list_identity_pools(MaxResults=10)["IdentityPools"] == []


def test_a_check_that_only_the_user_pool_could_make_is_not_implemented(app: App) -> None:
    provider = {"ProviderName": USER_POOL, "ClientId": "app", "ServerSideTokenCheck": True}
    with fails("NotImplemented", "ServerSideTokenCheck", 501):
        app.pool(CognitoIdentityProviders=[provider])


def test_the_developer_provider_is_named_for_good(app: App) -> None:
    pool_id = app.pool(DeveloperProviderName="login.example.app")
    with fails("InvalidParameterException", "cannot be changed"):
        app.cognito.update_identity_pool(
            IdentityPoolId=pool_id,
            IdentityPoolName="pool",
            AllowUnauthenticatedIdentities=False,
            DeveloperProviderName="login.other.app",
        )


def test_pools_are_listed_by_page(app: App) -> None:
    made = {app.pool() for _ in range(7)}
    pages = list(app.cognito.get_paginator("list_identity_pools").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["IdentityPools"]) for page in pages] == [3, 3, 1]
    assert {pool["IdentityPoolId"] for page in pages for pool in page["IdentityPools"]} == made
    with fails("InvalidParameterException", "NextToken"):
        app.cognito.list_identity_pools(MaxResults=3, NextToken="*")


def test_a_pool_of_another_account_or_region_is_none(app: App, cognito_server: Server) -> None:
    pool_id, other = app.pool(), App(cognito_server.new_account())
    for ask in (
        lambda: other.cognito.describe_identity_pool(IdentityPoolId=pool_id),
        lambda: other.cognito.delete_identity_pool(IdentityPoolId=pool_id),
        lambda: other.cognito.get_identity_pool_roles(IdentityPoolId=pool_id),
        lambda: other.cognito.set_identity_pool_roles(IdentityPoolId=pool_id, Roles={}),
        lambda: other.cognito.list_identities(IdentityPoolId=pool_id, MaxResults=1),
        lambda: other.cognito.update_identity_pool(
            IdentityPoolId=pool_id, IdentityPoolName="mine", AllowUnauthenticatedIdentities=True
        ),
        lambda: other.cognito.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool_id, Logins={"login.example.app": "mallory"}
        ),
        lambda: app.public.get_id(IdentityPoolId=pool_id, AccountId=other.aws.account_id),
        lambda: app.public.get_id(IdentityPoolId=pool_id.replace("us-east-1", "eu-west-1")),
    ):
        with fails("ResourceNotFoundException", "not found."):
            ask()
    assert other.cognito.list_identity_pools(MaxResults=10)["IdentityPools"] == []


def test_an_identity_of_another_account_is_none(app: App, google: Signer, cognito_server: Server) -> None:
    pool_id, other = app.pool(), App(cognito_server.new_account())
    identity = app.get_id(pool_id, google=google.token(google.claims()))
    with fails("ResourceNotFoundException"):
        other.cognito.describe_identity(IdentityId=identity)
    missing = f"us-east-1:{uuid.uuid4()}"
    refused = other.cognito.delete_identities(IdentityIdsToDelete=[identity, missing])["UnprocessedIdentityIds"]
    assert refused == [{"IdentityId": one, "ErrorCode": "AccessDenied"} for one in (identity, missing)]
    assert app.cognito.describe_identity(IdentityId=identity)["IdentityId"] == identity
    assert app.cognito.delete_identities(IdentityIdsToDelete=[identity])["UnprocessedIdentityIds"] == []
    with fails("ResourceNotFoundException"):
        app.cognito.describe_identity(IdentityId=identity)


def test_a_deleted_pool_is_gone_with_its_identities(app: App, google: Signer, cognito_server: Server) -> None:
    pool_id = app.ready()
    login = google.token(google.claims())
    identity = app.get_id(pool_id, google=login)
    app.cognito.delete_identity_pool(IdentityPoolId=pool_id)
    with fails("ResourceNotFoundException", f"Identity '{identity}' not found."):
        app.credentials(identity, {GOOGLE: login})
    with fails("ResourceNotFoundException", f"IdentityPool '{pool_id}' not found."):
        app.get_id(pool_id, google=login)
    cognito_server.advance(seconds=60)
    with fails("ResourceNotFoundException"):
        app.cognito.describe_identity(IdentityId=identity)


def test_without_permission_nothing_is_told_or_done(app: App) -> None:
    pool_id = app.pool()
    mallory = App(app.aws.new_user("mallory"))
    for ask in (
        lambda: mallory.cognito.describe_identity_pool(IdentityPoolId=pool_id),
        lambda: mallory.cognito.list_identity_pools(MaxResults=1),
        lambda: mallory.pool(),
        lambda: mallory.cognito.delete_identity_pool(IdentityPoolId=pool_id),
        lambda: mallory.cognito.delete_identities(IdentityIdsToDelete=[pool_id]),
        lambda: mallory.cognito.describe_identity(IdentityId=pool_id),
        lambda: mallory.cognito.tag_resource(
            ResourceArn=f"arn:aws:cognito-identity:us-east-1:{app.aws.account_id}:identitypool/{pool_id}",
            Tags={"team": "red"},
        ),
    ):
        with fails("AccessDeniedException", "is not authorized to perform: cognito-identity:"):
            ask()


def test_whoever_sets_a_role_must_be_able_to_pass_it(app: App) -> None:
    pool_id = app.pool()
    role = app.role("admin", app.trust(pool_id), allow("*"))
    rules = {
        "Type": "Rules",
        "AmbiguousRoleResolution": "Deny",
        "RulesConfiguration": {"Rules": [{"Claim": "sub", "MatchType": "Equals", "Value": "mallory", "RoleARN": role}]},
    }
    mallory = App(app.aws.new_user("mallory", json.loads(policy(allow("cognito-identity:*")))))
    for roles, mappings in (({"authenticated": role}, None), ({}, {GOOGLE: rules})):
        with fails("AccessDeniedException", "iam:PassRole"):
            mallory.set_roles(pool_id, mappings, **roles)
    allowed = App(
        app.aws.new_user(
            "alice",
            json.loads(
                policy(
                    allow("cognito-identity:SetIdentityPoolRoles"),
                    allow(
                        "iam:PassRole",
                        resource=role,
                        StringEquals={"iam:PassedToService": "cognito-identity.amazonaws.com"},
                    ),
                )
            ),
        )
    )
    allowed.set_roles(pool_id, {GOOGLE: rules}, authenticated=role)
    shown = app.cognito.get_identity_pool_roles(IdentityPoolId=pool_id)
    assert (shown["Roles"], shown["RoleMappings"]) == ({"authenticated": role}, {GOOGLE: rules})
    app.set_roles(pool_id)
    assert app.cognito.get_identity_pool_roles(IdentityPoolId=pool_id)["Roles"] == {}


ROLE = "arn:aws:iam::{}:role/r"
RULE = {"Claim": "sub", "MatchType": "Equals", "Value": "x", "RoleARN": ROLE}
MAPPINGS: list[tuple[dict[str, Any], str]] = [
    ({"idp.example.com": {"Type": "Token", "AmbiguousRoleResolution": "Deny"}}, "is not a provider"),
    ({GOOGLE: {"Type": "Token"}}, "AmbiguousRoleResolution is required"),
    ({GOOGLE: {"Type": "Rules", "AmbiguousRoleResolution": "Deny"}}, "RulesConfiguration is required"),
    (
        {GOOGLE: {"Type": "Token", "AmbiguousRoleResolution": "Deny", "RulesConfiguration": {"Rules": [RULE]}}},
        "RulesConfiguration is required",
    ),
]


@pytest.mark.parametrize(("mappings", "text"), MAPPINGS)
def test_a_role_mapping_that_means_nothing_is_refused(app: App, mappings: dict[str, Any], text: str) -> None:
    pool_id = app.pool()
    given = json.loads(json.dumps(mappings).replace("{}", app.aws.account_id))
    with fails("InvalidParameterException", text):
        app.set_roles(pool_id, given)


def test_only_a_role_of_the_account_can_be_set(app: App) -> None:
    pool_id = app.pool()
    for arn in (f"arn:aws:iam::{app.aws.account_id}:user/alice", "x" * 20, "arn:aws:iam::::role/x"):
        with fails("InvalidParameterException", "role ARN"):
            app.set_roles(pool_id, authenticated=arn)
    with fails("AccessDeniedException", "Cross-account"):
        app.set_roles(pool_id, authenticated="arn:aws:iam::999999999999:role/admin")
    with fails("ValidationException"):
        app.set_roles(pool_id, administrator=f"arn:aws:iam::{app.aws.account_id}:role/x")


def test_tags_are_set_shown_and_decide(app: App) -> None:
    pool_id = app.pool()
    arn = f"arn:aws:cognito-identity:us-east-1:{app.aws.account_id}:identitypool/{pool_id}"
    app.cognito.tag_resource(ResourceArn=arn, Tags={"team": "red", "more": ""})
    app.cognito.untag_resource(ResourceArn=arn, TagKeys=["more", "absent"])
    assert app.cognito.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"team": "red"}
    of_red = allow("cognito-identity:*", StringEquals={"aws:ResourceTag/team": "red"})
    red = App(app.aws.new_user("red", json.loads(policy(of_red))))
    red.cognito.describe_identity_pool(IdentityPoolId=pool_id)
    with fails("AccessDeniedException"):
        red.cognito.describe_identity_pool(IdentityPoolId=app.pool())
    with fails("InvalidParameterException", "at most 50"):
        app.cognito.tag_resource(ResourceArn=arn, Tags={f"key{n}": "" for n in range(50)})
    with fails("InvalidParameterException", "Invalid resource ARN"):
        app.cognito.tag_resource(ResourceArn="arn:aws:s3:::bucket-of-20-characters", Tags={"a": "b"})
    for other in (arn.replace(app.aws.account_id, "999999999999"), arn.replace("us-east-1:", "eu-west-1:")):
        with fails("ResourceNotFoundException"):
            app.cognito.list_tags_for_resource(ResourceArn=other)


def test_tags_on_creation_need_their_own_permission(app: App) -> None:
    maker = App(app.aws.new_user("maker", json.loads(policy(allow("cognito-identity:CreateIdentityPool")))))
    maker.pool()
    with fails("AccessDeniedException", "cognito-identity:TagResource"):
        maker.pool(IdentityPoolTags={"team": "red"})


def test_attribute_maps_are_of_the_pools_providers(app: App) -> None:
    pool_id = app.pool()
    for params, text in (
        ({"IdentityProviderName": "idp.example.com"}, "is not a provider"),
        ({"IdentityProviderName": GOOGLE, "UseDefaults": True, "PrincipalTags": {"a": "b"}}, "together"),
        ({"IdentityProviderName": GOOGLE, "PrincipalTags": {"aws:a": "b"}}, "Invalid principal tag key"),
        ({"IdentityProviderName": GOOGLE, "PrincipalTags": {"a": "b", "A": "c"}}, "Duplicate tag keys"),
    ):
        with fails("InvalidParameterException", text):
            app.cognito.set_principal_tag_attribute_map(IdentityPoolId=pool_id, **params)
    empty = app.cognito.get_principal_tag_attribute_map(IdentityPoolId=pool_id, IdentityProviderName=GOOGLE)
    assert (empty["UseDefaults"], empty["PrincipalTags"]) == (False, {})


def test_identities_are_listed_by_page(app: App, google: Signer) -> None:
    pool_id = app.pool()
    made = {app.get_id(pool_id, google=google.token(google.claims(sub=f"user-{n}"))) for n in range(5)}
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = app.cognito.list_identities(IdentityPoolId=pool_id, MaxResults=2, **token)
        found += [one["IdentityId"] for one in page["Identities"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert (len(found), set(found)) == (5, made)
