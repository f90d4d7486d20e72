"""Every manifest against its schema, and what one of them says of another: check.py, in the repository's root.

Kubernetes' own kinds: kubernetes-validate, strictly. Kinds of KServe and the Prometheus operator: schemas.json.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.33"
root = Path("deploy")
schemas = json.loads(Path("tests/manifests/schemas.json").read_text())
version = re.search(r'^version = "(.*)"', Path("Cargo.toml").read_text(), re.MULTILINE)[1]
image = f"goodnet:{version}"
faults: list[str] = []
checked = 0


def check(where, document):
    """One resource."""
    global checked
    checked += 1
    kind = f"{document['apiVersion']} {document['kind']}"
    try:
        if kind in schemas:
            jsonschema.validate(document["metadata"], schemas["$defs"]["metadata"])
            jsonschema.validate(document["spec"], schemas[kind] | {"$defs": schemas["$defs"]})
        else:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        faults.append(f"{where}: {kind}: {error.message if hasattr(error, 'message') else error}")
    except Exception as error:  # noqa: BLE001: a kind that has no schema is a fault too.
        faults.append(f"{where}: {kind}: {error}")


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def expect(holds, fault):
    if not holds:
        faults.append(fault)


# Kustomize: every file is listed, and everything that is listed is there.
base = root / "kubernetes"
resources = {}
for kustomization in sorted(base.rglob("kustomization.yaml")):
    listed = yaml.safe_load(kustomization.read_text())
    patches = [patch["path"] for patch in listed.get("patches", [])]
    for name in [*listed["resources"], *patches]:
        path = kustomization.parent / name
        expect(path.is_file(), f"{kustomization}: expected {name}, found none")
        resources[path] = name in patches
expect(len(resources) > 8, f"{base}: only {len(resources)} files are listed")
spare = {base / "secret.example.yaml", base / "adapter.yaml"}
for path in sorted(base.rglob("*.yaml")):
    known = path in resources or path in spare or path.name == "kustomization.yaml"
    expect(known, f"{path}: expected it in a kustomization, found it in none")

for path in [path for path, is_patch in resources.items() if not is_patch] + [base / "secret.example.yaml", root / "kserve.yaml"]:
    for document in documents(path.read_text()):
        check(path, document)

# As kustomize puts them together, with every component, where kubectl is at hand.
built = "kubectl is not here: the kustomization was not built"
if shutil.which("kubectl"):
    scratch = Path("target/manifests")
    scratch.mkdir(parents=True, exist_ok=True)
    components = sorted(path.parent.name for path in base.glob("components/*/kustomization.yaml"))
    up = "../../deploy/kubernetes"
    whole = {"resources": [up], "components": [f"{up}/components/{name}" for name in components]}
    (scratch / "kustomization.yaml").write_text(yaml.safe_dump(whole))
    done = subprocess.run(["kubectl", "kustomize", scratch], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"kubectl kustomize: {done.stderr.strip()}")
    for document in documents(done.stdout):
        check("kubectl kustomize", document)
    built = f"kustomize builds {len(documents(done.stdout))} resources with {', '.join(components)}"

# One name for the image, everywhere.
for path in [*root.rglob("*.yaml"), Path("compose.yaml"), Path("README.md"), *Path("docs").glob("*.md")]:
    for found in re.findall(r"\bgoodnet:(?:local|latest|\d[\w.]*)", path.read_text()):
        expect(found == image, f"{path}: expected the image {image}, found {found}")

# What the deployment names is there: the config map, and the keys of the secret.
(deployment,) = documents((base / "deployment.yaml").read_text())
(config,) = documents((base / "config.yaml").read_text())
(secret,) = documents((base / "secret.example.yaml").read_text())
pod = deployment["spec"]["template"]["spec"]
names = [source["configMapRef"]["name"] for source in pod["containers"][0]["envFrom"]]
expect(names == [config["metadata"]["name"]], f"deployment: expected the config map {config['metadata']['name']}, found {names}")
mounted = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
expect(mounted == [secret["metadata"]["name"]], f"deployment: expected the secret {secret['metadata']['name']}, found {mounted}")
expect(secret["stringData"]["metrics"] in secret["stringData"]["keys"].split(), "secret: the metrics key is none of the keys")
variables = set(re.findall(r'env = "(GOODNET_\w+)"', "".join(path.read_text() for path in Path("src/cli").rglob("*.rs"))))
for name in [*config["data"], *(env["name"] for env in pod["containers"][0].get("env", []))]:
    expect(name in variables, f"{name}: expected an option's variable, found none of that name")

# KServe asks for the model by the name of the InferenceService, which it puts in for {{.Name}}.
runtime, _ = documents((root / "kserve.yaml").read_text())
arguments = runtime["spec"]["containers"][0]["args"]
expect(("--model-name", "{{.Name}}") in zip(arguments, arguments[1:]), f"kserve.yaml: expected --model-name {{{{.Name}}}}, found {arguments}")

# Rules and the dashboard: well-formed, and each alert has what a person needs. That their metrics exist is `alarms` in tests/it.
rules = [rule for group in yaml.safe_load((root / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
for rule in rules:
    whole = {"alert", "expr", "labels", "annotations"} <= rule.keys() and "summary" in rule["annotations"]
    expect(whole and rule["labels"].get("severity") in ("warning", "critical"), f"alerts.yml: {rule.get('alert')} is not whole")
    expect(rule["expr"].count("(") == rule["expr"].count(")"), f"alerts.yml: {rule['alert']}: brackets do not match")
dashboard = json.loads((root / "grafana/goodnet.json").read_text())
ids = [panel["id"] for panel in dashboard["panels"]]
expect(len(ids) == len(set(ids)) > 5, "grafana/goodnet.json: expected panels with ids of their own")
expect(all(target["expr"] for panel in dashboard["panels"] for target in panel["targets"]), "grafana: a panel asks nothing")

# As Prometheus reads them, where promtool is at hand: every expression, and when each alert fires (alerts_test.yml).
promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
prometheus = "promtool is not here: that alerts fire, and that expressions parse, was not checked"
if promtool:
    scratch = Path("target/promtool")
    scratch.mkdir(parents=True, exist_ok=True)
    asked = [target["expr"].replace("$__rate_interval", "5m") for panel in dashboard["panels"] for target in panel["targets"]]
    panels = [{"record": f"panel_{number}", "expr": expr} for number, expr in enumerate(asked)]
    (scratch / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": panels}]}))
    for name in ("deploy/alerts.yml", "tests/manifests/alerts_test.yml"):
        shutil.copy(name, scratch)
    tested = yaml.safe_load((scratch / "alerts_test.yml").read_text())["tests"]
    fired = {test["alertname"] for one in tested for test in one["alert_rule_test"] if test["exp_alerts"]}
    for rule in rules:
        expect(rule["alert"] in fired, f"alerts_test.yml: expected {rule['alert']} to fire in a test, found none")
    for command in (["check", "rules", "alerts.yml", "panels.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run([promtool, *command], cwd=scratch, capture_output=True, text=True, check=False)
        expect(done.returncode == 0, f"promtool {' '.join(command)}:\n{done.stdout}{done.stderr}")
    prometheus = f"promtool reads all {len(asked)} expressions and sees {len(fired)} alerts fire"

compose = yaml.safe_load(Path("compose.yaml").read_text())
for service in compose["services"].values():
    for volume in service.get("volumes", []):
        expect(Path(volume.split(":")[0]).is_file(), f"compose.yaml: {volume}: no such file")

# The check can fail: a field with a typing mistake is refused, in both kinds of schema.
before, good = len(faults), len(faults)
for broken in (
    {**deployment, "spec": {**deployment["spec"], "replica": 2}},
    {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "x"}, "spec": {"endpoint": []}},
):
    check("a broken one", broken)
    assert len(faults) == good + 1, "the check lets a typing mistake through"
    good += 1
del faults[before:]

print(*faults, sep="\n", file=sys.stderr, end="\n" if faults else "")
print(f"{checked} resources, {len(rules)} alerts, {len(ids)} panels; {built}; {prometheus}")
sys.exit(bool(faults))
