"""The rest-json protocol: members in the path, the query, headers, and a JSON (or opaque) body.

Members and parameters that the model doesn't know are ignored, as AWS does; a value of the wrong type or a query
parameter that is given twice is a SerializationException, a constraint that fails a ValidationException with all that
is wrong. A label that is empty never gets here: no path has one.
https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any

import orjson

from freehold.errors import AwsError, ValidationException
from freehold.message import Request, Response
from freehold.protocol import query, timestamps, validate
from freehold.protocol.header_lists import joined, split
from freehold.protocol.json import Readers, Writers, load
from freehold.protocol.models import OperationModel, Reference, ServiceModel, Shape
from freehold.protocol.refusals import MalformedInput, SerializationException
from freehold.protocol.rest_reply import header_value
from freehold.protocol.validate import BROKEN, Broken

TextReader = Callable[[str], Any]
BodyReader = Callable[[bytes, dict[str, Any]], None]
JSON = ("Content-Type", "application/json")


class RestJsonCodec:
    """Parses and serializes one operation; everything is compiled when it is made."""

    def __init__(self, operation: OperationModel) -> None:
        self.operation = operation
        self._input = operation.input
        self._read = None if operation.input is None else _Input(operation.input, tested=True)
        self._write = _Output(operation)

    def parse(self, request: Request, route: Any) -> dict[str, Any]:
        """The operation's parameters. Raises SerializationException and ValidationException."""
        if self._read is None:
            return {}
        try:
            return self._read(request, route)
        except Broken:
            assert self._input is not None
            found = validate.problems(self._input, _Input(self._input, tested=False)(request, route))
            raise ValidationException(validate.message(found)) from None

    def serialize(self, result: dict[str, Any], request_id: str) -> Response:
        return self._write(result, request_id)


# --- requests ---------------------------------------------------------------------------------------------------


