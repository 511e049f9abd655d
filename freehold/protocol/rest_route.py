"""Which operation of a REST service a method, a path and a query mean (S3's: service, bucket and object level).

Operations of one method and level are told apart by the literals in their request URI (`?uploads`, `list-type=2`);
where those are the same, by required query members (`uploadId`) and by the copy source's header. A marker that the
chosen operation doesn't know is refused, never ignored: `PUT /b/k?acl&tagging` is not an upload.
"""

from __future__ import annotations

from freehold.protocol.models import ServiceModel
from freehold.protocol.refusals import InvalidArgument, MethodNotAllowed

_COPY_SOURCE = "x-amz-copy-source"

SHADOWED = frozenset(
    (
        "GetBucketLifecycle",
        "GetBucketNotification",
        "ListDirectoryBuckets",
        "PutBucketLifecycle",
        "PutBucketNotification",
        "WriteGetObjectResponse",
    )
)
"""Deprecated operations and those of other endpoints, whose requests look like another's."""


class Candidate:
    """One operation and what tells it from its neighbours."""

    __slots__ = ("known", "literals", "name", "needs_copy_source", "required")

    def __init__(self, name: str, literals: dict[str, str], required: set[str], known: set[str], copy: bool) -> None:
        self.name = name
        self.literals = literals
        self.required = required
        self.known = known
        self.needs_copy_source = copy

    @property
    def weight(self) -> int:
        return len(self.required) + self.needs_copy_source


class Level:
    """The operations of one method at one level."""

    __slots__ = ("candidates", "markers", "plain")

    def __init__(self) -> None:
        self.candidates: list[Candidate] = []
        self.markers: frozenset[str] = frozenset()
        self.plain: str | None = None
        """The operation of a request with no marker and no copy source."""


class Table:
    """The compiled routes of one service."""

    def __init__(self, service: ServiceModel) -> None:
        self._levels: dict[tuple[str, str], Level] = {}
        markers: dict[str, set[str]] = {}
        for name, method, uri in service.operation_uris():
            if name in SHADOWED:
                continue
            path, _, query = uri.partition("?")
            literals = dict(_literal(part) for part in query.split("&") if part)
            shape = service.operations[name].input
            in_query: dict[str, str] = {}
            if shape is not None:
                for one, part in shape.members.items():
                    if part.location == "querystring":
                        in_query[one] = part.location_name or one
            required = {in_query[one] for one in (shape.required if shape is not None else ()) if one in in_query}
            copy = shape is not None and any(one.location_name == _COPY_SOURCE for one in shape.members.values())
            candidate = Candidate(name, literals, required, {*in_query.values(), *literals}, copy)
            self._levels.setdefault((method, path), Level()).candidates.append(candidate)
            markers.setdefault(path, set()).update(literals)
        for (_, path), level in self._levels.items():
            self._finish(level, markers[path])

    @staticmethod
    def _finish(level: Level, markers_of_path: set[str]) -> None:
        level.candidates.sort(key=lambda one: (len(one.literals), one.weight), reverse=True)
        markers = markers_of_path.union(*(one.required for one in level.candidates))
        level.markers = frozenset(markers)
        plain = [one for one in level.candidates if not one.literals and not one.weight]
        level.plain = plain[0].name if plain else None

    def operation(self, method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> str:
        """The operation's name. Raises MethodNotAllowed or InvalidArgument."""
        level = self._levels.get((method, path))
        if level is None:
            raise MethodNotAllowed(Method=method[:32])
        if level.plain is not None and _COPY_SOURCE not in headers and level.markers.isdisjoint(query):
            return level.plain
        chosen = self._choose(level, query, _COPY_SOURCE in headers)
        if chosen is None:
            raise MethodNotAllowed(Method=method[:32])
        unknown = sorted(name for name in query if name in level.markers and name not in chosen.known)
        if unknown:
            for name in unknown:
                if any(one.literals.get(name) for one in level.candidates):
                    raise InvalidArgument(f"The value of {name} is not valid.", ArgumentName=name)
            if not chosen.literals:
                raise MethodNotAllowed(Method=method[:32])
            names = ", ".join(sorted([*chosen.literals, *unknown]))
            raise InvalidArgument(f"Conflicting query string parameters: {names}", ArgumentName="ResourceType")
        return chosen.name

    @staticmethod
    def _choose(level: Level, query: dict[str, str], copies: bool) -> Candidate | None:
        fallback: Candidate | None = None
        for candidate in level.candidates:
            if fallback is not None and len(candidate.literals) < len(fallback.literals):
                break
            if all(name in query and (not value or query[name] == value) for name, value in candidate.literals.items()):
                if (copies or not candidate.needs_copy_source) and candidate.required <= query.keys():
                    return candidate
                if not candidate.needs_copy_source:
                    fallback = candidate
        return fallback


def _literal(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name, value
