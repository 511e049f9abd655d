"""What tests of several folders use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from openid_provider import OpenIdProvider

# A test fails by what is wrong, never by how busy the machine is.
settings.register_profile("freehold", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("freehold")


@pytest.fixture(scope="session")
def openid_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    """A real OpenID provider, over TLS; start a server with `openid_provider.options` to have it as Google's."""
    from openid_provider import OpenIdProvider

    made = OpenIdProvider(tmp_path_factory.mktemp("openid-provider"))
    yield made
    made.close()
