"""AssumeRoleForService: the operator, which is the provider's side, gets a role for a service that it runs itself.

Not a way into an account: the role must trust the service, for the resource that is named, and the customer sees each
use in their own trail, as on AWS. `freehold instance-metadata` gives an instance the role of its profile with it.
"""

from __future__ import annotations

from freehold.errors import AccessDeniedException, AwsError
from freehold.services.call import Call
from freehold.services.freehold.accounts import operator_only
from freehold.services.freehold.errors import ValidationException
from freehold.services.iam import instance_profiles, records
from freehold.services.iam.records import InstanceProfile, Role
from freehold.services.operation import Params, Result, operation
from freehold.services.sts import sessions
from freehold.services.sts.service_roles import ServiceRole, assume_for_service
from freehold.storage.records import Reader

_EC2 = "ec2.amazonaws.com"


@operation("freehold.AssumeRoleForService", permissions=operator_only("freehold:AssumeRoleForService"))
def assume_role_for_service(call: Call, params: Params) -> Result:
    """Credentials (900 to 43,200 seconds, 3,600 unless told) of a role, or of the role in an EC2 instance profile.

    Refused (AccessDeniedException) when the role's trust policy doesn't let the service in for this SourceArn and
    SourceAccount. `RoleDelivery` ("1.0" or "2.0") becomes the session's `ec2:RoleDelivery`.
    """
    service, source_arn = params["ServiceName"], params.get("SourceArn") or ""
    profile: InstanceProfile | None = None
    if ("RoleArn" in params) == ("InstanceProfileArn" in params):
        raise ValidationException("Give either RoleArn or InstanceProfileArn.")
    if "InstanceProfileArn" in params:
        if service != _EC2:
            raise ValidationException(f"Instance profiles are for {_EC2}.")
        profile, role_arn = _in_profile(call.reader, params["InstanceProfileArn"])
        if source_arn and source_arn.split(":")[4:5] != [profile.account_id]:
            raise ValidationException("The instance in SourceArn is not in the instance profile's account.")
    else:
        role_arn = params["RoleArn"]
    kept: dict[str, str] = {}
    if service == _EC2 and ":instance/" in source_arn:
        kept["ec2:sourceinstancearn"] = source_arn
    if "RoleDelivery" in params:
        kept["ec2:roledelivery"] = params["RoleDelivery"]
    wanted = ServiceRole(
        service=service,
        role_arn=role_arn,
        session_name=params["RoleSessionName"],
        source_arn=source_arn,
        source_account=params.get("SourceAccount") or ("" if profile is None else profile.account_id),
        seconds=params.get("DurationSeconds") or 3600,
        kept=kept,
    )
    try:
        credential = assume_for_service(call, wanted)
    except AwsError as error:
        if error.code == "AccessDenied":
            raise AccessDeniedException(error.message) from None
        raise ValidationException(error.message) from None
    principal, session = credential.principal, credential.principal.session
    assert session is not None
    result: Result = {
        "Credentials": sessions.shown(credential, session),
        "AssumedRoleUser": {"AssumedRoleId": principal.unique_id, "Arn": principal.arn},
        "RoleName": principal.name,
        "IssuedAt": call.now,
    }
    if profile is not None:
        result["InstanceProfileId"] = profile.unique_id
    return result


def _in_profile(reader: Reader, profile_arn: str) -> tuple[InstanceProfile, str]:
    """The instance profile, and the ARN of the role in it."""
    parts = profile_arn.split(":", 5)
    if len(parts) != 6 or parts[:4] != ["arn", "aws", "iam", ""] or not parts[5].startswith("instance-profile/"):
        raise ValidationException(f"{profile_arn} is not an instance profile's ARN.")
    profile = instance_profiles.find(reader, parts[4], parts[5].rpartition("/")[2])
    if profile is None or profile.arn != profile_arn:
        raise ValidationException(f"The instance profile {profile_arn} cannot be found.")
    role = records.by_unique_id(reader, profile.role_id) if profile.role_id else None
    if not isinstance(role, Role):
        raise ValidationException(f"There is no role in the instance profile {profile_arn}.")
    return profile, role.arn
