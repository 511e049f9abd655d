"""KMS's pages on key policies, IAM policies, grants, aliases and tags, read from end to end: their examples."""

from __future__ import annotations

from typing import Any

import pytest
from test_worked_cases import ALLOW, EXPLICIT, IMPLICIT, by, doc, st
from test_worked_kms_pages import (
    ACCOUNT,
    ALL_KEYS,
    DELEGATING,
    EXAMPLE_ROLE,
    EXAMPLE_USER,
    FULL,
    GRANTS,
    KEY,
    OTHER,
    ROOT,
    USES,
    asked,
    in_iam_policy,
    in_key_policy,
    pairs,
    role,
    user,
)

from freehold.authorization import run_cases

ADMIN_ACTIONS = ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*",
                 "kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource",
                 "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"]  # fmt: skip
ADMIN, ADMIN_ROLE = user("KMSAdminUser"), role("KMSAdminRole")
FOR_AWS = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
USERS = {"AWS": [EXAMPLE_USER, EXAMPLE_ROLE, f"arn:aws:iam::{OTHER}:root"]}
ADMINS = by({"AWS": [ADMIN, ADMIN_ROLE]}, action=ADMIN_ACTIONS)
DEFAULT = [DELEGATING, ADMINS, by(USERS, action=USES), by(USERS, action=GRANTS, Condition=FOR_AWS)]
ABROAD = user("x", OTHER)
ALIAS = f"arn:aws:kms:us-west-2:{ACCOUNT}:alias/"
EVERY_KEY = f"arn:aws:kms:*:{ACCOUNT}:key/*"


def of_its_kind(kind: str, actions: list[str], refused: str) -> list[Any]:
    statement = by({"AWS": EXAMPLE_USER}, action=actions)
    return in_key_policy("key-policy-default.html#key-policy-users-crypto", [statement],
                         *((f"{kind}: {action}", ALLOW, EXAMPLE_USER, action.rstrip("*")) for action in actions),
                         (f"{kind}: no {refused}", IMPLICIT, EXAMPLE_USER, refused))  # fmt: skip


