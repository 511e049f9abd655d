"""Each service's way to refuse a signature: codes, statuses, messages and allowed clock skew, in one table.

https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from freehold.authentication.canonical import object_path, service_path
from freehold.authentication.credentials import CredentialRefused, ExpiredToken, InvalidToken, UnknownAccessKey
from freehold.errors import AwsError, aws_error

Kind = type[AwsError]

_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105
_EXPIRED_TOKEN = "The security token included in the request is expired"  # noqa: S105
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_UNSUPPORTED_BY_S3 = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
NOT_SIGNED_BY_S3: Final = "There were headers present in the request which were not signed"


@dataclass(frozen=True, slots=True)
class Refusals:
    """The errors of one family of services."""

    family: Literal["query", "json", "rest-json", "s3"]
    missing: Kind
    incomplete: Kind
    """The Authorization header can't be read."""
    incomplete_query: Kind
    """The presigned parameters can't be read."""
    scope: Kind
    """The credential's scope isn't this service's, region's or date's."""
    mismatch: Kind
    skewed: Kind
    unsupported: Kind
    """Another signature version or algorithm."""
    credentials: dict[type[CredentialRefused], Kind]


_QUERY_MISMATCH = aws_error("SignatureDoesNotMatch", 403, _MISMATCH)
_QUERY_INCOMPLETE = aws_error("IncompleteSignature", 400, "The request signature does not conform to AWS standards.")
QUERY: Final = Refusals(
    family="query",
    missing=aws_error("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
    incomplete=_QUERY_INCOMPLETE,
    incomplete_query=_QUERY_INCOMPLETE,
    scope=_QUERY_MISMATCH,
    mismatch=_QUERY_MISMATCH,
    skewed=_QUERY_MISMATCH,
    unsupported=_QUERY_INCOMPLETE,
    credentials={
        UnknownAccessKey: aws_error("InvalidClientTokenId", 403, _INVALID_TOKEN),
        InvalidToken: aws_error("InvalidClientTokenId", 403, _INVALID_TOKEN),
        ExpiredToken: aws_error("ExpiredToken", 403, _EXPIRED_TOKEN),
    },
)

_JSON_MISMATCH = aws_error("InvalidSignatureException", 400, _MISMATCH)
_JSON_INCOMPLETE = aws_error("IncompleteSignatureException", 400, _QUERY_INCOMPLETE.default_message)
JSON: Final = Refusals(
    family="json",
    missing=aws_error("MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
    incomplete=_JSON_INCOMPLETE,
    incomplete_query=_JSON_INCOMPLETE,
    scope=_JSON_MISMATCH,
    mismatch=_JSON_MISMATCH,
    skewed=_JSON_MISMATCH,
    unsupported=_JSON_INCOMPLETE,
    credentials={
        UnknownAccessKey: aws_error("UnrecognizedClientException", 400, _INVALID_TOKEN),
        InvalidToken: aws_error("UnrecognizedClientException", 400, _INVALID_TOKEN),
        ExpiredToken: aws_error("ExpiredTokenException", 400, _EXPIRED_TOKEN),
    },
)

_REST_JSON_MISMATCH = aws_error("InvalidSignatureException", 403, _MISMATCH)
_REST_JSON_INCOMPLETE = aws_error("IncompleteSignatureException", 403, _QUERY_INCOMPLETE.default_message)
REST_JSON: Final = Refusals(
    family="rest-json",
    missing=aws_error("MissingAuthenticationTokenException", 403, "Missing Authentication Token"),
    incomplete=_REST_JSON_INCOMPLETE,
    incomplete_query=_REST_JSON_INCOMPLETE,
    scope=_REST_JSON_MISMATCH,
    mismatch=_REST_JSON_MISMATCH,
    skewed=_REST_JSON_MISMATCH,
    unsupported=_REST_JSON_INCOMPLETE,
    credentials={
        UnknownAccessKey: aws_error("UnrecognizedClientException", 403, _INVALID_TOKEN),
        InvalidToken: aws_error("UnrecognizedClientException", 403, _INVALID_TOKEN),
        ExpiredToken: aws_error("ExpiredTokenException", 403, _EXPIRED_TOKEN),
    },
)

_XKS_FAILED = aws_error("AuthenticationFailedException", 401, "The request's signature is not a valid one.")
XKS: Final = Refusals(
    family="rest-json",
    missing=_XKS_FAILED,
    incomplete=_XKS_FAILED,
    incomplete_query=_XKS_FAILED,
    scope=_XKS_FAILED,
    mismatch=_XKS_FAILED,
    skewed=_XKS_FAILED,
    unsupported=_XKS_FAILED,
    credentials={UnknownAccessKey: _XKS_FAILED, InvalidToken: _XKS_FAILED, ExpiredToken: _XKS_FAILED},
)
"""The XKS Proxy API's: https://github.com/aws/aws-kms-xksproxy-api-spec"""

_S3_HEADER = aws_error("AuthorizationHeaderMalformed", 400, "The authorization header you provided is invalid.")
S3: Final = Refusals(
    family="s3",
    missing=aws_error("AccessDenied", 403, "Access Denied"),
    incomplete=_S3_HEADER,
    incomplete_query=aws_error("AuthorizationQueryParametersError", 400),
    scope=_S3_HEADER,
    mismatch=aws_error(
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
    ),
    skewed=aws_error(
        "RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large."
    ),
    unsupported=aws_error("InvalidRequest", 400, _UNSUPPORTED_BY_S3),
    credentials={
        UnknownAccessKey: aws_error(
            "InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."
        ),
        InvalidToken: aws_error("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
        ExpiredToken: aws_error("ExpiredToken", 400, "The provided token has expired."),
    },
)

S3AccessDenied: Final = aws_error("AccessDenied", 403, "Access Denied")
S3InvalidArgument: Final = aws_error("InvalidArgument", 400)
S3InvalidRequest: Final = aws_error("InvalidRequest", 400)


@dataclass(frozen=True, slots=True)
class Service:
    """How one service's signatures are checked."""

    refusals: Refusals
    skew_seconds: int
    path: Callable[[str], str] = service_path
    partition_wide: bool = False
    """Whether clients may sign for us-east-1 whatever the deployment's regions are."""
    any_region: bool = False
    """Whether the region says where the client is, and not what it wants."""


_QUARTER_HOUR, _FIVE_MINUTES = 900, 300

SERVICES: Final[dict[str, Service]] = {
    # Clients that are given an endpoint sign IAM's requests for their own region, others for us-east-1.
    "iam": Service(QUERY, _QUARTER_HOUR, partition_wide=True),
    "iam-toolbox": Service(REST_JSON, _FIVE_MINUTES, partition_wide=True),
    "sts": Service(QUERY, _QUARTER_HOUR, partition_wide=True),
    "s3": Service(S3, _QUARTER_HOUR, object_path),
    "kms": Service(JSON, _FIVE_MINUTES),
    "kms-xks-proxy": Service(XKS, _FIVE_MINUTES, any_region=True),
    "organizations": Service(JSON, _FIVE_MINUTES, partition_wide=True),
    "cognito-identity": Service(JSON, _FIVE_MINUTES),
    "cloudtrail": Service(JSON, _FIVE_MINUTES),
    "freehold": Service(JSON, _FIVE_MINUTES, partition_wide=True),
}

SERVICES_OF_ROUTE: Final[dict[str, dict[str, Service]]] = {
    # It signs with IAM's name, and refuses in its own words.
    "iam-toolbox": {**SERVICES, "iam": SERVICES["iam-toolbox"]},
    # No other service's signature is even looked at.
    "kms-xks-proxy": {"kms-xks-proxy": SERVICES["kms-xks-proxy"]},
}
"""The table for a service that signs with another's name, or with nobody else's keys; `SERVICES` for all others."""


def missing_authentication(service: str | None) -> AwsError:
    """What an operation that needs a signature answers to a request without one."""
    known = SERVICES.get(service or "")
    return (known.refusals if known else QUERY).missing()


def two_mechanisms(family: Refusals) -> AwsError:
    """The answer to a request that is signed in more than one way."""
    return (S3InvalidArgument if family is S3 else family.incomplete)(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
        "parameter or the Authorization header should be specified"
    )


def version_2_unsupported(family: Refusals) -> AwsError:
    """The answer to signature version 2 anywhere but in S3's presigned queries."""
    return family.unsupported(None if family is S3 else "Signature version 2 is not supported. Use AWS4-HMAC-SHA256.")
