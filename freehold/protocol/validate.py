"""The constraints of a model's shapes: a quick test for the hot path, and AWS's words for what fails it.

Codecs use `holds` while they parse and raise `Broken` at the first failure; then they parse again without tests and
`problems` lists all that is wrong, as AWS does: "2 validation errors detected: Value 'x' at 'keySpec' failed to
satisfy constraint: Member must satisfy enum value set: [...]; ...". Types are the codecs' own matter.
https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from freehold.protocol.models import Reference, Shape

Test = Callable[[Any], bool]

# Java reads surrogate pairs in a class as the character that they make.
_SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")


class Matcher(Protocol):
    """A compiled pattern of `re` or of `regex`."""

    def fullmatch(self, string: str, /) -> Any: ...


class Broken(Exception):
    """Some constraint fails; which ones, `problems` says."""


BROKEN = Broken()


@cache
def pattern(source: str) -> Matcher | None:
    """A model's Java-flavoured pattern for `fullmatch`, None for one that has no Python equivalent."""
    source = source.replace(*_SURROGATES)
    if r"\p{" in source:
        # `re` has no character properties. Imported where one is met: few operations have such a pattern.
        import regex

        try:
            made: Matcher = regex.compile(source)
            return made
        except regex.error:
            return None
    try:
        return re.compile(source, re.ASCII)
    except re.error:
        return None


def holds(shape: Shape) -> Test | None:
    """A test of the constraints on one value's own (not its parts'), None when there are none."""
    if shape.type in _LENGTHY:
        low, high = shape.min, shape.max
        if shape.enum:
            return frozenset(shape.enum).__contains__
        length = _length_test(low or 0, high)
        if shape.pattern is None or shape.type != "string":
            return length
        return _pattern_test(shape.pattern, low or 0, high)
    if shape.type in _NUMERIC and (shape.min is not None or shape.max is not None):
        at_least = float("-inf") if shape.min is None else shape.min
        at_most = float("inf") if shape.max is None else shape.max
        return lambda value: at_least <= value <= at_most
    return None


_LENGTHY = frozenset(("string", "blob", "list", "map"))
_NUMERIC = frozenset(("integer", "long", "short", "byte", "float", "double"))


def _length_test(low: float, high: float | None) -> Test | None:
    if high is None:
        return (lambda value: len(value) >= low) if low > 0 else None
    limit = high
    return lambda value: low <= len(value) <= limit


def _pattern_test(source: str, low: float, high: float | None) -> Test:
    limit = float("inf") if high is None else high
    match: Callable[[str], Any] | None = None
    unmatched = False

    def holds(value: str) -> bool:
        nonlocal match, unmatched
        if not low <= len(value) <= limit:
            return False
        if match is None:
            if unmatched:
                return True
            compiled = pattern(source)
            if compiled is None:
                unmatched = True
                return True
            match = compiled.fullmatch
        return match(value) is not None

    return holds


def problems(shape: Shape, value: Any, *, most: int = 20) -> list[str]:
    """What is wrong with a parsed value, in AWS's words; at most `most` of it. Empty when all holds."""
    found: list[str] = []
    _visit(shape, value, "", shape.sensitive, found)
    return found[:most]


def message(found: list[str]) -> str:
    """The message of a ValidationException for these problems."""
    plural = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {plural} detected: " + "; ".join(found)


def _visit(shape: Shape, value: Any, path: str, sensitive: bool, found: list[str]) -> None:
    if shape.document:
        return
    for constraint in _broken(shape, value):
        found.append(f"{_shown(shape, value, path, sensitive)} failed to satisfy constraint: {constraint}")
    if shape.type == "structure":
        _visit_structure(shape, value, path, found)
    elif shape.type == "list" and shape.member is not None:
        _visit_list(shape.member, value, path, found)
    elif shape.type == "map" and shape.key is not None and shape.value is not None:
        for part, element in [(shape.key, key) for key in value] + [(shape.value, item) for item in value.values()]:
            _visit(part.shape, element, f"{path}.{'key' if part is shape.key else 'value'}", part.sensitive, found)


def _visit_structure(shape: Shape, value: Any, path: str, found: list[str]) -> None:
    prefix = path + "." if path else ""
    for name in shape.required:
        if name not in value:
            where = prefix + _camel(name)
            found.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")
    for name, part in value.items():
        reference = shape.members.get(name)
        if reference is not None and not reference.json_value:
            _visit(reference.shape, part, prefix + _camel(name), reference.sensitive, found)


def _visit_list(member: Reference, value: Any, path: str, found: list[str]) -> None:
    if member.shape.type in ("structure", "list", "map"):
        for number, element in enumerate(value, 1):
            _visit(member.shape, element, f"{path}.{number}.member", member.sensitive, found)
        return
    constraints = {text for element in value for text in _broken(member.shape, element)}
    if constraints:
        shown = f"Value at '{path}'" if member.sensitive else f"Value '[{', '.join(map(str, value))}]' at '{path}'"
        inner = ", ".join(sorted(constraints))
        found.append(f"{shown} failed to satisfy constraint: Member must satisfy constraint: [{inner}]")


def _broken(shape: Shape, value: Any) -> list[str]:
    if shape.type == "structure":
        if shape.union and len(value) != 1:
            return ["Member must have exactly one of its members set"]
        return []
    if shape.enum:
        if value in shape.enum:
            return []
        return [f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"]
    if shape.type in _NUMERIC:
        size, noun = value, "value"
    elif shape.type in _LENGTHY:
        size, noun = len(value), "length"
    else:
        return []
    found = []
    if shape.max is not None and size > shape.max:
        found.append(f"Member must have {noun} less than or equal to {shape.max}")
    if shape.min is not None and size < shape.min:
        found.append(f"Member must have {noun} greater than or equal to {shape.min}")
    if shape.pattern is not None and shape.type == "string":
        compiled = pattern(shape.pattern)
        if compiled is not None and compiled.fullmatch(value) is None:
            found.append(f"Member must satisfy regular expression pattern: {shape.pattern}")
    return found


def _shown(shape: Shape, value: Any, path: str, sensitive: bool) -> str:
    if sensitive or shape.type == "structure" or _holds_secrets(shape, frozenset()):
        return f"Value at '{path}'"
    if shape.type == "blob":
        return f"Value 'java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]' at '{path}'"
    if shape.type == "list":
        return f"Value '[{', '.join(map(str, value))[:2048]}]' at '{path}'"
    return f"Value '{str(value)[:2048]}' at '{path}'"


def _holds_secrets(shape: Shape, seen: frozenset[str]) -> bool:
    """Whether a list's or a map's parts, at any depth, are sensitive."""
    if shape.name in seen:
        return False
    parts = [part for part in (shape.member, shape.key, shape.value) if part is not None]
    parts += shape.members.values()
    return any(part.sensitive or _holds_secrets(part.shape, seen | {shape.name}) for part in parts)


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
