"""`freehold import-iam`: an account as AWS prints it, made here; and what an import may never do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import freehold.testing
from freehold.cli import import_iam

ACCOUNT = Path(__file__).parents[1] / "vectors" / "iam_import" / "account.json"
ID = "742810936155"


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with freehold.testing.server(tmp_path / "server") as running:
        yield running


def run(server: Any, file: Path | str, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    operator = server.operator
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": operator.access_key_id,
        "AWS_SECRET_ACCESS_KEY": operator.secret_access_key,
    }
    command = [sys.executable, "-m", "freehold", "import-iam", str(file), "--endpoint", server.endpoint, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, input=text, timeout=120)


def imported(server: Any, file: Path | str, text: str | None = None) -> tuple[dict[str, Any], Any]:
    """What the command printed, and the new account's root user."""
    done = run(server, file, "--json", text=text)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return made, server._principal(made, made["account_id"])


def exported(account: Any) -> dict[str, Any]:
    """The account's details as the AWS CLI prints them."""
    sections: dict[str, list[Any]] = {}
    for page in account.iam.get_paginator("get_account_authorization_details").paginate():
        for name, value in page.items():
            if isinstance(value, list):
                sections.setdefault(name, []).extend(value)
    found: dict[str, Any] = json.loads(json.dumps(sections, default=lambda value: value.isoformat()))
    return found


def refused(ask: Any, code: str, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ask(**params)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return str(error["Message"])


def test_a_real_account_s_output_becomes_that_account(server: Any) -> None:
    made, root = imported(server, ACCOUNT)
    assert made["account_id"] == ID
    numbers = {"Users": 2, "Groups": 1, "Roles": 2, "Policies": 2, "InstanceProfiles": 1, "Attachments": 3}
    assert made["imported"] == numbers
    maria = root.iam.get_user(UserName="maria")["User"]
    assert maria["UserId"] == "AIDA2ZTH4UYXAMPLE2222"
    assert maria["CreateDate"].isoformat() == "2021-03-04T09:12:44+00:00"
    assert maria["Tags"] == [{"Key": "team", "Value": "payments"}]
    assert maria["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/boundaries/developer")
    versions = root.iam.list_policy_versions(PolicyArn=f"arn:aws:iam::{ID}:policy/release")["Versions"]
    assert [(one["VersionId"], one["IsDefaultVersion"]) for one in versions] == [("v4", True), ("v2", False)]
    profile = root.iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
    assert profile["Roles"][0]["RoleName"] == "web"
    trust = root.iam.get_role(RoleName="release")["Role"]["AssumeRolePolicyDocument"]
    named = trust["Statement"][0]["Principal"]["AWS"]
    assert named[0] == f"arn:aws:iam::{ID}:user/ci/deployer"
    assert named[1:] == ["AROA2ZTH4UYXAMPLEGONE", "arn:aws:iam::999999999999:role/partner"]
    told = {(note["subject"], note["message"].partition(":")[0]) for note in made["notes"]}
    assert ("user maria", "not a member of the group gone, which isn't given") in told
    assert ("user deployer", "not attached") in told
    assert ("role release, inline policy odd", "left out") in told
    assert any("AROA2ZTH4UYXAMPLEGONE" in note["message"] for note in made["notes"])


def test_the_imported_permissions_decide(server: Any) -> None:
    _, root = imported(server, ACCOUNT)
    maria = root.using(root.iam.create_access_key(UserName="maria"))
    maria.iam.get_user(UserName="maria")  # ReadOnlyAccess of the group, within the boundary
    maria.s3.list_buckets()
    message = refused(maria.s3.create_bucket, "AccessDenied", Bucket="denied-by-the-boundary")
    assert "because no permissions boundary allows the s3:CreateBucket action" in message
    deployer = root.using(root.iam.create_access_key(UserName="deployer"))
    release = f"arn:aws:iam::{ID}:role/release"
    session = root.using(deployer.sts.assume_role(RoleArn=release, RoleSessionName="one"))
    assert session.sts.get_caller_identity()["UserId"] == "AROA2ZTH4UYXAMPLE5555:one"
    refused(maria.sts.assume_role, "AccessDenied", RoleArn=release, RoleSessionName="one")
    # Made again under the same name, the deployer isn't trusted: the import bound the trust to the one it was.
    root.iam.delete_access_key(UserName="deployer", AccessKeyId=deployer.access_key_id)
    root.iam.delete_user_policy(UserName="deployer", PolicyName="assume-release")
    root.iam.delete_user(UserName="deployer")
    root.iam.create_user(UserName="deployer", Path="/ci/")
    again = root.using(root.iam.create_access_key(UserName="deployer"))
    refused(again.sts.assume_role, "AccessDenied", RoleArn=release, RoleSessionName="one")


def test_what_is_exported_here_is_imported_elsewhere_and_exported_the_same(
    server: Any, aws: Any, tmp_path: Path
) -> None:
    """`aws` is an account of another server."""
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    )
    arn = aws.iam.create_policy(PolicyName="p", PolicyDocument=document, Path="/a/")["Policy"]["Arn"]
    aws.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document.replace("s3:*", "s3:Get*"), SetAsDefault=True)
    aws.iam.create_group(GroupName="g")
    aws.iam.attach_group_policy(GroupName="g", PolicyArn="arn:aws:iam::aws:policy/SecurityAudit")
    aws.iam.create_user(UserName="u", Path="/b/", Tags=[{"Key": "k", "Value": "v"}])
    aws.iam.add_user_to_group(GroupName="g", UserName="u")
    aws.iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=arn)
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{aws.account_id}:user/b/u"},
    }
    aws.iam.create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    aws.iam.put_role_policy(RoleName="r", PolicyName="i", PolicyDocument=document)
    aws.iam.create_instance_profile(InstanceProfileName="ip")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="ip", RoleName="r")
    before = exported(aws)
    file = tmp_path / "details.json"
    file.write_text(json.dumps(before))
    made, root = imported(server, file)
    assert made["notes"] == []
    assert exported(root) == before
    assert decisions(root) == decisions(aws)


