"""`freehold verify` finds what was damaged, moved, removed or put back, and says where."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damaged_data import BUCKET, Deployed

from freehold.crypto.aead import Sealer
from freehold.services.kms.material import bound_to
from freehold.storage import keys
from freehold.storage.database import CannotOpen
from freehold.storage.records import CorruptRecord

HERE, THERE = "us-east-1", "eu-central-1"


def test_what_nobody_touched_is_whole(whole: Deployed) -> None:
    report = whole.verify(deep=True)
    assert report.findings == []
    assert report.counts["objects"] == 5
    assert report.counts["bytes"] == 140_000
    assert report.counts["key materials"] == 7


def flipped(value: bytes, place: int = -1) -> bytes:
    return value[:place] + bytes((value[place] ^ 1,)) + value[place:][1:]


def test_a_flipped_bit_of_a_record_of_any_table_is_told_by_its_name(copy: Deployed) -> None:
    tables, named = copy.tables(), {}
    assert len(tables) > 30
    for number, table in enumerate(tables):
        key, value = next(iter(copy.rows(table).items()), ((), b""))
        if value:
            # Another byte of the format each time.
            copy.set_sealed(table, key, flipped(value, number * 7 % len(value)))
            named[table] = f"{table} {' / '.join(map(str, key))}: it does not open: altered, or moved here from"
    told = copy.told()
    assert len(named) > 25
    for table, start in named.items():
        assert any(each.startswith(start) for each in told), table


def _swap(copy: Deployed) -> None:
    rows = copy.rows("kms.materials")
    one, other = (HERE, copy.names["main"], 1), (HERE, copy.names["other"], 1)
    copy.set_sealed("kms.materials", one, rows[other])
    copy.set_sealed("kms.materials", other, rows[one])


def _cut(copy: Deployed) -> None:
    key = (HERE, copy.names["main"])
    copy.set_sealed("kms.keys", key, copy.rows("kms.keys")[key][:-20])


def _no_key(copy: Deployed) -> None:
    copy.run('UPDATE "r.kms.keys" SET key = ? WHERE key = ?', b"\x55", keys.encode((HERE, copy.names["main"])))


def _another_type(copy: Deployed) -> None:
    copy.set("kms.keys", (HERE, copy.names["main"]), ["no", "key"])


def _reseal(copy: Deployed, place: tuple[str, str, int], raw: bytes) -> None:
    """Other material under its true id, by who holds all keys."""
    material_id = copy.get("kms.materials", place)["material_id"]
    sealed = Sealer(copy.keyring.sealing_key("kms")).seal(raw, bound_to(*place, material_id))
    copy.change("kms.materials", place, sealed=sealed)


def _rename(copy: Deployed) -> None:
    copy.blob("large").rename(copy.blob("large").with_name("gone"))


def _exchange_blobs(copy: Deployed) -> None:
    one, other = copy.blob("large"), copy.blob("alike")
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def _empty(copy: Deployed, table: str) -> None:
    copy.run(f'DELETE FROM "r.{table}"')


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _place(copy: Deployed, key: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return tuple(copy.names.get(str(part), part) for part in key)


def _drop(table: str, *key: str | int) -> Callable[[Deployed], None]:
    """Remove a row; a part of its key that is a name stands for what it names."""
    return lambda copy: copy.remove(table, _place(copy, key))


def _put(table: str, *key: str | int, **fields: Any) -> Callable[[Deployed], None]:
    return lambda copy: copy.change(table, _place(copy, key), **fields)


DAMAGES: dict[str, tuple[Callable[[Deployed], None], str]] = {
    "exchanged rows": (_swap, "it does not open"),
    "a cut record": (_cut, "it does not open"),
    "a key that is none": (_no_key, "kms.keys: a key of it is not one that was ever written"),
    "a record of another kind": (_another_type, "it is not a record of this table"),
    "material removed": (_drop("kms.materials", HERE, "main", 1), "its material 1 is missing"),
    "the newest material removed": (_drop("kms.materials", HERE, "main", 2), "its material 2 is missing"),
    "a key put back before its rotation": (
        _put("kms.keys", HERE, "main", material=1),
        "it has material 2, which its record doesn't know: was it put back?",
    ),
    "a key put back in name": (
        _put("kms.keys", HERE, "main", material_id="0" * 64),
        "its material 2 is not the one that its record names",
    ),
    "material sealed for another place": (
        lambda copy: copy.change(
            "kms.materials",
            (HERE, copy.names["main"], 1),
            sealed=copy.get("kms.materials", (HERE, copy.names["other"], 1))["sealed"],
        ),
        "the material does not open",
    ),
    "material of another spec": (
        lambda copy: _reseal(copy, (HERE, copy.names["signing"], 1), bytes(32)),
        "the material is not one of a ECC_NIST_P256 key",
    ),
    "a replica's own material": (
        lambda copy: _reseal(copy, (THERE, copy.names["related"], 1), bytes(32)),
        "it is not the material of the primary key in us-east-1",
    ),
    "a key removed": (_drop("kms.keys", HERE, "other"), "it has no key"),
    "a replica removed": (_drop("kms.keys", THERE, "related"), "its related key in eu-central-1 is missing"),
    "relations that differ": (
        _put("kms.keys", THERE, "related", replica_regions=[]),
        "it and its related key in us-east-1 name different related keys",
    ),
    "a key of nobody": (_drop("kms.keys_of_account", "account", HERE, "main"), "its account's list lacks it"),
    "a deletion that would not come": (
        lambda copy: _empty(copy, "kms.due"),
        "its deletion is not on the list of what is due",
    ),
    "an import that never was": (
        _put("kms.keys", HERE, "empty", state="Enabled"),
        "its state is Enabled, which doesn't follow from its imported material",
    ),
    "a destroyed key that is back": (
        lambda copy: copy.set(
            "kms.tombstones", (HERE, copy.names["other"]), {"account_id": copy.names["account"], "deleted_at": 1.0}
        ),
        "the key was deleted, and is there again",
    ),
    "an alias removed": (_drop("kms.aliases", "account", HERE, "alias/main"), "the alias is missing"),
    "an alias of nothing": (
        _put("kms.aliases", "account", HERE, "alias/main", target_key_id="nothing"),
        "its key is missing",
    ),
    "an alias unlisted": (_drop("kms.aliases_of_key", HERE, "main", "alias/main"), "its key doesn't list it"),
    "a grant removed": (_drop("kms.grants", HERE, "main", "grant"), "its grant is missing"),
    "a count put back": (_put("kms.counts", HERE, "main", grants=0), "it doesn't count what there is"),
    "a count of keys put back": (_put("kms.key_counts", "account", HERE, keys=2), "it doesn't count the keys"),
    "a blob gone": (_rename, "is missing"),
    "a blob cut": (lambda copy: _write(copy.blob("large"), copy.blob("large").read_bytes()[:-1]), "have its length"),
    "a blob's beginning": (
        lambda copy: _write(copy.blob("under kms"), flipped(copy.blob("under kms").read_bytes(), 30)),
        "a stored object was altered, or belongs elsewhere",
    ),
    "blobs exchanged": (_exchange_blobs, "a stored object was altered, or belongs elsewhere"),
    "a blob of nobody": (
        lambda copy: copy.remove("s3.blobs", (copy.blob("large").name,)),
        "is nobody's: it would be swept away",
    ),
    "a listing's row": (_drop("s3.entries", BUCKET, "large"), "listings lack it"),
    "an object removed": (_drop("s3.objects", BUCKET, "large"), "its object is missing"),
    "a bucket removed": (_drop("s3.buckets", BUCKET), "its bucket is missing"),
    "parts removed": (
        lambda copy: _empty(copy, "s3.layouts"),
        "its list of parts is missing",
    ),
    "a row of the trail removed": (_drop("audit", 3), "row 3 is missing"),
    "a segment removed": (
        lambda copy: _remove(*(copy.data / "audit").glob("*.segment")),
        "the file is missing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told(copy: Deployed, damage: str) -> None:
    do, wanted = DAMAGES[damage]
    do(copy)
    told = copy.told()
    assert any(wanted in each for each in told), told


def test_a_key_stores_secret_and_its_names_are_looked_at(copy: Deployed) -> None:
    """One that was put there by who holds all keys, with a secret that is nobody's."""
    store = {"store_id": "cks-1", "account_id": copy.names["account"], "region": HERE, "name": "store"}
    store |= {"kind": "AWS_CLOUDHSM", "created_at": 1.0, "sealed_secret": bytes(100)}
    copy.run('CREATE TABLE IF NOT EXISTS "r.kms.custom_key_stores" (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID')
    copy.set("kms.custom_key_stores", (HERE, "cks-1"), store)
    assert {each.partition(": ")[2] for each in copy.told()} == {
        "its secret does not open",
        "its account's list lacks it",
        "its name isn't its own",
    }


