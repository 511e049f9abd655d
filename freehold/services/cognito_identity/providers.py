"""Which providers a pool may name: public ones, user pools, OpenID Connect and SAML providers, and one of its own.

Raises InvalidParameterException for what AWS refuses, and NotImplemented for what needs a user pool's or a social
network's own interface.
https://docs.aws.amazon.com/cognito/latest/developerguide/external-identity-providers.html
https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html
"""

from __future__ import annotations

import re
from typing import Any, Final

from freehold.errors import NotImplementedByFreehold
from freehold.services.cognito_identity.errors import InvalidParameter, LimitExceeded
from freehold.services.cognito_identity.records import CognitoProvider, Pool
from freehold.services.iam import oidc_providers, saml_providers
from freehold.services.operation import Params
from freehold.storage.records import Reader

OWN: Final = "cognito-identity.amazonaws.com"
"""The login under which the token for a developer's identity is handed in; no provider may be called so."""

PUBLIC: Final = frozenset(
    (
        "accounts.google.com",
        "api.twitter.com",
        "appleid.apple.com",
        "graph.facebook.com",
        "www.amazon.com",
        "www.digits.com",
    )
)
OPAQUE: Final = frozenset(("api.twitter.com", "graph.facebook.com", "www.amazon.com", "www.digits.com"))
"""Those whose logins usually are access tokens, which nobody but the provider can verify."""

_USER_POOL: Final = re.compile(r"cognito-idp\.[a-z0-9-]+\.amazonaws\.com/[\w-]+", re.ASCII)
_MOST_USER_POOLS: Final = 50
_MOST_PROVIDERS: Final = 50


def configure(pool: Pool, params: Params, reader: Reader) -> None:
    """Put what a request says of providers in the place of what the pool had."""
    pool.login_providers = _public(params.get("SupportedLoginProviders") or {})
    pool.cognito_providers = _user_pools(params.get("CognitoIdentityProviders") or [])
    pool.oidc_arns = _openid(pool, params.get("OpenIdConnectProviderARNs") or [], reader)
    pool.saml_arns = _saml(pool, params.get("SamlProviderARNs") or [], reader)
    own = params.get("DeveloperProviderName") or ""
    if pool.developer_provider and own and own != pool.developer_provider:
        raise InvalidParameter("The developer provider name cannot be changed once it is set.")
    if own == OWN or own in PUBLIC or own.startswith("cognito-idp."):
        raise InvalidParameter(f"{own} is another provider's name. Please provide a valid developer provider name.")
    pool.developer_provider = own or pool.developer_provider


def _public(given: dict[str, str]) -> dict[str, str]:
    for name in given:
        if name not in PUBLIC:
            raise InvalidParameter("Please provide a valid public provider.")
    return dict(given)


def _user_pools(given: list[dict[str, Any]]) -> list[CognitoProvider]:
    made: list[CognitoProvider] = []
    for one in given:
        name, client_id = one.get("ProviderName") or "", one.get("ClientId") or ""
        if not _USER_POOL.fullmatch(name):
            raise InvalidParameter("Invalid Cognito Identity Provider name: cognito-idp.REGION.amazonaws.com/POOL.")
        if not client_id:
            raise InvalidParameter("A Cognito Identity Provider needs the client id of an application.")
        if one.get("ServerSideTokenCheck"):
            raise NotImplementedByFreehold(
                "ServerSideTokenCheck asks the user pool whether a user was signed out or deleted since the token was "
                "given. User pools are not served, and AWS's own answer this to nobody else. Leave it out or false."
            )
        provider = CognitoProvider(provider_name=name, client_id=client_id)
        if provider in made:
            raise InvalidParameter("Duplicate Cognito Identity Provider.")
        made.append(provider)
    if len(made) > _MOST_USER_POOLS:
        raise LimitExceeded(f"An identity pool has at most {_MOST_USER_POOLS} user pool providers.")
    return made


def _openid(pool: Pool, arns: list[str], reader: Reader) -> list[str]:
    for arn in _distinct(arns):
        if arn not in pool.oidc_arns and openid_at(reader, pool.account_id, arn) is None:
            raise InvalidParameter(f"Invalid OpenID Connect provider: {arn} is none of this account.")
    return arns


def _saml(pool: Pool, arns: list[str], reader: Reader) -> list[str]:
    for arn in _distinct(arns):
        if arn not in pool.saml_arns and saml_at(reader, pool.account_id, arn) is None:
            raise InvalidParameter(f"Invalid SAML provider: {arn} is none of this account.")
    return arns


def _distinct(arns: list[str]) -> list[str]:
    if len(set(arns)) != len(arns):
        raise InvalidParameter("A provider is given twice.")
    if len(arns) > _MOST_PROVIDERS:
        raise LimitExceeded(f"An identity pool has at most {_MOST_PROVIDERS} providers of one kind.")
    return arns


def openid_at(reader: Reader, account_id: str, arn: str) -> oidc_providers.OidcProvider | None:
    """The account's own provider with this ARN."""
    prefix = oidc_providers.arn_of(account_id, "")
    return oidc_providers.named(reader, account_id, arn.removeprefix(prefix)) if arn.startswith(prefix) else None


def saml_at(reader: Reader, account_id: str, arn: str) -> saml_providers.SamlProvider | None:
    """The account's own provider with this ARN."""
    prefix = f"arn:aws:iam::{account_id}:saml-provider/"
    return saml_providers.provider_at(reader, arn) if arn.startswith(prefix) and len(arn) > len(prefix) else None
