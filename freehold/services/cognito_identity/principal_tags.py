"""Attributes for access control: which claims of a provider's tokens become session tags.

A role then needs sts:TagSession in its trust policy. A claim that isn't there, or has parts, makes no tag.
https://docs.aws.amazon.com/cognito/latest/developerguide/attributes-for-access-control.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from freehold.services.call import Call
from freehold.services.cognito_identity.errors import InvalidParameter, NotAuthorized
from freehold.services.cognito_identity.permissions import on_pool, require_pool
from freehold.services.cognito_identity.records import POOLS, AttributeMap
from freehold.services.cognito_identity.roles import names_of_providers
from freehold.services.operation import Params, Result, operation

Tags = tuple[tuple[str, str], ...]

DEFAULTS: Final = {"username": "sub", "client": "aud"}
"""Tag -> claim, where the map says UseDefaults."""

MOST_TAGS: Final = 50
_MOST_KEY: Final = 128
_MOST_VALUE: Final = 256
_ALLOWED: Final = re.compile(r"[\w .:/=+\-@]*")


def of(mapped: Sequence[tuple[AttributeMap, Mapping[str, Any]]]) -> Tags:
    """The session tags of a sign-in. `mapped`: the attribute maps of its logins, each with the login's claims; where
    two give one tag, the first counts. Raises NotAuthorizedException for a claim that no tag can hold."""
    found: dict[str, tuple[str, str]] = {}
    for attributes, claims in mapped:
        for key, claim in (DEFAULTS if attributes.use_defaults else attributes.tags).items():
            value = claims.get(claim)
            if isinstance(value, str | int | float) and key.lower() not in found:
                text = ("true" if value else "false") if isinstance(value, bool) else str(value)
                if not is_tag(key, text):
                    raise NotAuthorized(f"The claim {claim} cannot be the value of a principal tag.")
                found[key.lower()] = (key, text)
    return tuple(found.values())


def given(tags: Mapping[str, str]) -> Tags:
    """The tags that a developer's backend gives a user. Raises InvalidParameterException."""
    _check_keys(tags)
    for key, value in tags.items():
        if not is_tag(key, value):
            raise InvalidParameter(f"Invalid principal tag {key}.")
    return tuple(tags.items())


def is_tag(key: str, value: str) -> bool:
    return (
        0 < len(key) <= _MOST_KEY
        and len(value) <= _MOST_VALUE
        and not key.lower().startswith("aws:")
        and _ALLOWED.fullmatch(key) is not None
        and _ALLOWED.fullmatch(value) is not None
    )


def _check_keys(tags: Mapping[str, str]) -> None:
    keys = [key.lower() for key in tags]
    if len(set(keys)) != len(keys):
        raise InvalidParameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for key in tags:
        if not is_tag(key, ""):
            raise InvalidParameter(f"Invalid principal tag key: {key}")


@operation(
    "cognito-identity.SetPrincipalTagAttributeMap", permissions=on_pool("SetPrincipalTagAttributeMap"), writes=True
)
def set_principal_tag_attribute_map(call: Call, params: Params) -> Result:
    """At most 50 tags of claims, or the default ones (`username` of sub, `client` of aud), for one provider.

    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_SetPrincipalTagAttributeMap.html
    """
    pool = require_pool(call, params["IdentityPoolId"])
    provider = params["IdentityProviderName"]
    if provider not in names_of_providers(pool):
        raise InvalidParameter(f"{provider} is not a provider of this identity pool.")
    tags, defaults = params.get("PrincipalTags") or {}, bool(params.get("UseDefaults"))
    if tags and defaults:
        raise InvalidParameter("PrincipalTags cannot be given together with UseDefaults.")
    _check_keys(tags)
    made = AttributeMap(use_defaults=defaults, tags=dict(tags))
    pool.attribute_maps[provider] = made
    POOLS.put(call.tx, (pool.pool_id,), pool)
    return _shown(pool.pool_id, provider, made)


@operation("cognito-identity.GetPrincipalTagAttributeMap", permissions=on_pool("GetPrincipalTagAttributeMap"))
def get_principal_tag_attribute_map(call: Call, params: Params) -> Result:
    """The map of one provider; an empty one where none was set."""
    pool = require_pool(call, params["IdentityPoolId"])
    provider = params["IdentityProviderName"]
    if provider not in names_of_providers(pool):
        raise InvalidParameter(f"{provider} is not a provider of this identity pool.")
    return _shown(pool.pool_id, provider, pool.attribute_maps.get(provider) or AttributeMap())


def _shown(pool_id: str, provider: str, attributes: AttributeMap) -> Result:
    return {
        "IdentityPoolId": pool_id,
        "IdentityProviderName": provider,
        "UseDefaults": attributes.use_defaults,
        "PrincipalTags": DEFAULTS if attributes.use_defaults else attributes.tags,
    }
