"""The account as a whole: its alias, its totals, and everything in it on one list.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from freehold.services.call import Call
from freehold.services.iam import (
    access_keys,
    aws_managed,
    documents,
    groups,
    login_profiles,
    mfa,
    oidc_providers,
    pages,
    policies_of,
    shapes,
    signing_certificates,
)
from freehold.services.iam.attachments import MOST_ATTACHED, attached
from freehold.services.iam.authorized import iam, on_account
from freehold.services.iam.entities import KINDS, MOST
from freehold.services.iam.errors import EntityAlreadyExists, NoSuchEntity
from freehold.services.iam.instance_profiles import of_role, shown
from freehold.services.iam.policy_versions import MOST_VERSIONS
from freehold.services.iam.records import (
    ACCOUNTS,
    ALIASES,
    GROUPS,
    POLICIES,
    POLICY_VERSIONS,
    ROLES,
    TOTALS,
    USERS,
    USES,
    Account,
    Alias,
    ManagedPolicy,
    Named,
    PolicyVersion,
    Role,
    Totals,
    User,
)
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader, Table


def _account(reader: Reader, account_id: str) -> Account:
    account = ACCOUNTS.get(reader, (account_id,))
    assert account is not None
    return account


@iam("CreateAccountAlias", on_account("CreateAccountAlias"), writes=True)
def create_account_alias(call: Call, params: Params) -> None:
    """An account has one alias, unique in the deployment; a new one replaces it."""
    alias, account = params["AccountAlias"], _account(call.tx, call.account_id)
    holder = ALIASES.get(call.tx, (alias,))
    if holder is not None and holder.account_id != call.account_id:
        raise EntityAlreadyExists(f"The account alias {alias} already exists.")
    if account.alias:
        ALIASES.delete(call.tx, (account.alias,))
    ALIASES.put(call.tx, (alias,), Alias(account_id=call.account_id))
    account.alias = alias
    ACCOUNTS.put(call.tx, (call.account_id,), account)


@iam("DeleteAccountAlias", on_account("DeleteAccountAlias"), writes=True)
def delete_account_alias(call: Call, params: Params) -> None:
    """Give the alias up, for any account to take."""
    alias, account = params["AccountAlias"], _account(call.tx, call.account_id)
    if account.alias != alias:
        raise NoSuchEntity(f"The Account Alias {alias} cannot be found.")
    ALIASES.delete(call.tx, (alias,))
    account.alias = ""
    ACCOUNTS.put(call.tx, (call.account_id,), account)


@iam("ListAccountAliases", on_account("ListAccountAliases"))
def list_account_aliases(call: Call, params: Params) -> Result:
    """The account's alias, if it has one."""
    alias = _account(call.reader, call.account_id).alias
    return pages.page_of_texts(params, "AccountAliases", [alias] if alias else [])


@iam("GetAccountSummary", on_account("GetAccountSummary"))
def get_account_summary(call: Call, params: Params) -> Result:
    """How many there are of each kind, and the quotas. What isn't implemented counts zero."""
    totals = TOTALS.get(call.reader, (call.account_id,)) or Totals()
    account = _account(call.reader, call.account_id)
    summary = {
        "Users": totals.users,
        "UsersQuota": MOST["user"][1],
        "Groups": totals.groups,
        "GroupsQuota": MOST["group"][1],
        "Roles": totals.roles,
        "RolesQuota": MOST["role"][1],
        "Policies": totals.policies,
        "PoliciesQuota": MOST["policy"][1],
        "PolicyVersionsInUse": totals.policy_versions,
        "PolicyVersionsInUseQuota": MOST["policy-version"][1],
        "InstanceProfiles": totals.instance_profiles,
        "InstanceProfilesQuota": MOST["instance-profile"][1],
        "VersionsPerPolicyQuota": MOST_VERSIONS,
        "AccessKeysPerUserQuota": access_keys.MOST_KEYS,
        "GroupsPerUserQuota": groups.MOST_GROUPS_PER_USER,
        "PolicySizeQuota": documents.MOST_MANAGED_CHARACTERS,
        "AssumeRolePolicySizeQuota": documents.MOST_TRUST_CHARACTERS,
        "GlobalEndpointTokenVersion": 2,
        "AccountAccessKeysPresent": int(bool(account.root_access_key_ids)),
        "AccountMFAEnabled": int(mfa.has_device(call.reader, call.account_id)),
        "AccountPasswordPresent": int(login_profiles.has_password(call.reader, call.account_id)),
        "MFADevices": totals.mfa_devices,
        "MFADevicesInUse": totals.mfa_devices_in_use,
        "ServerCertificates": totals.server_certificates,
        "ServerCertificatesQuota": MOST["server-certificate"][1],
    }
    for kind in KINDS.values():
        summary[f"AttachedPoliciesPer{kind.noun}Quota"] = MOST_ATTACHED
        summary[f"{kind.noun}PolicySizeQuota"] = kind.most_inline_characters
    summary["Providers"] = totals.saml_providers + oidc_providers.count(call.reader, call.account_id)
    root_certificates = signing_certificates.of(call.reader, call.account_id)
    summary["AccountSigningCertificatesPresent"] = int(bool(root_certificates))
    summary["SigningCertificatesPerUserQuota"] = signing_certificates.MOST_CERTIFICATES
    return {"SummaryMap": summary}


