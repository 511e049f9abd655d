"""IAM's and Organizations' pages read from end to end: each example that they print, with what they say about it."""

from __future__ import annotations

from typing import Any

import pytest
from test_worked_cases import ALLOW, EXPLICIT, IAM, IMPLICIT, by, case, doc, st

from freehold.authorization import run_cases

ORGANIZATIONS = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_"
ACCOUNT = "123456789012"
FULL = doc(st())


def user(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:user/{name}"


def told(source: str, policies: dict[str, Any], *rows: tuple[Any, ...], account: str = ACCOUNT) -> list[Any]:
    """Rows (claim, outcome, principal, action, resource, context) under the same policies."""
    return [
        case(source, claim, expect, principal, action, on, context[0] if context else None, account, **policies)
        for claim, expect, principal, action, on, *context in rows
    ]


LOGIC = IAM + "reference_policies_evaluation-logic.html"
CROSS = IAM + "reference_policies_evaluation-logic-cross-account.html"
CARLOS, ABROAD = user("carlossalazar"), user("carlossalazar", "111111111111")
CARLOS_MAY = doc(
    st(action=["s3:GetBucketLocation", "s3:GetAccountPublicAccessBlock", "s3:ListAccessPoints", "s3:ListAllMyBuckets"],
       resource="arn:aws:s3:::*"),
    st(action="s3:*", resource=["arn:aws:s3:::carlossalazar/*", "arn:aws:s3:::carlossalazar"]),
    st("Deny", "s3:*", "arn:aws:s3:::*log*"),
)  # fmt: skip
CARLOS_BUCKET = doc(by({"AWS": CARLOS}, action="s3:*",
                       resource=["arn:aws:s3:::carlossalazar/*", "arn:aws:s3:::carlossalazar"]))  # fmt: skip
LISTS_BUT_NO_REPORTS = doc(st(action=["iam:Get*", "iam:List*"]), st("Deny", "iam:*Report"))
ABROAD_MAY = doc(
    st(action="s3:ListAllMyBuckets"),
    st(action="s3:*Object*", resource="arn:aws:s3:::Production/*"),
    st("Deny", "s3:*", ["arn:aws:s3:::*log*", "arn:aws:s3:::*log*/*"]),
)
PRODUCTION = doc(by({"AWS": ABROAD}, action=["s3:GetObject*", "s3:PutObject*", "s3:ReplicateObject",
                                             "s3:RestoreObject"], resource="arn:aws:s3:::Production/*"))  # fmt: skip
EVALUATION = [
    *told(LOGIC, {"identity": [CARLOS_MAY]},
          ("Carlos saves into the bucket of logs", EXPLICIT, CARLOS, "s3:PutObject",
           "arn:aws:s3:::carlossalazar-logs/f")),
    *told(LOGIC, {"identity": [CARLOS_MAY], "resource": CARLOS_BUCKET},
          ("Carlos saves into his own bucket", ALLOW, CARLOS, "s3:PutObject", "arn:aws:s3:::carlossalazar/f")),
    *told(LOGIC, {"identity": [LISTS_BUT_NO_REPORTS]},
          ("what begins with Get", ALLOW, CARLOS, "iam:GetUser", CARLOS),
          ("what no statement names", IMPLICIT, CARLOS, "iam:CreatePolicy", "*"),
          ("a report, though it begins with Get", EXPLICIT, CARLOS, "iam:GetOrganizationsAccessReport", "*")),
    *told(LOGIC, {"identity": [LISTS_BUT_NO_REPORTS, doc(st(action="iam:GenerateCredentialReport"))]},
          ("a report that another policy allows", EXPLICIT, CARLOS, "iam:GenerateCredentialReport", "*")),
    *told(CROSS, {"identity": [ABROAD_MAY]},
          ("Carlos from abroad saves into logs", EXPLICIT, ABROAD, "s3:PutObject", "arn:aws:s3:::Production-logs/f"),
          account="222222222222"),
    *told(CROSS, {"identity": [ABROAD_MAY], "resource": PRODUCTION},
          ("Carlos from abroad saves into production", ALLOW, ABROAD, "s3:PutObject", "arn:aws:s3:::Production/f"),
          ("he deletes nothing", IMPLICIT, ABROAD, "s3:DeleteObject", "arn:aws:s3:::Production/f"),
          ("he does not manage the bucket", IMPLICIT, ABROAD, "s3:PutBucketPolicy", "arn:aws:s3:::Production"),
          account="222222222222"),
]  # fmt: skip

VERSUS = IAM + "access_policies_identity-vs-resource.html"
JOHN, MARY, ZHANGWEI = user("JohnSmith"), user("MaryMajor"), user("ZhangWei")
X, Y, Z = (f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}" for name in "XYZ")
LIST_READ, WRITE = ["sqs:ListQueueTags", "sqs:ReceiveMessage"], "sqs:SendMessage"
ON_X = doc(by({"AWS": [JOHN, MARY]}, action=LIST_READ, resource=X))
ON_Y = doc(by({"AWS": CARLOS}, action=WRITE, resource=Y), by({"AWS": ZHANGWEI}, action=LIST_READ, resource=Y))
ON_Z = doc(by({"AWS": CARLOS}, "Deny", "sqs:*", Z), by({"AWS": ZHANGWEI}, action="sqs:*", resource=Z))
IDENTITY_AND_RESOURCE = [
    *told(VERSUS, {"identity": [doc(st(action=LIST_READ, resource=X))], "resource": ON_X},
          ("John reads X", ALLOW, JOHN, "sqs:ReceiveMessage", X),
          ("John does not write X", IMPLICIT, JOHN, WRITE, X)),
    *told(VERSUS, {"identity": [doc(st(action=LIST_READ, resource=[Y, Z]))], "resource": ON_Y},
          ("Carlos reads Y by his policy", ALLOW, CARLOS, "sqs:ReceiveMessage", Y),
          ("and writes it by Y's", ALLOW, CARLOS, WRITE, Y)),
    *told(VERSUS, {"identity": [doc(st(action=LIST_READ, resource=[Y, Z]))], "resource": ON_Z},
          ("Z denies Carlos", EXPLICIT, CARLOS, "sqs:ReceiveMessage", Z)),
    *told(VERSUS, {"identity": [doc(st(action="sqs:*", resource=[X, Y, Z]))], "resource": ON_X},
          ("Mary writes X by her policy", ALLOW, MARY, WRITE, X)),
    *told(VERSUS, {"resource": ON_Z}, ("Zhang has Z without a policy of his own", ALLOW, ZHANGWEI, WRITE, Z)),
    *told(VERSUS, {"resource": ON_Y}, ("Zhang reads Y", ALLOW, ZHANGWEI, "sqs:ReceiveMessage", Y),
          ("Zhang does not write Y", IMPLICIT, ZHANGWEI, WRITE, Y)),
]  # fmt: skip

BOUNDARIES = IAM + "access_policies_boundaries.html"
X_COMPANY = f"arn:aws:iam::{ACCOUNT}:policy/XCompanyBoundaries"
WITH_IT = {"iam:PermissionsBoundary": X_COMPANY}
X_COMPANY_BOUNDARIES = doc(
    st(action=["s3:*", "cloudwatch:*", "ec2:*", "dynamodb:*"]),
    st(action=["iam:ListUsers", "iam:GetAccountPasswordPolicy"]),
    st(action=["iam:*AccessKey*", "iam:ChangePassword", "iam:GetUser", "iam:*ServiceSpecificCredential*",
               "iam:*SigningCertificate*"], resource=["arn:aws:iam::*:user/${aws:username}"]),
    st("Deny", "s3:*", ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"]),
    st("Deny", "ec2:*", "arn:aws:ec2:*:*:instance/i-1234567890abcdef0"),
)  # fmt: skip
DELEGATED_USER_BOUNDARY = doc(
    st(action=["iam:CreateUser", "iam:DeleteUserPolicy", "iam:AttachUserPolicy", "iam:DetachUserPolicy",
               "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy"],
       Condition={"StringEquals": {"iam:PermissionsBoundary": X_COMPANY}}),
    {"Effect": "Allow", "Action": ["cloudwatch:*", "iam:GetUser", "iam:ListUsers", "iam:DeleteUser", "iam:UpdateUser",
                                   "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateGroup",
                                   "iam:DeletePolicyVersion", "iam:SimulatePrincipalPolicy"],
     "NotResource": user("Maria")},
    st("Deny", ["iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion",
                "iam:SetDefaultPolicyVersion"], [X_COMPANY, f"arn:aws:iam::{ACCOUNT}:policy/DelegatedUserBoundary"]),
    st("Deny", "iam:DeleteUserPermissionsBoundary"),
)  # fmt: skip
DELEGATED_USER_PERMISSIONS = doc(
    st(action="iam:*"),
    st(action=["cloudwatch:GetDashboard", "cloudwatch:GetMetricData", "cloudwatch:ListDashboards",
               "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics"]),
    st(action="s3:ListBucket", resource="arn:aws:s3:::ZhangBucket"),
)  # fmt: skip
ZHANG, NIKHIL = user("Zhang"), user("Nikhil")
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:s"
NIKHILS: dict[str, Any] = {
    "identity": [doc(st(action="iam:*")), doc(st(action=["s3:Get*", "s3:List*"]))],
    "boundary": X_COMPANY_BOUNDARIES,
}
DELEGATION = [
    *told(BOUNDARIES, {"identity": [DELEGATED_USER_PERMISSIONS], "boundary": DELEGATED_USER_BOUNDARY},
          ("Zhang forgets the boundary", IMPLICIT, ZHANG, "iam:CreateUser", NIKHIL),
          ("Zhang chooses the boundary", ALLOW, ZHANG, "iam:CreateUser", NIKHIL, WITH_IT),
          ("Zhang chooses another", IMPLICIT, ZHANG, "iam:CreateUser", NIKHIL,
           {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}),
          ("Zhang sets an existing user's boundary", ALLOW, ZHANG, "iam:PutUserPermissionsBoundary", NIKHIL, WITH_IT),
          ("Zhang makes an access key", ALLOW, ZHANG, "iam:CreateAccessKey", NIKHIL),
          ("Zhang makes none for Maria", IMPLICIT, ZHANG, "iam:CreateAccessKey", user("Maria")),
          ("Zhang deletes a version of another policy", ALLOW, ZHANG, "iam:DeletePolicyVersion",
           f"arn:aws:iam::{ACCOUNT}:policy/Other"),
          ("Zhang changes no boundary", EXPLICIT, ZHANG, "iam:DeletePolicyVersion", X_COMPANY),
          ("nor his own", EXPLICIT, ZHANG, "iam:CreatePolicyVersion",
           f"arn:aws:iam::{ACCOUNT}:policy/DelegatedUserBoundary"),
          ("Zhang takes no boundary away", EXPLICIT, ZHANG, "iam:DeleteUserPermissionsBoundary", ZHANG),
          ("Zhang creates no role", IMPLICIT, ZHANG, "iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/r"),
          ("his policy limits CloudWatch", IMPLICIT, ZHANG, "cloudwatch:PutMetricData", "*"),
          ("to five actions", ALLOW, ZHANG, "cloudwatch:ListMetrics", "*"),
          ("his boundary has no S3", IMPLICIT, ZHANG, "s3:ListBucket", "arn:aws:s3:::ZhangBucket")),
    *told(BOUNDARIES, NIKHILS,
          ("Nikhil changes his password", ALLOW, NIKHIL, "iam:ChangePassword", NIKHIL),
          ("and nobody else's", IMPLICIT, NIKHIL, "iam:ChangePassword", ZHANG),
          ("Nikhil creates no user", IMPLICIT, NIKHIL, "iam:CreateUser", user("n")),
          ("Nikhil edits no policy of his", IMPLICIT, NIKHIL, "iam:PutUserPolicy", NIKHIL),
          ("Nikhil reads S3", ALLOW, NIKHIL, "s3:GetObject", "arn:aws:s3:::b/k"),
          ("Nikhil writes nothing there", IMPLICIT, NIKHIL, "s3:PutObject", "arn:aws:s3:::b/k")),
    *told(BOUNDARIES, NIKHILS | {"resource": doc(by({"AWS": NIKHIL}, action="s3:PutObject"))},
          ("not even into the logs that let him", EXPLICIT, NIKHIL, "s3:PutObject", "arn:aws:s3:::logs/k")),
    *told(BOUNDARIES, NIKHILS | {"resource": doc(by({"AWS": NIKHIL}, action="secretsmanager:GetSecretValue"))},
          ("but the secret that lets him", ALLOW, NIKHIL, "secretsmanager:GetSecretValue", SECRET)),
]  # fmt: skip

CONTROLLING = IAM + "access_controlling.html"
TEAM = f"arn:aws:iam::{ACCOUNT}:"
TEAM_A = [f"{TEAM}group/TEAM-A/*", f"{TEAM}role/TEAM-A/*"]
NOT_CONFIDENTIAL = doc(
    st(action=["cloudwatch:*", "dynamodb:*", "ec2:*", "s3:*"]),
    st("Deny", "s3:*", ["arn:aws:s3:::CompanyConfidential/*", "arn:aws:s3:::CompanyConfidential"]),
)
GROUP = f"{TEAM}group/AllUsers"
MANAGE_GROUP = doc(
    st(action="iam:*Group*", resource=GROUP),
    st("Deny", ["iam:CreateGroup", "iam:DeleteGroup", "iam:RemoveUserFromGroup", "iam:AttachGroupPolicy",
                "iam:DeleteGroupPolicy", "iam:DetachGroupPolicy", "iam:PutGroupPolicy", "iam:UpdateGroup"], GROUP,
       Condition={"StringNotEquals": {"aws:username": ["srodriguez", "mjackson", "adesai"]}}),
)  # fmt: skip
ATTACHES = st(action=["iam:AttachGroupPolicy", "iam:AttachRolePolicy"], resource=TEAM_A)
ATTACHES_OWN = {**ATTACHES, "Condition": {"ArnLike": {"iam:PolicyARN": f"{TEAM}policy/TEAM-A/*"}}}
CONTROLLED = [
    *told(CONTROLLING, {"identity": [FULL], "boundary": NOT_CONFIDENTIAL},
          ("Zhang Wei reads a bucket", ALLOW, ZHANGWEI, "s3:GetObject", "arn:aws:s3:::other/k"),
          ("not the confidential one", EXPLICIT, ZHANGWEI, "s3:GetObject", "arn:aws:s3:::CompanyConfidential/k"),
          ("nor rids himself of the boundary", IMPLICIT, ZHANGWEI, "iam:DeleteUserPermissionsBoundary", ZHANGWEI)),
    *told(CONTROLLING, {"identity": [MANAGE_GROUP]},
          ("one who is listed changes the group", ALLOW, user("mjackson"), "iam:UpdateGroup", GROUP),
          ("one who is not does not", EXPLICIT, JOHN, "iam:UpdateGroup", GROUP),
          ("but looks at it", ALLOW, JOHN, "iam:GetGroup", GROUP)),
    *told(CONTROLLING, {"identity": [doc(st(action=["iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"],
                                            resource=f"{TEAM}policy/TEAM-A/*"))]},
          ("a version of the team's policy", ALLOW, JOHN, "iam:DeletePolicyVersion", f"{TEAM}policy/TEAM-A/p"),
          ("of another's", IMPLICIT, JOHN, "iam:DeletePolicyVersion", f"{TEAM}policy/TEAM-B/p")),
    *told(CONTROLLING, {"identity": [doc(ATTACHES)]},
          ("attaching to the team's role", ALLOW, JOHN, "iam:AttachRolePolicy", f"{TEAM}role/TEAM-A/r"),
          ("to a role without the path", IMPLICIT, JOHN, "iam:AttachRolePolicy", f"{TEAM}role/r"),
          ("to a user", IMPLICIT, JOHN, "iam:AttachUserPolicy", f"{TEAM}user/TEAM-A/u")),
    *told(CONTROLLING, {"identity": [doc(ATTACHES_OWN)]},
          ("attaching the team's policy", ALLOW, JOHN, "iam:AttachGroupPolicy", f"{TEAM}group/TEAM-A/g",
           {"iam:PolicyARN": f"{TEAM}policy/TEAM-A/p"}),
          ("attaching another", IMPLICIT, JOHN, "iam:AttachGroupPolicy", f"{TEAM}group/TEAM-A/g",
           {"iam:PolicyARN": "arn:aws:iam::aws:policy/AmazonEC2FullAccess"})),
]  # fmt: skip

TAGS, IAM_TAGS = IAM + "access_tags.html", IAM + "access_iam-tags.html"
ROE = user("richard-roe")
INSTANCE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1"


def tagged(source: str, statement: dict[str, Any], *rows: tuple[Any, ...]) -> list[Any]:
    return told(source, {"identity": [doc(statement)]}, *((claim, expect, ROE, *row) for claim, expect, *row in rows))


BY_TAG = [
    *tagged(TAGS, st(action=["ec2:StartInstances", "ec2:StopInstances"], resource="arn:aws:ec2:*:*:instance/*",
                     Condition={"StringEquals": {"ec2:ResourceTag/Owner": "${aws:username}"}}),
            ("his own instance", ALLOW, "ec2:StartInstances", INSTANCE, {"ec2:ResourceTag/Owner": "richard-roe"}),
            ("with another case of the key", ALLOW, "ec2:StartInstances", INSTANCE,
             {"ec2:ResourceTag/owner": "richard-roe"}),
            ("another's instance", IMPLICIT, "ec2:StartInstances", INSTANCE, {"ec2:ResourceTag/Owner": "mary"})),
    *tagged(TAGS, st(action="ec2:CreateTags", resource="arn:aws:ec2:*:*:instance/*", Condition={
                "StringEquals": {"aws:RequestTag/environment": ["preprod", "production"]},
                "ForAllValues:StringEquals": {"aws:TagKeys": "environment"}}),
            ("a tag with a value of the list", ALLOW, "ec2:CreateTags", INSTANCE,
             {"aws:RequestTag/environment": "preprod", "aws:TagKeys": ["environment"]}),
            ("another value", IMPLICIT, "ec2:CreateTags", INSTANCE,
             {"aws:RequestTag/environment": "test", "aws:TagKeys": ["environment"]}),
            ("the key in another case", IMPLICIT, "ec2:CreateTags", INSTANCE,
             {"aws:RequestTag/Environment": "preprod", "aws:TagKeys": ["Environment"]}),
            ("a further key", IMPLICIT, "ec2:CreateTags", INSTANCE,
             {"aws:RequestTag/environment": "preprod", "aws:TagKeys": ["environment", "cost"]})),
    *tagged(TAGS, st(action=["secretsmanager:CreateSecret", "secretsmanager:TagResource"], Condition={
                "ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}}),
            ("the keys of the list", ALLOW, "secretsmanager:CreateSecret", SECRET, {"aws:TagKeys": ["cost-center"]}),
            ("another key", IMPLICIT, "secretsmanager:CreateSecret", SECRET, {"aws:TagKeys": ["cost-center", "x"]})),
    *tagged(IAM_TAGS, st(action="iam:DeleteUser", Condition={"StringLike": {"iam:ResourceTag/status": "terminated"}}),
            ("a terminated user", ALLOW, "iam:DeleteUser", JOHN, {"iam:ResourceTag/status": "terminated"}),
            ("a user without the tag", IMPLICIT, "iam:DeleteUser", JOHN)),
    *tagged(IAM_TAGS, st(action=["iam:ListUserTags", "iam:TagUser", "iam:UntagUser"],
                         Condition={"StringLike": {"iam:ResourceTag/jobFunction": "employee"}}),
            ("an employee's tags", ALLOW, "iam:UntagUser", JOHN, {"iam:ResourceTag/jobFunction": "employee"}),
            ("a manager's", IMPLICIT, "iam:UntagUser", JOHN, {"iam:ResourceTag/jobFunction": "manager"})),
    *tagged(IAM_TAGS, st(action="iam:TagUser", Condition={"StringLike": {"aws:RequestTag/department": ["HR", "CS"]}}),
            ("one of two departments", ALLOW, "iam:TagUser", JOHN, {"aws:RequestTag/department": "CS"}),
            ("a third", IMPLICIT, "iam:TagUser", JOHN, {"aws:RequestTag/department": "IT"})),
    *tagged(IAM_TAGS, st(action=["ec2:startInstances", "ec2:stopInstances"], Condition={
                "StringEquals": {"ec2:ResourceTag/costcenter": "${aws:PrincipalTag/cost-center}"}}),
            ("the same cost center", ALLOW, "ec2:StartInstances", INSTANCE,
             {"ec2:ResourceTag/costcenter": "7", "aws:PrincipalTag/cost-center": "7"}),
            ("another", IMPLICIT, "ec2:StartInstances", INSTANCE,
             {"ec2:ResourceTag/costcenter": "7", "aws:PrincipalTag/cost-center": "8"}),
            ("neither has one", IMPLICIT, "ec2:StartInstances", INSTANCE)),
    *tagged(IAM_TAGS, st(action="iam:UntagUser", Condition={
                "ForAllValues:StringEquals": {"aws:TagKeys": ["temporary"]}}),
            ("the temporary tag", ALLOW, "iam:UntagUser", JOHN, {"aws:TagKeys": ["temporary"]}),
            ("it and another", IMPLICIT, "iam:UntagUser", JOHN, {"aws:TagKeys": ["temporary", "job"]})),
]  # fmt: skip

ASSUMED = IAM + "id_credentials_temp_control-access_assumerole.html"
FEDERATED = IAM + "id_credentials_temp_control-access_getfederationtoken.html"
POLICIES = IAM + "access_policies.html"
APP = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/one"
CAROL = f"arn:aws:sts::{ACCOUNT}:federated-user/Carol"
OBJECTS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
APP_BUCKET, APP_OBJECT = "arn:aws:s3:::productionapp", "arn:aws:s3:::productionapp/k"
ROLE_MAY = doc(st(action="s3:ListBucket", resource=APP_BUCKET), st(action=OBJECTS, resource=APP_BUCKET + "/*"))
SESSION_MAY = doc(st(action="s3:ListBucket", resource=APP_BUCKET), st(action=OBJECTS[:2], resource=APP_BUCKET + "/*"))
TOKEN_APP_MAY = doc(
    *(st(action=f"{service}:{name}") for service, name in (
        ("sts", "GetFederationToken"), ("dynamodb", "ListTables"), ("sqs", "ReceiveMessage"), ("s3", "ListBucket"),
        ("sns", "ListSubscriptions"))),
)  # fmt: skip
CAROL_BY_BUCKET = doc(by({"AWS": CAROL}, action=OBJECTS, resource=[APP_BUCKET + "/*"]))
SESSIONS = [
    *told(ASSUMED, {"identity": [ROLE_MAY]}, ("the role deletes", ALLOW, APP, "s3:DeleteObject", APP_OBJECT)),
    *told(ASSUMED, {"identity": [ROLE_MAY], "session": [SESSION_MAY]},
          ("the session lists", ALLOW, APP, "s3:ListBucket", APP_BUCKET),
          ("the session puts", ALLOW, APP, "s3:PutObject", APP_OBJECT),
          ("the session deletes nothing", IMPLICIT, APP, "s3:DeleteObject", APP_OBJECT)),
    *told(ASSUMED, {"identity": [ROLE_MAY],
                    "resource": doc(by({"AWS": "*"}, "Deny", "s3:DeleteObject", APP_BUCKET + "/*"))},
          ("the bucket lets nobody delete", EXPLICIT, APP, "s3:DeleteObject", APP_OBJECT),
          ("but read", ALLOW, APP, "s3:GetObject", APP_OBJECT)),
    *told(FEDERATED, {"identity": [TOKEN_APP_MAY]},
          ("a federated user without a session policy", IMPLICIT, CAROL, "s3:ListBucket", APP_BUCKET)),
    *told(FEDERATED, {"identity": [TOKEN_APP_MAY], "session": [ROLE_MAY]},
          ("what both allow", ALLOW, CAROL, "s3:ListBucket", APP_BUCKET),
          ("what the session alone allows", IMPLICIT, CAROL, "s3:GetObject", APP_OBJECT),
          ("what the user alone may", IMPLICIT, CAROL, "sns:ListSubscriptions", "*"),
          ("another bucket", IMPLICIT, CAROL, "s3:ListBucket", "arn:aws:s3:::other")),
    *told(FEDERATED, {"identity": [TOKEN_APP_MAY], "resource": CAROL_BY_BUCKET},
          ("the bucket names Carol", ALLOW, CAROL, "s3:DeleteObject", APP_OBJECT),
          ("and nobody else", IMPLICIT, CAROL.replace("Carol", "Bob"), "s3:DeleteObject", APP_OBJECT)),
    *told(POLICIES + "#policies_session", {"session": [SESSION_MAY], "resource": doc(by(
              {"AWS": f"arn:aws:iam::{ACCOUNT}:role/app"}, action=OBJECTS, resource=APP_BUCKET + "/*"))},
          ("the session policy limits what the bucket gives the role", IMPLICIT, APP, "s3:DeleteObject", APP_OBJECT),
          ("to what both allow", ALLOW, APP, "s3:PutObject", APP_OBJECT)),
    *told(POLICIES + "#policies_session", {"session": [SESSION_MAY], "resource": doc(by(
              {"AWS": APP}, action=OBJECTS, resource=APP_BUCKET + "/*"))},
          ("not what it gives the session", ALLOW, APP, "s3:DeleteObject", APP_OBJECT)),
    *told(POLICIES + "#policies_session", {"identity": [ROLE_MAY], "session": [SESSION_MAY],
                                           "boundary": doc(st(action="s3:GetObject"))},
          ("session, boundary and role all allow", ALLOW, APP, "s3:GetObject", APP_OBJECT),
          ("the boundary does not", IMPLICIT, APP, "s3:PutObject", APP_OBJECT)),
    *told(POLICIES + "#access_policies-json", {"identity": [doc(
              st(action="iam:ChangePassword"), st(action="s3:ListAllMyBuckets"),
              st(action=["s3:List*", "s3:Get*"], resource=["arn:aws:s3:::confidential-data",
                                                           "arn:aws:s3:::confidential-data/*"],
                 Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))]},
          ("lists buckets without MFA", ALLOW, JOHN, "s3:ListAllMyBuckets", "*"),
          ("reads what is confidential with MFA", ALLOW, JOHN, "s3:GetObject", "arn:aws:s3:::confidential-data/k",
           {"aws:MultiFactorAuthPresent": "true"}),
          ("and not without", IMPLICIT, JOHN, "s3:GetObject", "arn:aws:s3:::confidential-data/k")),
    *told(POLICIES + "#policies-syntax-examples", {"identity": [doc(
              st(action="s3:ListBucket", resource="arn:aws:s3:::example_bucket"))]},
          ("lists the one bucket", ALLOW, JOHN, "s3:ListBucket", "arn:aws:s3:::example_bucket"),
          ("and no other", IMPLICIT, JOHN, "s3:ListBucket", "arn:aws:s3:::example_bucket2")),
    *told(POLICIES + "#policies-syntax-examples", {"resource": doc(
              by({"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}, action="s3:*",
                 resource=["arn:aws:s3:::mybucket", "arn:aws:s3:::mybucket/*"]))},
          ("a bucket's trust in the account is no user's permission", IMPLICIT, JOHN, "s3:GetObject",
           "arn:aws:s3:::mybucket/k")),
]  # fmt: skip

TABLE = [*EVALUATION, *IDENTITY_AND_RESOURCE, *DELEGATION, *CONTROLLED, *BY_TAG, *SESSIONS]


@pytest.mark.parametrize("one", TABLE)
def test_the_outcome_that_the_page_tells(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
