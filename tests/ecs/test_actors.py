"""Who did it, and where from: [A5] over the events of real stories, decoded as they come from an API server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from streamer.ecs import alert_document
from streamer.ecs.actors import is_inside
from streamer.model import Alert, Event
from tests.decode.given import audit, decode, gateway, pod, write
from tests.decode.test_access_envoy import TODAY
from tests.ecs.samples import CONTEXT, RULES, firing, match

OUTSIDE = "203.0.113.66"
APPS = {"apiGroup": "apps", "apiVersion": "v1"}
BATCH = {"apiGroup": "batch", "apiVersion": "v1"}
MALLORY = {"username": "mallory", "groups": ["system:authenticated"]}


def account(namespace: str, name: str) -> dict[str, Any]:
    return {"username": f"system:serviceaccount:{namespace}:{name}", "groups": ["system:serviceaccounts"]}


def controller(name: str) -> dict[str, Any]:
    return {
        "user": account("kube-system", name),
        "sourceIPs": ["10.0.0.2"],
        "userAgent": "kube-controller-manager/v1.34",
    }


def owned(body: dict[str, Any], kind: str, name: str, uid: str) -> dict[str, Any]:
    owner = {"kind": kind, "name": name, "uid": uid, "controller": True, "apiVersion": "v1"}
    return body | {"metadata": {**body["metadata"], "ownerReferences": [owner]}}


def template(kind: str, name: str, uid: str, spec: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request's body, and the response with the uid that the API server gave it."""
    body: dict[str, Any] = {"kind": kind, "metadata": {"name": name, "namespace": "lab"}, "spec": spec}
    return body, {**body, "metadata": {**body["metadata"], "uid": uid}}


def daemon_set(**fields: Any) -> dict[str, Any]:
    body, response = template("DaemonSet", "miner", "u-ds", {"template": {"spec": POD["spec"]}})
    fields = {"user": MALLORY, "sourceIPs": [OUTSIDE], "responseObject": response} | fields
    return write("daemonsets", body, ref=APPS | {"name": "miner"}, **fields)


POD = pod({"name": "c", "image": "x", "securityContext": {"privileged": True}})
POD_OF_SET = write("pods", owned(POD, "DaemonSet", "miner", "u-ds"), **controller("daemon-set-controller"))


def events_of(*values: Any) -> list[Event]:
    """The audit event of each value, access lines where it is one; a second apart."""
    found = []
    for number, value in enumerate(values):
        kind = "audit" if "verb" in value else "containers"
        if kind == "audit":
            stamp = f"2026-01-01T00:00:{number:02d}.000000Z"
            own = {"auditID": f"a-{number}", "stageTimestamp": stamp, "requestReceivedTimestamp": stamp}
        else:
            own = {}
        decoded = decode(value | own, kind=kind).events
        found += [event for event in decoded if event.logsource.category in ("application", "webserver")]
    return found


def told(*values: Any) -> dict[str, Any]:
    """The alert document of a chain over these happenings."""
    members = [match("pod", event) for event in events_of(*values)]
    document = alert_document(Alert("ab" * 16, firing("run", {"run_id": "1"}, *members)), RULES, CONTEXT)
    parsed: dict[str, Any] = orjson.loads(document.body)
    assert parsed["user"].get("name") == parsed["streamer"]["actor"]["name"]
    assert parsed.get("client", {}).get("ip") == parsed.get("source", {}).get("ip")
    return parsed


def actor(document: dict[str, Any]) -> tuple[str, list[str], str | None]:
    """Name, through whom, and from where."""
    found = document["streamer"]["actor"]
    return found["name"], found.get("through", []), document.get("source", {}).get("ip")


DS_CONTROLLER = "system:serviceaccount:kube-system:daemon-set-controller"


def test_a_pod_of_a_daemon_set_is_by_whoever_wrote_the_daemon_set() -> None:
    document = told(daemon_set(), POD_OF_SET)
    assert actor(document) == ("mallory", [DS_CONTROLLER], OUTSIDE)
    assert document["user_agent"]["original"] == "kubectl/v1.34.0"
    assert document["kubernetes"]["audit"]["user"]["username"] == DS_CONTROLLER
    assert document["related"]["ip"] == [OUTSIDE, "10.0.0.2"]


def test_the_owners_writer_is_found_behind_somebody_elses_step() -> None:
    assert actor(told(audit(), daemon_set(), POD_OF_SET))[0] == "mallory"


def test_an_owner_is_found_by_kind_name_and_namespace_where_no_uid_was_recorded() -> None:
    assert actor(told(audit(), daemon_set(responseObject=None), POD_OF_SET))[0] == "mallory"


