"""What a request claims about its signature, read from the Authorization header. Nothing here is verified yet.

Refuses, in the words of the service that the request is meant for, what isn't exactly one well-formed AWS4-HMAC-SHA256
authorization: signature version 2, SigV4A, other schemes, missing, repeated or unknown parts.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freehold.authentication.canonical import HeaderLines
from freehold.authentication.refusals import JSON, QUERY, S3, Refusals, S3InvalidArgument, Service
from freehold.errors import AwsError
from freehold.message import Request

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_PARTS: Final = ("Credential", "SignedHeaders", "Signature")
_is_signature = re.compile("[0-9a-f]{64}").fullmatch
_is_header_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch


@dataclass(frozen=True, slots=True)
class Scope:
    """`ACCESS-KEY-ID/DATE/REGION/SERVICE/aws4_request` and the signed headers: what stays the same all day."""

    access_key_id: str
    date: str
    region: str
    service: str
    text: str
    """`DATE/REGION/SERVICE/aws4_request`"""
    signed_headers: str
    names: frozenset[str]
    header_lines: HeaderLines


class Malformed(Exception):
    """Says what is wrong; the caller knows in whose words."""


def family_of(request: Request) -> Refusals:
    """In which service's words to refuse a request whose credential scope can't be read."""
    headers = request.headers
    if "x-amz-target" in headers:
        return JSON
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return QUERY
    if "Action=" in request.query_string:
        return QUERY
    return S3


def from_header(request: Request, authorization: str, services: Mapping[str, Service]) -> tuple[Scope, str]:
    """The scope and the signature (64 hex digits, not compared yet) of an Authorization header."""
    algorithm, _, rest = authorization.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise _unsupported(request, algorithm, authorization)
    found: dict[str, str] = {}
    try:
        for part in rest.split(","):
            name, equals, value = part.strip().partition("=")
            if not equals:
                raise Malformed(
                    f"'{name[:64]}' not a valid key=value pair (missing equal-sign) in Authorization header"
                )
            if name not in _PARTS or name in found:
                raise Malformed(f"Authorization header has an unexpected '{name[:64]}' parameter.")
            found[name] = value
        for name in _PARTS:
            if not found.get(name):
                raise Malformed(f"Authorization header requires '{name}' parameter.")
        return scope_of(found["Credential"], found["SignedHeaders"]), signature_of(found["Signature"])
    except Malformed as malformed:
        service = services.get(_service_named(found.get("Credential", "")))
        family = service.refusals if service else family_of(request)
        raise malformed_header(family, str(malformed), authorization) from None


def scope_of(credential: str, signed_headers: str) -> Scope:
    """Both parts read. Access key ids may hold slashes in principle; the last four parts are the scope."""
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or not all(parts):
        raise Malformed('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".')
    access_key_id, date, region, service, terminator = parts
    if terminator != "aws4_request":
        raise Malformed(
            f"Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator[:64]}'."
        )
    if not (len(date) == 8 and date.isascii() and date.isdigit()):
        raise Malformed(
            f'incorrect date format "{date[:64]}". This date in the credential must be in the format "yyyyMMdd".'
        )
    names = tuple(signed_headers.split(";"))
    for name in names:
        if not _is_header_name(name):
            raise Malformed("SignedHeaders must be lower-case header names, separated by semicolons.")
    if list(names) != sorted(set(names)):
        raise Malformed("SignedHeaders must be sorted, each name once.")
    text = f"{date}/{region}/{service}/{terminator}"
    return Scope(access_key_id, date, region, service, text, signed_headers, frozenset(names), HeaderLines(names))


def signature_of(text: str) -> str:
    if not _is_signature(text):
        raise Malformed("Signature must be 64 lower-case hexadecimal digits.")
    return text


def malformed_header(family: Refusals, problem: str, authorization: str) -> AwsError:
    if family is S3:
        return S3.incomplete(f"The authorization header is malformed; {problem}")
    # The header is the client's credential: its hash tells the client which one was meant.
    digest = base64.b64encode(hashlib.sha256(authorization.encode("utf-8", "surrogateescape")).digest()).decode()
    return family.incomplete(f"{problem} (Hashed with SHA-256 and encoded with Base64) Authorization={digest}")


def _service_named(credential: str) -> str:
    parts = credential.split("/")
    return parts[-2] if len(parts) >= 5 else ""


def _unsupported(request: Request, algorithm: str, authorization: str) -> AwsError:
    family = family_of(request)
    if family is S3 and algorithm != "AWS" and not algorithm.startswith("AWS4-"):
        return S3InvalidArgument(
            "Unsupported Authorization Type", ArgumentName="Authorization", ArgumentValue=algorithm[:64]
        )
    if family is S3:
        return S3.unsupported()
    return malformed_header(family, f"Unsupported AWS 'algorithm': '{algorithm[:64]}'. Use {ALGORITHM}.", authorization)
