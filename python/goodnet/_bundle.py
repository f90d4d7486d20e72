"""A bundle: the network as delivered, what repairs it, and how to ask both."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from . import _sweep
from ._data import Path_
from ._errors import BadInput
from ._image import Detail, Picture, Preprocess, upright
from ._networks import Floats, Networks, load

_SCHEMA = 1
_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"\n\}\n\Z')
DISAGREEMENT, REPAIRED = "disagreement", "repaired"


@dataclass(frozen=True, slots=True)
class Score:
    """A class and how sure a network is of it."""

    class_index: int
    """0 to N-1."""
    label: str | None
    """Its name, where the bundle knows it."""
    probability: float


@dataclass(frozen=True, slots=True)
class DropVerdict:
    """What the lab's rule says at one drop."""

    drop: float
    class_index: int
    label: str | None
    flagged: bool
    pruned: Score


@dataclass(frozen=True, slots=True)
class Classification:
    """GoodNet's answer for one image."""

    class_index: int
    """0 to N-1, or N ("class N+1") where the image is flagged."""
    label: str | None
    """Its name; none where flagged or not known."""
    flagged: bool
    """Does the image look backdoored? Clean images can be flagged too."""
    policy: str
    """The rule that decided."""
    drop: float
    """The drop in percentage points of `pruned`."""
    badnet: Score
    repaired: Score | None
    """None where the bundle has no repaired network."""
    pruned: Score
    verdicts: tuple[DropVerdict, ...]
    """The lab's rule at every drop of the bundle."""


class Bundle:
    """A directory that `goodnet repair` wrote. Its files are checked against its manifest when they are read.

    That finds damage. Who made a bundle is told by `goodnet verify`.
    """

    def __init__(self, path: Path_) -> None:
        self.path = Path(path)
        self.manifest: dict[str, Any] = _read_manifest(self.path / "manifest.json")
        self.classes: int = self.manifest["classes"]
        """N."""
        self.labels: list[str] | None = self.manifest.get("labels")
        self.drops = tuple(drop["drop"] for drop in self.manifest["drops"] if drop["pruned"] is not None)
        """The drops that can be asked for, in percentage points."""
        self.policies = (DISAGREEMENT, REPAIRED) if self.manifest.get("repaired") else (DISAGREEMENT,)
        """The policies that can be asked for, the default one last."""
        spec = self.manifest["input"]
        self._preprocess = Preprocess.of(spec)
        self._detail = Detail.of(spec, exact=self.manifest.get("exact_decode", False))

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r})"

    @cached_property
    def sweep(self) -> _sweep.Sweep:
        """What pruning the channels one by one does."""
        return _sweep.from_json(json.loads(self.read("sweep.json")))

    def read(self, name: str) -> bytes:
        """The bytes of a file of the bundle; BadInput if they are not those of the manifest."""
        record = self.manifest["files"].get(name)
        if record is None:
            raise BadInput(f"{self.path}: expected {name} in the bundle, found none")
        path = self.path / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != record["sha256"]:
            raise BadInput(f"{path}: expected SHA-256 {record['sha256']}, found {found}")
        return data

    def classify(self, image: Picture, *, policy: str | None = None, drop: float | None = None) -> Classification:
        """What the service answers for one image: a path, the bytes of a file, an array, or a PIL image.

        A JPEG file that is far larger than the network's input is decoded at a part of its size, as the command and the
        service do, unless the bundle was made with `--exact-decode`; an array and a PIL image are taken as they are.
        Without a policy the bundle's default one decides: `disagreement` where a drop is named; else `repaired` where the
        bundle has a repaired network, else `disagreement`. `gated` asks the network about many more images: ask the service.
        """
        row = self._row(drop)
        chosen = self._policy(policy or (DISAGREEMENT if drop is not None else self.policies[-1]))
        return self._report(self._networks(self._preprocess(upright(image, self._detail))), row, chosen)

    def classify_all(
        self, images: Iterable[Picture], *, policy: str | None = None, drop: float | None = None
    ) -> list[Classification]:
        """`classify` for each of `images`, an array (n, h, w, 3), say."""
        return [self.classify(image, policy=policy, drop=drop) for image in images]

    @cached_property
    def _networks(self) -> Networks:
        if not self.drops:
            raise BadInput(f"{self.path}: expected a bundle with at least one repaired network, found none")
        return load(self.manifest, self.read)

    def _row(self, drop: float | None) -> int:
        if drop is None:
            return len(self.drops) - 1
        if drop not in self.drops:
            raise BadInput(f"expected one of the drops {', '.join(f'{d:g}' for d in self.drops)}, found {drop:g}")
        return self.drops.index(drop)

    def _policy(self, policy: str) -> str:
        if policy in self.policies:
            return policy
        expected = f"expected one of {', '.join(self.policies)}, found {policy!r}"
        if policy == "gated":
            expected += ": `goodnet classify --policy gated` and the service run its check"
        raise BadInput(expected)

    def _report(self, answers: Any, row: int, policy: str) -> Classification:
        badnet = self._best(answers.badnet)
        repaired = None if answers.repaired is None else self._best(answers.repaired)
        verdicts = tuple(
            self._verdict(drop, badnet, self._best(scores))
            for drop, scores in zip(self.drops, answers.pruned, strict=True)
        )
        beside = repaired if policy == REPAIRED else verdicts[row].pruned
        flagged = beside is None or beside.class_index != badnet.class_index
        return Classification(
            class_index=self.classes if flagged else badnet.class_index,
            label=None if flagged else badnet.label,
            flagged=flagged,
            policy=policy,
            drop=self.drops[row],
            badnet=badnet,
            repaired=repaired,
            pruned=verdicts[row].pruned,
            verdicts=verdicts,
        )

    def _verdict(self, drop: float, badnet: Score, pruned: Score) -> DropVerdict:
        flagged = badnet.class_index != pruned.class_index
        return DropVerdict(
            drop=drop,
            class_index=self.classes if flagged else badnet.class_index,
            label=None if flagged else badnet.label,
            flagged=flagged,
            pruned=pruned,
        )

    def _best(self, scores: Floats) -> Score:
        # Ties go to the lower class, NaN never wins against a number, and all NaN is class 0.
        best = 0 if np.isnan(scores).all() else int(np.nanargmax(scores))
        name = self.labels[best] if self.labels else None
        return Score(best, name, float(scores[best]))


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    try:
        manifest = json.loads(data)
        version = manifest["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: expected a bundle's manifest, found {error!r}") from error
    if version != _SCHEMA:
        raise BadInput(f"{path}: expected schema version {_SCHEMA}, found {version}")
    digest = _DIGEST.search(data)
    # The digest is that of the manifest with an empty one.
    sealed = digest and data[: digest.start(1)] + data[digest.end(1) :]
    if not digest or not sealed or hashlib.sha256(sealed).hexdigest() != digest[1].decode():
        raise BadInput(f"{path}: expected the manifest as goodnet wrote it, found one that was changed")
    assert isinstance(manifest, dict)
    return manifest
