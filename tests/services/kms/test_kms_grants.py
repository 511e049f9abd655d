"""Grants: what they allow, what they can't be made to allow, and how they end; boto3 against a live server."""

from __future__ import annotations

import json
from typing import Any

import pytest

DENIED = "AccessDeniedException"


@pytest.fixture
def key(aws: Any) -> str:
    made: str = aws.kms.create_key()["KeyMetadata"]["Arn"]
    return made


def arn(account: Any, name: str) -> str:
    return f"arn:aws:iam::{account.account_id}:user/{name}"


def may(actions: Any, resource: str = "*") -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]}


def test_a_grant_allows_its_operations_to_its_grantee_at_once(aws: Any, key: str, refused: Any) -> None:
    user, other = aws.new_user("user"), aws.new_user("other")
    with refused(DENIED):
        user.kms.encrypt(KeyId=key, Plaintext=b"text")
    given = aws.kms.create_grant(KeyId=key, GranteePrincipal=arn(aws, "user"), Operations=["Encrypt", "DescribeKey"])
    blob = user.kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
    user.kms.encrypt(KeyId=key, Plaintext=b"text", GrantTokens=[given["GrantToken"]])
    user.kms.describe_key(KeyId=key, GrantTokens=[given["GrantToken"]])
    with refused(DENIED):
        user.kms.decrypt(CiphertextBlob=blob)
    with refused(DENIED):
        other.kms.encrypt(KeyId=key, Plaintext=b"text", GrantTokens=[given["GrantToken"]])
    aws.kms.revoke_grant(KeyId=key, GrantId=given["GrantId"])
    with refused(DENIED):
        user.kms.encrypt(KeyId=key, Plaintext=b"text", GrantTokens=[given["GrantToken"]])


CONSTRAINTS: list[tuple[dict[str, Any], dict[str, str], bool]] = [
    ({"EncryptionContextSubset": {"a": "1"}}, {"a": "1", "b": "2"}, True),
    ({"EncryptionContextSubset": {"a": "1"}}, {"a": "2"}, False),
    ({"EncryptionContextSubset": {"a": "1"}}, {}, False),
    ({"EncryptionContextEquals": {"a": "1"}}, {"a": "1"}, True),
    ({"EncryptionContextEquals": {"a": "1"}}, {"a": "1", "b": "2"}, False),
    ({"SourceArn": "arn:aws:dynamodb:us-east-1:111122223333:table/t"}, {}, False),
]


@pytest.mark.parametrize(("constraints", "context", "allowed"), CONSTRAINTS)
def test_constraints_bind_a_grant_to_an_encryption_context(
    aws: Any, key: str, refused: Any, constraints: dict[str, Any], context: dict[str, str], allowed: bool
) -> None:
    user = aws.new_user("user")
    operations = ["GenerateDataKey", "Decrypt"]
    aws.kms.create_grant(KeyId=key, GranteePrincipal=arn(aws, "user"), Operations=operations, Constraints=constraints)
    if allowed:
        made = user.kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)
        assert user.kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)["Plaintext"]
    else:
        with refused(DENIED):
            user.kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)


