"""A Kubeflow Pipelines run as all those who take part in it write it down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streamer.authoring.cases_time import iso
from tests.campaign.background import bound
from tests.campaign.recorder import SECOND, Recorder

ML_PIPELINE = "system:serviceaccount:kubeflow:ml-pipeline"
SCHEDULED = "system:serviceaccount:kubeflow:ml-pipeline-scheduledworkflow"
ARGO = "system:serviceaccount:kubeflow:argo"
ARGOEXEC = "gcr.io/ml-pipeline/argoexec:v3.1.6-patch-license-compliance"
SERVER = "kubeflow/ml-pipeline-6f9c8d7b5-k2x9w/ml-pipeline-api-server"
FRONTEND = "kubeflow/ml-pipeline-ui-5b7c9d8f6-t4j8p/ml-pipeline-ui"
CONTROLLER = "kubeflow/workflow-controller-7c8b5d9f6-2zq4m/workflow-controller"
RUNS = "/pipeline/apis/v1beta1/runs"


@dataclass(frozen=True)
class Step:
    """One step of a pipeline: its container, when its pod starts after the run's creation, and what it prints."""

    name: str
    image: str
    command: Sequence[str]
    starts: int
    prints: Sequence[tuple[int, str]] = ()
    privileged: bool = False
    gpu: bool = False


@dataclass(frozen=True)
class Run:
    """One run: its name, id and steps, and who is said to have made it."""

    name: str
    title: str
    steps: Sequence[Step]
    namespace: str = "kubeflow"
    service_account: str = "pipeline-runner"
    creator: str = ML_PIPELINE
    ids: dict[str, str] = field(default_factory=dict)


def container_of(step: Step) -> dict[str, Any]:
    """The container as the Workflow's template and the pod hold it."""
    container: dict[str, Any] = {"name": "main", "image": step.image, "command": list(step.command)}
    container["resources"] = {"limits": {"nvidia.com/gpu": "1"}} if step.gpu else {}
    if step.privileged:
        container["securityContext"] = {"privileged": True}
    return container


def _workflow(run: Run, run_id: str) -> dict[str, Any]:
    """The Workflow as its creator sends it."""
    labels = {
        "pipeline/runid": run_id,
        "pipelines.kubeflow.org/kfp_sdk_version": "1.7.1",
        "pipeline/persistedFinalState": "false",
    }
    templates: list[dict[str, Any]] = [
        {"name": step.name, "container": container_of(step), "metadata": {"labels": {"pipeline/runid": run_id}}}
        for step in run.steps
    ]
    return {
        "metadata": {
            "generateName": run.name.rpartition("-")[0] + "-",
            "labels": labels,
            "annotations": {"pipelines.kubeflow.org/run_name": run.title},
        },
        "spec": {"entrypoint": "main", "serviceAccountName": run.service_account, "templates": templates},
    }


def play_run(world: Recorder, at: int, run: Run) -> tuple[str, str]:
    """Everything the cluster writes from the creation of the Workflow on; gives run id and Workflow uid."""
    run_id, uid = world.uuid("run", run.name), world.uuid("workflow", run.name)
    world.line(
        at - 40_000,
        SERVER,
        f"I1123 {_clock(at)} 7 interceptor.go:29] /api.RunService/CreateRun handler starting",
        stream="stderr",
        labels={"app": "ml-pipeline"},
    )
    body = _workflow(run, run_id)
    made = {"name": run.name, "namespace": run.namespace, "uid": uid, "resourceVersion": "88120", **body["metadata"]}
    world.request(
        at,
        verb="create",
        resource="argoproj.io/workflows",
        namespace=run.namespace,
        user=run.creator,
        body=body,
        response={**body, "metadata": made},
    )
    world.line(
        at + 5_000,
        SERVER,
        f"I1123 {_clock(at)} 7 interceptor.go:37] /api.RunService/CreateRun handler finished",
        stream="stderr",
        labels={"app": "ml-pipeline"},
    )
    world.line(
        at + 300_000,
        CONTROLLER,
        f'time="{iso(at)}" level=info msg="Processing workflow" namespace={run.namespace} workflow={run.name}',
        stream="stderr",
        labels={"app": "workflow-controller"},
    )
    for place, step in enumerate(run.steps):
        _play_step(world, at, run, place, run_id, uid)
        world.request(
            at + step.starts + 3 * SECOND,
            verb="update",
            resource="argoproj.io/workflows",
            namespace=run.namespace,
            name=run.name,
            uid=uid,
            user=ARGO,
        )
    return run_id, uid


def _step_pod(run: Run, step: Step, name: str, uid: str, labels: dict[str, str]) -> dict[str, Any]:
    """The pod of a step as Argo's controller sends it: the one who waits, and the step's own container."""
    socket = {"name": "docker-sock", "mountPath": "/var/run/docker.sock", "readOnly": True}
    wait = {
        "name": "wait",
        "image": ARGOEXEC,
        "command": ["argoexec", "wait"],
        "volumeMounts": [socket],
        "resources": {},
    }
    return {
        "metadata": {
            "name": name,
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": "Workflow",
                    "name": run.name,
                    "uid": uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "containers": [wait, container_of(step)],
            "volumes": [{"name": "docker-sock", "hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}}],
            "serviceAccountName": run.service_account,
            "restartPolicy": "Never",
        },
    }


def _play_step(world: Recorder, at: int, run: Run, place: int, run_id: str, uid: str) -> None:
    step = run.steps[place]
    pod = f"{run.name}-{1_000_000_000 + (int(world.uuid('node', run.name, place)[:7], 16))}"
    pod_uid = world.uuid("pod", run.namespace, pod)
    labels = {
        "workflows.argoproj.io/workflow": run.name,
        "workflows.argoproj.io/completed": "false",
        "pipeline/runid": run_id,
    }
    body = _step_pod(run, step, pod, uid, labels)
    start = at + step.starts
    world.request(start, verb="create", resource="pods", namespace=run.namespace, user=ARGO, uid=pod_uid, body=body)
    bound(world, start + 21_000, run.namespace, pod, pod_uid)
    world.line(
        start + 9_000,
        CONTROLLER,
        f'time="{iso(start)}" level=info msg="Created pod: {run.name}.{step.name} ({pod})" '
        f"namespace={run.namespace} workflow={run.name}",
        stream="stderr",
        labels={"app": "workflow-controller"},
    )
    where = f"{run.namespace}/{pod}"
    world.line(
        start + 2 * SECOND,
        f"{where}/wait",
        f'time="{iso(start)}" level=info msg="Starting Workflow Executor" executorType=docker version=v3.1.6',
        stream="stderr",
        labels=labels,
    )
    for after, text in step.prints:
        world.line(start + after, f"{where}/main", text, image=step.image, labels=labels)


def watched(world: Recorder, at: int, run_id: str, client: str, times: int, **more: Any) -> None:
    """The page asks for its run, every five seconds, through the gateway and the front end."""
    for turn in range(times):
        moment = at + turn * 5 * SECOND + world.drawn(200_000)
        world.access(moment, "GET", f"{RUNS}/{run_id}", client, **more)
        frontend(world, moment + 2_000, f"GET {RUNS}/{run_id}")


def frontend(world: Recorder, at: int, text: str) -> None:
    """A line of ml-pipeline-ui, which prints method and address of every request."""
    world.line(at, FRONTEND, text, labels={"app": "ml-pipeline-ui"})


def _clock(at: int) -> str:
    seconds = at // SECOND % 86_400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{at % SECOND:06d}"
