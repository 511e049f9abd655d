"""What a key is for decides what it takes part in: every operation on every kind of key, in every state, for whom."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from freehold.errors import AwsError
from freehold.services.kms import grants, records, specs

DENIED = "AccessDeniedException"

POINT = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
)
KEYS = {
    "symmetric": ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    "rsa-encrypting": ("RSA_2048", "ENCRYPT_DECRYPT"),
    "rsa-signing": ("RSA_2048", "SIGN_VERIFY"),
    "ec-signing": ("ECC_NIST_P256", "SIGN_VERIFY"),
    "hmac": ("HMAC_256", "GENERATE_VERIFY_MAC"),
    "agreeing": ("ECC_NIST_P256", "KEY_AGREEMENT"),
    "ml-kem": ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
}
OAEP, PSS = "RSAES_OAEP_SHA_256", "RSASSA_PSS_SHA_256"

# Operation -> its parameters, and the kinds of key that take part in it. (The blobs are nobody's: who gets as far as
# looking at one has passed.)
USES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "Encrypt": ({"Plaintext": b"p"}, ("symmetric",)),
    "Decrypt": ({"CiphertextBlob": b"c"}, ("symmetric",)),
    "GenerateDataKey": ({"KeySpec": "AES_256"}, ("symmetric",)),
    "GenerateDataKeyWithoutPlaintext": ({"KeySpec": "AES_256"}, ("symmetric",)),
    "GenerateDataKeyPair": ({"KeyPairSpec": "ECC_NIST_P256"}, ("symmetric",)),
    "GenerateDataKeyPairWithoutPlaintext": ({"KeyPairSpec": "ECC_NIST_P256"}, ("symmetric",)),
    "Sign": ({"Message": b"m", "SigningAlgorithm": PSS}, ("rsa-signing",)),
    "Verify": ({"Message": b"m", "Signature": b"s", "SigningAlgorithm": PSS}, ("rsa-signing",)),
    "GenerateMac": ({"Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}, ("hmac",)),
    "VerifyMac": ({"Message": b"m", "Mac": b"m", "MacAlgorithm": "HMAC_SHA_256"}, ("hmac",)),
    "DeriveSharedSecret": ({"KeyAgreementAlgorithm": "ECDH", "PublicKey": POINT}, ("agreeing",)),
    "Encapsulate": ({"EncapsulationAlgorithm": "ML_KEM"}, ("ml-kem",)),
    "Decapsulate": ({"EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": bytes(1088)}, ("ml-kem",)),
    "GetPublicKey": ({}, ("rsa-encrypting", "rsa-signing", "ec-signing", "agreeing", "ml-kem")),
}
WITH_RSA: dict[str, dict[str, Any]] = {
    "Encrypt": {"Plaintext": b"p", "EncryptionAlgorithm": OAEP},
    "Decrypt": {"CiphertextBlob": b"c", "EncryptionAlgorithm": OAEP},
}
CRYPTOGRAPHIC_ANSWERS = {"InvalidCiphertextException", "KMSInvalidSignatureException", "KMSInvalidMacException"}


def outcome(kms: Any, operation: str, **params: Any) -> tuple[str, str]:
    """("", "") of a success, (code, message) of a refusal; cryptography's own answers count as success."""
    try:
        kms(operation, **params)
    except AwsError as error:
        return ("", "") if error.code in CRYPTOGRAPHIC_ANSWERS else (error.code, error.message)
    return "", ""


@pytest.fixture(scope="module")
def materials() -> dict[str, bytes]:
    """One material per spec, so that RSA keys are made once."""
    return {spec: specs.SPECS[spec].make() for spec in {spec for spec, _ in KEYS.values()}}


