"""The generated Python client against a running goodnet: generated.py HOST:PORT BUNDLE."""

import json
import pathlib
import sys
from io import BytesIO

from goodnet_client import Client
from goodnet_client.api.bundle import info, sample
from goodnet_client.api.classify import classify, classify_batch
from goodnet_client.models import Classification, ImageJson, ImagesForm, Problem
from goodnet_client.types import File

address, bundle = sys.argv[1], pathlib.Path(sys.argv[2])
samples = json.loads((bundle / "manifest.json").read_text())["samples"]
client = Client(base_url=f"http://{address}")


def raw(data):
    return classify.sync(client=client, body=File(payload=BytesIO(data)), top_k=2)


assert info.sync(client=client).bundle.classes > 0
for entry in samples:
    data = (bundle / entry["file"]).read_bytes()
    answer = raw(data)
    assert isinstance(answer, Classification), answer
    assert [verdict.class_ for verdict in answer.verdicts] == entry["verdicts"], entry
    assert len(answer.top_k.badnet) == 2
    name = pathlib.PurePath(entry["file"]).name
    assert sample.sync(name, client=client).payload.read() == data, name

refused = raw(b"no image")
assert isinstance(refused, Problem) and refused.code == "undecodable_image", refused
assert isinstance(classify.sync(client=client, body=ImageJson(image="AAAA")), Problem)
form = ImagesForm(image=[File(payload=BytesIO((bundle / entry["file"]).read_bytes()), file_name="a.png") for entry in samples])
results = classify_batch.sync(client=client, body=form).results
assert [item.answer.badnet.class_ for item in results] == [entry["badnet"] for entry in samples]
print(f"clients: {len(samples)} samples answered to the generated Python client")
