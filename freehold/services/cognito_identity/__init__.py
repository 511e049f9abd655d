"""Amazon Cognito identity pools: identities for an app's users, and credentials of the roles chosen for them.

https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/Welcome.html
"""

NOT_IMPLEMENTED: dict[str, str] = {}
"""Operation -> why it isn't."""
