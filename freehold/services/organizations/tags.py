"""TagResource, UntagResource, ListTagsForResource: of accounts, the root, units, policies and the resource policy.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_TagResource.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.operation import Params, Result
from freehold.services.organizations import attached, names, pages, tagging, tree
from freehold.services.organizations.authorized import current, on, organizations, request_tags, untagged_keys
from freehold.services.organizations.errors import TargetNotFound, invalid_input
from freehold.services.organizations.records import RESOURCE_POLICIES, Organization
from freehold.storage.records import Reader


def _taggable(reader: Reader, organization: Organization, params: Params) -> tuple[str, str]:
    resource_id = params["ResourceId"]
    if resource_id.startswith("p-"):
        found = attached.policy(reader, organization, resource_id)
        if found is not None:
            return names.policy_of(organization.management_account_id, found), resource_id
    if resource_id.startswith("rp-"):
        return names.resource_policy(organization, resource_id), resource_id
    return names.node(organization, resource_id), resource_id


def _require(reader: Reader, organization: Organization, resource_id: str) -> None:
    """Raises TargetNotFoundException, and InvalidInputException for what AWS owns."""
    if resource_id in attached.BUILT_IN:
        raise invalid_input("TARGET_NOT_SUPPORTED")
    if resource_id.startswith("p-"):
        if attached.policy(reader, organization, resource_id) is None:
            raise TargetNotFound()
    elif resource_id.startswith("rp-"):
        kept = RESOURCE_POLICIES.get(reader, (organization.organization_id,))
        if kept is None or kept.policy_id != resource_id:
            raise TargetNotFound()
    else:
        tree.require_node(reader, organization, resource_id)


@organizations("TagResource", on("TagResource", "management", _taggable, request_tags), writes=True)
def tag_resource(call: Call, params: Params) -> None:
    """Add tags, or other values for keys that are there; at most 50 a resource."""
    organization = current(call)
    _require(call.tx, organization, params["ResourceId"])
    tagging.add(call.tx, organization, params["ResourceId"], tagging.checked(params["Tags"]))


@organizations("UntagResource", on("UntagResource", "management", _taggable, untagged_keys), writes=True)
def untag_resource(call: Call, params: Params) -> None:
    """Take tags away; keys that aren't there are passed over."""
    organization = current(call)
    _require(call.tx, organization, params["ResourceId"])
    tagging.remove(call.tx, organization, params["ResourceId"], params["TagKeys"])


@organizations("ListTagsForResource", on("ListTagsForResource", "reader", _taggable))
def list_tags_for_resource(call: Call, params: Params) -> Result:
    """The tags, by key."""
    organization = current(call)
    _require(call.reader, organization, params["ResourceId"])
    tags = tagging.tags_of(call.reader, organization, params["ResourceId"])
    return pages.page(params, "Tags", sorted(tags.items()), lambda value: value, tagging.MOST_TAGS) | {
        "Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
    }
