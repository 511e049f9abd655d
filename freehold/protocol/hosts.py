"""Virtual-host addressing: which bucket a Host header names, if any.

`BASES` are hosts that S3 answers at; `{region}` stands for any Region's name. A host of `bucket.<base>` names the
bucket; the base itself, any other host and every IP address name none (the bucket is then in the path).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

BASES = (
    "localhost",
    "s3.localhost",
    "s3.{region}.localhost",
    "s3.amazonaws.com",
    "s3.{region}.amazonaws.com",
    "s3.dualstack.{region}.amazonaws.com",
)

MOST_HOST_CHARACTERS = 320
"""A name of 253 characters (RFC 1035), and a port."""

_IP_ADDRESS = re.compile(r"[0-9.]+|\[.*\]?|.*:.*:.*", re.ASCII)
_REGION = r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}"
_ENDPOINT = re.compile(
    rf"(?:(?:(.+)\.)?bucket\.)?vpce-[0-9a-f]{{8,17}}(?:-[a-z0-9-]{{1,64}})?\.s3\.{_REGION}\.vpce\..+", re.ASCII
)
"""A VPC endpoint's host name: `bucket.vpce-ID.s3.REGION.vpce.DOMAIN`, with the bucket's name before it or in the path.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html"""


def bucket_finder(bases: tuple[str, ...] = BASES) -> Callable[[str], str | None]:
    """A function of a Host header that gives the bucket which it names, or None."""
    # An endpoint's name is one whatever domain it is under, and lies under no base.
    patterns = [_ENDPOINT]
    # The longest base wins: `b.s3.localhost` is b under s3.localhost, not `b.s3` under localhost.
    patterns += [
        re.compile(rf"(?:(.+)\.)?{re.escape(base.lower()).replace(re.escape('{region}'), _REGION)}", re.ASCII)
        for base in sorted(bases, key=lambda base: (base.count("."), len(base)), reverse=True)
    ]

    @lru_cache(maxsize=4096)
    def known(host: str) -> str | None:
        name = host.lower()
        if not name.startswith("["):
            name, _, port = name.partition(":")
            if port and not port.isdigit():
                return None
        name = name.rstrip(".")
        if _IP_ADDRESS.fullmatch(name):
            return None
        for pattern in patterns:
            found = pattern.fullmatch(name)
            if found is not None:
                captured: str | None = found[1]
                return captured
        return None

    def bucket(host: str) -> str | None:
        # What is longer names nothing, and is not to be remembered: it comes from anyone.
        return known(host) if len(host) <= MOST_HOST_CHARACTERS else None

    return bucket
