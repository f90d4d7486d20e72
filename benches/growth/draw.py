"""A curve as SVG, in the colours of the sweep's plot; both axes logarithmic or both linear from zero."""

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 50, 56
LINE, INK, MUTED, GRID = "#1f6feb", "#1f2328", "#59636e", "#d8dee4"


def number(value: float) -> str:
    """Three significant digits, thousands with commas."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Round values that reach from at most `low` to at least `high`: 1, 2 and 5 times powers of ten, or equal steps from 0."""
    if logarithmic:
        powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
        steps = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        below, above = max(v for v in steps if v <= low), min(v for v in steps if v >= high)
        return [value for value in steps if below <= value <= above]
    step = next(s for power in range(-9, 12) for s in (10.0**power, 2 * 10.0**power, 5 * 10.0**power) if high / s <= 6)
    return [step * turn for turn in range(math.ceil(high / step) + 1)]


def scale(marks: Sequence[float], start: float, end: float, logarithmic: bool) -> Callable[[float], float]:
    """From a value to a place between `start` and `end`, where the first and the last mark lie."""
    place = math.log if logarithmic else float
    first, last = place(marks[0]), place(marks[-1])
    return lambda value: start + (end - start) * (place(value) - first) / (last - first)


def curve(title: str, x_name: str, y_name: str, points: Sequence[tuple[float, float]], logarithmic: bool) -> str:
    """The whole picture; `points` in ascending order of x, all above 0."""
    xs, ys = zip(*points, strict=True)
    x_marks, y_marks = ticks(min(xs), max(xs), logarithmic), ticks(min(ys), max(ys), logarithmic)
    x = scale(x_marks, LEFT, WIDTH - RIGHT, logarithmic)
    y = scale(y_marks, HEIGHT - BOTTOM, TOP, logarithmic)
    told = "; ".join(f"{number(a)}: {number(b)}" for a, b in points)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        f' aria-labelledby="title desc" font-family="Ubuntu, \'Helvetica Neue\', Arial, sans-serif" font-size="12" fill="{INK}">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(f"{y_name} over {x_name}: {told}.")}</desc>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
        f'<text x="{LEFT}" y="42" fill="{MUTED}">{escape(y_name)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 14}" text-anchor="end" fill="{MUTED}">{escape(x_name)}</text>',
    ]
    for value in x_marks:
        parts.append(f'<line x1="{x(value):.1f}" y1="{TOP}" x2="{x(value):.1f}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>')
        # Where there is no room for all, powers of ten have their number.
        if len(x_marks) <= 8 or math.log10(value) % 1 == 0:
            parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="{MUTED}">{number(value)}</text>')
    for value in y_marks:
        parts.append(f'<line x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}" stroke="{GRID}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{MUTED}">{number(value)}</text>')
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3.5" fill="{LINE}"/>' for a, b in points]
    return "\n".join([*parts, "</svg>"]) + "\n"
