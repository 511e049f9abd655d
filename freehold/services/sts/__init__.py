"""STS: temporary credentials, which carry their session in a sealed token, and who a caller is."""

NOT_IMPLEMENTED = {
    "AssumeRoot": "centralized root access needs an organization, and organizations are not implemented",
    "GetDelegatedAccessToken": "delegation requests are not implemented",
}
