"""Errors of the operator's operations."""

from freehold.errors import aws_error

ValidationException = aws_error("ValidationException", 400)
LimitExceededException = aws_error("LimitExceededException", 400)
