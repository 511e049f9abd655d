"""IAM Toolbox's errors.

https://docs.aws.amazon.com/iam-toolbox/latest/APIReference/API_GetRequestAuthorizationDetails.html
"""

from __future__ import annotations

from freehold.errors import aws_error

ResourceNotFoundException = aws_error(
    "ResourceNotFoundException",
    404,
    "The requested policy or authorization details do not exist or have expired. They are kept for 26 hours, for the "
    "account, or the organization, of the principal that was denied.",
)
ValidationException = aws_error("ValidationException", 400)
