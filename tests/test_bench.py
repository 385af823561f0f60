"""`frugaltwin bench`: plans, campaigns that are resumed wherever they were killed, and what is made of their trials."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugaltwin import catalog
from frugaltwin.bench import executor, report, timing
from frugaltwin.bench.functions import FUNCTIONS, FunctionDriver
from frugaltwin.bench.metrics import Trajectory, acceleration, enhancement, trajectories
from frugaltwin.bench.plan import Plan
from frugaltwin.bench.problems import Problem, Spoilt
from frugaltwin.bench.readme import SUITES, Home, seconds_table, tables
from frugaltwin.bench.results import Results
from frugaltwin.bench.shard import read_result, result_bytes
from frugaltwin.bench.statistics import comparisons, paired, seeds_needed, slowed
from frugaltwin.errors import FrugalTwinError, InvalidInput, MissingPart, UnknownName
from frugaltwin.experiment import Categorical, Measurement, Trial
from frugaltwin.goals.hypervolume import hypervolume
from frugaltwin.plugins import Resumes
from frugaltwin.state import State
from simulator.table import Table
from tests.forms import IS_LONG, times
from tests.service_database import until

DIAGRAM = Path(__file__).parent.parent / "benchmarks" / "data" / "phase_lens_441.csv"
SMALL = """
seeds = 6
budget = 5
strategies = ["random", "sobol"]

