"""Replies of rest-xml operations: status, headers, and an XML document or a body that passes through.

S3's root elements come from `s3_names`. A header's value never splits a header.
"""

from __future__ import annotations

import secrets
from binascii import b2a_base64
from collections.abc import Callable
from typing import Any

from freehold.message import Response
from freehold.protocol import s3_names, timestamps, xml_write
from freehold.protocol.models import OperationModel, Reference, Shape
from freehold.protocol.xml_write import escaped

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
XML = ("Content-Type", "application/xml")
HOST_ID = ("x-amz-id-2", b2a_base64(secrets.token_bytes(48), newline=False).decode("ascii"))


class Reply:
    """Serializes one operation's results."""

    def __init__(self, operation: OperationModel) -> None:
        self._status = operation.response_code
        self._partial = operation.service.name == "s3" and operation.name in s3_names.PARTIAL_CONTENT
        self._headers: dict[str, tuple[str, Callable[[Any], str]]] = {}
        self._prefix: tuple[str, str] | None = None
        self._status_member: str | None = None
        self._raw_payload: str | None = None
        self._xml: Callable[[dict[str, Any]], str] | None = None
        if operation.output is not None:
            self._compile(operation.output, operation)

    def _compile(self, shape: Shape, operation: OperationModel) -> None:
        namespace = operation.service.xml_namespace or s3_names.NAMESPACE
        in_body = False
        for name, reference in shape.members.items():
            wire = reference.location_name or name
            if reference.location == "header":
                self._headers[name] = (wire, _header_text(reference))
            elif reference.location == "headers":
                self._prefix = (wire, name)
            elif reference.location == "statusCode":
                self._status_member = name
            else:
                in_body = True
        if shape.payload is not None:
            reference = shape.members[shape.payload]
            if reference.shape.type in ("blob", "string"):
                self._raw_payload = shape.payload
            elif not reference.shape.eventstream:
                root = reference.location_name or reference.shape.location_name or shape.payload
                self._xml = _document(root, namespace, reference.shape, shape.payload)
        elif operation.name == "GetBucketLocation":
            self._xml = _location_constraint(namespace)
        elif in_body:
            root = s3_names.ROOTS.get(operation.name) or shape.location_name or operation.name + "Result"
            self._xml = _document(root, namespace, shape, None)

    def serialize(self, result: dict[str, Any], request_id: str) -> Response:
        headers = [("x-amz-request-id", request_id), HOST_ID]
        if result:
            find = self._headers.get
            for name, value in result.items():
                header = find(name)
                if header is not None and value is not None:
                    headers.append((header[0], header[1](value)))
            if self._prefix is not None:
                for key, value in (result.get(self._prefix[1]) or {}).items():
                    headers.append((self._prefix[0] + key, header_value(value)))
        status = self._status
        if self._status_member is not None:
            status = result.get(self._status_member) or status
        elif self._partial and result.get("ContentRange") is not None:
            status = 206
        if self._raw_payload is not None:
            body = result.get(self._raw_payload, b"")
            return Response(status, headers, body.encode() if isinstance(body, str) else body)
        if self._xml is None:
            return Response(status, headers, b"")
        document = self._xml(result)
        if not document:
            return Response(status, headers, b"")
        headers.append(XML)
        return Response(status, headers, document.encode())


def _document(root: str, namespace: str, shape: Shape, payload: str | None) -> Callable[[dict[str, Any]], str]:
    contents = xml_write.Writers("rest-xml").contents(shape)
    head, tail = f'{DECLARATION}<{root} xmlns="{escaped(namespace)}">', f"</{root}>"

    def write(result: dict[str, Any]) -> str:
        value = result if payload is None else result.get(payload)
        if value is None:
            return ""
        out = [head]
        contents(value, out)
        out.append(tail)
        return "".join(out)

    return write


def _location_constraint(namespace: str) -> Callable[[dict[str, Any]], str]:
    """GetBucketLocation's answer has no element around its only member."""

    def write(result: dict[str, Any]) -> str:
        text = escaped(result.get("LocationConstraint") or "")
        return f'{DECLARATION}<LocationConstraint xmlns="{escaped(namespace)}">{text}</LocationConstraint>'

    return write


def _header_text(reference: Reference) -> Callable[[Any], str]:
    shape = reference.shape
    if shape.type == "timestamp":
        wanted = reference.timestamp_format
        return timestamps.to_iso8601_milliseconds if wanted == "iso8601" else timestamps.to_http_date
    if shape.type == "boolean":
        return lambda value: "true" if value else "false"
    if shape.type == "list":
        return lambda value: ",".join(header_value(part) for part in value)
    if shape.type == "string":
        return header_value
    return str


def header_value(value: Any) -> str:
    """Text that is safe in a header: no line ends or other controls, and RFC 2047 for what isn't Latin-1."""
    text = value if type(value) is str else str(value)
    if text.isascii() and text.isprintable():
        return text
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return f"=?UTF-8?B?{b2a_base64(text.encode('utf-8', 'replace'), newline=False).decode('ascii')}?="
    return "".join(character if character >= " " and character != "\x7f" else " " for character in text)
