"""AWS's quotas: so many keys per account and Region, aliases and grants per key, and characters per policy.

https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.kms import aliases, grants, keys, policies, records
from freehold.services.kms.records import COUNTS, KEY_COUNTS, Counts, KeyCount

ARN = "arn:aws:iam::{}:root"
DAY = 86_400


def counted(kms: Any, account_id: str | None = None) -> int:
    found = KEY_COUNTS.get(kms.app.records.reader(), (account_id or kms.account.account_id, "us-east-1"))
    return 0 if found is None else found.keys


def test_the_quotas_are_those_of_aws() -> None:
    assert keys.MOST_PER_REGION == 100_000
    assert aliases.MOST_PER_KEY == 50
    assert grants.MOST_PER_KEY == 50_000
    assert policies.MOST_BYTES == 32 * 1024


def test_an_account_has_100000_keys_in_a_region_and_no_more(kms: Any, key_id: str) -> None:
    kms.write(lambda tx: KEY_COUNTS.put(tx, (kms.account.account_id, "us-east-1"), KeyCount(keys=99_999)))
    last = kms("CreateKey")["KeyMetadata"]["KeyId"]
    with pytest.raises(AwsError) as refused:
        kms("CreateKey")
    assert refused.value.code == "LimitExceededException"
    assert counted(kms) == 100_000
    kms("CreateKey", as_=kms.new_account())
    kms("ScheduleKeyDeletion", KeyId=last, PendingWindowInDays=7)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()
    assert kms("CreateKey")


def test_what_was_refused_is_not_counted(kms: Any) -> None:
    kms("CreateKey")
    with pytest.raises(AwsError):
        kms("CreateKey", Policy="{}")
    assert counted(kms) == 1


def test_keys_from_before_they_were_counted_are_counted_once(kms: Any, key_id: str) -> None:
    place = (kms.account.account_id, "us-east-1")
    kms("CreateKey")
    kms.write(lambda tx: KEY_COUNTS.delete(tx, place))
    kms("CreateKey")
    assert counted(kms) == 3
    kms.write(lambda tx: KEY_COUNTS.delete(tx, place))
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()
    assert counted(kms) == 2


def test_a_key_has_50_aliases_and_no_more(kms: Any, key_id: str) -> None:
    for number in range(50):
        kms("CreateAlias", AliasName=f"alias/{number}", TargetKeyId=key_id)
    other = kms("CreateKey")["KeyMetadata"]["KeyId"]
    kms("CreateAlias", AliasName="alias/elsewhere", TargetKeyId=other)
    for name, alias in (("CreateAlias", "alias/50"), ("UpdateAlias", "alias/elsewhere")):
        with pytest.raises(AwsError) as refused:
            kms(name, AliasName=alias, TargetKeyId=key_id)
        assert refused.value.code == "LimitExceededException"
    kms("DeleteAlias", AliasName="alias/0")
    kms("UpdateAlias", AliasName="alias/elsewhere", TargetKeyId=key_id)


def test_a_key_has_50000_grants_and_no_more(kms: Any, key_id: str) -> None:
    grant = {"KeyId": key_id, "GranteePrincipal": ARN.format(kms.account.account_id), "Operations": ["Decrypt"]}
    kms.write(lambda tx: COUNTS.put(tx, ("us-east-1", key_id), Counts(grants=49_999)))
    last = kms("CreateGrant", **grant)["GrantId"]
    with pytest.raises(AwsError) as refused:
        kms("CreateGrant", **grant)
    assert refused.value.code == "LimitExceededException"
    kms("RevokeGrant", KeyId=key_id, GrantId=last)
    assert kms("CreateGrant", **grant)


def test_a_grantee_has_500_grants_on_a_key_and_others_have_theirs(
    kms: Any, key_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request of a grantee looks at all of its grants, while everybody else waits."""
    assert grants.MOST_OF_A_GRANTEE == 500
    monkeypatch.setattr(grants, "MOST_OF_A_GRANTEE", 3)
    grant = {"KeyId": key_id, "GranteePrincipal": ARN.format(kms.account.account_id), "Operations": ["Decrypt"]}
    last = [kms("CreateGrant", **grant, Name="n")["GrantId"] for _ in range(3)][-1]
    for _ in range(2):
        kms("CreateGrant", **grant)
    with pytest.raises(AwsError) as refused:
        kms("CreateGrant", **grant)
    assert refused.value.code == "LimitExceededException"
    assert kms("CreateGrant", **grant, Name="n")["GrantId"] == last
    kms("CreateGrant", **{**grant, "GranteePrincipal": ARN.format(kms.new_account().account_id)})
    kms("RevokeGrant", KeyId=key_id, GrantId=last)
    kms("CreateGrant", **grant)


