"""Servers with HSM tokens and external key store proxies, and stores on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from soft_hsm import SoftHsm
from stores_in_use import connected, new_store

from freehold.testing import Principal, Server, server

TOKENS = 40


@pytest.fixture(scope="session")
def soft_hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    return SoftHsm(tmp_path_factory.mktemp("softhsm"), TOKENS)


@pytest.fixture(scope="session")
def hsm_server(soft_hsm: SoftHsm) -> Iterator[Server]:
    with server(options=soft_hsm.options, environment=soft_hsm.environment) as running:
        yield running


@pytest.fixture
def owner(hsm_server: Server) -> Principal:
    """A fresh account's root user at the server that has the tokens."""
    return hsm_server.new_account()


@pytest.fixture
def store(owner: Principal, soft_hsm: SoftHsm) -> str:
    """A connected store of `owner`'s on a token of its own."""
    return connected(owner, new_store(owner, soft_hsm)[0])
