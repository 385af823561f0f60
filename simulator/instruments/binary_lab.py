"""A phase lab for two components: composition and temperature in, the phases at equilibrium out, and the diagram that belongs to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from frugaltwin.data_sheets import SystemOptions, option
from frugaltwin.diagram import Curve, Diagram, Line, Mark, Section
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Continuous
from simulator.equations.binary_equilibrium import (
    Equilibrium,
    Floats,
    Phase,
    Solution,
    TieLines,
    binary_equilibrium,
    changes,
    critical_points,
    energy,
    invariants,
    located,
    spinodal_temperature,
    tie_lines,
)
from simulator.instruments.furnace import FurnaceOptions
from simulator.instruments.phase_lab import Instrument, LabOptions, PhaseLab, PhaseState

ONE = -1  # the second phase of a sample that has one only


@dataclass(frozen=True)
class Field:
    """A field of the diagram: its label, and what its phases are called in order of composition."""

    label: str
    phases: tuple[str, ...]


def furnace_limit(default: float) -> Any:
    """The option of the coldest or the hottest temperature of a furnace."""
    return option(default, "of the furnace", "K", allowed=(50, 5000), changes="experiment")


class BinaryLabOptions(SystemOptions, FurnaceOptions, LabOptions):
    """Options that every lab for two components has."""

    coldest: float = furnace_limit(300.0)
    hottest: float = furnace_limit(600.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.coldest >= self.hottest:
            raise InvalidInput(f"coldest = {self.coldest:g} K must lie below hottest = {self.hottest:g} K")


@lru_cache(maxsize=8192)
def _lines_at(phases: tuple[Phase, ...], temperature: float) -> TieLines:
    return tie_lines(phases, np.array([temperature]))


class BinaryLab(PhaseLab):
    """The twin of a lab for two components A and B. Satisfies `KnowsDiagram` as well."""

    constants: Mapping[str, float]
    """Constants of this system."""

    def __init__(
        self,
        name: str,
        phases: tuple[Phase, ...],
        fields: Mapping[tuple[int, int], Field],
        instrument: Instrument,
        options: BinaryLabOptions,
    ) -> None:
        """A lab for mixtures of these phases.

        Args:
            fields: For every pair of phases that can occur (or a phase and `ONE`), in order of composition.
        """
        self.constants, self.window = options.constants, (float(options.coldest), float(options.hottest))
        super().__init__(
            name,
            (
                Continuous("composition", 0, 1, "1", "mole fraction of B"),
                Continuous("temperature", *self.window, "K", "of the sample, held until it is at equilibrium"),
            ),
            tuple(dict.fromkeys(field.label for field in fields.values())),
            instrument,
            options,
        )
        self._phases, self._fields = phases, fields

    def states(self, X: Floats) -> list[PhaseState]:
        x, T = X[:, 0], X[:, 1]
        if len(X) == 1:
            found = located(self._phases, _lines_at(self._phases, float(T[0])), x, np.zeros(1, dtype=np.intp))
        else:
            found = binary_equilibrium(self._phases, x, T)
        found = self._as_fields(found, T)
        properties = self._properties(found, x, T)
        names = list(properties)
        rows: Iterable[tuple[float, ...]] = zip(*(p.tolist() for p in properties.values()), strict=True) if names else [()] * len(X)
        states = []
        columns = (found.phases.tolist(), found.fractions.tolist(), found.compositions.tolist(), rows)
        for (first, second), share, of, row in zip(*columns, strict=True):
            field = self._fields[first, second]
            shares, compositions = (dict(zip(field.phases, values, strict=False)) for values in (share, of))
            states.append(PhaseState(field.label, shares, dict(zip(names, row, strict=True)), compositions))
        return states

    def _as_fields(self, found: Equilibrium, T: Floats) -> Equilibrium:
        """The same with the keys of the fields for phases: a twin overrides it where a phase has two names, or a field an edge."""
        return found

    def _properties(self, found: Equilibrium, x: Floats, T: Floats) -> Mapping[str, Floats]:
        """Properties that the instrument reads besides the fractions, [n] each."""
        return {}

    def _special_points(self) -> Sequence[Mark]:
        """Points with a name that the equilibrium does not know of by itself, such as melting points."""
        return ()

    def _section_temperature(self) -> float:
        """Temperature of the section when none is given."""
        return sum(self.window) / 2

    def _name_of_boundary(self, phase: Phase, other: Phase) -> str:
        """Name of the boundary of a phase towards the field that it shares with another one."""
        is_liquid = [p.name == "liquid" for p in (phase, other)]
        if all(is_liquid):
            return "binodal"
        return "liquidus" if is_liquid[0] else "solidus" if is_liquid[1] else "solvus"

    def diagram(self, at: float | None = None) -> Diagram:
        """Boundaries, tie lines, spinodal and marks, and the curves of the Gibbs energy at the temperature `at`.

        Raises:
            InvalidInput: The furnace does not go there.
        """
        low, high = self.window
        cut = min(max(self._section_temperature(), low), high) if at is None else at
        if not low <= cut <= high:
            raise InvalidInput(f"a section at {cut:g} K is outside the furnace's [{low:g}, {high:g}] K")
        lines, marks = self._lines_and_marks()
        return Diagram(("composition", "temperature"), "phase", None, lines, marks, self._section(cut))

    def _lines_and_marks(self) -> tuple[tuple[Line, ...], tuple[Mark, ...]]:
        low, high = self.window
        found = changes(self._phases, low, high)
        # Boundaries end like a square root at a critical point: temperatures crowd towards every change.
        near = 0.02 * (high - low) * np.linspace(0, 1, 16) ** 3
        crowd = [T for below, above in found for T in (*(below - near), *(above + near))]
        T = np.unique([*np.linspace(low, high, 161), *(t for t in crowd if low <= t <= high)])
        ties = tie_lines(self._phases, T)
        signs = [ties.signature(k) for k in range(len(T))]
        starts = [0, *(k for k in range(1, len(T)) if signs[k] != signs[k - 1]), len(T)]
        boundaries, connections = [], []
        shown = np.linspace(low, high, 9)[1:-1]
        for start, stop in pairwise(starts):
            for k, (left, right) in enumerate(signs[start]):
                number = ties.first[start:stop] + k
                ends = ties.compositions[number]
                for side, (phase, other) in enumerate(((left, right), (right, left))):
                    if isinstance(self._phases[phase], Solution):
                        name = self._name_of_boundary(self._phases[phase], self._phases[other])
                        boundaries.append(Line("boundary", np.column_stack([ends[:, side], T[start:stop]]), name))
                for t in shown[(shown > T[start]) & (shown < T[stop - 1])]:
                    tie = [float(np.interp(t, T[start:stop], ends[:, side])) for side in (0, 1)]
                    connections.append(Line("tie line", np.column_stack([tie, [t, t]])))
        marks = [mark for mark in self._special_points() if low <= mark.at[1] <= high]
        for invariant in invariants(self._phases, low, high):
            x = np.array(invariant.compositions)
            boundaries.append(Line("boundary", np.column_stack([x[[0, 2]], np.full(2, invariant.temperature)])))
            marks.append(Mark(f"{invariant.kind} point", (float(x[1]), invariant.temperature)))
        for solution in self._phases:
            if isinstance(solution, Solution):
                points = [(top, t) for top, t in critical_points(solution) if low <= t <= high and self._is_single(top, t)]
                marks += [Mark("critical point", point) for point in points]
        return (*_named_once(boundaries), *connections, *self._spinodals()), tuple(marks)

    def _is_single(self, x: float, T: float) -> bool:
        """Whether a critical point is visible, and not covered by a field of two phases."""
        return bool(binary_equilibrium(self._phases, [x], T * (1 + 1e-7)).phases[0, 1] == ONE)

    def _spinodals(self) -> list[Line]:
        low, high = self.window
        x = np.linspace(0.0005, 0.9995, 800)
        lines = []
        for phase in self._phases:
            if isinstance(phase, Solution):
                T = spinodal_temperature(phase, x)
                inside = (low <= T) & (high >= T)
                edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
                lines += [
                    Line("spinodal", np.column_stack([x[a:b], T[a:b]]), "spinodal")
                    for a, b in zip(edges[::2], edges[1::2], strict=True)
                    if b - a > 1
                ]
        return _named_once(lines)

    def _section(self, T: float) -> Section:
        x = np.linspace(0, 1, 201)
        # A compound has no curve: the tangents end at its point.
        curves = [Curve(phase.name, x, energy(phase, x, T)) for phase in self._phases if isinstance(phase, Solution)]
        ties = tie_lines(self._phases, np.array([T]))
        for (left, right), ends in zip(ties.phases, ties.compositions, strict=True):
            heights = [float(energy(self._phases[p], end, T)) for p, end in ((left, ends[0]), (right, ends[1]))]
            curves.append(Curve("common tangent", ends.copy(), np.array(heights), is_tangent=True))
        title = f"Gibbs energy at {T:.4g} K"
        return Section(title, "composition (mole fraction of B)", "Gibbs energy, J/mol", tuple(curves), ("temperature", T))


def _named_once(lines: Sequence[Line]) -> list[Line]:
    """The same lines; of those with one name only the longest keeps it."""
    longest: dict[str, int] = {}
    for k, line in enumerate(lines):
        best = longest.setdefault(line.name, k)
        if np.ptp(line.points[:, 0]) > np.ptp(lines[best].points[:, 0]):
            longest[line.name] = k
    return [line if longest[line.name] == k else Line(line.kind, line.points) for k, line in enumerate(lines)]


def refuse_gaps(phases: Sequence[Solution], coldest: float) -> None:
    """Refuse solutions that demix where the furnace can go.

    Raises:
        InvalidInput: One does; the message says which and from where.
    """
    for phase in phases:
        tops = [T for _, T in critical_points(phase)]
        if tops and max(tops) > coldest:
            raise InvalidInput(
                f"the {phase.name} demixes below {max(tops):.4g} K, and the furnace goes down to {coldest:g} K: lower its interaction"
            )
