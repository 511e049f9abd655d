"""Who sent this request: Signature Version 4, from the Authorization header or from a presigned query.

`authenticate` is the whole of it. (Signature version 2 counts in S3's presigned queries only: `presigned_v2.py`.)
A request without any signature is anonymous, and its route decides whether that is enough; a request with any part of a
signature must have all of a right one. What is compared: the method, path, query, every signed header (`host` and each
`x-amz-*` header of the request must be among them), the body's hash, the date against the clock, and the scope against
what is served here. S3's body may still be arriving: what remains to verify of it is the returned `Payload`, and
`transport/chunked.py` does.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal

from freehold.authentication import canonical, claim, payload, presigned, presigned_v2
from freehold.authentication.claim import ALGORITHM, Scope
from freehold.authentication.credentials import CredentialRefused, CredentialSource
from freehold.authentication.payload import ChunkSignature, Payload
from freehold.authentication.refusals import (
    NOT_SIGNED_BY_S3,
    S3,
    SERVICES,
    Refusals,
    S3AccessDenied,
    S3InvalidRequest,
    Service,
    two_mechanisms,
    version_2_unsupported,
)
from freehold.authentication.signing_key import signing_key
from freehold.authentication.timestamps import compact, extended, seconds_of, timestamp_of_http_date
from freehold.authorization.principal import ANONYMOUS, Principal
from freehold.clock import Clock
from freehold.errors import AwsError, aws_error
from freehold.message import Request

AuthenticationKind = Literal["header", "query", "anonymous"]

ContentMismatch = aws_error(
    "XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed."
)
_MOST_KNOWN_HEADERS: Final = 8_192
_MOST_KNOWN_CHARACTERS: Final = 1_024
_known_headers: dict[str, Scope] = {}
"""Authorization headers up to their signature, of requests that were authenticated: clients repeat them all day."""


@dataclass(slots=True, eq=False)
class Authenticated:
    """`region` and `service` are the credential scope's, empty for an anonymous request. `signed_at`: seconds."""

    principal: Principal
    access_key_id: str
    region: str
    service: str
    kind: AuthenticationKind
    payload: Payload
    signed_at: int = 0


