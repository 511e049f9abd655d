"""AWS's Service Authorization Reference: which services there are, their actions, resource types and condition keys.

A shipped file (see `data/make_service_reference.py`), so it knows nothing newer than itself: an action that isn't in it
may exist all the same. The index is read at first use, a service when it is asked for.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import orjson

_DATA: Final = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    """As AWS spells it, without the service's prefix."""
    access: str
    """List, Read, Tagging, Write or Permissions management."""
    resource_types: tuple[tuple[str, bool], ...] = ()
    """(type, whether it is required), required ones first."""
    condition_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    prefix: str
    name: str
    actions: dict[str, Action] = field(repr=False)
    """By lower-case name."""
    resource_arns: dict[str, str] = field(repr=False)
    """Resource type -> ARN with variables: `arn:${Partition}:s3:::${BucketName}`."""
    condition_keys: dict[str, str] = field(repr=False)
    """Key -> type."""


@lru_cache(maxsize=1)
def names() -> dict[str, str]:
    """Every service's name by its prefix, in the order of prefixes."""
    return {prefix: name for prefix, (name, _, _) in _index().items()}


@lru_cache(maxsize=1)
def _index() -> dict[str, tuple[str, int, int]]:
    rows = orjson.loads((_DATA / "service_reference.json").read_bytes())["services"]
    return {prefix: (name, offset, length) for prefix, name, offset, length in rows}


@lru_cache(maxsize=64)
def service(prefix: str) -> Service | None:
    """What is known of a service (`s3`), None of one that isn't known."""
    found = _index().get(prefix)
    if found is None:
        return None
    name, offset, length = found
    descriptor = os.open(_DATA / "service_reference.bin", os.O_RDONLY | os.O_CLOEXEC)
    try:
        raw = orjson.loads(zlib.decompress(os.pread(descriptor, length, offset)))
    finally:
        os.close(descriptor)
    actions = {action.lower(): _action(action, described) for action, described in raw["actions"].items()}
    arns = {kind: described["arn"] for kind, described in raw.get("resources", {}).items()}
    return Service(prefix, name, actions, arns, raw.get("conditions", {}))


def _action(name: str, described: dict[str, Any]) -> Action:
    types = [(kind, bool(one.get("required"))) for kind, one in described.get("resources", {}).items()]
    return Action(
        name,
        described.get("access", ""),
        tuple(sorted(types, key=lambda one: not one[1])),
        tuple(described.get("conditions", ())),
    )


def action(full_name: str) -> tuple[Service, Action] | None:
    """What is known of `s3:GetObject`, in any case; None of an action that isn't known."""
    prefix, _, name = full_name.lower().partition(":")
    owner = service(prefix)
    found = None if owner is None else owner.actions.get(name)
    return None if owner is None or found is None else (owner, found)
