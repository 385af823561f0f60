"""Stories through the command line: what a user types and what comes back."""

import csv
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from frugaltwin.color import delta_e
from tests import forked
from tests.conftest import Cli, command, events
from tests.forms import times
from tests.service_database import until

RANDOM = ("--strategy", "random")
RECIPE = "red=0.1,yellow=0.2,blue=0.3,water=3.4"


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_run_without_arguments_matches_a_color_and_recommends_a_recipe(cli_here: Cli, tmp_path: Path) -> None:
    done = cli_here("run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    trials = [line for line in lines if re.match(r" *\d+ ", line)]
    assert len(trials) == 10
    assert all(len(re.findall(r"#[0-9a-f]{6}", line)) == 2 for line in trials)
    assert "recommended recipe (by the model, not the luckiest reading): red " in done.stdout
    assert "report: color-mixing-1.html" in done.stdout
    assert "\x1b" not in done.stdout
    settings = tmp_path / "recommended.csv"
    shown = events(cli_here("show", "color-mixing-1", "--json"))[-1]
    names = list(shown["recommended"])
    settings.write_text(",".join(names) + "\n" + ",".join(str(shown["recommended"][n]) for n in names) + "\n")
    assert cli_here("simulate", "color-mixing", "--settings", settings, "--out", tmp_path / "truth.csv", "--noise-free").returncode == 0
    (truth,) = table(tmp_path / "truth.csv")
    found = np.array([float(truth[k]) for k in "Lab"])
    assert float(delta_e(found, np.array(list(shown["target"].values())))) < 1.0


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo terminal")
def test_on_a_terminal_there_are_swatches_in_true_color_and_a_progress_bar(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    look = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "120", "LINES": "30"}
    look = {k: v for k, v in look.items() if k not in ("CI", "NO_COLOR")}
    run = subprocess.Popen(
        command("run", "--budget", 3, *RANDOM, "--goal", "match-color:#3a7bd5"),
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=look,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end has closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert run.wait(60) == 0
    text = seen.decode()
    assert text.count("\x1b[48;2;58;123;213m") == 4  # the target: in the headline and beside three readings
    assert re.search("experimenting|thinking", text)  # whichever it was at when the bar was drawn
    assert "3/3" in text


def test_json_is_one_event_a_line_and_nothing_else(cli_here: Cli) -> None:
    done = cli_here("run", "--json", "--budget", 4, *RANDOM, "--goal", "match-color:#3a7bd5", "--name", "blue")
    rows = events(done)
    assert done.stderr == ""
    assert [r["event"] for r in rows] == ["trial"] * 4 + ["summary"]
    for number, row in enumerate(rows[:-1], start=1):
        assert row["number"] == number
        assert {"settings", "outcomes", "score", "cost", "best", "spent", "color", "error"} <= set(row)
        assert sum(row["settings"].values()) == pytest.approx(4.0, abs=1e-12)
        assert row["best"] == min(r["score"] for r in rows[:number])
    assert rows[-1]["stopped_because"] == "budget: 4 of 4 runs"
    assert set(rows[-1]["recommended"]) == {"red", "yellow", "blue", "water"}
    assert rows[-1]["name"] == "blue"


def test_a_campaign_file_is_read_and_flags_override_it(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "sea.toml").write_text(
        'goal = "match-color:teal"\nseed = 3\nstop = 0.5\nstore = "sea.db"\nstrategy = "sobol"\n'
        '[driver]\nname = "color-mixing"\noptions = { sensor = "tcs34725", pump_error = 0.5 }\n[budget]\nruns = 9\nseconds = 3600\n'
    )
    rows = events(cli_here("run", "sea.toml", "--json", "--budget", 3))
    assert rows[-1]["name"] == "sea"
    assert rows[-1]["runs"] == 3
    assert set(rows[0]["outcomes"]) == {"t_red", "t_green", "t_blue"}
    listed = cli_here("list", "--store", "sea.db").stdout
    assert "sobol" in listed
    rows = events(cli_here("run", "sea.toml", "--json", "--budget", "runs=5"))
    assert [r["number"] for r in rows[:-1]] == [4, 5]


def test_the_report_is_one_file_that_loads_nothing(cli_here: Cli, tmp_path: Path) -> None:
    assert cli_here("run", "--budget", 3, *RANDOM, "--report", "r.html").returncode == 0
    page = (tmp_path / "r.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page.replace('xlink:href="#', ""))
    assert "@import" not in page
    assert "<script" not in page
    for heading in (
        "Target and measured",
        "Best so far against experiments",
        "Best so far against cost",
        "a*b* plane",
        "Channels",
        "Recipes",
    ):
        assert heading in page
    for word in ("version of numpy", "seed", "driver", "store", "ΔE00"):
        assert word in page


def test_list_show_plot_and_export_read_the_store(cli_here: Cli, tmp_path: Path) -> None:
    cli_here("run", "--budget", 3, *RANDOM, "--name", "one")
    assert "one" in cli_here("list").stdout
    assert "recommended recipe (the best reading)" in cli_here("show", "one").stdout
    assert cli_here("plot", "one").stdout.strip() == "one.svg"
    assert (tmp_path / "one.svg").read_text().startswith("<?xml")
    assert cli_here("plot", "one", "--out", "one.png").returncode == 0
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    cli_here("export", "one", "--format", "csv", "--out", "one.csv")
    rows = table(tmp_path / "one.csv")
    assert (tmp_path / "one.csv").read_text() == cli_here("export", "one").stdout
    assert [r["number"] for r in rows] == ["1", "2", "3"]
    assert {"red", "t_415", "L", "a", "b", "score", "seconds", "money", "volume"} <= set(rows[0])
    body = json.loads(cli_here("export", "one", "--format", "json").stdout)
    assert len(body["trials"]) == 3
    assert body["trials"][0]["raw"]["counts_415"] >= 0
    assert body["versions"]["numpy"]


def test_catalog_lists_everything_and_prints_data_sheets(cli_here: Cli) -> None:
    listed = cli_here("catalog").stdout
    for name in (
        "color-mixing",
        "light-mixing",
        "table",
        "random",
        "sobol",
        "bayesian",
        "composite",
        "match-color",
        "minimize",
        "maximize",
    ):
        assert name in listed
        sheet = cli_here("catalog", name).stdout
        assert len(sheet.splitlines()) >= 3
    assert "mL" in cli_here("catalog", "color-mixing").stdout
    assert "did you mean 'color-mixing'" in cli_here("catalog", "color-mixng").stderr


def test_simulate_performs_every_row_in_order(cli_here: Cli, tmp_path: Path) -> None:
    rows = ["red,note,yellow,blue,water", "0.1,a,0.2,0.3,3.4", "1,b,1,1,1", "0,c,0,0,4"]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    assert cli_here("simulate", "color-mixing", "--settings", "in.csv", "--out", "a.csv", "--seed", 1).returncode == 0
    assert cli_here("simulate", "color-mixing", "--settings", "in.csv", "--out", "b.csv", "--seed", 1).returncode == 0
    assert cli_here("simulate", "color-mixing", "--settings", "in.csv", "--out", "c.csv", "--noise-free").returncode == 0
    read, truth = table(tmp_path / "a.csv"), table(tmp_path / "c.csv")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert [r["red"] for r in read] == ["0.1", "1.0", "0.0"]
    assert set(read[0]) == {"red", "yellow", "blue", "water", *(f"t_{c}" for c in (415, 445, 480, 515, 555, 590, 630, 680)), *"Lab"}
    assert float(truth[2]["L"]) == pytest.approx(100)
    assert read[0]["L"] != truth[0]["L"]
    assert abs(float(read[0]["L"]) - float(truth[0]["L"])) < 3


def test_the_truth_needs_no_connection(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("red,yellow,blue,water\n0,0,0,4\n")
    blinded = ("simulate", "color-mixing", "--settings", "in.csv", "--out", "out.csv", "--option", "gain=512")
    assert cli_here(*blinded).returncode == 1
    assert cli_here(*blinded, "--noise-free").returncode == 0


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("red,yellow,blue,water\n0.1,0.2,0.3,3.4\n0.1,nan,0.3,3.4\n", "in.csv, row 2, column yellow: yellow = 'nan' is not a number"),
        ("red,yellow,blue,water\n0.1,0.2,1.3,2.4\n", "in.csv, row 1, column blue: blue = 1.3 mL is outside [0, 1] mL"),
        ("red,yellow,blue,water\n0.1,,0.3,3.4\n", "in.csv, row 1, column yellow: yellow = '' is not a number"),
        ("red,yellow,blue,water\n0.1,0.2,0.3,3.5\n", "in.csv, row 1: red + yellow + blue + water = 4.1 mL, but they must add up to 4 mL"),
        ("red,yellow,blue\n0.1,0.2,0.3\n", "in.csv has no column water"),
        ("", "in.csv has no rows"),
    ],
)
def test_simulate_refuses_bad_rows_before_anything_runs(cli_here: Cli, tmp_path: Path, table: str, sentence: str) -> None:
    (tmp_path / "in.csv").write_text(table)
    done = cli_here("simulate", "color-mixing", "--settings", "in.csv", "--out", "out.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_suggest_and_tell_by_hand_mix_with_run(cli_here: Cli) -> None:
    suggested = cli_here("suggest", "bench", "--goal", "match-color:teal", *RANDOM).stdout.strip()
    outcomes = "t_415=0.5,t_445=0.5,t_480=0.5,t_515=0.5,t_555=0.5,t_590=0.5,t_630=0.5,t_680=0.5"
    told = cli_here(
        "tell", "bench", "--settings", suggested, "--outcomes", outcomes, "--goal", "match-color:teal", *RANDOM, "--cost", "seconds=60"
    )
    assert told.returncode == 0, told.stderr
    assert "stored as experiment 1 of bench" in told.stdout
    assert cli_here("tell", "bench", "--settings", RECIPE, "--failed", "spilled").returncode == 0
    as_json = json.dumps({"red": 0.5, "yellow": 0.5, "blue": 0, "water": 3})
    assert cli_here("tell", "bench", "--settings", as_json, "--outcomes", outcomes).returncode == 0
    rows = events(cli_here("run", "--name", "bench", "--budget", 5, "--json"))
    assert [r["number"] for r in rows[:-1]] == [4, 5]
    assert [r["source"] for r in events(cli_here("show", "bench", "--json"))[:-1]] == ["told"] * 3 + ["driver"] * 2
    assert len(cli_here("suggest", "bench", "--count", 3, "--json").stdout.splitlines()) == 3


def test_a_table_of_real_records_is_a_driver(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "records.csv").write_text("x,y,cost\n" + "".join(f"{k / 10},{k % 3},{(k - 7) ** 2}\n" for k in range(11)))
    rows = events(cli_here("run", "--driver", "table", "--option", "path=records.csv", "--goal", "minimize:cost", "--budget", 8, "--json"))
    assert rows[-1]["best"]["score"] == 0


BAD = [
    (("run", "--driver", "color-mixin"), "did you mean 'color-mixing'"),
    (("run", "--strategy", "composit"), "did you mean 'composite'"),
    (("run", "--goal", "match-colour:teal"), "did you mean 'match-color'"),
    (("run", "--goal", "match-color:#12"), "is no color"),
    (("run", "--goal", "match-color:lab(nan,0,0)"), "is no color"),
    (("run", "--option", "pump_eror=2"), "did you mean 'pump_error'"),
    (("run", "--option", "pump_error=nan"), "pump_error"),
    (("run", "--option", "pump_error=inf"), "pump_error"),
    (("run", "--option", "pump_error"), "write KEY=VALUE"),
    (("run", "--budget", "0"), "budget.runs = 0"),
    (("run", "--budget", "seconds=0"), "budget.seconds = 0"),
    (("run", "--budget", "seconds=nan"), "budget.seconds = 'nan'"),
    (("run", "--budget", "runs=2.5"), "budget.runs = 2.5"),
    (("run", "--budget", "minutes=3"), "budget.minutes: there is no such field"),
    (("run", "--budget", "lots"), "budget.runs = 'lots'"),
    (("run", "--seed", "-1"), "seed = -1"),
    (("run", "--seed", "one"), "--seed"),
    (("run", "--stop", "nan"), "--stop nan: it is a score, such as 0.5, the share of a map to be right, such as 'map 95%', or none"),
    (("run", "--name", "a b"), "name = 'a b'"),
    (("run", "--name", ""), "name = ''"),
    (("run", "--store", "nowhere/s.db"), "nowhere"),
    (("run", "--report", "nowhere/r.html"), "there is no folder"),
    (("run", "--report", "."), "it is a folder"),
    (("run", "no.toml"), "cannot read no.toml"),
    (("run", "broken.toml"), "line 2"),
    (("run", "field.toml"), "budget.rums: there is no such field; did you mean 'runs'"),
    (("run", "--store", "text.db"), "is not a database"),
    (("run", "--store", "."), "it is a folder; name a file (--store)"),
    (("run", "--store", "foreign.db"), "of another program"),
    (("run", "--driver", "table", "--goal", "minimize:x"), "the driver table needs the option path (--option KEY=VALUE)"),
    (("run", "--driver", "table", "--option", "path=no.csv", "--goal", "minimize:x"), "no.csv: No such file"),
    (("run", "--wrong"), "--wrong"),
    (("show", "nothing"), "there is no campaign 'nothing'"),
    (("plot", "nothing"), "there is no campaign and no driver 'nothing'"),
    (("export", "nothing"), "there is no campaign 'nothing'"),
    (("tell", "nothing", "--settings", RECIPE, "--failed", "x"), "there is no campaign 'nothing'"),
    (("catalog", "nothing"), "there is no plug-in 'nothing'"),
    (
        ("tell", "t", "--seed", "1", "--settings", "red=nan,yellow=0,blue=0,water=4", "--outcomes", "t_415=1"),
        "red = 'nan' is not a number",
    ),
    (
        ("tell", "t", "--seed", "1", "--settings", "red=2,yellow=0,blue=0,water=2", "--outcomes", "t_415=1"),
        "red = 2 mL is outside [0, 1] mL",
    ),
    (("tell", "t", "--seed", "1", "--settings", "red=1,yellow=0,blue=0,water=2", "--outcomes", "t_415=1"), "must add up to 4 mL"),
    (("tell", "t", "--seed", "1", "--settings", "red=1", "--outcomes", "t_415=1"), "yellow, blue, water missing"),
    (
        ("tell", "t", "--seed", "1", "--settings", RECIPE, "--outcomes", "t_415=1"),
        "t_445, t_480, t_515, t_555, t_590, t_630, t_680 missing",
    ),
    (("tell", "t", "--seed", "1", "--settings", RECIPE), "tell needs --settings with --outcomes, or with --failed"),
    (("tell", "t", "--seed", "1", "--settings", "red", "--failed", "x"), "write KEY=VALUE"),
    (("tell", "t", "--seed", "1", "--settings", "{red", "--failed", "x"), "--settings is not JSON"),
    (("tell", "t", "--seed", "1", "--settings", "[1]", "--failed", "x"), "--settings"),
    (("simulate", "color-mixing", "--settings", "no.csv", "--out", "o.csv"), "cannot read no.csv"),
    (("simulate", "color-mixing", "--settings", "good.csv", "--out", "nowhere/o.csv"), "there is no folder"),
    (
        ("simulate", "table", "--settings", "good.csv", "--out", "o.csv", "--noise-free"),
        "the driver table needs the option path (--option KEY=VALUE)",
    ),
    (("tell", "t", "--seed", "1", "--settings", RECIPE, "--outcomes", ""), "write KEY=VALUE"),
    (("tell", "t", "--seed", "1", "--settings", RECIPE, "--failed", " "), "tell needs --settings with --outcomes, or with --failed"),
    (("tell", "t", "--seed", "1", "--settings", '{"red": 1' + "0" * 400 + "}", "--failed", "x"), "yellow, blue, water missing"),
    (("simulate", "color-mixing", "--settings", "good.csv", "--out", "o.csv", "--seed", "-5"), "seed = -5"),
    (("simulate", "color-mixing", "--settings", "good.csv", "--out", "good.csv"), "would overwrite the settings"),
    (("run", "--option", "seed=-1"), "seed = -1"),
    (("run", "--budget", "1e300"), "budget.runs"),
    (("run", "kind.toml"), "driver = 3: it takes a name"),
    (("nonsense",), "nonsense"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_gets_one_clear_sentence_and_exit_code_2(
    cli_here: Cli, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "broken.toml").write_text('goal = "match-color:teal"\nseed = = 3\n')
    (tmp_path / "field.toml").write_text("[budget]\nrums = 3\n")
    (tmp_path / "kind.toml").write_text("driver = 3\n")
    (tmp_path / "good.csv").write_text("red,yellow,blue,water\n0,0,0,4\n")
    (tmp_path / "text.db").write_text("no database at all, and long enough to be noticed by SQLite when it reads the header" * 20)
    with sqlite3.connect(tmp_path / "foreign.db") as db:
        db.execute("create table t (x)")
    db.close()
    done = cli_here(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sentence in done.stderr
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize("module", ["simulator", "optimizers", "api"])
def test_a_file_that_hides_one_of_our_packages_is_named(cli: Cli, tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text("x = 1\n")
    script = Path(sys.executable).with_name("frugaltwin")
    for done in (cli("run", "--budget", 1), subprocess.run([script, "run"], cwd=tmp_path, capture_output=True, text=True, check=False)):
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(rf"frugaltwin: .*{module}\.py hides our package '{module}'; rename that file.*\n", done.stderr)
    assert "hides our package" in cli("doctor").stdout


HUMBLE = """
import ctypes, os
if os.geteuid() == 0:  # who may write everywhere, unless it gives up just that right: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    header, rights, libc = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(), ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, rights) == 0
    rights[0] &= ~0b110  # in force
    rights[1] &= ~0b110  # permitted, which access(2) asks for
    assert libc.capset(header, rights) == 0
from frugaltwin.cli.main import main
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the rights of Linux")
def test_a_read_only_store_can_be_read_but_not_written(cli: Cli, tmp_path: Path) -> None:
    cli("run", "--budget", 2, *RANDOM, "--name", "one")
    for path in tmp_path.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    tmp_path.chmod(0o555)

    def ask(*arguments: object) -> subprocess.CompletedProcess[str]:
        return forked.run([sys.executable, "-c", HUMBLE, *arguments], cwd=tmp_path)

    shown = ask("show", "one", "--json")
    assert shown.returncode == 0, shown.stderr
    assert len(events(shown)) == 3
    for refused in (ask("run", "--name", "one", "--budget", 4), ask("run"), ask("tell", "one", "--settings", RECIPE, "--failed", "x")):
        assert (refused.returncode, refused.stdout) == (2, "")
        assert len(refused.stderr.splitlines()) == 1
    assert "--store" in ask("run", "--name", "one", "--budget", 4, "--report", "/dev/null").stderr
    assert "problem  store" in ask("doctor").stdout
    tmp_path.chmod(0o755)


@pytest.mark.timing
def test_a_second_process_on_the_same_campaign_is_refused(cli: Cli, tmp_path: Path) -> None:
    first = forked.Process(command("run", "--json", "--name", "c", "--budget", 100000, *RANDOM), cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        assert first.stdout is not None
        first.stdout.readline()
        second = cli("run", "--name", "c", "--budget", 100000, "--json")
        assert (second.returncode, second.stdout) == (2, "")
        assert second.stderr == (
            "frugaltwin: campaign 'c' is open in another process; wait until it ends, or choose another name (--name)\n"
        )
        assert cli("tell", "c", "--settings", RECIPE, "--failed", "x").returncode == 2
        assert cli("export", "c").returncode == 0
    finally:
        first.kill()
        first.communicate()


@pytest.mark.timing
def test_ctrl_c_leaves_a_campaign_that_can_go_on_and_says_how(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "our lab").mkdir()
    (tmp_path / "c.toml").write_text('store = "our lab/c.db"\nstrategy = "random"\n')
    run = forked.Process(
        command("run", "c.toml", "--budget", 100000, "--report", "c.html"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert run.stdout is not None
    while not run.stdout.readline().startswith("  3"):
        pass
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "Traceback" not in err
    assert err.strip().endswith("Go on with: frugaltwin run --name c --store 'our lab/c.db'")
    assert "report: c.html" in out
    numbers = [r["number"] for r in events(cli("show", "c", "--store", "our lab/c.db", "--json"))[:-1]]
    assert numbers == list(range(1, len(numbers) + 1))
    line = shlex.split(err.strip().rpartition("Go on with: frugaltwin ")[2])
    again = forked.Process(command(*line, "--json"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert again.stdout is not None
    assert json.loads(again.stdout.readline())["number"] == len(numbers) + 1
    again.send_signal(signal.SIGINT)
    summary = json.loads(again.communicate(timeout=120)[0].splitlines()[-1])
    assert (summary["stopped_because"], summary["report"]) == ("interrupted", "c.html")


@pytest.mark.timing
def test_kill_9_at_any_moment_loses_no_acknowledged_trial_and_doubles_none(cli: Cli, tmp_path: Path) -> None:
    acknowledged: dict[int, object] = {}
    begin = perf_counter()
    with forked.Process(command("run", "--json", "--name", "first", "--budget", 1, *RANDOM), cwd=tmp_path, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        start = perf_counter() - begin  # until the first trial is acknowledged: machines differ, and are busy
    kills = times(6, 40)

    def done() -> int:
        return (tmp_path / "out").read_bytes().count(b"\n")

    for round_ in range(kills):
        with (tmp_path / "out").open("wb") as out:
            run = forked.Process(command("run", "--json", "--name", "k", "--budget", 10**6, *RANDOM), cwd=tmp_path, stdout=out)
            n_before = (0, 3, 30, 100)[round_ % 4]  # from before the store is made to some hundred trials
            until(lambda n_before=n_before, run=run: done() >= n_before or run.poll() is not None)  # type: ignore[misc]
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait((0.05 if n_before else start) * (round_ * 0.618 % 1))
            run.kill()
            run.wait()
        for line in (tmp_path / "out").read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                continue  # cut off in the middle: not acknowledged
            event = json.loads(line)
            assert event["number"] not in acknowledged
            acknowledged[event["number"]] = event["settings"]
    stored = {r["number"]: r["settings"] for r in events(cli("show", "k", "--json"))[:-1]}
    assert len(acknowledged) > kills
    assert sorted(stored) == list(range(1, len(stored) + 1))
    assert acknowledged.items() <= stored.items()
    assert len(stored) - len(acknowledged) <= kills  # at most the one trial a kill that was stored and not yet printed
    last = events(cli("run", "--name", "k", "--budget", len(stored) + 1, "--json"))[0]
    assert last["number"] == len(stored) + 1


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    run = forked.Process(
        command("run", "--json", "--budget", 100000, *RANDOM), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.readline()
    run.stdout.close()
    assert "Traceback" not in run.stderr.read()
    assert run.wait(60) != 0
    run.stderr.close()


def test_doctor_reports_versions_store_and_optional_parts(cli: Cli) -> None:
    done = cli("doctor", "--json")
    rows = {r["about"]: r for r in events(done)}
    assert done.returncode == 0, done.stdout
    assert {"Python", "numpy", "torch", "botorch", "SQLite", "store", "pyserial", "fastapi", "your files"} <= set(rows)
    old = sqlite3.sqlite_version_info < (3, 51, 3)
    assert rows["SQLite"]["status"] == ("warning" if old else "ok")


def test_the_import_is_light_and_help_needs_nothing_heavy() -> None:
    heavy = "'torch', 'botorch', 'scipy', 'matplotlib', 'pandas'"
    code = f"import sys, frugaltwin, frugaltwin.cli.main; print([m for m in ({heavy}) if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    code = "import sys, frugaltwin as f; f.Campaign; f.make_driver('color-mixing'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_person_corrects_and_judges_and_every_display_respects_it(cli_here: Cli) -> None:
    outcomes = ("t_415", "t_445", "t_480", "t_515", "t_555", "t_590", "t_630", "t_680")
    for value in (0.5, 0.6, 0.7):
        told = ",".join(f"{name}={value}" for name in outcomes)
        assert cli_here("tell", "bench", *RANDOM, "--settings", RECIPE, "--outcomes", told).returncode == 0
    suggested = cli_here("suggest", "bench").stdout.strip()
    (other,) = (s["settings"] for s in events(cli_here("suggest", "bench", "--json")))
    assert cli_here("suggest", "bench", "--pending").stdout.splitlines()[0] == suggested
    assert cli_here("reject", "bench", "--settings", suggested, "--why", "we have no blue").returncode == 0
    (pending,) = events(cli_here("suggest", "bench", "--pending", "--json"))
    assert (pending["event"], pending["settings"]) == ("pending", other)
    retracted = cli_here("retract", "bench", "2", "--why", "a bubble")
    assert "experiment 2 of bench is retracted: a bubble (measured: " in retracted.stdout
    (amended,) = events(cli_here("amend", "bench", "3", "--outcomes", "t_415=0.9", "--why", "a typing mistake", "--json"))
    assert amended["outcomes"] == dict.fromkeys(outcomes, 0.7) | {"t_415": 0.9}
    assert amended["correction"] == {"kind": "amended", "why": "a typing mistake", "measured": dict.fromkeys(outcomes, 0.7)}
    assert "1 is better than 3" in cli_here("prefer", "bench", "1", "3", "--why", "clearer").stdout
    *trials, summary = events(cli_here("show", "bench", "--json"))
    assert [t["correction"] and t["correction"]["kind"] for t in trials] == [None, "retracted", "amended"]
    assert (trials[1]["outcomes"], trials[1]["score"], summary["failed"], summary["retracted"]) == (None, None, 0, 1)
    assert summary["preferences"] == [{"better": 1, "worse": 3, "why": "clearer"}]
    assert [r["why"] for r in summary["rejections"]] == ["we have no blue"]
    shown = cli_here("show", "bench").stdout
    assert all(words in shown for words in ("retracted: a bubble", "amended: a typing mistake", "preferred: 1 to 3 (clearer)"))
    assert "failed" not in shown
    rows = list(csv.DictReader(cli_here("export", "bench").stdout.splitlines()))
    assert [row["correction"] for row in rows] == ["", "retracted: a bubble", "amended: a typing mistake"]
    assert json.loads(rows[1]["original"]) == dict.fromkeys(outcomes, 0.6)
    whole = json.loads(cli_here("export", "bench", "--format", "json").stdout)
    assert [t["original"] and t["original"]["t_415"] for t in whole["trials"]] == [None, 0.6, 0.7]
    kinds = [entry["kind"] for entry in whole["entries"]]
    assert kinds == ["proposal", "proposal", "rejection", "retraction", "amendment", "preference"]
    report = cli_here("report", "bench", "--out", "bench.html")
    assert report.returncode == 0, report.stderr
    for words, sentence in (
        (("retract", "bench", "2", "--why", "x"), "trial 2 was retracted (a bubble), which is final"),
        (("amend", "bench", "9", "--outcomes", "t_415=1", "--why", "x"), "there is no trial 9: they go from 1 to 3"),
        (("retract", "nothing", "1", "--why", "x"), "there is no campaign 'nothing'"),
    ):
        refused = cli_here(*words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert sentence in refused.stderr


def test_candidates_with_nothing_measured_yet_are_done_by_hand(cli_here: Cli, tmp_path: Path) -> None:
    rows = [f"{a},{b}," for a in range(4) for b in (10, 20, 30)]
    (tmp_path / "c.csv").write_text("\n".join(["x1,x2,objective1", *rows, ""]))
    words = ("--driver", "table", "--option", "path=c.csv", "--goal", "maximize:objective1", "--strategy", "sobol")
    asked = [cli_here("suggest", "hand", *words).stdout.strip(), *cli_here("suggest", "hand", "--count", 3).stdout.split()]
    assert len(set(asked)) == 4
    assert cli_here("tell", "hand", "--settings", asked[0], "--outcomes", "objective1=2.5").returncode == 0
    left = cli_here("suggest", "hand", "--pending").stdout.split()
    assert left == asked[1:]
    done = cli_here("run", "--name", "hand")
    assert (done.returncode, "nothing was measured in the table, so it has nothing to replay" in done.stderr) == (1, True)
    three = [row + "7" if k in (0, 1, 4) else row for k, row in enumerate(rows)]
    (tmp_path / "c.csv").write_text("\n".join(["x1,x2,objective1", *three, ""]))
    told = events(cli_here("tell", "hand", "--table", "c.csv", "--json"))
    assert [(t["number"], t["settings"]["x1"], t["outcomes"]["objective1"]) for t in told] == [(2, 0.0, 7.0), (3, 0.0, 7.0), (4, 1.0, 7.0)]
    assert cli_here("suggest", "hand").returncode == 0  # the table was filled in, and nothing of it was replayed
    refused = cli_here("run", "--name", "hand", "--budget", 9)
    assert (refused.returncode, "this has changed since campaign 'hand' was started" in refused.stderr) == (2, True)
    wrong = cli_here("tell", "hand", "--table", "c.csv", "--outcomes", "objective1=1")
    assert (wrong.returncode, "leave the options for one experiment out" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (['"Pd(OAc)2, 5 mol%",DMF,6', '"Ni(cod)2, 10 mol%",THF,4', '"Pd(OAc)2, 5 mol%",THF,7'], "catalyst,solvent"),
        (["1,10", "2,20", "A1,30", "B2,25"], "plate"),
        (['"say ""no""",=,6', '"x, y",b=c,4', '"C=O",{,7'], '"a, b",c'),
    ],
)
def test_what_suggest_prints_can_be_told_as_it_is(cli_here: Cli, tmp_path: Path, rows: list[str], settings: str) -> None:
    (tmp_path / "t.csv").write_text("\n".join([f"{settings},yield", *rows, ""]))
    words = ("--driver", "table", "--option", "path=t.csv", "--goal", "maximize:yield", "--strategy", "random")
    printed = cli_here("suggest", "hand", *words, "--count", len(rows)).stdout.splitlines()
    assert len(printed) == len(rows)
    for line in printed:
        told = cli_here("tell", "hand", "--settings", line, "--outcomes", "yield=5")
        assert told.returncode == 0, told.stderr
    assert cli_here("suggest", "hand", "--pending").stdout == ""


def test_a_store_that_is_in_use_is_backed_up(cli_here: Cli, tmp_path: Path) -> None:
    cli_here("run", *RANDOM, "--name", "bench", "--budget", 2)
    reading = sqlite3.connect(tmp_path / "frugaltwin.db")
    reading.execute("begin")
    reading.execute("select * from trial").fetchone()
    done = cli_here("backup", "--out", "copy.db", "--json")
    reading.close()
    (event,) = events(done)
    assert event == {"event": "backup", "store": str(tmp_path / "frugaltwin.db"), "copy": str(tmp_path / "copy.db")} | {
        "campaigns": 1, "trials": 2, "calibrations": 0,
    }  # fmt: skip
    refused = cli_here("backup", "--out", "copy.db")
    assert (refused.returncode, refused.stdout, "copy.db exists already" in refused.stderr) == (2, "", True)
    said = cli_here("backup", "--out", ".").stdout
    assert re.fullmatch(r"copied to .*frugaltwin-\d{8}T\d{6}Z.db: 1 campaign, 2 trials, 0 calibrations\n", said)
    assert cli_here("list", "--store", "copy.db").stdout == cli_here("list").stdout
