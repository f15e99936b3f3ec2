"""`cockpit doctor`: what the engine uses (SSH agent, keys, cloud credentials, since when), and what this terminal would lend it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from cockpit.cli.command import command
from cockpit.cli.exit_codes import DONE, FAILED
from cockpit.cli.output import at, print_json, say
from cockpit.cli.session import Session
from engine import lending
from engine.domain.message import Message
from engine.views.values import to_json
from screens.translate import _, tr

if TYPE_CHECKING:
    from engine.remote.reach import AgentInUse
    from engine.remote.settings import SshSettings
    from engine.remote.skipped import SkippedFile


@dataclass(frozen=True, slots=True)
class _Here:
    """What this terminal has."""

    agent: AgentInUse
    skipped: tuple[SkippedFile, ...]


def register(app: typer.Typer) -> None:
    command(app, "doctor", example="cockpit doctor --json")(doctor)


def doctor(session: Session) -> int:
    """What the engine uses: its SSH agent, the keys it offers, the source of its cloud credentials, since when.

    Fails when an agent is of no use."""
    from cockpit.engine_process import ssh_settings
    from cockpit.engine_uses import told_here

    settings = session.settings
    here = asyncio.run(_here(ssh_settings(settings)))
    loan, engines = lending.read(settings.folder), told_here(settings.folder)
    ailing = bool(here.agent.troubles) or any(told["agent"]["troubles"] for told in engines)
    if session.json:
        print_json(
            {
                "here": {
                    "agent": here.agent.socket,
                    "keys": here.agent.keys,
                    "troubles": [str(trouble) for trouble in here.agent.troubles],
                    "skipped": [{"file": str(each.file), "why": str(each.why)} for each in here.skipped],
                },
                "lent": to_json(loan) | {"lives": loan.lives} if loan is not None else None,
                "engines": [_plain(told) for told in engines],
                "ok": not ailing,
            }
        )
        return FAILED if ailing else DONE
    _tell_here(here)
    if loan is not None:
        whose = _("this user's process {pid}").format(pid=loan.pid) if loan.lives else _("a process that is gone")
        say(_("Lent to the engine by {who}, {at}").format(who=whose, at=at(loan.at)))
        _row(_("SSH agent"), loan.agent or "-")
    for told in engines:
        _tell_engine(told)
    if not engines:
        say(_("No engine of yours runs on this machine for this store."))
    return FAILED if ailing else DONE


async def _here(settings: SshSettings) -> _Here:
    from engine.remote.agent import Agents
    from engine.remote.identities import Identities, skipped_of
    from engine.remote.reach import agent_in_use

    return _Here(await agent_in_use(Agents(settings)), skipped_of(Identities(settings).read()))


def _tell_here(here: _Here) -> None:
    say(_("This terminal"))
    _row(_("SSH agent"), here.agent.socket or "-")
    for key in here.agent.keys:
        _tell_key(to_json(key))
    for trouble in here.agent.troubles:
        say(f"   ✗ {tr(trouble)}")
    for skipped in here.skipped:
        say("   " + _("not used: {file}: {why}").format(file=skipped.file, why=tr(skipped.why)))


def _tell_engine(told: Mapping[str, Any]) -> None:
    agent, credentials = told["agent"], told["credentials"]
    say(_("Engine, process {pid}, as of {at}").format(pid=told["pid"], at=at(told["at"])))
    if agent["socket"]:
        lent = "  " + _("lent by process {pid}").format(pid=agent["lent_by"]) if agent["lent_by"] else ""
        since = _("since {at}").format(at=at(agent["since"]))
        _row(_("SSH agent"), f"{agent['socket']}  {since}{lent}")
    else:
        _row(_("SSH agent"), "-")
    for key in agent["keys"]:
        _tell_key(key)
    for trouble in agent["troubles"]:
        say(f"   ✗ {tr(Message.from_json(trouble))}")
    if credentials is None:
        _row(_("credentials"), _("not used yet"))
        return
    until = "  " + _("good until {at}").format(at=credentials["until"]) if credentials["until"] else ""
    since = _("since {at}").format(at=at(credentials["since"]))
    _row(_("credentials"), f"{credentials['source']}  {since}{until}")


def _row(title: str, value: str) -> None:
    say(f"   {title}  {value}")


def _tell_key(key: Mapping[str, Any]) -> None:
    until = "  " + _("certificate until {at}").format(at=key["expires_at"]) if key["expires_at"] else ""
    say(f"      {key['name']}  {key['algorithm']}  {key['fingerprint']}{until}")


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    troubles = [str(Message.from_json(trouble)) for trouble in told["agent"]["troubles"]]
    return {**told, "agent": {**told["agent"], "troubles": troubles}}
