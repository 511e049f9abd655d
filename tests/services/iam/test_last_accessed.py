"""Which services policies give access to, and when they were last used, from the trail."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from desk import Desk, Key, allow, deny, policy, refused, trust

from freehold.audit.history import Place, Told
from freehold.authorization.document import parse
from freehold.crypto.aead import IntegrityError
from freehold.services.iam import access_index, access_jobs, service_access

# Which services


GRANTS: list[tuple[str, list[dict[str, Any]], str, bool]] = [
    ("everything", [allow("*")], "kms", True),
    ("the whole service", [allow("s3:*")], "s3", True),
    ("some actions", [allow("s3:Get*")], "s3", True),
    ("one action, in any case", [allow("S3:getobject")], "s3", True),
    ("no action that exists", [allow("s3:Frobnicate")], "s3", False),
    ("another service", [allow("s3:*")], "kms", False),
    ("only a denial", [deny("s3:*")], "s3", False),
    ("what is denied again", [allow("s3:GetObject"), deny("s3:*")], "s3", False),
    ("what is partly denied", [allow("s3:*"), deny("s3:GetObject")], "s3", True),
    ("what is denied somewhere", [allow("s3:*"), deny("s3:*", resource="arn:aws:s3:::x")], "s3", True),
    ("what is denied sometimes", [allow("s3:*"), deny("s3:*", Condition={"Bool": {"a:b": "true"}})], "s3", True),
    ("everything but another", [{"Effect": "Allow", "NotAction": "kms:*", "Resource": "*"}], "s3", True),
    ("everything but it", [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}], "s3", False),
    ("everything but some of it", [{"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}], "s3", True),
    ("everything but everything", [{"Effect": "Allow", "NotAction": "*", "Resource": "*"}], "s3", False),
    (
        "everything, all denied but some",
        [allow("*"), {"Effect": "Deny", "NotAction": "s3:Get*", "Resource": "*"}],
        "s3",
        True,
    ),
    (
        "everything, it alone not denied",
        [allow("*"), {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}],
        "kms",
        False,
    ),
]


@pytest.mark.parametrize(
    ("statements", "prefix", "wanted"), [row[1:] for row in GRANTS], ids=[row[0] for row in GRANTS]
)
def test_a_policy_grants(statements: list[dict[str, Any]], prefix: str, wanted: bool) -> None:
    policies = [parse(policy(*statements))]
    assert service_access.grants(policies, prefix) is wanted
    assert (prefix in service_access.granted(policies)) is wanted


def test_the_policies_that_grant_are_listed_by_service(desk: Desk, root: Key) -> None:
    desk.user(root, "ada", allow("s3:GetObject", "kms:Decrypt"))
    root("CreateGroup", GroupName="team")
    root("AddUserToGroup", GroupName="team", UserName="ada")
    root("PutGroupPolicy", GroupName="team", PolicyName="put", PolicyDocument=policy(allow("s3:PutObject")))
    readonly = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    root("AttachGroupPolicy", GroupName="team", PolicyArn=readonly)
    root("PutUserPermissionsBoundary", UserName="ada", PermissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess")
    ada = f"arn:aws:iam::{root.account}:user/ada"
    found = root("ListPoliciesGrantingServiceAccess", Arn=ada, ServiceNamespaces=["s3", "kms", "ec2", "s3"])
    assert found["IsTruncated"] is False
    own = {"PolicyName": "inline", "PolicyType": "INLINE", "EntityType": "USER", "EntityName": "ada"}
    assert found["PoliciesGrantingServiceAccess"] == [
        {"ServiceNamespace": "ec2", "Policies": []},
        {"ServiceNamespace": "kms", "Policies": [own]},
        {
            "ServiceNamespace": "s3",
            "Policies": [
                own,
                {"PolicyName": "put", "PolicyType": "INLINE", "EntityType": "GROUP", "EntityName": "team"},
                {"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyType": "MANAGED", "PolicyArn": readonly},
            ],
        },
    ]
    with refused("InvalidInput", "nonsense"):
        root("ListPoliciesGrantingServiceAccess", Arn=ada, ServiceNamespaces=["nonsense"])
    with refused("NoSuchEntity"):
        root("ListPoliciesGrantingServiceAccess", Arn=ada.replace("ada", "bob"), ServiceNamespaces=["s3"])


# The trail, as a list


class Trail:
    """History with events of the test's making."""

    def __init__(self) -> None:
        self.events: list[tuple[int, bytes]] = []
        self.told = 0
        self.damaged = False

    def add(self, at: int, entity_id: str, account: str, source: str, name: str, **more: Any) -> None:
        role = entity_id.startswith("AROA")
        identity: dict[str, Any] = {
            "type": "AssumedRole" if role else "IAMUser",
            "principalId": f"{entity_id}:session" if role else entity_id,
            "accountId": account,
        }
        if role:
            identity["sessionContext"] = {"sessionIssuer": {"principalId": entity_id}}
        event = {
            "userIdentity": identity,
            "eventTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": f"{source}.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1",
            "recipientAccountId": account,
        } | more
        self.events.append((at, json.dumps(event).encode()))

    def newest_first(self, before: Place | None, newest_us: int, oldest_us: int) -> Iterator[Told]:
        if self.damaged:
            raise IntegrityError
        ordered = sorted(enumerate(self.events), key=lambda row: (row[1][0], row[0]), reverse=True)
        for number, (at, event) in ordered:
            place = Place(at * 1_000_000, "trail", number, 0)
            if oldest_us <= place.time_us <= newest_us and (before is None or place < before):
                self.told += 1
                yield Told(place, event)


