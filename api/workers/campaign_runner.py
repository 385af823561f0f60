"""The runner of the campaigns of the mode ``server``: when one has nothing under way, choose its next trial and queue that.

It remembers nothing: the trials of a campaign are in the database, so another process goes on where this one was killed. Several processes
may run it. The process that chooses has claimed the campaign for a while (`campaigns.claim`); a choice counts only if nothing was
submitted meanwhile, so that no trial is done twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection

from api.errors import Conflict
from api.news import News
from api.records import campaign_log, campaigns
from api.records.campaign_actions import submit_trial
from api.records.campaign_trials import check_size, earlier_of, log_of
from api.records.campaigns import ENDED, PAUSED, RUNNING, WAITING
from api.records.database import Database
from api.records.rigs import Rig, Rigs
from api.records.rows import CampaignRow
from api.records.shares import Timed
from api.records.standings import experiment_of
from api.workers import strategy_processes
from api.workers.strategy_processes import Decision, Question, RigDescription, StrategyProcesses, Turns
from frugaltwin.errors import FrugalTwinError, StoreError
from frugaltwin.log import Log, Proposal
from frugaltwin.prices import price_to_json
from frugaltwin.state import Earlier

PACE = 0.05
"""s between two looks at the campaigns at least, however much is committed."""
STEP = 0.03
"""s of a core that a step counts for, besides its reading and what its strategy computes: it commits four times, for which others wait."""
PATIENCE = 2.0
"""s until a campaign is looked at again whose step could not be done."""

_log = logging.getLogger("frugaltwin.service")


class CampaignRunner:
    """One process's part in running the campaigns."""

    def __init__(self, database: Database, news: News, rigs: Rigs, strategies: StrategyProcesses, most_trials: int) -> None:
        """Ready to run.

        Args:
            most_trials: Of a campaign that is thought about.
        """
        self._database, self._news, self._rigs, self._strategies, self._most = database, news, rigs, strategies, most_trials
        self._name = secrets.token_hex(8)
        self._choosing: dict[str, asyncio.Task[None]] = {}
        # A claimed campaign is decided at once; and requests never wait for more than the decisions under way.
        self._turns = Turns(strategies.count)

    async def run(self) -> None:
        """For ever; ends when it is cancelled."""
        database = self._database
        try:
            while True:
                since = self._news.now
                with suppress(StoreError):  # which has been logged; the next look may succeed
                    for identity, whose in await database.read(lambda c: campaigns.candidates(c, database.now(), self._name)):
                        if identity not in self._choosing:
                            self._choosing[identity] = asyncio.create_task(self._choose(identity, whose))
                await self._news.wait(60.0, since)
                await asyncio.sleep(PACE)
        finally:
            for task in self._choosing.values():
                task.cancel()
            await asyncio.gather(*self._choosing.values(), return_exceptions=True)

    async def _choose(self, identity: str, whose: str) -> None:
        try:
            await self._database.shares.turn(whose, STEP)  # before it takes a place, which others wait for
            async with self._turns.of(whose):
                await self._step(identity)
        except StoreError:  # it is in the log
            await asyncio.sleep(PATIENCE)
        except FrugalTwinError as error:
            _log.warning("campaign %s waits for a while: %s", identity, error)
            await asyncio.sleep(PATIENCE)
        except Exception:
            _log.exception("a step of campaign %s failed", identity)
            await asyncio.sleep(PATIENCE)
        finally:
            del self._choosing[identity]

    async def _step(self, identity: str) -> None:
        database = self._database
        row = await database.write(lambda c, now: campaigns.claim(c, now, identity, self._name))
        if row is None:
            return

        def known(connection: Connection) -> tuple[Rig, Log, Sequence[Earlier]]:
            check_size(connection, row, row.words.get("earlier", {}), self._most)
            return self._rigs.get(connection, row.rig)[0], log_of(connection, row), earlier_of(connection, row.words)

        reading = Timed(known)
        try:
            rig, log, earlier = await database.read(reading)
        except Conflict as refusal:
            why = str(refusal)
            await database.write(lambda c, now: hold(c, now, identity, self._name, why))
            return
        finally:
            database.shares.charge(row.person, reading.seconds)
        decision = await self._decision(row, rig, log, earlier)
        await database.write(lambda c, now: follow(c, now, self._rigs, identity, self._name, log, decision))

    async def _decision(self, row: CampaignRow, rig: Rig, log: Log, earlier: Sequence[Earlier]) -> Decision:
        trials = log.trials
        if rig.experiment != experiment_of(row.experiment_json):
            return Decision(None, f"the rig {row.rig} takes other experiments than when this campaign was started; start another")
        if len(trials) > row.n_before and trials[-1].source == "stopped":
            return Decision(None, f"trial {len(trials)} was aborted: {trials[-1].error}; resume to go on", needs_person=True)
        try:
            question = question_of(row, rig, log, earlier)
            return await self._strategies.ask(row.person, strategy_processes.decide, question, row.n_before)
        except FrugalTwinError as error:
            return Decision(None, str(error), needs_person=True)
        except Exception as error:  # of a strategy, in numbers that no test has tried
            _log.exception("campaign %s: nothing could be chosen", row.id)
            reason = f"what to try next could not be chosen ({type(error).__name__}); resume to try again"
            return Decision(None, reason, needs_person=True)


