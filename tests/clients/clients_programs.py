"""Runs clients that are programs of their own, with a principal's credentials and a home directory of the test's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

PATIENCE_SECONDS = 120


def required(name: str, package: str) -> str:
    """The path of a program. Without it the test is skipped, but not in CI, which has to install it."""
    found = shutil.which(name)
    return found if found is not None else missing(f"{name} is not installed (Debian package {package})")


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def environment_of(principal: Any, home: Path) -> dict[str, str]:
    """What a client reads: nothing of the person's own who runs the tests."""
    variables = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "AWS_ENDPOINT_URL": principal.endpoint,
        "AWS_ACCESS_KEY_ID": principal.access_key_id,
        "AWS_SECRET_ACCESS_KEY": principal.secret_access_key,
        "AWS_REGION": principal.region,
        "AWS_DEFAULT_REGION": principal.region,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
    if principal.session_token:
        variables["AWS_SESSION_TOKEN"] = principal.session_token
    if principal.ca_bundle:
        variables |= {"AWS_CA_BUNDLE": principal.ca_bundle, "NODE_EXTRA_CA_CERTS": principal.ca_bundle}
    return variables


def run(*command: str, environment: dict[str, str], directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The program's exit status and what it wrote."""
    return subprocess.run(
        command,
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def succeed(*command: str, environment: dict[str, str], directory: Path | None = None) -> str:
    """What the program wrote; it must have succeeded."""
    done = run(*command, environment=environment, directory=directory)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
