"""A server with two Regions, an account on it, and what AWS KMS would be to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from xks_client import XksClient, new_client

from freehold.testing import Principal, Server, server


@pytest.fixture(scope="session")
def home() -> Iterator[Server]:
    with server(regions=("us-east-1", "eu-west-1")) as running:
        yield running
        assert running.log() == ""


@pytest.fixture(scope="module")
def owner(home: Server) -> Principal:
    return home.new_account()


@pytest.fixture(scope="module")
def xks(owner: Principal) -> XksClient:
    return new_client(owner)


@pytest.fixture(scope="module")
def key(owner: Principal) -> str:
    """The id of a KMS key with the default policy."""
    return str(owner.kms.create_key()["KeyMetadata"]["KeyId"])
