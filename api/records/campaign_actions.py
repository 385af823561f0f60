"""Actions of people on campaigns: start one or let it go on, pause, resume, stop, extend, judge a proposal; and submit its next trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from api.errors import Conflict, Forbidden, NotFound
from api.records import campaign_log, campaigns, fair_queue, people, rigs, standings, tasks, tokens, twins
from api.records.campaign_trials import check_size, earlier_of, lately
from api.records.campaigns import CLIENT, ENDED, PAUSED, RUNNING, WAITING
from api.records.fair_queue import Order
from api.records.people import Caller
from api.records.rigs import Rig, Rigs
from api.records.rows import CampaignRow, EntryRow, RigRow
from api.records.standings import experiment_of
from frugaltwin.budget import Budget
from frugaltwin.errors import CampaignError, InvalidInput, in_words
from frugaltwin.experiment import Settings
from frugaltwin.log import Approval, Rejection
from frugaltwin.spec import BudgetSpec
from frugaltwin.state import Earlier

Limits = Mapping[str, Any]
"""A budget by kind of amount; None is no limit."""


@dataclass(frozen=True)
class Request:
    """A campaign that somebody wants to start, or to go on."""

    name: str
    rig: str
    mode: str
    goal: str | None = None
    strategy: Mapping[str, Any] | None = None
    seed: int | None = None
    budget: Limits | None = None
    stop: Mapping[str, Any] | None = None
    has_stop: bool = False
    """Whether `stop` is said: None then means no stop rule, and without it the stop rule stays as it is."""
    approve: bool | None = None
    earlier: Mapping[str, str] | None = None
    """The relation of each earlier campaign, by the campaign's name."""


@dataclass(frozen=True)
class Checked:
    """A request that may be granted, as far as can be told before its goal and strategy are understood."""

    rig: Rig
    rig_row: RigRow
    before: CampaignRow | None
    """The campaign of that name, if there is one."""
    goal: str | None
    strategy: Mapping[str, Any] | None
    seed: int
    earlier_words: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """The earlier campaigns by name: id, relation, and number of the last trial that counts."""
    earlier: tuple[Earlier, ...] = ()
    """The same, with their trials."""
    shown: str | None = None
    """Of a task: the goal in the words of all its students, in place of that of the student's lab, which nobody is shown."""

    @property
    def experiment_json(self) -> str:
        """The experiment that the goal is about: the one of the campaign that goes on, or of the rig."""
        return self.before.experiment_json if self.before else self.rig_row.experiment_json


def check(connection: Connection, known: Rigs, caller: Caller, request: Request, most: int) -> Checked:
    """Check a request to start a campaign, with what it leaves out.

    Args:
        most: Trials at most to learn from.

    Raises:
        NotFound, Forbidden, Conflict: The rig is not for this caller now.
        Conflict: There is too much to learn from.
        InvalidInput: The words do not go together, or an earlier campaign says nothing about this one.
        CampaignError: The campaign of that name has another rig or mode, or other earlier campaigns.
    """
    if request.approve and request.mode == CLIENT:
        raise InvalidInput("only what the server suggests can wait for a person; leave approve out, or take the mode server")
    rig, row = rigs.usable(connection, known, request.rig, caller)
    if row.is_real and not request.approve:
        caller.check_person(f"a campaign on the real rig {row.name} without approve")
    before = campaigns.named(connection, caller.person, request.name)
    if before is not None and before.rig != request.rig:
        raise CampaignError(_contradiction(request.name, "rig", before.rig, request.rig))
    if before is not None and before.mode != request.mode:
        raise CampaignError(_contradiction(request.name, "mode", before.mode, request.mode))
    stored, shown = before.words if before else {}, None
    goal = request.goal or stored.get("goal")
    if (lab := tasks.ready_lab(connection, row, caller.person)) is not None:
        shown = tasks.task_of(lab[0].body_json).goal_text
        if request.goal not in (None, shown):
            raise InvalidInput(f"campaigns on {row.name} have the goal of the task, {shown}; leave the goal out", field="goal")
        goal = lab[1].goal
    seed = next(s for s in (request.seed, stored.get("seed"), 0) if s is not None)
    earlier_words = _earlier(connection, caller, request, before)
    check_size(connection, None, earlier_words, most)
    earlier = earlier_of(connection, {"earlier": earlier_words})
    checked = Checked(rig, row, before, goal, request.strategy or stored.get("strategy"), seed, earlier_words, earlier, shown)
    for one in earlier:
        one.check(experiment_of(checked.experiment_json))
    return checked


