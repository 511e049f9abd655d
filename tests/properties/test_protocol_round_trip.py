"""What botocore's client writes arrives in the handler, and what a handler answers arrives at the client.

For every operation of every served service, and of some that show what a protocol can hold; botocore's own serializer
and parser are the other side.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
import pytest
from botocore.awsrequest import HeadersDict, create_request_object, prepare_request_dict
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shape_strategies import Values

from freehold.message import Request
from freehold.protocol import models, rest_route
from freehold.protocol.codec import codec
from freehold.protocol.route import Router
from freehold.services.operation import SERVED

ENDPOINT = "http://127.0.0.1:8080"
LOADER = botocore.loaders.Loader(extra_search_paths=[str(models.OWN_MODELS)])
PROPERTY = settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
NOT_BY_THE_PARSER = frozenset(("GetBucketLocation", "GetObjectTorrent", "SendApiAsset"))
"""A handler of botocore's client reads the location (see test_clients); a torrent's bytes are decoded as text there;
a map of headers without a prefix takes in the request id."""


def _botocore_model(service: str) -> botocore.model.ServiceModel:
    data = LOADER.load_service_model(service, "service-2")
    if service == "s3":
        # The additions that botocore's client makes to the model give Expires the type of a time; we keep its text.
        data["shapes"]["Expires"]["type"] = "string"
    return botocore.model.ServiceModel(data, service)


NOT_SERVED = ("accessanalyzer", "dataexchange", "glacier", "lex-runtime", "mediastore-data", "securityhub")
"""rest-json services with several labels, greedy ones, header maps, lists and JSON in headers, streams, documents."""
MOST_OPERATIONS = 40
"""How many of a service that isn't served, the first by name."""

MODELS = {service: _botocore_model(service) for service in (*SERVED, *NOT_SERVED)}
route = Router(tuple(MODELS)).route
OPERATIONS = [
    (service, name)
    for service, model in MODELS.items()
    for name in sorted(model.operation_names)[: MOST_OPERATIONS if service in NOT_SERVED else None]
    if name not in rest_route.SHADOWED
]


def _request(model: botocore.model.ServiceModel, name: str, params: dict[str, Any]) -> Request:
    """The HTTP request that botocore makes of these parameters, as transport would hand it on."""
    serializer = botocore.serialize.create_serializer(model.protocol, include_validation=False)
    fields = serializer.serialize_to_request(params, model.operation_model(name))
    fields["context"] = {}
    prepare_request_dict(fields, endpoint_url=ENDPOINT)
    prepared = create_request_object(fields).prepare()
    url = urlsplit(prepared.url)
    headers = {"host": url.netloc}
    for header, value in prepared.headers.items():
        headers[header.lower()] = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    body = prepared.body or b""
    return Request(
        prepared.method, url.path or "/", url.query, headers, body.encode() if isinstance(body, str) else bytes(body)
    )


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_a_clients_parameters_arrive_in_the_handler(service: str, name: str) -> None:
    model = MODELS[service]
    shape = model.operation_model(name).input_shape
    values = Values(model.protocol, out=False)
    streaming = models.service(service).operations[name].streaming_input

    @PROPERTY
    @given(st.just({}) if shape is None else values.structure(shape))
    def holds(params: dict[str, Any]) -> None:
        request = _request(model, name, params)
        routed = route(request, service)
        assert routed.operation.name == name
        arrived = codec(routed.operation).parse(request, routed)
        # Of REST with XML the pipeline has the streaming body; an empty one is none.
        left_out = streaming if model.protocol == "rest-xml" else None
        sent = {
            member: value for member, value in params.items() if member != left_out and (value or member != streaming)
        }
        arrived.pop("ContentLength", None)
        sent.pop("ContentLength", None)
        arrived = {member: value for member, value in arrived.items() if member in sent or value not in ("", b"")}
        assert arrived == sent

    holds()


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_a_handlers_result_arrives_at_the_client(service: str, name: str) -> None:
    model = MODELS[service]
    shape = model.operation_model(name).output_shape
    if shape is None or name in NOT_BY_THE_PARSER or any(_is_stream(part) for part in shape.members.values()):
        response = codec(models.service(service).operations[name]).serialize({}, "id")
        assert response.status in (200, 204)
        return
    values = Values(model.protocol, out=True)

    @PROPERTY
    @given(values.structure(shape))
    def holds(result: dict[str, Any]) -> None:
        response = codec(models.service(service).operations[name]).serialize(result, "request-1")
        parser = botocore.parsers.create_parser(model.protocol)
        raw = {
            "status_code": response.status,
            "headers": HeadersDict(response.headers),
            # What is a stream to the client isn't decoded as text.
            "body": bytearray(response.body) if _is_bytes(shape) else response.body,
            "context": {"operation_name": name},
        }
        parsed = parser.parse(raw, shape)
        assert parsed.pop("ResponseMetadata")["RequestId"] == "request-1"
        # botocore's parser makes something empty of a payload and of a header map that aren't there, and there is
        # always a status.
        said = [member for member, part in shape.members.items() if part.serialization.get("location") == "statusCode"]
        invented = [
            member
            for member, value in parsed.items()
            if (value in ({}, "", b"") or member in said) and member not in result
        ]
        for member in invented:
            del parsed[member]
        assert parsed == result

    holds()


def _is_bytes(shape: Any) -> bool:
    payload = shape.serialization.get("payload")
    return payload is not None and shape.members[payload].type_name == "blob"


def _is_stream(shape: Any) -> bool:
    return getattr(shape, "is_eventstream", False) or bool(shape.serialization.get("eventstream"))
