"""The log of a campaign: corrections, preferences, rejections and proposals, kept and respected."""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.campaign import Campaign
from frugaltwin.errors import CampaignError, InvalidInput, OutOfBounds, StoreError
from frugaltwin.experiment import Categorical, Continuous, Correction, Discrete, Experiment, Measurement, Outcome, Settings, Trial
from frugaltwin.goals import Maximize
from frugaltwin.log import (
    Amendment,
    Approval,
    Entry,
    Log,
    Logged,
    Preference,
    Proposal,
    Rejection,
    Retraction,
    entry_from_json,
    entry_to_json,
)
from frugaltwin.state import State, Suggestion
from frugaltwin.store import CampaignRecord, Store

BAKING = Experiment("baking", (Continuous("salt", 0, 10), Categorical("flour", ("rye", "wheat"))), (Outcome("taste"),))
ENTRIES: tuple[Entry, ...] = (
    Preference(2, 1, "crisper"),
    Rejection({"salt": 9.0, "flour": "rye"}, "too salty"),
    Proposal({"salt": 1.0, "flour": "rye"}, "most to learn"),
    Proposal({"salt": 2.0, "flour": "rye"}, by_hand=True),
    Approval({"salt": 1.0, "flour": "rye"}, "u_1"),
    Amendment(1, {"taste": 4.5}, "a typing mistake"),
    Retraction(2, "the wrong loaf"),
)


def of(salt: float, flour: str = "rye") -> dict[str, float | str]:
    return {"salt": salt, "flour": flour}


def trial(number: int, salt: float, taste: float | None, source: str = "told") -> Trial:
    measurement = None if taste is None else Measurement({"taste": taste}, Amounts(seconds=60.0), {"bites": 3.0})
    return Trial(number, of(salt), measurement, None if measurement else "burned", Amounts(seconds=60.0), source)


TRIALS = (trial(1, 2.0, 5.0), trial(2, 3.0, 4.0), trial(3, 4.0, None))


def log(*entries: tuple[int, Entry], trials: Sequence[Trial] = TRIALS) -> Log:
    return Log(trials, [Logged(entry, after) for after, entry in entries])


def under_way(that: Log) -> list[Settings]:
    return [proposal.settings for proposal in that.proposals(BAKING)]


class Baker:
    """A driver that is never run."""

    experiment = BAKING

    def __enter__(self) -> Self:
        return self

    def perform(self, settings: Settings) -> Measurement:
        return Measurement({"taste": float(settings["salt"])}, Amounts(seconds=60.0))

    def stop(self) -> None: ...

    def __exit__(self, *failure: object) -> None: ...


def campaign(store: Store | None = None, strategy: str = "random", n: int = 4) -> Campaign:
    """Trials with a taste that grows with the salt, told by a person."""
    that = Campaign("bread", Baker(), Maximize(BAKING, "taste"), catalog.make_strategy(strategy), store or Store(":memory:"))
    for salt in range(1, n + 1):
        that.tell(of(float(salt)), {"taste": float(salt)}, Amounts(seconds=60.0))
    return that


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.kind)
def test_an_entry_comes_back_from_json(entry: Entry) -> None:
    body = entry_to_json(entry)
    assert body["kind"] == entry.kind
    assert entry_from_json(json.loads(json.dumps(body))) == entry


def test_an_amended_trial_has_its_new_outcomes_and_remembers_what_was_read() -> None:
    first, second, third = log(
        (3, Amendment(1, {"taste": 9.0}, "a typing mistake")), (3, Amendment(3, {"taste": 2.0}, "not burned"))
    ).trials
    assert first == replace(
        TRIALS[0], measurement=Measurement({"taste": 9.0}, Amounts(seconds=60.0), {"bites": 3.0}), correction=first.correction
    )
    assert first.correction == Correction("a typing mistake", TRIALS[0])
    assert (first.remark, second, third.remark) == ("amended: a typing mistake", TRIALS[1], "amended: not burned")
    assert (third.measurement, third.error) == (Measurement({"taste": 2.0}, Amounts(seconds=60.0)), None)


