"""The plan of an import: the records of one account, and what could not be kept as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from freehold.services.iam.records import (
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
)

MOST_NOTES: Final = 1_000

Raw = Mapping[str, Any]
IsTaken = Callable[[str], bool]
"""Whether a unique id belongs to somebody in this deployment, or is named by a policy of theirs."""


class CannotImport(ValueError):
    """This is not one account's authorization details. The message says what is wrong."""


@dataclass(slots=True)
class Note:
    """Something that was not kept as it was, and why."""

    subject: str
    message: str


@dataclass(slots=True)
class Plan:
    """The records of one account, each with an id that nobody has."""

    account_id: str
    users: list[User] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    policies: list[tuple[ManagedPolicy, dict[int, PolicyVersion]]] = field(default_factory=list)
    profiles: list[InstanceProfile] = field(default_factory=list)
    members: list[tuple[str, str]] = field(default_factory=list)
    """(group's id, user's id)."""
    notes: list[Note] = field(default_factory=list)
    notes_omitted: int = 0

    def note(self, subject: str, message: str) -> None:
        if len(self.notes) < MOST_NOTES:
            self.notes.append(Note(subject, message))
        else:
            self.notes_omitted += 1
