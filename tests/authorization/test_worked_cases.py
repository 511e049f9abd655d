"""The evaluation rules, claim by claim: each row's outcome is what the page beside it says."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.authorization import run_cases

IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
LOGIC = IAM + "reference_policies_evaluation-logic_policy-eval-denyallow.html"
CROSS = IAM + "reference_policies_evaluation-logic-cross-account.html"
PRINCIPAL = IAM + "reference_policies_elements_principal.html"
NOT_PRINCIPAL = IAM + "reference_policies_elements_notprincipal.html"
OPERATORS = IAM + "reference_policies_elements_condition_operators.html"
SETS = IAM + "reference_policies_condition-single-vs-multi-valued-context-keys.html"
VARIABLES = IAM + "reference_policies_variables.html"
RESOURCE = IAM + "reference_policies_elements_resource.html"
KEYS = IAM + "reference_policies_condition-keys.html"
BOUNDARIES = IAM + "access_policies_boundaries.html"
ROLES = IAM + "id_roles_terms-and-concepts.html"
EXTERNAL_ID = IAM + "id_roles_common-scenarios_third-party.html"
SCPS = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html"
SCPS_NOT = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html"
RCPS = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html"
KMS = "https://docs.aws.amazon.com/kms/latest/developerguide/"
STS = "https://docs.aws.amazon.com/STS/latest/APIReference/"
S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/"

A, B = "111122223333", "444455556666"
ROOT = f"arn:aws:iam::{A}:root"
ALICE = f"arn:aws:iam::{A}:user/alice"
BOB = f"arn:aws:iam::{A}:user/bob"
ROLE = f"arn:aws:iam::{A}:role/app"
SESSION = f"arn:aws:sts::{A}:assumed-role/app/one"
FEDERATED = f"arn:aws:sts::{A}:federated-user/carol"
OTHER = f"arn:aws:iam::{B}:user/mallory"
OBJECT = "arn:aws:s3:::bucket/key"
KEY = f"arn:aws:kms:us-east-1:{A}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
LINKED = f"arn:aws:iam::{A}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
LINKED_SESSION = f"arn:aws:sts::{A}:assumed-role/AWSServiceRoleForECS/ecs"


def doc(*statements: dict[str, Any], version: str | None = "2012-10-17") -> dict[str, Any]:
    document: dict[str, Any] = {"Statement": list(statements)}
    if version is not None:
        document["Version"] = version
    return document


def st(effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": effect, "Action": action, "Resource": resource}
    statement.update(more)
    return {name: value for name, value in statement.items() if value is not None}


def by(principal: Any, effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return st(effect, action, resource, Principal=principal, **more)


def trust(principal: Any, action: Any = "sts:AssumeRole", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return doc(st(effect, action, None, Principal=principal, **more))


ALL = doc(st())
NONE = doc(st(action="ec2:DescribeRegions"))
DENY_S3 = doc(st("Deny", "s3:*"))
FULL = [ALL]


def case(
    source: str,
    claim: str,
    expect: str,
    principal: str = ALICE,
    action: str = "s3:GetObject",
    on: str = OBJECT,
    context: dict[str, Any] | None = None,
    account: str | None = None,
    request: dict[str, Any] | None = None,
    resource: Any = None,
    **policies: Any,
) -> Any:
    """One row. `resource` is the resource's policy, or in its place the resource's ARN where that says more."""
    if isinstance(resource, str):
        on = resource
    elif resource is not None:
        policies["resource"] = resource
    body: dict[str, Any] = {
        "name": claim,
        "source": source,
        "request": {"principal": principal, "action": action, "resource": on, "context": context or {}},
        "policies": policies,
        "expect": expect,
    }
    body["request"].update(request or {})
    if account is not None:
        body["account_of_resource"] = account
    return pytest.param(body, id=claim.replace(" ", "-"))


def held(condition: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Identity-based policies that allow everything under a condition."""
    return [doc(st(Condition=condition), **more)]


def with_variable(resource: str, **more: Any) -> list[dict[str, Any]]:
    return [doc(st(resource=resource), **more)]


ALLOW, IMPLICIT, EXPLICIT = "allow", "implicitDeny", "explicitDeny"

SAME_ACCOUNT = [
    case(LOGIC, "by default all requests are denied", IMPLICIT),
    case(LOGIC, "an identity policy is enough in the same account", ALLOW, identity=[ALL]),
    case(LOGIC, "a resource policy that names the user is enough", ALLOW, resource=doc(by({"AWS": ALICE}))),
    case(LOGIC, "any of several identity policies is enough", ALLOW, identity=[NONE, ALL]),
    case(LOGIC, "an explicit deny in an identity policy wins", EXPLICIT, identity=[ALL, DENY_S3]),
    case(LOGIC, "an explicit deny wins over a resource policy that names the user", EXPLICIT,
         identity=[DENY_S3], resource=doc(by({"AWS": ALICE}))),
    case(LOGIC, "an explicit deny in the resource policy wins", EXPLICIT,
         identity=[ALL], resource=doc(by("*", "Deny"))),
    case(LOGIC, "the order of statements does not matter", EXPLICIT, identity=[doc(st("Deny", "s3:*"), st())]),
    case(LOGIC, "a deny of another action does nothing", ALLOW, identity=[ALL, doc(st("Deny", "s3:PutObject"))]),
    case(PRINCIPAL, "naming the account only delegates", IMPLICIT, resource=doc(by({"AWS": ROOT}))),
    case(PRINCIPAL, "the account's id is the account's ARN", IMPLICIT, resource=doc(by({"AWS": A}))),
    case(PRINCIPAL, "naming the account in a deny means all of its principals", EXPLICIT,
         identity=[ALL], resource=doc(by({"AWS": A}, "Deny"))),
    case(PRINCIPAL, "everyone includes the account's own users without more", ALLOW, resource=doc(by("*"))),
    case(PRINCIPAL, "everyone with AWS credentials includes them too", ALLOW, resource=doc(by({"AWS": "*"}))),
    case(PRINCIPAL, "a user's name is case-sensitive", IMPLICIT,
         resource=doc(by({"AWS": f"arn:aws:iam::{A}:user/Alice"}))),
    case(PRINCIPAL, "any of several principals is enough", ALLOW, resource=doc(by({"AWS": [BOB, ALICE]}))),
    case(PRINCIPAL, "a role with a path is named with its path", ALLOW, SESSION,
         request={"role": f"arn:aws:iam::{A}:role/team/app"},
         resource=doc(by({"AWS": f"arn:aws:iam::{A}:role/team/app"}))),
    case(PRINCIPAL, "a role with a path is not named without it", IMPLICIT, SESSION,
         request={"role": f"arn:aws:iam::{A}:role/team/app"}, resource=doc(by({"AWS": ROLE}))),
    case(LOGIC, "the root user needs no policy", ALLOW, ROOT),
    case(LOGIC, "a resource policy can deny the root user", EXPLICIT, ROOT, resource=doc(by("*", "Deny"))),
    case(S3 + "bucket-policies.html", "a bucket policy cannot lock the root user out of itself", ALLOW, ROOT,
         "s3:PutBucketPolicy", "arn:aws:s3:::bucket", resource=doc(by("*", "Deny"))),
    case(S3 + "bucket-policies.html", "it locks a user out of itself", EXPLICIT, ALICE,
         "s3:PutBucketPolicy", "arn:aws:s3:::bucket", identity=[ALL], resource=doc(by("*", "Deny"))),
]  # fmt: skip

