"""What tags may be, and where they are kept: at most 50 a resource, keys unique.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_tagging.html
"""

from __future__ import annotations

from freehold.services.organizations.errors import constraint, invalid_input
from freehold.services.organizations.records import TAGS, Organization, Tags
from freehold.storage.records import Reader, Transaction

MOST_TAGS = 50


def tags_of(reader: Reader, organization: Organization, resource_id: str) -> dict[str, str]:
    kept = TAGS.get(reader, (organization.organization_id, resource_id))
    return {} if kept is None else kept.tags


def checked(given: list[dict[str, str]]) -> dict[str, str]:
    """The tags of a request. Raises InvalidInputException."""
    tags = {tag["Key"]: tag["Value"] for tag in given}
    if len(tags) != len(given):
        raise invalid_input("DUPLICATE_TAG_KEY")
    if any(key.lower().startswith("aws:") for key in tags):
        raise invalid_input("INVALID_SYSTEM_TAGS_PARAMETER")
    if len(tags) > MOST_TAGS:
        raise constraint("MAX_TAG_LIMIT_EXCEEDED")
    return tags


def add(tx: Transaction, organization: Organization, resource_id: str, tags: dict[str, str]) -> None:
    """Put tags over those that are there. Raises ConstraintViolationException."""
    if not tags:
        return
    together = tags_of(tx, organization, resource_id) | tags
    if len(together) > MOST_TAGS:
        raise constraint("MAX_TAG_LIMIT_EXCEEDED")
    TAGS.put(tx, (organization.organization_id, resource_id), Tags(tags=together))


def remove(tx: Transaction, organization: Organization, resource_id: str, keys: list[str]) -> None:
    left = {key: value for key, value in tags_of(tx, organization, resource_id).items() if key not in keys}
    if left:
        TAGS.put(tx, (organization.organization_id, resource_id), Tags(tags=left))
    else:
        forget(tx, organization, resource_id)


def forget(tx: Transaction, organization: Organization, resource_id: str) -> None:
    """The tags of a resource that goes away."""
    TAGS.delete(tx, (organization.organization_id, resource_id))
