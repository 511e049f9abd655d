"""`freehold init`, `serve` and `status`."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated

import typer

from freehold.cli import custody as cli_custody
from freehold.cli import key_stores
from freehold.cli.custody import Custody, SecretFd, SecretFile, SharesTo, With
from freehold.cli.output import Problem, print_json, say
from freehold.config import (
    DEFAULT_PORT,
    DEFAULT_REGION,
    Settings,
    default_data_directory,
    default_root_key,
    default_secret_file,
)

Data = Annotated[Path | None, typer.Option(help="Data directory [default: $FREEHOLD_DATA].", metavar="DIR")]
RootKeyFile = Annotated[
    Path | None, typer.Option("--root-key", help="Root key file [default: DIR.root-key beside DIR].", metavar="FILE")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _paths(data: Path | None, root_key: Path | None) -> tuple[Path, Path]:
    directory = (data or default_data_directory()).absolute()
    return directory, (root_key or default_root_key(directory)).absolute()


def settings_of(data: Path | None, root_key: Path | None, secret_file: Path | None = None) -> Settings:
    """Where a command finds the deployment."""
    directory, key_file = _paths(data, root_key)
    return Settings(data=directory, root_key=key_file, secret_file=secret_file or default_secret_file())


def init(
    data: Data = None,
    root_key: RootKeyFile = None,
    custody: Custody = "file",
    choices: With = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    shares_to: SharesTo = None,
    account_name: Annotated[str, typer.Option(help="The first customer account's name.")] = "main",
    profile: Annotated[
        str | None, typer.Option(help="Also write AWS profiles NAME and NAME-operator.", metavar="NAME")
    ] = None,
    region: Annotated[str, typer.Option(help="The profiles' Region.")] = DEFAULT_REGION,
    endpoint: Annotated[str, typer.Option(help="The profiles' endpoint.")] = f"http://127.0.0.1:{DEFAULT_PORT}",
    as_json: Json = False,
) -> None:
    """Make a deployment: root key, data directory, the operator, and a first customer account.

    The credentials are printed once and stored nowhere in the clear. Keep the root key apart from backups of the data:
    whoever has both has everything, whoever loses it has nothing. It is in a file, or where --custody says.

    \b
    Examples:
      freehold init --data ./data --profile freehold
      freehold init --data ./data --custody shamir --with shares=5 --with threshold=3
    """
    from freehold.cli.profiles import write_profile
    from freehold.deployment import DeploymentError, create

    settings = settings_of(data, root_key, secret_file)
    directory, key_file = settings.data, settings.root_key
    options, access = cli_custody.words(choices), cli_custody.access(settings, secret_fd, new=True)
    try:
        made = create(settings, account_name, custody, options, access)
    except (DeploymentError, ValueError) as error:
        raise Problem(str(error)) from None
    kept = cli_custody.keep_shares(made.shares, shares_to) if made.shares and shares_to is not None else None
    if as_json:
        print_json(
            {
                "account_id": made.account_id,
                "access_key_id": made.root.access_key_id,
                "secret_access_key": made.root.secret_access_key,
                "operator": {
                    "access_key_id": made.operator.access_key_id,
                    "secret_access_key": made.operator.secret_access_key,
                },
                "data": str(directory),
                "custody": custody,
                **({"root_key": str(key_file)} if custody == "file" else {}),
                **({"shares": kept or list(made.shares)} if made.shares else {}),
            }
        )
    else:
        say(f"Data directory  {directory}")
        if custody == "file":
            say(f"Root key        {key_file}  [dim](keep it apart from backups of the data)[/dim]")
        else:
            say(f"Root key        {custody}  [dim](docs/custody.md)[/dim]")
        if kept is not None:
            say(f"Shares          {', '.join(kept)}  [dim](one person, one share)[/dim]")
        elif made.shares:
            cli_custody.show_shares(made.shares, needed=int(options["threshold"]))
        say(f"\nAccount [bold]{made.account_id}[/bold], root user; shown this once:")
        say(f"  AWS_ACCESS_KEY_ID={made.root.access_key_id}")
        say(f"  AWS_SECRET_ACCESS_KEY={made.root.secret_access_key}")
        say("\nOperator (makes accounts; can't read their data); shown this once:")
        say(f"  AWS_ACCESS_KEY_ID={made.operator.access_key_id}")
        say(f"  AWS_SECRET_ACCESS_KEY={made.operator.secret_access_key}")
        say(f"\nNext: freehold serve --data {directory}")
    if profile is not None:
        for name, pair in ((profile, made.root), (f"{profile}-operator", made.operator)):
            path = write_profile(name, pair.access_key_id, pair.secret_access_key, region, endpoint)
            if not as_json:
                say(f"Profile {name} written to {path}")


def _issuers(texts: list[str]) -> tuple[tuple[str, str], ...]:
    """The `NAME=URL` of each --issuer."""
    from freehold.federation.issuers import BadIssuer, mapping

    try:
        mapped = tuple(mapping(text) for text in texts)
    except BadIssuer as error:
        raise Problem(str(error)) from None
    if len(dict(mapped)) != len(mapped):
        raise Problem("--issuer names each provider once")
    return mapped


def _public_url(text: str) -> str:
    from freehold.federation.issuers import BadIssuer, check_url

    try:
        check_url(text)
    except BadIssuer:
        text = ""
    if not text or "/" in text.removeprefix("https://").removesuffix("/"):
        raise Problem("--public-url is https://HOST[:PORT]")
    return text.removesuffix("/")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = DEFAULT_PORT,
    data: Data = None,
    root_key: RootKeyFile = None,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1, max=256)] = 1,
    region: Annotated[
        list[str] | None, typer.Option(help=f"Region to serve, may be repeated [default: {DEFAULT_REGION}].")
    ] = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).", metavar="FILE")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key (PEM).", metavar="FILE")] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option(help="Host name under which BUCKET.NAME addresses a bucket, may be repeated.", metavar="NAME"),
    ] = None,
    issuer: Annotated[
        list[str] | None,
        typer.Option(
            help="Where an identity provider is really reached, may be repeated; it may be inside your network.",
            metavar="NAME=URL",
        ),
    ] = None,
    issuer_ca: Annotated[
        Path | None, typer.Option(help="Authorities (PEM) of identity providers' certificates.", metavar="FILE")
    ] = None,
    hsm: key_stores.Hsm = None,
    hsm_timeout_ms: key_stores.HsmTimeout = 5_000,
    xks_resolve: key_stores.XksResolve = None,
    xks_ca: key_stores.XksCa = None,
    xks_timeout_ms: key_stores.XksTimeout = 250,
    public_url: Annotated[
        str | None,
        typer.Option(help="https URL of this server for others, who verify outbound tokens by it.", metavar="URL"),
    ] = None,
    movable_clock: Annotated[
        bool, typer.Option("--movable-clock", help="Let the operator move the clock forward (for tests).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON once requests are answered.")] = False,
) -> None:
    """Serve a deployment until SIGTERM or Ctrl-C; requests in flight are finished.

    \b
    Examples:
      freehold serve --data ./data
      freehold serve --data ./data --port 0 --workers 2 --region us-east-1 --region eu-central-1 --json
      freehold serve --data ./data --host 0.0.0.0 --tls-cert chain.pem --tls-key key.pem

    Where the root key is in people's hands, the server answers sealed until: freehold unseal.
    """
    # What is imported stays: the collector would only go through it again and again. The server turns it on.
    gc.disable()
    from freehold.server import CANNOT_START
    from freehold.server import serve as run

    if (tls_cert is None) != (tls_key is None):
        raise Problem("--tls-cert and --tls-key go together")
    if issuer_ca is not None and not issuer_ca.is_file():
        raise Problem(f"--issuer-ca: there is no file {issuer_ca}")
    directory, key_file = _paths(data, root_key)
    settings = Settings(
        data=directory,
        root_key=key_file,
        secret_file=secret_file or default_secret_file(),
        host=host,
        port=port,
        workers=workers,
        regions=tuple(dict.fromkeys(region or [DEFAULT_REGION])),
        tls_cert=tls_cert,
        tls_key=tls_key,
        movable_clock=movable_clock,
        host_names=tuple(host_name or ()),
        issuers=_issuers(issuer or []),
        issuer_ca=None if issuer_ca is None else issuer_ca.absolute(),
        public_url="" if public_url is None else _public_url(public_url),
        **key_stores.settings(hsm, xks_resolve, xks_ca, hsm_timeout_ms, xks_timeout_ms),
    )

    def ready(endpoint: str, sealed: bool) -> None:
        if as_json:
            print_json({"endpoint": endpoint, **({"sealed": True} if sealed else {})})
            return
        if sealed:
            say(f"Freehold answers [bold]sealed[/bold] at [bold]{endpoint}[/bold]")
            say(f"  unseal    freehold unseal --endpoint {endpoint}")
            return
        say(f"Freehold answers at [bold]{endpoint}[/bold]")
        say(f"  data      {directory}")
        say(f"  Regions   {', '.join(settings.regions)}")
        say(f"  try       aws --endpoint-url {endpoint} --profile NAME sts get-caller-identity")
        say("  NAME      the profile that `freehold init --profile NAME` wrote; Ctrl-C stops")

    try:
        status = run(settings, ready, cli_custody.access(settings, secret_fd, ask=False))
    except CANNOT_START as error:
        raise Problem(str(error)) from None
    sys.exit(status)


def status(
    endpoint: Annotated[str | None, typer.Option(help="A running server's endpoint.", metavar="URL")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile with the operator's keys.", metavar="NAME")] = None,
    ca_bundle: Annotated[
        str | None, typer.Option(help="PEM file to verify an https endpoint with.", metavar="FILE")
    ] = None,
    data: Data = None,
    root_key: RootKeyFile = None,
    as_json: Json = False,
) -> None:
    """Tell how a server (with --endpoint, as the operator) or a data directory is doing.

    \b
    Examples:
      freehold status --endpoint http://127.0.0.1:4600 --profile freehold-operator
      freehold status --data ./data
    """
    if endpoint is not None:
        from freehold.cli import seal
        from freehold.cli.operator_client import called, operator_client

        sealing = called(operator_client(endpoint, verify=ca_bundle, signed=False).get_seal_status)
        if sealing["Sealed"]:
            if as_json:
                print_json({"endpoint": endpoint, **seal.shown(sealing)})
            else:
                say(seal.in_words(sealing))
            return
        found = called(operator_client(endpoint, profile=profile, verify=ca_bundle).get_server_status)
        facts = {
            "endpoint": endpoint,
            "sealed": False,
            "version": found["Version"],
            "regions": found["Regions"],
            "workers": found["Workers"],
            "accounts": found["Accounts"],
            "started_at": found["StartedAt"].isoformat(),
            "now": found["Now"].isoformat(),
            "clock_offset_seconds": found["ClockOffsetSeconds"],
            "clock_movable": found["ClockMovable"],
        }
    else:
        from freehold.custody.mark import head_of
        from freehold.deployment import DeploymentError, NeedsPeople, opened
        from freehold.storage.locks import DirectoryHeld, hold_directory

        settings = settings_of(data, root_key)
        directory, key_file = settings.data, settings.root_key
        try:
            head = opened(settings).head
        except NeedsPeople:
            head = head_of(directory)
        except DeploymentError as error:
            raise Problem(str(error)) from None
        try:
            with hold_directory(directory):
                served = False
        except DirectoryHeld:
            served = True
        size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        facts = {
            "data": str(directory),
            "custody": head.kind,
            **({"root_key": str(key_file)} if head.kind == "file" else {}),
            "root_key_fingerprint": head.fingerprint,
            "served": served,
            "size_bytes": size,
        }
    if as_json:
        print_json(facts)
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        say(f"{name.replace('_', ' '):{width}}  {shown}")
