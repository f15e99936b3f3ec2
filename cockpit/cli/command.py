"""How a function becomes a command: it takes the session first, and its command takes the global options beside its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, get_type_hints

import typer

from cockpit.cli.exit_codes import INTERRUPTED
from cockpit.cli.output import note
from cockpit.cli.session import GlobalOptions, Session
from cockpit.cli.wrong_use import HELP_OF_THE_COMMAND, WrongUse, help_of
from cockpit.terminal import end_with_terminal
from screens.translate import _

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.", rich_help_panel="Everywhere")]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="The store: an SQLite file or postgresql://…", rich_help_panel="Everywhere"
    ),
]
Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="The tenant.", rich_help_panel="Everywhere")
]
WorkspaceName = Annotated[
    str | None, typer.Option("--workspace", metavar="NAME", help="The workspace.", rich_help_panel="Everywhere")
]
GLOBAL = {"json_": Json, "store": StoreUrl, "tenant": Tenant, "workspace": WorkspaceName}


def as_written(paragraph: str) -> str:
    """A paragraph of a help text whose line breaks are kept."""
    return f"\b\n{paragraph}"


def group(name: str, help: str, *, completion: bool = False) -> typer.Typer:
    """`completion`: for the outermost one, with the options that install it into the operator's shell."""
    return typer.Typer(name=name, help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=completion)


def command(
    app: typer.Typer, name: str, *, example: str = "", watches: bool = False
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register `function(session, …)` as the command `name` of `app`; `example` stands in its help, one line as it is typed.
    The function returns its exit code, None for 0. It ends with its terminal, unless it `watches` that itself."""

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        def invoke(ctx: typer.Context, **given: Any) -> int | None:
            options = _options({key: given.pop(key) for key in GLOBAL})
            if not watches:
                end_with_terminal()
            try:
                return function(Session(ctx.obj.then(options)), **given)
            except KeyboardInterrupt:
                note("\n" + _("Interrupted. What was already asked for still counts, and what runs goes on."))
                return INTERRUPTED
            except WrongUse as error:
                if error.problem.remedy != HELP_OF_THE_COMMAND:
                    raise
                raise WrongUse(replace(error.problem, remedy=help_of(ctx.command_path))) from error

        hints = get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        parameters = [
            inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[each.name]) for each in own),
            *(
                inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=_unset(key))
                for key, kind in GLOBAL.items()
            ),
        ]
        invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        invoke.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name, help=inspect.getdoc(function), epilog=as_written(f"Example:\n  {example}"))(invoke)
        return function

    return register


def _unset(key: str) -> bool | None:
    return False if key == "json_" else None


def _options(given: dict[str, Any]) -> GlobalOptions:
    return GlobalOptions(
        json=given["json_"], store=given["store"], tenant=given["tenant"], workspace=given["workspace"]
    )
