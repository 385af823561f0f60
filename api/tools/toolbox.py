"""The tools: each calls the functions of the routes with arguments that were checked, so both doors lead to the same use-cases."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection
from starlette.responses import Response

from api.errors import TooMany, Unauthorized
from api.records import campaigns as campaign_records
from api.records import ledger
from api.records.people import Caller
from api.records.shares import timed
from api.records.twins import LAB
from api.routes import campaign_export, campaigns, entries, experiments, problems, rigs, tasks
from api.service import Service
from api.tools import arguments
from api.tools.answers import Answer, brief, quoted, refusal, swatches, values
from api.tools.arguments import TOOLS
from api.workers import strategy_processes
from frugaltwin.client.resources.experiments import ENDS
from frugaltwin.color import hex_code
from frugaltwin.errors import FrugalTwinError, InvalidInput, UnknownName
from frugaltwin.tables import color_of

ANSWERS_WITHIN = 24.0
"""s after which a tool hands over, whatever it does: what it began goes on, and the same call again waits for it."""
TOLD = 50
"""Candidates or places that are told at once."""

_log = logging.getLogger("frugaltwin.service")


class Toolbox:
    """The tools of a running service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._going: dict[tuple[str, str, str], asyncio.Task[Answer]] = {}
        """Calls that took too long, by person, tool and arguments."""
        self._tools: Mapping[str, Callable[[Caller, Any], Awaitable[Answer]]] = {name: getattr(self, f"_{name}") for name in TOOLS}

    async def call(self, name: str, said: Mapping[str, Any] | None, token: str | None) -> Answer:
        """The answer of a tool; a refusal is one too.

        Args:
            said: The arguments, as they came.
            token: The caller's own.
        """
        model: type[BaseModel] = BaseModel
        caller: Caller | None = None
        try:
            if not token:
                raise Unauthorized("no token came with the call; let your host send the header `Authorization: Bearer ft_…`")
            caller = await self._service.caller(token)
            if name not in TOOLS:
                raise UnknownName(f"there is no tool {quoted(name[:40])}; there are {', '.join(TOOLS)}")
            model = TOOLS[name]
            answer = await self._within(caller, name, model.model_validate(said or {}))
        except ValidationError as error:
            answer = refusal(problems.of_arguments(error, model))
        except FrugalTwinError as error:
            answer = refusal(problem_of(error))
        except Exception:
            _log.exception("the tool %s failed", name[:40])
            detail = "something went wrong here; tell your instructor, the log says more"
            answer = refusal(
                {"type": f"{problems.DOCS}bug", "title": "A mistake of ours", "status": 500, "detail": detail, "retryable": True}
            )
        if caller is None:
            return answer
        asking = caller
        return answer.with_left(await self._service.database.read(lambda c: _left(c, asking)))

    async def _within(self, caller: Caller, name: str, said: BaseModel) -> Answer:
        """The answer of a tool, or after a while that it is still at it."""
        key = caller.token, name, said.model_dump_json()
        if (task := self._going.get(key)) is None:
            task = asyncio.create_task(self._timed(caller, self._tools[name](caller, said)))
        done, _ = await asyncio.wait([task], timeout=ANSWERS_WITHIN)
        if done:
            self._going.pop(key, None)
            return task.result()
        if key not in self._going:
            self._going[key] = task
            task.add_done_callback(lambda _: asyncio.get_running_loop().call_later(60.0, self._going.pop, key, None))
        return Answer("It still goes on: call the same tool with the same arguments, which waits for it.", {"goes_on": True})

    async def _timed(self, caller: Caller, work: Awaitable[Answer]) -> Answer:
        """Its answer; the time of a core that it takes counts for its caller."""
        found: list[Answer] = []

        async def kept() -> None:
            found.append(await work)

        shares = self._service.database.shares
        await timed(kept(), lambda seconds: shares.charge(caller.person, seconds))
        return found[0]

    async def _look_around(self, caller: Caller, said: arguments.LookAround) -> Answer:
        service = self._service
        found = _body(await rigs.page(service, caller, "steps"))["items"]
        offered = _body(await tasks.page(service, caller))["items"]
        of_tasks = {task["name"] for task in offered}
        listed = [
            {"name": rig["name"], "is_real": rig["is_real"], "state": rig["state"], "is_allowed": rig["is_allowed"], "sets": _sets(rig)}
            for rig in found if rig["name"] not in of_tasks
        ]  # fmt: skip
        asked = [{k: task[k] for k in ("name", "title", "state", "goal", "asks", "budget", "spent", "closes_at")} for task in offered]
        words = f"There are the rigs {', '.join(rig['name'] + ('' if rig['is_allowed'] else ' (not for you)') for rig in listed) or 'none'}"
        of_class = ", ".join(f"{task['name']} ({task['state']})" for task in asked)
        words += f", and the tasks {of_class}" if asked else ""
        you = {"name": caller.name, "role": caller.role, "may": sorted(caller.scopes)}
        return Answer(f"{words}; read tells all of one.", {"you": you, "rigs": listed, "tasks": asked})

    async def _read(self, caller: Caller, said: arguments.Read) -> Answer:
        service = self._service
        rig = brief(_body(await rigs.one(said.name, service, caller, "steps")), "running")
        experiment = rig["experiment"]
        candidates = experiment.get("candidates") or []
        if len(candidates) > TOLD:
            experiment["candidates"] = candidates[:TOLD]
            experiment["candidates_in_all"] = len(candidates)
        measured = ", ".join(outcome["name"] for outcome in experiment["outcomes"])
        words = f"{said.name}: you set {'; '.join(_sets(rig))}; it measures {measured}."
        if rig["driver"] != LAB:
            return Answer(words, {"rig": rig})
        task = _body(await tasks.one(said.name, service, caller))
        places = task.pop("places")
        if places:
            at = said.places_from
            task["places"] = {"in_all": len(places), "from": at, "here": places[at : at + TOLD]}
        used = ", ".join(f"{task['spent'][kind]:g} of {limit:g} {kind}" for kind, limit in task["budget"].items())
        words = f"Task {said.name}, {task['state']}: {task['text'].strip()} Hand in a {task['asks']}; used {used}. {words}"
        return Answer(words, {"task": brief(task), "rig": rig})

    async def _price(self, caller: Caller, said: arguments.Price) -> Answer:
        quotes = []
        for settings in said.settings:
            body = experiments.NewExperiment.model_validate({"rig": said.rig, "settings": settings, "dry_run": True})
            quotes.append(brief(_body(await experiments.submit(body, self._service, caller, 0.0))))
        n = sum(quote["allowed"] for quote in quotes)
        sums = {kind: sum(quote["estimate"][kind] for quote in quotes) for kind in quotes[0]["estimate"]}
        words = f"{n} of {len(quotes)} would be allowed now; together they cost {values(sums)} and {len(quotes)} runs."
        return Answer(words, {"quotes": quotes})

    async def _experiment(self, caller: Caller, said: arguments.Experiment) -> Answer:
        service, made = self._service, list[str]()
        problem: Mapping[str, Any] | None = None
        for k, settings in enumerate(said.settings):
            try:
                if k:
                    service.rate_limit.count(caller)  # each counts, as by the other door
                order = {"rig": said.rig, "settings": settings, "campaign": said.campaign}
                body = experiments.NewExperiment.model_validate(order)
                response = await experiments.submit(body, service, caller, 0.0, _key(said.key, k))
            except FrugalTwinError as error:
                if not made:
                    raise
                problem = problem_of(error)
                break
            made.append(_body(response)["id"])
        answer = await self._waited(caller, made, said.wait_s)
        if problem is None:
            return answer
        n = len(said.settings) - len(made)
        words = f"{answer.sentence} The last {n} of your settings were not begun: {problem['detail']}."
        return Answer(words, {**answer.found, "problem": problem, "not_begun": n}, answer.pictures)

    async def _wait(self, caller: Caller, said: arguments.Wait) -> Answer:
        return await self._waited(caller, said.ids, said.wait_s)

    async def _waited(self, caller: Caller, ids: Sequence[str], seconds: float) -> Answer:
        """Experiments and campaigns when they have ended, or as they are when the time is up."""
        end = time.monotonic() + seconds
        found, colors = [], []
        for identity in ids:
            is_campaign = identity.startswith("c_")
            one = campaigns.one if is_campaign else experiments.one
            seen = brief(_body(await one(identity, self._service, caller, max(0.0, end - time.monotonic()))), "provenance", "raw", "person")
            found.append(_campaign(seen) if is_campaign else seen)
            if not is_campaign and seen.get("outcomes"):
                colors += await self._color(seen)
        going_on = [one["id"] for one in found if one["state"] not in (*ENDS, "ended", "waiting", "paused")]
        words = " ".join(_in_words(one) for one in found)
        if going_on:
            words += f" Not done yet: call wait with {', '.join(going_on)}."
        return Answer(words, {"items": found, "goes_on": going_on}, [swatches(colors)] if colors else [])

    async def _color(self, experiment: Mapping[str, Any]) -> list[str]:
        """The color of a reading, where the rig measures one."""
        rig, _ = await self._service.database.read(lambda c: self._service.rigs.get(c, experiment["rig"]))
        found = color_of(rig.experiment, experiment["settings"], experiment["outcomes"])
        return [hex_code([found["L"], found["a"], found["b"]])] if found else []

    async def _experiments(self, caller: Caller, said: arguments.Experiments) -> Answer:
        service = self._service
        if said.campaign is None:
            page = _body(await experiments.page(service, caller, said.limit, said.cursor))
            items = [brief(one, "provenance", "raw", "person", "estimate") for one in page["items"]]
        else:
            page = _body(await campaigns.trials(said.campaign, service, caller, said.limit, said.cursor or 1))
            items = [_trial(one) for one in page["items"]]
        more = f" The next page is at cursor {page['next']}." if page["next"] else ""
        words = "; ".join(_line(one) for one in items) or "There are none yet"
        return Answer(f"{words}.{more}", {"items": items, "next": int(page["next"]) if page["next"] else None})

    async def _start_campaign(self, caller: Caller, said: arguments.StartCampaign) -> Answer:
        given: dict[str, Any] = {"name": said.name, "rig": said.rig, "goal": said.goal, "require": said.require, "mode": said.mode}
        given |= {"strategy": {"name": said.strategy}} if said.strategy else {}
        given |= {"budget": {"runs": said.runs}} if said.runs else {}
        given |= {"approve": True} if said.approve else {}
        found = brief(_body(await campaigns.start(campaigns.NewCampaign.model_validate(given), self._service, caller, said.key)), "person")
        then = "call wait with its id" if said.mode == "server" else "now choose settings, and name its id in experiment"
        return Answer(f"Campaign {found['id']} {quoted(found['name'])} is {found['state']} on {found['rig']}; {then}.", {"campaign": found})

    async def _campaign(self, caller: Caller, said: arguments.Campaign) -> Answer:
        service = self._service
        found = _campaign(brief(_body(await campaigns.one(said.id, service, caller, 0.0)), "person"))
        words, more, pictures = _in_words(found), dict[str, Any](), list[bytes]()
        if said.recommend:
            more["recommendation"] = advice = _body(await campaigns.recommendation(said.id, service, caller))
            words += f" Use {values(advice['settings'])}, by the {advice['by']}." if advice["settings"] else " There is no single best."
        if said.picture:
            pictures.append(await self._picture(caller, said.id))
        return Answer(words, {"campaign": found, **more}, pictures)

    async def _picture(self, caller: Caller, identity: str) -> bytes:
        """The picture of a campaign, under the same rule as the route's."""
        service = self._service
        await service.database.read(lambda c: campaign_export.check_picture(campaign_records.find(c, identity, caller)))
        question = await campaigns.question_of(service, caller, identity)
        with service.rate_limit.waiting(caller):
            return cast(
                bytes,
                await service.strategies.ask_once(
                    ("png", identity, *question.version), caller.person, strategy_processes.picture_png, question
                ),
            )

    async def _control(self, caller: Caller, said: arguments.Control) -> Answer:
        service = self._service
        if said.action == "abort":
            found = brief(_body(await experiments.abort(said.id, service, caller)), "provenance", "raw", "person")
            return Answer(_in_words(found), {"items": [found]})
        given: dict[str, Any] = {"action": said.action} | ({"budget": {"runs": said.runs}} if said.runs else {})
        found = brief(_body(await campaigns.act(said.id, campaigns.Action.model_validate(given), service, caller, said.key)), "person")
        return Answer(f"Campaign {found['id']} {quoted(found['name'])} is {found['state']}.", {"campaign": found})

    async def _judge(self, caller: Caller, said: arguments.Judge) -> Answer:
        service, kind = self._service, said.decision
        if kind in ("approve", "reject", "edit"):
            body = campaigns.Judgment.model_validate(
                {"trial": said.trial, "decision": kind, "why": said.why} | ({"settings": said.settings} if said.settings else {})
            )
            found = brief(_body(await campaigns.judge(said.campaign, body, service, caller)), "person")
            return Answer(f"Trial {said.trial}: {kind}; the campaign is {found['state']}.", {"campaign": found})
        if kind == "prefer" and said.worse is None:
            raise InvalidInput("prefer takes two trials: the better one as `trial`, the other one as `worse`")
        words: dict[str, Any] = {"kind": "preference", "better": said.trial, "worse": said.worse, "why": said.why}
        if kind == "retract":
            words = {"kind": "retraction", "number": said.trial, "why": said.why}
        kept = brief(_body(await entries.say(said.campaign, entries.NewEntry.model_validate(words), service, caller)))
        return Answer(f"It is kept: {words['kind']} about trial {said.trial}.", {"entry": kept})

    async def _hand_in(self, caller: Caller, said: arguments.HandIn) -> Answer:
        if (said.expected is None) != (said.sd is None):
            raise InvalidInput("expected and sd belong together: a mean and its standard deviation")
        given: dict[str, Any] = {"campaign": said.campaign, "settings": said.settings, "labels": said.labels}
        if said.expected is not None:
            given["expected"] = {"mean": said.expected, "sd": said.sd}
        task = _body(await tasks.hand_in(said.task, tasks.HandIn.model_validate(given), self._service, caller, said.key))
        points = f"{task['points']:.0f} of 100 points" if task["points"] is not None else "points are shown when the task has closed"
        return Answer(f"Handed in for {said.task}; {points}.", {"task": brief(task, "places")})

    async def _board(self, caller: Caller, said: arguments.Board) -> Answer:
        rows = _body(await tasks.board(said.task, self._service, caller))["items"]
        listed = "; ".join(f"{quoted(row['nickname'])}: {_standing(row)}" for row in rows[:TOLD])
        return Answer(f"{len(rows)} on the board of {said.task}: {listed}.", {"rows": [brief(row) for row in rows]})


