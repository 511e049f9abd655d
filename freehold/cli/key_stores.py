"""`freehold serve`'s options for custom key stores, read and checked before the server starts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.cli.output import Problem

Hsm = Annotated[
    list[str] | None,
    typer.Option(
        "--hsm",
        help="Token for custom key stores (RFC 7512 URI with module-path and x-trust-anchor), may be repeated.",
        metavar="CLUSTER-ID=URI",
    ),
]
HsmTimeout = Annotated[
    int, typer.Option(help="How long one call of a token may take, in milliseconds.", min=100, max=60_000)
]
XksResolve = Annotated[
    list[str] | None,
    typer.Option(
        help="Where an external key store proxy is really reached, may be repeated; it may be inside your network.",
        metavar="HOST=ADDRESS:PORT",
    ),
]
XksCa = Annotated[Path | None, typer.Option(help="Authorities (PEM) of those proxies' certificates.", metavar="FILE")]
XksTimeout = Annotated[
    int, typer.Option(help="How long an external key store proxy may take, in milliseconds.", min=50, max=10_000)
]


def settings(
    hsm: list[str] | None,
    xks_resolve: list[str] | None,
    xks_ca: Path | None,
    hsm_timeout_ms: int = 5_000,
    xks_timeout_ms: int = 250,
) -> dict[str, Any]:
    """What the options say, as members of `Settings`."""
    from freehold.services.kms.stores.configuration import BadConfiguration, hsm_setting, resolve_setting

    try:
        tokens = tuple(hsm_setting(text) for text in hsm or ())
        places = tuple(resolve_setting(text) for text in xks_resolve or ())
    except BadConfiguration as error:
        raise Problem(str(error)) from None
    if len(dict(tokens)) != len(tokens) or len({host for host, _, _ in places}) != len(places):
        raise Problem("--hsm names each cluster id once, --xks-resolve each host")
    if tokens and find_spec("pkcs11") is None:
        raise Problem("--hsm needs the package python-pkcs11: install freehold[pkcs11]")
    if xks_ca is not None and not xks_ca.is_file():
        raise Problem(f"--xks-ca: there is no file {xks_ca}")
    return {
        "hsm_tokens": tokens,
        "hsm_timeout_milliseconds": hsm_timeout_ms,
        "xks_resolve": places,
        "xks_ca": None if xks_ca is None else xks_ca.absolute(),
        "xks_timeout_milliseconds": xks_timeout_ms,
    }
