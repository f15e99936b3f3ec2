"""`cockpit whoami`: who acts, and what that person may do here."""

from __future__ import annotations

import typer

from cockpit.cli.command import command
from cockpit.cli.exit_codes import DONE
from cockpit.cli.output import print_json, say
from cockpit.cli.session import Session
from engine.domain.acts import ACTS
from engine.domain.roles import acts_as_owner
from screens import words
from screens.translate import _, tr


def register(app: typer.Typer) -> None:
    command(app, "whoami", example="cockpit whoami")(whoami)


def whoami(session: Session) -> int:
    """Who acts, with which role here, and which acts that allows. It is the user of the operating system, never a setting."""
    with session.api() as api:
        place = session.place(api)
        standing = api.standing(*place)
    allowed = [act for act, row in ACTS.items() if standing.may(row.least)]
    if session.json:
        said = {"operator": standing.operator, "role": standing.role, "as_owner": standing.as_owner, "acts": allowed}
        print_json({**said, "tenant": place[0], "workspace": place[1]})
        return DONE
    role = _("owner of the store") if standing.as_owner else words.role_word(standing.role)
    say(f"{standing.operator}  {role}  {place[0]} / {place[1]}")
    if standing.as_owner:
        say(tr(acts_as_owner(standing.operator)))
    names = ", ".join(words.act_word(act) for act in allowed)
    say(_("may: {acts}").format(acts=names) if names else _("may look at everything and change nothing"))
    return DONE
