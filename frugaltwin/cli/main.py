"""The `frugaltwin` command. Every command says what it does in its help, and fails with one sentence and exit code 2."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from frugaltwin.cli.console import check_writable, progress, say, show_line, show_rows
from frugaltwin.errors import FrugalTwinError, InvalidInput

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign
    from frugaltwin.plugins import Driver
    from frugaltwin.spec import CampaignSpec

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130

GROUPS = {
    "rig": "hardware.commands:app",
    "service": "api.commands.service:app",
    "db": "api.commands.database:app",
    "": "api.commands.serve:app",
}
"""Commands that another package brings (without a name: single ones). Their modules import nothing heavy at the top."""

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help=
    "A self-driving lab on a desk, and its faithful simulator. Begin with: frugaltwin run"
)  # fmt: skip

File = Annotated[Path | None, typer.Argument(metavar="FILE", help="A campaign file (TOML); flags override it.")]
DriverName = Annotated[
    str | None, typer.Option("--driver", metavar="NAME", help="Who performs: see `frugaltwin catalog`; or a service's http://…/rigs/NAME.")
]
Options = Annotated[list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the driver; may be repeated.")]
GoalWords = Annotated[
    str | None, typer.Option("--goal", metavar="GOAL", help="match-color:#8fb04a, match-color:coral, minimize:COLUMN, maximize:COLUMN …")
]
StrategyName = Annotated[str | None, typer.Option("--strategy", metavar="NAME", help="Who chooses; see `frugaltwin catalog`.")]
BudgetWords = Annotated[
    str | None, typer.Option("--budget", metavar="N|KEY=N,…", help="Runs in all, or any of runs=12,seconds=900,money=1.5,volume=300.")
]
StopWords = Annotated[float | None, typer.Option("--stop", metavar="SCORE", help="End as soon as a reading is this good.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Of everything random; 0 by default.")]
Name = Annotated[str | None, typer.Option("--name", help="Of the campaign; one that exists goes on where it stopped.")]
StorePath = Annotated[Path | None, typer.Option("--store", metavar="FILE", help="The SQLite file; frugaltwin.db by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else.")]
Truth = Annotated[bool, typer.Option("--truth", help="Lay the truth of the twin over a map, and say how much of it is right.")]
CampaignName = Annotated[str, typer.Argument(metavar="NAME", help="A campaign of the store.")]


for group, entry in GROUPS.items():
    with suppress(ImportError):  # a file of the user's hides the package: `check_packages` says so
        app.add_typer(resolve_name(entry), name=group or None)


def main() -> NoReturn:
    """Run the command line; errors become one sentence, the whole story goes to the log."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # matrices of tens of rows: more threads halve the speed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without a Δ shows a question mark
    try:
        _start_log()
        code = app(standalone_mode=False)
        _flush()
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.TyperException as error:
        _fail(error.format_message(), BAD_INPUT)
    except FrugalTwinError as error:
        logging.getLogger("frugaltwin").info("refused", exc_info=True)
        from frugaltwin.errors import DriverError, StoreError

        if isinstance(error, StoreError) and error.record:
            _rescue(error.record)
        _fail(str(error), FAILED if isinstance(error, DriverError) else BAD_INPUT)
    except BrokenPipeError:
        _mute()  # the reader has gone: nothing to say, and nowhere
        sys.exit(FAILED)
    except OSError as error:
        logging.getLogger("frugaltwin").info("the system refused", exc_info=True)
        _mute()
        _fail(f"cannot write {error.filename or 'the output'}: {error.strerror}", BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@app.command()
def run(
    file: File = None,
    driver: DriverName = None,
    option: Options = None,
    goal: GoalWords = None,
    strategy: StrategyName = None,
    budget: BudgetWords = None,
    stop: StopWords = None,
    seed: Seed = None,
    name: Name = None,
    store: StorePath = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="The HTML report; NAME.html beside the store by default.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run a campaign to its end, or go on with one. Without arguments: match a color on the color-mixing twin."""
    spec = _spec(file, driver, option, goal, strategy, budget, stop, seed, name, store)
    campaign = _campaign(spec)
    report = report or spec.store.with_name(f"{campaign.name}.html")
    check_writable(report)
    campaign.store.check_writable()
    from rich.console import Console

    from frugaltwin.cli import run_display
    from frugaltwin.pictures.report import write

    display = run_display.JsonDisplay(campaign) if as_json else run_display.PeopleDisplay(campaign, Console())
    with display, _stopped_by_ctrl_c(campaign) as interrupted:
        for trial in campaign.run():
            display.show(trial)
    if interrupted:
        campaign.stopped_because = "interrupted"
    with progress("writing the report", 1) as step:
        write(campaign, report, step=step)
    display.end(campaign.recommendation(), report)
    if interrupted:
        say(f"Stopped; every trial is kept. Go on with: frugaltwin run --name {campaign.name}{_store_flag(store)}")
        return INTERRUPTED
    return FAILED if campaign.is_failing else 0


@app.command()
def suggest(
    name: CampaignName,
    driver: DriverName = None,
    option: Options = None,
    goal: GoalWords = None,
    strategy: StrategyName = None,
    seed: Seed = None,
    store: StorePath = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many settings.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Say what to try next, for an experiment done by hand; `tell` brings the result back."""
    campaign = _campaign(_spec(None, driver, option, goal, strategy, None, None, seed, name, store))
    for suggestion in campaign.suggest(count):
        settings, why = suggestion.settings, suggestion.why
        if as_json:
            show_line(json.dumps({"event": "suggestion", "settings": dict(settings)} | ({"why": why} if why else {}), ensure_ascii=False))
        else:
            show_line(",".join(f"{k}={v!r}" if isinstance(v, float) else f"{k}={v}" for k, v in settings.items()))
            if why:
                say(f"  {why}")


@app.command()
def tell(
    name: CampaignName,
    settings: Annotated[str, typer.Option(metavar="KEY=VALUE,…", help="What was set, or the same as JSON.")],
    outcomes: Annotated[str | None, typer.Option(metavar="KEY=VALUE,…", help="What was measured, or the same as JSON.")] = None,
    failed: Annotated[str | None, typer.Option(metavar="WHY", help="Instead of outcomes: why there are none.")] = None,
    cost: Annotated[str | None, typer.Option(metavar="KEY=N,…", help="What it took: seconds=60,money=0.1,volume=12.")] = None,
    driver: DriverName = None,
    option: Options = None,
    goal: GoalWords = None,
    strategy: StrategyName = None,
    seed: Seed = None,
    store: StorePath = None,
    as_json: AsJson = False,
) -> None:
    """Add an experiment that was done by hand."""
    from frugaltwin.cli.run_display import trial_event
    from frugaltwin.costs import Cost
    from frugaltwin.experiment import quantity

    if (outcomes is None) == (failed is None) or (failed is not None and not failed.strip()):
        raise InvalidInput("tell needs --outcomes, or --failed and why")
    spent = pairs("--cost", cost) if cost else {}
    for key, amount in spent.items():
        if key not in ("seconds", "money", "volume") or not isinstance(amount, float) or not 0 <= amount < float("inf"):
            raise InvalidInput(f"--cost {key}={amount}: it takes seconds, money and volume, each a number from 0 up")
    if all(word is None for word in (driver, option, goal, strategy, seed)):
        _stored(name, store)  # a misspelled name begins no campaign
    campaign = _campaign(_spec(None, driver, option, goal, strategy, None, None, seed, name, store))
    trial = campaign.tell(pairs("--settings", settings), None if outcomes is None else pairs("--outcomes", outcomes), Cost(**spent), failed)
    if as_json:
        show_line(json.dumps(trial_event(campaign, trial, campaign.trials), allow_nan=False, ensure_ascii=False))
        return
    score = campaign.score(trial)
    show_line(
        f"stored as experiment {trial.number} of {name}" + (f", score {quantity(score, campaign.goal.unit)}" if score is not None else "")
    )


@app.command("list")
def list_campaigns(store: StorePath = None, as_json: AsJson = False) -> None:
    """List the campaigns of the store."""
    from frugaltwin.store import Store

    opened = Store(store or Path("frugaltwin.db"))
    records = opened.campaigns()
    rows = [
        {"name": r.name, "trials": len(opened.trials(r.name)), "driver": r.body["driver"]["name"], "goal": r.body["goal"]}
        | {"strategy": r.body["strategy"]["name"], "seed": r.body["seed"], "started": r.created_at}
        for r in records
    ]
    if not rows and not as_json:
        say(f"no campaigns in {opened.path} yet; begin one with: frugaltwin run")
    show_rows(rows, as_json)


@app.command()
def show(name: CampaignName, store: StorePath = None, as_json: AsJson = False) -> None:
    """Show the trials of a campaign and what it recommends."""
    from rich.console import Console

    from frugaltwin.cli import run_display

    campaign = _stored(name, store)
    trials = campaign.trials
    display = run_display.JsonDisplay(campaign) if as_json else run_display.PeopleDisplay(campaign, Console())
    display.trials = []
    with display:
        for trial in trials:
            display.show(trial)
    display.end(campaign.recommendation(), None)


@app.command()
def plot(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A campaign of the store, or a driver of the catalog.")],
    store: StorePath = None,
    option: Options = None,
    at: Annotated[float | None, typer.Option(metavar="N", help="Of a driver: where its section is cut, a temperature say.")] = None,
    truth: Truth = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="NAME.svg by default; .png and .pdf work too.")] = None,
) -> None:
    """Draw a campaign (best so far, colors, readings; or its map), or the true diagram of a driver."""
    from difflib import get_close_matches

    from frugaltwin import catalog as known
    from frugaltwin.errors import UnknownName
    from frugaltwin.pictures.picture import picture
    from frugaltwin.store import Store

    path = out or Path(f"{name}.svg")
    check_writable(path)
    campaigns = [record.name for record in Store(store or Path("frugaltwin.db")).campaigns()]
    if name not in [*campaigns, *known.DRIVERS]:
        near = get_close_matches(name, [*campaigns, *known.DRIVERS], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`frugaltwin list` and `frugaltwin catalog` say what there is"
        raise UnknownName(f"there is no campaign and no driver {name!r}; {hint}")
    if name not in campaigns:
        if truth:
            raise InvalidInput(f"{name} is a driver: its diagram is the truth; leave --truth out")
        picture(known.make_driver(name, _options(option)), at).save(path)
    elif option:
        raise InvalidInput(f"{name} is a campaign, and knows its driver's options; leave --option out")
    else:
        picture(_stored(name, store), at, truth).save(path)
    show_line(str(path))


@app.command()
def report(
    name: CampaignName,
    store: StorePath = None,
    truth: Truth = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="NAME.html by default.")] = None,
) -> None:
    """Write the report of a campaign again, as one HTML file."""
    from frugaltwin.pictures.report import write

    path = out or Path(f"{name}.html")
    check_writable(path)
    campaign = _stored(name, store)
    with progress("writing the report", 1) as step:
        write(campaign, path, truth, step)
    show_line(str(path))


@app.command()
def predict(
    name: CampaignName,
    settings: Annotated[Path, typer.Option(metavar="IN.csv", help="A table of settings: columns by name.")],
    out: Annotated[Path, typer.Option(metavar="OUT.csv", help="The settings and what the model expects, in the same order.")],
    store: StorePath = None,
) -> None:
    """Say what a campaign's model expects at other settings: label and chances of a map, else mean and standard deviation."""
    from frugaltwin.tables import read_settings, write_rows

    campaign = _stored(name, store)
    rows = read_settings(settings, campaign.driver.experiment)
    _check_output(out, settings)
    write_rows(out, [row | dict(more) for row, more in zip(rows, campaign.predict(rows).rows(), strict=True)])
    say(f"{len(rows)} rows written to {out}")


@app.command()
def export(
    name: CampaignName,
    form: Annotated[str, typer.Option("--format", metavar="csv|json", help="One row a trial, or all there is.")] = "csv",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Standard output by default.")] = None,
    store: StorePath = None,
) -> None:
    """Write a campaign as a table (csv) or with raw readings and provenance (json)."""
    from dataclasses import asdict

    from frugaltwin.experiment import total_cost
    from frugaltwin.tables import format_rows, trial_columns, trial_rows

    if form not in ("csv", "json"):
        raise InvalidInput(f"--format {form}: it is csv or json")
    campaign = _stored(name, store)
    rows = trial_rows(campaign.driver.experiment, campaign.trials, campaign.score)
    if form == "csv":
        text = format_rows(trial_columns(campaign.driver.experiment), rows)
    else:
        record = campaign.store.find(name)
        body: dict[str, Any] = {"name": name, "created_at": record.created_at, **record.body} if record else {"name": name}
        raws = [dict(t.measurement.raw) if t.measurement else {} for t in campaign.trials]
        body["trials"] = [row | {"raw": raw} for row, raw in zip(rows, raws, strict=True)]
        body["spent"] = asdict(total_cost(campaign.trials))
        text = json.dumps(body, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    _write(out, text)


@app.command()
def catalog(name: Annotated[str | None, typer.Argument(help="Print the data sheet of this one.")] = None, as_json: AsJson = False) -> None:
    """List the drivers, strategies and goals there are, or print the data sheet of one."""
    from frugaltwin import catalog as known

    if name:
        kind = known.kind_of(name)
        sheet = known.data_sheet(kind, name)
        show_line(
            json.dumps({"kind": kind, "name": name, "data_sheet": sheet}, ensure_ascii=False) if as_json else f"{name} ({kind})\n\n{sheet}"
        )
        return
    show_rows([{"kind": kind, "name": n, "about": known.summary(kind, n)} for kind, table in known.KINDS.items() for n in table], as_json)


@app.command()
def simulate(
    driver: Annotated[str, typer.Argument(metavar="DRIVER", help="Who performs; see `frugaltwin catalog`.")],
    settings: Annotated[Path, typer.Option(metavar="IN.csv", help="A table of settings: columns by name.")],
    out: Annotated[Path, typer.Option(metavar="OUT.csv", help="The settings and their outcomes, in the same order.")],
    noise_free: Annotated[bool, typer.Option("--noise-free", help="The truth of a twin instead of readings.")] = False,
    seed: Seed = None,
    option: Options = None,
) -> int:
    """Perform every row of a table of settings on a driver and write the outcomes."""
    from frugaltwin import catalog as known
    from frugaltwin.errors import DriverError
    from frugaltwin.plugins import KnowsTruth
    from frugaltwin.tables import color_of, read_settings, write_rows

    performer = known.make_driver(driver, _options(option), seed=0 if seed is None else seed)
    if noise_free and not isinstance(performer, KnowsTruth):
        raise InvalidInput(f"{driver} has no noise-free form; leave --noise-free out")
    experiment = performer.experiment
    rows = read_settings(settings, experiment)
    _check_output(out, settings)
    empty = dict.fromkeys([o.name for o in experiment.outcomes] + (["L", "a", "b"] if experiment.color else []))
    written: list[dict[str, Any]] = []
    failures = 0
    with progress("simulating", len(rows)) as step:
        for number, outcomes in enumerate(_outcomes(performer, rows, noise_free), start=1):
            if isinstance(outcomes, DriverError):
                failures += 1
                say(f"row {number} failed: {outcomes}")
                written.append(dict(rows[number - 1]) | empty)
            else:
                written.append(dict(rows[number - 1]) | dict(outcomes) | color_of(experiment, rows[number - 1], outcomes))
            step(number, len(rows))
    write_rows(out, written)
    say(f"{len(written)} rows written to {out}" + (f", {failures} of them without outcomes" if failures else ""))
    return FAILED if failures else 0


@app.command()
def doctor(store: StorePath = None, as_json: AsJson = False) -> int:
    """Check this machine: versions, the store, optional parts, files that hide our packages."""
    from dataclasses import asdict

    from frugaltwin.cli.doctor import findings

    found = findings(store or Path("frugaltwin.db"))
    show_rows([asdict(f) for f in found], as_json)
    return FAILED if any(f.status == "problem" for f in found) else 0


def _outcomes(performer: Driver, rows: list[dict[str, float | str]], noise_free: bool) -> Iterator[Any]:
    """What every row gives, or the error that it fails with."""
    from frugaltwin.errors import DriverError
    from frugaltwin.plugins import KnowsTruth, KnowsTruths

    is_asked_for_truth = noise_free and isinstance(performer, KnowsTruth)
    if is_asked_for_truth and isinstance(performer, KnowsTruths):
        try:
            yield from performer.truths(rows)
        except DriverError:  # of one of them: asked one by one, below, they say which
            pass
        else:
            return
    with nullcontext() if is_asked_for_truth else performer:
        for row in rows:
            try:
                yield performer.truth(row) if is_asked_for_truth else performer.perform(row).outcomes  # type: ignore[attr-defined]
            except DriverError as error:
                yield error


def _spec(
    file: Path | None, driver: str | None, option: list[str] | None, goal: str | None, strategy: str | None, budget: str | None,
    stop: float | None, seed: int | None, name: str | None, store: Path | None,
) -> CampaignSpec:  # fmt: skip
    """The file's fields with the flags laid over them."""
    from frugaltwin.spec import CampaignSpec, read_fields

    fields: dict[str, Any] = read_fields(file) if file else {}
    flags = {"goal": goal, "strategy": strategy, "stop": stop, "seed": seed, "name": name, "store": store, "budget": _budget(budget)}
    fields |= {key: value for key, value in flags.items() if value is not None}
    if driver is not None or option:
        before: Any = fields.get("driver", "color-mixing")
        choice: dict[str, Any] = {"name": before} if isinstance(before, str) else dict(before)
        if driver is not None and driver != choice.get("name"):
            choice = {"name": driver}
        fields["driver"] = choice | {"options": dict(choice.get("options", {})) | _options(option)}
    return CampaignSpec.parse(fields, f"{file}: " if file else "")


def _campaign(spec: CampaignSpec) -> Campaign:
    from frugaltwin.campaign import Campaign
    from frugaltwin.catalog import check_packages

    check_packages()
    return Campaign.open(spec)


def _stored(name: str, store: Path | None) -> Campaign:
    """A campaign of the store, for reading."""
    from frugaltwin.campaign import Campaign
    from frugaltwin.catalog import check_packages
    from frugaltwin.store import Store

    check_packages()
    return Campaign.stored(name, Store(store or Path("frugaltwin.db")))


def _options(pairs: list[str] | None) -> dict[str, str]:
    options = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InvalidInput(f"--option {pair}: write KEY=VALUE")
        options[key.strip()] = text
    return options


def pairs(flag: str, text: str) -> dict[str, Any]:
    """``red=0.2,blue=0.8`` or the same as a JSON object."""
    from frugaltwin.tables import value

    if text.lstrip().startswith("{"):
        try:
            body: dict[str, Any] = json.loads(text, parse_int=float)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InvalidInput(f"{flag} is not JSON: {error}") from error
        return body
    pairs = [part.partition("=") for part in text.split(",")]
    if any(not key.strip() or not equals for key, equals, _ in pairs):
        raise InvalidInput(f"{flag} {text!r}: write KEY=VALUE,KEY=VALUE")
    if len({key.strip() for key, _, _ in pairs}) != len(pairs):
        raise InvalidInput(f"{flag} {text!r} names something twice")
    return {key.strip(): value(cell) for key, _, cell in pairs}


def _budget(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    if "=" not in text:
        text = f"runs={text}"
    budget: dict[str, Any] = pairs("--budget", text)
    runs = budget.get("runs")
    return budget | ({"runs": int(runs)} if isinstance(runs, float) and runs.is_integer() else {})


@contextmanager
def _stopped_by_ctrl_c(campaign: Campaign) -> Iterator[list[int]]:
    """Ctrl-C brings the rig to rest and ends the run after its trial is stored; a second one ends at once."""
    caught: list[int] = []

    def stop(number: int, frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        campaign.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_output(out: Path, settings: Path) -> None:
    check_writable(out)
    if out.exists() and out.samefile(settings):
        raise InvalidInput(f"--out {out} would overwrite the settings; name another file")


def _write(path: Path, text: str) -> None:
    check_writable(path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error


def _store_flag(store: Path | None) -> str:
    return f" --store {store}" if store else ""


def _mute() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _rescue(record: str) -> None:
    """A trial that could not be stored goes into a file, or else onto standard error."""
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        path = folder / f"trial-{os.getpid()}.json"
        try:
            path.write_text(record + "\n", encoding="utf-8")
        except OSError:
            path.unlink(missing_ok=True)
            continue
        say(f"frugaltwin: the trial that could not be stored is in {path}")
        return
    say(record)


def _start_log() -> None:
    """Where the environment variable FRUGALTWIN_LOG says, everything; else nothing but warnings of ours are dropped."""
    logger = logging.getLogger("frugaltwin")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    path = os.environ.get("FRUGALTWIN_LOG")
    if not path:
        logger.addHandler(logging.NullHandler())
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write the log {path}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)


def _flush() -> None:
    sys.stdout.flush()


def _fail(sentence: str, code: int) -> NoReturn:
    say(f"frugaltwin: {sentence}")
    sys.exit(code)
