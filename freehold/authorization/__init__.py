"""Who may do what: AWS's policy language as a library that needs no server.

    >>> from freehold.authorization import is_allowed
    >>> policy = {
    ...     "Version": "2012-10-17",
    ...     "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::reports/*"},
    ... }
    >>> alice = "arn:aws:iam::111122223333:user/alice"
    >>> is_allowed(alice, "s3:GetObject", "arn:aws:s3:::reports/2026.csv", identity=[policy])
    True
    >>> is_allowed(alice, "s3:PutObject", "arn:aws:s3:::reports/2026.csv", identity=[policy])
    False

`evaluate` takes the same arguments and returns the result with its reason; `run_cases` runs a file of test cases;
`parse` compiles one document or raises `MalformedPolicy`. Importing this package is cheap: the engine is loaded at
first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freehold.authorization.document import MalformedPolicy, Policy, parse
    from freehold.authorization.testing import (
        CaseResult,
        Evaluation,
        MalformedCases,
        evaluate,
        is_allowed,
        run_cases,
    )

_WHERE = {
    "MalformedPolicy": "document",
    "Policy": "document",
    "parse": "document",
    "CaseResult": "testing",
    "Evaluation": "testing",
    "MalformedCases": "testing",
    "evaluate": "testing",
    "is_allowed": "testing",
    "run_cases": "testing",
}

__all__ = [
    "CaseResult",
    "Evaluation",
    "MalformedCases",
    "MalformedPolicy",
    "Policy",
    "evaluate",
    "is_allowed",
    "parse",
    "run_cases",
]


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
