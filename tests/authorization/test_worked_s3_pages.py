"""S3's pages on access, read from end to end: each example that they print, with what they say about it."""

from __future__ import annotations

from typing import Any

import pytest
from test_worked_cases import ALLOW, EXPLICIT, IAM, IMPLICIT, S3, by, case, doc, st

from freehold.authorization import run_cases

A, B, C = "111111111111", "222222222222", "333333333333"
FULL = doc(st())
BUCKET, EACH = "arn:aws:s3:::DOC-EXAMPLE-BUCKET", "arn:aws:s3:::DOC-EXAMPLE-BUCKET/*"
OBJECT = "arn:aws:s3:::DOC-EXAMPLE-BUCKET/HappyFace.jpg"
BOTH = [BUCKET, EACH]


def user(name: str, account: str = A) -> str:
    return f"arn:aws:iam::{account}:user/{name}"


def root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


DAVE, JANE, JILL = user("Dave"), user("Jane"), user("Jill")
READ = ("s3:GetObject", OBJECT)
PUT = ("s3:PutObject", OBJECT)
LIST = ("s3:ListBucket", BUCKET)


def told(source: str, policies: dict[str, Any], *rows: tuple[Any, ...], owner: str = A) -> list[Any]:
    """Rows (claim, outcome, principal, action, resource, context) in the bucket of account A."""
    return [
        case(source, claim, expect, principal, action, on, context[0] if context else None, owner, **policies)
        for claim, expect, principal, action, on, *context in rows
    ]


EXAMPLES = S3 + "example-bucket-policies.html"
PUBLIC_READ, OWNER = {"s3:x-amz-acl": "public-read"}, {"s3:x-amz-acl": "bucket-owner-full-control"}
ANY_USER = {"identity": [FULL]}
MIXED = doc(by("*", action="s3:*", resource=BOTH, Condition={
    "IpAddress": {"aws:SourceIp": ["54.240.143.0/24", "2001:DB8:1234:5678::/64"]},
    "NotIpAddress": {"aws:SourceIp": ["54.240.143.128/30", "2001:DB8:1234:5678:ABCD::/80"]}}))  # fmt: skip
