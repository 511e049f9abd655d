"""What a verification tells: findings by place, remarks, and how much was looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from freehold.audit.verify import Finding
from freehold.storage.records import Key

_MOST_NAME = 300


@dataclass(slots=True)
class Report:
    """`findings`: what is damaged or doesn't fit; `notes`: what is worth knowing; `counts`: what was looked at."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def found(self, place: str, problem: str) -> None:
        self.findings.append(Finding(place, problem))

    @property
    def ok(self) -> bool:
        return not self.findings


class Progress:
    """Told how far a verification is. This one keeps it to itself."""

    def stage(self, name: str, steps: int | None) -> None:
        """The next part begins; `steps`: how many `step`s it has, where that is known."""

    def step(self) -> None:
        """One more record, blob or event was looked at."""


def row(table: str, key: Key) -> str:
    """How a record is named: never by what it holds."""
    name = f"{table} {' / '.join(str(part) for part in key)}"
    return name if len(name) <= _MOST_NAME else f"{name[:_MOST_NAME]}…"
