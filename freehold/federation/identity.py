"""What a verified token or assertion says, and why one is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class FederationRefused(Exception):
    """Why an identity is not accepted; STS and Cognito say it with errors of their own. Holds no part of a token."""


class InvalidIdentity(FederationRefused):
    """Not signed by the provider, not for this audience, or not what a token or assertion may look like."""


class ExpiredIdentity(FederationRefused):
    """Genuine, and run out."""


class RejectedByProvider(FederationRefused):
    """The provider's answer was that it does not vouch for this (its metadata contradicts the token)."""


class ProviderUnreachable(FederationRefused):
    """The provider's keys could not be fetched."""


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """A verified OpenID Connect ID token.

    `provider`: the issuer without its scheme (`accounts.google.com`, `idp.example.com/tenant`), as condition keys are
    named after it (`accounts.google.com:sub`).
    """

    provider: str
    subject: str
    audience: str
    """What the provider's `:aud` condition key holds: `azp` where the token has one, as on AWS, else `aud`."""
    claims: Mapping[str, Any] = field(repr=False)
    """All claims, as in the token."""