[problems.branin]
function = "branin"
noise = 0.1
reach = [20]
"""


TABLE = f"""driver = {{ name = "table", options = {{ path = "{DIAGRAM}", outcomes = "phase" }} }}
goal = "map:phase"
model = "label-propagation" """


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def plan(folder: Path, text: str = SMALL) -> Plan:
    path = folder / "small.toml"
    path.write_text(text)
    return Plan.read(path)


def bench(*words: str | Path, limit: int | None = None) -> subprocess.Popen[str]:
    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "frugaltwin", "bench", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limited)  # noqa: PLW1509


def n_done(read: Plan) -> int:
    return len(list(read.folder.glob("[!.]*")))


def killed_when_done(running: subprocess.Popen[str], read: Plan, wanted: int) -> None:
    until(lambda: n_done(read) >= wanted or running.poll() is not None, 300)
    running.kill()
    running.communicate()  # ends when the processes that it started have ended, too


def result(losses: list[float | None], optimum: float | None = 0.0, seed: int = 1, seconds: float = 60.0) -> dict[str, Any]:
    cost = {"seconds": seconds, "money": 0.1, "volume": 4.0}
    trials = [{"cost": cost, "losses": None if x is None else [x]} | ({"error": "spilt"} if x is None else {}) for x in losses]
    return {"words": {"seed": seed}, "optimum": optimum, "unit": "", "trials": trials}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("budget = 5", "bugdet = 5", "bugdet: there is no such field; did you mean 'budget'?"),
        ("noise = 0.1", "nose = 0.1", "problems.branin.nose: there is no such field; did you mean 'noise'?"),
        ('function = "branin"', 'function = "brannin"', "did you mean 'branin'?"),
        ('function = "branin"\nnoise = 0.1', 'driver = "color-mixin"', "problem branin: there is no driver 'color-mixin'; did you mean"),
        ('"sobol"', '"sobl"', "strategy sobl: there is no strategy 'sobl'; did you mean 'sobol'?"),
        ("seeds = 6", "seeds = { first = 5, count = 6 }", "seed 5 is both for development and for the report"),
        ("seeds = 6", 'seeds = 6\nbaseline = "best"', "baseline = 'best' is no strategy of the plan; there are random, sobol"),
        ("reach = [20]", "moved = true", "only the minimum of ackley4, ackley20, levy20 can be moved"),
        ("reach = [20]", "outliers = { share = 0.1 }", "either a share or one_of, and either a shift or a factor"),
        ("reach = [20]", 'driver = "lens"', "it takes one lab: a driver, a function or the number of a map of fields"),
        ("reach = [20]", 'goal = "minimize:y"', "problem branin: branin has no outcome 'y'"),
        ('function = "branin"\nnoise = 0.1', 'driver = "lens"\nper_seed = "sytem"', "problem branin: there is no option of lens 'sytem'"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_run_is_refused_before_anything_runs(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in SMALL
    with pytest.raises(FrugalTwinError) as refusal:
        plan(tmp_path, SMALL.replace(old, new)).shards()
    assert words in str(refusal.value)


def test_a_strategy_that_is_not_installed_is_named_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_peer.py").write_text("import surely_not_installed")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalog.KINDS["strategy"], "a-peer", "a_peer:Peer")
    with pytest.raises(MissingPart, match=r"strategy a-peer: .* needs the package 'surely_not_installed'; install it with"):
        plan(tmp_path, SMALL.replace('"sobol"', '"a-peer"')).shards()
    read = plan(tmp_path, SMALL.replace('"sobol"', '"a-peer"'))
    with pytest.raises(MissingPart, match=r"or compare without it: random$"):
        read.shards()
    assert {shard.strategy for shard in read.only(["random"]).shards()} == {"random"}
    with pytest.raises(InvalidInput, match=r"the plan has no strategy 'rndom'; it has random, a-peer"):
        read.only(["rndom"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_place_is_lower_than_the_stated_minimum(name: str) -> None:
    function = FUNCTIONS[name]
    driver = FunctionDriver(name)
    place = {p.name: p.values[int(x)] if isinstance(p, Categorical) else x for p, x in zip(function.parameters, function.at, strict=True)}
    assert driver.truth(driver.experiment.check(place))["f"] == pytest.approx(function.minimum, abs=1e-6)
    state = State(catalog.make_goal("minimize:f", driver))
    drawn = [s.settings for s in catalog.make_strategy("random", seed=0).suggest(state, times(200, 5000))]
    near = [{n: v if isinstance(v, str) else v + 0.01 * (float(s[n]) - v) for n, v in place.items()} for s in drawn]
    near = [s for s in near if name != "mixed"]  # its levels are not near each other
    assert min(float(driver.truth(s)["f"]) for s in [*drawn, *near]) >= function.minimum - 1e-9


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if function.can_move])
def test_a_minimum_that_is_moved_is_elsewhere_for_each_seed_and_as_low(name: str) -> None:
    function, lowest = FUNCTIONS[name], []
    for seed in (1, 2):
        driver = FunctionDriver(name, seed=seed, is_moved=True)
        lowest.append(np.array(function.at) + driver.shift)
        at = driver.experiment.check({p.name: float(x) for p, x in zip(function.parameters, lowest[-1], strict=True)})
        assert driver.truth(at)["f"] == pytest.approx(function.minimum, abs=1e-6)
    assert np.abs(lowest[0] - lowest[1]).min() > 0


def test_outliers_are_those_of_the_seed_whether_a_campaign_goes_on_or_not() -> None:
    def lab() -> Spoilt:
        return Spoilt(FunctionDriver("branin"), 5, share=0.15, shift=100.0)

    at = {"x1": 1.0, "x2": 2.0}
    true = float(FunctionDriver("branin").truth(at)["f"])
    with lab() as whole:
        read = [float(whole.perform(at).outcomes["f"]) for _ in range(200)]
    outliers = [k for k, y in enumerate(read, start=1) if whole.is_outlier(k)]
    assert 15 <= len(outliers) <= 45
    assert {round(abs(y - true), 6) for k, y in enumerate(read, start=1) if k in outliers} == {100.0}
    assert {y for k, y in enumerate(read, start=1) if k not in outliers} == {true}
    resumed = lab()
    resumed.resume([Trial(k, at, Measurement({"f": y})) for k, y in enumerate(read[:50], start=1)])
    with resumed:
        assert [resumed.perform(at).outcomes["f"] for _ in range(20)] == read[50:70]
    one = [Spoilt(FunctionDriver("branin"), seed, one_of=(3, 9), factor=(10, 1e6)) for seed in range(20)]
    numbers = [[k for k in range(1, 30) if spoilt.is_outlier(k)] for spoilt in one]
    assert all(len(found) == 1 and 3 <= found[0] <= 9 for found in numbers)
    assert len({found[0] for found in numbers}) > 3


def test_a_drift_goes_on_where_a_campaign_does_and_is_none_for_the_judge(tmp_path: Path) -> None:
    words = {"function": "branin", "noise": 0.5, "drift": 0.25, "budget": {"runs": 5}}
    steady, problem = Problem({**words, "drift": 0.0}, str(tmp_path)).driver(3), Problem(words, str(tmp_path))
    at = {"x1": 1.0, "x2": 2.0}
    with steady, problem.driver(3) as lab:
        readings = [lab.perform(at) for _ in range(5)]
        gained = [float(r.outcomes["f"]) - float(steady.perform(at).outcomes["f"]) for r in readings]
    assert gained == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    resumed = problem.driver(3)
    assert isinstance(resumed, Resumes)
    resumed.resume([Trial(k, at, reading) for k, reading in enumerate(readings[:3], start=1)])
    with resumed:
        assert resumed.perform(at) == readings[3]
    assert problem.judge(resumed, problem.goal(resumed, 3)).truth(at) == FunctionDriver("branin").truth(at)


def test_batches_intervals_and_outliers_are_judged(tmp_path: Path) -> None:
    text = """
    seeds = 1
    budget = 5
    strategies = ["straddle", "sobol"]
    [problems.front]
    driver = "cloud-point"
    goal = "map:turbidity:0.3"
    intervals = true
    batch = 2
    outliers = { share = 0.5, shift = 0.2 }
    """
    read = plan(tmp_path, text)
    read.folder.mkdir()
    for shard in read.shards():
        (read.folder / shard.file).write_bytes(result_bytes(shard))
    results = Results.gathered(read, read.shards())
    trials = results.campaigns["front", "straddle"][0]["trials"]
    assert len(trials) == 5
    assert [len(t.get("inside", ())) for t in trials] == [0, *[2] * 4], "nothing is stated before the first reading"
    assert {t["outlier"] for t in trials} == {True, False}
    straddle, sobol = results.rows()
    assert straddle["in 90 % intervals"].endswith(" %")
    assert "in 90 % intervals" not in sobol


def test_a_function_reads_the_same_whether_it_goes_on_or_not() -> None:
    at = {"x1": 1.0, "x2": 2.0}
    with FunctionDriver("branin", 0.5, seed=3) as whole:
        readings = [whole.perform(at) for _ in range(3)]
    resumed = FunctionDriver("branin", 0.5, seed=3)
    resumed.resume([Trial(k, at, reading) for k, reading in enumerate(readings[:2], start=1)])
    with resumed:
        assert resumed.perform(at) == readings[2]
    assert len({r.outcomes["f"] for r in readings}) == 3


def test_a_campaign_is_named_by_what_its_result_depends_on(tmp_path: Path) -> None:
    shards = plan(tmp_path).shards()
    assert len({s.file for s in shards}) == len(shards) == 12
    other = plan(tmp_path, SMALL.replace("reach = [20]", "reach = [7]")).shards()
    assert [s.file for s in other] == [s.file for s in shards], "another level to show changes no campaign"
    assert {s.file for s in plan(tmp_path, SMALL.replace("0.1", "0.2")).shards()}.isdisjoint(s.file for s in shards)


@pytest.mark.timing
def test_bytes_are_the_same_whenever_it_was_killed_and_on_however_many_processes(tmp_path: Path) -> None:
    read = plan(tmp_path, SMALL.replace("seeds = 6", f"seeds = {times(8, 60)}"))
    shards = read.shards()
    moments = random.Random(16)
    for _ in range(times(1, 10)):
        killed_when_done(bench("run", read.path, "--jobs", "2"), read, n_done(read) + moments.randint(1, 4))
    assert executor.missing(shards, read.folder)
    ended = bench("run", read.path, "--jobs", "2")
    out, said = ended.communicate()
    assert ended.returncode == 0, said
    assert str(read.path.with_suffix(".json")) in out
    assert {p.name for p in read.folder.iterdir()} - {".lock"} == {s.file for s in shards}
    assert all((read.folder / s.file).read_bytes() == result_bytes(s) for s in shards)


def test_a_full_disk_is_one_sentence_and_nothing_is_left_half_written(tmp_path: Path) -> None:
    read = plan(tmp_path)
    ended = bench("run", read.path, "--jobs", "1", limit=1000)
    _, said = ended.communicate()
    assert ended.returncode == 2
    assert said.splitlines()[-1].startswith("frugaltwin: cannot write ")
    assert "Traceback" not in said
    assert {p.name for p in read.folder.iterdir()} == {".lock"}


@pytest.mark.timing
def test_a_killed_process_is_one_sentence_and_what_was_finished_is_kept(tmp_path: Path) -> None:
    read = plan(tmp_path, SMALL.replace("seeds = 6", "seeds = 2000"))
    running = bench("run", read.path, "--jobs", "1")
    until(lambda: n_done(read) > 0, 300)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    for pid in workers:
        os.kill(int(pid), signal.SIGKILL)
    _, said = running.communicate()
    assert running.returncode == 2
    assert "a process of the run was killed" in said
    assert n_done(read) > 0


@contextmanager
def cluster(folder: Path, n_workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and workers of one thread on this machine, with the scheduler first."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'frugaltwin[dask]'")
    started = list[subprocess.Popen[bytes]]()

    def start(*words: str) -> None:
        with (folder / f"{len(started)}.log").open("wb") as log:
            command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONWARNINGS": "ignore"}))

    said = folder / "scheduler.json"

    def is_said() -> bool:  # the scheduler does not write it at once
        with suppress(OSError, ValueError):
            return "address" in json.loads(said.read_text())
        return False

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(said))
        until(is_said, 300)
        address = json.loads(said.read_text())["address"]
        for _ in range(n_workers):
            start("worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        yield address, started
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.parametrize("n_workers", [2] if not IS_LONG else [1, 2, 3])
def test_a_cluster_gives_the_same_bytes_when_a_worker_is_killed_and_what_is_finished_is_kept_when_it_goes(
    n_workers: int, tmp_path: Path
) -> None:
    read = plan(tmp_path, SMALL.replace("seeds = 6", "seeds = 20"))
    with cluster(tmp_path, n_workers) as (address, (scheduler, *workers)):
        running = bench("run", read.path, "--dask", address)
        try:
            until(lambda: n_done(read) >= 4 or running.poll() is not None, 600)
            if n_workers > 1:
                workers[0].kill()  # one that performs a campaign: its campaigns are performed by another
                until(lambda: n_done(read) >= 16 or running.poll() is not None, 600)
        finally:
            scheduler.kill()
            _, said = running.communicate()
    assert running.returncode == 2, said
    assert said.splitlines()[-1] == (f"frugaltwin: the Dask cluster at {address} has gone; what was finished is kept: run it again"), said
    assert 4 <= n_done(read) < 40
    ended = bench("run", read.path, "--jobs", "1")
    _, said = ended.communicate()
    assert ended.returncode == 0, said
    assert all((read.folder / s.file).read_bytes() == result_bytes(s) for s in read.shards())


def test_an_address_without_a_cluster_and_a_cluster_without_workers_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, shards = plan(tmp_path), plan(tmp_path).shards()
    monkeypatch.setattr(executor, "CONNECTS_WITHIN", 1)
    monkeypatch.setattr(executor, "WORKERS_WITHIN", 0)
    with cluster(tmp_path, 0) as (address, _), pytest.raises(FrugalTwinError, match="has no workers; start some with `dask worker tcp://"):
        executor.perform_on(address, shards, read.folder, lambda shard: None)
    with pytest.raises(FrugalTwinError, match=r"there is no Dask scheduler at tcp://127.0.0.1:\d+; start one with `dask scheduler`"):
        executor.perform_on(address, shards, read.folder, lambda shard: None)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        MissingPart, match=r"a Dask cluster needs the package 'distributed'; install it with pip install 'frugaltwin\[dask\]'"
    ):
        executor.perform_on(address, shards, read.folder, lambda shard: None)


def test_two_runs_of_a_plan_do_not_meet(tmp_path: Path) -> None:
    read = plan(tmp_path)
    with executor.alone_in(read.folder), pytest.raises(FrugalTwinError, match="another process is running this plan"):
        executor.perform([], read.folder, 1, lambda shard: None)


def test_a_result_holds_the_trials_and_no_time_of_day(tmp_path: Path) -> None:
    (shard, *_) = plan(tmp_path, SMALL.replace('function = "branin"\nnoise = 0.1', 'driver = "color-mixing"\nper_seed = "system"')).shards()
    assert shard.words["problem"]["per_seed"] == ["system"]
    body = json.loads(result_bytes(shard))
    assert len(body["trials"]) == 5
    assert all(t["cost"]["seconds"] > 0 and t["losses"][0] > 0 and t["outcomes"] for t in body["trials"])
    assert "finished_at" not in result_bytes(shard).decode()


@pytest.mark.parametrize("strategy", ["random", "label-propagation"])
def test_a_map_is_judged_after_every_trial_from_a_common_start(strategy: str, tmp_path: Path) -> None:
    text = f"""
    seeds = 1
    budget = 9
    strategies = ["{strategy}"]
    [problems.lens]
    driver = {{ name = "table", options = {{ path = "{DIAGRAM}", outcomes = "phase" }} }}
    goal = "map:phase"
    start = 5
    model = "label-propagation"
    """
    (shard,) = plan(tmp_path, text).shards()
    trials = json.loads(result_bytes(shard))["trials"]
    assert len({t["outcomes"]["phase"] for t in trials[:5]}) == 2
    assert ["right" in t for t in trials] == [False] * 4 + [True] * 5
    assert all(0 < t["f1"] <= 1 for t in trials[4:])
    assert trials[-1]["right"] > 0.5


def test_what_a_table_records_is_its_mean_and_its_most_frequent_label(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y,phase\n1,2,a\n1,4,b\n1,3,b\n2,5,a\n3,,a\n")
    table = Table(path=path, outcomes="y,phase")
    assert [table.recorded({"x": float(k)}) for k in (1, 2, 3)] == [{"y": 3.0, "phase": "b"}, {"y": 5.0, "phase": "a"}, None]


def test_regret_counts_runs_lab_time_and_money_and_failures_are_not_dropped() -> None:
    (found,) = trajectories({"a": [result([None, 8.0, 9.0, 2.0], 1.0)], "b": [result([9.0], 1.0)]})["a"]
    assert found.gaps.tolist() == [8.0, 7.0, 7.0, 1.0], "before the first success it is the worst of all"
    assert found.n_failed == 1
    assert (found.until(7.0), found.until(1.0), found.until(0.5)) == (2.0, 4.0, math.inf)
    assert [found.until(1.0, "seconds"), found.until(1.0, "money")] == pytest.approx([240.0, 0.4])
    assert found.area(4) == pytest.approx((8 + 7 + 7 + 1) / 4)
    assert found.area(6) == pytest.approx((8 + 7 + 7 + 1 * 3) / 6), "a campaign that ended keeps its last gap"
    assert found.area(360, "seconds") == pytest.approx((8 + 7 + 7 + 1 + 1) / 5), "after the first trial it holds until the next one ends"


def test_without_a_known_optimum_the_best_that_anybody_found_takes_its_place() -> None:
    found = trajectories({"a": [result([5.0, 3.0], None)], "b": [result([4.0, 2.0], None)]})
    assert found["a"][0].gaps.tolist() == [3.0, 1.0]
    assert found["b"][0].gaps.tolist() == [2.0, 0.0]


def test_a_front_lacks_what_it_does_not_dominate() -> None:
    one, other = result([]), result([])
    one["trials"] = [{"cost": {"seconds": 0, "money": 0, "volume": 0}, "losses": x} for x in ([0.0, 1.0], [1.0, 0.0])]
    other["trials"] = [{"cost": {"seconds": 0, "money": 0, "volume": 0}, "losses": x} for x in ([0.5, 0.5], [2.0, 2.0])]
    found = trajectories({"a": [one], "b": [other]})
    whole = hypervolume(np.array([[0, 1], [1, 0], [0.5, 0.5]]) / 2)
    assert found["a"][0].gaps.tolist() == pytest.approx([1 - 0.5 / whole, 1 - 0.75 / whole])
    assert found["b"][0].gaps.tolist() == pytest.approx([1 - 0.5625 / whole] * 2)


def test_hypervolume_in_three_objectives_is_that_of_counted_cells() -> None:
    losses = np.random.default_rng(2).integers(0, 10, (12, 3)) / 10
    cells = np.stack(np.meshgrid(*[(np.arange(10) + 0.5) / 10] * 3), axis=-1).reshape(-1, 1, 3)
    assert hypervolume(losses) == pytest.approx(np.any(np.all(losses <= cells, axis=2), axis=1).mean())


def test_acceleration_and_enhancement_compare_medians_and_count_what_was_never_reached() -> None:
    found = trajectories({"fast": [result([4.0, 1.0, 0.5])] * 3, "slow": [result([8.0, 6.0, 4.0])] * 3})
    assert acceleration(found["fast"], found["slow"], [4.0, 1.0, 0.1]) == pytest.approx([3.0, math.inf, math.nan], nan_ok=True)
    assert enhancement(found["fast"], found["slow"], [1, 3]) == [2.0, 8.0]


def test_a_file_of_results_says_all_that_its_shards_say(tmp_path: Path) -> None:
    read = plan(tmp_path, SMALL.replace("seeds = 6", "seeds = 2"))
    shards = read.shards()
    read.folder.mkdir()
    for shard in shards[:3]:
        (read.folder / shard.file).write_bytes(result_bytes(shard))
    gathered = Results.gathered(read, shards)
    assert (gathered.n_campaigns, gathered.n_missing) == (3, 1)
    path = tmp_path / "small.json"
    gathered.write(path)
    kept = Results.read(path)
    assert kept.rows() == gathered.rows()
    assert kept.described("branin") == gathered.described("branin")
    again = tmp_path / "again.json"
    kept.write(again)
    assert again.read_bytes() == path.read_bytes()


def _other_version(path: Path) -> None:
    path.write_text(json.dumps({"kind": "frugaltwin bench results", "format": 99}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_other_version, "has results of version 99, and this frugaltwin reads version 1; run the plan again"),
        (lambda path: path.write_text("{}"), "is no file of results"),
        (lambda path: path.write_text("{"), "is neither a plan"),
        (lambda path: None, "No such file"),
    ],
)
def test_a_file_that_is_no_result_of_this_version_is_refused(spoil: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    spoil(tmp_path / "r.json")
    with pytest.raises(InvalidInput, match=words):
        Results.read(tmp_path / "r.json")


def test_a_spoilt_shard_is_named(tmp_path: Path) -> None:
    read = plan(tmp_path)
    shards = read.shards()
    read.folder.mkdir()
    (read.folder / shards[0].file).write_text("{")
    with pytest.raises(InvalidInput, match="delete it and run the plan again"):
        Results.gathered(read, shards)
    with pytest.raises(InvalidInput, match="no result"):
        read_result(read.folder / shards[0].file)


PAGE = """# Before

