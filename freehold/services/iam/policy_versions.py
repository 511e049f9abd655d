"""Versions of managed policies: five at most, one of which is the default and in force.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
"""

from __future__ import annotations

from freehold.errors import NotImplementedByFreehold
from freehold.services.call import Call
from freehold.services.iam import aws_managed, documents, entities, pages, records, shapes
from freehold.services.iam.authorized import iam, on_policy
from freehold.services.iam.errors import DeleteConflict, LimitExceeded, NoSuchEntity
from freehold.services.iam.managed_policies import require_own
from freehold.services.iam.records import POLICY_VERSIONS, ManagedPolicy, PolicyVersion
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader

MOST_VERSIONS = 5


def _number(version_id: str) -> int:
    """`v12` -> 12; 0 for an id that no version has."""
    digits = version_id[1:]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else 0


def _version(reader: Reader, policy: ManagedPolicy, version_id: str) -> tuple[int, PolicyVersion]:
    number = _number(version_id)
    version = POLICY_VERSIONS.get(reader, (policy.unique_id, number)) if number else None
    if version is None:
        raise NoSuchEntity(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")
    return number, version


@iam("CreatePolicyVersion", on_policy("CreatePolicyVersion"), writes=True)
def create_policy_version(call: Call, params: Params) -> Result:
    """A new version, in force at once with SetAsDefault. Numbers of deleted versions aren't used again."""
    tx, now = call.tx, int(call.app.clock.now_seconds())
    policy = require_own(tx, params["PolicyArn"])
    documents.check_managed(params["PolicyDocument"])
    if len(list(POLICY_VERSIONS.scan(tx, (policy.unique_id,), limit=MOST_VERSIONS))) >= MOST_VERSIONS:
        raise LimitExceeded(
            f"A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must "
            "delete an existing version."
        )
    entities.count(tx, call.account_id, "policy-version", 1)
    policy.latest_version += 1
    policy.updated_at = now
    if params.get("SetAsDefault"):
        policy.default_version = policy.latest_version
    version = PolicyVersion(document=params["PolicyDocument"], created_at=now)
    POLICY_VERSIONS.put(tx, (policy.unique_id, policy.latest_version), version)
    records.save(tx, policy)
    call.resources.append(("AWS::IAM::ManagedPolicy", policy.arn))
    return {"PolicyVersion": shapes.policy_version(policy.latest_version, version, policy.default_version)}


@iam("GetPolicyVersion", on_policy("GetPolicyVersion"))
def get_policy_version(call: Call, params: Params) -> Result:
    """One version with its document, URL-encoded. Of AWS's policies only the default version is known."""
    arn, version_id = params["PolicyArn"], params["VersionId"]
    policy = records.policy_at(call.reader, arn)
    if policy is not None:
        number, version = _version(call.reader, policy, version_id)
        return {"PolicyVersion": shapes.policy_version(number, version, policy.default_version, document=True)}
    aws_policy = aws_managed.find(arn)
    if aws_policy is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    number = _number(version_id)
    if not 1 <= number <= aws_policy.version:
        raise NoSuchEntity(f"Policy {arn} version {version_id} does not exist or is not attachable.")
    if number != aws_policy.version:
        raise NotImplementedByFreehold(
            f"Only the default version (v{aws_policy.version}) of the AWS managed policy {arn} is known here."
        )
    known = PolicyVersion(document=aws_managed.document(aws_policy), created_at=aws_policy.updated_at)
    return {"PolicyVersion": shapes.policy_version(number, known, number, document=True)}


@iam("ListPolicyVersions", on_policy("ListPolicyVersions"))
def list_policy_versions(call: Call, params: Params) -> Result:
    """The versions, newest first, without documents."""
    reader, start = call.reader, pages.after(params)
    if aws_managed.find(params["PolicyArn"]) is not None:
        raise NotImplementedByFreehold("Of AWS managed policies only the default version is known here.")
    policy = records.policy_at(reader, params["PolicyArn"])
    if policy is None:
        raise NoSuchEntity(f"Policy {params['PolicyArn']} was not found.")
    before = None if start is None else _number(start)
    rows = POLICY_VERSIONS.scan(reader, (policy.unique_id,), reverse=True)
    versions = ((int(key[1]), version) for key, version in rows if before is None or int(key[1]) < before)
    default = policy.default_version
    return pages.page(
        params,
        "Versions",
        versions,
        lambda item: f"v{item[0]}",
        lambda item: shapes.policy_version(item[0], item[1], default),
    )


@iam("SetDefaultPolicyVersion", on_policy("SetDefaultPolicyVersion"), writes=True)
def set_default_policy_version(call: Call, params: Params) -> None:
    """Put another version in force, for everyone the policy is attached to, at once."""
    policy = require_own(call.tx, params["PolicyArn"])
    policy.default_version, _ = _version(call.tx, policy, params["VersionId"])
    policy.updated_at = int(call.app.clock.now_seconds())
    records.save(call.tx, policy)
    call.resources.append(("AWS::IAM::ManagedPolicy", policy.arn))


@iam("DeletePolicyVersion", on_policy("DeletePolicyVersion"), writes=True)
def delete_policy_version(call: Call, params: Params) -> None:
    """Any version but the default one."""
    policy = require_own(call.tx, params["PolicyArn"])
    number, _ = _version(call.tx, policy, params["VersionId"])
    if number == policy.default_version:
        raise DeleteConflict("Cannot delete the default version of a policy.")
    POLICY_VERSIONS.delete(call.tx, (policy.unique_id, number))
    policy.updated_at = int(call.app.clock.now_seconds())
    records.save(call.tx, policy)
    entities.count(call.tx, call.account_id, "policy-version", -1)
    call.resources.append(("AWS::IAM::ManagedPolicy", policy.arn))
