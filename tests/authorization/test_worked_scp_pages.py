"""Organizations' pages on service control policies, read from end to end: each example, with what they say about it."""

from __future__ import annotations

from typing import Any

import pytest
from test_worked_cases import ALLOW, EXPLICIT, IMPLICIT, by, case, doc, st

from freehold.authorization import run_cases

PAGES = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_"
ACCOUNT, OTHER = "123456789012", "222222222222"
FULL = doc(st())
MARY, ROOT = f"arn:aws:iam::{ACCOUNT}:user/MaryMajor", f"arn:aws:iam::{ACCOUNT}:root"


def under(page: str, levels: list[list[Any]], *rows: tuple[Any, ...]) -> list[Any]:
    """Rows (claim, outcome, action, resource, context, further arguments) of an administrator under SCPs."""
    found = []
    for claim, expect, action, on, *more in rows:
        context, further = (*more, None, None)[:2]
        arguments = {"principal": MARY, "identity": [FULL]} | (further or {})
        principal = arguments.pop("principal")
        owner = arguments.pop("account", ACCOUNT)
        found.append(case(PAGES + page, claim, expect, principal, action, on, context, owner, scps=levels, **arguments))
    return found


def denies(page: str, statement: dict[str, Any], *rows: tuple[Any, ...]) -> list[Any]:
    """Under an SCP beside FullAWSAccess."""
    return under(page, [[FULL], [FULL, doc(statement)]], *rows)


NO_DYNAMODB = st("Deny", "dynamodb:*")
TABLE_ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t"
ONLY_EC2_AND_CLOUDWATCH = doc(st(action=["ec2:*", "cloudwatch:*"]))
STRATEGIES = [
    *under("scps_strategies.html", [[doc(st(), NO_DYNAMODB)]],
           ("one policy that denies DynamoDB", EXPLICIT, "dynamodb:GetItem", TABLE_ARN),
           ("and nothing else", ALLOW, "ec2:RunInstances", "*")),
    *under("scps_strategies.html", [[FULL, doc(NO_DYNAMODB)]],
           ("the same in two policies", EXPLICIT, "dynamodb:GetItem", TABLE_ARN),
           ("which deny nothing else", ALLOW, "ec2:RunInstances", "*")),
    *under("scps_strategies.html", [[ONLY_EC2_AND_CLOUDWATCH], [ONLY_EC2_AND_CLOUDWATCH]],
           ("what the list allows", ALLOW, "cloudwatch:ListMetrics", "*"),
           ("what it does not", IMPLICIT, "s3:ListAllMyBuckets", "*")),
    *under("scps_strategies.html", [[FULL], [ONLY_EC2_AND_CLOUDWATCH], [doc(st(action="s3:*"))]],
           ("each level must allow", IMPLICIT, "ec2:RunInstances", "*")),
]  # fmt: skip

ABC, CDE = doc(st(action=["a:Do", "b:Do", "c:Do"])), doc(st(action=["c:Do", "d:Do", "e:Do"]))
INHERITANCE = [
    *under("inheritance_auth.html", [[ABC], [CDE]],
           ("both levels allow C", ALLOW, "c:Do", "*"),
           ("the unit does not allow A", IMPLICIT, "a:Do", "*"),
           ("the root does not allow D, though the unit does", IMPLICIT, "d:Do", "*")),
    *under("inheritance_auth.html", [[ABC], [FULL]],
           ("another unit allows A", ALLOW, "a:Do", "*"),
           ("D stays blocked there", IMPLICIT, "d:Do", "*")),
    *under("inheritance_auth.html", [[FULL, doc(st("Deny", "ec2:*"))], [FULL, doc(st(action="ec2:*"))]],
           ("what a level above denies is not given back below", EXPLICIT, "ec2:RunInstances", "*")),
]  # fmt: skip

