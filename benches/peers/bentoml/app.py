"""BentoML: a worker process a core, each with its networks."""

import os
import sys
from pathlib import Path
from typing import Annotated

sys.path.append(str(Path(__file__).parent.parent))

import bentoml
from bentoml.validators import ContentType
from model import GoodNet


@bentoml.service(workers=int(os.environ["WORKERS"]), logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Classify:
    def __init__(self) -> None:
        self.goodnet = GoodNet(os.environ["BUNDLE"])

    @bentoml.api(route="/classify")
    def classify(self, image: Annotated[Path, ContentType("image/jpeg")], /) -> dict:
        return self.goodnet.classify(image.read_bytes())
