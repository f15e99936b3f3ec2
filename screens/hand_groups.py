"""Groups by hand: hosts moved, groups split, merged and reordered, Beta picked and hosts excluded, with what it means beside it.

It asks for nothing to be done: it hands its groups back to the form it was opened from, or leaves them as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from engine.api import Api
from engine.domain.hand_groups import AppGroups, HandGroups
from engine.domain.orders import OrderSpec
from engine.domain.problem import ProblemError
from engine.domain.states import NodeKind
from engine.views.catalogue import HostView
from engine.views.preview import OrderPreview
from screens.asking import ask, in_worker
from screens.translate import N_, _, ngettext
from screens.watching import WatchingScreen
from screens.widgets.group_table import BETA, EXCLUDED, GroupTable, Line, hosts_at
from screens.widgets.key_bar import KeyBar, KeyNow
from screens.widgets.key_button import KeyButton
from screens.widgets.notice import Notice
from screens.widgets.preview import Preview
from screens.widgets.table import Table
from screens.widgets.trouble import problem_text

DIGITS = ",".join(map(str, range(1, 10)))
# what is not in the bottom line: key, words, action
_BUTTONS = (
    ("s", N_("split"), "split"),
    ("m", N_("merge"), "merge"),
    ("K", N_("up"), "shift(-1)"),
    ("J", N_("down"), "shift(1)"),
    ("u", N_("undo"), "undo"),
)


class HandGroupsScreen(WatchingScreen[tuple[HostView, ...]]):
    """`spec_with` is the order with these groups; `take` is given them when they are to be kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "take", N_("take these groups"), show=False, priority=True),
        Binding("space", "mark", N_("mark")),
        *(
            Binding(digit, f"to_group({digit})", N_("to group"), show=digit == "1", key_display="1–9")
            for digit in DIGITS.split(",")
        ),
        Binding("n", "new_group", N_("new")),
        Binding("b", "beta", N_("Beta")),
        Binding("x", "exclude", N_("exclude")),
        Binding("left,h", "beside(-1)", N_("into the group before"), show=False),
        Binding("right,l", "beside(1)", N_("into the next group"), show=False),
        Binding("s", "split", N_("split the group"), show=False),
        Binding("m", "merge", N_("merge with the next group"), show=False),
        Binding("K,shift+up", "shift(-1)", N_("the group goes earlier"), show=False),
        Binding("J,shift+down", "shift(1)", N_("the group goes later"), show=False),
        Binding("u", "undo", N_("undo"), show=False),
        Binding("escape", "leave", N_("back")),
    ]

    def __init__(
        self,
        trail: Sequence[str],
        groups: HandGroups,
        spec_with: Callable[[HandGroups | None], OrderSpec | None],
        take: Callable[[HandGroups], None],
    ) -> None:
        super().__init__()
        self._trail = (*trail, _("groups"))
        self._groups = groups
        self._before: list[HandGroups] = []
        self._marked: frozenset[str] = frozenset()
        self._spec_with, self._take = spec_with, take
        self._asked = 0
        self._warned = False

    def body(self) -> ComposeResult:
        with Horizontal(id="sheet"):
            with Vertical(id="hand"):
                yield GroupTable()
                with Horizontal(id="hand-keys"):
                    for _key, _words, action in _BUTTONS:
                        yield KeyButton(boxed=False, action=f"screen.{action}")
            yield Preview()
        yield Notice()

    def on_mount(self) -> None:
        self._say_buttons()
        self.query_one(GroupTable).focus()
        self._draw()

    def retell(self) -> None:
        super().retell()
        self._say_buttons()
        self._draw()

    def trail(self) -> tuple[str, ...]:
        return self._trail

    @property
    def expected_key(self) -> KeyNow:
        return KeyNow("ctrl+s", _("take"), "take", self, marked=True)

    def fetch(self, api: Api) -> tuple[HostView, ...]:
        return api.hosts(*self.cockpit.here())

    def show(self, data: tuple[HostView, ...]) -> None:
        self._draw()

    # ---- what is moved

    def _meant(self) -> frozenset[str]:
        """The marked hosts, else the one under the cursor, else all of the group under it."""
        if self._marked:
            return self._marked
        line = self._line
        return frozenset() if line is None else frozenset(self._under(line))

    @property
    def _line(self) -> Line | None:
        return self.query_one(GroupTable).chosen

    def _under(self, line: Line) -> tuple[str, ...]:
        return (line.host,) if line.host else hosts_at(self._groups.of(line.app), line.place)

    def action_mark(self) -> None:
        """The host under the cursor, or all of the group; marked ones lose their mark."""
        line = self._line
        if line is None:
            return
        hosts = frozenset(self._under(line))
        self._marked = self._marked - hosts if hosts <= self._marked else self._marked | hosts
        if line.host:
            self.query_one(GroupTable).action_move(1)
        self._draw()

    def on_group_table_mark_asked(self) -> None:
        line = self._line
        self.action_mark()
        if line is not None:
            self.query_one(GroupTable).move_to(line.key)

    def action_to_group(self, number: int) -> None:
        if any(len(app.groups) < number - 1 for app in self._apps_meant()):
            self.query_one(Notice).tell(
                _("There is no group {number}; n makes a new one.").format(number=number), good=False
            )
            return
        self._edit(self._groups.to_group(self._meant(), number - 1))

    def action_new_group(self) -> None:
        self._edit(self._groups.to_new_group(self._meant()))

    def action_beta(self) -> None:
        self._edit(self._groups.to_beta(self._meant()))

    def action_exclude(self) -> None:
        """An excluded host comes back into the last group."""
        line = self._line
        if not self._marked and line is not None and line.place == EXCLUDED:
            last = len(self._groups.of(line.app).groups) - 1
            self._edit(self._groups.to_group(self._meant(), max(0, last)))
        else:
            self._edit(self._groups.exclude(self._meant()))

    def action_beside(self, by: int) -> None:
        line = self._line
        if line is None or not line.host:
            return
        last = len(self._groups.of(line.app).groups) - 1
        at = {BETA: -1, EXCLUDED: last + 1}.get(line.place, line.place) + by
        if at < 0:
            self._edit(self._groups.to_beta(self._meant()))
        elif at > last:
            self._edit(self._groups.exclude(self._meant()))
        else:
            self._edit(self._groups.to_group(self._meant(), at))

    def action_split(self) -> None:
        if (line := self._group_line()) is not None:
            self._edit(self._groups.split(line.app, line.place))

    def action_merge(self) -> None:
        if (line := self._group_line()) is not None:
            self._edit(self._groups.merge(line.app, line.place))

    def action_shift(self, by: int) -> None:
        line = self._group_line()
        if line is None:
            return
        self._edit(self._groups.shift(line.app, line.place, by))
        if not line.host:
            last = len(self._groups.of(line.app).groups) - 1
            self.query_one(GroupTable).move_to(Line(line.app, max(0, min(last, line.place + by))).key)

    def action_undo(self) -> None:
        if not self._before:
            self.query_one(Notice).tell(_("Nothing to undo."), good=False)
            return
        self._groups = self._before.pop()
        self._changed()

    def _group_line(self) -> Line | None:
        line = self._line
        if line is None or line.place < 0:
            self.query_one(Notice).tell(_("Put the cursor into a group first."), good=False)
            return None
        return line

    def _apps_meant(self) -> list[AppGroups]:
        meant = self._meant()
        return [app for app in self._groups.apps if meant.intersection(app.hosts)]

    def _edit(self, groups: HandGroups) -> None:
        if groups == self._groups:
            return
        self._before.append(self._groups)
        self._groups = groups
        self._marked = frozenset()
        self._changed()

    def _changed(self) -> None:
        self._warned = False
        self.query_one(Notice).clear()
        self._draw()
        self._ask()

    # ---- what it means

    def _ask(self) -> None:
        self._asked += 1
        in_worker(self, self._fetch_preview, self._groups, self._asked, group="preview", exclusive=True)

    async def _fetch_preview(self, groups: HandGroups, asked: int) -> None:
        where, spec = self.cockpit.here(), self._spec_with(groups)
        if spec is None:
            return
        try:
            preview = await ask(self, lambda api: api.preview(*where, spec))
        except ProblemError as error:
            self.query_one(Preview).say(problem_text(error.problem, self.app))
            return
        if asked == self._asked:
            self.query_one(Preview).show(preview)

    # ---- keeping or leaving them

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.action_take()

    def action_take(self) -> None:
        self._take(self._groups)
        self.app.pop_screen()

    def action_leave(self) -> None:
        """What was edited is not lost by one key."""
        if self._before and not self._warned:
            self._warned = True
            self.query_one(Notice).tell(_("Esc once more drops what you changed; ^S takes it."), good=False)
            return
        self.app.pop_screen()

    # ---- drawing

    def _hosts(self) -> Mapping[str, HostView]:
        return {host.name: host for host in self.data or ()}

    def _draw(self) -> None:
        self.query_one(GroupTable).show(self._groups, self._marked, self._hosts())
        if not self._asked:
            self._ask()
        buttons = self.query("#hand-keys KeyButton").results(KeyButton)
        for (_key, _words, action), button in zip(_BUTTONS, buttons, strict=True):
            button.disabled = action == "undo" and not self._before
        self.query_one(KeyBar).redraw()

    def _say_buttons(self) -> None:
        for (key, words, _action), button in zip(
            _BUTTONS, self.query("#hand-keys KeyButton").results(KeyButton), strict=True
        ):
            button.say(key, _(words))


def groups_of(preview: OrderPreview) -> HandGroups:
    """Those that the preview shows."""
    apps: dict[str, AppGroups] = {}
    for node in preview.nodes:
        app = apps.setdefault(node.app, AppGroups(node.app))
        if node.kind is NodeKind.BETA:
            apps[node.app] = replace(app, beta=node.hosts)
        elif node.kind is NodeKind.GROUP:
            apps[node.app] = replace(app, groups=(*app.groups, node.hosts))
    return HandGroups(tuple(app for name, app in apps.items() if name))


def summary(groups: HandGroups) -> Text:
    """`Beta 2, 3 groups, 1 excluded`, for the form."""
    beta = sum(len(app.beta) for app in groups.apps)
    count = sum(len(app.groups) for app in groups.apps)
    excluded = sum(len(app.excluded) for app in groups.apps)
    said = [ngettext("{count} group", "{count} groups", count).format(count=count)]
    if beta:
        said.insert(0, _("Beta {count}").format(count=beta))
    if excluded:
        said.append(_("{count} excluded").format(count=excluded))
    return Text(", ".join(said))
