"""What is measured: a repair's time and peak memory, a service's start, and the requests that it answers in a second."""

import http.client
import io
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

PATIENCE = 60.0
# A process starts with its parent's peak (the memory that it is forked with), so the parent of what is measured must be small.
RUN = """
import os, sys, time
started = time.monotonic()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
print(time.monotonic() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass
class Cost:
    seconds: float
    peak_mib: float


def repair(program: str, network: Path, images: Path, out: Path) -> Cost:
    """A whole `goodnet repair` without audit. The peak is the largest of its processes' (the job runs in one of its own)."""
    command = [program, "repair", "--model", network, "--clean", images, "--scale", "1/255"]
    command += ["--effort", "0", "--allow-poor", "--quiet", "--force", "--out", out]
    told = subprocess.run([sys.executable, "-S", "-c", RUN, *map(str, command)], stdout=subprocess.PIPE, text=True)
    if told.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {told.returncode}")
    seconds, kib = told.stdout.split()
    return Cost(float(seconds), float(kib) / 1024)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def service(program: str, bundle: Path, workers: int) -> Iterator[tuple[int, float]]:
    """A ready `goodnet serve`: its port, and the seconds from the process's start to the first yes of `/readyz`.

    It has as many CPUs as inference threads, the first of those that this process may use."""
    port = free_port()
    command = [program, "serve", "--bundle", str(bundle), "--listen", f"127.0.0.1:{port}", "--log", "error"]
    cpus = sorted(os.sched_getaffinity(0))[:workers]
    started = time.monotonic()
    pin = lambda: os.sched_setaffinity(0, cpus)
    process = subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.DEVNULL, preexec_fn=pin)
    try:
        while not ready(port):
            if process.poll() is not None or time.monotonic() - started > PATIENCE:
                raise SystemExit(f"{bundle}: the service is not ready")
            time.sleep(0.001)
        yield port, time.monotonic() - started
    finally:
        process.terminate()
        process.wait()


def ready(port: int) -> bool:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request("GET", "/readyz")
        return client.getresponse().status == 200
    except OSError:
        return False
    finally:
        client.close()


def request(image: object) -> bytes:
    """`POST /classify` with an image (3, H, W) as JPEG."""
    encoded = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(encoded, "JPEG", quality=90)
    body = encoded.getvalue()
    head = f"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answers_per_second(port: int, message: bytes, connections: int, during: float) -> float:
    """A closed loop on keep-alive connections, all looked after by this one thread; every answer must be a 200."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        client = socket.create_connection(("127.0.0.1", port), PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(message)
        selector.register(client, selectors.EVENT_READ, bytearray())
    answered, started = 0, time.monotonic()
    while (now := time.monotonic() - started) < during:
        for key, _ in selector.select(PATIENCE):
            key.data.extend(key.fileobj.recv(1 << 16))
            if not whole(key.data):
                continue
            answered += 1
            key.data.clear()
            key.fileobj.sendall(message)
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    return answered / now


def whole(received: bytearray) -> bool:
    """Has an answer come with all of its body?"""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(received.decode(errors="replace"))
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) >= int(length.split(b":")[1])


def size_mib(bundle: Path) -> float:
    return sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) / 2**20
