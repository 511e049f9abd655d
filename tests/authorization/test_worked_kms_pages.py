"""KMS's pages on access, read from end to end: each example that they print, with what they say about it."""

from __future__ import annotations

from typing import Any

import pytest
from test_worked_cases import ALLOW, EXPLICIT, IMPLICIT, KMS, by, case, doc, st

from freehold.authorization import run_cases

ACCOUNT, OTHER = "111122223333", "444455556666"
FULL = doc(st())
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
KEY = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
EXAMPLE_USER = f"arn:aws:iam::{ACCOUNT}:user/ExampleUser"
DELEGATING = by({"AWS": ROOT}, action="kms:*")
USES = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
GRANTS = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]


def user(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:user/{name}"


def role(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def asked(page: str, policies: dict[str, Any], *rows: tuple[Any, ...]) -> list[Any]:
    """Rows (claim, outcome, principal, action, context, resource) of the same policies."""
    found = []
    for claim, expect, principal, action, *more in rows:
        context, on = (*more, *(None, KEY)[len(more) :])[:2]
        found.append(case(KMS + page, claim, expect, principal, action, on, context, **policies))
    return found


def in_key_policy(page: str, statements: list[Any], *rows: tuple[Any, ...]) -> list[Any]:
    return asked(page, {"resource": doc(*statements)}, *rows)


def in_iam_policy(page: str, statements: list[Any], *rows: tuple[Any, ...]) -> list[Any]:
    """In the policy of a user of a key whose policy leaves access to IAM."""
    rows = tuple((claim, expect, EXAMPLE_USER, *row) for claim, expect, *row in rows)
    return asked(page, {"identity": [doc(*statements)], "resource": doc(DELEGATING)}, *rows)


APP = role("RoleForExampleApp")
CONTEXT = "conditions-kms.html#conditions-kms-encryption-context"
PAIR = "kms:EncryptionContext:"
IT_ALPHA = {PAIR + "Department": "IT", PAIR + "Project": "Alpha"}


def pairs(**pairs: str) -> dict[str, Any]:
    """The condition keys that an encryption context gives."""
    return {PAIR + name: value for name, value in pairs.items()} | {"kms:EncryptionContextKeys": list(pairs)}


def for_the_app(action: Any, condition: dict[str, Any], *rows: tuple[Any, ...], effect: str = "Allow") -> list[Any]:
    """Rows (claim, outcome, context): the first action of the statement, asked for by the example's role."""
    statements = [by({"AWS": APP}, effect, action, Condition=condition)]
    if effect == "Deny":
        statements.append(by({"AWS": APP}, action="kms:*"))
    name = (action if isinstance(action, str) else action[0]).replace("*", "")
    return in_key_policy(CONTEXT, statements, *((claim, expect, APP, name, *more) for claim, expect, *more in rows))


APP_NAME = {"StringEquals": {PAIR + "AppName": "ExampleApp"}}
ENCRYPTION_CONTEXT = [
    *for_the_app("kms:GenerateDataKey", APP_NAME,
                 ("the pair", ALLOW, pairs(AppName="ExampleApp")),
                 ("the pair and another", ALLOW, pairs(AppName="ExampleApp", Other="x")),
                 ("its key in another case", ALLOW, pairs(APPNAME="ExampleApp")),
                 ("its value in another case", IMPLICIT, pairs(AppName="exampleapp")),
                 ("no encryption context", IMPLICIT)),
    *for_the_app("kms:GenerateDataKey",
        APP_NAME | {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["AppName"]}},
                 ("only the pair", ALLOW, pairs(AppName="ExampleApp")),
                 ("not with another", IMPLICIT, pairs(AppName="ExampleApp", Other="x")),
                 ("not without any", IMPLICIT)),
    *for_the_app("kms:GenerateDataKey", {"StringEquals": {PAIR + "Stage": "Restricted"}},
                 ("a forbidden pair", EXPLICIT, pairs(Stage="Restricted")),
                 ("another value of its key", ALLOW, pairs(Stage="Test")),
                 ("none at all", ALLOW), effect="Deny"),
    *for_the_app("kms:Decrypt", {"StringEquals": IT_ALPHA},
                 ("both pairs", ALLOW, pairs(Department="IT", Project="Alpha", Other="x")),
                 ("one of them", IMPLICIT, pairs(Department="IT"))),
    *for_the_app("kms:GenerateDataKey", {"StringEquals": IT_ALPHA, "ForAllValues:StringEquals": {
                     "kms:EncryptionContextKeys": ["Department", "Project"]}},
                 ("both and no more", ALLOW, pairs(Department="IT", Project="Alpha")),
                 ("both and more", IMPLICIT, pairs(Department="IT", Project="Alpha", Other="x"))),
    *in_key_policy(CONTEXT, [by({"AWS": APP}, action="kms:GenerateDataKey", Condition={"StringEquals": {key: value}})
                             for key, value in IT_ALPHA.items()],
                   ("either pair in its own statement", ALLOW, APP, "kms:GenerateDataKey", pairs(Department="IT")),
                   ("the other", ALLOW, APP, "kms:GenerateDataKey", pairs(Project="Alpha")),
                   ("neither", IMPLICIT, APP, "kms:GenerateDataKey", pairs(Project="Beta"))),
    *for_the_app("kms:GenerateDataKey", {"StringEquals": {PAIR + "Stage": ["Restricted", "Production"]}},
                 ("one of two forbidden pairs", EXPLICIT, pairs(Stage="Production")),
                 ("a third", ALLOW, pairs(Stage="Test")), effect="Deny"),
    *for_the_app("kms:GenerateDataKey", {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "AppName"}},
                 ("the key in its case", ALLOW, pairs(AppName="x")),
                 ("in another", IMPLICIT, pairs(appname="x"))),
    *for_the_app("kms:GenerateDataKey",
        {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "AppName"}} | APP_NAME,
                 ("key and value in their case", ALLOW, pairs(AppName="ExampleApp")),
                 ("the key in another", IMPLICIT, pairs(appname="ExampleApp")),
                 ("the value in another", IMPLICIT, pairs(AppName="exampleapp"))),
    *for_the_app(["kms:Decrypt", "kms:Encrypt"], {"StringEquals": {PAIR + "user": "${aws:username}"}},
                 ("the caller's name", ALLOW, pairs(user="bob") | {"aws:username": "bob"}),
                 ("another's name", IMPLICIT, pairs(user="alice") | {"aws:username": "bob"}),
                 ("a caller without a name", IMPLICIT, pairs(user="bob"))),
    *for_the_app(["kms:Decrypt", "kms:Encrypt"],
        {"StringEquals": {PAIR + "sub": "${cognito-identity.amazonaws.com:sub}"}},
                 ("the app user's subject", ALLOW,
                  pairs(sub="us-east-1:1") | {"cognito-identity.amazonaws.com:sub": "us-east-1:1"}),
                 ("another's", IMPLICIT,
                  pairs(sub="us-east-1:2") | {"cognito-identity.amazonaws.com:sub": "us-east-1:1"})),
    *for_the_app(["kms:Encrypt", "kms:GenerateDataKey*"],
        {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "AppName"}},
                 ("two pairs, one with the key", ALLOW, pairs(AppName="Helper", Project="Alpha")),
                 ("only the other", IMPLICIT, pairs(Project="Alpha")),
                 ("without any", IMPLICIT)),
    *for_the_app(["kms:Encrypt", "kms:GenerateDataKey*"], {"Null": {"kms:EncryptionContextKeys": False}},
                 ("any encryption context", ALLOW, pairs(x="y")),
                 ("none of them", IMPLICIT)),
]  # fmt: skip


