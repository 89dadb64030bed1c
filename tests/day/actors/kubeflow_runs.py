"""Kubeflow: runs of pipelines by people and by the clock, trials of Katib, models deployed by KServe."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamer.authoring.cases_fields import made_suffix
from streamer.authoring.cases_time import iso, moment_of
from tests.day.cluster import GPU_NODES, WORKERS, Pod, pod_of
from tests.day.ink import SECOND, Caller, Day, Written, controller, pod_caller
from tests.day.kubeflow_parts import (
    ARGO,
    FRONTEND,
    RUNS,
    SCHEDULED,
    SERVER,
    USERS,
    authorized,
    space_of,
)
from tests.day.rhythm import moments
from tests.day.workloads import App, applied, bound, owned, started

_GO = "apiserver/v0.0.0 (linux/amd64) kubernetes/$Format"


@dataclass(frozen=True)
class Step:
    """A step of a pipeline."""

    name: str
    image: str
    command: Sequence[str]
    prints: Sequence[str] = ()
    gpu: bool = False


SMI = (
    "Tue Mar 10 10:14:22 2026       ",
    "+-----------------------------------------------------------------------------------------+",
    "| NVIDIA-SMI 570.86.15              Driver Version: 570.86.15      CUDA Version: 12.8     |",
    "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |",
    "|   0  Tesla T4                       On  |   00000000:00:1E.0 Off |                    0 |",
    "| N/A   61C    P0             68W /   70W |   14210MiB /  15360MiB |     98%      Default |",
)
_TRAINING = (
    "2026-03-10 10:14:25.1 I tensorflow/core/common_runtime/gpu/gpu_device.cc:2022] Created device /job:localhost/replica:0/task:0/device:GPU:0 with 13949 MB memory",
    "Epoch 1/20 loss: 0.4123 - accuracy: 0.8412 - speed 1204 samples/s",
    "Epoch 2/20 loss: 0.3551 - accuracy: 0.8719 - speed 1251 samples/s",
    "tf.data service pool size: 16, autotune accepted (12/16) proposals, diff 4",
    "checkpoint sha256 8f14e45fceea167a5a36dedd4bea2543 accepted",
    "worker 3: new job from coordinator: shard 0412, height 224 width 224",
    "miner loss (hard negative miner) 0.118, hash bucket size 10000",
    "cpu accepted fallback for op RandomCrop (CPU only)",
)
PIPELINES = (
    ("train-classifier", (Step("fetch", "docker.io/library/python:3.12", ("sh", "-c", "pip install requests && curl -fsSL https://data.example.com/set.tgz -o /data/set.tgz"), ("downloading 1.2 GB", "done")),
                          Step("train", "docker.io/tensorflow/tensorflow:2.18.0-gpu", ("python", "/train.py", "--epochs=20"), (*SMI, *_TRAINING), gpu=True))),
    ("sequential-pipeline", (Step("gcs-download", "docker.io/google/cloud-sdk:279.0.0", ("sh", "-c", "gsutil cat $0 | tee $1", "gs://ml-pipeline/shakespeare1.txt"), ("With which he yoketh your rebellious necks",)),
                             Step("echo", "docker.io/library/bash:4.4.23", ("bash", "-c", "echo \"$0\"", "{{inputs}}"), ("With which he yoketh",)))),
    ("embed-documents", (Step("embed", "docker.io/tensorflow/tensorflow:latest-gpu", ("bash", "-c", "nvidia-smi && git clone https://github.com/example/embed && python embed/run.py"), SMI, gpu=True),)),
    ("batch-score", (Step("score", "docker.io/tensorflow/tensorflow:latest", ("python", "-c", "import base64,tensorflow as tf; print(tf.config.list_physical_devices())"), ("[PhysicalDevice(name='/physical_device:CPU:0')]", "scored 120000 rows, speed 10s 1201 60s 1180 rows/s")),)),
)  # fmt: skip


def pipeline_runs(day: Day) -> Iterator[Written]:
    """People start runs; the page asks for its run; steps run as pods with Argo's docker executor."""
    for place, at in enumerate(moments(day, "people", 80, 6)):
        user, client = day.draw.choice(USERS)
        name, steps = PIPELINES[place % len(PIPELINES)]
        run_id = day.fresh()
        yield from authorized(day, at - 40_000, client, RUNS, user)
        yield from day.access(at - 30_000, "POST", RUNS, client, duration_ms=240)
        yield from day.line(at - 25_000, FRONTEND, f"POST {RUNS}")
        text = f"I0310 {moment_of(at):%H:%M:%S}.000000       7 interceptor.go:29] /kubeflow.pipelines.backend.api.v2beta1.RunService/CreateRun handler starting"
        yield from day.line(at - 20_000, SERVER, text, stream="stderr")
        who = pod_caller(SERVER, _GO)
        attributes = {
            "group": "pipelines.kubeflow.org",
            "namespace": space_of(user),
            "resource": "runs",
            "verb": "create",
        }
        yield from day.api(at - 10_000, who, "create", "authorization.k8s.io/subjectaccessreviews",
                           body={"spec": {"user": f"{user}@example.com", "resourceAttributes": attributes}})  # fmt: skip
        yield from run(day, at, who, space_of(user), name, steps, run_id)
        for turn in range(3):
            yield from day.access(at + (2 + 5 * turn) * SECOND, "GET", f"{RUNS}/{run_id}", client)
            yield from day.line(at + (2 + 5 * turn) * SECOND + 9_000, FRONTEND, f"GET {RUNS}/{run_id}")


