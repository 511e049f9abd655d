"""One request's steps: route, authenticate, take in, validate, authorize, operate, audit, reply.

Every way into Freehold comes through `Pipeline`: clients' requests through `serve`, a service's call of another
through `invoke`. An event is durable before its reply is written: a mutation's in the mutation's own transaction, the
others in the worker's segment. If the audit cannot take an event, the request fails.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import traceback
from binascii import hexlify
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from freehold.audit import event
from freehold.audit.sink import AuditUnavailable
from freehold.authentication.refusals import SERVICES, SERVICES_OF_ROUTE, missing_authentication
from freehold.authentication.sigv4 import Authenticated, authenticate
from freehold.authorization import vpc_endpoint
from freehold.authorization.context_keys import of_request
from freehold.authorization.principal import ANONYMOUS
from freehold.crypto.aead import IntegrityError
from freehold.errors import AwsError, InternalFailure, NotImplementedByFreehold, ServiceUnavailable, aws_error
from freehold.large_requests import LargeRequests, RequestEntityTooLarge
from freehold.message import Request, Response
from freehold.protocol import cors, hosts, xks
from freehold.protocol.codec import codec, serialize_error
from freehold.protocol.models import OperationModel
from freehold.protocol.route import Route, Router
from freehold.services.call import Call
from freehold.services.freehold import federation_endpoint
from freehold.services.iam import outbound_federation
from freehold.services.operation import REGISTRY, SERVED, Operation, Params, Result, why_not, why_refused
from freehold.storage.blobs import CorruptBlob
from freehold.storage.records import CorruptRecord, StorageFull, Transaction
from freehold.transport.exchange import Disconnected
from freehold.transport.verified_body import verified_body

if TYPE_CHECKING:
    from freehold.app import App

log = logging.getLogger("freehold")

ONE_MIB = 1024 * 1024
MOST_BODY_BYTES = {"s3": 4 * ONE_MIB}
"""What an operation without a streaming body takes in, by service; 1 MiB where nothing is said."""

USING_KEYS = ("kms", xks.SERVICE)
"""The services whose own operations are uses of KMS keys."""

InsufficientStorage = aws_error(
    "InsufficientStorage", 507, "There is no room left to store this. Nothing was changed; free space and try again."
)
CorruptData = aws_error("InternalError", 500, "Stored data failed its authentication. Nothing of it was returned.")
Abandoned = aws_error("IncompleteBody", 400, "The client closed the connection before all of its request had come.")

_named_service = re.compile(r"/([a-z0-9-]{1,32})/aws4_request").search
_named_in_query = re.compile(
    r"(?:^|&)X-Amz-Credential=[^&]*?(?:%2F|/)([a-z0-9-]{1,32})(?:%2F|/)aws4_request", re.IGNORECASE
).search


class Pipeline:
    """Serves requests with the parts of one `App`. `pool` is for bulk work, such as making a streamed body."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.pool: Executor = app.pool
        self._router = Router(SERVED, (*hosts.BASES, *app.settings.host_names))
        self._unserved: dict[OperationModel, Operation] = {}
        self._large = LargeRequests(app)

    # --- a client's request ----------------------------------------------------------------------------------

    async def serve(self, request: Request, route: Route | None = None) -> Response:
        """The answer to one request. Raises nothing but Disconnected (the client is gone)."""
        request_id = new_request_id()
        service = claimed_service(request)
        model: OperationModel | None = None
        if service is None:
            answer = await self._beside_the_calls(request, request_id)
            if answer is not None:
                return answer
        try:
            if service is not None:
                service = self._router.meant(request, service)
            if service is not None and service not in SERVED:
                authenticate(
                    request,
                    credentials=self.app.access,
                    clock=self.app.clock,
                    regions=self.app.settings.regions,
                )
            if request.receive is not None and self._router.protocol_of(request, service) != "rest-xml":
                if _declared_bytes(request) > ONE_MIB:
                    return await self._serve_large(request, service, request_id)
                request.body = await _receive_all(request, ONE_MIB)
                request.receive = None
            if route is None:
                route = self._router.route(request, service)
            model = route.operation
            operation = REGISTRY.get(f"{route.service}.{model.name}") or self._not_served(route)
            call = Call(self.app, request, operation, ANONYMOUS, self.app.settings.regions[0], request_id, {})
        except Disconnected:
            raise
        except Exception as error:
            # What is no operation of a served service is no call: it is answered, and not in the audit.
            answer = serialize_error(service, model, _as_aws_error(error), request_id, request)
            return cors.shared(answer, service, request) if "origin" in request.headers else answer
        try:
            result = await self._through(call, route)
            answer = codec(model).serialize(result, request_id)
            if operation.large:
                answer = self._large.answering(answer)
            return cors.shared(answer, route.service, request) if "origin" in request.headers else answer
        except Disconnected:
            # What it did on the way, such as asking KMS for a data key, was done all the same.
            with suppress(AuditUnavailable):
                await self.app.audit.write([*call.events, *event.build(call, None, Abandoned())])
            raise
        except Exception as error:
            refusal = _as_aws_error(error)
        try:
            await self.app.audit.write([*call.events, *event.build(call, None, refusal)])
        except AuditUnavailable:
            refusal = ServiceUnavailable("The audit log cannot be written; the request was refused.")
        answer = serialize_error(route.service, model, refusal, request_id, request)
        return cors.shared(answer, route.service, request) if "origin" in request.headers else answer

    async def _serve_large(self, request: Request, service: str | None, request_id: str) -> Response:
        """As `serve`, for a body beyond the usual. Raises AwsError before it is known to be signed."""
        with self._large.place(request, service):
            operation = await self._large.receive(request, service)
            try:
                await self._large.verify(request)
            except AwsError as refusal:
                call = Call(self.app, request, operation, ANONYMOUS, self.app.settings.regions[0], request_id, {})
                await self.app.audit.write(event.build(call, None, refusal))
                raise
            decoded = asyncio.get_running_loop().run_in_executor(self.pool, self._router.route, request, service)
            answer = await self.serve(request, await decoded)
            request.body = b""
            return answer

    async def _beside_the_calls(self, request: Request, request_id: str) -> Response | None:
        """The answer to an unsigned request that is no call of AWS's API: a browser's preflight, an issuer's document,
        the federation endpoint. None for all others; under a bucket's own host the path is a key's."""
        path = request.raw_path
        is_document = path.startswith(outbound_federation.PREFIX)
        if not is_document and path not in ("/", federation_endpoint.PATH):
            return None
        if self._router.bucket_of(request.headers.get("host", "")) is not None:
            return None
        if is_document:
            return self._public_document(request)
        if federation_endpoint.is_meant(request):
            return await self._federate(request, request_id)
        return cors.preflight(request)

    async def _federate(self, request: Request, request_id: str) -> Response | None:
        """An operation's call in the federation endpoint's own form: audited as any other."""
        try:
            if request.receive is not None:
                request.body = await _receive_all(request, federation_endpoint.MOST_BODY_BYTES)
                request.receive = None
            named = federation_endpoint.fields(request)
        except Disconnected:
            raise
        except Exception as error:
            return federation_endpoint.shown_error(_as_aws_error(error), request_id)
        if not named:
            return None
        call = federation_endpoint.call_of(self.app, request, request_id, named)
        try:
            await federation_endpoint.admit(call, named)
            self._authorize(call)
            result = await self.app.records.submit_async(_writing(call))
            return federation_endpoint.shown(result, named, request_id)
        except Exception as error:
            refusal = _as_aws_error(error)
        try:
            refusal = await federation_endpoint.refused(call, refusal)
            await self.app.audit.write([*call.events, *event.build(call, None, refusal)])
        except Exception as error:
            refusal = _as_aws_error(error)
        return federation_endpoint.shown_error(refusal, request_id)

    def _public_document(self, request: Request) -> Response | None:
        """An issuer's metadata or keys, for anybody."""
        try:
            return outbound_federation.public_document(self.app, request)
        except Exception as error:
            _as_aws_error(error)
            return None

    async def _through(self, call: Call, route: Route) -> Result:
        """Authenticate, take in, validate, authorize, operate and audit. Raises what becomes the refusal."""
        app, request, operation = self.app, call.request, call.operation
        who = authenticate(
            request,
            credentials=app.credentials_of.get(route.service, app.access),
            clock=app.clock,
            regions=app.settings.regions,
            services=SERVICES_OF_ROUTE.get(route.service, SERVICES),
            bucket_of=self._router.bucket_of,
        )
        signing_name = route.operation.service.signing_name
        if who.service != signing_name and who.kind != "anonymous":
            # Routed by what the request claims: a signature made for one service never counts for another.
            raise SERVICES[route.service].refusals.scope(
                f"Credential should be scoped to correct service: '{signing_name}'."
            )
        _admit(call, who)
        streaming = await self._take_in(call, route, who)
        params = codec(route.operation).parse(request, route)
        if streaming is not None:
            params[streaming] = verified_body(request, who.payload, self.pool)
        call.params = params
        if not operation.refuses.isdisjoint(params):
            raise NotImplementedByFreehold(_refusal(operation, params))
        if operation.identify is not None:
            await operation.identify(call, params)
        for permission in operation.permissions(call, params):
            call.require(permission)
        if operation.prepare is not None:
            await operation.prepare(call, params)
        while True:
            try:
                if operation.writes:
                    return await app.records.submit_async(_writing(call))
                if call.elsewhere is None:
                    result = operation.handler(call, params) or {}
                else:
                    result = await call.elsewhere(partial(operation.handler, call, params)) or {}
                break
            except AnsweredElsewhere as asked:
                await self._ask(call, asked)
        await self.app.audit.write([*call.events, *event.build(call, result, None)])
        if operation.service in USING_KEYS:
            app.key_uses.note(call)
        return result

    async def _take_in(self, call: Call, route: Route, who: Authenticated) -> str | None:
        """Have the whole body in `request.body`, unless the operation takes it as a stream: then that member's name."""
        request = call.request
        streaming = route.operation.streaming_input
        if streaming is not None and call.operation.prepare is not None:
            return streaming
        if request.receive is not None or who.payload.kind not in ("verified", "unsigned"):
            most = MOST_BODY_BYTES.get(route.service, ONE_MIB)
            request.body = await verified_body(request, who.payload).read_all(most)
            request.receive = None
        return None

    def _not_served(self, route: Route) -> Operation:
        made = self._unserved.get(route.operation)
        if made is None:
            service, name = route.service, route.operation.name
            refusal = f"{name} is not implemented: {why_not(service, name)}"

            def refuse(call: Call, params: Params) -> Any:
                raise NotImplementedByFreehold(refusal)

            made = Operation(
                service, name, refuse, refuse, writes=False, prepare=None, refuses=frozenset(), anonymous=True
            )
            self._unserved[route.operation] = made
        return made

    # --- a service's call of another -------------------------------------------------------------------------

    def invoke(self, parent: Call, name: str, params: Params, *, via: str, region: str = "") -> Result:
        """Call a reading operation for `parent`'s caller; raises its AwsError. See `Call.invoke`."""
        call = self._child(parent, name, params, via, region or parent.region)
        if call.operation.writes:
            raise RuntimeError(f"{name} writes; use invoke_write")
        try:
            self._authorize(call)
            if call.elsewhere is None:
                result = call.operation.handler(call, params) or {}
        except AwsError as error:
            parent.events.extend((*call.events, *event.build(call, None, error)))
            raise
        if call.elsewhere is not None:
            return _answered(parent, call)
        parent.events.extend((*call.events, *event.build(call, result, None)))
        if call.operation.service == "kms":
            self.app.key_uses.note(call)
        return result

    async def invoke_async(self, parent: Call, name: str, params: Params, *, via: str, region: str = "") -> Result:
        """As `invoke`, for a coroutine. See `Call.invoke_async`."""
        try:
            return self.invoke(parent, name, params, via=via, region=region)
        except AnsweredElsewhere as asked:
            await self._ask(parent, asked)
            return _answered(parent, asked.call)

    async def _ask(self, parent: Call, asked: AnsweredElsewhere) -> None:
        """Make a call elsewhere, and keep its events and its answer (or its refusal) for `parent`."""
        call = asked.call
        assert call.elsewhere is not None
        result: Result | None = None
        refusal: AwsError | None = None
        try:
            result = await call.elsewhere(partial(call.operation.handler, call, call.params)) or {}
        except AwsError as error:
            refusal = error
        parent.events.extend((*call.events, *event.build(call, result, refusal)))
        if refusal is None and call.operation.service == "kms":
            self.app.key_uses.note(call)
        parent.answers = {**(parent.answers or {}), asked.question: refusal or result or {}}

    async def invoke_write(self, parent: Call, name: str, params: Params, *, via: str) -> Result:
        """Call a writing operation for `parent`'s caller in a transaction of its own. See `Call.invoke_write`."""
        call = self._child(parent, name, params, via, parent.region)
        try:
            self._authorize(call)
            return await self.app.records.submit_async(_writing(call))
        except AwsError as error:
            parent.events.extend((*call.events, *event.build(call, None, error)))
            raise

    def _child(self, parent: Call, name: str, params: Params, via: str, region: str) -> Call:
        chain = (*parent.via, via)
        context = of_request(parent.request, region=region, now_seconds=self.app.clock.now_seconds(), via=chain)
        call = Call(
            self.app,
            parent.request,
            REGISTRY[name],
            parent.principal,
            region,
            parent.request_id,
            context,
            via=chain,
            parent=parent,
            transaction=parent.transaction,
        )
        call.params = params
        return call

    def _authorize(self, call: Call) -> None:
        for permission in call.operation.permissions(call, call.params):
            call.require(permission)


