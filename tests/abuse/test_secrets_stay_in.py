"""No secret, token, plaintext or data key is in an error, in the audit trail or on standard error."""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import suppress
from typing import Any

import attacking
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

SECRET = "wJalr-a-secret-text-that-nobody-may-log-" + secrets.token_hex(8)


def spellings(value: str | bytes) -> list[bytes]:
    """As it is, in base64 at each alignment, in hexadecimal."""
    raw = value.encode() if isinstance(value, str) else value
    encoded = [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    return [raw, raw.hex().encode(), *encoded]


def trail_of(principal: Any) -> bytes:
    found = []
    for page in principal.cloudtrail.get_paginator("lookup_events").paginate():
        found += [event["CloudTrailEvent"] for event in page["Events"]]
    return "\n".join(found).encode()


def import_material(aws: Any) -> dict[str, bytes]:
    """Import key material, rightly and in wrong ways. What must not be seen of it."""
    key = aws.kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    given = aws.kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    token = given["ImportToken"]
    public_key = serialization.load_der_public_key(given["PublicKey"])
    assert isinstance(public_key, RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    material, short = secrets.token_bytes(32), secrets.token_bytes(31)
    wrapped, too_short = public_key.encrypt(material, oaep), public_key.encrypt(short, oaep)
    for token_sent, sent in ((token, too_short), (token, material), (token[:-1], wrapped), (token, wrapped)):
        with suppress(ClientError):
            aws.kms.import_key_material(
                KeyId=key,
                ImportToken=token_sent,
                EncryptedKeyMaterial=sent,
                ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
            )
    assert aws.kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    return {"material": material, "short material": short, "wrapped material": wrapped, "an import token": token}


def test_no_secret_is_in_the_trail_or_on_standard_error(server: Any, aws: Any, bucket: str) -> None:
    hidden: dict[str, list[bytes]] = {"the account's secret": spellings(aws.secret_access_key)}

    def hide(name: str, value: str | bytes) -> None:
        hidden[name] = spellings(value)

    hide("plaintext", SECRET)
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.account_id}}],
    }
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    user = aws.new_user("u", everything)
    hide("the user's secret", user.secret_access_key)
    role = aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    for name, made in (
        ("role", user.sts.assume_role(RoleArn=role, RoleSessionName="ab")),
        ("session", user.sts.get_session_token()),
        ("federated", user.sts.get_federation_token(Name="ab", Policy=json.dumps(everything))),
    ):
        hide(f"{name} secret", made["Credentials"]["SecretAccessKey"])
        hide(f"{name} token", made["Credentials"]["SessionToken"])
        one = user.using(made)
        one.sts.get_caller_identity()
        for refused in (one.s3.list_buckets, one.kms.list_keys, one.iam.list_users):
            with suppress(ClientError):
                refused()
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    blob = aws.kms.encrypt(KeyId=key, Plaintext=SECRET.encode())["CiphertextBlob"]
    assert aws.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == SECRET.encode()
    hide("a data key", aws.kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"])
    hide("random bytes", aws.kms.generate_random(NumberOfBytes=32)["Plaintext"])
    grant = aws.kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"])["GrantToken"]
    hide("a grant token", grant)
    aws.kms.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[grant])
    for name, material in import_material(aws).items():
        hide(name, material)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=SECRET.encode(), ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == SECRET.encode()
    customer_key = secrets.token_bytes(32)
    hide("a customer's key", customer_key)
    with pytest.raises(ClientError):
        aws.s3.put_object(Bucket=bucket, Key="c", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey=customer_key)
    # What fails quotes what was sent; not this.
    encoded = base64.b64encode(SECRET.encode() * 200).decode()
    errors = [
        attacking.call(aws, "kms", "TrentService.Encrypt", json.dumps({"KeyId": key, "Plaintext": encoded}).encode()),
        attacking.call(aws, "kms", "TrentService.Encrypt", json.dumps({"KeyId": key, "Plaintext": [SECRET]}).encode()),
        attacking.call(aws, "kms", "TrentService.Encrypt", json.dumps({"KeyId": key, "Plaintext": SECRET}).encode()),
        attacking.call(
            aws, "kms", "TrentService.Decrypt", json.dumps({"KeyId": "nokey", "CiphertextBlob": SECRET}).encode()
        ),
        attacking.call(aws, "kms", "TrentService.Encrypt", f'{{"KeyId":"{key}","Plaintext":"{SECRET}'.encode()),
        attacking.call(aws, "sts", "GetSessionToken", f"TokenCode={SECRET[:6]}&SerialNumber=x".encode()),
        attacking.s3(aws, "PUT", f"/{bucket}/k", {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, SECRET.encode()),
        attacking.s3(aws, "POST", f"/{bucket}?delete", {}, SECRET.encode()),
    ]
    assert all(400 <= answer.status <= 501 for answer in errors), [answer.status for answer in errors]
    url = attacking.presigned(user, "GET", f"/{bucket}/k")
    hide("a presigned signature", url.partition("X-Amz-Signature=")[2])
    assert attacking.ask(aws, "GET", url).status == 200
    assert attacking.ask(aws, "GET", url + "0").status >= 400
    said = b"\n".join(answer.body for answer in errors)
    trail = trail_of(aws)
    assert trail.count(b"eventID") > 30
    for what, where in (("an error", said), ("the trail", trail), ("standard error", server.log().encode())):
        for name, written in hidden.items():
            assert not any(one in where for one in written), f"{name} is in {what}"


def test_what_a_client_writes_stays_inside_of_its_field(aws: Any) -> None:
    """No header or parameter ends an event and begins another."""
    forged = '", "eventName": "ConsoleLogin"}\r\n{"x": "'.replace("\r\n", "\t")
    answer = attacking.call(aws, "iam", "GetUser", b"UserName=%0A%22%7D", **{"User-Agent": forged})
    assert answer.status == 400
    found = aws.cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "GetUser"}])
    (event,) = (json.loads(one["CloudTrailEvent"]) for one in found["Events"])
    assert event["eventName"] == "GetUser"
    assert event["userAgent"] == forged
    assert "ConsoleLogin" not in {one["EventName"] for one in aws.cloudtrail.lookup_events()["Events"]}
