"""Which role an identity gets: the pool's own, or the one that its provider's claims are mapped to. Pure functions.

Claims are the provider's word, not the user's; whatever they say, the role's trust policy decides afterwards.
https://docs.aws.amazon.com/cognito/latest/developerguide/role-based-access-control.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from freehold.services.cognito_identity.errors import InvalidIdentityPoolConfiguration, NotAuthorized
from freehold.services.cognito_identity.records import RoleMapping, Rule

ROLES_CLAIM: Final = "cognito:roles"
PREFERRED_CLAIM: Final = "cognito:preferred_role"
_DENIED: Final = "The ambiguous role mapping rules denied this request"
_NOT_OFFERED: Final = "The custom role is none of those that the identity provider's token offers."


def choose(
    roles: Mapping[str, str],
    mapped: Sequence[tuple[RoleMapping, Mapping[str, Any]]],
    *,
    authenticated: bool,
    custom: str | None,
) -> str:
    """The role's ARN. `mapped`: the mappings of the logins that were given, each with the login's claims; the first
    counts. `custom`: the role that the caller asks for, which must be among those that the login may have.

    Raises InvalidIdentityPoolConfigurationException where the pool has no such role, NotAuthorizedException.
    """
    if not authenticated:
        return _own(roles, "unauthenticated", custom)
    if not mapped:
        return _own(roles, "authenticated", custom)
    mapping, claims = mapped[0]
    offered, wanted = _BY_TYPE[mapping.type](mapping, claims)
    if custom is not None:
        if custom not in offered:
            raise NotAuthorized(_NOT_OFFERED)
        return custom
    if wanted is not None:
        return wanted
    if mapping.ambiguous != "AuthenticatedRole":
        raise NotAuthorized(_DENIED)
    return _own(roles, "authenticated", None)


def _own(roles: Mapping[str, str], kind: str, custom: str | None) -> str:
    role = roles.get(kind)
    if role is None:
        raise InvalidIdentityPoolConfiguration()
    if custom is not None and custom != role:
        raise NotAuthorized(_NOT_OFFERED)
    return role


def _from_token(mapping: RoleMapping, claims: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """The roles that the token offers, and the one to take without being asked for another."""
    listed = claims.get(ROLES_CLAIM)
    offered = [role for role in listed if isinstance(role, str)] if isinstance(listed, list) else []
    preferred = claims.get(PREFERRED_CLAIM)
    if isinstance(preferred, str) and (preferred in offered or not offered):
        return [*offered, preferred], preferred
    return offered, offered[0] if len(offered) == 1 else None


def _by_rules(mapping: RoleMapping, claims: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """The roles of all rules that match, and that of the first."""
    offered = [rule.role_arn for rule in mapping.rules if matches(rule, claims)]
    return offered, offered[0] if offered else None


_BY_TYPE: Final[dict[str, Callable[[RoleMapping, Mapping[str, Any]], tuple[list[str], str | None]]]] = {
    "Token": _from_token,
    "Rules": _by_rules,
}


def matches(rule: Rule, claims: Mapping[str, Any]) -> bool:
    """Whether a rule holds. Without the claim none does, not even NotEqual; a list holds what one of its parts is,
    and is unequal where none of them is."""
    if rule.claim not in claims:
        return False
    claim = claims[rule.claim]
    if isinstance(claim, list):
        parts = [_text(part) for part in claim]
        if rule.match_type == "NotEqual":
            return all(part is not None and part != rule.value for part in parts)
        # No part is taken for another that it contains: `admin` is not in the groups of a `not-admin`.
        compare = _equal if rule.match_type == "Contains" else _TESTS[rule.match_type]
        return any(part is not None and compare(part, rule.value) for part in parts)
    text = _text(claim)
    return text is not None and _TESTS[rule.match_type](text, rule.value)


def _equal(text: str, value: str) -> bool:
    return text == value


_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "Equals": _equal,
    "NotEqual": lambda text, value: text != value,
    "StartsWith": lambda text, value: text.startswith(value),
    "Contains": lambda text, value: value in text,
}


def _text(claim: Any) -> str | None:
    """A claim as text; None for what has parts, or is null."""
    if isinstance(claim, bool):
        return "true" if claim else "false"
    return str(claim) if isinstance(claim, str | int | float) else None
