"""Random cases from a small world, in which policies often meet requests. Deterministic for a seed."""

from __future__ import annotations

import random
from typing import Any

A, B = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{A}:role/app"
SESSION = f"arn:aws:sts::{A}:assumed-role/app/one"
PRINCIPALS = [
    f"arn:aws:iam::{A}:user/alice", f"arn:aws:iam::{A}:user/alice", f"arn:aws:iam::{A}:user/bob", SESSION, SESSION,
    SESSION,
    f"arn:aws:sts::{A}:assumed-role/app/two", ROLE, f"arn:aws:iam::{A}:root", f"arn:aws:iam::{B}:root",
    f"arn:aws:sts::{A}:federated-user/carol", f"arn:aws:iam::{B}:user/mallory", f"arn:aws:sts::{B}:assumed-role/x/s",
    "anonymous", "service:s3.amazonaws.com", "federated:accounts.google.com",
]  # fmt: skip
LINKED = f"arn:aws:iam::{A}:role/aws-service-role/s3.amazonaws.com/app"
ROLES = [f"arn:aws:iam::{A}:role/team/app", LINKED, ROLE]
REQUESTS = [
    ("s3:GetObject", "arn:aws:s3:::bucket/alice/a"), ("s3:GetObject", "arn:aws:s3:::bucket/x:y/a"),
    ("s3:PutObject", "arn:aws:s3:::bucket/red/a"), ("s3:ListBucket", "arn:aws:s3:::bucket"),
    ("s3:PutBucketPolicy", "arn:aws:s3:::bucket"), ("kms:Decrypt", f"arn:aws:kms:us-east-1:{A}:key/k"),
    ("kms:DescribeKey", f"arn:aws:kms:us-east-1:{A}:key/k"),
    ("kms:ScheduleKeyDeletion", f"arn:aws:kms:us-east-1:{A}:key/k"),
    ("sts:AssumeRole", ROLE), ("sts:TagSession", ROLE), ("sts:GetCallerIdentity", "*"), ("sts:GetSessionToken", "*"),
    ("sts:AssumeRoleWithWebIdentity", ROLE), ("iam:GetUser", f"arn:aws:iam::{A}:user/alice"),
    ("ec2:RunInstances", f"arn:aws:ec2:us-east-1:{A}:instance/i"), ("sqs:SendMessage", f"arn:aws:sqs:us-east-1:{B}:q"),
    ("logs:GetLogEvents", f"arn:aws:logs:us-east-1:{A}:log-group:g:log-stream:s"),
]  # fmt: skip
ACTIONS = ["*", "*", "s3:*", "s3:Get*", "S3:?etObject", "s3:PutObject", "kms:*", "kms:Decrypt", "sts:*",
           "sts:AssumeRole", "iam:*", "ec2:*", "sqs:*", "logs:*"]  # fmt: skip
RESOURCES = [
    "*", "*", "*", "arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket", "arn:aws:s3:::bucket*", "arn:aws:s3:::b?cket/*/a",
    "arn:aws:s3:::bucket/${aws:username}/*", "arn:aws:s3:::bucket/${aws:PrincipalTag/team, 'red'}/a",
    "arn:aws:s3:::*t/*y/a",
    "arn:aws:s3:::bucket/x*a", "arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*", "arn:aws:s3:::bucket/x:*/a",
    "arn:aws:s3",
    f"arn:aws:kms:*:{A}:key/*", f"arn:aws:kms:us-*-1:{A}:key/k", "arn:aws:kms", f"arn:aws:iam::{A}:*", ROLE,
    f"arn:aws:logs:*:{A}:log-group:*", f"arn:aws:logs:us-east-1:{A}:log-g*:s", "arn:aws:logs:*:log-*m:s",
    f"arn:aws:sqs:*:{B}:q", "arn:aws:sqs:us-east-1:${aws:PrincipalAccount}:q",
]  # fmt: skip
NAMES = [
    "*", {"AWS": "*"}, {"AWS": A}, {"AWS": f"arn:aws:iam::{A}:root"}, {"AWS": B},
    {"AWS": f"arn:aws:iam::{A}:user/alice"},
    {"AWS": [f"arn:aws:iam::{A}:user/alice", f"arn:aws:iam::{A}:root"]}, {"AWS": ROLE}, {"AWS": SESSION},
    {"AWS": [ROLE, A]}, {"AWS": [SESSION, ROLE, A]}, {"AWS": [SESSION, A]}, {"AWS": ROLES[0]}, {"AWS": [A, B]},
    {"AWS": f"arn:aws:sts::{A}:federated-user/carol"}, {"Service": "s3.amazonaws.com"},
    {"Service": "ec2.amazonaws.com"},
    {"Federated": "accounts.google.com"}, {"AWS": f"arn:aws:iam::{B}:user/mallory", "Service": "s3.amazonaws.com"},
    {"AWS": f"arn:aws:iam::{B}:role/x"},
]  # fmt: skip
TEXT_KEYS: dict[str, list[Any]] = {
    "aws:PrincipalTag/team": ["red", "blue", "*", ""], "aws:ResourceTag/team": ["red", "blue", "Red"],
    "s3:prefix": ["", "alice/x", "red", "home/"], "aws:TagKeys": [["red"], ["red", "blue"], [], "red", ["x", "alice"]],
    "kms:EncryptionContext:Team": ["red", "blue"], "sts:ExternalId": ["red", "12345"],
    "aws:SourceVpce": ["red", "vpce-1"], "aws:CalledVia": [["red", "blue"], ["blue"]],
}  # fmt: skip
TEXTS = ["red", "blue", "RED", "r*", "*", "", "?ed", "${aws:username}", "${aws:username}/*", "${aws:PrincipalTag/team}",
         "${aws:PrincipalTag/team, 'red'}", "${*}", "${aws:TagKeys}", "alice", "12345"]  # fmt: skip
