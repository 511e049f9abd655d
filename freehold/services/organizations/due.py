"""What time does: accounts closed 90 days ago leave their organization, handshakes that ended long ago are forgotten.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_close.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.services.operation import due_work
from freehold.services.organizations import handshaking, members, tree
from freehold.services.organizations.records import DUE, MEMBERSHIPS
from freehold.storage.records import Transaction

if TYPE_CHECKING:
    from freehold.app import App

_AT_ONCE = 100


@due_work
def forget_what_ended(app: App, tx: Transaction) -> None:
    """A closed account stays closed: it only isn't shown any more."""
    now = int(app.clock.now_seconds())
    for kind in ("account", "handshake"):
        for key, _ in list(DUE.scan(tx, (kind,), limit=_AT_ONCE)):
            if int(key[1]) > now:
                break
            DUE.delete(tx, key)
            if kind == "handshake":
                handshaking.forget(tx, str(key[2]))
            else:
                _leave(tx, str(key[2]), now)


def _leave(tx: Transaction, account_id: str, now: int) -> None:
    membership, organization = MEMBERSHIPS.get(tx, (account_id,)), tree.organization_of(tx, account_id)
    if membership is not None and organization is not None:
        members.remove(tx, organization, membership, now)
