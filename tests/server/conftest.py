"""A deployment that tests copy, since making one and starting on it takes most of their time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.testing import Server


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A deployment that was served once and is not any more. Not to be touched."""
    server = Server(tmp_path_factory.mktemp("made"))
    server.start()
    server.account.s3.create_bucket(Bucket="made")
    server.close()
    return server


@pytest.fixture
def server(made: Server, tmp_path: Path) -> Iterator[Server]:
    """A copy of it, with its root key, to be started and damaged."""
    data = tmp_path / "data"
    shutil.copytree(made.data, data)
    copy = made.on_copy(data)
    copy.root_key = tmp_path / "data.root-key"
    shutil.copy2(made.root_key, copy.root_key)
    copy._options = []
    yield copy
    copy.close()
