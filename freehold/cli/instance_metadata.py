"""`freehold instance-metadata`: IMDSv2 for one workload, with its role's credentials from a running server."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freehold.cli.output import Problem, print_json, say
from freehold.config import DEFAULT_REGION

if TYPE_CHECKING:
    from freehold.instance_metadata.role import RoleCredentials
    from freehold.instance_metadata.service import Instance

DEFAULT_PORT = 1338
_PROFILE = re.compile(r"arn:aws:iam::\d{12}:instance-profile/[\w+=,.@/-]{1,640}", re.ASCII)
_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}", re.ASCII)


def instance_metadata(
    instance_profile: Annotated[str, typer.Option(help="ARN of the instance profile.", metavar="ARN")],
    endpoint: Annotated[str, typer.Option(help="The server's endpoint, e.g. http://127.0.0.1:4600", metavar="URL")],
    profile: Annotated[str | None, typer.Option(help="AWS profile with the operator's keys.", metavar="NAME")] = None,
    ca_bundle: Annotated[
        str | None, typer.Option(help="PEM file to verify an https endpoint with.", metavar="FILE")
    ] = None,
    instance_id: Annotated[str, typer.Option(help="i- and 8 to 17 hexadecimal digits.")] = "i-0000000000000000f",
    region: Annotated[str, typer.Option(help="The instance's Region.")] = DEFAULT_REGION,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = DEFAULT_PORT,
    duration_seconds: Annotated[
        int, typer.Option(help="How long credentials last; renewed halfway.", min=900, max=43_200)
    ] = 21_600,
    hop_limit: Annotated[
        int, typer.Option(help="Network hops that a token may travel (2 for a container).", min=1, max=64)
    ] = 1,
    imdsv1: Annotated[bool, typer.Option("--imdsv1", help="Also answer without a session token.")] = False,
    identity_certificate: Annotated[
        Path | None, typer.Option(help="Certificate (PEM) of the identity document's signatures.", metavar="FILE")
    ] = None,
    identity_key: Annotated[
        Path | None, typer.Option(help="Its RSA key (PEM, 2,048 bits or more).", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON once it answers.")] = False,
) -> None:
    """Serve the EC2 instance metadata to a workload on this machine, until SIGTERM or Ctrl-C.

    SDKs and the AWS CLI find it with AWS_EC2_METADATA_SERVICE_ENDPOINT, and get the credentials of the role in the
    instance profile, renewed before they expire. The role must trust ec2.amazonaws.com. Run it as another user than
    the workload: it holds the operator's keys.

    Example: freehold instance-metadata --instance-profile arn:aws:iam::111122223333:instance-profile/web
    --endpoint http://127.0.0.1:4600 --profile freehold-operator
    """
    from freehold.cli.operator_client import operator_client
    from freehold.instance_metadata.identity_document import IdentitySigner, UnusableKey
    from freehold.instance_metadata.listener import Listener
    from freehold.instance_metadata.role import InstanceRole, RoleUnavailable
    from freehold.instance_metadata.service import Instance, MetadataService

    if not _PROFILE.fullmatch(instance_profile):
        raise Problem(f"{instance_profile} is not an instance profile's ARN")
    if not _INSTANCE.fullmatch(instance_id):
        raise Problem(f"{instance_id} is not an instance id: i- and 8 to 17 hexadecimal digits")
    if (identity_certificate is None) != (identity_key is None):
        raise Problem("--identity-certificate and --identity-key go together")
    signer = None
    if identity_certificate is not None and identity_key is not None:
        try:
            signer = IdentitySigner.load(identity_certificate, identity_key)
        except UnusableKey as error:
            raise Problem(f"the identity document cannot be signed: {error}") from None
    instance = Instance(
        instance_id=instance_id,
        instance_profile_arn=instance_profile,
        region=region,
        availability_zone=f"{region}a",
        launched_at=datetime.now(UTC),
    )
    client = operator_client(endpoint, profile=profile, verify=ca_bundle)

    def role(delivery: str) -> InstanceRole:
        return InstanceRole(_assuming(client, instance, duration_seconds, delivery), time.monotonic)

    service = MetadataService(
        instance,
        role("2.0"),
        time.monotonic,
        lambda: datetime.now(UTC),
        role_v1=role("1.0") if imdsv1 else None,
        signer=signer,
    )
    try:
        listener = Listener(host, port, service, hop_limit=hop_limit)
    except OSError as error:
        raise Problem(f"cannot listen on {host} port {port}: {error.strerror}") from None
    with suppress(RoleUnavailable):
        # SDKs wait one second for an answer: what takes longest is done before the first question.
        service.role.current()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
    thread.start()
    if as_json:
        print_json({"endpoint": listener.endpoint})
    else:
        say(f"Instance metadata of [bold]{instance_id}[/bold] at {listener.endpoint}")
        say(f"  export AWS_EC2_METADATA_SERVICE_ENDPOINT={listener.endpoint}")
    stop.wait()
    listener.shutdown()
    listener.server_close()


def _assuming(client: Any, instance: Instance, seconds: int, delivery: str) -> Callable[[], RoleCredentials]:
    """A function that gets new credentials from the server. Raises RoleUnavailable."""
    from botocore.exceptions import BotoCoreError, ClientError

    from freehold.instance_metadata.role import RoleCredentials, RoleUnavailable

    def assume() -> RoleCredentials:
        try:
            given = client.assume_role_for_service(
                ServiceName="ec2.amazonaws.com",
                InstanceProfileArn=instance.instance_profile_arn,
                RoleSessionName=instance.instance_id,
                SourceArn=instance.arn,
                SourceAccount=instance.account_id,
                DurationSeconds=seconds,
                RoleDelivery=delivery,
            )
        except ClientError as error:
            denied = error.response["Error"]["Code"] == "AccessDeniedException"
            code = "AssumeRoleUnauthorizedAccess" if denied else "InstanceProfileNotFound"
            # What the workload is told names no more than its own role; the operator reads the audit.
            raise RoleUnavailable(
                code, f"EC2 cannot assume the role of {instance.instance_profile_arn}. Please see documentation."
            ) from None
        except BotoCoreError:
            raise RoleUnavailable("Failed", "The server of the role's credentials does not answer.") from None
        credentials = given["Credentials"]
        return RoleCredentials(
            access_key_id=credentials["AccessKeyId"],
            secret_access_key=credentials["SecretAccessKey"],
            session_token=credentials["SessionToken"],
            issued_at=given["IssuedAt"],
            expires_at=credentials["Expiration"],
            role_name=given["RoleName"],
            instance_profile_id=given["InstanceProfileId"],
        )

    return assume
