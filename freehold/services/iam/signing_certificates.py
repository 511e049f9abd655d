"""Signing certificates of users, and of the account's root user: X.509, two each at most. Nothing here signs in.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_UploadSigningCertificate.html
"""

from __future__ import annotations

import base64
import secrets

from freehold.services.call import Call
from freehold.services.iam import certificates, entities, pages, shapes
from freehold.services.iam.authorized import iam, on_entity, own_name
from freehold.services.iam.errors import DuplicateCertificate, InvalidInput, NoSuchEntity, quota
from freehold.services.iam.records import Mark, Record
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader, Table

MOST_CERTIFICATES = 2


class SigningCertificate(Record, kw_only=True):
    certificate_id: str
    body: str
    digest: str
    """SHA-256 of the certificate's DER."""
    uploaded_at: int
    active: bool = True


SIGNING_CERTIFICATES = Table("iam.signing_certificates", SigningCertificate)
"""(owner: a user's unique id, or the account id for root; certificate id)"""
DIGESTS = Table("iam.signing_certificate_digests", Mark)  # (account id, digest)


def of(reader: Reader, owner_id: str) -> list[SigningCertificate]:
    return [record for _, record in SIGNING_CERTIFICATES.scan(reader, (owner_id,))]


def _owner(reader: Reader, call: Call, params: Params) -> tuple[str, dict[str, str]]:
    """Whose certificates are meant, and what replies say of the name: root has none."""
    name = params.get("UserName")
    if name is None and call.principal.kind == "root":
        return call.account_id, {}
    user = entities.require_user(reader, call.account_id, own_name(call) if name is None else name)
    return user.unique_id, {"UserName": user.name}


def _require(reader: Reader, owner_id: str, certificate_id: str) -> SigningCertificate:
    found = SIGNING_CERTIFICATES.get(reader, (owner_id, certificate_id))
    if found is None:
        raise NoSuchEntity(f"The Certificate with id {certificate_id} cannot be found.")
    return found


def _shown(named: dict[str, str], record: SigningCertificate) -> Result:
    return {
        **named,
        "CertificateId": record.certificate_id,
        "CertificateBody": record.body,
        "Status": "Active" if record.active else "Inactive",
        "UploadDate": shapes.date(record.uploaded_at),
    }


@iam("UploadSigningCertificate", on_entity("UploadSigningCertificate", "user"), writes=True)
def upload_signing_certificate(call: Call, params: Params) -> Result:
    """A certificate within its time, which no one else of the account has. Without UserName it is the caller's."""
    from cryptography.hazmat.primitives.hashes import SHA256

    owner_id, named = _owner(call.tx, call, params)
    digest = certificates.certificate(params["CertificateBody"], call.now).fingerprint(SHA256()).hex()
    if DIGESTS.get(call.tx, (call.account_id, digest)) is not None:
        raise DuplicateCertificate("The same certificate is already associated with a user of this account.")
    if len(of(call.tx, owner_id)) >= MOST_CERTIFICATES:
        raise quota("SigningCertificatesPerUser", MOST_CERTIFICATES)
    record = SigningCertificate(
        certificate_id=base64.b32encode(secrets.token_bytes(20)).decode("ascii"),
        body=params["CertificateBody"],
        digest=digest,
        uploaded_at=int(call.app.clock.now_seconds()),
    )
    SIGNING_CERTIFICATES.put(call.tx, (owner_id, record.certificate_id), record)
    DIGESTS.put(call.tx, (call.account_id, digest), Mark())
    return {"Certificate": _shown(named, record)}


@iam("ListSigningCertificates", on_entity("ListSigningCertificates", "user"))
def list_signing_certificates(call: Call, params: Params) -> Result:
    """A user's certificates; without UserName the caller's own."""
    owner_id, named = _owner(call.reader, call, params)
    found = {record.certificate_id: record for record in of(call.reader, owner_id)}
    return pages.page_of_texts(params, "Certificates", found, lambda each: _shown(named, found[each]))


@iam("UpdateSigningCertificate", on_entity("UpdateSigningCertificate", "user"), writes=True)
def update_signing_certificate(call: Call, params: Params) -> None:
    """Active or Inactive."""
    owner_id, _ = _owner(call.tx, call, params)
    record = _require(call.tx, owner_id, params["CertificateId"])
    if params["Status"] == "Expired":
        raise InvalidInput("The status of a signing certificate can be set to Active or Inactive.")
    record.active = params["Status"] == "Active"
    SIGNING_CERTIFICATES.put(call.tx, (owner_id, record.certificate_id), record)


@iam("DeleteSigningCertificate", on_entity("DeleteSigningCertificate", "user"), writes=True)
def delete_signing_certificate(call: Call, params: Params) -> None:
    """Delete a certificate for good."""
    owner_id, _ = _owner(call.tx, call, params)
    record = _require(call.tx, owner_id, params["CertificateId"])
    SIGNING_CERTIFICATES.delete(call.tx, (owner_id, record.certificate_id))
    DIGESTS.delete(call.tx, (call.account_id, record.digest))
