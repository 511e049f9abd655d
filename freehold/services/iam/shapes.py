"""Records as the structures that AWS's replies hold. Documents are URL-encoded as RFC 3986 says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from freehold.services.iam.aws_managed import AwsManagedPolicy
from freehold.services.iam.credential_records import LAST_USES, SIGNED_IN
from freehold.services.iam.last_used import TRACKED_SECONDS
from freehold.services.iam.principals import to_arns
from freehold.services.iam.records import Group, InstanceProfile, ManagedPolicy, PolicyVersion, Role, User, Uses
from freehold.storage.records import Reader


def date(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def encoded(document: str) -> str:
    return quote(document, safe="-_.~")


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def user(record: User, *, whole: bool = False) -> dict[str, Any]:
    """`whole`: with tags and boundary, which listings leave out."""
    shown = _entity(record, "User")
    return shown | _extras(record) if whole else shown


def group(record: Group) -> dict[str, Any]:
    return _entity(record, "Group")


def role(reader: Reader, record: Role) -> dict[str, Any]:
    shown = _entity(record, "Role")
    shown["AssumeRolePolicyDocument"] = encoded(to_arns(reader, record.trust_policy))
    if record.description:
        shown["Description"] = record.description
    shown["MaxSessionDuration"] = record.max_session_seconds
    return shown


def whole_role(reader: Reader, record: Role, now_seconds: float) -> dict[str, Any]:
    """With tags, boundary and last use, which listings leave out."""
    return role(reader, record) | _extras(record) | {"RoleLastUsed": _last_used(reader, record, now_seconds)}


def _last_used(reader: Reader, record: Role, now_seconds: float) -> dict[str, Any]:
    """Empty for a role that wasn't used within the last 400 days.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleLastUsed.html
    """
    use = LAST_USES.get(reader, (record.unique_id,))
    if use is None or use.at < now_seconds - TRACKED_SECONDS:
        return {}
    return {"LastUsedDate": date(use.at), "Region": use.region}


def signed_in(reader: Reader, owner_id: str) -> dict[str, Any]:
    """When a user, or by the account id the root user, last signed in with a password, as a member to be added."""
    moment = SIGNED_IN.get(reader, (owner_id,))
    return {} if moment is None else {"PasswordLastUsed": date(moment.at)}


def _entity(record: User | Group | Role, noun: str) -> dict[str, Any]:
    return {
        "Path": record.path,
        f"{noun}Name": record.name,
        f"{noun}Id": record.unique_id,
        "Arn": record.arn,
        "CreateDate": date(record.created_at),
    }


def _extras(record: User | Role) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if record.boundary:
        extras["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": record.boundary,
        }
    if record.tags:
        extras["Tags"] = tag_list(record.tags)
    return extras


def policy(record: ManagedPolicy, uses: Uses | None, *, whole: bool = False) -> dict[str, Any]:
    uses = uses or Uses()
    shown = {
        "PolicyName": record.name,
        "PolicyId": record.unique_id,
        "Arn": record.arn,
        "Path": record.path,
        "DefaultVersionId": f"v{record.default_version}",
        "AttachmentCount": uses.attachments,
        "PermissionsBoundaryUsageCount": uses.boundaries,
        "IsAttachable": True,
        "CreateDate": date(record.created_at),
        "UpdateDate": date(record.updated_at),
    }
    if whole:
        if record.description:
            shown["Description"] = record.description
        shown["Tags"] = tag_list(record.tags)
    return shown


def aws_policy(record: AwsManagedPolicy, uses: Uses | None) -> dict[str, Any]:
    uses = uses or Uses()
    return {
        "PolicyName": record.name,
        "PolicyId": record.unique_id,
        "Arn": record.arn,
        "Path": record.path,
        "DefaultVersionId": f"v{record.version}",
        "AttachmentCount": uses.attachments,
        "PermissionsBoundaryUsageCount": uses.boundaries,
        # Service-linked roles' policies are AWS's to attach.
        "IsAttachable": record.path != "/aws-service-role/",
        "CreateDate": date(record.created_at),
        "UpdateDate": date(record.updated_at),
    }


def policy_version(number: int, record: PolicyVersion, default: int, *, document: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "VersionId": f"v{number}",
        "IsDefaultVersion": number == default,
        "CreateDate": date(record.created_at),
    }
    if document:
        shown["Document"] = encoded(record.document)
    return shown


def instance_profile(reader: Reader, record: InstanceProfile, of: Role | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Path": record.path,
        "InstanceProfileName": record.name,
        "InstanceProfileId": record.unique_id,
        "Arn": record.arn,
        "CreateDate": date(record.created_at),
        "Roles": [] if of is None else [role(reader, of)],
    }
    if record.tags:
        shown["Tags"] = tag_list(record.tags)
    return shown
