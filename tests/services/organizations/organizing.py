"""An organization of real accounts on a live server: management, members, and what tests ask of them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

SCP, RCP = "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


def deny(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": "*", **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@contextmanager
def refused(code: str, text: str = "", *, reason: str | None = None) -> Iterator[None]:
    """Nothing but this error, with this in its message, and this `Reason`."""
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response["Error"]
    assert text in response["Error"]["Message"], response["Error"]
    assert response.get("Reason") == reason, response


class Organized:
    """An organization with all features: `management` is an administrator of its management account."""

    def __init__(self, server: Any, **options: Any) -> None:
        self.server = server
        self.root_user = server.new_account("management")
        made = self.root_user.organizations.create_organization(**options)["Organization"]
        self.id = made["Id"]
        self.management = self.administrator(self.root_user)
        self.organizations = self.management.organizations
        self.root_id = self.organizations.list_roots()["Roots"][0]["Id"]

    def administrator(self, account: Any) -> Any:
        admin = account.new_user(f"admin-{secrets.token_hex(4)}", {"Version": "2012-10-17", "Statement": [EVERYTHING]})
        admin.account_id = account.account_id
        return admin

    def unit(self, name: str, parent: str | None = None) -> str:
        made = self.organizations.create_organizational_unit(ParentId=parent or self.root_id, Name=name)
        unit_id: str = made["OrganizationalUnit"]["Id"]
        return unit_id

    def invited(self, parent: str | None = None) -> Any:
        """The root user of an account of its own that joined the organization."""
        account = self.server.new_account("member")
        handshake = self.organizations.invite_account_to_organization(
            Target={"Type": "ACCOUNT", "Id": account.account_id}
        )["Handshake"]
        account.organizations.accept_handshake(HandshakeId=handshake["Id"])
        if parent is not None:
            self.move(account.account_id, parent)
        return account

    def created(self, parent: str | None = None, **options: Any) -> Any:
        """A session of OrganizationAccountAccessRole in an account that the organization made."""
        address = f"{secrets.token_hex(6)}@example.com"
        status = self.organizations.create_account(AccountName="made", Email=address, **options)["CreateAccountStatus"]
        done = self.organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])
        account_id = done["CreateAccountStatus"]["AccountId"]
        if parent is not None:
            self.move(account_id, parent)
        return self.into(account_id, options.get("RoleName", "OrganizationAccountAccessRole"))

    def into(self, account_id: str, role: str = "OrganizationAccountAccessRole") -> Any:
        given = self.management.sts.assume_role(
            RoleArn=f"arn:aws:iam::{account_id}:role/{role}", RoleSessionName="test"
        )
        session = self.management.using(given)
        session.account_id = account_id
        return session

    def move(self, account_id: str, to: str) -> None:
        source = self.organizations.list_parents(ChildId=account_id)["Parents"][0]["Id"]
        self.organizations.move_account(AccountId=account_id, SourceParentId=source, DestinationParentId=to)

    def policy(self, *statements: dict[str, Any], type: str = SCP) -> str:
        made = self.organizations.create_policy(
            Name=f"policy-{secrets.token_hex(4)}", Description="", Type=type, Content=document(*statements)
        )
        policy_id: str = made["Policy"]["PolicySummary"]["Id"]
        return policy_id

    def attach(self, target: str, *statements: dict[str, Any], type: str = SCP) -> str:
        """A new policy on a target; its id."""
        policy_id = self.policy(*statements, type=type)
        self.organizations.attach_policy(PolicyId=policy_id, TargetId=target)
        return policy_id

    def only(self, target: str, *statements: dict[str, Any]) -> str:
        """A service control policy on a target in place of FullAWSAccess."""
        policy_id = self.attach(target, *statements)
        self.organizations.detach_policy(PolicyId="p-FullAWSAccess", TargetId=target)
        return policy_id

    def enable(self, type: str) -> None:
        self.organizations.enable_policy_type(RootId=self.root_id, PolicyType=type)