def padded(account_id: str, size: int) -> str:
    """A policy that gives the account everything, of so many bytes."""
    statement = {"Effect": "Allow", "Principal": {"AWS": ARN.format(account_id)}, "Action": "kms:*", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return text + " " * (size - len(text))


def test_a_key_policy_has_32_kib_and_no_more(kms: Any, key_id: str) -> None:
    account_id = kms.account.account_id
    most = padded(account_id, 32_768)
    assert kms("CreateKey", Policy=most)
    kms("PutKeyPolicy", KeyId=key_id, Policy=most)
    for name, params in (("CreateKey", {}), ("PutKeyPolicy", {"KeyId": key_id})):
        with pytest.raises(AwsError) as refused:
            kms(name, Policy=padded(account_id, 32_769), **params)
        assert refused.value.code == "LimitExceededException"


def test_aws_managed_keys_are_not_counted(kms: Any) -> None:
    key = records.Key(
        key_id="0" * 8,
        account_id=kms.account.account_id,
        region="us-east-1",
        created_at=0.0,
        policy=policies.default_policy(kms.account.account_id),
        manager="AWS",
    )
    kms.write(lambda tx: keys.store(kms.app, tx, key))
    kms("CreateKey")
    assert counted(kms) == 1


OWNERS = [(None, 2), (["SELF"], 2), (["OTHER_ACCOUNTS_VIA_RAM"], 0), (["OTHER_ACCOUNTS_VIA_RAM", "SELF"], 2)]


@pytest.mark.parametrize(("owners", "most"), OWNERS)
def test_no_other_accounts_keys_are_listed_since_none_are_shared(kms: Any, owners: Any, most: int) -> None:
    for _ in range(2):
        kms("CreateKey")
    kms("CreateKey", as_=kms.new_account())
    params = {} if owners is None else {"ResourceOwners": owners}
    listed = kms("ListKeys", **params)
    assert (len(listed["Keys"]), listed["Truncated"]) == (most, False)
    page = kms("ListKeys", Limit=1, **params)
    if most:
        assert len(kms("ListKeys", Limit=1, Marker=page["NextMarker"], **params)["Keys"]) == 1
    else:
        with pytest.raises(AwsError) as refused:
            kms("ListKeys", Marker="eA", **params)
        assert refused.value.code == "InvalidMarkerException"


def test_a_replica_counts_in_its_own_region(kms: Any) -> None:
    kms.app.settings = SimpleNamespace(regions=("us-east-1", "eu-west-1"))
    place = (kms.account.account_id, "eu-west-1")
    key_id = kms("CreateKey", MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.write(lambda tx: KEY_COUNTS.put(tx, place, KeyCount(keys=100_000)))
    with pytest.raises(AwsError) as refused:
        kms("ReplicateKey", KeyId=key_id, ReplicaRegion="eu-west-1")
    assert refused.value.code == "LimitExceededException"
    assert kms("DescribeKey", KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"]["ReplicaKeys"] == []
    kms.write(lambda tx: KEY_COUNTS.put(tx, place, KeyCount(keys=99_999)))
    assert kms("ReplicateKey", KeyId=key_id, ReplicaRegion="eu-west-1")
    assert counted(kms) == 1
