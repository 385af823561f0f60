"""Amounts: arithmetic, budgets of them, their form in files; and a new kind, which is one line."""

import json
import math
import pickle
import subprocess
import sys

import pytest
from pydantic import TypeAdapter

from frugaltwin.amounts import Amounts
from frugaltwin.budget import Budget
from frugaltwin.client.resources.schema import Price
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Measurement, Trial, total
from frugaltwin.store import trial_from_json, trial_json

TOOK = Amounts(seconds=90.0, money=0.013, volume=4.0)
TRIALS = [
    Trial(1, {"x": 0.5}, Measurement({"y": 1.0}, TOOK), None, TOOK),
    Trial(2, {"x": 0.6}, None, "it leaked", Amounts(seconds=10.0)),
]


def test_every_kind_has_a_name_a_unit_and_a_description() -> None:
    kinds = {kind.name: (kind.unit, kind.text) for kind in Amounts.kinds()}
    assert kinds["runs"] == ("", "experiments, failed ones included")
    assert kinds["volume"] == ("mL", "liquid with rinses, mL")
    assert [kind.name for kind in Amounts.cost_kinds()] == [name for name in kinds if name != "runs"]


def test_a_total_counts_the_failed_runs_too() -> None:
    assert total(TRIALS) == Amounts(runs=2, seconds=100.0, money=0.013, volume=4.0)


def test_what_is_left_of_a_kind_without_a_limit_is_without_limit() -> None:
    assert Budget(runs=5, volume=3.0).left(TRIALS) == Amounts(runs=3, seconds=math.inf, money=math.inf, volume=-1.0)


def test_what_is_beyond_a_budget_is_named() -> None:
    assert TOOK.beyond(Budget(seconds=90.0, volume=3.9)) == ("volume",)
    assert (TOOK + Amounts(runs=1)).beyond(Budget(runs=1).left(TRIALS[:1])) == ("runs",)


def test_a_budget_without_a_limit_of_one_kind_says_so_in_words_and_when_it_is_pickled() -> None:
    budget = Budget(runs=5, money=None)
    assert budget.limits == {"runs": 5}
    assert pickle.loads(pickle.dumps(budget)) == budget


@pytest.mark.parametrize("limits", [{"minutes": 3.0}, {"run": 3}])
def test_a_budget_of_an_unknown_kind_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="there are runs, seconds, money, volume"):
        Budget(**limits)


def test_a_cost_in_a_store_and_in_an_answer_has_no_runs() -> None:
    cost = {"seconds": 90.0, "money": 0.013, "volume": 4.0}
    body = json.loads(trial_json(TRIALS[0]))
    assert body["cost"] == body["measurement"]["cost"] == cost
    assert trial_from_json(json.dumps(body)) == TRIALS[0]
    adapter: TypeAdapter[Amounts] = TypeAdapter(Price)
    assert adapter.dump_python(TOOK) == cost
    assert adapter.validate_python(cost) == TOOK


ONE_LINE = '    energy: float = _kind("kJ", "electric energy", 1)\n'
WITH_ENERGY = """
import json, sys, types
from pathlib import Path

text = Path(sys.argv[1]).read_text()
before, line, after = text.partition('    volume: float = _kind(')
rest, newline, after = after.partition(chr(10))
module = types.ModuleType("frugaltwin.amounts")
sys.modules["frugaltwin.amounts"] = module
exec(compile(before + line + rest + newline + sys.argv[2] + after, "amounts.py", "exec"), vars(module))

from frugaltwin import Amounts, Campaign, CampaignSpec, Continuous, Experiment, Measurement, Minimize, Outcome, Store, make_strategy
from frugaltwin.cli.options import budget_fields
from frugaltwin.pictures.report import html
from frugaltwin.goals.trial_table import trial_columns, trial_rows


class Oven:
    experiment = Experiment("oven", (Continuous("x", 0, 1),), (Outcome("y"),))

    def __enter__(self): return self
    def __exit__(self, *failure): ...
    def stop(self): ...
    def perform(self, settings): return Measurement({"y": settings["x"]}, Amounts(energy=3.5))


spec = CampaignSpec.parse({"budget": budget_fields("energy=10")})
oven, store = Oven(), Store(":memory:")
campaign = Campaign("bake", oven, Minimize(oven.experiment, "y"), make_strategy("random"), store, spec.budget_or_default)
for trial in campaign.run(): pass
print(json.dumps({
    "why": campaign.stopped_because,
    "left": campaign.budget.left(campaign.trials).energy,
    "columns": trial_columns(campaign.goal),
    "is_in_report": "electric energy" in html(campaign.record()),
    "row": trial_rows(campaign.goal, store.trials("bake"))[0],
}))
"""


def test_a_new_kind_of_amount_is_one_line() -> None:
    import frugaltwin.amounts

    words = [sys.executable, "-c", WITH_ENERGY, frugaltwin.amounts.__file__, ONE_LINE]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert (found["why"], found["left"]) == ("budget: 10.5 kJ of 10 kJ used", -0.5)
    assert found["row"]["energy"] == 3.5
    assert "energy" in found["columns"]
    assert found["is_in_report"]
