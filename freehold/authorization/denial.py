"""What is kept of a denied call: its decisions with their context, and which documents they were made from.

A record names policies by a digest of their text, which is kept once however many denials were made by it. From the
record and the texts the decision can be made again as it was (`situations`). Holds condition keys and policies, no
parameters, no credentials. Refuses nothing and stores nothing: `services/iam_toolbox` keeps the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from freehold.authorization.context_keys import Context
from freehold.authorization.permission import ContextValue, Grant
from freehold.authorization.policy_set import PolicySet
from freehold.authorization.principal import Principal, Session
from freehold.authorization.situation import Document, Situation
from freehold.authorization.statement import Policy

if TYPE_CHECKING:
    from freehold.authorization.decide import Decision
    from freehold.services.call import Call

MOST_DECISIONS: Final = 16
"""The decisions of a call that are kept: the denied one is the last."""
_NONE: Final = -1


class KeptPrincipal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The caller as the decision knows it. Fields are added at the end, with a default, as in all of these."""

    kind: str
    account_id: str
    arn: str
    unique_id: str
    name: str
    issuer_arn: str
    session_kind: str = ""
    session_issuer_id: str = ""
    mfa_at: int = _NONE


class KeptPolicy(msgspec.Struct, array_like=True, frozen=True, gc=False):
    type: str
    origin: str
    digest: bytes
    """The first 16 bytes of the SHA-256 of its text."""


