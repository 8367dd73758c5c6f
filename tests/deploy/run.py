"""Checks host/deploy as far as a machine without a cluster can: `run.py PROGRAM [FILTER]`.

Schemas are Kubernetes' own, the chart is rendered by Helm, and PROGRAM starts with the arguments and
variables of each file.
"""

import os
import sys
import tomllib

import chart
import containers
from claims import Claims
from kubernetes import Deployment, objects

PROGRAM = os.path.abspath(sys.argv[1])
os.chdir(os.path.dirname(os.path.abspath(__file__)))
DEPLOY = os.path.abspath("../../host/deploy")

with open("../../Cargo.toml", "rb") as file:
    VERSION = tomllib.load(file)["workspace"]["package"]["version"]


def plain_manifests():
    """The objects of the plain manifests, and the optional monitor."""
    texts = []
    for directory in ("kubernetes", "monitoring"):
        for name in sorted(os.listdir(f"{DEPLOY}/{directory}")):
            if directory == "kubernetes" or name == "pod-monitor.yaml":
                with open(f"{DEPLOY}/{directory}/{name}") as file:
                    texts.extend(objects(file.read()))
    return texts


claims = Claims(sys.argv[2] if len(sys.argv) > 2 else "")
Deployment(plain_manifests()).hold(claims, "manifests", PROGRAM, VERSION)
chart.hold(claims, f"{DEPLOY}/chart", PROGRAM, VERSION)
containers.hold(claims, DEPLOY, PROGRAM, VERSION)
sys.exit(claims.end())
