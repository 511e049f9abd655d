"""The json protocols (`application/x-amz-json-1.0` and `-1.1`): one JSON object each way.

Members the model doesn't know and nulls are ignored, as AWS does; a value of the wrong type is a
SerializationException, a constraint that fails most services' ValidationException (`reasons.py`). Blobs are base64
text, times are numbers.
https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any

import orjson

from freehold.errors import AwsError
from freehold.message import Request, Response
from freehold.protocol import timestamps, validate
from freehold.protocol.models import OperationModel, Reference, ServiceModel, Shape
from freehold.protocol.reasons import refusal
from freehold.protocol.refusals import SerializationException
from freehold.protocol.validate import BROKEN, Broken

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]


class JsonCodec:
    """Parses and serializes one operation; everything is compiled when it is made."""

    def __init__(self, operation: OperationModel) -> None:
        self.operation = operation
        self._input = operation.input
        self._read = Readers(tested=True).of(operation.input) if operation.input else _nothing
        self._write = Writers().of(operation.output) if operation.output else None
        self._content_type = ("Content-Type", f"application/x-amz-json-{operation.service.json_version}")

    def parse(self, request: Request, route: object = None) -> dict[str, Any]:
        """The operation's parameters from the body. Raises SerializationException, and what `reasons.refusal` makes."""
        data = load(request.body)
        try:
            params: dict[str, Any] = self._read(data)
        except Broken:
            assert self._input is not None
            found = validate.problems(self._input, Readers(tested=False).of(self._input)(data))
            raise refusal(self.operation.service.name, found) from None
        return params

    def serialize(self, result: dict[str, Any], request_id: str) -> Response:
        write = self._write
        body = b"" if write is None else orjson.dumps(write(result))
        return Response(200, [("x-amzn-RequestId", request_id), self._content_type], body)


def load(body: bytes) -> dict[str, Any]:
    """A request's body as an object; an empty one is an object without members. (orjson refuses what is nested more
    than 1,024 levels deep, and what the model doesn't know is never visited.)"""
    if not body:
        return {}
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise SerializationException("The request body is not well-formed JSON in UTF-8.") from None
    if type(data) is not dict:
        raise SerializationException("Start of structure or map expected: the request body must be a JSON object.")
    return data


def _nothing(data: Any) -> dict[str, Any]:
    return {}


def _wrong(value: Any, wanted: str) -> AwsError:
    return SerializationException(f"{_JSON_TYPES.get(type(value), 'VALUE')} can not be converted to {wanted}")


_JSON_TYPES = {
    str: "STRING_VALUE",
    int: "NUMBER_VALUE",
    float: "DECIMAL_VALUE",
    bool: "BOOLEAN_VALUE",
    type(None): "NULL_VALUE",
    dict: "START_OBJECT",
    list: "START_ARRAY",
}
_INTEGER_BITS = {"integer": 31, "short": 15, "byte": 7, "long": 63}


class Readers:
    """Compiled readers of JSON values by shape. With `tested`, they raise Broken at a constraint that fails."""

    def __init__(self, *, tested: bool) -> None:
        self._tested = tested
        self._made: dict[Shape, Reader] = {}

    def of(self, shape: Shape) -> Reader:
        made = self._made.get(shape)
        if made is None:
            # A shape that contains itself finds this while it is being made.
            self._made[shape] = lambda value: self._made[shape](value)
            made = self._made[shape] = self._make(shape)
        return made

    def _make(self, shape: Shape) -> Reader:
        test = validate.holds(shape) if self._tested else None
        if shape.document:
            return _as_it_is
        if shape.type == "structure":
            return self._structure(shape)
        if shape.type == "list":
            return self._list(shape, test)
        if shape.type == "map":
            return self._map(shape, test)
        if shape.type == "string":
            return _string(test)
        if shape.type in _INTEGER_BITS:
            return _tested(_integer(_INTEGER_BITS[shape.type]), test)
        return _tested(_SCALARS[shape.type], test)

    def _structure(self, shape: Shape) -> Reader:
        readers = {
            reference.location_name or name: (name, self.of(reference.shape))
            for name, reference in shape.members.items()
        }
        find = readers.get
        required = shape.required if self._tested else ()
        union = shape.union and self._tested

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _wrong(value, "a structure")
            out: dict[str, Any] = {}
            for key, part in value.items():
                if part is not None:
                    found = find(key)
                    if found is not None:
                        out[found[0]] = found[1](part)
            for name in required:
                if name not in out:
                    raise BROKEN
            if union and len(out) != 1:
                raise BROKEN
            return out

        return read

    def _list(self, shape: Shape, test: validate.Test | None) -> Reader:
        assert shape.member is not None
        element = self.of(shape.member.shape)

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise _wrong(value, "a list")
            if test is not None and not test(value):
                raise BROKEN
            return [element(part) for part in value]

        return read

    def _map(self, shape: Shape, test: validate.Test | None) -> Reader:
        assert shape.key is not None
        assert shape.value is not None
        key, item = self.of(shape.key.shape), self.of(shape.value.shape)

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _wrong(value, "a map")
            if test is not None and not test(value):
                raise BROKEN
            return {key(name): item(part) for name, part in value.items()}

        return read


