"""Running a bundle's networks in the package `onnxruntime`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._errors import GoodnetError

# Read when the package is loaded: images and models stay on this machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # noqa: E402

onnxruntime.disable_telemetry_events()

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Answers:
    """Probabilities for one image."""

    badnet: Floats
    """(N)."""
    pruned: Floats
    """(T, N), in the order of the drops."""
    repaired: Floats | None
    """(N)."""


Networks = Callable[[Floats], Answers]
"""Runs every network on a batch of one."""


def load(manifest: dict[str, Any], read: Callable[[str], bytes]) -> Networks:
    """The networks of a bundle: goodnet.onnx where it stands for every drop, else one session a network."""
    reached = [drop for drop in manifest["drops"] if drop["pruned"] is not None]
    repaired, fused = manifest.get("repaired"), manifest.get("goodnet")
    if fused and fused["drops"] == [drop["drop"] for drop in reached]:
        in_graph = fused.get("repaired", False)
        run = _fused(_session(read(fused["file"])), in_graph)
    else:
        in_graph = False
        badnet = _session(read("badnet.onnx"))
        run = _separate(badnet, [_session(read(drop["pruned"]["file"])) for drop in reached])
    if in_graph or not repaired:
        return run
    apart = _session(read(repaired["file"]))

    def with_repaired(batch: Floats) -> Answers:
        answers = run(batch)
        return Answers(answers.badnet, answers.pruned, _first(apart, batch))

    return with_repaired


def _session(model: bytes) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001: the package raises a class of its own for every status.
        raise GoodnetError(f"the runtime cannot load the model: {' '.join(str(error).split())}") from error


def _first(session: Any, batch: Floats) -> Floats:
    (values,) = session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: batch})
    row: Floats = values[0]
    return row


def _fused(session: Any, repaired: bool) -> Networks:
    names = ["badnet_probabilities", "pruned_probabilities", *(["repaired_probabilities"] if repaired else [])]
    fed = session.get_inputs()[0].name

    def run(batch: Floats) -> Answers:
        values = session.run(names, {fed: batch})
        return Answers(values[0][0], values[1][0], values[2][0] if repaired else None)

    return run


def _separate(badnet: Any, pruned: list[Any]) -> Networks:
    def run(batch: Floats) -> Answers:
        return Answers(_first(badnet, batch), np.stack([_first(session, batch) for session in pruned]), None)

    return run