def test_a_role_is_granted_to_all_its_sessions(aws: Any, key: str, refused: Any) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}]}
    document = json.dumps({"Version": "2012-10-17", **trust})
    role = aws.iam.create_role(RoleName="app", Path="/teams/", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    user = aws.new_user("user", may("sts:AssumeRole"))
    session = aws.using(user.sts.assume_role(RoleArn=role, RoleSessionName="one"))
    with refused(DENIED):
        session.kms.encrypt(KeyId=key, Plaintext=b"text")
    aws.kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Encrypt"])
    session.kms.encrypt(KeyId=key, Plaintext=b"text")
    with refused(DENIED):
        user.kms.encrypt(KeyId=key, Plaintext=b"text")


def test_one_session_may_be_granted_alone(aws: Any, key: str, refused: Any) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}]}
    document = json.dumps({"Version": "2012-10-17", **trust})
    role = aws.iam.create_role(RoleName="app", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    user = aws.new_user("user", may("sts:AssumeRole"))
    one, two = (aws.using(user.sts.assume_role(RoleArn=role, RoleSessionName=name)) for name in ("one", "two"))
    session = f"arn:aws:sts::{aws.account_id}:assumed-role/app/one"
    aws.kms.create_grant(KeyId=key, GranteePrincipal=session, Operations=["Encrypt"])
    one.kms.encrypt(KeyId=key, Plaintext=b"text")
    with refused(DENIED):
        two.kms.encrypt(KeyId=key, Plaintext=b"text")
    assert aws.kms.list_grants(KeyId=key)["Grants"][0]["GranteePrincipal"] == session


def test_a_grant_cannot_be_widened_by_who_holds_it(aws: Any, key: str, refused: Any) -> None:
    user, friend = aws.new_user("user"), aws.new_user("friend")
    aws.kms.create_grant(
        KeyId=key,
        GranteePrincipal=arn(aws, "user"),
        Operations=["CreateGrant", "Encrypt"],
        Constraints={"EncryptionContextSubset": {"team": "a"}},
    )
    strict = {"EncryptionContextSubset": {"team": "a", "env": "test"}}
    to = {"KeyId": key, "GranteePrincipal": arn(aws, "friend")}
    with refused(DENIED):
        user.kms.create_grant(**to, Operations=["Decrypt"], Constraints=strict)
    with refused(DENIED):
        user.kms.create_grant(**to, Operations=["Encrypt"])
    with refused(DENIED):
        user.kms.create_grant(**to, Operations=["Encrypt"], Constraints={"EncryptionContextSubset": {"env": "test"}})
    with refused(DENIED):
        user.kms.put_key_policy(KeyId=key, Policy=aws.kms.get_key_policy(KeyId=key)["Policy"])
    user.kms.create_grant(**to, Operations=["Encrypt"], Constraints=strict)
    with refused(DENIED):
        friend.kms.encrypt(KeyId=key, Plaintext=b"text", EncryptionContext={"team": "a"})
    friend.kms.encrypt(KeyId=key, Plaintext=b"text", EncryptionContext={"team": "a", "env": "test"})
    with refused(DENIED):
        friend.kms.create_grant(KeyId=key, GranteePrincipal=arn(aws, "friend"), Operations=["Encrypt"])


def test_who_may_create_grants_may_be_limited_to_services_or_operations(aws: Any, key: str, refused: Any) -> None:
    for name, condition in (
        ("service", {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        ("limited", {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}}),
        ("to-one", {"StringEquals": {"kms:GranteePrincipal": arn(aws, "service")}}),
    ):
        allow = {"Effect": "Allow", "Action": "kms:CreateGrant", "Resource": key, "Condition": condition}
        aws.new_user(name)
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        aws.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    keys = {name: aws.using(aws.iam.create_access_key(UserName=name)) for name in ("service", "limited", "to-one")}
    grantee = {"KeyId": key, "GranteePrincipal": arn(aws, "limited")}
    with refused(DENIED):
        keys["service"].kms.create_grant(**grantee, Operations=["Encrypt"])
    with refused(DENIED):
        keys["limited"].kms.create_grant(**grantee, Operations=["Encrypt", "Decrypt"])
    keys["limited"].kms.create_grant(**grantee, Operations=["Encrypt"])
    with refused(DENIED):
        keys["to-one"].kms.create_grant(**grantee, Operations=["Encrypt"])
    keys["to-one"].kms.create_grant(KeyId=key, GranteePrincipal=arn(aws, "service"), Operations=["Encrypt"])


def test_a_recreated_user_does_not_inherit_a_grant(aws: Any, key: str, refused: Any) -> None:
    user = aws.new_user("bob")
    aws.kms.create_grant(KeyId=key, GranteePrincipal=arn(aws, "bob"), Operations=["Encrypt"])
    user_id = aws.iam.get_user(UserName="bob")["User"]["UserId"]
    aws.iam.delete_access_key(UserName="bob", AccessKeyId=user.access_key_id)
    aws.iam.delete_user(UserName="bob")
    again = aws.new_user("bob")
    with refused(DENIED):
        again.kms.encrypt(KeyId=key, Plaintext=b"text")
    assert aws.kms.list_grants(KeyId=key)["Grants"][0]["GranteePrincipal"] == user_id


def test_across_accounts_a_grant_is_enough_and_a_policy_is_not(
    aws: Any, key: str, freehold_server: Any, refused: Any
) -> None:
    other = freehold_server.new_account()
    plain, able = other.new_user("plain"), other.new_user("able", may("kms:Encrypt"))
    aws.kms.create_grant(KeyId=key, GranteePrincipal=arn(other, "plain"), Operations=["Encrypt"])
    plain.kms.encrypt(KeyId=key, Plaintext=b"text")
    with refused(DENIED):
        able.kms.encrypt(KeyId=key, Plaintext=b"text")


# --- ending -----------------------------------------------------------------------------------------------------------


def test_only_those_whom_the_grant_names_may_retire_it(aws: Any, key: str, refused: Any) -> None:
    names = ("grantee", "retirer", "bystander", "admin")
    users = {name: aws.new_user(name, *([may("kms:*")] if name == "admin" else [])) for name in names}

    def make(*operations: str) -> dict[str, Any]:
        made: dict[str, Any] = aws.kms.create_grant(
            KeyId=key,
            GranteePrincipal=arn(aws, "grantee"),
            RetiringPrincipal=arn(aws, "retirer"),
            Operations=["Encrypt", *operations],
        )
        return made

    plain = make()
    for name in ("grantee", "bystander"):
        with refused(DENIED, "kms:RetireGrant"):
            users[name].kms.retire_grant(GrantToken=plain["GrantToken"])
    users["retirer"].kms.retire_grant(GrantToken=plain["GrantToken"])
    with refused("NotFoundException"):
        users["retirer"].kms.retire_grant(GrantToken=plain["GrantToken"])
    users["grantee"].kms.retire_grant(KeyId=key, GrantId=make("RetireGrant")["GrantId"])
    # The account that issued it may, and so may whom it delegates that to.
    aws.kms.retire_grant(KeyId=key, GrantId=make()["GrantId"])
    users["admin"].kms.retire_grant(KeyId=key, GrantId=make()["GrantId"])
    assert aws.kms.list_grants(KeyId=key)["Grants"] == []


def test_a_retiring_principal_of_another_account_needs_nothing_else(
    aws: Any, key: str, freehold_server: Any, refused: Any
) -> None:
    other = freehold_server.new_account()
    retirer, stranger = other.new_user("retirer"), other.new_user("stranger", may("kms:*"))
    given = aws.kms.create_grant(
        KeyId=key,
        GranteePrincipal=arn(other, "stranger"),
        RetiringPrincipal=arn(other, "retirer"),
        Operations=["Encrypt"],
    )
    listed = other.kms.list_retirable_grants(RetiringPrincipal=arn(other, "retirer"))["Grants"]
    assert [grant["GrantId"] for grant in listed] == [given["GrantId"]]
    with refused(DENIED):
        stranger.kms.retire_grant(KeyId=key, GrantId=given["GrantId"])
    retirer.kms.retire_grant(KeyId=key, GrantId=given["GrantId"])
    assert other.kms.list_retirable_grants(RetiringPrincipal=arn(other, "retirer"))["Grants"] == []


def test_a_forged_token_is_refused_everywhere(aws: Any, key: str, refused: Any) -> None:
    token = aws.kms.create_grant(KeyId=key, GranteePrincipal=arn_of_root(aws), Operations=["Encrypt"])["GrantToken"]
    altered = ("B" if token[20] != "B" else "C").join((token[:20], token[21:]))
    for bad in (altered, token[:-4], "x", "AAAA"):
        with refused("InvalidGrantTokenException"):
            aws.kms.encrypt(KeyId=key, Plaintext=b"text", GrantTokens=[bad])
        with refused("InvalidGrantTokenException"):
            aws.kms.retire_grant(GrantToken=bad)
        with refused("InvalidGrantTokenException"):
            aws.kms.describe_key(KeyId=key, GrantTokens=[bad])


def arn_of_root(account: Any) -> str:
    return f"arn:aws:iam::{account.account_id}:root"


# --- making and listing -----------------------------------------------------------------------------------------------


def test_a_named_request_makes_one_grant_however_often_it_is_sent(aws: Any, key: str) -> None:
    aws.new_user("user")
    request = {"KeyId": key, "GranteePrincipal": arn(aws, "user"), "Operations": ["Encrypt"]}
    ids = {aws.kms.create_grant(**request, Name="n")["GrantId"] for _ in range(3)}
    assert len(ids) == 1
    ids.add(aws.kms.create_grant(**{**request, "Operations": ["Decrypt"]}, Name="n")["GrantId"])
    ids.update(aws.kms.create_grant(**request)["GrantId"] for _ in range(2))
    assert len(ids) == 4
    assert {grant["GrantId"] for grant in aws.kms.list_grants(KeyId=key)["Grants"]} == ids


def test_grants_are_listed_page_by_page_and_by_grantee(aws: Any, key: str) -> None:
    for name in ("one", "two"):
        aws.new_user(name)
        for _ in range(4):
            aws.kms.create_grant(
                KeyId=key,
                GranteePrincipal=arn(aws, name),
                RetiringPrincipal=arn(aws, "one"),
                Operations=["Encrypt"],
                Constraints={"EncryptionContextSubset": {"a": "b"}},
                Name=f"of {name}".replace(" ", "-"),
            )
    assert len(aws.kms.list_grants(KeyId=key)["Grants"]) == 2  # named the same, made once
    for _ in range(5):
        aws.kms.create_grant(KeyId=key, GranteePrincipal=arn(aws, "two"), Operations=["Decrypt"])
    aws.kms.create_grant(KeyId=key, **TO_BACKUP, Operations=["Decrypt"])
    pages = aws.kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 3})
    listed = [grant for page in pages for grant in page["Grants"]]
    assert len(listed) == len({grant["GrantId"] for grant in listed}) == 8
    of_two = aws.kms.list_grants(KeyId=key, GranteePrincipal=arn(aws, "two"))["Grants"]
    assert len(of_two) == 6
    first = next(grant for grant in of_two if "Constraints" in grant)
    assert first["Constraints"] == {"EncryptionContextSubset": {"a": "b"}}
    assert (first["Name"], first["KeyId"], first["IssuingAccount"]) == ("of-two", key, arn_of_root(aws))
    assert first["RetiringPrincipal"] == arn(aws, "one")
    services = aws.kms.list_grants(KeyId=key, GranteeServicePrincipal="backup.amazonaws.com")["Grants"]
    assert [grant["GranteeServicePrincipal"] for grant in services] == ["backup.amazonaws.com"]
    only = aws.kms.list_grants(KeyId=key, GrantId=first["GrantId"])["Grants"]
    assert [grant["GrantId"] for grant in only] == [first["GrantId"]]
    assert aws.kms.list_grants(KeyId=key, GrantId="0" * 64)["Grants"] == []
    assert len(aws.kms.list_retirable_grants(RetiringPrincipal=arn(aws, "one"), Limit=1)["Grants"]) == 1


