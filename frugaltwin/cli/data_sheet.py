"""Data sheets on a terminal: paragraphs and tables in its width, markup as bold letters or left out."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_RULE = re.compile(r"=+( +=+)+")


def rendered(sheet: str, width: int, *, has_bold: bool) -> str:
    """A data sheet as people read it.

    >>> print(rendered("**Valid** for ``x`` below 1.\\n\\n=== =====\\nkey means\\n=== =====\\nx   a word\\n=== =====", 40, has_bold=False))
    Valid for x below 1.
    <BLANKLINE>
    key  means
    ---  ------
    x    a word
    """
    blocks = [_table(block, width) if _is_table(block) else _text(block, width) for block in _blocks(sheet.splitlines())]
    text = "\n\n".join(blocks)
    text = re.sub(r"\*\*(.+?)\*\*", "\x1b[1m\\1\x1b[0m" if has_bold else r"\1", text, flags=re.DOTALL)
    return re.sub(r"``(.+?)``|`([^`\n]+)`", lambda found: found[1] or found[2], text)


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    block: list[str] = []
    is_in_table = False
    for line in [*lines, ""]:
        if _RULE.fullmatch(line.strip()) and not is_in_table and block:
            yield block
            block = []
        is_in_table = bool(line.strip()) and (is_in_table or bool(_RULE.fullmatch(line.strip())))
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def _is_table(block: list[str]) -> bool:
    return _RULE.fullmatch(block[0].strip()) is not None


def _text(block: list[str], width: int) -> str:
    """A paragraph or a list in the width; what is set in, such as code and equations, stays as it is."""
    if all(line.startswith("    ") for line in block):
        return "\n".join(block)
    parts: list[str] = []
    for line in block:  # a line that begins with a bold word, or a bullet, is a paragraph of its own
        if parts and not re.match(r"\s*(\*\*|[-*•] )", line):
            parts[-1] += " " + line.strip()
        else:
            parts.append(line)
    filled = [_filled(part, width, "  " if part.lstrip().startswith(("- ", "* ")) else "") for part in parts]
    return "\n".join(filled)


def _filled(text: str, width: int, indent: str) -> str:
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _table(block: list[str], width: int) -> str:
    """A table whose last column is as wide as there is room."""
    starts = [found.start() for found in re.finditer("=+", block[0])]
    rows: list[list[str]] = []
    for line in block:
        if _RULE.fullmatch(line.strip()):
            continue
        cells = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        if rows and not cells[0] and len(rows) > 1:
            rows[-1] = [f"{before} {cell}".strip() for before, cell in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    return "\n".join(fitted(rows, width))


def fitted(rows: list[list[str]], width: int) -> Iterator[str]:
    """Lines of a table whose first row is the header; cells that do not fit are wrapped, those of the last column first."""
    n = len(rows[0])
    widths = [max(len(row[k]) for row in rows) for k in range(n)]
    words = [max((len(word) for row in rows for word in row[k].split()), default=0) for k in range(n)]
    left = width - 2 * (n - 1)
    for k in sorted(range(n), key=lambda k: (k != n - 1, -widths[k])):
        others = sum(widths) - widths[k]
        widths[k] = max(min(widths[k], left - others), min(widths[k], max(words[k], 12)))
    for number, row in enumerate(rows):
        wrapped = [textwrap.wrap(cell, max(w, 1), break_on_hyphens=False) or [""] for cell, w in zip(row, widths, strict=True)]
        for line in range(max(map(len, wrapped))):
            cells = [(cell[line] if line < len(cell) else "").ljust(w) for cell, w in zip(wrapped, widths, strict=True)]
            yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * w for w in widths)
