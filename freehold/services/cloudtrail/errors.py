"""CloudTrail's errors: code, HTTP status and the message used when none is given.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

from freehold.errors import aws_error

InvalidLookupAttributes = aws_error(
    "InvalidLookupAttributesException", 400, "You can only specify one lookup attribute per lookup request."
)
InvalidMaxResults = aws_error("InvalidMaxResultsException", 400, "Max results must be between 1 and 50.")
InvalidNextToken = aws_error(
    "InvalidNextTokenException", 400, "The next token is invalid, or belongs to another lookup request."
)
InvalidTimeRange = aws_error("InvalidTimeRangeException", 400, "The start time must be before the end time.")
