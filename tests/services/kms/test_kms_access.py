"""Key policies, IAM and grants decide together; boto3 against a live server."""

from __future__ import annotations

import json
from typing import Any

import pytest

DENIED = "AccessDeniedException"


def statement(effect: str, principal: Any, actions: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": actions, "Resource": "*", **more}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def may(actions: Any, resource: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    """An identity-based policy."""
    one = {"Effect": effect, "Action": actions, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [one]}


def root_of(account: Any) -> dict[str, str]:
    return {"AWS": f"arn:aws:iam::{account.account_id}:root"}


def user_arn(account: Any, name: str) -> str:
    return f"arn:aws:iam::{account.account_id}:user/{name}"


def new_key(account: Any, *statements: dict[str, Any], **more: Any) -> str:
    """The ARN of a key that its account administers, with further statements in its policy."""
    administer = statement("Allow", root_of(account), "kms:*")
    arn: str = account.kms.create_key(Policy=policy(administer, *statements), **more)["KeyMetadata"]["Arn"]
    return arn


def encrypts(caller: Any, key: str, **more: Any) -> None:
    caller.kms.encrypt(KeyId=key, Plaintext=b"text", **more)


def test_the_default_policy_leaves_it_to_iam(aws: Any, refused: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    nobody = aws.new_user("nobody")
    somebody = aws.new_user("somebody", may("kms:Encrypt", key))
    with refused(DENIED, "no identity-based policy allows the kms:Encrypt action", key):
        encrypts(nobody, key)
    encrypts(somebody, key)
    with refused(DENIED):
        somebody.kms.describe_key(KeyId=key)


def test_iam_alone_grants_nothing_where_the_key_policy_does_not_delegate(aws: Any, refused: Any) -> None:
    aws.new_user("keeper")
    keeper = statement("Allow", {"AWS": user_arn(aws, "keeper")}, "kms:*")
    key = aws.kms.create_key(Policy=policy(keeper), BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"]
    admin = aws.new_user("admin", may("*"))
    with refused(DENIED, "no resource-based policy allows the kms:Encrypt action"):
        encrypts(admin, key)
    with refused(DENIED):
        encrypts(aws, key)  # not even root


def test_a_user_named_in_the_key_policy_needs_no_other_policy(aws: Any, refused: Any) -> None:
    user = aws.new_user("named")
    key = new_key(aws, statement("Allow", {"AWS": user_arn(aws, "named")}, "kms:Encrypt"))
    encrypts(user, key)
    with refused(DENIED):
        user.kms.generate_data_key(KeyId=key, KeySpec="AES_256")


def test_a_key_policy_may_name_one_session_of_a_role(aws: Any, refused: Any) -> None:
    trust = json.loads(policy({"Effect": "Allow", "Principal": root_of(aws), "Action": "sts:AssumeRole"}))
    role = aws.iam.create_role(RoleName="app", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    user = aws.new_user("user", may("sts:AssumeRole"))
    one, two = (aws.using(user.sts.assume_role(RoleArn=role, RoleSessionName=name)) for name in ("one", "two"))
    session = f"arn:aws:sts::{aws.account_id}:assumed-role/app/one"
    key = new_key(aws, statement("Allow", {"AWS": session}, "kms:Encrypt"))
    encrypts(one, key)
    with refused(DENIED):
        encrypts(two, key)
    assert session in aws.kms.get_key_policy(KeyId=key)["Policy"]


@pytest.mark.parametrize("where", ["identity", "key"])
def test_a_deny_wins_over_a_grant(aws: Any, refused: Any, where: str) -> None:
    deny = [may("kms:Encrypt", effect="Deny")] if where == "identity" else []
    user = aws.new_user("granted", *deny)
    denying = [statement("Deny", {"AWS": user_arn(aws, "granted")}, "kms:Encrypt")] if where == "key" else []
    key = new_key(aws, *denying)
    aws.kms.create_grant(
        KeyId=key, GranteePrincipal=user_arn(aws, "granted"), Operations=["Encrypt", "GenerateDataKey"]
    )
    user.kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    kind = "an identity-based" if where == "identity" else "a resource-based"
    with refused(DENIED, f"kms:Encrypt on resource: {key} with an explicit deny in {kind} policy"):
        encrypts(user, key)


def test_a_policy_change_holds_for_the_next_request(aws: Any, refused: Any) -> None:
    user = aws.new_user("user")
    key = new_key(aws, statement("Allow", {"AWS": user_arn(aws, "user")}, "kms:Encrypt"))
    for _ in range(3):
        encrypts(user, key)
        aws.kms.put_key_policy(KeyId=key, Policy=policy(statement("Allow", root_of(aws), "kms:*")))
        with refused(DENIED):
            encrypts(user, key)
        naming = statement("Allow", {"AWS": user_arn(aws, "user")}, "kms:Encrypt")
        aws.kms.put_key_policy(KeyId=key, Policy=policy(statement("Allow", root_of(aws), "kms:*"), naming))


# --- conditions -------------------------------------------------------------------------------------------------------

CONDITIONS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("the context it wants", {"StringEquals": {"kms:EncryptionContext:Team": "a"}}, {"team": "a"}, True),
    ("another value", {"StringEquals": {"kms:EncryptionContext:Team": "a"}}, {"Team": "A"}, False),
    ("no context", {"StringEquals": {"kms:EncryptionContext:Team": "a"}}, {}, False),
    ("these keys only", {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a", "b"]}}, {"a": "1"}, True),
    ("one key more", {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a"]}}, {"a": "1", "c": "1"}, False),
    ("keys with case", {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "A"}}, {"a": "1"}, False),
    ("some context", {"Null": {"kms:EncryptionContextKeys": "false"}}, {}, False),
    ("the algorithm", {"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}, {}, True),
    ("the spec", {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}, {}, True),
    ("another usage", {"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}}, {}, False),
    ("the origin", {"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}, {}, True),
    ("single-Region", {"Bool": {"kms:MultiRegion": "false"}}, {}, True),
    ("through S3", {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}, {}, False),
    ("a tag", {"StringEquals": {"aws:ResourceTag/Team": "blue"}}, {}, True),
    ("another tag", {"StringEquals": {"aws:ResourceTag/Team": "red"}}, {}, False),
    ("an alias", {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/blue"}}, {}, True),
    ("another alias", {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/red"}}, {}, False),
]


@pytest.mark.parametrize(("what", "condition", "context", "allowed"), CONDITIONS, ids=[case[0] for case in CONDITIONS])
def test_conditions_look_at_the_key_and_the_request(
    aws: Any, refused: Any, what: str, condition: dict[str, Any], context: dict[str, str], allowed: bool
) -> None:
    key = new_key(aws, Tags=[{"TagKey": "team", "TagValue": "blue"}])
    aws.kms.create_alias(AliasName="alias/blue", TargetKeyId=key)
    user = aws.new_user("user", may("kms:Encrypt", Condition=condition))
    if allowed:
        encrypts(user, key, EncryptionContext=context)
    else:
        with refused(DENIED):
            encrypts(user, key, EncryptionContext=context)


def test_a_request_alias_condition_holds_for_that_way_of_naming_only(aws: Any, refused: Any) -> None:
    key = new_key(aws)
    for name in ("alias/front", "alias/side"):
        aws.kms.create_alias(AliasName=name, TargetKeyId=key)
    condition = {"StringEquals": {"kms:RequestAlias": "alias/front"}}
    user = aws.new_user("user", may("kms:Encrypt", Condition=condition))
    encrypts(user, "alias/front")
    encrypts(user, f"arn:aws:kms:us-east-1:{aws.account_id}:alias/front")
    for other in ("alias/side", key, key.rpartition("/")[2]):
        with refused(DENIED):
            encrypts(user, other)


def test_the_callers_account_can_be_asked_for(aws: Any, freehold_server: Any, refused: Any) -> None:
    other = freehold_server.new_account()
    condition = {"StringEquals": {"kms:CallerAccount": aws.account_id}}
    key = new_key(aws, statement("Allow", {"AWS": "*"}, "kms:Encrypt", Condition=condition))
    encrypts(aws.new_user("user"), key)
    with refused(DENIED):
        encrypts(other, key)


# --- across accounts --------------------------------------------------------------------------------------------------


def test_across_accounts_both_sides_must_allow(aws: Any, freehold_server: Any, refused: Any) -> None:
    other = freehold_server.new_account()
    key = new_key(aws)
    plain, able = other.new_user("plain"), other.new_user("able", may("kms:*", key))
    for caller in (plain, able, other):
        with refused(DENIED):
            encrypts(caller, key)
    shared = statement("Allow", root_of(other), ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:DisableKey"])
    aws.kms.put_key_policy(KeyId=key, Policy=policy(statement("Allow", root_of(aws), "kms:*"), shared))
    with refused(DENIED):
        encrypts(plain, key)
    blob = able.kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
    assert able.kms.describe_key(KeyId=key)["KeyMetadata"]["AWSAccountId"] == aws.account_id
    assert able.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    assert able.kms.decrypt(CiphertextBlob=blob, KeyId=key.rpartition("/")[2])["Plaintext"] == b"text"
    encrypts(other, key)


def test_another_accounts_alias_works_by_its_arn(aws: Any, freehold_server: Any, refused: Any) -> None:
    other = freehold_server.new_account()
    key = new_key(aws, statement("Allow", root_of(other), "kms:Encrypt"))
    aws.kms.create_alias(AliasName="alias/shared", TargetKeyId=key)
    encrypts(other, f"arn:aws:kms:us-east-1:{aws.account_id}:alias/shared")
    with refused("NotFoundException", f"Alias arn:aws:kms:us-east-1:{other.account_id}:alias/shared is not found."):
        encrypts(other, "alias/shared")
    with refused("NotFoundException", "does not exist"):
        encrypts(other, key.rpartition("/")[2])


def test_what_kms_never_offers_across_accounts_is_refused_whatever_the_policy_says(
    aws: Any, freehold_server: Any, refused: Any
) -> None:
    other = freehold_server.new_account()
    key = new_key(aws, statement("Allow", root_of(other), "kms:*"))
    kms = other.kms
    for attempt in (
        lambda: kms.disable_key(KeyId=key),
        lambda: kms.schedule_key_deletion(KeyId=key),
        lambda: kms.put_key_policy(KeyId=key, Policy=policy(statement("Allow", root_of(other), "kms:*"))),
        lambda: kms.get_key_policy(KeyId=key),
        lambda: kms.list_key_policies(KeyId=key),
        lambda: kms.list_resource_tags(KeyId=key),
        lambda: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]),
        lambda: kms.create_alias(AliasName="alias/mine", TargetKeyId=key),
        lambda: kms.list_aliases(KeyId=key),
        lambda: kms.rotate_key_on_demand(KeyId=key),
        lambda: kms.update_key_description(KeyId=key, Description="mine"),
    ):
        with refused(DENIED):
            attempt()


def test_another_accounts_missing_key_looks_like_one_that_may_not_be_asked_about(
    aws: Any, freehold_server: Any, refused: Any
) -> None:
    other = freehold_server.new_account()
    missing = f"arn:aws:kms:us-east-1:{aws.account_id}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    with refused(DENIED, "because the resource does not exist in this Region, no resource-based policies allow access"):
        encrypts(other, missing)
    with refused("NotFoundException", f"Key '{missing}' does not exist"):
        encrypts(aws, missing)


def test_reencrypt_needs_both_halves(aws: Any, freehold_server: Any, refused: Any) -> None:
    other = freehold_server.new_account()
    source = new_key(aws, statement("Allow", root_of(other), "kms:ReEncryptFrom"))
    target = new_key(other)
    blob = aws.kms.encrypt(KeyId=source, Plaintext=b"text")["CiphertextBlob"]
    moved = other.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=target)
    assert other.kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"text"
    half = other.new_user("half", may("kms:ReEncryptFrom"))
    with refused(DENIED, "kms:ReEncryptTo"):
        half.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=target)
    with refused(DENIED, "kms:ReEncryptFrom"):
        other.new_user("rest", may("kms:ReEncryptTo")).kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=target)


def test_reencrypting_may_be_limited_to_the_same_key(aws: Any, refused: Any) -> None:
    key, other = new_key(aws), new_key(aws)
    condition = {"Bool": {"kms:ReEncryptOnSameKey": "true"}}
    user = aws.new_user("user", may("kms:ReEncrypt*", Condition=condition))
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
    user.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key, DestinationEncryptionContext={"a": "b"})
    with refused(DENIED):
        user.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other)


# --- key policies -----------------------------------------------------------------------------------------------------


def test_a_policy_that_locks_its_author_out_is_refused(aws: Any, refused: Any) -> None:
    encrypt_only = policy(statement("Allow", {"AWS": "*"}, "kms:Encrypt"))
    with refused("MalformedPolicyDocumentException", "will not allow you to update the key policy in the future"):
        aws.kms.create_key(Policy=encrypt_only)
    key = new_key(aws)
    with refused("MalformedPolicyDocumentException", "will not allow you"):
        aws.kms.put_key_policy(KeyId=key, Policy=encrypt_only)
    denying = policy(statement("Allow", root_of(aws), "kms:*"), statement("Deny", root_of(aws), "kms:PutKeyPolicy"))
    with refused("MalformedPolicyDocumentException", "will not allow you"):
        aws.kms.put_key_policy(KeyId=key, Policy=denying)
    aws.kms.put_key_policy(KeyId=key, Policy=encrypt_only, BypassPolicyLockoutSafetyCheck=True)
    with refused(DENIED):
        aws.kms.put_key_policy(KeyId=key, Policy=encrypt_only, BypassPolicyLockoutSafetyCheck=True)


LETS_IN: list[tuple[dict[str, Any], bool]] = [
    # the condition on what the account may do, whether that lets a policy be put again
    (
        {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyOrigin": "EXTERNAL", "aws:ResourceTag/a": "b"}},
        True,
    ),
    ({"StringEquals": {"kms:PolicyName": "default"}, "Bool": {"kms:MultiRegion": "true"}}, True),
    ({"Null": {"kms:BypassPolicyLockoutSafetyCheck": "true"}}, True),
    ({"StringEquals": {"kms:KeySpec": "RSA_2048"}}, False),
    ({"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}, False),
    ({"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}, False),
    ({"StringEquals": {"kms:ResourceAliases": "alias/none-yet"}}, False),
]


@pytest.mark.parametrize(("condition", "lets_in"), LETS_IN, ids=str)
def test_the_lockout_check_asks_as_the_next_request_would(
    aws: Any, refused: Any, condition: dict[str, Any], lets_in: bool
) -> None:
    """A policy may let in by what the key is; what it is decides already when the key is made."""
    text = policy(statement("Allow", root_of(aws), "kms:*", Condition=condition))
    request = {"Origin": "EXTERNAL", "MultiRegion": True, "Tags": [{"TagKey": "a", "TagValue": "b"}]}
    key = aws.kms.create_key(**request)["KeyMetadata"]["KeyId"]
    if lets_in:
        made = aws.kms.create_key(**request, Policy=text)["KeyMetadata"]["KeyId"]
        aws.kms.put_key_policy(KeyId=made, Policy=text)
        aws.kms.put_key_policy(KeyId=key, Policy=text)
        return
    for put in (
        lambda: aws.kms.create_key(**request, Policy=text),
        lambda: aws.kms.put_key_policy(KeyId=key, Policy=text),
    ):
        with refused("MalformedPolicyDocumentException", "will not allow you"):
            put()


def test_the_lockout_check_takes_no_longer_than_a_decision_may(aws: Any, refused: Any) -> None:
    """It is made by the writer, for whom everybody waits."""
    # boto3 sends a user agent of some hundred characters; a client may send thousands, as here.
    client = aws.client("kms")
    agent = "a" * 8000
    client.meta.events.register(
        "before-call.kms.*", lambda params, **_: params["headers"].update({"User-Agent": agent})
    )
    patterns = [f"*?b{number}" for number in range(1200)]
    long = policy(statement("Allow", root_of(aws), "kms:*", Condition={"StringNotLike": {"aws:UserAgent": patterns}}))
    # It would let the account in, if it were compared to the end.
    with refused("MalformedPolicyDocumentException", "will not allow you"):
        client.create_key(Policy=long)


MALFORMED = [
    ("no JSON", "{", None),
    ("no statement", '{"Version": "2012-10-17"}', None),
    ("no principal", '{"Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}', None),
    ("an unknown element", policy({**statement("Allow", {"AWS": "*"}, "kms:*"), "Extra": 1}), None),
    ("an unknown operator", policy(statement("Allow", {"AWS": "*"}, "kms:*", Condition={"Like": {"a:b": "c"}})), None),
    (
        "a principal that doesn't exist",
        policy(statement("Allow", {"AWS": "arn:aws:iam::111122223333:user/nobody"}, "kms:*")),
        "Policy contains a statement with one or more invalid principals.",
    ),
    (
        "a set operator that allows anything",
        policy(
            statement(
                "Allow",
                {"AWS": "*"},
                "kms:*",
                Condition={"ForAllValues:StringEquals": {"kms:EncryptionContext:a": "b"}},
            )
        ),
        "OverlyPermissiveCondition",
    ),
]


@pytest.mark.parametrize(("what", "text", "says"), MALFORMED, ids=[case[0] for case in MALFORMED])
def test_a_malformed_policy_is_refused(aws: Any, refused: Any, what: str, text: str, says: str | None) -> None:
    with refused("MalformedPolicyDocumentException", *([says] if says else [])):
        aws.kms.create_key(Policy=text, BypassPolicyLockoutSafetyCheck=True)


def test_a_policy_has_at_most_32_kib(aws: Any, refused: Any) -> None:
    long = policy(statement("Allow", root_of(aws), "kms:*", Sid="a" * 33_000))
    with refused("LimitExceededException"):
        aws.kms.create_key(Policy=long)


def test_a_recreated_user_is_not_the_one_that_the_policy_trusts(aws: Any, refused: Any) -> None:
    user = aws.new_user("bob")
    key = new_key(aws, statement("Allow", {"AWS": user_arn(aws, "bob")}, "kms:Encrypt"))
    encrypts(user, key)
    assert user_arn(aws, "bob") in aws.kms.get_key_policy(KeyId=key)["Policy"]
    first_id = aws.iam.get_user(UserName="bob")["User"]["UserId"]
    aws.iam.delete_access_key(UserName="bob", AccessKeyId=user.access_key_id)
    aws.iam.delete_user(UserName="bob")
    again = aws.new_user("bob")
    with refused(DENIED):
        encrypts(again, key)
    shown = aws.kms.get_key_policy(KeyId=key)["Policy"]
    assert first_id in shown
    assert user_arn(aws, "bob") not in shown


def test_only_the_default_policy_exists(aws: Any, refused: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    assert aws.kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    assert aws.kms.get_key_policy(KeyId=key)["PolicyName"] == "default"
    for name in ("other", "AWS_RAM"):
        with refused("NotFoundException"):
            aws.kms.get_key_policy(KeyId=key, PolicyName=name)
    text = aws.kms.get_key_policy(KeyId=key)["Policy"]
    with refused("NotFoundException"):
        aws.kms.put_key_policy(KeyId=key, PolicyName="other", Policy=text)
    with refused("ValidationException", "can only be managed by the RAM service"):
        aws.kms.put_key_policy(KeyId=key, PolicyName="AWS_RAM", Policy=text)


def test_creating_keys_is_up_to_iam_and_its_conditions(aws: Any, refused: Any) -> None:
    with refused(DENIED, "kms:CreateKey"):
        aws.new_user("nobody").kms.create_key()
    tagged = {"StringEquals": {"aws:RequestTag/team": "blue"}}
    user = aws.new_user("blue", may("kms:CreateKey", Condition=tagged))
    tags = [{"TagKey": "team", "TagValue": "blue"}]
    with refused(DENIED, "kms:TagResource"):
        user.kms.create_key(Tags=tags)
    with refused(DENIED, "kms:CreateKey"):
        user.kms.create_key()
    aws.iam.put_user_policy(UserName="blue", PolicyName="tag", PolicyDocument=json.dumps(may("kms:TagResource")))
    user.kms.create_key(Tags=tags)
