"""Requests to a service about tasks of a class; for an instructor also about classes, labs and grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from frugaltwin.client.protocol import Call, ServiceProtocol, Steps, amounts, given, part, understood
from frugaltwin.client.resources import BoardRow, Change, Class, ClassTask, Grade, Labs

T = TypeVar("T")
Limits = Mapping[str, float] | int
THINKS = 60.0
"""s that the service may take where a model is asked, or much is gathered."""


class TaskCalls(ServiceProtocol):
    """Requests about classes and tasks. The name of a task is that of its rig: `submit` and `start_campaign` work there in your own lab."""

    def tasks(self) -> Steps[list[ClassTask]]:
        """The tasks of your class, oldest first; an instructor sees all."""
        return (yield from self._items(ClassTask, Call("GET", "/v1/tasks")))

    def task(self, name: str) -> Steps[ClassTask]:
        """A task, and how far you are: what is left of its budget, and once they are shown your points and par.

        Raises:
            UnknownName: Your class has no such task.
        """
        return (yield from self._understood(ClassTask, Call("GET", f"/v1/tasks/{part(name)}")))

    def hand_in(
        self, name: str, *, campaign: str | None = None, settings: Mapping[str, float | str] | None = None,
        labels: Sequence[str] | None = None, expected: tuple[float, float] | None = None,
    ) -> Steps[ClassTask]:  # fmt: skip
        """Hand in, once: it ends your work on the task.

        Args:
            campaign: The id of a campaign of yours whose recommendation it is; or
            settings: a recipe; or
            labels: of a map, one for each place of `ClassTask.places`, in their order.
            expected: The true score of the recipe as you believe it: a mean and a standard deviation.

        Raises:
            InvalidInput: It does not fit the task.
            Refused: The task is not open, you have handed in, or experiments of yours go on.
            UnknownName: Your class has no such task.
        """
        said = None if expected is None else {"mean": expected[0], "sd": expected[1]}
        recipe, listed = None if settings is None else dict(settings), None if labels is None else list(labels)
        body = given(campaign=campaign, settings=recipe, labels=listed, expected=said)
        call = replace(Call.once(f"/v1/tasks/{part(name)}/hand-in", body), wait=THINKS)
        return (yield from self._understood(ClassTask, call))

    def board(self, name: str) -> Steps[list[BoardRow]]:
        """The board of a task, by nicknames.

        Raises:
            Refused: It has none.
            UnknownName: Your class has no such task.
        """
        return (yield from self._items(BoardRow, Call("GET", f"/v1/tasks/{part(name)}/board")))

    def call_me(self, nickname: str) -> Steps[None]:
        """Choose what boards call you.

        Raises:
            Refused: Somebody of your class has that nickname.
        """
        yield from self._ask(Call("PUT", "/v1/me/nickname", {"nickname": nickname}))

    def classes(self) -> Steps[list[Class]]:
        """All classes, oldest first. For instructors."""
        return (yield from self._items(Class, Call("GET", "/v1/classes")))

    def class_named(self, name: str) -> Steps[Class]:
        """A class. For instructors.

        Raises:
            UnknownName: There is no such class.
        """
        return (yield from self._understood(Class, Call("GET", f"/v1/classes/{part(name)}")))

    def make_class(self, name: str, like: str | None = None) -> Steps[Class]:
        """A new class; its people come in with a code that names it (`make_code`). For instructors.

        Args:
            like: An earlier class, whose tasks it gets, without their times and with other labs.

        Raises:
            Refused: There is one of that name.
            UnknownName: There is no such earlier class.
        """
        return (yield from self._understood(Class, Call.once("/v1/classes", given(name=name, like=like))))

    def enroll(self, class_name: str, person: str) -> Steps[None]:
        """Move a person into a class. For instructors.

        Raises:
            UnknownName: There is no such class or person.
        """
        yield from self._ask(Call("PUT", f"/v1/classes/{part(class_name)}/people/{part(person)}"))

    def approve_class(self, class_name: str, rig: str, is_approved: bool = True) -> Steps[None]:
        """Let all students of a class use a real rig, or no longer. For instructors.

        Raises:
            UnknownName: There is no such class or rig.
        """
        yield from self._ask(Call("PUT" if is_approved else "DELETE", f"/v1/classes/{part(class_name)}/approvals/{part(rig)}"))

    def grant_class(self, class_name: str, budget: Limits) -> Steps[Class]:
        """Add to the budget of each student of a class, of all or of none. Sent again, it is added once. For instructors.

        Args:
            budget: The amounts to add; a negative one is taken away, as far as it is left.

        Raises:
            Refused: One has not that much left, or no limit to add to.
            UnknownName: There is no such class.
        """
        return (yield from self._understood(Class, Call.once(f"/v1/classes/{part(class_name)}/grants", amounts(budget))))

    def remove_class(self, class_name: str) -> Steps[None]:
        """Remove all students of a class that has ended. There is no way back. For instructors.

        Raises:
            Refused: It goes on.
            UnknownName: There is no such class.
        """
        yield from self._ask(replace(Call("DELETE", f"/v1/classes/{part(class_name)}/people"), wait=THINKS))

    def add_task(self, class_name: str, task: Mapping[str, Any]) -> Steps[str]:
        """Give a class a task, and return its name; its labs are drawn from then on (`labs`). For instructors.

        Args:
            task: The words of its file, below ``[task]``.

        Raises:
            InvalidInput: A word is unknown or impossible, or nobody could judge it.
            Refused: The class has a task of that name.
            UnknownName: There is no such class.
        """
        call = replace(Call.once(f"/v1/classes/{part(class_name)}/tasks", {"task": dict(task)}), wait=THINKS)
        return str((yield from self._ask(call))["name"])

    def labs(self, name: str) -> Steps[Labs]:
        """The labs of a task: how many are ready, and how hard they are. For instructors.

        Raises:
            UnknownName: There is no such task.
        """
        return (yield from self._understood(Labs, Call("GET", f"/v1/tasks/{part(name)}/labs")))

    def grades(self, name: str) -> Steps[list[Grade]]:
        """The work of all students on a task, with points, truth and flags. For instructors.

        Raises:
            UnknownName: There is no such task.
        """
        return (yield from self._items(Grade, Call("GET", f"/v1/tasks/{part(name)}/grades")))

    def regrade(self, name: str, why: str = "", task: Mapping[str, Any] | None = None, keep: bool = False) -> Steps[list[Change]]:
        """Compute all grades of a task again, and return those that change. Old grades are kept. For instructors.

        Args:
            why: The reason; kept with the grades.
            task: The task with a mended rule.
            keep: Whether to do it; without, it is only said what would change.

        Raises:
            Refused: The labs would be others by the words of `task`.
            UnknownName: There is no such task.
        """
        body = given(task=None if task is None else dict(task), why=why, keep=keep)
        return (yield from self._items(Change, Call("POST", f"/v1/tasks/{part(name)}/regrade", body)))

    def set_terms(self, name: str, person: str, closes_at: float | None = None, exempt: bool | None = None) -> Steps[Grade]:
        """Give a student more time for a task, or exempt them. For instructors.

        Args:
            closes_at: The time at which it closes for them, s since 1970.

        Raises:
            UnknownName: There is no such task, or no such student in its class.
        """
        body = given(closes_at=closes_at, exempt=exempt)
        return (yield from self._understood(Grade, Call("PATCH", f"/v1/tasks/{part(name)}/people/{part(person)}", body)))

    def extend(self, name: str, closes_at: float) -> Steps[ClassTask]:
        """Let a task close at another time, for the whole class; who has a later time of their own keeps it. For instructors.

        Args:
            closes_at: s since 1970.

        Raises:
            InvalidInput: It would close before it opens.
            UnknownName: There is no such task.
        """
        return (yield from self._understood(ClassTask, Call("PATCH", f"/v1/tasks/{part(name)}", {"closes_at": closes_at})))

    def withdraw(self, name: str, person: str) -> Steps[None]:
        """Take a student's hand-in back, so that there may be another one; it is kept. For instructors.

        Raises:
            UnknownName: They have handed in nothing.
        """
        yield from self._ask(Call("DELETE", f"/v1/tasks/{part(name)}/hand-ins/{part(person)}"))

    def grade_table(self, class_name: str, path: Path | str) -> Steps[Path]:
        """Write the grades of a class as a CSV table, and return its path. For instructors.

        Raises:
            InvalidInput: It cannot be written.
            UnknownName: There is no such class.
        """
        yield from self._answered(Call("GET", f"/v1/classes/{part(class_name)}/grades", wait=THINKS, file=Path(path)), is_json=False)
        return Path(path)

    def my_page(self, path: Path | str) -> Steps[Path]:
        """Write a page (HTML) of your work on the tasks of your class, and return its path: your readings beside par, and what was judged.

        Raises:
            InvalidInput: It cannot be written.
            UnknownName: You are in no class.
        """
        yield from self._answered(Call("GET", "/v1/me/page", wait=THINKS, file=Path(path)), is_json=False)
        return Path(path)

    def class_pages(self, class_name: str, path: Path | str) -> Steps[Path]:
        """Write the pages of all students of a class as one ZIP file, and return its path. For instructors and assistants.

        Raises:
            InvalidInput: It cannot be written.
            UnknownName: There is no such class.
        """
        yield from self._answered(Call("GET", f"/v1/classes/{part(class_name)}/pages", wait=THINKS, file=Path(path)), is_json=False)
        return Path(path)

    def archive_class(self, class_name: str, path: Path | str) -> Steps[Path]:
        """Write all of a class as one ZIP file that is read without the service, and return its path. For instructors.

        Raises:
            InvalidInput: It cannot be written.
            UnknownName: There is no such class.
        """
        yield from self._answered(Call("GET", f"/v1/classes/{part(class_name)}/archive", wait=THINKS, file=Path(path)), is_json=False)
        return Path(path)

    def end_class(self, class_name: str) -> Steps[Class]:
        """End a class: nobody works on its tasks any more; what was done stays. For instructors.

        Raises:
            UnknownName: There is no such class.
        """
        return (yield from self._understood(Class, Call("POST", f"/v1/classes/{part(class_name)}/end")))

    def _items(self, kind: type[T], call: Call) -> Steps[list[T]]:
        body = yield from self._ask(call)
        return understood(list[kind], body.get("items") if isinstance(body, dict) else None, self.url)  # type: ignore[valid-type]
