"""Every operation on a key in every state that a key comes into here: boto3 against AWS's page, cell by cell.

No key is ever Creating or Updating: the last test looks for it while replicas are made and primaries change.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError
from kms_key_state_page import ROWS, expected
from kms_wrapping import FOR_EVER, wrapped

import freehold.testing

HOME, NEAR, FAR = "us-east-1", "eu-west-1", "ap-southeast-2"

KINDS: dict[str, dict[str, str]] = {
    "symmetric": {},
    "mac": {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    "signing": {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
    "agreeing": {"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"},
    "encapsulating": {"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"},
}
MAC = {"MacAlgorithm": "HMAC_SHA_256", "Message": b"text"}
SIGNING = {"SigningAlgorithm": "ECDSA_SHA_256", "Message": b"text"}
PAIR = {"KeyPairSpec": "ECC_NIST_P256"}
TAG = [{"TagKey": "a", "TagValue": "b"}]


class Case(NamedTuple):
    """How an operation is called on a key: its kind, what is made before, and the parameters besides `KeyId`."""

    kind: str = "symmetric"
    before: Callable[[Made], dict[str, Any]] = lambda made: {}
    names_key: str = "KeyId"


class Made:
    """A fresh multi-Region key of one origin and kind, enabled, with an alias of its own."""

    def __init__(self, world: World, origin: str, kind: str, *, imported: bool) -> None:
        self.world, self.kms, self.origin = world, world.aws.kms, origin
        shown = self.kms.create_key(MultiRegion=True, Origin=origin, **KINDS[kind])["KeyMetadata"]
        self.key_id, self.arn = shown["KeyId"], shown["Arn"]
        self.number = world.next_number()
        self.importing: dict[str, Any] = {"ImportToken": b"x", "EncryptedKeyMaterial": b"x", **FOR_EVER}
        if origin == "EXTERNAL" and imported:
            self.kms.import_key_material(KeyId=self.key_id, **self.parameters(os.urandom(32)))
        self.kms.create_alias(AliasName=self.alias(), TargetKeyId=self.key_id)

    def alias(self, what: str = "own") -> str:
        return f"alias/{what}-{self.number}"

    def parameters(self, material: bytes) -> dict[str, Any]:
        algorithm = "RSAES_OAEP_SHA_256"
        given = self.kms.get_parameters_for_import(
            KeyId=self.key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048"
        )
        under = wrapped(algorithm, given["PublicKey"], material)
        self.importing = {"ImportToken": given["ImportToken"], "EncryptedKeyMaterial": under, **FOR_EVER}
        return self.importing

    def further(self) -> dict[str, Any]:
        """Imports material to rotate to, where that is how the key rotates."""
        if self.origin == "EXTERNAL":
            parameters = self.parameters(os.urandom(32))
            self.kms.import_key_material(KeyId=self.key_id, ImportType="NEW_KEY_MATERIAL", **parameters)
        return {}

    def blob(self) -> bytes:
        text: bytes = self.kms.encrypt(KeyId=self.key_id, Plaintext=b"text")["CiphertextBlob"]
        return text

    def grant(self) -> str:
        principal = f"arn:aws:iam::{self.world.aws.account_id}:root"
        made: str = self.kms.create_grant(KeyId=self.key_id, GranteePrincipal=principal, Operations=["Decrypt"])[
            "GrantId"
        ]
        return made

    def bring_to(self, state: str) -> None:
        if state == "Disabled":
            self.kms.disable_key(KeyId=self.key_id)
        elif state == "PendingReplicaDeletion":
            if not self.kms.describe_key(KeyId=self.key_id)["KeyMetadata"]["MultiRegionConfiguration"]["ReplicaKeys"]:
                self.kms.replicate_key(KeyId=self.key_id, ReplicaRegion=NEAR)
            self.kms.schedule_key_deletion(KeyId=self.key_id)
        elif state == "PendingDeletion":
            self.kms.schedule_key_deletion(KeyId=self.key_id)
        elif state == "PendingImport" and self.kms.describe_key(KeyId=self.key_id)["KeyMetadata"]["Enabled"]:
            self.kms.delete_imported_key_material(KeyId=self.key_id)
        assert self.kms.describe_key(KeyId=self.key_id)["KeyMetadata"]["KeyState"] == state


class World:
    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self._made = 0
        made = aws.kms.create_key(**KINDS["agreeing"])["KeyMetadata"]["KeyId"]
        self.peer: bytes = aws.kms.get_public_key(KeyId=made)["PublicKey"]
        self.other: str = aws.kms.create_key()["KeyMetadata"]["KeyId"]
        policy: str = aws.kms.get_key_policy(KeyId=made)["Policy"]
        self.policy = policy

    def next_number(self) -> int:
        self._made += 1
        return self._made


def _elsewhere(made: Made) -> dict[str, Any]:
    made.kms.create_alias(AliasName=made.alias("moving"), TargetKeyId=made.world.other)
    return {"AliasName": made.alias("moving")}


def _replica(made: Made) -> dict[str, Any]:
    made.kms.replicate_key(KeyId=made.key_id, ReplicaRegion=NEAR)
    return {"PrimaryRegion": NEAR}


def _encapsulated(made: Made) -> dict[str, Any]:
    secret = made.kms.encapsulate(KeyId=made.key_id, EncapsulationAlgorithm="ML_KEM")
    return {"EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": secret["SharedSecretCiphertextBlob"]}


CASES: dict[str, Case] = {
    "CancelKeyDeletion": Case(),
    "CreateAlias": Case(before=lambda made: {"AliasName": made.alias("new")}, names_key="TargetKeyId"),
    "CreateGrant": Case(
        before=lambda made: {
            "GranteePrincipal": f"arn:aws:iam::{made.world.aws.account_id}:root",
            "Operations": ["Decrypt"],
        }
    ),
    "Decapsulate": Case("encapsulating", _encapsulated),
    "Decrypt": Case(before=lambda made: {"CiphertextBlob": made.blob()}),
    "DeleteAlias": Case(before=lambda made: {"AliasName": made.alias()}, names_key=""),
    "DeleteImportedKeyMaterial": Case(),
    "DeriveSharedSecret": Case(
        "agreeing", lambda made: {"KeyAgreementAlgorithm": "ECDH", "PublicKey": made.world.peer}
    ),
    "DescribeKey": Case(),
    "DisableKey": Case(),
    "DisableKeyRotation": Case(),
    "EnableKey": Case(),
    "EnableKeyRotation": Case(),
    "Encapsulate": Case("encapsulating", lambda made: {"EncapsulationAlgorithm": "ML_KEM"}),
    "Encrypt": Case(before=lambda made: {"Plaintext": b"text"}),
    "GenerateDataKey": Case(before=lambda made: {"KeySpec": "AES_256"}),
    "GenerateDataKeyPair": Case(before=lambda made: PAIR),
    "GenerateDataKeyPairWithoutPlaintext": Case(before=lambda made: PAIR),
    "GenerateDataKeyWithoutPlaintext": Case(before=lambda made: {"KeySpec": "AES_256"}),
    "GenerateMac": Case("mac", lambda made: MAC),
    "GetKeyLastUsage": Case(),
    "GetKeyPolicy": Case(),
    "GetKeyRotationStatus": Case(),
    "GetParametersForImport": Case(
        before=lambda made: {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    ),
    "GetPublicKey": Case("signing"),
    "ImportKeyMaterial": Case(before=lambda made: made.importing),
    "ListAliases": Case(),
    "ListGrants": Case(),
    "ListKeyPolicies": Case(),
    "ListKeyRotations": Case(),
    "ListResourceTags": Case(),
    "PutKeyPolicy": Case(before=lambda made: {"Policy": made.world.policy}),
    "ReEncrypt": Case(
        before=lambda made: {"CiphertextBlob": made.blob(), "SourceKeyId": made.key_id},
        names_key="DestinationKeyId",
    ),
    "ReplicateKey": Case(before=lambda made: {"ReplicaRegion": FAR}),
    "RetireGrant": Case(before=lambda made: {"GrantId": made.grant()}),
    "RevokeGrant": Case(before=lambda made: {"GrantId": made.grant()}),
    "RotateKeyOnDemand": Case(before=lambda made: made.further()),
    "ScheduleKeyDeletion": Case(),
    "Sign": Case("signing", lambda made: SIGNING),
    "TagResource": Case(before=lambda made: {"Tags": TAG}),
    "UntagResource": Case(before=lambda made: {"TagKeys": ["a"]}),
    "UpdateAlias": Case(before=_elsewhere, names_key="TargetKeyId"),
    "UpdateKeyDescription": Case(before=lambda made: {"Description": "new"}),
    "UpdatePrimaryRegion": Case(before=_replica),
    "Verify": Case(
        "signing",
        lambda made: {**SIGNING, "Signature": made.kms.sign(KeyId=made.key_id, **SIGNING)["Signature"]},
    ),
    "VerifyMac": Case("mac", lambda made: {**MAC, "Mac": made.kms.generate_mac(KeyId=made.key_id, **MAC)["Mac"]}),
}

# What can't be made of a key that never had material: then anything stands for it, and its state is told first.
NEVER_MADE: dict[str, dict[str, Any]] = {
    "Decapsulate": {"EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": bytes(1088)},
    "UpdatePrimaryRegion": {"PrimaryRegion": NEAR},
    "Verify": {**SIGNING, "Signature": b"x"},
    "VerifyMac": {**MAC, "Mac": b"x"},
}
IMPORTED_FIRST = {
    "Decrypt",
    "ReEncrypt",
    "RetireGrant",
    "RevokeGrant",
    "RotateKeyOnDemand",
    "DeleteImportedKeyMaterial",
}
"""What needs a key that had material, to become pending import afterwards."""
OF_IMPORTED_KEYS = (
    "DeleteImportedKeyMaterial",
    "DisableKeyRotation",
    "EnableKeyRotation",
    "GetKeyRotationStatus",
    "GetParametersForImport",
    "ImportKeyMaterial",
    "RotateKeyOnDemand",
)
"""The rows whose notes are about imported material: looked at in every state with such a key too."""


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with freehold.testing.server(regions=(HOME, NEAR, FAR)) as made:
        yield made


@pytest.fixture(scope="module")
def world(server: Any) -> World:
    return World(server.new_account())


def answer(world: World, operation: str, state: str, origin: str) -> tuple[str, str] | None:
    """(code, text after the key's ARN) with which the operation is refused; None when it succeeds."""
    case = CASES[operation]
    pending = state == "PendingImport"
    made = Made(world, origin, case.kind, imported=not pending or operation in IMPORTED_FIRST)
    if pending and operation in NEVER_MADE:
        params = NEVER_MADE[operation]
    elif state == "PendingDeletion" and operation == "UpdatePrimaryRegion":
        # With a replica it would be pending its deletion.
        params = NEVER_MADE[operation]
    elif operation == "ImportKeyMaterial" and origin == "EXTERNAL" and pending:
        params = made.parameters(os.urandom(32))
    else:
        params = case.before(made)
    made.bring_to(state)
    if case.names_key:
        params = {**params, case.names_key: made.arn}
    call = getattr(world.aws.kms, _method(world, operation))
    try:
        call(**params)
    except ClientError as error:
        told = error.response["Error"]
        return told["Code"], told["Message"].removeprefix(f"{made.arn} ")
    return None


def _method(world: World, operation: str) -> str:
    return next(method for method, name in world.aws.kms.meta.method_to_api_mapping.items() if name == operation)


STATES = ("Enabled", "Disabled", "PendingDeletion", "PendingReplicaDeletion", "PendingImport")


@pytest.mark.parametrize("state", STATES)
def test_every_operation_answers_as_the_page_says(world: World, state: str) -> None:
    assert set(CASES) == set(ROWS)
    asked = [(operation, "EXTERNAL" if state == "PendingImport" else "AWS_KMS") for operation in CASES]
    if state != "PendingImport":
        asked += [(operation, "EXTERNAL") for operation in OF_IMPORTED_KEYS]
    wrong = []
    for operation, origin in asked:
        wanted = expected(operation, state, origin)
        got = answer(world, operation, state, origin)
        if got != wanted:
            wrong.append((operation, origin, got, wanted))
    assert wrong == []


def test_an_alias_leaves_a_key_that_is_pending_deletion(world: World) -> None:
    made = Made(world, "AWS_KMS", "symmetric", imported=False)
    made.bring_to("PendingDeletion")
    world.aws.kms.update_alias(AliasName=made.alias(), TargetKeyId=world.other)


def test_nobody_ever_sees_a_key_that_is_creating_or_updating(world: World) -> None:
    key_id = world.aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    regions = {region: world.aws.in_region(region) for region in (HOME, NEAR, FAR)}
    seen: set[str] = set()
    primaries: set[int] = set()
    done = threading.Event()

    def look() -> None:
        client = regions[NEAR].client("kms")
        while not done.is_set():
            try:
                shown = client.describe_key(KeyId=key_id)["KeyMetadata"]
            except client.exceptions.NotFoundException:
                continue
            seen.add(shown["KeyState"])
            relation = shown["MultiRegionConfiguration"]
            named = [relation["PrimaryKey"]["Region"], *(one["Region"] for one in relation["ReplicaKeys"])]
            primaries.add(len(named) - len(set(named)))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for region in (NEAR, FAR):
            world.aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=region)
        for now, then in ((HOME, NEAR), (NEAR, FAR), (FAR, HOME)) * 5:
            regions[now].kms.update_primary_region(KeyId=key_id, PrimaryRegion=then)
    finally:
        done.set()
        looking.join()
    assert seen == {"Enabled"}
    assert primaries == {0}
