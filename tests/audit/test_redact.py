"""Redaction over the models: no sensitive member, no contents, of any operation, gets into an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from freehold.audit.redact import ALSO_SECRET, HIDDEN, compiled
from freehold.protocol import models
from freehold.protocol.models import Reference, Shape

SERVICES = ("iam", "sts", "kms", "s3", "cloudtrail", "freehold")
OPEN, SECRET = "may be shown", "must stay hidden"


def example(reference: Reference, member: str, service: str, seen: tuple[str, ...] = ()) -> Any:
    """A value that says of itself whether it may be shown."""
    shape = reference.shape
    secret = reference.sensitive or member in ALSO_SECRET.get(service, ()) or SECRET in seen
    if shape.type == "structure":
        return structure(shape, service, (*seen, SECRET) if secret else seen)
    if shape.type == "list":
        assert shape.member is not None
        return [example(shape.member, member, service, (*seen, SECRET) if secret else seen)]
    if shape.type == "map":
        assert shape.value is not None
        return {SECRET if secret else OPEN: example(shape.value, member, service, (*seen, SECRET) if secret else seen)}
    if shape.type == "blob":
        return SECRET.encode()
    if shape.type == "timestamp":
        return datetime(2026, 11, 23, 21, 5, 7, tzinfo=UTC)
    if shape.type == "boolean":
        return True
    if shape.type in ("integer", "long"):
        return 7
    if shape.type in ("float", "double"):
        return 0.5
    return SECRET if secret else OPEN


def structure(shape: Shape, service: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    if seen.count(shape.name) > 1:
        return {}
    return {
        member: example(reference, member, service, (*seen, shape.name)) for member, reference in shape.members.items()
    }


@pytest.mark.parametrize("service", SERVICES)
def test_of_every_operation_only_what_may_be_shown_is_shown(service: str) -> None:
    operations = models.service(service).operations
    shown_members = 0
    for name in operations:
        operation = operations[name]
        for shape, redact in zip((operation.input, operation.output), compiled(operation), strict=True):
            if shape is None:
                assert redact({"Anything": SECRET}) is None
                continue
            text = json.dumps(redact(structure(shape, service)))
            assert SECRET not in text, name
            shown_members += text.count(OPEN)
    assert shown_members >= 10


def shown(operation: str, params: dict[str, Any]) -> dict[str, Any]:
    service, _, name = operation.partition(".")
    result: dict[str, Any] = compiled(models.service(service).operations[name])[0](params)
    return result


CASES = [
    ("iam.CreateLoginProfile", {"UserName": "u", "Password": "p"}, {"userName": "u", "password": HIDDEN}),
    ("kms.TagResource", {"Tags": [{"TagKey": "K", "TagValue": "V"}]}, {"tags": [{"tagKey": "K", "tagValue": "V"}]}),
    ("kms.Encrypt", {"EncryptionContext": {"KeyId": "x"}, "GrantTokens": ["t"]}, {
        "encryptionContext": {"KeyId": "x"}, "grantTokens": HIDDEN}),
    ("s3.PutObject", {"Bucket": "b", "Key": "k", "Body": b"data", "SSECustomerKey": "secret", "ACL": "private"}, {
        "bucketName": "b", "key": "k", "x-amz-server-side-encryption-customer-key": HIDDEN, "x-amz-acl": "private"}),
    ("s3.ListObjectsV2", {"Bucket": "b", "Prefix": "p/", "MaxKeys": 5}, {
        "bucketName": "b", "prefix": "p/", "max-keys": 5}),
    ("iam.GetUser", {"UserName": "u", "Unknown": "x"}, {"userName": "u"}),
    ("cloudtrail.LookupEvents", {"StartTime": datetime(2026, 11, 3, 0, 5, 7, tzinfo=UTC)}, {
        "startTime": "Nov 3, 2026, 12:05:07 AM"}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "params", "expected"), CASES, ids=[case[0] for case in CASES])
def test_names_and_values_are_cloudtrails(operation: str, params: dict[str, Any], expected: dict[str, Any]) -> None:
    assert shown(operation, params) == expected


def test_the_parameters_themselves_are_left_alone() -> None:
    params = {"UserName": "u", "Password": "p"}
    shown("iam.CreateLoginProfile", params)
    assert params == {"UserName": "u", "Password": "p"}
