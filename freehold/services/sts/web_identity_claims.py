"""What the claims of an ID token mean to AWS: condition keys, session tags, source identity.

Condition keys are named after the provider: `accounts.google.com:sub`. The session keeps them, so that its permission
policies can use them (`${cognito-identity.amazonaws.com:sub}`). Raises InvalidIdentity for what a claim may not hold.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from freehold.authorization.permission import ContextValue
from freehold.federation.identity import InvalidIdentity, WebIdentity
from freehold.services.sts.saml_attributes import is_tag
from freehold.services.sts.sessions import MOST_TAGS, Tags

_TAGS: Final = "https://aws.amazon.com/tags"
_FLAT_TAG: Final = f"{_TAGS}/principal_tags/"
_FLAT_TRANSITIVE: Final = f"{_TAGS}/transitive_tag_keys"
_SOURCE_IDENTITY: Final = "https://aws.amazon.com/source_identity"
_SOURCE_IDENTITY_TEXT: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_MOST_VALUES: Final = 100
_MOST_CHARACTERS: Final = 1024

_GITHUB: Final = "token.actions.githubusercontent.com"
FURTHER: Final[Mapping[str, tuple[str, ...]]] = {
    _GITHUB: (
        *("actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref"),
        *("repository", "repository_id", "repository_owner_id", "workflow"),
    ),
}
"""Claims of one provider alone that AWS makes condition keys of as well."""


def condition_keys(identity: WebIdentity) -> dict[str, ContextValue]:
    """`PROVIDER:aud`, `:oaud`, `:sub`, `:amr`, `:email` and a provider's own, in lower case."""
    provider, claims = identity.provider.lower(), identity.claims
    keys: dict[str, ContextValue] = {f"{provider}:sub": identity.subject, f"{provider}:aud": identity.audience}
    for name, claim in (("oaud", "aud"), ("amr", "amr")):
        values = claims.get(claim)
        texts = (values,) if isinstance(values, str) else tuple(values) if isinstance(values, list) else ()
        if 0 < len(texts) <= _MOST_VALUES and all(map(_is_text, texts)):
            keys[f"{provider}:{name}"] = texts[0] if name == "oaud" and len(texts) == 1 else texts
    for name in ("email", *FURTHER.get(provider, ())):
        value = claims.get(name)
        if isinstance(value, str) and _is_text(value):
            keys[f"{provider}:{name}"] = value
    return keys


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MOST_CHARACTERS


def tags(claims: Mapping[str, Any]) -> tuple[Tags, tuple[str, ...]]:
    """Session tags and the keys of the transitive ones, from the nested claim or from its flattened form."""
    given, transitive = _tag_claims(claims)
    found: dict[str, tuple[str, str]] = {}
    for key, value in given.items():
        text = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(text, str) or not is_tag(key, text):
            raise InvalidIdentity("Principal tags have a tag key as their name, and one value.")
        if key.lower() in found:
            raise InvalidIdentity("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        found[key.lower()] = (key, text)
    if len(found) > MOST_TAGS:
        raise InvalidIdentity(f"A session has at most {MOST_TAGS} tags.")
    if not isinstance(transitive, list) or not all(isinstance(key, str) and key.lower() in found for key in transitive):
        raise InvalidIdentity("The specified transitive tag key must be included in the requested tags.")
    return tuple(found.values()), tuple(dict.fromkeys(transitive))


def _tag_claims(claims: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    flat = {name.removeprefix(_FLAT_TAG): value for name, value in claims.items() if name.startswith(_FLAT_TAG)}
    nested = claims.get(_TAGS)
    if nested is None:
        return flat, claims.get(_FLAT_TRANSITIVE, [])
    given = nested.get("principal_tags", {}) if isinstance(nested, dict) else None
    if not isinstance(given, dict) or flat or _FLAT_TRANSITIVE in claims:
        raise InvalidIdentity("The claim for tags holds principal_tags, and is given in one form only.")
    return given, nested.get("transitive_tag_keys", [])


def source_identity(claims: Mapping[str, Any]) -> str:
    """Empty without one."""
    value = claims.get(_SOURCE_IDENTITY)
    if value is None:
        return ""
    if not isinstance(value, str) or not _SOURCE_IDENTITY_TEXT.fullmatch(value) or value.lower().startswith("aws:"):
        raise InvalidIdentity('Source Identity must match [a-zA-Z_0-9+=,.@-]{2,64} and not begin with "aws:"')
    return value
