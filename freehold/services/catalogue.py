"""Which operations exist and which of them are implemented: from the service models and the registry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from freehold.protocol import models
from freehold.services.operation import REGISTRY, SERVED, load, why_not, why_refused


class Row(NamedTuple):
    service: str
    operation: str
    implemented: bool
    why: str
    """Why it isn't implemented; empty when it is."""


def catalogue() -> list[Row]:
    """Every operation of every served service, in the models' order of services, operations by name."""
    rows = []
    for service in SERVED:
        load(service)
        for name in sorted(models.service(service).operations):
            implemented = f"{service}.{name}" in REGISTRY
            rows.append(Row(service, name, implemented, "" if implemented else why_not(service, name)))
    return rows


def as_markdown(rows: Iterable[Row]) -> str:
    """docs/operations.md."""
    by_service: dict[str, list[Row]] = {}
    for row in rows:
        by_service.setdefault(row.service, []).append(row)
    lines = [
        "# Operations",
        "",
        "Made by `freehold operations --markdown`; a test keeps it current. What is not implemented answers",
        "`NotImplemented` (501), as does a parameter that an implemented operation doesn't serve (listed beside it).",
        "",
        "| service | implemented | of |",
        "|---|---|---|",
    ]
    for service, found in by_service.items():
        lines.append(f"| {service} | {sum(row.implemented for row in found)} | {len(found)} |")
    for service, found in by_service.items():
        lines += [
            "",
            f"## {service}",
            "",
            "| operation | implemented | refused parameters, or why not |",
            "|---|---|---|",
        ]
        for row in found:
            note = _refused(service, row.operation) if row.implemented else row.why
            lines.append(f"| {row.operation} | {'yes' if row.implemented else 'no'} | {note} |")
    return "\n".join(lines) + "\n"


def _refused(service: str, operation: str) -> str:
    """The parameters that are refused, with the reason of those that have one."""
    shown = []
    for member in sorted(REGISTRY[f"{service}.{operation}"].refuses):
        why = why_refused(service, operation, member)
        shown.append(f"`{member}` ({why})" if why else f"`{member}`")
    return ", ".join(shown)
