"""Requests to a service about rigs, experiments and campaigns; those about people and budgets are in `class_calls`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from frugaltwin.client.class_calls import ClassCalls
from frugaltwin.client.protocol import Call, Pause, Steps, amounts, given, part, understood
from frugaltwin.client.resources import CampaignStatus, CampaignTrial, Joined, LogEntry, Quote, Recommendation, Rig, Submission
from frugaltwin.client.token_file import check_none_is_kept, checked_token, keep_token
from frugaltwin.errors import InvalidInput, UnknownName
from frugaltwin.experiment import Settings

T = TypeVar("T")

FORMS = ("csv", "json", "parquet", "svg")
LONGEST_WAIT = 20
"""The longest wait of one request for an experiment, s."""
_SHORT = {"Prefer": "grids=steps"}
MODEL_WAIT = 90.0
"""The time that the service may need for a model or a picture, s."""


class LabCalls(ClassCalls):
    """All requests to a service."""

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, wait: float = 0.0) -> Steps[Any]:
        """Send any request, for those without a method of their own; return the JSON of the answer. ``/docs`` of the service lists all.

        Args:
            path: The path, such as ``/v1/rigs``.
            wait: Time to wait for the result, s, where the request allows it.
        """
        return (yield from self._ask(Call(method, path, body, headers=_patient(wait), wait=wait)))

    def join(self, code: str, name: str, keep: bool = False) -> Steps[Joined]:
        """Join a class; from then on this client uses your token.

        Args:
            code: The join code that your instructor shows.
            name: Your name, for the instructor.
            keep: Write the token into ``~/.config/frugaltwin/token``, readable by you alone.

        Raises:
            Refused: The code is unknown, used up or expired, or somebody has joined with it under this name.
            InvalidInput: A token is kept already: joined again, you would be somebody else.
        """
        if keep:
            check_none_is_kept()
        joined = yield from self._understood(Joined, Call.once("/v1/join", {"code": code, "name": name}))
        self._token = checked_token(joined.token, "the token that came")
        if keep:
            keep_token(joined.token)
        return joined

    def rigs(self) -> Steps[list[Rig]]:
        """All rigs."""
        page = yield from self._ask(Call("GET", "/v1/rigs", headers=_SHORT))
        return understood(list[Rig], page.get("items") if isinstance(page, dict) else None, self.url)

    def rig(self, name: str) -> Steps[Rig]:
        """A rig: its experiment and its state.

        Raises:
            UnknownName: There is no such rig.
        """
        return (yield from self._understood(Rig, Call("GET", f"/v1/rigs/{part(name)}", headers=_SHORT)))

    def steer(self, name: str, action: str) -> Steps[Rig]:
        """``stop`` a rig (what runs is aborted), ``pause`` it (what runs is finished), or ``open`` it again. For instructors.

        A student may stop a real rig while an experiment of their own runs on it.

        Raises:
            InvalidInput: There is no such action.
            Refused: The token does not allow it.
            UnknownName: There is no such rig.
        """
        if action not in ("stop", "pause", "open"):
            raise InvalidInput(f"a rig cannot be told to {action}; say stop, pause or open")
        # Done twice it is done, so the key only says that it may be sent again.
        return (yield from self._understood(Rig, Call.once(f"/v1/rigs/{part(name)}/{action}")))

    def approve(self, name: str, person: str, is_approved: bool = True) -> Steps[None]:
        """Allow or forbid a person (``u_…``) to use a real rig. For instructors.

        Raises:
            Refused: The token does not allow it.
            UnknownName: There is no such rig, or no such person.
        """
        yield from self._ask(Call("PUT" if is_approved else "DELETE", f"/v1/rigs/{part(name)}/approvals/{part(person)}"))

    def approvals(self, name: str) -> Steps[list[str]]:
        """The ids of the people who may use a real rig. For instructors.

        Raises:
            Refused: The token does not allow it.
            UnknownName: There is no such rig.
        """
        return (yield from self._page(str, f"/v1/rigs/{part(name)}/approvals"))[0]

    def submit(
        self, rig: str, settings: Settings, wait: float = 0.0, key: str | None = None, campaign: str | None = None, trial: int | None = None
    ) -> Steps[Submission]:
        """Submit settings to a rig. Sent again after a failure, they are performed once.

        Args:
            wait: Time to wait for its end, s; it may come back unfinished.
            key: Idempotency key: requests with the same key are performed once. A new one by default.
            campaign: The id of the campaign (of mode ``client``) that it is a trial of.
            trial: Its number in that campaign.

        Raises:
            InvalidInput: The rig does not allow these settings, or the key was used for others.
            Refused: The token or the budget does not allow it, or the rig was stopped.
            UnknownName: There is no such rig.
        """
        body = given(rig=rig, settings=dict(settings), campaign=campaign, trial=trial)
        submitted = yield from self._understood(Submission, Call.once("/v1/experiments", body, key))
        return (yield from self.wait(submitted.id, wait)) if wait > 0 else submitted

    def price(self, rig: str, settings: Settings) -> Steps[Quote]:
        """The price of settings and whether they would be accepted. Nothing is spent and nothing moves.

        Raises:
            InvalidInput: The rig does not allow these settings.
            UnknownName: There is no such rig.
        """
        # A dry run changes nothing, so the key only says that it may be sent again.
        body = {"rig": rig, "settings": dict(settings), "dry_run": True}
        return (yield from self._understood(Quote, Call.once("/v1/experiments", body)))

    def experiment(self, identity: str) -> Steps[Submission]:
        """An experiment of yours as it is now.

        Raises:
            UnknownName: You have no such experiment.
        """
        return (yield from self._experiment(identity, 0.0))

    def wait(self, identity: str, seconds: float = 600.0) -> Steps[Submission]:
        """Wait for the end of an experiment of yours; return it as it is then or when the time is over.

        Raises:
            UnknownName: You have no such experiment.
        """
        return (yield from self._waited(lambda wait: self._experiment(identity, wait), lambda found: found.is_done, seconds))

    def _waited(self, asked: Callable[[float], Steps[T]], is_over: Callable[[T], bool], seconds: float) -> Steps[T]:
        """The answer of a request that waits for some seconds, as soon as it is over or when the time is."""
        end = time.monotonic() + seconds
        while True:
            begun = time.monotonic()
            found = yield from asked(max(0.0, min(end - begun, LONGEST_WAIT)))
            if is_over(found) or (left := end - time.monotonic()) <= 0:
                return found
            if time.monotonic() - begun < 0.5:  # it did not wait: it is shutting down, or a proxy answered
                yield Pause(min(0.5, left))

    def page(
        self, cursor: str | None = None, campaign: str | None = None, state: str | None = None
    ) -> Steps[tuple[list[Submission], str | None]]:
        """A page of your experiments, newest first, and the cursor of the next page; None at the end."""
        return (yield from self._page(Submission, "/v1/experiments", cursor=cursor, campaign=campaign, state=state))

    def abort(self, identity: str) -> Steps[Submission]:
        """Abort an experiment; if it is running, its rig is stopped.

        Raises:
            Refused: It has ended.
            UnknownName: You have no such experiment.
        """
        return (yield from self._understood(Submission, Call("POST", f"/v1/experiments/{part(identity)}/abort")))

    def start_campaign(
        self,
        name: str,
        rig: str,
        goal: str | Sequence[str] | None = None,
        strategy: str | Mapping[str, Any] | None = None,
        seed: int | None = None,
        budget: Mapping[str, float] | int | None = None,
        stop: float | str | None = None,
        approve: bool | None = None,
        mode: str = "server",
        key: str | None = None,
        require: Sequence[str] = (),
        earlier: Mapping[str, str] | None = None,
    ) -> Steps[CampaignStatus]:
        """Start a campaign that the service runs, also while you are away; a campaign of that name goes on.

        Args:
            goal: The goal, such as ``match-color:coral``, or several objectives; the rig's default goal without it.
            strategy: A name of the catalog, or ``{"name": …, "options": …}``; the goal's default strategy without it.
            budget: Runs, or any of runs, seconds, money (USD) and volume (mL); 10 runs without it.
            stop: Score at which the campaign ends: a reading is this good or better; or ``map 95%``: so much of a map is expected to be
                right.
            approve: Whether every suggestion waits for your approval.
            mode: ``server``, or ``client`` for one whose trials you submit.
            require: Bounds that a good trial keeps, such as ``t_415 <= 0.6``.
            earlier: Campaigns of yours to learn from, by name: ``same``, ``sister`` or ``twin``, as each one's lab is to this one.

        Raises:
            InvalidInput: A value is impossible.
            Refused: The token does not allow it, or a campaign of that name was started differently.
            UnknownName: There is no such rig, or no such earlier campaign of yours.
        """
        chosen = {"name": strategy} if isinstance(strategy, str) else strategy
        words = goal if goal is None or isinstance(goal, str) else list(goal)
        body = given(goal=words, require=list(require) or None, strategy=chosen, seed=seed, approve=approve)
        body |= given(budget=amounts(budget), stop=_stop(stop))
        body |= given(earlier=None if earlier is None else dict(earlier))
        body |= {"name": name, "rig": rig, "mode": mode}
        return (yield from self._understood(CampaignStatus, Call.once("/v1/campaigns", body, key)))

    def campaign(self, identity: str) -> Steps[CampaignStatus]:
        """A campaign of yours as it is now.

        Raises:
            UnknownName: You have no such campaign.
        """
        return (yield from self._understood(CampaignStatus, Call("GET", f"/v1/campaigns/{part(identity)}")))

    def wait_campaign(self, identity: str, seconds: float = 600.0) -> Steps[CampaignStatus]:
        """Wait until a campaign of yours is no longer running; return it as it is then or when the time is over.

        Raises:
            UnknownName: You have no such campaign.
        """
        path = f"/v1/campaigns/{part(identity)}"
        return (yield from self._waited(lambda wait: self._understood(CampaignStatus, _waiting(path, wait)), _runs_no_more, seconds))

    def trial(self, identity: str, number: int, wait: float = 0.0) -> Steps[CampaignTrial]:
        """A trial of a campaign of yours, with its score.

        Args:
            wait: Time to wait for its end, s, also for one that has not begun yet; it may come back unfinished.

        Raises:
            UnknownName: You have no such campaign, or it has no such trial when the time is over.
        """
        call = f"/v1/campaigns/{part(identity)}/trials/{number}"
        if wait <= 0:
            return (yield from self._understood(CampaignTrial, _waiting(call, 0.0)))
        yield from self.campaign(identity)  # one that there is not is not waited for

        def asked(seconds: float) -> Steps[CampaignTrial | None]:
            try:
                return (yield from self._understood(CampaignTrial, _waiting(call, seconds)))
            except UnknownName:  # not yet
                return None

        found = yield from self._waited(asked, lambda one: one is not None and one.experiment.is_done, wait)
        return found or (yield from self._understood(CampaignTrial, _waiting(call, 0.0)))

    def campaigns(self, state: str | None = None) -> Steps[list[CampaignStatus]]:
        """All your campaigns, newest first; an instructor gets everybody's. `campaign` gives the best trial and the costs too.

        Args:
            state: Only those that are ``running``, ``waiting``, ``paused`` or ``ended``.
        """
        return (yield from self._all(CampaignStatus, "/v1/campaigns", state=state))

    def act(self, identity: str, action: str, budget: Mapping[str, float] | int | None = None) -> Steps[CampaignStatus]:
        """Change a campaign of yours: ``pause``, ``resume``, ``stop``, or ``extend`` it by a budget.

        Raises:
            Refused: Its state does not allow it.
            UnknownName: You have no such campaign.
        """
        body = given(action=action, budget=amounts(budget))
        return (yield from self._understood(CampaignStatus, Call.once(f"/v1/campaigns/{part(identity)}/actions", body)))

    def trials(self, identity: str) -> Steps[list[CampaignTrial]]:
        """All trials of a campaign of yours, in the order of their numbers; the last may be under way.

        Raises:
            UnknownName: You have no such campaign.
        """
        return (yield from self._all(CampaignTrial, f"/v1/campaigns/{part(identity)}/trials"))

    def judge(
        self, identity: str, trial: int, decision: str, settings: Settings | None = None, why: str | None = None
    ) -> Steps[CampaignStatus]:
        """Decide on the suggestion that waits for you: ``approve``, ``reject``, or ``edit`` it.

        Args:
            trial: Number of its trial, from the campaign's `proposal`: a decision sent twice is not taken for the next suggestion.
            settings: The settings to try in its place, for ``edit``.
            why: The reason, for ``reject``; it is kept.

        Raises:
            InvalidInput: The rig does not allow these settings, or they do not belong to this decision.
            Refused: No such suggestion waits, or the campaign cannot pay for it.
            UnknownName: You have no such campaign.
        """
        body = given(trial=trial, decision=decision, settings=None if settings is None else dict(settings), why=why)
        return (yield from self._understood(CampaignStatus, Call("POST", f"/v1/campaigns/{part(identity)}/proposal", body)))

    def retract(self, identity: str, number: int, why: str) -> Steps[LogEntry]:
        """Say that the reading of a campaign's trial does not count, and why. What was measured is kept; this is final.

        Raises:
            InvalidInput: There is no such trial, it was retracted before, or there is no reason.
            UnknownName: You have no such campaign.
        """
        return (yield from self._say(identity, kind="retraction", number=number, why=why))

    def amend(self, identity: str, number: int, outcomes: Settings, why: str) -> Steps[LogEntry]:
        """Say what outcomes of a campaign's trial should have been, and why. What was measured is kept; the last amendment counts.

        Args:
            outcomes: Those that were wrong; the others stay.

        Raises:
            InvalidInput: There is no such trial, it was retracted, the outcomes are impossible, or there is no reason.
            UnknownName: You have no such campaign.
        """
        return (yield from self._say(identity, kind="amendment", number=number, outcomes=dict(outcomes), why=why))

    def prefer(self, identity: str, better: int, worse: int, why: str = "") -> Steps[LogEntry]:
        """Prefer one of two trials to the other. The preference is kept with the campaign.

        Raises:
            InvalidInput: One of them has no reading.
            UnknownName: You have no such campaign.
        """
        return (yield from self._say(identity, kind="preference", better=better, worse=worse, why=why))

    def reject(self, identity: str, settings: Settings, why: str = "") -> Steps[LogEntry]:
        """Turn settings down: they are not suggested again before the next trial.

        Raises:
            InvalidInput: The rig does not allow these settings.
            UnknownName: You have no such campaign.
        """
        return (yield from self._say(identity, kind="rejection", settings=dict(settings), why=why))

    def entries(self, identity: str, kind: str | None = None) -> Steps[list[LogEntry]]:
        """The log of a campaign beside its trials: what was proposed and what people said, oldest first.

        Args:
            kind: Only ``preference``, ``rejection``, ``proposal``, ``approval``, ``retraction`` or ``amendment``.

        Raises:
            UnknownName: You have no such campaign.
        """
        return (yield from self._all(LogEntry, f"/v1/campaigns/{part(identity)}/entries", kind=kind))

    def recommendation(self, identity: str) -> Steps[Recommendation]:
        """The settings that a campaign recommends, by its trials so far.

        Raises:
            UnknownName: You have no such campaign.
        """
        call = Call("GET", f"/v1/campaigns/{part(identity)}/recommendation", wait=MODEL_WAIT)
        return (yield from self._understood(Recommendation, call))

    def export(self, identity: str, path: Path | str) -> Steps[Path]:
        """Write all trials of a campaign with their provenance into a file, or its picture; return its path.

        Args:
            path: The file; its ending is the format: ``.csv``, ``.json``, ``.parquet`` or ``.svg``. A file of that name is replaced.

        Raises:
            InvalidInput: It has another ending, or it cannot be written.
            MissingPart: The service's machine cannot write this format.
            UnknownName: You have no such campaign.
        """
        file = Path(path)
        form = file.suffix.removeprefix(".").lower()
        if form not in FORMS:
            raise InvalidInput(f"{file} says no format that a campaign can be written in; let it end in .{', .'.join(FORMS)}")
        call = Call("GET", f"/v1/campaigns/{part(identity)}/export", query={"format": form}, wait=MODEL_WAIT, file=file)
        yield from self._answered(call, is_json=False)
        return file

    def export_experiments(self, path: Path | str) -> Steps[Path]:
        """Write all your experiments as one CSV table, an instructor everybody's, and return its path. It is written while it is sent.

        Args:
            path: The file. One of that name is replaced when all is there.

        Raises:
            InvalidInput: It cannot be written.
        """
        file = Path(path)
        yield from self._answered(Call("GET", "/v1/experiments/export", wait=MODEL_WAIT, file=file), is_json=False)
        return file

    def _say(self, identity: str, **words: Any) -> Steps[LogEntry]:
        return (yield from self._understood(LogEntry, Call.once(f"/v1/campaigns/{part(identity)}/entries", words)))

    def _experiment(self, identity: str, wait: float) -> Steps[Submission]:
        return (yield from self._understood(Submission, _waiting(f"/v1/experiments/{part(identity)}", wait)))


def _waiting(path: str, wait: float) -> Call:
    return Call("GET", path, headers=_patient(wait), wait=wait)


def _runs_no_more(campaign: CampaignStatus) -> bool:
    return campaign.state != "running"


def _patient(wait: float) -> dict[str, str]:
    return {"Prefer": f"wait={int(wait) or 1}"} if wait > 0 else {}


def _stop(rule: float | str | None) -> dict[str, float] | None:
    """The words of a stop rule."""
    if not isinstance(rule, str):
        return None if rule is None else {"score": rule}
    from frugaltwin.budget import MapRule

    if (found := MapRule.parse(rule)) is None:
        raise InvalidInput(f"stop = {rule!r}: it is a score, such as 0.5, or the share of a map to be right, such as map 95%", field="stop")
    return {"map": found.right}
