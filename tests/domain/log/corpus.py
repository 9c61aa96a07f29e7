"""One stored event of every class and class version, as the log keeps them.

The golden corpus: what is here was written by some version of this program and is never edited.
"""

META = '"at":"2026-01-02T03:04:05.000006","actor":"alice","correlation":"request-1"'

STORED: tuple[tuple[str, str, str], ...] = (
    ("host.registered", "host/10.0.0.7", ('"address":"10.0.0.7","remote_user":"root","ssh_port":22,'
     '"key_fingerprint":"SHA256:x","source":"rack 7"')),
    ("host.removed", "host/10.0.0.7", ""),
    ("host.joined_cluster", "host/10.0.0.7", '"cluster":"web"'),
    ("host.left_cluster", "host/10.0.0.7", '"cluster":"web"'),
    ("host.left_cluster", "host/10.0.0.7",
     '"cluster":"web","reason":"host_removed","class_version":2'),
    ("host.key_pinned", "host/10.0.0.7", '"algorithm":"ssh-ed25519","fingerprint":"SHA256:k"'),
    ("host.key_refused", "host/10.0.0.7", '"fingerprint":"SHA256:other"'),
    ("host.key_approved", "host/10.0.0.7", '"fingerprint":"SHA256:other"'),
    ("host.key_forgotten", "host/10.0.0.7", ""),
    ("host.facts_gathered", "host/10.0.0.7", ('"os":"fedora","os_version":"40","cpus":4,'
     '"memory":8000000,"space":50000000,"boot_id":"b"')),
    ("host.facts_sourced", "host/10.0.0.7", ('"source":"rack","os":"fedora","cpus":8,"memory":null,'
     '"space":null')),
    ("host.bootstrap_step_sent", "host/10.0.0.7", ('"step":"packages","run":"0193-8",'
     '"network":"blue"')),
    ("host.bootstrap_step_done", "host/10.0.0.7", ('"step":"packages","run":"0193-8","changed":['
     '{"path":"/etc/sysconfig/flanneld","sha256":"0f","mode":"0644","owner":"root:root"}],'
     '"evidence":{"exit_status":0,"output_sha256":"0f","output_bytes":12}')),
    ("host.bootstrap_step_failed", "host/10.0.0.7", ('"step":"packages","run":"0193-8",'
     '"reason":"It broke.","changed":[],"evidence":{"exit_status":1}')),
    ("host.bootstrapped", "host/10.0.0.7", ""),
    ("host.activated", "host/10.0.0.7", ""),
    ("host.failed", "host/10.0.0.7", '"kind":"unreachable","reason":"It is off: \u00fc."'),
    ("host.recovered", "host/10.0.0.7", '"status":"active"'),
    ("host.labels_changed", "host/10.0.0.7", '"labels":{"role":"db"}'),
    ("host.check_requested", "host/10.0.0.7", '"note":"It was mended."'),
    ("host.check_requested", "host/10.0.0.7", '"updates":true'),
    ("host.updates_found", "host/10.0.0.7", '"all":12,"security":3'),
    ("host.updates_found", "host/10.0.0.7", '"all":1,"security":null'),
    ("host.credentials_read", "host/10.0.0.7", ""),
    ("host.credentials_rotated", "host/10.0.0.7",
     '"key_fingerprint":"SHA256:y","remote_user":"ops","ssh_port":2222'),
    ("cluster.created", "cluster/web", '"name":"web","network":"default","container_manager":""'),
    ("cluster.host_joined", "cluster/web", '"address":"10.0.0.7"'),
    ("cluster.host_left", "cluster/web", '"address":"10.0.0.7"'),
    ("cluster.host_left", "cluster/web",
     '"address":"10.0.0.7","reason":"cluster_removed","class_version":2'),
    ("cluster.removal_started", "cluster/web", ""),
    ("cluster.removed", "cluster/web", ""),
    ("network.created", "network/blue", ('"name":"blue","type":"flannel_server",'
     '"options":{"address":"10.0.0.1:8080"}')),
    ("network.taken_up", "network/blue", '"cluster":"web"'),
    ("network.released", "network/blue", '"cluster":"web"'),
    ("network.removed", "network/blue", ""),
    ("container_manager.created", "container_manager/prod", ('"name":"prod","type":"openshift",'
     '"options":{"apiserver":"https://10.0.0.1:8443/api/","token":"********"}')),
    ("container_manager.taken_up", "container_manager/prod", '"cluster":"web"'),
    ("container_manager.released", "container_manager/prod", '"cluster":"web"'),
    ("container_manager.node_registered", "container_manager/prod", '"address":"10.0.0.7"'),
    ("container_manager.node_removed", "container_manager/prod", '"address":"10.0.0.7"'),
    ("container_manager.node_wanted", "container_manager/prod", ('"address":"10.0.0.7",'
     '"cluster":"web","mark":"container_manager/prod@3 2026-01-02T03:04:05.000006"')),
    ("container_manager.node_registered", "container_manager/prod",
     '"address":"10.0.0.7","found":true'),
    ("container_manager.node_unwanted", "container_manager/prod", ('"address":"10.0.0.7",'
     '"mark":"container_manager/prod@3 2026-01-02T03:04:05.000006"')),
    ("container_manager.node_removed", "container_manager/prod",
     '"address":"10.0.0.7","left":true'),
    ("container_manager.node_given_up", "container_manager/prod", '"address":"10.0.0.7"'),
    ("container_manager.uncordon_wanted", "container_manager/prod",
     '"address":"10.0.0.7","operation":"0193-7"'),
    ("container_manager.node_uncordoned", "container_manager/prod",
     '"address":"10.0.0.7","operation":"0193-7"'),
    ("container_manager.removal_started", "container_manager/prod", ""),
    ("container_manager.removed", "container_manager/prod", ""),
    ("log.went_back", "log/main", ('"process":"a/1","known_position":140,'
     '"known_recorded_at":"2026-01-02T03:04:05.000006","found_position":100,'
     '"found_recorded_at":"2026-01-02T03:00:00.000006","common_position":100,'
     '"skipped_position":10140,"changes_lost":1,'
     '"changes":["101 cluster.created cluster/web admin"],'
     '"known_server":"7713782824816460698/1","server":"7713782824816460698/2"')),
    ("log.clock_set_back", "log/main",
     '"process":"a/1","recorded_at":"2031-01-02T03:04:05.000006"'),
    ("log.checkpoint_signed", "log/main", (
     '"size":0,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","key":"commissair'
     'e/4f1c0a97d2e35b68+cb91ec69+Aa8Go+MpFxTk81bBnJsVzRlR7G5mYqp3vgdUfyiTgzQd","check'
     'point":"commissaire/4f1c0a97d2e35b68\\n0\\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG'
     '3hSuFU=\\ntime 2026-01-02T03:04:05.000006Z\\n\\n— commissaire/4f1c0a97d2e35b68 y'
     '5HsaRO4gvUmN+VoTVTWvr/VBSR0+s/xOQghkSevdWujvFJsKK4jZIqiI54MLyvo4AGbJqPOgeCwV5Y4f'
     'C2BkuBb/gQ=\\n"')),
    ("log.key_rotated", "log/main", (
     '"key_before":"commissaire/4f1c0a97d2e35b68+cb91ec69+Aa8Go+MpFxTk81bBnJsVzRlR7G5m'
     'Yqp3vgdUfyiTgzQd","key":"commissaire/4f1c0a97d2e35b68+8c22183f+AS3wQSXwAVr7R86FO'
     'u+HcglP+UmMFMsbnhKXPCkn2g+m","size":0,"checkpoint":"commissaire/4f1c0a97d2e35b68'
     '\\n0\\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\\ntime 2026-01-02T03:04:05.0'
     '00006Z\\nnext-key commissaire/4f1c0a97d2e35b68+8c22183f+AS3wQSXwAVr7R86FOu+HcglP'
     '+UmMFMsbnhKXPCkn2g+m\\n\\n— commissaire/4f1c0a97d2e35b68 y5HsadMB8b68OF5GYcMm1Yt'
     'UxuT9UlwKv2tTSiGnJGIT62Ra0xwcC8Mnt5w2HZhoxhHiREKdlgN6Yg74RYSeJ24UXAs=\\n— commis'
     'saire/4f1c0a97d2e35b68 jCIYP+291S2KSTAs+ffbWMRs0mCFiT5hZxH9w+gCF/D1e9Ikedrr3Qrn2'
     'k95wY65q2Z58gcL6+O5S72hoecR76vEgwE=\\n"')),
    ("source.became_stale", "source/rack", ('"since":"2026-01-02T03:04:05.000006",'
     '"reason":"It did not answer."')),
    ("source.came_back", "source/rack", ""),
    ("webhook.created", "webhook/chat", ('"url":"https://chat.example/********",'
     '"types":["operation.*","host.failed"],"subjects":[],"form":"text","summaries":true,'
     '"ca_path":""')),
    ("webhook.changed", "webhook/chat", ('"url":"https://chat.example/********","types":[],'
     '"subjects":["cluster/web"],"form":"cloudevents","summaries":false,'
     '"ca_path":"/etc/pki/ours.pem"')),
    ("webhook.secret_rotated", "webhook/chat", '"both_until":"2026-01-03T03:04:05.000006"'),
    ("webhook.gave_up", "webhook/chat", ('"position":117,"since":"2026-01-02T03:04:05.000006",'
     '"reason":"It answered 500."')),
    ("webhook.resumed", "webhook/chat", ""),
    ("webhook.removed", "webhook/chat", ""),
    ("user.added", "user/ada", '"role":"viewer","clusters":{"web":"operator"},"has_password":true'),
    ("user.role_changed", "user/ada", '"role":"operator","clusters":{}'),
    ("user.password_changed", "user/ada", '"has_password":true'),
    ("user.removed", "user/ada", ""),
    ("token.created", "token/ci", ('"role":"viewer","clusters":{"web":"operator"},"owner":"ada",'
     '"expires":"2026-02-01T03:04:05.000006","made":""')),
    ("token.revoked", "token/ci", '"reason":"user_removed"'),
    ("session.started", "session/0193-5",
     '"user":"ada","ends":"2026-01-02T15:04:05.000006"'),
    ("session.ended", "session/0193-5", '"user":"ada","reason":"logged_out"'),
    ("cluster.operation_started", "cluster/web", '"operation":"0193-7"'),
    ("cluster.operation_ended", "cluster/web", '"operation":"0193-7"'),
    ("cluster.policy_changed", "cluster/web", '"max_unavailable":"10%"'),
    ("cluster.policy_changed", "cluster/web", '"max_unavailable":null'),
    ("cluster.policy_changed", "cluster/web",
     '"max_unavailable":2,"window":"nights","gate":"alerts"'),
    ("cluster.lock_taken", "cluster/web",
     '"address":"10.0.0.7","client":"c988d2509fdf5cdcbed39037c886b7c9"'),
    ("cluster.lock_given", "cluster/web", '"address":"10.0.0.7","reason":"released"'),
    ("operation.started", "operation/0193-7", ('"kind":"deploy","cluster":"web","version":"27.9",'
     '"options":{"max_parallel":"25%","max_failures":0,"max_unavailable":null,"healthy_for_s":0.0,'
     '"step_timeout_s":0.0,"reboot":"never"},"hosts":[["10.0.0.7",0]],'
     '"skipped":[["10.0.0.8","It is failed: It is off."]],"predecessor":""')),
    ("operation.step_sent", "operation/0193-7", '"address":"10.0.0.7","step":"deploy"'),
    ("operation.step_waits", "operation/0193-7", ('"address":"10.0.0.7","step":"deploy",'
     '"reason":"Another package manager is at work."')),
    ("operation.host_started", "operation/0193-7", '"address":"10.0.0.7"'),
    ("operation.started", "operation/0193-8", ('"kind":"restart","cluster":"web","version":"",'
     '"options":{"max_parallel":1,"max_failures":0,"max_unavailable":null,"healthy_for_s":5.0,'
     '"step_timeout_s":0.0,"reboot":"never","drain":true},"hosts":[["10.0.0.7",0]],'
     '"skipped":[],"predecessor":""')),
    ("operation.started", "operation/0193-9", ('"kind":"upgrade","cluster":"web","version":"",'
     '"options":{"max_parallel":1,"max_failures":0,"max_unavailable":"10%","healthy_for_s":0.0,'
     '"step_timeout_s":0.0,"reboot":"never","drain":false},"hosts":[["10.0.0.7",1]],'
     '"skipped":[],"predecessor":"0193-8","members":30,"targets":["10.0.0.7"]')),
    ("operation.started", "operation/0193-a", ('"kind":"upgrade","cluster":"web","version":"",'
     '"options":{"max_parallel":1,"max_failures":0,"max_unavailable":null,"healthy_for_s":0.0,'
     '"step_timeout_s":0.0,"reboot":"if_needed","drain":false},"hosts":[["10.0.0.7",0]],'
     '"skipped":[],"predecessor":"","members":30,"targets":{"label":["role=db"]}')),
    ("operation.started", "operation/0193-b", ('"kind":"restart","cluster":"web","version":"",'
     '"options":{"max_parallel":1,"max_failures":0,"max_unavailable":null,"healthy_for_s":0.0,'
     '"step_timeout_s":0.0,"reboot":"never","drain":false,"waves":[{"hosts":1,"soak_s":600.0,'
     '"approval":"second"}],"starts_at":"2026-01-02T04:00:00.000000"},'
     '"hosts":[["10.0.0.7",0],["10.0.0.9",0]],"skipped":[],"predecessor":"","members":0,'
     '"targets":null,"waves":[1]')),
    ("operation.started", "operation/0193-c", ('"kind":"run","cluster":"web","version":"",'
     '"options":{"max_parallel":1,"max_failures":0,"max_unavailable":null,"healthy_for_s":0.0,'
     '"step_timeout_s":0.0,"reboot":"never","drain":false},"hosts":[["10.0.0.7",0]],'
     '"skipped":[],"predecessor":"","members":0,"targets":null,"waves":null,'
     '"script":"uname -r"')),
    ("operation.waits", "operation/0193-b", ('"what":"start","until":"2026-01-02T04:00:00.000000",'
     '"reason":"It is to begin later."')),
    ("operation.waits", "operation/0193-b", '"what":"","until":null,"reason":""'),
    ("operation.waits", "operation/0193-b", ('"what":"soak","until":"2026-01-02T04:10:00.000000",'
     '"reason":"Wave 1 is over, and soaks."')),
    ("operation.host_unwell", "operation/0193-b", '"address":"10.0.0.7","reason":"It is off."'),
    ("operation.host_well", "operation/0193-b", '"address":"10.0.0.7"'),
    ("operation.wave_approved", "operation/0193-b", '"wave":2'),
    ("operation.wave_started", "operation/0193-b", '"wave":2'),
    ("operation.host_started", "operation/0193-8",
     '"address":"10.0.0.7","container_manager":"prod"'),
    ("operation.step_done", "operation/0193-7", ('"address":"10.0.0.7","step":"deploy",'
     '"next":"reboot","evidence":{"exit_status":0,"output_sha256":"0f","output_bytes":12}')),
    ("operation.reboot_requested", "operation/0193-7", '"address":"10.0.0.7","boot_id":"b-1"'),
    ("operation.host_done", "operation/0193-7", ('"address":"10.0.0.7",'
     '"evidence":{"boot_id_before":"b-1","boot_id_after":"b-2"}')),
    ("operation.host_failed", "operation/0193-7", ('"address":"10.0.0.7","reason":"It broke.",'
     '"evidence":{"exit_status":1}')),
    ("operation.host_unknown", "operation/0193-7", ('"address":"10.0.0.7","reason":"Silence.",'
     '"evidence":{}')),
    ("operation.paused", "operation/0193-7", ""),
    ("operation.resumed", "operation/0193-7", ""),
    ("operation.cancel_requested", "operation/0193-7", ""),
    ("operation.ended", "operation/0193-7", '"status":"partial","reason":"1 failed."'),
    ("operation.retried", "operation/0193-8", '"operation":"0193-9"'),
    ("window.defined", "window/nights", ('"zone":"Europe/Berlin","starts":"0 22 * * 1-5",'
     '"duration_s":21600,"except_dates":["2026-12-24"]')),
    ("window.taken_up", "window/nights", '"by":"operation/0193-7"'),
    ("window.released", "window/nights", '"by":"operation/0193-7"'),
    ("window.removed", "window/nights", ""),
    ("schedule.defined", "schedule/sundays", ('"cron":"0 2 * * 0","zone":"Europe/Berlin",'
     '"operation":{"kind":"upgrade","cluster":"web"}')),
    ("schedule.fired", "schedule/sundays",
     '"due":"2026-01-04T01:00:00.000000","operation":"0193-7"'),
    ("schedule.not_begun", "schedule/sundays", ('"due":"2026-01-11T01:00:00.000000",'
     '"reason":"A different operation is in process."')),
    ("schedule.missed", "schedule/sundays", ('"first":"2026-01-18T01:00:00.000000",'
     '"due":"2026-01-25T01:00:00.000000","count":2')),
    ("schedule.set_back", "schedule/sundays", '"after":"2026-01-20T03:04:05.000006"'),
    ("schedule.removed", "schedule/sundays", ""),
)  # fmt: skip
"""Topic, aggregate, and the payload's JSON."""

