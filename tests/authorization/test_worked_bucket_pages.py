"""S3's walkthroughs, its ways of deciding, tags and access points: each example that the pages print, as told."""

from __future__ import annotations

from typing import Any

import pytest
from test_worked_cases import ALLOW, EXPLICIT, IMPLICIT, S3, by, doc, st, trust
from test_worked_s3_pages import (
    ANY_USER,
    BOTH,
    BUCKET,
    DAVE,
    EACH,
    JILL,
    LIST,
    OBJECT,
    PUT,
    READ,
    A,
    B,
    C,
    root,
    told,
    user,
    with_deny,
)

from freehold.authorization import run_cases

WALK = S3 + "example-walkthroughs-managing-access-example"
DAVE_B, ADMIN_B, DAVE_C = user("Dave", B), user("AccountBadmin", B), user("Dave", C)
LIFECYCLE = ("s3:GetLifecycleConfiguration", BUCKET)
ACCOUNT_B_LISTS = by({"AWS": root(B)}, action=["s3:GetLifecycleConfiguration", "s3:ListBucket"], resource=[BUCKET])
FULL_CONTROL = {"s3:x-amz-grant-full-control": "id=CanonicalUserId-of-AWSaccountA-BucketOwner"}
ROLE = f"arn:aws:iam::{A}:role/examplerole"
ASSUMED = f"arn:aws:sts::{A}:assumed-role/examplerole/test"
WALKTHROUGHS = [
    *told(WALK + "1.html", {"identity": [doc(st(action=["s3:PutObject"], resource=[EACH]))],
                            "resource": doc(by({"AWS": DAVE}, action=["s3:GetBucketLocation", "s3:ListBucket"],
                                               resource=[BUCKET]),
                                            by({"AWS": DAVE}, action=["s3:GetObject"], resource=[EACH]))},
          ("Dave puts by his policy", ALLOW, DAVE, *PUT),
          ("Dave gets by the bucket's", ALLOW, DAVE, *READ),
          ("Dave lists", ALLOW, DAVE, *LIST),
          ("Dave deletes nothing", IMPLICIT, DAVE, "s3:DeleteObject", OBJECT)),
    *told(WALK + "2.html", ANY_USER | {"resource": doc(ACCOUNT_B_LISTS)},
          ("B's administrator lists", ALLOW, ADMIN_B, *LIST),
          ("and reads the lifecycle", ALLOW, ADMIN_B, *LIFECYCLE),
          ("but no object", IMPLICIT, ADMIN_B, *READ)),
    *told(WALK + "2.html", {"identity": [doc(st(action=["s3:ListBucket"], resource=[BUCKET]))],
                            "resource": doc(ACCOUNT_B_LISTS)},
          ("Dave of B lists", ALLOW, DAVE_B, *LIST),
          ("Dave of B reads no lifecycle", IMPLICIT, DAVE_B, *LIFECYCLE)),
    *told(WALK + "2.html", ANY_USER | {"resource": doc(ACCOUNT_B_LISTS, by({"AWS": root(B)}, "Deny", ["s3:ListBucket"],
                                                                           [BUCKET]))},
          ("an explicit deny of B", EXPLICIT, ADMIN_B, *LIST),
          ("means its users", EXPLICIT, DAVE_B, *LIST),
          ("and nothing else", ALLOW, ADMIN_B, *LIFECYCLE)),
    *told(WALK + "3.html", ANY_USER | {"resource": doc(
              by({"AWS": root(B)}, action=["s3:PutObject", "s3:ListBucket"], resource=[EACH, BUCKET]))},
          ("B puts", ALLOW, ADMIN_B, *PUT), ("B gets nothing", IMPLICIT, ADMIN_B, *READ)),
    *told(WALK + "3.html", {"resource": doc(by({"AWS": DAVE}, action=["s3:GetObject"], resource=[EACH]))},
          ("Dave gets what B put", ALLOW, DAVE, *READ), ("and puts nothing", IMPLICIT, DAVE, *PUT)),
    *told(WALK + "4.html", ANY_USER | {"resource": with_deny(ADMIN_B, "s3:PutObject", EACH, {
              "StringNotEquals": FULL_CONTROL})},
          ("B puts and gives full control", ALLOW, ADMIN_B, *PUT, FULL_CONTROL),
          ("B keeps control", EXPLICIT, ADMIN_B, *PUT)),
    *told(WALK + "4.html", {"identity": [doc(st(action=["sts:AssumeRole"], resource=ROLE))],
                            "resource": trust({"AWS": root(C)})},
          ("Dave of C assumes the role", ALLOW, DAVE_C, "sts:AssumeRole", ROLE),
          ("Dave of B does not", IMPLICIT, DAVE_B, "sts:AssumeRole", ROLE)),
    *told(WALK + "4.html", {"resource": trust({"AWS": root(C)})},
          ("nor one whom C has not let", IMPLICIT, DAVE_C, "sts:AssumeRole", ROLE)),
    *told(WALK + "4.html", {"identity": [doc(st(action="s3:GetObject", resource=EACH))]},
          ("the role gets the object", ALLOW, ASSUMED, *READ),
          ("not its ACL", IMPLICIT, ASSUMED, "s3:GetObjectAcl", OBJECT)),
]  # fmt: skip

