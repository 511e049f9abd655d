"""Service last accessed: which of its permitted services a user, group, role or policy really uses, and who did.

Joined from what the policies allow and the access index; the jobs are `access_jobs`'.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GenerateServiceLastAccessedDetails.html
"""

from __future__ import annotations

from typing import Any

from freehold.authorization import service_reference
from freehold.authorization.document import Policy
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import (
    access_jobs,
    aws_managed,
    entities,
    pages,
    policies_of,
    records,
    service_access,
    shapes,
)
from freehold.services.iam.access_index import ACCESSES, Access
from freehold.services.iam.access_jobs import Job, Report, ServiceUse, maker, may_get
from freehold.services.iam.authorized import iam
from freehold.services.iam.entities import Named
from freehold.services.iam.errors import InvalidInput, NoSuchEntity
from freehold.services.iam.policy_sources import entity_at
from freehold.services.iam.records import ATTACHMENTS, MEMBERS, Group, ManagedPolicy, Role, User
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader

MOST_ENTITIES = 5_000


# Asking for a report


def _may_generate(call: Call, params: Params) -> list[Permission]:
    arn = params["Arn"]
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[:4] != ["arn", "aws", "iam", ""] or "/" not in parts[5]:
        raise InvalidInput(f"{arn} is not the ARN of a user, group, role or policy.")
    found = _subject(call.reader, call.account_id, arn)
    context = {} if found is None or isinstance(found, str) else entities.resource_tags(found)
    owner = call.account_id if parts[4] == "aws" else parts[4]
    return [Permission("iam:GenerateServiceLastAccessedDetails", arn, owner, context)]


@iam("GenerateServiceLastAccessedDetails", _may_generate, writes=True)
def generate_service_last_accessed_details(call: Call, params: Params) -> Result:
    """Start a report. It goes back 400 days, and can be fetched for seven by whoever asked for it."""
    if _subject(call.tx, call.account_id, params["Arn"]) is None:
        raise NoSuchEntity(f"{params['Arn']} cannot be found.")
    job = Job(
        account_id=call.account_id,
        subject=params["Arn"],
        owner=call.principal.unique_id,
        by_action=params.get("Granularity") == "ACTION_LEVEL",
        created_at=int(call.app.clock.now_seconds()),
    )
    return access_jobs.start(call, job)


def _subject(reader: Reader, account_id: str, arn: str) -> Named | ManagedPolicy | str | None:
    """What a report is about: an entity or policy of the account, or the ARN of one of AWS's policies."""
    if aws_managed.find(arn) is not None:
        return arn
    if ":policy/" in arn:
        policy = records.policy_at(reader, arn)
        return policy if policy is not None and policy.account_id == account_id else None
    found = entity_at(reader, arn)
    return found if found is not None and found.account_id == account_id else None


# Making it


@maker("entity")
def make(reader: Reader, job: Job) -> Report | None:
    """The services that an entity's or a policy's permissions reach, with their uses."""
    subject = _subject(reader, job.account_id, job.subject)
    if subject is None:
        return None
    report = Report(entity_ids=_entities_of(reader, job.account_id, subject)[:MOST_ENTITIES])
    rows: dict[str, list[tuple[str, Access]]] = {}
    for entity_id in report.entity_ids:
        for place, access in ACCESSES.scan(reader, (job.account_id, entity_id)):
            rows.setdefault(str(place[2]), []).append((entity_id, access))
    for prefix in service_access.granted(_policies_of(reader, subject)):
        report.services.append(_use(prefix, rows.get(prefix, []), by_action=job.by_action))
    return report


def _use(prefix: str, rows: list[tuple[str, Access]], *, by_action: bool) -> ServiceUse:
    use = ServiceUse(prefix=prefix, used={entity_id: access.last.at for entity_id, access in rows})
    if rows:
        use.region = max((access.last for _, access in rows), key=lambda last: last.at).region
    for entity_id, access in rows if by_action else ():
        for action, used in access.actions.items():
            known = use.actions.get(action)
            if known is None or known[0] < used.at:
                use.actions[action] = (used.at, used.region, entity_id)
    return use


def _policies_of(reader: Reader, subject: Named | ManagedPolicy | str) -> list[Policy]:
    if isinstance(subject, str):
        return [policies_of.managed(reader, subject)]
    if isinstance(subject, ManagedPolicy):
        return [policies_of.managed(reader, subject.arn)]
    if isinstance(subject, Group):
        own = [policies_of.compiled(name, text) for name, text in subject.inline.items()]
        return own + [policies_of.managed(reader, arn) for arn in subject.attached]
    return list(policies_of.of(reader, subject, lambda arn: policies_of.managed(reader, arn)))


