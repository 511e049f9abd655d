from __future__ import annotations

from typing import Any

import pytest
from organizing import Organized


@pytest.fixture
def org(freehold_server: Any) -> Organized:
    return Organized(freehold_server)
