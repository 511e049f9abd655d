"""When each user, role and root user last used each service, worked out from the audit trail.

The trail is the authority; this is an index over the part of it that was read. A reading goes from the newest event
backwards in slices, so that other work gets its turn, and what it found is kept with the span of time that it covers:
the next one reads only what is new. Attempts count, whether they were allowed or not.
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_access-advisor.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from freehold.audit.history import Place
from freehold.authorization import service_reference
from freehold.services.iam.last_used import TRACKED_SECONDS
from freehold.services.iam.records import Record
from freehold.storage.records import Key, Table, Transaction

if TYPE_CHECKING:
    from freehold.app import App

SLICE_BYTES: Final = 8 * 1024 * 1024
MOST_READ_BYTES: Final = 4 * 1024 * 1024 * 1024
"""What one reading goes through at most; the next one goes on from there."""
_OVERLAP_SECONDS: Final = 60
"""What may still have been on its way into the trail when the last reading began is read again."""
_ROWS_AT_ONCE: Final = 500
_DAY_US: Final = 86_400 * 1_000_000


class Used(Record, kw_only=True):
    """The last use of something: when (seconds since the epoch) and in which Region."""

    at: int
    region: str


class Access(Record, kw_only=True):
    last: Used
    actions: dict[str, Used] = msgspec.field(default_factory=dict)


class Covered(Record, kw_only=True):
    """The span of the trail that the index holds, in microseconds."""

    from_us: int
    to_us: int


ACCESSES = Table("iam.accesses", Access)  # (account id, entity's unique id or for root the account's, service prefix)
COVERED = Table("iam.accesses_covered", Covered)  # ("trail",)

# Only these members of an event are read.


class _Issuer(msgspec.Struct):
    principalId: str = ""  # noqa: N815


class _Context(msgspec.Struct):
    sessionIssuer: _Issuer = msgspec.field(default_factory=_Issuer)  # noqa: N815


class _Identity(msgspec.Struct):
    type: str = ""
    principalId: str = ""  # noqa: N815
    accountId: str = ""  # noqa: N815
    sessionContext: _Context = msgspec.field(default_factory=_Context)  # noqa: N815


class _Event(msgspec.Struct):
    userIdentity: _Identity  # noqa: N815
    eventTime: str  # noqa: N815
    eventSource: str  # noqa: N815
    eventName: str  # noqa: N815
    awsRegion: str = ""  # noqa: N815
    recipientAccountId: str = ""  # noqa: N815


_decode = msgspec.json.Decoder(_Event).decode
_WITH_ISSUER: Final = frozenset(("AssumedRole", "FederatedUser"))

_ACTIONS: Final = {
    "s3": {
        "CompleteMultipartUpload": "PutObject",
        "CopyObject": "PutObject",
        "CreateMultipartUpload": "PutObject",
        "DeleteBucketEncryption": "PutEncryptionConfiguration",
        "DeleteObjects": "DeleteObject",
        "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
        "GetBucketEncryption": "GetEncryptionConfiguration",
        "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
        "HeadBucket": "ListBucket",
        "HeadObject": "GetObject",
        "ListBuckets": "ListAllMyBuckets",
        "ListMultipartUploads": "ListBucketMultipartUploads",
        "ListObjectVersions": "ListBucketVersions",
        "ListObjects": "ListBucket",
        "ListObjectsV2": "ListBucket",
        "ListParts": "ListMultipartUploadParts",
        "PutBucketEncryption": "PutEncryptionConfiguration",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
        "UploadPart": "PutObject",
        "UploadPartCopy": "PutObject",
    }
}
"""Where an action's name is not the operation's: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html"""

Found = dict[tuple[str, str, str], Access]
"""By (account id, entity's unique id, service prefix)."""


class Reading:
    """One reading of what the index doesn't cover yet. `slice` does a part of it; `done` says when nothing is left."""

    def __init__(self, app: App) -> None:
        self._app = app
        now_us = int(app.clock.now_seconds() * 1_000_000)
        oldest_us = max(0, now_us - TRACKED_SECONDS * 1_000_000)
        covered = COVERED.get(app.records.reader(), ("trail",))
        self._oldest_us = oldest_us
        self._now_us = now_us
        self._spans: list[tuple[int, int]] = [(oldest_us, now_us)]
        """(oldest, newest) of what is to be read, newest span first."""
        if covered is not None and covered.to_us >= oldest_us:
            self._spans = [(max(oldest_us, covered.to_us - _OVERLAP_SECONDS * 1_000_000), now_us)]
            if covered.from_us > oldest_us:
                self._spans.append((oldest_us, covered.from_us))
        self._covered = covered
        self._before: Place | None = None
        self._read = 0
        self._found: Found = {}
        self.exhausted = False
        """Whether it ended because it had read as much as one reading may."""

    @property
    def done(self) -> bool:
        return not self._spans or self.exhausted

    def slice(self) -> None:
        """Read a part. Raises IntegrityError where the trail is damaged."""
        oldest_us, newest_us = self._spans[0]
        size = 0
        for place, event in self._app.audit.history.newest_first(self._before, newest_us, oldest_us):
            _note(self._found, event)
            size += len(event)
            if size >= SLICE_BYTES:
                self._before = place
                self._read += size
                self.exhausted = self._read >= MOST_READ_BYTES
                return
        self._read += size
        self._spans.pop(0)
        self._before = None

    def keep(self) -> None:
        """Write what was found into the index. Waits for the writer; not for its thread or the event loop."""
        rows = list(self._found.items())
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._app.records.submit(_merging(rows[start : start + _ROWS_AT_ONCE])).result()
        span, known = self._span_covered(), self._covered
        if known is None or self._now_us - known.to_us > _DAY_US:
            self._forget(self._oldest_us // 1_000_000)
        self._app.records.submit(lambda tx: COVERED.put(tx, ("trail",), span)).result()

    def _forget(self, oldest: int) -> None:
        stale = [key for key, access in ACCESSES.scan(self._app.records.reader()) if access.last.at < oldest]
        for start in range(0, len(stale), _ROWS_AT_ONCE):
            self._app.records.submit(_forgetting(stale[start : start + _ROWS_AT_ONCE], oldest)).result()

    def _span_covered(self) -> Covered:
        """What the index holds without a gap once this is kept."""
        if not self._spans:
            return Covered(from_us=self._oldest_us, to_us=self._now_us)
        reached = self._spans[0][1] if self._before is None else self._before.time_us
        return Covered(from_us=reached, to_us=self._now_us)


def _merging(rows: list[tuple[tuple[str, str, str], Access]]) -> Callable[[Transaction], None]:
    def work(tx: Transaction) -> None:
        for key, found in rows:
            known = ACCESSES.get(tx, key)
            ACCESSES.put(tx, key, found if known is None else _newest(known, found))

    return work


def _newest(one: Access, other: Access) -> Access:
    actions = dict(one.actions)
    for name, used in other.actions.items():
        known = actions.get(name)
        if known is None or known.at < used.at:
            actions[name] = used
    return Access(last=max(one.last, other.last, key=lambda used: used.at), actions=actions)


def _note(found: Found, encoded: bytes) -> None:
    """Take one event into account: what somebody of the event's own account did."""
    try:
        event = _decode(encoded)
    except msgspec.MsgspecError:
        return  # an event without a caller, or of another form
    identity = event.userIdentity
    if identity.type in ("IAMUser", "Root"):
        entity_id = identity.principalId
    elif identity.type in _WITH_ISSUER:
        entity_id = identity.sessionContext.sessionIssuer.principalId
    else:
        return
    prefix, dot, _ = event.eventSource.partition(".")
    if not entity_id or not dot or event.recipientAccountId != identity.accountId:
        return
    at = int(datetime.fromisoformat(event.eventTime).timestamp())
    key = (identity.accountId, entity_id, prefix)
    access = found.get(key)
    if access is None:
        access = found[key] = Access(last=Used(at=at, region=event.awsRegion))
    elif access.last.at < at:
        access.last = Used(at=at, region=event.awsRegion)
    action = _action(prefix, event.eventName)
    if action is not None:
        known = access.actions.get(action)
        if known is None or known.at < at:
            access.actions[action] = Used(at=at, region=event.awsRegion)


def _action(prefix: str, event_name: str) -> str | None:
    """The action that an operation needs, None where the service reference knows none."""
    name = _ACTIONS.get(prefix, {}).get(event_name, event_name)
    known = service_reference.action(f"{prefix}:{name}")
    return None if known is None else known[1].name


def _forgetting(keys: list[Key], oldest: int) -> Callable[[Transaction], None]:
    """Forget what was last used before `oldest` (seconds since the epoch), unless it was used meanwhile."""

    def work(tx: Transaction) -> None:
        for key in keys:
            access = ACCESSES.get(tx, key)
            if access is not None and access.last.at < oldest:
                ACCESSES.delete(tx, key)

    return work
