"""One decision here and in two other engines, in microseconds: `python -m bench.decision_peers`.

    Freehold                    AWS's policy language, compiled once
    cedarpy                     Cedar in Rust: another language, so the same statements are written in it
    @cloud-copilot/iam-simulate AWS's policy language in TypeScript: a simulator that validates and explains requests

Ten policies of five statements with two conditions each (as in `bench.decision`), or forty of them. Every request is of
an object and from an address that were not seen before. The peers are installed into `.bench/NAME` at first use, and
are given what they can keep (parsed policies, no explanation) outside of the measured call.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from bench.decision import REQUESTS, Source, measure, policy_text
from freehold.authorization import document
from freehold.authorization.gather import Authorizer, IdentityPolicies

ENVIRONMENTS = Path(__file__).parent.parent / ".bench"
ROUNDS = 500

CEDAR = """
import json, sys, time, statistics, importlib.metadata
import cedarpy
given = json.load(sys.stdin)
policies = cedarpy.PolicySet.from_str(given["policies"])
entities = cedarpy.Entities.from_json_str("[]")
spent = []
for number in range(given["rounds"]):
    request = {
        "principal": {"type": "User", "id": "alice"}, "action": {"type": "Action", "id": "s3:GetObject"},
        "resource": {"type": "Object", "id": f"arn:aws:s3:::bucket/key-{number}"},
        "context": {"arn": f"arn:aws:s3:::bucket/key-{number}", "region": "us-east-1",
                    "ip": {"__extn": {"fn": "ip", "arg": f"10.0.{number >> 8 & 255}.{number & 255}"}}},
    }
    start = time.perf_counter()
    found = cedarpy.is_authorized(request, policies, entities)
    spent.append((time.perf_counter() - start) * 1e6)
    assert found.allowed, found
print(json.dumps([importlib.metadata.version("cedarpy"), spent]))
"""

SIMULATE = """
import { runSimulation } from '@cloud-copilot/iam-simulate'
import { readFileSync } from 'node:fs'
const given = JSON.parse(readFileSync(0, 'utf8'))
const version = JSON.parse(readFileSync('node_modules/@cloud-copilot/iam-simulate/package.json', 'utf8')).version
const spent = []
for (let number = 0; number < given.rounds; number++) {
  const simulation = {
    request: {
      principal: 'arn:aws:iam::111122223333:user/alice', action: 's3:GetObject',
      resource: { resource: `arn:aws:s3:::bucket/key-${number}`, accountId: '111122223333' },
      contextVariables: {
        'aws:SourceIp': `10.0.${number >> 8 & 255}.${number & 255}`, 'aws:RequestedRegion': 'us-east-1'
      }
    },
    identityPolicies: given.policies.map((policy, index) => ({ name: `p${index}`, policy })),
    serviceControlPolicies: [], resourceControlPolicies: []
  }
  const start = process.hrtime.bigint()
  const found = await runSimulation(simulation, {})
  spent.push(Number(process.hrtime.bigint() - start) / 1000)
  if (!JSON.stringify(found).includes('Allowed')) throw new Error(JSON.stringify(found).slice(0, 500))
}
console.log(JSON.stringify([version, spent]))
"""


def freehold_decides(count: int, crowded: bool) -> tuple[str, list[float]]:
    from freehold import __version__

    policies = tuple(
        document.parse(policy_text(number, count - 1, crowded=crowded), "identity") for number in range(count)
    )
    address, name = REQUESTS["new context"]
    return __version__, measure(Authorizer(Source(IdentityPolicies(policies))), address, name)


def cedar_decides(count: int, crowded: bool) -> tuple[str, list[float]]:
    python = ENVIRONMENTS / "cedarpy" / "bin" / "python"
    if not python.exists():
        print("installing cedarpy …", file=sys.stderr)
        venv.create(ENVIRONMENTS / "cedarpy", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "cedarpy"], check=True)
    texts = [_cedar(one) for number in range(count) for one in _statements(number, count, crowded)]
    return _run([python, "-c", CEDAR], {"policies": "\n".join(texts), "rounds": ROUNDS}, None)


def simulator_decides(count: int, crowded: bool) -> tuple[str, list[float]]:
    directory = ENVIRONMENTS / "iam-simulate"
    if not (directory / "node_modules").exists():
        print("installing @cloud-copilot/iam-simulate …", file=sys.stderr)
        directory.mkdir(parents=True, exist_ok=True)
        packages = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@cloud-copilot/iam-simulate"]
        subprocess.run(packages, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    (directory / "decide.mjs").write_text(SIMULATE)
    policies = [_real_actions(policy_text(number, count - 1, crowded=crowded)) for number in range(count)]
    return _run(["node", "decide.mjs"], {"policies": policies, "rounds": ROUNDS // 5}, directory)


def _run(command: list[Any], given: dict[str, Any], directory: Path | None) -> tuple[str, list[float]]:
    shown = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, check=True, cwd=directory
    ).stdout
    version, spent = json.loads(shown.splitlines()[-1])
    # The first calls load and compile.
    return version, spent[len(spent) // 5 :]


def _statements(number: int, count: int, crowded: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = policy_text(number, count - 1, crowded=crowded)["Statement"]
    return found


def _cedar(statement: dict[str, Any]) -> str:
    actions = ", ".join(f'Action::"{one}"' for one in statement["Action"])
    resources = " || ".join(f'context.arn like "{one}"' for one in statement["Resource"])
    networks = " || ".join(
        f'context.ip.isInRange(ip("{one}"))' for one in statement["Condition"]["IpAddress"]["aws:SourceIp"]
    )
    region = statement["Condition"]["StringEquals"]["aws:RequestedRegion"]
    effect = "permit" if statement["Effect"] == "Allow" else "forbid"
    when = f'({resources}) && ({networks}) && context.region == "{region}"'
    return f'{effect}(principal == User::"alice", action in [{actions}], resource) when {{ {when} }};'


def _real_actions(text: dict[str, Any]) -> dict[str, Any]:
    """The same policy with actions that exist, since the simulator looks them up."""
    for statement in text["Statement"]:
        if not statement["Action"][0].startswith("s3:"):
            statement["Action"] = ["ec2:RunInstances", "ec2:Describe*"]
    return text


ENGINES = {"Freehold": freehold_decides, "cedarpy": cedar_decides, "iam-simulate": simulator_decides}


def main() -> None:
    print(f"{'engine':24} {'statements':>10}  {'actions':8} {'median us':>10} {'p99 us':>10}")
    for count in (10, 40):
        for crowded in (False, True):
            for name, decides in ENGINES.items():
                version, spent = decides(count, crowded)
                print(
                    f"{name + ' ' + version:24} {count * 5:10}  {'crowded' if crowded else 'spread':8} "
                    f"{statistics.median(spent):10.1f} {statistics.quantiles(spent, n=100)[98]:10.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
