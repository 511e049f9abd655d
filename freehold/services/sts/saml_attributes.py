"""What the attributes of a SAML assertion mean to AWS: role, session name, duration, source identity, tags, and the
condition keys of the trust policy.

Raises InvalidIdentity in AWS's words for what an attribute may not hold.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-saml
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from freehold.authorization.permission import ContextValue
from freehold.federation.identity import InvalidIdentity
from freehold.services.sts.sessions import MOST_TAGS, Tags

_OURS: Final = "https://aws.amazon.com/SAML/Attributes/"
_PRINCIPAL_TAG: Final = f"{_OURS}PrincipalTag:"
_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_TAG_SIGNS: Final = frozenset("_.:/=+-@")
_MOST_TAG_KEY: Final = 128
_MOST_TAG_VALUE: Final = 256
_SHORTEST_SECONDS: Final = 900
_LONGEST_SECONDS: Final = 43_200

Attributes = Mapping[str, tuple[str, ...]]

_EDU_PERSON: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1."
_EDU_ORG: Final = "urn:oid:1.3.6.1.4.1.5923.1.2.1."
_CLAIMS: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT: Final = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"

LISTS: Final = {
    f"{_EDU_PERSON}1": "saml:edupersonaffiliation",
    f"{_EDU_PERSON}2": "saml:edupersonnickname",
    f"{_EDU_PERSON}4": "saml:edupersonorgunitdn",
    f"{_EDU_PERSON}7": "saml:edupersonentitlement",
    f"{_EDU_PERSON}9": "saml:edupersonscopedaffiliation",
    f"{_EDU_PERSON}10": "saml:edupersontargetedid",
    f"{_EDU_PERSON}11": "saml:edupersonassurance",
    f"{_EDU_ORG}2": "saml:eduorghomepageuri",
    f"{_EDU_ORG}3": "saml:eduorgidentityauthnpolicyuri",
    f"{_EDU_ORG}4": "saml:eduorglegalname",
    f"{_EDU_ORG}5": "saml:eduorgsuperioruri",
    f"{_EDU_ORG}6": "saml:eduorgwhitepagesuri",
    "urn:oid:2.5.4.3": "saml:cn",
}
"""Attribute names whose condition keys hold all values."""

SINGLE: Final = {
    f"{_EDU_PERSON}3": "saml:edupersonorgdn",
    f"{_EDU_PERSON}5": "saml:edupersonprimaryaffiliation",
    f"{_EDU_PERSON}6": "saml:edupersonprincipalname",
    f"{_EDU_PERSON}8": "saml:edupersonprimaryorgunitdn",
    f"{_CLAIMS}name": "saml:name",
    "http://schemas.xmlsoap.org/claims/CommonName": "saml:commonname",
    f"{_CLAIMS}givenname": "saml:givenname",
    f"{_CLAIMS}surname": "saml:surname",
    f"{_CLAIMS}emailaddress": "saml:mail",
    f"{_MICROSOFT}primarygroupsid": "saml:uid",
    "2.5.4.3": "saml:commonname",
    "2.5.4.4": "saml:surname",
    "2.4.5.42": "saml:givenname",
    "2.5.4.45": "saml:x500uniqueidentifier",
    "0.9.2342.19200300100.1.1": "saml:uid",
    "0.9.2342.19200300100.1.3": "saml:mail",
    "0.9.2342.19200300.100.1.45": "saml:organizationstatus",
}
"""Attribute names whose condition keys hold the first value, as AWS's page spells them."""


def condition_keys(attributes: Attributes) -> dict[str, ContextValue]:
    """Keys for the trust policy, in lower case. Where two attributes make one key, the first of the tables counts."""
    keys: dict[str, ContextValue] = {}
    for name, key in LISTS.items():
        values = attributes.get(name)
        if values:
            keys[key] = values
    for name, key in SINGLE.items():
        values = attributes.get(name)
        if values:
            keys.setdefault(key, values[0])
    return keys


def allows_role(attributes: Attributes, role_arn: str, provider_arn: str) -> bool:
    """Whether the assertion offers this role through this provider; a pair of ARNs may be in either order."""
    for value in attributes.get(f"{_OURS}Role", ()):
        if sorted(part.strip() for part in value.split(",")) == sorted((role_arn, provider_arn)):
            return True
    return False


def session_name(attributes: Attributes) -> str:
    value = _one(attributes, "RoleSessionName")
    if not value:
        raise InvalidIdentity("RoleSessionName is required in AuthnResponse")
    if not _NAME.fullmatch(value):
        raise InvalidIdentity("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
    return value


def source_identity(attributes: Attributes) -> str:
    """Empty without one."""
    value = _one(attributes, "SourceIdentity")
    if value is None:
        return ""
    if not _NAME.fullmatch(value) or value.lower().startswith("aws:"):
        raise InvalidIdentity('Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"')
    return value


def session_seconds(attributes: Attributes) -> int | None:
    """SessionDuration: it can only shorten what the API gives."""
    value = _one(attributes, "SessionDuration")
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,6}", value) or not _SHORTEST_SECONDS <= int(value) <= _LONGEST_SECONDS:
        raise InvalidIdentity(f"SessionDuration must be {_SHORTEST_SECONDS} to {_LONGEST_SECONDS} seconds.")
    return int(value)


def tags(attributes: Attributes) -> Tags:
    """Session tags, from `PrincipalTag:KEY`."""
    found: dict[str, tuple[str, str]] = {}
    for name, values in attributes.items():
        if not name.startswith(_PRINCIPAL_TAG):
            continue
        key = name.removeprefix(_PRINCIPAL_TAG)
        if len(values) != 1 or not is_tag(key, values[0]):
            raise InvalidIdentity("PrincipalTag attributes have a tag key in their name, and one value.")
        if key.lower() in found:
            raise InvalidIdentity("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        found[key.lower()] = (key, values[0])
    if len(found) > MOST_TAGS:
        raise InvalidIdentity(f"A session has at most {MOST_TAGS} tags.")
    return tuple(found.values())


def transitive_keys(attributes: Attributes, passed: Tags) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(attributes.get(f"{_OURS}TransitiveTagKeys", ())))
    if not {key.lower() for key, _ in passed}.issuperset(key.lower() for key in keys):
        raise InvalidIdentity("The specified transitive tag key must be included in the requested tags.")
    return keys


def _one(attributes: Attributes, name: str) -> str | None:
    """The value of one of AWS's own attributes, which has exactly one where it is there."""
    values = attributes.get(f"{_OURS}{name}")
    if values is None:
        return None
    if len(values) != 1:
        raise InvalidIdentity(f"{name} in AuthnResponse must have exactly one value.")
    return values[0]


def is_tag(key: str, value: str) -> bool:
    return (
        1 <= len(key) <= _MOST_TAG_KEY
        and len(value) <= _MOST_TAG_VALUE
        and not key.lower().startswith("aws:")
        and all(sign in _TAG_SIGNS or unicodedata.category(sign)[0] in "LZN" for sign in key + value)
    )
