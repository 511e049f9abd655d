"""The query protocol: a form in (`Tags.member.1.Key=…`), XML out (`<EncryptResponse><EncryptResult>…`).

The form's dotted names are folded into nested dictionaries once and then read by compiled readers. Unknown fields
are ignored, as AWS does; a field given twice or one that is a value and a structure at once is MalformedInput.
https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable
from typing import Any

from freehold.errors import AwsError
from freehold.message import Request, Response
from freehold.protocol import timestamps, urls, validate, xml_write
from freehold.protocol.models import OperationModel, Reference, ServiceModel, Shape
from freehold.protocol.refusals import MalformedInput, MalformedQueryString, ValidationError
from freehold.protocol.validate import BROKEN, Broken
from freehold.protocol.xml_write import escaped

MOST_DEPTH = 32
"""How many dots a field's name may have."""

Reader = Callable[[Any], Any]
_CONTENT_TYPE = ("Content-Type", "text/xml")


class QueryCodec:
    """Parses and serializes one operation; everything is compiled when it is made."""

    def __init__(self, operation: OperationModel) -> None:
        self.operation = operation
        self._input = operation.input
        self._read = Readers(tested=True).of(operation.input) if operation.input else None
        name, wrapper = operation.name, operation.output_wrapper
        self._head = f'<{name}Response xmlns="{escaped(operation.service.xml_namespace)}">'
        self._tail = f"</RequestId></ResponseMetadata></{name}Response>"
        self._open = f"<{wrapper}>" if wrapper else ""
        self._close = f"</{wrapper}>" if wrapper else ""
        self._write = xml_write.Writers("query").contents(operation.output) if operation.output else None

    def parse(self, request: Request, route: Any) -> dict[str, Any]:
        """The operation's parameters from the route's fields. Raises MalformedInput and ValidationError."""
        if self._read is None:
            return {}
        data = folded(route.fields)
        try:
            params: dict[str, Any] = self._read(data)
        except Broken:
            assert self._input is not None
            found = validate.problems(self._input, Readers(tested=False).of(self._input)(data))
            raise ValidationError(validate.message(found)) from None
        return params

    def serialize(self, result: dict[str, Any], request_id: str) -> Response:
        out = [self._head, self._open]
        if self._write is not None:
            self._write(result, out)
        out += (self._close, "<ResponseMetadata><RequestId>", request_id, self._tail)
        return Response(200, [("x-amzn-RequestId", request_id), _CONTENT_TYPE], "".join(out).encode())


def form(request: Request) -> urls.Pairs:
    """The fields of a query-protocol request: of its query string, then of its body."""
    found = urls.fields(request.query_string, MalformedQueryString)
    if request.body:
        try:
            text = request.body.decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedInput("The request body is not a form in UTF-8.") from None
        if not text.isascii():
            text = request.body.decode("latin-1")
        found += urls.fields(text.strip("\r\n"), MalformedInput)
    return found


