"""Reads the JSON objects of Kubernetes: nodes and pods."""

import ipaddress
from dataclasses import dataclass
from typing import Any

from runners.container_managers.kubernetes_api import Object
from runners.os_support.terminal_text import printable

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that stands for one that the kubelet runs from a file."""


@dataclass(frozen=True)
class Pod:
    """The parts of a pod that decide whether a drain evicts it."""

    namespace: str
    name: str
    uid: str
    stays: bool
    """It is finished, or a DaemonSet's or a mirror pod, which would be back at once."""
    has_controller: bool
    is_leaving: bool

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def node_name(address: str) -> str:
    """The name of a host's node: its address; of IPv6 in a form that RFC 1123 allows."""
    if ":" not in address:
        return address
    return ipaddress.IPv6Address(address).exploded.replace(":", "-")


def object_at(found: Object, key: str) -> Object:
    """The object at a key; an empty one where there is none."""
    part = found.get(key)
    return part if isinstance(part, dict) else {}


def objects_at(found: Object, key: str) -> list[Object]:
    """The list of objects at a key; an empty one where there is none."""
    parts = found.get(key)
    return [p for p in parts if isinstance(p, dict)] if isinstance(parts, list) else []


def is_cordoned(node: Object) -> bool:
    return bool(object_at(node, "spec").get("unschedulable"))


def annotations_of(found: Object) -> Object:
    return object_at(object_at(found, "metadata"), "annotations")


def condition_of(node: Object) -> Object:
    """The node's condition `Ready`."""
    conditions = objects_at(object_at(node, "status"), "conditions")
    return next((found for found in conditions if found.get("type") == "Ready"), {})


def report_of(name: str, node: Object) -> Object:
    ready = condition_of(node)
    said = text_of(ready.get("status"))
    return {
        "node": name,
        "status": {"True": "ok", "False": "not_ready"}.get(said, "unknown"),
        "schedulable": not is_cordoned(node),
        "reason": text_of(ready.get("reason")),
        "kubelet": text_of(object_at(object_at(node, "status"), "nodeInfo").get("kubeletVersion")),
    }


def pod_of(pod: Object) -> Pod:
    metadata = object_at(pod, "metadata")
    owners = objects_at(metadata, "ownerReferences")
    controller = next((text_of(o.get("kind")) for o in owners if o.get("controller")), "")
    finished = object_at(pod, "status").get("phase") in ("Succeeded", "Failed")
    return Pod(
        text_of(metadata.get("namespace")),
        text_of(metadata.get("name")),
        text_of(metadata.get("uid")),
        stays=finished or controller == "DaemonSet" or MIRROR in annotations_of(pod),
        has_controller=bool(controller),
        is_leaving=metadata.get("deletionTimestamp") is not None,
    )


# Any: whatever the JSON has.
def text_of(value: Any) -> str:
    """A text on one line, cut to the length that a name may have; "" for anything else."""
    return printable(value[:253]) if isinstance(value, str) else ""
