"""Patterns with `*` and `?`: parsing, policy variables in them, and matching in time linear in the text.

Two kinds of matching exist. A *text* pattern (`StringLike`, actions) lets `*` and `?` match any character. An *ARN*
pattern (`Resource`) keeps them within one colon-separated segment, except that a `*` which ends a segment runs on
past the colon. Text that comes from a policy variable is always literal: a tag value `*` matches only an asterisk.

No regular expressions: a pattern that is more than a prefix, a suffix and pieces between asterisks is run as a
bit-parallel automaton, whose time doesn't depend on how the asterisks could be distributed.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from freehold.authorization import effort
from freehold.authorization.keeping import are_small, kept


class Variable(NamedTuple):
    """`${key, 'default'}`: the context key in lower case, and the default, None without one."""

    key: str
    default: str | None


class _Wildcard:
    __slots__ = ("_sign",)

    def __init__(self, sign: str) -> None:
        self._sign = sign

    def __repr__(self) -> str:
        return self._sign


STAR: Final = _Wildcard("*")
ONE: Final = _Wildcard("?")

Part: TypeAlias = str | Variable | _Wildcard
Template: TypeAlias = tuple[Part, ...]
"""A parsed pattern: literal texts, wildcards and variables; no two literals side by side."""
Test: TypeAlias = Callable[[str], bool]

_LITERALS = {"*": "*", "?": "?", "$": "$"}


class BadPattern(ValueError):
    """A variable that isn't closed, or whose default isn't quoted."""


def parse(text: str, *, variables: bool, wildcards: bool = True) -> Template:
    """The parts of a pattern. `variables` as in Version 2012-10-17; raises BadPattern."""
    parts: list[Part] = []
    literal: list[str] = []

    def end_literal() -> None:
        if literal:
            parts.append("".join(literal))
            literal.clear()

    position, end = 0, len(text)
    while position < end:
        char = text[position]
        if variables and char == "$" and text.startswith("{", position + 1):
            close = text.find("}", position + 2)
            if close < 0:
                raise BadPattern(f"The policy variable in {text[:200]!r} is not closed.")
            found = _variable(text[position + 2 : close])
            if isinstance(found, str):
                literal.append(found)
            else:
                end_literal()
                parts.append(found)
            position = close + 1
            continue
        if wildcards and char in "*?":
            end_literal()
            if char == "?":
                parts.append(ONE)
            elif not parts or parts[-1] is not STAR:
                parts.append(STAR)
        else:
            literal.append(char)
        position += 1
    end_literal()
    return tuple(parts)


def _variable(inside: str) -> str | Variable:
    if inside in _LITERALS:
        return _LITERALS[inside]
    key, comma, default = inside.partition(",")
    key = key.strip().lower()
    if not key:
        raise BadPattern("A policy variable has no name.")
    if not comma:
        return Variable(key, None)
    default = default.strip()
    if len(default) < 2 or default[0] != "'" or default[-1] != "'":
        raise BadPattern(f"The default of the policy variable {key[:200]} is not in single quotes.")
    return Variable(key, default[1:-1])


def variable_keys(template: Template) -> frozenset[str]:
    return frozenset(part.key for part in template if isinstance(part, Variable))


def resolve(template: Template, context: Mapping[str, Any]) -> Template | None:
    """The template with its variables replaced by literal text; None when one has no single value."""
    parts: list[Part] = []
    literal: list[str] = []
    for part in template:
        if isinstance(part, Variable):
            value = context[part.key]
            if type(value) is tuple and len(value) == 1:
                value = value[0]
            if not isinstance(value, str):
                if value is not None or part.default is None:
                    return None
                value = part.default
            part = value
        if isinstance(part, str):
            literal.append(part)
            continue
        if any(literal):
            parts.append("".join(literal))
        literal.clear()
        parts.append(part)
    if any(literal):
        parts.append("".join(literal))
    return tuple(parts)


def literal(template: Template) -> str | None:
    """The text of a template without wildcards and variables, else None."""
    if not template:
        return ""
    if len(template) == 1 and isinstance(template[0], str):
        return template[0]
    return None


def prefix(template: Template) -> str | None:
    """The text before a single `*` at the end, when that is all there is."""
    if len(template) == 2 and isinstance(template[0], str) and template[1] is STAR:
        return template[0]
    return "" if template == (STAR,) else None


def is_short(template: Template) -> bool:
    """Whether what is made of a template may be kept by the thousand."""
    return are_small(template, len(template))


@kept(8192, if_small=is_short)
def text_test(template: Template) -> Test:
    """Whether a text matches a resolved template, wildcards crossing everything."""
    return _simple(template) or _Automaton(template, arn=False).matches


@kept(8192, if_small=is_short)
def arn_test(template: Template) -> Test:
    """Whether an ARN matches a resolved template under the rules of the Resource element."""
    simple = _simple(template)
    if simple is not None and not _confined(template):
        return simple
    exact = _Automaton(template, arn=True).matches
    if simple is None:
        return exact
    colons = sum(part.count(":") for part in template if isinstance(part, str))
    plausible = simple

    def matches(text: str) -> bool:
        # Where the text has no more colons than the pattern spells out, no asterisk can have crossed one.
        return plausible(text) and (text.count(":") == colons or exact(text))

    return matches


def complete_arn(template: Template) -> Template:
    """An ARN of fewer than six parts stands for itself with `*` in the missing ones (`arn:aws:sqs`)."""
    if template == (STAR,):
        return template
    missing = 5 - sum(part.count(":") for part in template if isinstance(part, str))
    if missing <= 0:
        return template
    parts = list(template)
    for _ in range(missing):
        if parts and isinstance(parts[-1], str):
            parts[-1] += ":"
        else:
            parts.append(":")
        parts.append(STAR)
    return tuple(parts)


def arn_parts(template: Template) -> tuple[Template, ...] | None:
    """A template cut at its first five literal colons; None when it has fewer."""
    cut: list[list[Part]] = [[]]
    for part in template:
        if not isinstance(part, str):
            cut[-1].append(part)
            continue
        while len(cut) < 6:
            before, colon, after = part.partition(":")
            if not colon:
                break
            if before:
                cut[-1].append(before)
            cut.append([])
            part = after
        if part:
            cut[-1].append(part)
    return tuple(tuple(parts) for parts in cut) if len(cut) == 6 else None


def _simple(template: Template) -> Test | None:
    """A test made of the string methods, for templates without `?`."""
    if ONE in template:
        return None
    if not template:
        return "".__eq__
    pieces = [part for part in template if isinstance(part, str)]
    if STAR not in template:
        return "".join(pieces).__eq__
    starts = pieces.pop(0) if isinstance(template[0], str) else ""
    ends = pieces.pop() if isinstance(template[-1], str) else ""
    if not pieces:
        if not ends:
            return (lambda text: text.startswith(starts)) if starts else (lambda text: True)
        if not starts:
            return lambda text: text.endswith(ends)
    shortest = len(starts) + len(ends)

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(starts) or not text.endswith(ends):
            return False
        position, limit = len(starts), len(text) - len(ends)
        for piece in pieces:
            position = text.find(piece, position, limit)
            if position < 0:
                return False
            position += len(piece)
        return True

    return matches


def _confined(template: Template) -> bool:
    """Whether some wildcard may not cross a colon: any `?`, and each `*` that doesn't end its segment."""
    for part, following in zip(template, (*template[1:], ":"), strict=False):
        if part is ONE or (part is STAR and not (isinstance(following, str) and following.startswith(":"))):
            return True
    return False