BOUNDARY = [
    case(BOUNDARIES, "identity policy and boundary must both allow", ALLOW, identity=[ALL], boundary=ALL),
    case(BOUNDARIES, "a boundary that does not allow denies", IMPLICIT, identity=[ALL], boundary=NONE),
    case(BOUNDARIES, "a boundary grants nothing", IMPLICIT, boundary=ALL),
    case(BOUNDARIES, "an explicit deny in the boundary wins", EXPLICIT, identity=[ALL], boundary=DENY_S3),
    case(LOGIC, "a resource policy that names the user escapes the boundary", ALLOW,
         boundary=NONE, resource=doc(by({"AWS": ALICE}))),
    case(LOGIC, "it does not escape an explicit deny there", EXPLICIT,
         boundary=DENY_S3, resource=doc(by({"AWS": ALICE}))),
    case(LOGIC, "a resource policy that names the role is limited by the boundary", IMPLICIT, SESSION,
         boundary=NONE, resource=doc(by({"AWS": ROLE}))),
    case(LOGIC, "naming the role needs no identity policy where the boundary allows", ALLOW, SESSION,
         boundary=ALL, resource=doc(by({"AWS": ROLE}))),
    case(LOGIC, "a resource policy that names the session escapes the boundary", ALLOW, SESSION,
         boundary=NONE, resource=doc(by({"AWS": SESSION}))),
    case(PRINCIPAL, "everyone with a condition on the role ARN escapes the boundary", ALLOW, SESSION, boundary=NONE,
         resource=doc(by("*", Condition={"ArnEquals": {"aws:PrincipalArn": ROLE}}))),
    case(PRINCIPAL, "but not an explicit deny in it", EXPLICIT, SESSION, boundary=DENY_S3,
         resource=doc(by("*", Condition={"ArnEquals": {"aws:PrincipalArn": ROLE}}))),
    case(LOGIC, "naming the account does not escape the boundary", IMPLICIT,
         identity=[ALL], boundary=NONE, resource=doc(by({"AWS": ROOT}))),
    case(CROSS, "across accounts the boundary limits although the resource policy names the user", IMPLICIT,
         OTHER, account=A, identity=[ALL], boundary=NONE, resource=doc(by({"AWS": OTHER}))),
    case(CROSS, "across accounts all three must allow", ALLOW,
         OTHER, account=A, identity=[ALL], boundary=ALL, resource=doc(by({"AWS": OTHER}))),
]  # fmt: skip

SESSIONS = [
    case(LOGIC, "identity and session policies must both allow", ALLOW, SESSION, identity=[ALL], session=[ALL]),
    case(LOGIC, "a session policy that does not allow denies", IMPLICIT, SESSION, identity=[ALL], session=[NONE]),
    case(LOGIC, "a session policy grants nothing", IMPLICIT, SESSION, identity=[NONE], session=[ALL]),
    case(LOGIC, "one of several session policies is enough", ALLOW, SESSION, identity=[ALL], session=[NONE, ALL]),
    case(LOGIC, "an explicit deny in a session policy wins", EXPLICIT, SESSION, identity=[ALL], session=[ALL, DENY_S3]),
    case(LOGIC, "without session policies the role's own count", ALLOW, SESSION, identity=[ALL], session=[]),
    case(LOGIC, "naming the role is limited by the session policy", IMPLICIT, SESSION,
         session=[NONE], resource=doc(by({"AWS": ROLE}))),
    case(LOGIC, "naming the role is added to the role's own permissions before the session policy limits them", ALLOW,
         SESSION, session=[ALL], resource=doc(by({"AWS": ROLE}))),
    case(LOGIC, "naming the session is not limited by the session policy", ALLOW, SESSION,
         session=[NONE], resource=doc(by({"AWS": SESSION}))),
    case(LOGIC, "naming the session is limited by an explicit deny in it", EXPLICIT, SESSION,
         session=[DENY_S3], resource=doc(by({"AWS": SESSION}))),
    case(LOGIC, "naming another session of the role gives nothing", IMPLICIT, SESSION,
         resource=doc(by({"AWS": f"arn:aws:sts::{A}:assumed-role/app/two"}))),
    case(LOGIC, "session boundary and identity policies must all allow", IMPLICIT, SESSION,
         identity=[ALL], session=[ALL], boundary=NONE),
    case(STS + "API_GetFederationToken.html", "a federated user without a session policy has no permissions", IMPLICIT,
         FEDERATED, identity=[ALL]),
    case(STS + "API_GetFederationToken.html", "a federated user has the intersection", ALLOW, FEDERATED,
         identity=[ALL], session=[ALL]),
    case(STS + "API_GetFederationToken.html", "a federated user has no more than the user behind", IMPLICIT, FEDERATED,
         identity=[NONE], session=[ALL]),
    case(STS + "API_GetFederationToken.html", "except where a resource policy names the federated user", ALLOW,
         FEDERATED, resource=doc(by({"AWS": FEDERATED}))),
    case(STS + "API_GetFederationToken.html", "a federated user cannot call IAM", IMPLICIT, FEDERATED, "iam:GetUser",
         ALICE, identity=[ALL], session=[ALL]),
    case(CROSS, "across accounts a session named in the resource policy is still limited by its session policy",
         IMPLICIT, f"arn:aws:sts::{B}:assumed-role/x/s", account=A, identity=[ALL], session=[NONE],
         resource=doc(by({"AWS": f"arn:aws:sts::{B}:assumed-role/x/s"}))),
]  # fmt: skip

