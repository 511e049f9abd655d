"""The XKS Proxy API, version 1, on the wire: its URI paths below any prefix, and its errors.

Apart from these it is rest-json. A path ends as the specification has it (`/kms/xks/v1/health` and so on); what stands
before is the key store's own and is returned as it is. A POST to such a path is meant for the proxy whatever else the
request says, so that a reverse proxy that lets nothing else through opens nothing else. Whatever went wrong is said
with one of the specification's error names, in JSON: AWS KMS understands no other. Knows nothing of keys.
https://github.com/aws/aws-kms-xksproxy-api-spec
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from freehold.errors import AwsError, aws_error
from freehold.message import Request, Response
from freehold.protocol.refusals import MethodNotAllowed

SERVICE: Final = "kms-xks-proxy"
MOST_PATH_CHARACTERS: Final = 128
"""Of a `XksProxyUriPath`: the prefix and `/kms/xks/v1`."""
_MOST_MESSAGE_CHARACTERS: Final = 511
_UNSIGNED: Final = "AuthenticationFailedException"
_NOT_SIGNED: Final = "The request is not signed with AWS4-HMAC-SHA256 for the service kms-xks-proxy."

InvalidUriPath = aws_error(
    "InvalidUriPathException", 404, "The request was rejected because the specified URI path is not valid."
)

_path = re.compile(
    r"((?:/[A-Za-z0-9_-]{1,128}){0,32})(/kms/xks/v1/(?:health|keys/[A-Za-z0-9._-]{1,128}/(?:metadata|encrypt|decrypt)))"
).fullmatch

_STATUSES: Final = {
    "ValidationException": 400,
    "InvalidStateException": 400,
    "InvalidCiphertextException": 400,
    "InvalidKeyUsageException": 400,
    "AuthenticationFailedException": 401,
    "AccessDeniedException": 403,
    "KeyNotFoundException": 404,
    "InvalidUriPathException": 404,
    "ThrottlingException": 429,
    "UnsupportedOperationException": 501,
    "DependencyTimeoutException": 503,
    "InternalException": 500,
}
"""The specification's errors."""

_NAMES: Final = {
    # A signature that can't be read is refused in the words of whichever service the request looks like.
    "AccessDenied": _UNSIGNED,
    "AuthorizationHeaderMalformed": _UNSIGNED,
    "AuthorizationQueryParametersError": _UNSIGNED,
    "IncompleteSignature": _UNSIGNED,
    "IncompleteSignatureException": _UNSIGNED,
    "InvalidArgument": _UNSIGNED,
    "InvalidRequest": _UNSIGNED,
    "InvalidSignatureException": _UNSIGNED,
    "SignatureDoesNotMatch": _UNSIGNED,
    "DisabledException": "InvalidStateException",
    "KMSInvalidStateException": "InvalidStateException",
    "NotFoundException": "KeyNotFoundException",
    "InvalidAction": "InvalidUriPathException",
    "InvalidURI": "InvalidUriPathException",
    "MethodNotAllowed": "UnsupportedOperationException",
    "NotImplemented": "UnsupportedOperationException",
    "Throttling": "ThrottlingException",
    "ServiceUnavailable": "DependencyTimeoutException",
}
"""What other layers say, as the specification has it. Of what is in neither table the status decides."""


def split(raw_path: str) -> tuple[str, str] | None:
    """(the key store's prefix, `/kms/xks/v1/…`), None for a path that is none of the API's."""
    found = _path(raw_path)
    if found is None or len(found[1]) + len("/kms/xks/v1") > MOST_PATH_CHARACTERS:
        return None
    return found[1], found[2]


def is_meant(request: Request) -> bool:
    """Whether a request is the proxy's by its path. (S3 has no operation that is a POST to a key without a query.)"""
    if request.raw_path == "/" or request.method != "POST" or request.query_string:
        return False
    return split(request.raw_path) is not None


def own_path(method: str, raw_path: str, query_string: str) -> str:
    """The path without its prefix. Raises InvalidUriPathException, and for anything but a POST MethodNotAllowed."""
    found = split(raw_path)
    if found is None or query_string:
        raise InvalidUriPath()
    if method != "POST":
        raise MethodNotAllowed("The operations of the XKS Proxy API are called with POST.")
    return found[1]


def serialize_error(error: AwsError, request_id: str) -> Response:
    """The error's name and message, the latter in printable ASCII."""
    code = error.code
    name = code if code in _STATUSES else _NAMES.get(code, "")
    if not name:
        name = "InternalException" if error.status >= 500 else "ValidationException"
    message = error.message if name == code or name != _UNSIGNED else _NOT_SIGNED
    said = "".join(letter if " " <= letter <= "~" else "?" for letter in message[:_MOST_MESSAGE_CHARACTERS])
    body = {"errorName": name, "errorMessage": said} if said else {"errorName": name}
    headers = [("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", name), ("Content-Type", "application/json")]
    if code == "MethodNotAllowed":
        return Response(405, [*headers, ("Allow", "POST")], orjson.dumps(body))
    return Response(_STATUSES[name], headers, orjson.dumps(body))
