"""Access reports on an organization: which services its policies allow a root, unit or account, and what is used.

The management account asks for them. The management account itself is limited by no policy, so it has no part in
reports on what is above it, and its own report lists every service.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GenerateOrganizationsAccessReport.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from freehold.authorization import service_reference
from freehold.authorization.document import Policy
from freehold.authorization.permission import Permission
from freehold.errors import aws_error
from freehold.services.call import Call
from freehold.services.iam import access_jobs, pages, service_access, shapes
from freehold.services.iam.access_index import ACCESSES, Used
from freehold.services.iam.access_jobs import Job, Report, ServiceUse, maker, may_get
from freehold.services.iam.authorized import iam
from freehold.services.iam.errors import AccessDenied, InvalidInput
from freehold.services.operation import Params, Result
from freehold.services.organizations import attached, tree
from freehold.services.organizations.records import Organization
from freehold.services.organizations.source import SCP, compiled
from freehold.storage.records import Reader

MOST_RUNNING = 5
ReportGenerationLimitExceeded = aws_error("ReportGenerationLimitExceeded", 409)
_ALSO_NEEDED = (
    *("DescribePolicy", "ListChildren", "ListParents", "ListPoliciesForTarget", "ListRoots", "ListTargetsForPolicy"),
)
"""Of Organizations' actions, since the report tells what they would."""


def _may_generate(call: Call, params: Params) -> list[Permission]:
    path, policy_id = params["EntityPath"], params.get("OrganizationsPolicyId")
    context = {"iam:organizationspolicyid": policy_id} if policy_id else {}
    arn = f"arn:aws:iam::{call.account_id}:access-report/{path}"
    return [
        Permission("iam:GenerateOrganizationsAccessReport", arn, call.account_id, context),
        *(Permission(f"organizations:{action}", "*", call.account_id) for action in _ALSO_NEEDED),
    ]


@iam("GenerateOrganizationsAccessReport", _may_generate, writes=True)
def generate_organizations_access_report(call: Call, params: Params) -> Result:
    """Start a report on a root, unit or account by its path, or on one service control policy there.

    For the management account alone, while service control policies are enabled; five at a time.
    """
    organization = _managed(call)
    policy_id = params.get("OrganizationsPolicyId") or ""
    node = params["EntityPath"].rstrip("/").rpartition("/")[2]
    if _path_of(call.tx, organization, node) != params["EntityPath"].rstrip("/"):
        raise InvalidInput(f"{params['EntityPath']} is not the path of an entity of the organization.")
    if policy_id:
        policy = attached.policy(call.tx, organization, policy_id)
        if policy is None or policy.type != SCP:
            raise InvalidInput(f"{policy_id} is not a service control policy of the organization.")
    now = int(call.app.clock.now_seconds())
    if access_jobs.running(call.tx, call.account_id, "organization", now) >= MOST_RUNNING:
        raise ReportGenerationLimitExceeded(f"{MOST_RUNNING} reports are being made already.")
    job = Job(
        kind="organization",
        account_id=call.account_id,
        subject=node,
        owner=call.principal.unique_id,
        created_at=now,
        policy_id=policy_id,
    )
    return access_jobs.start(call, job)


def _managed(call: Call) -> Organization:
    """The organization that the caller's account manages."""
    organization = tree.organization_of(call.reader, call.account_id)
    if organization is None or organization.management_account_id != call.account_id:
        raise AccessDenied("Only the management account of an organization can generate this report.")
    if SCP not in organization.policy_types:
        raise AccessDenied("Service control policies are not enabled in the organization's root.")
    return organization


def _path_of(reader: Reader, organization: Organization, node: str) -> str | None:
    """The path of a root, unit or account of the organization, without a slash at its end."""
    if not tree.is_parent(reader, organization, node) and tree.member(reader, organization, node) is None:
        return None
    return tree.path(reader, organization, node).rstrip("/")


@maker("organization")
def make(reader: Reader, job: Job) -> Report | None:
    """The services that the policies allow, with the accounts below the entity that used them."""
    organization = tree.organization_of(reader, job.account_id)
    if organization is None or _path_of(reader, organization, job.subject) is None:
        return None
    uses: dict[str, ServiceUse] = {}
    latest: dict[str, int] = {}
    for account_id in _accounts(reader, organization, job):
        for prefix, last in _uses_of(reader, account_id):
            use = uses.setdefault(prefix, ServiceUse(prefix=prefix))
            use.used[account_id] = last.at
            if last.at >= latest.get(prefix, 0):
                latest[prefix], use.region = last.at, last.region
    allowed = _allowed(reader, organization, job)
    return Report(services=[uses.get(prefix) or ServiceUse(prefix=prefix) for prefix in allowed])


