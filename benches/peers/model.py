"""What every peer does with an image: decode it, run the BadNet and one repaired network, compare.

`NETWORKS=1` in the environment: the BadNet alone, what a service without a defence does.
"""

import io
import json
import os
import pathlib
import sys

import numpy
import onnxruntime
from PIL import Image


class GoodNet:
    def __init__(self, bundle: str):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        folder = pathlib.Path(bundle)
        names = ["badnet.onnx", "pruned_10.onnx"][: int(os.environ.get("NETWORKS", "2"))]
        load = lambda name: onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
        self.networks = [load(name) for name in names]
        self.name = self.networks[0].get_inputs()[0].name
        manifest = json.loads((folder / "manifest.json").read_text())
        self.classes, self.input = manifest["classes"], manifest["input"]

    def pixels(self, image: bytes) -> numpy.ndarray:
        """(H, W, 3) or (3, H, W), f32, as the network takes it; the image has the network's size already."""
        pixels = numpy.asarray(Image.open(io.BytesIO(image)).convert("RGB"), numpy.float32)
        if self.input["scale"] != 1:
            pixels *= numpy.float32(self.input["scale"])
        return pixels if self.input["layout"] == "nhwc" else pixels.transpose(2, 0, 1)

    def classify(self, image: bytes) -> dict:
        return self.classify_all([image])[0]

    def classify_all(self, images: list[bytes]) -> list[dict]:
        batch = {self.name: numpy.stack([self.pixels(image) for image in images])}
        scores = [network.run(None, batch)[0] for network in self.networks]
        return [self.answer([of_network[row] for of_network in scores]) for row in range(len(images))]

    def answer(self, scores: list[numpy.ndarray]) -> dict:
        answers = [int(of_network.argmax()) for of_network in scores]
        flagged = len(set(answers)) > 1
        each = [{"class": best, "probability": float(row[best])} for best, row in zip(answers, scores)]
        return {"class": self.classes if flagged else answers[0], "flagged": flagged, "networks": each}


if __name__ == "__main__":
    print(GoodNet(sys.argv[1]).classify(pathlib.Path(sys.argv[2]).read_bytes()))
