"""Key states: which operation a key refuses in which state, and with which error. Pure.

The table is AWS's, cell by cell ("Key states of AWS KMS keys", with its notes in brackets):
https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
Notes [6] to [9], which depend on a key's origin and not on its state, are the operations' own. Where AWS allows
either of two errors ("[2] or [3]"), operations on a key that is pending deletion answer with [3]. Keys here are
Enabled, Disabled or PendingDeletion; the other columns wait for the keys that reach them.
"""

from __future__ import annotations

from typing import Final

from freehold.errors import AwsError
from freehold.services.kms.errors import Disabled, InvalidState

ENABLED: Final = "Enabled"
DISABLED: Final = "Disabled"
PENDING_DELETION: Final = "PendingDeletion"
PENDING_IMPORT: Final = "PendingImport"
PENDING_REPLICA_DELETION: Final = "PendingReplicaDeletion"
UNAVAILABLE: Final = "Unavailable"
CREATING: Final = "Creating"
UPDATING: Final = "Updating"

STATES: Final = (
    ENABLED,
    DISABLED,
    PENDING_DELETION,
    PENDING_IMPORT,
    PENDING_REPLICA_DELETION,
    UNAVAILABLE,
    CREATING,
    UPDATING,
)

# A column's letter says how the operation ends there: "." succeeds, otherwise the refusal below.
_REFUSALS: Final[dict[str, tuple[type[AwsError], str]]] = {
    "d": (Disabled, "is disabled."),  # [1]
    "p": (InvalidState, "is pending deletion."),  # [3]
    "n": (InvalidState, "is not pending deletion."),  # [4]
    "i": (InvalidState, "is pending import."),  # [5]
    "u": (InvalidState, "is unavailable."),  # [11]
    "c": (InvalidState, "is creating."),  # [14]
    "t": (InvalidState, "is updating."),  # [15]
}

_USE: Final = ".dpipuct"
_FREE: Final = "........"
_CHANGE: Final = "..p.p.ct"

#            Enabled Disabled PendingDeletion PendingImport PendingReplicaDeletion Unavailable Creating Updating
TABLE: Final[dict[str, str]] = {
    "CancelKeyDeletion": "nn.n.nnn",
    "CreateAlias": "..p.p.c.",
    "CreateGrant": ".dpip.c.",
    "Decrypt": _USE,
    "DeleteAlias": _FREE,
    "DescribeKey": _FREE,
    "DisableKey": "..pip.ct",
    "DisableKeyRotation": ".dpip.ct",
    "EnableKey": "..pip.ct",
    "EnableKeyRotation": ".dpip.ct",
    "Encrypt": _USE,
    "GenerateDataKey": _USE,
    "GenerateDataKeyWithoutPlaintext": _USE,
    "GetKeyPolicy": _FREE,
    "GetKeyRotationStatus": _FREE,
    "ListAliases": _FREE,
    "ListGrants": _FREE,
    "ListKeyPolicies": _FREE,
    "ListKeyRotations": _FREE,
    "ListResourceTags": _FREE,
    "PutKeyPolicy": _FREE,
    "ReEncrypt": _USE,
    "RetireGrant": _FREE,
    "RevokeGrant": _FREE,
    "RotateKeyOnDemand": _USE,
    "ScheduleKeyDeletion": "..p.p.ct",
    "TagResource": _CHANGE,
    "UntagResource": _CHANGE,
    "UpdateAlias": "..p.p.c.",
    "UpdateKeyDescription": _CHANGE,
}


def _compile() -> dict[str, dict[str, tuple[type[AwsError], str] | None]]:
    return {
        operation: {
            state: None if letter == "." else _REFUSALS[letter] for state, letter in zip(STATES, row, strict=True)
        }
        for operation, row in TABLE.items()
    }


_CELLS: Final = _compile()


def check(operation: str, state: str, key_arn: str) -> None:
    """Raise AWS's error unless a key in `state` takes part in `operation`. KeyError for one that isn't in the table."""
    refusal = _CELLS[operation][state]
    if refusal is not None:
        kind, says = refusal
        raise kind(f"{key_arn} {says}")
