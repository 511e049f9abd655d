"""A service assumes a role: whom the trust policy lets in, for what, and what the confused deputy doesn't get."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.authentication.credentials import UnknownAccessKey
from freehold.authorization.principal import ANONYMOUS
from freehold.errors import AwsError
from freehold.message import Request
from freehold.services.call import Call
from freehold.services.operation import REGISTRY
from freehold.services.sts.service_roles import ServiceRole, assume_for_service, assume_in_background

EC2 = "ec2.amazonaws.com"
OURS, THEIRS = "{account}", "999988887777"


@pytest.fixture
def role(root: Any) -> Any:
    """Makes the role `worker` with a trust policy of these statements, and gives its ARN."""

    def make(*statements: dict[str, Any]) -> str:
        text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}).replace("{account}", root.account)
        return str(root("CreateRole", RoleName="worker", AssumeRolePolicyDocument=text)["Role"]["Arn"])

    return make


def _trusts(service: Any, effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    principal = "*" if service == "*" else {"Service": service}
    statement = {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole"}
    return statement | ({"Condition": condition} if condition else {})


def _parent(worker: Any) -> Call:
    declared = REGISTRY["sts.GetCallerIdentity"]
    return Call(worker, Request("POST", "/", "", {}), declared, ANONYMOUS, "us-east-1", "request-id", {})


def _events(call: Call) -> list[dict[str, Any]]:
    return [json.loads(event) for event in call.events]


CASES: list[tuple[str, list[dict[str, Any]], dict[str, str], bool]] = [
    ("the service is trusted", [_trusts(EC2)], {}, True),
    ("among others", [_trusts(["rds.amazonaws.com", EC2])], {}, True),
    ("another service is", [_trusts("rds.amazonaws.com")], {}, False),
    ("its own account is", [{"Effect": "Allow", "Principal": {"AWS": OURS}, "Action": "sts:AssumeRole"}], {}, False),
    ("every AWS principal is", [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}], {}, False),
    (
        "for our account, and acts for it",
        [_trusts(EC2, StringEquals={"aws:SourceAccount": OURS})],
        {"source_account": OURS},
        True,
    ),
    (
        "for our account, and acts for another",
        [_trusts(EC2, StringEquals={"aws:SourceAccount": OURS})],
        {"source_account": THEIRS},
        False,
    ),
    ("for our account, and says nothing", [_trusts(EC2, StringEquals={"aws:SourceAccount": OURS})], {}, False),
    (
        "for our account, which the ARN tells",
        [_trusts(EC2, StringEquals={"aws:SourceAccount": OURS})],
        {"source_arn": "arn:aws:ec2:us-east-1:{account}:instance/i-1"},
        True,
    ),
    (
        "for one resource, and acts for it",
        [_trusts(EC2, ArnLike={"aws:SourceArn": "arn:aws:ec2:*:{account}:instance/i-1"})],
        {"source_arn": "arn:aws:ec2:us-east-1:{account}:instance/i-1"},
        True,
    ),
    (
        "for one resource, and acts for another",
        [_trusts(EC2, ArnLike={"aws:SourceArn": "arn:aws:ec2:*:{account}:instance/i-1"})],
        {"source_arn": "arn:aws:ec2:us-east-1:{account}:instance/i-2"},
        False,
    ),
    (
        "but denied for strangers",
        [_trusts(EC2), _trusts("*", "Deny", StringNotEquals={"aws:SourceAccount": OURS})],
        {"source_account": THEIRS},
        False,
    ),
    ("where only services may", [_trusts(EC2, Bool={"aws:PrincipalIsAWSService": "true"})], {}, True),
    ("by its name", [_trusts("*", StringEquals={"aws:PrincipalServiceName": EC2})], {}, True),
    ("where no service may", [_trusts(EC2, Bool={"aws:PrincipalIsAWSService": "false"})], {}, False),
]


@pytest.mark.parametrize(("statements", "source", "allowed"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_the_trust_policy_decides(
    desk: Any, root: Any, role: Any, statements: list[dict[str, Any]], source: dict[str, str], allowed: bool
) -> None:
    arn = role(*statements)
    source = {name: value.replace("{account}", root.account) for name, value in source.items()}
    call = _parent(desk.worker)
    wanted = ServiceRole(service=EC2, role_arn=arn, session_name="i-1", **source)
    if allowed:
        credential = assume_for_service(call, wanted)
        assert credential.principal.arn == f"arn:aws:sts::{root.account}:assumed-role/worker/i-1"
    else:
        with pytest.raises(AwsError) as caught:
            assume_for_service(call, wanted)
        assert caught.value.code == "AccessDenied"
        assert "User: ec2.amazonaws.com is not authorized to perform: sts:AssumeRole" in caught.value.message
    (event,) = _events(call)
    assert event["userIdentity"] == {"type": "AWSService", "invokedBy": EC2}
    assert event["recipientAccountId"] == root.account
    assert event.get("errorCode") == (None if allowed else "AccessDenied")


def test_a_role_that_does_not_exist_is_refused_in_the_same_words(desk: Any, root: Any, role: Any) -> None:
    arn = role(_trusts("rds.amazonaws.com"))
    said = []
    for role_arn in (arn, arn.replace("worker", "nobody")):
        with pytest.raises(AwsError) as caught:
            assume_for_service(_parent(desk.worker), ServiceRole(service=EC2, role_arn=role_arn, session_name="i-1"))
        said.append(caught.value.message.replace(role_arn, "ROLE"))
    assert said[0] == said[1]


def test_the_session_carries_its_source_and_outlives_the_roles_own_limit(desk: Any, root: Any, role: Any) -> None:
    arn = role(_trusts(EC2))
    kept = {"ec2:roledelivery": "2.0"}
    wanted = ServiceRole(service=EC2, role_arn=arn, session_name="i-1", seconds=21_600, kept=kept)
    credential = assume_for_service(_parent(desk.worker), wanted)
    opened = desk.worker.access.lookup(credential.access_key_id, credential.token).principal
    assert opened.session.expires_at - opened.session.issued_at == 21_600
    assert opened.extra_context == kept
    assert not opened.session.chained
    # Deleted, the role takes its sessions with it.
    root("DeleteRole", RoleName="worker")
    with pytest.raises(UnknownAccessKey):
        desk.worker.access.lookup(credential.access_key_id, credential.token)


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": "evil.example.com"},
        {"service": "EC2.amazonaws.com"},
        {"service": "ec2.amazonaws.com.evil.example"},
        {"role_arn": "arn:aws:iam::111122223333:user/ada"},
        {"role_arn": "worker"},
        {"session_name": "a b"},
        {"session_name": ""},
        {"seconds": 899},
        {"seconds": 43_201},
        {"source_arn": "not an arn"},
        {"source_arn": "arn:aws:ec2:us-east-1:111122223333:instance/i-1", "source_account": THEIRS},
    ],
)
def test_what_makes_no_sense_is_refused(desk: Any, role: Any, wrong: dict[str, Any]) -> None:
    given = {"service": EC2, "role_arn": role(_trusts(EC2)), "session_name": "i-1"} | wrong
    with pytest.raises(AwsError) as caught:
        assume_for_service(_parent(desk.worker), ServiceRole(**given))
    assert caught.value.code == "ValidationError"


def test_work_in_the_background_leaves_its_event_before_it_goes_on(desk: Any, role: Any) -> None:
    arn = role(_trusts("s3.amazonaws.com"))
    written: list[bytes] = []

    async def write(events: list[bytes]) -> None:
        written.extend(events)

    desk.worker.audit = SimpleNamespace(write=write)
    for service, code in (("s3.amazonaws.com", None), (EC2, "AccessDenied")):
        wanted = ServiceRole(service=service, role_arn=arn, session_name="replication")
        work = assume_in_background(desk.worker, wanted, region="us-east-1", request_id="r")
        if code is None:
            asyncio.run(work)
        else:
            with pytest.raises(AwsError):
                asyncio.run(work)
        event = json.loads(written.pop())
        assert (event["eventName"], event.get("errorCode")) == ("AssumeRole", code)
        assert "SecretAccessKey" not in json.dumps(event)


def test_the_operators_words_show_no_secret_and_are_the_operators_alone(freehold_server: Any, aws: Any) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": [_trusts("rds.amazonaws.com")]})
    arn = aws.iam.create_role(RoleName="db", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    operator = freehold_server.operator.freehold
    given = operator.assume_role_for_service(
        ServiceName="rds.amazonaws.com", RoleArn=arn, RoleSessionName="s3-import", SourceAccount=aws.account_id
    )
    session = aws.using(given["Credentials"])
    assert session.sts.get_caller_identity()["Arn"] == given["AssumedRoleUser"]["Arn"]
    for client, params, code in (
        (operator, {"ServiceName": EC2, "RoleArn": arn}, "AccessDeniedException"),
        (aws.client("freehold"), {"ServiceName": "rds.amazonaws.com", "RoleArn": arn}, "AccessDeniedException"),
        (session.client("freehold"), {"ServiceName": "rds.amazonaws.com", "RoleArn": arn}, "AccessDeniedException"),
        (operator, {"ServiceName": "rds.amazonaws.com"}, "ValidationException"),
        (operator, {"ServiceName": EC2, "InstanceProfileArn": arn}, "ValidationException"),
        (operator, {"ServiceName": "rds.amazonaws.com", "InstanceProfileArn": arn}, "ValidationException"),
    ):
        with pytest.raises(client.exceptions.ClientError) as caught:
            client.assume_role_for_service(RoleSessionName="s3-import", **params)
        assert caught.value.response["Error"]["Code"] == code, params
    events = aws.cloudtrail.lookup_events()["Events"]
    assert given["Credentials"]["SecretAccessKey"] not in json.dumps([event["CloudTrailEvent"] for event in events])
    assert given["Credentials"]["SessionToken"] not in json.dumps([event["CloudTrailEvent"] for event in events])