def _left(connection: Connection, caller: Caller) -> dict[str, float | None]:
    """The amounts that the caller may still spend; of an agent at most what its own token allows."""
    left, own = ledger.balance(connection, caller.person), None
    if caller.agent is not None:
        own = ledger.left_of_agent(connection, caller.agent)
    has = left["runs"]
    return left if own is None else {**left, "runs": own if has is None else min(own, has)}


def problem_of(error: FrugalTwinError) -> dict[str, Any]:
    """The problem document of an error."""
    problem = cast(dict[str, Any], json.loads(bytes(problems.of(error).body)))
    if isinstance(error, TooMany):
        problem["retry_after_s"] = max(1, round(error.retry_after))
    return problem


def _body(response: Response) -> Any:
    return json.loads(bytes(response.body))


def _key(key: str | None, k: int) -> str | None:
    """The key of the k-th experiment of a call; the first has the call's, so that it is one with the other door's."""
    return key if key is None or k == 0 else f"{key}.{k + 1}"


def _sets(rig: Mapping[str, Any]) -> list[str]:
    """The parameters of a rig, in words: bounds, units and what must hold."""
    experiment = rig["experiment"]
    found = []
    for one in experiment["parameters"]:
        unit = "" if one.get("unit") in (None, "", "1") else f" {one['unit']}"
        if "low" in one:
            step = f" by {one['step']:g}" if one.get("step") else ""
            least = f" (0, or {one['smallest']:g} and more)" if one.get("smallest") else ""
            found.append(f"{one['name']} {one['low']:g}–{one['high']:g}{unit}{step}{least}")
        else:
            told = [str(value) for value in one["values"]]
            more = f" and {len(told) - TOLD} more" if len(told) > TOLD else ""
            found.append(f"{one['name']} of {', '.join(told[:TOLD])}{unit}{more}")
    for bound in experiment["constraints"]:
        if "total" in bound:
            found.append(f"{' + '.join(bound['parameters'])} = {bound['total']:g} {bound.get('unit', '')}".strip())
        else:
            terms = " + ".join(f"{factor:g}·{name}" for name, factor in bound["coefficients"].items())
            found.append(f"{bound['low']} ≤ {terms} ≤ {bound['high']}")
    if experiment.get("candidates"):
        found.append("only the settings that read lists as candidates")
    return found