def decisions(account: Any) -> list[tuple[str, str, str]]:
    """What the account's principals may, by simulation."""
    actions = ["s3:GetObject", "s3:PutObject", "iam:GetUser", "ec2:DescribeInstances", "kms:Decrypt"]
    found = []
    for principal in ("user/b/u", "role/r"):
        answer = account.iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{account.account_id}:{principal}", ActionNames=actions
        )
        for one in answer["EvaluationResults"]:
            found.append((principal, one["EvalActionName"], one["EvalDecision"]))
    assert {decision for _, _, decision in found} == {"allowed", "implicitDeny"}
    return found


def test_pages_one_after_the_other_and_in_a_list_are_one_account(server: Any) -> None:
    whole = json.loads(ACCOUNT.read_text())
    pages = [{"UserDetailList": whole["UserDetailList"][:1]}, {**whole, "IsTruncated": False}]
    made, _ = imported(server, "-", "\n".join(map(json.dumps, pages)))
    assert made["imported"]["Users"] == 2
    again = run(server, "-", text=json.dumps(pages))
    assert again.returncode == 1
    assert (
        again.stderr
        == f"freehold: AccountAlreadyExistsException: The account {ID} exists. Only a new account can be imported.\n"
    )


def test_two_thousand_roles_take_seconds(server: Any, tmp_path: Path) -> None:
    role = json.loads(ACCOUNT.read_text())["RoleDetailList"][1]
    statements = [
        {"Sid": f"S{n}", "Effect": "Allow", "Action": [f"s3:Get{n}", "s3:List*"], "Resource": f"arn:aws:s3:::b{n}/*"}
        for n in range(8)
    ]
    roles = []
    for number in range(2_000):
        document = {
            "Version": "2012-10-17",
            "Statement": [{**one, "Sid": f"R{number}{one['Sid']}"} for one in statements],
        }
        roles.append(role | {"RoleName": f"r{number}", "RoleId": f"AROA2ZTH4UYX{number:09d}", "InstanceProfileList": [],
                             "Arn": f"arn:aws:iam::{ID}:role/r{number}",
                             "RolePolicyList": [{"PolicyName": "i", "PolicyDocument": document}]})  # fmt: skip
    file = tmp_path / "big.json"
    file.write_text(json.dumps({"RoleDetailList": roles}))
    began = time.monotonic()
    made, root = imported(server, file)
    assert made["imported"]["Roles"] == 2_000
    assert time.monotonic() - began < 30
    assert root.iam.get_role(RoleName="r1999")["Role"]["RoleId"] == "AROA2ZTH4UYX000001999"


