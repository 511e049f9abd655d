"""Which Region of this deployment a key store's path means: `/REGION/kms/xks/v1`, or its first without one.

The Region in a request's credential scope is the one where AWS KMS is: it says nothing of where the keys are here.
One more part may follow the Region (`/us-east-1/orders/kms/xks/v1`), a name of the customer's own that means nothing
here: AWS wants each key store's endpoint and path to be different.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from freehold.protocol import xks
from freehold.services.operation import Params

if TYPE_CHECKING:
    from freehold.services.call import Call

_MOST_PARTS: Final = 2


async def addressed(call: Call, params: Params) -> None:
    """Let the call be about the Region that its path names. Raises InvalidUriPathException."""
    found = xks.split(call.request.raw_path)
    regions = call.app.settings.regions
    parts = [] if found is None else found[0].split("/")[1:]
    if len(parts) > _MOST_PARTS or (parts and parts[0] not in regions):
        raise xks.InvalidUriPath(
            "A key store's path is /REGION/kms/xks/v1 or /REGION/NAME/kms/xks/v1 here, with a Region of this server."
        )
    call.region = parts[0] if parts else regions[0]
    call.context["aws:requestedregion"] = call.region
