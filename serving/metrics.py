"""What Prometheus may ask of a replica of the interface."""

from collections.abc import Collection, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.predictor import Predictor

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters of one replica since it was started."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "sales_requests", "Requests.", ("path", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "sales_request_seconds", "Seconds until a request was answered.", ("path",),
            buckets=BUCKETS_S, registry=registry,
        )  # fmt: skip
        self.in_flight = Gauge(
            "sales_requests_in_flight", "Requests that are being worked on.", registry=registry
        )
        self.refused_at_gate = Gauge(
            "sales_requests_refused_at_gate",
            "Requests that Ray's proxy refused since it was started.", registry=registry,
        )  # fmt: skip
        self.degraded = Counter(
            "sales_degraded_answers", "Answers without a member.", ("member",), registry=registry
        )
        self.predictions = Counter("sales_predictions", "Days forecast.", registry=registry)
        self.unjournaled = Gauge(
            "sales_unjournaled_predictions",
            "Predictions that were answered and not kept in served/.", registry=registry,
        )  # fmt: skip
        self.release = Gauge(
            "sales_release", "The release that answers: 1.", ("version", "cutoff"),
            registry=registry,
        )  # fmt: skip
        self.member_up = Gauge(
            "sales_member_up", "Whether answers have this member.", ("member",), registry=registry
        )
        self.refused = Gauge(
            "sales_release_refused", "Whether a newer release was refused.", registry=registry
        )

    def count(self, path: str, method: str, status: int | str, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(path, method, status).inc()
        self.seconds.labels(path).observe(seconds)

    def count_answer(self, predictions: int, degraded: Iterable[str]) -> None:
        """Count the forecasts of an answer, and the members that were missing."""
        self.predictions.inc(predictions)
        for member in degraded:
            self.degraded.labels(member).inc()

    def text(
        self, predictor: Predictor | None, missing: Collection[str], is_refused: bool
    ) -> bytes:
        """Return everything in Prometheus's text format."""
        self.release.clear()
        if predictor:
            release = predictor.release
            self.release.labels(release.version, str(release.cutoff)).set(1)
            for member in predictor.ensemble.weights:
                self.member_up.labels(member).set(member not in missing)
        self.refused.set(is_refused)
        return generate_latest(self.registry)
