"""The rest-xml protocol: members in the path, the query, headers and an XML (or opaque) body.

A streaming body is left to the pipeline; everything else is parsed and validated here. Bad headers and query
parameters are InvalidArgument, bad bodies MalformedXML. Unknown headers and query parameters are ignored, as S3 does;
an element that the model doesn't know is refused, as S3's schema does.
https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from freehold.errors import AwsError
from freehold.message import Request, Response
from freehold.protocol import query, s3_names, validate, xml_read
from freehold.protocol.models import OperationModel, Reference, ServiceModel, Shape
from freehold.protocol.refusals import (
    InvalidArgument,
    InvalidRequest,
    MalformedInput,
    MalformedXml,
    MissingRequestBody,
)
from freehold.protocol.rest_reply import DECLARATION, HOST_ID, XML, Reply
from freehold.protocol.validate import BROKEN, Broken
from freehold.protocol.xml_read import Node
from freehold.protocol.xml_write import escaped

TextReader = Callable[[str], Any]
NodeReader = Callable[[Node], Any]


class RestXmlCodec:
    """Parses and serializes one operation; everything is compiled when it is made."""

    def __init__(self, operation: OperationModel) -> None:
        self.operation = operation
        self._headers: dict[str, tuple[str, TextReader]] = {}
        self._query: dict[str, tuple[str, TextReader, bool]] = {}
        self._prefix: tuple[str, str] | None = None
        self._required: list[tuple[str, AwsError]] = []
        self._body: Callable[[bytes, dict[str, Any]], None] | None = None
        if operation.input is not None:
            self._compile_input(operation.input)
        self._reply = Reply(operation)

    def parse(self, request: Request, route: Any) -> dict[str, Any]:
        """The operation's parameters but for a streaming body. Raises InvalidArgument, MalformedXML …"""
        out: dict[str, Any] = dict(route.path_params)
        find = self._headers.get
        prefix = self._prefix
        for name, value in route.headers.items():
            found = find(name)
            if found is not None:
                out[found[0]] = found[1](value)
            elif prefix is not None and name.startswith(prefix[0]):
                out.setdefault(prefix[1], {})[name[len(prefix[0]) :]] = value
        if route.query:
            find_argument = self._query.get
            for name, value in route.query.items():
                argument = find_argument(name)
                if argument is not None and (value or argument[2]):
                    out[argument[0]] = argument[1](value)
        if self._body is not None:
            self._body(request.body, out)
        for member, refusal in self._required:
            if member not in out:
                raise type(refusal)(refusal.message)
        return out

    def serialize(self, result: dict[str, Any], request_id: str) -> Response:
        return self._reply.serialize(result, request_id)

    def _compile_input(self, shape: Shape) -> None:
        for name, reference in shape.members.items():
            wire = reference.location_name or name
            if reference.location == "header":
                self._headers[wire.lower()] = (name, _argument(wire.lower(), reference))
            elif reference.location == "headers":
                self._prefix = (wire.lower(), name)
            elif reference.location == "querystring":
                # `max-keys=` is a parameter that isn't given, `prefix=` one that is empty.
                may_be_empty = reference.shape.type == "string" and not reference.shape.enum
                self._query[wire] = (name, _argument(wire, reference), may_be_empty)
        for name in shape.required:
            if name != self.operation.streaming_input:
                self._required.append((name, _missing(name, shape)))
        if shape.payload is not None:
            reference = shape.members[shape.payload]
            if reference.shape.type == "structure":
                self._body = _payload_reader(shape.payload, reference, shape.payload in shape.required)
            elif reference.shape.type == "string":
                self._body = _text_payload_reader(shape.payload)
            # A blob is a streaming body: the pipeline's.
        elif any(reference.location is None for reference in shape.members.values()):
            self._body = _members_reader(shape, self.operation.input_location_name or shape.name)


def _missing(name: str, shape: Shape) -> AwsError:
    reference = shape.members[name]
    wire = reference.location_name or name
    if reference.location in ("header", "headers"):
        return InvalidRequest(f"Missing required header for this request: {wire}")
    if reference.location == "querystring":
        return InvalidArgument(f"Missing required parameter for this request: {wire}")
    return MissingRequestBody()


# --- arguments: headers and query parameters --------------------------------------------------------------------


def _argument(wire: str, reference: Reference) -> TextReader:
    shape = reference.shape
    if shape.type == "list":
        return _argument_list(wire, shape)
    test = None if shape.name in s3_names.UNTESTED else validate.holds(shape)
    if shape.type == "string" and test is None:
        return str
    convert = query.scalar(shape, test)
    plain = shape.type == "string"

    def read(value: str) -> Any:
        try:
            return convert(value if plain else value.strip())
        except (MalformedInput, Broken):
            raise s3_names.invalid_argument(wire, value, shape.type) from None

    return read


def _argument_list(wire: str, shape: Shape) -> TextReader:
    assert shape.member is not None
    convert = query.scalar(shape.member.shape, validate.holds(shape.member.shape))

    def read(value: str) -> list[Any]:
        try:
            return [convert(part.strip()) for part in value.split(",") if part.strip()]
        except (MalformedInput, Broken):
            raise s3_names.invalid_argument(wire, value, "list") from None

    return read


# --- bodies -------------------------------------------------------------------------------------------------------


def _payload_reader(name: str, reference: Reference, required: bool) -> Callable[[bytes, dict[str, Any]], None]:
    roots = frozenset((reference.location_name or name, reference.shape.location_name, reference.shape.name))
    read = _NodeReaders().of(reference.shape)

    def read_payload(body: bytes, out: dict[str, Any]) -> None:
        if not body:
            if required:
                raise MissingRequestBody()
            return
        out[name] = _read_root(body, roots, read)

    return read_payload


