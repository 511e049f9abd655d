"""Credentials in the files and variables that AWS's own tools read."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from freehold.cli.output import Problem


def write_profile(name: str, access_key_id: str, secret_access_key: str, region: str, endpoint: str | None) -> Path:
    """Add profile `name` to the AWS credentials and config files. Raises Problem when it exists."""
    credentials = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials")
    config = Path(os.environ.get("AWS_CONFIG_FILE") or Path.home() / ".aws" / "config")
    section = name if name == "default" else f"profile {name}"
    settings = {"region": region}
    if endpoint is not None:
        settings["endpoint_url"] = endpoint
    # Both are looked at before either is written, so that a refusal leaves no half of a profile.
    for path, heading in ((credentials, name), (config, section)):
        if _parsed(path).has_section(heading):
            raise Problem(f"the profile {name} exists in {path}; choose another name with --profile")
    keys = {"aws_access_key_id": access_key_id, "aws_secret_access_key": secret_access_key}
    _append(credentials, name, keys)
    _append(config, section, settings)
    return credentials


def _parsed(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read(path)
    except configparser.Error as error:
        raise Problem(f"{path} cannot be read: {error.message}") from None
    return parser


def _append(path: Path, section: str, values: dict[str, str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "a") as file:
        file.write(f"{'' if file.tell() == 0 else chr(10)}[{section}]\n{lines}")