def test_only_a_deep_look_reads_objects_to_their_end(copy: Deployed) -> None:
    for key in ("large", "under kms"):
        blob = copy.blob(key)
        blob.write_bytes(flipped(blob.read_bytes(), -20_000))
    assert copy.told() == []
    assert [each.split(":")[0] for each in copy.told(deep=True)] == [
        f"s3.objects {BUCKET} / large",
        f"s3.objects {BUCKET} / under kms",
    ]


def everything(copy: Deployed) -> dict[str, Any]:
    return {table: copy.rows(table) for table in copy.tables()}


def test_a_flipped_bit_anywhere_in_the_database_is_told_or_changes_nothing(
    whole: Deployed, copied: Callable[[], Deployed]
) -> None:
    """Pages that are not in use may hold anything."""
    good, told = everything(whole), 0
    size = (whole.data / "records.db").stat().st_size
    places = [100, 4096 - 10, *range(5_000, size, size // 24)]
    copy = copied()
    database = copy.data / "records.db"
    content = database.read_bytes()
    for place in places:
        database.write_bytes(flipped(content, place))
        try:
            found = copy.told()
        except (CannotOpen, CorruptRecord):
            told += 1
            continue
        if found:
            told += 1
        else:
            assert everything(copy) == good
    assert told > len(places) // 2


def test_records_behind_a_damaged_page_are_still_looked_at(copy: Deployed) -> None:
    """Long aliases fill pages; one in the middle is damaged, and a record on the last one."""
    name = "a" * 180
    made = {"target_key_id": copy.names["main"], "created_at": 1.0, "updated_at": 1.0}
    for number in range(120):
        copy.set("kms.aliases", (copy.names["account"], HERE, f"alias/{name}{number:03}"), made)
    last = (copy.names["account"], HERE, f"alias/{name}119")
    copy.set_sealed("kms.aliases", last, flipped(copy.rows("kms.aliases")[last]))
    [(root,)] = copy.run("SELECT rootpage FROM sqlite_schema WHERE name = 'r.kms.aliases'")
    database = copy.data / "records.db"
    content = database.read_bytes()
    [(pages,)] = copy.run("PRAGMA page_count")
    assert pages > root
    # The last pages that were added are this table's.
    database.write_bytes(flipped(content, (pages - 4) * 4096 + 900))
    told = copy.told()
    assert any(each.startswith("kms.aliases: a page of it is not what was written") for each in told)
    assert any(each.startswith("kms.aliases ") and "119" in each and "does not open" in each for each in told)


def test_what_a_killed_server_left_is_whole_and_its_log_is_looked_at(copy: Deployed, tmp_path: Path) -> None:
    """Its last commits are in the database's log alone."""
    server = copy.server.on_copy(copy.data)
    server.start()
    try:
        server.operator.freehold.create_account(Name="last")
    finally:
        server.kill()
        server.close()
    shutil.copytree(copy.data, tmp_path / "again")
    again = Deployed(copy.server, tmp_path / "again", copy.names)
    assert again.told() == []
    log = copy.data / "records.db-wal"
    content = log.read_bytes()
    assert len(content) > 8_000
    log.write_bytes(flipped(content, len(content) // 2))
    assert any("acknowledged commits" in each for each in copy.told())


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "freehold", "verify", *words], capture_output=True, text=True)


def test_the_command_tells_people_and_programs(copy: Deployed) -> None:
    where = [f"--data={copy.data}", f"--root-key={copy.settings.root_key}"]
    whole = command(*where)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert "everything is what was written" in whole.stdout
    copy.remove("kms.materials", (HERE, copy.names["main"], 1))
    damaged = command(*where, "--json")
    assert damaged.returncode == 1
    told = json.loads(damaged.stdout)
    assert told["ok"] is False
    assert told["problems"] == [
        {
            "place": f"arn:aws:kms:{HERE}:{copy.names['account']}:key/{copy.names['main']}",
            "problem": "its material 1 is missing",
        }
    ]
    shown = command(*where)
    assert shown.returncode == 1
    assert "1 problems found" in shown.stdout


def test_a_directory_in_use_is_left_alone(copy: Deployed) -> None:
    from freehold.storage.locks import hold_directory

    with hold_directory(copy.data):
        refused = command(f"--data={copy.data}", f"--root-key={copy.settings.root_key}")
    assert refused.returncode == 1
    assert "stop it, or verify a copy" in refused.stderr