# --- what an import may never do --------------------------------------------------------------------------------------


def upload(operator: Any, details: Any, import_id: str = "0123456789abcdef") -> str:
    packed = details if isinstance(details, bytes) else zlib.compress(json.dumps(details).encode())
    operator.freehold.upload_account_import_part(ImportId=import_id, PartNumber=1, Data=packed)
    return import_id


def test_an_account_that_exists_is_never_touched(server: Any) -> None:
    victim = server.account
    victim.new_user("bob")
    before = exported(victim)
    details = json.loads(ACCOUNT.read_text().replace(ID, victim.account_id))
    import_id = upload(server.operator, details)
    message = refused(
        server.operator.freehold.import_account_authorization_details,
        "AccountAlreadyExistsException",
        ImportId=import_id,
    )
    assert victim.account_id in message
    assert exported(victim) == before


def test_notes_that_say_the_same_are_one_line() -> None:
    notes = [("role a", "it trusts X"), ("role b", "it trusts Y"), ("role c", "it trusts X"), ("role d", "it trusts X")]
    shown = import_iam.by_message([{"Subject": subject, "Message": message} for subject, message in notes])
    assert shown == ["role a and 2 more: it trusts X", "role b: it trusts Y"]


def test_unique_ids_of_others_are_not_taken(server: Any) -> None:
    victim = server.account
    bob = victim.new_user("bob")
    unique_id = victim.iam.get_user(UserName="bob")["User"]["UserId"]
    details = json.loads(ACCOUNT.read_text().replace("AIDA2ZTH4UYXAMPLE2222", unique_id))
    made, root = imported(server, "-", json.dumps(details))
    assert root.iam.get_user(UserName="maria")["User"]["UserId"] != unique_id
    assert any("somebody else's" in note["message"] for note in made["notes"])
    assert bob.sts.get_caller_identity()["Arn"].endswith(f"{victim.account_id}:user/bob")


