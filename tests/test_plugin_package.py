"""A package of somebody else's, installed beside ours: its plug-ins are listed, described, run and held to the promises like ours."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import forked
from tests.conftest import Cli, events

SOURCE = Path(__file__).parent / "data" / "plugin_package"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process in which the package is installed."""
    site = tmp_path_factory.mktemp("site")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, "--target", site, SOURCE], check=True, capture_output=True)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_the_docs_show_this_very_package() -> None:
    page = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
    assert f"```toml\n{(SOURCE / 'pyproject.toml').read_text()}```" in page


def test_its_plug_ins_are_listed_and_described(cli: Cli, installed: dict[str, str]) -> None:
    rows = {(row["kind"], row["name"]): row["about"] for row in events(cli("catalog", "--json", env=installed))}
    assert rows["driver", "titration"] == "A weak acid that is titrated with a strong base."
    assert ("strategy", "middle-out") in rows
    assert ("goal", "approach") in rows
    assert "Henderson" in cli("catalog", "titration", env=installed).stdout
    assert "did you mean 'titration'" in cli("run", "--driver", "titratoin", env=installed).stderr
    wrong = cli("run", "--driver", "titration", "--option", "pka=sour", env=installed)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "option pka = 'sour' of titration" in wrong.stderr


def test_a_campaign_runs_with_them_and_goes_on(cli: Cli, installed: dict[str, str]) -> None:
    words = (
        "run",
        "--driver",
        "titration",
        "--option",
        "pka=4.2",
        "--goal",
        "approach:pH:4.5",
        "--strategy",
        "middle-out",
        "--name",
        "acid",
    )
    assert cli(*words, "--budget", 3, env=installed).returncode == 0
    done = cli(*words, "--budget", 5, "--json", env=installed)
    assert done.returncode == 0, done.stderr
    assert [e["number"] for e in events(done) if e["event"] == "trial"] == [4, 5]
    assert "approach:pH:4.5" in cli("show", "acid", env=installed).stdout


def test_without_the_package_its_campaign_says_what_is_missing(cli: Cli, installed: dict[str, str]) -> None:
    cli("run", "--driver", "titration", "--goal", "approach:pH:4.5", "--name", "acid", "--budget", 1, env=installed)
    shown = cli("show", "acid")
    assert shown.stderr.strip().count("\n") == 0
    assert "there is no goal 'approach'" in shown.stderr


@pytest.mark.parametrize(
    "check", ["check_driver('titration')", "check_goal('approach')", "check_strategy('middle-out')", "check_mixer('fine-pumps')"]
)
def test_they_keep_the_promises(check: str, installed: dict[str, str], tmp_path: Path) -> None:
    code = f"import sys; from frugaltwin import testing; testing.{check}; sys.exit('pytest' in sys.modules)"
    done = forked.run([sys.executable, "-c", code], cwd=tmp_path, env=installed)
    assert done.returncode == 0, done.stderr


def test_a_broken_promise_is_one_sentence(installed: dict[str, str], tmp_path: Path) -> None:
    code = """if True:
        from acme_titration import Titration
        from frugaltwin import testing
        class Deaf(Titration):
            \"\"\"A titration that cannot be stopped: base, pH, pka, seed.\"\"\"
            def stop(self): ...
        testing.check_driver(Deaf)
    """
    done = forked.run([sys.executable, "-c", code], cwd=tmp_path, env=installed)
    assert done.stderr.strip().splitlines()[-1] == "AssertionError: the driver Deaf: performing after stop, it has to raise Stopped"


def test_the_doctor_says_which_plug_in_is_left_out_and_why(cli: Cli, tmp_path: Path) -> None:
    site = tmp_path / "site"
    about = site / "acme-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[frugaltwin.drivers]\ncolor-mixing = acme:Lab\n")
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    (found,) = (row for row in events(cli("doctor", "--json", env={**os.environ, "PYTHONPATH": path})) if row["about"] == "plug-ins")
    assert found["status"] == "warning"
    assert "the driver 'color-mixing' of the package acme is left out: frugaltwin has a driver of that name" in found["text"]
    (sound,) = (row for row in events(cli("doctor", "--json")) if row["about"] == "plug-ins")
    assert sound["status"] == "ok"
