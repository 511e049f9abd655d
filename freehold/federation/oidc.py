"""OpenID Connect ID tokens, verified: who the provider says that the caller is.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
"""

from __future__ import annotations

from dataclasses import dataclass

from freehold.clock import Clock
from freehold.config import Settings
from freehold.federation.identity import ProviderUnreachable, WebIdentity
from freehold.federation.issuers import Addresses


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """Whose tokens are accepted, and for whom they must have been made.

    `provider`: the issuer without its scheme (`accounts.google.com`, `idp.example.com/tenant`).
    `audiences`: the client ids of which the token's audience must be one; None where that is for the trust policy to
    say (built-in providers). `thumbprints`: SHA-1 fingerprints (40 hexadecimal digits) that vouch for the provider's
    certificate where no trusted authority does.
    """

    provider: str
    audiences: tuple[str, ...] | None = None
    thumbprints: tuple[str, ...] = ()


class WebIdentities:
    """Verifies ID tokens with the keys of their providers, which it fetches and keeps. One a worker."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.addresses = Addresses(settings.issuers)
        self._clock = clock

    async def verify(self, token: str, trusted: TrustedIssuer) -> WebIdentity:
        """Who the token speaks of. Raises InvalidIdentity, ExpiredIdentity, RejectedByProvider, ProviderUnreachable.

        Call it on the event loop: it waits for the provider at most a few seconds, without holding up anything else.
        """
        raise ProviderUnreachable("fetching providers' keys is not implemented")

    def close(self) -> None:
        """Stop fetching."""
