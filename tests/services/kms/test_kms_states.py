"""Every cell of the key state table, and that each served operation obeys its own row."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from freehold.errors import AwsError
from freehold.services.kms import states
from freehold.services.kms.records import Key

# As AWS prints it, https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html, in the page's own columns:
# Enabled, Disabled, pending deletion or pending replica deletion, pending import, unavailable, creating, updating. "ok"
# succeeds, numbers are notes ("?" where only the note fails, "/" where it is one or the other), "-" is not applicable.
PAGE = """
CancelKeyDeletion                    4    4    ok   4    4    4    4
CreateAlias                          ok   ok   3    ok   ok   ok   ok
CreateGrant                          ok   1    2/3  5    ok   14   ok
Decrypt                              ok   1    2/3  5    11   14   ok
DeleteAlias                          ok   ok   ok   ok   ok   ok   ok
DeleteImportedKeyMaterial            ?9   ?9   ?9   ok   -    14   15
DescribeKey                          ok   ok   ok   ok   ok   ok   ok
DisableKey                           ok   ok   3    5    ok   14   15
DisableKeyRotation                   ?7   1/7  3/7  6    7    14   ?7
EnableKey                            ok   ok   3    5    ok   14   15
EnableKeyRotation                    ?7   1/7  3/7  6    7    14   ?7
Encrypt                              ok   1    2/3  5    11   14   ok
GenerateDataKey                      ok   1    2/3  5    11   14   ok
GenerateDataKeyPair                  ok   1    2/3  5    11   14   ok
GenerateDataKeyPairWithoutPlaintext  ok   1    2/3  5    11   14   ok
GenerateDataKeyWithoutPlaintext      ok   1    2/3  5    11   14   ok
GenerateMac                          ok   1    2/3  -    -    14   ok
GetKeyPolicy                         ok   ok   ok   ok   ok   ok   ok
GetKeyRotationStatus                 ?7   ?7   ?7   6    7    ?7   ?7
GetParametersForImport               ?9   ?9   8/9  ok   9    14   15
GetPublicKey                         ok   1    2/3  -    -    14   ok
ImportKeyMaterial                    ?9   ?9   8/9  ok   9    14   ok
ListAliases                          ok   ok   ok   ok   ok   ok   ok
ListGrants                           ok   ok   ok   ok   ok   ok   ok
ListKeyPolicies                      ok   ok   ok   ok   ok   ok   ok
ListResourceTags                     ok   ok   ok   ok   ok   ok   ok
PutKeyPolicy                         ok   ok   ok   ok   ok   ok   ok
ReEncrypt                            ok   1    2/3  5    11   14   ok
ReplicateKey                         ok   1    2/3  5    -    14   15
RetireGrant                          ok   ok   ok   ok   ok   ok   ok
RevokeGrant                          ok   ok   ok   ok   ok   ok   ok
ScheduleKeyDeletion                  ok   ok   3    ok   ok   ok   15
Sign                                 ok   1    2/3  -    -    14   ok
TagResource                          ok   ok   3    ok   ok   ok   ok
UntagResource                        ok   ok   3    ok   ok   ok   ok
UpdateAlias                          ok   ok   ?10  ok   ok   ok   ok
UpdateKeyDescription                 ok   ok   3    ok   ok   ok   ok
UpdatePrimaryRegion                  ok   1    2/3  5    -    14   ok
Verify                               ok   1    2/3  -    -    14   ok
VerifyMac                            ok   1    2/3  -    -    14   ok
"""
# Operations that are younger than what is above, in the same form.
YOUNGER = """
Decapsulate                          ok   1    2/3  5    -    14   ok
DeriveSharedSecret                   ok   1    2/3  5    -    14   ok
Encapsulate                          ok   1    2/3  5    -    14   ok
GetKeyLastUsage                      ok   ok   ok   ok   ok   ok   ok
ListKeyRotations                     ok   ok   ok   ok   ok   ok   ok
RotateKeyOnDemand                    ok   1    2/3  5    7    14   ok
"""

PAGE_COLUMNS = (
    ("Enabled",),
    ("Disabled",),
    ("PendingDeletion", "PendingReplicaDeletion"),
    ("PendingImport",),
    ("Unavailable",),
    ("Creating",),
    ("Updating",),
)
ROWS = {
    row.split()[0]: {
        state: cell for states_, cell in zip(PAGE_COLUMNS, row.split()[1:], strict=True) for state in states_
    }
    for row in (PAGE + YOUNGER).split("\n")
    if row
}

UNSUPPORTED = ("UnsupportedOperationException", "origin is {origin} which is not valid for this operation.")
ORIGINS = ("AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE")
ORIGINS_OF_STATE = {"PendingImport": ("EXTERNAL",), "Unavailable": ("AWS_CLOUDHSM", "EXTERNAL_KEY_STORE")}
"""The states that keys of some origins alone come into."""

SAYS = {
    "1": ("DisabledException", "is disabled."),
    "4": ("KMSInvalidStateException", "is not pending deletion."),
    "5": ("KMSInvalidStateException", "is pending import."),
    "11": ("KMSInvalidStateException", "is unavailable."),
    "14": ("KMSInvalidStateException", "is creating."),
    "15": ("KMSInvalidStateException", "is updating."),
}
PENDING = {
    "PendingDeletion": ("KMSInvalidStateException", "is pending deletion."),
    "PendingReplicaDeletion": ("KMSInvalidStateException", "is pending replica deletion."),
}
# Since keys with imported material are rotated on demand, they have a rotation status: not [6] and [7] for them.
SINCE = {("GetKeyRotationStatus", "EXTERNAL"), ("RotateKeyOnDemand", "EXTERNAL")}


def never(operation: str, origin: str) -> bool:
    """Whether the row's notes [6], [7] and [9] keep keys of this origin from the operation in whatever state."""
    notes = {note for cell in ROWS[operation].values() for note in cell.lstrip("?").split("/")}
    if "9" in notes:
        return origin != "EXTERNAL"
    return "7" in notes and origin != "AWS_KMS" and (operation, origin) not in SINCE


