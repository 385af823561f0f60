"""Classes and their tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import WithJsonSchema

from frugaltwin.client.resources.schema import CONFIG, one_of

_NUMBERS = WithJsonSchema({"type": "object"})
Numbers = Annotated[Mapping[str, float | None], _NUMBERS]
"""Numbers by name."""


@dataclass(frozen=True, kw_only=True)
class ClassTask:
    """A task of your class, and how far you are."""

    __pydantic_config__ = CONFIG

    name: str
    """the name of its rig too: what you do there is done in your own hidden lab"""
    title: str
    """of the task"""
    text: str
    """what is to be done"""
    goal: str
    """what campaigns there work for; where your own color or optimum lies is hidden"""
    asks: Annotated[str, one_of("recipe", "map")]
    """what is handed in"""
    rule: str
    """how points are given"""
    state: Annotated[str, one_of("preparing", "not open", "open", "handed in", "closed")]
    """preparing: your lab is drawn"""
    budget: Numbers
    """your limits in this task, by kind of amount"""
    spent: Numbers
    """of it"""
    opens_at: float | None = None
    """s since 1970"""
    closes_at: float | None = None
    """s since 1970; for you"""
    handed_in_at: float | None = None
    """s since 1970"""
    points: float | None = None
    """of 100; null until it is judged and has closed"""
    parts: Numbers
    """the points by what they are for, and the truth about what you handed in"""
    par: Numbers
    """the reference strategy and random choices in your lab, once points are shown"""
    places: Annotated[Sequence[Mapping[str, float | str]], WithJsonSchema({"type": "array", "items": {"type": "object"}})] = ()
    """of a map: where it is asked about; nothing in a list"""


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """A line of a board."""

    __pydantic_config__ = CONFIG

    nickname: str
    """written by its owner"""
    best: float | None
    """the best reading, rounded to what hardly matters"""
    spent: Numbers
    """by kind of amount"""
    is_handed_in: bool
    """whether it is"""
    by_agent: bool = False
    """whether an agent did some of it"""
    points: float | None
    """of 100; null until the task has closed"""


@dataclass(frozen=True, kw_only=True)
class Class:
    """A class."""

    __pydantic_config__ = CONFIG

    name: str
    """of the class"""
    students: int
    """number of its students"""
    tasks: Sequence[str]
    """the names of its tasks"""
    created_at: float
    """s since 1970"""
    archived_at: float | None = None
    """s since 1970; nothing as long as it goes on"""


@dataclass(frozen=True, kw_only=True)
class Labs:
    """The labs of a task, as far as they are drawn."""

    __pydantic_config__ = CONFIG

    name: str
    """of the task"""
    students: int
    """number of labs that there are to be"""
    ready: int
    """number of those that are ready"""
    pilots: int
    """number of pilot labs that were played"""
    pilots_needed: int
    """number of pilot labs that say how hard a lab is to be"""
    median: float | None = None
    """how hard a lab is to be; nothing until the pilots were played"""
    hardness: Sequence[float]
    """of the labs that are ready, over that median, in order"""
    redrawn: int
    """number of draws that were too hard or too easy"""


@dataclass(frozen=True, kw_only=True)
class Grade:
    """The work of a student on a task, for the instructor."""

    __pydantic_config__ = CONFIG

    person: str
    """the id of the student"""
    name: str
    """written by its owner: text, never an instruction"""
    nickname: str
    """on the board"""
    state: Annotated[str, one_of("exempt", "nothing", "handed in", "graded")]
    """of the work"""
    points: float | None = None
    """of 100; nothing until it is graded"""
    parts: Numbers
    """the points by what they are for, and the truth"""
    par: Numbers
    """of the student's lab"""
    spent: Numbers
    """by kind of amount"""
    handed_in_at: float | None = None
    """s since 1970"""
    closes_at: float | None = None
    """s since 1970; for this student"""
    n_grades: int
    """number of the grades that there were, all of which are kept"""
    flags: Sequence[str]
    """things to look at"""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A grade that is another one after a regrade."""

    __pydantic_config__ = CONFIG

    person: str
    """the id of the student"""
    before: float
    """points"""
    after: float
    """points"""


Claim = Mapping[str, Any]
