"""A whole deployment, and copies of it to damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from damaged_data import Deployed, fill

from freehold import testing


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    directory = tmp_path_factory.mktemp("whole")
    server = testing.Server(directory, regions=("us-east-1", "eu-central-1"))
    try:
        server.start()
        aws = server.new_account()
        names = fill(aws)
        server.names = (aws.access_key_id, aws.secret_access_key)  # type: ignore[attr-defined]
        server.stop()
        yield Deployed(server, server.data, names)
    finally:
        server.close()


@pytest.fixture
def copied(whole: Deployed, tmp_path: Path) -> Callable[[], Deployed]:
    """Makes a fresh copy of the whole deployment."""
    made = 0

    def copy() -> Deployed:
        nonlocal made
        made += 1
        target = tmp_path / f"copy-{made}"
        shutil.copytree(whole.data, target)
        return Deployed(whole.server, target, whole.names)

    return copy


@pytest.fixture
def copy(copied: Callable[[], Deployed]) -> Deployed:
    return copied()
