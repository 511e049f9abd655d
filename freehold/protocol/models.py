"""botocore's service models as data: services, operations and shapes, read lazily and without their documentation.

The models are files in the botocore package (found by path, botocore itself is never imported); Freehold's own
service is described in the same format under `freehold/models`. Knows nothing of bytes on the wire.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

OWN_MODELS = Path(__file__).parent.parent / "models"


class UnknownService(KeyError):
    """There is no model of this name."""


class _RawReference(msgspec.Struct, rename="camel"):
    shape: str
    location: str | None = None
    location_name: str | None = None
    flattened: bool = False
    xml_attribute: bool = False
    xml_namespace: Any = None
    streaming: bool = False
    timestamp_format: str | None = None
    idempotency_token: bool = False
    jsonvalue: bool = False
    sensitive: bool = False
    result_wrapper: str | None = None
    host_label: bool = False
    query_name: str | None = None


class _RawShape(msgspec.Struct, rename="camel"):
    type: str
    required: tuple[str, ...] = ()
    members: dict[str, _RawReference] = {}
    member: _RawReference | None = None
    key: _RawReference | None = None
    value: _RawReference | None = None
    min: int | float | None = None
    max: int | float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    flattened: bool = False
    sensitive: bool = False
    streaming: bool = False
    payload: str | None = None
    timestamp_format: str | None = None
    xml_namespace: Any = None
    location_name: str | None = None
    exception: bool = False
    error: dict[str, Any] = {}
    union: bool = False
    document: bool = False
    eventstream: bool = False


class _RawHttp(msgspec.Struct, rename="camel"):
    method: str = "POST"
    request_uri: str = "/"
    response_code: int = 200


class _RawOperation(msgspec.Struct, rename="camel"):
    name: str
    http: _RawHttp
    input: _RawReference | None = None
    output: _RawReference | None = None
    errors: tuple[_RawReference, ...] = ()
    authtype: str | None = None
    unsigned_payload: bool = False
    idempotent: bool = False


class _RawModel(msgspec.Struct):
    metadata: dict[str, Any]
    operations: dict[str, _RawOperation]
    shapes: dict[str, _RawShape]


_decode = msgspec.json.Decoder(_RawModel).decode


class Reference:
    """A shape as it is used in one place (a structure's member, a list's element), with the traits of that place."""

    __slots__ = (
        "flattened",
        "idempotency_token",
        "json_value",
        "location",
        "location_name",
        "query_name",
        "sensitive",
        "shape",
        "streaming",
        "timestamp_format",
        "xml_attribute",
        "xml_namespace",
    )

    def __init__(self, raw: _RawReference, shape: Shape) -> None:
        self.shape = shape
        self.location = raw.location
        """`header`, `headers` (prefix), `uri`, `querystring`, `statusCode`; None in the body."""
        self.location_name = raw.location_name
        self.flattened = raw.flattened or shape.flattened
        self.xml_attribute = raw.xml_attribute
        self.xml_namespace = raw.xml_namespace or shape.xml_namespace
        self.streaming = raw.streaming or shape.streaming
        self.timestamp_format = raw.timestamp_format or shape.timestamp_format
        self.idempotency_token = raw.idempotency_token
        self.json_value = raw.jsonvalue
        """Whether a header's text is base64 of JSON, of any type."""
        self.sensitive = raw.sensitive or shape.sensitive
        self.query_name = raw.query_name

    def __repr__(self) -> str:
        return f"Reference({self.shape.name})"


class Shape:
    """One shape. `type`: structure, list, map, string, blob, integer, long, float, double, boolean, timestamp.

    `min` and `max` bound a number's value, or the length of text (characters), blobs (bytes), lists and maps.
    `enum`: the allowed texts, empty when any is. `pattern`: a Java-flavoured regular expression.
    `error_code`, `error_status`, `sender_fault`: of an exception's shape, as far as the model says.
    `document`: a structure that stands for any JSON value.
    """

    __slots__ = (
        "document",
        "enum",
        "error_code",
        "error_status",
        "eventstream",
        "exception",
        "flattened",
        "key",
        "location_name",
        "max",
        "member",
        "members",
        "min",
        "name",
        "pattern",
        "payload",
        "required",
        "sender_fault",
        "sensitive",
        "streaming",
        "timestamp_format",
        "type",
        "union",
        "value",
        "xml_namespace",
    )

    def __init__(self, name: str, raw: _RawShape) -> None:
        self.name = name
        self.type = raw.type
        self.members: dict[str, Reference] = {}
        self.required = raw.required
        self.member: Reference | None = None
        self.key: Reference | None = None
        self.value: Reference | None = None
        self.min = raw.min
        self.max = raw.max
        self.pattern = raw.pattern
        self.enum = raw.enum
        self.flattened = raw.flattened
        self.sensitive = raw.sensitive
        self.streaming = raw.streaming
        self.payload = raw.payload
        self.timestamp_format = raw.timestamp_format
        self.xml_namespace = raw.xml_namespace
        self.location_name = raw.location_name
        self.exception = raw.exception
        self.error_code: str | None = raw.error.get("code")
        self.error_status: int | None = raw.error.get("httpStatusCode")
        self.sender_fault: bool | None = raw.error.get("senderFault")
        self.union = raw.union
        self.document = raw.document
        self.eventstream = raw.eventstream

    def __repr__(self) -> str:
        return f"Shape({self.name}: {self.type})"