def _trial(one: Mapping[str, Any]) -> dict[str, Any]:
    """A trial in short."""
    of = one["experiment"]
    kept = {"trial": one["trial"], "score": one["score"], "values": one["values"] or None, "correction": one["correction"]}
    return brief({**kept, **{name: of[name] for name in ("id", "state", "settings", "outcomes", "error")}})


def _line(one: Mapping[str, Any]) -> str:
    """An experiment or a trial in a few words."""
    score = f", score {one['score']:.4g}" if one.get("score") is not None else ""
    found = f" gave {values(one['outcomes'])}" if one.get("outcomes") else f" {one['state']}"
    return f"{one.get('trial') or one['id']}: {values(one['settings'])}{found}{score}"


def _campaign(found: Mapping[str, Any]) -> dict[str, Any]:
    """A campaign in short."""
    short = dict(found)
    if short.get("best"):
        short["best"] = _trial(short["best"])
    if short.get("front"):
        short["front"] = [_trial(one) for one in short["front"]]
    return short


def _in_words(one: Mapping[str, Any]) -> str:
    """An experiment or a campaign in a sentence."""
    if "mode" in one:
        reason = f" ({one['reason']})" if one.get("reason") else ""
        waits = f" Trial {one['proposal']['trial']} waits for a decision: judge." if one.get("proposal") else ""
        result = one.get("result") or f"{one['n_trials']} trials"
        return f"Campaign {one['id']} {quoted(one['name'])} is {one['state']}{reason}: {result}.".replace("..", ".") + waits
    if one.get("outcomes"):
        score = f", score {one['score']:.4g}" if one.get("score") is not None else ""
        return f"{one['id']} {one['state']}: {values(one['outcomes'])}{score}."
    because = one.get("error") or one.get("waiting_because")
    return f"{one['id']} is {one['state']}" + (f": {because}." if because else ".")


def _standing(row: Mapping[str, Any]) -> str:
    best = "no reading" if row["best"] is None else f"best {row['best']:g}"
    points = "" if row["points"] is None else f", {row['points']:.0f} points"
    return best + points + (", by an agent" if row["by_agent"] else "") + (", handed in" if row["is_handed_in"] else "")
