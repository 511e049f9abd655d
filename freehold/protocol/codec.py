"""The codec of an operation, compiled at its first use, and errors in each protocol's envelope.

A further protocol is one module with a codec class and a `serialize_error`, and a row in the two tables here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from freehold.errors import AwsError
from freehold.message import Request, Response
from freehold.protocol import json, models, query, rest_json, rest_xml, xks
from freehold.protocol.models import OperationModel, ServiceModel
from freehold.protocol.route import Route
from freehold.services.operation import SERVED


class Codec(Protocol):
    """`parse`: botocore's member names; blobs as bytes, times as aware UTC datetimes; a streaming body left out.
    `serialize`: from the same kind of dictionary; a streaming body may be bytes or an OutStream."""

    def parse(self, request: Request, route: Route) -> dict[str, Any]: ...
    def serialize(self, result: dict[str, Any], request_id: str) -> Response: ...


_CODECS: dict[str, Callable[[OperationModel], Codec]] = {
    "json": json.JsonCodec,
    "query": query.QueryCodec,
    "rest-json": rest_json.RestJsonCodec,
    "rest-xml": rest_xml.RestXmlCodec,
}

_made: dict[OperationModel, Codec] = {}


def codec(operation: OperationModel) -> Codec:
    """The operation's codec, kept once made."""
    made = _made.get(operation)
    if made is None:
        made = _made[operation] = _CODECS[operation.service.protocol](operation)
    return made


def serialize_error(
    service: str | None, operation: OperationModel | None, error: AwsError, request_id: str, request: Request
) -> Response:
    """The error as the service's protocol says it. Without a service (or an unknown one) the request's look decides:
    a target means json, a form query, anything else S3."""
    model = operation.service if operation is not None else _model(service)
    protocol = model.protocol if model is not None else _look(request)
    if protocol == "json":
        return json.serialize_error(model, error, request_id)
    if protocol == "query":
        return query.serialize_error(model, error, request_id)
    if model is not None and model.name == xks.SERVICE:
        return xks.serialize_error(error, request_id)
    if protocol == "rest-json":
        return rest_json.serialize_error(model, error, request_id)
    return rest_xml.serialize_error(model, error, request_id, bare=request.method == "HEAD")


def _model(service: str | None) -> ServiceModel | None:
    return models.service(service) if service is not None and service in SERVED else None


def _look(request: Request) -> str:
    if "x-amz-target" in request.headers:
        return "json"
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return "query"
    return "rest-xml"
