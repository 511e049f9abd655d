"""Managed policies of an import: customers' with all versions, AWS's as they are here.

One of AWS's that isn't known here is kept as a customer's, where its document is given.
"""

from __future__ import annotations

import re
from typing import Final

from freehold.services.iam import aws_managed
from freehold.services.iam.importing.parts import ARN, Parts, objects
from freehold.services.iam.importing.plan import Raw
from freehold.services.iam.records import ManagedPolicy, PolicyVersion

_VERSION: Final = re.compile(r"v([1-9][0-9]{0,8})", re.ASCII)


def policy(parts: Parts, raw: Raw) -> None:
    arn = str(raw.get("Arn", ""))
    found = ARN.fullmatch(arn)
    if found is None or found[3] != "policy":
        parts.plan.note(arn[:200] or "a policy", "left out: it has no policy's ARN")
        return
    versions = _versions(parts, raw, arn)
    if found[2] == "aws":
        _aws_policy(parts, raw, arn, versions)
        return
    if versions:
        _keep_policy(parts, raw, arn, arn, versions)


def _aws_policy(parts: Parts, raw: Raw, arn: str, versions: dict[int, PolicyVersion]) -> None:
    known = aws_managed.find(arn)
    if known is not None:
        parts.known_policies[arn] = arn
        default = str(raw.get("DefaultVersionId", ""))
        if default and default != f"v{known.version}":
            parts.plan.note(arn, f"it is at {default} in the account, and at v{known.version} here")
        return
    if not versions:
        parts.plan.note(arn, "left out wherever it is attached: it isn't known here, and its document isn't given")
        return
    own = f"arn:aws:iam::{parts.plan.account_id}:policy{ARN.fullmatch(arn)[4]}"  # type: ignore[index]
    if _keep_policy(parts, raw, own, arn, versions):
        parts.plan.note(arn, f"it isn't known here: kept as the customer managed policy {own}")


def _keep_policy(parts: Parts, raw: Raw, arn: str, arn_in_file: str, versions: dict[int, PolicyVersion]) -> bool:
    named = parts.named("policy", {**raw, "Arn": arn}, raw.get("PolicyName"), raw.get("PolicyId"))
    if named is None:
        return False
    name, path, unique_id = named
    default = _VERSION.fullmatch(str(raw.get("DefaultVersionId", "")))
    number = int(default[1]) if default else 0
    if number not in versions:
        parts.plan.note(arn, "left out: its default version isn't given or can't be understood")
        parts.names.discard(("policy", name.lower()))
        return False
    kept = ManagedPolicy(
        account_id=parts.plan.account_id,
        name=name,
        path=path,
        unique_id=unique_id,
        created_at=parts.date(raw.get("CreateDate")),
        updated_at=parts.date(raw.get("UpdateDate") or raw.get("CreateDate")),
        description=str(raw.get("Description") or "")[:1000],
        default_version=number,
        latest_version=max(versions),
        tags=parts.tags(raw, arn),
    )
    parts.plan.policies.append((kept, versions))
    parts.known_policies[arn_in_file] = arn
    return True


def _versions(parts: Parts, raw: Raw, arn: str) -> dict[int, PolicyVersion]:
    found = {}
    for version in objects(raw.get("PolicyVersionList")):
        number = _VERSION.fullmatch(str(version.get("VersionId", "")))
        if number is None:
            parts.plan.note(arn, "a version was left out: it has no number")
            continue
        text = parts.document(version.get("Document"), "identity", f"{arn} {number[0]}")
        if text is not None:
            created_at = parts.date(version.get("CreateDate"))
            found[int(number[1])] = PolicyVersion(document=text, created_at=created_at)
    return found
