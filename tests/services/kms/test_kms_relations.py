"""Related keys under any history: replicas made, moved, rotated, disabled, deleted and cancelled in any order.

What must hold after each step is compared with a plain account of what happened.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.kms.records import KEY_COUNTS, KEYS, KEYS_OF_ACCOUNT, MATERIALS

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1")
DAY = 86_400
SEEDS = range(8)
STEPS = 60
WAYS = (
    "replicate",
    "replicate",
    "replicate",
    "move",
    "move",
    "rotate",
    "switch",
    "switch",
    "schedule",
    "cancel",
    "cancel",
)


class History:
    """The keys of one multi-Region key: Region -> state, and the days that are left of a window."""

    def __init__(self, kms: Any) -> None:
        self.kms = kms
        kms.app.settings = SimpleNamespace(regions=REGIONS)
        self.primary = REGIONS[0]
        self.key_id = self("CreateKey", REGIONS[0], MultiRegion=True)["KeyMetadata"]["KeyId"]
        self.states = {REGIONS[0]: "Enabled"}
        self.left: dict[str, float] = {}
        self.windows: dict[str, int] = {}
        self.rotations = 0
        self.blobs: list[tuple[bytes, bytes]] = []

    def __call__(self, name: str, region: str, **params: Any) -> Any:
        return self.kms(name, region=region, **params)

    def on(self, name: str, region: str, **params: Any) -> Any:
        return self(name, region, KeyId=self.key_id, **params)

    @property
    def replicas(self) -> set[str]:
        return set(self.states) - {self.primary}

    def _somewhere(self, chance: random.Random) -> str:
        """A Region, mostly one that has a key, and the primary's oftener."""
        return chance.choice([self.primary, *self.states, *self.states, chance.choice(REGIONS)])

    # --- what may happen: each returns whether it is expected to succeed, and does it ------------------------------

    def replicate(self, chance: random.Random) -> tuple[bool, str, str, dict[str, Any]]:
        region = chance.choice(REGIONS)
        works = self.states.get(self.primary) == "Enabled" and region not in self.states
        return works, "ReplicateKey", self.primary, {"ReplicaRegion": region}

    def move(self, chance: random.Random) -> tuple[bool, str, str, dict[str, Any]]:
        at, region = self._somewhere(chance), chance.choice(REGIONS)
        works = at == self.primary and region in self.replicas
        works = works and self.states[at] == self.states[region] == "Enabled"
        return works, "UpdatePrimaryRegion", at, {"PrimaryRegion": region}

    def rotate(self, chance: random.Random) -> tuple[bool, str, str, dict[str, Any]]:
        at = self._somewhere(chance)
        works = at == self.primary and self.states.get(at) == "Enabled" and self.rotations < 25
        return works, "RotateKeyOnDemand", at, {}

    def switch(self, chance: random.Random) -> tuple[bool, str, str, dict[str, Any]]:
        at = self._somewhere(chance)
        works = self.states.get(at) in ("Enabled", "Disabled")
        return works, chance.choice(["EnableKey", "EnableKey", "DisableKey"]), at, {}

    def schedule(self, chance: random.Random) -> tuple[bool, str, str, dict[str, Any]]:
        at = self._somewhere(chance)
        works = self.states.get(at) in ("Enabled", "Disabled")
        return works, "ScheduleKeyDeletion", at, {"PendingWindowInDays": chance.choice([7, 12])}

    def cancel(self, chance: random.Random) -> tuple[bool, str, str, dict[str, Any]]:
        at = self._somewhere(chance)
        return str(self.states.get(at)).startswith("Pending"), "CancelKeyDeletion", at, {}

    def note(self, name: str, at: str, params: dict[str, Any]) -> None:
        """What the step that succeeded means."""
        if name == "ReplicateKey":
            self.states[params["ReplicaRegion"]] = "Enabled"
        elif name == "UpdatePrimaryRegion":
            self.primary = params["PrimaryRegion"]
        elif name == "RotateKeyOnDemand":
            self.rotations += 1
        elif name in ("EnableKey", "DisableKey"):
            self.states[at] = name.removesuffix("Key") + "d"
        elif name == "CancelKeyDeletion":
            self.states[at] = "Disabled"
            self.left.pop(at, None)
        else:
            self.windows[at] = params["PendingWindowInDays"]
            if at == self.primary and self.replicas:
                self.states[at] = "PendingReplicaDeletion"
            else:
                self.states[at], self.left[at] = "PendingDeletion", self.windows[at]

    def wait(self) -> None:
        self.kms.app.clock.advance(3 * DAY)
        self.kms.sweep()
        for region in list(self.left):
            self.left[region] -= 3
        gone = [region for region, left in self.left.items() if left <= 0]
        for region in gone:
            del self.states[region], self.left[region]
        if self.states.get(self.primary) == "PendingReplicaDeletion" and not self.replicas:
            self.states[self.primary], self.left[self.primary] = "PendingDeletion", self.windows[self.primary]

    # --- what must hold --------------------------------------------------------------------------------------------

    def check(self) -> None:
        reader = self.kms.app.records.reader()
        kept = {str(row[0]): key for row, key in KEYS.scan(reader)}
        assert {region: key.state for region, key in kept.items()} == self.states
        assert {str(row[1]) for row, _ in KEYS_OF_ACCOUNT.scan(reader)} == set(self.states)
        with_material = {str(row[0]) for row, _ in MATERIALS.scan(reader)}
        assert with_material == set(self.states)
        counted = {str(row[1]): record.keys for row, record in KEY_COUNTS.scan(reader)}
        assert {region for region, keys in counted.items() if keys} == set(self.states)
        numbers = {(key.material, key.material_id, key.on_demand_rotations) for key in kept.values()}
        assert len(numbers) <= 1
        for key in kept.values():
            assert key.primary_region == self.primary
            assert set(key.replica_regions) == self.replicas
            assert len(key.replica_regions) == len(self.replicas)

    def use(self, chance: random.Random) -> None:
        enabled = [region for region, state in self.states.items() if state == "Enabled"]
        if not enabled:
            return
        text = b"%d" % len(self.blobs)
        sealed = self.on("Encrypt", chance.choice(enabled), Plaintext=text)
        self.blobs.append((text, sealed["CiphertextBlob"]))
        for text, blob in self.blobs[-8:]:
            assert self("Decrypt", chance.choice(enabled), CiphertextBlob=blob)["Plaintext"] == text


