"""AWS managed keys (`alias/aws/s3` …): made at first use by the service that they are for, one per account and Region.

Their policy lets every caller of the account through that service use them, and the account look at them; nobody may
disable, delete, share, alias or re-policy them. They rotate every year.
https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-key
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from freehold.services.kms import keys, policies, records, rotation, service_events
from freehold.services.kms.identifiers import new_key_id
from freehold.services.kms.records import ALIASES, ALIASES_OF_KEY, Alias, Key, Mark

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.storage.records import Reader, Transaction

ROTATION_PERIOD_DAYS: Final = 365


class Managed(NamedTuple):
    """`display` is the service's name in the policy and description, `via` the endpoint it calls from."""

    display: str
    via: str


AWS_MANAGED: Final = {
    "dynamodb": Managed("Amazon DynamoDB", "dynamodb"),
    "ebs": Managed("EBS", "ec2"),
    "rds": Managed("RDS", "rds"),
    "s3": Managed("S3", "s3"),
}


def aws_managed_arn(call: Call, service: str, *, account_id: str = "") -> str | None:
    """The ARN of `alias/aws/{service}`'s key in an account (the caller's by default), None before its first use."""
    account_id = account_id or call.account_id
    region = call.region

    def load(reader: Reader) -> str:
        alias = ALIASES.get(reader, (account_id, region, f"alias/aws/{service}"))
        # Raised, so that the key's making is seen without a change of the cache.
        if alias is None:
            raise KeyError(service)
        return f"arn:aws:kms:{region}:{account_id}:key/{alias.target_key_id}"

    try:
        return call.cached(records.part_of(service), ("aws-managed", account_id, region, service), load)
    except KeyError:
        return None


async def ensure_aws_managed(call: Call, service: str, *, account_id: str = "") -> str:
    """The ARN of `alias/aws/{service}`'s key in an account (the caller's by default), made and durable if there's none.

    For services' `prepare` functions; then use it through `call.invoke(…, via=…)`. KeyError for an unknown service.
    """
    managed = AWS_MANAGED[service]
    account_id = account_id or call.account_id
    found = aws_managed_arn(call, service, account_id=account_id)
    if found is not None:
        return found
    app, region = call.app, call.region

    def make(tx: Transaction) -> str:
        alias = f"alias/aws/{service}"
        existing = ALIASES.get(tx, (account_id, region, alias))
        if existing is not None:
            return f"arn:aws:kms:{region}:{account_id}:key/{existing.target_key_id}"
        now = round(app.clock.now_seconds(), 3)
        key = Key(
            key_id=new_key_id(),
            account_id=account_id,
            region=region,
            created_at=now,
            policy=policies.aws_managed_policy(service, managed.display, managed.via, region, account_id),
            description=f"Default key that protects my {managed.display} data when no other key is defined",
            manager="AWS",
        )
        keys.store(app, tx, key)
        rotation.schedule(tx, key, ROTATION_PERIOD_DAYS, now)
        records.save(tx, key)
        ALIASES.put(tx, (account_id, region, alias), Alias(target_key_id=key.key_id, created_at=now, updated_at=now))
        ALIASES_OF_KEY.put(tx, (region, key.key_id, alias), Mark())
        service_events.tell(app, tx, "CreateKey", key)
        return key.arn

    return await asyncio.wrap_future(app.records.submit(make))
