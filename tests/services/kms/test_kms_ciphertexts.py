"""Ciphertexts that were altered, cut, moved, or belong to someone else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.crypto.envelope import Header, seal_message
from freehold.errors import AwsError

CONTEXT = {"bucket": "reports", "Path": "a/b"}


@pytest.fixture
def blob(kms: Any, key_id: str) -> bytes:
    made: bytes = kms("Encrypt", KeyId=key_id, Plaintext=b"attack at dawn", EncryptionContext=CONTEXT)["CiphertextBlob"]
    return made


def refusal(kms: Any, name: str = "Decrypt", **params: Any) -> str:
    with pytest.raises(AwsError) as refused:
        kms(name, **params)
    return refused.value.code


def test_what_was_sealed_comes_back(kms: Any, key_id: str, blob: bytes) -> None:
    opened = kms("Decrypt", CiphertextBlob=blob, EncryptionContext=dict(reversed(CONTEXT.items())))
    assert opened["Plaintext"] == b"attack at dawn"
    assert opened["KeyId"].endswith(key_id)


def test_every_altered_byte_is_refused_with_the_same_error(kms: Any, blob: bytes) -> None:
    for at in range(len(blob)):
        for change in (0x01, 0x20, 0x80, 0xFF):
            altered = bytearray(blob)
            altered[at] ^= change
            code = refusal(kms, CiphertextBlob=bytes(altered), EncryptionContext=CONTEXT)
            assert code == "InvalidCiphertextException", (at, change)


def test_every_cut_is_refused_with_the_same_error(kms: Any, blob: bytes) -> None:
    for length in range(1, len(blob)):
        for part in (blob[:length], blob[-length:], blob + blob[:length]):
            assert refusal(kms, CiphertextBlob=part, EncryptionContext=CONTEXT) == "InvalidCiphertextException"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(min_size=1, max_size=300))
def test_garbage_is_refused_with_the_same_error(kms: Any, garbage: bytes) -> None:
    assert refusal(kms, CiphertextBlob=garbage) == "InvalidCiphertextException"


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        {"bucket": "reports"},
        {**CONTEXT, "more": ""},
        {"bucket": "Reports", "Path": "a/b"},
        {"Bucket": "reports", "Path": "a/b"},
        {"bucket": "reportsPath", "": "a/b"},
    ],
)
def test_another_encryption_context_is_refused(kms: Any, blob: bytes, context: dict[str, str] | None) -> None:
    params = {} if context is None else {"EncryptionContext": context}
    assert refusal(kms, CiphertextBlob=blob, **params) == "InvalidCiphertextException"


def test_another_key_named_in_the_request_is_the_wrong_key(kms: Any, blob: bytes) -> None:
    other = kms("CreateKey")["KeyMetadata"]["KeyId"]
    kms("CreateAlias", AliasName="alias/other", TargetKeyId=other)
    for name in (other, "alias/other"):
        code = refusal(kms, CiphertextBlob=blob, KeyId=name, EncryptionContext=CONTEXT)
        assert code == "IncorrectKeyException"


def test_a_header_that_names_another_key_opens_nothing(kms: Any, key_id: str, blob: bytes) -> None:
    other = kms("CreateKey")["KeyMetadata"]["KeyId"]
    moved = blob.replace(key_id.encode(), other.encode())
    assert moved != blob
    assert refusal(kms, CiphertextBlob=moved, EncryptionContext=CONTEXT) == "InvalidCiphertextException"
    assert refusal(kms, CiphertextBlob=moved, EncryptionContext=CONTEXT, KeyId=other) == "InvalidCiphertextException"


def test_a_header_cannot_claim_another_account_or_version(kms: Any, key_id: str) -> None:
    account = kms.account.account_id
    for header in (
        Header("us-east-1", "999999999999", key_id, "1"),
        Header("eu-west-1", account, key_id, "1"),
        Header("us-east-1", account, key_id, "2"),
        Header("us-east-1", account, key_id, "01"),
        Header("us-east-1", account, key_id, "-1"),
        Header("us-east-1", account, key_id, "٣"),
        Header("us-east-1", account, key_id, "9" * 255),
        Header("us-east-1", account, "\0", ""),
        Header("us-east-1", account, "", "1"),
    ):
        forged = seal_message(bytes(32), header, {}, b"text")
        assert refusal(kms, CiphertextBlob=forged) == "InvalidCiphertextException", header


def test_a_blob_of_another_deployment_is_refused(kms: Any) -> None:
    foreign = seal_message(
        bytes(32), Header("us-east-1", kms.account.account_id, "1234abcd-12ab-34cd-56ef-1234567890ab", "1"), {}, b"text"
    )
    assert refusal(kms, CiphertextBlob=foreign) == "InvalidCiphertextException"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    context=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5),
    plaintext=st.binary(min_size=1, max_size=4096),
)
def test_any_plaintext_comes_back_under_its_context(
    kms: Any, key_id: str, context: dict[str, str], plaintext: bytes
) -> None:
    blob = kms("Encrypt", KeyId=key_id, Plaintext=plaintext, EncryptionContext=context)["CiphertextBlob"]
    assert len(blob) <= 6144
    assert kms("Decrypt", CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == plaintext
    changed = {**context, "one more": ""}
    assert refusal(kms, CiphertextBlob=blob, EncryptionContext=changed) == "InvalidCiphertextException"


def test_two_seals_of_one_text_differ(kms: Any, key_id: str) -> None:
    assert len({kms("Encrypt", KeyId=key_id, Plaintext=b"text")["CiphertextBlob"] for _ in range(50)}) == 50


def test_an_encryption_context_has_8192_characters(kms: Any, key_id: str) -> None:
    kms("Encrypt", KeyId=key_id, Plaintext=b"text", EncryptionContext={"k": "v" * 8191})
    longer = {"k": "v" * 8192}
    assert refusal(kms, "Encrypt", KeyId=key_id, Plaintext=b"x", EncryptionContext=longer) == "ValidationException"


def test_reencrypt_moves_a_message_to_another_key_and_context(kms: Any, key_id: str, blob: bytes) -> None:
    other = kms("CreateKey")["KeyMetadata"]["Arn"]
    moved = kms(
        "ReEncrypt",
        CiphertextBlob=blob,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=other,
        DestinationEncryptionContext={"new": "context"},
    )
    assert (moved["SourceKeyId"].endswith(key_id), moved["KeyId"]) == (True, other)
    opened = kms("Decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"new": "context"})
    assert opened["Plaintext"] == b"attack at dawn"
    assert refusal(kms, "ReEncrypt", CiphertextBlob=blob, DestinationKeyId=other) == "InvalidCiphertextException"


def test_a_dry_run_checks_all_and_gives_nothing(kms: Any, key_id: str, blob: bytes) -> None:
    runs: list[tuple[str, dict[str, Any]]] = [
        ("Encrypt", {"KeyId": key_id, "Plaintext": b"x"}),
        ("Decrypt", {"CiphertextBlob": blob, "EncryptionContext": CONTEXT}),
        ("Decrypt", {"KeyId": key_id, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}),
        ("ReEncrypt", {"CiphertextBlob": blob, "SourceEncryptionContext": CONTEXT, "DestinationKeyId": key_id}),
        ("GenerateDataKey", {"KeyId": key_id, "KeySpec": "AES_256"}),
        ("GenerateDataKeyWithoutPlaintext", {"KeyId": key_id, "NumberOfBytes": 5}),
        ("CreateGrant", {"KeyId": key_id, "GranteePrincipal": kms.account.arn, "Operations": ["Decrypt"]}),
    ]
    for name, params in runs:
        assert refusal(kms, name, DryRun=True, **params) == "DryRunOperationException", name
    assert kms("ListGrants", KeyId=key_id)["Grants"] == []
    assert refusal(kms, DryRun=True, CiphertextBlob=blob) == "InvalidCiphertextException"
    kms("DisableKey", KeyId=key_id)
    for name, params in runs:
        assert refusal(kms, name, DryRun=True, **params) == "DisabledException", name


def test_data_keys_have_the_length_asked_for(kms: Any, key_id: str) -> None:
    for params, length in (({"KeySpec": "AES_128"}, 16), ({"KeySpec": "AES_256"}, 32), ({"NumberOfBytes": 1024}, 1024)):
        made = kms("GenerateDataKey", KeyId=key_id, EncryptionContext={"a": "b"}, **params)
        opened = kms("Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "b"})
        assert len(made["Plaintext"]) == length
        assert opened["Plaintext"] == made["Plaintext"]
    assert "Plaintext" not in kms("GenerateDataKeyWithoutPlaintext", KeyId=key_id, KeySpec="AES_256")


@pytest.mark.parametrize("params", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
def test_a_data_key_needs_one_length(kms: Any, key_id: str, params: dict[str, Any]) -> None:
    assert refusal(kms, "GenerateDataKey", KeyId=key_id, **params) == "ValidationException"


@pytest.mark.parametrize("name", ["Encrypt", "Decrypt"])
def test_a_symmetric_key_has_no_rsa_algorithms(kms: Any, key_id: str, blob: bytes, name: str) -> None:
    params = {"KeyId": key_id, "Plaintext": b"x"} if name == "Encrypt" else {"CiphertextBlob": blob}
    params["EncryptionAlgorithm"] = "RSAES_OAEP_SHA_256"
    assert refusal(kms, name, **params) == "InvalidKeyUsageException"