FOLDERS = S3 + "walkthrough1.html"
COMPANY = "arn:aws:s3:::companybucket"
ALICE, BOB = user("Alice"), user("Bob")
SEE = st(action=["s3:ListAllMyBuckets", "s3:GetBucketLocation"], resource=["arn:aws:s3:::*"])
TOP = st(action=["s3:ListBucket"], resource=[COMPANY], Condition={"StringEquals": {
    "s3:prefix": [""], "s3:delimiter": ["/"]}})  # fmt: skip
CONSULTANTS = doc(
    SEE,
    st(action=["s3:ListBucket"], resource=[COMPANY], Condition={"StringEquals": {"s3:prefix": [""]}}),
    st("Deny", ["s3:ListBucket"], ["arn:aws:s3:::*"], Condition={"StringNotEquals": {"s3:delimiter": "/"}}),
    st("Deny", ["s3:*"], [COMPANY + "/Private/*"]),
    st("Deny", ["s3:ListBucket"], ["arn:aws:s3:::*"], Condition={"StringLike": {"s3:prefix": ["Private/"]}}),
)
DEVELOPMENT = doc(
    st(action=["s3:ListBucket"], resource=[COMPANY], Condition={"StringLike": {"s3:prefix": ["Development/*"]}}),
    st(action=["s3:GetObject", "s3:PutObject"], resource=[COMPANY + "/Development/*"]),
    st("Deny", ["s3:ListBucket"], [COMPANY], Condition={
        "StringNotLike": {"s3:prefix": ["Development/*", ""]}, "Null": {"s3:prefix": False}}),
)  # fmt: skip
LISTS = ("s3:ListBucket", COMPANY)


def folder(name: str) -> dict[str, str]:
    """What the console asks for when a folder is opened."""
    return {"s3:prefix": name, "s3:delimiter": "/"}


USERS_AND_FOLDERS = [
    *told(FOLDERS, {}, ("a new user sees nothing", IMPLICIT, ALICE, "s3:ListAllMyBuckets", "arn:aws:s3:::*")),
    *told(FOLDERS, {"identity": [doc(st(action=["s3:ListAllMyBuckets"], resource=["arn:aws:s3:::*"]))]},
          ("the list of buckets", ALLOW, ALICE, "s3:ListAllMyBuckets", "arn:aws:s3:::*"),
          ("nothing in them", IMPLICIT, ALICE, *LISTS, folder(""))),
    *told(FOLDERS, {"identity": [doc(SEE, TOP)]},
          ("the top of the bucket", ALLOW, ALICE, *LISTS, folder("")),
          ("no folder", IMPLICIT, ALICE, *LISTS, folder("Development/")),
          ("not everything at once", IMPLICIT, ALICE, *LISTS)),
    *told(FOLDERS, {"identity": [doc(SEE, TOP), DEVELOPMENT]},
          ("Alice opens Development", ALLOW, ALICE, *LISTS, folder("Development/")),
          ("Alice reads there", ALLOW, ALICE, "s3:GetObject", COMPANY + "/Development/project1.xls"),
          ("Alice reads no finances", IMPLICIT, ALICE, "s3:GetObject", COMPANY + "/Finance/Tax2011/document1.pdf"),
          ("Alice opens no Finance", EXPLICIT, ALICE, *LISTS, folder("Finance/"))),
    *told(FOLDERS, {"identity": [doc(SEE, TOP), DEVELOPMENT, doc(st(action="s3:ListBucket"))]},
          ("Finance stays closed whatever else allows it", EXPLICIT, ALICE, *LISTS, folder("Finance/")),
          ("a list without any prefix is not meant", ALLOW, ALICE, *LISTS)),
    *told(FOLDERS, {"identity": [CONSULTANTS, doc(st(action="s3:*"))]},
          ("nobody reads what is private", EXPLICIT, BOB, "s3:GetObject", COMPANY + "/Private/privDoc1.txt"),
          ("or opens it", EXPLICIT, BOB, *LISTS, folder("Private/")),
          ("or lists without a delimiter", EXPLICIT, BOB, *LISTS, {"s3:prefix": ""}),
          ("the top is open", ALLOW, BOB, *LISTS, folder(""))),
]  # fmt: skip

