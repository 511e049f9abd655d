"""`freehold key-material`: made by a running server for its operator, restored into a stopped one."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from damaged_data import Deployed
from test_damage_served import answers, check
from test_verify import flipped

from freehold import testing

HERE = "us-east-1"


def run(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "freehold", *words], capture_output=True, text=True, env=environment)


def where(copy: Deployed) -> list[str]:
    return [f"--data={copy.data}", f"--root-key={copy.settings.root_key}"]


@pytest.fixture
def backed_up(copied: Callable[[], Deployed], tmp_path: Path) -> Iterator[tuple[Deployed, Path]]:
    """A stopped copy that knows the backup, and the backup."""
    copy = copied()
    server = copy.server.on_copy(copy.data)
    server.start()
    try:
        file = tmp_path / "keys"
        operator = server.operator
        environment = {
            "PATH": "/usr/bin:/bin",
            "AWS_ACCESS_KEY_ID": operator.access_key_id,
            "AWS_SECRET_ACCESS_KEY": operator.secret_access_key,
        }
        made = run(
            "key-material", "backup", str(file), f"--endpoint={server.endpoint}", "--json", environment=environment
        )
        assert made.returncode == 0, made.stderr
        told = json.loads(made.stdout)
        assert (told["keys"], told["materials"], told["tombstones"]) == (7, 7, 0)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        again = run("key-material", "backup", str(file), f"--endpoint={server.endpoint}", environment=environment)
        assert again.returncode == 1
        [listed] = operator.freehold.list_key_material_backups()["Backups"]
        assert listed["BackupId"] == told["backup_id"]
        assert (listed["DestroyBy"] - listed["CreatedAt"]).days == 30
        refuse_customers(copy, server)
        server.stop()
        yield copy, file
    finally:
        server.close()


def refuse_customers(copy: Deployed, server: testing.Server) -> None:
    aws = client_of(copy, server)
    for name in ("backup_key_material", "list_key_material_backups"):
        with pytest.raises(ClientError) as refused:
            getattr(aws.freehold, name)()
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def client_of(copy: Deployed, server: testing.Server) -> testing.Principal:
    key_id, secret = copy.server.names  # type: ignore[attr-defined]
    return server._principal({"access_key_id": key_id, "secret_access_key": secret}, copy.names["account"])


def events_of(copy: Deployed) -> str:
    """All of the trail's rows, opened."""
    sealed = copy.sealed("audit")
    from freehold.storage import keys

    return " ".join(sealed.open(keys.encode(key), value).decode("latin-1") for key, value in copy.rows("audit").items())


def test_lost_material_comes_back_and_the_trail_tells(backed_up: tuple[Deployed, Path]) -> None:
    copy, file = backed_up
    main, rows = (HERE, copy.names["main"], 1), copy.rows("kms.materials")
    copy.set_sealed("kms.materials", main, flipped(rows[main], 70))
    copy.remove("kms.materials", (HERE, copy.names["other"], 1))
    assert len(copy.told()) >= 2
    restored = run("key-material", "restore", str(file), *where(copy), "--json")
    assert restored.returncode == 0, restored.stderr
    told: dict[str, Any] = json.loads(restored.stdout)
    assert set(told["restored"]) == {
        f"{HERE} {copy.names['main']}, material 1",
        f"{HERE} {copy.names['other']}, material 1",
    }
    assert (told["whole"], told["destroyed"], told["left_out"]) == (5, [], {})
    assert copy.told() == []
    assert check(answers(copy)) == set()
    trail = events_of(copy)
    assert '"BackupKeyMaterial"' in trail
    assert '"RestoreKeyMaterial"' in trail
    # Three offsets, since the encoding depends on where it begins.
    assert not any(base64.b64encode(file.read_bytes()[at : at + 90]).decode() in trail for at in (300, 301, 302))


def test_a_database_with_a_damaged_page_is_rebuilt_and_its_keys_restored(backed_up: tuple[Deployed, Path]) -> None:
    copy, file = backed_up
    [(page,)] = copy.run("SELECT rootpage FROM sqlite_schema WHERE name = 'r.kms.materials'")
    database = copy.data / "records.db"
    database.write_bytes(flipped(database.read_bytes(), (page - 1) * 4096 + 2_000))
    refused = run("key-material", "restore", str(file), *where(copy))
    assert refused.returncode == 1
    assert "--rebuild" in refused.stderr
    done = run("key-material", "restore", str(file), *where(copy), "--rebuild", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["lost"] == ["kms.materials"]
    assert len(told["restored"]) == 7
    assert copy.told() == []
    assert check(answers(copy)) == set()


def test_commits_that_a_log_lost_are_told_and_not_passed_over(backed_up: tuple[Deployed, Path]) -> None:
    copy, file = backed_up
    [(commits,)] = copy.run("SELECT value FROM meta WHERE name = 'commits'")
    copy.run("UPDATE meta SET value = ? WHERE name = 'commits'", commits - 2)
    refused = run("key-material", "restore", str(file), *where(copy))
    assert refused.returncode == 1
    assert "lost 2 acknowledged commits" in refused.stderr
    done = run("key-material", "restore", str(file), *where(copy), "--rebuild", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["lost"] == ["the last 2 acknowledged commits"]
    assert copy.told() == []


def test_what_is_no_backup_of_here_is_refused(backed_up: tuple[Deployed, Path], tmp_path: Path) -> None:
    copy, file = backed_up
    content = file.read_bytes()
    before = copy.rows("kms.materials")
    for name, altered in (("cut", content[:-1]), ("altered", flipped(content, 400)), ("empty", b"")):
        (tmp_path / name).write_bytes(altered)
        refused = run("key-material", "restore", str(tmp_path / name), *where(copy))
        assert (refused.returncode, refused.stdout) == (1, "")
    assert copy.rows("kms.materials") == before