<!-- bench color -->
An earlier version.
<!-- end -->

between

<!-- bench maps -->
to be kept
<!-- end -->
after
"""


def test_a_table_of_the_readme_is_made_of_results_that_are_stored(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "benchmarks" / "suites").mkdir(parents=True)
    home.readme.write_text(PAGE)
    text = SMALL.replace("reach = [20]", "reach = [20]\nrecommend = [5]").replace('"sobol"]', '"sobol", "optuna"]')
    (tmp_path / "benchmarks" / "suites" / "color.toml").write_text(text)
    read, left_out = home.plan("color", is_night=False)
    assert not left_out
    shards = read.shards()
    assert len(shards) == 5 * 2, "over a coffee there are five seeds and no peers"
    read.folder.mkdir()
    for shard in shards:
        (read.folder / shard.file).write_bytes(result_bytes(shard))
    results = Results.gathered(read, shards)
    home.stored("color").parent.mkdir()
    results.write(home.stored("color"))
    made = tables({"color": Results.read(home.stored("color"))})
    assert made == tables({"color": results})
    head, _, *rows = made["color"].splitlines()[2:]
    assert head == "|  | within 20 | recommended after 5 |"
    assert [row.split(" | ")[0] for row in rows] == ["| random", "| sobol"]
    assert made["color"].startswith("Seeds 100 to 104; digest of the sources `")
    home.write(made)
    assert home.blocks() == {"color": made["color"], "maps": "to be kept"}
    assert home.readme.read_text() == PAGE.replace("An earlier version.", made["color"])


def test_a_strategy_that_is_not_installed_is_left_out_of_the_readme_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks" / "suites").mkdir(parents=True)
    (tmp_path / "benchmarks" / "suites" / "maps.toml").write_text(SMALL.replace('"sobol"', '"a-peer"'))
    (tmp_path / "a_peer.py").write_text("import surely_not_installed")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalog.KINDS["strategy"], "a-peer", "a_peer:Peer")
    read, left_out = Home(tmp_path).plan("maps", is_night=True)
    assert {shard.strategy for shard in read.shards()} == {"random"}
    assert len(read.shards()) == 6
    assert len(left_out) == 1
    assert "maps: left out, for the strategy a-peer needs the package 'surely_not_installed'" in left_out[0]


def test_the_readme_is_made_in_a_checkout_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InvalidInput, match="is no checkout of the sources: README's plans are in its folder benchmarks/suites; change to one"
    ):
        Home.here()


def test_the_tables_of_our_readme_are_those_of_the_results_that_are_kept() -> None:
    home = Home(Path(__file__).parents[1])
    blocks = home.blocks()
    assert blocks.keys() == {*SUITES, "seconds"} - {"map_signal"}
    kept = tables({suite: Results.read(home.stored(suite)) for suite in SUITES if home.stored(suite).exists()})
    if home.seconds.exists():
        kept["seconds"] = seconds_table(home.seconds)
    for name, text in blocks.items():
        if name in kept:
            assert text == kept[name], f"{name}: run frugaltwin bench readme --night"
        else:
            assert text.startswith("An earlier version"), f"{name} stands on no results that are kept"


def test_every_plan_that_is_shipped_can_be_run() -> None:
    for path in sorted((Path(__file__).parents[1] / "benchmarks" / "suites").glob("*.toml")):
        read = Plan.read(path)
        ours = [name for name, spec in read.spec.strategies.items() if (spec.strategy.name if spec.strategy else name) not in catalog.PEERS]
        assert ours, path
        assert read.only(ours).shards(), path


def test_seconds_are_those_of_suggestions_and_a_busy_machine_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FrugalTwinError, match=r"the machine was busy: the suggestions took 2.0 times their own time, so nothing is kept"):
        timing.check_idle(4.0, 2.0)
    monkeypatch.setattr(timing, "SIZES", (5, 500))
    monkeypatch.setattr(timing, "BUSY", math.inf)
    read = plan(tmp_path, SMALL.replace('function = "branin"\nnoise = 0.1', TABLE))
    problems, strategies = read.words(0)
    (of,) = timing.seconds(problems, strategies, str(tmp_path)).values()
    assert {name: len(found) for name, found in of.items()} == {"random": 2, "sobol": 2}
    assert all(s > 0 for found in of.values() for s in found)


def test_other_code_or_more_threads_give_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    shard = plan(tmp_path).shards()[0]
    with pytest.raises(InvalidInput, match="other code"):
        result_bytes(replace(shard, words={**shard.words, "code": "0"}))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with pytest.raises(InvalidInput, match="several threads"):
        result_bytes(shard)


def test_an_unknown_outcome_is_refused_with_the_problem(tmp_path: Path) -> None:
    with pytest.raises((UnknownName, InvalidInput), match="problem branin"):
        plan(tmp_path, SMALL.replace("reach = [20]", 'goal = "map:phase"')).shards()


def courses(n: int, seed: int, by: float = 0.0) -> list[Trajectory]:
    """Made-up campaigns: a gap that falls by a tenth a run, from a start that a seed's lab sets, and noise of their own."""
    labs, own = np.random.default_rng(99).normal(0, 1, n), np.random.default_rng(seed)
    runs = np.arange(1.0, 41.0)
    found = [
        Trajectory(k, np.exp(labs[k] + own.normal(0, 0.1) - 0.1 * runs), {"runs": runs}, 0, {}, None) for k in range(n)
    ]  # fmt: skip
    return [slowed(t, by) for t in found] if by else found