BUCKET_FLOW = S3 + "access-control-auth-workflow-bucket-operation.html"
OBJECT_FLOW = S3 + "access-control-auth-workflow-object-operation.html"
FLOWS = [
    *told(BUCKET_FLOW, {}, ("the owner's root user", ALLOW, root(A), *LIST)),
    *told(BUCKET_FLOW, {}, ("another account's root user", IMPLICIT, root(B), *LIST)),
    *told(BUCKET_FLOW, {"resource": doc(by({"AWS": root(B)}, action="s3:ListBucket", resource=BUCKET))},
          ("whom the owner lets in", ALLOW, root(B), *LIST)),
    *told(BUCKET_FLOW, {"resource": doc(by({"AWS": JILL}, action="s3:ListBucket", resource=BUCKET))},
          ("Jill, of the owner's account, by the bucket", ALLOW, JILL, *LIST)),
    *told(BUCKET_FLOW, {"identity": [doc(st(action="s3:ListBucket", resource=BUCKET))]},
          ("Jill by her policy", ALLOW, JILL, *LIST),
          ("Jill of another account by her policy alone", IMPLICIT, user("Jill", B), *LIST)),
    *told(BUCKET_FLOW, {"resource": doc(by({"AWS": user("Jill", B)}, action="s3:ListBucket", resource=BUCKET))},
          ("by the bucket alone", IMPLICIT, user("Jill", B), *LIST)),
    *told(BUCKET_FLOW, {"identity": [doc(st(action="s3:ListBucket", resource=BUCKET))],
                        "resource": doc(by({"AWS": root(B)}, action="s3:ListBucket", resource=BUCKET))},
          ("by both", ALLOW, user("Jill", B), *LIST)),
    *told(OBJECT_FLOW, ANY_USER | {"resource": doc(by({"AWS": root(B)}, action="s3:*", resource=BOTH), by(
              {"AWS": user("Jill", B)}, "Deny", "s3:GetObject", EACH))},
          ("the bucket's owner denies Jill", EXPLICIT, user("Jill", B), *READ),
          ("and her alone", ALLOW, user("Jack", B), *READ)),
    *told(S3 + "s3-bucket-user-policy-specifying-principal-intro.html",
        {"resource": doc(by("*", action="s3:GetObject"))},
          ("everyone, signed in or not", ALLOW, "anonymous", *READ)),
    *told(S3 + "s3-bucket-user-policy-specifying-principal-intro.html",
          {"resource": doc(by({"AWS": "*"}, action="s3:GetObject"))},
          ("any user of the account", ALLOW, JILL, *READ),
          ("any account's root user", ALLOW, root(C), *READ)),
    *told(S3 + "s3-bucket-user-policy-specifying-principal-intro.html",
          ANY_USER | {"resource": doc(by({"AWS": [root(B), root(C)]}, action="s3:GetObject"))},
          ("one of two accounts", ALLOW, user("x", C), *READ)),
]  # fmt: skip

TAGGING = S3 + "tagging-and-policies.html"
TAG_KEYS = {"s3:RequestObjectTagKeys": ["Owner", "CreationDate"]}
SET_TAGS = ("s3:PutObjectTagging", OBJECT)


def keys(*names: str) -> dict[str, Any]:
    return {"s3:RequestObjectTagKeys": list(names)}


def tagging(condition: dict[str, Any]) -> dict[str, Any]:
    return {"resource": doc(by({"AWS": [DAVE]}, action=["s3:PutObjectTagging"], resource=[EACH], Condition=condition))}


