"""Organizations' errors. Codes are AWS's; several carry a `Reason`, which is a row in its table here.

https://docs.aws.amazon.com/organizations/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from typing import Final

from freehold.errors import AccessDeniedException, AwsError, aws_error

AccessDenied = AccessDeniedException
AccountAlreadyClosed = aws_error("AccountAlreadyClosedException", 400, "This account is already closed.")
AccountAlreadyRegistered = aws_error(
    "AccountAlreadyRegisteredException",
    400,
    "The provided account is already a delegated administrator for your organization.",
)
AccountNotFound = aws_error("AccountNotFoundException", 400, "You specified an account that doesn't exist.")
AccountNotRegistered = aws_error(
    "AccountNotRegisteredException",
    400,
    "The provided account is not a registered delegated administrator for your organization.",
)
AlreadyInOrganization = aws_error(
    "AlreadyInOrganizationException", 400, "The AWS account is already a member of an organization."
)
ChildNotFound = aws_error(
    "ChildNotFoundException", 400, "You specified an organizational unit or account that doesn't exist."
)
ConcurrentModification = aws_error(
    "ConcurrentModificationException",
    400,
    "AWS Organizations can't complete your request because it conflicts with another attempt to modify the same "
    "entity. Try again later.",
)
CreateAccountStatusNotFound = aws_error(
    "CreateAccountStatusNotFoundException",
    400,
    "You specified a create account request ID that doesn't exist or that is no longer tracked.",
)
DestinationParentNotFound = aws_error(
    "DestinationParentNotFoundException", 400, "You specified a destination parent that doesn't exist."
)
DuplicateAccount = aws_error(
    "DuplicateAccountException", 400, "You specified an account that is already in that parent."
)
DuplicateHandshake = aws_error(
    "DuplicateHandshakeException", 400, "There is already a pending handshake for this account."
)
DuplicateOrganizationalUnit = aws_error(
    "DuplicateOrganizationalUnitException", 400, "An organizational unit with this name exists in the parent."
)
DuplicatePolicy = aws_error("DuplicatePolicyException", 400, "A policy with the same name already exists.")
DuplicatePolicyAttachment = aws_error(
    "DuplicatePolicyAttachmentException", 400, "A policy with the specified name and type already exists."
)
EffectivePolicyNotFound = aws_error(
    "EffectivePolicyNotFoundException",
    400,
    "If you ran this action on the management account, this policy type is not enabled. If you ran the action on a "
    "member account, the account doesn't have an effective policy of this type.",
)
HandshakeAlreadyInState = aws_error(
    "HandshakeAlreadyInStateException", 400, "The specified handshake is already in the requested state."
)
HandshakeNotFound = aws_error("HandshakeNotFoundException", 400, "You specified a handshake that doesn't exist.")
InvalidHandshakeTransition = aws_error(
    "InvalidHandshakeTransitionException",
    400,
    "You can't perform the operation on the handshake in its current state.",
)
MalformedPolicyDocument = aws_error(
    "MalformedPolicyDocumentException", 400, "The provided policy document does not meet the requirements."
)
MasterCannotLeaveOrganization = aws_error(
    "MasterCannotLeaveOrganizationException",
    400,
    "You can't remove a management account from an organization. Delete the organization instead.",
)
NotInUse = aws_error("AWSOrganizationsNotInUseException", 400, "Your account is not a member of an organization.")
OrganizationNotEmpty = aws_error(
    "OrganizationNotEmptyException",
    400,
    "The organization isn't empty. First remove all accounts but the management account, delete all organizational "
    "units, and delete all policies.",
)
OrganizationalUnitNotEmpty = aws_error(
    "OrganizationalUnitNotEmptyException", 400, "The organizational unit still has accounts or child units."
)
OrganizationalUnitNotFound = aws_error(
    "OrganizationalUnitNotFoundException", 400, "You specified an organizational unit that doesn't exist."
)
ParentNotFound = aws_error("ParentNotFoundException", 400, "You specified a parent that doesn't exist.")
PolicyInUse = aws_error(
    "PolicyInUseException", 400, "The policy is attached to one or more entities. Detach it from all of them first."
)
PolicyNotAttached = aws_error("PolicyNotAttachedException", 400, "The policy isn't attached to the specified target.")
PolicyNotFound = aws_error("PolicyNotFoundException", 400, "You specified a policy that doesn't exist.")
PolicyTypeAlreadyEnabled = aws_error(
    "PolicyTypeAlreadyEnabledException", 400, "The specified policy type is already enabled."
)
PolicyTypeNotAvailable = aws_error(
    "PolicyTypeNotAvailableForOrganizationException",
    400,
    "This policy type is available when all features are enabled in the organization.",
)
PolicyTypeNotEnabled = aws_error(
    "PolicyTypeNotEnabledException", 400, "This operation can be performed only for enabled policy types."
)
ResourcePolicyNotFound = aws_error("ResourcePolicyNotFoundException", 400, "The organization has no resource policy.")
RootNotFound = aws_error("RootNotFoundException", 400, "You specified a root that doesn't exist.")
SourceParentNotFound = aws_error(
    "SourceParentNotFoundException", 400, "You specified a source parent that doesn't exist."
)
TargetNotFound = aws_error("TargetNotFoundException", 400, "You specified a target that doesn't exist.")

_ConstraintViolation = aws_error("ConstraintViolationException", 400)
_HandshakeConstraintViolation = aws_error("HandshakeConstraintViolationException", 400)
_InvalidInput = aws_error("InvalidInputException", 400)
_AccessDeniedForDependency = aws_error("AccessDeniedForDependencyException", 400)

_CONSTRAINTS: Final = {
    "ACCOUNT_NUMBER_LIMIT_EXCEEDED": "You have exceeded the allowed number of AWS accounts.",
    "CANNOT_CLOSE_MANAGEMENT_ACCOUNT": "You can't close the management account of an organization.",
    "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR": (
        "You cannot register the management account as a delegated administrator."
    ),
    "CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR": (
        "You cannot register a suspended account as a delegated administrator."
    ),
    "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG": (
        "You cannot remove a delegated administrator account from the organization. Deregister it first."
    ),
    "CLOSE_ACCOUNT_QUOTA_EXCEEDED": "You have exceeded close account quota for the past 30 days.",
    "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE": (
        "The service already has a delegated administrator. Deregister it first."
    ),
    "MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED": (
        "You have exceeded the number of delegated administrators for the service principal."
    ),
    "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED": (
        "You have exceeded the number of policies of this type that can be attached to an entity."
    ),
    "MAX_TAG_LIMIT_EXCEEDED": "You have exceeded the number of tags allowed on this resource.",
    "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED": (
        "You cannot remove the last policy of this type attached to the specified target."
    ),
    "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE": "The organization must have all features enabled for this operation.",
    "OU_DEPTH_LIMIT_EXCEEDED": "You have exceeded the allowed depth of organizational units.",
    "OU_NUMBER_LIMIT_EXCEEDED": "You have exceeded the allowed number of organizational units.",
    "POLICY_CONTENT_LIMIT_EXCEEDED": "You have exceeded the maximum policy size.",
    "POLICY_NUMBER_LIMIT_EXCEEDED": "You have exceeded the number of policies of this type in the organization.",
    "SERVICE_ACCESS_NOT_ENABLED": (
        "You must first enable trusted access for this service principal with EnableAWSServiceAccess."
    ),
    "WAIT_PERIOD_ACTIVE": (
        "You can remove an account that was created in the organization only after it has existed for four days."
    ),
}

_HANDSHAKES: Final = {
    "ACCOUNT_NUMBER_LIMIT_EXCEEDED": "You have exceeded the allowed number of AWS accounts.",
    "HANDSHAKE_RATE_LIMIT_EXCEEDED": "You have exceeded the number of handshakes that you can send in one day.",
    "ALREADY_IN_AN_ORGANIZATION": "The invited account is already a member of an organization.",
    "INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES": (
        "You can't invite accounts while the organization is enabling all features."
    ),
    "ORGANIZATION_ALREADY_HAS_ALL_FEATURES": "The organization has already enabled all features.",
    "ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION": (
        "The organization has already started to enable all features."
    ),
}

_INPUTS: Final = {
    "DUPLICATE_TAG_KEY": "Tag keys must be unique among the tags of one resource.",
    "IMMUTABLE_POLICY": "You cannot modify or delete a policy that is managed by AWS.",
    "INPUT_REQUIRED": "You must include a value for all required parameters.",
    "INVALID_ENUM_POLICY_TYPE": "You specified an invalid policy type.",
    "INVALID_NEXT_TOKEN": "The NextToken is not one that this operation gave.",
    "INVALID_PARTY_TYPE_TARGET": "You specified the wrong type of entity as a party: it is an ACCOUNT or an EMAIL.",
    "INVALID_PATTERN_TARGET_ID": "You specified a target that doesn't match the required pattern.",
    "INVALID_PRINCIPAL": "You specified an invalid principal in the policy.",
    "INVALID_RESOURCE_POLICY_JSON": "The resource policy is not valid.",
    "INVALID_ROLE_NAME": "A role's name can't begin with the reserved prefix AWSServiceRoleFor.",
    "INVALID_SYNTAX_POLICY_ID": "You specified an invalid policy ID.",
    "INVALID_SYSTEM_TAGS_PARAMETER": "Tag keys that begin with aws: are reserved.",
    "MAX_LIMIT_EXCEEDED_FILTER": "You can specify only one filter parameter for the operation.",
    "NON_DETACHABLE_POLICY": "You can't detach this AWS managed policy.",
    "TARGET_NOT_SUPPORTED": "You can't perform this operation on that target.",
    "UNRECOGNIZED_SERVICE_PRINCIPAL": "You specified a service principal that isn't recognized.",
    "UNSUPPORTED_ACTION_IN_RESOURCE_POLICY": "The resource policy has an action that can't be delegated.",
    "UNSUPPORTED_RESOURCE_IN_RESOURCE_POLICY": "The resource policy has a resource that can't be delegated.",
}


def constraint(reason: str, message: str | None = None) -> AwsError:
    """ConstraintViolationException. KeyError for a reason without a row."""
    default = _CONSTRAINTS[reason]
    return _ConstraintViolation(message or default, Reason=reason)


def handshake_constraint(reason: str) -> AwsError:
    """HandshakeConstraintViolationException."""
    return _HandshakeConstraintViolation(_HANDSHAKES[reason], Reason=reason)


def invalid_input(reason: str, message: str | None = None) -> AwsError:
    """InvalidInputException."""
    default = _INPUTS[reason]
    return _InvalidInput(message or default, Reason=reason)


def access_denied_for_dependency() -> AwsError:
    """For a caller who may not have the service-linked role made that Organizations needs in its account."""
    return _AccessDeniedForDependency(
        "The request failed because your credentials do not have permission to create the service-linked role "
        "required by AWS Organizations.",
        Reason="ACCESS_DENIED_DURING_CREATE_SERVICE_LINKED_ROLE",
    )
