"""Requests to a service about people: yourself and your budget; for an instructor the class, its codes and its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from frugaltwin.client.protocol import Call, Steps, amounts, given, part
from frugaltwin.client.resources import Account, Code, Entry, Joined, Me, Named, Person, Token
from frugaltwin.client.task_calls import Limits, TaskCalls

"""Runs, or any of runs, rig_runs (those on real rigs; without it they are runs), seconds (lab time), money (USD) and volume (mL)."""


class ClassCalls(TaskCalls):
    """Requests about people. One that makes a token or a code is sent once only: its text is shown once, in the answer."""

    def me(self) -> Steps[Me]:
        """Your name, role and rights at the service, and what is left of your budget."""
        return (yield from self._understood(Me, Call("GET", "/v1/me")))

    def ledger(self, person: str | None = None) -> Steps[list[Entry]]:
        """Every line of your budget's ledger, newest first; an instructor may ask for another person's (``u_…``).

        Raises:
            Refused: The token does not allow it.
            UnknownName: There is no such person.
        """
        return (yield from self._all(Entry, "/v1/me/ledger" if person is None else f"/v1/people/{part(person)}/ledger"))

    def tokens(self, person: str | None = None) -> Steps[list[Token]]:
        """Your tokens without their text, newest first; an instructor may ask for another person's."""
        return (yield from self._all(Token, "/v1/tokens", person=person))

    def make_token(
        self, scopes: Sequence[str], note: str = "", expires_in: float | None = None, person: str | None = None, rigs: Sequence[str] = (),
        *, agent: bool = False, runs: float | None = None,
    ) -> Steps[Token]:  # fmt: skip
        """A new token for one purpose; its text is in `token`, this once.

        Args:
            scopes: Any of the rights ``read``, ``run:sim``, ``run:rig``; of an instructor ``admin`` and ``work`` too.
            note: Your note of its purpose.
            expires_in: Lifetime, s; a year by default.
            person: Its owner; you by default. An instructor can make one for somebody who lost theirs.
            rigs: With the right ``work``, the rigs that it may drive.
            agent: Whether it is for an agent: boards say so, and a real rig waits for a person.
            runs: The experiments of that agent at most, out of your budget.

        Raises:
            InvalidInput: There is no such scope, it may drive rigs and names none, or it would outlive the token that makes it.
            Refused: Your own token has fewer rights.
            UnknownName: There is no such person.
        """
        body = given(scopes=list(scopes), note=note, expires_in=expires_in, person=person, rigs=list(rigs) or None, runs=runs)
        body |= {"agent": True} if agent else {}
        return (yield from self._understood(Token, Call("POST", "/v1/tokens", body)))

    def revoke_tokens(self, person: str) -> Steps[None]:
        """Revoke all tokens of a person at once; for an instructor.

        Raises:
            Refused: You are no instructor.
            UnknownName: There is no such person.
        """
        yield from self._ask(Call("DELETE", "/v1/tokens", query={"person": person}))

    def revoke_token(self, identity: str) -> Steps[None]:
        """Revoke a token (``t_…``), and those that were made with it: they open nothing from now on.

        Raises:
            Refused: It has more rights than your own.
            UnknownName: You have no such token.
        """
        yield from self._ask(Call("DELETE", f"/v1/tokens/{part(identity)}"))

    def people(self, role: str | None = None, class_name: str | None = None) -> Steps[list[Person]]:
        """The people of the service and their budgets, newest first. For instructors.

        Args:
            role: Only people of this role: ``student``, ``instructor``, ``observer``.
            class_name: Only people of this class.

        Raises:
            UnknownName: There is no such class.
        """
        return (yield from self._all(Person, "/v1/people", role=role, classroom=class_name))

    def names(self) -> Steps[list[Named]]:
        """The names of the people of the class, by their ids. For instructors, and for observers where the class shows names.

        Raises:
            Refused: You are neither.
        """
        return (yield from self._all(Named, "/v1/names"))

    def person(self, identity: str) -> Steps[Person]:
        """A person of the class and what is left of their budget. For instructors.

        Raises:
            UnknownName: There is no such person.
        """
        return (yield from self._understood(Person, Call("GET", f"/v1/people/{part(identity)}")))

    def add_person(
        self, name: str, role: str = "student", budget: Limits | None = None, class_name: str | None = None
    ) -> Steps[Joined]:  # fmt: skip
        """Add a person without a code; their token is shown this once. For instructors.

        Args:
            role: ``student``, ``instructor``, ``observer``, who only reads, or ``assistant``, who only reads about one class.
            budget: Their budget; a kind that is not named has no limit.
            class_name: Their class.
        """
        body = given(name=name, role=role, budget=amounts(budget), classroom=class_name)
        return (yield from self._understood(Joined, Call("POST", "/v1/people", body)))

    def grant(self, person: str, budget: Limits) -> Steps[Account]:
        """Add to a person's budget; return their account. For instructors. Sent again after a failure, it is added once.

        Args:
            budget: The amounts to add; a negative one is taken away, as far as it is left.

        Raises:
            Refused: There is not that much left, or there is no limit to add to.
            UnknownName: There is no such person.
        """
        return (yield from self._understood(Account, Call.once(f"/v1/people/{part(person)}/grants", amounts(budget))))

    def set_left(self, person: str, budget: Mapping[str, float | None]) -> Steps[Account]:
        """Set what is left of a person's budget; return their account. For instructors.

        Args:
            budget: The amounts left; a kind that is not named stays as it is; None is no limit.

        Raises:
            UnknownName: There is no such person.
        """
        return (yield from self._understood(Account, Call("PATCH", f"/v1/people/{part(person)}/budget", budget)))

    def remove_person(self, identity: str) -> Steps[None]:
        """Remove a person: their experiments end, their tokens open nothing, their name is deleted; measurements stay. For instructors.

        Raises:
            Refused: The person is you.
            UnknownName: There is no such person.
        """
        yield from self._ask(Call("DELETE", f"/v1/people/{part(identity)}"))

    def codes(self) -> Steps[list[Code]]:
        """The join codes without their text, newest first. For instructors."""
        return (yield from self._all(Code, "/v1/codes"))

    def make_code(
        self, uses: int, budget: Limits | None = None, note: str = "", expires_in: float | None = None,
        scopes: Sequence[str] | None = None, class_name: str | None = None,
    ) -> Steps[Code]:  # fmt: skip
        """A new join code; its text is in `code`, this once. For instructors.

        Args:
            uses: Number of people who may join with it.
            budget: Budget of each of them; a kind that is not named has no limit.
            expires_in: Lifetime, s; without end by default.
            scopes: Rights of their tokens: ``read`` and ``run:sim`` for twins only; ``run:rig`` too by default.
            class_name: The class that it lets in to; none by default.
        """
        body = given(uses=uses, budget=amounts(budget), note=note, expires_in=expires_in, scopes=list(scopes) if scopes else None)
        body |= given(classroom=class_name)
        return (yield from self._understood(Code, Call("POST", "/v1/codes", body)))

    def revoke_code(self, identity: str) -> Steps[None]:
        """Revoke a join code (``j_…``): nobody can join with it any more. For instructors.

        Raises:
            UnknownName: There is no such code.
        """
        yield from self._ask(Call("DELETE", f"/v1/codes/{part(identity)}"))
