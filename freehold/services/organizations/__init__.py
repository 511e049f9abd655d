"""Organizations: accounts under one management account, and the policies that limit them.

https://docs.aws.amazon.com/organizations/latest/APIReference/Welcome.html
"""

_BILLING = "there is no billing whose responsibility could be transferred"
_VALIDATION = "effective policies are merged and shown, but not checked against each service's schema"

NOT_IMPLEMENTED: dict[str, str] = {
    "CreateGovCloudAccount": "there is one partition",
    "DescribeResponsibilityTransfer": _BILLING,
    "InviteOrganizationToTransferResponsibility": _BILLING,
    "ListAccountsWithInvalidEffectivePolicy": _VALIDATION,
    "ListEffectivePolicyValidationErrors": _VALIDATION,
    "ListInboundResponsibilityTransfers": _BILLING,
    "ListOutboundResponsibilityTransfers": _BILLING,
    "TerminateResponsibilityTransfer": _BILLING,
    "UpdateResponsibilityTransfer": _BILLING,
}
"""Operation -> why it isn't."""
