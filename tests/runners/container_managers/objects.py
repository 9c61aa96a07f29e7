"""Nodes and pods as an API server keeps them, and its rules for them."""

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

# Any: plain JSON.
Object = dict[str, Any]

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
QUALIFIED = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Refused(Exception):
    """An answer that is a `Status` object, as the real server has them."""

    def __init__(
        self, code: int, message: str, reason: str = "", after_s: int | None = None, cause: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.after_s = after_s
        details: Object = {}
        if cause:
            details["causes"] = [{"reason": cause, "message": message}]
        if after_s is not None:
            details["retryAfterSeconds"] = after_s
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason or REASONS.get(code, ""),
            "details": details,
            "code": code,
        }


@dataclass
class Objects:
    """What is in the cluster. Nobody else may use it meanwhile: the server holds a lock."""

    nodes: dict[str, Object] = field(default_factory=dict)
    pods: dict[tuple[str, str], Object] = field(default_factory=dict)
    budgets: dict[tuple[str, str], int | None] = field(default_factory=dict)
    """Pods that may not be evicted, and what `Retry-After` says of them."""
    grace_s: float = 0.0
    """How long a pod takes to be gone after it was evicted."""
    evicted: list[str] = field(default_factory=list)
    version: int = 100

    def stamped(self, found: Object) -> Object:
        """With the next resourceVersion."""
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        return found

    # Nodes

    def create_node(self, body: Object) -> Object:
        """POST of one."""
        metadata = body.get("metadata") or {}
        name = metadata.get("name", "")
        if (body.get("kind"), body.get("apiVersion")) != ("Node", "v1"):
            raise Refused(400, "the object provided is unrecognized")
        if not SUBDOMAIN.fullmatch(name) or len(name) > 253:
            raise Refused(422, f'Node "{name}" is invalid: metadata.name')
        annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
        if not all(QUALIFIED.fullmatch(key) for key in (*annotations, *labels)):
            raise Refused(422, f'Node "{name}" is invalid: a key is not qualified')
        if not all(LABEL_VALUE.fullmatch(value) for value in labels.values()):
            raise Refused(422, f'Node "{name}" is invalid: metadata.labels')
        if not all(isinstance(value, str) for value in annotations.values()):
            raise Refused(400, "annotations must be strings")
        if name in self.nodes:
            raise Refused(409, f'nodes "{name}" already exists', "AlreadyExists")
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {**metadata, "uid": secrets.token_hex(8)},
            "spec": dict(body.get("spec") or {}),
            "status": {"conditions": [], "nodeInfo": {}},
        }
        self.nodes[name] = self.stamped(node)
        return node

    def node(self, name: str) -> Object:
        """GET of one."""
        if name not in self.nodes:
            raise Refused(404, f'nodes "{name}" not found')
        return self.nodes[name]

    def patch_node(self, name: str, patch: Object) -> Object:
        """A merge: `null` takes a key away."""
        node = self.node(name)
        version = (patch.get("metadata") or {}).pop("resourceVersion", None)
        if version is not None and version != node["metadata"]["resourceVersion"]:
            raise Refused(
                409,
                f'Operation cannot be fulfilled on nodes "{name}": the object has been modified;'
                " please apply your changes to the latest version and try again",
            )
        _merge(node, patch)
        return self.stamped(node)

    def delete_node(self, name: str, options: Object) -> Object:
        """DELETE of one, if it is still the one that was meant."""
        node = self.node(name)
        for key, value in (options.get("preconditions") or {}).items():
            if value is not None and value != node["metadata"][key]:
                raise Refused(409, f"Precondition failed: {key} in precondition: {value}")
        del self.nodes[name]
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def set_ready(self, name: str, status: str = "True", reason: str = "KubeletReady") -> None:
        """What the kubelet of a node says."""
        node = self.nodes[name]
        ready = {"type": "Ready", "status": status, "reason": reason}
        node["status"]["conditions"] = [{"type": "DiskPressure", "status": "False"}, ready]
        node["status"]["nodeInfo"] = {"kubeletVersion": "v1.31.2"}
        self.stamped(node)

    # Pods

    def add_pod(
        self,
        node: str,
        name: str,
        *,
        controller: str = "ReplicaSet",
        phase: str = "Running",
        mirror: bool = False,
        namespace: str = "default",
    ) -> None:
        """A pod on a node."""
        metadata: Object = {"namespace": namespace, "name": name, "uid": secrets.token_hex(8)}
        if controller:
            metadata["ownerReferences"] = [{"kind": controller, "name": "x", "controller": True}]
        if mirror:
            metadata["annotations"] = {"kubernetes.io/config.mirror": "0f"}
        pod = {"metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase}}
        self.pods[namespace, name] = self.stamped(pod)

    def pods_of(self, node: str) -> list[Object]:
        """Those that are there by now."""
        now = time.monotonic()
        for key, pod in list(self.pods.items()):
            if pod.get("gone_at", now + 1) <= now:
                del self.pods[key]
        return [pod for pod in self.pods.values() if pod["spec"]["nodeName"] == node]

    def evict(self, namespace: str, name: str, eviction: Object) -> Object:
        """POST of an eviction, which keeps to budgets."""
        if (eviction.get("kind"), eviction.get("apiVersion")) != ("Eviction", "policy/v1"):
            raise Refused(400, "no kind is registered for the type policy")
        pod = self.pods.get((namespace, name))
        if pod is None:
            raise Refused(404, f'pods "{name}" not found')
        uid = ((eviction.get("deleteOptions") or {}).get("preconditions") or {}).get("uid")
        if uid is not None and uid != pod["metadata"]["uid"]:
            raise Refused(409, f"Precondition failed: UID in precondition: {uid}")
        if (namespace, name) in self.budgets:
            raise Refused(
                429,
                "Cannot evict pod as it would violate the pod's disruption budget.",
                after_s=self.budgets[namespace, name],
                cause="DisruptionBudget",
            )
        self.evicted.append(f"{namespace}/{name}")
        pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
        pod["gone_at"] = time.monotonic() + self.grace_s
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}


def _merge(into: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value
