"""iam:PassRole: what a caller needs to hand a role to a service, wherever an operation takes a role's ARN.

There is no operation PassRole: it is a permission on the role, with the service that gets it and the resource that it
gets it for as condition keys. It decides who may lend a role's permissions, so an operation that takes a role without
asking for it lets its callers act with permissions that nobody gave them.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from __future__ import annotations

from freehold.authorization.permission import ContextValue, Permission
from freehold.errors import aws_error
from freehold.services.call import Call
from freehold.services.iam import entities, records

CrossAccountPassRole = aws_error("AccessDenied", 403, "Cross-account pass role is not allowed.")


def pass_role(call: Call, role_arn: str, service: str, *, associated_resource_arn: str = "") -> Permission:
    """The permission to pass `role_arn` to the service principal `service` (`ec2.amazonaws.com`).

    `associated_resource_arn`: the resource that the role will be used by, where it is known. A role of another account
    can never be passed (AccessDenied); whether the role exists is not told. For permission functions.
    """
    parts = role_arn.split(":", 5)
    if len(parts) == 6 and parts[4] and parts[4] != call.account_id:
        raise CrossAccountPassRole()
    role = records.role_at(call.reader, role_arn)
    context: dict[str, ContextValue] = {"iam:passedtoservice": service}
    if associated_resource_arn:
        context["iam:associatedresourcearn"] = associated_resource_arn
    if role is not None:
        context |= entities.resource_tags(role)
    return Permission("iam:PassRole", role_arn, call.account_id, context)
