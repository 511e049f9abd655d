"""Sealing, and what a server that isn't sealed says about it. A sealed one is `freehold/sealed.py`."""

from __future__ import annotations

from freehold import __version__
from freehold.custody.mark import head_of
from freehold.custody.provider import provider
from freehold.services.call import Call
from freehold.services.freehold.accounts import operator_only
from freehold.services.freehold.errors import ValidationException
from freehold.services.operation import Params, Result, no_permission, operation

_ANYONE = no_permission("Tells nothing but that the server is open, which every other answer tells as well.")


@operation("freehold.GetSealStatus", permissions=_ANYONE, anonymous=True)
def get_seal_status(call: Call, params: Params) -> Result:
    """Not sealed: otherwise this would not have answered."""
    return {"Sealed": False, "Version": __version__}


@operation("freehold.Unseal", permissions=_ANYONE, anonymous=True)
def unseal(call: Call, params: Params) -> Result:
    """Refused: a share has no business with a server that isn't sealed."""
    given = "share" if "Share" in params else "passphrase" if "Passphrase" in params else "secret"
    raise ValidationException(f"The server is not sealed: it needs no {given}.")


@operation("freehold.Seal", permissions=operator_only("freehold:Seal"), writes=True)
def seal(call: Call, params: Params) -> Result:
    """Forget the root key and everything it opens, once requests in flight are answered; then answer sealed.

    The processes that had the key end. Refused where nobody could unseal the server, and where it was started before
    its root key came into people's hands.
    """
    app = call.app
    # Also one whose root key was moved out of people's hands: it would open by itself again.
    if app.seal is None or not provider(head_of(app.settings.data).kind).BY_PEOPLE:
        raise ValidationException(
            "This server can't be sealed: its root key is not in people's hands (a passphrase, shares), or was not "
            "when the server was started. Stop it instead."
        )
    call.tx.after_commit(app.seal)
    return {}
