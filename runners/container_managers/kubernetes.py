"""The nodes of a Kubernetes cluster: the calls that change them, and their rules.

- A node that we registered carries our mark in an annotation, and no other is ever removed.
- A node that we cordoned carries the id of the operation, and no other is ever uncordoned.
- Pods leave by the eviction API alone, which keeps to PodDisruptionBudgets.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from runners.container_managers.failure import ManagerFailed
from runners.container_managers.kubernetes_api import STRATEGIC_MERGE, KubernetesApi, Object
from runners.container_managers.kubernetes_objects import (
    Pod,
    annotations_of,
    condition_of,
    is_cordoned,
    node_name,
    object_at,
    objects_at,
    pod_of,
    report_of,
    text_of,
)

REGISTERED = "commissaire/registered"
ADDRESS = "commissaire/address"
CLUSTER = "commissaire/cluster"
CORDONED = "commissaire/cordoned"
KEPT = "commissaire/kept-cordoned"
RELEASED = "commissaire/released"
"""Annotations of nodes. `REGISTERED` holds the mark; the last three hold operations: the one whose
cordon it is, the one whose it was before, and the last one that has taken its cordon away."""
LABELS = {"app.kubernetes.io/managed-by": "commissaire"}

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
PAGE_OBJECTS = "100"
PAGES_MAX = 500
CONFLICTS_MAX = 5
"""How often a change is decided again, because another client changed the node meanwhile."""
NAMED_MAX = 3
"""How many pods a sentence names."""


@dataclass(frozen=True)
class Draining:
    """How far the pods of a node have left. `blocked`: why some may not leave now, or ""."""

    left: int
    blocked: str = ""
    after_s: float | None = None


class Kubernetes:
    """The nodes of one cluster. Everything raises `ManagerFailed`."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    async def register(self, address: str, cluster: str, mark: str) -> bool:
        """Create the node. False where there is one of its name that we did not register."""
        name = node_name(address)
        marks = {REGISTERED: mark, ADDRESS: address, CLUSTER: cluster}
        metadata = {"name": name, "labels": LABELS, "annotations": marks}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
        try:
            await self._api.ask("POST", NODES, node)
        except ManagerFailed as failed:
            if failed.kind != "conflict":
                raise
            return await self._is_ours(name, cluster, mark)
        return True

    async def _is_ours(self, name: str, cluster: str, mark: str) -> bool:
        """Whether an existing node has our mark; if so, it is moved to this cluster."""
        ours = False

        def moved(node: Object) -> Object | None:
            nonlocal ours
            ours = annotations_of(node).get(REGISTERED) == mark
            is_told = annotations_of(node).get(CLUSTER) == cluster
            return _patch({CLUSTER: cluster}) if ours and not is_told else None

        if not await self._change(name, moved):
            raise ManagerFailed("conflict", f"The node {name} comes and goes.")
        return ours

    async def remove(self, address: str, mark: str) -> bool:
        """Delete the node. False where there is one of its name that we did not register."""
        ours = await self._delete(node_name(address), mark)
        if not ours:
            await self.uncordon(address)
        return ours

    async def take_back(self, address: str, mark: str) -> None:
        """Delete the node if it has this mark."""
        await self._delete(node_name(address), mark)

    async def cordon(self, address: str, operation: str) -> None:
        """Make the node unschedulable; a cordon of somebody else's is left as it is.

        Refused after `uncordon` for the same operation: the process that asks was frozen meanwhile.
        """

        def cordoned(node: Object) -> Object | None:
            annotations = annotations_of(node)
            if annotations.get(RELEASED) == operation:
                raise ManagerFailed("refused", "Its node was released by this operation before.")
            ours = annotations.get(CORDONED)
            if ours == operation or (ours is None and is_cordoned(node)):
                return None
            return _patch({CORDONED: operation, KEPT: ours}, unschedulable=True)

        if not await self._change(node_name(address), cordoned):
            raise ManagerFailed("not_found", f"It has no node {node_name(address)} (any more).")

    async def uncordon(self, address: str, operation: str = "") -> None:
        """Undo `cordon` for this operation, or for any where it is ""; a node may be gone."""

        def uncordoned(node: Object) -> Object | None:
            ours = annotations_of(node).get(CORDONED)
            if ours is not None and operation in ("", ours):
                gone = {CORDONED: None, KEPT: None, RELEASED: operation or None}
                return _patch(gone, unschedulable=None)
            return _released(node, operation)

        await self._change(node_name(address), uncordoned)

    async def restore(self, address: str, operation: str) -> None:
        """Undo `cordon` for this operation alone: a cordon of one before it stays."""

        def restored(node: Object) -> Object | None:
            annotations = annotations_of(node)
            ours, kept = annotations.get(CORDONED), annotations.get(KEPT)
            if ours == operation:
                before = {CORDONED: kept, KEPT: None, RELEASED: operation}
                return _patch(before, unschedulable=True if kept else None)
            if kept == operation:
                return _patch({KEPT: None, RELEASED: operation})
            return _released(node, operation)

        await self._change(node_name(address), restored)

    async def drain(self, address: str) -> Draining:
        """Evict every pod that has to leave, and count those that are still there.

        Raises `ManagerFailed` before the first eviction, where a pod would be lost by it.
        """
        pods = [pod async for pod in self._pods(node_name(address)) if not pod.stays]
        lost = [pod for pod in pods if not pod.has_controller and not pod.is_leaving]
        if lost:
            raise ManagerFailed(
                "refused",
                f"Pods without a controller would be lost: {_some(lost)}. Move them, or start the"
                " operation with drain false.",
            )
        blocked: list[str] = []
        waits: list[float] = []
        for pod in pods:
            try:
                if not pod.is_leaving:
                    await self._evict(pod)
            except ManagerFailed as failed:
                if failed.kind != "busy":
                    raise
                blocked.append(f"{pod}: {failed.reason}")
                waits += [] if failed.after_s is None else [failed.after_s]
        shown = " ".join(blocked[:1]) + (f" ({len(blocked)} are blocked.)" if blocked[1:] else "")
        return Draining(len(pods), shown, max(waits, default=None))

    async def is_ready(self, address: str) -> bool:
        """Whether the node's condition `Ready` is true."""
        return condition_of(await self._node(node_name(address))).get("status") == "True"

    async def reports(self) -> AsyncIterator[tuple[str, Object, list[str]]]:
        """Name and state of every node, and the operations that cordoned it."""
        async for node in self._list(NODES, {}):
            name = text_of(object_at(node, "metadata").get("name"))
            notes = annotations_of(node)
            operations = [text_of(notes.get(key)) for key in (CORDONED, KEPT)]
            yield name, report_of(name, node), [each for each in operations if each]

    async def aclose(self) -> None:
        """Close its connections."""
        await self._api.aclose()

    async def _node(self, name: str) -> Object:
        return await self._api.ask("GET", _path(name))

    async def _node_or_none(self, name: str) -> Object | None:
        try:
            return await self._node(name)
        except ManagerFailed as failed:
            if failed.kind != "not_found":
                raise
            return None

    async def _delete(self, name: str, mark: str) -> bool:
        """Delete the node as it was read. False where it has another mark, or none."""

        async def delete(node: Object) -> bool:
            if not mark or annotations_of(node).get(REGISTERED) != mark:
                return False
            metadata = object_at(node, "metadata")
            this_one = {key: metadata.get(key) for key in ("uid", "resourceVersion")}
            options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": this_one}
            await self._api.ask("DELETE", _path(name), options)
            return True

        return await self._decide(name, delete, where_gone=True)

    async def _change(self, name: str, change: Callable[[Object], Object | None]) -> bool:
        """Change the node as it was read. False where there is none."""

        async def patched(node: Object) -> bool:
            if patch := change(node):
                version = object_at(node, "metadata").get("resourceVersion")
                patch["metadata"]["resourceVersion"] = version
                await self._api.ask("PATCH", _path(name), patch, content_type=STRATEGIC_MERGE)
            return True

        return await self._decide(name, patched, where_gone=False)

    async def _decide(
        self, name: str, decide: Callable[[Object], Awaitable[bool]], *, where_gone: bool
    ) -> bool:
        """Decide on the node as it is, and anew where somebody changed it meanwhile."""
        for _ in range(CONFLICTS_MAX):
            node = await self._node_or_none(name)
            if node is None:
                return where_gone
            try:
                return await decide(node)
            except ManagerFailed as failed:
                if failed.kind not in ("conflict", "not_found"):
                    raise
        raise ManagerFailed("conflict", f"Others change the node {name} all the time.")

    async def _pods(self, name: str) -> AsyncIterator[Pod]:
        async for pod in self._list(PODS, {"fieldSelector": f"spec.nodeName={name}"}):
            yield pod_of(pod)

    async def _list(self, path: str, query: dict[str, str]) -> AsyncIterator[Object]:
        query = query | {"limit": PAGE_OBJECTS}
        for _ in range(PAGES_MAX):
            page = await self._api.ask("GET", path, query=query)
            for item in objects_at(page, "items"):
                yield item
            following = object_at(page, "metadata").get("continue")
            if not following or not isinstance(following, str):
                return
            query = query | {"continue": following}
        raise ManagerFailed("nonsense", f"Its list {path} has no end.")

    async def _evict(self, pod: Pod) -> None:
        """A pod that is gone, or was replaced by another of its name, counts as evicted."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        path = f"/api/v1/namespaces/{_segment(pod.namespace)}/pods/{_segment(pod.name)}/eviction"
        try:
            await self._api.ask("POST", path, eviction)
        except ManagerFailed as failed:
            if failed.kind not in ("not_found", "conflict"):
                raise


def _segment(text: str) -> str:
    return quote(text, safe="")


def _path(name: str) -> str:
    return f"{NODES}/{_segment(name)}"


def _patch(annotations: Object, **spec: bool | None) -> Object:
    """A strategic merge patch, in which None removes a key."""
    return {"metadata": {"annotations": annotations}, "spec": spec}


def _released(node: Object, operation: str) -> Object | None:
    """The note that this operation must not cordon the node any more, where it is missing."""
    if operation and annotations_of(node).get(RELEASED) != operation:
        return _patch({RELEASED: operation})
    return None


def _some(pods: list[Pod]) -> str:
    more = f" and {len(pods) - NAMED_MAX} more" if len(pods) > NAMED_MAX else ""
    return ", ".join(map(str, pods[:NAMED_MAX])) + more
