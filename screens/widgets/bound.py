"""What a key does, in our words: of the framework's own bindings only those are told that are of use here."""

from __future__ import annotations

from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode

from screens.translate import N_

_OF_THE_FRAMEWORK = {
    "app.focus_next": N_("next field or pane"),
    "app.focus_previous": N_("previous field or pane"),
    "show_overlay": N_("open the list"),
    "select": N_("take this one"),
    "dismiss": N_("close the list"),
    "toggle_button": N_("on, off"),
}
_WHILE_A_LIST_IS_OPEN = ("select", "dismiss")


def words_of(active: ActiveBinding) -> str:
    """A msgid; empty for what is not told."""
    binding = active.binding
    return binding.description if _is_ours(active.node, binding) else _OF_THE_FRAMEWORK.get(binding.action, "")


def is_shown(active: ActiveBinding) -> bool:
    """Whether it belongs into the bottom line."""
    binding = active.binding
    if _is_ours(active.node, binding):
        return binding.show
    return binding.action in _WHILE_A_LIST_IS_OPEN


def _is_ours(node: DOMNode, binding: Binding) -> bool:
    """Whether it stands in a class of ours: a field of the framework that one of ours is made of has bindings of its own."""
    ours = [each for each in type(node).__mro__ if not each.__module__.startswith("textual.")]
    own = [bound for each in ours for bound in each.__dict__.get("BINDINGS", ())]
    return any(isinstance(bound, Binding) and bound.action == binding.action for bound in own)