TAGS = [
    *told(TAGGING, {"resource": doc(by("*", action="s3:GetObject", resource=EACH, Condition={
              "StringEquals": {"s3:ExistingObjectTag/security": "public"}}))},
          ("an object that is tagged public", ALLOW, "anonymous", *READ, {"s3:ExistingObjectTag/security": "public"}),
          ("one that is not", IMPLICIT, "anonymous", *READ, {"s3:ExistingObjectTag/security": "secret"})),
    *told(TAGGING, tagging({"ForAllValues:StringLike": TAG_KEYS}),
          ("the keys of the list", ALLOW, DAVE, *SET_TAGS, keys("Owner")),
          ("another key", IMPLICIT, DAVE, *SET_TAGS, keys("Owner", "Secret")),
          ("an empty set", ALLOW, DAVE, *SET_TAGS)),
    *told(TAGGING, tagging({"ForAllValues:StringLike": TAG_KEYS, "ForAnyValue:StringLike": TAG_KEYS}),
          ("at least one of the list", ALLOW, DAVE, *SET_TAGS, keys("CreationDate")),
          ("no empty set", IMPLICIT, DAVE, *SET_TAGS)),
    *told(TAGGING, tagging({"StringEquals": {"s3:RequestObjectTag/Project": "X"}}),
          ("the project", ALLOW, DAVE, *SET_TAGS, {"s3:RequestObjectTag/Project": "X"}),
          ("another project", IMPLICIT, DAVE, *SET_TAGS, {"s3:RequestObjectTag/Project": "Y"})),
]  # fmt: skip

POINTS = S3 + "access-points-policies.html"
POINT = f"arn:aws:s3:us-west-2:{A}:accesspoint/my-access-point"
BY_POINT = {"s3:DataAccessPointAccount": A}
VPC, INTERNET = {"s3:AccessPointNetworkOrigin": "VPC"}, {"s3:AccessPointNetworkOrigin": "Internet"}
ACCESS_POINTS = [
    *told(POINTS, {"resource": doc(by({"AWS": "*"}, action="*", resource=BOTH, Condition={"StringEquals": BY_POINT}))},
          ("through the owner's access points", ALLOW, DAVE, *READ, BY_POINT),
          ("through another's", IMPLICIT, DAVE, *READ, {"s3:DataAccessPointAccount": B}),
          ("past them", IMPLICIT, DAVE, *READ)),
    *told(POINTS, {"resource": doc(by({"AWS": ALICE}, action=["s3:GetObject", "s3:PutObject"],
                                      resource=POINT + "/object/Alice/*"))},
          ("Alice's objects through the point", ALLOW, ALICE, "s3:PutObject", POINT + "/object/Alice/k"),
          ("Bob's", IMPLICIT, ALICE, "s3:PutObject", POINT + "/object/Bob/k")),
    *told(POINTS, {"resource": doc(by({"AWS": BOB}, action="s3:GetObject", resource=POINT + "/object/*", Condition={
              "StringEquals": {"s3:ExistingObjectTag/data": "finance"}}))},
          ("what is tagged finance", ALLOW, BOB, "s3:GetObject", POINT + "/object/k", {
              "s3:ExistingObjectTag/data": "finance"}),
          ("what is not", IMPLICIT, BOB, "s3:GetObject", POINT + "/object/k")),
    *told(POINTS, {"resource": doc(by({"AWS": user("Charles")}, action="s3:ListBucket", resource=POINT))},
          ("Charles lists through the point", ALLOW, user("Charles"), "s3:ListBucket", POINT),
          ("and gets nothing", IMPLICIT, user("Charles"), "s3:GetObject", POINT + "/object/k")),
    *told(POINTS, ANY_USER | {"scps": [[doc(st()), doc(st("Deny", "s3:CreateAccessPoint", Condition={
              "StringNotEquals": VPC}))]]},
          ("an access point of a VPC", ALLOW, DAVE, "s3:CreateAccessPoint", POINT, VPC),
          ("one of the internet", EXPLICIT, DAVE, "s3:CreateAccessPoint", POINT, INTERNET)),
    *told(POINTS, ANY_USER | {"resource": doc(by("*", "Deny", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], EACH,
                                                 Condition={"StringNotEquals": VPC}))},
          ("objects by a VPC's point", ALLOW, DAVE, *READ, VPC),
          ("by the internet's", EXPLICIT, DAVE, *READ, INTERNET),
          ("the bucket is still listed", ALLOW, DAVE, *LIST)),
]  # fmt: skip

TABLE = [*WALKTHROUGHS, *USERS_AND_FOLDERS, *FLOWS, *TAGS, *ACCESS_POINTS]


@pytest.mark.parametrize("one", TABLE)
def test_the_outcome_that_the_page_tells(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
