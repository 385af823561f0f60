"""Tables of the README that compare strategies: which suites they come from, the stored results of these, and their text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from frugaltwin import catalog
from frugaltwin.bench.metrics import quantile
from frugaltwin.bench.plan import Plan, SeedsSpec
from frugaltwin.bench.results import Results
from frugaltwin.bench.timing import REPEATS
from frugaltwin.errors import InvalidInput, MissingPart

SUITES = ("color", "labs", "maps", "map_signal")
COFFEE = 5
"""Seeds of the short form, in which peers do not take part."""
MARKS = re.compile(r"(<!-- bench (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Home:
    """A checkout of the sources."""

    path: Path

    @classmethod
    def here(cls) -> Home:
        """That of the working directory.

        Raises:
            InvalidInput: It is none.
        """
        home = cls(Path())
        if not home.readme.is_file() or not (home.path / "benchmarks" / "suites").is_dir():
            text = f"{Path().absolute()} is no checkout of the sources: README's plans are in its folder benchmarks/suites"
            raise InvalidInput(f"{text}; change to one")
        return home

    @property
    def readme(self) -> Path:
        """The README."""
        return self.path / "README.md"

    def plan(self, suite: str, is_night: bool) -> tuple[Plan, list[str]]:
        """The plan of a suite in one of its two sizes, and a sentence for each strategy that is left out."""
        plan = Plan.read(self.path / "benchmarks" / "suites" / f"{suite}.toml")
        spec, left_out = plan.spec, list[str]()
        kept = {}
        for name, strategy in spec.strategies.items():
            chosen = strategy.strategy.name if strategy.strategy else name
            try:
                catalog.make_strategy(chosen)
            except MissingPart as error:
                left_out.append(f"{suite}: left out, for {error}")
            else:
                if is_night or chosen not in catalog.PEERS:
                    kept[name] = strategy
        seeds = spec.seeds if is_night else SeedsSpec(first=spec.seeds.first, count=min(COFFEE, spec.seeds.count))
        return replace(plan, spec=spec.model_copy(update={"strategies": kept, "seeds": seeds})), left_out if is_night else []

    def stored(self, suite: str) -> Path:
        """The file of results from which README's table is made."""
        return self.path / "benchmarks" / "results" / f"{suite}.json.gz"

    @property
    def seconds(self) -> Path:
        """The file of the seconds per suggestion."""
        return self.path / "benchmarks" / "results" / "seconds.json"

    def write(self, blocks: Mapping[str, str]) -> None:
        """Put tables between their marks in the README."""
        text = MARKS.sub(lambda m: f"{m[1]}{blocks.get(m[2], m[0][len(m[1]) : -len(m[3])])}{m[3]}", self.readme.read_text(encoding="utf-8"))
        self.readme.write_text(text, encoding="utf-8")

    def blocks(self) -> dict[str, str]:
        """The tables that the README has now, by their names."""
        return {m[2]: m[0][len(m[1]) : -len(m[3])] for m in MARKS.finditer(self.readme.read_text(encoding="utf-8"))}


def tables(results: Mapping[str, Results]) -> dict[str, str]:
    """README's tables by their names, of the results of the suites that are there."""
    made: dict[str, Callable[[], str]] = {
        "color": lambda: reached(results["color"]),
        "labs": lambda: reached(results["labs"]),
        "maps": lambda: maps([results[name] for name in ("maps", "map_signal") if name in results]),
    }
    return {name: make() for name, make in made.items() if name in results}


def reached(results: Results) -> str:
    """One row a problem and strategy: runs until each level is reached, and what is recommended."""
    rows = results.rows()
    names = [name for name in rows[0] if name.endswith(", runs") or name.startswith("recommended")]
    is_one = len(results.plan.problems) == 1
    body = [
        [
            row["strategy"] if is_one else f"{row['strategy']}, {row['problem']}",
            *(f"{v:.2f}" if isinstance(v := row[n], float) else str(v) for n in names),
        ]
        for row in rows
    ]
    return f"{_seeds(results)}\n\n{_table(['', *(name.removesuffix(', runs') for name in names)], body)}"


def maps(parts: Sequence[Results]) -> str:
    """One row a strategy and one column a map: the median number of points until each level."""
    problems = list(parts[0].plan.problems)
    body = []
    for results in parts:
        for name in results.plan.strategies:
            cells = [_until(results, problem, name) if problem in results.plan.problems else "–" for problem in problems]
            title = f"{name}, on the signal" if results.plan.problems.keys() != parts[0].plan.problems.keys() else name
            body.append([title, *cells])
    return f"{_seeds(parts[0])}\n\n{_table(['', *problems], body)}"


def _until(results: Results, problem: str, strategy: str) -> str:
    found, limit = results.trajectories[problem].get(strategy, []), results.axis(problem)[1]
    if not found:
        return "–"
    medians = [quantile([t.until(level) for t in found], 0.5) for level in results.levels(problem).values()]
    return " / ".join(f"{m:g}" if m < float("inf") else f"> {limit:g}" for m in medians)


def _seeds(results: Results) -> str:
    seeds = results.plan.seeds.numbers
    return f"Seeds {seeds[0]} to {seeds[-1]}; digest of the sources `{str(results.versions['code'])[:8]}`."


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *body])


def seconds_table(stored: Path) -> str:
    """Seconds per suggestion, one row a strategy."""
    body: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8"))
    (of,) = body["seconds"].values()
    sizes, baseline = body["sizes"], next(iter(of.values()))
    at = sizes.index(25)
    rows = [[name, *(f"{s:.3f}" for s in found), f"{found[at] / baseline[at]:.1f} ×"] for name, found in of.items()]
    about = f"Medians of {REPEATS} histories, one thread; digest of the sources `{body['code'][:8]}`."
    return f"{about}\n\n" + _table(["s per suggestion", *(f"n = {n}" for n in sizes), f"n = 25, against {next(iter(of))}"], rows)
