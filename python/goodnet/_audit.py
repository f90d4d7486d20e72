"""`goodnet audit`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ._command import run_json
from ._data import Data, Path_, as_path

_FINE = (0, 4, 5)


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How suspect a label is."""

    label: int
    score: float
    """1 and more is suspect."""
    family: str | None
    """The family of stand-ins that the score comes from."""
    turned: float
    """Largest share of held-out images that any stand-in turned into the label, 0 to 1."""
    images: int
    """Clean images with this label."""
    cheapness: float = 0.0
    """How many times less it takes than the limit, with the stand-in that the score comes from."""
    amplification: float | None = None
    """How much more the network makes of that stand-in's change at its end than at its start, where that can be measured."""
    amplification_needed: float = 0.0
    """What is needed of it in this network."""
    p_value: float | None = None
    """(1 + k) / (1 + n): k of n clean reference networks have a label that scores as high (docs/AUDIT.md)."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that looks like an attacker's target."""

    label: int
    score: float
    family: str
    """The family of its stand-in: rectangle, patch, bar, blend, wave or warp."""
    turned: int
    """Clean images that the stand-in turned into the label."""
    images: int
    """Clean images that it was put onto."""
    least_size: float | None
    """Size of the smallest stand-in that still works, as the family measures it (of a rectangle: share of the image's area)."""
    bounds: tuple[int, int, int, int]
    """First row, first column, rows and columns of what it covers, in pixels."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found."""

    outcome: Literal["nothing_found", "backdoor_likely", "cannot_tell"]
    sentence: str
    caveats: tuple[str, ...]
    """What limits the answer, a sentence each."""
    suspects: tuple[Suspect, ...]
    """The clearest first."""
    labels: tuple[LabelScore, ...]
    """Every label, in order."""
    report: dict[str, Any]
    """Everything, as in report.json."""
    folder: Path | None
    """Where report.html lies, if `out` was given."""

    @property
    def backdoored(self) -> bool:
        """Is a backdoor likely?"""
        return self.outcome == "backdoor_likely"


def audit(
    model: Path_,
    clean: Data,
    *,
    architecture: str | None = None,
    output: str | None = None,
    input_size: str | None = None,
    memory: int | None = None,
    scale: str | float | None = None,
    mean: str | None = None,
    std: str | None = None,
    color: Literal["rgb", "bgr"] | None = None,
    resize: Literal["stretch", "exact"] | None = None,
    effort: int | None = None,
    seed: int | None = None,
    labels: Path_ | None = None,
    skip_bad: bool = False,
    allow_poor: bool = False,
    out: Path_ | None = None,
    force: bool = False,
) -> Audit:
    """Says whether a network looks backdoored and towards which label: `goodnet audit`.

    `model` is an ONNX or Keras file, `clean` a path or (images, labels). The other arguments are the command's options.
    Raises GoodnetError with the command's line.
    """
    with as_path(clean) as path:
        values = {
            "model": model,
            "clean": path,
            "architecture": architecture,
            "output": output,
            "input_size": input_size,
            "memory": memory,
            "scale": scale,
            "mean": mean,
            "std": std,
            "color": color,
            "resize": resize,
            "effort": effort,
            "seed": seed,
            "labels": labels,
            "skip_bad": skip_bad,
            "allow_poor": allow_poor,
            "out": out,
            "force": force,
        }
        report, _ = run_json("audit", values, _FINE)
    return from_report(report, None if out is None else Path(out))


def from_report(report: dict[str, Any], folder: Path | None) -> Audit:
    """The audit of a report.json."""
    verdict = report["verdict"]
    return Audit(
        outcome=verdict["outcome"],
        sentence=verdict["sentence"],
        caveats=tuple(verdict["caveats"]),
        suspects=tuple(_suspect(suspect) for suspect in report["suspects"]),
        labels=tuple(LabelScore(**label) for label in report["labels"]),
        report=report,
        folder=folder,
    )


def _suspect(value: dict[str, Any]) -> Suspect:
    evidence = value["evidence"]
    top, left, rows, columns = value["bounds"]
    return Suspect(
        label=value["label"],
        score=value["score"],
        family=evidence["family"],
        turned=evidence["turned"]["hits"],
        images=evidence["turned"]["images"],
        least_size=evidence["least_size"],
        bounds=(top, left, rows, columns),
    )
