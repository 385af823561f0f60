"""Commands that compare strategies."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frugaltwin.cli.console import INTERRUPTED, say, show_line, show_rows
from frugaltwin.cli.options import AsJson
from frugaltwin.errors import CampaignError, InvalidInput

if TYPE_CHECKING:
    from frugaltwin.bench.plan import Plan, Shard
    from frugaltwin.bench.results import Results
    from frugaltwin.bench.timing import Seconds

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Compare strategies: problems × strategies × seeds."
)

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan (TOML); see docs/bench.md.")]
Source = Annotated[Path, typer.Argument(metavar="FILE", help="A plan (TOML), for what is there so far; or its file of results (JSON).")]
Only = Annotated[str | None, typer.Option(metavar="NAMES", help="Strategies of the plan, such as bayesian,random, in place of all.")]
Development = Annotated[bool, typer.Option("--development", help="The seeds for choosing and tuning, which no report counts.")]


@app.command()
def run(
    plan: PlanFile,
    jobs: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes, one thread each; as many as cores without it.")] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="In place of processes here: a Dask cluster, by its scheduler.")
    ] = None,
    only: Only = None,
    development: Development = False,
    time: Annotated[bool, typer.Option("--time", help="Seconds per suggestion in place of campaigns; on an idle machine only.")] = False,
    as_json: AsJson = False,
) -> int:
    """Run what is missing of a plan, and say how the strategies compare. Stopped or killed, the same command goes on."""
    from frugaltwin.bench import executor
    from frugaltwin.bench.plan import Plan
    from frugaltwin.bench.results import Results
    from frugaltwin.catalog import check_packages
    from frugaltwin.checks import check_writable

    if jobs and dask:
        raise InvalidInput(
            "--jobs are processes of this machine, and --dask has workers of its own; leave one of the two out", field="dask"
        )
    check_packages()
    os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    read = Plan.read(plan) if only is None else Plan.read(plan).only(_names(only))
    if time:
        return _time(read, as_json)
    shards = read.shards(development)
    out = read.path.with_suffix(".development.json" if development else ".json")
    check_writable(out)
    todo = executor.missing(shards, read.folder)
    n_jobs = min(jobs or _cores(), max(len(todo), 1))
    where = f"the Dask cluster at {dask}" if dask else f"{n_jobs} process{'es' if n_jobs > 1 else ''}"
    say(f"{plan}: {len(todo)} of {len(shards)} campaigns to run" + (f" on {where}" if todo else ""))
    if not development:
        _say_what_can_be_found(read.path.with_suffix(".development.json"))
    try:
        with _shown(len(todo), as_json) as done:
            if todo and dask:
                executor.perform_on(dask, todo, read.folder, done)
            elif todo:
                executor.perform(todo, read.folder, n_jobs, done)
    except KeyboardInterrupt:
        say(f"Stopped; every finished campaign is kept. Go on with: frugaltwin bench run {plan}")
        return INTERRUPTED
    results = Results.gathered(read, shards, development)
    results.write(out)
    _show(results, as_json)
    if not as_json:
        show_line(str(out))
    return 0


@app.command()
def show(file: Source, only: Only = None, development: Development = False, as_json: AsJson = False) -> None:
    """Show how the strategies of a plan compare, also while it runs."""
    _show(_results(file, development, only), as_json)


@app.command()
def report(
    file: Source,
    only: Only = None,
    development: Development = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Ends in .html, .md or .csv; PLAN.html by default.")] = None,
) -> None:
    """Write the comparison as one HTML file with tables and plots, or its tables as Markdown or CSV."""
    from frugaltwin.bench.report import write

    path = out or file.with_suffix(".html")
    write(_results(file, development, only), path)
    show_line(str(path))


@app.command()
def readme(
    night: Annotated[
        bool, typer.Option("--night", help="All seeds and all peers that are installed; writes README and the results that it stands on.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes, one thread each; as many as cores without it.")] = None,
) -> int:
    """Make README's comparisons of strategies again, in a checkout of the sources: over a coffee, to look at, or over a night, to keep."""
    from frugaltwin.bench import executor
    from frugaltwin.bench.readme import SUITES, Home, seconds_table, tables
    from frugaltwin.bench.results import Results

    home, found = Home.here(), dict[str, Results]()
    for suite in SUITES:
        plan, left_out = home.plan(suite, night)
        for sentence in left_out:
            say(sentence)
        shards = plan.shards()
        todo = executor.missing(shards, plan.folder)
        say(f"{suite}: {len(todo)} of {len(shards)} campaigns to run")
        try:
            with _shown(len(todo), False) as done:
                if todo:
                    executor.perform(todo, plan.folder, min(jobs or _cores(), len(todo)), done)
        except KeyboardInterrupt:
            say("Stopped; every finished campaign is kept. The same command goes on.")
            return INTERRUPTED
        found[suite] = Results.gathered(plan, shards)
        if night:
            home.stored(suite).parent.mkdir(exist_ok=True)
            found[suite].write(home.stored(suite))
    made = tables(found)
    if night:
        try:
            _timed(home.plan(SUITES[0], night)[0], home.seconds)
            made["seconds"] = seconds_table(home.seconds)
        except CampaignError as error:
            say(str(error))
    for text in made.values():
        show_line(f"\n{text}")
    if night:
        home.write(made)
        say(f"{home.readme} has these tables now, and {home.stored(SUITES[0]).parent} the results")
    return 0