def authenticate(
    request: Request,
    *,
    credentials: CredentialSource,
    clock: Clock,
    regions: Sequence[str],
    services: Mapping[str, Service] = SERVICES,
    bucket_of: Callable[[str], str | None] | None = None,
) -> Authenticated:
    """Verify `request`. Except for S3, `request.body` must be the whole body. `regions`: those served, default first.
    `bucket_of`: the bucket that a Host header names; without it, S3's presigned queries of version 2 are refused.

    Raises AwsError in the words of the service that the credential scope names.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _by_header(request, authorization, credentials, clock, regions, services)
    query = request.query_string
    if query and presigned.is_presigned(query):
        return _by_query(request, credentials, clock, regions, services)
    if query and presigned_v2.is_presigned(query):
        return _by_query_version_2(request, credentials, clock, services, bucket_of)
    return _anonymous(request)


def _by_header(
    request: Request,
    authorization: str,
    credentials: CredentialSource,
    clock: Clock,
    regions: Sequence[str],
    services: Mapping[str, Service],
) -> Authenticated:
    headers = request.headers
    prefix = authorization[:-64]
    scope = _known_headers.get(prefix)
    if scope is None:
        scope, signature = claim.from_header(request, authorization, services)
    else:
        signature = authorization[-64:]
    service = _service(request, scope, services)
    family = service.refusals
    query = request.query_string
    if query and (presigned.is_presigned(query) or presigned_v2.is_presigned(query)):
        raise two_mechanisms(family)
    timestamp = headers.get("x-amz-date")
    if timestamp is None:
        timestamp = timestamp_of_http_date(headers.get("date", ""))
    signed_at = None if timestamp is None else seconds_of(timestamp)
    if timestamp is None or signed_at is None:
        if family is S3:
            raise S3AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
        raise claim.malformed_header(
            family,
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
            authorization,
        )
    _check_scope(scope, service, regions, timestamp, by_query=False)
    _check_skew(service, timestamp, signed_at, clock.wall_seconds())
    _check_all_signed(request, scope, service)
    if family is S3:
        content_sha256 = headers.get("x-amz-content-sha256")
        if content_sha256 is None:
            raise S3InvalidRequest("Missing required header for this request: x-amz-content-sha256")
    else:
        content_sha256 = sha256(request.body).hexdigest()
    return _verified(
        request,
        scope,
        service,
        credentials,
        "header",
        timestamp,
        signed_at,
        signature,
        canonical.joined(canonical.query_pairs(query)) if query else "",
        content_sha256,
        headers.get("x-amz-security-token"),
        prefix,
    )


def _by_query(
    request: Request,
    credentials: CredentialSource,
    clock: Clock,
    regions: Sequence[str],
    services: Mapping[str, Service],
) -> Authenticated:
    claimed = presigned.from_query(request, services)
    scope = claimed.scope
    service = _service(request, scope, services)
    if presigned_v2.is_presigned(request.query_string):
        raise two_mechanisms(service.refusals)
    _check_scope(scope, service, regions, claimed.timestamp, by_query=True)
    wall_seconds = clock.wall_seconds()
    if service.refusals is S3:
        presigned.check_time(claimed, service.skew_seconds, wall_seconds)
        content_sha256 = request.headers.get("x-amz-content-sha256") or claimed.content_sha256 or payload.UNSIGNED
    else:
        allowed = service.skew_seconds
        if claimed.expires_seconds is not None:
            allowed = min(allowed, claimed.expires_seconds)
        _check_skew(service, claimed.timestamp, claimed.signed_at, wall_seconds, old_seconds=allowed)
        content_sha256 = sha256(request.body).hexdigest()
    _check_all_signed(request, scope, service)
    return _verified(
        request,
        scope,
        service,
        credentials,
        "query",
        claimed.timestamp,
        claimed.signed_at,
        claimed.signature,
        claimed.canonical_query,
        content_sha256,
        claimed.token if claimed.token is not None else request.headers.get("x-amz-security-token"),
        None,
    )


def _by_query_version_2(
    request: Request,
    credentials: CredentialSource,
    clock: Clock,
    services: Mapping[str, Service],
    bucket_of: Callable[[str], str | None] | None,
) -> Authenticated:
    if bucket_of is None or not presigned_v2.is_for_s3(request):
        raise version_2_unsupported(claim.family_of(request))
    claimed = presigned_v2.from_query(request, bucket_of)
    presigned_v2.check_time(claimed, services["s3"].skew_seconds, clock.wall_seconds())
    try:
        credential = credentials.lookup(claimed.access_key_id, claimed.token)
    except CredentialRefused as refused:
        raise _credential_refused(refused, S3, claimed.access_key_id) from None
    presigned_v2.verify(claimed, credential.secret)
    what_remains = _of_s3(request, claimed.content_sha256 or payload.UNSIGNED, None)
    return Authenticated(credential.principal, claimed.access_key_id, "", "s3", "query", what_remains)


def _verified(
    request: Request,
    scope: Scope,
    service: Service,
    credentials: CredentialSource,
    kind: AuthenticationKind,
    timestamp: str,
    signed_at: int,
    signature: str,
    canonical_query: str,
    content_sha256: str,
    token: str | None,
    prefix: str | None,
) -> Authenticated:
    family = service.refusals
    headers = request.headers
    try:
        header_lines = scope.header_lines.of(headers)
    except KeyError as absent:
        raise family.mismatch(f"The signed header {absent} is not in the request.") from None
    try:
        credential = credentials.lookup(scope.access_key_id, token)
    except CredentialRefused as refused:
        raise _credential_refused(refused, family, scope.access_key_id) from None
    canonical_request = canonical.octets(
        f"{request.method}\n{service.path(request.raw_path)}\n{canonical_query}\n"
        f"{header_lines}\n{scope.signed_headers}\n{content_sha256}"
    )
    string_to_sign = canonical.octets(
        f"{ALGORITHM}\n{timestamp}\n{scope.text}\n{sha256(canonical_request).hexdigest()}"
    )
    key = signing_key(credential.secret, scope.date, scope.region, scope.service)
    if not compare_digest(key.sign(string_to_sign).encode(), signature.encode("utf-8", "surrogateescape")):
        raise _mismatch(service, scope, signature, string_to_sign, canonical_request)
    if (
        prefix is not None
        and prefix not in _known_headers
        and len(prefix) <= _MOST_KNOWN_CHARACTERS
        and prefix.endswith("Signature=")
    ):
        if len(_known_headers) >= _MOST_KNOWN_HEADERS:
            _known_headers.clear()
        _known_headers[prefix] = scope
    if family is S3:
        chunks_signed = content_sha256.startswith("STREAMING-AWS4-")
        chain = ChunkSignature(key.key, timestamp, scope.text, signature) if chunks_signed else None
        what_remains = _of_s3(request, content_sha256, chain)
    else:
        what_remains = payload.VERIFIED
    return Authenticated(
        credential.principal, scope.access_key_id, scope.region, scope.service, kind, what_remains, signed_at
    )


def _of_s3(request: Request, content_sha256: str, signature: ChunkSignature | None) -> Payload:
    declared = payload.declared(content_sha256, request.headers, signature)
    if declared is payload.UNSIGNED_PAYLOAD:
        return payload.undeclared(request.headers)
    return _compared(request, declared)


def _compared(request: Request, declared: Payload) -> Payload:
    """A body that is here already is compared at once."""
    if declared.kind != "sha256" or request.receive is not None:
        return declared
    computed = sha256(request.body).hexdigest()
    if not compare_digest(computed, declared.sha256):
        raise ContentMismatch(ClientComputedContentSHA256=declared.sha256, S3ComputedContentSHA256=computed)
    return payload.VERIFIED


def _anonymous(request: Request) -> Authenticated:
    if request.body.startswith(b"AWSAccessKeyId="):
        raise version_2_unsupported(claim.family_of(request))
    content_sha256 = request.headers.get("x-amz-content-sha256")
    if content_sha256 is None or content_sha256 == payload.UNSIGNED:
        what_remains = payload.undeclared(request.headers)
    else:
        what_remains = _compared(request, payload.declared(content_sha256, request.headers, None))
    return Authenticated(ANONYMOUS, "", "", "", "anonymous", what_remains)


# --- what is checked before any key is used -------------------------------------------------------------------------


def _service(request: Request, scope: Scope, services: Mapping[str, Service]) -> Service:
    service = services.get(scope.service)
    if service is None:
        family = claim.family_of(request)
        if family is S3:
            raise S3.scope(
                f'The authorization header is malformed; incorrect service "{scope.service[:64]}". This endpoint '
                'belongs to "s3".'
            )
        raise family.scope(
            f"Credential should be scoped to correct service: '{scope.service[:64]}' is not served here."
        )
    return service


def _check_scope(scope: Scope, service: Service, regions: Sequence[str], timestamp: str, *, by_query: bool) -> None:
    family = service.refusals
    region = scope.region
    if region not in regions and not (service.any_region or (service.partition_wide and region == "us-east-1")):
        if family is not S3:
            raise family.scope("Credential should be scoped to a valid region. ")
        if by_query:
            raise S3.incomplete_query(
                f"Error parsing the X-Amz-Credential parameter; the region '{region[:64]}' is wrong; expecting "
                f"'{regions[0]}'",
                Region=regions[0],
            )
        raise S3.incomplete(
            f"The authorization header is malformed; the region '{region[:64]}' is wrong; expecting '{regions[0]}'",
            Region=regions[0],
        )
    if scope.date == timestamp[:8]:
        return
    if family is not S3:
        raise family.scope(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope.date}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    problem = f'Invalid credential date "{scope.date}". This date is not the same as X-Amz-Date: "{timestamp[:8]}".'
    if by_query:
        raise S3.incomplete_query(f"Error parsing the X-Amz-Credential parameter; {problem}")
    raise S3.incomplete(f"The authorization header is malformed; {problem}")


def _check_skew(
    service: Service, timestamp: str, signed_at: int, wall_seconds: float, *, old_seconds: int | None = None
) -> None:
    skew_seconds = service.skew_seconds
    if old_seconds is None:
        old_seconds = skew_seconds
    if -old_seconds <= signed_at - wall_seconds <= skew_seconds:
        return
    family = service.refusals
    if family is S3:
        raise S3.skewed(
            RequestTime=timestamp,
            ServerTime=extended(wall_seconds),
            MaxAllowedSkewMilliseconds=str(skew_seconds * 1000),
        )
    now = compact(wall_seconds)
    if signed_at < wall_seconds:
        edge = compact(wall_seconds - old_seconds)
        raise family.skewed(
            f"Signature expired: {timestamp} is now earlier than {edge} ({now} - {_span(old_seconds)}.)"
        )
    edge = compact(wall_seconds + skew_seconds)
    raise family.skewed(
        f"Signature not yet current: {timestamp} is still later than {edge} ({now} + {_span(skew_seconds)}.)"
    )


def _span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _check_all_signed(request: Request, scope: Scope, service: Service) -> None:
    """`host` and every `x-amz-*` header must be signed: a header that anyone could have added is refused."""
    signed = scope.names
    unsigned = sorted([name for name in request.headers.keys() - signed if name[:6] == "x-amz-"])
    if "host" not in signed:
        unsigned.append("host")
    if not unsigned:
        return
    family = service.refusals
    if family is S3:
        raise S3AccessDenied(NOT_SIGNED_BY_S3, HeadersNotSigned=", ".join(unsigned))
    if unsigned == ["host"]:
        raise family.mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    raise family.mismatch(f"'{unsigned[0]}' must be a 'SignedHeader' in the AWS Authorization.")


def _credential_refused(refused: CredentialRefused, family: Refusals, access_key_id: str) -> AwsError:
    kind = family.credentials[type(refused)]
    if kind.code == "InvalidAccessKeyId":
        return kind(AWSAccessKeyId=access_key_id)
    return kind()


def _mismatch(
    service: Service, scope: Scope, signature: str, string_to_sign: bytes, canonical_request: bytes
) -> AwsError:
    """S3 also tells the client what it should have signed: all of it came from the client."""
    if service.refusals is not S3:
        return service.refusals.mismatch()
    return S3.mismatch(
        AWSAccessKeyId=scope.access_key_id,
        StringToSign=string_to_sign.decode("utf-8", "replace"),
        SignatureProvided=signature,
        StringToSignBytes=string_to_sign.hex(" "),
        CanonicalRequest=canonical_request.decode("utf-8", "replace"),
        CanonicalRequestBytes=canonical_request.hex(" "),
    )
