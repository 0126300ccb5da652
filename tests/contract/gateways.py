"""For each channel a real gateway on this machine: what it took, and how it can be made to misbehave."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from alerts.channel_secrets import ChannelSecrets
from alerts.channels.apprise import AppriseService
from alerts.channels.dingtalk import DingTalk
from alerts.channels.feishu import Feishu
from alerts.channels.mail import Mail
from alerts.channels.port import Channel
from alerts.channels.sms import Sms
from alerts.channels.webhook import Webhook
from alerts.channels.wecom import WeCom

SECRET = "s3cretT0ken"
"""Stands in every address or secret that a gateway hands out: it must show up nowhere."""


@dataclass
class Gateway:
    """What a server on this machine was asked, and how it answers."""

    port: int = 0
    status: int = 200
    answer: bytes = b'{"errcode": 0, "code": 0}'
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    drip: bool = False
    paths: list[str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def text(self) -> str:
        """All it was told, as one piece of text."""
        return "\n".join(_readable(body) for body in self.bodies)


def _readable(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False)
    except ValueError:
        return body.decode(errors="replace")


@contextmanager
def http_gateway() -> Iterator[Gateway]:
    """A real HTTP server."""
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            gateway.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            gateway.paths.append(self.path)
            gateway.asked.append(dict(self.headers))
            if gateway.hold is not None:
                gateway.hold.wait(60)
            if gateway.drip:
                self._drip()
                return
            self.send_response(gateway.status)
            for name, value in gateway.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(gateway.answer)))
            self.end_headers()
            self.wfile.write(gateway.answer)

        def _drip(self) -> None:
            """One byte of a header that never ends now and then, until the client has had enough."""
            try:
                while True:
                    self.wfile.write(b"H")
                    if threading.Event().wait(0.05):
                        return
            except OSError:
                return

        def log_message(self, *_: object) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        gateway.port = port
        yield gateway


@contextmanager
def smtp_gateway() -> Iterator[Gateway]:
    """A mail server of the few words that are needed (RFC 5321); `status` over 299 refuses the message."""
    gateway = Gateway()

    class Handler(socketserver.StreamRequestHandler):
        timeout = 60

        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline(2000):
                word = line.split()[0].upper() if line.strip() else b""
                if word == b"DATA":
                    self.say("354 go on")
                    body = b""
                    while (line := self.rfile.readline(2000)) not in (b".\r\n", b""):
                        body += line
                    gateway.bodies.append(body)
                    self.say("250 taken" if gateway.status < 300 else "451 not now")
                elif word == b"RCPT":
                    gateway.paths.append(line.decode())
                    self.say("250 fine")
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with _serving(server) as port:
        gateway.port = port
        yield gateway


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.block_on_close = False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Stand:
    """A channel with its gateway, and an address there."""

    channel: Channel
    gateway: Gateway
    to: str


@contextmanager
def stand(name: str) -> Iterator[Stand]:
    """The channel `name`, set up to reach a gateway on this machine."""
    with smtp_gateway() if name == "mail" else http_gateway() as gateway:
        yield Stand(*_STANDS[name](gateway))


def _json_url(gateway: Gateway) -> str:
    return f"json://user:{SECRET}@127.0.0.1:{gateway.port}/{{to}}"


_STANDS = {
    "webhook": lambda g: (
        Webhook(ChannelSecrets({f"webhook:127.0.0.1:{g.port}": SECRET})),
        g,
        f"http://127.0.0.1:{g.port}/hook/{SECRET}?key={SECRET}",
    ),
    "mail": lambda g: (
        Mail(ChannelSecrets({"mail": f"mailto://127.0.0.1:{g.port}?from=a@b.org&name={SECRET}"})),
        g,
        "doctor@clinic.example.org",
    ),
    "sms": lambda g: (Sms(ChannelSecrets({"sms": _json_url(g)})), g, "+86 138-0000-0000"),
    "dingtalk": lambda g: (
        DingTalk(ChannelSecrets(), f"http://127.0.0.1:{g.port}"),
        g,
        f"dingtalk://{SECRET}@{SECRET}",
    ),
    "wecom": lambda g: (WeCom(ChannelSecrets(), f"http://127.0.0.1:{g.port}"), g, f"wecombot://{SECRET}"),
    "feishu": lambda g: (
        Feishu(ChannelSecrets(), f"http://127.0.0.1:{g.port}"),
        g,
        f"feishu://{SECRET}@{SECRET}",
    ),
    "apprise": lambda g: (
        AppriseService(ChannelSecrets({"@ward": _json_url(g).replace("{to}", "ward")})),
        g,
        "named://ward",
    ),
}
NAMES = sorted(_STANDS)
"""The channels that have a gateway; the websocket needs none."""
