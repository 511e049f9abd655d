"""Service-specific credentials of users: generated user names with passwords, and API keys that may expire.

Two per service and user. A password or secret is shown once and kept as a hash only: it is 240 random bits, so that
a plain SHA-256 cannot be searched. Of the services that take them one is served here, and it has signatures verified
rather than passwords: the external key store proxy (`signing_credentials.py`).
https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceSpecificCredential.html
"""

from __future__ import annotations

import base64
import hashlib

from freehold.authentication.key_ids import new_secret, new_unique_id
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import entities, pages, records, shapes, signing_credentials
from freehold.services.iam.authorized import iam, on_entity, own_name
from freehold.services.iam.errors import (
    InvalidInput,
    NoSuchEntity,
    NotSupportedService,
    ValidationError,
    quota,
)
from freehold.services.iam.records import Record, User
from freehold.services.operation import Params, Permissions, Result
from freehold.storage.records import Reader, Table

MOST_PER_SERVICE = 2
_PASSWORDS = frozenset(("codecommit.amazonaws.com", "cassandra.amazonaws.com"))
_API_KEYS = frozenset(("bedrock.amazonaws.com", "logs.amazonaws.com"))
_SIGNING = frozenset((signing_credentials.SERVICE,))
_DAY_SECONDS = 86_400


class ServiceCredential(Record, kw_only=True):
    credential_id: str
    service: str
    user_name: str
    """The generated name; of an API key, its alias; of a credential that signs, its access key id."""
    hashed: str
    """SHA-256 of the password or secret; empty for a credential that signs."""
    created_at: int
    expires_at: int = 0
    active: bool = True


SERVICE_CREDENTIALS = Table("iam.service_credentials", ServiceCredential)  # (account id, user's unique id, id)


def of(reader: Reader, account_id: str, user_id: str) -> list[ServiceCredential]:
    return [record for _, record in SERVICE_CREDENTIALS.scan(reader, (account_id, user_id))]


def _user(reader: Reader, call: Call, params: Params) -> User:
    name = params.get("UserName")
    return entities.require_user(reader, call.account_id, own_name(call) if name is None else name)


def _require(reader: Reader, call: Call, user: User, params: Params) -> ServiceCredential:
    credential_id = params["ServiceSpecificCredentialId"]
    found = SERVICE_CREDENTIALS.get(reader, (call.account_id, user.unique_id, credential_id))
    if found is None:
        raise NoSuchEntity(f"The Service Specific Credential with id {credential_id} cannot be found.")
    return found


def _refuse_unsupported(service: str) -> None:
    if service not in _PASSWORDS | _API_KEYS | _SIGNING:
        raise NotSupportedService(f"No such service {service} is supported for Service Specific Credentials")


def _shown(call: Call, user: User, record: ServiceCredential) -> Result:
    shown: Result = {
        "UserName": user.name,
        "ServiceSpecificCredentialId": record.credential_id,
        "ServiceName": record.service,
        "CreateDate": shapes.date(record.created_at),
        "Status": "Active" if record.active else "Inactive",
    }
    shown["ServiceCredentialAlias" if record.service in _API_KEYS else "ServiceUserName"] = record.user_name
    if record.expires_at:
        shown["ExpirationDate"] = shapes.date(record.expires_at)
        if record.expires_at <= call.app.clock.now_seconds():
            shown["Status"] = "Expired"
    return shown


def _new_secret(call: Call, record: ServiceCredential) -> dict[str, str]:
    """A secret for the credential, to be shown this once."""
    if record.service in _SIGNING:
        return {"ServicePassword": signing_credentials.give_secret(call.tx, record.user_name)}
    secret = new_secret()
    if record.service in _API_KEYS:
        secret = "ABSK" + base64.b64encode(f"{record.user_name}:{secret}".encode()).decode("ascii")
    record.hashed = hashlib.sha256(secret.encode()).hexdigest()
    return {"ServiceCredentialSecret" if record.service in _API_KEYS else "ServicePassword": secret}


def _may_create(call: Call, params: Params) -> list[Permission]:
    (needed,) = on_entity("CreateServiceSpecificCredential", "user")(call, params)
    context = {**needed.context, "iam:servicespecificcredentialservicename": params["ServiceName"]}
    if "CredentialAgeDays" in params:
        context["iam:servicespecificcredentialagedays"] = str(params["CredentialAgeDays"])
    needed.context = context
    return [needed]


