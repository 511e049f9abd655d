"""STS: temporary credentials, which carry their session in a sealed token, and who a caller is."""

NOT_IMPLEMENTED = {
    "AssumeRoleWithSAML": "SAML providers are not implemented",
    "AssumeRoleWithWebIdentity": "OpenID Connect providers are not implemented",
    "AssumeRoot": "centralized root access needs an organization, and organizations are not implemented",
    "DecodeAuthorizationMessage": "refusals are given in plain words; no encoded messages are issued",
    "GetDelegatedAccessToken": "delegation requests are not implemented",
    "GetWebIdentityToken": "outbound web identity federation is not implemented",
}
