"""Reports on last access as jobs: they wait for the access index to be brought up to date, one reading for all.

The reading goes in slices on the pool for bulk work, never on the event loop; what a report is made of is its kind's
(`maker`). A job that a stopped server left behind is told as failed, and none outlives a week.
"""

from __future__ import annotations

import logging
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from freehold.authorization.permission import Permission
from freehold.crypto.aead import IntegrityError
from freehold.services.call import Call
from freehold.services.iam import shapes
from freehold.services.iam.access_index import Reading
from freehold.services.iam.errors import NoSuchEntity
from freehold.services.iam.records import Record
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

Kind = Literal["entity", "organization"]


class ServiceUse(Record, kw_only=True):
    """One service of a report."""

    prefix: str
    used: dict[str, int] = msgspec.field(default_factory=dict)
    """Entity's unique id (in an organization's report: account id) -> when it last used the service."""
    region: str = ""
    actions: dict[str, tuple[int, str, str]] = msgspec.field(default_factory=dict)
    """Action -> (when, Region, entity's unique id)."""


class Job(Record, kw_only=True):
    kind: Kind = "entity"
    account_id: str
    subject: str
    """What the report is about: an ARN, or the path of an organization's entity."""
    owner: str
    """Who asked: nobody else gets the report."""
    by_action: bool = False
    policy_id: str = ""
    """Of an organization's report on one service control policy."""
    created_at: int
    completed_at: int = 0
    status: Literal["IN_PROGRESS", "COMPLETED", "FAILED"] = "IN_PROGRESS"
    error: str = ""


class Report(Record, kw_only=True):
    services: list[ServiceUse] = msgspec.field(default_factory=list)
    entity_ids: list[str] = msgspec.field(default_factory=list)


JOBS = Table("iam.access_report_jobs", Job)  # (account id, job id)
REPORTS = Table("iam.access_reports", Report)  # (account id, job id)

Maker = Callable[[Reader, Job], Report | None]
"""Makes a job's report from the index; None when what it is about is gone."""
_MAKERS: dict[str, Maker] = {}


def maker(kind: Kind) -> Callable[[Maker], Maker]:
    """Register how reports of a kind are made."""

    def register(make: Maker) -> Maker:
        _MAKERS[kind] = make
        return make

    return register


def start(call: Call, job: Job) -> Result:
    """Keep a new job, and begin once it is durable. For writing operations."""
    held = sorted(JOBS.scan(call.tx, (call.account_id,)), key=lambda row: row[1].created_at)
    for old, _ in held[: max(0, len(held) - MOST_JOBS + 1)]:
        JOBS.delete(call.tx, old)
        REPORTS.delete(call.tx, old)
    key = (call.account_id, str(uuid.uuid4()))
    JOBS.put(call.tx, key, job)
    app = call.app
    call.tx.after_commit(lambda: _reports(app).start(key))
    return {"JobId": key[1]}


def running(reader: Reader, account_id: str, kind: Kind, now: int) -> int:
    """How many jobs of a kind an account waits for."""
    return sum(
        job.kind == kind and job.status == "IN_PROGRESS" and job.created_at >= now - STUCK_SECONDS
        for _, job in JOBS.scan(reader, (account_id,))
    )


def find(call: Call, kind: Kind, job_id: str) -> tuple[Job, Report]:
    """The caller's job, and its report as far as there is one. Raises NoSuchEntity."""
    key = (call.account_id, job_id)
    job, now = JOBS.get(call.reader, key), int(call.app.clock.now_seconds())
    if job is None or job.kind != kind or job.owner != call.principal.unique_id or job.created_at < now - JOB_SECONDS:
        raise NoSuchEntity(f"The job {job_id} cannot be found.")
    if job.status == "IN_PROGRESS" and job.created_at < now - STUCK_SECONDS:
        job.status, job.completed_at = "FAILED", job.created_at + STUCK_SECONDS
        job.error = "The server was stopped meanwhile. Ask for another report."
    return job, REPORTS.get(call.reader, key) or Report()


def about(job: Job, error_member: str) -> Result:
    """What every reply says of its job."""
    told: Result = {"JobStatus": job.status, "JobCreationDate": shapes.date(job.created_at)}
    if job.completed_at:
        told["JobCompletionDate"] = shapes.date(job.completed_at)
    if job.error:
        told[error_member] = {"Code": "ServiceFailure", "Message": job.error}
    return told


def may_get(action: str) -> Permissions:
    """Fetching a report has no resource of its own."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        return [Permission(f"iam:{action}", "*", call.account_id)]

    return permissions


# Making reports


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
            reader = app.records.reader()
            job = JOBS.get(reader, key)
            report = None if problem or job is None else _MAKERS[job.kind](reader, job)
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
