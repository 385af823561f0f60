"""Records of calibrations in the store, and their pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frugaltwin.checks import check_writable
from frugaltwin.cli.console import say, show_line, show_rows
from frugaltwin.errors import InvalidInput
from hardware.commands.options import STORE, AsJson, StorePath

if TYPE_CHECKING:
    from frugaltwin.store import CalibrationRecord


def calibrations(
    record: Annotated[str | None, typer.Argument(metavar="ID", help="Show this calibration in full.")] = None,
    store: StorePath = STORE,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.svg", help="Write its picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the calibrations of the store, or show one."""
    from frugaltwin.store import Store

    found = Store(store).calibrations()
    if record is None:
        show_rows([{"id": r.id, "created": r.created_at, "kind": r.body["kind"], "rig": r.body["rig"]} for r in found], as_json)
        return
    one = next((r for r in found if r.id == record), None)
    if one is None:
        raise InvalidInput(f"there is no calibration {record!r} in {store}; there are {', '.join(r.id for r in found) or 'none'}")
    if out:
        save_plot(one, out)
    body = {k: v for k, v in one.body.items() if k != "plot"}
    show_line(json.dumps({"id": one.id, "created": one.created_at, **body}, indent=None if as_json else 2, ensure_ascii=False))


def keep(record: CalibrationRecord, store: Path) -> CalibrationRecord:
    """Write a calibration into the store, as it is returned: where its id is taken, by the next second that is free."""
    from frugaltwin.store import Store
    from hardware.calibration import record_id

    opened = Store(store)
    taken, second = {known.id for known in opened.calibrations()}, datetime.fromisoformat(record.created_at)
    while record.id in taken:
        second += timedelta(seconds=1)
        record = replace(record, id=record_id(record.body["kind"], second))
    opened.keep(record)
    return record


def save_plot(record: CalibrationRecord, out: Path) -> None:
    """Write the picture of a calibration as an SVG file."""
    check_outputs(picture=out)
    out.write_text(str(record.body["plot"]), encoding="utf-8")
    say(f"picture: {out}")


def check_outputs(*paths: Path | None, picture: Path | None = None) -> None:
    """Check that files can be written before anything is measured.

    Raises:
        InvalidInput: One cannot be written, or the picture is no SVG file.
    """
    if picture and picture.suffix.lower() != ".svg":
        raise InvalidInput(f"--out {picture}: the picture is an SVG; name it {picture.with_suffix('.svg')}")
    for path in (*paths, picture):
        if path:
            check_writable(path)


def check_store(store: Path) -> None:
    """Check that the store can be written before anything is measured."""
    from frugaltwin.store import Store

    Store(store).check_writable()
