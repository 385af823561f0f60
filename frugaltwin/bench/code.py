"""Versions that a result depends on: our sources and the libraries that compute."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib import metadata, util
from pathlib import Path

PARTS = ("frugaltwin", "simulator", "optimizers", "hardware")
LEFT_OUT = ("frugaltwin/cli", "frugaltwin/client", "frugaltwin/pictures", "frugaltwin/templates", "frugaltwin/testing", "hardware/commands")
"""Parts on which no result depends."""
REPORTING = ("executor.py", "metrics.py", "readme.py", "report.py", "results.py", "statistics.py", "timing.py")
"""Files of this folder that only read results."""
LIBRARIES = ("numpy", "scipy", "torch", "gpytorch", "botorch")


@cache
def digest() -> str:
    """The SHA-256 of our files on which a campaign's result can depend."""
    found = hashlib.sha256()
    for part in PARTS:
        spec = util.find_spec(part)
        assert spec
        assert spec.origin
        home = Path(spec.origin).parent
        for path in sorted(home.rglob("*"), key=lambda p: p.relative_to(home.parent).as_posix()):
            name = path.relative_to(home.parent).as_posix()
            if path.suffix not in (".py", ".csv") or name.startswith(LEFT_OUT) or (path.parent.name == "bench" and path.name in REPORTING):
                continue
            found.update(name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return found.hexdigest()[:32]


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """The versions of Python and of the libraries; of one that is not installed none."""
    found = [("python", ".".join(platform.python_version_tuple()[:2]))]
    for library in LIBRARIES:
        try:
            found.append((library, metadata.version(library)))
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)
