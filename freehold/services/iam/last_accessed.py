"""Service last accessed: reports on which of its permitted services a user, group, role or policy really uses.

A report is a job: it brings the access index up to date and then joins it with what the policies allow. Jobs run one
at a time in slices on the pool for bulk work, never on the event loop; one that a stopped server left behind fails.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GenerateServiceLastAccessedDetails.html
"""

from __future__ import annotations

import logging
import threading
import uuid
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from freehold.authorization import service_reference
from freehold.authorization.document import Policy
from freehold.authorization.permission import Permission
from freehold.crypto.aead import IntegrityError
from freehold.services.call import Call
from freehold.services.iam import aws_managed, entities, pages, policies_of, records, service_access, shapes
from freehold.services.iam.access_index import ACCESSES, Access, Reading
from freehold.services.iam.authorized import iam
from freehold.services.iam.entities import Named
from freehold.services.iam.errors import InvalidInput, NoSuchEntity
from freehold.services.iam.records import ATTACHMENTS, MEMBERS, Group, ManagedPolicy, Record, Role, User
from freehold.services.iam.simulation import entity_at
from freehold.services.operation import Params, Permissions, Result
from freehold.storage.records import Reader, Table, Transaction

if TYPE_CHECKING:
    from freehold.app import App

log = logging.getLogger("freehold")

JOB_SECONDS = 7 * 86_400
"""How long a report can be asked for."""
STUCK_SECONDS = 30 * 60
MOST_JOBS = 100
"""Reports of one account at a time; a new one takes the place of the oldest."""
MOST_ENTITIES = 5_000


class ServiceUse(Record, kw_only=True):
    """One service of a report."""

    prefix: str
    used: dict[str, int] = msgspec.field(default_factory=dict)
    """Entity's unique id -> when it last used the service."""
    region: str = ""
    actions: dict[str, tuple[int, str, str]] = msgspec.field(default_factory=dict)
    """Action -> (when, Region, entity's unique id)."""


class Job(Record, kw_only=True):
    account_id: str
    arn: str
    owner: str
    """Who asked: nobody else gets the report."""
    by_action: bool
    created_at: int
    completed_at: int = 0
    status: Literal["IN_PROGRESS", "COMPLETED", "FAILED"] = "IN_PROGRESS"
    error: str = ""


class Report(Record, kw_only=True):
    services: list[ServiceUse] = msgspec.field(default_factory=list)
    entity_ids: list[str] = msgspec.field(default_factory=list)


JOBS = Table("iam.access_report_jobs", Job)  # (account id, job id)
REPORTS = Table("iam.access_reports", Report)  # (account id, job id)


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
    held = sorted(JOBS.scan(call.tx, (call.account_id,)), key=lambda row: row[1].created_at)
    for key, _ in held[: max(0, len(held) - MOST_JOBS + 1)]:
        JOBS.delete(call.tx, key)
        REPORTS.delete(call.tx, key)
    key = (call.account_id, str(uuid.uuid4()))
    job = Job(
        account_id=call.account_id,
        arn=params["Arn"],
        owner=call.principal.unique_id,
        by_action=params.get("Granularity") == "ACTION_LEVEL",
        created_at=int(call.app.clock.now_seconds()),
    )
    JOBS.put(call.tx, key, job)
    app = call.app
    call.tx.after_commit(lambda: _reports(app).start(key))
    return {"JobId": key[1]}


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


