"""Ray Serve: a replica a core, with the settings that its docs have for throughput (RAY_SERVE_THROUGHPUT_OPTIMIZED)."""

import os
import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import ray
from model import GoodNet
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=int(os.environ["WORKERS"]), ray_actor_options={"num_cpus": 0.5}, max_ongoing_requests=64)
class Classify:
    def __init__(self) -> None:
        self.goodnet = GoodNet(os.environ["BUNDLE"])

    async def __call__(self, request: Request) -> dict:
        return self.goodnet.classify(await request.body())


if __name__ == "__main__":
    here = str(Path(__file__).parent.parent)
    names = [name for name in ("BUNDLE", "WORKERS", "NETWORKS") if name in os.environ]
    env = {name: os.environ[name] for name in names} | {"PYTHONPATH": here}
    ray.init(include_dashboard=False, configure_logging=False, log_to_driver=False, runtime_env={"env_vars": env})
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config={"enable_access_log": False, "log_level": "WARNING"})
    serve.run(Classify.bind(), route_prefix="/classify")
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    serve.shutdown()
    ray.shutdown()
