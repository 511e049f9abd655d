"""What tests of federation have for themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openid_provider import OpenIdProvider


@pytest.fixture
def rotating_provider(tmp_path: Path) -> Iterator[OpenIdProvider]:
    """A provider of one test's own, whose keys may change."""
    made = OpenIdProvider(tmp_path)
    yield made
    made.close()
