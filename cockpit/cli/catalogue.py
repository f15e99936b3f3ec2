"""`cockpit apply` and `cockpit export`: the catalogue from files into the store, and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cockpit.cli.command import command
from cockpit.cli.exit_codes import DONE, FAILED
from cockpit.cli.output import nobody_reads, print_json, say, takes_every_character
from cockpit.cli.refused_file import refused_file
from cockpit.cli.session import Session
from cockpit.identity import operating_system_user
from screens.translate import _

if TYPE_CHECKING:
    from engine.catalogue.catalogue import Catalogue
    from engine.store.catalogue import Change
    from engine.store.store import Store


def register(app: typer.Typer) -> None:
    command(app, "apply", example="cockpit apply fleet.yaml --dry-run")(apply)
    command(app, "export", example="cockpit export --tenant acme > acme.yaml")(export)


def apply(
    session: Session,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", exists=True, help="Catalogue files (YAML); merged by name.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change and change nothing.")] = False,
) -> int:
    """Bring the catalogue to what the files say: all of it, or nothing if anything is wrong."""
    from engine.catalogue.problems import CatalogueError
    from engine.store.store import Store

    settings = session.own_settings
    store = Store.open(settings.store)
    try:
        changes = _changes(store, files, operating_system_user(), dry_run=dry_run)
    except CatalogueError as error:
        return refused_file(session, error, error.problems)
    finally:
        store.close()
    if session.json:
        print_json({"applied": not dry_run, "changes": changes})
    else:
        _show(changes, dry_run=dry_run)
    return DONE


def export(session: Session) -> int:
    """Write the catalogue out as YAML (or JSON), of one tenant or of all; `apply` reads it back."""
    import yaml

    from engine.store.catalogue import export as written
    from engine.store.store import Store

    store = Store.open(session.settings.store, create=False)
    try:
        tenant = session.options.tenant or session.settings.tenant or None
        text = written(store, tenant, ascii_only=not takes_every_character())
    finally:
        store.close()
    if session.json:
        print_json(yaml.safe_load(text))
    else:
        say(text.rstrip("\n"))
    return FAILED if nobody_reads() else DONE


def _changes(store: Store, files: list[Path], operator: str, *, dry_run: bool) -> list[Change]:
    from engine.store.catalogue import apply as write
    from engine.store.catalogue import plan_changes

    catalogue = _read(store, files)
    if dry_run:
        with store.reading() as conn:
            return plan_changes(conn, catalogue, operator=operator)
    return write(store, catalogue, operator, time.time())


def _read(store: Store, files: list[Path]) -> Catalogue:
    from engine.catalogue.read import read_files
    from engine.store.catalogue import stored

    with store.reading() as conn:
        known = stored(conn)
    return read_files(files, known=known)


def _show(changes: list[Change], *, dry_run: bool) -> None:
    for change in changes:
        if change.action == "add":
            say(f"+ {change.kind} {change.path}")
            continue
        say(f"~ {change.kind} {change.path}")
        for name, value in change.after.items():
            say(f"    {name}: {change.before.get(name)} → {value}")
    if not changes:
        say(_("Nothing to change."))
    elif dry_run:
        say(_("{count} changes; nothing was written.").format(count=len(changes)))
    else:
        say(_("{count} changes applied.").format(count=len(changes)))
