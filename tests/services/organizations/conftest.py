from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from organizing import Organized

sys.path.insert(0, str(Path(__file__).parents[1] / "iam"))  # authenticator.py


@pytest.fixture
def org(freehold_server: Any) -> Organized:
    return Organized(freehold_server)
