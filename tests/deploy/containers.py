"""Claims about the Dockerfile, the compose files and the unit of systemd."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import yaml

from claims import expect
from kubernetes import DRAIN_SECONDS, SECRETS
from program import DIRECTORY, Server, accept


def starts(program, args, variables, has_metrics=False):
    """Starts and stops a server with these arguments."""
    accept(program, args, variables)
    with Server(program, args, variables) as server:
        expect(server.get("http", "/readyz") == "ready", "ready")
        if has_metrics:
            expect("durable_streams_build_info" in server.get("admin", "/metrics"), "metrics")
        server.stop()


def _is_pinned(image):
    name, _, tag = image.rpartition(":")
    expect(name and tag and tag != "latest", image)


def dockerfile(path, program):
    """The image starts a server as a user without rights."""
    with open(path) as file:
        text = file.read().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    of = lambda word: [rest for first, rest in lines if first == word]
    for image in of("FROM"):
        _is_pinned(image.split()[0])
    expect(of("USER") == ["65532:65532"], "the user of the manifests")
    expect(of("VOLUME") == [DIRECTORY], "the volume")
    (entry,), (command,) = of("ENTRYPOINT"), of("CMD")
    expect(json.loads(entry) == ["/usr/local/bin/durable-streams"], entry)
    starts(program, json.loads(command), {})


def is_well_formed(path):
    """Every instruction of the Dockerfile is one, and follows good practice."""
    hadolint = os.path.join(os.path.dirname(sys.executable), "hadolint")
    done = subprocess.run([hadolint, path], capture_output=True, text=True)
    expect(done.returncode == 0, done.stdout + done.stderr)


def _load(path):
    with open(path) as file:
        return yaml.safe_load(file)


def compose(directory, program, version):
    """The server of compose.yaml starts with access control, and keeps its data in a volume."""
    file = _load(f"{directory}/compose.yaml")
    server = file["services"]["durable-streams"]
    expect(server["image"].endswith(f":{version}"), server["image"])
    build = server["build"]
    expect(os.path.isfile(os.path.join(directory, build["context"], build["dockerfile"])), build)
    expect(server["read_only"] and server["cap_drop"] == ["ALL"], "confined")
    expect(int(server["stop_grace_period"].rstrip("s")) > DRAIN_SECONDS, "time to stop")
    for port in server["ports"]:
        expect(port.startswith("127.0.0.1:"), f"{port} is open to other machines")
    (volume,) = server["volumes"]
    name, mount = volume.split(":")
    expect(name in file["volumes"] and mount == DIRECTORY, volume)
    # The form for variables that must be set.
    expect(set(server["environment"]) == {"DS_AUTH_TOKENS"}, server["environment"])
    expect(server["environment"]["DS_AUTH_TOKENS"].startswith("${DS_AUTH_TOKENS:?"), "required")
    variables = {"DS_AUTH_TOKENS": SECRETS["auth_tokens"]}
    starts(program, server["command"], variables, has_metrics=True)


def monitoring(directory):
    """Prometheus finds the server, and Grafana its files."""
    main = _load(f"{directory}/compose.yaml")["services"]
    file = _load(f"{directory}/compose.monitoring.yaml")
    mounts = {}
    for name, service in file["services"].items():
        _is_pinned(service["image"])
        for needed in service["depends_on"]:
            expect(needed in main or needed in file["services"], needed)
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            mounts[target] = os.path.join(directory, source)
            known = os.path.isfile(mounts[target]) or source in file["volumes"]
            expect(known, f"{name}: {source}")
    prometheus = _load(mounts["/etc/prometheus/prometheus.yml"])
    (scrape,) = prometheus["scrape_configs"]
    (found,) = scrape["dns_sd_configs"]
    admin = main["durable-streams"]["command"][-1]
    expect(found["names"] == ["durable-streams"] and admin.endswith(f":{found['port']}"), found)
    # The alerts name the job.
    expect(re.fullmatch("durable-streams.*", scrape["job_name"]), scrape["job_name"])
    (source,) = _load(mounts["/etc/grafana/provisioning/datasources/prometheus.yml"])["datasources"]
    expect(source["url"] == "http://prometheus:9090" and source["isDefault"], source)
    (provider,) = _load(mounts["/etc/grafana/provisioning/dashboards/durable-streams.yml"])["providers"]
    expect(f"{provider['options']['path']}/dashboard.json" in mounts, provider)


def prometheus_accepts(directory):
    """Prometheus accepts its configuration, with the alerts beside it as in the container."""
    with tempfile.TemporaryDirectory() as scratch:
        for file in ("monitoring/prometheus.yml", "alerts.yml"):
            shutil.copy(f"{directory}/{file}", scratch)
        promtool = ["promtool", "check", "config", f"{scratch}/prometheus.yml"]
        done = subprocess.run(promtool, capture_output=True, text=True)
        expect(done.returncode == 0, done.stdout + done.stderr)


def unit(path, program):
    """The unit of systemd starts the server, and waits until it has stopped."""
    with open(path) as file:
        lines = dict(line.strip().split("=", 1) for line in file if re.match(r"\w+=", line))
    command = shlex.split(lines["ExecStart"])
    expect(int(lines["TimeoutStopSec"]) > DRAIN_SECONDS, "time to stop")
    starts(program, command[1:], {})


def hold(claims, directory, program, version):
    """All claims about these files."""
    claims.hold("Dockerfile: hadolint", lambda: is_well_formed(f"{directory}/Dockerfile"))
    claims.hold("Dockerfile: it starts a server", lambda: dockerfile(f"{directory}/Dockerfile", program))
    claims.hold("compose.yaml: it starts a server", lambda: compose(directory, program, version))
    claims.hold("compose.monitoring.yaml: the files fit", lambda: monitoring(directory))
    if shutil.which("promtool"):
        claims.hold("prometheus.yml: promtool", lambda: prometheus_accepts(directory))
    else:
        claims.skip("prometheus.yml needs promtool: apt-get install prometheus")
    path = f"{directory}/durable-streams.service"
    claims.hold("durable-streams.service: it starts a server", lambda: unit(path, program))
