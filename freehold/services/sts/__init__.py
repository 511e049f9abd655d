"""STS: temporary credentials, which carry their session in a sealed token, and who a caller is."""

NOT_IMPLEMENTED = {
    "GetDelegatedAccessToken": "delegation requests begin with a partner that AWS has onboarded; there are none",
}
REFUSED = {
    "AssumeRole.ProvidedContexts": "context assertions are made by IAM Identity Center, which is not served: none "
    "could be valid, and AWS documents no error for one that isn't",
}
"""Parameters that aren't served, by operation and name, with the reason."""