class _Input:
    """Reads an operation's parameters. With `tested` it raises Broken at a constraint that fails."""

    def __init__(self, shape: Shape, *, tested: bool) -> None:
        self._labels: dict[str, tuple[str, TextReader]] = {}
        self._headers: dict[str, tuple[str, TextReader]] = {}
        self._fields: dict[str, tuple[str, TextReader, bool]] = {}
        """By name: the member, how its text is read, and whether it is a list."""
        self._prefix: tuple[str, str] | None = None
        self._other_fields: tuple[str, bool] | None = None
        """The member that takes all query parameters that no other has, and whether it keeps lists."""
        self._tests: list[tuple[str, validate.Test]] = []
        """Of lists and maps that are put together from headers or the query."""
        self._required = shape.required if tested else ()
        self._body = _body_reader(shape, tested=tested)
        for name, reference in shape.members.items():
            self._bind(name, reference, tested)

    def _bind(self, name: str, reference: Reference, tested: bool) -> None:
        wire, shape = reference.location_name or name, reference.shape
        where = reference.location
        test = validate.holds(shape) if tested and shape.type in ("list", "map") else None
        if where is not None and test is not None:
            self._tests.append((name, test))
        if where == "uri":
            self._labels[wire] = (name, _text_reader(wire, reference, tested=tested))
        elif where == "header":
            self._headers[wire.lower()] = (name, _header_reader(wire, reference, tested=tested))
        elif where == "headers":
            self._prefix = (wire.lower(), name)
        elif where == "querystring" and shape.type == "map":
            self._other_fields = (name, shape.value is not None and shape.value.shape.type == "list")
        elif where == "querystring":
            member = shape.member if shape.type == "list" else None
            read = _text_reader(wire, reference if member is None else member, tested=tested)
            self._fields[wire] = (name, read, member is not None)

    def __call__(self, request: Request, route: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for wire, text in route.path_params.items():
            label = self._labels[wire]
            out[label[0]] = label[1](text)
        if route.fields:
            self._read_query(route.fields, out)
        if self._headers or self._prefix is not None:
            self._read_headers(request.headers, out)
        if self._body is not None:
            self._body(request.body, out)
        for name, test in self._tests:
            if name in out and not test(out[name]):
                raise BROKEN
        for name in self._required:
            if name not in out:
                raise BROKEN
        return out

    def _read_query(self, fields: list[tuple[str, str]], out: dict[str, Any]) -> None:
        find, rest = self._fields.get, self._other_fields
        for wire, text in fields:
            found = find(wire)
            if found is None:
                if rest is not None and not wire.lower().startswith("x-amz-"):
                    _put(out.setdefault(rest[0], {}), wire, text, many=rest[1], wire=wire)
            else:
                name, read, many = found
                _put(out, name, read(text), many=many, wire=wire)

    def _read_headers(self, headers: dict[str, str], out: dict[str, Any]) -> None:
        find, prefix = self._headers.get, self._prefix
        for wire, text in headers.items():
            found = find(wire)
            if found is not None:
                out[found[0]] = found[1](text)
            elif prefix is not None and wire.startswith(prefix[0]) and len(wire) > len(prefix[0]):
                out.setdefault(prefix[1], {})[wire[len(prefix[0]) :]] = text


def _put(out: dict[str, Any], name: str, value: Any, *, many: bool, wire: str) -> None:
    if many:
        out.setdefault(name, []).append(value)
    elif name in out:
        raise SerializationException(f"The query parameter {wire[:128]} is given twice.")
    else:
        out[name] = value


def _text_reader(wire: str, reference: Reference, *, tested: bool) -> TextReader:
    """Reads one value of a label, a query parameter or a header. A timestamp may have any of AWS's formats."""
    shape = reference.shape
    test = validate.holds(shape) if tested and shape.type != "list" else None
    if shape.type == "string" and test is None:
        return str
    convert = query.scalar(shape, test)

    def read(text: str) -> Any:
        try:
            return convert(text)
        except MalformedInput:
            raise SerializationException(f"The value of {wire} is not a valid {shape.type}.") from None

    return read


def _header_reader(wire: str, reference: Reference, *, tested: bool) -> TextReader:
    shape = reference.shape
    if reference.json_value:
        return lambda text: _json_value(wire, text)
    if shape.type != "list" or shape.member is None:
        return _text_reader(wire, reference, tested=tested)
    read = _text_reader(wire, shape.member, tested=tested)
    dates = shape.member.shape.type == "timestamp"

    def read_list(text: str) -> list[Any]:
        try:
            return [read(part) for part in split(text, dates=dates)]
        except ValueError:
            raise SerializationException(f"The value of {wire} is not a valid list.") from None

    return read_list


def _json_value(wire: str, text: str) -> Any:
    try:
        return orjson.loads(a2b_base64(text, strict_mode=True))
    except ValueError:
        raise SerializationException(f"The value of {wire} is not base64 of JSON.") from None


def _body_reader(shape: Shape, *, tested: bool) -> BodyReader | None:
    """Puts what the body holds into the parameters; None for an operation whose body means nothing."""
    name = shape.payload
    if name is None:
        inside = {name: part for name, part in shape.members.items() if part.location is None}
        return _members_reader(shape, inside, tested=tested) if inside else None
    payload = shape.members[name].shape
    if payload.eventstream:
        return None
    if payload.type in ("blob", "string"):
        return _opaque_reader(name, payload, name in shape.required, tested=tested)
    read = Readers(tested=tested).of(payload)

    def read_payload(body: bytes, out: dict[str, Any]) -> None:
        if payload.document:
            if body:
                out[name] = _any_json(body)
            return
        # Clients send an object without members for a payload that they don't give.
        data = load(body)
        if data:
            out[name] = read(data)

    return read_payload


def _members_reader(shape: Shape, inside: dict[str, Reference], *, tested: bool) -> BodyReader:
    readers = Readers(tested=tested)
    table = {part.location_name or name: (name, readers.of(part.shape)) for name, part in inside.items()}
    find = table.get

    def read_members(body: bytes, out: dict[str, Any]) -> None:
        for wire, value in load(body).items():
            if value is not None:
                found = find(wire)
                if found is not None:
                    out[found[0]] = found[1](value)

    return read_members


def _opaque_reader(name: str, payload: Shape, required: bool, *, tested: bool) -> BodyReader:
    text = payload.type == "string"
    test = validate.holds(payload) if tested else None

    def read_opaque(body: bytes, out: dict[str, Any]) -> None:
        if not body and not required:
            return
        try:
            value = body.decode("utf-8") if text else body
        except UnicodeDecodeError:
            raise SerializationException("The request body is not text in UTF-8.") from None
        if test is not None and not test(value):
            raise BROKEN
        out[name] = value

    return read_opaque


def _any_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise SerializationException("The request body is not well-formed JSON in UTF-8.") from None


# --- replies ----------------------------------------------------------------------------------------------------


class _Output:
    """Writes an operation's results: status, headers, and JSON or a body that passes through."""

    def __init__(self, operation: OperationModel) -> None:
        self._status = operation.response_code
        self._headers: dict[str, tuple[str, Callable[[Any], str]]] = {}
        self._prefix: tuple[str, str] | None = None
        self._status_member: str | None = None
        self._opaque: str | None = None
        self._payload: str | None = None
        self._write: Callable[[Any], Any] | None = None
        shape = operation.output
        if shape is None:
            return
        for name, reference in shape.members.items():
            wire = reference.location_name or name
            if reference.location == "header":
                self._headers[name] = (wire, _header_writer(reference))
            elif reference.location == "headers":
                self._prefix = (wire, name)
            elif reference.location == "statusCode":
                self._status_member = name
        if shape.payload is None:
            if not shape.members or any(part.location is None for part in shape.members.values()):
                self._write = Writers().of(shape)
        elif shape.members[shape.payload].shape.type in ("blob", "string"):
            self._opaque = shape.payload
        elif not shape.members[shape.payload].shape.eventstream:
            self._payload = shape.payload
            self._write = Writers().of(shape.members[shape.payload].shape)

    def __call__(self, result: dict[str, Any], request_id: str) -> Response:
        headers = [("x-amzn-RequestId", request_id)]
        inside = (
            self._write_headers(result, headers) if self._headers or self._prefix or self._status_member else result
        )
        status = self._status
        if self._status_member is not None:
            status = result.get(self._status_member) or status
        if self._opaque is not None:
            body = result.get(self._opaque) or b""
            return Response(status, headers, body.encode() if isinstance(body, str) else body)
        if self._write is None:
            return Response(status, headers, b"")
        headers.append(JSON)
        value = inside if self._payload is None else inside.get(self._payload, {})
        return Response(status, headers, orjson.dumps(self._write(value)))

    def _write_headers(self, result: dict[str, Any], headers: list[tuple[str, str]]) -> dict[str, Any]:
        """What is left for the body."""
        inside = dict(result)
        for name, (wire, text_of) in self._headers.items():
            value = inside.pop(name, None)
            if value is not None:
                headers.append((wire, text_of(value)))
        if self._prefix is not None:
            for key, value in (inside.pop(self._prefix[1], None) or {}).items():
                headers.append((self._prefix[0] + key, header_value(value)))
        if self._status_member is not None:
            inside.pop(self._status_member, None)
        return inside


def _header_writer(reference: Reference) -> Callable[[Any], str]:
    shape = reference.shape
    if reference.json_value:
        return lambda value: b2a_base64(orjson.dumps(value), newline=False).decode("ascii")
    if shape.type == "list" and shape.member is not None:
        write = _header_writer(shape.member)
        quoted = shape.member.shape.type == "string"
        return lambda value: joined([write(part) for part in value], quoted=quoted)
    if shape.type == "timestamp":
        return _TIMES[reference.timestamp_format or "rfc822"]
    return _HEADER_TEXTS.get(shape.type, header_value)


def _epoch_text(value: Any) -> str:
    return str(timestamps.to_epoch(value))


_TIMES: dict[str, Callable[[Any], str]] = {
    "iso8601": timestamps.to_iso8601,
    "rfc822": timestamps.to_http_date,
    "unixTimestamp": _epoch_text,
}
_HEADER_TEXTS: dict[str, Callable[[Any], str]] = {
    "boolean": lambda value: "true" if value else "false",
    "blob": lambda value: b2a_base64(value, newline=False).decode("ascii"),
}


# --- errors -----------------------------------------------------------------------------------------------------


def serialize_error(service: ServiceModel | None, error: AwsError, request_id: str) -> Response:
    """The code in `x-amzn-ErrorType` and `__type`, the message and the modelled members, under the modelled status."""
    shape = service.error_shape(error.code) if service is not None else None
    headers = [("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", error.code), JSON]
    body: dict[str, Any] = {"__type": error.code}
    status, message_name = error.status, "message"
    if shape is not None:
        status = shape.error_status or status
        inside = dict(error.members)
        for name, reference in shape.members.items():
            value = inside.pop(name, None) if reference.location == "header" else None
            if value is not None:
                headers.append((reference.location_name or name, _header_writer(reference)(value)))
        body.update(Writers().of(shape)(inside))
        if "Message" in shape.members:
            message_name = "Message"
    body[message_name] = error.message
    return Response(status, headers, orjson.dumps(body))
