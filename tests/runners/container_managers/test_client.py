"""The client against an API server: what it does to nodes and pods, and what it leaves alone."""

import pytest

from runners.container_managers.failure import ManagerFailed
from runners.container_managers.kubernetes import CLUSTER, CORDONED, KEPT, REGISTERED, Kubernetes
from runners.container_managers.kubernetes_objects import node_name
from tests.runners.container_managers.server import ApiServer, Fault

A = "10.0.0.7"
MARK = "container_manager/prod@3 2026-01-02T03:04:05.000006"
OPERATION = "019a8f6e-6c3c-7d3e-9b1a-0f4d0c8c7a55"


async def test_a_node_is_registered_with_our_label_and_our_mark(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    assert await kubernetes.register(A, "web_1", MARK)
    metadata = server.objects.nodes[A]["metadata"]
    assert metadata["labels"] == {"app.kubernetes.io/managed-by": "commissaire"}
    assert metadata["annotations"] == {
        "commissaire/registered": MARK,
        "commissaire/address": A,
        "commissaire/cluster": "web_1",
    }


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (A, A),
        ("node-7.example.com", "node-7.example.com"),
        ("2001:db8::7", "2001-0db8-0000-0000-0000-0000-0000-0007"),
        ("::1", "0000-0000-0000-0000-0000-0000-0000-0001"),
        ("fe80::", "fe80-0000-0000-0000-0000-0000-0000-0000"),
        (f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60}", ".".join(c * 60 for c in "abcd")),
    ],
)
async def test_every_address_makes_a_name_that_a_node_can_have(
    address: str, name: str, kubernetes: Kubernetes, server: ApiServer
) -> None:
    assert node_name(address) == name
    assert await kubernetes.register(address, "-web-", MARK)
    assert list(server.objects.nodes) == [name]
    assert await kubernetes.remove(address, MARK)
    assert not server.objects.nodes