STORY: tuple[tuple[str, str], ...] = (
    ("container_manager.created", ""),
    ("container_manager.taken_up", ""),
    ("container_manager.node_wanted", ""),
    ("container_manager.node_registered", ""),
    ("container_manager.uncordon_wanted", ""),
    ("container_manager.node_uncordoned", ""),
    ("container_manager.node_unwanted", ""),
    ("container_manager.node_removed", ""),
    ("container_manager.node_registered", ""),
    ("container_manager.node_removed", ""),
    ("container_manager.node_given_up", ""),
    ("container_manager.released", ""),
    ("container_manager.removal_started", ""),
    ("container_manager.removed", ""),
    ("network.created", ""),
    ("network.taken_up", ""),
    ("network.released", ""),
    ("network.removed", ""),
    ("log.went_back", ""),
    ("log.clock_set_back", ""),
    ("log.checkpoint_signed", ""),
    ("log.key_rotated", ""),
    ("source.became_stale", ""),
    ("source.came_back", ""),
    ("webhook.created", ""),
    ("webhook.changed", ""),
    ("webhook.secret_rotated", ""),
    ("webhook.gave_up", ""),
    ("webhook.resumed", ""),
    ("webhook.removed", ""),
    ("user.added", ""),
    ("user.role_changed", ""),
    ("token.created", ""),
    ("session.started", ""),
    ("user.password_changed", ""),
    ("session.ended", ""),
    ("token.revoked", ""),
    ("user.removed", ""),
    ("user.added", "user/bob"),
    ("token.created", "token/nightly"),
    ("session.started", "session/0193-6"),
    ("cluster.created", ""),
    ("host.registered", ""),
    ("host.key_pinned", ""),
    ("host.facts_gathered", ""),
    ("host.facts_sourced", ""),
    ("host.bootstrap_step_sent", ""),
    ("host.bootstrap_step_failed", ""),
    ("host.bootstrap_step_sent", ""),
    ("host.bootstrap_step_done", ""),
    ("host.bootstrapped", ""),
    ("cluster.host_joined", ""),
    ("host.joined_cluster", ""),
    ("host.activated", ""),
    ("host.key_refused", ""),
    ("host.failed", ""),
    ("host.key_approved", ""),
    ("host.recovered", ""),
    ("host.key_forgotten", ""),
    ("host.labels_changed", ""),
    ("host.check_requested", ""),
    ("host.check_requested", ""),
    ("host.updates_found", ""),
    ("host.updates_found", ""),
    ("host.credentials_read", ""),
    ("host.credentials_rotated", ""),
    ("cluster.policy_changed", ""),
    ("cluster.policy_changed", ""),
    ("cluster.policy_changed", ""),
    ("cluster.lock_taken", ""),
    ("cluster.lock_given", ""),
    ("cluster.operation_started", ""),
    ("operation.started", ""),
    ("operation.host_started", ""),
    ("operation.step_sent", ""),
    ("operation.step_waits", ""),
    ("operation.paused", ""),
    ("operation.resumed", ""),
    ("operation.step_done", ""),
    ("operation.reboot_requested", ""),
    ("operation.host_done", ""),
    ("operation.ended", ""),
    ("cluster.operation_ended", ""),
    ("operation.started", "operation/0193-8"),
    ("operation.host_started", "operation/0193-8"),
    ("operation.host_failed", "operation/0193-8"),
    ("operation.ended", "operation/0193-8"),
    ("operation.retried", ""),
    ("operation.started", "operation/0193-9"),
    ("operation.host_started", "operation/0193-9"),
    ("operation.host_unknown", "operation/0193-9"),
    ("operation.cancel_requested", "operation/0193-9"),
    ("operation.started", "operation/0193-a"),
    ("operation.started", "operation/0193-b"),
    ("operation.started", "operation/0193-c"),
    ("operation.waits", "operation/0193-b"),
    ("operation.waits", "operation/0193-b"),
    ("operation.host_started", "operation/0193-b"),
    ("operation.host_done", "operation/0193-b"),
    ("operation.waits", "operation/0193-b"),
    ("operation.host_unwell", "operation/0193-b"),
    ("operation.host_well", "operation/0193-b"),
    ("operation.wave_approved", "operation/0193-b"),
    ("operation.wave_started", "operation/0193-b"),
    ("cluster.host_left", ""),
    ("host.left_cluster", ""),
    ("cluster.host_joined", ""),
    ("host.joined_cluster", ""),
    ("cluster.removal_started", ""),
    ("cluster.host_left@2", ""),
    ("host.left_cluster@2", ""),
    ("cluster.removed", ""),
    ("host.removed", ""),
    ("window.defined", ""),
    ("window.taken_up", ""),
    ("window.released", ""),
    ("window.removed", ""),
    ("schedule.defined", ""),
    ("schedule.fired", ""),
    ("schedule.not_begun", ""),
    ("schedule.missed", ""),
    ("schedule.set_back", ""),
    ("schedule.removed", ""),
)
"""A log in which all of them come, in an order in which they can: topic, with the class version
where it is not 1, and another aggregate than in `STORED` where that is needed. Where `STORED` has
several of a topic, they come in turn."""


def versioned(topic: str, payload: str) -> str:
    """The topic, with its class version where that is not 1."""
    _, _, version = payload.partition('"class_version":')
    return f"{topic}@{version}" if version else topic


def state(payload: str) -> bytes:
    """The whole state as the log keeps it."""
    return f"{{{META}{',' if payload else ''}{payload}}}".encode()
