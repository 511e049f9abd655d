"""What changes between the verification of logins and the transaction is a conflict, never decided on as it was."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from freehold.errors import AwsError
from freehold.services.cognito_identity import asking
from freehold.services.cognito_identity.asking import Asked
from freehold.services.cognito_identity.linking import Plan
from freehold.services.cognito_identity.records import POOLS, Pool

POOL = Pool(account_id="111122223333", region="us-east-1", pool_id="us-east-1:1", name="pool", created_at=0)
CHANGES: list[dict[str, Any]] = [
    {"login_providers": {"accounts.google.com": "another-app"}},
    {"allow_unauthenticated": True},
    {"roles": {"authenticated": "arn:aws:iam::111122223333:role/other"}},
]


def _again(now: Pool | None, made: Plan, **options: bool) -> Plan:
    stored = None if now is None else msgspec.msgpack.encode(now)
    reader = SimpleNamespace(get=lambda table, key: stored if (table, key) == (POOLS.name, (POOL.pool_id,)) else None)
    call: Any = SimpleNamespace(tx=reader)
    return asking.again(call, Asked(POOL, Plan("us-east-1:a")), lambda reader, pool: made, **options)


@pytest.mark.parametrize("change", CHANGES)
def test_a_pool_that_was_changed_meanwhile_is_a_conflict(change: dict[str, Any]) -> None:
    with pytest.raises(AwsError, match="changed at the same moment"):
        _again(msgspec.structs.replace(POOL, **change), Plan("us-east-1:a"))


def test_a_pool_that_was_deleted_meanwhile_is_a_conflict() -> None:
    with pytest.raises(AwsError, match="changed at the same moment"):
        _again(None, Plan("us-east-1:a"))


def test_another_identity_than_was_decided_on_is_a_conflict() -> None:
    with pytest.raises(AwsError, match="changed at the same moment"):
        _again(POOL, Plan("us-east-1:b"))
    assert _again(POOL, Plan("us-east-1:b"), any_identity=True).identity_id == "us-east-1:b"
    assert _again(POOL, Plan("us-east-1:a", merged="us-east-1:c")).merged == "us-east-1:c"