TO_BACKUP = {
    "GranteeServicePrincipal": "backup.amazonaws.com",
    "RetiringServicePrincipal": "backup.amazonaws.com",
    "Constraints": {"SourceArn": "arn:aws:backup:us-east-1:111122223333:backup-vault:v"},
}

BAD: list[tuple[dict[str, Any], str]] = [
    ({"Operations": ["Encrypt"]}, "ValidationException"),
    ({"GranteePrincipal": "ROOT", "GranteeServicePrincipal": "a.amazonaws.com"}, "ValidationException"),
    ({"GranteePrincipal": "ROOT", "Operations": []}, "ValidationException"),
    ({"GranteePrincipal": "ROOT", "Operations": ["Sign"]}, "ValidationException"),
    ({"GranteePrincipal": "ROOT", "Operations": ["Everything"]}, "ValidationException"),
    ({"GranteePrincipal": "arn:aws:iam::111122223333:user/nobody"}, "InvalidArnException"),
    ({"GranteePrincipal": "nobody"}, "InvalidArnException"),
    ({"GranteePrincipal": "*"}, "ValidationException"),
    (
        {"GranteePrincipal": "ROOT", "RetiringPrincipal": "ROOT", "RetiringServicePrincipal": "s3.amazonaws.com"},
        "ValidationException",
    ),
    ({"GranteePrincipal": "ROOT", "RetiringServicePrincipal": "nobody"}, "ValidationException"),
    ({**TO_BACKUP, "GranteeServicePrincipal": "no-such.amazonaws.com"}, "ValidationException"),
    ({**TO_BACKUP, "Constraints": {}}, "ValidationException"),
    (
        {"GranteeServicePrincipal": "backup.amazonaws.com", "Constraints": TO_BACKUP["Constraints"]},
        "ValidationException",
    ),
    ({"GranteePrincipal": "ROOT", "RetiringPrincipal": "nobody"}, "InvalidArnException"),
    (
        {
            "GranteePrincipal": "ROOT",
            "Constraints": {"EncryptionContextSubset": {"a": "b"}, "EncryptionContextEquals": {"a": "b"}},
        },
        "ValidationException",
    ),
    (
        {"GranteePrincipal": "ROOT", "Constraints": {"EncryptionContextSubset": {str(n): "b" for n in range(9)}}},
        "ValidationException",
    ),
    ({"GranteePrincipal": "ROOT", "Constraints": {"EncryptionContextSubset": {"a": "b" * 385}}}, "ValidationException"),
    ({"GranteePrincipal": "ROOT", "KeyId": "alias/none"}, "NotFoundException"),
]


