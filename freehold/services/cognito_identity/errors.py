"""Cognito's errors. Codes and messages are AWS's; its model gives no statuses: all are 400, but for defects.

https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from freehold.errors import aws_error

ConcurrentModification = aws_error(
    "ConcurrentModificationException", 400, "The identity pool was changed at the same moment. Try again."
)
DeveloperUserAlreadyRegistered = aws_error(
    "DeveloperUserAlreadyRegisteredException",
    400,
    "The provided developer user identifier is already registered with Cognito under a different identity ID.",
)
ExternalService = aws_error("ExternalServiceException", 400)
InvalidIdentityPoolConfiguration = aws_error(
    "InvalidIdentityPoolConfigurationException",
    400,
    "Invalid identity pool configuration. Check assigned IAM roles for this pool.",
)
InvalidParameter = aws_error("InvalidParameterException", 400)
LimitExceeded = aws_error("LimitExceededException", 400)
NotAuthorized = aws_error("NotAuthorizedException", 400)
ResourceConflict = aws_error("ResourceConflictException", 400)
ResourceNotFound = aws_error("ResourceNotFoundException", 400)
TooManyRequests = aws_error("TooManyRequestsException", 400, "Rate exceeded")

LOGINS_DONT_MATCH = "Logins don't match. Please include at least one valid login for this identity or identity pool."
LINKED_ELSEWHERE = "Logins are already linked to another account."
NO_GUESTS = "Unauthenticated access is not supported for this identity pool."
