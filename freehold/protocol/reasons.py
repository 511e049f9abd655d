"""How a service words that a constraint of its model fails: most with ValidationException, Organizations with its own.

Organizations answers InvalidInputException with the `Reason` of the first constraint that fails.
https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListParents.html#API_ListParents_Errors
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from freehold.errors import AwsError, ValidationException, aws_error
from freehold.protocol import validate

_InvalidInput = aws_error("InvalidInputException", 400)

_CONSTRAINT: Final = "failed to satisfy constraint: "
_ORGANIZATIONS: Final = (
    # what the constraint begins with, the Reason, the message
    ("Member must not be null", "INPUT_REQUIRED", "You must include a value for all required parameters."),
    ("Member must satisfy constraint", "INVALID_LIST_MEMBER", "You provided a list with at least one invalid value."),
    ("Member must satisfy enum", "INVALID_ENUM", "You specified an invalid value."),
    (
        "Member must satisfy regular expression",
        "INVALID_PATTERN",
        "You provided a value that does not match the required pattern.",
    ),
    ("Member must have length less", "MAX_LENGTH_EXCEEDED", "You provided a value that is longer than allowed."),
    ("Member must have length greater", "MIN_LENGTH_EXCEEDED", "You provided a value that is shorter than allowed."),
    ("Member must have value less", "MAX_VALUE_EXCEEDED", "You provided a number that is larger than allowed."),
    ("Member must have value greater", "MIN_VALUE_EXCEEDED", "You provided a number that is smaller than allowed."),
)
_POLICY_TYPE: Final = "SERVICE_CONTROL_POLICY"
"""An enumeration that has this one is of types of policies, for which there is a Reason of its own."""


def refusal(service: str, found: list[str]) -> AwsError:
    """The error for what `validate.problems` found."""
    return _OWN.get(service, _validation)(found)


def _validation(found: list[str]) -> AwsError:
    return ValidationException(validate.message(found))


def _invalid_input(found: list[str]) -> AwsError:
    constraint = found[0].rpartition(_CONSTRAINT)[2] if found else ""
    for begins, reason, message in _ORGANIZATIONS:
        if constraint.startswith(begins):
            if reason == "INVALID_ENUM" and _POLICY_TYPE in constraint:
                return _InvalidInput("You specified an invalid policy type.", Reason="INVALID_ENUM_POLICY_TYPE")
            return _InvalidInput(message, Reason=reason)
    return _validation(found)


_OWN: Final[dict[str, Callable[[list[str]], AwsError]]] = {"organizations": _invalid_input}
