"""STS: temporary credentials, which carry their session in a sealed token, and who a caller is."""

NOT_IMPLEMENTED = {
    "GetDelegatedAccessToken": "delegation requests begin with a partner that AWS has onboarded; there are none",
}