class OperationModel:
    """One operation of a service. `input` and `output` are structures, or None where the model has none."""

    __slots__ = (
        "auth_type",
        "errors",
        "http_method",
        "idempotent",
        "input",
        "input_location_name",
        "input_xml_namespace",
        "name",
        "output",
        "output_wrapper",
        "request_uri",
        "response_code",
        "service",
        "unsigned_payload",
    )

    def __init__(self, service: ServiceModel, raw: _RawOperation) -> None:
        self.service = service
        self.name = raw.name
        self.http_method = raw.http.method
        self.request_uri = raw.http.request_uri
        self.response_code = raw.http.response_code
        self.input = service.shape(raw.input.shape) if raw.input else None
        self.input_location_name = raw.input.location_name if raw.input else None
        self.input_xml_namespace = raw.input.xml_namespace if raw.input else None
        self.output = service.shape(raw.output.shape) if raw.output else None
        self.output_wrapper = raw.output.result_wrapper if raw.output else None
        """The element around a query protocol's result (`EncryptResult`)."""
        self.errors = tuple(service.shape(error.shape) for error in raw.errors)
        self.auth_type = raw.authtype
        """`none` for an operation that is called without a signature."""
        self.unsigned_payload = raw.unsigned_payload
        self.idempotent = raw.idempotent

    @property
    def streaming_input(self) -> str | None:
        """The member that is the request's body as a stream (`Body`), None without one."""
        return _streaming(self.input)

    @property
    def streaming_output(self) -> str | None:
        return _streaming(self.output)

    def __repr__(self) -> str:
        return f"OperationModel({self.service.name}.{self.name})"


def _streaming(shape: Shape | None) -> str | None:
    if shape is None or shape.payload is None:
        return None
    reference = shape.members[shape.payload]
    return shape.payload if reference.streaming or reference.shape.type == "blob" else None


class Operations(Mapping[str, OperationModel]):
    """Operations by name, each made at first use."""

    __slots__ = ("_made", "_raw", "_service")

    def __init__(self, service: ServiceModel, raw: dict[str, _RawOperation]) -> None:
        self._service = service
        self._raw = raw
        self._made: dict[str, OperationModel] = {}

    def __getitem__(self, name: str) -> OperationModel:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = OperationModel(self._service, self._raw[name])
        return made

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class ServiceModel:
    """One service: `kms`, `s3` … `operations[name]` and `shape(name)` are made at first use and kept."""

    def __init__(self, name: str, raw: _RawModel) -> None:
        metadata = raw.metadata
        self.name = name
        self.protocol: str = metadata["protocol"]
        """json, query, rest-xml, rest-json, ec2, smithy-rpc-v2-cbor."""
        self.json_version: str = metadata.get("jsonVersion", "1.0")
        self.api_version: str = metadata["apiVersion"]
        self.target_prefix: str = metadata.get("targetPrefix", "")
        self.endpoint_prefix: str = metadata["endpointPrefix"]
        self.signing_name: str = metadata.get("signingName", self.endpoint_prefix)
        self.xml_namespace: str = metadata.get("xmlNamespace", "")
        self.service_id: str = metadata.get("serviceId", name)
        self.query_compatible: bool = "awsQueryCompatible" in metadata
        self._raw = raw
        self._shapes: dict[str, Shape] = {}
        self._errors_by_code: dict[str, Shape] | None = None
        self.operations = Operations(self, raw.operations)

    def operation_uris(self) -> list[tuple[str, str, str]]:
        """(name, method, request URI) of every operation, without making them: what routing needs."""
        return [(name, o.http.method, o.http.request_uri) for name, o in self._raw.operations.items()]

    def shape(self, name: str) -> Shape:
        made = self._shapes.get(name)
        if made is None:
            raw = self._raw.shapes[name]
            # Registered before its members are made, since shapes may contain themselves.
            made = self._shapes[name] = Shape(name, raw)
            made.members = {member: self._reference(reference) for member, reference in raw.members.items()}
            made.member = self._reference(raw.member) if raw.member else None
            made.key = self._reference(raw.key) if raw.key else None
            made.value = self._reference(raw.value) if raw.value else None
        return made

    def error_shape(self, code: str) -> Shape | None:
        """The exception with this code on the wire, None when the model has none."""
        if self._errors_by_code is None:
            shapes = [self.shape(name) for name, raw in self._raw.shapes.items() if raw.exception]
            found = {shape.name: shape for shape in shapes}
            found.update({shape.error_code: shape for shape in shapes if shape.error_code})
            self._errors_by_code = found
        return self._errors_by_code.get(code)

    def _reference(self, raw: _RawReference) -> Reference:
        return Reference(raw, self.shape(raw.shape))

    def __repr__(self) -> str:
        return f"ServiceModel({self.name})"


@cache
def service(name: str) -> ServiceModel:
    """The newest model of a service. Raises UnknownService."""
    for directory in (OWN_MODELS / name, botocore_data() / name):
        for version in sorted(_directories(directory), reverse=True):
            for file in ("service-2.json", "service-2.json.gz"):
                if (version / file).is_file():
                    data = (version / file).read_bytes()
                    return ServiceModel(name, _decode(gzip.decompress(data) if file.endswith(".gz") else data))
    raise UnknownService(name)


@cache
def botocore_data() -> Path:
    """Where botocore keeps its models, without importing it."""
    spec = importlib.util.find_spec("botocore")
    if spec is None or spec.origin is None:
        raise RuntimeError("botocore is not installed: its service models describe every operation")
    return Path(spec.origin).parent / "data"


def _directories(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []
