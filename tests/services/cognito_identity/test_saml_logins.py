"""Users of an account's SAML provider as identities of a pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apps import App, allow, fails
from saml_forge import ATTRIBUTES, Forge

from freehold.testing import Server, server


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One whose clock nobody moves: assertions are good for five minutes."""
    with server() as made:
        yield made


@pytest.fixture
def app(own_server: Server) -> App:
    return App(own_server.new_account())


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


class Company:
    """A SAML provider of the account, and a pool that it signs in to."""

    def __init__(self, app: App, forge: Forge) -> None:
        self.app, self.forge = app, forge
        self.arn: str = app.aws.iam.create_saml_provider(Name="company", SAMLMetadataDocument=forge.metadata())[
            "SAMLProviderArn"
        ]
        self.pool_id = app.ready(allow("iam:ListUsers"), SamlProviderARNs=[self.arn])

    def logins(self, subject: str = "alice", **said: Any) -> dict[str, str]:
        return {self.arn: self.forge.says(subject=subject, **said)}

    def get_id(self, logins: dict[str, str]) -> str:
        return str(self.app.public.get_id(IdentityPoolId=self.pool_id, Logins=logins)["IdentityId"])


@pytest.fixture
def company(app: App, forge: Forge) -> Company:
    return Company(app, forge)


def test_a_user_of_the_company_signs_in(app: App, company: Company) -> None:
    logins = company.logins()
    alice = company.get_id(logins)
    assert company.get_id(company.logins()) == alice
    assert company.get_id(company.logins("bob")) != alice
    assert app.signed_in(alice, logins).iam.list_users()["Users"] == []
    with fails("NotAuthorizedException", "Logins don't match"):
        app.credentials(alice, company.logins("bob"))


def test_an_assertion_by_another_key_is_refused(app: App, company: Company) -> None:
    for forged in (Forge().says(subject="alice"), "x", "PHg+PC94Pg=="):
        with fails("NotAuthorizedException", "Invalid login token."):
            company.get_id({company.arn: forged})


def test_the_roles_of_an_assertion_are_mapped(app: App, company: Company) -> None:
    trust = app.trust(company.pool_id)
    roles = {name: app.role(name, trust) for name in ("admin", "reader", "other")}
    app.set_roles(
        company.pool_id,
        {company.arn: {"Type": "Token", "AmbiguousRoleResolution": "Deny"}},
        authenticated=roles["other"],
    )
    both = {f"{ATTRIBUTES}Role": [f"{roles['admin']},{company.arn}", f"{company.arn},{roles['reader']}"]}
    logins = company.logins(attributes=both)
    alice = company.get_id(logins)
    with fails("NotAuthorizedException", "ambiguous"):
        app.credentials(alice, logins)
    for name in ("admin", "reader"):
        user = app.signed_in(alice, logins, CustomRoleArn=roles[name])
        assert app.session_of(user).split("/")[1] == name
    with fails("NotAuthorizedException"):
        app.credentials(alice, logins, CustomRoleArn=roles["other"])


def test_a_removed_provider_signs_nobody_in(app: App, company: Company) -> None:
    logins = company.logins()
    alice = company.get_id(logins)
    app.aws.iam.delete_saml_provider(SAMLProviderArn=company.arn)
    with fails("NotAuthorizedException", "Token is not from a supported provider"):
        app.credentials(alice, logins)


def test_an_assertion_for_one_use_is_refused(app: App, company: Company) -> None:
    with fails("NotAuthorizedException", "one use"):
        company.get_id(company.logins(conditions="<saml:OneTimeUse/>"))
