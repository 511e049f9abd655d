"""What is kept of a key in memory holds until something of that key changes; changes of others leave it alone."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.kms import loaded
from freehold.services.kms.records import part_of

KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize("name", [f"arn:aws:kms:us-east-1:123456789012:key/{KEY_ID}", f"key/{KEY_ID}"])
def test_a_key_is_in_the_same_part_by_every_name(name: str) -> None:
    assert part_of(name) == part_of(KEY_ID)


def test_an_alias_is_in_the_same_part_by_name_and_arn() -> None:
    assert part_of("arn:aws:kms:us-east-1:123456789012:alias/team/app") == part_of("alias/team/app")
    assert part_of("alias/team/app") != part_of("alias/team/other")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the keys that were loaded, in order."""
    made: list[str] = []
    begin = loaded.LoadedKey.__init__

    def noted(self: Any, reader: Any, record: Any) -> None:
        made.append(record.key_id)
        begin(self, reader, record)

    monkeypatch.setattr(loaded.LoadedKey, "__init__", noted)
    return made


def elsewhere(kms: Any, key_id: str) -> str:
    """The id of a new key in another part."""
    while True:
        other = str(kms("CreateKey")["KeyMetadata"]["KeyId"])
        if part_of(other) != part_of(key_id):
            return other


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("UpdateKeyDescription", {"Description": "another"}),
    ("CreateGrant", {"GranteePrincipal": "ACCOUNT", "Operations": ["Decrypt"]}),
    ("CreateAlias", {"AliasName": "alias/another"}),
    ("TagResource", {"Tags": [{"TagKey": "team", "TagValue": "a"}]}),
    ("RotateKeyOnDemand", {}),
    ("DisableKey", {}),
    ("ScheduleKeyDeletion", {}),
]


@pytest.mark.parametrize(("operation", "params"), CHANGES)
def test_a_change_of_one_key_drops_that_key_and_no_other(
    kms: Any, loads: list[str], operation: str, params: dict[str, Any]
) -> None:
    used = kms("CreateKey")["KeyMetadata"]["KeyId"]
    other = elsewhere(kms, used)
    if "GranteePrincipal" in params:
        params = {**params, "GranteePrincipal": kms.account.arn}

    def use() -> None:
        for key_id in (used, other):
            kms("DescribeKey", KeyId=key_id)

    use()
    kms(operation, **{"TargetKeyId" if operation == "CreateAlias" else "KeyId": other}, **params)
    loads.clear()
    use()
    assert loads == [other]


def test_an_alias_names_its_new_key_at_once_and_its_old_key_stays(kms: Any, loads: list[str]) -> None:
    first = kms("CreateKey")["KeyMetadata"]["KeyId"]
    second, bystander = elsewhere(kms, first), elsewhere(kms, first)
    kms("CreateAlias", AliasName="alias/app", TargetKeyId=first)
    assert kms("DescribeKey", KeyId="alias/app")["KeyMetadata"]["KeyId"] == first
    kms("DescribeKey", KeyId=bystander)
    kms("UpdateAlias", AliasName="alias/app", TargetKeyId=second)
    assert kms("DescribeKey", KeyId="alias/app")["KeyMetadata"]["KeyId"] == second
    kms("DisableKey", KeyId=second)
    assert kms("DescribeKey", KeyId="alias/app")["KeyMetadata"]["KeyState"] == "Disabled"
    loads.clear()
    kms("DescribeKey", KeyId=bystander)
    assert loads == []
    kms("DeleteAlias", AliasName="alias/app")
    with pytest.raises(AwsError, match="is not found"):
        kms("DescribeKey", KeyId="alias/app")


def test_material_that_is_destroyed_leaves_memory_and_other_keys_stay(kms: Any, loads: list[str]) -> None:
    used = kms("CreateKey")["KeyMetadata"]["KeyId"]
    doomed = elsewhere(kms, used)
    for key_id in (used, doomed):
        kms("Encrypt", KeyId=key_id, Plaintext=b"p")
    kms("ScheduleKeyDeletion", KeyId=doomed, PendingWindowInDays=7)
    kms.app.clock.advance(8 * 86400)
    kms.sweep()
    loads.clear()
    kms("Encrypt", KeyId=used, Plaintext=b"p")
    assert loads == []
    kms.app.cache.forget()
    kept = [value for _, values in kms.app.cache._held.values() for value in values.values()]
    assert not any(doomed in repr(value) for value in kept)
    assert any(used in repr(value) for value in kept)
