"""The credential report: AWS's columns, a new one every four hours."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from typing import Any

import pytest
from authenticator import enabled
from botocore.exceptions import ClientError

PASSWORD = "Correct-Horse-1"


@contextmanager
def fails(code: str, status: int = 0, text: str = ""):
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response["Error"]
    assert text in response["Error"]["Message"], response["Error"]
    assert status in (0, response["ResponseMetadata"]["HTTPStatusCode"])


def report(aws: Any) -> dict[str, dict[str, str]]:
    got = aws.iam.get_credential_report()
    assert got["ReportFormat"] == "text/csv"
    return {row["user"]: row for row in csv.DictReader(io.StringIO(got["Content"].decode()))}


def test_the_report_tells_what_each_user_can_sign_in_with(freehold_server: Any, aws: Any) -> None:
    with fails("ReportNotPresent", 410):
        aws.iam.get_credential_report()
    aws.iam.update_account_password_policy(MaxPasswordAge=10)
    aws.iam.create_user(UserName="zoe")
    ada = aws.new_user("ada")
    aws.iam.create_access_key(UserName="ada")
    aws.iam.create_login_profile(UserName="ada", Password=PASSWORD)
    enabled(freehold_server, aws, "ada")
    aws.iam.update_access_key(UserName="ada", AccessKeyId=ada.access_key_id, Status="Inactive")
    bob = aws.iam.create_user(UserName="bob")["User"]
    aws.iam.create_login_profile(UserName="bob", Password=PASSWORD)
    aws.client("freehold").sign_in(Account=aws.account_id, UserName="bob", Password=PASSWORD)
    assert aws.iam.generate_credential_report()["State"] == "COMPLETE"
    rows = report(aws)
    assert list(rows) == ["<root_account>", "ada", "bob", "zoe"]
    root, of_ada, of_bob, of_zoe = rows.values()
    assert (root["arn"], root["password_enabled"]) == (f"arn:aws:iam::{aws.account_id}:root", "false")
    assert (root["password_last_changed"], root["access_key_1_active"]) == ("not_supported", "true")
    assert (of_ada["password_enabled"], of_ada["password_last_used"]) == ("true", "no_information")
    assert of_ada["mfa_active"] == "true"
    assert (of_ada["access_key_1_active"], of_ada["access_key_2_active"]) == ("false", "true")
    assert of_bob["user_creation_time"] == bob["CreateDate"].strftime("%Y-%m-%dT%H:%M:%S+00:00")
    assert (of_bob["mfa_active"], of_bob["access_key_1_active"]) == ("false", "false")
    changed, due, used = (of_bob[f"password_{name}"] for name in ("last_changed", "next_rotation", "last_used"))
    assert changed <= used < due
    assert (of_zoe["password_enabled"], of_zoe["password_last_used"]) == ("false", "N/A")
    assert {of_zoe[f"access_key_1_{name}"] for name in ("last_rotated", "last_used_date")} == {"N/A"}
    assert list(of_zoe)[-4:] == ["cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"]


def test_a_report_is_good_for_four_hours(freehold_server: Any, aws: Any) -> None:
    aws.iam.generate_credential_report()
    first = aws.iam.get_credential_report()
    aws.iam.create_user(UserName="ada")
    aws.iam.generate_credential_report()
    again = aws.iam.get_credential_report()
    assert (again["GeneratedTime"], again["Content"]) == (first["GeneratedTime"], first["Content"])
    freehold_server.advance(hours=4)
    with fails("ReportExpired", 410):
        aws.iam.get_credential_report()
    aws.iam.generate_credential_report()
    assert list(report(aws)) == ["<root_account>", "ada"]


def test_a_name_is_no_second_column(aws: Any) -> None:
    aws.iam.create_user(UserName="=cmd,x@y")
    aws.iam.generate_credential_report()
    assert report(aws)["=cmd,x@y"]["password_enabled"] == "false"
