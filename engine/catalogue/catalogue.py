"""The catalogue that several files make together: the same models, each thing named once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.catalogue.models import Operator, Tenant
from engine.catalogue.problems import CatalogueProblem
from engine.domain.message import Message


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`places` says in which file and line a thing was named, keyed by its kind and names; empty when it came from the store."""

    tenants: tuple[Tenant, ...] = ()
    operators: tuple[Operator, ...] = ()
    places: Mapping[tuple[str, ...], tuple[str, int, str]] = field(default_factory=dict, compare=False, repr=False)

    def problem(self, place: tuple[str, ...], text: Message) -> CatalogueProblem:
        """A problem of the thing of that kind and names, with its file and line when it came from a file."""
        file, line, path = self.places.get(place, ("", 0, " ".join((place[0], "/".join(place[1:])))))
        return CatalogueProblem(file, line, path, text)
