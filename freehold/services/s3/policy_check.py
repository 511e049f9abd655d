"""What is accepted as a bucket's policy: S3's actions, resources of this bucket, and actions that apply to them.

Refuses, as S3 does, an action that there isn't ("Policy has invalid action", also for a pattern that no action has),
what lies outside of the bucket ("Policy has invalid resource"), and an action that none of its statement's resources
is the right kind for: `s3:ListBucket` on objects, `s3:GetObject` on the bucket itself. `arn:aws:s3:::bucket*` is the
bucket with its objects and no other bucket, since the policy is asked for this one alone.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-bucket-intro.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from freehold.authorization import document, match, service_reference
from freehold.services.s3.errors import MalformedPolicy

_BUCKET: Final = frozenset(("bucket",))
_OBJECTS: Final = frozenset(("object",))
_KINDS: Final = _BUCKET | _OBJECTS


def check(text: str, bucket: str) -> None:
    """Raise MalformedPolicy unless `text` is a resource policy for this bucket."""
    try:
        document.parse(text, "resource")
    except document.MalformedPolicy as error:
        raise MalformedPolicy(error.message) from None
    statements: Any = json.loads(text).get("Statement", [])
    for statement in _listed(statements):
        _check_resources(statement, bucket)
        _check_actions(statement)


def _check_resources(statement: dict[str, Any], bucket: str) -> None:
    arn = f"arn:aws:s3:::{bucket}"
    for element in ("Resource", "NotResource"):
        for resource in _listed(statement.get(element, [])):
            if resource != arn and not resource.startswith((arn + "/", arn + "*")):
                raise MalformedPolicy("Policy has invalid resource", Detail=str(resource))


def _check_actions(statement: dict[str, Any]) -> None:
    for element in ("Action", "NotAction"):
        for action in _listed(statement.get(element, [])):
            kinds = frozenset[str]().union(*_kinds_of(action))
            if not kinds:
                raise MalformedPolicy("Policy has invalid action", Detail=str(action))
            resources = _listed(statement.get("Resource", []))
            if element == "Action" and resources and not any(kinds & _given(one) for one in resources):
                raise MalformedPolicy("Action does not apply to any resource(s) in statement")


def _given(resource: str) -> frozenset[str]:
    """What a resource of this bucket is: `arn:aws:s3:::bucket*` is the bucket and all that is in it."""
    name, slash, _ = resource.partition("/")
    if name.endswith("*"):
        return _KINDS
    return _OBJECTS if slash else _BUCKET


def _kinds_of(action: str) -> Iterator[frozenset[str]]:
    """What each of the actions that are meant applies to: none means none of S3's."""
    lower = action.lower()
    known = _actions()
    if "*" not in lower and "?" not in lower:
        yield known.get(lower, frozenset())
        return
    test = match.text_test(match.parse(lower, variables=False))
    for name, kinds in known.items():
        if test(name):
            yield kinds


@lru_cache(maxsize=1)
def _actions() -> dict[str, frozenset[str]]:
    """Each action on buckets or objects, in lower case, with which of them. One on neither (`s3:ListAllMyBuckets`) can
    be allowed by no bucket's policy."""
    found = service_reference.service("s3")
    assert found is not None
    return {
        f"s3:{name}": kinds
        for name, action in found.actions.items()
        if (kinds := _KINDS.intersection(kind for kind, _ in action.resource_types))
    }


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]
