"""The sweep: what pruning the channels one by one does."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Baseline:
    """The network with nothing removed."""

    clean_accuracy: float
    """Share of clean validation images answered with their label, 0 to 1."""
    attack_success_rate: float | None
    """Share of backdoored images answered with their target label, 0 to 1; none without such images."""
    clean_images: int
    backdoored_images: int


@dataclass(frozen=True, slots=True)
class Step:
    """The network with the first `step` channels of the ranking removed."""

    step: int
    channel: int | None
    """The channel that this step removes."""
    channels_removed: int
    share_removed: float
    """Share of the channels that are removed, 0 to 1."""
    clean_accuracy: float
    accuracy_drop_pp: float
    """Clean accuracy lost, in percentage points."""
    attack_success_rate: float | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every step that was measured."""

    baseline: Baseline
    ranking: tuple[int, ...]
    """The channels in the order in which they go."""
    steps: tuple[Step, ...]
    """Steps 1 to C."""


def from_json(value: Any) -> Sweep:
    """The sweep of a `sweep.json`."""
    return Sweep(
        baseline=Baseline(**value["baseline"]),
        ranking=tuple(value["ranking"]),
        steps=tuple(Step(**step) for step in value["steps"]),
    )
