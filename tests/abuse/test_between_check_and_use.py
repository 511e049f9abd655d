"""What was authorized is what is changed, though another call came in between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from freehold.services.kms import aliases, replicas
from freehold.services.s3 import access
from freehold.services.s3.errors import NoSuchBucket
from freehold.services.s3.records import BucketRecord


class Denied(Exception):
    pass


def test_a_bucket_that_was_made_again_is_not_the_one_that_was_authorized() -> None:
    buckets = [BucketRecord(identity, "111122223333", "us-east-1", 0) for identity in ("one", "one", "two")]

    class Call:
        prepared = None
        region = "us-east-1"
        principal = SimpleNamespace(kind="user")

        def cached(self, domain: str, key: Any, load: Any) -> access.Bucket:
            return access.Bucket("b", buckets.pop(0))

    call: Any = Call()
    access.bucket_of(call, {"Bucket": "b"})
    access.bucket_of(call, {"Bucket": "b"})
    with pytest.raises(NoSuchBucket):
        access.bucket_of(call, {"Bucket": "b"})


@pytest.mark.parametrize("change", [aliases.update_alias, aliases.delete_alias])
def test_an_alias_is_changed_for_the_keys_that_it_has_in_the_transaction(
    change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def require(permission: str) -> None:
        asked.append(permission)
        raise Denied

    monkeypatch.setattr(aliases, "_may_update", lambda call, params: ["the key that it has now"])
    monkeypatch.setattr(aliases, "_may_delete", lambda call, params: ["the key that it has now"])
    with pytest.raises(Denied):
        change(SimpleNamespace(require=require, tx=None), {"AliasName": "alias/a", "TargetKeyId": "k"})
    assert asked == ["the key that it has now"]


def test_the_primary_moves_by_the_policies_that_both_keys_have_in_the_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def require(permission: str) -> None:
        asked.append(permission)
        if permission == "on the replica that it has now":
            raise Denied

    both = ["on the primary", "on the replica that it has now"]
    monkeypatch.setattr(replicas, "_may_update_primary", lambda call, params: both)
    with pytest.raises(Denied):
        replicas.update_primary_region(
            SimpleNamespace(require=require, tx=None),  # type: ignore[arg-type]
            {"KeyId": "k", "PrimaryRegion": "eu-west-1"},
        )
    assert asked == both