def start(connection: Connection, now: float, caller: Caller, request: Request, rig: RigRow, understood: Mapping[str, Any]) -> CampaignRow:
    """Start a campaign, or let the one of that name go on.

    Args:
        understood: Goal, strategy, seed and earlier campaigns in full.

    Raises:
        Unauthorized: The caller was removed just now.
        CampaignError: The campaign of that name was started with other words.
        Conflict: The server runs too many of the caller's.
        InvalidInput: The budget has no limit.
    """
    tokens.check_token(connection, caller.token)
    row = campaigns.named(connection, caller.person, request.name)
    if row is None:
        words = {**understood, **_limits(request, {})}
        return campaigns.start(connection, now, caller.person, request.name, rig, request.mode, words, caller.agent)
    _check_agent(connection, caller, row, "to go on with this campaign")
    stored = row.words
    for word in ("goal", "strategy", "seed"):
        if understood[word] != stored[word]:
            raise CampaignError(_contradiction(request.name, word, stored[word], understood[word]))
    text = json.dumps(stored | {"earlier": understood["earlier"]} | _limits(request, stored), allow_nan=False)
    if row.state in (RUNNING, WAITING):
        return campaigns.turn(connection, now, row, row.state, None, words_json=text)
    return campaigns.go_on(connection, now, row, words_json=text)


def act(connection: Connection, now: float, caller: Caller, identity: str, action: str, budget: Limits | None = None) -> CampaignRow:
    """Pause, resume, stop or extend a campaign.

    Args:
        budget: The addition, for extend.

    Raises:
        NotFound: The caller has no such campaign.
        Forbidden: The token may not run experiments on its rig.
        Conflict: Its state does not allow it.
        InvalidInput: The budget does not fit the action or the campaign.
    """
    row = of_caller(connection, caller, identity)
    is_extended, has_ended, who = action == "extend", row.state == ENDED, caller.title(row.person)
    if budget is not None and not is_extended:
        raise InvalidInput(f"a budget comes with extend, not with {action}; leave it out")
    if has_ended and not is_extended:
        raise Conflict(f"campaign {row.name!r} has ended ({row.reason}); extend it to go on")
    if action in ("resume", "extend"):
        _check_agent(connection, caller, row, f"to {action} a campaign on a real rig without approve")
    if action == "pause":
        return row if row.state == PAUSED else campaigns.turn(connection, now, row, PAUSED, f"paused by {who}", thinker=None)
    if action == "stop":
        return campaigns.stop(connection, now, row, f"stopped by {who}")
    if action == "resume":
        return campaigns.go_on(connection, now, row) if row.state == PAUSED else row
    text = _extended(row, {kind: amount for kind, amount in (budget or {}).items() if amount is not None})
    if row.state == PAUSED:  # which a person has to resume
        return campaigns.turn(connection, now, row, PAUSED, row.reason, words_json=text)
    if has_ended:
        return campaigns.go_on(connection, now, row, words_json=text)
    return campaigns.turn(connection, now, row, row.state, None, words_json=text)


def judge(
    connection: Connection, now: float, known: Rigs, caller: Caller, identity: str, trial: int, decision: str, edited: Settings | None,
    why: str = "",
) -> CampaignRow:  # fmt: skip
    """Approve, reject or edit the proposal of a campaign.

    Args:
        trial: The number of the proposal: a judgment that comes twice is not taken for the next one.
        edited: The settings to try in its place, for edit.
        why: The reason, for reject.

    Raises:
        NotFound: The caller has no such campaign.
        Forbidden: The token or the owner may not run experiments on its rig.
        Conflict: No such proposal waits, or the rig was stopped.
        InvalidInput: The settings do not fit the decision or the rig.
        CampaignError: The campaign cannot pay for it.
        BudgetExhausted: The owner cannot pay for it.
    """
    row = of_caller(connection, caller, identity)
    if decision != "reject":
        _check_agent(connection, caller, row, f"to {decision} what moves a real rig", is_judging=True)
    proposal = row.proposal
    if row.state != WAITING or proposal.get("trial") != trial:
        raise Conflict(f"no suggestion for trial {trial} of campaign {row.name!r} waits for a person; look at its proposal")
    if (edited is None) == (decision == "edit"):
        raise InvalidInput("settings come with the decision edit, and only with it; add them, or leave them out")
    if decision == "reject":
        turn_down(connection, now, row, Rejection(proposal["settings"], why), caller.person)
        return campaigns.find(connection, identity)
    settings = edited if edited is not None else proposal["settings"]
    rig, rig_row = known.get(connection, row.rig)
    checked = rig.experiment.check(settings)
    price = rig.estimate(checked, twins.past_of(connection, rig_row, row.person, row.id))
    spent = standings.look(connection, row)[0].spent
    if reason := Budget(**row.words["budget"]).exhausted_by(spent, lately(connection, row), price):
        raise CampaignError(f"the campaign cannot pay for that ({reason}); extend it, or choose something cheaper")
    campaign_log.add(connection, now, row, Approval(checked, caller.person), trial - 1, caller.person)
    return submit_trial(connection, now, known, row, checked)