@pytest.fixture
def trail(desk: Desk) -> Trail:
    made = Trail()
    desk.worker.audit = SimpleNamespace(history=made)  # type: ignore[attr-defined]
    return made


def report(key: Key, arn: str, **params: Any) -> tuple[str, dict[str, Any]]:
    """(job id, the services by namespace), once the job is completed."""
    job = key("GenerateServiceLastAccessedDetails", Arn=arn, **params)["JobId"]
    return job, {one["ServiceNamespace"]: one for one in outcome(key, job)["ServicesLastAccessed"]}


def outcome(key: Key, job: str) -> dict[str, Any]:
    for _ in range(500):
        found = key("GetServiceLastAccessedDetails", JobId=job, MaxItems=1000)
        if found["JobStatus"] != "IN_PROGRESS":
            return found
        time.sleep(0.01)
    raise AssertionError("the job did not end")


@pytest.fixture
def now(desk: Desk) -> int:
    return int(desk.clock.now_seconds())


def _user(desk: Desk, root: Key, name: str, *statements: dict[str, Any]) -> tuple[str, str]:
    """(unique id, ARN)."""
    desk.user(root, name, *statements)
    shown = root("GetUser", UserName=name)["User"]
    return shown["UserId"], shown["Arn"]


def test_a_users_report_tells_what_was_used_of_what_is_allowed(desk: Desk, root: Key, trail: Trail, now: int) -> None:
    ada, arn = _user(desk, root, "ada", allow("s3:*", "kms:Decrypt", "sts:GetAccessKeyInfo"))
    trail.add(now - 500, ada, root.account, "s3", "ListBuckets")
    trail.add(now - 300, ada, root.account, "s3", "GetObject", errorCode="AccessDenied")
    trail.add(now - 900, ada, root.account, "s3", "GetObject")
    trail.add(now - 100, ada, root.account, "ec2", "DescribeImages")
    trail.add(now - 50, "AIDASOMEBODYELSE", root.account, "kms", "Decrypt")
    trail.add(now - 50, ada, root.account, "kms", "Decrypt", recipientAccountId="999988887777")
    trail.add(now - 401 * 86_400, ada, root.account, "sts", "GetAccessKeyInfo")
    job, services = report(root, arn, Granularity="ACTION_LEVEL")
    assert list(services) == ["kms", "s3", "sts"]
    assert services["s3"]["LastAuthenticated"] == datetime.fromtimestamp(now - 300, UTC)
    assert (services["s3"]["LastAuthenticatedEntity"], services["s3"]["LastAuthenticatedRegion"]) == (arn, "us-east-1")
    assert services["s3"]["ServiceName"] == "Amazon S3"
    actions = {one["ActionName"]: one["LastAccessedTime"] for one in services["s3"]["TrackedActionsLastAccessed"]}
    assert actions == {
        "GetObject": datetime.fromtimestamp(now - 300, UTC),
        "ListAllMyBuckets": datetime.fromtimestamp(now - 500, UTC),
    }
    for unused in ("kms", "sts"):
        assert services[unused]["TotalAuthenticatedEntities"] == 0
        assert "LastAuthenticated" not in services[unused]
    assert outcome(root, job)["JobType"] == "ACTION_LEVEL"
    _, plain = report(root, arn)
    assert "TrackedActionsLastAccessed" not in plain["s3"]


