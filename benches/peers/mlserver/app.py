"""MLServer: parallel workers, one a core; the image as the body of a custom handler."""

import os
import sys
from pathlib import Path
from typing import Annotated

sys.path.append(str(Path(__file__).parent.parent))

from fastapi import Body
from mlserver import MLModel
from mlserver.handlers import custom_handler
from model import GoodNet


class Classify(MLModel):
    async def load(self) -> bool:
        self.goodnet = GoodNet(os.environ["BUNDLE"])
        return True

    @custom_handler(rest_path="/classify")
    async def classify(self, image: Annotated[bytes, Body(media_type="image/jpeg")]) -> dict:
        return self.goodnet.classify(image)
