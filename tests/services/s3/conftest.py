"""Fixtures of the live tests: a bucket, its name, another account."""

from __future__ import annotations

import secrets
from typing import Any

import pytest


@pytest.fixture
def name() -> str:
    """A bucket name that nobody has."""
    return "b-" + secrets.token_hex(8)


@pytest.fixture
def bucket(aws: Any, name: str) -> str:
    aws.s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def other(freehold_server: Any) -> Any:
    """The root user of another account."""
    return freehold_server.new_account("other")