def test_groups_roles_and_policies_tell_who(desk: Desk, root: Key, trail: Trail, now: int) -> None:
    ada, ada_arn = _user(desk, root, "ada")
    bob, _ = _user(desk, root, "bob")
    root("CreateGroup", GroupName="team")
    for name in ("ada", "bob"):
        root("AddUserToGroup", GroupName="team", UserName=name)
    root("PutGroupPolicy", GroupName="team", PolicyName="put", PolicyDocument=policy(allow("s3:PutObject")))
    made = root("CreatePolicy", PolicyName="keys", PolicyDocument=policy(allow("kms:*")))["Policy"]["Arn"]
    root("AttachGroupPolicy", GroupName="team", PolicyArn=made)
    role = root("CreateRole", RoleName="worker", AssumeRolePolicyDocument=trust("*"))["Role"]
    root("AttachRolePolicy", RoleName="worker", PolicyArn=made)
    trail.add(now - 60, ada, root.account, "s3", "PutObject")
    trail.add(now - 30, bob, root.account, "kms", "Decrypt")
    trail.add(now - 20, role["RoleId"], root.account, "kms", "Encrypt")
    job, services = report(root, f"arn:aws:iam::{root.account}:group/team")
    assert (services["s3"]["LastAuthenticatedEntity"], services["s3"]["TotalAuthenticatedEntities"]) == (ada_arn, 1)
    found = root("GetServiceLastAccessedDetailsWithEntities", JobId=job, ServiceNamespace="s3")["EntityDetailsList"]
    assert [(one["EntityInfo"]["Name"], "LastAuthenticated" in one) for one in found] == [("ada", True), ("bob", False)]
    job, services = report(root, made)
    assert (services["kms"]["LastAuthenticatedEntity"], services["kms"]["TotalAuthenticatedEntities"]) == (
        role["Arn"],
        2,
    )
    pages, marker = [], {}
    while True:
        page = root(
            "GetServiceLastAccessedDetailsWithEntities", JobId=job, ServiceNamespace="kms", MaxItems=1, **marker
        )
        pages += [(one["EntityInfo"]["Name"], one["EntityInfo"]["Type"]) for one in page["EntityDetailsList"]]
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    assert pages == [("worker", "ROLE"), ("bob", "USER"), ("ada", "USER")]
    with refused("NoSuchEntity", "no service ec2"):
        root("GetServiceLastAccessedDetailsWithEntities", JobId=job, ServiceNamespace="ec2")
    _, services = report(root, role["Arn"])
    assert services["kms"]["LastAuthenticatedEntity"] == role["Arn"]
    _, services = report(root, "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert services["s3"]["TotalAuthenticatedEntities"] == 0


def test_what_was_read_is_not_read_again(
    desk: Desk, root: Key, trail: Trail, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, arn = _user(desk, root, "ada", allow("s3:*"))
    for number in range(40):
        trail.add(now - 10_000 - number, ada, root.account, "s3", "GetObject")
    monkeypatch.setattr(access_index, "SLICE_BYTES", 2_000)
    report(root, arn)
    assert 40 <= trail.told <= 60, "each event is read once, however many slices there are"
    trail.told = 0
    trail.add(now - 5, ada, root.account, "s3", "PutObject")
    _, services = report(root, arn, Granularity="ACTION_LEVEL")
    assert trail.told == 1
    assert services["s3"]["LastAuthenticated"] == datetime.fromtimestamp(now - 5, UTC)
    assert {one["ActionName"] for one in services["s3"]["TrackedActionsLastAccessed"]} == {"GetObject", "PutObject"}


def test_what_is_older_than_the_tracking_period_is_forgotten(desk: Desk, root: Key, trail: Trail, now: int) -> None:
    ada, arn = _user(desk, root, "ada", allow("s3:*", "kms:*"))
    trail.add(now - 390 * 86_400, ada, root.account, "s3", "GetObject")
    trail.add(now - 10, ada, root.account, "kms", "Decrypt")
    assert report(root, arn)[1]["s3"]["TotalAuthenticatedEntities"] == 1
    desk.clock.advance(20 * 86_400)
    services = report(root, arn)[1]
    assert [services[one]["TotalAuthenticatedEntities"] for one in ("kms", "s3")] == [1, 0]
    rows = [key[2] for key, _ in access_index.ACCESSES.scan(desk.worker.records.reader())]
    assert rows == ["kms"]


def test_a_reading_that_is_too_long_says_so_and_goes_on_with_the_next_report(
    desk: Desk, root: Key, trail: Trail, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, arn = _user(desk, root, "ada", allow("s3:*"))
    for number in range(30):
        trail.add(now - 1000 - number, ada, root.account, "s3", "GetObject")
    trail.add(now - 5000, ada, root.account, "s3", "PutObject")
    monkeypatch.setattr(access_index, "SLICE_BYTES", 1_000)
    monkeypatch.setattr(access_index, "MOST_READ_BYTES", 6_000)
    outcomes = []
    for _ in range(8):
        job = root("GenerateServiceLastAccessedDetails", Arn=arn, Granularity="ACTION_LEVEL")["JobId"]
        outcomes.append(outcome(root, job))
        if outcomes[-1]["JobStatus"] == "COMPLETED":
            break
    assert outcomes[0]["JobStatus"] == "FAILED"
    assert "goes on from here" in outcomes[0]["Error"]["Message"]
    (service,) = outcomes[-1]["ServicesLastAccessed"]
    assert {one["ActionName"] for one in service["TrackedActionsLastAccessed"]} == {"GetObject", "PutObject"}


def test_a_damaged_trail_fails_the_report_and_not_the_server(desk: Desk, root: Key, trail: Trail) -> None:
    _, arn = _user(desk, root, "ada", allow("s3:*"))
    trail.damaged = True
    found = outcome(root, root("GenerateServiceLastAccessedDetails", Arn=arn)["JobId"])
    assert (found["JobStatus"], found["ServicesLastAccessed"]) == ("FAILED", [])
    assert "freehold audit verify" in found["Error"]["Message"]
    trail.damaged = False
    assert list(report(root, arn)[1]) == ["s3"]


def test_events_of_any_other_form_are_passed_over(desk: Desk, root: Key, trail: Trail, now: int) -> None:
    ada, arn = _user(desk, root, "ada", allow("s3:*"))
    for event in (b"{}", b"[]", b'{"userIdentity": 3}', b'{"userIdentity": {"type": "AWSService"}, "eventTime": "x"}'):
        trail.events.append((now - 10, event))
    trail.add(
        now - 10, ada, root.account, "s3", "GetObject", userIdentity={"type": "Root", "principalId": root.account}
    )
    trail.add(now - 20, ada, root.account, "s3", "NewOperation")
    _, services = report(root, arn, Granularity="ACTION_LEVEL")
    assert services["s3"]["LastAuthenticated"] == datetime.fromtimestamp(now - 20, UTC)
    assert "TrackedActionsLastAccessed" not in services["s3"]


def test_a_report_is_for_who_asked_and_for_a_week(desk: Desk, root: Key, trail: Trail) -> None:
    _, arn = _user(desk, root, "ada", allow("s3:*"))
    bob = desk.user(root, "bob", allow("iam:*"))
    job, _ = report(bob, arn)
    for other in (root, desk.user(root, "carol", allow("iam:*")), desk.account("other")):
        with refused("NoSuchEntity", "cannot be found"):
            other("GetServiceLastAccessedDetails", JobId=job)
        with refused("NoSuchEntity", "cannot be found"):
            other("GetServiceLastAccessedDetailsWithEntities", JobId=job, ServiceNamespace="s3")
    desk.clock.advance(8 * 86_400)
    with refused("NoSuchEntity"):
        bob("GetServiceLastAccessedDetails", JobId=job)


def test_a_report_that_never_ends_is_told_as_failed(
    desk: Desk, root: Key, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arn = _user(desk, root, "ada", allow("s3:*"))
    monkeypatch.setattr(access_jobs._Reports, "start", lambda self, key: None)
    job = root("GenerateServiceLastAccessedDetails", Arn=arn)["JobId"]
    assert root("GetServiceLastAccessedDetails", JobId=job)["JobStatus"] == "IN_PROGRESS"
    desk.clock.advance(3600)
    assert root("GetServiceLastAccessedDetails", JobId=job)["JobStatus"] == "FAILED"


def test_an_account_keeps_so_many_reports(desk: Desk, root: Key, trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    _, arn = _user(desk, root, "ada", allow("s3:*"))
    monkeypatch.setattr(access_jobs, "MOST_JOBS", 3)
    jobs = []
    for _ in range(4):
        jobs.append(report(root, arn)[0])
        desk.clock.advance(1)
    with refused("NoSuchEntity"):
        root("GetServiceLastAccessedDetails", JobId=jobs[0])
    assert root("GetServiceLastAccessedDetails", JobId=jobs[1])["JobStatus"] == "COMPLETED"


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("arn:aws:iam::{account}:user/nobody", "NoSuchEntity"),
        ("arn:aws:iam::{account}:policy/nothing", "NoSuchEntity"),
        ("arn:aws:iam::aws:policy/NoSuchPolicyOfAws", "NoSuchEntity"),
        ("arn:aws:iam::{account}:root", "InvalidInput"),
        ("arn:aws:s3:::a-bucket-of-ours", "InvalidInput"),
        ("arn:aws:iam::999988887777:user/ada", "AccessDenied"),
    ],
)
def test_only_what_exists_in_the_account_is_reported_on(
    desk: Desk, root: Key, trail: Trail, arn: str, code: str
) -> None:
    asking = desk.user(root, "asking", allow("iam:*"))
    with refused(code):
        asking("GenerateServiceLastAccessedDetails", Arn=arn.replace("{account}", root.account))


# A real server


def test_real_calls_are_in_a_real_report(aws: Any) -> None:
    user = aws.new_user("ada", json.loads(policy(allow("s3:ListAllMyBuckets", "kms:ListKeys", "sts:*"))))
    user.s3.list_buckets()
    arn = user.sts.get_caller_identity()["Arn"]
    job = aws.iam.generate_service_last_accessed_details(Arn=arn, Granularity="ACTION_LEVEL")["JobId"]
    for _ in range(300):
        found = aws.iam.get_service_last_accessed_details(JobId=job)
        if found["JobStatus"] != "IN_PROGRESS":
            break
        time.sleep(0.02)
    assert found["JobStatus"] == "COMPLETED", found
    services = {one["ServiceNamespace"]: one for one in found["ServicesLastAccessed"]}
    assert list(services) == ["kms", "s3", "sts"]
    assert services["s3"]["LastAuthenticatedEntity"] == arn
    assert [one["ActionName"] for one in services["s3"]["TrackedActionsLastAccessed"]] == ["ListAllMyBuckets"]
    assert "LastAuthenticated" in services["sts"]
    assert "LastAuthenticated" not in services["kms"]