CROSS_ACCOUNT = [
    case(CROSS, "the resource policy alone is not enough", IMPLICIT, OTHER, account=A,
         resource=doc(by({"AWS": OTHER}))),
    case(CROSS, "the identity policy alone is not enough", IMPLICIT, OTHER, account=A, identity=[ALL]),
    case(CROSS, "both are enough", ALLOW, OTHER, account=A, identity=[ALL], resource=doc(by({"AWS": OTHER}))),
    case(CROSS, "naming the other account is enough for the resource's side", ALLOW, OTHER, account=A,
         identity=[ALL], resource=doc(by({"AWS": B}))),
    case(CROSS, "everyone is enough for the resource's side", ALLOW, OTHER, account=A,
         identity=[ALL], resource=doc(by("*"))),
    case(CROSS, "everyone without an identity policy is not", IMPLICIT, OTHER, account=A, resource=doc(by("*"))),
    case(CROSS, "a resource without a policy is closed to other accounts", IMPLICIT, OTHER, "iam:GetUser", ALICE,
         identity=[ALL]),
    case(CROSS, "the other account's root user needs the resource's side", IMPLICIT, f"arn:aws:iam::{B}:root",
         account=A),
    case(CROSS, "and nothing else", ALLOW, f"arn:aws:iam::{B}:root", account=A, resource=doc(by({"AWS": B}))),
    case(CROSS, "a deny in the identity policy wins", EXPLICIT, OTHER, account=A, identity=[ALL, DENY_S3],
         resource=doc(by({"AWS": OTHER}))),
    case(CROSS, "a session of another account by its role", ALLOW, f"arn:aws:sts::{B}:assumed-role/x/s", account=A,
         identity=[ALL], resource=doc(by({"AWS": f"arn:aws:iam::{B}:role/x"}))),
    case(CROSS, "the account of the resource follows from its ARN", IMPLICIT, OTHER, "sqs:SendMessage",
         f"arn:aws:sqs:us-east-1:{A}:queue", identity=[ALL]),
]  # fmt: skip

WITHOUT_ACCOUNT = [
    case(PRINCIPAL, "anonymous callers need everyone", ALLOW, "anonymous", account=A, resource=doc(by("*"))),
    case(PRINCIPAL, "for anonymous callers both spellings of everyone are equal", ALLOW, "anonymous", account=A,
         resource=doc(by({"AWS": "*"}))),
    case(PRINCIPAL, "anonymous callers are nobody else", IMPLICIT, "anonymous", account=A,
         resource=doc(by({"AWS": A}))),
    case(PRINCIPAL, "without a resource policy there is no anonymous access", IMPLICIT, "anonymous", account=A),
    case(KEYS, "an anonymous caller has no principal ARN", IMPLICIT, "anonymous", account=A,
         resource=doc(by("*", Condition={"ArnLike": {"aws:PrincipalArn": "*"}}))),
    case(KEYS, "an anonymous caller's account is anonymous", ALLOW, "anonymous", account=A,
         resource=doc(by("*", Condition={"StringEquals": {"aws:PrincipalAccount": "anonymous"}}))),
    case(PRINCIPAL, "a service is named as a service", ALLOW, "service:cloudtrail.amazonaws.com", account=A,
         resource=doc(by({"Service": "cloudtrail.amazonaws.com"}))),
    case(PRINCIPAL, "another service is not", IMPLICIT, "service:config.amazonaws.com", account=A,
         resource=doc(by({"Service": "cloudtrail.amazonaws.com"}))),
    case(PRINCIPAL, "naming a service names no user", IMPLICIT, resource=doc(by({"Service": "s3.amazonaws.com"}))),
    case(KEYS, "a service is known by its name and as a service", ALLOW, "service:cloudtrail.amazonaws.com", account=A,
         resource=doc(by("*", Condition={"Bool": {"aws:PrincipalIsAWSService": "true"}, "StringEquals":
                      {"aws:PrincipalServiceName": "cloudtrail.amazonaws.com"}}))),
    case(KEYS, "a user is not a service", EXPLICIT, identity=[ALL],
         resource=doc(by("*", "Deny", Condition={"Bool": {"aws:PrincipalIsAWSService": "false"}}))),
    case(S3 + "example-bucket-policies.html", "a service that acts for another account is denied by source account",
         IMPLICIT, "service:cloudtrail.amazonaws.com", account=A, context={"aws:SourceAccount": B},
         resource=doc(by({"Service": "cloudtrail.amazonaws.com"},
                         Condition={"StringEquals": {"aws:SourceAccount": A}}))),
]  # fmt: skip

EXCEPT = [
    case(NOT_PRINCIPAL, "the excepted user is not denied", ALLOW, identity=[ALL],
         resource=doc(st("Deny", NotPrincipal={"AWS": [ALICE, ROOT]}))),
    case(NOT_PRINCIPAL, "everyone else in the account is", EXPLICIT, BOB, identity=[ALL],
         resource=doc(st("Deny", NotPrincipal={"AWS": [ALICE, ROOT]}))),
    case(NOT_PRINCIPAL, "the account must be listed with the user", EXPLICIT, identity=[ALL],
         resource=doc(st("Deny", NotPrincipal={"AWS": ALICE}))),
    case(NOT_PRINCIPAL, "the excepted session with its role and account", ALLOW, SESSION, identity=[ALL],
         resource=doc(st("Deny", NotPrincipal={"AWS": [SESSION, ROLE, ROOT]}))),
    case(NOT_PRINCIPAL, "another session of that role is denied", EXPLICIT, f"arn:aws:sts::{A}:assumed-role/app/two",
         identity=[ALL], resource=doc(st("Deny", NotPrincipal={"AWS": [SESSION, ROLE, ROOT]}))),
    case(NOT_PRINCIPAL, "the session without its role is denied", EXPLICIT, SESSION, identity=[ALL],
         resource=doc(st("Deny", NotPrincipal={"AWS": [SESSION, ROOT]}))),
    case(NOT_PRINCIPAL, "the role and its account are enough for all of its sessions", ALLOW, SESSION, identity=[ALL],
         resource=doc(st("Deny", NotPrincipal={"AWS": [ROLE, ROOT]}))),
    case(NOT_PRINCIPAL, "an excepted account is excepted as a whole", ALLOW, identity=[ALL],
         resource=doc(st("Deny", NotPrincipal={"AWS": A}))),
    case(NOT_PRINCIPAL, "a principal with a boundary is always denied", EXPLICIT, identity=[ALL], boundary=ALL,
         resource=doc(st("Deny", NotPrincipal={"AWS": [ALICE, ROOT]}))),
    case(NOT_PRINCIPAL, "another account is denied", EXPLICIT, OTHER, account=A, identity=[ALL],
         resource=doc(by("*"), st("Deny", NotPrincipal={"AWS": A}))),
    case(NOT_PRINCIPAL, "an excepted service is not denied", ALLOW, "service:cloudtrail.amazonaws.com", account=A,
         resource=doc(by("*"), st("Deny", NotPrincipal={"Service": "cloudtrail.amazonaws.com"}))),
    case(NOT_PRINCIPAL, "the exception allows nothing", IMPLICIT,
         resource=doc(st("Deny", NotPrincipal={"AWS": [ALICE, ROOT]}))),
    case(PRINCIPAL, "the recommended form with a condition on the principal ARN excepts", ALLOW, identity=[ALL],
         resource=doc(by("*", "Deny", Condition={"ArnNotEquals": {"aws:PrincipalArn": ALICE}}))),
    case(PRINCIPAL, "the recommended form denies the others", EXPLICIT, BOB, identity=[ALL],
         resource=doc(by("*", "Deny", Condition={"ArnNotEquals": {"aws:PrincipalArn": ALICE}}))),
]  # fmt: skip

