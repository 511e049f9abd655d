"""The one exception that reaches a client: an AWS error with its code, message, status and modelled members.

Services declare theirs in a table in their own `errors.py` with `aws_error`; protocols write the envelope.
Anything else that is raised is a defect: the client sees InternalFailure (500) without its text.
"""

from __future__ import annotations

from typing import Any


class AwsError(Exception):
    """An answer that refuses. `members` are further members of the error's shape (`Resource`, `BucketName` …)."""

    code = "InternalFailure"
    status = 500
    default_message = "The request processing has failed because of an unknown error, exception or failure."

    def __init__(self, message: str | None = None, /, **members: Any) -> None:
        self.message = self.default_message if message is None else message
        self.members = members
        super().__init__(self.message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status}, {self.message!r})"


def aws_error(code: str, status: int, message: str = "") -> type[AwsError]:
    """A kind of AWS error: its code on the wire, its HTTP status and the message used when none is given."""
    return type(
        code.replace(".", ""),
        (AwsError,),
        {"code": code, "status": status, "default_message": message, "__module__": __name__},
    )


InternalFailure = aws_error("InternalFailure", 500, AwsError.default_message)
NotImplementedByFreehold = aws_error("NotImplemented", 501, "This operation is not implemented.")
ServiceUnavailable = aws_error("ServiceUnavailable", 503, "The service is not able to handle the request.")
ValidationException = aws_error("ValidationException", 400, "The input fails to satisfy the constraints.")
AccessDeniedException = aws_error("AccessDeniedException", 400, "Access denied.")