class KeptDecision(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Policies are numbers in `Denial.policies`."""

    action: str
    resource: str
    account_id: str
    kind: str
    result: str
    decided_by: str
    context: dict[str, str | tuple[str, ...]]
    """The keys of this permission alone."""
    identity: tuple[int, ...] = ()
    boundary: int = _NONE
    session: tuple[int, ...] | None = None
    scps: tuple[tuple[int, ...], ...] = ()
    rcps: tuple[tuple[int, ...], ...] = ()
    endpoint: int = _NONE
    resource_policy: int = _NONE
    grants: tuple[tuple[str, tuple[str, ...], dict[str, dict[str, str]], str, str], ...] = ()
    encryption_context: dict[str, str] | None = None
    default_allow: bool = False
    management_account: bool = False
    resource_in_management_account: bool = False


class Denial(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One denied call."""

    principal: KeptPrincipal
    at: float
    """Seconds since the epoch."""
    region: str
    request_id: str
    operation: str
    """`s3.PutObject`."""
    organization_id: str
    """The organization of the caller's account, empty without one."""
    context: dict[str, str | tuple[str, ...]]
    """The keys of the request and of the caller, those of the time included."""
    policies: tuple[KeptPolicy, ...]
    decisions: tuple[KeptDecision, ...]


def digest(policy: Policy) -> bytes:
    """What names the policy's text."""
    if not policy._digest:
        policy._digest = digest_of(text_of(policy))
    return policy._digest


def digest_of(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def text_of(policy: Policy) -> str:
    """The document that the policy was compiled from."""
    source = policy.source
    if isinstance(source, str):
        return source
    return source.decode() if isinstance(source, bytes) else orjson.dumps(source).decode()


def of_call(call: Call, at: float) -> tuple[Denial, list[Policy]]:
    """The record of a call whose last decision denied it, and the policies that it names, in their order."""
    numbers: dict[tuple[int, str], int] = {}
    policies: list[Policy] = []

    def number(policy: Policy) -> int:
        key = (id(policy), policy.type)
        found = numbers.get(key)
        if found is None:
            found = numbers[key] = len(policies)
            policies.append(policy)
        return found

    def all_of(found: PolicySet) -> tuple[int, ...]:
        return tuple([number(policy) for policy in found.policies])

    def one_of(found: PolicySet | None) -> int:
        return _NONE if found is None or not found.policies else number(found.policies[0])

    decisions = []
    for decision in call.decisions[-MOST_DECISIONS:]:
        request, applied = decision.request, decision.policies
        encryption_context = request.encryption_context
        decisions.append(
            KeptDecision(
                request.action,
                request.resource,
                request.account_id,
                request.kind,
                decision.result,
                decision.decided_by,
                dict(request.context.own),
                all_of(applied.identity),
                one_of(applied.boundary),
                None if applied.session is None else all_of(applied.session),
                tuple(map(all_of, applied.scps)),
                tuple(map(all_of, applied.rcps)),
                one_of(applied.endpoint),
                one_of(request.resource_policy),
                tuple(map(_kept_grant, request.grants)),
                None if encryption_context is None else dict(encryption_context),
                request.default_allow,
                applied.management_account,
                applied.resource_in_management_account,
            )
        )
    principal, session = call.principal, call.principal.session
    context = call.decisions[-1].request.context
    organization_id = context["aws:principalorgid"]
    operation = call.operation
    denial = Denial(
        KeptPrincipal(
            principal.kind,
            principal.account_id,
            principal.arn,
            principal.unique_id,
            principal.name,
            principal.issuer_arn,
            "" if session is None else session.kind,
            "" if session is None else session.issuer_unique_id,
            _NONE if session is None or session.mfa_at is None else session.mfa_at,
        ),
        at,
        call.region,
        call.request_id,
        f"{operation.service}.{operation.name}",
        organization_id if isinstance(organization_id, str) else "",
        _shared(context),
        tuple([KeptPolicy(policy.type, policy.origin, digest(policy)) for policy in policies]),
        tuple(decisions),
    )
    return denial, policies


def _shared(context: Context) -> dict[str, ContextValue]:
    """The keys of the request and of its caller, without those that the one permission brought."""
    found = context.complete()
    for key in context.own:
        found.pop(key, None)
    found.pop("aws:resourceaccount", None)
    return found


def _kept_grant(grant: Grant) -> Any:
    constraints = {name: dict(pairs) for name, pairs in grant.constraints.items()}
    return grant.grantee, grant.operations, constraints, grant.grant_id, grant.grantee_unique_id


def situations(denial: Denial, texts: Mapping[bytes, str]) -> list[Situation]:
    """The kept decisions as they can be made again. `texts`: the documents by their digest; one that is missing counts
    as one that says nothing."""
    documents = [
        Document(policy.type, policy.origin, texts.get(policy.digest) or _silent(policy.type))  # type: ignore[arg-type]
        for policy in denial.policies
    ]
    principal = _principal(denial)
    return [_situation(kept, principal, documents, denial) for kept in denial.decisions]


def _situation(kept: KeptDecision, principal: Principal, documents: list[Document], denial: Denial) -> Situation:
    def all_of(numbers: tuple[int, ...]) -> tuple[Document, ...]:
        return tuple(documents[number] for number in numbers)

    def one_of(number: int) -> Document | None:
        return None if number == _NONE else documents[number]

    return Situation(
        principal,
        kept.action,
        kept.resource,
        kept.account_id,
        kept.kind,  # type: ignore[arg-type]
        {**denial.context, **kept.context},
        all_of(kept.identity),
        one_of(kept.boundary),
        None if kept.session is None else all_of(kept.session),
        tuple(map(all_of, kept.scps)),
        tuple(map(all_of, kept.rcps)),
        one_of(kept.endpoint),
        one_of(kept.resource_policy),
        tuple(Grant(*grant) for grant in kept.grants),
        kept.encryption_context,
        kept.default_allow,
        kept.management_account,
        kept.resource_in_management_account,
    )


def _principal(denial: Denial) -> Principal:
    kept = denial.principal
    session = None
    if kept.session_kind:
        session = Session(
            int(denial.at),
            int(denial.at) + 1,
            kind=kept.session_kind,  # type: ignore[arg-type]
            issuer_unique_id=kept.session_issuer_id,
            mfa_at=None if kept.mfa_at == _NONE else kept.mfa_at,
        )
    return Principal(
        kept.kind,  # type: ignore[arg-type]
        kept.account_id,
        arn=kept.arn,
        unique_id=kept.unique_id,
        name=kept.name,
        issuer_arn=kept.issuer_arn,
        session=session,
    )


_SAYS_NOTHING: Final = {"Sid": "NotKept", "Effect": "Allow", "Action": "none:none"}


def _silent(type_: str) -> str:
    statement: dict[str, Any] = dict(_SAYS_NOTHING)
    if type_ in ("resource", "key", "endpoint", "trust", "rcp"):
        statement["Principal"] = "*"
    if type_ == "trust":
        statement["Action"] = "sts:None"
    else:
        statement["Resource"] = "*"
    return orjson.dumps({"Version": "2012-10-17", "Statement": [statement]}).decode()


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Denial)


def encode(denial: Denial) -> bytes:
    return _encoder.encode(denial)


def decode(kept: bytes) -> Denial:
    return _decoder.decode(kept)


def deciding(denial: Denial) -> KeptDecision:
    """The decision that denied the call."""
    return next(one for one in reversed(denial.decisions) if one.result != "allow")


def is_same_denial(one: Decision, other: Decision) -> bool:
    """Whether two decisions say the same of the same request but for its time."""
    a, b = one.request, other.request
    return (
        one.decided_by == other.decided_by
        and one.result == other.result
        and one.statement is other.statement
        and one.policies is other.policies
        and a.resource_policy is b.resource_policy
        and a.action == b.action
        and a.resource == b.resource
        and a.grants == b.grants
        and a.context.own == b.context.own
    )
