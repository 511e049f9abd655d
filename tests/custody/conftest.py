"""Deployments whose root key is somewhere else than in a file; none is started yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from custody_drive import CHEAP, PASSPHRASE, secret_file

from freehold.testing import Server


@pytest.fixture
def passphrase_server(tmp_path: Path) -> Server:
    path = secret_file(tmp_path, PASSPHRASE)
    return Server(tmp_path, init=("--custody=passphrase", f"--secret-file={path}", *CHEAP))


@pytest.fixture
def shamir_server(tmp_path: Path) -> Server:
    """Not started; three shares, two needed."""
    return Server(tmp_path, init=("--custody=shamir", "--with=shares=3", "--with=threshold=2"))
