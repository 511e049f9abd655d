"""Key states: which operation a key refuses in which state and for which origin, and with which error. Pure.

The table is AWS's, cell by cell ("Key states of AWS KMS keys", with its notes in brackets):
https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
Where AWS allows either of two errors ("[2] or [3]", "[1] or [7]"), operations on a key that is pending deletion answer
with [3], and what a key's origin can never do ([6], [7], [9]) is said before its state is looked at. A cell that the
page has no answer for ("N/A") refuses. Younger operations stand with those of their kind: Encapsulate, Decapsulate and
DeriveSharedSecret with the other uses, ListKeyRotations and GetKeyLastUsage with what only looks, RotateKeyOnDemand
with the schedule. That keys with imported material rotate on demand, and so have a rotation status, is from those
operations' own pages.

No key is ever Creating or Updating here: replicas are made, and primaries change, in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from freehold.errors import AwsError
from freehold.services.kms.errors import Disabled, InvalidState, UnsupportedOperation

if TYPE_CHECKING:
    from freehold.services.kms.records import Key

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

TO_BE_DELETED: Final = (PENDING_DELETION, PENDING_REPLICA_DELETION)

# A column's letter says how the operation ends there: "." succeeds, otherwise the refusal below.
_REFUSALS: Final[dict[str, tuple[type[AwsError], str]]] = {
    "d": (Disabled, "is disabled."),  # [1]
    "p": (InvalidState, "is pending deletion."),  # [3], [8]
    "r": (InvalidState, "is pending replica deletion."),  # [3], [8]
    "n": (InvalidState, "is not pending deletion."),  # [4]
    "i": (InvalidState, "is pending import."),  # [5]
    "u": (InvalidState, "is unavailable."),  # [11]
    "c": (InvalidState, "is creating."),  # [14]
    "t": (InvalidState, "is updating."),  # [15]
}

_USE: Final = ".dpiruc."
_FREE: Final = "........"
_CHANGE: Final = "..p.r..."
_SWITCH: Final = "..pir.ct"
"""While it is unavailable, enabling or disabling a key succeeds and shows once it is available again ([12])."""
_SCHEDULE: Final = ".dpiruc."

#            Enabled Disabled PendingDeletion PendingImport PendingReplicaDeletion Unavailable Creating Updating
TABLE: Final[dict[str, str]] = {
    "CancelKeyDeletion": "nn.n.nnn",
    "CreateAlias": _CHANGE,
    "CreateGrant": ".dpir.c.",
    "Decapsulate": _USE,
    "Decrypt": _USE,
    "DeleteAlias": _FREE,
    "DeleteImportedKeyMaterial": ".....uct",
    "DeriveSharedSecret": _USE,
    "DescribeKey": _FREE,
    "DisableKey": _SWITCH,
    "DisableKeyRotation": _SCHEDULE,
    "EnableKey": _SWITCH,
    "EnableKeyRotation": _SCHEDULE,
    "Encapsulate": _USE,
    "Encrypt": _USE,
    "GenerateDataKey": _USE,
    "GenerateDataKeyPair": _USE,
    "GenerateDataKeyPairWithoutPlaintext": _USE,
    "GenerateDataKeyWithoutPlaintext": _USE,
    "GenerateMac": _USE,
    "GetKeyLastUsage": _FREE,
    "GetKeyPolicy": _FREE,
    "GetKeyRotationStatus": _FREE,
    "GetParametersForImport": "..p.ruct",
    "GetPublicKey": _USE,
    "ImportKeyMaterial": "..p.ruc.",
    "ListAliases": _FREE,
    "ListGrants": _FREE,
    "ListKeyPolicies": _FREE,
    "ListKeyRotations": _FREE,
    "ListResourceTags": _FREE,
    "PutKeyPolicy": _FREE,
    "ReEncrypt": _USE,
    "ReplicateKey": ".dpiruct",
    "RetireGrant": _FREE,
    "RevokeGrant": _FREE,
    "RotateKeyOnDemand": _SCHEDULE,
    "ScheduleKeyDeletion": "..p.r..t",
    "Sign": _USE,
    "TagResource": _CHANGE,
    "UntagResource": _CHANGE,
    "UpdateAlias": _CHANGE,
    "UpdateKeyDescription": _CHANGE,
    "UpdatePrimaryRegion": ".dpiruc.",
    "Verify": _USE,
    "VerifyMac": _USE,
}

ORIGINS: Final[dict[str, tuple[str, ...]]] = {
    "DeleteImportedKeyMaterial": ("EXTERNAL",),  # [9]
    "DisableKeyRotation": ("AWS_KMS",),  # [6], [7]
    "EnableKeyRotation": ("AWS_KMS",),  # [6], [7]
    "GetKeyRotationStatus": ("AWS_KMS", "EXTERNAL"),  # [7]
    "GetParametersForImport": ("EXTERNAL",),  # [9]
    "ImportKeyMaterial": ("EXTERNAL",),  # [9]
    "RotateKeyOnDemand": ("AWS_KMS", "EXTERNAL"),
}
"""The origins with which a key takes part in an operation at all; every one where nothing is said."""


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


def check_origin(operation: str, origin: str, key_arn: str) -> None:
    """Raise UnsupportedOperationException unless keys of this origin take part in `operation` at all."""
    origins = ORIGINS.get(operation)
    if origins is not None and origin not in origins:
        raise UnsupportedOperation(f"{key_arn} origin is {origin} which is not valid for this operation.")


def admit(operation: str, key: Key) -> None:
    """Raise AWS's error unless this key, by its origin and in its state, takes part in `operation`."""
    arn = key.arn
    check_origin(operation, key.origin, arn)
    check(operation, key.state, arn)


def with_store(state: str, *, connected: bool) -> str:
    """The state that a key in a custom key store shows. One that is to be deleted stays so without its store ([13])."""
    return state if connected or state in TO_BE_DELETED else UNAVAILABLE
