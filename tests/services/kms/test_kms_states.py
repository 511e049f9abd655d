"""Every cell of the key state table, and that each served operation obeys its own row."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.kms import states

COLUMNS = states.STATES

# As AWS prints it, https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html: "ok", or the note's number.
# Columns: Enabled, Disabled, pending deletion, pending import, pending replica deletion, unavailable, creating,
# updating; no key here reaches the last five yet. Where AWS says "[2] or [3]", 3.
PAGE = """
CancelKeyDeletion                4  4  ok 4  ok 4  4  4
CreateAlias                      ok ok 3  ok 3  ok 14 ok
CreateGrant                      ok 1  3  5  3  ok 14 ok
Decrypt                          ok 1  3  5  3  11 14 15
DeleteAlias                      ok ok ok ok ok ok ok ok
DescribeKey                      ok ok ok ok ok ok ok ok
DisableKey                       ok ok 3  5  3  ok 14 15
DisableKeyRotation               ok 1  3  5  3  ok 14 15
EnableKey                        ok ok 3  5  3  ok 14 15
EnableKeyRotation                ok 1  3  5  3  ok 14 15
Encrypt                          ok 1  3  5  3  11 14 15
GenerateDataKey                  ok 1  3  5  3  11 14 15
GenerateDataKeyWithoutPlaintext  ok 1  3  5  3  11 14 15
GetKeyPolicy                     ok ok ok ok ok ok ok ok
GetKeyRotationStatus             ok ok ok ok ok ok ok ok
ListAliases                      ok ok ok ok ok ok ok ok
ListGrants                       ok ok ok ok ok ok ok ok
ListKeyPolicies                  ok ok ok ok ok ok ok ok
ListKeyRotations                 ok ok ok ok ok ok ok ok
ListResourceTags                 ok ok ok ok ok ok ok ok
PutKeyPolicy                     ok ok ok ok ok ok ok ok
ReEncrypt                        ok 1  3  5  3  11 14 15
RetireGrant                      ok ok ok ok ok ok ok ok
RevokeGrant                      ok ok ok ok ok ok ok ok
RotateKeyOnDemand                ok 1  3  5  3  11 14 15
ScheduleKeyDeletion              ok ok 3  ok 3  ok 14 15
TagResource                      ok ok 3  ok 3  ok 14 15
UntagResource                    ok ok 3  ok 3  ok 14 15
UpdateAlias                      ok ok 3  ok 3  ok 14 ok
UpdateKeyDescription             ok ok 3  ok 3  ok 14 15
"""

NOTES = {
    "1": ("DisabledException", "is disabled."),
    "3": ("KMSInvalidStateException", "is pending deletion."),
    "4": ("KMSInvalidStateException", "is not pending deletion."),
    "5": ("KMSInvalidStateException", "is pending import."),
    "11": ("KMSInvalidStateException", "is unavailable."),
    "14": ("KMSInvalidStateException", "is creating."),
    "15": ("KMSInvalidStateException", "is updating."),
}

ROWS = {row.split()[0]: dict(zip(COLUMNS, row.split()[1:], strict=True)) for row in PAGE.strip().splitlines()}
CELLS = [(operation, state, note) for operation, row in ROWS.items() for state, note in row.items()]

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(("operation", "state", "note"), CELLS)
def test_a_cell_of_the_table(operation: str, state: str, note: str) -> None:
    if note == "ok":
        states.check(operation, state, ARN)
        return
    code, says = NOTES[note]
    with pytest.raises(AwsError) as refused:
        states.check(operation, state, ARN)
    assert (refused.value.code, refused.value.message) == (code, f"{ARN} {says}")


def test_the_page_and_the_table_have_the_same_rows() -> None:
    assert set(ROWS) == set(states.TABLE)


def test_an_operation_without_a_row_is_never_let_through() -> None:
    with pytest.raises(KeyError):
        states.check("Sign", "Enabled", ARN)


# How each served operation is called on a key, with what was made while the key was still enabled.
CALLS: dict[str, Any] = {
    "CancelKeyDeletion": lambda made: {"KeyId": made.key},
    "CreateAlias": lambda made: {"AliasName": "alias/new", "TargetKeyId": made.key},
    "CreateGrant": lambda made: {"KeyId": made.key, "GranteePrincipal": made.root, "Operations": ["Decrypt"]},
    "Decrypt": lambda made: {"CiphertextBlob": made.blob},
    "DeleteAlias": lambda made: {"AliasName": "alias/made"},
    "DescribeKey": lambda made: {"KeyId": made.key},
    "DisableKey": lambda made: {"KeyId": made.key},
    "DisableKeyRotation": lambda made: {"KeyId": made.key},
    "EnableKey": lambda made: {"KeyId": made.key},
    "EnableKeyRotation": lambda made: {"KeyId": made.key},
    "Encrypt": lambda made: {"KeyId": made.key, "Plaintext": b"text"},
    "GenerateDataKey": lambda made: {"KeyId": made.key, "KeySpec": "AES_256"},
    "GenerateDataKeyWithoutPlaintext": lambda made: {"KeyId": made.key, "KeySpec": "AES_256"},
    "GetKeyPolicy": lambda made: {"KeyId": made.key},
    "GetKeyRotationStatus": lambda made: {"KeyId": made.key},
    "ListAliases": lambda made: {"KeyId": made.key},
    "ListGrants": lambda made: {"KeyId": made.key},
    "ListKeyPolicies": lambda made: {"KeyId": made.key},
    "ListKeyRotations": lambda made: {"KeyId": made.key},
    "ListResourceTags": lambda made: {"KeyId": made.key},
    "PutKeyPolicy": lambda made: {"KeyId": made.key, "Policy": made.policy},
    "ReEncrypt": lambda made: {"CiphertextBlob": made.blob, "DestinationKeyId": made.key},
    "RetireGrant": lambda made: {"KeyId": made.key, "GrantId": made.grant},
    "RevokeGrant": lambda made: {"KeyId": made.key, "GrantId": made.grant},
    "RotateKeyOnDemand": lambda made: {"KeyId": made.key},
    "ScheduleKeyDeletion": lambda made: {"KeyId": made.key},
    "TagResource": lambda made: {"KeyId": made.key, "Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "UntagResource": lambda made: {"KeyId": made.key, "TagKeys": ["a"]},
    "UpdateAlias": lambda made: {"AliasName": "alias/made", "TargetKeyId": made.key},
    "UpdateKeyDescription": lambda made: {"KeyId": made.key, "Description": "new"},
}
REACHABLE = {"Enabled": (), "Disabled": ("DisableKey",), "PendingDeletion": ("ScheduleKeyDeletion",)}


class Made:
    def __init__(self, kms: Any) -> None:
        self.key = kms("CreateKey")["KeyMetadata"]["Arn"]
        self.root = kms.account.arn
        self.blob = kms("Encrypt", KeyId=self.key, Plaintext=b"text")["CiphertextBlob"]
        kms("CreateAlias", AliasName="alias/made", TargetKeyId=self.key)
        self.policy = kms("GetKeyPolicy", KeyId=self.key)["Policy"]
        grant = kms("CreateGrant", KeyId=self.key, GranteePrincipal=self.root, Operations=["Decrypt"])
        self.grant = grant["GrantId"]


@pytest.mark.parametrize("state", REACHABLE)
def test_each_operation_obeys_its_row(kms: Any, state: str) -> None:
    assert set(CALLS) == set(ROWS)
    for operation, arguments in CALLS.items():
        if operation == "UpdateAlias":
            continue  # below: it is the new target's state that counts
        made = Made(kms)
        for step in REACHABLE[state]:
            kms(step, KeyId=made.key)
        note = ROWS[operation][state]
        if note == "ok":
            kms(operation, **arguments(made))
        else:
            with pytest.raises(AwsError) as refused:
                kms(operation, **arguments(made))
            assert (refused.value.code, refused.value.message) == (NOTES[note][0], f"{made.key} {NOTES[note][1]}")
        if operation != "DeleteAlias" or note != "ok":
            kms("DeleteAlias", AliasName="alias/made")
        if operation == "CreateAlias" and note == "ok":
            kms("DeleteAlias", AliasName="alias/new")


def test_an_alias_leaves_a_key_that_is_pending_deletion_but_never_goes_to_one(kms: Any) -> None:
    made = Made(kms)
    other = kms("CreateKey")["KeyMetadata"]["Arn"]
    kms("ScheduleKeyDeletion", KeyId=made.key)
    kms("UpdateAlias", AliasName="alias/made", TargetKeyId=other)
    with pytest.raises(AwsError, match=r"is pending deletion\.$"):
        kms("UpdateAlias", AliasName="alias/made", TargetKeyId=made.key)
