"""What tests of federation have for themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openid_provider import OpenIdProvider

from freehold.testing import Server, server


@pytest.fixture
def rotating_provider(tmp_path: Path) -> Iterator[OpenIdProvider]:
    """A provider of one test's own, whose keys may change."""
    made = OpenIdProvider(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def freehold_server(openid_provider: OpenIdProvider) -> Iterator[Server]:
    """A server that knows the provider as Google's, and as `idp.example.com`."""
    with server(options=openid_provider.options) as running:
        yield running
        assert running.log() == ""