def test_the_id_of_a_deleted_user_whom_a_bucket_still_trusts_is_not_taken(server: Any) -> None:
    victim = server.account
    victim.new_user("bob")
    unique_id = victim.iam.get_user(UserName="bob")["User"]["UserId"]
    victim.s3.create_bucket(Bucket="victim-bucket")
    arn = f"arn:aws:iam::{victim.account_id}:user/bob"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": arn},
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::victim-bucket/*",
    }
    victim.s3.put_bucket_policy(
        Bucket="victim-bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    for key in victim.iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]:
        victim.iam.delete_access_key(UserName="bob", AccessKeyId=key["AccessKeyId"])
    victim.iam.delete_user(UserName="bob")
    details = json.loads(ACCOUNT.read_text().replace("AIDA2ZTH4UYXAMPLE2222", unique_id))
    _, root = imported(server, "-", json.dumps(details))
    assert root.iam.get_user(UserName="maria")["User"]["UserId"] != unique_id


def test_an_account_that_a_customer_lets_in_is_not_made(server: Any) -> None:
    victim = server.account
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": "*"},
        "Condition": {"StringEquals": {"aws:PrincipalAccount": ID}},
    }
    victim.iam.create_role(
        RoleName="partner", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    message = refused(
        server.operator.freehold.import_account_authorization_details,
        "ValidationException",
        ImportId=upload(server.operator, json.loads(ACCOUNT.read_text())),
    )
    assert "it would be let in there" in message


def test_an_account_that_an_organization_invited_is_not_made(server: Any) -> None:
    """Who invites an account of AWS that isn't here doesn't invite the operator, who could then accept."""
    invited = "414141414141"
    management = server.new_account()
    management.organizations.create_organization(FeatureSet="ALL")
    handshake = management.organizations.invite_account_to_organization(Target={"Id": invited, "Type": "ACCOUNT"})
    management.organizations.cancel_handshake(HandshakeId=handshake["Handshake"]["Id"])
    management.organizations.invite_account_to_organization(Target={"Id": invited, "Type": "ACCOUNT"})
    details = json.loads(ACCOUNT.read_text().replace(ID, invited).replace("2ZTH4UYX", "4ZTH4UYX"))
    message = refused(
        server.operator.freehold.import_account_authorization_details,
        "ValidationException",
        ImportId=upload(server.operator, details),
    )
    assert "it would be let in there" in message


def test_an_account_that_an_organization_s_delegation_names_is_not_made(server: Any) -> None:
    named = "424242424242"
    management = server.new_account()
    management.organizations.create_organization(FeatureSet="ALL")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": management.account_id},
        "Action": "organizations:ListAccounts",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": named}},
    }
    management.organizations.put_resource_policy(
        Content=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    details = json.loads(ACCOUNT.read_text().replace(ID, named).replace("2ZTH4UYX", "5ZTH4UYX"))
    message = refused(
        server.operator.freehold.import_account_authorization_details,
        "ValidationException",
        ImportId=upload(server.operator, details),
    )
    assert "it would be let in there" in message


def test_imported_accounts_may_trust_each_other(server: Any) -> None:
    other = "313131313131"
    details = json.loads(ACCOUNT.read_text().replace("999999999999:role/partner", f"{other}:root"))
    imported(server, "-", json.dumps(details))
    made, _ = imported(server, "-", ACCOUNT.read_text().replace(ID, other).replace("2ZTH4UYX", "3ZTH4UYX"))
    assert made["account_id"] == other


def test_only_the_operator_imports(server: Any) -> None:
    client = server.account.freehold
    refused(client.upload_account_import_part, "AccessDeniedException", ImportId="0" * 16, PartNumber=1, Data=b"x")
    refused(client.import_account_authorization_details, "AccessDeniedException", ImportId="0" * 16)


@pytest.mark.parametrize(
    "details",
    [
        b"not zlib",
        zlib.compress(b"not json"),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b"{}")[:-1],
        zlib.compress(b"\x00" * (130 * 1024 * 1024), 9)[: 512 * 1024],
        {},
        [],
        {"UserDetailList": {}},
        {"UserDetailList": [1]},
        {"UserDetailList": [{"Arn": "arn:aws:iam::111122223333:user/a"}, {"Arn": "arn:aws:iam::444455556666:user/a"}]},
        {"UserDetailList": [{"Arn": "arn:aws-cn:iam::111122223333:user/a"}]},
        {"UserDetailList": [{"Arn": "arn:aws:iam::000000000000:user/a", "UserName": "a"}]},
        # AWS's own account, which templates of buckets for load balancers' logs let in.
        {"UserDetailList": [{"Arn": "arn:aws:iam::127311923021:user/a", "UserName": "a", "UserId": "AIDA" + "A" * 17}]},
    ],
)
def test_what_is_no_account_is_refused_and_leaves_nothing(freehold_server: Any, details: Any) -> None:
    operator = freehold_server.operator
    accounts = len(operator.freehold.list_accounts(MaxResults=1000)["Accounts"])
    import_id = upload(operator, details, f"refused-{time.monotonic_ns()}")
    refused(operator.freehold.import_account_authorization_details, "ValidationException", ImportId=import_id)
    assert len(operator.freehold.list_accounts(MaxResults=1000)["Accounts"]) == accounts


def test_parts_are_forgotten_after_an_hour_and_must_be_all_there(server: Any) -> None:
    operator = server.operator
    ask = operator.freehold.import_account_authorization_details
    refused(ask, "ValidationException", ImportId="never-uploaded-1")
    operator.freehold.upload_account_import_part(ImportId="with-a-gap-00001", PartNumber=2, Data=b"x")
    refused(ask, "ValidationException", ImportId="with-a-gap-00001")
    import_id = upload(operator, json.loads(ACCOUNT.read_text()))
    server.advance(hours=2)
    assert "kept for an hour" in refused(ask, "ValidationException", ImportId=import_id)


def test_a_file_that_is_something_else_is_one_line(server: Any, tmp_path: Path) -> None:
    for content in ("", "{", "[]", "{}", '{"Users": []}', "\x00", "[" * 50_000):
        (tmp_path / "file").write_text(content)
        done = run(server, tmp_path / "file")
        assert done.returncode == 1
        assert done.stderr.startswith("freehold: ")
        assert done.stderr.count("\n") == 1
