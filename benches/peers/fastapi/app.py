"""The usual Python way: FastAPI on uvicorn, a process a core."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from fastapi import FastAPI, Request
from model import GoodNet

app = FastAPI()
goodnet = GoodNet(os.environ["BUNDLE"])


@app.post("/classify")
async def classify(request: Request) -> dict:
    return goodnet.classify(await request.body())
