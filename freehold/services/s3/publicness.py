"""When a bucket policy is public. Pure.

A policy is public unless each Allow statement either names fixed principals or limits everyone by a fixed value of a
key that says where requests come from. What isn't understood as a limit counts as none.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

_LIMITING_KEYS = frozenset(
    (
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    )
)
_LIMITING_OPERATORS = frozenset(
    (
        "arnequals",
        "arnlike",
        "stringequals",
        "stringequalsignorecase",
        "stringlike",
        "foranyvalue:stringequals",
        "foranyvalue:stringlike",
    )
)
_FIXED_ACCOUNT_IN_ARN = re.compile(r"arn:[^:*?]+:[^:*?]+:[^:]*:[0-9]{12}:.+", re.DOTALL)
_WIDEST = {4: 8, 6: 32}
"""The shortest prefix of a CIDR block that still counts as a limit; wider ones are nearly everyone."""


def is_public(policy_text: str) -> bool:
    """Whether the policy (JSON that was accepted as a policy) gives anything to everyone."""
    statements = json.loads(policy_text).get("Statement", [])
    return any(_statement_is_public(s) for s in (statements if isinstance(statements, list) else [statements]))


def _statement_is_public(statement: dict[str, Any]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    if "Principal" in statement and not _everyone(statement["Principal"]):
        return False
    return not _is_limited(statement.get("Condition", {}))


def _everyone(principal: Any) -> bool:
    if not isinstance(principal, dict):
        return bool(principal == "*")
    return any(value == "*" for values in principal.values() for value in _listed(values))


def _is_limited(conditions: dict[str, Any]) -> bool:
    for operator, keys in conditions.items():
        name = operator.lower()
        for key, values in keys.items():
            texts = [str(value) for value in _listed(values)]
            if not texts:
                continue
            if name == "ipaddress" and key.lower() == "aws:sourceip":
                if all(_is_narrow(text) for text in texts):
                    return True
            elif (
                name in _LIMITING_OPERATORS
                and key.lower() in _LIMITING_KEYS
                and all(_is_fixed(key.lower(), text) for text in texts)
            ):
                return True
    return False


def _is_fixed(key: str, text: str) -> bool:
    if "${" in text:
        return False
    if "*" not in text and "?" not in text:
        return bool(text)
    if key in ("aws:sourcearn", "aws:principalarn", "s3:dataaccesspointarn"):
        return _FIXED_ACCOUNT_IN_ARN.fullmatch(text) is not None
    if key == "aws:principalorgpaths":
        return re.match(r"o-[a-z0-9]{10,32}/", text) is not None
    return False


def _is_narrow(text: str) -> bool:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _WIDEST[network.version]


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]
