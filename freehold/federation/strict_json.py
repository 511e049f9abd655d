"""JSON from strangers: one value for a name, nothing too deep, no numbers that aren't numbers."""

from __future__ import annotations

import json
from typing import Any


class BadJson(ValueError):
    """No JSON object that is read in one way only."""


def an_object(text: bytes) -> dict[str, Any]:
    """The object that a UTF-8 text is. Raises BadJson, also where a name is given twice, at any depth."""
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise BadJson("not a JSON object, or a name is given twice") from None
    if not isinstance(found, dict):
        raise BadJson("not a JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BadJson("a name is given twice")
    return made


def _refuse(constant: str) -> Any:
    raise BadJson(f"{constant} is no number")
