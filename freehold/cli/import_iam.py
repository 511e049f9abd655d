"""`freehold import-iam`: an AWS account's users, groups, roles and policies, to be tried out here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.cli.output import Problem, print_json, printable, say

PART_BYTES = 512 * 1024
MOST_PARTS = 64
MOST_NOTES_SHOWN = 40
SECTIONS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


def import_iam(
    file: Annotated[
        Path,
        typer.Argument(
            help="What `aws iam get-account-authorization-details` printed; - reads standard input.", metavar="FILE"
        ),
    ],
    endpoint: Annotated[str, typer.Option(help="The server's endpoint, e.g. http://127.0.0.1:4600", metavar="URL")],
    profile: Annotated[str | None, typer.Option(help="AWS profile with the operator's keys.", metavar="NAME")] = None,
    name: Annotated[str | None, typer.Option(help="The account's name here.")] = None,
    ca_bundle: Annotated[
        str | None, typer.Option(help="PEM file to verify an https endpoint with.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make an account like one in AWS, with its account id, and print its root user's access key, once.

    FILE holds one output, or several pages after each other or in a list. Names, paths, unique ids, dates, tags,
    documents and attachments are kept; what can't be is listed with the reason. Nothing that exists is changed.

    \b
    Example:
      aws iam get-account-authorization-details > account.json
      freehold import-iam account.json --endpoint http://127.0.0.1:4600 --profile freehold-operator
    """
    from freehold.cli.operator_client import called, operator_client

    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}") from None
    details = merged(pages_in(text, str(file)))
    client = operator_client(endpoint, profile=profile, verify=ca_bundle)
    import_id = _upload(client, details, quiet=as_json)
    named = {} if name is None else {"AccountName": name}
    made = called(client.import_account_authorization_details, ImportId=import_id, **named)
    if as_json:
        print_json(_as_json(made))
    else:
        _print(made)


def pages_in(text: bytes, named: str) -> list[dict[str, Any]]:
    """The JSON objects of a file: one, several after each other, or a list of them. Raises Problem."""
    import json

    try:
        rest = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(f"{named} is not UTF-8 text") from None
    found: list[Any] = []
    decoder, at = json.JSONDecoder(), 0
    while at < len(rest):
        if rest[at].isspace():
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(rest, at)
        except (ValueError, RecursionError) as error:
            raise Problem(f"{named} is not JSON: {error}") from None
        found.extend(value if isinstance(value, list) else [value])
    if not found or not all(isinstance(page, dict) and any(name in page for name in SECTIONS) for page in found):
        raise Problem(f"{named} holds no output of aws iam get-account-authorization-details")
    return found


def merged(pages: list[dict[str, Any]]) -> dict[str, Any]:
    """All pages as one. What is on two pages, as an entity at a page's edge may be, is taken once."""
    sections: dict[str, Any] = {}
    for section in SECTIONS:
        by_arn: dict[Any, Any] = {}
        for page in pages:
            for number, one in enumerate(page.get(section) or ()):
                arn = one.get("Arn") if isinstance(one, dict) else None
                by_arn[arn or (id(page), number)] = one
        sections[section] = list(by_arn.values())
    return sections


def _upload(client: Any, details: dict[str, Any], *, quiet: bool) -> str:
    import secrets
    import zlib

    import orjson
    from rich.console import Console
    from rich.progress import Progress

    from freehold.cli.operator_client import called

    try:
        packed = zlib.compress(orjson.dumps(details), 6)
    except (TypeError, orjson.JSONEncodeError):
        raise Problem("the file has numbers or text that JSON doesn't allow") from None
    parts = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
    if len(parts) > MOST_PARTS:
        raise Problem(f"the file is larger than what can be imported ({MOST_PARTS * PART_BYTES:,} bytes compressed)")
    import_id = secrets.token_hex(16)
    shown = sys.stderr.isatty() and not quiet
    with Progress(console=Console(stderr=True), transient=True, disable=not shown) as progress:
        task = progress.add_task("Uploading", total=len(parts) + 1)
        for number, part in enumerate(parts, 1):
            called(client.upload_account_import_part, ImportId=import_id, PartNumber=number, Data=part)
            progress.advance(task)
    return import_id


def _as_json(made: dict[str, Any]) -> dict[str, Any]:
    key = made["RootAccessKey"]
    return {
        "account_id": made["Account"]["AccountId"],
        "name": made["Account"]["Name"],
        "access_key_id": key["AccessKeyId"],
        "secret_access_key": key["SecretAccessKey"],
        "imported": made["Imported"],
        "notes": [{"subject": note["Subject"], "message": note["Message"]} for note in made["Notes"]],
        "notes_omitted": made["NotesOmitted"],
    }


def by_message(notes: list[dict[str, str]]) -> list[str]:
    """One line for all that is said the same of: a real account has a hundred roles that trust one provider."""
    subjects: dict[str, list[str]] = {}
    for note in notes:
        subjects.setdefault(note["Message"], []).append(note["Subject"])
    return [
        f"{of[0]}{f' and {len(of) - 1} more' if len(of) > 1 else ''}: {message}" for message, of in subjects.items()
    ]


def _print(made: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    numbers, account, key = made["Imported"], made["Account"], made["RootAccessKey"]
    say(f"Account [bold]{account['AccountId']}[/bold]: {numbers['Users']} users, {numbers['Groups']} groups, "
        f"{numbers['Roles']} roles, {numbers['Policies']} policies, {numbers['InstanceProfiles']} instance profiles, "
        f"{numbers['Attachments']} attachments.")  # fmt: skip
    if made["Notes"]:
        say("\nNot as it was:")
        console = Console(highlight=False)
        lines = by_message(made["Notes"])
        for line in lines[:MOST_NOTES_SHOWN]:
            console.print(Text(printable(f"  {line}")), soft_wrap=True)
        more = max(0, len(lines) - MOST_NOTES_SHOWN) + made["NotesOmitted"]
        if more or len(lines) < len(made["Notes"]):
            say(f"  … and {more} more; --json lists each" if more else "  (--json lists each)")
    say("\nThe root user's key is shown this once:")
    say(f"  AWS_ACCESS_KEY_ID={key['AccessKeyId']}")
    say(f"  AWS_SECRET_ACCESS_KEY={key['SecretAccessKey']}")
