"""Identities that others vouch for: OpenID Connect tokens and SAML assertions, verified.

Owns fetching of providers' keys and verification of what they signed. Says who somebody is; which role they may take
is the trust policy's to say, and STS's and Cognito's to ask. Verification raises one of `identity`'s refusals.
"""
