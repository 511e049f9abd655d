"""When access keys and roles were last used: noted in memory, written every few seconds, precise to 15 minutes.

As in AWS, of several uses within 15 minutes the first one counts. Noting costs a look-up in a dictionary; what is to be
written is taken out at the next housekeeping and when the worker stops. A worker that is killed forgets what it noted
within the last few seconds, and nothing else.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
"""

from __future__ import annotations

from typing import Final

from freehold.authorization.principal import Principal
from freehold.services.iam.credential_records import LAST_USES, LastUse
from freehold.storage.records import Records, Transaction

PRECISION_SECONDS: Final = 900
_MOST_HELD: Final = 100_000
TRACKED_SECONDS: Final = 400 * 86_400
"""How long IAM tells of a role's last use, and how far back service last accessed details go. Of a key's there is no
such limit: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html"""


class LastUses:
    """`note` each authenticated request, on the event loop; `write_out` now and then."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._until: dict[str, float] = {}
        self._noted: dict[str, LastUse] = {}

    def note(self, principal: Principal, service: str, region: str, now: float) -> None:
        """A request was signed with one of the principal's credentials."""
        session = principal.session
        who = principal.access_key_id if session is None else session.issuer_unique_id
        until = self._until.get(who)
        if until is None or now >= until:
            self._note(who, service, region, now)

    def _note(self, who: str, service: str, region: str, now: float) -> None:
        if len(self._until) >= _MOST_HELD:
            self._until.clear()
        self._until[who] = now + PRECISION_SECONDS
        # A session's user is last seen by the user's own key; only a role's sessions tell of the role.
        if who.startswith(("AKIA", "AROA")):
            self._noted[who] = LastUse(at=int(now), service=service, region=region)

    async def write_out(self) -> None:
        """Write what was noted. What cannot be written stays noted."""
        if not self._noted:
            return
        noted, self._noted = self._noted, {}

        def write(tx: Transaction) -> None:
            for who, use in noted.items():
                if _is_newer(use, LAST_USES.get(tx, (who,))):
                    LAST_USES.put(tx, (who,), use)

        try:
            await self._records.submit_async(write)
        except Exception:
            self._noted = noted | self._noted
            raise


def _is_newer(use: LastUse, known: LastUse | None) -> bool:
    """Another worker may have noted a use within the same 15 minutes: the first one counts."""
    return known is None or use.at >= known.at + PRECISION_SECONDS
