"""Managed policies: the account's own, and AWS's, which may be attached and read but not changed.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from freehold.authentication.key_ids import new_unique_id
from freehold.services.call import Call
from freehold.services.iam import aws_managed, documents, entities, pages, records, shapes
from freehold.services.iam.authorized import iam, on_list, on_new, on_policy, request_tags
from freehold.services.iam.errors import AccessDenied, DeleteConflict, EntityAlreadyExists, NoSuchEntity
from freehold.services.iam.records import POLICIES, POLICY_VERSIONS, USES, ManagedPolicy, PolicyVersion, Uses
from freehold.services.iam.tags import checked_tags
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader

_LOCAL, _AWS = "0", "1"
"""Places in listings: the account's own policies come first."""


def require_own(reader: Reader, arn: str) -> ManagedPolicy:
    """The customer managed policy. Raises NoSuchEntity, and AccessDenied for AWS's own, which nobody changes."""
    policy = records.policy_at(reader, arn)
    if policy is None:
        if aws_managed.find(arn) is not None:
            raise AccessDenied(f"Policy {arn} is an AWS managed policy, which cannot be changed.")
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return policy


@iam("CreatePolicy", on_new("CreatePolicy", "policy", "PolicyName", request_tags), writes=True)
def create_policy(call: Call, params: Params) -> Result:
    """At most 1,500 per account and 6,144 characters without whitespace; the first version is `v1`."""
    tx, name, now = call.tx, params["PolicyName"], int(call.app.clock.now_seconds())
    if POLICIES.get(tx, (call.account_id, name.lower())) is not None:
        raise EntityAlreadyExists(f"A policy called {name} already exists. Duplicate names are not allowed.")
    documents.check_managed(params["PolicyDocument"])
    entities.count(tx, call.account_id, "policy", 1)
    entities.count(tx, call.account_id, "policy-version", 1)
    policy = ManagedPolicy(
        account_id=call.account_id,
        name=name,
        path=params.get("Path") or "/",
        unique_id=new_unique_id("ANPA"),
        created_at=now,
        updated_at=now,
        description=params.get("Description") or "",
        tags=checked_tags({}, params.get("Tags") or []),
    )
    records.save(tx, policy)
    version = PolicyVersion(document=params["PolicyDocument"], created_at=now)
    POLICY_VERSIONS.put(tx, (policy.unique_id, 1), version)
    call.resources.append(("AWS::IAM::ManagedPolicy", policy.arn))
    shown = shapes.policy(policy, None)
    return {"Policy": shown | ({"Tags": shapes.tag_list(policy.tags)} if policy.tags else {})}


@iam("GetPolicy", on_policy("GetPolicy"))
def get_policy(call: Call, params: Params) -> Result:
    """A policy without its document (see GetPolicyVersion)."""
    arn, reader = params["PolicyArn"], call.reader
    uses = USES.get(reader, (call.account_id, arn))
    policy = records.policy_at(reader, arn)
    if policy is not None:
        return {"Policy": shapes.policy(policy, uses, whole=True)}
    aws_policy = aws_managed.find(arn)
    if aws_policy is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return {"Policy": shapes.aws_policy(aws_policy, uses)}


@iam("ListPolicies", on_list("ListPolicies", "policy"))
def list_policies(call: Call, params: Params) -> Result:
    """Policies by name, the account's own before AWS's; without descriptions and tags, as AWS lists them."""
    scope = params.get("Scope") or "All"
    prefix, start = params.get("PathPrefix") or "/", pages.after(params)
    usage = params.get("PolicyUsageFilter")
    reader, account_id = call.reader, call.account_id

    def wanted(uses: Uses | None) -> bool:
        if usage is None and not params.get("OnlyAttached"):
            return True
        if uses is None:
            return False
        if usage is None:
            return True
        return bool(uses.boundaries if usage == "PermissionsBoundary" else uses.attachments)

    def local() -> Iterator[tuple[str, dict[str, Any]]]:
        after = None if start is None else (account_id, start[1:])
        for _, policy in POLICIES.scan(reader, (account_id,), after=after):
            uses = USES.get(reader, (account_id, policy.arn))
            if policy.path.startswith(prefix) and wanted(uses):
                yield _LOCAL + policy.name.lower(), shapes.policy(policy, uses)

    def aws() -> Iterator[tuple[str, dict[str, Any]]]:
        used = {str(key[1]): uses for key, uses in USES.scan(reader, (account_id,), text=aws_managed.ARN_PREFIX)}
        for policy in aws_managed.every().values():
            place = _AWS + policy.name.lower()
            if (start is not None and start >= place) or not policy.path.startswith(prefix):
                continue
            if wanted(used.get(policy.arn)):
                yield place, shapes.aws_policy(policy, used.get(policy.arn))

    def listed() -> Iterator[tuple[str, dict[str, Any]]]:
        if scope != "AWS" and (start is None or start < _AWS):
            yield from local()
        if scope != "Local":
            yield from aws()

    return pages.page(params, "Policies", listed(), lambda item: item[0], lambda item: item[1])


@iam("DeletePolicy", on_policy("DeletePolicy"), writes=True)
def delete_policy(call: Call, params: Params) -> None:
    """Refused while the policy is attached, a boundary, or has versions besides the default one."""
    tx = call.tx
    policy = require_own(tx, params["PolicyArn"])
    if USES.get(tx, (call.account_id, policy.arn)) is not None:
        raise DeleteConflict("Cannot delete a policy attached to entities.")
    if len(list(POLICY_VERSIONS.scan(tx, (policy.unique_id,), limit=2))) > 1:
        raise DeleteConflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's "
            "versions. The default version is deleted with the policy."
        )
    POLICY_VERSIONS.delete(tx, (policy.unique_id, policy.default_version))
    records.remove(tx, policy)
    entities.count(tx, call.account_id, "policy", -1)
    entities.count(tx, call.account_id, "policy-version", -1)
    call.resources.append(("AWS::IAM::ManagedPolicy", policy.arn))