LENS = "arn:aws:s3:us-east-1:111122223333:storage-lens/d"
LENS_PREFIX = "arn:aws:s3:::DOC-EXAMPLE-BUCKET/prefix/StorageLens/111122223333/"
FOR_LENS = {"aws:SourceAccount": "111122223333", "aws:SourceArn": LENS}
BUCKET_POLICIES = [
    *told(EXAMPLES, ANY_USER | {"resource": doc(by({"AWS": [root(B), root(C)]}, action=["s3:PutObject",
        "s3:PutObjectAcl"],
                                                   resource=EACH, Condition={"StringEquals": {
                                                       "s3:x-amz-acl": ["public-read"]}}))},
          ("one account puts what everyone reads", ALLOW, user("x", B), *PUT, PUBLIC_READ),
          ("so does the other", ALLOW, user("x", C), "s3:PutObjectAcl", OBJECT, PUBLIC_READ),
          ("not without the ACL", IMPLICIT, user("x", B), *PUT),
          ("not with another", IMPLICIT, user("x", B), *PUT, OWNER)),
    *told(EXAMPLES, {"resource": doc(by("*", action=["s3:GetObject", "s3:GetObjectVersion"], resource=[EACH]))},
          ("anyone reads", ALLOW, "anonymous", *READ),
          ("a version as well", ALLOW, "anonymous", "s3:GetObjectVersion", OBJECT),
          ("nobody lists", IMPLICIT, "anonymous", *LIST)),
    *told(EXAMPLES,
        {"resource": doc(by({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity EH1HDMB1FH2TC"},
                                        action="s3:GetObject", resource=EACH))},
          ("an origin access identity is nobody else", IMPLICIT, "anonymous", *READ)),
    *told(EXAMPLES, {"resource": MIXED},
          ("an IPv4 address of the range", ALLOW, "anonymous", *READ, {"aws:SourceIp": "54.240.143.1"}),
          ("an IPv6 address of the range", ALLOW, "anonymous", *READ, {"aws:SourceIp": "2001:DB8:1234:5678::1"}),
          ("an excepted IPv4 address", IMPLICIT, "anonymous", *READ, {"aws:SourceIp": "54.240.143.129"}),
          ("an excepted IPv6 address", IMPLICIT, "anonymous", *READ, {"aws:SourceIp": "2001:DB8:1234:5678:ABCD::1"})),
    *told(EXAMPLES, {"resource": doc(by("*", "Deny", "s3:*", BUCKET + "/taxdocuments/*", Condition={
                                         "Null": {"aws:MultiFactorAuthAge": True}}),
                                     by("*", action=["s3:GetObject"], resource=EACH))},
          ("taxes without MFA", EXPLICIT, DAVE, "s3:GetObject", BUCKET + "/taxdocuments/1"),
          ("taxes with MFA, however old", ALLOW, DAVE, "s3:GetObject", BUCKET + "/taxdocuments/1",
           {"aws:MultiFactorAuthAge": "99999"}),
          ("the rest without", ALLOW, "anonymous", *READ)),
    *told(EXAMPLES, ANY_USER | {"resource": doc(by({"AWS": B}, action="s3:PutObject", resource=EACH,
                                                   Condition={"StringEquals": OWNER}))},
          ("an upload that the owner controls", ALLOW, user("x", B), *PUT, OWNER),
          ("an upload that it does not", IMPLICIT, user("x", B), *PUT, {"s3:x-amz-acl": "private"})),
    *told(EXAMPLES, {"resource": doc(by({"Service": ["storage-lens.s3.amazonaws.com"]}, action="s3:PutObject",
                                        resource=LENS_PREFIX + "*", Condition={"StringEquals": OWNER | FOR_LENS}))},
          ("the lens's report", ALLOW, "service:storage-lens.s3.amazonaws.com", "s3:PutObject", LENS_PREFIX + "1",
           OWNER | FOR_LENS),
          ("another account's lens", IMPLICIT, "service:storage-lens.s3.amazonaws.com", "s3:PutObject",
           LENS_PREFIX + "1",
           OWNER | FOR_LENS | {"aws:SourceAccount": B}),
          ("another prefix", IMPLICIT, "service:storage-lens.s3.amazonaws.com", "s3:PutObject", OBJECT,
           OWNER | FOR_LENS)),
]  # fmt: skip

ENDPOINTS = S3 + "example-bucket-policies-vpc-endpoint.html"
VPC_ONLY = doc(by("*", "Deny", "s3:*", BOTH, Condition={"StringNotEquals": {"aws:SourceVpc": "vpc-111bbb22"}}))
FROM_ENDPOINTS = told(
    ENDPOINTS, ANY_USER | {"resource": VPC_ONLY},
    ("from the VPC", ALLOW, DAVE, *READ, {"aws:SourceVpc": "vpc-111bbb22"}),
    ("from another", EXPLICIT, DAVE, *READ, {"aws:SourceVpc": "vpc-222"}),
    ("from the internet", EXPLICIT, DAVE, *READ, {"aws:SourceIp": "203.0.113.7"}),
)  # fmt: skip

KEYS = S3 + "amazon-s3-policy-keys.html"
FULL_CONTROL = {"s3:x-amz-grant-full-control": "id=AccountA-CanonicalUserID"}
ADMIN_B = user("AccountBadmin", B)
COPY = "s3:x-amz-copy-source"
VERSION = {"s3:VersionId": "AaaHbAQitwiL_h47_44lRO2DDfLlBO5e"}
SAO_PAULO = {"s3:LocationConstraint": "sa-east-1"}
IN_SAO_PAULO = st(action="s3:CreateBucket", resource="arn:aws:s3:::*", Condition={"StringLike": SAO_PAULO})
NOWHERE_ELSE = st("Deny", "s3:CreateBucket", "arn:aws:s3:::*", Condition={"StringNotLike": SAO_PAULO})
PROJECTS = {"s3:prefix": "projects"}
CREATE = ("s3:CreateBucket", "arn:aws:s3:::new")


def with_deny(principal: str, action: str, on: str, condition: dict[str, Any]) -> Any:
    """A bucket policy that allows and denies under a condition."""
    return doc(by({"AWS": principal}, action=action, resource=on),
               by({"AWS": principal}, "Deny", action, on, Condition=condition))  # fmt: skip


CONDITION_KEYS = [
    *told(KEYS, {"resource": doc(by("*", action="s3:GetObject", resource=EACH, Condition={
              "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "NotIpAddress": {"aws:SourceIp": "192.0.2.188/32"}}))},
          ("an address of the network", ALLOW, "anonymous", *READ, {"aws:SourceIp": "192.0.2.187"}),
          ("the one that is excepted", IMPLICIT, "anonymous", *READ, {"aws:SourceIp": "192.0.2.188"}),
          ("another network", IMPLICIT, "anonymous", *READ, {"aws:SourceIp": "198.51.100.1"})),
    *told(KEYS, {"identity": [doc(st(action="s3:PutObject", resource=[EACH],
        Condition={"StringEquals": PUBLIC_READ}))]},
          ("public objects", ALLOW, DAVE, *PUT, PUBLIC_READ),
          ("others", IMPLICIT, DAVE, *PUT)),
    *told(KEYS, ANY_USER | {"resource": doc(by({"AWS": user("Dave", B)}, action="s3:PutObject", resource=EACH,
                                               Condition={"StringEquals": FULL_CONTROL}))},
          ("Dave gives the owner full control", ALLOW, user("Dave", B), *PUT, FULL_CONTROL),
          ("Dave does not", IMPLICIT, user("Dave", B), *PUT)),
    *told(KEYS, ANY_USER | {"resource": with_deny(ADMIN_B, "s3:PutObject", EACH, {"StringNotEquals": FULL_CONTROL})},
          ("the stricter policy, with the header", ALLOW, ADMIN_B, *PUT, FULL_CONTROL),
          ("without it", EXPLICIT, ADMIN_B, *PUT)),
    *told(KEYS, ANY_USER | {"resource": with_deny(ADMIN_B, "s3:PutObject", EACH, {"StringNotEquals": OWNER})},
          ("with the canned ACL", ALLOW, ADMIN_B, *PUT, OWNER), ("with another", EXPLICIT, ADMIN_B, *PUT, PUBLIC_READ)),
    *told(KEYS, {"resource": with_deny(JANE, "s3:PutObject", EACH, {
              "StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}})},
          ("Jane asks for encryption", ALLOW, JANE, *PUT, {"s3:x-amz-server-side-encryption": "AES256"}),
          ("Jane does not", EXPLICIT, JANE, *PUT)),
    *told(KEYS, {"resource": with_deny(DAVE, "s3:PutObject", EACH, {
              "StringNotLike": {COPY: "awsexamplebucket1/public/*"}})},
          ("a copy from the folder", ALLOW, DAVE, *PUT, {COPY: "awsexamplebucket1/public/PublicHappyFace1.jpg"}),
          ("from elsewhere", EXPLICIT, DAVE, *PUT, {COPY: "awsexamplebucket1/private/x"}),
          ("an upload", EXPLICIT, DAVE, *PUT)),
    *told(KEYS, {"resource": with_deny(DAVE, "s3:PutObject", EACH, {
              "StringNotEquals": {COPY: "awsexamplebucket1/public/PublicHappyFace1.jpg"}})},
          ("a copy of the one object", ALLOW, DAVE, *PUT, {COPY: "awsexamplebucket1/public/PublicHappyFace1.jpg"}),
          ("of another", EXPLICIT, DAVE, *PUT, {COPY: "awsexamplebucket1/public/Other.jpg"})),
    *told(KEYS, {"resource": with_deny(DAVE, "s3:GetObjectVersion", OBJECT, {"StringNotEquals": VERSION})},
          ("the version", ALLOW, DAVE, "s3:GetObjectVersion", OBJECT, VERSION),
          ("another version", EXPLICIT, DAVE, "s3:GetObjectVersion", OBJECT, {"s3:VersionId": "x"}),
          ("the current one, by no version", IMPLICIT, DAVE, *READ)),
    *told(KEYS, {"resource": doc(by({"AWS": DAVE}, action="s3:PutObject", resource=EACH, Condition={
              "StringEquals": {"s3:x-amz-storage-class": ["STANDARD_IA"]}}))},
          ("the storage class", ALLOW, DAVE, *PUT, {"s3:x-amz-storage-class": "STANDARD_IA"}),
          ("the default one", IMPLICIT, DAVE, *PUT)),
    *told(KEYS, {"identity": [doc(IN_SAO_PAULO)]},
          ("a bucket in the Region", ALLOW, DAVE, *CREATE, SAO_PAULO), ("in another", IMPLICIT, DAVE, *CREATE)),
    *told(KEYS, {"identity": [doc(IN_SAO_PAULO, NOWHERE_ELSE), FULL]},
          ("in the Region, whatever his group may", ALLOW, DAVE, *CREATE, SAO_PAULO),
          ("in another, whatever his group may", EXPLICIT, DAVE, *CREATE, {"s3:LocationConstraint": "eu-west-1"})),
    *told(KEYS, {"identity": [FULL, doc(st(action="s3:ListBucket", resource=BUCKET,
        Condition={"StringEquals": PROJECTS}),
                                        st("Deny", "s3:ListBucket", BUCKET, Condition={"StringNotEquals": PROJECTS}))]},
          ("a list of the prefix", ALLOW, DAVE, *LIST, PROJECTS),
          ("of another", EXPLICIT, DAVE, *LIST, {"s3:prefix": "examplefolder"}),
          ("of everything", EXPLICIT, DAVE, *LIST)),
    *told(KEYS, {"resource": with_deny(user("bucket-owner"), "s3:ListBucket", BUCKET, {"StringNotEquals": PROJECTS})},
          ("the same in a bucket policy", ALLOW, user("bucket-owner"), *LIST, PROJECTS),
          ("and another prefix", EXPLICIT, user("bucket-owner"), *LIST, {"s3:prefix": "x"})),
]  # fmt: skip

POLICIES = S3 + "example-policies-s3.html"
OBJECT_ACTIONS = ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion"]
ALICE, BOB = user("Alice"), user("Bob")
FOLDER = doc(st(action=OBJECT_ACTIONS, resource=BUCKET + "/${aws:username}/*"))
CONSOLE = doc(
    st(action=["s3:ListAllMyBuckets", "s3:GetBucketLocation"], resource="arn:aws:s3:::*"),
    st(action="s3:ListBucket", resource=BUCKET, Condition={"StringEquals": {"s3:prefix": [""], "s3:delimiter": ["/"]}}),
    st(action="s3:ListBucket", resource=BUCKET, Condition={"StringLike": {"s3:prefix": ["${aws:username}/*"]}}),
)
UPLOADS = "arn:aws:s3:::mycorporatebucket/uploads/widgetco/"
WIDGETS = doc(st(action="s3:PutObject", resource=UPLOADS + "*"),
              {"Effect": "Deny", "Action": "s3:*", "NotResource": UPLOADS + "*"})  # fmt: skip
USER_POLICIES = [
    *told(POLICIES, {"identity": [doc(st(action="s3:ListAllMyBuckets"),
                                      st(action=["s3:ListBucket", "s3:GetBucketLocation"], resource=BUCKET),
                                      st(action=["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:GetObjectAcl",
                                                 "s3:DeleteObject"], resource=EACH))]},
          ("updates the bucket's objects", ALLOW, DAVE, "s3:DeleteObject", OBJECT),
          ("lists the bucket", ALLOW, DAVE, *LIST),
          ("leaves versions alone", IMPLICIT, DAVE, "s3:DeleteObjectVersion", OBJECT),
          ("and other buckets", IMPLICIT, DAVE, "s3:GetObject", "arn:aws:s3:::other/k")),
    *told(POLICIES, {"identity": [FOLDER]},
          ("Alice in her folder", ALLOW, ALICE, "s3:PutObject", BUCKET + "/Alice/k"),
          ("Alice in Bob's", IMPLICIT, ALICE, "s3:PutObject", BUCKET + "/Bob/k"),
          ("Bob in his", ALLOW, BOB, "s3:GetObject", BUCKET + "/Bob/k")),
    *told(POLICIES, {"identity": [doc(st(action=OBJECT_ACTIONS, resource=BUCKET + "/${aws:username}/*"),
                                      version="2008-10-17")]},
          ("the old version knows no variables", IMPLICIT, ALICE, "s3:GetObject", BUCKET + "/Alice/k")),
    *told(POLICIES, {"identity": [doc(st(action="s3:GetObject", resource=BUCKET + "/my${$}file"))]},
          ("a dollar in a name", ALLOW, ALICE, "s3:GetObject", BUCKET + "/my$file")),
    *told(POLICIES, {"identity": [CONSOLE, FOLDER]},
          ("the top of the bucket", ALLOW, ALICE, *LIST, {"s3:prefix": "", "s3:delimiter": "/"}),
          ("all of it", IMPLICIT, ALICE, *LIST, {"s3:prefix": ""}),
          ("her own prefix", ALLOW, ALICE, *LIST, {"s3:prefix": "Alice/2026"}),
          ("Bob's prefix", IMPLICIT, ALICE, *LIST, {"s3:prefix": "Bob/"})),
    *told(POLICIES, {"identity": [doc(st(action=OBJECT_ACTIONS, resource=BUCKET + "/home/${aws:userid}/*"))]},
          ("a folder by id", ALLOW, BOB, "s3:GetObject", BUCKET + "/home/AIDA1/k", {"aws:userid": "AIDA1"}),
          ("the old Bob's", IMPLICIT, BOB, "s3:GetObject", BUCKET + "/home/AIDA0/k", {"aws:userid": "AIDA1"})),
    *told(POLICIES, {"identity": [doc(st(action=OBJECT_ACTIONS, resource=BUCKET + "/share/marketing/*"))]},
          ("the group's folder", ALLOW, BOB, "s3:PutObject", BUCKET + "/share/marketing/k"),
          ("another's", IMPLICIT, BOB, "s3:PutObject", BUCKET + "/share/sales/k")),
    *told(POLICIES, {"identity": [doc(st(action=OBJECT_ACTIONS[1:3], resource=BUCKET + "/readonly/*"))]},
          ("what all may read", ALLOW, BOB, "s3:GetObject", BUCKET + "/readonly/k"),
          ("and nobody write", IMPLICIT, BOB, "s3:PutObject", BUCKET + "/readonly/k")),
    *told(POLICIES, {"identity": [WIDGETS, FULL]},
          ("the partner drops a file", ALLOW, BOB, "s3:PutObject", UPLOADS + "k"),
          ("and does nothing elsewhere", EXPLICIT, BOB, "s3:GetObject", "arn:aws:s3:::mycorporatebucket/k"),
          ("nor in S3 at all", EXPLICIT, BOB, "s3:ListAllMyBuckets", "arn:aws:s3:::*")),
]  # fmt: skip

IAM_EXAMPLES = IAM + "reference_policies_examples_s3_"
PRODUCTION = doc(
    st(action=["s3:ListBucket", "s3:GetBucketLocation"], resource="arn:aws:s3:::*"),
    st(action=["s3:PutObject", "s3:GetObject", "s3:DeleteObject"], resource="arn:aws:s3:::*/*"),
    st("Deny", "s3:*", ["arn:aws:s3:::Production/*", "arn:aws:s3:::Production"], Condition={
        "NumericGreaterThanIfExists": {"aws:MultiFactorAuthAge": "1800"}}),
)  # fmt: skip
ONE_BUCKET = doc(st(action="s3:*", resource=BOTH), {"Effect": "Deny", "NotAction": "s3:*", "NotResource": BOTH})
HOME = doc(st(action="s3:ListBucket", resource=BUCKET, Condition={"StringLike": {"s3:prefix": [
               "", "home/", "home/${aws:username}/*"]}}),
           st(action="s3:*", resource=[BUCKET + "/home/${aws:username}",
               BUCKET + "/home/${aws:username}/*"]))  # fmt: skip
IN_PRODUCTION = ("s3:GetObject", "arn:aws:s3:::Production/k")
OF_IAM = [
    *told(IAM_EXAMPLES + "deny-except-bucket.html", {"identity": [ONE_BUCKET, doc(st(action="ec2:*"))]},
          ("everything in the bucket", ALLOW, DAVE, "s3:DeleteObject", OBJECT),
          ("no other service", EXPLICIT, DAVE, "ec2:RunInstances", "*"),
          ("no list of buckets", IMPLICIT, DAVE, "s3:ListAllMyBuckets", "arn:aws:s3:::*")),
    *told(IAM_EXAMPLES + "home-directory-console.html", {"identity": [HOME]},
          ("his home", ALLOW, DAVE, "s3:PutObject", BUCKET + "/home/Dave/k"),
          ("a list of homes", ALLOW, DAVE, *LIST, {"s3:prefix": "home/"}),
          ("a list of hers", IMPLICIT, DAVE, *LIST, {"s3:prefix": "home/Jane/"}),
          ("her home", IMPLICIT, DAVE, "s3:GetObject", BUCKET + "/home/Jane/k")),
    *told(IAM_EXAMPLES + "full-access-except-production.html", {"identity": [PRODUCTION]},
          ("production with a fresh MFA", ALLOW, DAVE, *IN_PRODUCTION, {"aws:MultiFactorAuthAge": "60"}),
          ("with an old one", EXPLICIT, DAVE, *IN_PRODUCTION, {"aws:MultiFactorAuthAge": "1801"}),
          ("without", EXPLICIT, DAVE, *IN_PRODUCTION),
          ("the rest without", ALLOW, DAVE, *READ)),
    *told(IAM_EXAMPLES + "rw-bucket.html", {"identity": [doc(st(action=["s3:ListBucket"], resource=[BUCKET]),
                                                             st(action="s3:*Object", resource=[EACH]))]},
          ("an action that ends with Object", ALLOW, DAVE, "s3:RestoreObject", OBJECT),
          ("one that does not", IMPLICIT, DAVE, "s3:GetObjectAcl", OBJECT)),
]  # fmt: skip

TABLE = [*BUCKET_POLICIES, *FROM_ENDPOINTS, *CONDITION_KEYS, *USER_POLICIES, *OF_IAM]


@pytest.mark.parametrize("one", TABLE)
def test_the_outcome_that_the_page_tells(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
