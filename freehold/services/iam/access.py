"""Who holds a key, and which policies are theirs: what authentication and authorization ask of IAM.

Answers are kept while nothing in IAM changes, in any worker. A key that is inactive, unknown, or whose user is gone is
the same unknown key to its holder. Temporary credentials are opened from their own token, and are good only while the
user or role behind them, found by unique id, still exists and hasn't revoked its sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from freehold.authentication.credentials import (
    Credential,
    ExpiredToken,
    InvalidToken,
    Secret,
    TokenSealer,
    UnknownAccessKey,
)
from freehold.authorization.document import Policy, PolicyType
from freehold.authorization.gather import IdentityPolicies
from freehold.authorization.principal import Kind, Principal, Session
from freehold.clock import Clock
from freehold.services.iam import aws_managed, policies_of, records, root_tasks
from freehold.services.iam.credential_records import ENDED_SESSIONS
from freehold.services.iam.records import ACCESS_KEYS, ACCOUNTS, OPERATOR_ACCOUNT, OPERATORS, AccessKey, Role, User
from freehold.storage.cache import Cache
from freehold.storage.records import Reader, Records

_MOST_SESSIONS = 20_000
"""Opened tokens kept at a time (about 2 KiB each); beyond, they're opened anew."""

_EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
_OPERATE = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"freehold:*","Resource":"*"}]}'
T = TypeVar("T")
_NO_POLICIES = IdentityPolicies((), None)


class _Held:
    """What is known since IAM's last change."""

    __slots__ = ("identities", "keys", "managed", "sessions")

    def __init__(self, reader: Reader) -> None:
        self.keys: dict[str, Credential] = {}
        self.sessions: dict[tuple[str, str], Credential] = {}
        self.identities: dict[str, IdentityPolicies] = {}
        self.managed: dict[tuple[str, PolicyType], Policy] = {}

    def managed_policy(self, reader: Reader, arn: str, type_: PolicyType = "identity") -> Policy:
        found = self.managed.get((arn, type_))
        if found is None:
            found = self.managed[arn, type_] = policies_of.managed(reader, arn, type_)
        return found


class AccessDirectory:
    """authentication's `CredentialSource` and authorization's `IdentitySource`."""

    def __init__(self, stored: Records, cache: Cache, tokens: TokenSealer, clock: Clock) -> None:
        self._records = stored
        self._cache = cache
        self._tokens = tokens
        self._clock = clock

    def lookup(self, access_key_id: str, session_token: str | None) -> Credential:
        """The secret and the principal behind a key. Raises UnknownAccessKey, InvalidToken, ExpiredToken."""
        held = self._cache.get("iam", "access", _Held)
        if session_token is None:
            credential = held.keys.get(access_key_id)
            if credential is None:
                credential = self._load(lambda reader: _long_term(reader, access_key_id))
                held.keys[access_key_id] = credential
            return credential
        credential = held.sessions.get((access_key_id, session_token))
        if credential is None:
            issued = self._tokens.open(access_key_id, session_token)
            credential = self._load(lambda reader: Credential(issued.secret, _today(reader, issued.principal)))
            if len(held.sessions) >= _MOST_SESSIONS:
                held.sessions.clear()
            held.sessions[access_key_id, session_token] = credential
        session = credential.principal.session
        if session is None or session.expires_at <= self._clock.now_seconds():
            raise ExpiredToken
        return credential

    def identity(self, principal: Principal) -> IdentityPolicies:
        """The policies that give `principal` permissions, and its boundary. Session policies are not among them."""
        session = principal.session
        if session is None:
            unique_id = principal.unique_id
        elif session.policies is None and principal.kind == "federated-user":
            return _NO_POLICIES  # without a session policy, only what resources grant to the federated user itself
        else:
            unique_id = session.issuer_unique_id
        if session is not None and session.kind == "assume-root":
            return _root_task(session.policy_arns)
        held = self._cache.get("iam", "access", _Held)
        found = held.identities.get(unique_id)
        if found is None:
            found = self._load(lambda reader: _identity(reader, held, principal.kind, unique_id))
            if unique_id:
                held.identities[unique_id] = found
        return found

    def _load(self, load: Callable[[Reader], T]) -> T:
        """`load` from the newest records. `held` was taken before, so that what a change overtakes isn't kept."""
        return load(self._records.reader())


def _long_term(reader: Reader, access_key_id: str) -> Credential:
    key = ACCESS_KEYS.get(reader, (access_key_id,))
    if key is None:
        raise InvalidToken if access_key_id.startswith("ASIA") else UnknownAccessKey
    if not key.active:
        raise UnknownAccessKey
    return Credential(Secret(key.secret), _owner(reader, key))


def _owner(reader: Reader, key: AccessKey) -> Principal:
    """Who holds a long-term key. Raises UnknownAccessKey when the owner is gone."""
    if key.owner == "operator":
        if OPERATORS.get(reader, (key.owner_id,)) is None:
            raise UnknownAccessKey
        return Principal(
            "operator",
            OPERATOR_ACCOUNT,
            arn=f"arn:aws:freehold::{OPERATOR_ACCOUNT}:operator",
            unique_id=key.owner_id,
            name="operator",
            access_key_id=key.access_key_id,
        )
    if key.owner == "root":
        _refuse_closed(reader, key.account_id)
        return _root(key.account_id, key.access_key_id, None)
    return user_with_key(reader, key.account_id, key.owner_id, key.access_key_id)


def user_with_key(reader: Reader, account_id: str, user_id: str, access_key_id: str) -> Principal:
    """The user who holds a long-term credential. Raises UnknownAccessKey when the user or the account is gone."""
    _refuse_closed(reader, account_id)
    user = records.by_unique_id(reader, user_id)
    if not isinstance(user, User) or user.account_id != account_id:
        raise UnknownAccessKey
    return _user(user, access_key_id, None)