@pytest.mark.parametrize(("change", "code"), BAD)
def test_a_request_for_no_possible_grant_is_refused(
    aws: Any, key: str, refused: Any, change: dict[str, Any], code: str
) -> None:
    request = {"KeyId": key, "Operations": ["Encrypt"], **change}
    if request.get("GranteePrincipal") == "ROOT":
        request["GranteePrincipal"] = arn_of_root(aws)
    with refused(code):
        aws.kms.create_grant(**request)


@pytest.mark.parametrize("kind", ["account", "user"])
@pytest.mark.parametrize("member", ["GranteePrincipal", "RetiringPrincipal"])
def test_a_principal_has_no_second_name_that_a_condition_on_its_arn_would_miss(
    aws: Any, key: str, refused: Any, kind: str, member: str
) -> None:
    """Key policies take account numbers and unique ids for principals; a deny of an ARN wouldn't meet them."""
    user = aws.new_user("user")
    unique_id = user.sts.get_caller_identity()["UserId"]
    names = {"account": (aws.account_id, arn_of_root(aws)), "user": (unique_id, arn(aws, "user"))}[kind]
    deny = {"Effect": "Deny", "Action": "kms:CreateGrant", "Resource": "*",
            "Condition": {"StringEquals": {f"kms:{member}": names[1]}}}  # fmt: skip
    admin = aws.new_user("admin", {"Version": "2012-10-17", "Statement": [*may("kms:*")["Statement"], deny]})
    request = {"KeyId": key, "Operations": ["Decrypt"], "GranteePrincipal": arn(aws, "admin")}
    admin.kms.create_grant(**request)
    with refused(DENIED):
        admin.kms.create_grant(**{**request, member: names[1]})
    with refused("InvalidArnException"):
        admin.kms.create_grant(**{**request, member: names[0]})


