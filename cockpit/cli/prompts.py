"""`cockpit prompts`: what SSH servers ask (one-time passwords), and the answers. An answer is never an argument."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cockpit.cli.command import Json, StoreUrl, Tenant, WorkspaceName, command, group
from cockpit.cli.output import at, note, print_json, print_table, say
from cockpit.cli.session import GlobalOptions, Session
from engine.api_errors import ApiError
from engine.domain.message import message
from engine.domain.problem import Problem
from screens.translate import N_, _

app = group("prompts", "What SSH servers ask at a login: lists it; `answer` answers.")


@app.callback(invoke_without_command=True)
def prompts(
    ctx: typer.Context,
    *,
    json_: Json = False,
    store: StoreUrl = None,
    tenant: Tenant = None,
    workspace: WorkspaceName = None,
) -> None:
    """Questions of SSH servers at login (one-time passwords) that nobody has answered yet."""
    ctx.obj = ctx.obj.then(GlobalOptions(json_, store, tenant, workspace))
    if ctx.invoked_subcommand is None:
        list_prompts(Session(ctx.obj))


@command(app, "list", example="cockpit prompts list")
def list_prompts(session: Session) -> None:
    """The questions that wait for an answer."""
    with session.api() as api:
        views = api.prompts()
    if session.json:
        print_json(views)
        return
    titles = (N_("id"), N_("asked by"), N_("login"), N_("question"), N_("until"))
    print_table(titles, [(view.id, view.hop, view.login, view.question, at(view.deadline_at)) for view in views])


@command(app, "answer", example="cockpit prompts answer 3")
def answer_prompt(
    session: Session, prompt_id: Annotated[int, typer.Argument(metavar="ID", help="The question's number.")]
) -> None:
    """Answer a question. Asks for the answer without showing it, or reads one line from standard input."""
    with session.api() as api:
        view = next((view for view in api.prompts() if view.id == prompt_id), None)
        if view is None:
            raise ApiError(
                Problem(
                    "no_such_prompt",
                    message("There is no question {id}.", id=prompt_id),
                    message("`cockpit prompts` lists those that wait for an answer."),
                )
            )
        api.answer_prompt(prompt_id, _read(f"{view.login}: {view.question} ", echo=view.echo))
    if session.json:
        print_json({"answered": prompt_id})
    else:
        say(_("The answer is on its way to {login}.").format(login=view.login))


def _read(question: str, *, echo: bool) -> str:
    """From the terminal, hidden unless the server says it may be seen; else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    if echo:
        note(question)
        return input()
    from getpass import getpass

    return getpass(question)