def _allowed(reader: Reader, organization: Organization, job: Job) -> list[str]:
    """The services that each level down to the entity allows, or that the one policy does."""
    every = list(service_reference.names())
    if job.subject == organization.management_account_id and not job.policy_id:
        return every
    if job.policy_id:
        policy = attached.policy(reader, organization, job.policy_id)
        levels = [[] if policy is None else [compiled(policy.policy_id, policy.content, "scp")]]
    else:
        levels = [_policies_on(reader, organization, node) for node in tree.levels(reader, organization, job.subject)]
    return [prefix for prefix in every if all(service_access.grants(level, prefix) for level in levels)]


def _policies_on(reader: Reader, organization: Organization, node: str) -> list[Policy]:
    found = attached.policies_on(reader, organization.organization_id, node, SCP)
    return [compiled(policy.policy_id, policy.content, "scp") for policy in found]


def _accounts(reader: Reader, organization: Organization, job: Job) -> Iterator[str]:
    """The accounts that the report is about: those at or below the entity to which the policies apply."""
    management = organization.management_account_id
    if job.subject == management:
        if not job.policy_id:
            yield management
        return
    for account_id in tree.account_ids(reader, organization):
        nodes = tree.levels(reader, organization, account_id)
        if account_id == management or job.subject not in nodes:
            continue
        if not job.policy_id or any(attached.is_attached(reader, organization, job.policy_id, node) for node in nodes):
            yield account_id


def _uses_of(reader: Reader, account_id: str) -> Iterator[tuple[str, Used]]:
    """(service, its last use) in one account, by whoever it was."""
    found: dict[str, Used] = {}
    for key, access in ACCESSES.scan(reader, (account_id,)):
        prefix = str(key[2])
        if prefix not in found or found[prefix].at < access.last.at:
            found[prefix] = access.last
    yield from found.items()


_ORDERS: dict[str, tuple[bool, bool]] = {
    "SERVICE_NAMESPACE_ASCENDING": (False, False),
    "SERVICE_NAMESPACE_DESCENDING": (False, True),
    "LAST_AUTHENTICATED_TIME_ASCENDING": (True, False),
    "LAST_AUTHENTICATED_TIME_DESCENDING": (True, True),
}
"""(by time, backwards)"""


@iam("GetOrganizationsAccessReport", may_get("GetOrganizationsAccessReport"))
def get_organizations_access_report(call: Call, params: Params) -> Result:
    """The report's services, by namespace unless told otherwise, each with the account that used it last."""
    job, report = access_jobs.find(call, "organization", params["JobId"])
    organization = tree.organization_of(call.reader, call.account_id)
    by_time, backwards = _ORDERS[params.get("SortKey") or "SERVICE_NAMESPACE_ASCENDING"]
    ordered = sorted(
        report.services,
        key=lambda use: (max(use.used.values(), default=0) if by_time else 0, use.prefix),
        reverse=backwards,
    )
    start = pages.after(params)
    places = [(f"{number:06}", use) for number, use in enumerate(ordered)]
    page = pages.page(
        params,
        "AccessDetails",
        (item for item in places if start is None or item[0] > start),
        lambda item: item[0],
        lambda item: _detail(call.reader, organization, item[1]),
    )
    told = access_jobs.about(job, "ErrorDetails") | page
    if job.status == "COMPLETED":
        told["NumberOfServicesAccessible"] = len(report.services)
        told["NumberOfServicesNotAccessed"] = sum(not use.used for use in report.services)
    return told


def _detail(reader: Reader, organization: Organization | None, use: ServiceUse) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "ServiceName": service_reference.names().get(use.prefix, use.prefix),
        "ServiceNamespace": use.prefix,
        "TotalAuthenticatedEntities": len(use.used),
    }
    if use.used:
        last = max(use.used, key=use.used.__getitem__)
        shown["LastAuthenticatedTime"] = shapes.date(use.used[last])
        shown["Region"] = use.region
        path = None if organization is None else _path_of(reader, organization, last)
        if path is not None:
            shown["EntityPath"] = path
    return shown
