"""The deployment files say what the program understands; no container is started."""

import argparse
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from leadwire import cli, settings
from leadwire.roles import ROLES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "leadwire"}


def substituted(text: str) -> str:
    """`text` as compose would give it with DATABASE_PASSWORD=secret and nothing else set."""
    text = re.sub(r"\$\{(\w+):\+[^}]*\}", "", text)
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    text = re.sub(r"\$\{DATABASE_PASSWORD:\?[^}]*\}", "secret", text)
    assert "$" not in text
    return text


def environment(service) -> dict[str, str]:
    assert all(isinstance(value, str) for value in service["environment"].values())
    return {name: substituted(value) for name, value in service["environment"].items()}


def parse(command: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    cli.COMMANDS[command[0]].arguments(parser)
    return parser.parse_args(command[1:])


def test_each_role_has_its_container():
    assert sorted(service["command"][0] for service in OURS.values()) == sorted(ROLES)


@pytest.mark.parametrize("name", OURS)
def test_the_command_line_is_understood(name):
    parse(OURS[name]["command"])


@pytest.mark.parametrize("name", OURS)
def test_the_environment_is_understood(name):
    values, _ = settings.load(env=environment(OURS[name]), file=Path("/dev/null"))
    assert values.bus == "kafka://kafka:9092"
    assert values.archive == "postgresql://leadwire:secret@timescale:5432/leadwire"


@pytest.mark.parametrize("name", OURS)
def test_every_address_names_a_service_and_is_waited_for(name):
    values, _ = settings.load(env=environment(OURS[name]), file=Path("/dev/null"))
    hosts = {
        re.split(r"[:/]", re.sub(r"^\w+://([^@]*@)?", "", url))[0] for url in (values.bus, values.archive)
    }
    assert hosts <= set(SERVICES)
    assert hosts == set(OURS[name]["depends_on"])
    assert all("healthcheck" in SERVICES[host] for host in hosts)


@pytest.mark.parametrize("name", OURS)
def test_the_health_check_asks_a_port_that_the_role_serves(name):
    values, _ = settings.load(env=environment(OURS[name]), file=Path("/dev/null"))
    port, path = re.search(r"127\.0\.0\.1:(\d+)(/[\w/]+)", OURS[name]["healthcheck"]["test"][3]).groups()
    served = {
        "/metrics": values.metrics_port,
        "/healthz": values.gateway_port,
        "/api/health": values.dashboard_port,
    }
    assert int(port) == served[path]
    compile(OURS[name]["healthcheck"]["test"][3], "healthcheck", "exec")


@pytest.mark.parametrize("name", OURS)
def test_what_is_published_is_listened_to_on_every_address_of_the_container(name):
    values, _ = settings.load(env=environment(OURS[name]), file=Path("/dev/null"))
    for published in OURS[name].get("ports", []):
        host, outer, inner = substituted(published).split(":")
        assert host == "127.0.0.1"
        assert outer == inner
        assert (values.gateway_host, values.dashboard_host)[name == "dashboard"] == "0.0.0.0"
        assert int(inner) == (values.gateway_port, values.dashboard_port)[name == "dashboard"]


def test_named_volumes_are_declared():
    mounts = [
        m.split(":")[0] for s in SERVICES.values() for m in s.get("volumes", []) if not m.startswith("$")
    ]
    assert set(mounts) == set(COMPOSE["volumes"])


def test_the_broker_is_the_one_that_the_tests_run_on():
    pom = (ROOT / "deploy/kafka/pom.xml").read_text(encoding="utf-8")
    version = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([\d.]+)<", pom)
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_the_image_has_every_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    dockerfile = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / "deploy/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {
        line.split()[1] for line in dockerfile.splitlines() if re.match(r"COPY (\w+) \1$", line)
    } == packages
    assert {line[1:] for line in ignored if line.startswith("!") and "." not in line} - {
        "LICENSE"
    } == packages


def test_the_systemd_unit_starts_a_command_that_exists():
    unit = (ROOT / "deploy/systemd/leadwire.service").read_text(encoding="utf-8")
    program, *command = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1])
    assert program.endswith("/leadwire")
    parse(command)
    for name in re.findall(r"^Environment=(LEADWIRE_\w+)=", unit, re.MULTILINE):
        assert name in {"LEADWIRE_" + row.name.replace(".", "_").upper() for row in settings.table()}
