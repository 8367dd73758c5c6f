"""Claims about Kubernetes objects, of the plain manifests and of the chart."""

import json

import kubernetes_validate
import yaml

from claims import expect
from program import Server, accept

# The oldest version that the chart allows, and the newest with a schema.
VERSIONS = ("1.30", "1.37")

# Kinds of objects that are defined by a controller, so that Kubernetes has no schema for them.
CUSTOM = {"PodMonitor", "SpinApp"}

# Values for keys of secrets that a deployment's user makes.
SECRETS = {
    "auth_tokens": json.dumps([{"token": "a-token-for-tests", "scope": "read write manage"}]),
    "url": "redis://redis:6379/0",
}

# The program stops requests for this long, see host/docs/operations.md.
DRAIN_SECONDS = 30


def objects(text):
    """The objects of a file."""
    return [one for one in yaml.safe_load_all(text) if one is not None]


def _one(objects, *kinds):
    found = [one for one in objects if one["kind"] in kinds]
    expect(len(found) == 1, f"{len(found)} objects of {kinds}")
    return found[0]


class Deployment:
    """The objects of one deployment."""

    def __init__(self, objects):
        self.objects = objects
        self.workload = _one(objects, "StatefulSet", "Deployment")
        self.template = self.workload["spec"]["template"]
        self.pod = self.template["spec"]
        expect(len(self.pod["containers"]) == 1, "one container")
        self.container = self.pod["containers"][0]
        self.ports = {p["name"]: p["containerPort"] for p in self.container["ports"]}

    def has_valid_objects(self):
        """Kubernetes knows every field, and every field has a value of its type."""
        for version in VERSIONS:
            for one in self.objects:
                if one["kind"] not in CUSTOM:
                    kubernetes_validate.validate(one, version, strict=True)

    def selects_its_pods(self):
        """Services, budgets and monitors select the pods, and name ports that exist."""
        labels = self.template["metadata"]["labels"].items()
        for one in self.objects:
            selector = one["spec"].get("selector", {}) if one["kind"] != "Secret" else {}
            selector = selector.get("matchLabels", selector)
            expect(selector.items() <= labels, f"{one['kind']} selects {selector}")
        for port in _one(self.objects, "Service")["spec"]["ports"]:
            expect(port["targetPort"] == "http", "the admin listener is not in the service")
        for monitor in (one for one in self.objects if one["kind"] == "PodMonitor"):
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                expect(endpoint["port"] in self.ports, endpoint)
            expect(monitor["spec"]["jobLabel"] in dict(labels), "the alerts need the job")

    def is_confined(self):
        """The container has no rights beyond its volume."""
        own, pod = self.container["securityContext"], self.pod["securityContext"]
        expect(pod["runAsNonRoot"] and pod["runAsUser"] > 0, "no root")
        expect(pod["seccompProfile"]["type"] == "RuntimeDefault", "a seccomp profile")
        expect(own["readOnlyRootFilesystem"], "a root that is read only")
        expect(own["allowPrivilegeEscalation"] is False, "no more privileges")
        expect(own["capabilities"] == {"drop": ["ALL"]}, "no capabilities")
        expect(self.pod["automountServiceAccountToken"] is False, "no token of the cluster")
        expect(self.container["resources"]["limits"]["memory"], "a limit of memory")

    def has_one_writer_of_a_file_store(self):
        """Two servers never share the volume of a file store."""
        if any("file:" in arg for arg in self.args()):
            expect(self.workload["kind"] == "StatefulSet", "at most one pod of a name")
            expect(self.workload["spec"]["replicas"] <= 1, "one replica")
            mount = self.container["volumeMounts"][0]
            store = next(arg for arg in self.args() if arg.startswith("file:"))
            expect(store.startswith(f"file:{mount['mountPath']}/"), "the store is on the volume")
        else:
            expect(self.workload["kind"] == "Deployment", "replicas over Redis are alike")

    def gives_time_to_stop(self):
        """The grace period is longer than the server needs."""
        sleep = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        least = DRAIN_SECONDS + sleep.get("seconds", 0)
        expect(self.pod["terminationGracePeriodSeconds"] > least, f"more than {least} s")

    def has_an_image_of(self, version):
        """The image has the version of this tree."""
        image = self.container["image"]
        expect(image.endswith(f":{version}"), image)

    def variables(self):
        """The environment, with secrets."""
        return {
            one["name"]: one["value"] if "value" in one else self._secret(one["valueFrom"])
            for one in self.container["env"] or []
        }

    def _secret(self, source):
        key = source["secretKeyRef"]
        for one in self.objects:
            if one["kind"] == "Secret" and one["metadata"]["name"] == key["name"]:
                return one["stringData"][key["key"]]
        return SECRETS[key["key"]]

    def args(self):
        """The arguments, with variables put in as Kubernetes does."""
        variables = self.variables()
        args = self.container["args"]
        for name, value in variables.items():
            args = [arg.replace(f"$({name})", value) for arg in args]
        return args

    def serves(self, program):
        """The server starts with these arguments, answers its probes and metrics, and stops."""
        variables = {k: v for k, v in self.variables().items() if k.startswith("DS_")}
        accept(program, self.args(), variables)
        with Server(program, self.args(), variables) as server:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                get = self.container[probe]["httpGet"]
                expect(self.is_reachable(get["port"]), f"{probe}: {get['port']} is loopback")
                server.get(get["port"], get["path"])
            if self.is_scraped():
                expect(self.is_reachable("admin"), "Prometheus reaches the admin listener")
                expect("durable_streams_build_info" in server.get("admin", "/metrics"), "metrics")
            server.stop()

    def is_reachable(self, port):
        """Whether other pods reach the port."""
        address = next(arg for arg in self.args() if arg.endswith(f":{self.ports[port]}"))
        return not address.startswith("127.")

    def is_scraped(self):
        """Whether Prometheus asks the pods for metrics."""
        notes = self.template["metadata"].get("annotations") or {}
        if port := notes.get("prometheus.io/port"):
            expect(int(port) == self.ports["admin"], "the port of the annotation")
        return bool(port) or any(one["kind"] == "PodMonitor" for one in self.objects)

    def hold(self, claims, name, program, version):
        """All claims about a deployment."""
        claims.hold(f"{name}: objects are valid", self.has_valid_objects)
        claims.hold(f"{name}: labels and ports fit", self.selects_its_pods)
        claims.hold(f"{name}: the container is confined", self.is_confined)
        claims.hold(f"{name}: one writer of a file store", self.has_one_writer_of_a_file_store)
        claims.hold(f"{name}: there is time to stop", self.gives_time_to_stop)
        claims.hold(f"{name}: the image has version {version}", lambda: self.has_an_image_of(version))
        claims.hold(f"{name}: the server starts and stops", lambda: self.serves(program))