def _text_payload_reader(name: str) -> Callable[[bytes, dict[str, Any]], None]:
    def read_payload(body: bytes, out: dict[str, Any]) -> None:
        if body:
            try:
                out[name] = body.decode("utf-8")
            except UnicodeDecodeError:
                raise InvalidArgument("The request body is not text in UTF-8.") from None

    return read_payload


def _members_reader(shape: Shape, root: str) -> Callable[[bytes, dict[str, Any]], None]:
    read = _NodeReaders().of(shape)

    def read_members(body: bytes, out: dict[str, Any]) -> None:
        if body:
            out.update(_read_root(body, frozenset((root, shape.name)), read))

    return read_members


def _read_root(body: bytes, roots: frozenset[str | None], read: NodeReader) -> Any:
    root = xml_read.parse(body)
    if root.name not in roots:
        raise MalformedXml()
    try:
        return read(root)
    except (Broken, MalformedInput, ValueError):
        raise MalformedXml() from None


class _NodeReaders:
    """Compiled readers of XML elements by shape; they raise Broken at whatever the schema doesn't allow."""

    def __init__(self) -> None:
        self._made: dict[Shape, NodeReader] = {}

    def of(self, shape: Shape) -> NodeReader:
        made = self._made.get(shape)
        if made is None:
            # A shape that contains itself finds this while it is being made.
            self._made[shape] = lambda node: self._made[shape](node)
            made = self._made[shape] = self._make(shape)
        return made

    def _make(self, shape: Shape) -> NodeReader:
        test = None if shape.name in s3_names.UNTESTED else validate.holds(shape)
        if shape.type == "structure":
            return self._structure(shape)
        if shape.type == "list":
            return self._list(shape)
        if shape.type == "map":
            return self._map(shape)
        convert = query.scalar(shape, test)
        strip = shape.type != "string"

        def read(node: Node) -> Any:
            if node.children:
                raise BROKEN
            return convert(node.text.strip() if strip else node.text)

        return read

    def _structure(self, shape: Shape) -> NodeReader:
        # In a request to S3, headers and query parameters are members of the same structure.
        inside = {name: part for name, part in shape.members.items() if part.location is None}
        members: dict[str, tuple[str, NodeReader, bool]] = {}
        attributes = []
        for name, reference in inside.items():
            wire = reference.location_name or name
            if reference.xml_attribute:
                attributes.append((wire.rpartition(":")[2], name, query.scalar(reference.shape, None)))
            elif reference.flattened and reference.shape.type == "list":
                assert reference.shape.member is not None
                made = (name, self.of(reference.shape.member.shape), True)
                members[wire] = members[reference.shape.member.location_name or wire] = made
            else:
                members[wire] = (name, self.of(reference.shape), False)
        required = [name for name in shape.required if name in inside]
        union = shape.union
        find = members.get

        def read(node: Node) -> dict[str, Any]:
            out: dict[str, Any] = {}
            if node.attributes:
                for wire, name, convert in attributes:
                    if wire in node.attributes:
                        out[name] = convert(node.attributes[wire])
            for child in node.children:
                found = find(child.name)
                if found is None:
                    raise BROKEN
                name, read_child, many = found
                if many:
                    out.setdefault(name, []).append(read_child(child))
                elif name in out:
                    raise BROKEN
                else:
                    out[name] = read_child(child)
            if node.text and not node.text.isspace():
                raise BROKEN
            for name in required:
                if name not in out:
                    raise BROKEN
            if union and len(out) != 1:
                raise BROKEN
            return out

        return read

    def _list(self, shape: Shape) -> NodeReader:
        assert shape.member is not None
        wire = shape.member.location_name or "member"
        element = self.of(shape.member.shape)

        def read(node: Node) -> list[Any]:
            if any(child.name != wire for child in node.children):
                raise BROKEN
            return [element(child) for child in node.children]

        return read

    def _map(self, shape: Shape) -> NodeReader:
        assert shape.key is not None
        assert shape.value is not None
        key_wire, value_wire = shape.key.location_name or "key", shape.value.location_name or "value"
        read_key, read_value = self.of(shape.key.shape), self.of(shape.value.shape)

        def read(node: Node) -> dict[str, Any]:
            out = {}
            for entry in node.children:
                parts = {child.name: child for child in entry.children}
                if set(parts) != {key_wire, value_wire}:
                    raise BROKEN
                out[read_key(parts[key_wire])] = read_value(parts[value_wire])
            return out

        return read


def serialize_error(service: ServiceModel | None, error: AwsError, request_id: str, *, bare: bool = False) -> Response:
    """`<Error><Code/><Message/>…<RequestId/><HostId/></Error>`; `bare` (a HEAD request) leaves the body out."""
    headers = [("x-amz-request-id", request_id), HOST_ID]
    if bare or error.status == 304:
        return Response(error.status, headers, b"")
    out = [f"{DECLARATION}<Error><Code>{escaped(error.code)}</Code><Message>{escaped(error.message)}</Message>"]
    for name, value in error.members.items():
        if value is not None:
            out.append(f"<{name}>{escaped(str(value))}</{name}>")
    out.append(f"<RequestId>{escaped(request_id)}</RequestId><HostId>{HOST_ID[1]}</HostId></Error>")
    headers.append(XML)
    return Response(error.status, headers, "".join(out).encode())
