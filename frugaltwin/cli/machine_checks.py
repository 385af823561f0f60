"""Checks of this machine: versions, the store, optional parts, plug-ins, files that hide our packages; one finding each."""

import os
import platform
import sqlite3
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

from frugaltwin.catalog import check_packages, refused
from frugaltwin.checks import SOUND_SQLITE, Finding
from frugaltwin.cli.console import sentence
from frugaltwin.errors import ShadowedPackage, StoreError
from frugaltwin.store import Store

REQUIRED = ("numpy", "scipy", "pydantic", "typer", "rich", "matplotlib", "mpltern", "pandas", "torch", "botorch", "gpytorch", "pyserial")
OPTIONAL = {
    "fastapi": ("fastapi", "the service"),
    "pycalphad": ("pycalphad", "the driver calphad"),
    "bluesky": ("bluesky", "plans of the RunEngine"),
}


def findings(store: Path) -> list[Finding]:
    """The findings of all checks, in the order in which they are shown."""
    return [_python(), *_packages(), _emulator(), _sqlite(), _store(store), *_plugins(), _hidden_packages()]


def _python() -> Finding:
    status = "ok" if sys.version_info >= (3, 11) else "problem"
    return Finding(status, "Python", f"{platform.python_version()} at {sys.executable}")


def _packages() -> list[Finding]:
    rows = []
    for package in ("frugaltwin", *REQUIRED):
        try:
            rows.append(Finding("ok", package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            rows.append(Finding("problem", package, f"not installed; pip install {package}"))
    for module, (package, use) in OPTIONAL.items():
        is_there = find_spec(module) is not None
        text = f"{metadata.version(package)}, for {use}" if is_there else f"not installed; only {use} would need it"
        rows.append(Finding("ok" if is_there else "absent", package, text))
    return rows


def _emulator() -> Finding:
    missing: str | None = resolve_name("hardware.emulator.engine:missing")()
    return Finding("absent" if missing else "ok", "emulated board", missing or "can be built and run here")


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= SOUND_SQLITE:
        return Finding("ok", "SQLite", version)
    needed = ".".join(map(str, SOUND_SQLITE))
    text = f"{version} is older than {needed}: it can lose data when several programs write one store; let one program write at a time"
    return Finding("warning", "SQLite", text)


def _store(path: Path) -> Finding:
    try:
        n = len(Store(path).names())
    except StoreError as error:
        return Finding("problem", "store", sentence(error))
    writable = os.access(path, os.W_OK) if path.exists() else os.access(path.absolute().parent, os.W_OK)
    if not writable:
        return Finding("problem", "store", f"{path} is not yours to write; choose another (--store)")
    return Finding("ok", "store", f"{path} ({n} campaigns)" if path.exists() else f"{path} can be made here")


def _plugins() -> list[Finding]:
    if not (sentences := refused()):
        return [Finding("ok", "plug-ins", "none of an installed package is left out")]
    return [Finding("warning", "plug-ins", sentence) for sentence in sentences]


def _hidden_packages() -> Finding:
    try:
        check_packages()
    except ShadowedPackage as error:
        return Finding("problem", "your files", str(error))
    return Finding("ok", "your files", "none of them hides one of our packages")