def _time(plan: Plan, as_json: bool) -> int:
    """Show the seconds per suggestion of the strategies of a plan; they are kept beside it in a file of their own."""
    from frugaltwin.bench.timing import SIZES

    out = plan.path.with_suffix(".seconds.json")
    for problem, of in _timed(plan, out).items():
        if not as_json:
            show_line(f"\n{problem}: seconds per suggestion after n trials, one thread")
        rows = [
            {"strategy": name, **{f"n = {n}": float(f"{s:.3g}") for n, s in zip(SIZES, times, strict=True)}} for name, times in of.items()
        ]
        show_rows([{"problem": problem} | row for row in rows] if as_json else rows, as_json)
    if not as_json:
        show_line(str(out))
    return 0


def _timed(plan: Plan, out: Path) -> Seconds:
    """Time suggestions, and keep the seconds in a file."""
    from frugaltwin.bench import code, executor
    from frugaltwin.bench.shard import write_atomically
    from frugaltwin.bench.timing import SIZES, seconds

    problems, strategies = plan.words(plan.spec.seeds.first)
    found = executor.apart(seconds, problems, strategies, str(plan.path.absolute().parent))
    body = {"code": code.digest(), "versions": dict(code.versions()), "sizes": SIZES, "seconds": found}
    write_atomically(out, json.dumps(body, indent=1).encode() + b"\n")
    return found


def _say_what_can_be_found(path: Path) -> None:
    """Name the number of seeds that a slow-down by a tenth takes, where development seeds have been run."""
    from frugaltwin.bench.results import Results

    if path.exists():
        earlier = Results.read(path)
        for problem in earlier.trajectories:
            if needed := earlier.seeds_needed(problem):
                say(f"{problem}: a slow-down by a tenth of {earlier.baseline} is found with {needed}, by the development seeds")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _results(file: Path, development: bool, only: str | None) -> Results:
    from frugaltwin.bench.plan import Plan
    from frugaltwin.bench.results import Results
    from frugaltwin.catalog import check_packages

    check_packages()
    if file.suffix != ".toml":
        results = Results.read(file)
        if only is not None:
            results = results.only(_names(only))
    else:
        plan = Plan.read(file) if only is None else Plan.read(file).only(_names(only))
        results = Results.gathered(plan, plan.shards(development), development)
    if not results.n_campaigns:
        raise InvalidInput(f"none of the campaigns of {file} has been run with this version; run them with: frugaltwin bench run {file}")
    return results


def _show(results: Results, as_json: bool) -> None:
    """The tables, one a problem."""
    rows = results.rows()
    if as_json:
        for row in rows:
            show_line(json.dumps({"event": "strategy"} | row, ensure_ascii=False))
        for problem in results.trajectories:
            for one in results.comparisons(problem):
                words = asdict(one) | {"problem": problem, "baseline": results.baseline, "verdict": one.verdict}
                show_line(json.dumps({"event": "comparison"} | words, ensure_ascii=False))
        return
    for remark in results.remarks():
        show_line(remark)
    for problem in results.trajectories:
        of = [{name: value for name, value in row.items() if name != "problem"} for row in rows if row["problem"] == problem]
        show_line(f"\n{problem}: {results.described(problem)}")
        show_rows(of, False)
        for verdict in results.verdicts(problem):
            show_line(verdict)


@contextmanager
def _shown(total: int, as_json: bool) -> Iterator[Callable[[Shard], None]]:
    """Show a bar with the time left on a terminal, or a JSON line a campaign."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal or not total) as bar:
        task, n = bar.add_task("campaigns", total=total), 0

        def done(shard: Shard) -> None:
            nonlocal n
            n += 1
            bar.update(task, completed=n)
            if as_json:
                words = {"problem": shard.problem, "strategy": shard.strategy, "seed": shard.seed}
                show_line(json.dumps({"event": "campaign", "done": n, "of": total} | words, ensure_ascii=False))

        yield done
