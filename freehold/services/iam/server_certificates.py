"""Server certificates: kept with their private keys, for services that end TLS. A private key is never given out.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_UploadServerCertificate.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.authentication.key_ids import new_unique_id
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import certificates, entities, pages, shapes
from freehold.services.iam.authorized import Keys, iam, on_list, request_tags, untagged_keys
from freehold.services.iam.errors import EntityAlreadyExists, NoSuchEntity
from freehold.services.iam.records import Record
from freehold.services.iam.tags import checked_tags, page, without
from freehold.services.operation import Params, Permissions, Result
from freehold.storage.records import Reader, Table, Transaction

_TYPE = "AWS::IAM::ServerCertificate"
_KIND = "server-certificate"
_MEMBER = "ServerCertificateName"


class ServerCertificate(Record, kw_only=True):
    account_id: str
    name: str
    path: str
    unique_id: str
    uploaded_at: int
    expires_at: int
    body: str
    private_key: str
    chain: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"ServerCertificate({self.name})"

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:{_KIND}{self.path}{self.name}"


SERVER_CERTIFICATES = Table("iam.server_certificates", ServerCertificate)  # (account id, lower-case name)


def _find(reader: Reader, account_id: str, name: str) -> ServerCertificate | None:
    found = SERVER_CERTIFICATES.get(reader, (account_id, name.lower()))
    return found if found is not None and found.name == name else None


def _require(reader: Reader, call: Call, params: Params) -> ServerCertificate:
    found = _find(reader, call.account_id, params[_MEMBER])
    if found is None:
        raise NoSuchEntity(f"The Server Certificate with name {params[_MEMBER]} cannot be found.")
    return found


def _save(tx: Transaction, record: ServerCertificate) -> None:
    SERVER_CERTIFICATES.put(tx, (record.account_id, record.name.lower()), record)


def _refuse_taken(tx: Transaction, account_id: str, name: str) -> None:
    if SERVER_CERTIFICATES.get(tx, (account_id, name.lower())) is not None:
        raise EntityAlreadyExists(f"The Server Certificate with name {name} already exists.")


def _on(action: str, *keys: Keys) -> Permissions:
    """The action on one certificate; for a rename or move on its new ARN as well."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        name = params[_MEMBER]
        found = _find(call.reader, call.account_id, name)
        prefix = f"arn:aws:iam::{call.account_id}:{_KIND}"
        tags = {} if found is None else found.tags
        context: dict[str, Any] = {f"aws:resourcetag/{key.lower()}": value for key, value in tags.items()}
        for more in keys:
            context |= more(params, None)
        arns = [f"{prefix}/{name}" if found is None else found.arn]
        if "NewPath" in params or "NewServerCertificateName" in params:
            path = params.get("NewPath") or ("/" if found is None else found.path)
            arns.append(f"{prefix}{path}{params.get('NewServerCertificateName') or name}")
        return [Permission(f"iam:{action}", arn, call.account_id, context) for arn in arns]

    return permissions


def _may_upload(call: Call, params: Params) -> list[Permission]:
    arn = f"arn:aws:iam::{call.account_id}:{_KIND}{params.get('Path') or '/'}{params[_MEMBER]}"
    context = request_tags(params, None)
    actions = ["iam:UploadServerCertificate", *(["iam:TagServerCertificate"] if params.get("Tags") else [])]
    return [Permission(action, arn, call.account_id, context) for action in actions]


def _metadata(record: ServerCertificate) -> Result:
    return {
        "Path": record.path,
        "ServerCertificateName": record.name,
        "ServerCertificateId": record.unique_id,
        "Arn": record.arn,
        "UploadDate": shapes.date(record.uploaded_at),
        "Expiration": shapes.date(record.expires_at),
    }


