"""Whatever users, guests and backends do with logins: none is ever two identities', and none changes hands."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from freehold.errors import AwsError
from freehold.services.cognito_identity import linking
from freehold.services.cognito_identity.records import (
    IDENTITIES,
    LINKS,
    MOST_LINKS,
    Identity,
    Link,
    Pool,
    Whereabouts,
    identity_by_id,
    remove_link,
    save_identity,
)
from freehold.services.cognito_identity.records import POOLS as POOL_TABLE

BACKEND = "login.example.app"
LOGINS = st.lists(
    st.builds(
        lambda provider, subject: Link(provider=provider, subject=subject),
        st.sampled_from(["accounts.google.com", "idp.example.com", "appleid.apple.com"]),
        st.sampled_from(["alice", "bob", "carol"]),
    ),
    max_size=3,
    unique_by=lambda link: link.provider,
)
USERS = st.sampled_from(["one", "two", "three"])


class Rows:
    """Records in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Any], bytes] = {}

    def get(self, table: str, key: Any) -> bytes | None:
        return self.rows.get((table, key))

    def put(self, table: str, key: Any, value: bytes) -> None:
        self.rows[table, key] = value

    def delete(self, table: str, key: Any) -> None:
        self.rows.pop((table, key), None)


class Linking(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.tx: Any = Rows()
        self.pool = Pool(
            account_id="111122223333",
            region="us-east-1",
            pool_id="us-east-1:pool",
            name="pool",
            created_at=0,
            allow_unauthenticated=True,
            developer_provider=BACKEND,
        )
        POOL_TABLE.put(self.tx, (self.pool.pool_id,), self.pool)
        self.known: list[str] = []
        self.owners: dict[Link, str] = {}
        """Whose each login was when it was last seen, by what the answers said."""

    def _did(self, plan: linking.Plan, links: list[Link]) -> None:
        linking.carry_out(self.tx, self.pool, plan, 0)
        if plan.identity_id not in self.known:
            self.known.append(plan.identity_id)
        for link in links:
            assert self.owners.setdefault(link, plan.identity_id) == plan.identity_id, "a login changed hands"

    def _identity(self, number: int) -> Identity | None:
        if not self.known:
            return None
        found = identity_by_id(self.tx, self.known[number % len(self.known)])
        return None if found is None else found[1]

    @rule(links=LOGINS)
    def find(self, links: list[Link]) -> None:
        with suppress(AwsError):
            self._did(linking.to_find(self.tx, self.pool, links, f"us-east-1:{len(self.known)}"), links)

    @rule(number=st.integers(0, 9), links=LOGINS)
    def use(self, number: int, links: list[Link]) -> None:
        identity = self._identity(number)
        if identity is None:
            return
        with suppress(AwsError):
            plan = linking.to_use(self.tx, self.pool, identity, links)
            opened = IDENTITIES.get(self.tx, (self.pool.pool_id, plan.identity_id))
            assert opened is not None
            if opened.authenticated:
                assert set(opened.links) & set(links), "opened without one of its logins"
            self._did(plan, links)

    @rule(number=st.none() | st.integers(0, 9), user=USERS, links=LOGINS)
    def vouch(self, number: int | None, user: str, links: list[Link]) -> None:
        identity = None if number is None else self._identity(number)
        own, fresh = Link(provider=BACKEND, subject=user), f"us-east-1:{len(self.known)}"
        with suppress(AwsError):
            plan = linking.for_developer(self.tx, self.pool, identity, own, links, fresh)
            assert identity is None or plan.identity_id == identity.identity_id
            self._did(plan, [own, *links])

    @rule(number=st.integers(0, 9), which=st.integers(0, 3))
    def unlink(self, number: int, which: int) -> None:
        identity = self._identity(number)
        if identity is not None and identity.links:
            link = identity.links[which % len(identity.links)]
            remove_link(self.tx, identity, link)
            save_identity(self.tx, identity, 0)
            del self.owners[link]

    @invariant()
    def every_login_is_one_identitys(self) -> None:
        stored = {key: IDENTITIES.get(self.tx, key) for table, key in self.tx.rows if table == IDENTITIES.name}
        held = [(link, identity.identity_id) for identity in stored.values() if identity for link in identity.links]
        assert len({link for link, _ in held}) == len(held)
        keys = [key for table, key in self.tx.rows if table == LINKS.name]
        indexed = {Link(provider=key[1], subject=key[2]): LINKS.get(self.tx, key) for key in keys}
        assert {link: Whereabouts(id=owner) for link, owner in held} == indexed
        assert dict(held) == self.owners

    @invariant()
    def an_identity_has_one_login_of_a_public_provider(self) -> None:
        for table, key in self.tx.rows:
            if table == IDENTITIES.name:
                identity = IDENTITIES.get(self.tx, key)
                assert identity is not None
                public = [link.provider for link in identity.links if link.provider != BACKEND]
                assert len(set(public)) == len(public)
                assert len(identity.links) <= MOST_LINKS
                assert identity.authenticated or not identity.links


TestLinking = Linking.TestCase
TestLinking.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, database=None, derandomize=True, phases=(Phase.generate,)
)
