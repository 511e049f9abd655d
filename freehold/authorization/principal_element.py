"""The Principal and NotPrincipal elements, and by which of its names a caller is meant.

How a resource-based policy names a caller decides which other policies can still limit it in the same account:

    DIRECT     the user's or the session's own ARN, or everyone (`*`): no implicit deny of another policy limits it
    LIMITED    the role behind a session (or the user behind a federated session): boundary and session policies do
    ACCOUNT    the caller's account: only delegates, an identity-based policy has to allow as well

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from freehold.authorization.principal import Principal

_IAM_ARN = re.compile(r"arn:aws[a-z-]{0,20}:iam::(\d{12}|cloudfront):(root|(?:user|role)/[^*?$]{1,600})", re.DOTALL)
_STS_ARN = re.compile(r"arn:aws[a-z-]{0,20}:sts::\d{12}:(?:assumed-role/[^*?$/]+/[^*?$/]+|federated-user/[^*?$/]+)")
_SERVICE_LINKED = "role/aws-service-role/"
_ACCOUNT_ID = re.compile(r"\d{12}", re.ASCII)
_UNIQUE_ID = re.compile(r"A[A-Z0-9]{15,127}(:[\w+=,.@-]{2,64})?", re.ASCII)
"""`AIDA…`, `AROA…`, or one session of a role: `AROA…:session`."""
_SERVICE = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
_FEDERATED = re.compile(r"[^*?$\s]{1,2048}")
_CANONICAL = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class Named(IntEnum):
    """How a caller was named, weakest first."""

    NOT = 0
    ACCOUNT = 1
    LIMITED = 2
    DIRECT = 3


class BadPrincipal(ValueError):
    """A Principal element that names nobody who could exist."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal reduced to the names by which policies can mean it."""

    principal: Principal
    kind: str
    account_id: str
    """Empty for services, identity providers, anonymous callers and the operator."""
    direct: frozenset[str]
    limited: frozenset[str]
    is_root: bool
    service_linked: bool
    root_behind: bool
    """A federated session that the account's root user started: it is limited by its session policy alone."""


def canonical_id(account_id: str) -> str:
    """The account's canonical user id, S3's other name for it: 64 hexadecimal digits that follow from its id."""
    return hashlib.sha256(b"freehold canonical user " + account_id.encode()).hexdigest()


