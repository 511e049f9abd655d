"""What `aws iam get-account-authorization-details` prints, as the records of an account: a plan, without a store.

Keeps names, paths, unique ids, dates, tags, documents with their versions, attachments, boundaries, groups, instance
profiles. What can't be kept is left out or kept differently, and noted: nothing is guessed. Passwords, access keys and
MFA devices are not in what AWS prints. Refuses (`CannotImport`) what is no such output, or names several accounts.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from freehold.authentication.key_ids import new_unique_id
from freehold.authorization import document
from freehold.authorization.document import MalformedPolicy, PolicyType
from freehold.services.iam import aws_managed
from freehold.services.iam.records import (
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
)

SECTIONS: Final = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
MOST_NOTES: Final = 1_000
MOST_ENTITIES: Final = 50_000
_ARN: Final = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}|aws):([a-z-]+)(/[!-~]*)", re.ASCII)
_NAME: Final = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_PATH: Final = re.compile(r"/(?:[!-~]{1,510}/)?", re.ASCII)
_UNIQUE_ID: Final = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,28}", re.ASCII)
_VERSION: Final = re.compile(r"v([1-9][0-9]{0,8})", re.ASCII)
_PREFIXES: Final = {"user": "AIDA", "group": "AGPA", "role": "AROA", "policy": "ANPA", "instance-profile": "AIPA"}
_MOST_TAGS: Final = 50
_LATEST: Final = 253_402_300_799
"""The end of the year 9999: what is later can't be shown as a date."""
_AWS_ID: Final = re.compile(r"(AIDA|AROA)[A-Z0-9]{12,28}", re.ASCII)

Raw = Mapping[str, Any]
IsTaken = Callable[[str], bool]
"""Whether a unique id belongs to somebody in this deployment, or is named by a policy of theirs."""


class CannotImport(ValueError):
    """This is not one account's authorization details. The message says what is wrong."""


@dataclass(slots=True)
class Note:
    """Something that was not kept as it was, and why."""

    subject: str
    message: str


@dataclass(slots=True)
class Plan:
    """The records of one account, each with an id that nobody has."""

    account_id: str
    users: list[User] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    policies: list[tuple[ManagedPolicy, dict[int, PolicyVersion]]] = field(default_factory=list)
    profiles: list[InstanceProfile] = field(default_factory=list)
    members: list[tuple[str, str]] = field(default_factory=list)
    """(group's id, user's id)."""
    notes: list[Note] = field(default_factory=list)
    notes_omitted: int = 0

    def note(self, subject: str, message: str) -> None:
        if len(self.notes) < MOST_NOTES:
            self.notes.append(Note(subject, message))
        else:
            self.notes_omitted += 1


def plan(details: Raw, *, now: int, is_taken: IsTaken, bound_elsewhere: Callable[[str], str | None]) -> Plan:
    """The plan for one account's details. `bound_elsewhere`: the unique id of another imported account's user or
    role by its ARN, None where there is none. Raises CannotImport."""
    return _Planner(details, now, is_taken, bound_elsewhere).made()


