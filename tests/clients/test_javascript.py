"""The AWS SDK for JavaScript against a live server, over http and https.

Its packages are installed once, from the lock file, into a folder that git ignores.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from clients_programs import environment_of, missing, required, succeed

HERE = Path(__file__).with_name("javascript")
INSTALLATION_SECONDS = 300


@pytest.fixture(scope="session")
def node() -> str:
    """The path of node; the packages are beside the script."""
    node, npm = required("node", "nodejs"), required("npm", "npm")
    mark = HERE / "node_modules" / ".installed"
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    if not mark.exists() or mark.read_text() != wanted:
        words = (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        done = subprocess.run(words, cwd=HERE, capture_output=True, text=True, timeout=INSTALLATION_SECONDS)
        if done.returncode:
            missing(f"npm could not install the packages: {done.stderr[-2000:]}")
        mark.write_text(wanted)
    return node


def test_the_lock_file_names_no_place_to_fetch_from() -> None:
    assert '"resolved"' not in (HERE / "package-lock.json").read_text()


def test_a_javascript_application_works_unmodified(node: str, aws: Any, name: str, home: Path) -> None:
    environment = environment_of(aws, home)
    claims = succeed(node, str(HERE / "story.mjs"), name, environment=environment).splitlines()
    assert len(claims) == 11
    names = {event["EventName"] for event in aws.cloudtrail.lookup_events(MaxResults=50)["Events"]}
    assert {"DisableKey", "CreateUser"} <= names
