"""Fairness of a task: whether its labs are equally hard, and whether points depend on how hard a lab is.

Labs are drawn as for a class: nine pilots give the median, and a lab whose par is more than 20 % from it is drawn again, up to
twenty times. Then three players play each lab once, and the points of each are compared with par by Spearman's rank correlation. Par
itself is measured anew with fresh noise. Nothing here chose a task or a rule; the secret and the noise are of this script alone.

    python -m benchmarks.task_fairness color-match --labs 200 --fresh 20
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from dataclasses import dataclass

from scipy.stats import spearmanr

from frugaltwin.spec import Choice
from frugaltwin.tasks.instance import Instance
from frugaltwin.tasks.judge import InstanceJudge
from frugaltwin.tasks.par import par_of, par_play, play, score_of
from frugaltwin.tasks.score import Par, Plays
from frugaltwin.tasks.task import Task, find

SECRET = b"fairness of tasks"
PILOTS, NEAR, DRAWS, WIDE = 9, 0.2, 20, 0.25


@dataclass(frozen=True)
class Lab:
    """A lab that was drawn, and what its par is."""

    judge: InstanceJudge
    par: Par
    draws: int


def hardness(task: Task, judge: InstanceJudge, n: int, name: str = "par") -> float:
    """How hard a lab is, by so many plays of the reference strategy."""
    return Plays([par_play(judge, k, name) for k in range(n)], ()).par(task).hardness(task)


def drawn(task: Task, student: int, median: float) -> Lab:
    """The lab of a student, as the service draws it."""
    tries: list[tuple[float, InstanceJudge]] = []
    for draw in range(DRAWS):
        judge = InstanceJudge(Instance.of(task, SECRET, f"student {student}", draw))
        value = hardness(task, judge, task.reference.plays)
        tries.append((abs(math.log(max(min(value, 1e300), 1e-300) / median)), judge))
        if abs(value - median) <= NEAR * median:
            break
    judge = min(tries, key=lambda one: one[0])[1] if len(tries) == DRAWS else tries[-1][1]
    return Lab(judge, par_of(judge), len(tries))


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="of those that come with the package, or a file")
    parser.add_argument("--labs", type=int, default=200, help="labs that are drawn")
    parser.add_argument("--fresh", type=int, default=20, help="plays by which par is measured again")
    words = parser.parse_args()
    task, begun = find(words.task), time.process_time()
    pilots = [hardness(task, InstanceJudge(Instance.of(task, SECRET, f"pilot {k}")), task.reference.plays) for k in range(PILOTS)]
    median = statistics.median(pilots)
    labs, points = list[Lab](), dict[str, list[float]]()
    for student in range(words.labs):
        lab = drawn(task, student, median)
        labs.append(lab)
        players = {name: Choice(name=name) for name in ("random", "sobol")}
        players["reference"] = task.reference_strategy(lab.judge.instance.goal)
        for name, strategy in players.items():
            stop = task.reference.stop if name == "reference" else None
            points.setdefault(name, []).append(score_of(lab.judge, lab.par, play(lab.judge, strategy, f"fairness {name}", stop)).points)
        print(f"\r{student + 1} of {words.labs}", end="", file=sys.stderr, flush=True)
    spent = time.process_time() - begun
    values = [lab.par.hardness(task) for lab in labs]
    print(f"\n{task.name}: {words.labs} labs, drawn {sum(lab.draws for lab in labs) / len(labs):.1f} times each, {spent:.0f} s of a core")
    print(f"two independent rankings of so many correlate by less than {1.96 / math.sqrt(max(len(labs) - 1, 1)):.2f} in 95 % of cases")
    for name, got in points.items():
        rho = float(spearmanr(values, got).statistic) if len(set(got)) > 1 else 0.0
        print(f"{name:10} mean {statistics.mean(got):5.1f}   Spearman(par, points) {rho:+.2f}")
    if words.fresh:
        again = [hardness(task, lab.judge, words.fresh, "fresh") for lab in labs]
        middle = statistics.median(again)
        share = sum(abs(value - middle) <= WIDE * middle for value in again) / len(again)
        print(f"par with {words.fresh} fresh plays: {100 * share:.0f} % of the labs within ±25 % of the median")


if __name__ == "__main__":
    main()