@iam("UploadServerCertificate", _may_upload, writes=True)
def upload_server_certificate(call: Call, params: Params) -> Result:
    """At most 20 per account. The certificate must be within its time, the key its own, and each certificate of the
    chain the signer of the one before; whether anyone trusts the last one is not asked."""
    name = params[_MEMBER]
    _refuse_taken(call.tx, call.account_id, name)
    body = certificates.certificate(params["CertificateBody"], call.now)
    certificates.check_key(body, params["PrivateKey"])
    if "CertificateChain" in params:
        certificates.check_chain(body, params["CertificateChain"])
    entities.count(call.tx, call.account_id, _KIND, 1)
    record = ServerCertificate(
        account_id=call.account_id,
        name=name,
        path=params.get("Path") or "/",
        unique_id=new_unique_id("ASCA"),
        uploaded_at=int(call.app.clock.now_seconds()),
        expires_at=int(body.not_valid_after_utc.timestamp()),
        body=params["CertificateBody"],
        private_key=params["PrivateKey"],
        chain=params.get("CertificateChain") or "",
        tags=checked_tags({}, params.get("Tags") or []),
    )
    _save(call.tx, record)
    call.resources.append((_TYPE, record.arn))
    result: Result = {"ServerCertificateMetadata": _metadata(record)}
    if record.tags:
        result["Tags"] = shapes.tag_list(dict(sorted(record.tags.items())))
    return result


@iam("GetServerCertificate", _on("GetServerCertificate"))
def get_server_certificate(call: Call, params: Params) -> Result:
    """The certificate and its chain; the private key stays here."""
    record = _require(call.reader, call, params)
    shown: Result = {"ServerCertificateMetadata": _metadata(record), "CertificateBody": record.body}
    if record.chain:
        shown["CertificateChain"] = record.chain
    if record.tags:
        shown["Tags"] = shapes.tag_list(dict(sorted(record.tags.items())))
    return {"ServerCertificate": shown}


@iam("ListServerCertificates", on_list("ListServerCertificates", _KIND))
def list_server_certificates(call: Call, params: Params) -> Result:
    """Certificates by name, without their bodies and tags."""
    prefix, start = params.get("PathPrefix") or "/", pages.after(params)
    after = None if start is None else (call.account_id, start)
    rows = SERVER_CERTIFICATES.scan(call.reader, (call.account_id,), after=after)
    found = (record for _, record in rows if record.path.startswith(prefix))
    return pages.page(params, "ServerCertificateMetadataList", found, lambda record: record.name.lower(), _metadata)


@iam("UpdateServerCertificate", _on("UpdateServerCertificate"), writes=True)
def update_server_certificate(call: Call, params: Params) -> None:
    """Another name or path. The caller needs the permission on the old and on the new ARN."""
    record = _require(call.tx, call, params)
    name = params.get("NewServerCertificateName") or record.name
    if name.lower() != record.name.lower():
        _refuse_taken(call.tx, call.account_id, name)
        SERVER_CERTIFICATES.delete(call.tx, (call.account_id, record.name.lower()))
    record.name, record.path = name, params.get("NewPath") or record.path
    _save(call.tx, record)
    call.resources.append((_TYPE, record.arn))


@iam("DeleteServerCertificate", _on("DeleteServerCertificate"), writes=True)
def delete_server_certificate(call: Call, params: Params) -> None:
    """Delete the certificate; its private key is erased from the files as well."""
    record = _require(call.tx, call, params)
    call.tx.erase(SERVER_CERTIFICATES.name, (call.account_id, record.name.lower()))
    entities.count(call.tx, call.account_id, _KIND, -1)
    call.resources.append((_TYPE, record.arn))


@iam("TagServerCertificate", _on("TagServerCertificate", request_tags), writes=True)
def tag_server_certificate(call: Call, params: Params) -> None:
    """Add tags, or other values for keys that are there."""
    record = _require(call.tx, call, params)
    record.tags = checked_tags(record.tags, params["Tags"])
    _save(call.tx, record)
    call.resources.append((_TYPE, record.arn))


@iam("UntagServerCertificate", _on("UntagServerCertificate", untagged_keys), writes=True)
def untag_server_certificate(call: Call, params: Params) -> None:
    """Take tags away."""
    record = _require(call.tx, call, params)
    record.tags = without(record.tags, params["TagKeys"])
    _save(call.tx, record)
    call.resources.append((_TYPE, record.arn))


@iam("ListServerCertificateTags", _on("ListServerCertificateTags"))
def list_server_certificate_tags(call: Call, params: Params) -> Result:
    """The tags, by key."""
    return page(params, _require(call.reader, call, params).tags)
