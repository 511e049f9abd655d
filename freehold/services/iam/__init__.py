"""IAM: users, groups, roles, access keys and policies; who holds a key and what policies are theirs."""

_CERTIFICATES = "server certificates are not implemented"
_SIGNING = "signing certificates belong to SOAP interfaces that are not implemented"
_SSH = "SSH keys are for CodeCommit, which is not implemented"
_CREDENTIALS = "service-specific credentials are for services that are not implemented"
_ORGANIZATIONS = "organizations are not implemented"
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
    "CreateServiceSpecificCredential": _CREDENTIALS,
    "DeleteSSHPublicKey": _SSH,
    "DeleteServerCertificate": _CERTIFICATES,
    "DeleteServiceSpecificCredential": _CREDENTIALS,
    "DeleteSigningCertificate": _SIGNING,
    "DisableOrganizationsRootCredentialsManagement": _ORGANIZATIONS,
    "DisableOrganizationsRootSessions": _ORGANIZATIONS,
    "EnableOrganizationsRootCredentialsManagement": _ORGANIZATIONS,
    "EnableOrganizationsRootSessions": _ORGANIZATIONS,
    "GetAccountProperties": _PROPERTIES,
    "GetDelegationRequest": _DELEGATION,
    "GetHumanReadableSummary": _SUMMARY,
    "GetRoleTemplateVersion": _TEMPLATES,
    "GetSSHPublicKey": _SSH,
    "GetServerCertificate": _CERTIFICATES,
    "ListDelegationRequests": _DELEGATION,
    "ListOrganizationsFeatures": _ORGANIZATIONS,
    "ListSSHPublicKeys": _SSH,
    "ListServerCertificateTags": _CERTIFICATES,
    "ListServerCertificates": _CERTIFICATES,
    "ListServiceSpecificCredentials": _CREDENTIALS,
    "ListSigningCertificates": _SIGNING,
    "PutAccountProperties": _PROPERTIES,
    "RejectDelegationRequest": _DELEGATION,
    "ResetServiceSpecificCredential": _CREDENTIALS,
    "SendDelegationToken": _DELEGATION,
    "SetSecurityTokenServicePreferences": "there is one kind of session token, good in every Region",
    "TagServerCertificate": _CERTIFICATES,
    "UntagServerCertificate": _CERTIFICATES,
    "UpdateDelegationRequest": _DELEGATION,
    "UpdateSSHPublicKey": _SSH,
    "UpdateServerCertificate": _CERTIFICATES,
    "UpdateServiceSpecificCredential": _CREDENTIALS,
    "UpdateSigningCertificate": _SIGNING,
    "UploadSSHPublicKey": _SSH,
    "UploadServerCertificate": _CERTIFICATES,
    "UploadSigningCertificate": _SIGNING,
}
