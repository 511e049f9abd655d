"""The account's password policy, what it asks of a password, and when one has expired.

Without a policy of its own an account has AWS's default: 8 characters of three kinds at least, not the account's name,
no expiry. The policy is for IAM users; the root user's password answers to the default alone.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_account-policy.html
"""

from __future__ import annotations

import re
from typing import Any, Final

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam.authorized import iam, on_account
from freehold.services.iam.credential_records import PASSWORD_POLICIES, LoginProfile, PasswordPolicy
from freehold.services.iam.errors import NoSuchEntity, PasswordPolicyViolation
from freehold.services.iam.records import ACCOUNTS
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader

MOST_FORMER: Final = 24
DAY_SECONDS: Final = 86_400
_DEFAULT_LENGTH: Final = 8
_DEFAULT_KINDS: Final = 3

KINDS: Final = {
    "uppercase": (re.compile("[A-Z]").search, "Password should have at least one uppercase letter"),
    "lowercase": (re.compile("[a-z]").search, "Password should have at least one lowercase letter"),
    "numbers": (re.compile("[0-9]").search, "Password should have at least one number"),
    "symbols": (re.compile(r"[!@#$%^&*()_+\-=\[\]{}|']").search, "Password should have at least one symbol"),
}
"""Kinds of characters by the policy's field: whether a password has one, and what is said when it hasn't."""


def of_account(reader: Reader, account_id: str) -> PasswordPolicy | None:
    return PASSWORD_POLICIES.get(reader, (account_id,))


def check(reader: Reader, account_id: str, password: str, *, root: bool = False) -> None:
    """Raise PasswordPolicyViolation, in AWS's words, unless the account's policy takes this password.

    https://github.com/redhat-cop/agnosticd/pull/6594 shows the words of the default policy.
    """
    policy = None if root else of_account(reader, account_id)
    least = _DEFAULT_LENGTH if policy is None else policy.minimum_length
    missing = [said for field, (has, said) in KINDS.items() if not has(password) and getattr(policy, field, True)]
    if len(password) < least:
        raise PasswordPolicyViolation(f"Password should have a minimum length of {least}")
    if policy is not None:
        if missing:
            raise PasswordPolicyViolation(", ".join(missing))
        return
    too_few = len(missing) - (len(KINDS) - _DEFAULT_KINDS)
    if too_few > 0:
        raise PasswordPolicyViolation(
            f"Password should meet {too_few} more of the following requirements: {', '.join(missing)}"
        )
    account = ACCOUNTS.get(reader, (account_id,))
    if account is not None and password.lower() in (account.name.lower(), account.alias.lower(), account_id):
        raise PasswordPolicyViolation("Password should not be the name of the account")


def expires_at(policy: PasswordPolicy | None, profile: LoginProfile) -> int | None:
    """When the password expires (seconds since the epoch); None when it doesn't."""
    if policy is None or not policy.most_age_days:
        return None
    return profile.changed_at + policy.most_age_days * DAY_SECONDS


def _may_read(call: Call, params: Params) -> list[Permission]:
    """Users who may change their passwords by the policy's own word may read it as well."""
    policy = of_account(call.reader, call.account_id)
    granted = call.principal.kind == "user" and policy is not None and policy.users_may_change
    return [Permission("iam:GetAccountPasswordPolicy", "*", call.account_id, default_allow=granted)]


def _shown(policy: PasswordPolicy) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "MinimumPasswordLength": policy.minimum_length,
        "RequireSymbols": policy.symbols,
        "RequireNumbers": policy.numbers,
        "RequireUppercaseCharacters": policy.uppercase,
        "RequireLowercaseCharacters": policy.lowercase,
        "AllowUsersToChangePassword": policy.users_may_change,
        "ExpirePasswords": bool(policy.most_age_days),
    }
    if policy.most_age_days:
        shown["MaxPasswordAge"] = policy.most_age_days
    if policy.reuse_prevention:
        shown["PasswordReusePrevention"] = policy.reuse_prevention
    if policy.hard_expiry is not None:
        shown["HardExpiry"] = policy.hard_expiry
    return shown


@iam("UpdateAccountPasswordPolicy", on_account("UpdateAccountPasswordPolicy"), writes=True)
def update_account_password_policy(call: Call, params: Params) -> None:
    """The whole policy: what is left out gets AWS's default (6 characters, nothing required, no expiry).

    It holds for passwords from now on, an age at once for those that are there.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccountPasswordPolicy.html
    """
    policy = PasswordPolicy(
        minimum_length=params.get("MinimumPasswordLength", 6),
        symbols=params.get("RequireSymbols", False),
        numbers=params.get("RequireNumbers", False),
        uppercase=params.get("RequireUppercaseCharacters", False),
        lowercase=params.get("RequireLowercaseCharacters", False),
        users_may_change=params.get("AllowUsersToChangePassword", False),
        most_age_days=params.get("MaxPasswordAge", 0),
        reuse_prevention=params.get("PasswordReusePrevention", 0),
        hard_expiry=params.get("HardExpiry"),
    )
    PASSWORD_POLICIES.put(call.tx, (call.account_id,), policy)


@iam("GetAccountPasswordPolicy", _may_read)
def get_account_password_policy(call: Call, params: Params) -> Result:
    """The account's own policy. The default one isn't shown: NoSuchEntity, as AWS answers."""
    policy = of_account(call.reader, call.account_id)
    if policy is None:
        raise NoSuchEntity(f"The Password Policy with domain name {call.account_id} cannot be found.")
    return {"PasswordPolicy": _shown(policy)}


@iam("DeleteAccountPasswordPolicy", on_account("DeleteAccountPasswordPolicy"), writes=True)
def delete_account_password_policy(call: Call, params: Params) -> None:
    """Back to the default policy."""
    if of_account(call.tx, call.account_id) is None:
        raise NoSuchEntity("The account policy with name PasswordPolicy cannot be found.")
    PASSWORD_POLICIES.delete(call.tx, (call.account_id,))