# Everything on one list

_SECTIONS = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
    "AWSManagedPolicy": "Policies",
}


_TABLES: dict[str, Table[Any]] = {"User": USERS, "Group": GROUPS, "Role": ROLES, "LocalManagedPolicy": POLICIES}


@iam("GetAccountAuthorizationDetails", on_account("GetAccountAuthorizationDetails"))
def get_account_authorization_details(call: Call, params: Params) -> Result:
    """Users, groups, roles and the policies in use, in this order over the pages."""
    reader, account_id, start = call.reader, call.account_id, pages.after(params)
    wanted, now = params.get("Filter") or list(_SECTIONS), call.app.clock.now_seconds()

    def details() -> Iterator[tuple[str, str, dict[str, Any]]]:
        for number, section in enumerate(_SECTIONS):
            if section not in wanted:
                continue
            for name, record in _records(reader, account_id, section):
                place = f"{number}/{name}"
                if start is None or place > start:
                    yield place, _SECTIONS[section], _detail(reader, account_id, record, now)

    page = pages.page(params, "details", details(), lambda item: item[0], lambda item: item[1:])
    result: Result = {member: [] for member in _SECTIONS.values()}
    for member, detail in page.pop("details"):
        result[member].append(detail)
    return result | page


def _records(
    reader: Reader, account_id: str, section: str
) -> Iterator[tuple[str, Named | aws_managed.AwsManagedPolicy]]:
    if section == "AWSManagedPolicy":
        for key, _ in USES.scan(reader, (account_id,), text=aws_managed.ARN_PREFIX):
            policy = aws_managed.find(str(key[1]))
            if policy is not None:
                yield policy.arn, policy
        return
    for key, record in _TABLES[section].scan(reader, (account_id,)):
        yield str(key[1]), record


def _detail(
    reader: Reader, account_id: str, record: Named | aws_managed.AwsManagedPolicy, now_seconds: float
) -> dict[str, Any]:
    if isinstance(record, aws_managed.AwsManagedPolicy):
        uses = USES.get(reader, (account_id, record.arn))
        known = PolicyVersion(document=aws_managed.document(record), created_at=record.updated_at)
        version = shapes.policy_version(record.version, known, record.version, document=True)
        return shapes.aws_policy(record, uses) | {"PolicyVersionList": [version]}
    if isinstance(record, ManagedPolicy):
        versions = [
            shapes.policy_version(int(key[1]), version, record.default_version, document=True)
            for key, version in POLICY_VERSIONS.scan(reader, (record.unique_id,), reverse=True)
        ]
        return shapes.policy(record, USES.get(reader, (record.account_id, record.arn))) | {
            "PolicyVersionList": versions
        }
    noun = KINDS[record.kind].noun
    common = {
        f"{noun}PolicyList": [
            {"PolicyName": name, "PolicyDocument": shapes.encoded(text)} for name, text in record.inline.items()
        ],
        "AttachedManagedPolicies": [attached(arn) for arn in record.attached],
    }
    if isinstance(record, User):
        names = [group.name for group in policies_of.groups_of(reader, record)]
        return shapes.user(record, whole=True) | common | {"GroupList": names}
    if isinstance(record, Role):
        profiles = [shown(reader, profile) for profile in of_role(reader, record)]
        detail = shapes.whole_role(reader, record, now_seconds) | common | {"InstanceProfileList": profiles}
        return {key: value for key, value in detail.items() if key not in ("Description", "MaxSessionDuration")}
    return shapes.group(record) | common