def test_an_owner_with_another_uid_is_another_owner() -> None:
    other = write("pods", owned(POD, "DaemonSet", "miner", "u-other"), **controller("daemon-set-controller"))
    assert actor(told(audit(), daemon_set(), other))[0] == "alice"


def test_a_cron_jobs_pod_is_followed_over_the_job() -> None:
    spec = {"template": {"spec": POD["spec"]}}
    cron, cron_told = template("CronJob", "sync", "u-cron", {"schedule": "* * * * *", "jobTemplate": {"spec": spec}})
    job, job_told = template("Job", "sync-291", "u-job", spec)
    job, job_told = (owned(body, "CronJob", "sync", "u-cron") for body in (job, job_told))
    document = told(
        audit(),
        write("cronjobs", cron, ref=BATCH, user=MALLORY, sourceIPs=[OUTSIDE], responseObject=cron_told),
        write("jobs", job, ref=BATCH, responseObject=job_told, **controller("cronjob-controller")),
        write("pods", owned(POD, "Job", "sync-291", "u-job"), **controller("job-controller")),
    )
    through = [f"system:serviceaccount:kube-system:{name}-controller" for name in ("cronjob", "job")]
    assert actor(document) == ("mallory", through, OUTSIDE)


def test_one_pod_by_itself_names_the_controller_and_the_owner() -> None:
    """What wrote the owner would need memory; the alert says what the event says."""
    document = told(POD_OF_SET)
    assert actor(document) == (DS_CONTROLLER, [], None)
    assert document["orchestrator"]["resource"]["parent"]["type"] == "DaemonSet"
    assert "of DaemonSet miner" in document["event"]["reason"]


def test_a_controller_before_the_attackers_first_step_is_nobody_in_the_story() -> None:
    shell = audit(
        verb="create",
        user=MALLORY,
        sourceIPs=[OUTSIDE],
        requestURI="/api/v1/namespaces/lab/pods/p/exec?command=sh",
        objectRef={"resource": "pods", "namespace": "lab", "name": "p", "subresource": "exec"},
    )
    used = audit(user=account("lab", "default"), sourceIPs=["10.1.2.3"], objectRef={"resource": "secrets"})
    document = told(POD_OF_SET, shell, used)
    assert actor(document) == ("mallory", ["system:serviceaccount:lab:default"], OUTSIDE)


def test_a_controllers_token_used_for_anything_else_names_the_controller() -> None:
    """Trap: no identity is trusted for its name."""
    stolen = audit(user=account("kube-system", "daemon-set-controller"), sourceIPs=["198.51.100.9"])
    assert actor(told(stolen, audit(user=account("lab", "x"))))[::2] == (DS_CONTROLLER, "198.51.100.9")


def token_request(**fields: Any) -> dict[str, Any]:
    ref = {"resource": "serviceaccounts", "namespace": "lab", "name": "builder", "subresource": "token"}
    return audit(verb="create", objectRef=ref, **fields)


def test_a_service_account_token_used_from_outside_shows_that_address() -> None:
    """What the kubelet fetched for the pod is not the attack; who used it is named, and from where."""
    fetched = token_request(user={"username": "system:node:n1"}, sourceIPs=["10.0.0.4"])
    inside = audit(user=account("lab", "builder"), sourceIPs=["10.1.2.3"])
    used = audit(user=account("lab", "builder"), sourceIPs=[OUTSIDE], userAgent="curl/8")
    document = told(fetched, inside, used)
    assert actor(document) == ("system:serviceaccount:lab:builder", [], OUTSIDE)
    assert document["user_agent"]["original"] == "curl/8"
    assert document["user"]["domain"] == "lab"


def test_a_nodes_credential_used_from_outside_is_the_actor() -> None:
    fetched = token_request(user={"username": "system:node:n1"}, sourceIPs=[OUTSIDE])
    used = audit(user=account("lab", "builder"), sourceIPs=[OUTSIDE])
    assert actor(told(fetched, used)) == ("system:node:n1", ["system:serviceaccount:lab:builder"], OUTSIDE)


def test_whoever_asked_for_a_token_acts_through_it() -> None:
    asked = token_request(user=MALLORY, sourceIPs=["10.9.9.9"])
    used = audit(user=account("lab", "builder"), sourceIPs=[OUTSIDE])
    assert actor(told(asked, used)) == ("mallory", ["system:serviceaccount:lab:builder"], "10.9.9.9")


def test_a_node_that_acts_of_itself_is_the_actor_and_its_address_is_not_shown() -> None:
    document = told(
        audit(user={"username": "system:node:n1"}, sourceIPs=["10.0.0.4"], objectRef={"resource": "secrets"})
    )
    assert actor(document) == ("system:node:n1", [], None)
    assert document["streamer"]["actor"]["kind"] == "node"
    assert document["related"]["ip"] == ["10.0.0.4"]


