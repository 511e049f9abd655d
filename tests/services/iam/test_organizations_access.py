"""Access reports on an organization, against a live server."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError


def _document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": {"Resource": "*", **statement}})


class Tree:
    """root ─ unit ─ inside; root ─ outside; and the management account. Within the unit nothing of KMS is allowed."""

    def __init__(self, server: Any) -> None:
        self.management = server.new_account("management")
        organizations = self.management.organizations
        organization_id = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
        root = organizations.list_roots()["Roots"][0]["Id"]
        unit = organizations.create_organizational_unit(ParentId=root, Name="unit")["OrganizationalUnit"]["Id"]
        self.inside, self.outside = server.new_account("inside"), server.new_account("outside")
        for account in (self.inside, self.outside):
            invited = organizations.invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": account.account_id})
            account.organizations.accept_handshake(HandshakeId=invited["Handshake"]["Id"])
        organizations.move_account(AccountId=self.inside.account_id, SourceParentId=root, DestinationParentId=unit)
        self.policy = organizations.create_policy(
            Name="no-kms",
            Description="",
            Type="SERVICE_CONTROL_POLICY",
            Content=_document(Effect="Deny", Action="kms:*"),
        )["Policy"]["PolicySummary"]["Id"]
        organizations.attach_policy(PolicyId=self.policy, TargetId=unit)
        self.organizations = organizations
        self.root = f"{organization_id}/{root}"
        self.unit = f"{self.root}/{unit}"
        self.account = f"{self.unit}/{self.inside.account_id}"

    def report(self, path: str, **params: Any) -> dict[str, Any]:
        iam = self.management.iam
        sort = {"SortKey": params.pop("SortKey")} if "SortKey" in params else {}
        job = iam.generate_organizations_access_report(EntityPath=path, **params)["JobId"]
        for _ in range(500):
            found = iam.get_organizations_access_report(JobId=job, MaxItems=1000, **sort)
            if found["JobStatus"] != "IN_PROGRESS":
                assert found["JobStatus"] == "COMPLETED", found
                return found
            time.sleep(0.02)
        raise AssertionError("the job did not end")

    def services(self, path: str, **params: Any) -> dict[str, dict[str, Any]]:
        return {one["ServiceNamespace"]: one for one in self.report(path, **params)["AccessDetails"]}


@pytest.fixture
def tree(freehold_server: Any) -> Tree:
    made = Tree(freehold_server)
    made.inside.new_user("ada", json.loads(_document(Effect="Allow", Action="*"))).s3.list_buckets()
    with pytest.raises(ClientError):
        made.inside.kms.list_keys()
    made.outside.kms.list_keys()
    made.management.sts.get_caller_identity()
    return made


def test_each_entity_is_told_of_what_its_policies_allow_and_its_accounts_use(tree: Tree) -> None:
    of_account, of_root = tree.services(tree.account), tree.services(tree.root)
    assert "kms" not in of_account
    s3 = of_account["s3"]
    assert (s3["EntityPath"], s3["TotalAuthenticatedEntities"], s3["Region"]) == (tree.account, 1, "us-east-1")
    assert "LastAuthenticatedTime" not in of_account["ec2"]
    # The root allows KMS; a refused attempt counts, and the root users' calls do.
    assert of_root["kms"]["TotalAuthenticatedEntities"] == 2
    assert of_root["kms"]["EntityPath"] in (tree.account, f"{tree.root}/{tree.outside.account_id}")
    # The management account has no part in what limits others, and everything in its own report.
    assert "LastAuthenticatedTime" not in of_root["sts"]
    own = tree.services(f"{tree.root}/{tree.management.account_id}")
    assert own["sts"]["EntityPath"] == f"{tree.root}/{tree.management.account_id}"
    assert "kms" in own
    # The unit's report is the one of the account in it.
    assert {name: one.get("EntityPath") for name, one in tree.services(tree.unit).items()} == {
        name: one.get("EntityPath") for name, one in of_account.items()
    }


def test_a_policys_report_is_about_the_accounts_that_it_applies_to(tree: Tree) -> None:
    only_s3 = tree.organizations.create_policy(
        Name="only-s3", Description="", Type="SERVICE_CONTROL_POLICY", Content=_document(Effect="Allow", Action="s3:*")
    )["Policy"]["PolicySummary"]["Id"]
    nothing = tree.report(tree.root, OrganizationsPolicyId=only_s3)
    assert (nothing["NumberOfServicesAccessible"], nothing["NumberOfServicesNotAccessed"]) == (1, 1)
    tree.organizations.attach_policy(PolicyId=only_s3, TargetId=tree.inside.account_id)
    applied = tree.report(tree.root, OrganizationsPolicyId=only_s3)
    assert (applied["NumberOfServicesAccessible"], applied["NumberOfServicesNotAccessed"]) == (1, 0)
    assert applied["AccessDetails"][0]["EntityPath"] == tree.account
    elsewhere = tree.report(f"{tree.root}/{tree.outside.account_id}", OrganizationsPolicyId=only_s3)
    assert elsewhere["NumberOfServicesNotAccessed"] == 1


def test_it_is_sorted_as_asked_for(tree: Tree) -> None:
    names = [one["ServiceNamespace"] for one in tree.report(tree.root)["AccessDetails"]]
    assert names == sorted(names)
    backwards = tree.report(tree.root, SortKey="SERVICE_NAMESPACE_DESCENDING")["AccessDetails"]
    assert [one["ServiceNamespace"] for one in backwards] == names[::-1]
    latest = tree.report(tree.root, SortKey="LAST_AUTHENTICATED_TIME_DESCENDING")["AccessDetails"]
    used = ["LastAuthenticatedTime" in one for one in latest]
    assert used == sorted(used, reverse=True)
    assert used[0]


def test_only_the_management_account_may_ask_and_only_about_its_own(tree: Tree, freehold_server: Any) -> None:
    iam = tree.management.iam
    for account in (tree.inside, freehold_server.new_account("stranger")):
        with pytest.raises(ClientError, match="AccessDenied"):
            account.iam.generate_organizations_access_report(EntityPath=tree.root)
    for path in (tree.root + "/ou-xxxx-11111111", tree.unit.replace("/o", "/x", 1), tree.root.replace("o-", "o-0", 1)):
        with pytest.raises(ClientError, match=r"InvalidInput|ValidationError"):
            iam.generate_organizations_access_report(EntityPath=path)
    with pytest.raises(ClientError, match="InvalidInput"):
        iam.generate_organizations_access_report(EntityPath=tree.root, OrganizationsPolicyId="p-12345678")
    job = iam.generate_organizations_access_report(EntityPath=tree.root)["JobId"]
    with pytest.raises(ClientError, match="NoSuchEntity"):
        tree.inside.iam.get_organizations_access_report(JobId=job)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_service_last_accessed_details(JobId=job)
    allowed = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}}
    with pytest.raises(ClientError, match="organizations:DescribePolicy"):
        tree.management.new_user("bob", allowed).iam.generate_organizations_access_report(EntityPath=tree.root)
