"""docs/GROWTH.md: how time and memory grow with what is asked for.

    python growth.py PROGRAM DOCS [--quick] [--rounds N]

Writes DOCS/GROWTH.md and DOCS/growth/*.svg. In a round every size of a series is measured once, so that a busy machine slows all
of them; medians are over rounds. `--quick`: tiny sizes and one round, to see that it works.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import measure
import networks
import page


@dataclass
class Sizes:
    images: list[int]
    channels: list[int]
    classes: list[int]
    sides: list[int]
    workers: list[int]
    blocks: int
    rounds: int
    seconds: float


def sizes(quick: bool, rounds: int) -> Sizes:
    cores = len(os.sched_getaffinity(0))
    if quick:
        return Sizes([64, 128], [8, 16], [4, 400], [16, 32], sorted({1, cores}), 0, 1, 0.3)
    return Sizes(
        images=[500, 2000, 8000, 32_000],
        channels=[16, 32, 64, 128, 256, 512],
        classes=[10, 100, 1000, 10_000, 30_000],
        sides=[32, 64, 128, 256, 384],
        workers=list(range(1, cores + 1)),
        blocks=4,
        rounds=rounds,
        seconds=3.0,
    )


class Bench:
    """The program, and a folder with networks, images and bundles that are made once."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder = program, folder

    def repair(self, name: str, *, images: int = 500, side: int = 64, channels: int = 64, classes: int = 10, blocks: int = 0) -> measure.Cost:
        network, data = self.folder / f"{name}.onnx", self.folder / f"{name}.h5"
        if not network.exists():
            networks.write(network, side, channels, classes, blocks)
            networks.write_images(data, network, images, side)
        return measure.repair(self.program, network, data, self.bundle(name))

    def bundle(self, name: str) -> Path:
        return self.folder / name

    def start(self, name: str) -> float:
        with measure.service(self.program, self.bundle(name), 1) as (_, seconds):
            return seconds


def series(name: str, rounds: int, xs: list[float], measure_one: Callable[[int], float]) -> page.Series:
    """`measure_one(index)` for each of `xs`, round after round."""
    taken = [[measure_one(index) for index in range(len(xs))] for _ in range(rounds)]
    print(name, [round(median(values), 4) for values in zip(*taken, strict=True)], flush=True)
    return page.Series(name, [float(x) for x in xs], taken)


def pairs(name: str, rounds: int, xs: list[int], repair: Callable[[int], measure.Cost]) -> Iterator[page.Series]:
    """Time and peak memory of the same repairs."""
    taken = [[repair(x) for x in xs] for _ in range(rounds)]
    for what, values in (("time", [[c.seconds for c in row] for row in taken]), ("memory", [[c.peak_mib for c in row] for row in taken])):
        print(name, what, [round(median(column), 3) for column in zip(*values, strict=True)], flush=True)
        yield page.Series(f"{what}-{name}", [float(x) for x in xs], values)


def requests(bench: Bench, asked: Sizes) -> page.Series:
    """Answers a second of services with 1, 2, ... inference threads on as many CPUs, in turn, all started before."""
    bench.repair("served", images=64, blocks=asked.blocks)
    message = measure.request(networks.smooth_images(1, 64)[0])

    def one(index: int) -> float:
        with measure.service(bench.program, bench.bundle("served"), asked.workers[index]) as (port, _):
            measure.answers_per_second(port, message, 32, asked.seconds / 6)
            return measure.answers_per_second(port, message, 32, asked.seconds)

    return series("requests", asked.rounds, asked.workers, one)


def measured(bench: Bench, asked: Sizes) -> list[page.Series]:
    rounds = asked.rounds
    taken = [requests(bench, asked)]
    taken += pairs("images", rounds, asked.images, lambda n: bench.repair(f"images_{n}", images=n))
    taken += pairs("channels", rounds, asked.channels, lambda n: bench.repair(f"channels_{n}", channels=n))
    taken += pairs("classes", rounds, asked.classes, lambda n: bench.repair(f"classes_{n}", classes=n))
    taken += pairs("side", rounds, asked.sides, lambda n: bench.repair(f"side_{n}", side=n))
    bundles = [f"classes_{n}" for n in asked.classes]
    megabytes = [measure.size_mib(bench.bundle(name)) for name in bundles]
    taken.append(series("start", rounds, megabytes, lambda index: bench.start(bundles[index])))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("docs", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        taken = measured(Bench(args.program, Path(folder)), sizes(args.quick, args.rounds))
    page.write(args.docs, taken)


if __name__ == "__main__":
    main()