def _admit(call: Call, who: Authenticated) -> None:
    """Give the call its caller. An unsigned request goes on only to an operation that may be called without one."""
    call.principal = who.principal
    call.account_id = who.principal.account_id
    if who.region:
        call.region = who.region
    if who.kind == "anonymous" and not call.operation.anonymous:
        raise missing_authentication(call.operation.service)
    request, endpoint = call.request, None
    host = request.headers.get("host", "")
    if vpc_endpoint.MARK in host:
        service = call.operation.service
        endpoint = call.app.endpoints.of(host, service=service, region=who.region, source_ip=request.source_ip)
        if endpoint is not None:
            call.endpoint, call.region = endpoint.policy, endpoint.region
    now_seconds = call.app.clock.now_seconds()
    if who.kind != "anonymous":
        call.app.last_uses.note(who.principal, call.operation.service, call.region, now_seconds)
    call.context = of_request(request, region=call.region, now_seconds=now_seconds, endpoint=endpoint)


class AnsweredElsewhere(Exception):
    """An authorized call that has to wait for others, made by a handler: it begins again with the answer."""

    def __init__(self, call: Call, question: str) -> None:
        super().__init__(call.operation.name)
        self.call = call
        self.question = question


def _answered(parent: Call, call: Call) -> Result:
    """The answer that a call for `parent` has had. Raises its AwsError, and AnsweredElsewhere for the first asking."""
    question = f"{call.operation.name} {sorted(call.params.items())!r}"
    answers = parent.answers
    if answers is None or question not in answers:
        raise AnsweredElsewhere(call, question)
    answer = answers[question]
    if isinstance(answer, AwsError):
        raise answer
    return answer


