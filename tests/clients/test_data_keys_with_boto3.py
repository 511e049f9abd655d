"""Secrets kept the way that credstash keeps them: a data key of 64 bytes each, half to encrypt, half to authenticate.

A row has the wrapped data key, the ciphertext (AES-CTR) and an HMAC over it; to read it takes KMS and the same context.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

CONTEXT = {"environment": "production", "application": "letters"}
NONCE = (1).to_bytes(16, "big")
"""A data key encrypts one secret, so that the counter may always begin at the same place."""


@dataclass(frozen=True)
class Row:
    wrapped: bytes
    contents: bytes
    code: bytes


def _code(key: bytes, contents: bytes) -> HMAC:
    made = HMAC(key, SHA256())
    made.update(contents)
    return made


def put(kms: Any, key: str, secret: bytes, context: dict[str, str]) -> Row:
    given = kms.generate_data_key(KeyId=key, NumberOfBytes=64, EncryptionContext=context)
    data_key, authenticating = given["Plaintext"][:32], given["Plaintext"][32:]
    encryptor = Cipher(AES(data_key), CTR(NONCE)).encryptor()
    contents = encryptor.update(secret) + encryptor.finalize()
    return Row(given["CiphertextBlob"], contents, _code(authenticating, contents).finalize())


def get(kms: Any, row: Row, context: dict[str, str]) -> bytes:
    opened = kms.decrypt(CiphertextBlob=row.wrapped, EncryptionContext=context)["Plaintext"]
    assert len(opened) == 64
    _code(opened[32:], row.contents).verify(row.code)
    decryptor = Cipher(AES(opened[:32]), CTR(NONCE)).decryptor()
    return bytes(decryptor.update(row.contents) + decryptor.finalize())


def error_of(work: Any) -> str:
    with pytest.raises(ClientError) as refused:
        work()
    return str(refused.value.response["Error"]["Code"])


def test_secrets_are_read_with_their_context_alone(aws: Any, key: str) -> None:
    rows = [put(aws.kms, key, b"correct horse", CONTEXT) for _ in range(2)]
    assert rows[0].contents != rows[1].contents
    assert get(aws.kms, rows[0], CONTEXT) == b"correct horse"
    for other in ({}, {**CONTEXT, "environment": "test"}, {**CONTEXT, "more": "x"}):
        assert error_of(lambda other=other: get(aws.kms, rows[0], other)) == "InvalidCiphertextException"
    with pytest.raises(InvalidSignature):
        get(aws.kms, replace(rows[0], wrapped=rows[1].wrapped), CONTEXT)


def test_who_puts_secrets_cannot_read_them_and_readers_read_their_own(aws: Any, key: str) -> None:
    def user(name: str, action: str, environment: str) -> Any:
        condition = {"StringEquals": {"kms:EncryptionContext:environment": environment}}
        statement = {"Effect": "Allow", "Action": action, "Resource": key, "Condition": condition}
        return aws.new_user(name, {"Version": "2012-10-17", "Statement": [statement]})

    writer = user("writer", "kms:GenerateDataKey", "production")
    reader = user("reader", "kms:Decrypt", "production")
    tester = user("tester", "kms:Decrypt", "test")
    row = put(writer.kms, key, b"correct horse", CONTEXT)
    assert get(reader.kms, row, CONTEXT) == b"correct horse"
    assert error_of(lambda: get(writer.kms, row, CONTEXT)) == "AccessDeniedException"
    assert error_of(lambda: get(tester.kms, row, CONTEXT)) == "AccessDeniedException"
    # Nobody's own claim of a context opens what was sealed under another.
    assert error_of(lambda: get(tester.kms, row, {**CONTEXT, "environment": "test"})) == "InvalidCiphertextException"
    events = [json.loads(event["CloudTrailEvent"]) for event in aws.cloudtrail.lookup_events(MaxResults=50)["Events"]]
    assert not any("correct horse" in json.dumps(event) for event in events)
    read = [event for event in events if event["eventName"] == "Decrypt" and "errorCode" not in event]
    assert [event["userIdentity"]["userName"] for event in read] == ["reader"]
    assert read[0]["requestParameters"]["encryptionContext"] == CONTEXT