ELEMENTS = [
    case(RESOURCE, "actions are case-insensitive", ALLOW, identity=[doc(st(action="S3:gEtObJeCt"))]),
    case(RESOURCE, "resources are case-sensitive", IMPLICIT, identity=[doc(st(resource="arn:aws:s3:::bucket/Key"))]),
    case(RESOURCE, "an action pattern", ALLOW, identity=[doc(st(action="s3:Get*"))]),
    case(RESOURCE, "a question mark is one character", ALLOW, identity=[doc(st(action="s3:?etObject"))]),
    case(RESOURCE, "a question mark is not none", IMPLICIT, identity=[doc(st(action="s3:GetObject?"))]),
    case(RESOURCE, "an action of another service", IMPLICIT, identity=[doc(st(action="ec2:*"))]),
    case(RESOURCE, "the bucket's ARN does not mean its objects", IMPLICIT,
         identity=[doc(st(resource="arn:aws:s3:::bucket"))]),
    case(RESOURCE, "the objects' ARN does not mean the bucket", IMPLICIT, action="s3:ListBucket",
         resource="arn:aws:s3:::bucket", identity=[doc(st(resource="arn:aws:s3:::bucket/*"))]),
    case(RESOURCE, "an asterisk crosses slashes", ALLOW, resource="arn:aws:s3:::bucket/a/b/c",
         identity=[doc(st(resource="arn:aws:s3:::bucket/*/c"))]),
    case(RESOURCE, "an asterisk inside a segment does not cross a colon", IMPLICIT, action="logs:GetLogEvents",
         resource=f"arn:aws:logs:us-east-1:{A}:log-group:a:b", identity=[doc(st(
             resource=f"arn:aws:logs:us-east-1:{A}:log-*b"))]),
    case(RESOURCE, "an asterisk that ends a segment crosses colons", ALLOW, action="logs:GetLogEvents",
         resource=f"arn:aws:logs:us-east-1:{A}:log-group:name:log-stream:x",
         identity=[doc(st(resource=f"arn:aws:logs:us-east-1:{A}:log-group:*"))]),
    case(RESOURCE, "an incomplete ARN is completed with asterisks", ALLOW, action="sqs:SendMessage",
         resource=f"arn:aws:sqs:us-east-1:{A}:q", identity=[doc(st(resource="arn:aws:sqs"))]),
    case(RESOURCE, "NotAction with Allow allows all others", ALLOW,
         identity=[doc({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})]),
    case(RESOURCE, "NotAction with Allow does not allow those", IMPLICIT, action="iam:GetUser", resource=ALICE,
         identity=[doc({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})]),
    case(RESOURCE, "NotAction with Deny spares those", ALLOW, action="iam:GetUser", resource=ALICE,
         identity=[ALL, doc({"Effect": "Deny", "NotAction": ["iam:*"], "Resource": "*"})]),
    case(RESOURCE, "NotAction with Deny denies all others", EXPLICIT,
         identity=[ALL, doc({"Effect": "Deny", "NotAction": ["iam:*"], "Resource": "*"})]),
    case(RESOURCE, "NotResource with Allow allows other resources", ALLOW,
         identity=[doc({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"})]),
    case(RESOURCE, "NotResource with Deny spares the listed", ALLOW,
         identity=[ALL, doc({"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::bucket/*"})]),
    case(RESOURCE, "NotResource with Deny denies other resources", EXPLICIT,
         identity=[ALL, doc({"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"})]),
    case(RESOURCE, "one statement need not be in a list", ALLOW,
         identity=[{"Version": "2012-10-17", "Statement": st()}]),
]  # fmt: skip

CONDITIONS = [
    case(OPERATORS, "all conditions must hold", IMPLICIT, context={"aws:SourceIp": "203.0.113.7"},
         identity=held({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Bool": {"aws:SecureTransport": "true"}})),
    case(OPERATORS, "any of several values is enough", ALLOW, context={"aws:RequestedRegion": "eu-west-1"},
         identity=held({"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}})),
    case(OPERATORS, "a negated operator holds only when no value matches", IMPLICIT,
         context={"aws:RequestedRegion": "eu-west-1"},
         identity=held({"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}})),
    case(OPERATORS, "a missing key fails a positive operator", IMPLICIT,
         identity=held({"StringEquals": {"aws:RequestedRegion": "us-east-1"}})),
    case(OPERATORS, "a missing key satisfies a negated operator", ALLOW,
         identity=held({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}})),
    case(OPERATORS, "a missing key satisfies IfExists", ALLOW,
         identity=held({"StringEqualsIfExists": {"aws:RequestedRegion": "us-east-1"}})),
    case(OPERATORS, "a negated IfExists denies when the tag is missing", EXPLICIT,
         identity=[ALL, doc(st("Deny", Condition={"StringNotEqualsIfExists": {"aws:PrincipalTag/a": "b"}}))]),
    case(OPERATORS, "IfExists is the operator where the key is there", IMPLICIT,
         context={"ec2:InstanceType": "m5.large"},
         identity=held({"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*"]}})),
    case(OPERATORS, "Null true wants the key absent", ALLOW,
         identity=held({"Null": {"aws:TokenIssueTime": "true"}})),
    case(OPERATORS, "Null true fails where the key is there", IMPLICIT,
         context={"aws:TokenIssueTime": "2026-01-01T00:00:00Z"},
         identity=held({"Null": {"aws:TokenIssueTime": "true"}})),
    case(OPERATORS, "Null false wants the key present", IMPLICIT,
         identity=held({"Null": {"aws:TokenIssueTime": "false"}})),
    case(OPERATORS, "keys are case-insensitive", ALLOW, context={"AWS:requestedREGION": "us-east-1"},
         identity=held({"StringEquals": {"aws:RequestedRegion": "us-east-1"}})),
    case(OPERATORS, "StringEquals is case-sensitive and knows no wildcards", IMPLICIT,
         context={"aws:RequestedRegion": "us-east-1"},
         identity=held({"StringEquals": {"aws:RequestedRegion": "us-*"}})),
    case(OPERATORS, "an IPv6 range", ALLOW, context={"aws:SourceIp": "2001:db8:1234:5678::9"},
         identity=held({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]}})),
    case(OPERATORS, "an address without a prefix is one address", IMPLICIT, context={"aws:SourceIp": "203.0.113.8"},
         identity=held({"IpAddress": {"aws:SourceIp": "203.0.113.7"}})),
    case(OPERATORS, "a deny outside of a network spares requests inside", ALLOW, context={"aws:SourceIp": "10.1.2.3"},
         identity=[ALL, doc(st("Deny", Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))]),
    case(OPERATORS, "a deny outside of a network denies where no address is known", EXPLICIT,
         identity=[ALL, doc(st("Deny", Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))]),
    case(OPERATORS, "a number at its limit", ALLOW, context={"s3:max-keys": "10"},
         identity=held({"NumericLessThanEquals": {"s3:max-keys": "10"}})),
    case(OPERATORS, "numbers are compared as numbers", IMPLICIT, context={"s3:max-keys": "9"},
         identity=held({"NumericGreaterThan": {"s3:max-keys": "10"}})),
    case(OPERATORS, "a date with a zone is the same instant", ALLOW,
         context={"aws:CurrentTime": "2026-06-01T12:00:00Z"},
         identity=held({"DateEquals": {"aws:CurrentTime": "2026-06-01T14:00:00+02:00"}})),
    case(OPERATORS, "a date against an epoch time", ALLOW, context={"aws:EpochTime": "1767225601"},
         identity=held({"DateGreaterThan": {"aws:EpochTime": "2026-01-01T00:00:00Z"}})),
    case(OPERATORS, "a request without TLS is denied", EXPLICIT, context={"aws:SecureTransport": "false"},
         identity=[ALL], resource=doc(by("*", "Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}))),
    case(OPERATORS, "ArnLike looks at each component on its own", IMPLICIT,
         context={"aws:SourceArn": "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/d.txt"},
         identity=held({"ArnLike": {"aws:SourceArn": "arn:aws:someservice:*:111122223333:finance/*"}})),
    case(OPERATORS, "StringLike does not", ALLOW,
         context={"aws:SourceArn": "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/d.txt"},
         identity=held({"StringLike": {"aws:SourceArn": "arn:aws:someservice:*:111122223333:finance/*"}})),
    case(OPERATORS, "MFA missing from long-term keys fails Bool true", IMPLICIT,
         identity=held({"Bool": {"aws:MultiFactorAuthPresent": "true"}})),
    case(OPERATORS, "BoolIfExists denies what has no MFA and what cannot have it", EXPLICIT,
         identity=[ALL, doc(st("Deny", Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}))]),
    case(SETS, "ForAllValues wants each value among the listed", ALLOW,
         context={"aws:TagKeys": ["team", "cost"]},
         identity=held({"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost", "stage"]}})),
    case(SETS, "ForAllValues fails on one other value", IMPLICIT, context={"aws:TagKeys": ["team", "owner"]},
         identity=held({"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}})),
    case(SETS, "ForAllValues holds for a missing key", ALLOW,
         identity=held({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}})),
    case(SETS, "ForAllValues with Null false does not", IMPLICIT,
         identity=held({"ForAllValues:StringEquals": {"aws:TagKeys": "team"}, "Null": {"aws:TagKeys": "false"}})),
    case(SETS, "ForAnyValue wants one value among the listed", ALLOW, context={"aws:TagKeys": ["team", "owner"]},
         identity=held({"ForAnyValue:StringEquals": {"aws:TagKeys": ["team"]}})),
    case(SETS, "ForAnyValue fails for a missing key", IMPLICIT,
         identity=held({"ForAnyValue:StringEquals": {"aws:TagKeys": ["team"]}})),
    case(SETS, "a negated ForAnyValue fails for a missing key too", IMPLICIT,
         identity=held({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["team"]}})),
    case(SETS, "a deny of a forbidden attribute", EXPLICIT, context={"dynamodb:attributes": ["UserName", "ID"]},
         identity=[ALL, doc(st("Deny", Condition={"ForAnyValue:StringLike": {"dynamodb:attributes": ["ID"]}}))]),
    case(KEYS, "the ARN of a session's principal is its role's", ALLOW, SESSION,
         identity=held({"ArnEquals": {"aws:PrincipalArn": ROLE}})),
    case(KEYS, "with its path", ALLOW, SESSION, request={"role": f"arn:aws:iam::{A}:role/team/app"},
         identity=held({"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{A}:role/team/app"}})),
    case(KEYS, "the principal's account", ALLOW, identity=held({"StringEquals": {"aws:PrincipalAccount": A}})),
    case(KEYS, "the resource's account", ALLOW, identity=held({"StringEquals": {"aws:ResourceAccount": A}})),
    case(KEYS, "the type of a session is AssumedRole", ALLOW, SESSION,
         identity=held({"StringEquals": {"aws:PrincipalType": "AssumedRole"}})),
    case(KEYS, "a user's organization is not known unless the case says so", IMPLICIT, OTHER, account=A,
         identity=[ALL], resource=doc(by("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}))),
    case(KEYS, "and is when it does", ALLOW, OTHER, account=A, context={"aws:PrincipalOrgID": "o-a1b2c3d4e5"},
         identity=[ALL], resource=doc(by("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}))),
]  # fmt: skip

HOME = "arn:aws:s3:::bucket/${aws:username}/*"
POLICY_VARIABLES = [
    case(VARIABLES, "the user's name in a resource", ALLOW, resource="arn:aws:s3:::bucket/alice/x",
         identity=with_variable(HOME)),
    case(VARIABLES, "not another's", IMPLICIT, resource="arn:aws:s3:::bucket/bob/x", identity=with_variable(HOME)),
    case(VARIABLES, "a user with a path is known by the name alone", ALLOW, f"arn:aws:iam::{A}:user/team/alice",
         resource="arn:aws:s3:::bucket/alice/x", identity=with_variable(HOME)),
    case(VARIABLES, "a role session has no user name", IMPLICIT, SESSION, resource="arn:aws:s3:::bucket/one/x",
         identity=with_variable(HOME)),
    case(VARIABLES, "in an older version a variable is text", IMPLICIT, resource="arn:aws:s3:::bucket/alice/x",
         identity=with_variable(HOME, version="2008-10-17")),
    case(VARIABLES, "without a version too", IMPLICIT, resource="arn:aws:s3:::bucket/alice/x",
         identity=with_variable(HOME, version=None)),
    case(VARIABLES, "that text matches itself", ALLOW, resource="arn:aws:s3:::bucket/${aws:username}/x",
         identity=with_variable(HOME, version="2008-10-17")),
    case(VARIABLES, "the default where the key is missing", ALLOW, resource="arn:aws:s3:::bucket/company-wide/x",
         identity=with_variable("arn:aws:s3:::bucket/${aws:PrincipalTag/team, 'company-wide'}/*")),
    case(VARIABLES, "not the default where it is there", IMPLICIT, resource="arn:aws:s3:::bucket/company-wide/x",
         context={"aws:PrincipalTag/team": "yellow"},
         identity=with_variable("arn:aws:s3:::bucket/${aws:PrincipalTag/team, 'company-wide'}/*")),
    case(VARIABLES, "a tag's key is case-insensitive", ALLOW, resource="arn:aws:s3:::bucket/yellow/x",
         context={"aws:PrincipalTag/Team": "yellow"},
         identity=with_variable("arn:aws:s3:::bucket/${aws:principaltag/tEAM}/*")),
    case(VARIABLES, "a literal asterisk", ALLOW, resource="arn:aws:s3:::bucket/*",
         identity=with_variable("arn:aws:s3:::bucket/${*}")),
    case(VARIABLES, "which is no wildcard", IMPLICIT, identity=with_variable("arn:aws:s3:::bucket/${*}")),
    case(VARIABLES, "a literal question mark and dollar", ALLOW, resource="arn:aws:s3:::bucket/a?$b",
         identity=with_variable("arn:aws:s3:::bucket/a${?}${$}b")),
    case(VARIABLES, "a variable in a condition", ALLOW, context={"s3:prefix": "alice/x"},
         identity=held({"StringLike": {"s3:prefix": "${aws:username}/*"}})),
    case(VARIABLES, "a tag compared with a tag", ALLOW,
         context={"aws:ResourceTag/team": "red", "aws:PrincipalTag/team": "red"},
         identity=held({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}})),
    case(VARIABLES, "a tag compared with a missing tag", IMPLICIT, context={"aws:ResourceTag/team": "red"},
         identity=held({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}})),
    case(VARIABLES, "two missing tags are not equal", IMPLICIT,
         identity=held({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}})),
    case(VARIABLES, "an asterisk in a value is no wildcard", IMPLICIT,
         context={"aws:PrincipalTag/prefix": "*", "s3:prefix": "secret"},
         identity=held({"StringLike": {"s3:prefix": "${aws:PrincipalTag/prefix}"}})),
    case(VARIABLES, "a deny of what is not the caller's own team", EXPLICIT,
         context={"aws:ResourceTag/team": "red"}, identity=[ALL, doc(st("Deny", Condition={
             "StringNotEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}))]),
    case(VARIABLES, "an allow with a variable that cannot be resolved", IMPLICIT,
         context={"aws:ResourceTag/team": "red"},
         identity=held({"StringNotEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}})),
    case(VARIABLES, "a variable in the account part is not replaced", IMPLICIT, action="sqs:SendMessage",
         resource=f"arn:aws:sqs:us-east-1:{A}:q",
         identity=with_variable("arn:aws:sqs:us-east-1:${aws:PrincipalAccount}:q")),
    case(VARIABLES, "a multivalued key is no variable", IMPLICIT, resource="arn:aws:s3:::bucket/a",
         context={"aws:TagKeys": ["a", "b"]}, identity=with_variable("arn:aws:s3:::bucket/${aws:TagKeys}")),
]  # fmt: skip

ORGANIZATION = [
    case(SCPS, "without an organization there are no service control policies", ALLOW, identity=[ALL], scps=[]),
    case(SCPS, "every level must allow", ALLOW, identity=[ALL], scps=[FULL, FULL, FULL]),
    case(SCPS, "one level that does not allow denies", IMPLICIT, identity=[ALL], scps=[FULL, [NONE], FULL]),
    case(SCPS, "an empty level denies", IMPLICIT, identity=[ALL], scps=[FULL, []]),
    case(SCPS, "any policy of a level is enough", ALLOW, identity=[ALL], scps=[[NONE, ALL]]),
    case(SCPS, "a deny at any level wins", EXPLICIT, identity=[ALL], scps=[FULL, [ALL, DENY_S3]]),
    case(SCPS, "a service control policy grants nothing", IMPLICIT, scps=[FULL]),
    case(SCPS, "a service control policy limits what a resource policy grants", IMPLICIT, scps=[[NONE]],
         resource=doc(by({"AWS": ALICE}))),
    case(SCPS_NOT, "it limits the root user", IMPLICIT, ROOT, scps=[[NONE]]),
    case(SCPS_NOT, "it denies the root user", EXPLICIT, ROOT, scps=[[ALL, DENY_S3]]),
    case(SCPS_NOT, "it does not affect the management account", ALLOW, identity=[ALL], scps=[[DENY_S3]],
         request={"management_account": True}),
    case(SCPS_NOT, "it does not affect service-linked roles", ALLOW, LINKED_SESSION, identity=[ALL], scps=[[DENY_S3]],
         request={"role": LINKED}),
    case(SCPS_NOT, "a role that is only named like one is affected", EXPLICIT, LINKED_SESSION, identity=[ALL],
         scps=[[DENY_S3]]),
    case(SCPS_NOT, "it does not affect services", ALLOW, "service:cloudtrail.amazonaws.com", account=A,
         scps=[[DENY_S3]], resource=doc(by({"Service": "cloudtrail.amazonaws.com"}))),
    case(SCPS, "a region restriction with NotAction spares global services", ALLOW, action="iam:GetUser",
         resource=ALICE, context={"aws:RequestedRegion": "ap-south-1"}, identity=[ALL],
         scps=[[ALL, doc({"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*", "Condition":
                          {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1"]}}})]]),
    case(RCPS, "a resource control policy denies", EXPLICIT, identity=[ALL],
         rcps=[[doc(by("*"))], [doc(by("*", "Deny", "s3:*"))]]),
    case(RCPS, "its full access policy is always attached", ALLOW, identity=[ALL],
         rcps=[[doc(by("*", "Deny", "s3:PutObject"))]]),
    case(RCPS, "it grants nothing", IMPLICIT, rcps=[[doc(by("*"))]]),
    case(RCPS, "it denies callers of other accounts", EXPLICIT, OTHER, account=A, identity=[ALL],
         resource=doc(by("*")), rcps=[[doc(by("*", "Deny", Condition={
             "StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"},
             "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}))]]),
    case(RCPS, "it denies anonymous callers", EXPLICIT, "anonymous", account=A, resource=doc(by("*")),
         rcps=[[doc(by("*", "Deny", "s3:*"))]]),
    case(RCPS, "it denies the root user", EXPLICIT, ROOT, rcps=[[doc(by("*", "Deny", "s3:*"))]]),
    case(RCPS, "it does not affect service-linked roles", ALLOW, LINKED_SESSION, identity=[ALL],
         request={"role": LINKED}, rcps=[[doc(by("*", "Deny", "s3:*"))]]),
    case(RCPS, "it does not affect the management account's resources", ALLOW, identity=[ALL],
         request={"management_account": True}, rcps=[[doc(by("*", "Deny", "s3:*"))]]),
    case(RCPS, "the management account's users are affected elsewhere", EXPLICIT, OTHER, account=A, identity=[ALL],
         request={"management_account": True}, resource=doc(by("*")), rcps=[[doc(by("*", "Deny", "s3:*"))]]),
    case(RCPS, "it does not affect services that do not support it", ALLOW, action="ec2:RunInstances",
         resource=f"arn:aws:ec2:us-east-1:{A}:instance/*", identity=[ALL], rcps=[[doc(by("*", "Deny"))]]),
]  # fmt: skip


def kms(claim: str, expect: str, principal: str = ALICE, action: str = "kms:Decrypt", *, key: Any, **more: Any) -> Any:
    return case(KMS + "determining-access.html", claim, expect, principal, action, KEY, resource=key, **more)


DEFAULT_KEY = doc(by({"AWS": ROOT}, action="kms:*"))
GRANT = {"grantee": ALICE, "operations": ["Decrypt", "DescribeKey"]}
KEYS_AND_GRANTS = [
    kms("an identity policy alone gives no key", IMPLICIT, key=doc(by({"AWS": BOB}, action="kms:*")), identity=[ALL]),
    kms("a key policy that delegates lets identity policies count", ALLOW, key=DEFAULT_KEY, identity=[ALL]),
    kms("a key policy that delegates gives nothing itself", IMPLICIT, key=DEFAULT_KEY),
    kms("a key policy that names the user is enough", ALLOW, key=doc(by({"AWS": ALICE}, action="kms:Decrypt"))),
    kms("it delegates only the actions that it names", IMPLICIT, "arn:aws:iam::111122223333:user/alice",
        key=doc(by({"AWS": ROOT}, action="kms:Encrypt")), identity=[ALL]),
    kms("a delegation under a condition", IMPLICIT, identity=[ALL], context={"kms:ViaService":
        "ec2.us-east-1.amazonaws.com"}, key=doc(by({"AWS": ROOT}, action="kms:*", Condition={"StringEquals":
        {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}))),
    kms("through the service that it names", ALLOW, context={"kms:ViaService": "s3.us-east-1.amazonaws.com"},
        key=doc(by({"AWS": ALICE}, action="kms:*", Condition={"StringEquals":
                   {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}))),
    kms("everyone in a key policy includes the account's users", ALLOW, key=doc(by("*", action="kms:*"))),
    kms("everyone under kms:CallerAccount", ALLOW,
        key=doc(by({"AWS": "*"}, action="kms:*", Condition={"StringEquals": {"kms:CallerAccount": A}}))),
    kms("the root user has what the key policy gives the account", ALLOW, ROOT, key=DEFAULT_KEY),
    kms("and nothing without it", IMPLICIT, ROOT, key=doc(by({"AWS": ALICE}, action="kms:*"))),
    kms("a deny in the key policy wins", EXPLICIT, identity=[ALL],
        key=doc(by({"AWS": ROOT}, action="kms:*"), by({"AWS": ALICE}, "Deny", "kms:*"))),
    kms("a deny in the identity policy wins", EXPLICIT, key=doc(by({"AWS": ALICE}, action="kms:*")),
        identity=[doc(st("Deny", "kms:*"))]),
    kms("a key policy that names the role is limited by the boundary", IMPLICIT, SESSION, boundary=NONE,
        key=doc(by({"AWS": ROLE}, action="kms:*"))),
    kms("across accounts the key policy alone is not enough", IMPLICIT, OTHER, key=doc(by({"AWS": B}, action="kms:*"))),
    kms("across accounts both are enough", ALLOW, OTHER, key=doc(by({"AWS": B}, action="kms:*")), identity=[ALL]),
    kms("across accounts keys are used but not managed", IMPLICIT, OTHER, "kms:ScheduleKeyDeletion",
        key=doc(by({"AWS": B}, action="kms:*")), identity=[ALL]),
    kms("a grant allows without a key policy for the user", ALLOW, key=DEFAULT_KEY, kms_grants=[GRANT]),
    kms("a grant is enough across accounts", ALLOW, OTHER, key=DEFAULT_KEY,
        kms_grants=[{"grantee": OTHER, "operations": ["Decrypt"]}]),
    kms("a grant is enough across accounts, whatever the key policy says besides", ALLOW, OTHER,
        key=doc(by({"AWS": OTHER}, action="kms:*")), kms_grants=[{"grantee": OTHER, "operations": ["Decrypt"]}]),
    kms("a grant allows only its operations", IMPLICIT, ALICE, "kms:Encrypt", key=DEFAULT_KEY, kms_grants=[GRANT]),
    kms("a grant is for its grantee", IMPLICIT, BOB, key=DEFAULT_KEY, kms_grants=[GRANT]),
    kms("a deny wins over a grant", EXPLICIT, key=DEFAULT_KEY, kms_grants=[GRANT], identity=[doc(st("Deny", "kms:*"))]),
    kms("a grant to a role is for its sessions", ALLOW, SESSION, key=DEFAULT_KEY,
        kms_grants=[{"grantee": ROLE, "operations": ["Decrypt"]}]),
    kms("a subset constraint holds", ALLOW, key=DEFAULT_KEY,
        context={"kms:EncryptionContext:Team": "red", "kms:EncryptionContext:Stage": "beta"},
        kms_grants=[GRANT | {"constraints": {"EncryptionContextSubset": {"Team": "red"}}}]),
    kms("an equals constraint wants no more pairs", IMPLICIT, key=DEFAULT_KEY,
        context={"kms:EncryptionContext:Team": "red", "kms:EncryptionContext:Stage": "beta"},
        kms_grants=[GRANT | {"constraints": {"EncryptionContextEquals": {"Team": "red"}}}]),
    kms("a constraint's keys are case-insensitive", ALLOW, key=DEFAULT_KEY,
        context={"kms:EncryptionContext:team": "red"},
        kms_grants=[GRANT | {"constraints": {"EncryptionContextSubset": {"Team": "red"}}}]),
    kms("a constraint's values are case-sensitive", IMPLICIT, key=DEFAULT_KEY,
        context={"kms:EncryptionContext:Team": "Red"},
        kms_grants=[GRANT | {"constraints": {"EncryptionContextSubset": {"Team": "red"}}}]),
    kms("a constraint without any encryption context", IMPLICIT, key=DEFAULT_KEY,
        kms_grants=[GRANT | {"constraints": {"EncryptionContextSubset": {"Team": "red"}}}]),
    kms("DescribeKey has no encryption context to constrain", ALLOW, ALICE, "kms:DescribeKey", key=DEFAULT_KEY,
        kms_grants=[GRANT | {"constraints": {"EncryptionContextSubset": {"Team": "red"}}}]),
    kms("a resource control policy denies keys", EXPLICIT, identity=[ALL], key=DEFAULT_KEY,
        rcps=[[doc(by("*", "Deny", "kms:*"))]]),
    kms("but not kms:RetireGrant", ALLOW, ALICE, "kms:RetireGrant", identity=[ALL], key=DEFAULT_KEY,
        rcps=[[doc(by("*", "Deny", "kms:*"))]]),
    kms("encryption context as a condition", IMPLICIT, context={"kms:EncryptionContext:Team": "blue"},
        key=doc(by({"AWS": ALICE}, action="kms:*", Condition={"StringEquals": {"kms:EncryptionContext:Team": "red"}}))),
    case(KMS + "kms-api-permissions-reference.html", "operations without a key are the identity policy's to allow",
         ALLOW, action="kms:ListKeys", on="*", identity=[ALL]),
    case(KMS + "kms-api-permissions-reference.html", "so is the alias in CreateAlias", ALLOW, action="kms:CreateAlias",
         on=f"arn:aws:kms:us-east-1:{A}:alias/x", identity=[ALL]),
    kms("a service with a key of its own", ALLOW, "service:cloudtrail.amazonaws.com", "kms:GenerateDataKey",
        key=doc(by({"Service": "cloudtrail.amazonaws.com"}, action="kms:GenerateDataKey*"))),
]  # fmt: skip


def sts(claim: str, expect: str, principal: str = ALICE, action: str = "sts:AssumeRole", **more: Any) -> Any:
    role = more.pop("of_role", ROLE)
    policy = more.pop("trusting")
    return case(ROLES, claim, expect, principal, action, role, resource=policy, **more)


TRUST = [
    sts("a trust policy that names the user is enough in the account", ALLOW, trusting=trust({"AWS": ALICE})),
    sts("one that names the account needs the user's policy", IMPLICIT, trusting=trust({"AWS": ROOT})),
    sts("with it", ALLOW, trusting=trust({"AWS": ROOT}), identity=[doc(st(action="sts:AssumeRole", resource=ROLE))]),
    sts("the user's policy alone is not enough", IMPLICIT, trusting=trust({"AWS": BOB}), identity=[ALL]),
    sts("a deny in the user's policy wins", EXPLICIT, trusting=trust({"AWS": ALICE}),
        identity=[doc(st("Deny", "sts:AssumeRole"))]),
    sts("across accounts the trust policy is not enough", IMPLICIT, OTHER, trusting=trust({"AWS": OTHER})),
    sts("across accounts both are", ALLOW, OTHER, trusting=trust({"AWS": B}), identity=[ALL]),
    sts("the external id must match", ALLOW, OTHER, identity=[ALL], context={"sts:ExternalId": "12345"},
        trusting=trust({"AWS": B}, Condition={"StringEquals": {"sts:ExternalId": "12345"}})),
    sts("another external id does not", IMPLICIT, OTHER, identity=[ALL], context={"sts:ExternalId": "54321"},
        trusting=trust({"AWS": B}, Condition={"StringEquals": {"sts:ExternalId": "12345"}})),
    sts("nor a missing one", IMPLICIT, OTHER, identity=[ALL],
        trusting=trust({"AWS": B}, Condition={"StringEquals": {"sts:ExternalId": "12345"}})),
    sts("a service by the trust policy alone", ALLOW, "service:ec2.amazonaws.com",
        trusting=trust({"Service": "ec2.amazonaws.com"})),
    sts("only the service that it names", IMPLICIT, "service:lambda.amazonaws.com",
        trusting=trust({"Service": "ec2.amazonaws.com"})),
    sts("a web identity by the trust policy alone", ALLOW, "federated:accounts.google.com",
        "sts:AssumeRoleWithWebIdentity", context={"accounts.google.com:aud": "app"},
        trusting=trust({"Federated": "accounts.google.com"}, "sts:AssumeRoleWithWebIdentity",
                       Condition={"StringEquals": {"accounts.google.com:aud": "app"}})),
    sts("not for another audience", IMPLICIT, "federated:accounts.google.com",
        "sts:AssumeRoleWithWebIdentity", context={"accounts.google.com:aud": "other"},
        trusting=trust({"Federated": "accounts.google.com"}, "sts:AssumeRoleWithWebIdentity",
                       Condition={"StringEquals": {"accounts.google.com:aud": "app"}})),
    sts("not from another provider", IMPLICIT, "federated:www.amazon.com", "sts:AssumeRoleWithWebIdentity",
        trusting=trust({"Federated": "accounts.google.com"}, "sts:AssumeRoleWithWebIdentity")),
    sts("everyone with AWS credentials is no identity provider", IMPLICIT, "federated:accounts.google.com",
        "sts:AssumeRoleWithWebIdentity", trusting=trust({"AWS": "*"}, "sts:*")),
    sts("session tags need sts:TagSession in the trust policy", IMPLICIT, ALICE, "sts:TagSession",
        trusting=trust({"AWS": ALICE}), identity=[ALL]),
    sts("which may be named beside AssumeRole", ALLOW, ALICE, "sts:TagSession",
        trusting=trust({"AWS": ALICE}, ["sts:AssumeRole", "sts:TagSession"])),
    sts("a source identity needs sts:SetSourceIdentity", IMPLICIT, ALICE, "sts:SetSourceIdentity",
        trusting=trust({"AWS": ALICE}), identity=[ALL]),
    sts("a role that does not trust itself cannot assume itself", IMPLICIT, SESSION, identity=[ALL],
        trusting=trust({"AWS": ALICE})),
    sts("role chaining by the role's ARN", ALLOW, SESSION, trusting=trust({"AWS": ROLE}),
        of_role=f"arn:aws:iam::{A}:role/next"),
    sts("the root user cannot assume roles", IMPLICIT, ROOT, trusting=trust({"AWS": ROOT})),
    sts("anonymous callers cannot by a trust in an account", IMPLICIT, "anonymous", trusting=trust({"AWS": A})),
    sts("a trust limited by tag conditions", ALLOW, ALICE, context={"aws:PrincipalTag/team": "red"},
        trusting=trust({"AWS": ALICE}, Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}})),
    sts("a resource control policy protects roles", EXPLICIT, OTHER, identity=[ALL], trusting=trust({"AWS": B}),
        rcps=[[doc(by("*", "Deny", "sts:AssumeRole", Condition={"StringNotEqualsIfExists":
                   {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}))]]),
    sts("anyone may ask who they are despite a deny", ALLOW, ALICE, "sts:GetCallerIdentity", of_role="*",
        trusting=None, identity=[doc(st("Deny"))]),
    sts("GetFederationToken is an identity policy's to allow", ALLOW, ALICE, "sts:GetFederationToken",
        of_role=FEDERATED, trusting=None, identity=[ALL]),
    sts("GetSessionToken needs no permission", ALLOW, ALICE, "sts:GetSessionToken", of_role="*", trusting=None),
    sts("GetFederationToken is not for role sessions", IMPLICIT, SESSION, "sts:GetFederationToken",
        of_role=FEDERATED, trusting=None, identity=[ALL]),
    sts("GetSessionToken is not for sessions", IMPLICIT, SESSION, "sts:GetSessionToken", of_role="*", trusting=None,
        identity=[ALL]),
]  # fmt: skip

TABLE = [
    *SAME_ACCOUNT, *BOUNDARY, *SESSIONS, *CROSS_ACCOUNT, *WITHOUT_ACCOUNT, *EXCEPT, *ELEMENTS, *CONDITIONS,
    *POLICY_VARIABLES, *ORGANIZATION, *KEYS_AND_GRANTS, *TRUST,
]  # fmt: skip


@pytest.mark.parametrize("one", TABLE)
def test_the_documented_outcome(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
    assert result.why