class _Reports:
    """The jobs of one worker that wait for a reading of the trail."""

    def __init__(self, app: App) -> None:
        self._app = weakref.ref(app)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, str]] = deque()
        self._running = False

    def start(self, key: tuple[str, str]) -> None:
        """Quick: called once the job is durable."""
        with self._lock:
            self._waiting.append(key)
            if self._running:
                return
            self._running = True
        self._go_on(None)

    def _go_on(self, reading: Reading | None, keys: tuple[tuple[str, str], ...] = ()) -> None:
        app = self._app()
        if app is None:
            return
        try:
            app.pool.submit(self._step, reading, keys)
        except RuntimeError:
            # The server is stopping; its next start finds the jobs undone.
            with self._lock:
                self._running = False

    def _step(self, reading: Reading | None, keys: tuple[tuple[str, str], ...]) -> None:
        """One slice of the reading for the jobs `keys`, which are finished after the last."""
        app = self._app()
        if app is None:
            return
        problem = ""
        try:
            if reading is None:
                # Jobs that come later need the events that come later as well.
                with self._lock:
                    keys = tuple(self._waiting)
                    self._waiting.clear()
                reading = Reading(app)
            if not reading.done:
                reading.slice()
            if not reading.done:
                self._go_on(reading, keys)
                return
            reading.keep()
            if reading.exhausted:
                problem = "There is more of the trail than one report reads. The next report goes on from here."
        except IntegrityError:
            problem = "The audit trail is damaged: freehold audit verify says where."
        except Exception as error:
            log.error("a report on last access failed: %s", type(error).__name__)
            problem = "The audit trail could not be read."
        for key in keys:
            self._finish(app, key, problem)
        with self._lock:
            self._running = more = bool(self._waiting)
        if more:
            self._go_on(None)

    def _finish(self, app: App, key: tuple[str, str], problem: str) -> None:
        try:
            report = None if problem else _made(app.records.reader(), key)
            app.records.submit(lambda tx: _completed(tx, key, report, problem, int(app.clock.now_seconds()))).result()
        except Exception as error:
            log.error("a report on last access could not be kept: %s", type(error).__name__)


_by_app: weakref.WeakKeyDictionary[App, _Reports] = weakref.WeakKeyDictionary()


def _reports(app: App) -> _Reports:
    held = _by_app.get(app)
    if held is None:
        held = _by_app[app] = _Reports(app)
    return held


def _completed(tx: Transaction, key: tuple[str, str], report: Report | None, problem: str, now: int) -> None:
    job = JOBS.get(tx, key)
    if job is None or job.status != "IN_PROGRESS":
        return
    if report is None:
        job.status, job.error = "FAILED", problem or "What the report is about was deleted."
    else:
        job.status = "COMPLETED"
        REPORTS.put(tx, key, report)
    job.completed_at = now
    JOBS.put(tx, key, job)


def _made(reader: Reader, key: tuple[str, str]) -> Report | None:
    """A job's report; None when what it is about is gone."""
    job = JOBS.get(reader, key)
    if job is None:
        return None
    subject = _subject(reader, job.account_id, job.arn)
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


def _may_get(action: str) -> Permissions:
    def permissions(call: Call, params: Params) -> list[Permission]:
        return [Permission(f"iam:{action}", "*", call.account_id)]

    return permissions


def _job(call: Call, params: Params) -> tuple[Job, Report]:
    """The caller's job, and its report as far as there is one."""
    key = (call.account_id, params["JobId"])
    job, now = JOBS.get(call.reader, key), int(call.app.clock.now_seconds())
    if job is None or job.owner != call.principal.unique_id or job.created_at < now - JOB_SECONDS:
        raise NoSuchEntity(f"The job {params['JobId']} cannot be found.")
    if job.status == "IN_PROGRESS" and job.created_at < now - STUCK_SECONDS:
        job.status, job.completed_at = "FAILED", job.created_at + STUCK_SECONDS
        job.error = "The server was stopped meanwhile. Ask for another report."
    return job, REPORTS.get(call.reader, key) or Report()


def _about(job: Job) -> Result:
    told: Result = {"JobStatus": job.status, "JobCreationDate": shapes.date(job.created_at)}
    if job.completed_at:
        told["JobCompletionDate"] = shapes.date(job.completed_at)
    if job.error:
        told["Error"] = {"Code": "ServiceFailure", "Message": job.error}
    return told


@iam("GetServiceLastAccessedDetails", _may_get("GetServiceLastAccessedDetails"))
def get_service_last_accessed_details(call: Call, params: Params) -> Result:
    """The services that the report's subject may use, by namespace, with who last tried to and when.

    With ACTION_LEVEL, the actions that were used as well, as far as the service reference knows them.
    """
    (job, report), reader = _job(call, params), call.reader
    uses = {use.prefix: use for use in report.services}
    page = pages.page_of_texts(params, "ServicesLastAccessed", uses, lambda prefix: _shown(reader, uses[prefix]))
    return {**_about(job), "JobType": "ACTION_LEVEL" if job.by_action else "SERVICE_LEVEL", **page}


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


@iam("GetServiceLastAccessedDetailsWithEntities", _may_get("GetServiceLastAccessedDetailsWithEntities"))
def get_service_last_accessed_details_with_entities(call: Call, params: Params) -> Result:
    """The users and roles that could have used one service through the report's subject, the latest first."""
    (job, report), reader, prefix = _job(call, params), call.reader, params["ServiceNamespace"]
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
    return {**_about(job), **page}


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
