"""AWS's federation endpoint, `/federation`: GetSigninToken and SignInWithToken for identity brokers' own requests.

A broker sends a session's credentials in `Session` instead of signing with them, and gives its user a link that signs
in with the token. This turns both into the operations that do it, and their results into JSON. There is no console
that the link could lead to: `login` answers with the session instead of redirecting anywhere, so that no link of this
server leads to another's page. Credentials and tokens are in no answer that is kept, framed or passed on.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from freehold.audit import identity
from freehold.audit.sign_in import SignIn
from freehold.authentication.credentials import CredentialRefused, Secret
from freehold.authentication.key_ids import account_of_access_key_id
from freehold.authorization import vpc_endpoint
from freehold.authorization.principal import ANONYMOUS
from freehold.errors import AwsError, aws_error
from freehold.message import Request, Response
from freehold.protocol import urls
from freehold.services.call import Call
from freehold.services.freehold.errors import SignInFailedException, TooManyRequestsException, ValidationException
from freehold.services.iam import attempts
from freehold.services.iam.attempts import Counted, Limit, TooManyAttempts
from freehold.services.operation import REGISTRY, Params, Result

if TYPE_CHECKING:
    from freehold.app import App

PATH: Final = "/federation"
MOST_BODY_BYTES: Final = 64 * 1024
FAILURES: Final = Limit(free=50, most_seconds=5)
"""Of one address. What is right needs no wait: neither a token nor a session's secret can be guessed."""

_FORM: Final = "application/x-www-form-urlencoded"
_OPERATIONS: Final = {"getSigninToken": "freehold.GetSigninToken", "login": "freehold.SignInWithToken"}
_FIELDS: Final = {
    "getSigninToken": frozenset(("Action", "Session", "SessionDuration", "SessionType")),
    "login": frozenset(("Action", "SigninToken", "Destination", "Issuer")),
}
_SECONDS: Final = range(900, 43_201)
_HEADERS: Final = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
_FAILED: Final = "Failed authentication"
_Malformed: Final = aws_error("ValidationException", 400, "The parameters are not percent-encoded UTF-8.")


def is_meant(request: Request) -> bool:
    """Whether an unsigned request that names no bucket by its host may be for this endpoint.

    In the path stands what could be a bucket's name: the fields of S3's own requests are not this endpoint's.
    """
    if request.raw_path != PATH or vpc_endpoint.MARK in request.headers.get("host", ""):
        return False
    if "Action=" in request.query_string:
        return request.method in ("GET", "POST")
    is_form = request.headers.get("content-type", "").startswith(_FORM)
    return request.method == "POST" and is_form and not request.query_string


def fields(request: Request) -> dict[str, str]:
    """What was sent, of the query and the form, if its Action is one of the two; else nothing."""
    pairs = urls.fields(request.query_string, _Malformed)
    if request.body and request.headers.get("content-type", "").startswith(_FORM):
        pairs += urls.fields(request.body.decode("latin-1").strip("\r\n"), _Malformed)
    named = dict(pairs)
    if named.get("Action") not in _OPERATIONS:
        return {}
    if len(named) != len(pairs):
        raise ValidationException("A parameter is given twice.")
    unknown = sorted(named.keys() - _FIELDS[named["Action"]])
    if unknown:
        raise ValidationException(f"{named['Action']} has no parameter {unknown[0][:64]}.")
    return named


def call_of(app: App, request: Request, request_id: str, named: dict[str, str]) -> Call:
    """The call of the operation that does what is asked, by nobody yet."""
    operation = REGISTRY[_OPERATIONS[named["Action"]]]
    return Call(app, request, operation, ANONYMOUS, app.settings.regions[0], request_id, {})


async def admit(call: Call, named: dict[str, str]) -> None:
    """Give the call its parameters, and its caller where it has one. Raises AwsError."""
    if named["Action"] == "login":
        call.params = {"SigninToken": _given(named, "SigninToken")}
        return
    call.params = _duration(named)
    access_key_id, secret, token = _session(_given(named, "Session"))
    try:
        credential = call.app.access.lookup(access_key_id, token)
        if credential.secret != Secret(secret):
            raise CredentialRefused
    except CredentialRefused:
        whose = identity.unknown(access_key_id[:128])
        call.sign_in = SignIn("GetSigninToken", _account_of(access_key_id), whose, failure=_FAILED)
        raise SignInFailedException from None
    call.principal = credential.principal
    call.account_id = credential.principal.account_id
    call.app.last_uses.note(call.principal, "freehold", call.region, call.app.clock.now_seconds())


async def refused(call: Call, error: AwsError) -> AwsError:
    """What to answer to a failure: that it is one too many, if it is."""
    if error.code != SignInFailedException().code:
        return error
    now = call.app.clock.now_seconds()
    counted = [Counted(("federation from", attempts.network(call.request.source_ip)), FAILURES)]
    try:
        await call.app.records.submit_async(lambda tx: attempts.charge(tx, now, counted))
    except TooManyAttempts as too_many:
        return TooManyRequestsException(f"Too many attempts. Try again in {too_many.seconds} seconds.")
    return error


def shown(result: Result, named: dict[str, str], request_id: str) -> Response:
    """The operation's result as JSON: `{"SigninToken": …}`, or the console session and where its link wanted to go."""
    links: dict[str, Any] = {name: named[name] for name in ("Destination", "Issuer") if name in named}
    return _json(200, {**result, **links}, request_id)


def shown_error(error: AwsError, request_id: str) -> Response:
    return _json(error.status, {"code": error.code, "message": error.message}, request_id)


def _json(status: int, content: dict[str, Any], request_id: str) -> Response:
    body = json.dumps(content, default=_date).encode()
    return Response(status, [("x-amzn-RequestId", request_id), *_HEADERS], body)


def _date(value: Any) -> str:
    assert isinstance(value, datetime)
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _given(named: dict[str, str], name: str) -> str:
    value = named.get(name, "")
    if not value:
        raise ValidationException(f"{name} is missing.")
    return value


def _duration(named: dict[str, str]) -> Params:
    if named.get("SessionType", "json") != "json":
        raise ValidationException("SessionType is json.")
    text = named.get("SessionDuration")
    if text is None:
        return {}
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) in _SECONDS):
        raise ValidationException("SessionDuration is 900 to 43200 seconds.")
    return {"SessionDuration": int(text)}


def _session(text: str) -> tuple[str, str, str]:
    """The access key id, the secret and the token that `Session` holds."""
    try:
        held = json.loads(text)
        values = held["sessionId"], held["sessionKey"], held["sessionToken"]
    except (ValueError, KeyError, TypeError, RecursionError):
        values = ("", "", "")
    if not all(isinstance(value, str) and value and value.isascii() for value in values):
        raise ValidationException('Session is JSON: {"sessionId": …, "sessionKey": …, "sessionToken": …}.')
    return values


def _account_of(access_key_id: str) -> str:
    try:
        return account_of_access_key_id(access_key_id)
    except ValueError:
        return ""
