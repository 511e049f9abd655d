"""A boto3 client for Freehold's own operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from freehold.cli.output import Problem

MODELS = str(Path(__file__).parent.parent / "models")


def operator_client(
    endpoint: str,
    *,
    profile: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    region: str = "us-east-1",
    verify: str | bool | None = None,
    signed: bool = True,
) -> Any:
    """A client that signs with the given keys, the named profile, or what AWS's tools would use; or not at all."""
    import boto3
    import botocore.session
    from botocore.exceptions import ProfileNotFound

    try:
        core = botocore.session.Session(profile=profile)
        core.get_component("data_loader").search_paths.append(MODELS)
        session = boto3.Session(
            aws_access_key_id=access_key_id, aws_secret_access_key=secret_access_key, botocore_session=core
        )
        options: dict[str, Any] = {}
        if not signed:
            from botocore import UNSIGNED
            from botocore.config import Config

            options["config"] = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
        return session.client("freehold", endpoint_url=endpoint, region_name=region, verify=verify, **options)
    except ProfileNotFound:
        raise Problem(f"there is no AWS profile named {profile}") from None


def called(operation: Any, **params: Any) -> dict[str, Any]:
    """The result of a client's method, with refusals and lost connections as a Problem."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        result: dict[str, Any] = operation(**params)
    except ClientError as error:
        raise Problem(f"{error.response['Error']['Code']}: {error.response['Error']['Message']}") from None
    except BotoCoreError as error:
        raise Problem(str(error)) from None
    result.pop("ResponseMetadata", None)
    return result