def log_area(trajectory: Trajectory) -> float:
    return float(np.log(trajectory.area(40)))


def test_a_strategy_is_not_distinguishable_from_itself() -> None:
    n_tries = times(100, 1000)
    found = [comparisons({"again": paired(courses(20, 2 * k), courses(20, 2 * k + 1), log_area)})[0].verdict for k in range(n_tries)]
    assert found.count("not distinguishable") >= 0.95 * n_tries


def test_a_planted_slow_down_is_found_with_the_number_of_seeds_that_is_named_beforehand() -> None:
    n = seeds_needed(courses(60, 1), courses(60, 2), log_area)
    assert n is not None
    assert 5 <= n <= 60, n
    n_tries = times(30, 500)
    found = [comparisons({"slow": paired(courses(n, 2 * k, 0.1), courses(n, 2 * k + 1), log_area)})[0].verdict for k in range(n_tries)]
    assert found.count("worse") >= 0.7 * n_tries
    assert "better" not in found


def test_a_slow_down_that_noise_hides_needs_more_seeds_than_there_are() -> None:
    noisy = [Trajectory(k, np.full(40, gap), {"runs": np.arange(1.0, 41.0)}, 0, {}, None) for k, gap in enumerate(range(1, 60))]
    assert seeds_needed(noisy, noisy[::-1], log_area) is None


