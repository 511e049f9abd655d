"""boto3 clients for commands that call a server as a customer would."""

from __future__ import annotations

from typing import Any

from freehold.cli.output import Problem


def client_of(service: str, endpoint: str | None, *, profile: str | None = None, verify: str | None = None) -> Any:
    """A client that signs with the named profile's keys, or with what AWS's tools would use. The Region is theirs too,
    us-east-1 where none is set."""
    import boto3
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    try:
        session = boto3.Session(profile_name=profile)
        region = session.region_name or "us-east-1"
        return session.client(service, endpoint_url=endpoint, region_name=region, verify=verify)
    except ProfileNotFound:
        raise Problem(f"there is no AWS profile named {profile}") from None
    except (BotoCoreError, ValueError) as error:
        raise Problem(str(error)) from None
