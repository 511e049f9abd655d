"""From a request to its operation: by X-Amz-Target (json), Action (query) or method, path and query (REST).

Which service is meant is said by the credential scope, and where two services sign with one name (`iam`) by the path;
for a request without a scope it is guessed from an external key store proxy's path, the target, the form or else S3.
Raises AwsError with the protocol's
code for what is no operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from freehold.message import Request
from freehold.protocol import hosts, models, query, rest_json_route, urls, xks
from freehold.protocol.models import OperationModel, ServiceModel
from freehold.protocol.refusals import (
    InvalidAction,
    InvalidArgument,
    InvalidUri,
    MissingAction,
    SerializationException,
    UnknownOperationException,
)
from freehold.protocol.rest_route import Table
from freehold.services.operation import SERVED

SHARED_SIGNING_NAMES = {"iam": ("iam-toolbox",)}
"""rest-json services that sign with the name of another service; their paths say that they are meant."""


class Route(NamedTuple):
    """Where a request goes; `service` is the service's name.

    `fields`: the decoded form or query in order. `query`: the same by name, for REST.
    `headers`: the request's, for REST together with `x-amz-` fields that a presigned URL carries in its query.
    """

    service: str
    operation: OperationModel
    path_params: dict[str, str]
    fields: urls.Pairs
    query: dict[str, str]
    headers: dict[str, str]


class Router:
    """Routes for the served services. `s3_hosts`: the hosts under which buckets are sub-domains (see `hosts`)."""

    def __init__(self, services: tuple[str, ...] = SERVED, s3_hosts: tuple[str, ...] = hosts.BASES) -> None:
        self.services = services
        self.bucket_of = hosts.bucket_finder(s3_hosts)
        """The bucket that a Host header names, or None."""
        self._tables: dict[str, Table] = {}
        self._json_tables: dict[str, rest_json_route.Table] = {}
        self._by_prefix: dict[str, str] | None = None

    def meant(self, request: Request, signing_name: str) -> str:
        """The service that a request signed for `signing_name` means. The name is the client's, not yet verified."""
        if request.raw_path != "/" and signing_name != "s3":
            if xks.is_meant(request):
                return xks.SERVICE
            for name in SHARED_SIGNING_NAMES.get(signing_name, ()):
                if name in self.services and self._json_table(models.service(name)).owns(request.raw_path):
                    return name
        return signing_name

    def protocol_of(self, request: Request, service: str | None) -> str:
        """The protocol of the request's service; S3's for what is neither json nor a form."""
        return self._model(service or self.guess(request)).protocol

    def needs_body(self, request: Request, service: str | None) -> bool:
        """Whether `route` reads the request's body: then it has to be there. (Only the query protocol's does.)"""
        return self.protocol_of(request, service) in ("query", "ec2")

    def guess(self, request: Request) -> str:
        """The service that an unsigned request means."""
        if xks.is_meant(request):
            return xks.SERVICE
        target = request.headers.get("x-amz-target")
        if target is not None:
            return self._prefixes().get(target.rpartition(".")[0], "kms")
        content_type = request.headers.get("content-type", "")
        if content_type.startswith("application/x-www-form-urlencoded") and request.method == "POST":
            return self._of_action(query.form(request)) or "sts"
        if "Action=" in request.query_string and request.raw_path == "/":
            return self._of_action(urls.fields(request.query_string, InvalidUri)) or "s3"
        return "s3"

    def route(self, request: Request, service: str | None) -> Route:
        """Where `request` goes. `service`: the one that is `meant`, None for an unsigned request."""
        model = self._model(self.guess(request) if service is None else service)
        return _BY_PROTOCOL[model.protocol](self, model, request)

    def _model(self, name: str) -> ServiceModel:
        # The name comes from the client: what isn't served is never looked up.
        if name not in self.services:
            raise InvalidAction(f"The service {name[:64]} is not served here.")
        return models.service(name)

    def _json(self, model: ServiceModel, request: Request) -> Route:
        prefix, _, name = request.headers.get("x-amz-target", "").rpartition(".")
        if prefix != model.target_prefix or name not in model.operations or request.method != "POST":
            raise UnknownOperationException()
        return Route(model.name, model.operations[name], {}, [], {}, request.headers)

    def _query(self, model: ServiceModel, request: Request) -> Route:
        fields = query.form(request)
        action = version = ""
        for name, value in fields:
            if name == "Action":
                action = value
            elif name == "Version":
                version = value
        if not action:
            raise MissingAction()
        if action not in model.operations or (version and version != model.api_version):
            raise InvalidAction(f"Could not find operation {action[:128]} for version {version[:32] or 'NO_VERSION'}")
        return Route(model.name, model.operations[action], {}, fields, {}, request.headers)

    def _rest_xml(self, model: ServiceModel, request: Request) -> Route:
        table = self._tables.get(model.name)
        if table is None:
            table = self._tables[model.name] = Table(model)
        raw = request.raw_path
        if raw[:1] != "/":
            raise InvalidUri()
        bucket = self.bucket_of(request.headers.get("host", ""))
        if bucket is None:
            encoded, _, key = raw[1:].partition("/")
            bucket = urls.decoded(encoded, InvalidUri)
        else:
            key = raw[1:]
        if key:
            path, params = "/{Bucket}/{Key+}", {"Bucket": bucket, "Key": urls.decoded(key, InvalidUri)}
        elif bucket:
            path, params = "/{Bucket}", {"Bucket": bucket}
        else:
            path, params = "/", {}
        if key and not bucket:
            raise InvalidUri()
        fields = urls.fields(request.query_string, InvalidUri)
        headers = request.headers
        by_name = dict(fields)
        if len(by_name) != len(fields):
            raise InvalidArgument("A query string parameter is given twice.")
        if fields:
            headers = _with_hoisted(fields, "AWSAccessKeyId" in by_name, headers)
        operation = model.operations[table.operation(request.method, path, by_name, headers)]
        return Route(model.name, operation, params, fields, by_name, headers)

    def _rest_json(self, model: ServiceModel, request: Request) -> Route:
        path = request.raw_path
        if model.name == xks.SERVICE:
            path = xks.own_path(request.method, path, request.query_string)
        fields = urls.fields(request.query_string, SerializationException)
        table = self._json_table(model)
        name, labels = table.operation(request.method, path, dict(fields))
        return Route(model.name, model.operations[name], labels, fields, {}, request.headers)

    def _json_table(self, model: ServiceModel) -> rest_json_route.Table:
        table = self._json_tables.get(model.name)
        if table is None:
            table = self._json_tables[model.name] = rest_json_route.Table(model)
        return table

    def _prefixes(self) -> dict[str, str]:
        if self._by_prefix is None:
            made = [models.service(name) for name in self.services]
            self._by_prefix = {model.target_prefix: model.name for model in made if model.target_prefix}
        return self._by_prefix

    def _of_action(self, fields: urls.Pairs) -> str | None:
        action = dict(fields).get("Action", "")
        for name in self.services:
            model = models.service(name)
            if model.protocol in ("query", "ec2") and action in model.operations:
                return name
        return None


