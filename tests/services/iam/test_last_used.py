"""When keys and roles were last used: noted by every worker, written in the background, precise to 15 minutes."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from desk import Desk, allow, trust

from freehold.authorization.principal import Principal, Session
from freehold.services.iam.credential_records import LAST_USES, LastUse
from freehold.services.iam.last_used import LastUses
from freehold.testing import server

WRITTEN_WITHIN_SECONDS = 15


@contextmanager
def fails(code: str, status: int = 0, text: str = ""):
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response["Error"]
    assert text in response["Error"]["Message"], response["Error"]
    assert status in (0, response["ResponseMetadata"]["HTTPStatusCode"])


def eventually(look: Any, wanted: Any) -> Any:
    until = time.monotonic() + WRITTEN_WITHIN_SECONDS
    while True:
        seen = look()
        if wanted(seen) or time.monotonic() > until:
            return seen
        time.sleep(0.3)


def test_a_key_s_use_is_told_with_service_and_region(aws: Any) -> None:
    ada = aws.new_user("ada", {"Version": "2012-10-17", "Statement": allow("kms:ListKeys")})
    look = lambda: aws.iam.get_access_key_last_used(AccessKeyId=ada.access_key_id)  # noqa: E731
    unused = look()
    assert unused["UserName"] == "ada"
    assert unused["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    before = time.time()
    with fails("AccessDenied"):
        ada.iam.list_users()  # what is refused was signed all the same
    ada.kms.list_keys()  # within 15 minutes the first use counts
    used = eventually(look, lambda seen: "LastUsedDate" in seen["AccessKeyLastUsed"])["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("iam", "us-east-1")
    assert used["LastUsedDate"].timestamp() >= int(before)


def test_a_role_s_use_is_told(aws: Any) -> None:
    arn = aws.iam.create_role(RoleName="app", AssumeRolePolicyDocument=trust(aws.account_id))["Role"]["Arn"]
    ada = aws.new_user("ada", {"Version": "2012-10-17", "Statement": allow("sts:AssumeRole")})
    session = ada.using(ada.sts.assume_role(RoleArn=arn, RoleSessionName="ada"))
    look = lambda: aws.iam.get_role(RoleName="app")["Role"]["RoleLastUsed"]  # noqa: E731
    assert look() == {}
    session.sts.get_caller_identity()
    assert eventually(look, bool)["Region"] == "us-east-1"
    (detail,) = aws.iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
    assert detail["RoleLastUsed"] == look()


def test_a_role_s_use_is_told_for_400_days_and_a_key_s_always(desk: Desk) -> None:
    root = desk.account()
    role = root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(root.account))["Role"]
    ada = desk.user(root, "ada")
    now = int(desk.clock.now_seconds())
    use = LastUse(at=now, service="s3", region="us-east-1")
    for who in (role["RoleId"], ada.id):
        desk.worker.records.submit(lambda tx, who=who: LAST_USES.put(tx, (who,), use)).result(10)

    def told() -> list[Any]:
        (detail,) = root("GetAccountAuthorizationDetails", Filter=["Role"])["RoleDetailList"]
        return [root("GetRole", RoleName="app")["Role"]["RoleLastUsed"], detail["RoleLastUsed"]]

    desk.clock.advance(400 * 86_400 - 60)
    assert [one["Region"] for one in told()] == ["us-east-1", "us-east-1"]
    desk.clock.advance(120)
    assert told() == [{}, {}]
    assert root("GetAccessKeyLastUsed", AccessKeyId=ada.id)["AccessKeyLastUsed"]["ServiceName"] == "s3"


def test_who_may_ask_for_a_key_s_use(freehold_server: Any, aws: Any) -> None:
    own = f"arn:aws:iam::{aws.account_id}:user/ada"
    ask = allow("iam:GetAccessKeyLastUsed", resource=own)
    ada = aws.new_user("ada", {"Version": "2012-10-17", "Statement": ask})
    bob = aws.new_user("bob")
    assert ada.iam.get_access_key_last_used(AccessKeyId=ada.access_key_id)["UserName"] == "ada"
    elsewhere = freehold_server.new_account().access_key_id
    for key in (bob.access_key_id, aws.access_key_id, elsewhere, "AKIAIOSFODNN7EXAMPLE"):
        with fails("AccessDenied", 403, "is not authorized to perform: iam:GetAccessKeyLastUsed"):
            ada.iam.get_access_key_last_used(AccessKeyId=key)
    for key in (elsewhere, "AKIAIOSFODNN7EXAMPLE"):
        with fails("AccessDenied", 403):
            aws.iam.get_access_key_last_used(AccessKeyId=key)
    assert aws.iam.get_access_key_last_used(AccessKeyId=aws.access_key_id)["UserName"] == aws.account_id


def test_what_was_noted_is_written_when_the_server_stops() -> None:
    with server(workers=2) as running:
        aws = running.new_account()
        users = [aws.new_user(f"user-{number}") for number in range(6)]
        for user in users:
            user.sts.get_caller_identity()
        running.stop()
        running.start()
        for user in users:
            used = aws.iam.get_access_key_last_used(AccessKeyId=user.access_key_id)["AccessKeyLastUsed"]
            assert used["ServiceName"] == "sts"
        assert running.log() == ""


def user(key_id: str) -> Principal:
    return Principal("user", "123456789012", unique_id="AIDA", access_key_id=key_id)


def session_of(issuer_id: str) -> Principal:
    session = Session(0, 10**10, issuer_unique_id=issuer_id)
    return Principal("role", "123456789012", access_key_id="ASIA", session=session)


async def _write(uses: LastUses) -> None:
    await uses.write_out()


def test_of_uses_within_15_minutes_the_first_counts_also_between_workers(desk: Desk) -> None:
    one, other = LastUses(desk.worker.records), LastUses(desk.another_worker().records)
    read = lambda: LAST_USES.get(desk.worker.records.reader(), ("AKIA1",))  # noqa: E731
    one.note(user("AKIA1"), "s3", "eu-west-1", 1000.0)
    one.note(user("AKIA1"), "kms", "eu-west-1", 1500.0)
    other.note(user("AKIA1"), "iam", "eu-west-1", 1600.0)
    asyncio.run(_write(other))
    asyncio.run(_write(one))
    first = read()
    assert first is not None
    assert (first.at, first.service) == (1600, "iam")  # whoever writes first
    one.note(user("AKIA1"), "s3", "eu-west-1", 2600.0)
    asyncio.run(_write(one))
    later = read()
    assert later is not None
    assert (later.at, later.service) == (2600, "s3")


def test_only_keys_and_roles_are_written(desk: Desk) -> None:
    uses = LastUses(desk.worker.records)
    uses.note(session_of("AROA1"), "s3", "eu-west-1", 1000.0)
    uses.note(session_of("AIDA1"), "s3", "eu-west-1", 1000.0)
    uses.note(session_of("123456789012"), "s3", "eu-west-1", 1000.0)
    asyncio.run(_write(uses))
    assert [key for key, _ in LAST_USES.scan(desk.worker.records.reader())] == [("AROA1",)]


def test_what_could_not_be_written_stays_noted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    uses = LastUses(desk.worker.records)
    uses.note(user("AKIA1"), "s3", "eu-west-1", 1000.0)

    def fail(work: Any) -> Any:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(desk.worker.records, "submit_async", fail)
        with pytest.raises(OSError, match="no room"):
            asyncio.run(_write(uses))
    asyncio.run(_write(uses))
    assert LAST_USES.get(desk.worker.records.reader(), ("AKIA1",)) is not None


def test_writing_uses_down_leaves_the_caches_alone(desk: Desk) -> None:
    before = desk.counters.read("iam")
    uses = LastUses(desk.worker.records)
    uses.note(user("AKIA1"), "s3", "eu-west-1", 1000.0)
    asyncio.run(_write(uses))
    assert desk.counters.read("iam") == before