@pytest.fixture
def made(kms: Any, materials: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Kind of key -> the ARN of one."""

    def create(kind: str) -> str:
        spec, usage = KEYS[kind]
        arn: str = kms("CreateKey", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
        return arn

    rsa = specs.SPECS["RSA_2048"]
    monkeypatch.setitem(
        specs.SPECS,
        "RSA_2048",
        specs.Spec("RSA_2048", "rsa", rsa.usages, lambda: materials["RSA_2048"], rsa.load, rsa.accept),
    )
    return {kind: create(kind) for kind in KEYS}


def test_an_operation_takes_the_keys_that_are_for_it_and_no_others(kms: Any, made: dict[str, str]) -> None:
    for operation, (params, takes) in USES.items():
        for kind, arn in made.items():
            spec, usage = KEYS[kind]
            code, message = outcome(kms, operation, KeyId=arn, **params)
            if kind in takes:
                assert code == "", (operation, kind, message)
            elif operation == "GetPublicKey":
                assert code == "UnsupportedOperationException"
            elif operation in ("Encrypt", "Decrypt") and kind == "rsa-encrypting":
                assert message == "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."
            elif operation in ("Sign", "Verify") and kind == "ec-signing":
                assert message == f"Algorithm {PSS} is incompatible with key spec {spec}."
            else:
                assert (code, message) == (
                    "InvalidKeyUsageException",
                    f"{arn} key usage is {usage} which is not valid for {operation}.",
                )
    for operation, params in WITH_RSA.items():
        assert outcome(kms, operation, KeyId=made["rsa-encrypting"], **params) == ("", "")
        for kind in KEYS.keys() - {"rsa-encrypting"}:
            assert outcome(kms, operation, KeyId=made[kind], **params)[0] == "InvalidKeyUsageException"


def test_reencrypt_refuses_keys_that_do_not_encrypt_on_either_side(kms: Any, made: dict[str, str]) -> None:
    blob = kms("Encrypt", KeyId=made["symmetric"], Plaintext=b"text")["CiphertextBlob"]
    for kind in KEYS.keys() - {"symmetric", "rsa-encrypting"}:
        for pair in ((made["symmetric"], made[kind]), (made[kind], made["symmetric"])):
            code, message = outcome(
                kms, "ReEncrypt", CiphertextBlob=blob, SourceKeyId=pair[0], DestinationKeyId=pair[1]
            )
            assert code == "InvalidKeyUsageException"
            assert message.startswith(f"{made[kind]} key usage is {KEYS[kind][1]}")


STATES = {
    "Enabled": ("", ""),
    "Disabled": ("DisabledException", "is disabled."),
    "PendingDeletion": ("KMSInvalidStateException", "is pending deletion."),
    "PendingImport": ("KMSInvalidStateException", "is pending import."),
    "PendingReplicaDeletion": ("KMSInvalidStateException", "is pending replica deletion."),
    "Unavailable": ("KMSInvalidStateException", "is unavailable."),
    "Creating": ("KMSInvalidStateException", "is creating."),
}


@pytest.mark.parametrize("state", STATES)
def test_every_use_obeys_the_keys_state(kms: Any, made: dict[str, str], state: str) -> None:
    def change(tx: Any) -> None:
        for arn in made.values():
            record = records.key_at(tx, "us-east-1", arn.rpartition("/")[2])
            assert record is not None
            record.state = state
            records.save(tx, record)

    kms.write(change)
    cases = [(operation, kind, params) for operation, (params, takes) in USES.items() for kind in takes]
    cases += [(operation, "rsa-encrypting", params) for operation, params in WITH_RSA.items()]
    for operation, kind, params in cases:
        code, says = STATES[state]
        wanted = (code, f"{made[kind]} {says}") if code else ("", "")
        assert outcome(kms, operation, KeyId=made[kind], **params) == wanted, operation
        if code:
            dry = {} if operation == "GetPublicKey" else {"DryRun": True}
            assert outcome(kms, operation, KeyId=made[kind], **params, **dry) == wanted, operation


def test_a_dry_run_of_every_use_stops_before_it(kms: Any, made: dict[str, str]) -> None:
    for operation, (params, takes) in USES.items():
        if operation not in ("GetPublicKey", "Decrypt"):
            for kind in takes:
                assert outcome(kms, operation, KeyId=made[kind], **params, DryRun=True)[0] == "DryRunOperationException"


def test_a_key_of_a_usage_keeps_its_material_after_it_was_used(kms: Any, made: dict[str, str]) -> None:
    asked = {"KeyId": made["ec-signing"], "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = kms("Sign", **asked)["Signature"]
    kms("CreateAlias", AliasName="alias/signer", TargetKeyId=made["ec-signing"])  # every loaded key is loaded anew
    assert kms("Verify", Signature=signature, **{**asked, "KeyId": "alias/signer"})["SignatureValid"]


# --- grants -----------------------------------------------------------------------------------------------------------

ON_EVERY_KEY = {"CreateGrant", "DescribeKey", "RetireGrant"}
CRYPT = {"Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo"}
GRANTABLE = {
    "symmetric": CRYPT
    | {
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
    },
    "rsa-encrypting": CRYPT | {"GetPublicKey"},
    "rsa-signing": {"GetPublicKey", "Sign", "Verify"},
    "ec-signing": {"GetPublicKey", "Sign", "Verify"},
    "hmac": {"GenerateMac", "VerifyMac"},
    "agreeing": {"DeriveSharedSecret", "GetPublicKey"},
    "ml-kem": {"Decapsulate", "Encapsulate", "GetPublicKey"},
}
EVERY = set().union(*GRANTABLE.values()) | ON_EVERY_KEY


def test_a_grant_permits_what_its_key_can_do_and_nothing_else(kms: Any, made: dict[str, str]) -> None:
    for kind, arn in made.items():
        assert set(grants.permitted(*KEYS[kind])) == GRANTABLE[kind] | ON_EVERY_KEY
        asked = {"KeyId": arn, "GranteePrincipal": kms.account.arn}
        for operation in EVERY:
            code, message = outcome(kms, "CreateGrant", **asked, Operations=[operation], DryRun=True)
            if operation in GRANTABLE[kind] | ON_EVERY_KEY:
                assert code == "DryRunOperationException", (kind, operation)
            else:
                assert code == "ValidationException"
                assert f"The operation {operation} is not valid for a key" in message


def test_context_constraints_go_with_symmetric_encryption_keys_alone(kms: Any, made: dict[str, str]) -> None:
    for kind, arn in made.items():
        for constraint in ("EncryptionContextEquals", "EncryptionContextSubset"):
            asked = {"KeyId": arn, "GranteePrincipal": kms.account.arn, "Operations": ["DescribeKey"], "DryRun": True}
            code, _ = outcome(kms, "CreateGrant", **asked, Constraints={constraint: {"a": "b"}})
            assert code == ("DryRunOperationException" if kind == "symmetric" else "ValidationException")


def test_a_grant_lets_its_grantee_use_the_key_for_what_it_says(keys: Any, refused: Any) -> None:
    owner = keys.principal
    key = keys("ECC_NIST_P256", "SIGN_VERIFY")
    user = owner.new_user("signer")
    asked = {"KeyId": key, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    with refused(DENIED):
        user.kms.sign(**asked)
    with refused(DENIED):
        user.kms.get_public_key(KeyId=key)
    arn = f"arn:aws:iam::{owner.account_id}:user/signer"
    given = owner.kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Sign", "GetPublicKey"])
    signature = user.kms.sign(**asked, GrantTokens=[given["GrantToken"]])["Signature"]
    assert user.kms.get_public_key(KeyId=key, GrantTokens=[given["GrantToken"]])["KeyId"] == key
    with refused(DENIED):
        user.kms.verify(**asked, Signature=signature)
    owner.kms.revoke_grant(KeyId=key, GrantId=given["GrantId"])
    with refused(DENIED):
        user.kms.sign(**asked)


# --- condition keys ---------------------------------------------------------------------------------------------------

CONDITIONS: list[tuple[str, str, str, str, dict[str, Any], str, dict[str, Any]]] = [
    # kind of key, call, condition key, value that is allowed, the call with it, action, what must be denied instead
    (
        "rsa-signing",
        "sign",
        "kms:SigningAlgorithm",
        PSS,
        {"Message": b"m", "SigningAlgorithm": PSS},
        "kms:Sign",
        {"SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256"},
    ),
    (
        "rsa-signing",
        "sign",
        "kms:MessageType",
        "RAW",
        {"Message": bytes(32), "SigningAlgorithm": PSS},
        "kms:Sign",
        {"MessageType": "DIGEST"},
    ),
    (
        "rsa-encrypting",
        "encrypt",
        "kms:EncryptionAlgorithm",
        OAEP,
        {"Plaintext": b"p", "EncryptionAlgorithm": OAEP},
        "kms:Encrypt",
        {"EncryptionAlgorithm": "RSAES_OAEP_SHA_1"},
    ),
    (
        "hmac",
        "generate_mac",
        "kms:MacAlgorithm",
        "HMAC_SHA_256",
        {"Message": b"m", "MacAlgorithm": "HMAC_SHA_256"},
        "kms:GenerateMac",
        {"MacAlgorithm": "HMAC_SHA_512"},
    ),
    (
        "agreeing",
        "derive_shared_secret",
        "kms:KeyAgreementAlgorithm",
        "ECDH",
        {"KeyAgreementAlgorithm": "ECDH", "PublicKey": POINT},
        "kms:DeriveSharedSecret",
        {},
    ),
    (
        "symmetric",
        "generate_data_key_pair",
        "kms:DataKeyPairSpec",
        "ECC_NIST_P256",
        {"KeyPairSpec": "ECC_NIST_P256"},
        "kms:GenerateDataKeyPair",
        {"KeyPairSpec": "ECC_NIST_P384"},
    ),
    (
        "symmetric",
        "generate_data_key_pair_without_plaintext",
        "kms:DataKeyPairSpec",
        "ECC_NIST_P256",
        {"KeyPairSpec": "ECC_NIST_P256"},
        "kms:GenerateDataKeyPairWithoutPlaintext",
        {"KeyPairSpec": "RSA_4096"},
    ),
]


@pytest.mark.parametrize(
    ("kind", "call", "condition", "value", "params", "action", "instead"),
    CONDITIONS,
    ids=[f"{case[1]}-{case[2]}" for case in CONDITIONS],
)
def test_a_policy_may_look_at_what_is_asked_of_a_key(
    keys: Any,
    refused: Any,
    kind: str,
    call: str,
    condition: str,
    value: str,
    params: dict[str, Any],
    action: str,
    instead: dict[str, Any],
) -> None:
    key = keys(*KEYS[kind])

    def user(name: str, allowed: str) -> Any:
        one = {
            "Effect": "Allow",
            "Action": action,
            "Resource": key,
            "Condition": {"StringEquals": {condition: allowed}},
        }
        made = keys.principal.new_user(f"{name}-{call}-{condition[4:]}", {"Version": "2012-10-17", "Statement": [one]})
        return getattr(made.kms, call)

    able = user("able", value)
    able(KeyId=key, **params)
    if instead:
        with refused(DENIED):
            able(KeyId=key, **{**params, **instead})
    with refused(DENIED):
        user("unable", "another")(KeyId=key, **params)


def test_a_policy_that_wants_an_attestation_allows_nothing(keys: Any, refused: Any) -> None:
    key = keys(*KEYS["agreeing"])
    wanted = {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:ImageSha384": "00"}}
    one = {"Effect": "Allow", "Action": "kms:DeriveSharedSecret", "Resource": key, "Condition": wanted}
    user = keys.principal.new_user("attested", {"Version": "2012-10-17", "Statement": [one]})
    with refused(DENIED):
        user.kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=POINT)


# --- audit ------------------------------------------------------------------------------------------------------------


def test_every_use_is_audited_without_what_it_used(keys: Any, freehold_server: Any) -> None:
    kms = keys.kms
    secrets: list[bytes] = []
    message = b"a message that nobody else may read"
    sign = {"KeyId": keys(*KEYS["ec-signing"]), "Message": message, "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = kms.sign(**sign)["Signature"]
    kms.verify(**sign, Signature=signature)
    mac = {"KeyId": keys(*KEYS["hmac"]), "Message": message, "MacAlgorithm": "HMAC_SHA_256"}
    secrets.append(kms.generate_mac(**mac)["Mac"])
    kms.verify_mac(**mac, Mac=secrets[0])
    derive = {"KeyId": keys(*KEYS["agreeing"]), "KeyAgreementAlgorithm": "ECDH", "PublicKey": POINT}
    secrets.append(kms.derive_shared_secret(**derive)["SharedSecret"])
    encapsulate = {"KeyId": keys(*KEYS["ml-kem"]), "EncapsulationAlgorithm": "ML_KEM"}
    secrets.append(kms.encapsulate(**encapsulate)["SharedSecret"])
    pair = {"KeyId": keys(*KEYS["symmetric"]), "KeyPairSpec": "ECC_NIST_P256", "EncryptionContext": {"a": "b"}}
    secrets.append(kms.generate_data_key_pair(**pair)["PrivateKeyPlaintext"])
    kms.get_public_key(KeyId=sign["KeyId"])
    # https://docs.aws.amazon.com/kms/latest/developerguide/ct-sign.html and its neighbours
    wanted = {
        "Sign": {"keyId": sign["KeyId"], "signingAlgorithm": "ECDSA_SHA_256"},
        "Verify": {"keyId": sign["KeyId"], "signingAlgorithm": "ECDSA_SHA_256"},
        "GenerateMac": {"keyId": mac["KeyId"], "macAlgorithm": "HMAC_SHA_256"},
        "VerifyMac": {"keyId": mac["KeyId"], "macAlgorithm": "HMAC_SHA_256"},
        "DeriveSharedSecret": {"keyId": derive["KeyId"], "keyAgreementAlgorithm": "ECDH"},
        "Encapsulate": {"keyId": encapsulate["KeyId"], "encapsulationAlgorithm": "ML_KEM"},
        "GenerateDataKeyPair": {
            "keyId": pair["KeyId"],
            "keyPairSpec": "ECC_NIST_P256",
            "encryptionContext": {"a": "b"},
        },
        "GetPublicKey": {"keyId": sign["KeyId"]},
    }
    for name, shown in wanted.items():
        found = keys.principal.cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}], MaxResults=1
        )["Events"]
        event = json.loads(found[0]["CloudTrailEvent"])
        assert event["requestParameters"] == shown
        assert event["responseElements"] is None
        assert event["readOnly"] is True
        assert [resource["ARN"] for resource in event["resources"]] == [shown["keyId"]]
    kept = b"".join(path.read_bytes() for path in (freehold_server.data / "audit").rglob("*") if path.is_file())
    for secret in (*secrets, message):
        assert secret not in kept
        assert secret.hex().encode() not in kept


# --- time -------------------------------------------------------------------------------------------------------------


def test_making_long_keys_keeps_nobody_else_waiting(keys: Any) -> None:
    kms, symmetric = keys.kms, keys(*KEYS["symmetric"])
    with ThreadPoolExecutor(4) as threads:
        making = [threads.submit(kms.generate_data_key_pair, KeyId=symmetric, KeyPairSpec="RSA_3072") for _ in range(3)]
        making.append(threads.submit(kms.create_key, KeySpec="RSA_3072", KeyUsage="SIGN_VERIFY"))
        meanwhile = 0
        while not all(one.done() for one in making):
            kms.encrypt(KeyId=symmetric, Plaintext=b"p")
            meanwhile += 1
            time.sleep(0.01)
        assert all(one.result() for one in making)
    # On the loop, all of them would have been done before the first answer.
    assert meanwhile > 3


RECIPIENT = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"document"}


@pytest.mark.parametrize(
    ("call", "params"),
    [
        ("decrypt", {"CiphertextBlob": b"c"}),
        ("generate_data_key", {"KeyId": "alias/none", "KeySpec": "AES_256"}),
        ("generate_data_key_pair", {"KeyId": "alias/none", "KeyPairSpec": "ECC_NIST_P256"}),
        ("derive_shared_secret", {"KeyId": "alias/none", "KeyAgreementAlgorithm": "ECDH", "PublicKey": POINT}),
        ("generate_random", {"NumberOfBytes": 32}),
    ],
)
def test_an_answer_for_an_attested_recipient_is_refused_with_the_reason(
    keys: Any, refused: Any, call: str, params: dict[str, Any]
) -> None:
    with refused("NotImplemented", "Recipient", "attestation documents are not verified here"):
        getattr(keys.kms, call)(**params, Recipient=RECIPIENT)


def test_another_account_uses_a_key_as_its_policy_says(keys: Any, freehold_server: Any, refused: Any) -> None:
    other = freehold_server.new_account()
    key = keys.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    asked = {"Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    with refused(DENIED):
        other.kms.sign(KeyId=key, **asked)
    policy = json.loads(keys.kms.get_key_policy(KeyId=key)["Policy"])
    allowed = {"Effect": "Allow", "Action": ["kms:Sign", "kms:GetPublicKey"], "Resource": "*"}
    policy["Statement"].append({**allowed, "Principal": {"AWS": f"arn:aws:iam::{other.account_id}:root"}})
    keys.kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    signature = other.kms.sign(KeyId=key, **asked)["Signature"]
    assert other.kms.get_public_key(KeyId=key)["KeyId"] == key
    assert keys.kms.verify(KeyId=key, Signature=signature, **asked)["SignatureValid"]
    with refused(DENIED):
        other.kms.verify(KeyId=key, Signature=signature, **asked)
    with refused("NotFoundException"):
        other.kms.sign(KeyId=key.rpartition("/")[2], **asked)


def test_a_policy_may_look_at_the_algorithm_on_both_sides_of_a_reencryption(keys: Any, refused: Any) -> None:
    kms, old, new = keys.kms, keys(*KEYS["rsa-encrypting"]), keys(*KEYS["symmetric"])
    blobs = {
        algorithm: kms.encrypt(KeyId=old, Plaintext=b"p", EncryptionAlgorithm=algorithm)["CiphertextBlob"]
        for algorithm in ("RSAES_OAEP_SHA_1", OAEP)
    }

    def allow(action: str, algorithm: str, key: str) -> dict[str, Any]:
        wanted = {"StringEquals": {"kms:EncryptionAlgorithm": algorithm}}
        return {"Effect": "Allow", "Action": action, "Resource": key, "Condition": wanted}

    statements = [
        allow("kms:Decrypt", OAEP, old),
        allow("kms:ReEncryptFrom", OAEP, old),
        allow("kms:ReEncryptTo", "SYMMETRIC_DEFAULT", new),
    ]
    user = keys.principal.new_user("mover", {"Version": "2012-10-17", "Statement": statements}).kms

    def decrypt(algorithm: str) -> Any:
        return user.decrypt(KeyId=old, CiphertextBlob=blobs[algorithm], EncryptionAlgorithm=algorithm)

    def move(algorithm: str, **more: Any) -> Any:
        asked = {"CiphertextBlob": blobs[algorithm], "SourceKeyId": old, "SourceEncryptionAlgorithm": algorithm}
        return user.re_encrypt(**asked, **{"DestinationKeyId": new, **more})

    assert decrypt(OAEP)["Plaintext"] == b"p"
    assert move(OAEP)["KeyId"] == new
    for call in (decrypt, move):
        with refused(DENIED):
            call("RSAES_OAEP_SHA_1")
    with refused(DENIED):
        move(OAEP, DestinationKeyId=old, DestinationEncryptionAlgorithm=OAEP)
