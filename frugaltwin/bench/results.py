"""Results of a plan: what its campaigns found, in one file, and the tables that are made of it."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from frugaltwin.bench.metrics import Trajectory, quantile, trajectories
from frugaltwin.bench.plan import FORMAT, Plan, PlanSpec, ProblemSpec, Shard
from frugaltwin.bench.shard import read_result, write_atomically
from frugaltwin.bench.statistics import HANDICAP, SIZES, Comparison, comparisons, paired, seeds_needed
from frugaltwin.errors import InvalidInput
from frugaltwin.spec import Choice, parsed

KIND = "frugaltwin bench results"
FEWEST = 5
"""Pairs of campaigns below which nothing is compared."""


@dataclass(frozen=True)
class Results:
    """All that the campaigns of a plan found so far."""

    title: str
    plan: PlanSpec
    is_development: bool
    campaigns: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
    """The results by problem and strategy, each in the order of the seeds."""
    n_missing: int
    versions: Mapping[str, Any]

    @classmethod
    def gathered(cls, plan: Plan, shards: Sequence[Shard], is_development: bool = False) -> Results:
        """The results that are in the folder of a plan.

        Raises:
            InvalidInput: One of them cannot be read.
        """
        found: dict[tuple[str, str], list[Mapping[str, Any]]] = {(s.problem, s.strategy): [] for s in shards}
        n_missing = 0
        for shard in shards:
            path = plan.folder / shard.file
            if path.exists():
                found[shard.problem, shard.strategy].append(read_result(path))
            else:
                n_missing += 1
        versions = {name: shards[0].words[name] for name in ("code", "versions")}
        return cls(plan.path.stem, plan.spec, is_development, found, n_missing, versions)

    @classmethod
    def read(cls, path: Path) -> Results:
        """The results of a file.

        Raises:
            InvalidInput: It is none, or one of another version.
        """
        try:
            content = path.read_bytes()
            body = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        except OSError as error:
            raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise InvalidInput(f"{path} is neither a plan (.toml) nor a file of results (.json)") from error
        if not isinstance(body, dict) or body.get("kind") != KIND:
            raise InvalidInput(f"{path} is no file of results; `frugaltwin bench run` writes one beside the plan")
        if body["format"] != FORMAT:
            text = f"{path} has results of version {body['format']}, and this frugaltwin reads version {FORMAT}; run the plan again"
            raise InvalidInput(text)
        plan = parsed(PlanSpec, body["plan"], f"{path}: ")
        campaigns = {(one["problem"], one["strategy"]): one["campaigns"] for one in body["cells"]}
        return cls(path.stem, plan, body["development"], campaigns, body["missing"], body["made_with"])

    def write(self, path: Path) -> None:
        """Write the file of results, compressed where its name ends in ``.gz``: the same results give the same bytes.

        Trials keep what metrics need; all else is in the shards.

        Raises:
            OSError: It cannot be written.
        """
        cells = [{"problem": p, "strategy": s, "campaigns": [_short(one) for one in of]} for (p, s), of in self.campaigns.items()]
        body = {"kind": KIND, "format": FORMAT, "made_with": self.versions, "development": self.is_development}
        body |= {
            "missing": self.n_missing,
            "plan": self.plan.model_dump(exclude_none=True, exclude_defaults=True, mode="json"),
            "cells": cells,
        }
        content = json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)

    def only(self, names: Sequence[str]) -> Results:
        """The results of these of its strategies.

        Raises:
            InvalidInput: One of them is none.
        """
        kept = {(p, s): of for (p, s), of in self.campaigns.items() if s in names}
        return replace(self, plan=self.plan.only(names), campaigns=kept)

    @property
    def baseline(self) -> str:
        """The strategy that all others are compared with."""
        return self.plan.baseline or next(iter(self.plan.strategies))

    @property
    def n_campaigns(self) -> int:
        """The number of campaigns that are there."""
        return sum(map(len, self.campaigns.values()))

    def problem(self, name: str) -> ProblemSpec:
        """A problem with its budget."""
        spec = self.plan.problems[name]
        return spec.model_copy(update={"budget": spec.budget or self.plan.budget})

    @cached_property
    def trajectories(self) -> dict[str, dict[str, list[Trajectory]]]:
        """The trajectories by problem and strategy; a strategy without a campaign is left out."""
        found = {}
        for problem in self.plan.problems:
            of = {s: self.campaigns[problem, s] for s in self.plan.strategies if self.campaigns.get((problem, s))}
            found[problem] = trajectories(of)
        return found

    def axis(self, problem: str) -> tuple[str, float]:
        """The amount that limits a problem, runs where there are several, and its limit."""
        limits = self.problem(problem).budget
        assert limits
        return next((kind, limit) for kind, limit in limits.model_dump(exclude_none=True).items())

    def levels(self, problem: str) -> dict[str, float]:
        """The gaps that count as reached, by their words: a regret within a limit, or a share of the map that is right."""
        is_map = any("right" in t for s in self.plan.strategies for c in self.campaigns.get((problem, s), ()) for t in c["trials"])
        reach = self.problem(problem).reach
        return {f"{100 * level:.4g} % right" if is_map else f"within {level:g}": 1 - level if is_map else level for level in reach}

    def described(self, problem: str) -> str:
        """The gap of a problem in words, with its unit, and how long a campaign is."""
        campaigns = [c for s in self.plan.strategies for c in self.campaigns.get((problem, s), ())]
        trials = [t for c in campaigns for t in c["trials"]]
        axis, limit = self.axis(problem)
        unit = next((c["unit"] for c in campaigns if c["unit"] not in ("", "1")), "")
        if any("right" in t for t in trials):
            gap = "gap = share of the map that is wrong"
        elif any(len(t.get("losses") or ()) > 1 for t in trials):
            gap = "gap = share of the hypervolume of the best front found that is missing"
        elif any(c["optimum"] is None for c in campaigns):
            gap = "gap = true score less the best that any campaign of the seed found"
        else:
            gap = "gap = true regret"
        return f"{gap}{f', {unit}' if unit else ''}; area = its mean over {limit:g} {axis}; medians, and of what is reached nine of ten"

    @property
    def reference(self) -> str:
        """The strategy against which factors are drawn: ``random`` where it takes part, else the baseline."""
        return "random" if "random" in self.plan.strategies else self.baseline

    def remarks(self) -> list[str]:
        """Remarks that a reader has to know before any table."""
        found = ["development seeds: for choosing and tuning, not for a report"] if self.is_development else []
        return found + ([f"{self.n_missing} campaigns are still missing"] if self.n_missing else [])

    def comparisons(self, problem: str) -> list[Comparison]:
        """Every other strategy against the baseline by the area, for which at least five seeds are there of both."""
        found, (axis, limit) = self.trajectories[problem], self.axis(problem)
        differences = {
            name: paired(of, found.get(self.baseline, []), lambda t: t.area(limit, axis))
            for name, of in found.items()
            if name != self.baseline
        }
        return comparisons({name: of for name, of in differences.items() if len(of) >= FEWEST})

    def verdicts(self, problem: str) -> list[str]:
        """The comparisons of a problem in words, and with how many seeds a slow-down by a tenth is found where that is known."""
        found = [comparison.sentence(self.baseline) for comparison in self.comparisons(problem)]
        if (needed := self.seeds_needed(problem)) is not None:
            found.append(f"a slow-down by {HANDICAP:.0%} of {self.baseline} is found with {needed}")
        return found

    def seeds_needed(self, problem: str) -> str | None:
        """The number of seeds with which a handicap is found, in words; None without a replicate of the baseline."""
        baseline = self.plan.strategies[self.baseline]
        chosen = baseline.strategy or Choice(name=self.baseline)
        twin = next(
            (n for n, s in self.plan.strategies.items() if (s.strategy or Choice(name=n)) == chosen and s.replicate != baseline.replicate),
            None,
        )
        found, (axis, limit) = self.trajectories[problem], self.axis(problem)
        if twin is None or len(found.get(twin, ())) < FEWEST or len(found.get(self.baseline, ())) < FEWEST:
            return None
        n = seeds_needed(found[self.baseline], found[twin], lambda t: t.area(limit, axis), len(self.plan.strategies) - 1)
        return f"{n} seeds" if n else f"more than {SIZES[-1]} seeds"

    def rows(self) -> list[dict[str, Any]]:
        """One row a problem and strategy, of numbers and texts: what `show` prints."""
        rows = []
        for problem, of in self.trajectories.items():
            axis, limit = self.axis(problem)
            for strategy, found in of.items():
                ends = [t.gaps[-1] for t in found]
                row: dict[str, Any] = {"problem": problem, "strategy": strategy, "seeds": len(found)}
                row |= {"gap": _rounded(quantile(ends, 0.5)), "area": _rounded(quantile([t.area(limit, axis) for t in found], 0.5))}
                for words, level in self.levels(problem).items():
                    row[f"{words}, {axis}"] = _counts([t.until(level, axis) for t in found], limit)
                    for other in ("seconds", "money"):
                        if any(t.spent[other][-1] for t in found):
                            row[f"{words}, {other}"] = _counts([t.until(level, other) for t in found], None)
                for n in self.problem(problem).recommend:
                    advised = [t.recommended[n] for t in found if n in t.recommended]
                    row[f"recommended after {n}"] = _rounded(quantile(advised, 0.5)) if advised else "–"
                if scores := [t.f1 for t in found if t.f1 is not None]:
                    row["macro-F1"] = _rounded(quantile(scores, 0.5))
                rows.append(row | _judged_models(self.campaigns[problem, strategy]) | {"failed": sum(t.n_failed for t in found)})
        return rows


def _short(result: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a campaign's result that metrics need."""
    kept = ("cost", "losses", "right", "f1", "recommended", "error", "inside", "outlier", "named")
    trials = [{name: t[name] for name in kept if name in t} for t in result["trials"]]
    return {"words": {"seed": result["words"]["seed"]}, "optimum": result["optimum"], "unit": result["unit"], "trials": trials}


