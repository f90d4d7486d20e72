"""LitServe, as its docs have it for many requests a second: a worker a core, as many API servers, the queue of ZeroMQ."""

import os
import sys
from pathlib import Path
from typing import Annotated

sys.path.append(str(Path(__file__).parent.parent))

import litserve
from fastapi import Body
from model import GoodNet


class Classify(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.goodnet = GoodNet(os.environ["BUNDLE"])

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> bytes:
        return request

    def predict(self, image: bytes) -> dict:
        return self.goodnet.classify(image)

    def encode_response(self, output: dict) -> dict:
        return output


if __name__ == "__main__":
    workers = int(os.environ["WORKERS"])
    api = Classify(api_path="/classify")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=workers, generate_client_file=False, log_level="warning", access_log=False)
