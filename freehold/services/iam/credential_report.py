"""The credential report: every user's password, keys and MFA as AWS's CSV, at most once in four hours.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from freehold.services.call import Call
from freehold.services.iam import mfa, password_policy, shapes, signing_certificates
from freehold.services.iam.authorized import iam, on_account
from freehold.services.iam.credential_records import (
    CREDENTIAL_REPORTS,
    LAST_USES,
    LOGIN_PROFILES,
    SIGNED_IN,
    CredentialReport,
    PasswordPolicy,
)
from freehold.services.iam.errors import ReportExpired, ReportNotPresent
from freehold.services.iam.records import ACCESS_KEYS, ACCOUNTS, USERS
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader

GOOD_FOR_SECONDS: Final = 4 * 3600
COLUMNS: Final = (
    *("user", "arn", "user_creation_time"),
    *("password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active"),
    *("access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date"),
    *("access_key_1_last_used_region", "access_key_1_last_used_service"),
    *("access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date"),
    *("access_key_2_last_used_region", "access_key_2_last_used_service"),
    *("cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"),
)
_NONE: Final = "N/A"
_UNKNOWN: Final = "no_information"
_NOT_SUPPORTED: Final = "not_supported"
_ROOT: Final = "<root_account>"
_MOST_KEYS: Final = 2


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _password(reader: Reader, owner_id: str, policy: PasswordPolicy | None, *, root: bool) -> list[str]:
    """Whether there is one, and when it was used, changed and has to be changed next."""
    profile = LOGIN_PROFILES.get(reader, (owner_id,))
    if profile is None or not profile.password:
        rest = [_NOT_SUPPORTED] * 2 if root else [_NONE] * 2
        return ["false", _NONE, *rest]
    used = SIGNED_IN.get(reader, (owner_id,))
    last = _UNKNOWN if used is None else _time(used.at)
    if root:
        return ["true", last, _NOT_SUPPORTED, _NOT_SUPPORTED]
    expires_at = password_policy.expires_at(policy, profile)
    return ["true", last, _time(profile.changed_at), _NONE if expires_at is None else _time(expires_at)]


def _keys(reader: Reader, key_ids: list[str]) -> Iterator[str]:
    for key_id in key_ids:
        key = ACCESS_KEYS.get(reader, (key_id,))
        if key is None:
            continue
        use = LAST_USES.get(reader, (key_id,))
        yield from (_flag(key.active), _time(key.created_at))
        yield from (_NONE, _NONE, _NONE) if use is None else (_time(use.at), use.region, use.service)
    for _ in range(_MOST_KEYS - len(key_ids)):
        yield from ("false", _NONE, _NONE, _NONE, _NONE)


def _certificates(reader: Reader, owner_id: str) -> Iterator[str]:
    held = signing_certificates.of(reader, owner_id)
    for certificate in held:
        yield from (_flag(certificate.active), _time(certificate.uploaded_at))
    for _ in range(signing_certificates.MOST_CERTIFICATES - len(held)):
        yield from ("false", _NONE)


def _rows(reader: Reader, account_id: str) -> Iterator[list[str]]:
    """The root user, then the users by name."""
    account = ACCOUNTS.get(reader, (account_id,))
    assert account is not None
    policy = password_policy.of_account(reader, account_id)
    yield [
        *(_ROOT, f"arn:aws:iam::{account_id}:root", _time(account.created_at)),
        *_password(reader, account_id, None, root=True),
        _flag(mfa.has_device(reader, account_id)),
        *_keys(reader, account.root_access_key_ids),
        *_certificates(reader, account_id),
    ]
    for _, user in USERS.scan(reader, (account_id,)):
        yield [
            *(user.name, user.arn, _time(user.created_at)),
            *_password(reader, user.unique_id, policy, root=False),
            _flag(mfa.has_device(reader, user.unique_id)),
            *_keys(reader, user.access_key_ids),
            *_certificates(reader, user.unique_id),
        ]


def written(reader: Reader, account_id: str) -> bytes:
    """The report as it is now."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_rows(reader, account_id))
    return text.getvalue().rstrip("\n").encode()


def _is_good(report: CredentialReport | None, now: float) -> bool:
    return report is not None and now - report.generated_at < GOOD_FOR_SECONDS


async def _write(call: Call, params: Params) -> bytes | None:
    """The report, unless there is one that is good; made on the pool, since it reads all users."""
    if _is_good(CREDENTIAL_REPORTS.get(call.reader, (call.account_id,)), call.app.clock.now_seconds()):
        return None
    records, account_id = call.app.records, call.account_id
    work = asyncio.get_running_loop().run_in_executor(call.app.pool, lambda: written(records.reader(), account_id))
    return await work


@iam("GenerateCredentialReport", on_account("GenerateCredentialReport"), writes=True, prepare=_write)
def generate_credential_report(call: Call, params: Params) -> Result:
    """Make the report, if there's none from the last four hours. It is complete when this returns."""
    if call.prepared is not None:
        now = int(call.app.clock.now_seconds())
        CREDENTIAL_REPORTS.put(call.tx, (call.account_id,), CredentialReport(generated_at=now, content=call.prepared))
    return {"State": "COMPLETE"}


@iam("GetCredentialReport", on_account("GetCredentialReport"))
def get_credential_report(call: Call, params: Params) -> Result:
    """The report that GenerateCredentialReport made, for four hours."""
    report = CREDENTIAL_REPORTS.get(call.reader, (call.account_id,))
    if report is None:
        raise ReportNotPresent
    if not _is_good(report, call.app.clock.now_seconds()):
        raise ReportExpired
    generated = shapes.date(report.generated_at)
    return {"Content": report.content, "ReportFormat": "text/csv", "GeneratedTime": generated}
