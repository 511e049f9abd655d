"""A server whose Google and user pool are issuers of the tests' own, and an account that has an app there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apps import App
from hostile import Signer

from freehold.testing import Server, server

USER_POOL = "cognito-idp.us-east-1.amazonaws.com/us-east-1_Users"


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    made = Signer(tmp_path_factory.mktemp("google"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def user_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    made = Signer(tmp_path_factory.mktemp("user-pool"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def cognito_server(google: Signer, user_pool: Signer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    bundle: Path = tmp_path_factory.mktemp("authorities") / "bundle.pem"
    bundle.write_bytes(google.authority.bundle.read_bytes() + user_pool.authority.bundle.read_bytes())
    options = [
        f"--issuer=accounts.google.com={google.origin}",
        f"--issuer=idp.example.com={google.origin}",
        f"--issuer={USER_POOL}={user_pool.origin}",
        f"--issuer-ca={bundle}",
    ]
    with server(options=options) as made:
        yield made


@pytest.fixture
def app(cognito_server: Server) -> Iterator[App]:
    before = len(cognito_server.log())
    yield App(cognito_server.new_account())
    assert cognito_server.log()[before:] == ""
