"""The tour, end to end: identity, keys, encrypted storage and audit together, through the command that people run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_every_step_of_the_tour_goes_as_it_should(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = subprocess.run(
        [sys.executable, "-m", "freehold", "demo", "--json", "--keep", str(kept)],
        capture_output=True,
        text=True,
    )
    steps = json.loads(done.stdout)
    assert [step for step in steps if not step["as_expected"]] == []
    assert done.returncode == 0, done.stderr
    told = {(step["who"], step["what"]): step for step in steps}
    assert (
        "no identity-based policy allows the s3:PutObject" in told["reader", "s3:PutObject ledger/open/forged"]["why"]
    )
    assert told["we see", "freehold audit verify"]["why"].endswith("the audit log is whole")
    assert sum(step["outcome"] == "refused" for step in steps) >= 15
    flipped = [step for step in steps if "one bit of" in step["what"]]
    assert len(flipped) >= 6
    assert (kept / "data").is_dir()
    assert (kept / "data.root-key").exists()


def test_the_tour_in_words_is_made_for_a_terminal() -> None:
    done = subprocess.run([sys.executable, "-m", "freehold", "demo", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Example" in done.stdout
