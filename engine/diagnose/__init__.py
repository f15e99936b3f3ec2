"""Says what a failed step means and what to do about it, from its exit status and the end of its log. Pure."""

from engine.diagnose.explain import explain

__all__ = ["explain"]