def _tested(read: Reader, test: validate.Test | None) -> Reader:
    if test is None:
        return read

    def read_and_test(value: Any) -> Any:
        out = read(value)
        if not test(out):
            raise BROKEN
        return out

    return read_and_test


def _string(test: validate.Test | None) -> Reader:
    def read(value: Any) -> str:
        if type(value) is not str:
            raise _wrong(value, "a String")
        if test is not None and not test(value):
            raise BROKEN
        return value

    return read


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _wrong(value, "a Boolean")
    return value


def _integer(bits: int) -> Reader:
    limit = 1 << bits
    name = "a Long" if bits == 63 else "an Integer"

    def read(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not -limit <= value < limit:
            raise _wrong(value, name)
        return value

    return read


def _number(value: Any) -> float | int:
    if type(value) is str and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if type(value) is not float and type(value) is not int:
        raise _wrong(value, "a Double")
    return value


def _blob(value: Any) -> bytes:
    if type(value) is not str:
        raise _wrong(value, "a Blob")
    try:
        return a2b_base64(value, strict_mode=True)
    except ValueError:
        raise SerializationException("A Blob must be base64 text.") from None


def _timestamp(value: Any) -> Any:
    try:
        if type(value) is int or type(value) is float:
            return timestamps.from_epoch(value)
        if type(value) is str:
            return timestamps.from_text(value)
    except ValueError:
        pass
    raise _wrong(value, "a Timestamp")


_SCALARS: dict[str, Reader] = {
    "boolean": _boolean,
    "float": _number,
    "double": _number,
    "blob": _blob,
    "timestamp": _timestamp,
}


class Writers:
    """Compiled writers to what orjson can dump, by shape: known members only, nulls left out."""

    def __init__(self) -> None:
        self._made: dict[Shape, Writer] = {}

    def of(self, shape: Shape) -> Writer:
        return self._writer(shape) or _as_it_is

    def _writer(self, shape: Shape, reference: Reference | None = None) -> Writer | None:
        """None for a shape whose values are JSON already."""
        if shape.type == "timestamp":
            wanted = reference.timestamp_format if reference is not None else shape.timestamp_format
            return _TIMES.get(wanted or "unixTimestamp", timestamps.to_epoch)
        if shape.type == "blob":
            return _base64
        if shape.document:
            return None
        if shape.type in ("structure", "list", "map"):
            made = self._made.get(shape)
            if made is None:
                self._made[shape] = lambda value: self._made[shape](value)
                made = self._made[shape] = self._make(shape)
            return made
        return None

    def _make(self, shape: Shape) -> Writer:
        if shape.type == "structure":
            plan = [
                (name, reference.location_name or name, self._writer(reference.shape, reference))
                for name, reference in shape.members.items()
            ]
            return _structure_writer(plan)
        part = shape.member if shape.type == "list" else shape.value
        assert part is not None
        write = self._writer(part.shape, part)
        if write is None:
            return _as_it_is
        if shape.type == "list":
            return lambda value: [write(element) for element in value]
        return lambda value: {key: write(element) for key, element in value.items()}


def _structure_writer(plan: list[tuple[str, str, Writer | None]]) -> Writer:
    by_name = {name: (wire, write) for name, wire, write in plan}
    find = by_name.get

    def write_structure(value: dict[str, Any]) -> dict[str, Any]:
        out = {}
        for name, part in value.items():
            if part is not None:
                found = find(name)
                if found is not None:
                    write = found[1]
                    out[found[0]] = part if write is None else write(part)
        return out

    return write_structure


def _as_it_is(value: Any) -> Any:
    return value


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


_TIMES: dict[str, Writer] = {
    "iso8601": timestamps.to_iso8601,
    "rfc822": timestamps.to_http_date,
    "unixTimestamp": timestamps.to_epoch,
}


def serialize_error(service: ServiceModel | None, error: AwsError, request_id: str) -> Response:
    """`{"__type": code, "message": …}` with the modelled members, and the code in `x-amzn-ErrorType` too."""
    shape = service.error_shape(error.code) if service is not None else None
    body: dict[str, Any] = {"__type": error.code}
    message_name = "message"
    if shape is not None:
        body.update(Writers().of(shape)(error.members))
        if "Message" in shape.members:
            message_name = "Message"
    body[message_name] = error.message
    headers = [
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", error.code),
        ("Content-Type", f"application/x-amz-json-{service.json_version if service is not None else '1.1'}"),
    ]
    if service is not None and service.query_compatible:
        fault = "Sender" if error.status < 500 else "Receiver"
        code = shape.error_code if shape is not None and shape.error_code else error.code
        headers.append(("x-amzn-query-error", f"{code};{fault}"))
    return Response(error.status, headers, orjson.dumps(body))
