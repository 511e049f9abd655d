"""Identities that a developer's backend vouches for."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from apps import GOOGLE, OWN, App, allow, fails
from hostile import Signer

from freehold.testing import Server

BACKEND = "login.example.app"


def backend_token(app: App, pool_id: str, user: str, **more: Any) -> dict[str, Any]:
    logins = {BACKEND: user, **more.pop("logins", {})}
    answer: dict[str, Any] = app.cognito.get_open_id_token_for_developer_identity(
        IdentityPoolId=pool_id, Logins=logins, **more
    )
    return answer


def a_pool(app: App, *statements: dict[str, Any], **more: Any) -> str:
    return app.ready(*statements, DeveloperProviderName=BACKEND, **more)


def test_the_backends_user_gets_credentials(app: App) -> None:
    pool_id = a_pool(app, allow("iam:ListUsers"))
    given = backend_token(app, pool_id, "alice", TokenDuration=7200)
    claims = jwt.decode(given["Token"], options={"verify_signature": False})
    assert claims["amr"] == ["authenticated", BACKEND, f"{BACKEND}:{pool_id}:alice"]
    assert claims["exp"] - claims["iat"] == 7200
    assert backend_token(app, pool_id, "alice")["IdentityId"] == given["IdentityId"]
    assert backend_token(app, pool_id, "bob")["IdentityId"] != given["IdentityId"]
    user = app.signed_in(given["IdentityId"], {OWN: given["Token"]})
    assert user.iam.list_users()["Users"] == []


def test_a_token_opens_its_own_identity_alone(app: App, google: Signer, cognito_server: Server) -> None:
    pool_id, other_pool = a_pool(app, AllowClassicFlow=True), app.pool(DeveloperProviderName=BACKEND)
    alice, bob = backend_token(app, pool_id, "alice"), backend_token(app, pool_id, "bob")
    elsewhere = backend_token(app, other_pool, "alice")
    for token in (bob["Token"], elsewhere["Token"]):
        with fails("NotAuthorizedException", "Invalid login token."):
            app.credentials(alice["IdentityId"], {OWN: token})
    with fails("NotAuthorizedException", "Invalid login token."):
        app.credentials(alice["IdentityId"], {OWN: google.token(google.claims())})
    login = google.token(google.claims())
    with fails("InvalidParameterException"):
        app.credentials(alice["IdentityId"], {OWN: alice["Token"], GOOGLE: login})
    with fails("NotAuthorizedException", "is forbidden"):
        # The pool lets guests in, but alice is none.
        guests = app.pool(guests=True, DeveloperProviderName=BACKEND)
        app.credentials(backend_token(app, guests, "alice")["IdentityId"])
    # The token of the basic flow is for STS, and does not renew itself here.
    identity = app.get_id(pool_id, google=login)
    basic = app.public.get_open_id_token(IdentityId=identity, Logins={GOOGLE: login})["Token"]
    with fails("NotAuthorizedException", "GetOpenIdTokenForDeveloperIdentity"):
        app.credentials(identity, {OWN: basic})
    for ask in (
        lambda: app.public.get_open_id_token(IdentityId=alice["IdentityId"], Logins={OWN: alice["Token"]}),
        lambda: app.public.get_id(IdentityPoolId=pool_id, Logins={OWN: alice["Token"]}),
    ):
        with fails("NotAuthorizedException", "Can't pass in a Cognito token."):
            ask()
    cognito_server.advance(seconds=901)
    with fails("NotAuthorizedException", "Token expired"):
        app.credentials(alice["IdentityId"], {OWN: alice["Token"]})


def test_only_the_backend_may_vouch(app: App) -> None:
    pool_id = a_pool(app)
    user = App(app.aws.new_user("user"))
    with fails("AccessDeniedException", "GetOpenIdTokenForDeveloperIdentity"):
        backend_token(user, pool_id, "alice")
    for logins in ({}, {"login.other.app": "alice"}, {BACKEND: "alice", "login.other.app": "x"}):
        with pytest.raises(app.cognito.exceptions.ClientError) as refused:
            app.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=pool_id, Logins=logins)
        assert refused.value.response["Error"]["Code"] in ("InvalidParameterException", "NotAuthorizedException")
    with fails("InvalidParameterException", "valid developer provider"):
        backend_token(app, app.pool(), "alice")
    with fails("InvalidParameterException", "1 to 1,024 characters"):
        backend_token(app, pool_id, "x" * 1025)
    with fails("ValidationException", "less than or equal to 86400"):
        backend_token(app, pool_id, "alice", TokenDuration=86_401)


def test_the_backend_links_its_user_to_an_identity(app: App, google: Signer) -> None:
    pool_id = a_pool(app, guests=True)
    guest, login = app.get_id(pool_id), google.token(google.claims())
    assert backend_token(app, pool_id, "alice", IdentityId=guest)["IdentityId"] == guest
    with fails("NotAuthorizedException", "is forbidden"):
        app.credentials(guest)
    at_google = app.get_id(pool_id, google=login)
    with fails("DeveloperUserAlreadyRegisteredException"):
        backend_token(app, pool_id, "alice", IdentityId=at_google)
    with fails("ResourceConflictException", "already linked"):
        backend_token(app, pool_id, "alice", logins={GOOGLE: login})
    linked = backend_token(app, pool_id, "bob", logins={GOOGLE: login})
    assert linked["IdentityId"] == at_google
    assert app.cognito.describe_identity(IdentityId=at_google)["Logins"] == [GOOGLE, BACKEND]
    with fails("ResourceNotFoundException"):
        backend_token(app, pool_id, "carol", IdentityId=pool_id)


def test_users_are_looked_up_merged_and_unlinked(app: App, google: Signer) -> None:
    pool_id = a_pool(app)
    tokens = {name: backend_token(app, pool_id, name) for name in ("alice", "alicia")}
    alice, alicia = (tokens[name]["IdentityId"] for name in ("alice", "alicia"))
    lookup = app.cognito.lookup_developer_identity
    assert lookup(IdentityPoolId=pool_id, DeveloperUserIdentifier="alice")["IdentityId"] == alice
    assert lookup(IdentityPoolId=pool_id, IdentityId=alice)["DeveloperUserIdentifierList"] == ["alice"]
    assert lookup(IdentityPoolId=pool_id, IdentityId=alice, DeveloperUserIdentifier="alice")["IdentityId"] == alice
    with fails("ResourceConflictException"):
        lookup(IdentityPoolId=pool_id, IdentityId=alice, DeveloperUserIdentifier="alicia")
    with fails("ResourceNotFoundException"):
        lookup(IdentityPoolId=pool_id, DeveloperUserIdentifier="nobody")
    with fails("InvalidParameterException", "Either"):
        lookup(IdentityPoolId=pool_id)
    merge = {"IdentityPoolId": pool_id, "DeveloperProviderName": BACKEND, "DestinationUserIdentifier": "alice"}
    merged = app.cognito.merge_developer_identities(SourceUserIdentifier="alicia", **merge)["IdentityId"]
    assert merged == alice
    assert lookup(IdentityPoolId=pool_id, DeveloperUserIdentifier="alicia")["IdentityId"] == alice
    assert lookup(IdentityPoolId=pool_id, IdentityId=alice)["DeveloperUserIdentifierList"] == ["alice", "alicia"]
    # The token for the identity that is no more is good for nothing.
    with fails("ResourceNotFoundException"):
        app.credentials(alicia, {OWN: tokens["alicia"]["Token"]})
    with fails("NotAuthorizedException"):
        app.credentials(alice, {OWN: tokens["alicia"]["Token"]})
    app.credentials(alice, {OWN: tokens["alice"]["Token"]})
    unlink = {"IdentityPoolId": pool_id, "DeveloperProviderName": BACKEND, "IdentityId": alice}
    app.cognito.unlink_developer_identity(DeveloperUserIdentifier="alice", **unlink)
    with fails("NotAuthorizedException", "no longer belongs"):
        app.credentials(alice, {OWN: tokens["alice"]["Token"]})
    with fails("ResourceConflictException"):
        app.cognito.unlink_developer_identity(DeveloperUserIdentifier="alice", **unlink)
    with fails("ResourceNotFoundException"):
        app.cognito.merge_developer_identities(SourceUserIdentifier="alice", **merge)
    assert backend_token(app, pool_id, "alice")["IdentityId"] != alice


def test_two_users_of_one_public_provider_are_never_merged(app: App, google: Signer) -> None:
    pool_id = a_pool(app)
    for name in ("alice", "bob"):
        backend_token(app, pool_id, name, logins={GOOGLE: google.token(google.claims(sub=name))})
    with fails("ResourceConflictException", "same public provider"):
        app.cognito.merge_developer_identities(
            IdentityPoolId=pool_id,
            DeveloperProviderName=BACKEND,
            SourceUserIdentifier="bob",
            DestinationUserIdentifier="alice",
        )


def test_an_identity_has_at_most_20_logins(app: App) -> None:
    pool_id = a_pool(app)
    identity = backend_token(app, pool_id, "user-0")["IdentityId"]
    for number in range(1, 20):
        backend_token(app, pool_id, f"user-{number}", IdentityId=identity)
    with fails("LimitExceededException", "20"):
        backend_token(app, pool_id, "user-20", IdentityId=identity)
    backend_token(app, pool_id, "other")
    with fails("LimitExceededException", "20"):
        app.cognito.merge_developer_identities(
            IdentityPoolId=pool_id,
            DeveloperProviderName=BACKEND,
            SourceUserIdentifier="other",
            DestinationUserIdentifier="user-0",
        )
    listed = app.cognito.lookup_developer_identity(IdentityPoolId=pool_id, IdentityId=identity, MaxResults=15)
    assert len(listed["DeveloperUserIdentifierList"]) == 15
    rest = app.cognito.lookup_developer_identity(
        IdentityPoolId=pool_id, IdentityId=identity, NextToken=listed["NextToken"]
    )
    assert len(rest["DeveloperUserIdentifierList"]) == 5


def test_the_backend_gives_its_user_principal_tags(app: App) -> None:
    bucket = f"b-{app.aws.account_id}"
    app.aws.s3.create_bucket(Bucket=bucket)
    own = allow("s3:PutObject", resource=f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/tenant}}/*")
    pool_id = a_pool(app, own, tags=True)
    given = backend_token(app, pool_id, "alice", PrincipalTags={"tenant": "blue"})
    user = app.signed_in(given["IdentityId"], {OWN: given["Token"]})
    user.s3.put_object(Bucket=bucket, Key="blue/x", Body=b"")
    with fails("AccessDenied", status=403):
        user.s3.put_object(Bucket=bucket, Key="red/x", Body=b"")
    for tags in ({"aws:x": "y"}, {"tenant": "bl*ue"}, {"Tenant": "a", "tenant": "b"}):
        with fails("InvalidParameterException"):
            backend_token(app, pool_id, "alice", PrincipalTags=tags)


def test_the_backends_token_is_for_the_enhanced_flow_unless_the_pool_says_otherwise(app: App) -> None:
    for classic in (False, True):
        pool_id = app.pool(DeveloperProviderName=BACKEND, AllowClassicFlow=classic)
        role = app.role(f"user-{classic}", app.trust(pool_id))
        words = {"RoleArn": role, "RoleSessionName": "basic"}
        token = backend_token(app, pool_id, "alice")["Token"]
        if classic:
            app.unsigned("sts").assume_role_with_web_identity(WebIdentityToken=token, **words)
        else:
            with fails("IDPRejectedClaim", "Basic (classic) flow is not enabled", 403):
                app.unsigned("sts").assume_role_with_web_identity(WebIdentityToken=token, **words)
