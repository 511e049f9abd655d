"""Errors of Freehold's own operations."""

from freehold.errors import aws_error

ValidationException = aws_error("ValidationException", 400)
AccountAlreadyExists = aws_error("AccountAlreadyExistsException", 400)
ConflictException = aws_error("ConflictException", 409)
LimitExceededException = aws_error("LimitExceededException", 400)

SignInFailedException = aws_error(
    "SignInFailedException", 403, "Your authentication information is incorrect. Please try again."
)
TooManyRequestsException = aws_error("TooManyRequestsException", 429)
PasswordExpiredException = aws_error(
    "PasswordExpiredException", 403, "Your password has expired. An administrator has to set a new one."
)
PasswordPolicyViolationException = aws_error("PasswordPolicyViolationException", 400)
UnsealFailedException = aws_error("UnsealFailedException", 403)
