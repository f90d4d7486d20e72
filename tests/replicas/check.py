"""Three replicas behind a proxy under load: one is killed, one is stopped, one gets another bundle. check.py GOODNET BUNDLE OTHER.

No request may go without its answer, and every answer must be right. The replicas run on loopback with one thread each.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from proxy import Proxy, ask

goodnet, bundle, other = sys.argv[1:4]
REPLICAS, CLIENTS = 3, 4
manifest = json.loads(Path(bundle, "manifest.json").read_text())
samples = [(Path(bundle, sample["file"]).read_bytes(), sample["badnet"]) for sample in manifest["samples"]]
assert len(samples) >= 2, "expected a bundle with samples"
if json.loads(Path(other, "manifest.json").read_text()) == manifest:
    raise SystemExit(f"{other}: expected another bundle of the same network than {bundle}, found the same")
scratch = tempfile.TemporaryDirectory()
folders = [Path(scratch.name, f"bundle-{number}") for number in range(REPLICAS)]
for folder in folders:
    shutil.copytree(bundle, folder)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


ports = [free_port() for _ in range(REPLICAS)]


def start(number):
    address = f"127.0.0.1:{ports[number]}"
    typed = [goodnet, "serve", "--bundle", folders[number], "--listen", address, "--workers", "1", "--log", "error"]
    return subprocess.Popen([*map(str, typed), "--drain-delay", "1"])


def wait_until(what, holds, seconds=30):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if holds():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{what}: not within {seconds} s")


def ready(number):
    wait_until(f"replica {number} is ready", lambda: ask(ports[number], "GET", "/readyz")[0] == 200)


def served(number):
    """The line of /metrics that names the bundle."""
    lines = ask(ports[number], "GET", "/metrics")[1].decode().splitlines()
    return next(line for line in lines if line.startswith("goodnet_bundle_info"))


replicas = [start(number) for number in range(REPLICAS)]
proxy = None
ended = threading.Event()
try:
    for number in range(REPLICAS):
        ready(number)
    proxy = Proxy(ports)
    wrong, counts = [], [0] * CLIENTS

    def client(place):
        while not ended.is_set():
            image, expected = samples[counts[place] % len(samples)]
            try:
                status, body = ask(proxy.port, "POST", "/classify", image)
                if status != 200 or json.loads(body)["badnet"]["class"] != expected:
                    wrong.append((status, body[:200]))
            except Exception as error:  # noqa: BLE001: whatever it is, an answer is missing.
                wrong.append(error)
            counts[place] += 1

    clients = [threading.Thread(target=client, args=(place,)) for place in range(CLIENTS)]
    for thread in clients:
        thread.start()
    time.sleep(1)

    replicas[0].kill()
    replicas[0].wait()
    time.sleep(1)
    replicas[0] = start(0)
    ready(0)

    replicas[1].send_signal(signal.SIGTERM)
    code = replicas[1].wait(timeout=40)
    assert code == 0, f"expected a stopped replica to end with 0, found {code}"
    replicas[1] = start(1)
    ready(1)

    before = served(2)
    aside = folders[2].with_suffix(".old")
    fresh = folders[2].with_suffix(".new")
    shutil.copytree(other, fresh)
    folders[2].rename(aside)
    fresh.rename(folders[2])
    replicas[2].send_signal(signal.SIGHUP)
    wait_until("the other bundle is in service", lambda: served(2) != before)
    time.sleep(1)

    ended.set()
    for thread in clients:
        thread.join()
    assert not wrong, f"{len(wrong)} of {sum(counts)} answers are lost or wrong: {wrong[:3]}"
    assert min(counts) > 20, f"too few requests to tell: {counts}"
    print(f"replicas: one killed, one stopped, one with another bundle; {sum(counts)} requests, every answer right")
finally:
    # Clients that go on would keep this process alive after a failure.
    ended.set()
    if proxy:
        proxy.close()
    for replica in replicas:
        replica.terminate()
        replica.wait()
    scratch.cleanup()