KEY_POLICIES = [
    *in_key_policy("key-policy-default.html", [DELEGATING],
                   ("the account's root user", ALLOW, ROOT, "kms:PutKeyPolicy"),
                   ("the account's users without an IAM policy", IMPLICIT, EXAMPLE_USER, "kms:Decrypt")),
    *asked("key-policy-default.html", {"resource": doc(by({"AWS": ADMIN}, action="kms:*")), "identity": [FULL]},
           ("without the account's statement IAM policies allow nothing", IMPLICIT, EXAMPLE_USER, "kms:Decrypt"),
           ("not even the root user", IMPLICIT, ROOT, "kms:PutKeyPolicy")),
    *asked("key-policy-default.html", {"resource": doc(by({"AWS": ADMIN}, action="kms:*")),
                                       "identity": [doc(st("Deny", "kms:DisableKey"))]},
           ("but they deny", EXPLICIT, ADMIN, "kms:DisableKey")),
    *in_key_policy("key-policy-overview.html#key-policy-elements", [
                       by({"AWS": user("Alice")}, action="kms:DescribeKey",
                           Condition={"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}})],
                   ("Alice describes the key", ALLOW, user("Alice"), "kms:DescribeKey",
                    {"kms:KeySpec": "SYMMETRIC_DEFAULT"}),
                   ("and decrypts nothing", IMPLICIT, user("Alice"), "kms:Decrypt",
                    {"kms:KeySpec": "SYMMETRIC_DEFAULT"})),
    *in_key_policy("key-policy-overview.html#key-policy-example", DEFAULT,
                   ("an administrator by role", ALLOW, ADMIN_ROLE, "kms:EnableKeyRotation"),
                   ("makes grants", ALLOW, ADMIN_ROLE, "kms:CreateGrant"),
                   ("does not encrypt", IMPLICIT, ADMIN_ROLE, "kms:Encrypt"),
                   ("does not import material", IMPLICIT, ADMIN, "kms:ImportKeyMaterial"),
                   ("a user by role", ALLOW, EXAMPLE_ROLE, "kms:GenerateDataKeyWithoutPlaintext"),
                   ("does not delete", IMPLICIT, EXAMPLE_ROLE, "kms:ScheduleKeyDeletion"),
                   ("lists grants through a service", ALLOW, EXAMPLE_ROLE, "kms:ListGrants",
                    {"kms:GrantIsForAWSResource": "true"}),
                   ("not directly", IMPLICIT, EXAMPLE_ROLE, "kms:ListGrants", {"kms:GrantIsForAWSResource": "false"}),
                   ("another account without its IAM policy", IMPLICIT, ABROAD, "kms:Encrypt")),
    *of_its_kind("symmetric", ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
        "kms:GenerateMac"),
    *of_its_kind("HMAC", ["kms:DescribeKey", "kms:GenerateMac", "kms:VerifyMac"], "kms:Encrypt"),
    *of_its_kind("public key", ["kms:Encrypt", "kms:Decrypt", "kms:GetPublicKey"], "kms:Sign"),
    *of_its_kind("signing", ["kms:DescribeKey", "kms:GetPublicKey", "kms:Sign", "kms:Verify"], "kms:Decrypt"),
]  # fmt: skip

EXTERNAL = "key-policy-modifying-external-accounts.html"
THEIRS: dict[str, Any] = {"identity": [doc(st(action=USES, resource=KEY))]}
ENGINEERING = role("Engineering")
ACCOUNT_2_KEY = KEY.replace(ACCOUNT, OTHER)
CROSS_ACCOUNT_USES = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
                      "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"]  # fmt: skip
ACCOUNT_2 = doc(by({"AWS": f"arn:aws:iam::{OTHER}:root"}, action="kms:*"), by({"AWS": ROOT}, action=CROSS_ACCOUNT_USES))
IN_2 = (None, ACCOUNT_2_KEY)
CROSS_ACCOUNT = [
    *asked(EXTERNAL, THEIRS | {"resource": doc(DELEGATING, by({"AWS": [f"arn:aws:iam::{OTHER}:root"]}, action=USES))},
           ("the account and its user's policy", ALLOW, ABROAD, "kms:GenerateDataKey"),
           ("what the key policy does not list", IMPLICIT, ABROAD, "kms:CreateGrant")),
    *asked(EXTERNAL, THEIRS | {"resource": doc(DELEGATING, by({"AWS": [role("ExampleRole", OTHER),
                                                                      user("ExampleUser", OTHER)]}, action=USES))},
           ("the role that is named", ALLOW, role("ExampleRole", OTHER), "kms:Encrypt"),
           ("the user that is named", ALLOW, user("ExampleUser", OTHER), "kms:Encrypt"),
           ("one that is not", IMPLICIT, ABROAD, "kms:Encrypt")),
    *asked(EXTERNAL, {"identity": [doc(st(action="kms:Encrypt", resource=KEY))],
                      "resource": doc(by({"AWS": OTHER}, action=USES))},
           ("a subset by the IAM policy", IMPLICIT, ABROAD, "kms:Decrypt")),
    *in_key_policy("policy-evaluation.html#example-no-iam", [DELEGATING],
                   ("Alice has no policy", IMPLICIT, user("Alice"), "kms:Encrypt")),
    *asked("policy-evaluation.html#example-cross-acct", {
               "resource": ACCOUNT_2, "identity": [doc(st(action=CROSS_ACCOUNT_USES, resource=[ACCOUNT_2_KEY]))]},
           ("the role of account 1", ALLOW, ENGINEERING, "kms:Decrypt", *IN_2),
           ("its pairs", IMPLICIT, ENGINEERING, "kms:GenerateDataKeyPair", *IN_2)),
    *asked("policy-evaluation.html#example-cross-acct", {"resource": ACCOUNT_2},
           ("without its policy", IMPLICIT, ENGINEERING, "kms:Decrypt", *IN_2)),
    *asked("policy-evaluation.html#example-cross-acct", {
               "resource": doc({"Effect": "Allow", "Principal": {"AWS": user("bob")}, "Action": "sts:AssumeRole"})},
           ("Bob assumes the role", ALLOW, user("bob"), "sts:AssumeRole", None, ENGINEERING),
           ("Alice does not", IMPLICIT, user("alice"), "sts:AssumeRole", None, ENGINEERING)),
]  # fmt: skip

CUSTOMER = "customer-managed-policies.html"
ELSEWHERE = KEY.replace("us-west-2", "eu-west-1")
IAM_POLICIES = [
    *in_iam_policy(CUSTOMER, [st(action=["kms:GetPublicKey", "kms:GetKeyRotationStatus", "kms:GetKeyPolicy",
                                         "kms:DescribeKey", "kms:ListKeyPolicies", "kms:ListResourceTags"],
                                 resource=EVERY_KEY),
                              st(action=["kms:ListKeys", "kms:ListAliases", "iam:ListRoles", "iam:ListUsers"])],
                   ("looking at a key", ALLOW, "kms:GetKeyPolicy"),
                   ("listing keys", ALLOW, "kms:ListKeys", None, "*"),
                   ("changing none", IMPLICIT, "kms:PutKeyPolicy")),
    *in_iam_policy(CUSTOMER, [st(action="kms:TagResource", resource=EVERY_KEY),
                              st(action="kms:CreateAlias", resource=f"arn:aws:kms:*:{ACCOUNT}:alias/*"),
                              st(action=["kms:CreateKey", "kms:ListKeys", "kms:ListAliases"])],
                   ("creating", ALLOW, "kms:CreateKey", None, "*"),
                   ("tagging", ALLOW, "kms:TagResource"),
                   ("an alias", ALLOW, "kms:CreateAlias", None, ALIAS + "x"),
                   ("an alias's key", IMPLICIT, "kms:CreateAlias"),
                   ("the key's policy", IMPLICIT, "kms:PutKeyPolicy")),
    *in_iam_policy(CUSTOMER, [st(action=["kms:Encrypt", "kms:Decrypt"], resource=EVERY_KEY)],
                   ("any key of the account", ALLOW, "kms:Decrypt", None, ELSEWHERE),
                   ("no other action", IMPLICIT, "kms:GenerateDataKey")),
    *in_iam_policy(CUSTOMER, [st(action=["kms:Encrypt", "kms:Decrypt"], resource=[ALL_KEYS])],
                   ("any key of the Region", ALLOW, "kms:Encrypt"),
                   ("of another", IMPLICIT, "kms:Encrypt", None, ELSEWHERE)),
    *in_iam_policy(CUSTOMER, [st(action=["kms:Encrypt", "kms:Decrypt"], resource=[KEY])],
                   ("the key", ALLOW, "kms:Encrypt"),
                   ("another key", IMPLICIT, "kms:Encrypt", None, KEY.replace("1234abcd", "0987dcba"))),
    *asked(CUSTOMER, {"identity": [FULL, doc(st("Deny", ["kms:DisableKey", "kms:ScheduleKeyDeletion"]))],
                      "resource": doc(DELEGATING, by({"AWS": EXAMPLE_USER}, action="kms:*"))},
           ("nothing is disabled", EXPLICIT, EXAMPLE_USER, "kms:DisableKey"),
           ("the rest is allowed", ALLOW, EXAMPLE_USER, "kms:EnableKey")),
]  # fmt: skip

TRAIL = f"arn:aws:cloudtrail:us-west-2:{ACCOUNT}:trail/finance"
CLOUDTRAIL = by({"Service": "cloudtrail.amazonaws.com"}, action="kms:GenerateDataKey", Condition={
    "ArnEquals": {"aws:SourceArn": [TRAIL]},
    "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": [f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"]},
})  # fmt: skip
BY_CLOUDTRAIL = ("service:cloudtrail.amazonaws.com", "kms:GenerateDataKey")
TRACKER = f"arn:aws:geo:us-west-2:{ACCOUNT}:tracker/SAMPLE-Tracker"
LOCATION = by({"AWS": role("LocationTeam")}, action="kms:CreateGrant", Condition={"StringEquals": {
    "kms:ViaService": "geo.us-west-2.amazonaws.com", "kms:CallerAccount": ACCOUNT,
    "kms:EncryptionContext:aws:geo:arn": TRACKER}})  # fmt: skip
GEO = {"kms:ViaService": "geo.us-west-2.amazonaws.com"}
VPCE, VPC = {"aws:sourceVpce": "vpce-0295a3caf8414c94a"}, "aws:sourceVpc"
ENCLAVE = {"kms:RecipientAttestation:ImageSha384": "9fedcba8abcdef7abcdef6"}
PROCESSING = role("data-processing")
SERVICES = [
    *in_key_policy("key-policy-services.html", [CLOUDTRAIL],
                   ("the trail", ALLOW, *BY_CLOUDTRAIL,
                    {"aws:SourceArn": TRAIL} | pairs(**{"aws:cloudtrail:arn": TRAIL})),
                   ("another trail", IMPLICIT, *BY_CLOUDTRAIL,
                    {"aws:SourceArn": TRAIL + "2"} | pairs(**{"aws:cloudtrail:arn": TRAIL})),
                   ("without the context", IMPLICIT, *BY_CLOUDTRAIL, {"aws:SourceArn": TRAIL})),
    *in_key_policy("key-policy-services.html", [LOCATION],
                   ("the tracker", ALLOW, role("LocationTeam"), "kms:CreateGrant",
                    GEO | pairs(**{"aws:geo:arn": TRACKER})),
                   ("another tracker", IMPLICIT, role("LocationTeam"), "kms:CreateGrant",
                    GEO | pairs(**{"aws:geo:arn": TRACKER + "2"})),
                   ("not through the service", IMPLICIT, role("LocationTeam"), "kms:CreateGrant",
                    pairs(**{"aws:geo:arn": TRACKER}))),
    *asked("vpce-policy-condition.html", {"identity": [FULL], "resource": doc(
               by({"AWS": [ACCOUNT]}, action=["kms:*"]),
               by("*", "Deny", USES[:4], Condition={"StringNotEquals": VPCE}))},
           ("through the endpoint", ALLOW, EXAMPLE_USER, "kms:Encrypt", VPCE),
           ("around it", EXPLICIT, EXAMPLE_USER, "kms:Encrypt"),
           ("managing around it", ALLOW, EXAMPLE_USER, "kms:DisableKey")),
    *asked("vpce-policy-condition.html", {"identity": [FULL], "resource": doc(
               by({"AWS": ACCOUNT}, action=["kms:Create*", "kms:Enable*", "kms:Disable*"],
                  Condition={"StringEquals": {VPC: "vpc-12345678"}}),
               by({"AWS": ACCOUNT}, action=["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*"],
                  Condition={"StringEquals": {VPC: "vpc-2b2b2b2b"}}),
               by({"AWS": ACCOUNT}, action=["kms:Describe*", "kms:List*", "kms:Get*"]))},
           ("managing from its VPC", ALLOW, EXAMPLE_USER, "kms:DisableKey", {VPC: "vpc-12345678"}),
           ("managing from the other", IMPLICIT, EXAMPLE_USER, "kms:DisableKey", {VPC: "vpc-2b2b2b2b"}),
           ("using from its VPC", ALLOW, EXAMPLE_USER, "kms:Decrypt", {VPC: "vpc-2b2b2b2b"}),
           ("using from the other", IMPLICIT, EXAMPLE_USER, "kms:Decrypt", {VPC: "vpc-12345678"}),
           ("reading from everywhere", ALLOW, EXAMPLE_USER, "kms:GetKeyPolicy")),
    *in_key_policy("conditions-nitro-enclaves.html", [
                       by({"AWS": PROCESSING}, action=["kms:Decrypt", "kms:GenerateDataKey"],
                           Condition={"StringEqualsIgnoreCase": ENCLAVE})],
                   ("the image, in any case", ALLOW, PROCESSING, "kms:Decrypt",
                    {key: value.upper() for key, value in ENCLAVE.items()}),
                   ("another image", IMPLICIT, PROCESSING, "kms:Decrypt", {next(iter(ENCLAVE)): "00"}),
                   ("no attestation", IMPLICIT, PROCESSING, "kms:Decrypt")),
]  # fmt: skip

ALIAS_OPERATIONS = ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"]
PURPOSE_TEST = {"StringEquals": {"aws:ResourceTag/Purpose": "Test"}}
LEADS, VIEWERS = [user("LeadAdmin"), user("SupportLead")], [role("Administrator"), role("Developer")]
SINGAPORE = KEY.replace("us-west-2", "ap-southeast-1")
TAGS_AND_ALIASES = [
    *in_iam_policy("abac.html", [st(action=USES, resource=EVERY_KEY, Condition=PURPOSE_TEST)],
                   ("a key for tests", ALLOW, "kms:Decrypt", {"aws:ResourceTag/Purpose": "Test"}),
                   ("another key", IMPLICIT, "kms:Decrypt", {"aws:ResourceTag/Purpose": "Live"})),
    *in_iam_policy("tag-authorization.html", [
                       st(action=["kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"],
                          resource=f"arn:aws:kms:ap-southeast-1:{ACCOUNT}:key/*",
                          Condition={"StringEquals": {"aws:ResourceTag/Project": "Alpha"}})],
                   ("Alpha's key in Singapore", ALLOW, "kms:Decrypt", {"aws:ResourceTag/Project": "Alpha"}, SINGAPORE),
                   ("Alpha's key elsewhere", IMPLICIT, "kms:Decrypt", {"aws:ResourceTag/Project": "Alpha"})),
    *in_iam_policy("tag-authorization.html", [
                       st(action=USES[:4], resource=EVERY_KEY),
                       st("Deny", "kms:*", EVERY_KEY, Condition={"StringEquals": {"aws:ResourceTag/Type": "Reserved"}}),
                       st("Deny", "kms:*", EVERY_KEY, Condition={"Null": {"aws:ResourceTag/Type": "true"}})],
                   ("a key with a type", ALLOW, "kms:Encrypt", {"aws:ResourceTag/Type": "Free"}),
                   ("a reserved key", EXPLICIT, "kms:Encrypt", {"aws:ResourceTag/Type": "Reserved"}),
                   ("a key without a type", EXPLICIT, "kms:Encrypt")),
    *in_key_policy("tag-permissions.html", [
                       DELEGATING, by({"AWS": LEADS}, action=["kms:TagResource", "kms:ListResourceTags",
                                                              "kms:UntagResource"]),
                       by({"AWS": VIEWERS}, action="kms:ListResourceTags")],
                   ("a lead tags", ALLOW, LEADS[1], "kms:UntagResource"),
                   ("a developer looks", ALLOW, VIEWERS[1], "kms:ListResourceTags"),
                   ("and tags nothing", IMPLICIT, VIEWERS[1], "kms:TagResource")),
    *in_iam_policy("tag-permissions.html", [
                       st(action=["kms:TagResource", "kms:UntagResource"], resource=EVERY_KEY,
                          Condition={"ForAllValues:StringEquals": {"aws:TagKeys": "Project"}})],
                   ("the project's tag", ALLOW, "kms:UntagResource", {"aws:TagKeys": ["Project"]}),
                   ("another's as well", IMPLICIT, "kms:TagResource", {"aws:TagKeys": ["Project", "Team"]})),
    *in_key_policy("alias-authorization.html", [
                       by({"AWS": role("alpha-developer")}, action=["kms:Decrypt", "kms:GenerateDataKey*",
                                                                    "kms:DescribeKey"],
                          Condition={"StringLike": {"kms:RequestAlias": "alias/*alpha*"}})],
                   ("an alias of alpha's", ALLOW, role("alpha-developer"), "kms:DescribeKey",
                    {"kms:RequestAlias": "alias/project-alpha"}),
                   ("another alias", IMPLICIT, role("alpha-developer"), "kms:DescribeKey",
                    {"kms:RequestAlias": "alias/beta"}),
                   ("the key's ARN", IMPLICIT, role("alpha-developer"), "kms:DescribeKey")),
    *in_iam_policy("alias-authorization.html", [
                       st(action=["kms:EnableKeyRotation", "kms:DisableKeyRotation", "kms:GetKeyRotationStatus"],
                          resource=[EVERY_KEY], Condition={"ForAnyValue:StringLike": {
                              "kms:ResourceAliases": "alias/restricted*"}})],
                   ("a restricted key, by its id", ALLOW, "kms:EnableKeyRotation",
                    {"kms:ResourceAliases": ["alias/x", "alias/restricted-1"]}),
                   ("a free one", IMPLICIT, "kms:EnableKeyRotation", {"kms:ResourceAliases": ["alias/x"]})),
    *in_iam_policy("alias-access.html", [st(action=ALIAS_OPERATIONS, resource=ALIAS + "test-key")],
                   ("the alias", ALLOW, "kms:UpdateAlias", None, ALIAS + "test-key"),
                   ("another alias", IMPLICIT, "kms:UpdateAlias", None, ALIAS + "other"),
                   ("the key behind it", IMPLICIT, "kms:UpdateAlias")),
    *in_key_policy("alias-access.html", [by({"AWS": ADMIN}, action=[*ALIAS_OPERATIONS, "kms:DescribeKey"])],
                   ("the key's side", ALLOW, ADMIN, "kms:DeleteAlias"),
                   ("for the administrator alone", IMPLICIT, EXAMPLE_USER, "kms:DeleteAlias")),
    *in_iam_policy("alias-access.html", [st(action=ALIAS_OPERATIONS, resource=ALL_KEYS,
                                            Condition={"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}})],
                   ("keys of KMS's own", ALLOW, "kms:CreateAlias", {"kms:KeyOrigin": "AWS_KMS"}),
                   ("imported ones", IMPLICIT, "kms:CreateAlias", {"kms:KeyOrigin": "EXTERNAL"})),
    *in_iam_policy("alias-access.html", [st(action=ALIAS_OPERATIONS, resource=ALIAS + "*"),
                                         st("Deny", ALIAS_OPERATIONS, ALIAS + "Restricted*")],
                   ("any alias", ALLOW, "kms:CreateAlias", None, ALIAS + "x"),
                   ("but restricted ones", EXPLICIT, "kms:CreateAlias", None, ALIAS + "Restricted-1")),
]  # fmt: skip

REPLICATED = KEY.replace("1234abcd-", "mrk-1234abcd")
MRK = "multi-region-keys-auth.html"
GRANT = {"grantee": user("exampleUser"), "operations": ["Decrypt"]}
MULTI_REGION_AND_GRANTS = [
    *in_iam_policy(MRK, [st(action=["kms:Describe*", "kms:List*"], resource=REPLICATED.replace("us-west-2", "*"))],
                   ("the key in any Region", ALLOW, "kms:DescribeKey", None, REPLICATED.replace("us-west-2",
                    "eu-west-1")),
                   ("another key", IMPLICIT, "kms:DescribeKey")),
    *in_iam_policy(MRK, [st(action="kms:CreateKey"), st("Deny", "kms:CreateKey", Condition={
                       "Bool": {"kms:MultiRegion": True}})],
                   ("creating a single-Region key", ALLOW, "kms:CreateKey", {"kms:MultiRegion": "false"}, "*"),
                   ("creating a multi-Region key", EXPLICIT, "kms:CreateKey", {"kms:MultiRegion": "true"}, "*")),
    *in_key_policy(MRK, [by({"AWS": VIEWERS[0]}, action="kms:UpdatePrimaryRegion")],
                   ("the administrator moves the primary", ALLOW, VIEWERS[0], "kms:UpdatePrimaryRegion"),
                   ("and replicates nothing", IMPLICIT, VIEWERS[0], "kms:ReplicateKey")),
    *in_iam_policy(MRK, [st(action="kms:UpdatePrimaryRegion", resource=EVERY_KEY, Condition={
                       "StringEquals": {"kms:PrimaryRegion": ["us-west-2", "sa-east-1", "ap-southeast-1"]}})],
                   ("to a Region of the list", ALLOW, "kms:UpdatePrimaryRegion", {"kms:PrimaryRegion": "sa-east-1"}),
                   ("to another", IMPLICIT, "kms:UpdatePrimaryRegion", {"kms:PrimaryRegion": "eu-west-1"})),
    *in_iam_policy(MRK, [st(), st("Deny", "kms:*", Condition={"Bool": {"kms:MultiRegion": True}})],
                   ("no multi-Region key is used", EXPLICIT, "kms:Encrypt", {"kms:MultiRegion": "true"}),
                   ("single-Region keys are", ALLOW, "kms:Encrypt", {"kms:MultiRegion": "false"})),
    *(row for kind, more in (("EncryptionContextEquals", IMPLICIT),
        ("EncryptionContextSubset", ALLOW)) for row in asked(
        "create-grant-overview.html#grant-constraints",
        {"resource": doc(DELEGATING), "kms_grants": [GRANT | {"constraints": {kind: {"Department": "IT"}}}]},
        (f"{kind}: the pair", ALLOW, GRANT["grantee"], "kms:Decrypt", pairs(Department="IT")),
        (f"{kind}: the pair and another", more, GRANT["grantee"], "kms:Decrypt", pairs(Department="IT",
         Purpose="Test")),
        (f"{kind}: another pair", IMPLICIT, GRANT["grantee"], "kms:Decrypt", pairs(Department="HR")),
        (f"{kind}: another operation", IMPLICIT, GRANT["grantee"], "kms:Encrypt", pairs(Department="IT")))),
    *asked("create-grant-overview.html", {"resource": doc(DELEGATING), "kms_grants": [
               {"grantee": "dynamodb.us-west-2.amazonaws.com", "operations": ["Decrypt", "Encrypt"], "constraints": {
                   "EncryptionContextSubset": {"aws:dynamodb:tableName": "Services",
                                               "aws:dynamodb:subscriberId": ACCOUNT}}}]},
           ("DynamoDB for its table", ALLOW, "service:dynamodb.us-west-2.amazonaws.com", "kms:Decrypt",
            pairs(**{"aws:dynamodb:tableName": "Services", "aws:dynamodb:subscriberId": ACCOUNT})),
           ("not for another", IMPLICIT, "service:dynamodb.us-west-2.amazonaws.com", "kms:Decrypt",
            pairs(**{"aws:dynamodb:tableName": "Other", "aws:dynamodb:subscriberId": ACCOUNT}))),
]  # fmt: skip

TABLE = [*KEY_POLICIES, *CROSS_ACCOUNT, *IAM_POLICIES, *SERVICES, *TAGS_AND_ALIASES, *MULTI_REGION_AND_GRANTS]


@pytest.mark.parametrize("one", TABLE)
def test_the_outcome_that_the_page_tells(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
