"""The page, and a picture for each series that it shows."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import draw

TEXT = {
    "requests": ("Answers over cores", "cores, and inference threads", "answers/s, 32 connections", False),
    "time-images": ("Repair time over clean images", "clean images", "seconds", True),
    "time-channels": ("Repair time over channels", "channels at the site", "seconds", True),
    "time-classes": ("Repair time over classes", "classes", "seconds", True),
    "memory-images": ("Peak memory of a repair over clean images", "clean images", "MiB", True),
    "memory-channels": ("Peak memory of a repair over channels", "channels at the site", "MiB", True),
    "memory-classes": ("Peak memory of a repair over classes", "classes", "MiB", True),
    "time-side": ("Repair time over image size", "pixels a side", "seconds", True),
    "memory-side": ("Peak memory of a repair over image size", "pixels a side", "MiB", True),
    "start": ("Start to ready over bundle size", "MiB of bundle", "seconds", True),
}

HEAD = """# Growth

How time and memory grow with what is asked for. Written by `scripts/growth`: networks with drawn
weights (two convolutions of stride 2, a global average, a dense layer), random smooth images,
`repair` without audit (`--effort 0`: the audit's effort is a budget in forward passes, not a matter
of size). Unless a column says otherwise: 500 images of 64 x 64, 64 channels, 10 classes. The network
that is served has four convolutions more; the load, one thread, shares the last core.

Machine: {machine}.
All sizes of a series took turns, {rounds} rounds. Where other work ran beside it, a figure is worth
no more than its range.

Slope: of a straight line through the logarithms; 1 is proportional, below 1 something fixed is
still the larger part. Of all points by least squares, and of the last two: where growth goes. In
brackets the lowest and the highest round.
"""


@dataclass
class Series:
    """For each round a value for each of `xs`, ascending."""

    name: str
    xs: list[float]
    rounds: list[list[float]]

    def columns(self) -> list[list[float]]:
        return [sorted(column) for column in zip(*self.rounds, strict=True)]

    def points(self) -> list[tuple[float, float]]:
        return [(x, median(column)) for x, column in zip(self.xs, self.columns(), strict=True)]


def slope(xs: list[float], ys: list[float]) -> float:
    """Least squares of log y on log x."""
    a, b = [math.log(x) for x in xs], [math.log(y) for y in ys]
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    return sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b, strict=True)) / sum((p - mean_a) ** 2 for p in a)


def spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def slopes(series: Series, last: int = 0) -> str:
    """Over the rounds: median, lowest, highest; of the `last` points, or of all."""
    values = [slope(series.xs[-last:], row[-last:]) for row in series.rounds]
    if not all(map(math.isfinite, values)):
        raise SystemExit(f"{series.name}: a slope is no number: {values}")
    return spread(values)


def section(series: Series) -> list[str]:
    title, x_name, y_name, _ = TEXT[series.name]
    rows = [f"## {title}", "", f"![{title}](growth/{series.name}.svg)", "", f"| {x_name} | {y_name} | range |", "|---|---|---|"]
    for x, column in zip(series.xs, series.columns(), strict=True):
        rows.append(f"| {draw.number(x)} | {draw.number(median(column))} | {draw.number(column[0])} to {draw.number(column[-1])} |")
    return [*rows, ""]


def summary(taken: list[Series]) -> list[str]:
    rows = ["| what | slope, all points | slope, last two |", "|---|---|---|"]
    for series in taken:
        if len(series.xs) > 1:
            rows.append(f"| {TEXT[series.name][0]} | {slopes(series)} | {slopes(series, 2)} |")
    return [*rows, ""]


def machine() -> str:
    cpu = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores of an {cpu}, {memory:.0f} GiB of memory"


def write(docs: Path, taken: list[Series]) -> None:
    pictures = docs / "growth"
    pictures.mkdir(parents=True, exist_ok=True)
    for series in taken:
        title, x_name, y_name, logarithmic = TEXT[series.name]
        (pictures / f"{series.name}.svg").write_text(draw.curve(title, x_name, y_name, series.points(), logarithmic))
    head = HEAD.format(machine=machine(), rounds=len(taken[0].rounds))
    lines = [head, *summary(taken), *(line for series in taken for line in section(series))]
    (docs / "GROWTH.md").write_text("\n".join(lines).rstrip() + "\n")
