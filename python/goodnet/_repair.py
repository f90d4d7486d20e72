"""`goodnet repair`."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from ._audit import Audit, from_report
from ._bundle import Bundle
from ._command import run_json
from ._data import Data, Path_, as_path

_FINE = (0, 6)


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair made."""

    bundle: Bundle
    audit: Audit | None
    """What the audit found; none with an effort of 0."""
    missed: tuple[float, ...]
    """Drops that were asked for and are not reached."""
    outcome: dict[str, Any]
    """Everything that `goodnet repair --json` prints."""


def repair(
    model: Path_,
    clean: Data,
    out: Path_,
    *,
    backdoored: Data | None = None,
    test_clean: Data | None = None,
    test_backdoored: Data | None = None,
    drops: Sequence[float] | None = None,
    architecture: str | None = None,
    output: str | None = None,
    input_size: str | None = None,
    memory: int | None = None,
    site: str | None = None,
    scale: str | float | None = None,
    mean: str | None = None,
    std: str | None = None,
    color: Literal["rgb", "bgr"] | None = None,
    resize: Literal["stretch", "exact"] | None = None,
    effort: int | None = None,
    max_loss: float | None = None,
    defend: bool = False,
    samples: int | None = None,
    skip_bad: bool = False,
    allow_poor: bool = False,
    force: bool = False,
) -> Repair:
    """Repairs a network and writes a bundle to `out`: `goodnet repair`.

    Backdoored data is measured on, never used. Data sets are paths or (images, labels); the other arguments are the
    command's options. Raises GoodnetError with the command's line.
    """
    sets = {"clean": clean, "backdoored": backdoored, "test_clean": test_clean, "test_backdoored": test_backdoored}
    with ExitStack() as stack:
        paths = {name: stack.enter_context(as_path(data)) for name, data in sets.items()}
        values = {
            **paths,
            "model": model,
            "out": out,
            "drops": drops,
            "architecture": architecture,
            "output": output,
            "input_size": input_size,
            "memory": memory,
            "site": site,
            "scale": scale,
            "mean": mean,
            "std": std,
            "color": color,
            "resize": resize,
            "effort": effort,
            "max_loss": max_loss,
            "defend": defend,
            "samples": samples,
            "skip_bad": skip_bad,
            "allow_poor": allow_poor,
            "force": force,
        }
        outcome, _ = run_json("repair", values, _FINE)
    report, drops_made = outcome["audit"], outcome["manifest"]["drops"]
    return Repair(
        bundle=Bundle(out),
        audit=None if report is None else from_report(report, None),
        missed=tuple(drop["drop"] for drop in drops_made if drop["pruned"] is None),
        outcome=outcome,
    )