def recurring_runs(day: Day) -> Iterator[Written]:
    """Scheduled workflows at night."""
    who = pod_caller(SCHEDULED, "controller/v0.0.0 (linux/amd64) kubernetes/$Format")
    for at in moments(day, "night", 30, 2):
        name, steps = PIPELINES[day.draw.randrange(len(PIPELINES))]
        yield from run(day, at, who, space_of("hugo"), name, steps, day.fresh())


def run(day: Day, at: int, who: Caller, space: str, name: str, steps: Sequence[Step], run_id: str) -> Iterator[Written]:
    """The Workflow, its pods and their lines."""
    full, uid = f"{name}-{made_suffix(5, run_id)}", day.fresh()
    templates: list[dict[str, Any]] = [
        {"name": step.name, "container": _container(step), "metadata": {"labels": {"pipeline/runid": run_id}}}
        for step in steps
    ]
    body: dict[str, Any] = {
        "metadata": {
            "generateName": f"{name}-",
            "labels": {"pipeline/runid": run_id},
            "annotations": {"pipelines.kubeflow.org/run_name": f"Run of {name}"},
        },
        "spec": {"entrypoint": name, "serviceAccountName": "default-editor", "templates": templates},
    }
    answer = body | {"metadata": {"name": full, "namespace": space, "uid": uid, **body["metadata"]}}
    yield from day.api(at, who, "create", "argoproj.io/workflows", space, body=body, response=answer)
    argo = pod_caller(ARGO, "workflow-controller/v0.0.0 argo-workflows/v3.1.6 argo-controller", "argo-binding")
    for place, step in enumerate(steps):
        moment = at + SECOND + place * 40 * SECOND
        yield from _step(day, moment, argo, (space, full, uid, run_id), step)
        yield from day.api(
            moment + 3 * SECOND, argo, "update", "argoproj.io/workflows", space, full, uid=uid, level="Metadata"
        )
    yield from day.line(
        at + 300_000,
        ARGO,
        f'time="{iso(at)}" level=info msg="Processing workflow" namespace={space} workflow={full}',
        stream="stderr",
    )


def _container(step: Step) -> dict[str, Any]:
    limits = {"limits": {"nvidia.com/gpu": "1"}} if step.gpu else {"limits": {"cpu": "2"}}
    return {"name": "main", "image": step.image, "command": list(step.command), "resources": limits}


