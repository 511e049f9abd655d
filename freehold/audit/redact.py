"""What of a call's parameters and results is written to the audit, and under which names: compiled per operation.

Names are CloudTrail's: the member's with a lower-case first letter; for S3, those on the wire. Redaction follows the
models' `sensitive` traits and `ALSO_SECRET`, the table of what they don't mark. Contents (blobs, streams) are left
out, members that a model doesn't know are left out, and what is too large is replaced by a note of its size.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from freehold.protocol.models import OperationModel, Reference, Shape

HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What CloudTrail writes in the place of a secret."""

ALSO_SECRET: Final[dict[str, frozenset[str]]] = {
    "iam": frozenset(("AuthenticationCode1", "AuthenticationCode2", "SerialNumberSeed")),
    "sts": frozenset(("ContextAssertion", "SessionToken", "TokenCode")),
    "cognito-identity": frozenset(("SessionToken", "NextToken")),
    "kms": frozenset(("GrantToken", "GrantTokens", "ImportToken", "TrustAnchorCertificate")),
    "s3": frozenset(
        ("SSECustomerKey", "SSECustomerKeyMD5", "CopySourceSSECustomerKey", "CopySourceSSECustomerKeyMD5", "MFA")
    ),
    "cloudtrail": frozenset(("NextToken",)),
    "freehold": frozenset(("SecretAccessKey", "SessionToken", "Passphrase", "RootKey", "Secret", "Share", "Shares")),
}
"""Members by name, wherever in a service's shapes they are."""

S3_NAMES: Final = {"Bucket": "bucketName", "Key": "key", "UploadId": "uploadId", "VersionId": "versionId"}

Redact = Callable[[Any], Any]
_LEAVE_OUT: Final = object()


def compiled(operation: OperationModel) -> tuple[Redact, Redact]:
    """Functions that make of an operation's parameters and of its result what the audit may show, as new values."""
    service = operation.service.name
    return _structure(operation.input, service, {}), _structure(operation.output, service, {})


def _structure(shape: Shape | None, service: str, known: dict[str, Redact]) -> Redact:
    """A function from a structure to the dict that is shown. `known`: by shape, since shapes contain themselves."""
    if shape is None:
        return lambda value: None
    if shape.name in known:
        return known[shape.name]
    table: dict[str, tuple[str, Redact | None]] = {}

    def redact(value: dict[str, Any]) -> dict[str, Any]:
        shown = {}
        for member, content in value.items():
            entry = table.get(member)
            if entry is not None:
                name, inner = entry
                shown[name] = content if inner is None else inner(content)
        return shown

    known[shape.name] = redact
    for member, reference in shape.members.items():
        inner = _value(member, reference, service, known)
        if inner is not _LEAVE_OUT:
            table[member] = (_name(member, reference, service), inner)  # type: ignore[assignment]
    return redact


def _value(member: str, reference: Reference, service: str, known: dict[str, Redact]) -> Redact | object | None:
    """How a member's value is shown: None as it is, or by a function; `_LEAVE_OUT` for what is not shown."""
    shape = reference.shape
    if reference.streaming or shape.type == "blob" or shape.eventstream:
        return _LEAVE_OUT
    if reference.sensitive or member in ALSO_SECRET.get(service, ()):
        return _hide
    if shape.type == "structure":
        return _structure(shape, service, known)
    if shape.type == "list" and shape.member is not None:
        return _each(_value(member, shape.member, service, known))
    if shape.type == "map" and shape.value is not None:
        if shape.key is not None and shape.key.sensitive:
            return _hide
        return _each_value(_value(member, shape.value, service, known))
    if shape.type == "timestamp":
        return _time
    if shape.type in ("float", "double"):
        return float
    return None


def _each(inner: Redact | object | None) -> Redact | object | None:
    if inner is None or inner is _LEAVE_OUT:
        return inner
    assert callable(inner)
    return lambda value: [inner(element) for element in value]


def _each_value(inner: Redact | object | None) -> Redact | object | None:
    if inner is None or inner is _LEAVE_OUT:
        return inner
    assert callable(inner)
    return lambda value: {key: inner(element) for key, element in value.items()}


def _hide(value: Any) -> str:
    return HIDDEN


def _time(value: Any) -> Any:
    """As CloudTrail writes times inside of parameters: `Nov 23, 2026, 9:05:07 PM`."""
    if not isinstance(value, datetime):
        return value
    hour = value.hour % 12 or 12
    return f"{_MONTHS[value.month - 1]} {value.day}, {value.year}, {hour}:{value:%M:%S} {'AP'[value.hour >= 12]}M"


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _name(member: str, reference: Reference, service: str) -> str:
    if service == "s3":
        if reference.location in ("header", "querystring") and reference.location_name:
            return reference.location_name
        return S3_NAMES.get(member, member)
    return member[:1].lower() + member[1:]
