"""An account made from what `aws iam get-account-authorization-details` prints, with its own account id.

The output comes in parts (zlib, at most 512 KiB each) that are kept for an hour; the import reads them together and
makes the account in one transaction: all of it or nothing. Only ever a new account: refuses an id that exists, and one
that a policy of an account which wasn't imported names, or that an organization invited, since whoever holds the new
account's root key would be let in there. https://docs.aws.amazon.com/cli/latest/reference/iam/get-account-authorization-details.html
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from freehold.services.call import Call
from freehold.services.freehold.accounts import operator_only, shown
from freehold.services.freehold.errors import AccountAlreadyExists, ValidationException
from freehold.services.iam import accounts, importing, records, service_principals
from freehold.services.iam.importing import CannotImport, Plan
from freehold.services.iam.records import (
    ACCOUNTS,
    ATTACHMENTS,
    IDENTITIES,
    INSTANCE_PROFILES,
    MEMBERS,
    OPERATOR_ACCOUNT,
    POLICY_VERSIONS,
    ROLE_PROFILES,
    TOTALS,
    USES,
    Account,
    Mark,
    Role,
    Totals,
    User,
    Uses,
)
from freehold.services.kms.records import GRANTS, KEYS
from freehold.services.operation import Params, Result, due_work, operation
from freehold.services.organizations.records import HANDSHAKES_RECEIVED, ORGANIZATIONS, RESOURCE_POLICIES
from freehold.services.s3.records import BUCKETS
from freehold.storage.records import Reader, Table, Transaction

if TYPE_CHECKING:
    from freehold.app import App

MOST_PARTS: Final = 64
MOST_BYTES: Final = 128 * 1024 * 1024
"""Of the output as it is."""
KEPT_SECONDS: Final = 3600
_IDS: Final = re.compile(r"A(?:IDA|ROA)[A-Z0-9]{12,28}", re.ASCII)


class Part(msgspec.Struct, array_like=True):
    data: bytes
    uploaded_at: int


PARTS = Table("freehold.import_parts", Part)  # (import id, number)


@operation(
    "freehold.UploadAccountImportPart", permissions=operator_only("freehold:UploadAccountImportPart"), writes=True
)
def upload_account_import_part(call: Call, params: Params) -> Result:
    """Keep one part (1 to 64, at most 512 KiB each) of an import for an hour. A part may be given again."""
    now = int(call.app.clock.now_seconds())
    PARTS.put(call.tx, (params["ImportId"], params["PartNumber"]), Part(bytes(params["Data"]), now))
    return {}


async def _planned(call: Call, params: Params) -> None:
    """Read the parts and plan the account on a thread of the pool: policies by the thousand take a moment."""
    call.prepared = await asyncio.get_running_loop().run_in_executor(call.app.pool, _plan, call, params["ImportId"])


def _plan(call: Call, import_id: str) -> Plan:
    reader = call.app.records.reader()
    parts = list(PARTS.scan(reader, (import_id,)))
    if not parts or [key[1] for key, _ in parts] != list(range(1, len(parts) + 1)):
        raise ValidationException("Not all parts of this import are there. They are kept for an hour.")
    opened = zlib.decompressobj()
    try:
        text = opened.decompress(b"".join(part.data for _, part in parts), MOST_BYTES)
        if opened.unconsumed_tail:
            raise ValidationException(f"The output is larger than {MOST_BYTES:,} bytes.")
        if not opened.eof:
            raise ValidationException("The parts are not a whole zlib stream.")
        details = orjson.loads(text)
    except (zlib.error, orjson.JSONDecodeError):
        raise ValidationException("The parts are not the compressed JSON of an account's details.") from None
    named = _named_by_policies(reader)
    now = int(call.app.clock.now_seconds())

    def is_taken(unique_id: str) -> bool:
        return unique_id in named.ids or IDENTITIES.get(reader, (unique_id,)) is not None

    def bound_elsewhere(arn: str) -> str | None:
        # Of other accounts nothing is told to the operator, not even whether a role is there.
        owner = ACCOUNTS.get(reader, (arn.split(":", 5)[4],)) if arn.count(":") >= 5 else None
        found = records.entity_at(reader, arn) if owner is not None and owner.imported else None
        return None if found is None else found.unique_id

    def has_account(account_id: str) -> bool:
        return ACCOUNTS.get(reader, (account_id,)) is not None

    try:
        made = importing.plan(
            details, now=now, is_taken=is_taken, bound_elsewhere=bound_elsewhere, has_account=has_account
        )
    except CannotImport as error:
        raise ValidationException(str(error)) from None
    if made.account_id == OPERATOR_ACCOUNT:
        raise ValidationException(f"{OPERATOR_ACCOUNT} is no customer account's id.")
    if made.account_id in named:
        raise ValidationException(
            f"A policy of an account that exists names the account {made.account_id}: it would be let in there."
        )
    return made


class _Named:
    """What the resource policies of accounts that weren't imported say: the texts, and the unique ids in them."""

    def __init__(self, texts: list[str]) -> None:
        self._all = "\0".join(texts)
        self.ids = frozenset(_IDS.findall(self._all))

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._all


def _named_by_policies(reader: Reader) -> _Named:
    imported = {account.account_id for _, account in ACCOUNTS.scan(reader) if account.imported}
    return _Named([text for owner, text in _policies(reader) if owner not in imported])


