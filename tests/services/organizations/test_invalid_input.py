"""Parameters that fail the model's constraints: InvalidInputException with the Reason, as Organizations answers.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateOrganizationalUnit.html#API_CreateOrganizationalUnit_Errors
"""

from __future__ import annotations

from typing import Any

import pytest
from organizing import Organized, refused

from freehold.protocol import models, reasons, validate

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("create_organizational_unit", {"ParentId": "nowhere", "Name": "x"}, "INVALID_PATTERN"),
    ("create_organizational_unit", {"ParentId": "r-abcd", "Name": "x" * 129}, "MAX_LENGTH_EXCEEDED"),
    ("create_organizational_unit", {"ParentId": "r-abcd", "Name": ""}, "MIN_LENGTH_EXCEEDED"),
    ("create_organizational_unit", {"ParentId": "r-abcd"}, "INPUT_REQUIRED"),
    ("list_roots", {"MaxResults": 21}, "MAX_VALUE_EXCEEDED"),
    ("list_roots", {"MaxResults": 0}, "MIN_VALUE_EXCEEDED"),
    ("list_policies", {"Filter": "NO_POLICY"}, "INVALID_ENUM_POLICY_TYPE"),
    ("list_children", {"ParentId": "r-abcd", "ChildType": "NOTHING"}, "INVALID_ENUM"),
    ("list_create_account_status", {"States": ["NOTHING"]}, "INVALID_LIST_MEMBER"),
    ("describe_account", {"AccountId": "failed to satisfy constraint: Member must not be null"}, "MAX_LENGTH_EXCEEDED"),
]


@pytest.fixture(scope="module")
def unchecked(freehold_server: Any) -> Any:
    """A management account's client that sends what the model forbids."""
    from botocore.config import Config

    organized = Organized(freehold_server)
    return organized.management.client("organizations", config=Config(parameter_validation=False))


@pytest.mark.parametrize(("operation", "params", "reason"), CASES)
def test_a_constraint_that_fails_is_named_by_its_reason(
    unchecked: Any, operation: str, params: dict[str, Any], reason: str
) -> None:
    with refused("InvalidInputException", reason=reason):
        getattr(unchecked, operation)(**params)


def test_every_reason_is_one_of_the_models() -> None:
    listed = set(models.service("organizations").shape("InvalidInputExceptionReason").enum)
    assert {reason for _, reason, _ in reasons._ORGANIZATIONS} | {"INVALID_ENUM_POLICY_TYPE"} <= listed


def test_other_services_answer_a_validation_exception_that_lists_all() -> None:
    shape = models.service("kms").operations["CreateAlias"].input
    assert shape is not None
    error = reasons.refusal("kms", validate.problems(shape, {"AliasName": ""}))
    assert error.code == "ValidationException"
    assert error.message.startswith("3 validation errors detected: ")
