"""What the gateway counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """The counters of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"leadwire_ingest_{name}", text, labels, registry=self._registry)

        self.connections = Gauge(
            "leadwire_ingest_connections", "Devices connected now", registry=self._registry
        )
        self.in_flight = Gauge(
            "leadwire_ingest_in_flight_bytes",
            "Sample bytes the bus has not confirmed",
            registry=self._registry,
        )
        self.messages = counter("messages", "Messages received", "kind")
        self.samples = counter("samples", "Sample rows published")
        self.late = counter("late_samples", "Sample rows published that filled a gap")
        self.duplicates = counter("duplicate_samples", "Sample rows dropped because they had come before")
        self.out_of_sequence = counter("out_of_sequence", "Data messages lost, doubled or swapped on the way")
        self.link_events = counter("link_events", "What was odd about streams", "kind")
        self.closed = counter("closed", "Connections that the gateway closed", "code")
        self.quarantined = counter("quarantined", "Refused messages put into quarantine")
        self.not_quarantined = counter("not_quarantined", "Refused messages beyond the quarantine's pace")
        self.bus_failures = counter("bus_failures", "Messages the bus did not take")

    def page(self) -> str:
        """The text that Prometheus reads."""
        return generate_latest(self._registry).decode()