def turn_down(connection: Connection, now: float, row: CampaignRow, rejection: Rejection, by: str) -> EntryRow:
    """Note that settings are not wanted; if they are the suggestion that waits, something else is suggested."""
    kept = campaign_log.add(connection, now, row, rejection, campaigns.n_trials(connection, row.id), by)
    if row.proposal.get("settings") == rejection.settings:
        campaigns.choose_again(connection, now, row)
    return kept


def submit_trial(connection: Connection, now: float, known: Rigs, row: CampaignRow, settings: Settings) -> CampaignRow:
    """Queue the next trial of a campaign, for its owner; the campaign's row.

    Raises:
        OutOfBounds: The rig does not allow these settings.
        BudgetExhausted: The owner cannot pay for it.
        Conflict: The rig was stopped.
        Forbidden: The owner may not use the rig any more.
    """
    rig, rig_row = known.get(connection, row.rig)
    checked = rig.experiment.check(settings)
    rigs.check_use(connection, rig_row, row.person, people.role_of(connection, row.person) == "instructor")
    number = campaigns.n_trials(connection, row.id) + 1
    # Never in the instructor's lane: a campaign is many experiments, and the class would wait for all of them.
    price = rig.estimate(checked, twins.past_of(connection, rig_row, row.person, row.id))
    tasks.admit(connection, now, rig_row, row.person, price)
    fair_queue.submit(connection, now, Order(row.person, row.rig, checked, price, campaign=row.id, trial=number, agent=row.agent))
    return campaigns.turn(connection, now, row, RUNNING, None, proposal_json=None, thinker=None)


def _check_agent(connection: Connection, caller: Caller, row: CampaignRow, what: str, *, is_judging: bool = False) -> None:
    """Refuse an agent that would spend by a campaign which is not its own, or move a real rig without a person.

    Raises:
        Forbidden: It would.
    """
    if caller.is_agent and row.agent != caller.agent:
        raise Forbidden(f"campaign {row.name!r} was not started by this agent, whose runs are counted apart; start another one")
    if rigs.find(connection, row.rig).is_real and (is_judging or not row.words.get("approve")):
        caller.check_person(what)


def of_caller(connection: Connection, caller: Caller, identity: str) -> CampaignRow:
    """A campaign that the caller may act on.

    Raises:
        NotFound: The caller has no such campaign.
        Forbidden: The token may not run experiments on its rig.
    """
    row = campaigns.find(connection, identity, caller)
    caller.check_run(rigs.find(connection, row.rig).is_real)
    return row


def _earlier(connection: Connection, caller: Caller, request: Request, before: CampaignRow | None) -> Mapping[str, Mapping[str, Any]]:
    """The earlier campaigns that a request names, or those of the campaign that goes on."""
    stored: Mapping[str, Mapping[str, Any]] = before.words.get("earlier", {}) if before else {}
    relations = {name: known["relation"] for name, known in stored.items()}
    if request.earlier is None or (before and request.earlier == relations):
        return stored
    if before:
        raise CampaignError(_contradiction(request.name, "the earlier campaigns", relations or "none", dict(request.earlier)))
    found = {}
    for name, relation in request.earlier.items():
        row = campaigns.named(connection, caller.person, name)
        if row is None:
            raise NotFound(f"you have no campaign {name!r} to learn from; GET /v1/campaigns lists yours")
        found[name] = {"campaign": row.id, "relation": relation, "trials": campaigns.last_done(connection, row.id)}
    return found


def _limits(request: Request, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The words that may be said anew when a campaign goes on: budget, stop rule, approval."""
    budget = request.budget or stored.get("budget") or BudgetSpec(runs=10).model_dump()
    Budget(**budget)  # refuses one without a limit
    stop = request.stop if request.has_stop else stored.get("stop")
    approve = request.approve if request.approve is not None else stored.get("approve", False)
    return {"budget": budget, "stop": stop, "approve": approve}


def _extended(row: CampaignRow, more: Limits) -> str:
    """The words of a campaign with a larger budget, as JSON."""
    if not more:
        raise InvalidInput('say how much more it may use, such as {"action": "extend", "budget": {"runs": 10}}')
    words = row.words
    for kind, amount in more.items():
        if words["budget"][kind] is None:
            raise InvalidInput(f"campaign {row.name!r} has no limit of {kind} to extend; leave {kind} out")
        words["budget"][kind] += amount
    try:
        BudgetSpec(**words["budget"])
    except ValidationError as error:
        raise InvalidInput(f"that is too much: {in_words(error.errors()[0]['msg'])} in all; extend it by less") from error
    return json.dumps(words, allow_nan=False)


def _contradiction(name: str, field: str, stored: object, asked: object) -> str:
    return f"campaign {name!r} was started with {field} {stored}, not {asked}; leave that out to go on with it, or choose another name"