def _writing(call: Call) -> Any:
    """The work of a writing operation: its handler, and its events in the same transaction."""

    def work(tx: Transaction) -> Result:
        call.transaction = tx
        try:
            result = call.operation.handler(call, call.params) or {}
            call.app.audit.append_in(tx, [*call.events, *event.build(call, result, None)])
            return result
        finally:
            call.transaction = None

    return work


def _refusal(operation: Operation, params: Params) -> str:
    """What is said of parameters that an operation doesn't serve."""
    named = []
    for member in sorted(operation.refuses.intersection(params)):
        why = why_refused(operation.service, operation.name, member)
        named.append(f"{member} ({why})" if why else member)
    return f"{operation.name} does not implement: {', '.join(named)}"


def _declared_bytes(request: Request) -> int:
    """The body's length as the client says it, 0 where it doesn't."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdigit() else 0


async def _receive_all(request: Request, most_bytes: int) -> bytes:
    """The whole raw body. What is longer than the limit is not kept."""
    if _declared_bytes(request) > most_bytes:
        raise RequestEntityTooLarge()
    assert request.receive is not None
    pieces, size = [], 0
    while piece := await request.receive():
        size += len(piece)
        if size > most_bytes:
            raise RequestEntityTooLarge()
        pieces.append(piece)
    return b"".join(pieces)


def claimed_service(request: Request) -> str | None:
    """The service in the credential scope, not verified; None for a request without one."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        found = _named_service(authorization)
    elif "mz-" in request.query_string:
        found = _named_in_query(request.query_string)
    else:
        return None
    return None if found is None else found[1]


def new_request_id() -> str:
    """36 characters, random."""
    text = hexlify(os.urandom(16)).decode("ascii")
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _as_aws_error(error: Exception) -> AwsError:
    """The answer to whatever was raised: a defect's text and values never leave the process."""
    if isinstance(error, AwsError):
        return error
    if isinstance(error, StorageFull):
        return InsufficientStorage()
    if isinstance(error, AuditUnavailable):
        return ServiceUnavailable("The audit log cannot be written; the request was refused.")
    if isinstance(error, CorruptRecord | CorruptBlob | IntegrityError):
        log.error("stored data is damaged: %s", error)
        return CorruptData()
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename.rpartition('freehold/')[2]}:{frame.lineno}" for frame in reversed(frames))
    log.error("%s at %s", type(error).__name__, where)
    return InternalFailure()
