"""AWS managed policies (`arn:aws:iam::aws:policy/…`): the same in every account, read-only, from a shipped file.

Only each policy's default version is known. The index is read at first use, a document when it is asked for.
Policy ids are made from the ARN, since AWS doesn't publish the real ones.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import orjson

ARN_PREFIX = "arn:aws:iam::aws:policy"
_DATA = Path(__file__).parents[2] / "data"


class AwsManagedPolicy(NamedTuple):
    path: str
    name: str
    version: int
    created_at: int
    """Seconds since the epoch."""
    updated_at: int
    offset: int
    length: int

    @property
    def arn(self) -> str:
        return f"{ARN_PREFIX}{self.path}{self.name}"

    @property
    def unique_id(self) -> str:
        return "ANPA" + base64.b32encode(hashlib.sha256(self.arn.encode()).digest()).decode()[:17]


@lru_cache(maxsize=1)
def every() -> dict[str, AwsManagedPolicy]:
    """All of them by ARN, ordered by name."""
    rows = orjson.loads((_DATA / "aws_managed_policies.json").read_bytes())["policies"]
    policies = [
        AwsManagedPolicy(path, name, int(version[1:]), _seconds(created), _seconds(updated), offset, length)
        for path, name, version, created, updated, offset, length in rows
    ]
    return {policy.arn: policy for policy in policies}


def find(arn: str) -> AwsManagedPolicy | None:
    return every().get(arn) if arn.startswith(ARN_PREFIX) else None


@lru_cache(maxsize=128)
def document(policy: AwsManagedPolicy) -> str:
    """The text of the default version."""
    descriptor = os.open(_DATA / "aws_managed_policies.bin", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return zlib.decompress(os.pread(descriptor, policy.length, policy.offset)).decode()
    finally:
        os.close(descriptor)


def _seconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp())