def expected(operation: str, state: str, origin: str) -> tuple[str, str] | None:
    """(code, text) that the page's cell means for a key of one origin; None where the operation succeeds."""
    if never(operation, origin):
        return UNSUPPORTED[0], UNSUPPORTED[1].format(origin=origin)
    notes = ROWS[operation][state].lstrip("?").split("/")
    if {"3", "8", "10"} & set(notes):
        return PENDING[state]
    said = [SAYS[note] for note in notes if note in SAYS]
    return said[0] if said else None


CELLS = [
    (operation, state, origin)
    for operation, row in ROWS.items()
    for state, cell in row.items()
    for origin in ORIGINS_OF_STATE.get(state, ORIGINS)
    # Material of every kind may be imported since, so that this cell became one of the others of its row.
    if cell != "-"
]

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def key_in(state: str, origin: str) -> Key:
    return Key(
        key_id=ARN.rpartition("/")[2],
        account_id="111122223333",
        region="us-east-1",
        created_at=0.0,
        policy="",
        state=state,
        origin=origin,
    )


def test_a_cell_of_the_table() -> None:
    wrong = []
    for operation, state, origin in CELLS:
        answer = None
        try:
            states.admit(operation, key_in(state, origin))
        except AwsError as error:
            answer = (error.code, error.message.removeprefix(f"{ARN} "))
        if answer != expected(operation, state, origin):
            wrong.append((operation, state, origin, answer))
    assert wrong == []
    assert len(CELLS) > 800


def test_what_the_page_leaves_open_is_refused() -> None:
    for operation, row in ROWS.items():
        for state, cell in row.items():
            if cell == "-":
                with pytest.raises(AwsError, match=r"is (pending import|unavailable)\.$"):
                    states.check(operation, state, ARN)


def test_the_page_and_the_table_have_the_same_rows() -> None:
    assert set(ROWS) == set(states.TABLE)


def test_every_operation_of_the_model_that_names_a_key_has_a_row() -> None:
    model = botocore.session.Session().get_service_model("kms")
    naming = {
        name
        for name in model.operation_names
        if {"KeyId", "TargetKeyId", "DestinationKeyId", "AliasName"}
        & set(model.operation_model(name).input_shape.members)
    }
    assert naming == set(ROWS)


def test_an_operation_without_a_row_is_never_let_through() -> None:
    with pytest.raises(KeyError):
        states.check("Smelt", "Enabled", ARN)


def test_a_key_to_be_deleted_stays_so_while_its_store_is_away() -> None:
    assert states.with_store("Enabled", connected=True) == "Enabled"
    assert states.with_store("Enabled", connected=False) == "Unavailable"
    assert states.with_store("Disabled", connected=False) == "Unavailable"
    assert states.with_store("PendingDeletion", connected=False) == "PendingDeletion"


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
    for operation, arguments in CALLS.items():
        if operation == "UpdateAlias":
            continue  # below: it is the new target's state that counts
        made = Made(kms)
        for step in REACHABLE[state]:
            kms(step, KeyId=made.key)
        refusal = expected(operation, state, "AWS_KMS")
        if refusal is None:
            kms(operation, **arguments(made))
        else:
            with pytest.raises(AwsError) as refused:
                kms(operation, **arguments(made))
            assert (refused.value.code, refused.value.message) == (refusal[0], f"{made.key} {refusal[1]}")
        if operation != "DeleteAlias" or refusal is not None:
            kms("DeleteAlias", AliasName="alias/made")
        if operation == "CreateAlias" and refusal is None:
            kms("DeleteAlias", AliasName="alias/new")


def test_an_alias_leaves_a_key_that_is_pending_deletion_but_never_goes_to_one(kms: Any) -> None:
    made = Made(kms)
    other = kms("CreateKey")["KeyMetadata"]["Arn"]
    kms("ScheduleKeyDeletion", KeyId=made.key)
    kms("UpdateAlias", AliasName="alias/made", TargetKeyId=other)
    with pytest.raises(AwsError, match=r"is pending deletion\.$"):
        kms("UpdateAlias", AliasName="alias/made", TargetKeyId=made.key)
