"""AWS credentials of this process, from where AWS's own tools look first: the environment, then the shared files.

Read anew at each use, since they change. Others of those tools' sources (metadata services, programs, sign-in) are not
used: whoever has such a source can have it write the credentials file.
https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path

from freehold.authentication.credentials import Secret
from freehold.custody.errors import CustodyError


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key_id: str
    secret: Secret
    session_token: str = field(default="", repr=False)


def find_credentials() -> Credentials:
    """The credentials in the environment, or those of `AWS_PROFILE` (`default`). Raises CustodyError."""
    environment = os.environ
    key_id, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return Credentials(key_id, Secret(secret), environment.get("AWS_SESSION_TOKEN", ""))
    profile = environment.get("AWS_PROFILE", "default")
    files = (
        (Path(environment.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")), profile),
        (
            Path(environment.get("AWS_CONFIG_FILE", "~/.aws/config")),
            profile if profile == "default" else f"profile {profile}",
        ),
    )
    for path, section in files:
        found = _in_file(path.expanduser(), section)
        if found is not None:
            return found
    raise CustodyError(
        "there are no AWS credentials for the key service: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "or AWS_PROFILE"
    )


def _in_file(path: Path, section: str) -> Credentials | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text())
        values = dict(parser.items(section))
    except (OSError, configparser.NoSectionError):
        return None
    except (configparser.Error, UnicodeDecodeError):
        # The parser's message would show the line.
        raise CustodyError(f"the AWS credentials file {path} cannot be read") from None
    key_id, secret = values.get("aws_access_key_id"), values.get("aws_secret_access_key")
    if not key_id or not secret:
        return None
    return Credentials(key_id, Secret(secret), values.get("aws_session_token", ""))
