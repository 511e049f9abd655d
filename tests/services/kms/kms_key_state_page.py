"""AWS's key-state page, copied by hand, and what each of its cells means for a key of one origin.

https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""

from __future__ import annotations

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
    cell = ROWS[operation][state]
    if cell == "-":
        # From before material of every kind could be imported: as in the other rows, where nothing can be done.
        return SAYS["5" if state == "PendingImport" else "11"]
    notes = cell.lstrip("?").split("/")
    if {"3", "8", "10"} & set(notes):
        return PENDING[state]
    said = [SAYS[note] for note in notes if note in SAYS]
    return said[0] if said else None
