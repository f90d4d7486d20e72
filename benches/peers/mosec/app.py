"""mosec: an HTTP server in Rust in front of Python processes."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from model import GoodNet
from mosec import Runtime, Server, Worker


class Classify(Worker):
    def __init__(self):
        super().__init__()
        self.goodnet = GoodNet(os.environ["BUNDLE"])

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> dict:
        return self.goodnet.classify(data)


if __name__ == "__main__":
    server = Server()
    server.register_runtime({"/classify": [Runtime(Classify, num=int(os.environ["WORKERS"]))]})
    server.run()
