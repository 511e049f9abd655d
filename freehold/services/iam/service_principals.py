"""Which service principals there are: `ec2.amazonaws.com`, and with a Region `s3.eu-south-2.amazonaws.com`.

AWS refuses a policy that names a service which doesn't exist, but publishes no complete list of those that do. What is
checked here is the name against the shipped list (`data/make_service_principals.py` says what it is made from); a part
of a listed service (`anything.lambda.amazonaws.com`) is taken for one, since many parts are documented nowhere.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-services

In older Regions load balancers write their logs as an account of AWS's, not as a service, and templates for such
buckets name it still. These accounts exist, though nobody here can be one.
https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/enable-access-logs.html
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import orjson

_DATA: Final = Path(__file__).parents[2] / "data" / "service_principals.json"
_NAME: Final = re.compile(r"((?:[a-z0-9_-]{1,63}\.){1,8})amazonaws\.com(?:\.cn)?", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}", re.ASCII)

ACCOUNTS: Final = frozenset((
    *("009996457667", "027434742980", "033677994240", "054676820928", "076674570225", "098369216593", "114774131450"),
    *("127311923021", "156460612806", "383597477331", "507241528517", "582318560864", "589379963580", "600734575887"),
    *("635631232127", "652711504416", "718504428378", "754344448648", "783225319266", "797873946194", "897822967062"),
    "985666609251",
))  # fmt: skip
"""AWS's own, of Elastic Load Balancing, in the aws partition."""


@lru_cache(maxsize=1)
def listed() -> frozenset[str]:
    """The known services, without `.amazonaws.com`; those of another domain whole."""
    return frozenset(orjson.loads(_DATA.read_bytes())["services"])


def exists(name: str) -> bool:
    """Whether this can be the principal of a service."""
    found = _NAME.fullmatch(name)
    if found is None:
        return name.endswith(".amazon.com") and name in listed()
    labels = found[1].rstrip(".").split(".")
    if len(labels) > 1 and _REGION.fullmatch(labels[-1]):
        del labels[-1]
    return ".".join(labels) in listed() or (len(labels) > 1 and labels[-1] in listed())
