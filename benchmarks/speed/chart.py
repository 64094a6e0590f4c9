"""A chart of figures as SVG: bars of how many times the floor each took, ours in another colour."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from benchmarks.speed.tables import Table

WIDTH, LABELS, BAR, GAP, TITLE = 860, 330, 16, 6, 34
OURS, OTHERS = "#1f6f8b", "#b8c4cc"


def bars(table: Table) -> list[tuple[str, float, bool]]:
    """Choose what is drawn: whole ways from a frame to a kept book, not our own stages."""
    return [
        (one.name.replace("`", "").replace("**", ""), one.ratio, one.name == table.ours)
        for one in table.figures
        if one.name not in table.stages
    ]


def svg(tables: Sequence[Table]) -> str:
    """Draw tables of figures one below the other, on one scale."""
    drawn = [(table, bars(table)) for table in tables if table.figures and table.ours is not None]
    longest = max((ratio for _, rows in drawn for _, ratio, _ in rows), default=1.0)
    parts, y = [], 0
    for table, rows in drawn:
        parts.append(_text(8, y + 22, table.title, bold=True))
        y += TITLE
        for name, ratio, ours in rows:
            parts += _bar(y, name, ratio, (WIDTH - LABELS - 60) / longest, OURS if ours else OTHERS)
            y += BAR + GAP
        y += GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}">'
    background = f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>'
    return "\n".join([head, background, *parts, "</svg>", ""])


def _bar(y: int, name: str, ratio: float, scale: float, colour: str) -> Iterator[str]:
    length = max(1.0, ratio * scale)
    yield _text(LABELS - 8, y + 12, name, end=True)
    yield f'<rect x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
    yield _text(LABELS + length + 6, y + 12, f"{ratio:.1f}")


def _text(x: float, y: float, text: str, *, bold: bool = False, end: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    anchor = ' text-anchor="end"' if end else ""
    style = f'font-family="sans-serif" font-size="12" fill="#222222"{weight}{anchor}'
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'


def write(tables: Sequence[Table], path: Path) -> None:
    """Write the chart."""
    path.write_text(svg(tables), encoding="utf-8")