ARNS = [ROLE, f"arn:aws:iam::{A}:user/*", "arn:aws:iam::*:role/*", f"arn:aws:iam::{A}:user/${{aws:username}}", "*",
        "arn:aws:iam", "arn:aws:s3:::bucket", f"arn:aws:iam::{A}:*/a*"]  # fmt: skip
OTHER_KEYS: dict[str, tuple[list[Any], list[str], list[str]]] = {  # key: values, operators, wanted
    "s3:max-keys": (["9", "10", "10.0", "many", "-1"],
                    [f"Numeric{n}" for n in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan",
                                             "GreaterThanEquals")], ["9", "10", "-1.5", "10.0"]),
    "aws:CurrentTime": (["2026-01-01T00:00:00Z", "2026-06-01T12:00:00+02:00", "1767225600", "soon"],
                        [f"Date{n}" for n in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan",
                                              "GreaterThanEquals")],
                        ["2026-01-01T00:00:00Z", "2026-06-01T10:00:00Z", "1767225600", "2026-01-01"]),
    "aws:SourceIp": (["10.0.0.1", "203.0.113.7", "2001:db8::1", "nowhere"], ["IpAddress", "NotIpAddress"],
                     ["10.0.0.0/8", "203.0.113.7", "0.0.0.0/0", "2001:db8::/32", "::/0"]),
    "aws:SecureTransport": (["true", "false", "True"], ["Bool"], ["true", "false", "FALSE"]),
    "aws:SourceArn": (["arn:aws:s3:::bucket", ROLE, "bucket", f"arn:aws:iam::{A}:user/alice"],
                      ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"], ARNS),
    "aws:PrincipalArn": ([], ["ArnEquals", "ArnNotLike", "ArnLike"], ARNS),
    "aws:PrincipalAccount": ([], ["StringEquals", "StringNotEquals"], [A, B, "anonymous"]),
    "aws:PrincipalType": ([], ["StringEquals", "StringNotEquals"], ["User", "AssumedRole", "Account"]),
    "aws:PrincipalIsAWSService": ([], ["Bool"], ["true", "false"]),
    "kms:CallerAccount": ([], ["StringEquals"], [A, B]),
    "aws:ResourceAccount": ([], ["StringEquals", "StringNotEquals"], [A, B]),
    "aws:VpcSourceIp": (["10.0.0.1", "10.1.0.1"], ["IpAddress", "NotIpAddress"], ["10.0.0.0/16", "10.0.0.0/8"]),
    "aws:MultiFactorAuthAge": (["5", "3600"], ["NumericLessThan", "NumericGreaterThanEquals"], ["60", "3600"]),
    "aws:x-binary": (["QQ==", "QUI=", "?"], ["BinaryEquals"], ["QQ==", "QUI="]),
}  # fmt: skip
TEXT_OPERATORS = ["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
                  "StringLike", "StringNotLike"]  # fmt: skip


def some(rng: random.Random, options: list[Any]) -> Any:
    return options[int(rng.random() * len(options))]


def one_or_more(rng: random.Random, options: list[Any]) -> Any:
    if rng.random() < 0.6:
        return some(rng, options)
    return [some(rng, options) for _ in range(rng.randint(1, 3))]


