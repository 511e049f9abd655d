"""One account, and one server whose standard error is looked at after each test: no defect passes unseen."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "iam"))  # authenticator.py


@pytest.fixture
def server(freehold_server: Any) -> Iterator[Any]:
    """The server of the session. It must go on, and must have had no defect, whatever a test did to it."""
    before = len(freehold_server.log())
    yield freehold_server
    assert freehold_server.log()[before:] == ""


@pytest.fixture
def aws(server: Any) -> Any:
    """A fresh account's root user; still served when the test is over."""
    account = server.new_account()
    yield account
    assert account.sts.get_caller_identity()["Account"] == account.account_id


@pytest.fixture
def other(server: Any) -> Any:
    """The root user of another account."""
    return server.new_account("other")


@pytest.fixture
def bucket(aws: Any) -> str:
    name = "b-" + secrets.token_hex(8)
    aws.s3.create_bucket(Bucket=name)
    return name