def test_retiring_may_be_denied_by_the_grants_constraints(aws: Any, key: str, refused: Any) -> None:
    """A deny of the grant's account meets its retiring principals too."""
    conditions = (
        {"StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset"}},
        {"StringEquals": {"kms:EncryptionContext:Team": "red"}},
        {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "Team"}},
    )
    for number, condition in enumerate(conditions):
        deny = {"Effect": "Deny", "Action": "kms:RetireGrant", "Resource": "*", "Condition": condition}
        user = aws.new_user(f"user{number}", {"Version": "2012-10-17", "Statement": [deny]})
        name = arn(aws, f"user{number}")
        request = {"KeyId": key, "GranteePrincipal": name, "RetiringPrincipal": name, "Operations": ["Decrypt"]}
        constrained = aws.kms.create_grant(**request, Constraints={"EncryptionContextSubset": {"team": "red"}})
        if number != 2:  # the keys' own spelling counts there
            with refused(DENIED, "explicit deny"):
                user.kms.retire_grant(GrantToken=constrained["GrantToken"])
        spelled = aws.kms.create_grant(**request, Constraints={"EncryptionContextSubset": {"Team": "red"}})
        with refused(DENIED, "explicit deny"):
            user.kms.retire_grant(GrantToken=spelled["GrantToken"])
        user.kms.retire_grant(GrantToken=aws.kms.create_grant(**request)["GrantToken"])