def switch(key: str, anchor: str, action: str, condition: dict[str, Any], good: Any, bad: Any) -> list[Any]:
    """A key policy's statement for the example's user: the value that it wants, another, none. `...`: none as well."""
    page = f"conditions-kms.html#conditions-kms-{anchor}"
    return in_key_policy(page, [by({"AWS": EXAMPLE_USER}, action=action, Condition=condition)],
                         (f"{key} {good}", ALLOW, EXAMPLE_USER, action.rstrip("*"), {} if good is ... else {key: good}),
                         (f"{key} {bad}", IMPLICIT, EXAMPLE_USER, action.rstrip("*"),
                          {} if bad is ... else {key: bad}))  # fmt: skip


REGIONS = ["us-east-1", "us-west-2", "eu-west-3", "ap-southeast-2"]
RETIRING = [role("LimitedAdminRole"), user("OpsAdmin")]
SWITCHES: list[tuple[str, str, str, dict[str, Any], list[tuple[Any, Any]]]] = [
    ("kms:BypassPolicyLockoutSafetyCheck", "bypass-policy-lockout-safety-check", "kms:PutKeyPolicy",
     {"Null": {"kms:BypassPolicyLockoutSafetyCheck": True}}, [(..., "true")]),
    ("kms:DataKeyPairSpec", "data-key-spec", "kms:GenerateDataKeyPair", {"StringLike": {"kms:DataKeyPairSpec": "RSA*"}},
     [("RSA_3072", "ECC_NIST_P256")]),
    ("kms:ExpirationModel", "expiration-model", "kms:ImportKeyMaterial",
     {"StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}},
     [("KEY_MATERIAL_DOES_NOT_EXPIRE", "KEY_MATERIAL_EXPIRES")]),
    ("kms:ExpirationModel", "expiration-model", "kms:ImportKeyMaterial", {"Null": {"kms:ExpirationModel": True}},
     [(..., "KEY_MATERIAL_EXPIRES")]),
    ("kms:GrantConstraintType", "grant-constraint-type", "kms:CreateGrant",
     {"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}},
     [("EncryptionContextEquals", "EncryptionContextSubset"), ("EncryptionContextEquals", ...)]),
    ("kms:GrantIsForAWSResource", "grant-is-for-aws-resource", "kms:CreateGrant",
     {"Bool": {"kms:GrantIsForAWSResource": True}}, [("true", "false"), ("true", ...)]),
    ("kms:GrantOperations", "grant-operations", "kms:CreateGrant",
     {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "ReEncryptTo"]}},
     [(["Encrypt"], ["Decrypt"]), (["Encrypt", "ReEncryptTo"], ["Encrypt", "Decrypt"])]),
    ("kms:GrantOperations", "grant-operations", "kms:CreateGrant",
     {"ForAnyValue:StringEquals": {"kms:GrantOperations": ["Encrypt", "ReEncryptTo"]}},
     [(["Encrypt", "Decrypt"], ["Decrypt", "ReEncryptFrom"])]),
    ("kms:GranteePrincipal", "grantee-principal", "kms:CreateGrant",
     {"StringEquals": {"kms:GranteePrincipal": RETIRING[0]}}, [(RETIRING[0], role("Other"))]),
    ("kms:MessageType", "message-type", "kms:Sign", {"StringEquals": {"kms:MessageType": "RAW"}}, [("RAW", "DIGEST")]),
    ("kms:PrimaryRegion", "primary-region", "kms:UpdatePrimaryRegion", {"StringEquals": {"kms:PrimaryRegion": REGIONS}},
     [("eu-west-3", "eu-west-1")]),
    ("kms:ReEncryptOnSameKey", "reencrypt-on-same-key", "kms:ReEncrypt*", {"Bool": {"kms:ReEncryptOnSameKey": True}},
     [("true", "false")]),
    ("kms:RequestAlias", "request-alias", "kms:GenerateDataKey",
     {"StringEquals": {"kms:RequestAlias": "alias/finance-key"}},
     [("alias/finance-key", "alias/other"), ("alias/finance-key", ...)]),
    ("kms:ReplicaRegion", "replica-region", "kms:ReplicateKey", {"StringEquals": {"kms:ReplicaRegion": REGIONS[::2]}},
     [("eu-west-3", "us-west-2")]),
    ("kms:RetiringPrincipal", "retiring-principal", "kms:CreateGrant",
     {"StringEquals": {"kms:RetiringPrincipal": RETIRING}},
     [(RETIRING[1], role("Other")), (RETIRING[0], ...)]),
    ("kms:SigningAlgorithm", "signing-algorithm", "kms:Sign", {"StringLike": {"kms:SigningAlgorithm": "RSASSA_PSS*"}},
     [("RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_512")]),
    ("kms:ValidTo", "valid-to", "kms:ImportKeyMaterial", {"NumericLessThanEquals": {"kms:ValidTo": "1546257599.0"}},
     [("1546257599", "1546257600"), ("1546257599.0", ...)]),
    ("kms:ViaService", "via-service", "kms:Encrypt",
     {"StringEquals": {"kms:ViaService": ["ec2.us-west-2.amazonaws.com", "rds.us-west-2.amazonaws.com"]}},
     [("ec2.us-west-2.amazonaws.com", "ec2.us-east-1.amazonaws.com"), ("rds.us-west-2.amazonaws.com", ...)]),
    ("kms:WrappingAlgorithm", "wrapping-algorithm", "kms:GetParametersForImport",
     {"StringNotEquals": {"kms:WrappingAlgorithm": "RSAES_OAEP_SHA_1"}}, [("RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1")]),
    ("kms:WrappingKeySpec", "wrapping-key-spec", "kms:GetParametersForImport",
     {"StringEquals": {"kms:WrappingKeySpec": "RSA_2048"}}, [("RSA_2048", "RSA_4096")]),
]  # fmt: skip
KEYS_OF_CONDITIONS = [
    row
    for key, anchor, action, condition, values in SWITCHES
    for good, bad in values
    for row in switch(key, anchor, action, condition, good, bad)
]

