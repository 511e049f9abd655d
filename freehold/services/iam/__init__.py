"""IAM: users, groups, roles, access keys and policies; who holds a key and what policies are theirs."""

_DELEGATION = (
    "delegation requests begin with a partner that AWS has onboarded, and are approved in AWS's console; there are none"
)
_SUMMARY = "AWS writes these summaries of delegation requests with a language model; nothing is invented in its place"
_TEMPLATES = "role templates are kept and versioned by AWS's Role Manager, which publishes none to this deployment"
_PROPERTIES = "account properties switch features such as Role Manager, none of which is here"

NOT_IMPLEMENTED = {
    "AcceptDelegationRequest": _DELEGATION,
    "AcquireRole": _TEMPLATES,
    "AssociateDelegationRequest": _DELEGATION,
    "CreateDelegationRequest": _DELEGATION,
    "GetAccountProperties": _PROPERTIES,
    "GetDelegationRequest": _DELEGATION,
    "GetHumanReadableSummary": _SUMMARY,
    "GetRoleTemplateVersion": _TEMPLATES,
    "ListDelegationRequests": _DELEGATION,
    "PutAccountProperties": _PROPERTIES,
    "RejectDelegationRequest": _DELEGATION,
    "SendDelegationToken": _DELEGATION,
    "SetSecurityTokenServicePreferences": "there is one kind of session token, good in every Region",
    "UpdateDelegationRequest": _DELEGATION,
}