def condition(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(rng.choice((1, 1, 1, 2))):
        if rng.random() < 0.5:
            key, operator, wanted = some(rng, list(TEXT_KEYS)), some(rng, TEXT_OPERATORS), one_or_more(rng, TEXTS)
        else:
            key = some(rng, list(OTHER_KEYS))
            _, operators, options = OTHER_KEYS[key]
            operator, wanted = some(rng, operators), one_or_more(rng, options)
        if rng.random() < 0.12:
            found.setdefault("Null", {})[key] = some(rng, ["true", "false"])
            continue
        if rng.random() < 0.25:
            operator += "IfExists"
        if rng.random() < (0.5 if key == "aws:TagKeys" else 0.1):
            operator = some(rng, ["ForAllValues:", "ForAnyValue:"]) + operator
        found.setdefault(operator, {})[some(rng, [key, key.lower(), key.upper()])] = wanted
    return found


def statement(rng: random.Random, kind: str, *, calm: bool = False) -> dict[str, Any]:
    """A statement; a `calm` one has no conditions and rarely denies, so that who is named decides."""
    deny = rng.random() < (0.7 if kind == "rcp" else 0.05 if calm else 0.34)
    found: dict[str, Any] = {"Effect": "Deny" if deny else "Allow"}
    if kind in ("resource", "key", "trust", "rcp", "endpoint"):
        if kind == "rcp":
            found["Principal"] = "*"
        elif deny and kind != "trust" and rng.random() < 0.4:
            found["NotPrincipal"] = some(rng, NAMES)
        else:
            found["Principal"] = some(rng, NAMES)
    actions = ["sts:*", "sts:AssumeRole", "sts:TagSession"] if kind == "trust" else ACTIONS
    found["Action" if calm or rng.random() < 0.88 else "NotAction"] = one_or_more(rng, actions)
    if kind != "trust":
        found["Resource" if calm or rng.random() < 0.88 else "NotResource"] = one_or_more(rng, RESOURCES)
    if not calm and rng.random() < 0.45:
        found["Condition"] = condition(rng)
    return found


def document(rng: random.Random, kind: str, *, calm: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"Statement": [statement(rng, kind, calm=calm) for _ in range(rng.choice((1, 1, 2, 3)))]}
    if rng.random() < 0.9:
        found["Version"] = "2012-10-17"
    return found


def case(rng: random.Random) -> dict[str, Any]:
    principal = some(rng, PRINCIPALS)
    action, resource = some(rng, REQUESTS)
    context = {}
    for key in TEXT_KEYS:
        if rng.random() < 0.5:
            context[key] = some(rng, TEXT_KEYS[key])
    for key, (values, _, _) in OTHER_KEYS.items():
        if values and rng.random() < 0.5:
            context[key] = some(rng, values)
    request: dict[str, Any] = {"principal": principal, "action": action, "resource": resource, "context": context}
    if ":assumed-role/app/" in principal and rng.random() < 0.35:
        request["role"] = some(rng, ROLES)
    if rng.random() < 0.08:
        request["management_account"] = True
    calm = rng.random() < 0.4
    kind = "key" if action.startswith("kms:") else "trust" if action.startswith("sts:") else "resource"
    policies: dict[str, Any] = {
        "identity": [document(rng, "identity", calm=calm) for _ in range(rng.choice((0, 1, 1, 2)))]
    }
    if rng.random() < 0.65 and action not in ("sts:GetCallerIdentity", "sts:GetSessionToken"):
        policies["resource"] = document(rng, kind, calm=calm)
    if rng.random() < 0.2:
        policies["boundary"] = document(rng, "boundary", calm=calm)
    if rng.random() < 0.25 and ":sts:" in principal:
        policies["session"] = [document(rng, "session", calm=calm) for _ in range(rng.choice((1, 2)))]
    if rng.random() < 0.2:
        levels = rng.choice((1, 2))
        policies["scps"] = [[document(rng, "scp") for _ in range(rng.choice((1, 1, 2)))] for _ in range(levels)]
    if rng.random() < 0.15:
        policies["rcps"] = [[document(rng, "rcp")]]
    if rng.random() < 0.12:
        policies["endpoint"] = document(rng, "endpoint", calm=calm)
    if kind == "key" and rng.random() < 0.5:
        policies["kms_grants"] = [{
            "grantee": some(rng, [*PRINCIPALS[:8], "s3.amazonaws.com"]),
            "operations": some(rng, [["Decrypt"], ["Decrypt", "DescribeKey"], ["Encrypt"]]),
            "constraints": some(rng, [{}, {"EncryptionContextSubset": {"Team": "red"}},
                                      {"EncryptionContextEquals": {"Team": "red"}}]),
        }]  # fmt: skip
    found: dict[str, Any] = {"name": "random", "request": request, "policies": policies, "expect": "allow"}
    if rng.random() < 0.3:
        found["account_of_resource"] = some(rng, [A, B])
    return found