async def test_a_registration_whose_answer_was_lost_is_found_to_be_ours(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    server.befall("POST", "/nodes", Fault(lost=True))
    with pytest.raises(ManagerFailed) as failed:
        await kubernetes.register(A, "web", MARK)
    assert failed.value.passing
    assert await kubernetes.register(A, "web", MARK)
    assert len(server.objects.nodes) == 1


async def test_a_node_whose_host_moved_to_another_cluster_says_so(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    for cluster in ("db", "db"):
        assert await kubernetes.register(A, cluster, MARK)
    assert server.objects.nodes[A]["metadata"]["annotations"][CLUSTER] == "db"
    assert len(server.requests("PATCH")) == 1
    assert not await kubernetes.register(A, "db", "another mark")
    assert len(server.requests("PATCH")) == 1, "it is not ours to change"


async def test_a_node_of_somebody_else_is_noted_and_never_removed(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    server.objects.create_node({"apiVersion": "v1", "kind": "Node", "metadata": {"name": A}})
    assert not await kubernetes.register(A, "web", MARK)
    assert REGISTERED not in server.objects.nodes[A]["metadata"].get("annotations", {})
    assert not await kubernetes.remove(A, MARK)
    assert not await kubernetes.remove(A, "")
    assert A in server.objects.nodes
    assert not server.requests("DELETE")


async def test_a_node_with_the_mark_of_another_registration_is_left_alone(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    assert await kubernetes.register(A, "web", "another mark")
    assert not await kubernetes.register(A, "web", MARK)
    assert not await kubernetes.remove(A, MARK)
    assert A in server.objects.nodes


async def test_removing_what_is_gone_is_done(kubernetes: Kubernetes, server: ApiServer) -> None:
    assert await kubernetes.remove(A, MARK)
    await kubernetes.register(A, "web", MARK)
    server.befall("DELETE", A, Fault(lost=True))
    with pytest.raises(ManagerFailed):
        await kubernetes.remove(A, MARK)
    assert await kubernetes.remove(A, MARK)


async def test_a_removal_is_of_the_very_node_that_was_looked_at(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    server.befall("DELETE", A, Fault(status=409, message="Precondition failed"))
    assert await kubernetes.remove(A, MARK)
    meant = [asked.body["preconditions"] for asked in server.requests("DELETE")]
    assert len(meant) == 2
    assert all(each["uid"] and each["resourceVersion"] for each in meant)


async def test_a_cordon_is_ours_and_is_taken_away_by_us(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    for _ in range(2):
        await kubernetes.cordon(A, OPERATION)
        node = server.objects.nodes[A]
        assert node["spec"]["unschedulable"] is True
        assert node["metadata"]["annotations"][CORDONED] == OPERATION
    assert len(server.requests("PATCH")) == 1, "what is so already is not patched again"
    await kubernetes.uncordon(A, OPERATION)
    node = server.objects.nodes[A]
    assert "unschedulable" not in node["spec"]
    assert CORDONED not in node["metadata"]["annotations"]
    assert node["metadata"]["annotations"][REGISTERED] == MARK


async def test_the_cordon_of_somebody_else_stays(kubernetes: Kubernetes, server: ApiServer) -> None:
    await kubernetes.register(A, "web", MARK)
    server.objects.nodes[A]["spec"]["unschedulable"] = True
    await kubernetes.cordon(A, OPERATION)
    await kubernetes.uncordon(A, OPERATION)
    await kubernetes.uncordon(A)
    assert server.objects.nodes[A]["spec"]["unschedulable"] is True
    assert CORDONED not in server.objects.nodes[A]["metadata"]["annotations"]


async def test_a_cordon_is_taken_over_by_a_later_operation_and_not_taken_from_it(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    await kubernetes.cordon(A, "earlier")
    await kubernetes.cordon(A, OPERATION)
    await kubernetes.uncordon(A, "earlier")
    assert server.objects.nodes[A]["metadata"]["annotations"][CORDONED] == OPERATION
    await kubernetes.uncordon(A)
    assert "unschedulable" not in server.objects.nodes[A]["spec"]


async def test_what_an_operation_left_cordoned_is_not_uncordoned_by_one_that_came_to_nothing(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    await kubernetes.cordon(A, "failed")
    await kubernetes.cordon(A, OPERATION)
    await kubernetes.restore(A, OPERATION)
    node = server.objects.nodes[A]
    assert node["spec"]["unschedulable"] is True, "it may be half upgraded"
    assert node["metadata"]["annotations"][CORDONED] == "failed"
    assert KEPT not in node["metadata"]["annotations"]
    with pytest.raises(ManagerFailed, match="released"):
        await kubernetes.cordon(A, OPERATION)
    await kubernetes.cordon(A, "the retry")
    await kubernetes.uncordon(A, "the retry")
    node = server.objects.nodes[A]
    assert "unschedulable" not in node["spec"], "it went well"
    assert not {CORDONED, KEPT} & node["metadata"]["annotations"].keys()


async def test_a_cordon_that_was_to_be_taken_away_all_along_does_not_outlive_a_later_one(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    await kubernetes.cordon(A, "cancelled")
    await kubernetes.cordon(A, OPERATION)
    await kubernetes.restore(A, "cancelled")
    assert server.objects.nodes[A]["metadata"]["annotations"][CORDONED] == OPERATION
    assert server.objects.nodes[A]["spec"]["unschedulable"] is True
    await kubernetes.restore(A, OPERATION)
    assert "unschedulable" not in server.objects.nodes[A]["spec"]


async def test_only_a_node_with_that_very_mark_is_taken_back(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", "another mark")
    await kubernetes.cordon(A, OPERATION)
    await kubernetes.take_back(A, MARK)
    node = server.objects.nodes[A]
    assert node["metadata"]["annotations"][CORDONED] == OPERATION, "others work on it"
    await kubernetes.take_back(A, "another mark")
    assert not server.objects.nodes
    await kubernetes.take_back(A, MARK)


async def test_whoever_was_frozen_before_it_cordoned_comes_too_late(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    await kubernetes.uncordon(A, OPERATION)
    with pytest.raises(ManagerFailed, match="released") as failed:
        await kubernetes.cordon(A, OPERATION)
    assert not failed.value.passing
    assert "unschedulable" not in server.objects.nodes[A]["spec"]
    await kubernetes.cordon(A, "a later one")
    assert server.objects.nodes[A]["spec"]["unschedulable"] is True


async def test_a_node_that_changes_meanwhile_is_looked_at_again(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    server.befall("PATCH", A, *[Fault(status=409)] * 3)
    await kubernetes.cordon(A, OPERATION)
    assert server.objects.nodes[A]["spec"]["unschedulable"] is True
    server.befall("PATCH", A, *[Fault(status=409)] * 5)
    with pytest.raises(ManagerFailed, match="all the time") as failed:
        await kubernetes.uncordon(A, OPERATION)
    assert failed.value.passing


async def test_what_is_no_node_cannot_be_cordoned_and_need_not_be_uncordoned(
    kubernetes: Kubernetes,
) -> None:
    with pytest.raises(ManagerFailed, match=r"no node 10\.0\.0\.7"):
        await kubernetes.cordon(A, OPERATION)
    await kubernetes.uncordon(A, OPERATION)


async def test_a_drain_evicts_what_has_to_leave_and_nothing_else(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    pods = server.objects
    pods.add_pod(A, "web-1")
    pods.add_pod(A, "db-0", controller="StatefulSet", namespace="prod")
    pods.add_pod(A, "fluentd-1", controller="DaemonSet")
    pods.add_pod(A, "kube-proxy", controller="Node", mirror=True)
    pods.add_pod(A, "once", controller="Job", phase="Succeeded")
    pods.add_pod(A, "by-hand", controller="", phase="Failed")
    pods.add_pod("10.0.0.8", "elsewhere")
    draining = await kubernetes.drain(A)
    assert (draining.left, draining.blocked) == (2, "")
    assert (await kubernetes.drain(A)).left == 0
    assert pods.evicted == ["default/web-1", "prod/db-0"]


async def test_a_pod_that_is_leaving_is_waited_for_and_not_evicted_again(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    server.objects.grace_s = 3600
    server.objects.add_pod(A, "web-1")
    for _ in range(3):
        assert (await kubernetes.drain(A)).left == 1
    assert server.objects.evicted == ["default/web-1"]


async def test_a_disruption_budget_blocks_one_pod_and_says_when_to_ask_again(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    server.objects.add_pod(A, "web-1")
    server.objects.add_pod(A, "web-2")
    server.objects.budgets["default", "web-1"] = 7
    draining = await kubernetes.drain(A)
    assert (draining.left, draining.after_s) == (2, 7.0)
    assert "default/web-1" in draining.blocked
    assert "disruption budget" in draining.blocked
    assert server.objects.evicted == ["default/web-2"]
    del server.objects.budgets["default", "web-1"]
    await kubernetes.drain(A)
    assert (await kubernetes.drain(A)).left == 0


async def test_a_pod_that_would_be_lost_is_named_and_none_is_evicted(
    kubernetes: Kubernetes, server: ApiServer
) -> None:
    server.objects.add_pod(A, "web-1")
    server.objects.add_pod(A, "by-hand", controller="")
    with pytest.raises(ManagerFailed, match="default/by-hand") as failed:
        await kubernetes.drain(A)
    assert not failed.value.passing
    assert not server.objects.evicted


@pytest.mark.parametrize("status", [404, 409])
async def test_a_pod_that_is_gone_or_came_back_as_another_is_evicted(
    status: int, kubernetes: Kubernetes, server: ApiServer
) -> None:
    server.objects.add_pod(A, "web-1")
    server.befall("POST", "eviction", Fault(status=status))
    assert (await kubernetes.drain(A)).left == 1


async def test_pods_are_read_page_by_page(kubernetes: Kubernetes, server: ApiServer) -> None:
    for number in range(250):
        server.objects.add_pod(A, f"agent-{number}", controller="DaemonSet")
    server.objects.add_pod(A, "web-1")
    assert (await kubernetes.drain(A)).left == 1
    assert len(server.requests("GET", "/pods")) == 3


@pytest.mark.parametrize(
    ("status", "ready"), [("True", True), ("False", False), ("Unknown", False), ("", False)]
)
async def test_a_node_is_ready_where_its_condition_says_so(
    status: str, ready: bool, kubernetes: Kubernetes, server: ApiServer
) -> None:
    await kubernetes.register(A, "web", MARK)
    if status:
        server.objects.set_ready(A, status)
    assert await kubernetes.is_ready(A) is ready


async def test_reports_tell_of_every_node(kubernetes: Kubernetes, server: ApiServer) -> None:
    for number in range(150):
        await kubernetes.register(f"10.0.1.{number}", "web", MARK)
    server.objects.set_ready("10.0.1.0")
    server.objects.set_ready("10.0.1.1", "False", "KubeletNotReady")
    await kubernetes.cordon("10.0.1.0", OPERATION)
    reports = {name: report async for name, report, _ in kubernetes.reports()}
    assert len(reports) == 150
    assert reports["10.0.1.0"] == {
        "node": "10.0.1.0",
        "status": "ok",
        "schedulable": False,
        "reason": "KubeletReady",
        "kubelet": "v1.31.2",
    }
    assert reports["10.0.1.1"]["status"] == "not_ready"
    assert reports["10.0.1.2"]["status"] == "unknown"