def caller(principal: Principal) -> Caller:
    """The names of a principal. Costs a microsecond or two: hold on to it."""
    kind = principal.kind
    direct = {principal.arn, principal.unique_id}
    limited: set[str] = set()
    account_id = principal.account_id if kind in ("root", "user", "role", "federated-user") else ""
    session = principal.session
    issuer_id = session.issuer_unique_id if session is not None else ""
    if kind == "role":
        if ":role/" in principal.arn:
            direct.clear()
        limited = {principal.issuer_arn or principal.arn, issuer_id, principal.unique_id.partition(":")[0]}
    elif kind == "federated-user":
        limited = {principal.issuer_arn, issuer_id}
    elif kind in ("service", "federated"):
        direct = {principal.name}
    elif kind in ("root", "anonymous", "operator"):
        direct.clear()
    behind = principal.issuer_arn
    return Caller(
        principal,
        kind,
        account_id,
        frozenset(direct - {""}),
        frozenset(limited - {""}),
        kind == "root",
        kind == "role" and behind.split(":", 5)[-1].startswith(_SERVICE_LINKED),
        kind == "federated-user" and (behind.endswith(":root") or (issuer_id == account_id and bool(issuer_id))),
    )


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """A parsed Principal, or NotPrincipal when `inverted`."""

    everyone: bool = False
    """`"*"`: every caller."""
    every_aws: bool = False
    """`{"AWS": "*"}`: every caller with AWS credentials, and anonymous ones."""
    accounts: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    """ARNs and unique ids."""
    services: frozenset[str] = frozenset()
    federated: frozenset[str] = frozenset()
    canonical: frozenset[str] = frozenset()
    inverted: bool = False

    def names_for_allow(self, who: Caller) -> Named:
        """How an `Allow` statement means the caller."""
        kind = who.kind
        if self.everyone:
            return Named.DIRECT
        if kind == "service":
            return Named.DIRECT if _among(who, self.services) else Named.NOT
        if kind == "federated":
            return Named.DIRECT if _among(who, self.federated) else Named.NOT
        if self.every_aws:
            return Named.DIRECT
        if not self.names.isdisjoint(who.direct):
            return Named.DIRECT
        if not self.names.isdisjoint(who.limited):
            return Named.LIMITED
        if who.account_id and self._account_listed(who):
            return Named.DIRECT if who.is_root else Named.ACCOUNT
        return Named.NOT

    def _account_listed(self, who: Caller) -> bool:
        return who.account_id in self.accounts or (
            bool(self.canonical) and canonical_id(who.account_id) in self.canonical
        )

    def denies(self, who: Caller, *, has_boundary: bool) -> bool:
        """Whether a `Deny` statement means the caller; `{"AWS": "*"}` then means services and providers too."""
        if not self.inverted:
            return self.every_aws or self.names_for_allow(who) is not Named.NOT
        return has_boundary or not self._excepts(who)

    def _excepts(self, who: Caller) -> bool:
        """Whether NotPrincipal leaves the caller out.

        AWS checks the account, then the role, then the session, and each must be listed:
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
        """
        if self.everyone or self.every_aws or not who.account_id:
            return self.names_for_allow(who) is not Named.NOT
        if not self._account_listed(who):
            return False
        inside = [name for name in self.names if f":{who.account_id}:" in name or not name.startswith("arn:")]
        if who.is_root or not inside:
            return True
        if not self.names.isdisjoint(who.direct):
            return not who.limited or who.kind != "role" or not self.names.isdisjoint(who.limited)
        if self.names.isdisjoint(who.limited):
            return False
        # The role is listed: all of its sessions are meant, unless sessions of it are listed by name.
        role_name = who.principal.name or who.principal.arn.rpartition("/")[2]
        role_ids = tuple(f"{name}:" for name in who.limited if not name.startswith("arn:"))
        return not any(f":assumed-role/{role_name}/" in name or name.startswith(role_ids) for name in inside)


def _among(who: Caller, listed: frozenset[str]) -> bool:
    return "*" in listed or not listed.isdisjoint(who.direct)


def parse(element: Any, *, inverted: bool = False) -> PrincipalElement:
    """The typed element. Raises BadPrincipal."""
    if element == "*":
        return PrincipalElement(everyone=True, inverted=inverted)
    if not isinstance(element, dict) or not element:
        raise BadPrincipal("Invalid principal in policy.")
    every_aws = False
    accounts: set[str] = set()
    names: set[str] = set()
    others: dict[str, frozenset[str]] = {}
    for kind, value in element.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(text, str) for text in values):
            raise BadPrincipal("Invalid principal in policy.")
        if kind == "AWS":
            for text in values:
                if text == "*":
                    every_aws = True
                elif _ACCOUNT_ID.fullmatch(text):
                    accounts.add(text)
                elif (found := _IAM_ARN.fullmatch(text)) is not None:
                    if found[2] == "root":
                        accounts.add(found[1])
                    else:
                        names.add(text)
                elif _STS_ARN.fullmatch(text) or _UNIQUE_ID.fullmatch(text):
                    names.add(text)
                else:
                    raise BadPrincipal(f'Invalid principal in policy: "AWS":"{text[:200]}"')
            continue
        pattern = _OTHER_KINDS.get(kind)
        if pattern is None:
            raise BadPrincipal(f"Invalid principal in policy: unknown principal type {str(kind)[:100]!r}")
        for text in values:
            if not pattern.fullmatch(text) and not (text == "*" and kind != "CanonicalUser"):
                raise BadPrincipal(f'Invalid principal in policy: "{kind}":"{text[:200]}"')
        others[kind] = frozenset(text.lower() if kind == "CanonicalUser" else text for text in values)
    nothing: frozenset[str] = frozenset()
    return PrincipalElement(
        every_aws=every_aws,
        accounts=frozenset(accounts),
        names=frozenset(names),
        services=others.get("Service", nothing),
        federated=others.get("Federated", nothing),
        canonical=others.get("CanonicalUser", nothing),
        inverted=inverted,
    )


_OTHER_KINDS: Final = {"Service": _SERVICE, "Federated": _FEDERATED, "CanonicalUser": _CANONICAL}