@iam("CreateServiceSpecificCredential", _may_create, writes=True)
def create_service_specific_credential(call: Call, params: Params) -> Result:
    """For CodeCommit and Keyspaces a user name and a password, for Bedrock and CloudWatch Logs an API key, which may
    end after CredentialAgeDays (1 to 36,600). For Freehold's own kms-xks-proxy.amazonaws.com the user name is an access
    key id and the password the secret that AWS KMS signs with."""
    service = params["ServiceName"]
    _refuse_unsupported(service)
    if "CredentialAgeDays" in params and service not in _API_KEYS:
        raise ValidationError("CredentialAgeDays is valid only for services that support API keys.")
    user = _user(call.tx, call, params)
    present = [record for record in of(call.tx, call.account_id, user.unique_id) if record.service == service]
    if len(present) >= MOST_PER_SERVICE:
        raise quota("ServiceSpecificCredentialsPerUserPerService", MOST_PER_SERVICE)
    now = int(call.app.clock.now_seconds())
    record = ServiceCredential(
        credential_id=new_unique_id("ACCA"),
        service=service,
        user_name=_new_name(call, user, service, present),
        hashed="",
        created_at=now,
        expires_at=now + params["CredentialAgeDays"] * _DAY_SECONDS if "CredentialAgeDays" in params else 0,
    )
    secret = _new_secret(call, record)
    SERVICE_CREDENTIALS.put(call.tx, (call.account_id, user.unique_id, record.credential_id), record)
    return {"ServiceSpecificCredential": _shown(call, user, record) | secret}


def _new_name(call: Call, user: User, service: str, present: list[ServiceCredential]) -> str:
    if service in _SIGNING:
        return signing_credentials.create(call.tx, call.account_id, user.unique_id)
    names = (f"{user.name}{suffix}-at-{call.account_id}" for suffix in ("", "+1", "+2"))
    return next(name for name in names if all(other.user_name != name for other in present))


def _may_list(call: Call, params: Params) -> list[Permission]:
    action = "ListServiceSpecificCredentials"
    if not params.get("AllUsers"):
        return on_entity(action, "user")(call, params)
    if "UserName" in params:
        raise ValidationError("AllUsers cannot be specified together with UserName.")
    return [Permission(f"iam:{action}", f"arn:aws:iam::{call.account_id}:user/*", call.account_id)]


@iam("ListServiceSpecificCredentials", _may_list)
def list_service_specific_credentials(call: Call, params: Params) -> Result:
    """A user's credentials, or with AllUsers the account's, without what is secret."""
    reader, service = call.reader, params.get("ServiceName")
    if service is not None:
        _refuse_unsupported(service)
    if params.get("AllUsers"):
        prefix: tuple[str, ...] = (call.account_id,)
    else:
        prefix = (call.account_id, _user(reader, call, params).unique_id)
    rows = SERVICE_CREDENTIALS.scan(reader, prefix)
    found = {f"{key[1]}/{key[2]}": record for key, record in rows if service is None or record.service == service}

    def show(place: str) -> Result:
        user = records.by_unique_id(reader, place.partition("/")[0])
        assert isinstance(user, User)
        return _shown(call, user, found[place])

    return pages.page_of_texts(params, "ServiceSpecificCredentials", found, show)


def _on_credential(action: str) -> Permissions:
    """The action on the credential's user, with the service that the credential is for as a condition key."""
    on_user = on_entity(action, "user")

    def permissions(call: Call, params: Params) -> list[Permission]:
        (needed,) = on_user(call, params)
        name = params.get("UserName")
        user = entities.find(call.reader, "user", call.account_id, own_name(call) if name is None else name)
        if user is not None:
            at = (call.account_id, user.unique_id, params["ServiceSpecificCredentialId"])
            found = SERVICE_CREDENTIALS.get(call.reader, at)
            if found is not None:
                needed.context = {**needed.context, "iam:servicespecificcredentialservicename": found.service}
        return [needed]

    return permissions


@iam("ResetServiceSpecificCredential", _on_credential("ResetServiceSpecificCredential"), writes=True)
def reset_service_specific_credential(call: Call, params: Params) -> Result:
    """Another password or secret; the former one is worth nothing from now on."""
    user = _user(call.tx, call, params)
    record = _require(call.tx, call, user, params)
    secret = _new_secret(call, record)
    SERVICE_CREDENTIALS.put(call.tx, (call.account_id, user.unique_id, record.credential_id), record)
    return {"ServiceSpecificCredential": _shown(call, user, record) | secret}


@iam("UpdateServiceSpecificCredential", _on_credential("UpdateServiceSpecificCredential"), writes=True)
def update_service_specific_credential(call: Call, params: Params) -> None:
    """Active or Inactive."""
    user = _user(call.tx, call, params)
    record = _require(call.tx, call, user, params)
    if params["Status"] == "Expired":
        raise InvalidInput("The status of a service-specific credential can be set to Active or Inactive.")
    record.active = params["Status"] == "Active"
    if record.service in _SIGNING:
        signing_credentials.set_active(call.tx, record.user_name, active=record.active)
    SERVICE_CREDENTIALS.put(call.tx, (call.account_id, user.unique_id, record.credential_id), record)


@iam("DeleteServiceSpecificCredential", _on_credential("DeleteServiceSpecificCredential"), writes=True)
def delete_service_specific_credential(call: Call, params: Params) -> None:
    """Delete a credential for good."""
    user = _user(call.tx, call, params)
    record = _require(call.tx, call, user, params)
    if record.service in _SIGNING:
        signing_credentials.forget(call.tx, record.user_name)
    SERVICE_CREDENTIALS.delete(call.tx, (call.account_id, user.unique_id, record.credential_id))
