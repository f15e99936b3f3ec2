"""What the benchmarks measured: one line a figure, with its baseline of the same run and its budget. Judges nothing but that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`ratio` is to the baseline; `met` None: there is no budget."""

    what: str
    value: str
    baseline: str
    ratio: float | None
    budget: str
    met: bool | None

    def __str__(self) -> str:
        mark = {True: "ok    ", False: "MISSED", None: "      "}[self.met]
        ratio = "" if self.ratio is None else f", ratio {self.ratio:.2f}"
        baseline = f", baseline {self.baseline}" if self.baseline else ""
        budget = f", budget {self.budget}" if self.budget else ""
        return f"{mark} {self.what}: {self.value}{baseline}{ratio}{budget}"


FIGURES: list[Figure] = []


def figure(
    what: str, value: str, *, baseline: str = "", ratio: float | None = None, budget: str = "", met: bool | None = None
) -> None:
    FIGURES.append(Figure(what, value, baseline, ratio, budget, met))
