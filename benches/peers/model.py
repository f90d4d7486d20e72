"""What both peers do with an image: decode it, run the BadNet and one repaired network, compare."""

import io
import json
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
        load = lambda name: onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
        self.badnet, self.pruned = load("badnet.onnx"), load("pruned_10.onnx")
        self.name = self.badnet.get_inputs()[0].name
        self.classes = json.loads((folder / "manifest.json").read_text())["classes"]

    def classify(self, image: bytes) -> dict:
        pixels = numpy.asarray(Image.open(io.BytesIO(image)).convert("RGB"), numpy.float32)[None]
        (badnet,) = self.badnet.run(None, {self.name: pixels})
        (pruned,) = self.pruned.run(None, {self.name: pixels})
        answers = [int(badnet.argmax()), int(pruned.argmax())]
        flagged = answers[0] != answers[1]
        return {
            "class": self.classes if flagged else answers[0],
            "flagged": flagged,
            "badnet": {"class": answers[0], "probability": float(badnet[0, answers[0]])},
            "pruned": {"class": answers[1], "probability": float(pruned[0, answers[1]])},
        }


if __name__ == "__main__":
    print(GoodNet(sys.argv[1]).classify(pathlib.Path(sys.argv[2]).read_bytes()))
