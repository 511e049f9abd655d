"""What OpenID Connect and SAML providers have in common: their ARNs, and who may act on the one that an ARN names.

Tags of a provider are told to its own account's policies alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam.authorized import Keys
from freehold.services.iam.errors import InvalidInput
from freehold.services.operation import Params, Permissions
from freehold.storage.records import Reader

TagsOf = Callable[[Reader, str], Mapping[str, str]]
"""The tags of the provider with this ARN, none where there is no such provider."""


def parts(arn: str, kind: str) -> tuple[str, str]:
    """The account and the name in a provider's ARN. Raises InvalidInput."""
    found = arn.split(":", 5)
    if len(found) == 6 and found[:4] == ["arn", "aws", "iam", ""]:
        before, _, name = found[5].partition("/")
        if before == kind and name:
            return found[4], name
    raise not_valid(arn)


def not_valid(arn: str) -> Exception:
    return InvalidInput(f"ARN {arn} is not valid.")


def on(action: str, parameter: str, kind: str, tags_of: TagsOf, keys: tuple[Keys, ...]) -> Permissions:
    """The action on the provider that the ARN in `parameter` names."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        arn = params[parameter]
        owner = parts(arn, kind)[0]
        tags = tags_of(call.reader, arn) if owner == call.account_id else {}
        context: dict[str, Any] = {f"aws:resourcetag/{key.lower()}": value for key, value in tags.items()}
        for more in keys:
            context |= more(params, None)
        return [Permission(f"iam:{action}", arn, owner, context)]

    return permissions
