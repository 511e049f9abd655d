from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, Key


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def root(desk: Desk) -> Key:
    return desk.account()