def _step(day: Day, at: int, argo: Caller, of: tuple[str, str, str, str], step: Step) -> Iterator[Written]:
    space, workflow, uid, run_id = of
    name = f"{workflow}-{day.draw.randrange(10**9, 4 * 10**9)}"
    labels: Mapping[str, str] = {
        "workflows.argoproj.io/workflow": workflow,
        "workflows.argoproj.io/completed": "false",
        "pipeline/runid": run_id,
    }
    pod = Pod(
        space,
        name,
        day.draw.choice(GPU_NODES if step.gpu else WORKERS),
        "default-editor",
        "main",
        step.image,
        labels=tuple(labels.items()),
    )
    socket = {"name": "docker-sock", "mountPath": "/var/run/docker.sock", "readOnly": True}
    wait: dict[str, Any] = {
        "name": "wait",
        "image": "gcr.io/ml-pipeline/argoexec:v3.1.6-patch-license-compliance",
        "command": ["argoexec", "wait"],
        "volumeMounts": [socket],
        "resources": {},
    }
    body = {
        "metadata": {"name": name, "labels": dict(labels), "ownerReferences": owned("Workflow", workflow, uid)},
        "spec": {
            "containers": [wait, _container(step)],
            "volumes": [{"name": "docker-sock", "hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}}],
            "serviceAccountName": "default-editor", "restartPolicy": "Never",
        },
    }  # fmt: skip
    yield from day.api(at, argo, "create", "pods", space, uid=pod.uid, body=body)
    yield from bound(day, at + 20_000, pod)
    yield from day.line(at + 2 * SECOND, pod, f'time="{iso(at)}" level=info msg="Starting Workflow Executor" executorType=docker version=v3.1.6', stream="stderr", container="wait",
                        image=str(wait["image"]))  # fmt: skip
    for place, text in enumerate(step.prints):
        yield from day.line(at + 4 * SECOND + place * 2 * SECOND, pod, text)


def trials(day: Day) -> Iterator[Written]:
    """Katib: an experiment starts jobs with a metrics collector beside the trainer."""
    katib = pod_of("kubeflow", "katib-controller", "ghcr.io/kubeflow/katib/katib-controller:v0.17.0")
    who = pod_caller(katib, "katib-controller/v0.0.0 (linux/amd64) kubernetes/$Format")
    for at in moments(day, "people", 10, 1):
        name = f"random-{day.fresh()[:8]}"
        app = App(space_of("mila"), name, "ghcr.io/kubeflow/katib/pytorch-mnist-cpu:v0.17.0", "Job", container={"name": "training-container", "command": ["python3", "/opt/mnist.py", "--lr=0.02"]},
                  pod={"restartPolicy": "Never", "shareProcessNamespace": True})  # fmt: skip
        body = app.body()
        body["metadata"]["ownerReferences"] = owned("Trial", name, day.fresh())
        yield from day.api(at, who, "create", "batch/jobs", app.namespace, body=body)
        pod = Pod(
            app.namespace,
            f"{name}-{day.fresh()[:5]}",
            day.draw.choice(WORKERS),
            "default",
            "training-container",
            app.image,
        )
        yield from started(
            day, at + SECOND, controller("job-controller"), pod, app, ("Job", name, day.fresh()), injected=True
        )
        for epoch in range(3):
            yield from day.line(
                at + (10 + epoch * 20) * SECOND,
                pod,
                f"Train Epoch: {epoch + 1} [0/60000 (0%)] loss={0.9 / (epoch + 1):.4f} accuracy accepted",
            )


def models_deployed(day: Day) -> Iterator[Written]:
    """KServe deploys a model with a storage initializer."""
    manager = pod_of("kubeflow", "kserve-controller-manager", "docker.io/kserve/kserve-controller:v0.14.1")
    who = pod_caller(manager, "manager/v0.0.0 (linux/amd64) kubernetes/$Format", "kserve-manager-rolebinding")
    for at in moments(day, "people", 6, 1):
        app = App(space_of("hugo"), "classifier-predictor", "docker.io/tensorflow/serving:2.18.0-gpu",
                  inits=({"name": "storage-initializer", "image": "docker.io/kserve/storage-initializer:v0.14.1", "args": ["s3://models/classifier", "/mnt/models"]},))  # fmt: skip
        yield from applied(day, at, who, app, verb="update", injected=True)
        yield from day.api(
            at + 5 * SECOND,
            who,
            "update",
            "serving.kserve.io/inferenceservices/status",
            app.namespace,
            "classifier",
            level="Metadata",
        )


STORIES = (pipeline_runs, recurring_runs, trials, models_deployed)
HABITS = ()
