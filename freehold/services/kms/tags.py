"""Tags on keys: at most 50, counted by name; they are condition keys (`aws:ResourceTag/…`) from the next request on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization.permission import ContextValue, Permission
from freehold.services.kms import loaded, paging, records
from freehold.services.kms.errors import LimitExceeded, Tag
from freehold.services.kms.permissions import find, managing, on_key
from freehold.services.kms.permissions import request_context as context_of
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call

MOST: Final = 50
_ALLOWED: Final = re.compile(r"[\w .:/=+\-@]*")


def read(listed: list[dict[str, Any]]) -> dict[str, str]:
    """`Tags` of a request as a dict. Raises TagException for reserved, repeated or malformed names."""
    found: dict[str, str] = {}
    for tag in listed:
        name, value = tag["TagKey"], tag["TagValue"]
        _check_name(name)
        if not _ALLOWED.fullmatch(name) or not _ALLOWED.fullmatch(value):
            raise Tag("Tag keys and values take letters, numbers, spaces and _ . : / = + - @ only.")
        if name in found:
            raise Tag("Duplicate tag keys are not allowed.")
        found[name] = value
    if len(found) > MOST:
        raise LimitExceeded(f"A KMS key has at most {MOST} tags.")
    return found


def _check_name(name: str) -> None:
    if name.lower().startswith("aws:"):
        raise Tag("Tag keys that begin with aws: are reserved.")


def request_context(new: dict[str, str]) -> dict[str, ContextValue]:
    """`aws:RequestTag/…` and `aws:TagKeys` of a request."""
    if not new:
        return {}
    context: dict[str, ContextValue] = {f"aws:requesttag/{name.lower()}": value for name, value in new.items()}
    context["aws:tagkeys"] = tuple(new)
    return context


def _may_tag(call: Call, params: Params) -> list[Permission]:
    key, _ = find(call, params["KeyId"], "kms:TagResource", aliases=False, foreign=False)
    context = context_of(key)
    context.update(request_context(read(params["Tags"])))
    return [managing(call, key, "kms:TagResource", context)]


def _may_untag(call: Call, params: Params) -> list[Permission]:
    key, _ = find(call, params["KeyId"], "kms:UntagResource", aliases=False, foreign=False)
    context = context_of(key)
    context["aws:tagkeys"] = tuple(params["TagKeys"])
    return [managing(call, key, "kms:UntagResource", context)]


@operation("kms.TagResource", permissions=_may_tag, writes=True)
def tag_resource(call: Call, params: Params) -> None:
    """Add tags to a key or replace their values.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_TagResource.html
    """
    key = loaded.changeable(call, params["KeyId"], "TagResource")
    key.tags = {**key.tags, **read(params["Tags"])}
    if len(key.tags) > MOST:
        raise LimitExceeded(f"A KMS key has at most {MOST} tags.")
    records.save(call.tx, key)


@operation("kms.UntagResource", permissions=_may_untag, writes=True)
def untag_resource(call: Call, params: Params) -> None:
    """Remove tags by name; names that the key doesn't have are ignored.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_UntagResource.html
    """
    key = loaded.changeable(call, params["KeyId"], "UntagResource")
    for name in params["TagKeys"]:
        _check_name(name)
    key.tags = {name: value for name, value in key.tags.items() if name not in params["TagKeys"]}
    records.save(call.tx, key)


@operation("kms.ListResourceTags", permissions=on_key("kms:ListResourceTags"))
def list_resource_tags(call: Call, params: Params) -> Result:
    """A key's tags by name: 1-50 a page.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_ListResourceTags.html
    """
    key = loaded.record_for(call, params["KeyId"], "kms:ListResourceTags")
    seen = paging.last_seen(params, 1)
    rows = sorted(key.tags.items())
    if seen is not None:
        rows = [row for row in rows if row[0] > seen[0]]
    return paging.page(
        "Tags",
        rows,
        params,
        lambda row: {"TagKey": row[0], "TagValue": row[1]},
        lambda row: paging.marker(row[0]),
        default=50,
    )