def _policies(reader: Reader) -> Iterator[tuple[str, str]]:
    """(owner, text) of everything that lets others in."""
    for _, bucket in BUCKETS.scan(reader):
        if bucket.policy:
            yield bucket.owner, bucket.policy
    owners = {}
    for at, key in KEYS.scan(reader):
        owners[at] = key.account_id
        yield key.account_id, key.policy
    for at, grant in GRANTS.scan(reader):
        yield owners.get(at[:2], ""), f"{grant.grantee} {grant.retiring}"
    for _, role in records.ROLES.scan(reader):
        yield role.account_id, role.trust_policy
    for at, delegation in RESOURCE_POLICIES.scan(reader):
        organization = ORGANIZATIONS.get(reader, (at[0],))
        yield "" if organization is None else organization.management_account_id, delegation.content


@operation(
    "freehold.ImportAccountAuthorizationDetails",
    permissions=operator_only("freehold:ImportAccountAuthorizationDetails"),
    writes=True,
    prepare=_planned,
)
def import_account_authorization_details(call: Call, params: Params) -> Result:
    """Make the account of an import whose parts were uploaded, with a root access key that is shown this once.

    What could not be kept as it is in AWS is in `Notes`; AWS's quotas on numbers are not held against what is there.
    """
    tx, made = call.tx, call.prepared
    if ACCOUNTS.get(tx, (made.account_id,)) is not None:
        raise AccountAlreadyExists(f"The account {made.account_id} exists. Only a new account can be imported.")
    if made.account_id in service_principals.ACCOUNTS:
        raise ValidationException(f"The account {made.account_id} is AWS's own: templates let it in where logs go.")
    if any(True for _ in HANDSHAKES_RECEIVED.scan(tx, (made.account_id,), limit=1)):
        raise ValidationException(
            f"An organization has invited the account {made.account_id}: it would be let in there."
        )
    now = int(call.app.clock.now_seconds())
    key = accounts.new_access_key(tx, made.account_id, "root", made.account_id, now)
    account = Account(
        account_id=made.account_id,
        name=params.get("AccountName") or f"imported {made.account_id}",
        created_at=now,
        root_access_key_ids=[key.access_key_id],
        imported=True,
    )
    ACCOUNTS.put(tx, (made.account_id,), account)
    attachments = _write(tx, made)
    for at in [at for at, _ in PARTS.scan(tx, (params["ImportId"],))]:
        PARTS.delete(tx, at)
    call.resources.append(("AWS::Freehold::Account", f"arn:aws:iam::{made.account_id}:root"))
    return {
        "Account": shown(account),
        "RootAccessKey": {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret},
        "Imported": {
            "Users": len(made.users),
            "Groups": len(made.groups),
            "Roles": len(made.roles),
            "Policies": len(made.policies),
            "InstanceProfiles": len(made.profiles),
            "Attachments": attachments,
        },
        "Notes": [{"Subject": note.subject, "Message": note.message} for note in made.notes],
        "NotesOmitted": made.notes_omitted,
    }


def _write(tx: Transaction, made: Plan) -> int:
    """All records of the account; returns how many attachments there are."""
    account_id, uses = made.account_id, dict[str, Uses]()
    entities: list[Any] = [*made.groups, *made.users, *made.roles]
    for record in (*entities, *(policy for policy, _ in made.policies)):
        if IDENTITIES.get(tx, (record.unique_id,)) is not None:
            raise ValidationException("A unique id was taken while the import was prepared. Import again.")
        records.save(tx, record)
    for policy, versions in made.policies:
        for number, version in versions.items():
            POLICY_VERSIONS.put(tx, (policy.unique_id, number), version)
    for entity in entities:
        for arn in entity.attached:
            ATTACHMENTS.put(tx, (account_id, arn, "policy", entity.kind, entity.unique_id), Mark())
            uses.setdefault(arn, Uses()).attachments += 1
        if isinstance(entity, User | Role) and entity.boundary:
            ATTACHMENTS.put(tx, (account_id, entity.boundary, "boundary", entity.kind, entity.unique_id), Mark())
            uses.setdefault(entity.boundary, Uses()).boundaries += 1
    for arn, counted in uses.items():
        USES.put(tx, (account_id, arn), counted)
    for group_id, user_id in made.members:
        MEMBERS.put(tx, (group_id, user_id), Mark())
    for profile in made.profiles:
        INSTANCE_PROFILES.put(tx, (account_id, profile.name.lower()), profile)
        ROLE_PROFILES.put(tx, (profile.role_id, profile.name.lower()), Mark())
    totals = Totals(
        users=len(made.users),
        groups=len(made.groups),
        roles=len(made.roles),
        policies=len(made.policies),
        policy_versions=sum(len(versions) for _, versions in made.policies),
        instance_profiles=len(made.profiles),
    )
    TOTALS.put(tx, (account_id,), totals)
    return sum(counted.attachments for counted in uses.values())


@due_work
def forget_parts(app: App, tx: Transaction) -> None:
    """Parts of imports that never came to an end."""
    oldest = app.clock.now_seconds() - KEPT_SECONDS
    for at in [at for at, part in PARTS.scan(tx) if part.uploaded_at < oldest]:
        PARTS.delete(tx, at)