def _today(reader: Reader, issued: Principal) -> Principal:
    """The principal of a session, with the name and tags that the role or user behind it has now."""
    if issued.session is None:
        raise InvalidToken
    if issued.session.kind == "console" and ENDED_SESSIONS.get(reader, (issued.access_key_id,)) is not None:
        raise ExpiredToken
    _refuse_closed(reader, issued.account_id)
    session = _with_managed_policies(reader, issued.session)
    if session.issuer_unique_id == issued.account_id:
        account = ACCOUNTS.get(reader, (issued.account_id,))
        if account is None:
            raise UnknownAccessKey
        _refuse_revoked(session, account.root_sessions_not_before)
        if issued.kind == "federated-user":
            return _federated(issued, session, f"arn:aws:iam::{issued.account_id}:root", {})
        return _root(issued.account_id, issued.access_key_id, session, issued.extra_context)
    issuer = records.by_unique_id(reader, session.issuer_unique_id)
    if isinstance(issuer, Role) and issued.kind == "role":
        _refuse_revoked(session, issuer.sessions_not_before)
        return Principal(
            "role",
            issuer.account_id,
            arn=f"arn:aws:sts::{issuer.account_id}:assumed-role/{issuer.name}/{session.name}",
            unique_id=f"{issuer.unique_id}:{session.name}",
            name=issuer.name,
            issuer_arn=issuer.arn,
            access_key_id=issued.access_key_id,
            session=session,
            tags=_merged(issuer.tags, session),
            extra_context=issued.extra_context,
        )
    if isinstance(issuer, User):
        _refuse_revoked(session, issuer.sessions_not_before)
        if issued.kind == "federated-user":
            return _federated(issued, session, issuer.arn, issuer.tags)
        if issued.kind == "user":
            return _user(issuer, issued.access_key_id, session)
    raise UnknownAccessKey


def _refuse_closed(reader: Reader, account_id: str) -> None:
    """Raises UnknownAccessKey for what belongs to an account that is closed, or isn't there."""
    account = ACCOUNTS.get(reader, (account_id,))
    if account is None or account.closed_at:
        raise UnknownAccessKey


def _root(
    account_id: str, access_key_id: str, session: Session | None, extra_context: dict[str, Any] | None = None
) -> Principal:
    return Principal(
        "root",
        account_id,
        arn=f"arn:aws:iam::{account_id}:root",
        unique_id=account_id,
        access_key_id=access_key_id,
        session=session,
        extra_context=extra_context or {},
    )


def _user(user: User, access_key_id: str, session: Session | None) -> Principal:
    return Principal(
        "user",
        user.account_id,
        arn=user.arn,
        unique_id=user.unique_id,
        name=user.name,
        issuer_arn=user.arn if session is not None else "",
        access_key_id=access_key_id,
        session=session,
        tags=tuple(user.tags.items()),
    )


def _federated(issued: Principal, session: Session, issuer_arn: str, issuer_tags: dict[str, str]) -> Principal:
    return Principal(
        "federated-user",
        issued.account_id,
        arn=f"arn:aws:sts::{issued.account_id}:federated-user/{session.name}",
        unique_id=f"{issued.account_id}:{session.name}",
        name=session.name,
        issuer_arn=issuer_arn,
        access_key_id=issued.access_key_id,
        session=session,
        tags=_merged(issuer_tags, session),
    )


def _merged(own: dict[str, str], session: Session) -> tuple[tuple[str, str], ...]:
    """The issuer's tags with the session's over them; tag keys differ in more than case."""
    if not session.tags:
        return tuple(own.items())
    given = {key.lower() for key, _ in session.tags}
    return (*((key, value) for key, value in own.items() if key.lower() not in given), *session.tags)


def _with_managed_policies(reader: Reader, session: Session) -> Session:
    """The token holds the ARNs of managed session policies: their texts are those of today's default versions."""
    if not session.policy_arns or session.kind == "assume-root":
        return session
    texts = tuple(policies_of.managed_document(reader, arn) or policies_of.NOTHING for arn in session.policy_arns)
    return replace(session, policies=(*(session.policies or ()), *texts))


def _refuse_revoked(session: Session, not_before: int) -> None:
    if session.issued_at < not_before:
        raise ExpiredToken


@lru_cache(maxsize=16)
def _root_task(arns: tuple[str, ...]) -> IdentityPolicies:
    """A root user's permissions without what AWS's task policies deny. Without one of those, nothing is allowed."""
    tasks = [aws_managed.find(arn) if arn in root_tasks.FEATURE_OF else None for arn in arns] or [None]
    texts = (policies_of.NOTHING if task is None else aws_managed.document(task) for task in tasks)
    compiled = (policies_of.compiled(arn, text) for arn, text in zip(arns or ("none",), texts, strict=True))
    return IdentityPolicies((policies_of.compiled("root", _EVERYTHING), *compiled), None)


def _identity(reader: Reader, held: _Held, kind: Kind, unique_id: str) -> IdentityPolicies:
    if kind == "operator":
        return IdentityPolicies((policies_of.compiled("operator", _OPERATE),), None)
    if kind == "root" or len(unique_id) == 12:  # an account id: root, or what root federated
        return IdentityPolicies((policies_of.compiled("root", _EVERYTHING),), None)
    entity = records.by_unique_id(reader, unique_id)
    if not isinstance(entity, User | Role):
        return _NO_POLICIES
    policies = policies_of.of(reader, entity, lambda arn: held.managed_policy(reader, arn))
    boundary = held.managed_policy(reader, entity.boundary, "boundary") if entity.boundary else None
    return IdentityPolicies(policies, boundary)
