"""What the catalog promises to plug-ins that are not ours."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import frugaltwin
from frugaltwin import catalog
from frugaltwin.errors import InvalidInput, MissingPart, UnknownName
from tests.slow_driver import SlowDriver

WHERE = "tests.slow_driver:SlowDriver"


@pytest.fixture(autouse=True)
def _nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_registered", {kind: {} for kind in catalog.GROUPS})


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one installed package, whose modules are to be written by the test."""
    points = "broken = acme_broken:X\nsable = acme_sound:Sable\ntable = acme_sound:Sable\nBad Name = acme_sound:Sable"
    about = tmp_path / "acme_lab-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-lab\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[frugaltwin.drivers]\n{points}\n")
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('no license')\n")
    (tmp_path / "acme_sound.py").write_text('class Sable:\n    """A lab of theirs."""\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    catalog._installed.cache_clear()
    yield tmp_path
    catalog._installed.cache_clear()


@pytest.mark.parametrize("target", [SlowDriver, WHERE])
def test_what_is_registered_is_listed_described_and_made_like_ours(target: catalog.Target, tmp_path: Path) -> None:
    frugaltwin.register("driver", "slow", target)
    assert "slow" in catalog.names("driver")
    assert catalog.kind_of("slow") == "driver"
    assert catalog.summary("driver", "slow") == "Performs until a file is there."
    options = {"log": str(tmp_path / "log"), "gate": str(tmp_path / "gate")}
    assert isinstance(frugaltwin.make_driver("slow", options), SlowDriver)
    assert catalog.resolved_options("driver", "slow", {"seed": "3"}) == {"seed": 3}
    with pytest.raises(InvalidInput, match="the driver slow needs the option log and the option gate"):
        frugaltwin.make_driver("slow")
    with pytest.raises(UnknownName, match="did you mean 'slow'"):
        frugaltwin.make_driver("slwo")
    frugaltwin.register("driver", "slow", target)  # once more, as a notebook does


@pytest.mark.parametrize(
    ("kind", "name", "target", "sentence"),
    [
        ("driver", "table", WHERE, "frugaltwin has a driver of that name; choose another"),
        ("strategy", "table", WHERE, "frugaltwin has a driver of that name; choose another"),
        ("driver", "mine", "tests.slow_driver:GarbledDriver", r"tests.slow_driver:SlowDriver is registered as the driver of that name"),
        ("driver", "My Lab", WHERE, "lower-case letters"),
        ("driver", "other", "tests.slow_driver", "write module:callable"),
        ("driver", "other", 3, "3 cannot be called"),
    ],
)
def test_a_name_that_is_taken_or_no_name_is_refused(kind: str, name: str, target: catalog.Target, sentence: str) -> None:
    frugaltwin.register("driver", "mine", WHERE)
    with pytest.raises(InvalidInput, match=sentence):
        frugaltwin.register(kind, name, target)
    with pytest.raises(UnknownName, match="did you mean 'driver'"):
        frugaltwin.register("drivers", name, target)


def test_a_broken_package_says_so_in_one_sentence_and_leaves_the_others_alone(packages: Path) -> None:
    assert catalog.summary("driver", "sable") == "A lab of theirs."
    assert "acme_sound" not in sys.modules  # its source was enough
    sentence = "the driver broken of the package acme-lab cannot be loaded: RuntimeError: no license; tell its authors"
    assert catalog.summary("driver", "broken") == sentence
    with pytest.raises(MissingPart, match=sentence):
        catalog.make_driver("broken")
    assert catalog.names("driver")[-2:] == ["broken", "sable"]


def test_an_entry_point_whose_name_is_taken_is_left_out_with_a_sentence(packages: Path) -> None:
    bad, table = catalog.refused()
    assert bad.startswith("the driver 'Bad Name' of the package acme-lab is left out: a name has lower-case letters")
    assert table == "the driver 'table' of the package acme-lab is left out: frugaltwin has a driver of that name; choose another"
    assert catalog.target("driver", "table").__module__ == "simulator.table"
    with pytest.raises(InvalidInput, match="the package acme-lab has a driver of that name"):
        frugaltwin.register("driver", "sable", WHERE)


def test_our_own_names_are_found_without_looking_through_installed_packages() -> None:
    code = """if True:
        from frugaltwin import catalog
        catalog.kind_of("sobol"), catalog.data_sheet("goal", "map"), catalog.make_strategy("random"), catalog.make_driver("color-mixing")
        catalog.register("driver", "mine", "mine:Driver")
        raise SystemExit(catalog._installed.cache_info().currsize)
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_registered_mixer_is_made_from_its_words_and_taken_for_a_rig() -> None:
    made: list[str] = []

    def bench(words: str, **parts: object) -> str:
        made.append(words)
        return "a mixer"

    frugaltwin.register("mixer", "bench", bench)
    assert str(frugaltwin.make_mixer("bench:left", seed=1)) == "a mixer"
    assert made == ["left"]
    assert not catalog.is_twin("bench")
    with pytest.raises(UnknownName, match="did you mean 'bench'"):
        frugaltwin.make_mixer("bencg")
    with pytest.raises(InvalidInput, match="frugaltwin has a mixer of that name"):
        frugaltwin.register("mixer", "emulated", bench)
