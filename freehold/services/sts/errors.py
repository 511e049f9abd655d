"""STS's errors. Codes, statuses and messages are AWS's.

https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from freehold.errors import aws_error

AccessDenied = aws_error("AccessDenied", 403)
ExpiredToken = aws_error("ExpiredTokenException", 400)
IDPCommunicationError = aws_error("IDPCommunicationError", 400)
IDPRejectedClaim = aws_error("IDPRejectedClaim", 403)
InvalidIdentityToken = aws_error("InvalidIdentityToken", 400)
InvalidAuthorizationMessage = aws_error(
    "InvalidAuthorizationMessageException", 400, "The encoded message is not one that this account was given."
)
InvalidParameterValue = aws_error("InvalidParameterValue", 400)
MalformedPolicyDocument = aws_error("MalformedPolicyDocument", 400)
PackedPolicyTooLarge = aws_error("PackedPolicyTooLarge", 400)
Throttling = aws_error("Throttling", 400)
ValidationError = aws_error("ValidationError", 400)