def test_the_last_correction_counts_and_the_original_stays() -> None:
    again = log((3, Amendment(1, {"taste": 9.0}, "typing")), (3, Amendment(1, {"taste": 8.0}, "typing again"))).trials[0]
    assert again.measurement is not None
    assert (again.measurement.outcomes, again.performed) == ({"taste": 8.0}, TRIALS[0])
    gone = log((3, Amendment(1, {"taste": 9.0}, "typing")), (3, Retraction(1, "wrong loaf"))).trials[0]
    assert (gone.measurement, gone.is_retracted, gone.remark, gone.performed) == (None, True, "retracted: wrong loaf", TRIALS[0])
    assert (gone.number, gone.settings, gone.cost, gone.source) == (1, of(2.0), Amounts(seconds=60.0), "told")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (Retraction(9, "x"), "there is no trial 9: they go from 1 to 3"),
        (Retraction(1, " "), "say why trial 1 is wrong"),
        (Retraction(2, "x"), r"trial 2 was retracted \(wrong loaf\), which is final; tell its settings and outcomes again"),
        (Amendment(2, {"taste": 1.0}, "x"), "trial 2 was retracted"),
        (Amendment(0, {"taste": 1.0}, "x"), "there is no trial 0"),
        (Preference(1, 1), "trial 1 cannot be better than itself"),
        (Preference(1, 2), "trial 2 has no reading"),
        (Preference(3, 1), "trial 3 has no reading"),
        (Preference(1, 7), "there is no trial 7"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(entry: Entry, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        log((3, Retraction(2, "wrong loaf"))).check(entry)


def test_without_trials_none_can_be_corrected() -> None:
    with pytest.raises(InvalidInput, match="there is no trial 1: there is none yet"):
        Log().check(Retraction(1, "x"))


def test_a_preference_counts_as_long_as_both_of_its_trials_do() -> None:
    said = (2, Preference(1, 2))
    assert log(said).preferences == (Preference(1, 2),)
    assert log(said, (3, Retraction(2, "x"))).preferences == ()
    assert log(said, (3, Amendment(2, {"taste": 1.0}, "x"))).preferences == (Preference(1, 2),)


def test_rejections_count_until_the_next_trial() -> None:
    assert log((2, Rejection(of(1.0))), (3, Rejection(of(5.0)))).rejections == (Rejection(of(5.0)),)


def test_a_proposal_is_under_way_until_its_settings_are_told_approved_or_rejected() -> None:
    batch = [(3, Proposal(of(salt))) for salt in (5.0, 6.0, 7.0)]
    assert under_way(log(*batch)) == [of(5.0), of(6.0), of(7.0)]
    told = (*TRIALS, trial(4, 6.0, 1.0))
    assert under_way(log(*batch, trials=told)) == [of(5.0), of(7.0)]
    assert under_way(log(*batch, (4, Rejection(of(5.0))), trials=told)) == [of(7.0)]
    assert under_way(log(*batch, (3, Rejection(of(5.5))))) == [of(5.0), of(6.0), of(7.0)]
    assert under_way(log(*batch, (3, Approval(of(7.0))), trials=told)) == [of(5.0)]


def test_a_person_who_does_something_similar_ends_the_nearest_proposal_and_a_machine_does_not() -> None:
    batch = [(3, Proposal(of(5.0))), (3, Proposal(of(9.0, "wheat")))]
    assert under_way(log(*batch, trials=(*TRIALS, trial(4, 8.9, 1.0)))) == [of(9.0, "wheat")]  # of the same flour
    assert under_way(log(*batch, trials=(*TRIALS, trial(4, 5.1, 1.0, "driver")))) == [of(5.0), of(9.0, "wheat")]
    assert under_way(log(*batch, trials=(*TRIALS, trial(4, 5.0, 1.0, "driver")))) == [of(9.0, "wheat")]


def test_a_correction_ends_what_was_proposed_since_the_last_trial_and_no_more() -> None:
    that = log((2, Proposal(of(8.0))), (3, Proposal(of(5.0))), (3, Retraction(1, "x")), trials=[*TRIALS[:2], trial(3, 4.0, 1.0, "driver")])
    assert under_way(that) == [of(8.0)]


def test_a_log_with_gaps_is_numbered_anew() -> None:
    trials = [replace(TRIALS[0], number=4), replace(TRIALS[1], number=9)]
    that = log((4, Rejection(of(1.0))), (9, Preference(9, 4)), (12, Retraction(9, "x")), trials=trials).renumbered
    assert [t.number for t in that.trials] == [1, 2]
    assert [(x.after, x.entry) for x in that.entries] == [(1, Rejection(of(1.0))), (2, Preference(2, 1)), (2, Retraction(2, "x"))]


@pytest.fixture(params=[":memory:", "store.db"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(request.param if request.param == ":memory:" else tmp_path / request.param)


def test_a_store_keeps_entries_in_their_order_and_trials_as_they_were_performed(store: Store) -> None:
    record = CampaignRecord("bread", "now", {})
    store.create(record)
    store.append("bread", TRIALS[0])
    for k, entry in enumerate(ENTRIES):
        store.append_entry("bread", Logged(entry, k % 2, f"t{k}"))
    assert store.entries("bread") == [Logged(entry, k % 2, f"t{k}") for k, entry in enumerate(ENTRIES)]
    assert store.trials("bread") == [TRIALS[0]]
    assert store.entries("other") == []
    with pytest.raises(StoreError, match="has this already"):
        store.create(record)


def test_an_entry_needs_a_campaign(store: Store) -> None:
    store.create(CampaignRecord("other", "now", {}))
    with pytest.raises(StoreError):
        store.append_entry("bread", Logged(ENTRIES[0], 0))


KEPT = Path(__file__).parent / "data" / "store_v2.db"


def test_a_kept_store_is_upgraded_and_takes_entries(tmp_path: Path) -> None:
    path = Path(shutil.copy(KEPT, tmp_path / "store.db"))
    that = Campaign.stored("color", Store(path))
    before = that.trials
    retracted = that.retract(1, "a bubble in the cuvette")
    assert (retracted.is_retracted, retracted.performed) == (True, before[0])
    again = Campaign.stored("color", Store(path))
    assert again.trials == [retracted, *before[1:]]
    assert list(again.log.performed) == before


def test_a_kept_store_that_cannot_be_written_has_no_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(shutil.copy(KEPT, tmp_path / "store.db"))
    monkeypatch.setattr("frugaltwin.store._is_writable", lambda path: False)
    that = Campaign.stored("color", Store(path))
    assert that.log.entries == []
    assert that.trials == that.log.performed
    with sqlite3.connect(path) as db:
        assert db.execute("pragma user_version").fetchone() == (2,)
    db.close()


def test_everything_in_a_campaign_looks_at_the_trials_as_they_stand() -> None:
    that = campaign(strategy="bayesian")
    best = that.best()
    assert best is not None
    assert best[0].number == 4
    that.retract(4, "the wrong loaf")
    that.amend(1, {"taste": 7.5}, "a typing mistake")
    best, record = that.best(), that.record()
    assert best is not None
    assert (best[0].number, best[1]) == (1, 7.5)
    assert record.best == best
    assert [t.remark for t in record.trials] == ["amended: a typing mistake", "", "", "retracted: the wrong loaf"]
    assert [that.score(t) for t in that.trials] == [7.5, 2.0, 3.0, None]
    assert that.state().trials == tuple(that.trials) == record.state.trials
    corrected = State(that.goal, [t for t in that.trials if t.measurement])
    assert that.predict([of(1.0)]).means["score"] == pytest.approx(that.model.predict(corrected, [of(1.0)]).means["score"])


def test_a_campaign_goes_on_from_the_trials_as_they_stand_and_its_driver_from_those_performed() -> None:
    told: list[list[Trial]] = []

    class Resuming(Baker):
        def resume(self, trials: Sequence[Trial]) -> None:
            told.append(list(trials))

    store = Store(":memory:")
    that = campaign(store, n=2)
    that.retract(2, "the wrong loaf")
    seen: list[State] = []

    class Looks:
        def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
            seen.append(state)
            return [Suggestion(of(9.0))] * count

    goes_on = Campaign("bread", Resuming(), that.goal, Looks(), store)
    next(goes_on.run())
    assert told == [store.trials("bread")[:2]]
    assert told[0][1].measurement is not None
    assert seen[0].trials == tuple(that.trials[:2])
    assert seen[0].trials[1].is_retracted


def test_retracted_trials_are_no_failures_of_the_rig() -> None:
    class Fails(Baker):
        def perform(self, settings: Settings) -> Measurement:
            raise OutOfBounds("no")

    store = Store(":memory:")
    that = Campaign("bread", Fails(), Maximize(BAKING, "taste"), catalog.make_strategy("random"), store)
    assert len(list(that.run())) == 5
    for number in range(1, 6):
        that.retract(number, "the oven was off")
    assert that.decide() is not None


def test_what_a_person_says_is_in_the_state() -> None:
    that = campaign()
    assert that.prefer(3, 4, "softer") == Preference(3, 4, "softer")
    assert that.reject(of(9.0), "too salty") == Rejection(of(9.0), "too salty")
    (proposed,) = that.suggest()
    state = that.state()
    assert state.preferences == (Preference(3, 4, "softer"),)
    assert state.rejections == (Rejection(of(9.0), "too salty"),)
    assert state.pending == (proposed.settings,)
    that.tell(proposed.settings, {"taste": 1.0})
    assert (that.state().rejections, that.state().pending) == ((), ())
    assert that.state().preferences == state.preferences


@pytest.mark.parametrize("strategy", ["random", "sobol", "bayesian"])
def test_what_was_suggested_is_under_way_and_not_suggested_again(strategy: str) -> None:
    that = campaign(strategy=strategy)
    (chosen,) = that.strategy.suggest(State(that.goal, that.trials))
    (first,) = that.suggest()
    (expected,) = that.explained([replace(chosen, settings=that.goal.experiment.readable(chosen.settings))])
    assert first == expected
    (second, third) = that.suggest(2)
    assert [x.entry for x in that.log.entries] == [Proposal(s.settings, s.why, by_hand=True) for s in (first, second, third)]
    asked = [first.settings, second.settings, third.settings]
    assert len({json.dumps(dict(s)) for s in asked}) == 3
    assert [s.settings for s in that.pending] == asked == list(that.state().pending)
    assert that.record().suggestion == first.settings
    that.tell(second.settings, {"taste": 1.0})
    assert [s.settings for s in that.pending] == [first.settings, third.settings]
    (other,) = that.suggest()
    assert other.settings not in asked
    that.reject(first.settings)
    assert [s.settings for s in that.pending] == [third.settings, other.settings]


BUNS = tuple({"flour": flour, "tray": tray} for flour in ("rye", "wheat") for tray in (1.0, 2.0, 3.0))
BUN = Experiment("buns", (Categorical("flour", ("rye", "wheat")), Discrete("tray", (1.0, 2.0, 3.0))), (Outcome("taste"),), candidates=BUNS)


class BunBaker(Baker):
    experiment = BUN


@pytest.mark.parametrize("strategy", ["random", "sobol", "composite"])
def test_of_a_list_nothing_is_suggested_twice_while_it_is_under_way(strategy: str) -> None:
    that = Campaign("buns", BunBaker(), Maximize(BUN, "taste"), catalog.make_strategy(strategy), Store(":memory:"))
    asked = [that.suggest()[0].settings for _ in BUNS]
    assert sorted(map(BUN.key, asked)) == sorted(map(BUN.key, BUNS))
    with pytest.raises(CampaignError, match="no settings to suggest one more: 6 suggestions are under way; tell their results, or reject"):
        that.suggest()
    assert len(that.pending) == 6
    that.tell(BUNS[4], {"taste": 1.0})
    assert len(that.pending) == 5
    that.tell(BUNS[4], {"taste": 2.0})  # of a list nothing is similar
    assert len(that.pending) == 5
    assert [s.settings for s in that.suggest()] == [BUNS[4]]  # everything else is under way


def test_a_rejected_suggestion_is_followed_by_another() -> None:
    that = campaign()
    (first,) = that.suggest()
    that.reject(first.settings, "we have no rye")
    (second,) = that.suggest()
    assert second.settings != first.settings
    assert that.state().pending == (second.settings,)


def test_a_person_goes_on_with_a_suggestion_after_a_correction() -> None:
    that = campaign(strategy="sobol", n=6)
    (before,) = that.suggest()
    that.retract(6, "the wrong loaf")
    (after,) = that.suggest()
    assert after != before
    assert that.state().pending == (before.settings, after.settings)
    old = log((3, Proposal(of(5.0))), (3, Proposal(of(6.0), by_hand=True)), (3, Retraction(1, "x")))
    assert under_way(old) == [of(6.0)]


def test_a_run_begins_with_what_was_suggested() -> None:
    that = campaign()
    (suggestion,) = that.suggest()
    done = next(that.run())
    assert done.settings == suggestion.settings
    assert that.state().pending == ()


def test_suggestions_of_a_campaign_without_trials_are_kept_and_make_way_with_its_words() -> None:
    store = Store(":memory:")
    that = campaign(store, n=0)
    that.suggest()
    assert len(store.entries("bread")) == 1
    Campaign("bread", Baker(), that.goal, that.strategy, store, specification=that.specification).suggest()
    assert len(store.entries("bread")) == 2
    other = Campaign("bread", Baker(), that.goal, that.strategy, store, specification=that.specification | {"seed": 7})
    other.suggest()
    assert len(store.entries("bread")) == 1
    other.tell(of(1.0), {"taste": 1.0})
    assert other.state().pending == ()


def test_corrections_are_checked_like_measurements() -> None:
    that = campaign()
    with pytest.raises(InvalidInput, match="say which outcomes of trial 1 were wrong"):
        that.amend(1, {}, "x")
    with pytest.raises(OutOfBounds, match="smell unknown"):
        that.amend(1, {"smell": 1.0}, "x")
    with pytest.raises(OutOfBounds, match="not a finite number"):
        that.amend(1, {"taste": float("nan")}, "x")
    with pytest.raises(InvalidInput, match="there is no trial 5"):
        that.amend(5, {"taste": 1.0}, "x")
    with pytest.raises(OutOfBounds, match="salt"):
        that.reject({"salt": 99.0, "flour": "rye"})
    assert that.log.entries == []


def test_nothing_is_said_about_a_campaign_that_is_open_elsewhere(tmp_path: Path) -> None:
    that = campaign(Store(tmp_path / "s.db"))
    said: list[Any] = [lambda: that.retract(1, "x"), lambda: that.prefer(1, 2), lambda: that.reject(of(1.0)), that.suggest]
    with Store(tmp_path / "s.db").locked("bread"):
        for say in said:
            with pytest.raises(CampaignError, match="open in another process"):
                say()
    assert that.log.entries == []


def test_many_results_are_told_at_once_or_none_of_them(tmp_path: Path) -> None:
    that = campaign(Store(tmp_path / "s.db"), n=1)
    results: list[dict[str, Any]] = [
        {"settings": of(5.0), "outcomes": {"taste": 2}},
        {"settings": of(6.0), "outcomes": None, "error": "burned"},
    ]
    told = that.tell_all(results)
    assert [(t.number, t.settings, t.error, t.source) for t in told] == [(2, of(5.0), None, "told"), (3, of(6.0), "burned", "told")]
    assert that.trials[1:] == told
    with pytest.raises(OutOfBounds, match="result 2: salt = 99 is outside"):
        that.tell_all([results[0], {"settings": of(99.0), "outcomes": {"taste": 2}}])
    assert that.tell_all([]) == []
    assert len(that.trials) == 3
