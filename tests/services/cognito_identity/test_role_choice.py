"""The choice of a role, as a pure function of claims and configuration.

https://docs.aws.amazon.com/cognito/latest/developerguide/role-based-access-control.html
"""

from __future__ import annotations

from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.cognito_identity.records import RoleMapping, Rule
from freehold.services.cognito_identity.role_choice import choose, matches

RULES = [  # match type, value, claims, holds
    ("Equals", "red", {"c": "red"}, True),
    ("Equals", "red", {"c": "Red"}, False),
    ("Equals", "red", {"c": "reddish"}, False),
    ("Equals", "red", {}, False),
    ("Equals", "red", {"c": None}, False),
    ("Equals", "red", {"c": {"red": 1}}, False),
    ("Equals", "7", {"c": 7}, True),
    ("Equals", "true", {"c": True}, True),
    ("Equals", "1", {"c": True}, False),
    ("Equals", "red", {"c": ["blue", "red"]}, True),
    ("Contains", "ed", {"c": "red"}, True),
    ("Contains", "admin", {"c": ["not-admin"]}, False),
    ("Contains", "admin", {"c": ["a", "admin"]}, True),
    ("Contains", "x", {}, False),
    ("StartsWith", "re", {"c": "red"}, True),
    ("StartsWith", "ed", {"c": "red"}, False),
    ("StartsWith", "re", {"c": ["blue", "red"]}, True),
    ("NotEqual", "red", {"c": "blue"}, True),
    ("NotEqual", "red", {"c": "red"}, False),
    ("NotEqual", "red", {}, False),
    ("NotEqual", "red", {"c": ["blue", "red"]}, False),
    ("NotEqual", "red", {"c": ["blue"]}, True),
    ("NotEqual", "red", {"c": {"a": "b"}}, False),
    ("NotEqual", "red", {"c": [["red"]]}, False),
]


@pytest.mark.parametrize(("kind", "value", "claims", "holds"), RULES)
def test_a_rule_holds_for_what_it_says(kind: Any, value: str, claims: dict[str, Any], holds: bool) -> None:
    rule = Rule(claim="c", match_type=kind, value=value, role_arn="r")
    assert matches(rule, claims) is holds


OWN = {"authenticated": "user", "unauthenticated": "guest"}
TOKEN = RoleMapping(type="Token", ambiguous="Deny")
TOKEN_OR_OWN = RoleMapping(type="Token", ambiguous="AuthenticatedRole")


def rules(ambiguous: Any, *roles: str) -> RoleMapping:
    made = [Rule(claim=role, match_type="Equals", value="yes", role_arn=role) for role in roles]
    return RoleMapping(type="Rules", ambiguous=ambiguous, rules=made)


def offers(*roles: Any, preferred: Any = None) -> dict[str, Any]:
    claims: dict[str, Any] = {"cognito:roles": list(roles)}
    return claims | ({"cognito:preferred_role": preferred} if preferred is not None else {})


CHOICES = [  # mapping, claims, custom role, chosen or the refusal's code
    (None, {}, None, "user"),
    (None, offers("admin"), None, "user"),
    (None, {}, "user", "user"),
    (None, {}, "admin", "NotAuthorizedException"),
    (TOKEN, {}, None, "NotAuthorizedException"),
    (TOKEN_OR_OWN, {}, None, "user"),
    (TOKEN, offers("a"), None, "a"),
    (TOKEN, offers("a", "b"), None, "NotAuthorizedException"),
    (TOKEN_OR_OWN, offers("a", "b"), None, "user"),
    (TOKEN, offers("a", "b"), "b", "b"),
    (TOKEN_OR_OWN, offers("a", "b"), "c", "NotAuthorizedException"),
    (TOKEN_OR_OWN, offers("a", "b"), "user", "NotAuthorizedException"),
    (TOKEN, offers("a", "b", preferred="b"), None, "b"),
    (TOKEN, offers("a", "b", preferred="c"), None, "NotAuthorizedException"),
    (TOKEN, {"cognito:preferred_role": "a"}, None, "a"),
    (TOKEN, {"cognito:preferred_role": "a"}, "a", "a"),
    (TOKEN, {"cognito:roles": "a"}, None, "NotAuthorizedException"),
    (TOKEN, offers(["a"], {"b": 1}, 7), None, "NotAuthorizedException"),
    (TOKEN, offers("a", preferred=["a"]), None, "a"),
    (rules("Deny", "a", "b"), {"b": "yes"}, None, "b"),
    (rules("Deny", "a", "b"), {"a": "yes", "b": "yes"}, None, "a"),
    (rules("Deny", "a", "b"), {"a": "yes", "b": "yes"}, "b", "b"),
    (rules("Deny", "a", "b"), {"a": "yes"}, "b", "NotAuthorizedException"),
    (rules("Deny", "a"), {}, None, "NotAuthorizedException"),
    (rules("AuthenticatedRole", "a"), {}, None, "user"),
    (rules("", "a"), {}, None, "NotAuthorizedException"),
]


@pytest.mark.parametrize(("mapping", "claims", "custom", "wanted"), CHOICES)
def test_a_role_is_chosen(mapping: Any, claims: dict[str, Any], custom: str | None, wanted: str) -> None:
    mapped = [] if mapping is None else [(mapping, claims)]
    try:
        assert choose(OWN, mapped, authenticated=True, custom=custom) == wanted
    except AwsError as error:
        assert error.code == wanted  # noqa: PT017


def test_a_guest_gets_the_guests_role_whatever_is_mapped() -> None:
    mapped = [(TOKEN, offers("admin"))]
    assert choose(OWN, mapped, authenticated=False, custom=None) == "guest"
    for custom in ("admin", "user"):
        with pytest.raises(AwsError) as refused:
            choose(OWN, mapped, authenticated=False, custom=custom)
        assert refused.value.code == "NotAuthorizedException"


@pytest.mark.parametrize("authenticated", [True, False])
def test_a_pool_without_roles_is_not_rightly_configured(authenticated: bool) -> None:
    with pytest.raises(AwsError) as refused:
        choose({}, [], authenticated=authenticated, custom=None)
    assert refused.value.code == "InvalidIdentityPoolConfigurationException"
