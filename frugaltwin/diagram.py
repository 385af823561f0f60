"""True diagrams of twins: boundaries, tie lines, special points, a section."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A line in a diagram."""

    kind: Literal["boundary", "spinodal", "tie line", "gradual change"]
    """A gradual change is where a label changes and no phase does."""
    points: Floats
    """[n, k] in natural units, in the order of the diagram's axes."""
    name: str = ""
    """Text beside the line; empty for none."""


@dataclass(frozen=True)
class Mark:
    """A point with a name, such as a critical point."""

    name: str
    at: tuple[float, ...]
    """[k] in natural units, in the order of the diagram's axes."""


@dataclass(frozen=True)
class Curve:
    """A named curve of a section."""

    name: str
    x: Floats
    y: Floats
    is_tangent: bool = False
    """Whether it is a common tangent of the others: drawn thin, with a dot at either end."""


@dataclass(frozen=True)
class Section:
    """A second diagram beside the main one, for one value of a parameter: free energy against composition, say."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    cuts: tuple[str, float] | None = None
    """The parameter that is held and its value: a line in the main diagram."""


@dataclass(frozen=True)
class Diagram:
    """A true diagram. Its fields are drawn from the twin's truth; lines, marks and section are exact."""

    axes: tuple[str, ...]
    """The parameters that span it: two (x, then y), or three that are the parts of a mixture."""
    outcome: str
    """The outcome that is shown over it: labels as fields, a number as color."""
    shade: str | None = None
    """A second, numeric outcome that is shown as color under the boundaries of the fields."""
    lines: tuple[Line, ...] = ()
    marks: tuple[Mark, ...] = ()
    section: Section | None = None
    n_points: int = 121
    """Number of points along an axis at which the truth is computed: fewer where it takes long."""
