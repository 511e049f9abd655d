"""The policies that AWS's pages show, with what the pages say about them: each row has its page's address."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_worked_cases import ALLOW, EXPLICIT, IAM, IMPLICIT, KMS, S3, by, case, doc, st, trust

from freehold.authorization import run_cases

ORGANIZATIONS = "https://docs.aws.amazon.com/organizations/latest/userguide/"
EXAMPLES = IAM + "reference_policies_examples_"
LOGIC = IAM + "reference_policies_evaluation-logic_policy-eval-denyallow.html"
CROSS = IAM + "reference_policies_evaluation-logic-cross-account.html"
BOUNDARIES = IAM + "access_policies_boundaries.html"
CONTROLLED = IAM + "access_controlling.html"
TAGS = IAM + "access_tags.html"
ACCOUNT, OTHER = "123456789012", "222222222222"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def user(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:user/{name}"


def text(source: str) -> Any:
    """One statement as the page prints it."""
    return json.loads(source)


CARLOS = user("CarlosSalazar")
CARLOS_MAY = doc(
    text('{"Sid":"AllowS3ListRead","Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetAccountPublicAccessBlock",'
         '"s3:ListAccessPoints","s3:ListAllMyBuckets"],"Resource":"arn:aws:s3:::*"}'),
    text('{"Sid":"AllowS3Self","Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::carlossalazar/*",'
         '"arn:aws:s3:::carlossalazar"]}'),
    text('{"Sid":"DenyS3Logs","Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::*log*"}'),
)  # fmt: skip
CARLOS_BUCKET = doc(
    by({"AWS": CARLOS}, action="s3:*", resource=["arn:aws:s3:::carlossalazar/*", "arn:aws:s3:::carlossalazar"]),
)


def carlos(claim: str, expect: str, action: str, on: str, **more: Any) -> Any:
    return case(LOGIC, "Carlos " + claim, expect, CARLOS, action, on, account=ACCOUNT, identity=[CARLOS_MAY], **more)


EVALUATION = [
    carlos("lists all buckets", ALLOW, "s3:ListAllMyBuckets", "arn:aws:s3:::*"),
    carlos("puts into his own bucket", ALLOW, "s3:PutObject", "arn:aws:s3:::carlossalazar/a", resource=CARLOS_BUCKET),
    carlos("puts no log into it, although the bucket policy allows it", EXPLICIT, "s3:PutObject",
           "arn:aws:s3:::carlossalazar/log.txt", resource=CARLOS_BUCKET),
    carlos("reads nobody else's bucket", IMPLICIT, "s3:GetObject", "arn:aws:s3:::other/a"),
    carlos("creates no other bucket", IMPLICIT, "s3:CreateBucket", "arn:aws:s3:::other"),
    case(LOGIC, "the bucket policy alone lets Carlos in", ALLOW, CARLOS, "s3:GetObject", "arn:aws:s3:::carlossalazar/a",
         account=ACCOUNT, resource=CARLOS_BUCKET),
    case(LOGIC, "and nobody else", IMPLICIT, user("MaryMajor"), "s3:GetObject", "arn:aws:s3:::carlossalazar/a",
         account=ACCOUNT, resource=CARLOS_BUCKET),
]  # fmt: skip

AUDITOR = user("CarlosSalazar", "111111111111")
AUDITOR_MAY = doc(
    st(action=["s3:GetBucketLocation", "s3:ListAllMyBuckets"], resource="arn:aws:s3:::*", Sid="AllowS3ListRead"),
    st(action="s3:*Object*", resource="arn:aws:s3:::amzn-s3-demo-bucket-production/*", Sid="AllowS3ProductionObjects"),
    st("Deny", "s3:*", ["arn:aws:s3:::*log*", "arn:aws:s3:::*log*/*"], Sid="DenyS3Logs"),
)
AUDITED = doc(
    by({"AWS": AUDITOR}, action=["s3:GetObject*", "s3:PutObject*"],
       resource="arn:aws:s3:::amzn-s3-demo-bucket-production/*"),
    by({"AWS": AUDITOR}, action="s3:*", resource=["arn:aws:s3:::amzn-s3-demo-bucket-audit",
                                                  "arn:aws:s3:::amzn-s3-demo-bucket-audit/*"]),
)  # fmt: skip


def across(claim: str, expect: str, action: str, on: str, **more: Any) -> Any:
    return case(CROSS, claim, expect, AUDITOR, action, "arn:aws:s3:::amzn-s3-demo-bucket-" + on, account=OTHER,
                identity=[AUDITOR_MAY], resource=AUDITED, **more)  # fmt: skip


CROSS_ACCOUNT = [
    across("what both accounts allow is allowed", ALLOW, "s3:GetObject", "production/a"),
    across("what his own account denies is denied", EXPLICIT, "s3:PutObject", "production/log.txt"),
    across("what the other account does not name is denied", IMPLICIT, "s3:DeleteObject", "production/a"),
    across("what his own account does not name is denied", IMPLICIT, "s3:GetObject", "audit/a"),
]  # fmt: skip

SHIRLEY = user("ShirleyRodriguez")
SHIRLEYS_BOUNDARY = doc(st(action=["s3:*", "cloudwatch:*", "ec2:*"]))
XCOMPANY = f"arn:aws:iam::{ACCOUNT}:policy/XCompanyBoundaries"
ZHANG_MAY = doc(
    st(action=["iam:AttachUserPolicy", "iam:CreateUser", "iam:DeleteUserPolicy", "iam:DetachUserPolicy",
               "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy"],
       Condition={"StringEquals": {"iam:PermissionsBoundary": XCOMPANY}}),
    st(action=["iam:DeleteUser", "iam:Get*", "iam:List*"]),
    st("Deny", ["iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion",
                "iam:SetDefaultPolicyVersion"], [XCOMPANY, f"arn:aws:iam::{ACCOUNT}:policy/DelegatedUserBoundary"]),
    st("Deny", "iam:DeleteUserPermissionsBoundary"),
)  # fmt: skip
ZHANGS_BOUNDARY = doc(
    st(action=["s3:*", "cloudwatch:*", "dynamodb:*", "ec2:*"]),
    st(action=["iam:*"]),
    st("Deny", "s3:*", ["arn:aws:s3:::amzn-s3-demo-bucket1", "arn:aws:s3:::amzn-s3-demo-bucket1/*"]),
)


def zhang(claim: str, expect: str, action: str, **context: Any) -> Any:
    return case(BOUNDARIES, claim, expect, user("Zhang"), action, user("Nikhil"), context, identity=[ZHANG_MAY],
                boundary=ZHANGS_BOUNDARY)  # fmt: skip


BOUNDARY = [
    case(BOUNDARIES, "Shirley's boundary keeps her from creating users", IMPLICIT, SHIRLEY, "iam:CreateUser",
         user("new"), identity=[doc(st(action="iam:CreateUser"))], boundary=SHIRLEYS_BOUNDARY),
    case(BOUNDARIES, "the boundary itself gives her nothing", IMPLICIT, SHIRLEY, "s3:GetObject", "arn:aws:s3:::b/a",
         account=ACCOUNT, identity=[doc(st(action="iam:CreateUser"))], boundary=SHIRLEYS_BOUNDARY),
    zhang("a delegated admin creates users with the boundary", ALLOW, "iam:CreateUser",
          **{"iam:PermissionsBoundary": XCOMPANY}),
    zhang("but not without it", IMPLICIT, "iam:CreateUser"),
    zhang("nor with another", IMPLICIT, "iam:CreateUser",
          **{"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}),
    zhang("a delegated admin takes no boundary away", EXPLICIT, "iam:DeleteUserPermissionsBoundary",
          **{"iam:PermissionsBoundary": XCOMPANY}),
    zhang("a delegated admin attaches policies to users with the boundary", ALLOW, "iam:AttachUserPolicy",
          **{"iam:PermissionsBoundary": XCOMPANY}),
    case(BOUNDARIES, "a delegated admin does not change the boundary", EXPLICIT, user("Zhang"),
         "iam:CreatePolicyVersion", XCOMPANY, identity=[ZHANG_MAY], boundary=ZHANGS_BOUNDARY),
    case(BOUNDARIES, "the delegated admin's own boundary denies a bucket", EXPLICIT, user("Zhang"), "s3:GetObject",
         "arn:aws:s3:::amzn-s3-demo-bucket1/a", account=ACCOUNT, identity=[ZHANG_MAY, doc(st(action="s3:*"))],
         boundary=ZHANGS_BOUNDARY),
]  # fmt: skip

APP = f"arn:aws:sts::{ACCOUNT}:assumed-role/UpdateApp/one"
PRODUCTION = IAM + "id_credentials_temp_control-access_assumerole.html"
FEDERATION = IAM + "id_credentials_temp_control-access_getfederationtoken.html"
TOKEN_APP = f"arn:aws:sts::{ACCOUNT}:federated-user/Susan"
TOKEN_APPS_POLICY = doc(
    st(action=["s3:*", "sqs:*", "sns:*", "sts:GetFederationToken"]),
)
SUSANS_SESSION = doc(st(action=["s3:ListBucket", "s3:GetObject"], resource=["arn:aws:s3:::employees",
                                                                          "arn:aws:s3:::employees/*"]))  # fmt: skip
SESSIONS = [
    case(PRODUCTION, "a session policy takes deletion from the role", IMPLICIT, APP, "s3:DeleteObject",
         "arn:aws:s3:::productionapp/a", account=ACCOUNT,
         identity=[doc(st(action=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                          resource="arn:aws:s3:::productionapp/*"))],
         session=[doc(st(action=["s3:GetObject", "s3:PutObject"], resource="arn:aws:s3:::productionapp/*"))]),
    case(PRODUCTION, "and leaves it the rest", ALLOW, APP, "s3:PutObject", "arn:aws:s3:::productionapp/a",
         account=ACCOUNT,
         identity=[doc(st(action=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                          resource="arn:aws:s3:::productionapp/*"))],
         session=[doc(st(action=["s3:GetObject", "s3:PutObject"], resource="arn:aws:s3:::productionapp/*"))]),
    case(FEDERATION, "a federated user lists what both policies allow", ALLOW, TOKEN_APP, "s3:ListBucket",
         "arn:aws:s3:::employees", account=ACCOUNT, identity=[TOKEN_APPS_POLICY], session=[SUSANS_SESSION]),
    case(FEDERATION, "what the session policy leaves out is denied", IMPLICIT, TOKEN_APP, "sqs:SendMessage",
         f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", identity=[TOKEN_APPS_POLICY], session=[SUSANS_SESSION]),
    case(FEDERATION, "a bucket policy that names the federated user adds to it", ALLOW, TOKEN_APP, "s3:PutObject",
         "arn:aws:s3:::amzn-s3-demo-bucket/a", account=ACCOUNT, identity=[TOKEN_APPS_POLICY], session=[SUSANS_SESSION],
         resource=doc(by({"AWS": TOKEN_APP}, action="s3:PutObject", resource="arn:aws:s3:::amzn-s3-demo-bucket/*"))),
    case(FEDERATION, "one that names the user behind does not", IMPLICIT, TOKEN_APP, "s3:PutObject",
         "arn:aws:s3:::amzn-s3-demo-bucket/a", account=ACCOUNT, identity=[TOKEN_APPS_POLICY], session=[SUSANS_SESSION],
         resource=doc(by({"AWS": user("token-app")}, action="s3:PutObject"))),
]  # fmt: skip

REGIONS = doc(
    {"Sid": "DenyAllOutsideEU", "Effect": "Deny",
     "NotAction": ["a4b:*", "budgets:*", "iam:*", "organizations:*", "route53:*", "sts:*", "support:*"],
        "Resource": "*",
     "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]},
                   "ArnNotLike": {"aws:PrincipalARN": ["arn:aws:iam::*:role/Role1AllowedToBypassThisSCP",
                                                       "arn:aws:iam::*:role/Role2AllowedToBypassThisSCP"]}}},
)  # fmt: skip
SCP = ORGANIZATIONS + "orgs_manage_policies_scps_examples_general.html"
FULL = doc(st())


def under(
    source: str, claim: str, expect: str, scp: Any, principal: str, action: str, on: str = "*", **more: Any
) -> Any:
    return case(source, claim, expect, principal, action, on, identity=[FULL], scps=[[FULL], [FULL, scp]], **more)


SCPS = [
    under(SCP, "outside the Regions", EXPLICIT, REGIONS, user("a"), "ec2:RunInstances",
          context={"aws:RequestedRegion": "us-east-1"}),
    under(SCP, "inside them", ALLOW, REGIONS, user("a"), "ec2:RunInstances",
          context={"aws:RequestedRegion": "eu-west-1"}),
    under(SCP, "global services are excepted", ALLOW, REGIONS, user("a"), "iam:GetUser", user("a"),
          context={"aws:RequestedRegion": "us-east-1"}),
    under(SCP, "so is a role", ALLOW, REGIONS, f"arn:aws:sts::{ACCOUNT}:assumed-role/Role1AllowedToBypassThisSCP/s",
          "ec2:RunInstances", context={"aws:RequestedRegion": "us-east-1"}),
    under(SCP, "the root user of a member account is limited", EXPLICIT,
          doc(st("Deny", "ec2:*", Condition={"StringLike": {"aws:PrincipalArn": ["arn:aws:iam::*:root"]}})),
          ROOT, "ec2:RunInstances"),
    under(SCP, "its users are not by that", ALLOW,
          doc(st("Deny", "ec2:*", Condition={"StringLike": {"aws:PrincipalArn": ["arn:aws:iam::*:root"]}})),
          user("a"), "ec2:RunInstances"),
    under(SCP, "a role that nobody changes", EXPLICIT,
          doc(st("Deny", ["iam:AttachRolePolicy", "iam:DeleteRole", "iam:UpdateRole"],
                 ["arn:aws:iam::*:role/name-of-role-to-deny"])),
          user("a"), "iam:DeleteRole", f"arn:aws:iam::{ACCOUNT}:role/name-of-role-to-deny"),
    under(SCP, "but the administrators' role", ALLOW,
          doc(st("Deny", ["iam:AttachRolePolicy", "iam:DeleteRole", "iam:UpdateRole"],
                 ["arn:aws:iam::*:role/name-of-role-to-deny"],
                 Condition={"StringNotLike": {"aws:PrincipalARN": "arn:aws:iam::*:role/name-of-admin-role-to-allow"}})),
          f"arn:aws:sts::{ACCOUNT}:assumed-role/name-of-admin-role-to-allow/s", "iam:DeleteRole",
          f"arn:aws:iam::{ACCOUNT}:role/name-of-role-to-deny"),
    under(SCP, "stopping instances needs MFA", EXPLICIT,
          doc(st("Deny", ["ec2:StopInstances", "ec2:TerminateInstances"],
                 Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": False}})), user("a"), "ec2:StopInstances",
          context={"aws:MultiFactorAuthPresent": "false"}),
    under(SCP, "long-term credentials don't carry MFA either", EXPLICIT,
          doc(st("Deny", ["ec2:StopInstances", "ec2:TerminateInstances"],
                 Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": False}})), user("a"), "ec2:StopInstances"),
    under(SCP, "with MFA", ALLOW,
          doc(st("Deny", ["ec2:StopInstances", "ec2:TerminateInstances"],
                 Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": False}})), user("a"), "ec2:StopInstances",
          context={"aws:MultiFactorAuthPresent": "true"}),
    under(ORGANIZATIONS + "orgs_manage_policies_scps_examples_ec2.html", "other instance types", EXPLICIT,
          doc(st("Deny", "ec2:RunInstances", "arn:aws:ec2:*:*:instance/*",
                 Condition={"StringNotEquals": {"ec2:InstanceType": "t2.micro"}})), user("a"), "ec2:RunInstances",
          f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1", context={"ec2:InstanceType": "m5.large"}),
    under(ORGANIZATIONS + "orgs_manage_policies_scps_examples_ec2.html", "the one instance type", ALLOW,
          doc(st("Deny", "ec2:RunInstances", "arn:aws:ec2:*:*:instance/*",
                 Condition={"StringNotEquals": {"ec2:InstanceType": "t2.micro"}})), user("a"), "ec2:RunInstances",
          f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1", context={"ec2:InstanceType": "t2.micro"}),
    under(ORGANIZATIONS + "orgs_manage_policies_scps_examples_tagging.html", "a tag is required", EXPLICIT,
          doc(st("Deny", "secretsmanager:CreateSecret", Condition={"Null": {"aws:RequestTag/Project": "true"}})),
          user("a"), "secretsmanager:CreateSecret"),
    under(ORGANIZATIONS + "orgs_manage_policies_scps_examples_tagging.html", "with the tag", ALLOW,
          doc(st("Deny", "secretsmanager:CreateSecret", Condition={"Null": {"aws:RequestTag/Project": "true"}})),
          user("a"), "secretsmanager:CreateSecret", context={"aws:RequestTag/Project": "x"}),
    under(SCP, "no account leaves", EXPLICIT, doc(st("Deny", "organizations:LeaveOrganization")), user("a"),
          "organizations:LeaveOrganization"),
    case(ORGANIZATIONS + "orgs_manage_policies_scps_evaluation.html", "an allow list at the account limits", IMPLICIT,
         user("a"), "ec2:RunInstances", "*", identity=[FULL], scps=[[FULL], [FULL], [doc(st(action="s3:*"))]]),
    case(ORGANIZATIONS + "orgs_manage_policies_scps_evaluation.html", "an allow missing at one level is missing",
         IMPLICIT, user("a"), "s3:GetObject", "arn:aws:s3:::b/a", account=ACCOUNT, identity=[FULL],
         scps=[[FULL], [doc(st(action="ec2:*"))], [FULL]]),
    case(ORGANIZATIONS + "orgs_manage_policies_scps_evaluation.html", "two lists at one level are added", ALLOW,
         user("a"), "s3:GetObject", "arn:aws:s3:::b/a", account=ACCOUNT, identity=[FULL],
         scps=[[FULL], [doc(st(action="ec2:*")), doc(st(action="s3:*"))]]),
    case(ORGANIZATIONS + "orgs_manage_policies_scps_evaluation.html", "a level without any policy denies", IMPLICIT,
         user("a"), "s3:GetObject", "arn:aws:s3:::b/a", account=ACCOUNT, identity=[FULL], scps=[[FULL], []]),
]  # fmt: skip

RCP = ORGANIZATIONS + "orgs_manage_policies_rcps_examples.html"
PERIMETER = doc(
    {"Sid": "EnforceOrgIdentities", "Effect": "Deny", "Principal": "*",
     "Action": ["s3:*", "sqs:*", "kms:*", "secretsmanager:*", "sts:AssumeRole", "sts:DecodeAuthorizationMessage",
                "sts:GetAccessKeyInfo", "sts:GetFederationToken", "sts:GetServiceBearerToken", "sts:GetSessionToken",
                "sts:SetContext"], "Resource": "*",
     "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "my-org-id"},
                   "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}},
)  # fmt: skip
DEPUTY = doc(
    by("*", "Deny", ["s3:*", "sqs:*", "kms:*", "secretsmanager:*"],
       Condition={"StringNotEqualsIfExists": {"aws:SourceOrgID": "my-org-id"}, "Null": {"aws:SourceAccount": "false"},
                  "Bool": {"aws:PrincipalIsAWSService": "true"}}),
)  # fmt: skip
SECURE = doc(by("*", "Deny", ["s3:*", "sqs:*", "kms:*", "secretsmanager:*", "sts:*"],
                Condition={"BoolIfExists": {"aws:SecureTransport": "false"}}))  # fmt: skip
PUBLIC = doc(by("*"))


def guarded(claim: str, expect: str, rcp: Any, principal: str, action: str = "s3:GetObject", **context: Any) -> Any:
    return case(RCP, claim, expect, principal, action, "arn:aws:s3:::b/a", context, account=ACCOUNT, resource=PUBLIC,
                identity=[FULL] if principal.startswith("arn:") else [], rcps=[[rcp]])  # fmt: skip


RCPS = [
    guarded("a principal of the organization", ALLOW, PERIMETER, user("a"), **{"aws:PrincipalOrgID": "my-org-id"}),
    guarded("one of another", EXPLICIT, PERIMETER, user("a", OTHER), **{"aws:PrincipalOrgID": "other"}),
    guarded("one of none", EXPLICIT, PERIMETER, user("a", OTHER)),
    guarded("nobody in particular", EXPLICIT, PERIMETER, "anonymous"),
    guarded("a service on its own behalf", ALLOW, PERIMETER, "service:cloudtrail.amazonaws.com"),
    guarded("a service for a resource of the organization", ALLOW, DEPUTY, "service:sns.amazonaws.com",
            **{"aws:SourceOrgID": "my-org-id", "aws:SourceAccount": ACCOUNT}),
    guarded("a service for a resource of somebody else", EXPLICIT, DEPUTY, "service:sns.amazonaws.com",
            **{"aws:SourceOrgID": "other", "aws:SourceAccount": OTHER}),
    guarded("a service for no account", ALLOW, DEPUTY, "service:sns.amazonaws.com"),
    guarded("a user of another account is not meant by that", ALLOW, DEPUTY, user("a", OTHER),
            **{"aws:SourceAccount": OTHER}),
    guarded("over http", EXPLICIT, SECURE, user("a"), **{"aws:SecureTransport": "false"}),
    guarded("over https", ALLOW, SECURE, user("a"), **{"aws:SecureTransport": "true"}),
]  # fmt: skip

KEY = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DELEGATING = by({"AWS": ROOT}, action="kms:*", Sid="Enable IAM User Permissions")
KEY_POLICY = doc(
    DELEGATING,
    by({"AWS": [user("KMSAdminUser"), f"arn:aws:iam::{ACCOUNT}:role/ExampleAdminRole"]},
       action=["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*",
               "kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource",
               "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"]),
    by({"AWS": [user("CMKUser"), f"arn:aws:iam::{ACCOUNT}:role/CMKRole", f"arn:aws:iam::{OTHER}:root"]},
       action=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]),
    by({"AWS": [user("CMKUser"), f"arn:aws:iam::{ACCOUNT}:role/CMKRole", f"arn:aws:iam::{OTHER}:root"]},
       action=["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
       Condition={"Bool": {"kms:GrantIsForAWSResource": True}}),
)  # fmt: skip
OVERVIEW = KMS + "key-policy-overview.html"
ABAC = KMS + "abac.html"


def key(source: str, claim: str, expect: str, principal: str, action: str = "kms:Decrypt", *, policy: Any = KEY_POLICY,
        context: dict[str, Any] | None = None, **more: Any) -> Any:  # fmt: skip
    return case(source, claim, expect, principal, action, KEY, context, resource=policy, **more)


KEYS = [
    key(OVERVIEW, "an administrator manages", ALLOW, user("KMSAdminUser"), "kms:ScheduleKeyDeletion"),
    key(OVERVIEW, "an administrator does not decrypt", IMPLICIT, user("KMSAdminUser")),
    key(OVERVIEW, "a user decrypts", ALLOW, user("CMKUser")),
    key(OVERVIEW, "a user does not manage", IMPLICIT, user("CMKUser"), "kms:ScheduleKeyDeletion"),
    key(OVERVIEW, "a user grants to AWS resources", ALLOW, user("CMKUser"), "kms:CreateGrant",
        context={"kms:GrantIsForAWSResource": "true"}),
    key(OVERVIEW, "and to nobody else", IMPLICIT, user("CMKUser"), "kms:CreateGrant",
        context={"kms:GrantIsForAWSResource": "false"}),
    key(OVERVIEW, "other users by IAM policies", ALLOW, user("x"), identity=[doc(st(action="kms:Decrypt",
       resource=KEY))]),
    key(KMS + "key-policy-modifying-external-accounts.html", "another account's user with both policies", ALLOW,
        user("x", OTHER), identity=[doc(st(action=["kms:Encrypt", "kms:Decrypt"], resource=KEY))]),
    key(KMS + "key-policy-modifying-external-accounts.html", "another account's user without an IAM policy", IMPLICIT,
        user("x", OTHER)),
    key(KMS + "key-policy-modifying-external-accounts.html", "another account never manages", IMPLICIT,
        user("x", OTHER), "kms:DisableKey", identity=[FULL]),
    key(KMS + "policy-evaluation.html", "a key policy without the account leaves IAM policies without effect", IMPLICIT,
        user("Alice"), identity=[FULL], policy=doc(by({"AWS": user("Bob")}, action="kms:*"))),
    key(KMS + "policy-evaluation.html", "a role of another account", ALLOW, f"arn:aws:sts::{OTHER}:assumed-role/r/s",
        identity=[doc(st(action="kms:Decrypt", resource=KEY))],
        policy=doc(by({"AWS": f"arn:aws:iam::{OTHER}:role/r"}, action="kms:Decrypt"))),
    key(ABAC, "tagged Alpha", ALLOW, user("x"), context={"aws:ResourceTag/Project": "Alpha"}, policy=doc(DELEGATING),
        identity=[doc(st(action=["kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"],
                         Condition={"StringEquals": {"aws:ResourceTag/Project": "Alpha"}}))]),
    key(ABAC, "tagged Beta", IMPLICIT, user("x"), context={"aws:ResourceTag/Project": "Beta"}, policy=doc(DELEGATING),
        identity=[doc(st(action=["kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"],
                         Condition={"StringEquals": {"aws:ResourceTag/Project": "Alpha"}}))]),
    key(KMS + "alias-authorization.html", "by an alias that the key has", ALLOW, user("x"), "kms:GenerateDataKey",
        context={"kms:ResourceAliases": ["alias/other", "alias/restricted-1"]}, policy=doc(DELEGATING),
        identity=[doc(st(action="kms:GenerateDataKey*",
                         Condition={"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/restricted*"}}))]),
    key(KMS + "alias-authorization.html", "not named by the alias", EXPLICIT, user("x"),
        identity=[FULL, doc(st("Deny", "kms:Decrypt", Condition={
            "StringNotEquals": {"kms:RequestAlias": "alias/x"}}))], policy=doc(DELEGATING)),
    key(KMS + "conditions-kms.html#conditions-kms-encryption-context", "in the right encryption context", ALLOW,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/RoleForExampleApp/s",
           context={"kms:EncryptionContext:AppName": "ExampleApp"},
        policy=doc(by({"AWS": f"arn:aws:iam::{ACCOUNT}:role/RoleForExampleApp"}, action="kms:Decrypt",
                      Condition={"StringEquals": {"kms:EncryptionContext:AppName": "ExampleApp"}}))),
    key(KMS + "conditions-kms.html#conditions-kms-encryption-context-keys", "only in a context with AppName alone",
       IMPLICIT,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/RoleForExampleApp/s",
        context={"kms:EncryptionContextKeys": ["AppName", "Other"]},
        policy=doc(by({"AWS": f"arn:aws:iam::{ACCOUNT}:role/RoleForExampleApp"}, action="kms:Decrypt",
                      Condition={"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["AppName"]},
                                 "Null": {"kms:EncryptionContextKeys": "false"}}))),
    key(KMS + "conditions-kms.html#conditions-kms-via-service", "through the services that are named", ALLOW,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/ExampleRole/s",
        context={"kms:ViaService": "rds.us-west-2.amazonaws.com"},
        policy=doc(by({"AWS": f"arn:aws:iam::{ACCOUNT}:role/ExampleRole"}, action="kms:*", Condition={
            "StringEquals": {"kms:ViaService": ["ec2.us-west-2.amazonaws.com", "rds.us-west-2.amazonaws.com"]}}))),
    key(KMS + "conditions-kms.html#conditions-kms-via-service", "not through others", EXPLICIT, user("x"),
        context={"kms:ViaService": "lambda.us-west-2.amazonaws.com"}, identity=[FULL],
        policy=doc(DELEGATING, by("*", "Deny", ["kms:Encrypt", "kms:Decrypt"], Condition={
            "StringEquals": {"kms:ViaService": ["lambda.us-west-2.amazonaws.com"]}}))),
    key(KMS + "conditions-kms.html#conditions-kms-caller-account", "everyone of the account through a service", ALLOW,
        user("x"), context={"kms:ViaService": "ec2.us-west-2.amazonaws.com"},
        policy=doc(by({"AWS": "*"}, action="kms:Decrypt", Condition={"StringEquals": {
            "kms:CallerAccount": ACCOUNT, "kms:ViaService": "ec2.us-west-2.amazonaws.com"}}))),
    key(KMS + "conditions-kms.html#conditions-kms-caller-account", "another account through it", IMPLICIT,
        user("x", OTHER), context={"kms:ViaService": "ec2.us-west-2.amazonaws.com"}, identity=[FULL],
        policy=doc(by({"AWS": "*"}, action="kms:Decrypt", Condition={"StringEquals": {
            "kms:CallerAccount": ACCOUNT, "kms:ViaService": "ec2.us-west-2.amazonaws.com"}}))),
    key(KMS + "conditions-kms.html#conditions-kms-schedule-key-deletion-pending-window-in-days", "a short window",
       EXPLICIT,
        user("x"), "kms:ScheduleKeyDeletion", context={"kms:ScheduleKeyDeletionPendingWindowInDays": "7"},
           identity=[FULL],
        policy=doc(DELEGATING, by({"AWS": user("x")}, "Deny", "kms:ScheduleKeyDeletion", Condition={
            "NumericLessThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": "21"}}))),
    key(KMS + "conditions-kms.html#conditions-kms-grant-operations", "grants of encryption only", IMPLICIT, user("x"),
        "kms:CreateGrant", context={"kms:GrantOperations": ["Encrypt", "Decrypt"]},
        policy=doc(by({"AWS": user("x")}, action="kms:CreateGrant", Condition={
            "ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}}))),
    key(KMS + "least-privilege.html#least-privilege-source-arn", "a service for this trail", ALLOW,
        "service:cloudtrail.amazonaws.com", "kms:GenerateDataKey",
        context={"aws:SourceArn": f"arn:aws:cloudtrail:us-west-2:{ACCOUNT}:trail/t"},
        policy=doc(by({"Service": "cloudtrail.amazonaws.com"}, action="kms:GenerateDataKey", Condition={
            "StringEquals": {"aws:SourceArn": [f"arn:aws:cloudtrail:us-west-2:{ACCOUNT}:trail/t"]}}))),
]  # fmt: skip

BUCKET = S3 + "example-bucket-policies.html"
DEMO = "arn:aws:s3:::amzn-s3-demo-bucket"


def bucket(source: str, claim: str, expect: str, policy: Any, principal: str = user("x"), action: str = "s3:GetObject",
           on: str = DEMO + "/a", context: dict[str, Any] | None = None, identity: Any = (FULL,)) -> Any:  # fmt: skip
    held = list(identity) if principal.startswith("arn:") else []
    return case(source, claim, expect, principal, action, on, context, account=ACCOUNT, resource=policy, identity=held)


ALL_OF_IT = [DEMO, DEMO + "/*"]
MFA = doc(
    by("*", "Deny", "s3:*", DEMO + "/taxdocuments/*", Condition={"Null": {"aws:MultiFactorAuthAge": True}}),
    by("*", "Deny", "s3:*", DEMO + "/taxdocuments/*", Condition={
        "NumericGreaterThan": {"aws:MultiFactorAuthAge": 3600}}),
    by("*", action="s3:GetObject", resource=DEMO + "/*"),
)  # fmt: skip
NETWORKS = doc(by("*", "Deny", "s3:*", ALL_OF_IT, Condition={"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}))
ENCRYPTED = doc(by("*", "Deny", "s3:PutObject", DEMO + "/*", Condition={
    "Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "true"}}))  # fmt: skip
VPC_ENDPOINT = doc(
    by("*", "Deny", "s3:*", ALL_OF_IT, Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1a2b3c4d"}})
)
S3_KEYS = S3 + "amazon-s3-policy-keys.html"
BUCKETS = [
    bucket(BUCKET, "unencrypted uploads", EXPLICIT, ENCRYPTED, action="s3:PutObject"),
    bucket(BUCKET, "uploads under a key", ALLOW, ENCRYPTED, action="s3:PutObject",
           context={"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY}),
    bucket(BUCKET, "http", EXPLICIT, doc(by("*", "Deny", "s3:*", ALL_OF_IT, Condition={
        "Bool": {"aws:SecureTransport": "false"}})), context={"aws:SecureTransport": "false"}),
    bucket(BUCKET, "https", ALLOW, doc(by("*", "Deny", "s3:*", ALL_OF_IT, Condition={
        "Bool": {"aws:SecureTransport": "false"}})), context={"aws:SecureTransport": "true"}),
    bucket(BUCKET, "inside the network", ALLOW, NETWORKS, context={"aws:SourceIp": "192.0.2.7"}),
    bucket(BUCKET, "outside of it", EXPLICIT, NETWORKS, context={"aws:SourceIp": "203.0.113.7"}),
    bucket(BUCKET, "through a VPC endpoint no public address is known", EXPLICIT, NETWORKS),
    bucket(BUCKET, "a referer", ALLOW, doc(by("*", action="s3:GetObject", resource=DEMO + "/*", Condition={
        "StringLike": {"aws:Referer": ["http://www.example.com/*", "http://example.com/*"]}})), "anonymous",
        context={"aws:Referer": "http://www.example.com/page"}),
    bucket(BUCKET, "another referer", IMPLICIT, doc(by("*", action="s3:GetObject", resource=DEMO + "/*", Condition={
        "StringLike": {"aws:Referer": ["http://www.example.com/*", "http://example.com/*"]}})), "anonymous",
        context={"aws:Referer": "http://www.example.org/page"}),
    bucket(BUCKET, "a member of the organization", ALLOW, doc(by("*", action="s3:GetObject", resource=DEMO + "/*",
           Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-aa111bb222"]}})), user("x", OTHER),
           context={"aws:PrincipalOrgID": "o-aa111bb222"}),
    bucket(BUCKET, "a stranger to it", IMPLICIT, doc(by("*", action="s3:GetObject", resource=DEMO + "/*",
           Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-aa111bb222"]}})), user("x", OTHER)),
    bucket(BUCKET, "without MFA", EXPLICIT, MFA, on=DEMO + "/taxdocuments/a"),
    bucket(BUCKET, "with an old MFA", EXPLICIT, MFA, on=DEMO + "/taxdocuments/a",
       context={"aws:MultiFactorAuthAge": "3601"}),
    bucket(BUCKET, "with a fresh MFA", ALLOW, MFA, on=DEMO + "/taxdocuments/a",
       context={"aws:MultiFactorAuthAge": "60"}),
    bucket(BUCKET, "elsewhere without MFA", ALLOW, MFA, "anonymous", on=DEMO + "/other/a"),
    bucket(BUCKET, "uploads that give the owner control", ALLOW, doc(by({"AWS": user("u", OTHER)},
       action="s3:PutObject",
           resource=DEMO + "/*", Condition={"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}})),
           user("u", OTHER), "s3:PutObject", context={"s3:x-amz-acl": "bucket-owner-full-control"}),
    bucket(BUCKET, "uploads that don't", IMPLICIT, doc(by({"AWS": user("u", OTHER)}, action="s3:PutObject",
           resource=DEMO + "/*", Condition={"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}})),
           user("u", OTHER), "s3:PutObject"),
    bucket(BUCKET, "CloudFront for its own distribution", ALLOW, doc(by({"Service": "cloudfront.amazonaws.com"},
           action="s3:GetObject", resource=DEMO + "/*", Condition={"StringEquals": {
               "aws:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1"}})),
                  "service:cloudfront.amazonaws.com",
           context={"aws:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1"}),
    bucket(BUCKET, "CloudFront for somebody else's", IMPLICIT, doc(by({"Service": "cloudfront.amazonaws.com"},
           action="s3:GetObject", resource=DEMO + "/*", Condition={"StringEquals": {
               "aws:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1"}})),
                  "service:cloudfront.amazonaws.com",
           context={"aws:SourceArn": f"arn:aws:cloudfront::{OTHER}:distribution/E2"}),
    bucket(BUCKET, "an inventory report", ALLOW, doc(by({"Service": "s3.amazonaws.com"}, action="s3:PutObject",
           resource=[DEMO + "/*"], Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::amzn-s3-demo-source-bucket"},
           "StringEquals": {"aws:SourceAccount": ACCOUNT, "s3:x-amz-acl": "bucket-owner-full-control"}})),
           "service:s3.amazonaws.com", "s3:PutObject", context={
               "aws:SourceArn": "arn:aws:s3:::amzn-s3-demo-source-bucket", "aws:SourceAccount": ACCOUNT,
               "s3:x-amz-acl": "bucket-owner-full-control"}),
    bucket(S3 + "example-bucket-policies-vpc-endpoint.html", "through the endpoint", ALLOW, VPC_ENDPOINT,
           context={"aws:SourceVpce": "vpce-1a2b3c4d"}),
    bucket(S3 + "example-bucket-policies-vpc-endpoint.html", "around it", EXPLICIT, VPC_ENDPOINT,
           context={"aws:SourceIp": "192.0.2.7"}),
    bucket(S3_KEYS, "a home folder's listing", ALLOW, doc(by({"AWS": user("Dave")}, action="s3:ListBucket",
       resource=DEMO,
           Condition={"StringEquals": {"s3:prefix": "projects"}})), user("Dave"), "s3:ListBucket", DEMO,
           {"s3:prefix": "projects"}, ()),
    bucket(S3_KEYS, "another prefix", EXPLICIT, doc(by({"AWS": user("Dave")}, "Deny", "s3:ListBucket", DEMO,
           Condition={"StringNotEquals": {"s3:prefix": "projects"}})), user("Dave"), "s3:ListBucket", DEMO,
           {"s3:prefix": "secret"}),
    bucket(S3_KEYS, "at most ten keys", EXPLICIT, doc(by({"AWS": user("Dave")}, "Deny", "s3:ListBucket", DEMO,
           Condition={"NumericGreaterThan": {"s3:max-keys": "10"}})), user("Dave"), "s3:ListBucket", DEMO,
           {"s3:max-keys": "11"}),
    bucket(S3_KEYS, "an old TLS version", EXPLICIT, doc(by("*", "Deny", "s3:*", ALL_OF_IT, Condition={
        "NumericLessThan": {"s3:TlsVersion": 1.2}})), context={"s3:TlsVersion": "1.1"}),
    bucket(S3_KEYS, "a current one", ALLOW, doc(by("*", "Deny", "s3:*", ALL_OF_IT, Condition={
        "NumericLessThan": {"s3:TlsVersion": 1.2}})), context={"s3:TlsVersion": "1.3"}),
    bucket(S3_KEYS, "copies from one folder only", EXPLICIT, doc(
        by({"AWS": user("Dave")}, action="s3:PutObject", resource=DEMO + "/*"),
        by({"AWS": user("Dave")}, "Deny", "s3:PutObject", DEMO + "/*", Condition={
            "StringNotLike": {"s3:x-amz-copy-source": "awsexamplebucket1/public/*"}})), user("Dave"), "s3:PutObject",
        context={"s3:x-amz-copy-source": "awsexamplebucket1/private/a"}),
    bucket(S3 + "bucket-policy-s3-sigv4-conditions.html", "an old presigned URL", EXPLICIT, doc(by("*", "Deny", "s3:*",
           DEMO + "/*", Condition={"NumericGreaterThan": {"s3:signatureAge": 600000}})),
              context={"s3:signatureAge": "600001"}),
    bucket(S3 + "bucket-policy-s3-sigv4-conditions.html", "a presigned URL where a header is wanted", EXPLICIT,
           doc(by("*", "Deny", "s3:*", DEMO + "/*", Condition={"StringNotEquals": {"s3:authType": "REST-HEADER"}})),
           context={"s3:authType": "REST-QUERY-STRING"}),
]  # fmt: skip


def example(page: str, claim: str, expect: str, policy: Any, action: str, on: str = "*", **more: Any) -> Any:
    principal = more.pop("principal", user("x"))
    return case(EXAMPLES + page, claim, expect, principal, action, on, more.pop("context", None), identity=[policy],
                **more)  # fmt: skip


OWN_MFA = doc(
    st(action=["iam:CreateVirtualMFADevice"], resource="arn:aws:iam::*:mfa/*"),
    st(action=["iam:ListMFADevices", "iam:EnableMFADevice"], resource="arn:aws:iam::*:user/${aws:username}"),
    {"Sid": "DenyAllExceptListedIfNoMFA", "Effect": "Deny", "NotAction": [
        "iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "iam:GetUser", "iam:ListMFADevices",
           "sts:GetSessionToken"],
     "Resource": "*", "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}},
)  # fmt: skip
DENY_IP = doc(
    st("Deny", "*", Condition={"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]},
                               "Bool": {"aws:ViaAWSService": "false"}}),
    st(action="s3:*"),
)  # fmt: skip
DATES = doc(st(action="service-prefix:action-name", Condition={
    "DateGreaterThan": {"aws:CurrentTime": "2020-04-01T00:00:00Z"},
    "DateLessThan": {"aws:CurrentTime": "2020-06-30T23:59:59Z"}}))  # fmt: skip
OWNED = doc(
    st(action=["ec2:StartInstances", "ec2:StopInstances"], resource="arn:aws:ec2:*:*:instance/*",
       Condition={"StringEquals": {"aws:ResourceTag/Owner": "${aws:username}"}}),
    st(action="ec2:DescribeInstances"),
)  # fmt: skip
ATTRIBUTES = doc(st(action=["dynamodb:GetItem"], resource="arn:aws:dynamodb:*:*:table/table-name", Condition={
    "ForAllValues:StringEquals": {"dynamodb:Attributes": ["column-name-1", "column-name-2"]},
    "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}}))  # fmt: skip
TABLE_ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/table-name"
COGNITO = doc(
    st(action="s3:ListBucket", resource=DEMO, Condition={
        "StringLike": {"s3:prefix": ["cognito/application-name/${cognito-identity.amazonaws.com:sub}/*"]}}),
    st(action=["s3:GetObject", "s3:PutObject"],
       resource=[DEMO + "/cognito/application-name/${cognito-identity.amazonaws.com:sub}/*"]),
)  # fmt: skip
APP_USER = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/CognitoIdentityCredentials"
SUB = {"cognito-identity.amazonaws.com:sub": "us-east-1:12345678-1234"}
HOMES = doc(
    st(action=["s3:ListBucket"], resource=[DEMO], Condition={
        "StringLike": {"s3:prefix": ["", "home/", "home/${aws:PrincipalTag/user-name}/*"]}}),
    st(action="s3:*", resource=[DEMO + "/home/${aws:PrincipalTag/user-name}",
       DEMO + "/home/${aws:PrincipalTag/user-name}/*"]),
)  # fmt: skip
JOBS = doc(st(action=["secretsmanager:*"], Condition={"StringEquals": {
    f"aws:ResourceTag/{name}": f"${{aws:PrincipalTag/{name}}}" for name in ("access-project",
       "access-team")}}))  # fmt: skip
IAM_EXAMPLES = [
    example("aws_my-sec-creds-self-manage-mfa-only.html", "without MFA only MFA is set up", EXPLICIT, OWN_MFA,
            "s3:ListAllMyBuckets", "arn:aws:s3:::*"),
    example("aws_my-sec-creds-self-manage-mfa-only.html", "one's own device", ALLOW, OWN_MFA, "iam:EnableMFADevice",
       user("x")),
    example("aws_my-sec-creds-self-manage-mfa-only.html", "another's device", IMPLICIT, OWN_MFA, "iam:EnableMFADevice",
            user("y"), context={"aws:MultiFactorAuthPresent": "true"}),
    example("aws_deny-ip.html", "from inside", ALLOW, DENY_IP, "s3:GetObject", DEMO + "/a", account=ACCOUNT,
            context={"aws:SourceIp": "192.0.2.1", "aws:ViaAWSService": "false"}),
    example("aws_deny-ip.html", "from outside", EXPLICIT, DENY_IP, "s3:GetObject", DEMO + "/a", account=ACCOUNT,
            context={"aws:SourceIp": "198.51.100.1", "aws:ViaAWSService": "false"}),
    example("aws_deny-ip.html", "a service on one's behalf", ALLOW, DENY_IP, "s3:GetObject", DEMO + "/a",
       account=ACCOUNT,
            context={"aws:ViaAWSService": "true"}),
    example("aws-dates.html", "between the dates", ALLOW, DATES, "service-prefix:action-name",
            context={"aws:CurrentTime": "2020-05-01T00:00:00Z"}),
    example("aws-dates.html", "before them", IMPLICIT, DATES, "service-prefix:action-name",
            context={"aws:CurrentTime": "2020-04-01T00:00:00Z"}),
    example("aws-dates.html", "after them", IMPLICIT, DATES, "service-prefix:action-name",
            context={"aws:CurrentTime": "2020-07-01T00:00:00Z"}),
    example("ec2_tag-owner.html", "one's own instance", ALLOW, OWNED, "ec2:StartInstances",
            f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1", context={"aws:ResourceTag/Owner": "x"}),
    example("ec2_tag-owner.html", "another's instance", IMPLICIT, OWNED, "ec2:StartInstances",
            f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1", context={"aws:ResourceTag/Owner": "y"}),
    example("ec2_tag-owner.html", "an instance without a tag", IMPLICIT, OWNED, "ec2:StartInstances",
            f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1"),
    example("dynamodb_attributes.html", "the columns", ALLOW, ATTRIBUTES, "dynamodb:GetItem", TABLE_ARN,
            context={"dynamodb:Attributes": ["column-name-1"], "dynamodb:Select": "SPECIFIC_ATTRIBUTES"}),
    example("dynamodb_attributes.html", "a further column", IMPLICIT, ATTRIBUTES, "dynamodb:GetItem", TABLE_ARN,
            context={"dynamodb:Attributes": ["column-name-1", "column-name-3"]}),
    example("dynamodb_attributes.html", "all columns", IMPLICIT, ATTRIBUTES, "dynamodb:GetItem", TABLE_ARN,
            context={"dynamodb:Select": "ALL_ATTRIBUTES"}),
    example("s3_cognito-bucket.html", "an app user's own object", ALLOW, COGNITO, "s3:GetObject",
            DEMO + "/cognito/application-name/us-east-1:12345678-1234/a", principal=APP_USER, account=ACCOUNT,
               context=SUB),
    example("s3_cognito-bucket.html", "another's", IMPLICIT, COGNITO, "s3:GetObject",
            DEMO + "/cognito/application-name/us-east-1:99999999-9999/a", principal=APP_USER, account=ACCOUNT,
               context=SUB),
    example("s3_cognito-bucket.html", "without a Cognito identity", IMPLICIT, COGNITO, "s3:GetObject",
            DEMO + "/cognito/application-name//a", principal=APP_USER, account=ACCOUNT),
    example("s3_federated-home-directory-console.html", "a federated user's home", ALLOW, HOMES, "s3:GetObject",
            DEMO + "/home/ann/a", principal=APP_USER, account=ACCOUNT, context={"aws:PrincipalTag/user-name": "ann"}),
    example("s3_federated-home-directory-console.html", "another's home", IMPLICIT, HOMES, "s3:GetObject",
            DEMO + "/home/bob/a", principal=APP_USER, account=ACCOUNT, context={"aws:PrincipalTag/user-name": "ann"}),
    example("s3_federated-home-directory-console.html", "a name that is a pattern", IMPLICIT, HOMES, "s3:GetObject",
            DEMO + "/home/bob/a", principal=APP_USER, account=ACCOUNT, context={"aws:PrincipalTag/user-name": "*"}),
    example("iam-passrole-service.html", "a role for the service", ALLOW, doc(st(action="iam:PassRole", Condition={
        "StringEquals": {"iam:PassedToService": "cloudwatch.amazonaws.com"}})), "iam:PassRole",
        f"arn:aws:iam::{ACCOUNT}:role/r", context={"iam:PassedToService": "cloudwatch.amazonaws.com"}),
    example("iam-passrole-service.html", "a role for another service", IMPLICIT, doc(st(action="iam:PassRole",
       Condition={
        "StringEquals": {"iam:PassedToService": "cloudwatch.amazonaws.com"}})), "iam:PassRole",
        f"arn:aws:iam::{ACCOUNT}:role/r", context={"iam:PassedToService": "ec2.amazonaws.com"}),
    case(IAM + "tutorial_attribute-based-access-control.html", "both tags match", ALLOW, APP_USER,
       "secretsmanager:GetSecretValue",
         f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:s", identity=[JOBS], context={
             "aws:PrincipalTag/access-project": "peg", "aws:PrincipalTag/access-team": "eng",
             "aws:ResourceTag/access-project": "peg", "aws:ResourceTag/access-team": "eng"}),
    case(IAM + "tutorial_attribute-based-access-control.html", "one tag differs", IMPLICIT, APP_USER,
         "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:s", identity=[JOBS],
            context={
             "aws:PrincipalTag/access-project": "peg", "aws:PrincipalTag/access-team": "eng",
             "aws:ResourceTag/access-project": "uni", "aws:ResourceTag/access-team": "eng"}),
    case(IAM + "tutorial_attribute-based-access-control.html", "no tags match no tags", IMPLICIT, APP_USER,
         "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:s", identity=[JOBS]),
    case(IAM + "confused-deputy.html", "a role for one source", ALLOW, "service:sns.amazonaws.com", "sts:AssumeRole",
         f"arn:aws:iam::{ACCOUNT}:role/r", {"aws:SourceArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t"},
         resource=trust({"Service": "sns.amazonaws.com"}, Condition={
             "ArnLike": {"aws:SourceArn": f"arn:aws:sns:*:{ACCOUNT}:*"}})),
    case(IAM + "confused-deputy.html", "not for another's", IMPLICIT, "service:sns.amazonaws.com", "sts:AssumeRole",
         f"arn:aws:iam::{ACCOUNT}:role/r", {"aws:SourceArn": f"arn:aws:sns:us-east-1:{OTHER}:t"},
         resource=trust({"Service": "sns.amazonaws.com"}, Condition={
             "ArnLike": {"aws:SourceArn": f"arn:aws:sns:*:{ACCOUNT}:*"}})),
    case(IAM + "id_credentials_temp_revoke-sessions.html", "sessions from before", EXPLICIT, APP_USER, "s3:GetObject",
         DEMO + "/a", {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}, ACCOUNT, identity=[FULL, doc(st("Deny", "*",
            Condition={
             "DateLessThan": {"aws:TokenIssueTime": "2026-02-01T00:00:00Z"}}))]),
    case(IAM + "id_credentials_temp_revoke-sessions.html", "sessions from after", ALLOW, APP_USER, "s3:GetObject",
         DEMO + "/a", {"aws:TokenIssueTime": "2026-03-01T00:00:00Z"}, ACCOUNT, identity=[FULL, doc(st("Deny", "*",
            Condition={
             "DateLessThan": {"aws:TokenIssueTime": "2026-02-01T00:00:00Z"}}))]),
]  # fmt: skip

VPCE = "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html"
ENDPOINTS = [
    case(VPCE, "full access limits nothing", ALLOW, user("x"), "s3:GetObject", DEMO + "/a", account=ACCOUNT,
         identity=[FULL], endpoint=doc(by("*"))),
    case(VPCE, "full access gives nothing", IMPLICIT, user("x"), "s3:GetObject", DEMO + "/a", account=ACCOUNT,
         endpoint=doc(by("*"))),
    case(VPCE, "what the endpoint does not allow", IMPLICIT, user("x"), "s3:PutObject", DEMO + "/a", account=ACCOUNT,
         identity=[FULL], endpoint=doc(by("*", action="s3:GetObject"))),
    case(VPCE, "not even where the bucket names the user", IMPLICIT, user("x"), "s3:PutObject", DEMO + "/a",
         account=ACCOUNT, resource=doc(by({"AWS": user("x")})), endpoint=doc(by("*", action="s3:GetObject"))),
    case(VPCE, "not even the root user", IMPLICIT, ROOT, "s3:PutObject", DEMO + "/a", account=ACCOUNT,
         endpoint=doc(by("*", action="s3:GetObject"))),
    case(VPCE, "what the endpoint denies", EXPLICIT, user("x"), "s3:GetObject", DEMO + "/a", account=ACCOUNT,
         identity=[FULL], endpoint=doc(by("*"), by("*", "Deny", "s3:GetObject"))),
    case(VPCE, "a principal by condition", ALLOW, APP_USER, "s3:GetObject", DEMO + "/a", account=ACCOUNT,
       identity=[FULL],
         endpoint=doc(by("*", Condition={"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/app"}}))),
    case(VPCE, "another principal", IMPLICIT, user("x"), "s3:GetObject", DEMO + "/a", account=ACCOUNT, identity=[FULL],
         endpoint=doc(by("*", Condition={"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/app"}}))),
    case(VPCE, "a deny by NotPrincipal in the endpoint", EXPLICIT, user("x"), "s3:GetObject", DEMO + "/a",
       account=ACCOUNT,
         identity=[FULL], endpoint=doc(by("*"), st("Deny", NotPrincipal={"AWS": [user("y"), ROOT]}))),
    case(VPCE, "buckets of the organization only", EXPLICIT, user("x"), "s3:PutObject", DEMO + "/a", account=OTHER,
         context={"aws:ResourceOrgID": "other"}, identity=[FULL], resource=PUBLIC, endpoint=doc(by("*"), by(
             "*", "Deny", Condition={"StringNotEquals": {"aws:ResourceOrgID": "my-org"}}))),
    case(VPCE, "the account's name lets its users through", ALLOW, user("x"), "s3:GetObject", DEMO + "/a",
       account=ACCOUNT,
         identity=[FULL], endpoint=doc(by({"AWS": ROOT}))),
]  # fmt: skip

TABLE = [*EVALUATION, *CROSS_ACCOUNT, *BOUNDARY, *SESSIONS, *SCPS, *RCPS, *KEYS, *BUCKETS, *IAM_EXAMPLES, *ENDPOINTS]


@pytest.mark.parametrize("one", TABLE)
def test_the_outcome_that_the_page_tells(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
