"""Cross-origin sharing: which services' answers a web page of any origin may read, and the answer to a preflight.

Applications in browsers trade their users' tokens for credentials at Cognito identity pools and STS, on AWS's hosts as
here: any origin, never with the browser's own credentials, of which this server knows none anyway. No other service's
answers are shared; S3's are its buckets' to share. A preflight names neither a target nor an action, and the services
that share `/` are one to it: it allows a request to be made, and only the answer's own header lets it be read.
https://docs.aws.amazon.com/sdk-for-javascript/v3/developer-guide/loading-browser-credentials-cognito.html
https://github.com/aws-amplify/amplify-js/issues/7284
"""

from __future__ import annotations

from typing import Final

from freehold.message import Request, Response

SERVICES: Final = frozenset(("cognito-identity", "sts"))
_TARGET: Final = "AWSCognitoIdentityService."
_FORM: Final = "application/x-www-form-urlencoded"
_HEADERS: Final = (
    *("authorization", "cache-control", "content-type", "amz-sdk-invocation-id", "amz-sdk-request"),
    *("x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-target", "x-amz-user-agent"),
    *("x-amzn-query-mode", "x-amzn-trace-id"),
)
"""What the JavaScript SDKs and Amplify send beyond what every page may."""

_ANY_ORIGIN: Final = ("Access-Control-Allow-Origin", "*")
_EXPOSED: Final = ("Access-Control-Expose-Headers", "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date")
_PREFLIGHT: Final = (
    _ANY_ORIGIN,
    ("Access-Control-Allow-Methods", "POST, GET"),
    ("Access-Control-Allow-Headers", ", ".join(_HEADERS)),
    ("Access-Control-Max-Age", "172800"),
    _EXPOSED,
)


def preflight(request: Request) -> Response | None:
    """The answer to a browser's question whether a page may call the services at `/`; None for anything else."""
    headers = request.headers
    if request.method != "OPTIONS" or request.raw_path != "/" or "origin" not in headers:
        return None
    if "access-control-request-method" not in headers:
        return None
    return Response(200, list(_PREFLIGHT))


def shared(response: Response, service: str | None, request: Request) -> Response:
    """The response to a request with an Origin, readable by its page if the service is one that shares.

    `service` is None where a request was refused before it was known which one it means: then its look says.
    """
    if service in SERVICES or (service is None and _looks_shared(request)):
        response.headers += (_ANY_ORIGIN, _EXPOSED)
    return response


def _looks_shared(request: Request) -> bool:
    target = request.headers.get("x-amz-target")
    if target is not None:
        return target.startswith(_TARGET)
    return request.method == "POST" and request.headers.get("content-type", "").startswith(_FORM)
