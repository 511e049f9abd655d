from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "iam"))  # desk.py

import desk as desks
import pytest


@pytest.fixture
def desk(tmp_path: Path):
    made = desks.Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def root(desk: desks.Desk) -> desks.Key:
    return desk.account()