class _Automaton:
    """All ways to match at once: bit i of the state says that the first i single tokens have been matched."""

    __slots__ = ("_by_char", "_final", "_one", "_stay", "_stay_on_colon")

    def __init__(self, template: Template, *, arn: bool) -> None:
        by_char: dict[str, int] = {}
        one = stay = stay_on_colon = 0
        bit = 1
        for part, following in zip(template, (*template[1:], ":"), strict=False):
            if part is STAR:
                stay |= bit
                if not arn or (isinstance(following, str) and following.startswith(":")):
                    stay_on_colon |= bit
            elif part is ONE:
                one |= bit
                bit <<= 1
            else:
                for char in str(part):
                    by_char[char] = by_char.get(char, 0) | bit
                    bit <<= 1
        self._final = bit
        self._stay = stay
        self._stay_on_colon = stay_on_colon
        self._one = one
        self._by_char = {char: bits | (0 if arn and char == ":" else one) for char, bits in by_char.items()}
        if arn:
            self._by_char.setdefault(":", 0)

    def matches(self, text: str) -> bool:
        effort.spend(len(text))
        by_char, one, stay = self._by_char, self._one, self._stay
        state = 1
        for char in text:
            kept = self._stay_on_colon if char == ":" else stay
            state = ((state & by_char.get(char, one)) << 1) | (state & kept)
            if not state:
                return False
        return bool(state & self._final)
