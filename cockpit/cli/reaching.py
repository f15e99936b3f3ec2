"""`cockpit host ssh HOST`: how a host is reached, and where the way ends if it does. It uses what an engine here would use."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.cli.output import note, print_json, print_problem, say
from cockpit.cli.session import Session
from engine.domain.fleet import Host
from engine.domain.problem import Problem, ProblemError
from engine.ports import Question
from engine.views.values import to_json
from screens.translate import _, tr

if TYPE_CHECKING:
    from engine.remote.reach import HopFacts, OfferedKeys, Reached
    from engine.remote.settings import SshSettings


class TerminalAsker:
    """Asks whoever sits at this terminal; without one nobody is asked."""

    async def ask(self, question: Question, deadline_s: float) -> str | None:
        if not sys.stdin.isatty():
            return None
        from getpass import getpass

        if question.attempt > 1:
            note(_("The last answer was refused."))
        ask = input if question.echo else getpass
        return await asyncio.to_thread(ask, f"{question.login}: {question.text} ")


def reach_and_tell(session: Session, host: Host) -> bool:
    """Print the way and try it; whether the host was reached."""
    from cockpit.engine_process import ssh_settings
    from engine.remote.reach import describe

    settings = ssh_settings(session.settings)
    hops = describe(host, settings, Path.home() / ".ssh" / "config")
    if not session.json:
        _tell_hops(hops)
    keys, reached, problem = asyncio.run(_try(host, settings, tell=not session.json))
    done = problem is None and all(each.problem is None for each in reached)
    if session.json:
        skipped = [{"file": str(each.file), "why": str(each.why)} for each in keys.skipped]
        agent = [str(trouble) for trouble in keys.troubles]
        said = {"keys": keys.keys, "skipped": skipped, "agent": agent}
        print_json({"hops": _plain(hops), **said, "reached": reached, "problem": problem, "ok": done})
    return done


async def _try(host: Host, settings: SshSettings, *, tell: bool) -> tuple[OfferedKeys, list[Reached], Problem | None]:
    from engine.remote.reach import OfferedKeys, offered_keys
    from engine.remote.ssh import SshRemote

    reached: list[Reached] = []
    try:
        keys = await offered_keys(host, settings)
    except ProblemError as error:
        if tell:
            print_problem(error.problem, as_json=False)
        return OfferedKeys(), reached, error.problem
    if tell:
        _tell_keys(keys)
    remote = SshRemote(settings, asker=TerminalAsker())
    try:
        async for each in remote.reach(host):
            reached.append(each)
            if tell:
                _tell_reached(each)
    finally:
        await remote.close()
    return keys, reached, None


def _tell_hops(hops: tuple[HopFacts, ...]) -> None:
    for number, hop in enumerate(hops, start=1):
        kind = _("jump host") if hop.is_jump else _("host")
        say(f"{number}  {kind} {hop.name}  {hop.login}")
        who = {
            "catalogue": _("host key of the catalogue"),
            "known_hosts": _("host key of known_hosts"),
            "nobody": _("nobody has vouched for its host key"),
        }[hop.vouched_by]
        say(f"   {who}" + "".join(f"\n      {algorithm} {fingerprint}" for algorithm, fingerprint in hop.keys))
        for option in hop.options:
            verdict = _("honoured") if option.honoured else _("ignored")
            say(f"   {option.file}:{option.line}  {option.keyword} {option.value}  ({verdict})")
        for skipped in hop.skipped:
            say("   " + _("not used: {file}: {why}").format(file=skipped.file, why=tr(skipped.why)))
        if hop.problem is not None:
            say(f"   ✗ {tr(hop.problem.what)}")


def _tell_keys(offered: OfferedKeys) -> None:
    say(_("Keys that are offered:") if offered.keys else _("No key is offered."))
    for key in offered.keys:
        source = _("agent") if key.source == "agent" else _("file")
        until = "  " + _("certificate until {at}").format(at=key.expires_at) if key.expires_at else ""
        say(f"   {source}  {key.name}  {key.algorithm}  {key.fingerprint}".rstrip() + until)
    for skipped in offered.skipped:
        say("   " + _("not used: {file}: {why}").format(file=skipped.file, why=tr(skipped.why)))
    for trouble in offered.troubles:
        say(f"   {tr(trouble)}")


def _tell_reached(each: Reached) -> None:
    if each.problem is None:
        say(f"✓ {each.hop}  {each.seconds:.2f} s")
        return
    say(f"✗ {each.hop}  {tr(each.problem.what)}")
    for line in each.problem.evidence.splitlines():
        say(f"    {line}")
    say(f"  {tr(each.problem.remedy)}")


def _plain(hops: tuple[HopFacts, ...]) -> list[dict[str, object]]:
    """Paths as text."""
    return [
        {
            **to_json(hop),
            "options": [{**to_json(option), "file": str(option.file)} for option in hop.options],
            "skipped": [{"file": str(each.file), "why": str(each.why)} for each in hop.skipped],
        }
        for hop in hops
    ]