def test_a_strategy_that_is_better_on_every_seed_is_called_better_and_the_correction_counts_strategies() -> None:
    differences = {
        "good": [-1.0, -2.0, -1.5, -3.0, -2.5, -1.2, -0.7, -2.2],
        "same": [0.0] * 8,
        "bad": [1.0, 2.0, 1.5, 3.0, 2.5, 1.2, 0.7, 2.2],
    }
    verdicts = {c.strategy: c for c in comparisons(differences)}
    assert {name: c.verdict for name, c in verdicts.items()} == {"good": "better", "same": "not distinguishable", "bad": "worse"}
    assert verdicts["same"].p == 1.0
    assert verdicts["good"].p > comparisons({"good": differences["good"]})[0].p
    assert verdicts["good"].low <= -1.75 <= verdicts["good"].high < 0


def stored(folder: Path) -> Path:
    """A file of results with a hostile name in it."""
    text = SMALL.replace("problems.branin", 'problems."<b>branin"').replace("seeds = 6", "seeds = 5")
    read = plan(folder, text)
    shards = read.shards()
    read.folder.mkdir()
    for shard in shards:
        (read.folder / shard.file).write_bytes(result_bytes(shard))
    Results.gathered(read, shards).write(folder / "small.json")
    return folder / "small.json"


def test_a_report_works_offline_and_says_everything_in_words_and_tables_too(tmp_path: Path) -> None:
    results = Results.read(stored(tmp_path))
    page = report.html(results)
    assert "//" not in re.sub(r"data:image/svg[^\"]*", "", page)
    assert "<b>" not in page
    assert page.count("<img") == page.count("alt=") == 2
    (verdict,) = results.verdicts("<b>branin")
    assert verdict in report.markdown(results)
    assert [row["strategy"] for row in csv.DictReader(report.table(results).splitlines())] == ["random", "sobol"]
    assert report.html(results) == page
    with pytest.raises(InvalidInput, match=r"ends in .html, .md, .csv"):
        report.write(results, tmp_path / "r.txt")