def _entities_of(reader: Reader, account_id: str, subject: Named | ManagedPolicy | str) -> list[str]:
    """The users and roles whose accesses count: those that could have used the permissions."""
    if isinstance(subject, User | Role):
        return [subject.unique_id]
    if isinstance(subject, Group):
        return [str(key[1]) for key, _ in MEMBERS.scan(reader, (subject.unique_id,))]
    arn = subject if isinstance(subject, str) else subject.arn
    found: dict[str, None] = {}
    for key, _ in ATTACHMENTS.scan(reader, (account_id, arn, "policy")):
        kind, unique_id = str(key[3]), str(key[4])
        members = [unique_id] if kind != "group" else [str(m[1]) for m, _ in MEMBERS.scan(reader, (unique_id,))]
        found.update(dict.fromkeys(members))
    return list(found)


# Fetching it


@iam("GetServiceLastAccessedDetails", may_get("GetServiceLastAccessedDetails"))
def get_service_last_accessed_details(call: Call, params: Params) -> Result:
    """The services that the report's subject may use, by namespace, with who last tried to and when.

    With ACTION_LEVEL, the actions that were used as well, as far as the service reference knows them.
    """
    (job, report), reader = access_jobs.find(call, "entity", params["JobId"]), call.reader
    uses = {use.prefix: use for use in report.services}
    page = pages.page_of_texts(params, "ServicesLastAccessed", uses, lambda prefix: _shown(reader, uses[prefix]))
    return {**access_jobs.about(job, "Error"), "JobType": "ACTION_LEVEL" if job.by_action else "SERVICE_LEVEL", **page}


def _shown(reader: Reader, use: ServiceUse) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "ServiceName": service_reference.names().get(use.prefix, use.prefix),
        "ServiceNamespace": use.prefix,
        "TotalAuthenticatedEntities": len(use.used),
    }
    if use.used:
        last = max(use.used, key=use.used.__getitem__)
        shown["LastAuthenticated"] = shapes.date(use.used[last])
        shown["LastAuthenticatedEntity"] = _arn(reader, last)
        shown["LastAuthenticatedRegion"] = use.region
    if use.actions:
        shown["TrackedActionsLastAccessed"] = [
            {
                "ActionName": action,
                "LastAccessedEntity": _arn(reader, entity_id),
                "LastAccessedTime": shapes.date(at),
                "LastAccessedRegion": region,
            }
            for action, (at, region, entity_id) in sorted(use.actions.items())
        ]
    return shown


def _arn(reader: Reader, unique_id: str) -> str:
    found = records.by_unique_id(reader, unique_id)
    return unique_id if found is None else found.arn


@iam("GetServiceLastAccessedDetailsWithEntities", may_get("GetServiceLastAccessedDetailsWithEntities"))
def get_service_last_accessed_details_with_entities(call: Call, params: Params) -> Result:
    """The users and roles that could have used one service through the report's subject, the latest first."""
    (job, report), reader, prefix = (
        access_jobs.find(call, "entity", params["JobId"]),
        call.reader,
        params["ServiceNamespace"],
    )
    use = next((use for use in report.services if use.prefix == prefix), None)
    if use is None and job.status == "COMPLETED":
        raise NoSuchEntity(f"The report has no service {prefix}.")
    used = {} if use is None else use.used
    ordered = sorted(report.entity_ids, key=lambda one: (-used.get(one, 0), one)) if use is not None else []
    places = {f"{number:06}": entity_id for number, entity_id in enumerate(ordered)}
    found = [
        (place, entity)
        for place, entity_id in places.items()
        if isinstance(entity := records.by_unique_id(reader, entity_id), User | Role)
    ]
    start = pages.after(params)
    page = pages.page(
        params,
        "EntityDetailsList",
        (item for item in found if start is None or item[0] > start),
        lambda item: item[0],
        lambda item: _entity(item[1], used.get(item[1].unique_id)),
    )
    return {**access_jobs.about(job, "Error"), **page}


def _entity(entity: User | Role, at: int | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "EntityInfo": {
            "Arn": entity.arn,
            "Name": entity.name,
            "Type": entity.kind.upper(),
            "Id": entity.unique_id,
            "Path": entity.path,
        }
    }
    if at is not None:
        shown["LastAuthenticated"] = shapes.date(at)
    return shown
