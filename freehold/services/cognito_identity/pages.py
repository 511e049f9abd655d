"""Pagination: `MaxResults` (1 to 60) and an opaque `NextToken` that holds the place after which the next page begins.

https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_ListIdentities.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from freehold.services.cognito_identity.errors import InvalidParameter
from freehold.services.operation import Params, Result

MOST = 60
T = TypeVar("T")


def after(params: Params) -> str | None:
    """Where the page begins: after this place; None for the first. Raises InvalidParameterException."""
    token = params.get("NextToken")
    if token is None:
        return None
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise InvalidParameter("Invalid NextToken.") from None


def page(
    params: Params, member: str, entries: Iterable[T], place: Callable[[T], str], shown: Callable[[T], Any]
) -> Result:
    """A page of `entries`, which begin where `after` says. No more of them are taken than needed."""
    most = params.get("MaxResults") or MOST
    found: list[T] = []
    for entry in entries:
        if len(found) == most:
            token = base64.b64encode(place(found[-1]).encode(), altchars=b"-_").decode()
            return {member: [shown(one) for one in found], "NextToken": token}
        found.append(entry)
    return {member: [shown(one) for one in found]}