def test_a_grants_source_may_be_asked_for(aws: Any, key: str, refused: Any) -> None:
    """`kms:GrantConstraintSourceArn` and the service principals, which AWS added with grants to services."""
    table = "arn:aws:dynamodb:us-east-1:111122223333:table/t"
    only = {
        "ArnEquals": {"kms:GrantConstraintSourceArn": table},
        "StringEquals": {
            "kms:GranteeServicePrincipal": "dynamodb.amazonaws.com",
            "kms:RetiringServicePrincipal": "dynamodb.amazonaws.com",
        },
    }
    statement = {"Effect": "Allow", "Action": "kms:CreateGrant", "Resource": "*", "Condition": only}
    user = aws.new_user("user", {"Version": "2012-10-17", "Statement": [statement]})
    right = {
        "KeyId": key,
        "GranteeServicePrincipal": "dynamodb.amazonaws.com",
        "RetiringServicePrincipal": "dynamodb.amazonaws.com",
        "Operations": ["Decrypt"],
        "Constraints": {"SourceArn": table},
    }
    user.kms.create_grant(**right)
    wrong: list[dict[str, Any]] = [
        {"GranteeServicePrincipal": "backup.amazonaws.com"},
        {"RetiringServicePrincipal": "backup.amazonaws.com"},
        {"Constraints": {"SourceArn": table + "x"}},
    ]
    for change in wrong:
        with refused(DENIED):
            user.kms.create_grant(**{**right, **change})


def test_listing_retirable_grants_is_permitted_by_retiring_principal(aws: Any, key: str, refused: Any) -> None:
    user = aws.new_user("user", may("kms:ListRetirableGrants", arn(aws, "user")))
    aws.kms.create_grant(
        KeyId=key, **{**TO_BACKUP, "RetiringServicePrincipal": "dynamodb.amazonaws.com"}, Operations=["Decrypt"]
    )
    assert user.kms.list_retirable_grants(RetiringPrincipal=arn(aws, "user"))["Grants"] == []
    with refused(DENIED):
        user.kms.list_retirable_grants(RetiringPrincipal=arn_of_root(aws))
    for account in (aws, user):  # a service's grants are on everybody's keys
        with refused(DENIED, "RetiringServicePrincipal"):
            account.kms.list_retirable_grants(RetiringServicePrincipal="dynamodb.amazonaws.com")


def test_grant_ids_and_markers_that_are_none_are_refused(aws: Any, key: str, refused: Any) -> None:
    with refused("InvalidGrantIdException"):
        aws.kms.revoke_grant(KeyId=key, GrantId="x")
    with refused("NotFoundException", "not found"):
        aws.kms.revoke_grant(KeyId=key, GrantId="0" * 64)
    for marker in ("x", "!!", "AAAA", "AA=="):
        with refused("InvalidMarkerException"):
            aws.kms.list_grants(KeyId=key, Marker=marker)
    with refused("InvalidArnException"):
        aws.kms.list_retirable_grants(RetiringPrincipal="arn:aws:iam::111122223333:root")
