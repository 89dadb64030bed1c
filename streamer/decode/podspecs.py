"""Where the pod templates are: every kind of object that makes pods, and the containers in it.

An object becomes a list of *parts*, each with its containers and the pod-level settings that hold for them. Built-in
kinds keep theirs in known places. Custom resources (inference services, training jobs, Ray clusters, pipelines of every
make) keep theirs anywhere, so they are searched for what looks like a pod's spec, a container or a workflow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import orjson

from streamer.decode.argo import is_workflow, workflow_parts
from streamer.decode.line import dig
from streamer.decode.pod_parts import CONTAINER_LISTS, Part, Parts, Placed, mapping, name_of, part_of

_TEMPLATED: Final = {
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "replicationcontrollers": "ReplicationController",
    "notebooks": "Notebook",
    "rollouts": "Rollout",
}
_SEARCHED: Final = {
    "inferenceservices": "InferenceService",
    "servingruntimes": "ServingRuntime",
    "clusterservingruntimes": "ClusterServingRuntime",
    "seldondeployments": "SeldonDeployment",
    "rayclusters": "RayCluster",
    "rayjobs": "RayJob",
    "rayservices": "RayService",
    "pytorchjobs": "PyTorchJob",
    "tfjobs": "TFJob",
    "mpijobs": "MPIJob",
    "mxjobs": "MXJob",
    "xgboostjobs": "XGBoostJob",
    "paddlejobs": "PaddleJob",
    "jaxjobs": "JAXJob",
    "trainjobs": "TrainJob",
    "trainingruntimes": "TrainingRuntime",
    "clustertrainingruntimes": "ClusterTrainingRuntime",
    "jobsets": "JobSet",
    "experiments": "Experiment",
    "trials": "Trial",
    "sparkapplications": "SparkApplication",
    "scheduledsparkapplications": "ScheduledSparkApplication",
    "scheduledworkflows": "ScheduledWorkflow",
    "taskruns": "TaskRun",
    "pipelineruns": "PipelineRun",
}
KINDS: Final[dict[str, str]] = {
    "pods": "Pod",
    "podtemplates": "PodTemplate",
    "cronjobs": "CronJob",
    "workflows": "Workflow",
    "workflowtemplates": "WorkflowTemplate",
    "clusterworkflowtemplates": "ClusterWorkflowTemplate",
    "cronworkflows": "CronWorkflow",
    **_TEMPLATED,
    **_SEARCHED,
}
"""Resource name → kind, for the kinds whose objects make pods."""

_WORKFLOWS: Final = frozenset({"workflows", "workflowtemplates", "clusterworkflowtemplates"})
_KNATIVE: Final = {"services": "Service", "configurations": "Configuration", "revisions": "Revision"}
_CONTAINERS_ONLY: Final = frozenset(
    {"command", "args", "env", "resources", "securityContext", "volumeMounts", "imagePullPolicy", "script", "ports"}
)
_LISTS: Final = frozenset(name for name, _ in CONTAINER_LISTS)
_NODES: Final = 50_000
_DEPTH: Final = 24
_KEY: Final = 64
_TEXT: Final = 500_000


def kind_of(resource: str, group: str) -> str | None:
    """The kind of objects of a resource that make pods; ``None`` for all others."""
    if group == "serving.knative.dev":
        return _KNATIVE.get(resource)
    return KINDS.get(resource)


def parts_of(resource: str, subresource: str, group: str, body: dict[str, Any]) -> Parts:
    """All pod templates in a written object; none for an object without any."""
    spec = mapping(body.get("spec"))
    if resource == "pods":
        if subresource == "ephemeralcontainers":
            holder = spec if "ephemeralContainers" in spec else body
            return Parts([part_of({"ephemeralContainers": holder.get("ephemeralContainers")}, _metadata(body))])
        return Parts([part_of(spec, _metadata(body))])
    if resource == "podtemplates":
        return Parts([_of_template(body.get("template"))])
    if resource == "cronjobs":
        return Parts([_of_template(dig(spec, "jobTemplate", "spec", "template"))])
    if resource in _WORKFLOWS:
        return workflow_parts(spec)
    if resource == "cronworkflows":
        return workflow_parts(mapping(spec.get("workflowSpec")))
    if resource in _TEMPLATED and (resource != "jobs" or "template" in spec):
        return Parts([_of_template(spec.get("template"))])
    if resource in _SEARCHED or _is_custom(group):
        return _Search().found(body)
    if isinstance(dig(spec, "template", "spec", "containers"), list):
        return Parts([_of_template(spec.get("template"))])
    return Parts([])


def _is_custom(group: str) -> bool:
    """Whether an API group is none of Kubernetes' own: those that can hold pod templates have their places above."""
    return "." in group and (not group.endswith(".k8s.io") or group.endswith("x-k8s.io"))


def _of_template(template: Any) -> Part:
    return part_of(mapping(mapping(template).get("spec")), _metadata(mapping(template)))


def _metadata(holder: dict[str, Any]) -> dict[str, Any]:
    return mapping(holder.get("metadata"))


class _Search:
    """Looks through an object, the upper levels first, within bounds that are told when they are met."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._complete = True
        self._text = _TEXT

    def found(self, body: dict[str, Any]) -> Parts:
        start = {name: value for name, value in body.items() if name not in ("metadata", "status")}
        queue: deque[tuple[Any, str, dict[str, Any], int]] = deque([(start, "", {}, 0)])
        nodes = 0
        while queue:
            node, place, metadata, depth = queue.popleft()
            nodes += 1
            if nodes > _NODES or depth > _DEPTH:
                self._complete = False
                continue
            if isinstance(node, dict):
                metadata = _metadata(node) or metadata
                if not self._look_at(node, place, metadata):
                    continue
            for name, child in _children(node):
                inner = self._opened(name, child) if isinstance(child, str) else child
                if isinstance(inner, dict | list):
                    queue.append((inner, f"{place}/{name[:_KEY]}" if place else name[:_KEY], metadata, depth + 1))
        return Parts(self._parts, self._complete)

    def _look_at(self, node: dict[str, Any], place: str, metadata: dict[str, Any]) -> bool:
        """Take what an object is; whether to look below it, too."""
        if is_workflow(node):
            parts, complete = workflow_parts(node, f"{place}/")
            self._parts += parts
            self._complete = self._complete and complete
            return False
        if any(isinstance(node.get(name), list) for name in _LISTS):
            self._parts.append(part_of(node, metadata, place))
        elif isinstance(node.get("image"), str) and not _CONTAINERS_ONLY.isdisjoint(node):
            self._parts.append(Part({}, (Placed(place or "spec", "container", name_of(node), node),), metadata))
        return True

    def _opened(self, name: str, text: str) -> Any:
        """Some objects hold others as text: a recurring run its workflow."""
        if name not in ("spec", "manifest") or text[:1] != "{" or len(text) > self._text:
            return None
        self._text -= len(text)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            self._complete = False
            return None


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for index, child in enumerate(node):
            yield str(index), child
        return
    for name, child in node.items():
        if name not in _LISTS and name != "metadata":
            yield name, child