_SIGNING_FIELDS = frozenset(
    (
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    )
)


_IGNORED_IN_QUERIES = frozenset(
    (
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-md5",
        "x-amz-checksum-sha1",
        "x-amz-checksum-sha256",
        "x-amz-checksum-sha512",
        "x-amz-checksum-xxhash128",
        "x-amz-checksum-xxhash3",
        "x-amz-checksum-xxhash64",
        "x-amz-sdk-checksum-algorithm",
    )
)
"""A checksum counts as a header only. S3 signs the parameter and looks no further, and it has to: the presigner of the
JavaScript SDK puts the checksum of an empty body into every URL for an upload.
https://github.com/localstack/localstack/pull/12164"""


_MOVED_BY_VERSION_2 = frozenset(("content-md5", "content-type"))
"""Headers that only presigners of signature version 2 move into the query."""


def _with_hoisted(fields: urls.Pairs, version_2: bool, headers: dict[str, str]) -> dict[str, str]:
    """The headers with those that a presigner moved into the query; the header itself wins where both are there."""
    hoisted = {}
    for name, value in fields:
        lowered = name.lower()
        if version_2 and lowered in _MOVED_BY_VERSION_2:
            hoisted[lowered] = value
        if lowered[:6] == "x-amz-" and lowered not in _SIGNING_FIELDS and lowered not in _IGNORED_IN_QUERIES:
            hoisted[lowered] = value
    return {**hoisted, **headers} if hoisted else headers


_BY_PROTOCOL: dict[str, Callable[[Router, ServiceModel, Request], Route]] = {
    "json": Router._json,
    "query": Router._query,
    "rest-json": Router._rest_json,
    "rest-xml": Router._rest_xml,
}

_default = Router()
route = _default.route
needs_body = _default.needs_body
