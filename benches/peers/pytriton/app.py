"""Triton's server (C++) from NVIDIA's wheel, with its Python backend: an instance of the networks a core."""

import json
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import numpy
from model import GoodNet
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


class Instance:
    def __init__(self) -> None:
        self.goodnet = GoodNet(os.environ["BUNDLE"])

    def __call__(self, requests: list) -> list[dict]:
        answers = [self.goodnet.classify(request.data["image"].item()) for request in requests]
        return [{"answer": numpy.array([json.dumps(answer).encode()])} for answer in answers]


if __name__ == "__main__":
    config = TritonConfig(http_address="127.0.0.1", http_port=int(sys.argv[1]), allow_grpc=False, allow_metrics=False, log_verbose=0)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="classify",
            infer_func=[Instance() for _ in range(int(os.environ["WORKERS"]))],
            inputs=[Tensor(name="image", dtype=numpy.bytes_, shape=(1,))],
            outputs=[Tensor(name="answer", dtype=numpy.bytes_, shape=(1,))],
            config=ModelConfig(batching=False),
        )
        triton.serve()
