"""The command that compares campaigns of the store, or strategies on a lab whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from frugaltwin.checks import check_writable
from frugaltwin.cli import bench
from frugaltwin.cli.console import check_free, say, show_line, show_rows, thinking
from frugaltwin.cli.open_campaign import specification, stored_campaign
from frugaltwin.cli.options import NOTHING, AsJson, Force, Given, StorePath, takes_campaign
from frugaltwin.errors import InvalidInput

MARK = "frugaltwin compare"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@takes_campaign("driver", "option", "goal", "require", "budget")
def compare(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="Campaigns of the store for one goal, two or more.")] = None,
    strategies: Annotated[
        str | None,
        typer.Option(metavar="A,B,…", help="In place of campaigns: strategies to run; the first one is what the others are held to."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Campaigns of each strategy: seeds 100, 101, …")] = 10,
    given: Given = NOTHING,
    jobs: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes, one thread each; as many as cores without it.")] = None,
    truth: Annotated[bool, typer.Option("--truth", help="Compare maps of twins by how much of them is right.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="comparison.html by default; of campaigns, .svg, .png and .pdf are the picture alone."),
    ] = None,
    force: Force = False,
    store: StorePath = None,
    as_json: AsJson = False,
) -> int:
    """Compare campaigns, or strategies on many seeds: a picture against experiments, lab time and money, with a table."""
    if bool(names) == bool(strategies):
        raise InvalidInput("compare takes two campaigns or more, or --strategies A,B")
    path = out or Path("comparison.html")
    check_writable(path)
    if strategies:
        if truth:
            raise InvalidInput("strategies are always compared by the truth; leave --truth out")
        if path.suffix != ".html":
            raise InvalidInput(f"--out {path}: a comparison of strategies is a page; name a file that ends in .html")
        named = [name.strip() for name in strategies.split(",") if name.strip()]
        plan = _plan(named, seeds, given)
        if seeds < (enough := _enough(len(named))) and not as_json:
            say(f"{seeds} seed{'s' * (seeds != 1)} cannot show that one strategy is better, whatever they give; {enough} can")
        return _run(plan, path, jobs, force, as_json)
    if jobs or not given.is_empty:
        raise InvalidInput("campaigns have their lab and their goal; leave the driver, the goal, the budget and --jobs out")
    from frugaltwin.pictures import comparison

    check_free(path, MARK, force)
    records = [stored_campaign(name, store).record() for name in dict.fromkeys(names or [])]
    comparison.check_comparable(records, truth)
    with thinking():
        by = comparison.measure(records, truth)
        said = comparison.remarks(records, by)
        comparison.write(records, by, said, path)
    show_rows(comparison.rows(records, by), as_json)
    if not as_json:
        for sentence in said[1:]:
            say(sentence)
        show_line(str(path))
    return 0


def _enough(n: int) -> int:
    """The fewest seeds of which a signed-rank test can find a difference among n strategies: its least p is 2^(1 - seeds)."""
    from frugaltwin.bench.statistics import LEVEL

    return next(seeds for seeds in range(2, 100) if 2.0 ** (1 - seeds) * (n - 1) < LEVEL)


def _plan(strategies: list[str], seeds: int, given: Given) -> str:
    """The comparison as a plan of `frugaltwin bench`."""
    if len(strategies) < 2:
        raise InvalidInput("--strategies takes two names or more, such as composite,random")
    spec = specification(given)
    problem: dict[str, Any] = {"driver": {"name": spec.driver.name, "options": dict(spec.driver.options)}}
    problem |= {"goal": list(spec.goal)} if spec.goal else {}
    problem |= {"require": list(spec.require)} if spec.require else {}
    limits = spec.budget.model_dump(exclude_none=True) if spec.budget else {"runs": 10}
    lines = [f"strategies = {json.dumps(strategies)}", f"seeds = {seeds}", f"budget = {_table(limits)}", "", "[problems.lab]"]
    lines += [
        f"{key} = {_table(word) if isinstance(word, dict) else json.dumps(word, ensure_ascii=False)}" for key, word in problem.items()
    ]
    return "\n".join(lines) + "\n"


def _table(words: dict[str, Any]) -> str:
    """A table of TOML on one line."""
    cells = {k: _table(v) if isinstance(v, dict) else json.dumps(v, ensure_ascii=False) for k, v in words.items()}
    return "{ " + ", ".join(f"{json.dumps(k)} = {v}" for k, v in cells.items()) + " }" if cells else "{}"


def _run(plan: str, path: Path, jobs: int | None, force: bool, as_json: bool) -> int:
    """Run what is missing of a plan that is kept beside the page, and write the page."""
    file = path.with_suffix(".toml")
    if not file.exists() or file.read_text(encoding="utf-8") != plan:  # the same comparison goes on, and its page is written again
        check_free(path, MARK, force)
        check_free(file, "[problems.lab]", force)
        file.write_text(plan, encoding="utf-8")
    code = bench.run(file, jobs, as_json=as_json)
    if code:
        say(f"Stopped; the same command, or frugaltwin bench run {file}, goes on")
        return code
    from frugaltwin.bench.plan import Plan
    from frugaltwin.bench.report import write
    from frugaltwin.bench.results import Results

    read = Plan.read(file)
    write(Results.gathered(read, read.shards(False), False), path)
    if not as_json:
        show_line(str(path))
    return 0
