"""Server and signing certificates, SSH keys and service-specific credentials, as boto3 sees them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID


@contextmanager
def fails(code: str, status: int, text: str = "") -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    got = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    assert (got, text in response["Error"]["Message"]) == ((code, status), True), response["Error"]


@dataclass
class Pair:
    """A certificate and its key, PEM."""

    certificate: x509.Certificate
    key: Any

    @property
    def body(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def private(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def pair(name: str, by: Pair | None = None, *, days: tuple[int, int] = (-1, 36_500)) -> Pair:
    """Valid by default however far other tests moved the server's clock."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .sign(by.key if by else key, hashes.SHA256())
    )
    return Pair(made, key)


def upload(aws: Any, name: str = "web", of: Pair | None = None, **more: Any) -> Any:
    given = of or pair(name)
    return aws.iam.upload_server_certificate(
        **{"ServerCertificateName": name, "CertificateBody": given.body, "PrivateKey": given.private, **more}
    )


# Server certificates


def test_a_server_certificate_lives_and_its_key_stays_inside(aws: Any) -> None:
    root = pair("root")
    middle = pair("middle", root)
    leaf = pair("web", middle)
    made = upload(
        aws, of=leaf, Path="/eu/", CertificateChain=middle.body + root.body, Tags=[{"Key": "a", "Value": "1"}]
    )
    metadata = made["ServerCertificateMetadata"]
    assert metadata["Arn"] == f"arn:aws:iam::{aws.account_id}:server-certificate/eu/web"
    assert metadata["Expiration"] == leaf.certificate.not_valid_after_utc
    got = aws.iam.get_server_certificate(ServerCertificateName="web")
    shown = got["ServerCertificate"]
    assert (shown["CertificateBody"], shown["CertificateChain"]) == (leaf.body, middle.body + root.body)
    assert leaf.private.splitlines()[1] not in json.dumps(got, default=str)
    assert aws.iam.list_server_certificates(PathPrefix="/us/")["ServerCertificateMetadataList"] == []
    aws.iam.update_server_certificate(ServerCertificateName="web", NewServerCertificateName="www", NewPath="/us/")
    (listed,) = aws.iam.list_server_certificates(PathPrefix="/us/")["ServerCertificateMetadataList"]
    assert (listed["ServerCertificateName"], listed["ServerCertificateId"]) == ("www", metadata["ServerCertificateId"])
    aws.iam.tag_server_certificate(ServerCertificateName="www", Tags=[{"Key": "b", "Value": "2"}])
    aws.iam.untag_server_certificate(ServerCertificateName="www", TagKeys=["a"])
    assert [tag["Key"] for tag in aws.iam.list_server_certificate_tags(ServerCertificateName="www")["Tags"]] == ["b"]
    assert aws.iam.get_account_summary()["SummaryMap"]["ServerCertificates"] == 1
    aws.iam.delete_server_certificate(ServerCertificateName="www")
    with fails("NoSuchEntity", 404):
        aws.iam.get_server_certificate(ServerCertificateName="www")


def test_a_private_key_does_not_enter_the_trail(aws: Any) -> None:
    given = pair("web")
    upload(aws, of=given)
    found = aws.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "UploadServerCertificate"}]
    )
    assert given.private.splitlines()[1] not in found["Events"][0]["CloudTrailEvent"]


def test_a_key_that_is_not_the_certificates_is_refused(aws: Any) -> None:
    with fails("KeyPairMismatch", 400):
        upload(aws, PrivateKey=pair("other").private)


