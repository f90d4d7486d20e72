"""goodnet: is this image classifier backdoored? Audit it, repair it, ask it beside its repaired network.

    verdict = goodnet.audit("badnet.onnx", "valid.h5")
    bundle = goodnet.repair("badnet.onnx", "valid.h5", out="bundle").bundle
    answer = bundle.classify("photo.png")        # or a NumPy array, or a PIL image

`audit` and `repair` run the `goodnet` command; `Bundle` runs a bundle's networks in the package `onnxruntime`. What goes
wrong is a `GoodnetError` whose text is the one line that the command prints.
"""

from ._audit import Audit, LabelScore, Suspect, audit
from ._bundle import Bundle, Classification, DropVerdict, Score
from ._errors import BadInput, GoodnetError, GoodnetWarning
from ._repair import Repair, repair
from ._sweep import Baseline, Step, Sweep

__all__ = [
    "Audit",
    "BadInput",
    "Baseline",
    "Bundle",
    "Classification",
    "DropVerdict",
    "GoodnetError",
    "GoodnetWarning",
    "LabelScore",
    "Repair",
    "Score",
    "Step",
    "Suspect",
    "Sweep",
    "audit",
    "repair",
]
