"""Which context keys policies name: what GetContextKeysFor… lists, and what a simulation can miss.

A key is given as it is first written, since policies may write it in any case.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForCustomPolicy.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

_VARIABLE = re.compile(r"\$\{([^}*?$][^},]*)")


def named(texts: Iterable[str]) -> list[str]:
    """The keys of all policies, each once, in the order in which they are written."""
    found: dict[str, str] = {}
    for text in texts:
        for key in _of(text):
            found.setdefault(key.lower(), key)
    return list(found.values())


@lru_cache(maxsize=1024)
def _of(text: str) -> tuple[str, ...]:
    policy = json.loads(text, parse_float=str)
    statements = policy["Statement"]
    variables = policy.get("Version") == "2012-10-17"
    return tuple(
        key
        for statement in (statements if isinstance(statements, list) else [statements])
        for key in _of_statement(statement, variables)
    )


def _of_statement(statement: dict[str, Any], variables: bool) -> Iterator[str]:
    if variables:
        for element in ("Resource", "NotResource"):
            yield from _in_texts(statement.get(element))
    for tests in statement.get("Condition", {}).values():
        for key, wanted in tests.items():
            yield key
            if variables:
                yield from _in_texts(wanted)


def _in_texts(value: Any) -> Iterator[str]:
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str):
            for variable in _VARIABLE.finditer(text):
                yield variable[1].strip()