BROKEN = {
    "no PEM": {"CertificateBody": "certificate"},
    "PEM of nothing": {"CertificateBody": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
    "two certificates": {"CertificateBody": pair("a").body + pair("b").body},
    "no key": {"PrivateKey": "key"},
    "a chain that is none": {"CertificateChain": "chain"},
    "a chain of another": {"CertificateChain": pair("stranger").body},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_broken_server_certificates_are_refused(aws: Any, change: dict[str, str]) -> None:
    with fails("MalformedCertificate", 400):
        upload(aws, **change)
    assert aws.iam.list_server_certificates()["ServerCertificateMetadataList"] == []


def test_certificates_outside_their_time_and_encrypted_keys_are_refused(aws: Any) -> None:
    with fails("MalformedCertificate", 400, "no longer valid"):
        upload(aws, of=pair("old", days=(-9, -1)))
    with fails("MalformedCertificate", 400, "not yet valid"):
        upload(aws, of=pair("new", days=(36_400, 36_500)))
    given = pair("web")
    locked = given.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")).decode()
    with fails("MalformedCertificate", 400, "Unable to parse key"):
        upload(aws, of=given, PrivateKey=locked)


def test_the_chains_order_counts(aws: Any) -> None:
    root = pair("root")
    middle = pair("middle", root)
    with fails("MalformedCertificate", 400, "invalid certificate is: 0"):
        upload(aws, of=pair("web", middle), CertificateChain=root.body + middle.body)


def test_server_certificates_have_a_quota_and_unique_names(aws: Any) -> None:
    given = pair("web")
    for number in range(20):
        upload(aws, f"c{number}", given)
    with fails("LimitExceeded", 409, "20"):
        upload(aws, "one-too-many", given)
    with fails("EntityAlreadyExists", 409):
        upload(aws, "C1", given)
    with fails("EntityAlreadyExists", 409):
        aws.iam.update_server_certificate(ServerCertificateName="c1", NewServerCertificateName="c2")


def test_a_rename_needs_the_permission_on_both_arns(aws: Any) -> None:
    upload(aws)
    allowed = {
        "Effect": "Allow",
        "Action": "iam:*",
        "Resource": f"arn:aws:iam::{aws.account_id}:server-certificate/web",
    }
    user = aws.new_user("bob", {"Version": "2012-10-17", "Statement": [allowed]})
    user.iam.get_server_certificate(ServerCertificateName="web")
    with fails("AccessDenied", 403):
        user.iam.update_server_certificate(ServerCertificateName="web", NewServerCertificateName="www")


# Signing certificates


def test_signing_certificates_of_a_user(aws: Any) -> None:
    iam = aws.iam
    iam.create_user(UserName="bob")
    first = pair("first")
    made = iam.upload_signing_certificate(UserName="bob", CertificateBody=first.body)["Certificate"]
    assert (made["UserName"], made["Status"], made["CertificateBody"]) == ("bob", "Active", first.body)
    with fails("DuplicateCertificate", 409):
        iam.upload_signing_certificate(UserName="bob", CertificateBody=first.body)
    iam.upload_signing_certificate(UserName="bob", CertificateBody=pair("second").body)
    with fails("LimitExceeded", 409, "2"):
        iam.upload_signing_certificate(UserName="bob", CertificateBody=pair("third").body)
    change = {"UserName": "bob", "CertificateId": made["CertificateId"]}
    iam.update_signing_certificate(**change, Status="Inactive")
    listed = {one["CertificateId"]: one for one in iam.list_signing_certificates(UserName="bob")["Certificates"]}
    assert listed[made["CertificateId"]]["Status"] == "Inactive"
    with fails("InvalidInput", 400):
        iam.update_signing_certificate(**change, Status="Expired")
    with fails("DeleteConflict", 409, "signing certificates"):
        iam.delete_user(UserName="bob")
    for certificate_id in listed:
        iam.delete_signing_certificate(UserName="bob", CertificateId=certificate_id)
    iam.delete_user(UserName="bob")
    with fails("MalformedCertificate", 400):
        iam.upload_signing_certificate(CertificateBody="no certificate")


def test_signing_certificates_of_root_are_in_the_summary(aws: Any) -> None:
    assert aws.iam.get_account_summary()["SummaryMap"]["AccountSigningCertificatesPresent"] == 0
    body = pair("root user").body
    made = aws.iam.upload_signing_certificate(CertificateBody=body)["Certificate"]
    assert aws.iam.get_account_summary()["SummaryMap"]["AccountSigningCertificatesPresent"] == 1
    aws.iam.create_user(UserName="bob")
    with fails("NoSuchEntity", 404):
        aws.iam.delete_signing_certificate(UserName="bob", CertificateId=made["CertificateId"])
    with fails("DuplicateCertificate", 409):
        aws.iam.upload_signing_certificate(UserName="bob", CertificateBody=body)
    aws.iam.delete_signing_certificate(CertificateId=made["CertificateId"])
    aws.iam.upload_signing_certificate(UserName="bob", CertificateBody=body)


def test_signing_certificates_are_in_the_credential_report(aws: Any) -> None:
    aws.iam.create_user(UserName="bob")
    made = aws.iam.upload_signing_certificate(UserName="bob", CertificateBody=pair("bob").body)["Certificate"]
    aws.iam.generate_credential_report()
    header, root, bob = aws.iam.get_credential_report()["Content"].decode().splitlines()
    columns = dict(zip(header.split(","), bob.split(","), strict=True))
    rotated = made["UploadDate"].strftime("%Y-%m-%dT%H:%M:%S+00:00")
    assert (columns["cert_1_active"], columns["cert_1_last_rotated"]) == ("true", rotated)
    assert (columns["cert_2_active"], columns["cert_2_last_rotated"]) == ("false", "N/A")
    assert root.endswith("false,N/A,false,N/A")


# SSH public keys


def ssh_key(bits: int = 2048) -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()


def in_ssh(key: Any) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def in_pem(key: Any) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_an_ssh_key_is_kept_and_shown_in_both_forms(aws: Any) -> None:
    iam, key = aws.iam, ssh_key()
    iam.create_user(UserName="bob")
    body = in_ssh(key) + " bob@example.com"
    made = iam.upload_ssh_public_key(UserName="bob", SSHPublicKeyBody=body)["SSHPublicKey"]
    assert (made["SSHPublicKeyBody"], made["Status"]) == (body, "Active")
    assert made["SSHPublicKeyId"].startswith("APKA")
    which = {"UserName": "bob", "SSHPublicKeyId": made["SSHPublicKeyId"]}
    for encoding, text in (("SSH", in_ssh(key)), ("PEM", in_pem(key))):
        assert iam.get_ssh_public_key(**which, Encoding=encoding)["SSHPublicKey"]["SSHPublicKeyBody"] == text
    with fails("DuplicateSSHPublicKey", 400):
        iam.upload_ssh_public_key(UserName="bob", SSHPublicKeyBody=in_pem(key))
    iam.update_ssh_public_key(**which, Status="Inactive")
    (listed,) = iam.list_ssh_public_keys(UserName="bob")["SSHPublicKeys"]
    assert (listed["Status"], "SSHPublicKeyBody" in listed) == ("Inactive", False)
    with fails("DeleteConflict", 409, "SSH public keys"):
        iam.delete_user(UserName="bob")
    iam.delete_ssh_public_key(**which)
    with fails("NoSuchEntity", 404):
        iam.get_ssh_public_key(**which, Encoding="PEM")
    iam.delete_user(UserName="bob")


def test_an_ssh_keys_fingerprint_is_what_ssh_keygen_shows(aws: Any, tmp_path: Path) -> None:
    program = shutil.which("ssh-keygen")
    if program is None:
        # CI has to install it.
        (pytest.fail if os.environ.get("CI") else pytest.skip)("ssh-keygen is not installed (package openssh-client)")
    aws.iam.create_user(UserName="bob")
    body = in_ssh(ssh_key())
    made = aws.iam.upload_ssh_public_key(UserName="bob", SSHPublicKeyBody=body)["SSHPublicKey"]
    file = tmp_path / "key.pub"
    file.write_text(body)
    shown = subprocess.run((program, "-l", "-E", "md5", "-f", file), capture_output=True, text=True, check=True).stdout
    assert f"MD5:{made['Fingerprint']} " in shown


def test_five_ssh_keys_at_most(aws: Any) -> None:
    aws.iam.create_user(UserName="bob")
    for _ in range(5):
        aws.iam.upload_ssh_public_key(UserName="bob", SSHPublicKeyBody=in_pem(ssh_key()))
    with fails("LimitExceeded", 409, "5"):
        aws.iam.upload_ssh_public_key(UserName="bob", SSHPublicKeyBody=in_pem(ssh_key()))


def test_only_rsa_keys_of_2048_bits_and_more(aws: Any) -> None:
    aws.iam.create_user(UserName="bob")
    curve = ed25519.Ed25519PrivateKey.generate().public_key()
    for body, code in (
        (in_ssh(ssh_key(1024)), "InvalidPublicKey"),
        (in_ssh(curve), "InvalidPublicKey"),
        (in_pem(curve), "InvalidPublicKey"),
        ("ssh-rsa AAAA", "InvalidPublicKey"),
        ("-----BEGIN PUBLIC KEY-----", "InvalidPublicKey"),
        ("hello", "UnrecognizedPublicKeyEncoding"),
    ):
        with fails(code, 400):
            aws.iam.upload_ssh_public_key(UserName="bob", SSHPublicKeyBody=body)
    assert aws.iam.list_ssh_public_keys(UserName="bob")["SSHPublicKeys"] == []


# Service-specific credentials


def test_a_service_password_is_shown_once(aws: Any, freehold_server: Any) -> None:
    iam, service = aws.iam, "codecommit.amazonaws.com"
    iam.create_user(UserName="bob")
    made = iam.create_service_specific_credential(UserName="bob", ServiceName=service)["ServiceSpecificCredential"]
    assert made["ServiceUserName"] == f"bob-at-{aws.account_id}"
    assert len(made["ServicePassword"]) >= 32
    second = iam.create_service_specific_credential(UserName="bob", ServiceName=service)["ServiceSpecificCredential"]
    assert second["ServiceUserName"] == f"bob+1-at-{aws.account_id}"
    with fails("LimitExceeded", 409, "2"):
        iam.create_service_specific_credential(UserName="bob", ServiceName=service)
    listed = iam.list_service_specific_credentials(UserName="bob")
    assert len(listed["ServiceSpecificCredentials"]) == 2
    assert made["ServicePassword"] not in json.dumps(listed, default=str)
    which = {"UserName": "bob", "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    again = iam.reset_service_specific_credential(**which)["ServiceSpecificCredential"]
    assert again["ServicePassword"] != made["ServicePassword"]
    iam.update_service_specific_credential(**which, Status="Inactive")
    found = iam.list_service_specific_credentials(UserName="bob")["ServiceSpecificCredentials"]
    assert sorted(one["Status"] for one in found) == ["Active", "Inactive"]
    trail = aws.cloudtrail.lookup_events(MaxResults=50)["Events"]
    for secret in (made["ServicePassword"], again["ServicePassword"]):
        assert not [event for event in trail if secret in event["CloudTrailEvent"]]
    with fails("DeleteConflict", 409, "service specific credentials"):
        iam.delete_user(UserName="bob")
    for one in found:
        iam.delete_service_specific_credential(
            UserName="bob", ServiceSpecificCredentialId=one["ServiceSpecificCredentialId"]
        )
    iam.delete_user(UserName="bob")


def test_api_keys_may_end(aws: Any, freehold_server: Any) -> None:
    iam = aws.iam
    iam.create_user(UserName="bob")
    made = iam.create_service_specific_credential(
        UserName="bob", ServiceName="bedrock.amazonaws.com", CredentialAgeDays=30
    )["ServiceSpecificCredential"]
    assert made["ServiceCredentialSecret"].startswith("ABSK")
    assert (made["ExpirationDate"] - made["CreateDate"]).days == 30
    assert "ServicePassword" not in made
    with fails("ValidationError", 400, "CredentialAgeDays"):
        iam.create_service_specific_credential(
            UserName="bob", ServiceName="codecommit.amazonaws.com", CredentialAgeDays=30
        )
    with fails("NotSupportedService", 404):
        iam.create_service_specific_credential(UserName="bob", ServiceName="s3.amazonaws.com")


def test_all_users_credentials_on_one_list(aws: Any) -> None:
    for name in ("bob", "eve"):
        aws.iam.create_user(UserName=name)
        aws.iam.create_service_specific_credential(UserName=name, ServiceName="cassandra.amazonaws.com")
    found = aws.iam.list_service_specific_credentials(AllUsers=True, ServiceName="cassandra.amazonaws.com")
    assert sorted(one["UserName"] for one in found["ServiceSpecificCredentials"]) == ["bob", "eve"]
    page = aws.iam.list_service_specific_credentials(AllUsers=True, MaxItems=1)
    assert (len(page["ServiceSpecificCredentials"]), page["IsTruncated"]) == (1, True)
    with fails("ValidationError", 400):
        aws.iam.list_service_specific_credentials(AllUsers=True, UserName="bob")
    own = {"Effect": "Allow", "Action": "iam:*", "Resource": f"arn:aws:iam::{aws.account_id}:user/bob"}
    aws.iam.put_user_policy(
        UserName="bob", PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [own]})
    )
    bob = aws.using(aws.iam.create_access_key(UserName="bob"))
    assert len(bob.iam.list_service_specific_credentials()["ServiceSpecificCredentials"]) == 1
    with fails("AccessDenied", 403):
        bob.iam.list_service_specific_credentials(AllUsers=True)
