"""pytest fixtures, loaded through the package's entry point.

`freehold_server`: one server for the whole test session. `aws`: the root user of a fresh account on it, with boto3
clients as attributes (`aws.s3`, `aws.kms` …), so that tests share nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from freehold.testing import Principal, Server


@pytest.fixture(scope="session")
def freehold_server() -> Iterator[Server]:
    """A running Freehold server in a temporary directory."""
    from freehold.testing import server

    with server() as running:
        yield running


@pytest.fixture
def aws(freehold_server: Server) -> Principal:
    """A fresh account's root user."""
    return freehold_server.new_account()
