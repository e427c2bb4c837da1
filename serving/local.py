"""`sales serve`: Ray, Serve and the application of `config.yaml` on this machine, until stopped."""

import contextlib
import http.client
import io
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sales_assets.addresses import LOOPBACK, check_free, in_url
from sales_assets.errors import ReleaseError, SalesError
from sales_assets.forecasting.release import FILE, Release
from sales_assets.settings import Settings
from serving import gate
from serving.mirror import pull
from serving.security import Keys

# Ray's own choices, which it reads when it is imported or started.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Between the proxy and the interface, too.
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    # Replicas would listen on a port of their own, on every address of the machine.
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    # Who is too much is refused before the interface is asked.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": gate.IMPORT_PATH,
    # Workers would otherwise yield to whatever else runs here.
    "RAY_worker_niceness": "0",
}
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - bound only where someone says so
LOGS = Path(tempfile.gettempdir(), "ray", "session_latest", "logs", "serve")
START_S = 300
OBJECT_STORE_BYTES = 200_000_000


def serve_here(
    settings: Settings,
    host: str,
    port: int,
    tell: Callable[[str], None],
    release_url: str | None = None,
) -> None:
    """Serve the home's release on this machine until SIGINT or SIGTERM.

    Args:
        settings: The home.
        host: Address to bind; anything but loopback needs a key.
        port: Port to bind.
        tell: Receives what a person should know, a line each.
        release_url: Where releases are copied from, if they are made elsewhere.

    Raises:
        SalesError: There is no release, no key for a public address, or the port is taken.
    """
    if release_url:
        tell(f"Copying the release at {release_url} …")
        try:
            pull(release_url, settings.home, is_start=True)
        except ReleaseError as error:
            if not (settings.serving / FILE).exists():
                raise
            tell(f"{error} What was copied before answers until then.")
    release = Release.read(settings.serving)
    if host not in LOOPBACK and not Keys(settings.keys_path).all():
        raise SalesError(
            f"Without a key the service binds to 127.0.0.1 only, and not to {host}; add one by "
            "`sales keys add NAME`."
        )
    check_free(host, port)
    os.environ.update(ENVIRONMENT)
    import ray
    from ray import serve as ray_serve

    serve: Any = ray_serve
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    # What a person should know is told below.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    # Ray's own handlers, set just now, would end this process before anything is stopped.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        _deploy(serve, _config(settings.home.absolute(), host, port, release_url or ""))
        tell(f"Loading {release.version}, which knows sales up to {release.cutoff} …")
        _wait(_reachable(host), port, stop)
        if not stop.is_set():
            tell(f"Ready: http://{in_url(_reachable(host))}:{port}/ answers; Ctrl-C stops it.")
            if not Keys(settings.keys_path).all():
                tell("No key is needed, as long as there are none; only this machine can ask.")
        stop.wait()
    finally:
        tell("Stopping …")
        # Ray complains at times that what it was told to end has ended.
        with contextlib.redirect_stdout(io.StringIO()):
            serve.shutdown()
            ray.shutdown()


def _config(home: Path, host: str, port: int, release_url: str) -> dict[str, Any]:
    """Return `config.yaml` for this home and address."""
    config: dict[str, Any] = yaml.safe_load(gate.CONFIG.read_text(encoding="utf-8"))
    config["http_options"] |= {"host": host, "port": port}
    (application,) = config["applications"]
    application["args"] |= {
        "home": str(home),
        "release_url": release_url,
        "needs_key": host not in LOOPBACK,
    }
    return config


def _deploy(serve: Any, config: dict[str, Any]) -> None:
    from ray.serve import context
    from ray.serve.schema import ServeDeploySchema

    serve.start(proxy_location=config["proxy_location"], http_options=config["http_options"])
    # What `serve deploy` does, without the dashboard that it goes through.
    client: Any = context._get_global_client()
    client.deploy_apps(ServeDeploySchema.model_validate(config), _blocking=False)


def _wait(host: str, port: int, stop: threading.Event) -> None:
    """Wait until the service is ready, or has been told to stop.

    Raises:
        SalesError: It is not ready within minutes.
    """
    deadline = time.monotonic() + START_S
    while not stop.is_set() and not _is_ready(host, port):
        if time.monotonic() > deadline:
            raise SalesError(
                f"The service is not ready after {START_S} s; the logs in {LOGS} tell why."
            )
        stop.wait(0.5)


def _is_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in EVERYWHERE else host
