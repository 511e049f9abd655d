"""Pagination: `MaxResults` (1 to 60) and an opaque `NextToken` that holds the place after which the next page begins.

https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_ListIdentities.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from freehold.services import paging
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
        return paging.place(token)
    except ValueError:
        raise InvalidParameter("Invalid NextToken.") from None


def page(
    params: Params, member: str, entries: Iterable[T], place: Callable[[T], str], shown: Callable[[T], Any]
) -> Result:
    """A page of `entries`, which begin where `after` says. No more of them are taken than needed."""
    found, more = paging.take(entries, params.get("MaxResults") or MOST)
    page = {member: [shown(one) for one in found]}
    return page | {"NextToken": paging.token(place(found[-1]))} if more else page