def folded(pairs: urls.Pairs) -> dict[str, Any]:
    """Dotted names as nested dictionaries whose leaves are texts."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        if "." not in name:
            if name in root:
                raise MalformedInput(f"The parameter {name[:128]} is given twice.")
            root[name] = value
            continue
        parts = name.split(".", MOST_DEPTH + 1)
        if len(parts) > MOST_DEPTH:
            raise MalformedInput(f"The parameter {name[:128]} is nested too deeply.")
        node = root
        for part in parts[:-1]:
            inner = node.setdefault(part, {})
            if type(inner) is not dict:
                raise MalformedInput(f"The parameter {name[:128]} is given as a value and as a structure.")
            node = inner
        if parts[-1] in node:
            raise MalformedInput(f"The parameter {name[:128]} is given twice.")
        node[parts[-1]] = value
    return root


class Readers:
    """Compiled readers of folded fields by shape. With `tested`, they raise Broken at a constraint that fails."""

    def __init__(self, *, tested: bool) -> None:
        self._tested = tested
        self._made: dict[tuple[Shape, bool], Reader] = {}

    def of(self, shape: Shape, flattened: bool = False, reference: Reference | None = None) -> Reader:
        key = (shape, flattened)
        made = self._made.get(key)
        if made is None:
            # A shape that contains itself finds this while it is being made.
            self._made[key] = lambda value: self._made[key](value)
            made = self._made[key] = self._make(shape, flattened)
        return made

    def _make(self, shape: Shape, flattened: bool) -> Reader:
        test = validate.holds(shape) if self._tested else None
        if shape.type == "structure":
            return self._structure(shape)
        if shape.type == "list":
            return self._list(shape, flattened, test)
        if shape.type == "map":
            return self._map(shape, flattened, test)
        return scalar(shape, test)

    def _structure(self, shape: Shape) -> Reader:
        readers = {}
        for name, reference in shape.members.items():
            wire = reference.location_name or name
            if reference.flattened and reference.shape.type == "list":
                assert reference.shape.member is not None
                wire = reference.shape.member.location_name or wire
            readers[wire] = (name, self.of(reference.shape, reference.flattened))
        find = readers.get
        required = shape.required if self._tested else ()
        union = shape.union and self._tested

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                if value == "":
                    value = {}
                else:
                    raise MalformedInput("A structure is expected where a value was found.")
            out = {}
            for key, part in value.items():
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

    def _list(self, shape: Shape, flattened: bool, test: validate.Test | None) -> Reader:
        assert shape.member is not None
        element = self.of(shape.member.shape)
        inner = None if flattened else shape.member.location_name or "member"

        def read(value: Any) -> list[Any]:
            out = [element(part) for part in _numbered(value, inner)]
            if test is not None and not test(out):
                raise BROKEN
            return out

        return read

    def _map(self, shape: Shape, flattened: bool, test: validate.Test | None) -> Reader:
        assert shape.key is not None
        assert shape.value is not None
        read_key, read_value = self.of(shape.key.shape), self.of(shape.value.shape)
        key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"
        inner = None if flattened else "entry"

        def read(value: Any) -> dict[str, Any]:
            out = {}
            for entry in _numbered(value, inner):
                if type(entry) is not dict or key_name not in entry or value_name not in entry:
                    raise MalformedInput("A map's entry has a key and a value.")
                key = read_key(entry[key_name])
                if key in out:
                    raise MalformedInput("A map's key is given twice.")
                out[key] = read_value(entry[value_name])
            if test is not None and not test(out):
                raise BROKEN
            return out

        return read


def _numbered(value: Any, inner: str | None) -> list[Any]:
    """The parts of `{"1": a, "2": b}` (under `inner`, if any) by number; an empty text is an empty list."""
    if type(value) is dict and inner is not None:
        value = value.get(inner, "")
    if value == "":
        return []
    if type(value) is not dict:
        raise MalformedInput("A list is expected where a value was found.")
    numbers = {}
    for number in value:
        if not (number.isascii() and number.isdigit() and len(number) < 9):
            raise MalformedInput("The members of a list are numbered from 1.")
        numbers[int(number)] = value[number]
    if len(numbers) != len(value):
        raise MalformedInput("A member of a list is given twice.")
    return [numbers[number] for number in sorted(numbers)]


def scalar(shape: Shape, test: validate.Test | None) -> Reader:
    """A reader of text into a value that has no parts."""
    convert = _CONVERTERS.get(shape.type)

    def read(value: Any) -> Any:
        if type(value) is not str:
            raise MalformedInput("A value is expected where a structure was found.")
        out: Any = value
        if convert is not None:
            try:
                out = convert(value)
            except ValueError:
                raise MalformedInput(f"A parameter is not a valid {shape.type}.") from None
        if test is not None and not test(out):
            raise BROKEN
        return out

    return read


def _boolean(text: str) -> bool:
    if text == "true" or text == "false":
        return text == "true"
    lower = text.lower()
    if lower not in ("true", "false"):
        raise ValueError("neither true nor false")
    return lower == "true"


def integer(bits: int) -> Callable[[str], int]:
    """Reads a whole number of so many bits (without the sign). Raises ValueError."""
    limit = 1 << bits

    def read(text: str) -> int:
        digits = text[1:] if text[:1] in ("-", "+") else text
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
            raise ValueError("not a whole number")
        value = int(text)
        if not -limit <= value < limit:
            raise ValueError("out of range")
        return value

    return read


def _number(text: str) -> float:
    if len(text) > 64 or "_" in text:
        raise ValueError("not a number")
    return float(text)


def _blob(text: str) -> bytes:
    return a2b_base64(text, strict_mode=True)


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": integer(31),
    "long": integer(63),
    "float": _number,
    "double": _number,
    "blob": _blob,
    "timestamp": timestamps.from_text,
}


def serialize_error(service: ServiceModel | None, error: AwsError, request_id: str) -> Response:
    """`<ErrorResponse><Error><Type>Sender</Type><Code/><Message/></Error><RequestId/></ErrorResponse>`."""
    namespace = service.xml_namespace if service is not None else ""
    fault = "Sender" if error.status < 500 else "Receiver"
    out = [f'<ErrorResponse xmlns="{escaped(namespace)}"><Error><Type>{fault}</Type><Code>{escaped(error.code)}</Code>']
    out.append(f"<Message>{escaped(error.message)}</Message>")
    shape = service.error_shape(error.code) if service is not None else None
    if shape is not None and error.members:
        modelled = {name: value for name, value in error.members.items() if name.lower() != "message"}
        xml_write.Writers("query").contents(shape)(modelled, out)
    out.append(f"</Error><RequestId>{escaped(request_id)}</RequestId></ErrorResponse>")
    return Response(error.status, [("x-amzn-RequestId", request_id), _CONTENT_TYPE], "".join(out).encode())
