"""What users, groups, roles and policies have alike in an import: names, tags, documents, attachments, dates.

A part that can't be kept is left out with a note; nothing is guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from freehold.authentication.key_ids import new_unique_id
from freehold.authorization import document
from freehold.authorization.document import MalformedPolicy, PolicyType
from freehold.services.iam import aws_managed
from freehold.services.iam.importing.plan import IsTaken, Plan, Raw

ARN: Final = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}|aws):([a-z-]+)(/[!-~]*)", re.ASCII)
_NAME: Final = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_PATH: Final = re.compile(r"/(?:[!-~]{1,510}/)?", re.ASCII)
_UNIQUE_ID: Final = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,28}", re.ASCII)
_PREFIXES: Final = {"user": "AIDA", "group": "AGPA", "role": "AROA", "policy": "ANPA", "instance-profile": "AIPA"}
_MOST_TAGS: Final = 50
_LATEST: Final = 253_402_300_799
"""The end of the year 9999: what is later can't be shown as a date."""


class Parts:
    """Reads the parts of one account's entities into its plan, and remembers the names and ids that are given away."""

    def __init__(self, plan: Plan, now: int, is_taken: IsTaken) -> None:
        self.plan = plan
        self._now = now
        self._is_taken = is_taken
        self.names: set[tuple[str, str]] = set()
        self.ids: set[str] = set()
        self.known_policies: dict[str, str] = {}
        """ARN in the file -> ARN that is attached here."""

    def named(self, kind: str, raw: Raw, name: Any, unique_id: Any) -> tuple[str, str, str] | None:
        """(name, path, unique id) of what can be kept; None, with a note, for what can't."""
        subject = f"{kind} {str(name)[:128]}"
        arn = ARN.fullmatch(str(raw.get("Arn", "")))
        if not isinstance(name, str) or not _NAME.fullmatch(name) or (kind in ("user", "role") and len(name) > 64):
            self.plan.note(subject, "left out: its name can't be one")
            return None
        path = "/" if arn is None else arn[4].rpartition("/")[0] + "/"
        if arn is None or arn[3] != kind or arn[4] != f"{path}{name}" or not _PATH.fullmatch(path):
            self.plan.note(subject, "left out: its ARN isn't its own")
            return None
        if (kind, name.lower()) in self.names:
            self.plan.note(subject, "left out: another has this name (case doesn't count)")
            return None
        self.names.add((kind, name.lower()))
        given = unique_id if isinstance(unique_id, str) else ""
        if not given.startswith(_PREFIXES[kind]) or not _UNIQUE_ID.fullmatch(given):
            self.plan.note(subject, "it has a new unique id: the one that is given can't be one")
            given = ""
        elif given in self.ids or self._is_taken(given):
            self.plan.note(subject, f"it has a new unique id: {given} is somebody else's here")
            given = ""
        while not given or given in self.ids:
            given = new_unique_id(_PREFIXES[kind])
        self.ids.add(given)
        return name, path, given

    def inline(self, raw: Raw, member: str, subject: str) -> dict[str, str]:
        found = {}
        for policy in objects(raw.get(member)):
            name = policy.get("PolicyName")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                self.plan.note(subject, "an inline policy was left out: its name can't be one")
                continue
            text = self.document(policy.get("PolicyDocument"), "identity", f"{subject}, inline policy {name}")
            if text is not None:
                found[name] = text
        return found

    def attached(self, raw: Raw, subject: str) -> list[str]:
        found: list[str] = []
        for policy in objects(raw.get("AttachedManagedPolicies")):
            arn = self._policy_here(str(policy.get("PolicyArn", "")))
            if arn is None:
                named = str(policy.get("PolicyArn"))[:300]
                self.plan.note(subject, f"not attached: {named}, which isn't known here and isn't given")
            elif arn not in found:
                found.append(arn)
        return found

    def boundary(self, raw: Raw, subject: str) -> str:
        given = raw.get("PermissionsBoundary")
        named = given.get("PermissionsBoundaryArn") if isinstance(given, Mapping) else None
        if not named:
            return ""
        arn = self._policy_here(str(named))
        if arn is None:
            # Without its document nothing is within the boundary.
            self.plan.note(subject, f"its permissions boundary {str(named)[:300]} isn't known: it allows nothing")
            return f"arn:aws:iam::{self.plan.account_id}:policy/unknown-boundary"
        return arn

    def _policy_here(self, arn: str) -> str | None:
        known = self.known_policies.get(arn)
        return arn if known is None and aws_managed.find(arn) is not None else known

    def tags(self, raw: Raw, subject: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for tag in objects(raw.get("Tags")):
            key, value = tag.get("Key"), tag.get("Value", "")
            if not isinstance(key, str) or not isinstance(value, str) or not 1 <= len(key) <= 128 or len(value) > 256:
                self.plan.note(subject, "a tag was left out: it can't be one")
            elif len(found) < _MOST_TAGS:
                found[key] = value
        return found

    def document(self, raw: Any, type_: PolicyType, subject: str) -> str | None:
        """The document's text, None with a note where it can't be understood."""
        if isinstance(raw, str):
            text = unquote(raw) if raw.lstrip()[:1] == "%" else raw
        elif isinstance(raw, Mapping):
            text = json.dumps(raw, ensure_ascii=False)
        else:
            self.plan.note(subject, "left out: there is no document")
            return None
        try:
            document.parse(text, type_)
        except MalformedPolicy as error:
            self.plan.note(subject, f"left out: {error.message[:300]}")
            return None
        return text

    def date(self, given: Any) -> int:
        if isinstance(given, str):
            try:
                found = datetime.fromisoformat(given)
                seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
                return min(max(0, int(seconds)), _LATEST)
            except (ValueError, OverflowError):
                return self._now
        if isinstance(given, int | float) and 0 <= given <= _LATEST:
            return int(given)
        return self._now


def objects(value: Any) -> Iterator[Raw]:
    """The objects of a member that should be a list of them."""
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, Mapping))
