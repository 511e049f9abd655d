"""Makes `aws_managed_policies.json` and `.bin` from a JSON dump of AWS's managed policies.

    python make_aws_managed_policies.py managed_policies.json.gz

The dump is `{name: {Path, DefaultVersionId, CreateDate, UpdateDate, Document}}`, facts that AWS publishes through
iam:GetPolicyVersion, as collected in moto 5.2 (Apache-2.0, `moto/iam/aws_managed_policies.py`). The .bin file is one
zlib stream per document (compact JSON), the .json file says where each begins:
`{"policies": [[path, name, version, created, updated, offset, length], …]}` ordered by name.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from pathlib import Path


def main(source: str) -> None:
    with gzip.open(source) as stream:
        dump = json.load(stream)
    here = Path(__file__).parent
    rows, offset = [], 0
    with (here / "aws_managed_policies.bin").open("wb") as out:
        for name, policy in sorted(dump.items(), key=lambda item: item[0].lower()):
            document = dict(sorted(policy["Document"].items(), reverse=True))  # Version first, as AWS shows it
            text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
            packed = zlib.compress(text.encode(), 9)
            dates = [policy["CreateDate"], policy.get("UpdateDate") or policy["CreateDate"]]
            rows.append([policy["Path"], name, policy["DefaultVersionId"], *dates, offset, len(packed)])
            offset += out.write(packed)
    index = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (here / "aws_managed_policies.json").write_text('{"policies":[\n' + index + "\n]}\n")


if __name__ == "__main__":
    main(sys.argv[1])