class _Planner:
    def __init__(self, details: Raw, now: int, is_taken: IsTaken, bound_elsewhere: Callable[[str], str | None]) -> None:
        self._sections = {name: _section(details, name) for name in SECTIONS}
        if sum(map(len, self._sections.values())) > MOST_ENTITIES:
            raise CannotImport(f"There are more than {MOST_ENTITIES:,} users, groups, roles and policies.")
        self._now = now
        self._is_taken = is_taken
        self._bound_elsewhere = bound_elsewhere
        self._plan = Plan(_account_of(self._sections))
        self._names: set[tuple[str, str]] = set()
        self._ids: set[str] = set()
        self._known_policies: dict[str, str] = {}
        """ARN in the file -> ARN that is attached here."""

    def made(self) -> Plan:
        for raw in self._sections["Policies"]:
            self._policy(raw)
        groups = {group.name: group for raw in self._sections["GroupDetailList"] if (group := self._group(raw))}
        for raw in self._sections["UserDetailList"]:
            self._user(raw, groups)
        roles = [(role, raw) for raw in self._sections["RoleDetailList"] if (role := self._role(raw))]
        self._bind_trust_policies()
        for role, raw in roles:
            self._profiles(role, raw)
        return self._plan

    # --- policies --------------------------------------------------------------------------------------------

    def _policy(self, raw: Raw) -> None:
        arn = str(raw.get("Arn", ""))
        parts = _ARN.fullmatch(arn)
        if parts is None or parts[3] != "policy":
            self._plan.note(arn[:200] or "a policy", "left out: it has no policy's ARN")
            return
        versions = self._versions(raw, arn)
        if parts[2] == "aws":
            self._aws_policy(raw, arn, versions)
            return
        if versions:
            self._keep_policy(raw, arn, arn, versions)

    def _aws_policy(self, raw: Raw, arn: str, versions: dict[int, PolicyVersion]) -> None:
        known = aws_managed.find(arn)
        if known is not None:
            self._known_policies[arn] = arn
            default = str(raw.get("DefaultVersionId", ""))
            if default and default != f"v{known.version}":
                self._plan.note(arn, f"it is at {default} in the account, and at v{known.version} here")
            return
        if not versions:
            self._plan.note(arn, "left out wherever it is attached: it isn't known here, and its document isn't given")
            return
        own = f"arn:aws:iam::{self._plan.account_id}:policy{_ARN.fullmatch(arn)[4]}"  # type: ignore[index]
        if self._keep_policy(raw, own, arn, versions):
            self._plan.note(arn, f"it isn't known here: kept as the customer managed policy {own}")

    def _keep_policy(self, raw: Raw, arn: str, arn_in_file: str, versions: dict[int, PolicyVersion]) -> bool:
        named = self._named("policy", {**raw, "Arn": arn}, raw.get("PolicyName"), raw.get("PolicyId"))
        if named is None:
            return False
        name, path, unique_id = named
        default = _VERSION.fullmatch(str(raw.get("DefaultVersionId", "")))
        number = int(default[1]) if default else 0
        if number not in versions:
            self._plan.note(arn, "left out: its default version isn't given or can't be understood")
            self._names.discard(("policy", name.lower()))
            return False
        kept = ManagedPolicy(
            account_id=self._plan.account_id,
            name=name,
            path=path,
            unique_id=unique_id,
            created_at=self._date(raw.get("CreateDate")),
            updated_at=self._date(raw.get("UpdateDate") or raw.get("CreateDate")),
            description=str(raw.get("Description") or "")[:1000],
            default_version=number,
            latest_version=max(versions),
            tags=self._tags(raw, arn),
        )
        self._plan.policies.append((kept, versions))
        self._known_policies[arn_in_file] = arn
        return True

    def _versions(self, raw: Raw, arn: str) -> dict[int, PolicyVersion]:
        found = {}
        for version in _list(raw.get("PolicyVersionList")):
            number = _VERSION.fullmatch(str(version.get("VersionId", "")))
            if number is None:
                self._plan.note(arn, "a version was left out: it has no number")
                continue
            text = self._document(version.get("Document"), "identity", f"{arn} {number[0]}")
            if text is not None:
                created_at = self._date(version.get("CreateDate"))
                found[int(number[1])] = PolicyVersion(document=text, created_at=created_at)
        return found

    # --- users, groups, roles --------------------------------------------------------------------------------

    def _group(self, raw: Raw) -> Group | None:
        named = self._named("group", raw, raw.get("GroupName"), raw.get("GroupId"))
        if named is None:
            return None
        name, path, unique_id = named
        group = Group(
            account_id=self._plan.account_id,
            name=name,
            path=path,
            unique_id=unique_id,
            created_at=self._date(raw.get("CreateDate")),
            inline=self._inline(raw, "GroupPolicyList", f"group {name}"),
            attached=self._attached(raw, f"group {name}"),
        )
        self._plan.groups.append(group)
        return group

    def _user(self, raw: Raw, groups: Mapping[str, Group]) -> None:
        named = self._named("user", raw, raw.get("UserName"), raw.get("UserId"))
        if named is None:
            return
        name, path, unique_id = named
        subject = f"user {name}"
        group_ids = []
        given = raw.get("GroupList")
        for group_name in given if isinstance(given, list) else ():
            group = groups.get(group_name) if isinstance(group_name, str) else None
            if group is None:
                self._plan.note(subject, f"not a member of the group {str(group_name)[:128]}, which isn't given")
            elif group.unique_id not in group_ids:
                group_ids.append(group.unique_id)
                self._plan.members.append((group.unique_id, unique_id))
        self._plan.users.append(
            User(
                account_id=self._plan.account_id,
                name=name,
                path=path,
                unique_id=unique_id,
                created_at=self._date(raw.get("CreateDate")),
                inline=self._inline(raw, "UserPolicyList", subject),
                attached=self._attached(raw, subject),
                tags=self._tags(raw, subject),
                group_ids=group_ids,
                boundary=self._boundary(raw, subject),
            )
        )

    def _role(self, raw: Raw) -> Role | None:
        subject = f"role {str(raw.get('RoleName', ''))[:128]}"
        trust = self._document(raw.get("AssumeRolePolicyDocument"), "trust", f"{subject}, its trust policy")
        if trust is None:
            self._plan.note(subject, "left out: who may assume it isn't given or can't be understood")
            return None
        named = self._named("role", raw, raw.get("RoleName"), raw.get("RoleId"))
        if named is None:
            return None
        name, path, unique_id = named
        role = Role(
            account_id=self._plan.account_id,
            name=name,
            path=path,
            unique_id=unique_id,
            created_at=self._date(raw.get("CreateDate")),
            inline=self._inline(raw, "RolePolicyList", subject),
            attached=self._attached(raw, subject),
            trust_policy=trust,
            tags=self._tags(raw, subject),
            boundary=self._boundary(raw, subject),
        )
        self._plan.roles.append(role)
        return role

    def _bind_trust_policies(self) -> None:
        """Users and roles as unique ids, as in every trust policy that is written here."""
        own: dict[str, str] = {one.arn: one.unique_id for one in (*self._plan.users, *self._plan.roles)}
        for role in self._plan.roles:
            subject = f"role {role.name}"

            def bound(value: str, subject: str = subject) -> str:
                if value in own:
                    return own[value]
                if _AWS_ID.fullmatch(value):
                    if value not in self._ids:
                        self._plan.note(subject, f"it trusts {value}, of whom nobody is known: kept as it is")
                    return value
                found = self._bound_elsewhere(value)
                if found is not None:
                    return found
                parts = value.split(":", 5)
                if len(parts) == 6 and parts[2] == "iam" and parts[5] != "root":
                    self._plan.note(subject, f"it trusts {value[:300]}, who isn't in the file: kept as it is, by name")
                return value

            role.trust_policy = _with_principals(role.trust_policy, bound)

    def _profiles(self, role: Role, raw: Raw) -> None:
        for profile in _list(raw.get("InstanceProfileList")):
            name = profile.get("InstanceProfileName")
            named = self._named("instance-profile", profile, name, profile.get("InstanceProfileId"))
            if named is not None:
                self._plan.profiles.append(
                    InstanceProfile(
                        account_id=self._plan.account_id,
                        name=named[0],
                        path=named[1],
                        unique_id=named[2],
                        created_at=self._date(profile.get("CreateDate")),
                        role_id=role.unique_id,
                        tags=self._tags(profile, f"instance profile {named[0]}"),
                    )
                )

    # --- parts -----------------------------------------------------------------------------------------------

    def _named(self, kind: str, raw: Raw, name: Any, unique_id: Any) -> tuple[str, str, str] | None:
        """(name, path, unique id) of what can be kept; None, with a note, for what can't."""
        subject = f"{kind} {str(name)[:128]}"
        arn = _ARN.fullmatch(str(raw.get("Arn", "")))
        if not isinstance(name, str) or not _NAME.fullmatch(name) or (kind in ("user", "role") and len(name) > 64):
            self._plan.note(subject, "left out: its name can't be one")
            return None
        path = "/" if arn is None else arn[4].rpartition("/")[0] + "/"
        if arn is None or arn[3] != kind or arn[4] != f"{path}{name}" or not _PATH.fullmatch(path):
            self._plan.note(subject, "left out: its ARN isn't its own")
            return None
        if (kind, name.lower()) in self._names:
            self._plan.note(subject, "left out: another has this name (case doesn't count)")
            return None
        self._names.add((kind, name.lower()))
        given = unique_id if isinstance(unique_id, str) else ""
        if not given.startswith(_PREFIXES[kind]) or not _UNIQUE_ID.fullmatch(given):
            self._plan.note(subject, "it has a new unique id: the one that is given can't be one")
            given = ""
        elif given in self._ids or self._is_taken(given):
            self._plan.note(subject, f"it has a new unique id: {given} is somebody else's here")
            given = ""
        while not given or given in self._ids:
            given = new_unique_id(_PREFIXES[kind])
        self._ids.add(given)
        return name, path, given

    def _inline(self, raw: Raw, member: str, subject: str) -> dict[str, str]:
        found = {}
        for policy in _list(raw.get(member)):
            name = policy.get("PolicyName")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                self._plan.note(subject, "an inline policy was left out: its name can't be one")
                continue
            text = self._document(policy.get("PolicyDocument"), "identity", f"{subject}, inline policy {name}")
            if text is not None:
                found[name] = text
        return found

    def _attached(self, raw: Raw, subject: str) -> list[str]:
        found: list[str] = []
        for policy in _list(raw.get("AttachedManagedPolicies")):
            arn = self._policy_here(str(policy.get("PolicyArn", "")))
            if arn is None:
                named = str(policy.get("PolicyArn"))[:300]
                self._plan.note(subject, f"not attached: {named}, which isn't known here and isn't given")
            elif arn not in found:
                found.append(arn)
        return found

    def _boundary(self, raw: Raw, subject: str) -> str:
        given = raw.get("PermissionsBoundary")
        named = given.get("PermissionsBoundaryArn") if isinstance(given, Mapping) else None
        if not named:
            return ""
        arn = self._policy_here(str(named))
        if arn is None:
            # Without its document nothing is within the boundary.
            self._plan.note(subject, f"its permissions boundary {str(named)[:300]} isn't known: it allows nothing")
            return f"arn:aws:iam::{self._plan.account_id}:policy/unknown-boundary"
        return arn

    def _policy_here(self, arn: str) -> str | None:
        known = self._known_policies.get(arn)
        return arn if known is None and aws_managed.find(arn) is not None else known

    def _tags(self, raw: Raw, subject: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for tag in _list(raw.get("Tags")):
            key, value = tag.get("Key"), tag.get("Value", "")
            if not isinstance(key, str) or not isinstance(value, str) or not 1 <= len(key) <= 128 or len(value) > 256:
                self._plan.note(subject, "a tag was left out: it can't be one")
            elif len(found) < _MOST_TAGS:
                found[key] = value
        return found

    def _document(self, raw: Any, type_: PolicyType, subject: str) -> str | None:
        """The document's text, None with a note where it can't be understood."""
        if isinstance(raw, str):
            text = unquote(raw) if raw.lstrip()[:1] == "%" else raw
        elif isinstance(raw, Mapping):
            text = json.dumps(raw, ensure_ascii=False)
        else:
            self._plan.note(subject, "left out: there is no document")
            return None
        try:
            document.parse(text, type_)
        except MalformedPolicy as error:
            self._plan.note(subject, f"left out: {error.message[:300]}")
            return None
        return text

    def _date(self, given: Any) -> int:
        if isinstance(given, str):
            try:
                found = datetime.fromisoformat(given)
                seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
                return min(max(0, int(seconds)), _LATEST)
            except (ValueError, OverflowError):
                return self._now
        if isinstance(given, int | float) and 0 <= given <= _LATEST:
            return int(given)
        return self._now


def _section(details: Raw, name: str) -> list[Raw]:
    if not isinstance(details, Mapping):
        raise CannotImport("This is no output of get-account-authorization-details: it is not an object.")
    found = details.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise CannotImport(f"This is no output of get-account-authorization-details: {name} is not a list of objects.")
    return found


def _account_of(sections: Mapping[str, list[Raw]]) -> str:
    """The one account that all ARNs name."""
    accounts = set()
    for section in sections.values():
        for raw in section:
            found = _ARN.fullmatch(str(raw.get("Arn", "")))
            if found is not None and found[1] != "aws":
                raise CannotImport(f"The partition {found[1]} is not served; only arn:aws: is.")
            if found is not None and found[2] != "aws":
                accounts.add(found[2])
    if len(accounts) != 1:
        named = ", ".join(sorted(accounts)[:5]) or "none"
        raise CannotImport(f"The users, groups, roles and policies must be of one account; their ARNs name {named}.")
    return accounts.pop()


def _list(value: Any) -> Iterator[Raw]:
    """The objects of a member that should be a list of them."""
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, Mapping))


def _with_principals(text: str, bound: Callable[[str], str]) -> str:
    """The trust policy with its `AWS` principals changed; its text as it was where nothing changes."""
    policy = json.loads(text, parse_float=str)
    listed = policy["Statement"]
    changed = False
    for statement in listed if isinstance(listed, list) else [listed]:
        principal = statement.get("Principal")
        if isinstance(principal, dict) and "AWS" in principal:
            before = principal["AWS"]
            after = [bound(one) for one in before] if isinstance(before, list) else bound(before)
            if after != before:
                principal["AWS"] = after
                changed = True
    return json.dumps(policy, ensure_ascii=False) if changed else text
