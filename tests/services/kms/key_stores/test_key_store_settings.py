"""`freehold serve`'s settings for key stores: what they may be, and that a wrong one is said before the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from soft_hsm import MODULE, certificate

from freehold.cli import key_stores
from freehold.cli.output import Problem
from freehold.services.kms.stores.configuration import BadConfiguration, hsm_setting, resolve_setting

URI = f"pkcs11:token=vault?module-path={MODULE}"
CLUSTER = "cluster-freeholdhsm22"


@pytest.fixture(scope="module")
def anchor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("anchor") / "customerCA.crt"
    path.write_text(certificate("customer CA"))
    return path


def test_a_token_needs_a_cluster_id_a_trust_anchor_and_no_more(anchor: Path, tmp_path: Path) -> None:
    good = f"{URI}&x-trust-anchor={anchor}"
    assert hsm_setting(f"{CLUSTER}={good}") == (CLUSTER, good)
    assert hsm_setting(f"{CLUSTER}={good}&x-account=111122223333")[0] == CLUSTER
    (tmp_path / "two.crt").write_text(certificate("a") + certificate("b"))
    for wrong in (
        f"vault={good}",
        f"cluster-short={good}",
        f"cluster-with-hyphens={good}",
        f"{CLUSTER}={URI}",
        f"{CLUSTER}={URI}&x-trust-anchor=relative.crt",
        f"{CLUSTER}={URI}&x-trust-anchor=/no/such/file",
        f"{CLUSTER}={URI}&x-trust-anchor={tmp_path / 'two.crt'}",
        f"{CLUSTER}={good}&x-account=1",
        f"{CLUSTER}={good.replace('libsofthsm2', 'no-such-library')}",
        CLUSTER,
    ):
        with pytest.raises(BadConfiguration):
            hsm_setting(wrong)


def test_a_proxy_is_mapped_to_an_address_and_a_port() -> None:
    assert resolve_setting("xks.example.com=10.0.0.7:8443") == ("xks.example.com", "10.0.0.7", 8443)
    assert resolve_setting("xks.example.com=[::1]:443") == ("xks.example.com", "::1", 443)
    for wrong in (
        "",
        "xks.example.com",
        "xks.example.com=host:1",
        "xks.example.com=10.0.0.7",
        "localhost=10.0.0.7:1",
        "xks.example.com=10.0.0.7:99999",
        "https://xks.example.com=10.0.0.7:1",
        "XKS.example.com=1.2.3.4:5",
    ):
        with pytest.raises(BadConfiguration):
            resolve_setting(wrong)


def test_each_is_named_once_and_files_are_there(anchor: Path) -> None:
    token = f"{CLUSTER}={URI}&x-trust-anchor={anchor}"
    place = "xks.example.com=10.0.0.7:8443"
    assert key_stores.settings([token], [place], anchor)["xks_ca"] == anchor
    for hsm, resolve, ca in (([token, token], [], None), ([], [place, place], None), ([], [], Path("/no/such/file"))):
        with pytest.raises(Problem):
            key_stores.settings(hsm, resolve, ca)