NO_S3 = [[FULL, doc(st("Deny", "s3:*"))]]
OBJECT = "arn:aws:s3:::b/k"
STRANGER = f"arn:aws:iam::{OTHER}:user/x"
LINKED = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
LINKED_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSServiceRoleForECS/ecs"
EFFECTS = [
    *under("scps.html", NO_S3,
           ("an administrator of a member account", EXPLICIT, "s3:GetObject", OBJECT),
           ("its root user", EXPLICIT, "s3:GetObject", OBJECT, None, {"principal": ROOT, "identity": []}),
           ("the management account", ALLOW, "s3:GetObject", OBJECT, None, {"request": {"management_account": True}}),
           ("a service-linked role", ALLOW, "s3:GetObject", OBJECT, None,
            {"principal": LINKED_SESSION, "request": {"role": LINKED}})),
    # The bucket's account has the SCP; the caller's has none: what is collected is the caller's.
    case(PAGES + "scps.html", "users of an account outside the organization", ALLOW, STRANGER, "s3:GetObject",
         OBJECT, account=ACCOUNT, identity=[FULL], resource=doc(by({"AWS": OTHER}))),
    *under("scps.html", [[FULL]],
           ("a user without a policy has no access", IMPLICIT, "s3:GetObject", OBJECT, None, {"identity": []}),
           ("boundary, SCP and policy all allow", ALLOW, "s3:GetObject", OBJECT, None, {"boundary": FULL}),
           ("the boundary does not", IMPLICIT, "s3:GetObject", OBJECT, None, {"boundary": doc(st(action="ec2:*"))})),
]  # fmt: skip

INSTANCE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1"
ROLE_CHANGES = ["iam:AttachRolePolicy", "iam:DeleteRole", "iam:DeleteRolePermissionsBoundary", "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
                "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"]  # fmt: skip