@pytest.mark.parametrize("seed", SEEDS)
def test_related_keys_agree_after_any_history(kms: Any, seed: int) -> None:
    chance = random.Random(seed)
    history = History(kms)
    done = 0
    for _ in range(STEPS):
        if not history.states:
            history = History(kms)
        if chance.random() < 0.1:
            history.wait()
        else:
            works, name, at, params = getattr(history, chance.choice(WAYS))(chance)
            try:
                history.on(name, at, **params)
            except AwsError:
                assert not works, (name, at, params, history.states)
            else:
                assert works, (name, at, params, history.states)
                history.note(name, at, params)
                done += 1
        history.check()
        history.use(chance)
    assert done > 10


def test_a_primary_never_goes_where_nobody_reaches_it(kms: Any) -> None:
    """A Region that the server doesn't serve any more: its replica is there, and can't become the primary."""
    history = History(kms)
    history.on("ReplicateKey", REGIONS[0], ReplicaRegion=REGIONS[1])
    kms.app.settings = SimpleNamespace(regions=REGIONS[:1])
    with pytest.raises(AwsError) as refused:
        history.on("UpdatePrimaryRegion", REGIONS[0], PrimaryRegion=REGIONS[1])
    assert refused.value.code == "NotFoundException"
    with pytest.raises(AwsError) as refused:
        history.on("ReplicateKey", REGIONS[0], ReplicaRegion=REGIONS[2])
    assert refused.value.code == "UnsupportedOperationException"
    history.on("RotateKeyOnDemand", REGIONS[0])
    history.rotations, history.states[REGIONS[1]] = 1, "Enabled"
    history.check()