def hold(connection: Connection, now: float, identity: str, thinker: str, why: str) -> None:
    """Pause a campaign that was claimed, if it still is."""
    row = campaigns.find(connection, identity)
    if row.state == RUNNING and row.thinker == thinker:
        campaigns.turn(connection, now, row, PAUSED, why, thinker=None)


def follow(
    connection: Connection, now: float, rigs: Rigs, identity: str, thinker: str, known: Log, decision: Decision
) -> None:  # fmt: skip
    """Do what was decided from what was known, if that is still all that is known."""
    row = campaigns.unchanged(connection, identity, known.last)
    if row is None or len(campaign_log.entries_of(connection, identity)) != len(known.entries):
        campaigns.release(connection, identity, thinker)
        return
    settings = decision.settings
    if settings is None:
        campaigns.turn(connection, now, row, PAUSED if decision.needs_person else ENDED, decision.reason, thinker=None)
    elif row.words["approve"]:
        proposal = {"trial": known.last + 1, "settings": dict(settings), "why": decision.why, **decision.expected}
        if all(known_one.settings != settings for known_one in known.proposals(experiment_of(row.experiment_json))):
            campaign_log.add(connection, now, row, Proposal(dict(settings), decision.why), known.last, row.person)
        campaigns.turn(connection, now, row, WAITING, None, proposal_json=json.dumps(proposal), thinker=None)
    else:
        try:
            submit_trial(connection, now, rigs, row, settings)
        except FrugalTwinError as refusal:  # before anything was written
            campaigns.turn(connection, now, row, PAUSED, str(refusal), thinker=None)


def question_for(connection: Connection, rigs: Rigs, row: CampaignRow, most: int) -> Question:
    """A campaign with its trials as they are now, for a strategy process.

    Args:
        most: Trials at most.

    Raises:
        Conflict: It is too large.
    """
    check_size(connection, row, row.words.get("earlier", {}), most)
    return question_of(row, rigs.get(connection, row.rig)[0], log_of(connection, row), earlier_of(connection, row.words))


def question_of(row: CampaignRow, rig: Rig, log: Log, earlier: Sequence[Earlier]) -> Question:
    """A campaign for a strategy process."""
    words = row.words
    if row.mode == campaigns.CLIENT:  # its strategy is its owner's, and may not be known here
        words["strategy"] = None
    # A program may leave numbers out, or have several trials under way.
    return Question(row.name, description_of(rig, row.experiment_json), words, log.renumbered, tuple(earlier))


def description_of(rig: Rig, experiment_json: str) -> RigDescription:
    """A rig for a strategy process."""
    price = None if rig.price is None else json.dumps(price_to_json(rig.price))
    return RigDescription(rig.driver, json.dumps(dict(rig.options)), experiment_json, price, rig.is_local)