def test_an_impersonated_identity_stands_beside_also_if_a_later_step_shows_it() -> None:
    acting = {"username": "system:admin", "uid": "7"}
    document = told(audit(user=MALLORY, sourceIPs=[OUTSIDE]), audit(user=MALLORY, impersonatedUser=acting))
    assert actor(document)[:2] == ("mallory", [])
    assert document["user"]["effective"] == {"id": "7", "name": "system:admin"}


def test_another_persons_impersonation_is_not_the_actors() -> None:
    document = told(audit(user=MALLORY), audit(impersonatedUser={"username": "root"}))
    assert "effective" not in document["user"]
    assert document["related"]["user"] == ["mallory", "alice", "root"]


def test_a_person_over_a_private_address_is_shown_with_it() -> None:
    assert actor(told(audit(user=MALLORY, sourceIPs=["10.8.0.7"]))) == ("mallory", [], "10.8.0.7")


def test_anonymous_over_a_gateway_has_the_last_hop_not_what_the_client_wrote() -> None:
    through = audit(user={"username": "system:anonymous"}, sourceIPs=["198.51.100.1", "10.0.0.9"])
    document = told(through)
    assert actor(document) == ("system:anonymous", [], "10.0.0.9")
    assert document["related"]["ip"] == ["198.51.100.1", "10.0.0.9"]


def test_a_workload_that_acted_for_the_client_of_a_gateway_shows_the_client() -> None:
    made = write(
        "workflows", {"metadata": {"name": "w"}}, user=account("kubeflow", "ml-pipeline"), sourceIPs=["10.0.0.5"]
    )
    assert actor(told(gateway(TODAY), made)) == ("system:serviceaccount:kubeflow:ml-pipeline", [], "203.0.113.7")


def test_the_client_of_a_gateway_counts_before_a_workloads_own_address() -> None:
    """In some clusters pods reach the API server by the public address of their node."""
    made = write("workflows", {"metadata": {"name": "w"}}, user=account("kubeflow", "ml-pipeline"))
    assert actor(told(gateway(TODAY), made))[2] == "203.0.113.7"


def test_a_person_is_not_shown_with_the_address_of_somebody_elses_visit() -> None:
    exposed = audit(verb="patch", user=MALLORY, sourceIPs=[OUTSIDE], objectRef={"resource": "services"})
    assert actor(told(exposed, gateway(TODAY))) == ("mallory", [], OUTSIDE)


def test_who_places_pods_is_not_named() -> None:
    ref = {"resource": "pods", "namespace": "lab", "name": "p", "subresource": "binding"}
    placed = audit(verb="create", user={"username": "system:kube-scheduler"}, objectRef=ref)
    assert actor(told(daemon_set(), POD_OF_SET, placed)) == ("mallory", [DS_CONTROLLER], OUTSIDE)
    assert actor(told(placed, audit()))[0] == "alice"


def test_the_completing_events_address_is_shown_where_it_is_the_actors() -> None:
    first, last = (audit(user=MALLORY, sourceIPs=[address]) for address in ("198.51.100.1", OUTSIDE))
    assert actor(told(first, last))[2] == OUTSIDE


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        *((text, True) for text in ("10.1.2.3", "172.31.0.1", "192.168.9.9", "100.64.0.1", "127.0.0.1", "169.254.1.1")),
        *((text, True) for text in ("fd00::1", "fe80::1%eth0", "::1", "::ffff:10.0.0.1")),
        *((text, False) for text in ("203.0.113.7", "172.32.0.1", "100.128.0.1", "2001:db8::1", "gateway", None)),
    ],
)
def test_addresses_that_clusters_give_to_their_own(text: str | None, *, inside: bool) -> None:
    assert is_inside(text) is inside


def test_ids_of_other_frameworks_are_tags_and_threat_is_attack_alone() -> None:
    tags = ("attack.credential-access", "attack.t1552.007", "threat-matrix.ms-ta9025")
    rules = replace(RULES, correlations=tuple(replace(r, meta=replace(r.meta, tags=tags)) for r in RULES.correlations))
    fired = firing("run", {"run_id": "1"}, *(match("pod", event) for event in events_of(audit())))
    document = orjson.loads(alert_document(Alert("ab" * 16, fired), rules, CONTEXT).body)
    assert document["tags"] == list(tags)
    assert document["threat"]["framework"] == "MITRE ATT&CK"
    assert document["threat"]["technique"]["id"] == ["T1552"]
