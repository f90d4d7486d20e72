"""Public clients, unmodified, against a running goodnet: check.py HOST:PORT BUNDLE."""

import json
import pathlib
import sys
import urllib.request

import numpy as np
import tritonclient.http as triton
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.types import InferenceRequest
from PIL import Image

address, bundle = sys.argv[1], pathlib.Path(sys.argv[2])
manifest = json.loads((bundle / "manifest.json").read_text())
spec = manifest["input"]
shape = (3, spec["height"], spec["width"], spec["channels"])
if spec["layout"] == "nchw":
    shape = (3, spec["channels"], spec["height"], spec["width"])
images = np.random.default_rng(1).uniform(0, 255 * spec["scale"], shape).astype(np.float32)
pruned = [drop["pruned"]["file"].removesuffix(".onnx") for drop in manifest["drops"] if drop["pruned"]]
checks = 0


def check(what, holds):
    global checks
    assert holds, what
    checks += 1


client = triton.InferenceServerClient(address)
check("live", client.is_server_live())
check("ready", client.is_server_ready())
index = client.get_model_repository_index()
check("the index names every model", [entry["name"] for entry in index] == ["goodnet", "badnet", *pruned])
check("every model is ready", all(entry["state"] == "READY" for entry in index))
check("server metadata", client.get_server_metadata()["name"] == "goodnet")
answers = {}
for model in ["goodnet", "badnet", *pruned]:
    check(f"{model} is ready", client.is_model_ready(model))
    config = client.get_model_config(model)
    check(f"{model}: its configuration", config["input"][0]["dims"] == list(images.shape[1:]) and config["max_batch_size"] >= 3)
    names = [output["name"] for output in client.get_model_metadata(model)["outputs"]]
    for binary in (True, False):
        tensor = triton.InferInput("input", images.shape, "FP32")
        tensor.set_data_from_numpy(images, binary_data=binary)
        wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
        result = client.infer(model, [tensor], outputs=wanted)
        values = {name: result.as_numpy(name) for name in names}
        if model in answers:
            for name in names:
                check(f"{model} {name}: JSON and binary agree", np.array_equal(values[name], answers[model][name]))
        answers[model] = values
    check(f"{model} without a list of outputs", client.infer(model, [tensor]).as_numpy(names[0]) is not None)

classes = manifest["classes"]
badnet = answers["badnet"]["probabilities"].argmax(1)
for column, model in enumerate(pruned):
    repaired = answers[model]["probabilities"].argmax(1)
    verdict = np.where(badnet == repaired, badnet, classes)
    check(f"{model}: the verdict is the rule's", np.array_equal(answers["goodnet"]["disagreement_verdicts"][:, column], verdict))
if "repaired_probabilities" in answers["goodnet"]:
    repaired = answers["goodnet"]["repaired_probabilities"].argmax(1)
    verdict = np.where(badnet == repaired, badnet, classes)
    check("the verdict is the default policy's", np.array_equal(answers["goodnet"]["verdict"], verdict))
flagged = answers["goodnet"]["verdict"] == classes
check("flagged where the verdict is N", np.array_equal(answers["goodnet"]["flagged"], flagged))
try:
    client.infer("nobody", [tensor])
    check("an unknown model is refused", False)
except triton.InferenceServerException as error:
    check("the refusal says why", "nobody" in str(error))

other = OpenInferenceClient(base_url=f"http://{address}")
other.check_server_liveness()  # raises where it is refused
other.check_server_readiness()
check("metadata, open inference", other.read_server_metadata().name == "goodnet")
check("model metadata, open inference", other.read_model_metadata("goodnet").name == "goodnet")
answer = other.model_infer(
    "badnet",
    request=InferenceRequest(
        id="seven",
        inputs=[{"name": "input", "shape": list(images.shape), "datatype": "FP32", "data": images.ravel().tolist()}],
    ),
)
check("the id comes back", answer.id == "seven")
scores = np.asarray(getattr(answer.outputs[0].data, "__root__", answer.outputs[0].data)).reshape(len(images), classes)
check("open inference: the same classes", np.array_equal(scores.argmax(1), badnet))



def tensor_of(file):
    """The input's values as the bundle's rule makes them from a picture of the network's size."""
    picture = Image.open(file).convert("L" if spec["channels"] == 1 else "RGB")
    pixels = np.asarray(picture, np.float32).reshape(spec["height"], spec["width"], spec["channels"])
    if spec["color"] == "bgr":
        pixels = pixels[:, :, ::-1]
    scale, mean, std = (np.asarray(spec[name], np.float32) for name in ("scale", "mean", "std"))
    values = ((pixels * scale - mean) / std)[np.newaxis]
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2) if spec["layout"] == "nchw" else values)


for sample in manifest["samples"]:
    body = (bundle / sample["file"]).read_bytes()
    request = urllib.request.Request(f"http://{address}/classify", data=body, headers={"content-type": "image/png"})
    answer = json.load(urllib.request.urlopen(request))
    found = [verdict["class"] for verdict in answer["verdicts"]]
    check(f"{sample['file']}: the bundle's verdicts", found == sample["verdicts"])
    values = tensor_of(bundle / sample["file"])
    tensor = triton.InferInput("input", values.shape, "FP32")
    tensor.set_data_from_numpy(values)
    verdicts = client.infer("goodnet", [tensor]).as_numpy("disagreement_verdicts")[0].tolist()
    check(f"{sample['file']}: the verdicts of /classify", verdicts == found)
print(f"clients: {checks} checks passed")