def _judged_models(campaigns: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Shares of readings in the 90 % intervals that were stated before, and of outliers and sound readings that were doubted.

    >>> _judged_models([{"trials": [{"inside": [3, 4]}, {"inside": [0, 0]}]}])
    {'in 90 % intervals': '75 %'}
    """
    trials = [t for c in campaigns for t in c["trials"] if "error" not in t]
    inside, stated = (sum(t["inside"][k] for t in trials if "inside" in t) for k in (0, 1))
    found = {"in 90 % intervals": f"{100 * inside / stated:.3g} %"} if stated else {}
    for words, is_outlier in (("outliers doubted", True), ("sound ones doubted", False)):
        if of := [t["named"] for t in trials if "named" in t and t["outlier"] is is_outlier]:
            found[words] = f"{100 * sum(of) / len(of):.3g} %"
    return found


def _counts(values: Sequence[float], limit: float | None) -> str:
    """Median and nine of ten of what was needed; what was not reached is above the limit.

    >>> _counts([3.0, 5.0, math.inf], 25)
    '5 / > 25'
    """
    middle, most = quantile(values, 0.5), sorted(values)[math.ceil(0.9 * len(values)) - 1]
    never = f"> {limit:g}" if limit is not None else "never"
    return " / ".join(f"{v:.4g}" if math.isfinite(v) else never for v in (middle, most))


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
