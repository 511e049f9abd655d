"""What is kept of how people sign in: passwords' hashes, MFA devices, attempts, and when credentials were last used.

Nothing here is read on the way of a signed request, so writes leave the caches of `iam` alone; the one exception is
`ENDED_SESSIONS`. An owner is a user's unique id, or the account id for the account's root user.
"""

from __future__ import annotations

import msgspec

from freehold.services.iam.records import Mark, Record
from freehold.storage.records import Table


class LoginProfile(Record, kw_only=True):
    """A password. One without a hash can't be signed in with: an administrator has allowed a new one to be set."""

    created_at: int
    changed_at: int
    password: str = ""
    """Argon2id in the PHC string format."""
    former: list[str] = msgspec.field(default_factory=list)
    """Hashes of earlier passwords, the latest first; with the same salt as `password`."""
    reset_required: bool = False

    def __repr__(self) -> str:
        return "LoginProfile(…)"


class PasswordPolicy(Record, kw_only=True):
    """An account's own password policy. A zero is what wasn't set."""

    minimum_length: int = 6
    symbols: bool = False
    numbers: bool = False
    uppercase: bool = False
    lowercase: bool = False
    users_may_change: bool = False
    most_age_days: int = 0
    reuse_prevention: int = 0
    hard_expiry: bool | None = None


class MfaDevice(Record, kw_only=True):
    """A virtual MFA device. `owner_id` is empty while nobody's."""

    account_id: str
    path: str
    name: str
    created_at: int
    seed: bytes
    owner_id: str = ""
    enabled_at: int = 0
    drift_steps: int = 0
    """How far the device's clock was ahead when it was last compared."""
    last_step: int = 0
    """The latest step whose code was accepted: it and those before it are never accepted again."""
    was_roots: bool = False
    """Whether nobody has had it since the root user."""
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def serial(self) -> str:
        return f"arn:aws:iam::{self.account_id}:mfa{self.path}{self.name}"

    def __repr__(self) -> str:
        return f"MfaDevice({self.serial})"


class Moment(Record, kw_only=True):
    at: int


class LastUse(Record, kw_only=True):
    """When, for which service and in which Region an access key or a role was last used."""

    at: int
    service: str
    region: str


class Attempts(Record, kw_only=True):
    """Failed attempts in a row, of whatever the key names."""

    failures: int
    last_at: float


class PendingSignIn(Record, kw_only=True):
    """A console session that waits for whoever brings its sign-in token."""

    access_key_id: str
    secret: str
    token: str
    session_expires_at: int
    expires_at: int
    account_id: str
    identity: str
    """CloudTrail's `userIdentity`, as JSON."""
    arn: str

    def __repr__(self) -> str:
        return f"PendingSignIn({self.access_key_id})"


class CredentialReport(Record, kw_only=True):
    generated_at: int
    content: bytes


LOGIN_PROFILES = Table("iam.login_profiles", LoginProfile)  # (owner)
PASSWORD_POLICIES = Table("iam.password_policies", PasswordPolicy)  # (account id)
MFA_DEVICES = Table("iam.mfa_devices", MfaDevice)  # (account id, lower-case path and name)
MFA_DEVICES_OF = Table("iam.mfa_devices_of", Mark)  # (owner, lower-case path and name)
SIGNED_IN = Table("iam.signed_in", Moment)  # (owner)
LAST_USES = Table("iam.last_uses", LastUse)  # (access key id, or a role's unique id)
ATTEMPTS = Table("iam.attempts", Attempts)  # (what, …)
SIGNIN_TOKENS = Table("iam.signin_tokens", PendingSignIn)  # (SHA-256 of the token)
ENDED_SESSIONS = Table("iam.ended_sessions", Moment, domain="iam")  # (access key id); `at`: when it would have expired
CREDENTIAL_REPORTS = Table("iam.credential_reports", CredentialReport)  # (account id)
