"""GetAccountAuthorizationDetails leaves nothing out that its model has."""

from __future__ import annotations

import json
from typing import Any

DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
    }
)
BOUNDARY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
TAGS = [{"Key": "team", "Value": "blue"}]
NOT_TOLD = {"Description"}
"""Of a managed policy, GetPolicy alone tells it."""


def test_every_member_of_every_list_is_told(aws: Any, freehold_server: Any) -> None:
    iam = aws.iam
    iam.create_user(UserName="ada", Tags=TAGS, PermissionsBoundary=BOUNDARY)
    iam.create_group(GroupName="team")
    iam.add_user_to_group(GroupName="team", UserName="ada")
    role = iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST, Tags=TAGS, PermissionsBoundary=BOUNDARY)[
        "Role"
    ]["Arn"]
    iam.create_instance_profile(InstanceProfileName="box", Tags=TAGS)
    iam.add_role_to_instance_profile(InstanceProfileName="box", RoleName="web")
    policy = iam.create_policy(PolicyName="keys", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    for kind, name in (("user", "ada"), ("group", "team"), ("role", "web")):
        owner = {f"{kind.capitalize()}Name": name}
        getattr(iam, f"put_{kind}_policy")(**owner, PolicyName="own", PolicyDocument=DOCUMENT)
        getattr(iam, f"attach_{kind}_policy")(**owner, PolicyArn=policy)
    iam.create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    given = freehold_server.operator.freehold.assume_role_for_service(
        ServiceName="ec2.amazonaws.com", RoleArn=role, RoleSessionName="i-0123456789abcdef0"
    )
    aws.using(given["Credentials"]).sts.get_caller_identity()
    found = iam.get_account_authorization_details()
    shapes = iam.meta.service_model
    for member, shape in (
        ("UserDetailList", "UserDetail"),
        ("GroupDetailList", "GroupDetail"),
        ("RoleDetailList", "RoleDetail"),
        ("Policies", "ManagedPolicyDetail"),
    ):
        wanted = set(shapes.shape_for(shape).members) - NOT_TOLD
        told = set().union(*(set(one) for one in found[member]))
        assert told == wanted, member
    roles = {one["RoleName"]: one for one in found["RoleDetailList"]}
    assert roles["web"]["InstanceProfileList"][0]["Tags"] == TAGS
    assert roles["AWSServiceRoleForRDS"]["AttachedManagedPolicies"] == [
        {
            "PolicyName": "AmazonRDSServiceRolePolicy",
            "PolicyArn": "arn:aws:iam::aws:policy/aws-service-role/AmazonRDSServiceRolePolicy",
        }
    ]
    linked = next(one for one in found["Policies"] if one["PolicyName"] == "AmazonRDSServiceRolePolicy")
    assert (linked["AttachmentCount"], linked["IsAttachable"]) == (1, False)