CONDITIONS = "conditions-kms.html#conditions-kms-"
ALL_KEYS = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/*"
EXAMPLE_ROLE, TESTERS = role("ExampleRole"), role("testers")
CRYPTOGRAPHY = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncrypt*"]
CLOUDHSM = {"StringEquals": {"kms:KeyOrigin": "AWS_CLOUDHSM"}}
TEST_ALIASES = {"kms:ResourceAliases": ["alias/*Test*"]}
FURTHER_CONDITIONS = [
    *in_iam_policy(CONDITIONS + "bypass-policy-lockout-safety-check", [st(), st("Deny",
        ["kms:CreateKey", "kms:PutKeyPolicy"],
                       Condition={"Bool": {"kms:BypassPolicyLockoutSafetyCheck": True}})],
                   ("bypassing", EXPLICIT, "kms:CreateKey", {"kms:BypassPolicyLockoutSafetyCheck": "true"}, "*"),
                   ("not bypassing", ALLOW, "kms:CreateKey", {"kms:BypassPolicyLockoutSafetyCheck": "false"}, "*")),
    *in_key_policy(CONDITIONS + "encryption-algorithm", [DELEGATING, by({"AWS": EXAMPLE_ROLE}, action="kms:*"), by(
                       {"AWS": EXAMPLE_ROLE}, "Deny", CRYPTOGRAPHY,
                       Condition={"StringNotEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}})],
                   ("another algorithm", EXPLICIT, EXAMPLE_ROLE, "kms:Encrypt",
                    {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}),
                   ("the algorithm", ALLOW, EXAMPLE_ROLE, "kms:Encrypt",
                    {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"})),
    *asked(CONDITIONS + "encryption-algorithm", {
               "resource": doc(DELEGATING, by({"AWS": EXAMPLE_ROLE}, "Deny", CRYPTOGRAPHY, Condition={
                   "StringNotEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}})),
               "kms_grants": [{"grantee": EXAMPLE_ROLE, "operations": ["Encrypt"]}]},
           ("no grant helps", EXPLICIT, EXAMPLE_ROLE, "kms:Encrypt", {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_1"})),
    *in_iam_policy(CONDITIONS + "encryption-algorithm", [st(), st("Deny",
        [*CRYPTOGRAPHY, "kms:GenerateDataKey*"], ALL_KEYS,
                       Condition={"StringNotEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}})],
                   ("symmetric encryption", ALLOW, "kms:GenerateDataKeyPair",
                    {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
                   ("asymmetric", EXPLICIT, "kms:Encrypt", {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_1"})),
    *in_iam_policy(CONDITIONS + "key-origin", [st(action="kms:CreateKey",
        Condition={"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}),
                                               st(action=CRYPTOGRAPHY, resource=ALL_KEYS, Condition=CLOUDHSM)],
                   ("creating one of KMS's own", ALLOW, "kms:CreateKey", {"kms:KeyOrigin": "AWS_KMS"}, "*"),
                   ("creating one to import into", IMPLICIT, "kms:CreateKey", {"kms:KeyOrigin": "EXTERNAL"}, "*"),
                   ("using a key of a custom key store", ALLOW, "kms:Encrypt", {"kms:KeyOrigin": "AWS_CLOUDHSM"}),
                   ("using one of KMS's own", IMPLICIT, "kms:Encrypt", {"kms:KeyOrigin": "AWS_KMS"})),
    *in_iam_policy(CONDITIONS + "key-spec", [st(action="kms:CreateKey",
        Condition={"StringLike": {"kms:KeySpec": "RSA_*"}}),
                       st(action=["kms:Encrypt", "kms:DescribeKey"], resource=ALL_KEYS,
                          Condition={"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}})],
                   ("creating an RSA key", ALLOW, "kms:CreateKey", {"kms:KeySpec": "RSA_4096"}, "*"),
                   ("creating a symmetric key", IMPLICIT, "kms:CreateKey", {"kms:KeySpec": "SYMMETRIC_DEFAULT"}, "*"),
                   ("using a symmetric key", ALLOW, "kms:Encrypt", {"kms:KeySpec": "SYMMETRIC_DEFAULT"}),
                   ("using an RSA key", IMPLICIT, "kms:Encrypt", {"kms:KeySpec": "RSA_4096"})),
    *in_iam_policy(CONDITIONS + "key-usage", [st(action="kms:CreateKey",
        Condition={"StringEquals": {"kms:KeyUsage": "ENCRYPT_DECRYPT"}}),
                       st(action=["kms:CreateGrant", "kms:DescribeKey", "kms:GetPublicKey", "kms:ScheduleKeyDeletion"],
                          resource=ALL_KEYS, Condition={"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}})],
                   ("creating a key that encrypts", ALLOW, "kms:CreateKey", {"kms:KeyUsage": "ENCRYPT_DECRYPT"}, "*"),
                   ("creating one that signs", IMPLICIT, "kms:CreateKey", {"kms:KeyUsage": "SIGN_VERIFY"}, "*"),
                   ("deleting one that signs", ALLOW, "kms:ScheduleKeyDeletion", {"kms:KeyUsage": "SIGN_VERIFY"}),
                   ("deleting one that encrypts", IMPLICIT, "kms:ScheduleKeyDeletion",
                    {"kms:KeyUsage": "ENCRYPT_DECRYPT"})),
    *in_key_policy(CONDITIONS + "mac-algorithm", [by({"AWS": TESTERS}, action=["kms:GenerateMac", "kms:VerifyMac"],
                       Condition={"StringEquals": {"kms:MacAlgorithm": name}}) for name in ("HMAC_SHA_384",
                           "HMAC_SHA_512")],
                   ("one MAC algorithm", ALLOW, TESTERS, "kms:GenerateMac", {"kms:MacAlgorithm": "HMAC_SHA_384"}),
                   ("the other", ALLOW, TESTERS, "kms:VerifyMac", {"kms:MacAlgorithm": "HMAC_SHA_512"}),
                   ("a third", IMPLICIT, TESTERS, "kms:GenerateMac", {"kms:MacAlgorithm": "HMAC_SHA_256"})),
    *in_iam_policy(CONDITIONS + "multiregion", [st(action="kms:CreateKey",
        Condition={"Bool": {"kms:MultiRegion": False}})],
                   ("a single-Region key", ALLOW, "kms:CreateKey", {"kms:MultiRegion": "false"}, "*"),
                   ("a multi-Region key", IMPLICIT, "kms:CreateKey", {"kms:MultiRegion": "true"}, "*")),
    *in_iam_policy(CONDITIONS + "multiregion-key-type", [st(action=["kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"],
                       resource=f"arn:aws:kms:*:{ACCOUNT}:key/*",
                           Condition={"StringEquals": {"kms:MultiRegionKeyType": "REPLICA"}})],
                   ("a replica goes", ALLOW, "kms:ScheduleKeyDeletion", {"kms:MultiRegionKeyType": "REPLICA"}),
                   ("a primary stays", IMPLICIT, "kms:ScheduleKeyDeletion", {"kms:MultiRegionKeyType": "PRIMARY"}),
                   ("so does a single-Region key", IMPLICIT, "kms:ScheduleKeyDeletion")),
    *in_iam_policy(CONDITIONS + "resource-aliases", [st(action="kms:GenerateDataKey",
        resource=[f"arn:aws:kms:*:{ACCOUNT}:key/*"],
                       Condition={"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/finance-key"}})],
                   ("one alias of several", ALLOW, "kms:GenerateDataKey",
                    {"kms:ResourceAliases": ["alias/x", "alias/finance-key"]}),
                   ("other aliases", IMPLICIT, "kms:GenerateDataKey", {"kms:ResourceAliases": ["alias/x"]}),
                   ("no alias", IMPLICIT, "kms:GenerateDataKey")),
    *in_iam_policy(CONDITIONS + "resource-aliases", [st(action=["kms:EnableKey", "kms:DisableKey"], Condition={
                       "ForAllValues:StringLike": TEST_ALIASES, "ForAnyValue:StringLike": TEST_ALIASES})],
                   ("all aliases with Test", ALLOW, "kms:DisableKey",
                    {"kms:ResourceAliases": ["alias/aTest", "alias/Test1"]}),
                   ("one without", IMPLICIT, "kms:DisableKey", {"kms:ResourceAliases": ["alias/aTest", "alias/x"]}),
                   ("a key without aliases", IMPLICIT, "kms:DisableKey")),
    *in_key_policy(CONDITIONS + "via-service", [by({"AWS": EXAMPLE_USER}, action="kms:*"), by({"AWS": EXAMPLE_USER},
        "Deny",
                       ["kms:Encrypt"],
                           Condition={"StringEquals": {"kms:ViaService": ["lambda.us-west-2.amazonaws.com"]}})],
                   ("encryption through Lambda", EXPLICIT, EXAMPLE_USER, "kms:Encrypt",
                    {"kms:ViaService": "lambda.us-west-2.amazonaws.com"}),
                   ("decryption through it", ALLOW, EXAMPLE_USER, "kms:Decrypt",
                    {"kms:ViaService": "lambda.us-west-2.amazonaws.com"}),
                   ("encryption without it", ALLOW, EXAMPLE_USER, "kms:Encrypt")),
]  # fmt: skip

TABLE = [*ENCRYPTION_CONTEXT, *KEYS_OF_CONDITIONS, *FURTHER_CONDITIONS]


@pytest.mark.parametrize("one", TABLE)
def test_the_outcome_that_the_page_tells(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
