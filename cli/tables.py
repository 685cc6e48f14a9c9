"""Aligned columns of text."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines, columns separated by two spaces; a column whose cells below the head are numbers is flush right.

    >>> print(aligned([["model", "bpp"], ["a", "0.5"], ["long", "10.5"]]))
    model   bpp
    a       0.5
    long   10.5
    """
    columns = list(zip(*rows, strict=True))
    padded = [_pad(column) for column in columns]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*padded, strict=True))


def _pad(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    right = all(cell[:1].isdigit() or cell == "-" for cell in column[1:])
    return [cell.rjust(width) if right else cell.ljust(width) for cell in column]
