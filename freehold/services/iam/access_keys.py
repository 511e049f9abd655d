"""Long-term access keys of users and of the account's root user: two each at most. A secret is shown once, at birth.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import accounts, entities, pages, records, shapes
from freehold.services.iam.authorized import iam, on_entity, own_name
from freehold.services.iam.credential_records import LAST_USES
from freehold.services.iam.errors import AccessDenied, InvalidInput, NoSuchEntity, quota
from freehold.services.iam.records import ACCESS_KEYS, ACCOUNTS, AccessKey, Account, User
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader, Transaction

MOST_KEYS = 2


@dataclass(slots=True)
class _Owner:
    """A user, or the account for its root user."""

    record: User | Account

    @property
    def key_ids(self) -> list[str]:
        return self.record.access_key_ids if isinstance(self.record, User) else self.record.root_access_key_ids

    def save(self, tx: Transaction, key_ids: list[str]) -> None:
        if isinstance(self.record, User):
            self.record.access_key_ids = key_ids
            records.save(tx, self.record)
        else:
            self.record.root_access_key_ids = key_ids
            ACCOUNTS.put(tx, (self.record.account_id,), self.record)

    def named(self) -> dict[str, str]:
        return {"UserName": self.record.name} if isinstance(self.record, User) else {}


def _owner(reader: Reader, call: Call, params: Params) -> _Owner:
    """Whose keys are meant: the named user's, or the caller's own."""
    name = params.get("UserName")
    if name is None and call.principal.kind == "root":
        account = ACCOUNTS.get(reader, (call.account_id,))
        assert account is not None
        return _Owner(account)
    return _Owner(entities.require_user(reader, call.account_id, own_name(call) if name is None else name))


def _key(reader: Reader, owner: _Owner, key_id: str) -> AccessKey:
    key = ACCESS_KEYS.get(reader, (key_id,)) if key_id in owner.key_ids else None
    if key is None:
        raise NoSuchEntity(f"The Access Key with id {key_id} cannot be found.")
    return key


def _shown(owner: _Owner, key: AccessKey) -> dict[str, Any]:
    return {
        **owner.named(),
        "AccessKeyId": key.access_key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": shapes.date(key.created_at),
    }


@iam("CreateAccessKey", on_entity("CreateAccessKey", "user"), writes=True)
def create_access_key(call: Call, params: Params) -> Result:
    """A new key pair for a user, without UserName for the caller. The secret cannot be read again."""
    owner = _owner(call.tx, call, params)
    if len(owner.key_ids) >= MOST_KEYS:
        raise quota("AccessKeysPerUser", MOST_KEYS)
    record = owner.record
    kind, owner_id = ("user", record.unique_id) if isinstance(record, User) else ("root", record.account_id)
    key = accounts.new_access_key(call.tx, call.account_id, kind, owner_id, int(call.app.clock.now_seconds()))
    owner.save(call.tx, [*owner.key_ids, key.access_key_id])
    call.resources.append(("AWS::IAM::AccessKey", key.access_key_id))
    return {"AccessKey": _shown(owner, key) | {"SecretAccessKey": key.secret}}


@iam("ListAccessKeys", on_entity("ListAccessKeys", "user"))
def list_access_keys(call: Call, params: Params) -> Result:
    """A user's keys without their secrets; without UserName the caller's own."""
    reader = call.reader
    owner = _owner(reader, call, params)

    def show(key_id: str) -> dict[str, Any]:
        return _shown(owner, _key(reader, owner, key_id))

    return pages.page_of_texts(params, "AccessKeyMetadata", owner.key_ids, show)


@iam("UpdateAccessKey", on_entity("UpdateAccessKey", "user"), writes=True)
def update_access_key(call: Call, params: Params) -> None:
    """Active or Inactive. An inactive key is refused at once, in every worker."""
    owner = _owner(call.tx, call, params)
    key = _key(call.tx, owner, params["AccessKeyId"])
    if params["Status"] == "Expired":
        raise InvalidInput("The status of an access key can be set to Active or Inactive.")
    key.active = params["Status"] == "Active"
    ACCESS_KEYS.put(call.tx, (key.access_key_id,), key)
    call.resources.append(("AWS::IAM::AccessKey", key.access_key_id))


@iam("DeleteAccessKey", on_entity("DeleteAccessKey", "user"), writes=True)
def delete_access_key(call: Call, params: Params) -> None:
    """Delete a key for good."""
    owner = _owner(call.tx, call, params)
    key = _key(call.tx, owner, params["AccessKeyId"])
    owner.save(call.tx, [held for held in owner.key_ids if held != key.access_key_id])
    ACCESS_KEYS.delete(call.tx, (key.access_key_id,))
    LAST_USES.delete(call.tx, (key.access_key_id,))
    call.resources.append(("AWS::IAM::AccessKey", key.access_key_id))


def _may_see_use(call: Call, params: Params) -> list[Permission]:
    """The action on the user whose key it is. A key that isn't the account's is refused as one that may not be seen."""
    key = ACCESS_KEYS.get(call.reader, (params["AccessKeyId"],))
    if key is not None and key.account_id == call.account_id:
        owner = records.by_unique_id(call.reader, key.owner_id)
        if isinstance(owner, User):
            return [Permission("iam:GetAccessKeyLastUsed", owner.arn, call.account_id, entities.resource_tags(owner))]
        return [Permission("iam:GetAccessKeyLastUsed", f"arn:aws:iam::{call.account_id}:root", call.account_id)]
    raise AccessDenied(
        f"User: {call.principal.arn} is not authorized to perform: iam:GetAccessKeyLastUsed on resource: "
        f"access key {params['AccessKeyId']}"
    )


@iam("GetAccessKeyLastUsed", _may_see_use)
def get_access_key_last_used(call: Call, params: Params) -> Result:
    """When, for which service and in which Region a key was last used: the first use of any 15 minutes.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
    """
    reader = call.reader
    key = ACCESS_KEYS.get(reader, (params["AccessKeyId"],))
    if key is None:
        raise NoSuchEntity(f"The Access Key with id {params['AccessKeyId']} cannot be found.")
    use = LAST_USES.get(reader, (key.access_key_id,))
    owner = records.by_unique_id(reader, key.owner_id)
    result: Result = {"UserName": owner.name if isinstance(owner, User) else key.owner_id}
    if use is None:
        result["AccessKeyLastUsed"] = {"ServiceName": "N/A", "Region": "N/A"}
    else:
        used = {"LastUsedDate": shapes.date(use.at), "ServiceName": use.service, "Region": use.region}
        result["AccessKeyLastUsed"] = used
    return result
