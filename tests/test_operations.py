"""The registry against the models: everything implemented exists, everything else says why, the page is current."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import freehold
from freehold.protocol import models
from freehold.services.catalogue import Row, as_markdown, catalogue
from freehold.services.operation import REGISTRY, SERVED

ROOT = Path(freehold.__file__).parent.parent
ROWS = catalogue()


def test_operations_md_is_current() -> None:
    assert (ROOT / "docs" / "operations.md").read_text() == as_markdown(ROWS), (
        "run: freehold operations --markdown > docs/operations.md"
    )


def test_every_registered_operation_is_in_its_model() -> None:
    for name in REGISTRY:
        service, _, operation = name.partition(".")
        assert operation in models.service(service).operations, name


def test_every_operation_of_every_model_is_listed_once() -> None:
    listed = [(row.service, row.operation) for row in ROWS]
    assert len(listed) == len(set(listed))
    assert set(listed) == {(service, name) for service in SERVED for name in models.service(service).operations}


@pytest.mark.parametrize(
    "row", [row for row in ROWS if not row.implemented], ids=lambda row: f"{row.service}.{row.operation}"
)
def test_what_is_not_implemented_says_why(row: Row) -> None:
    assert len(row.why) > 10


def test_the_command_prints_what_the_registry_has() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "freehold", "operations", "--json"], capture_output=True, text=True, check=True
    )
    printed = json.loads(done.stdout)
    assert [tuple(row.values()) for row in printed] == [tuple(row) for row in ROWS]
    assert set(printed[0]) == {"service", "operation", "implemented", "why"}


def _source(service: str) -> str:
    folder = ROOT / "freehold" / "services" / service.replace("-", "_")
    return "\n".join(path.read_text() for path in folder.glob("*.py"))


def _named(member: str, source: str) -> bool:
    """Whether the code names a member; a checksum's may be put together from its algorithm's name."""
    names = {member, member.removeprefix("Checksum")}
    return any(re.search(rf"""["']{re.escape(name)}["']""", source) for name in names)


WITHOUT_EFFECT = {
    # The requester says it would pay, which only matters where a bucket's owner asks for that; none can here.
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html
    "RequestPayer",
    # Objects have no tags here (Tagging is refused), so copying and replacing them is the same nothing.
    "TaggingDirective",
}


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_no_parameter_is_accepted_and_ignored(name: str) -> None:
    """Every input member is named in the service's code, or the operation refuses it."""
    operation = REGISTRY[name]
    shape = models.service(operation.service).operations[operation.name].input
    source = _source(operation.service)
    members = set(shape.members) if shape is not None else set()
    unnamed = {member for member in members - operation.refuses - WITHOUT_EFFECT if not _named(member, source)}
    assert not unnamed, f"{name} neither uses nor refuses {sorted(unnamed)}"


def test_what_is_refused_exists() -> None:
    for name, operation in REGISTRY.items():
        shape = models.service(operation.service).operations[operation.name].input
        assert operation.refuses <= set(shape.members if shape else ()), name
