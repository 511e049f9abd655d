"""Who gets which identity, and what for: GetId, GetOpenIdToken, GetCredentialsForIdentity, UnlinkIdentity."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from apps import GOOGLE, OWN, App, allow, fails, policy
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from cryptography.hazmat.primitives.asymmetric import rsa
from hostile import Signer, signed

from freehold.testing import Server

USER_POOL = "cognito-idp.us-east-1.amazonaws.com/us-east-1_Users"


def token(issuer: Signer, subject: str = "alice", **claims: Any) -> str:
    return issuer.token(issuer.claims(sub=subject, **claims))


def test_a_user_reaches_their_own_prefix_and_nobody_elses(app: App, google: Signer) -> None:
    bucket = f"b-{app.aws.account_id}"
    app.aws.s3.create_bucket(Bucket=bucket)
    pool_id = app.ready(
        allow("s3:GetObject", "s3:PutObject", resource=f"arn:aws:s3:::{bucket}/${{{OWN}:sub}}/*"),
        allow("s3:ListBucket", resource=f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": f"${{{OWN}:sub}}/*"}),
    )
    users = {}
    for name in ("alice", "bob"):
        login = token(google, name)
        identity = app.get_id(pool_id, google=login)
        assert identity.startswith("us-east-1:")
        users[identity] = app.signed_in(identity, {GOOGLE: login})
    assert len(users) == 2
    for identity, user in users.items():
        (other,) = set(users) - {identity}
        user.s3.put_object(Bucket=bucket, Key=f"{identity}/notes", Body=identity.encode())
        assert user.s3.get_object(Bucket=bucket, Key=f"{identity}/notes")["Body"].read() == identity.encode()
        assert user.s3.list_objects_v2(Bucket=bucket, Prefix=f"{identity}/")["KeyCount"] == 1
        for refused in (
            lambda u=user, o=other: u.s3.put_object(Bucket=bucket, Key=f"{o}/notes", Body=b""),
            lambda u=user, o=other: u.s3.get_object(Bucket=bucket, Key=f"{o}/notes"),
            lambda u=user, o=other: u.s3.list_objects_v2(Bucket=bucket, Prefix=f"{o}/"),
            lambda u=user: u.s3.list_objects_v2(Bucket=bucket),
            lambda u=user, i=identity: u.s3.get_object(Bucket=bucket, Key=f"{i}x/notes"),
        ):
            with fails("AccessDenied", status=403):
                refused()
        assert app.session_of(user).endswith("assumed-role/user/CognitoIdentityCredentials")


def test_the_same_login_is_the_same_identity(app: App, google: Signer) -> None:
    pool_id, other = app.pool(), app.pool()
    first = app.get_id(pool_id, google=token(google))
    assert app.get_id(pool_id, google=token(google)) == first
    assert app.get_id(pool_id, google=token(google, "bob")) != first
    assert app.get_id(other, google=token(google)) != first
    described = app.cognito.describe_identity(IdentityId=first)
    assert described["Logins"] == [GOOGLE]


def test_credentials_last_an_hour(app: App, google: Signer, cognito_server: Server) -> None:
    pool_id = app.ready(allow("iam:ListUsers"))
    login = token(google)
    user = app.signed_in(app.get_id(pool_id, google=login), {GOOGLE: login})
    cognito_server.advance(seconds=3590)
    user.iam.list_users()
    cognito_server.advance(seconds=11)
    with fails("ExpiredToken", status=403):
        user.iam.list_users()


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"aud": "another-app"}, "Incorrect token audience"),
        ({"aud": ["app", "another-app"], "azp": "another-app"}, "Incorrect token audience"),
        ({"iss": "https://evil.example.com"}, "issued by another provider"),
        ({"exp": 1_000_000_000, "iat": 999_999_000}, "Token expired"),
        ({"sub": None}, "Missing a required claim: sub"),
        ({"aud": None}, "Missing a required claim: aud"),
        ({"sub": "x" * 256}, "1 to 255 characters"),
    ],
)
def test_a_token_that_is_not_for_the_app_is_refused(
    app: App, google: Signer, claims: dict[str, Any], text: str
) -> None:
    pool_id = app.pool()
    with fails("NotAuthorizedException", f"Invalid login token. {text}" if text[0].isupper() else text):
        app.get_id(pool_id, google=google.token(google.claims(**claims)))


def test_forged_and_foreign_tokens_are_refused(app: App, google: Signer, user_pool: Signer) -> None:
    pool_id = app.pool()
    claims = google.claims()
    forged = [
        google.token(claims, {"alg": "none"}),
        signed(claims, {"alg": "HS256", "kid": "rsa"}, google.public_pem() * 2),
        signed(claims, {"alg": "RS256", "kid": "rsa"}, user_pool.rsa_key),
        google.token(claims)[:-8] + "AAAAAAAA",
        "not a token",
        "a.b.c",
        "x" * 49_999,
    ]
    for one in forged:
        with fails("NotAuthorizedException", "Invalid login token."):
            app.get_id(pool_id, google=one)


def test_a_login_of_no_provider_of_the_pool_is_refused(app: App, google: Signer) -> None:
    pool_id = app.pool(DeveloperProviderName="login.example.app")
    for provider in ("idp.example.com", USER_POOL, "login.example.app", "graph.facebook.com", "x"):
        with fails("NotAuthorizedException", "Token is not from a supported provider of this identity pool."):
            app.public.get_id(IdentityPoolId=pool_id, Logins={provider: token(google)})
    with fails("NotAuthorizedException", "Can't pass in a Cognito token"):
        app.public.get_id(IdentityPoolId=pool_id, Logins={OWN: token(google)})


def test_an_access_token_that_only_its_provider_can_verify_is_not_implemented(app: App) -> None:
    pool_id = app.pool(SupportedLoginProviders={"graph.facebook.com": "123"})
    with fails("NotImplemented", "graph.facebook.com", 501):
        app.public.get_id(IdentityPoolId=pool_id, Logins={"graph.facebook.com": "EAAxyz"})


def test_a_provider_that_cannot_be_reached_is_an_external_failure(app: App) -> None:
    pool_id = app.pool(SupportedLoginProviders={"appleid.apple.com": "app"})
    header, claims = {"alg": "RS256", "kid": "x"}, {"iss": "https://appleid.apple.com", "sub": "s", "aud": "app"}
    now = int(time.time())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with fails("ExternalServiceException"):
        app.public.get_id(
            IdentityPoolId=pool_id,
            Logins={"appleid.apple.com": signed(claims | {"iat": now, "exp": now + 60}, header, key)},
        )


def test_guests_are_let_in_where_the_pool_says_so(app: App, google: Signer) -> None:
    closed, open_ = app.pool(), app.pool(guests=True)
    with fails("NotAuthorizedException", "Unauthenticated access is not supported for this identity pool."):
        app.get_id(closed)
    guest = app.get_id(open_)
    assert app.get_id(open_) != guest
    # No role is set for guests.
    with fails("InvalidIdentityPoolConfigurationException"):
        app.credentials(guest)
    app.set_roles(open_, unauthenticated=app.role("guest", app.trust(open_, "unauthenticated")))
    app.signed_in(guest).sts.get_caller_identity()
    app.cognito.update_identity_pool(
        IdentityPoolId=open_, IdentityPoolName="pool", AllowUnauthenticatedIdentities=False
    )
    with fails("NotAuthorizedException", "Unauthenticated access is not supported"):
        app.credentials(guest)


def test_a_guest_is_limited_whatever_the_role_allows(app: App) -> None:
    pool_id = app.pool(guests=True, AllowClassicFlow=True)
    role = app.role("guest", app.trust(pool_id, "unauthenticated"), allow("*"))
    app.set_roles(pool_id, unauthenticated=role)
    guest = app.get_id(pool_id)
    user = app.signed_in(guest)
    user.s3.list_buckets()
    with fails("AccessDenied", "session policy", 403):
        user.iam.list_users()
    with fails("AccessDeniedException"):
        user.kms.create_key()
    # The basic flow has no such limit.
    given = app.public.get_open_id_token(IdentityId=guest)
    basic = app.unsigned("sts").assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="basic", WebIdentityToken=given["Token"]
    )
    assert app.aws.using(basic).iam.list_users()["Users"] == []


def test_a_guessed_identity_opens_nothing(app: App, google: Signer) -> None:
    pool_id = app.ready(guests=True)
    login = token(google)
    alice = app.get_id(pool_id, google=login)
    with fails("ResourceNotFoundException", "not found"):
        app.credentials(f"us-east-1:{uuid.uuid4()}", {GOOGLE: login})
    with fails("ResourceNotFoundException", "not found"):
        app.get_id(f"us-east-1:{uuid.uuid4()}", google=login)
    with fails("NotAuthorizedException", f"Access to Identity '{alice}' is forbidden."):
        app.credentials(alice)
    with fails("NotAuthorizedException", "Logins don't match."):
        app.credentials(alice, {GOOGLE: token(google, "mallory")})
    for shape in ("alice", "us-east-1", "x" * 56, "us-east-1:../..", "us-east-1:ABC"):
        with fails("ValidationException"):
            app.public.get_credentials_for_identity(IdentityId=shape)


def test_a_guest_who_signs_in_keeps_the_identity(app: App, google: Signer) -> None:
    pool_id = app.ready(guests=True)
    guest, login = app.get_id(pool_id), token(google)
    assert app.credentials(guest, {GOOGLE: login})["IdentityId"] == guest
    assert app.get_id(pool_id, google=login) == guest
    with fails("NotAuthorizedException", "is forbidden"):
        app.credentials(guest)


def test_a_guest_who_signs_in_with_a_known_login_becomes_that_identity(app: App, google: Signer) -> None:
    pool_id = app.ready(guests=True)
    login = token(google)
    alice, guest = app.get_id(pool_id, google=login), app.get_id(pool_id)
    assert app.credentials(guest, {GOOGLE: login})["IdentityId"] == alice
    with fails("ResourceNotFoundException"):
        app.credentials(guest)
    listed = app.cognito.list_identities(IdentityPoolId=pool_id, MaxResults=10)["Identities"]
    assert {one["IdentityId"] for one in listed} == {alice, guest}
    shown = app.cognito.list_identities(IdentityPoolId=pool_id, MaxResults=10, HideDisabled=True)["Identities"]
    assert [one["IdentityId"] for one in shown] == [alice]


def both(app: App, **more: Any) -> str:
    return app.ready(
        SupportedLoginProviders={GOOGLE: "app"},
        CognitoIdentityProviders=[{"ProviderName": USER_POOL, "ClientId": "app"}],
        **more,
    )


def test_logins_are_linked_and_never_taken_from_another(app: App, google: Signer, user_pool: Signer) -> None:
    pool_id = both(app)
    at_google, at_pool = token(google), token(user_pool, "alice-in-the-pool")
    alice = app.get_id(pool_id, google=at_google)
    assert (
        app.public.get_id(IdentityPoolId=pool_id, Logins={GOOGLE: at_google, USER_POOL: at_pool})["IdentityId"] == alice
    )
    assert app.public.get_id(IdentityPoolId=pool_id, Logins={USER_POOL: at_pool})["IdentityId"] == alice
    bob = app.get_id(pool_id, google=token(google, "bob"))
    mixed = {GOOGLE: token(google, "bob"), USER_POOL: at_pool}
    for ask in (
        lambda: app.public.get_id(IdentityPoolId=pool_id, Logins=mixed),
        lambda: app.credentials(bob, mixed),
        lambda: app.credentials(alice, mixed),
    ):
        with fails("ResourceConflictException", "Logins are already linked to another account."):
            ask()
    assert app.cognito.describe_identity(IdentityId=bob)["Logins"] == [GOOGLE]
    # One valid login is no key to the other's identity.
    with fails("NotAuthorizedException", "Logins don't match"):
        app.credentials(alice, {GOOGLE: token(google, "bob")})


def test_unlinking_leaves_an_identity_to_nobody_in_the_end(app: App, google: Signer, user_pool: Signer) -> None:
    pool_id = both(app, guests=True)
    logins = {GOOGLE: token(google), USER_POOL: token(user_pool)}
    alice = app.public.get_id(IdentityPoolId=pool_id, Logins=logins)["IdentityId"]
    with fails("NotAuthorizedException", "Logins don't match"):
        app.public.unlink_identity(IdentityId=alice, Logins={GOOGLE: token(google, "mallory")}, LoginsToRemove=[GOOGLE])
    with fails("InvalidParameterException"):
        app.public.unlink_identity(
            IdentityId=alice, Logins={GOOGLE: logins[GOOGLE]}, LoginsToRemove=["graph.facebook.com"]
        )
    guest = app.get_id(pool_id)
    for given in ({}, {GOOGLE: token(google, "mallory")}):
        with fails("NotAuthorizedException", "Logins don't match"):
            app.public.unlink_identity(IdentityId=guest, Logins=given, LoginsToRemove=[GOOGLE])
    app.public.unlink_identity(IdentityId=alice, Logins={GOOGLE: logins[GOOGLE]}, LoginsToRemove=[USER_POOL])
    assert app.cognito.describe_identity(IdentityId=alice)["Logins"] == [GOOGLE]
    assert app.public.get_id(IdentityPoolId=pool_id, Logins={USER_POOL: logins[USER_POOL]})["IdentityId"] != alice
    app.public.unlink_identity(IdentityId=alice, Logins={GOOGLE: logins[GOOGLE]}, LoginsToRemove=[GOOGLE])
    with fails("NotAuthorizedException", "is forbidden"):
        app.credentials(alice)
    with fails("NotAuthorizedException", "Logins don't match"):
        app.credentials(alice, {GOOGLE: logins[GOOGLE]})
    assert app.get_id(pool_id, google=logins[GOOGLE]) != alice


# --- the basic flow -----------------------------------------------------------------------------------------------


def classic(app: App, **params: Any) -> tuple[str, str]:
    pool_id = app.pool(AllowClassicFlow=True, **params)
    return pool_id, app.role("user", app.trust(pool_id), allow("iam:ListUsers"))


def assume(app: App, role: str, web_token: str) -> Any:
    return app.unsigned("sts").assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="basic", WebIdentityToken=web_token
    )


def test_the_token_of_an_identity_assumes_a_role_that_trusts_the_pool(app: App, google: Signer) -> None:
    pool_id, role = classic(app)
    login = token(google)
    identity = app.get_id(pool_id, google=login)
    given = app.public.get_open_id_token(IdentityId=identity, Logins={GOOGLE: login})
    claims = jwt.decode(given["Token"], options={"verify_signature": False})
    assert jwt.get_unverified_header(given["Token"])["alg"] == "RS512"
    assert (claims["iss"], claims["aud"], claims["sub"]) == (f"https://{OWN}", pool_id, identity)
    assert claims["amr"] == ["authenticated", GOOGLE, f"{GOOGLE}:app:alice"]
    assert claims["exp"] - claims["iat"] == 600
    session = assume(app, role, given["Token"])
    assert (session["Provider"], session["Audience"]) == (OWN, pool_id)
    assert session["SubjectFromWebIdentityToken"] == identity
    assert app.aws.using(session).iam.list_users()["Users"] == []


def test_the_basic_flow_has_to_be_allowed(app: App, google: Signer) -> None:
    pool_id = app.pool()
    login = token(google)
    identity = app.get_id(pool_id, google=login)
    with fails("NotAuthorizedException", "Basic (classic) flow is not enabled, please use enhanced flow."):
        app.public.get_open_id_token(IdentityId=identity, Logins={GOOGLE: login})


def test_tokens_of_another_pool_of_a_guest_or_run_out_are_refused(
    app: App, google: Signer, cognito_server: Server
) -> None:
    pool_id, role = classic(app, guests=True)
    other_pool = app.pool(AllowClassicFlow=True)
    login = token(google)

    def web_token(pool: str, **logins: str) -> str:
        identity = app.get_id(pool, **logins)
        given = {GOOGLE: logins["google"]} if logins else {}
        return str(app.public.get_open_id_token(IdentityId=identity, Logins=given)["Token"])

    for refused in (web_token(other_pool, google=login), web_token(pool_id)):
        with fails("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403):
            assume(app, role, refused)
    good = web_token(pool_id, google=login)
    for altered in (good[:-6] + "AAAAAA", good.replace(".", ".AAAA", 1)):
        with fails("InvalidIdentityToken"):
            assume(app, role, altered)
    # Another key of the right name, and the right claims.
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    for header, key in (
        ({"alg": "RS512", "kid": kid}, google.rsa_key),
        ({"alg": "HS512", "kid": kid}, b"x" * 64),
        ({"alg": "RS512", "kid": "rsa"}, google.rsa_key),
    ):
        with fails("InvalidIdentityToken"):
            assume(app, role, signed(claims, header, key))
    cognito_server.advance(seconds=599)
    assume(app, role, good)
    cognito_server.advance(seconds=1)
    with fails("ExpiredTokenException"):
        assume(app, role, good)


def test_a_token_ends_with_its_identity_its_login_and_its_pool(app: App, google: Signer) -> None:
    pool_id, role = classic(app)
    tokens = {}
    for name in ("alice", "bob", "carol"):
        login = token(google, name)
        identity = app.get_id(pool_id, google=login)
        tokens[name] = (
            identity,
            login,
            app.public.get_open_id_token(IdentityId=identity, Logins={GOOGLE: login})["Token"],
        )
        assume(app, role, tokens[name][2])
    app.cognito.delete_identities(IdentityIdsToDelete=[tokens["alice"][0]])
    identity, login, _ = tokens["bob"]
    app.public.unlink_identity(IdentityId=identity, Logins={GOOGLE: login}, LoginsToRemove=[GOOGLE])
    for name in ("alice", "bob"):
        with fails("InvalidIdentityToken"):
            assume(app, role, tokens[name][2])
    app.cognito.delete_identity_pool(IdentityPoolId=pool_id)
    with fails("InvalidIdentityToken"):
        assume(app, role, tokens["carol"][2])


# --- what the role says -------------------------------------------------------------------------------------------


def test_the_roles_trust_policy_decides(app: App, google: Signer) -> None:
    pool_id, login = app.pool(), token(google)
    identity = app.get_id(pool_id, google=login)
    trusts = {
        "another-pool": app.trust(f"us-east-1:{uuid.uuid4()}"),
        "guests": app.trust(pool_id, "unauthenticated"),
        "another-user": app.trust(pool_id, f"{GOOGLE}:app:bob"),
        "google-itself": policy(
            {"Effect": "Allow", "Principal": {"Federated": GOOGLE}, "Action": "sts:AssumeRoleWithWebIdentity"}
        ),
        "nobody": policy(
            {"Effect": "Deny", "Principal": {"Federated": OWN}, "Action": "sts:AssumeRoleWithWebIdentity"}
        ),
    }
    for name, trust in trusts.items():
        app.set_roles(pool_id, authenticated=app.role(name, trust))
        with fails("InvalidIdentityPoolConfigurationException", "Check assigned IAM roles for this pool."):
            app.credentials(identity, {GOOGLE: login})
    app.set_roles(pool_id, authenticated=f"arn:aws:iam::{app.aws.account_id}:role/gone")
    with fails("InvalidIdentityPoolConfigurationException"):
        app.credentials(identity, {GOOGLE: login})
    app.set_roles(pool_id, authenticated=app.role("alice", app.trust(pool_id, f"{GOOGLE}:app:alice")))
    assert app.session_of(app.signed_in(identity, {GOOGLE: login})).endswith("alice/CognitoIdentityCredentials")


def test_claims_are_mapped_to_roles(app: App, google: Signer, user_pool: Signer, cognito_server: Server) -> None:
    pool_id = both(app)
    trust = app.trust(pool_id)
    roles = {name: app.role(name, trust) for name in ("default", "admin", "editor", "reader")}
    at_pool = f"{USER_POOL}:app"
    app.set_roles(
        pool_id,
        {
            at_pool: {"Type": "Token", "AmbiguousRoleResolution": "Deny"},
            GOOGLE: {
                "Type": "Rules",
                "AmbiguousRoleResolution": "AuthenticatedRole",
                "RulesConfiguration": {
                    "Rules": [
                        {"Claim": "groups", "MatchType": "Contains", "Value": "admin", "RoleARN": roles["admin"]},
                        {"Claim": "plan", "MatchType": "Equals", "Value": "paid", "RoleARN": roles["editor"]},
                    ]
                },
            },
        },
        authenticated=roles["default"],
    )

    def role_of(provider: str, login: str, **more: Any) -> str:
        identity = app.public.get_id(IdentityPoolId=pool_id, Logins={provider: login})["IdentityId"]
        return app.session_of(app.signed_in(identity, {provider: login}, **more)).split("/")[1]

    assert role_of(GOOGLE, token(google, groups=["admin"])) == "admin"
    assert role_of(GOOGLE, token(google, groups=["not-admin"], plan="paid")) == "editor"
    assert role_of(GOOGLE, token(google)) == "default"
    two = token(google, groups=["admin"], plan="paid")
    assert role_of(GOOGLE, two) == "admin"
    assert role_of(GOOGLE, two, CustomRoleArn=roles["editor"]) == "editor"
    offered = {"cognito:roles": [roles["editor"], roles["reader"]]}
    assert role_of(USER_POOL, token(user_pool, **offered, **{"cognito:preferred_role": roles["reader"]})) == "reader"
    assert role_of(USER_POOL, token(user_pool, **offered), CustomRoleArn=roles["editor"]) == "editor"
    assert role_of(USER_POOL, token(user_pool, **{"cognito:roles": [roles["reader"]]})) == "reader"
    for login in (token(user_pool, **offered), token(user_pool)):
        with fails("NotAuthorizedException", "The ambiguous role mapping rules denied this request"):
            role_of(USER_POOL, login)
    for provider, login in (
        (GOOGLE, token(google)),
        (GOOGLE, token(google, plan="paid")),
        # Claims of one kind of mapping mean nothing to the other.
        (GOOGLE, token(google, **{"cognito:roles": [roles["admin"]], "cognito:preferred_role": roles["admin"]})),
        (USER_POOL, token(user_pool, groups=["admin"], **offered)),
    ):
        with fails("NotAuthorizedException"):
            role_of(provider, login, CustomRoleArn=roles["admin"])
    # A role of another account, though it trusts the pool.
    foreign = App(cognito_server.new_account()).role("admin", trust)
    with fails("InvalidIdentityPoolConfigurationException"):
        role_of(USER_POOL, token(user_pool, **{"cognito:roles": [foreign]}))


def test_claims_become_session_tags_where_the_trust_policy_lets_them(app: App, google: Signer) -> None:
    bucket = f"b-{app.aws.account_id}"
    app.aws.s3.create_bucket(Bucket=bucket)
    own = allow("s3:PutObject", resource=f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/team}}/*")
    pool_id = app.ready(own)
    app.cognito.set_principal_tag_attribute_map(
        IdentityPoolId=pool_id, IdentityProviderName=GOOGLE, PrincipalTags={"team": "department", "absent": "nothing"}
    )
    login = token(google, department="red")
    identity = app.get_id(pool_id, google=login)
    with fails("InvalidIdentityPoolConfigurationException"):
        app.credentials(identity, {GOOGLE: login})
    app.aws.iam.update_assume_role_policy(RoleName="user", PolicyDocument=app.trust(pool_id, tags=True))
    user = app.signed_in(identity, {GOOGLE: login})
    user.s3.put_object(Bucket=bucket, Key="red/x", Body=b"")
    with fails("AccessDenied", status=403):
        user.s3.put_object(Bucket=bucket, Key="blue/x", Body=b"")
    with fails("NotAuthorizedException", "cannot be the value of a principal tag"):
        app.credentials(identity, {GOOGLE: token(google, department="x" * 257)})
    app.cognito.set_principal_tag_attribute_map(IdentityPoolId=pool_id, IdentityProviderName=GOOGLE, UseDefaults=True)
    shown = app.cognito.get_principal_tag_attribute_map(IdentityPoolId=pool_id, IdentityProviderName=GOOGLE)
    assert (shown["UseDefaults"], shown["PrincipalTags"]) == (True, {"username": "sub", "client": "aud"})


def test_the_basic_flow_carries_the_tags_too(app: App, google: Signer) -> None:
    pool_id = app.pool(AllowClassicFlow=True)
    role = app.role(
        "user", app.trust(pool_id, tags=True), allow("iam:ListUsers", StringEquals={"aws:PrincipalTag/team": "red"})
    )
    app.cognito.set_principal_tag_attribute_map(
        IdentityPoolId=pool_id, IdentityProviderName=GOOGLE, PrincipalTags={"team": "department"}
    )
    for team, allowed in (("red", True), ("blue", False)):
        login = token(google, team, department=team)
        identity = app.get_id(pool_id, google=login)
        web_token = app.public.get_open_id_token(IdentityId=identity, Logins={GOOGLE: login})["Token"]
        user = app.aws.using(assume(app, role, web_token))
        if allowed:
            user.iam.list_users()
        else:
            with fails("AccessDenied", status=403):
                user.iam.list_users()


def test_an_openid_provider_of_the_account_signs_users_in(app: App, google: Signer) -> None:
    arn = app.aws.iam.create_open_id_connect_provider(Url="https://idp.example.com", ClientIDList=["app"])[
        "OpenIDConnectProviderArn"
    ]
    pool_id = app.ready(OpenIdConnectProviderARNs=[arn])
    login = token(google)
    logins = {"idp.example.com": login}
    identity = app.public.get_id(IdentityPoolId=pool_id, Logins=logins)["IdentityId"]
    app.signed_in(identity, logins).sts.get_caller_identity()
    with fails("NotAuthorizedException", "Incorrect token audience"):
        app.public.get_id(IdentityPoolId=pool_id, Logins={"idp.example.com": token(google, aud="other")})
    app.aws.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    with fails("NotAuthorizedException", "Token is not from a supported provider"):
        app.credentials(identity, logins)


def test_the_trail_shows_sign_ins_without_their_tokens(app: App, google: Signer) -> None:
    pool_id = app.ready(allow("iam:ListUsers"), AllowClassicFlow=True, DeveloperProviderName="login.example.app")
    login = token(google)
    identity = app.get_id(pool_id, google=login)
    given = app.credentials(identity, {GOOGLE: login})["Credentials"]
    web_token = app.public.get_open_id_token(IdentityId=identity, Logins={GOOGLE: login})["Token"]
    of_backend = app.cognito.get_open_id_token_for_developer_identity(
        IdentityPoolId=pool_id, Logins={"login.example.app": "alice"}
    )["Token"]
    with fails("NotAuthorizedException"):
        app.credentials(identity)
    events = [event["CloudTrailEvent"] for event in app.aws.cloudtrail.lookup_events(MaxResults=50)["Events"]]
    text = "\n".join(events)
    for name in ("GetId", "GetCredentialsForIdentity", "GetOpenIdToken", "GetOpenIdTokenForDeveloperIdentity"):
        assert f'"eventName":"{name}"' in text
    assert given["AccessKeyId"] in text
    assert '"errorCode":"NotAuthorizedException"' in text
    for secret in (login, web_token, of_backend):
        assert secret.split(".")[2] not in text
    for secret in (given["SecretKey"], given["SessionToken"]):
        assert secret not in text


def test_a_flood_of_guests_is_slowed_down(app: App) -> None:
    pool_id = app.pool(guests=True)
    with fails("TooManyRequestsException"):
        for _ in range(2_000):
            app.get_id(pool_id)


def test_a_login_of_another_user_of_the_same_provider_is_not_added(app: App, google: Signer, user_pool: Signer) -> None:
    pool_id = both(app)
    logins = {GOOGLE: token(google), USER_POOL: token(user_pool)}
    alice = app.public.get_id(IdentityPoolId=pool_id, Logins=logins)["IdentityId"]
    with fails("ResourceConflictException", "another login of the same provider"):
        app.credentials(alice, {GOOGLE: token(google, "mallory"), USER_POOL: logins[USER_POOL]})
    assert app.cognito.describe_identity(IdentityId=alice)["Logins"] == [GOOGLE, USER_POOL]


def test_a_subject_that_no_record_can_hold_is_refused(app: App, google: Signer) -> None:
    pool_id = app.pool()
    with fails("NotAuthorizedException", "Invalid login token."):
        app.get_id(pool_id, google=token(google, "\ud800"))
    strange = "nul\x00 and 漢字 \U0001f701"
    assert app.get_id(pool_id, google=token(google, strange)) == app.get_id(pool_id, google=token(google, strange))


def test_a_signature_of_another_account_does_not_hide_a_call_from_the_pools_trail(
    app: App, google: Signer, cognito_server: Server
) -> None:
    pool_id, other = app.pool(guests=True), App(cognito_server.new_account())
    guest = app.get_id(pool_id)
    body = json.dumps({"IdentityId": guest}).encode()
    target = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{TARGET}.GetCredentialsForIdentity"}
    answer = signed_request(other.aws, body, target)
    assert answer["__type"] == "InvalidIdentityPoolConfigurationException"
    found = app.aws.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "GetCredentialsForIdentity"}]
    )["Events"]
    assert "InvalidIdentityPoolConfigurationException" in found[0]["CloudTrailEvent"]


def test_many_first_sign_ins_at_once_make_one_identity(app: App, google: Signer) -> None:
    pool_id = app.ready(guests=True)
    login, guest = token(google), app.get_id(pool_id)
    with ThreadPoolExecutor(8) as at_once:
        found = set(at_once.map(lambda _: app.credentials(guest, {GOOGLE: login})["IdentityId"], range(16)))
        assert found == {guest}
        bob = token(google, "bob")
        assert len(set(at_once.map(lambda _: app.get_id(pool_id, google=bob), range(16)))) == 1


TARGET = "AWSCognitoIdentityService"


def signed_request(principal: Any, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """What a client says that signs also what needs no signature."""
    made = AWSRequest("POST", principal.endpoint + "/", data=body, headers=headers)
    keys = Credentials(principal.access_key_id, principal.secret_access_key)
    SigV4Auth(keys, "cognito-identity", "us-east-1").add_auth(made)
    answer: dict[str, Any] = json.loads(URLLib3Session().send(made.prepare()).content)
    return answer


def test_huge_inputs_are_refused_and_not_repeated(app: App) -> None:
    pool_id = app.pool()
    for logins in ({GOOGLE: "x" * 50_001}, {f"p{number}": "secret-token" for number in range(11)}, {"x" * 129: "y"}):
        with fails("ValidationException") as caught:
            app.public.get_id(IdentityPoolId=pool_id, Logins=logins)
        assert "secret-token" not in str(caught.value)
        assert len(str(caught.value)) < 2_000