SYNTAX = [
    *under("scps_syntax.html", [[doc(st(), st("Deny", "ec2:*"))]],
           ("all but EC2", EXPLICIT, "ec2:RunInstances", "*"),
           ("is allowed", ALLOW, "rds:CreateDBInstance", "*")),
    *under("scps_syntax.html", [[doc(st(action="s3:*"))]],
           ("an administrator under an S3 list", IMPLICIT, "ec2:RunInstances", "*"),
           ("has S3", ALLOW, "s3:GetObject", OBJECT)),
    *denies("scps_syntax.html", st("Deny", "ec2:RunInstances", "arn:aws:ec2:*:*:instance/*",
                                   Condition={"StringNotEquals": {"ec2:InstanceType": "t2.micro"}}),
            ("another instance type", EXPLICIT, "ec2:RunInstances", INSTANCE, {"ec2:InstanceType": "m5.large"}),
            ("t2.micro", ALLOW, "ec2:RunInstances", INSTANCE, {"ec2:InstanceType": "t2.micro"}),
            ("the image has no type", ALLOW, "ec2:RunInstances", "arn:aws:ec2:us-east-1::image/ami-1")),
    *under("scps_syntax.html", [[doc(st(action=["ec2:DescribeInstances", "ec2:RunInstances", "ec2:StopInstances"]))]],
           ("a list of actions", ALLOW, "ec2:StopInstances", INSTANCE),
           ("and no other", IMPLICIT, "ec2:CreateVpc", "*")),
    *denies("scps_syntax.html", st("Deny", ["iam:*", "ec2:*", "rds:*"]),
            ("one of three services", EXPLICIT, "rds:CreateDBInstance", "*"),
            ("a fourth", ALLOW, "sqs:SendMessage", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q")),
    *denies("scps_syntax.html", {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*",
                                 "Condition": {"StringNotEquals": {"aws:RequestedRegion": "us-west-1"}}},
            ("in another Region", EXPLICIT, "ec2:RunInstances", "*", {"aws:RequestedRegion": "us-east-1"}),
            ("in the Region", ALLOW, "ec2:RunInstances", "*", {"aws:RequestedRegion": "us-west-1"}),
            ("IAM anywhere", ALLOW, "iam:ListUsers", "*", {"aws:RequestedRegion": "us-east-1"})),
    *denies("scps_syntax.html", st("Deny", ROLE_CHANGES, ["arn:aws:iam::*:role/role-to-deny"]),
            ("the role", EXPLICIT, "iam:UpdateRole", f"arn:aws:iam::{ACCOUNT}:role/role-to-deny"),
            ("another role", ALLOW, "iam:UpdateRole", f"arn:aws:iam::{ACCOUNT}:role/other"),
            ("reading it", ALLOW, "iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/role-to-deny")),
]  # fmt: skip

BUCKET_OF_TAGS = {"Null": {"aws:RequestTag/Project": "true"}}
IAM_ADMIN = {"principal": f"arn:aws:iam::{ACCOUNT}:role/org-admins/iam-admin"}
NOT_THE_ADMIN = {"aws:PrincipalArn": IAM_ADMIN["principal"]}
TAG_ACTIONS = ["ec2:CreateTags", "ec2:DeleteTags"]
GUARDED_TAGS = doc(
    st("Deny", TAG_ACTIONS, ["*"], Condition={
        "StringNotEquals": {"ec2:ResourceTag/access-project": "${aws:PrincipalTag/access-project}", **NOT_THE_ADMIN},
        "Null": {"ec2:ResourceTag/access-project": False}}),
    st("Deny", TAG_ACTIONS, ["*"], Condition={
        "StringNotEquals": {"aws:RequestTag/access-project": "${aws:PrincipalTag/access-project}", **NOT_THE_ADMIN},
        "ForAnyValue:StringEquals": {"aws:TagKeys": ["access-project"]}}),
    st("Deny", TAG_ACTIONS, ["*"], Condition={
        "StringNotEquals": NOT_THE_ADMIN, "Null": {"aws:PrincipalTag/access-project": True}}),
)  # fmt: skip
PEG = {"aws:PrincipalTag/access-project": "peg"}
ON_PEG, ON_UNI = {"ec2:ResourceTag/access-project": "peg"}, {"ec2:ResourceTag/access-project": "uni"}
NOTE = {"aws:RequestTag/note": "x", "aws:TagKeys": ["note"]}
TO_UNI = {"aws:RequestTag/access-project": "uni", "aws:TagKeys": ["access-project"]}
TAGGING = [
    *denies("scps_examples_tagging.html", st("Deny", "ec2:RunInstances", ["arn:aws:ec2:*:*:instance/*",
                                             "arn:aws:ec2:*:*:volume/*"], Condition=BUCKET_OF_TAGS),
            ("an instance without the tag", EXPLICIT, "ec2:RunInstances", INSTANCE),
            ("with it", ALLOW, "ec2:RunInstances", INSTANCE, {"aws:RequestTag/Project": "x"}),
            ("the subnet has none", ALLOW, "ec2:RunInstances", f"arn:aws:ec2:us-east-1:{ACCOUNT}:subnet/s-1")),
    *under("scps_examples_tagging.html", [[FULL, GUARDED_TAGS]],
           ("tags of one's own project's resource", ALLOW, "ec2:CreateTags", INSTANCE, PEG | ON_PEG | NOTE),
           ("of another project's", EXPLICIT, "ec2:CreateTags", INSTANCE, PEG | ON_UNI | NOTE),
           ("of a resource without a project", ALLOW, "ec2:CreateTags", INSTANCE, PEG | NOTE),
           ("the project's tag itself", EXPLICIT, "ec2:CreateTags", INSTANCE, PEG | ON_PEG | TO_UNI),
           ("one without a project", EXPLICIT, "ec2:CreateTags", INSTANCE, NOTE),
           ("the administrator", ALLOW, "ec2:CreateTags", INSTANCE, ON_UNI | TO_UNI, IAM_ADMIN)),
]  # fmt: skip

RAM = ["ram:AssociateResourceShare", "ram:CreateResourceShare"]
ORG = f"arn:aws:organizations::{ACCOUNT}:organization/o-12345abcdef"
UNIT = f"arn:aws:organizations::{ACCOUNT}:ou/o-12345abcdef/ou-98765fedcba"
SHARE = {"ram:RequestedResourceType": "ec2:PrefixList"}
SERVICES = [
    *denies("scps_examples_vpc.html", st("Deny", ["ec2:DeleteFlowLogs", "logs:DeleteLogGroup", "logs:DeleteLogStream"]),
            ("flow logs stay", EXPLICIT, "ec2:DeleteFlowLogs", "*"),
            ("they are read", ALLOW, "ec2:DescribeFlowLogs", "*")),
    *denies("scps_examples_vpc.html", st("Deny", [
                "ec2:AttachInternetGateway", "ec2:CreateInternetGateway", "ec2:CreateEgressOnlyInternetGateway",
                "ec2:CreateVpcPeeringConnection", "ec2:AcceptVpcPeeringConnection", "globalaccelerator:Create*",
                "globalaccelerator:Update*"]),
            ("no way to the internet", EXPLICIT, "globalaccelerator:CreateAccelerator", "*"),
            ("no gateway", EXPLICIT, "ec2:AttachInternetGateway", "*"),
            ("but a subnet", ALLOW, "ec2:CreateSubnet", "*")),
    *denies("scps_examples_ram.html", st("Deny", ["ram:CreateResourceShare", "ram:UpdateResourceShare"],
                                         Condition={"Bool": {"ram:RequestedAllowsExternalPrincipals": "true"}}),
            ("sharing with strangers", EXPLICIT, "ram:CreateResourceShare", "*",
             {"ram:RequestedAllowsExternalPrincipals": "true"}),
            ("sharing inside", ALLOW, "ram:CreateResourceShare", "*",
             {"ram:RequestedAllowsExternalPrincipals": "false"})),
    *denies("scps_examples_ram.html", st("Deny", RAM, Condition={
                "StringNotEquals": {"aws:PrincipalAccount": ["111111111111", "222222222222"]},
                "StringEquals": {"ram:RequestedResourceType": "ec2:PrefixList"}}),
            ("prefix lists, from an account of the list", ALLOW, "ram:CreateResourceShare", "*", SHARE,
             {"principal": "arn:aws:iam::111111111111:user/x", "account": "111111111111"}),
            ("from another", EXPLICIT, "ram:CreateResourceShare", "*", SHARE),
            ("something else, from another", ALLOW, "ram:CreateResourceShare", "*",
             {"ram:RequestedResourceType": "ec2:Subnet"})),
    *denies("scps_examples_ram.html", st("Deny", RAM, Condition={"ForAnyValue:StringLike": {"ram:Principal": [
                "arn:aws:organizations::*:organization/*", "arn:aws:organizations::*:ou/*"]}}),
            ("sharing with a unit", EXPLICIT, "ram:CreateResourceShare", "*",
             {"ram:Principal": ["111111111111", UNIT]}),
            ("with an account", ALLOW, "ram:CreateResourceShare", "*", {"ram:Principal": ["111111111111"]})),
    *denies("scps_examples_ram.html", st("Deny", RAM, Condition={"ForAnyValue:StringNotEquals": {
                "ram:Principal": [ORG, UNIT, "111111111111"]}}),
            ("sharing with those of the list", ALLOW, "ram:CreateResourceShare", "*",
             {"ram:Principal": [ORG, "111111111111"]}),
            ("with one more", EXPLICIT, "ram:CreateResourceShare", "*", {"ram:Principal": [ORG, "999999999999"]})),
    *denies("scps_examples_guardduty.html", st("Deny", ["guardduty:DeleteDetector", "guardduty:UpdateDetector",
                                                        "guardduty:ArchiveFindings", "guardduty:TagResource"]),
            ("GuardDuty stays on", EXPLICIT, "guardduty:DeleteDetector", "*"),
            ("and is read", ALLOW, "guardduty:GetFindings", "*")),
    *denies("scps_examples_config.html", st("Deny", [
                "config:DeleteConfigRule", "config:DeleteConfigurationRecorder", "config:DeleteDeliveryChannel",
                "config:StopConfigurationRecorder"]),
            ("Config goes on recording", EXPLICIT, "config:StopConfigurationRecorder", "*"),
            ("and is read", ALLOW, "config:DescribeConfigRules", "*")),
    *denies("scps_examples_cloudwatch.html", st("Deny", [
                "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:DisableAlarmActions",
                "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm", "cloudwatch:SetAlarmState"]),
            ("alarms stay", EXPLICIT, "cloudwatch:DeleteAlarms", "*"),
            ("and are watched", ALLOW, "cloudwatch:DescribeAlarms", "*")),
]  # fmt: skip

TABLE = [*STRATEGIES, *INHERITANCE, *EFFECTS, *SYNTAX, *TAGGING, *SERVICES]


@pytest.mark.parametrize("one", TABLE)
def test_the_outcome_that_the_page_tells(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
