"""The keys that sign an account's outbound tokens, and their rotation: who signs now, who will, whose tokens still run.

A key is published a day before it signs, so that nobody meets a token whose key they couldn't have fetched, signs for
30 days, and stays published for a day after that, in which its last tokens end (an hour at most). The sweeper does it
by the deployment's clock; which key signs follows from the time alone, so that all workers change over at once.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound.html
"""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Final

import msgspec

from freehold.services.iam.records import Mark, Record
from freehold.services.operation import due_work
from freehold.storage.records import Table, Transaction

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from freehold.app import App

ALGORITHMS: Final = ("RS256", "ES384")
SIGNS_SECONDS: Final = 30 * 86_400
KNOWN_BEFORE_SECONDS: Final = 86_400
KNOWN_AFTER_SECONDS: Final = 86_400
_RSA_BITS: Final = 2048
_AT_ONCE: Final = 20
_ROTATED_AT_ONCE: Final = 2
"""Of a sweep: making an RSA key takes up to a fifth of a second, in which nothing else is written."""


class SigningKey(Record, kw_only=True):
    key_id: str
    algorithm: str
    pem: str
    signs_from: int = 0
    """0 for the first keys: from the beginning."""

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"


class Issuer(Record, kw_only=True):
    account_id: str
    issuer_id: str
    created_at: int
    enabled: bool = True
    keys: list[SigningKey] = msgspec.field(default_factory=list)
    """By algorithm, each one's oldest first."""


ISSUERS = Table("iam.outbound_issuers", Issuer, domain="iam")  # (account id)
_PLANNED = Table("iam.outbound_rotations", Mark)  # (when the sweeper looks at its keys, account id)
_INDEXED = Table("iam.outbound_rotations_since", Mark)  # (0): issuers of before are planned as well


def made(signs_from: int = 0) -> list[SigningKey]:
    """New keys, one an algorithm. Takes a tenth of a second."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    def key(algorithm: str, private: RSAPrivateKey | EllipticCurvePrivateKey) -> SigningKey:
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key_id = f"{algorithm}-{uuid.uuid4()}"
        return SigningKey(key_id=key_id, algorithm=algorithm, pem=pem.decode("ascii"), signs_from=signs_from)

    return [
        key("RS256", rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)),
        key("ES384", ec.generate_private_key(ec.SECP384R1())),
    ]


def signing(issuer: Issuer, algorithm: str, now: float) -> SigningKey | None:
    """The key that signs now: the latest whose time has come."""
    of_algorithm = [key for key in issuer.keys if key.algorithm == algorithm]
    begun = [key for key in of_algorithm if key.signs_from <= now]
    return max(begun or of_algorithm[:1], key=lambda key: key.signs_from, default=None)


def save(tx: Transaction, issuer: Issuer) -> None:
    ISSUERS.put(tx, (issuer.account_id,), issuer)


def plan(tx: Transaction, issuer: Issuer) -> None:
    """Have the sweeper look at the issuer's keys when there is next something to do."""
    _PLANNED.put(tx, (_next_at(issuer), issuer.account_id), Mark())


def _begins(issuer: Issuer) -> list[int]:
    """When each generation of keys begins to sign, the oldest first."""
    return sorted({key.signs_from for key in issuer.keys})


def _next_at(issuer: Issuer) -> int:
    begins = _begins(issuer)
    following = (begins[-1] or issuer.created_at) + SIGNS_SECONDS - KNOWN_BEFORE_SECONDS
    return min([following, *(later + KNOWN_AFTER_SECONDS for later in begins[1:])])


def rotated(issuer: Issuer, now: int) -> bool:
    """Do what is due: drop keys whose tokens have ended, and make the next ones. Whether new ones were made."""
    begins = _begins(issuer)
    over = [begin for begin, later in itertools.pairwise(begins) if later + KNOWN_AFTER_SECONDS <= now]
    issuer.keys = [key for key in issuer.keys if key.signs_from not in over]
    last = begins[-1] or issuer.created_at
    if last + SIGNS_SECONDS - KNOWN_BEFORE_SECONDS > now:
        return False
    # However long nobody looked, the next keys are known for a day before they sign.
    issuer.keys += made(max(last + SIGNS_SECONDS, now + KNOWN_BEFORE_SECONDS))
    return True


@due_work
def rotate_due(app: App, tx: Transaction) -> None:
    """Look at the issuers whose time has come; those that are left are the next sweep's."""
    now = int(app.clock.now_seconds())
    _index(tx)
    count = 0
    for key, _ in list(_PLANNED.scan(tx, limit=_AT_ONCE)):
        if int(key[0]) > now or count == _ROTATED_AT_ONCE:
            break
        _PLANNED.delete(tx, key)
        issuer = ISSUERS.get(tx, (key[1],))
        if issuer is None:
            continue
        count += rotated(issuer, now)
        save(tx, issuer)
        plan(tx, issuer)


def _index(tx: Transaction) -> None:
    """Plan for the issuers of before there was a plan, once."""
    if _INDEXED.get(tx, (0,)) is not None:
        return
    planned = {key[1] for key, _ in _PLANNED.scan(tx)}
    for _, issuer in list(ISSUERS.scan(tx)):
        if issuer.account_id not in planned:
            plan(tx, issuer)
    _INDEXED.put(tx, (0,), Mark())
