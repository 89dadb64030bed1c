"""The short form ``audit:`` filled to the events that a real API server writes for one request.

A request leaves two events (``RequestReceived``, ``ResponseComplete``), a long-running one a third
(``ResponseStarted``). What the short form does not say is chosen as API servers of the versions in use write it, and is
the same in every run.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from streamer.authoring.cases_fields import made_suffix, made_uuid
from streamer.authoring.cases_identity import DEFAULT_USER, address_of, agent_of, reason_of, user_of
from streamer.authoring.cases_time import iso, whole_seconds

KEYS: Final = (
    "verb", "resource", "namespace", "name", "uid", "user", "groups", "as", "pod", "pod_uid", "credential_id",
    "code", "body", "response", "level", "stage", "agent", "ip", "decision", "reason", "annotations", "command",
    "path", "uri",
)  # fmt: skip
LEVELS: Final = ("Metadata", "Request", "RequestResponse")
STAGES: Final = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")

_GROUPS_WITHOUT_DOT: Final = frozenset({"apps", "batch", "autoscaling", "policy", "extensions"})
_VERSIONS: Final = {"argoproj.io": "v1alpha1", "pipelines.kubeflow.org": "v1beta1"}
_KINDS: Final = {
    "cronjobs": "CronJob", "daemonsets": "DaemonSet", "replicasets": "ReplicaSet", "statefulsets": "StatefulSet",
    "replicationcontrollers": "ReplicationController", "serviceaccounts": "ServiceAccount",
    "configmaps": "ConfigMap", "rolebindings": "RoleBinding", "clusterroles": "ClusterRole",
    "clusterrolebindings": "ClusterRoleBinding", "subjectaccessreviews": "SubjectAccessReview",
    "selfsubjectaccessreviews": "SelfSubjectAccessReview", "selfsubjectrulesreviews": "SelfSubjectRulesReview",
    "workflowtemplates": "WorkflowTemplate", "cronworkflows": "CronWorkflow", "podtemplates": "PodTemplate",
    "ingresses": "Ingress", "networkpolicies": "NetworkPolicy",
}  # fmt: skip
_WITHOUT_METADATA: Final = frozenset({"subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"})
_LONG: Final = frozenset({"exec", "attach", "portforward", "proxy", "log"})
_CODES: Final = {"create": 201, "watch": 200}
_REASONS: Final = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists"}


class Request:
    """One request to the API server, from its short form.

    Args:
        form: the mapping under ``audit:``.
        time_us: event time (the stage's stamp; for long-running requests when the request was received).
        seed: what made-up values depend on.
        took_us: how long the server took to answer.
    """

    def __init__(self, form: Mapping[str, Any], time_us: int, seed: Sequence[object], took_us: int = 4_000) -> None:
        self.form = form
        self.took_us = took_us
        self.time_us = time_us
        self.seed = tuple(seed)
        self.verb = str(form.get("verb", "get"))
        self.group, self.resource, self.subresource = split_resource(str(form.get("resource", "")))
        self.long = self.verb == "watch" or self.subresource in _LONG
        self.decision = form.get("decision", "forbid" if form.get("code") == 403 else "allow")
        default = 101 if self.subresource in {"exec", "attach", "portforward"} else _CODES.get(self.verb, 200)
        self.code = int(form.get("code", default if self.decision == "allow" else 403))

    def events(self) -> list[tuple[int, dict[str, Any]]]:
        """(time of writing, event) of every stage, or of the one that the form names."""
        received = self.time_us if self.long else self.time_us - self.took_us
        stages = [("RequestReceived", received)]
        if self.long and self.code < 400:
            stages += [("ResponseStarted", received + self.took_us), ("ResponseComplete", received + 40 * self.took_us)]
        else:
            stages += [("ResponseComplete", received + self.took_us)]
        only = self.form.get("stage")
        if only is not None:
            known = dict(stages)
            stages = [(str(only), known.get(str(only), self.time_us))]
        return [(stamp, self._event(stage, received, stamp)) for stage, stamp in stages]

    def _event(self, stage: str, received_us: int, stage_us: int) -> dict[str, Any]:
        answered = stage != "RequestReceived"
        body, answer = self._bodies()
        level = str(self.form.get("level") or ("RequestResponse" if answer else "Request" if body else "Metadata"))
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": level,
            "auditID": made_uuid("audit", *self.seed),
            "stage": stage,
            "requestURI": self._uri(),
            "verb": self.verb,
            "user": user_of(self.form),
        }
        if "as" in self.form:
            event["impersonatedUser"] = {"username": self.form["as"], "groups": ["system:authenticated"]}
        event["sourceIPs"] = [str(self.form.get("ip") or address_of(str(event["user"]["username"])))]
        event["userAgent"] = str(self.form.get("agent") or agent_of(str(event["user"]["username"])))
        reference = self._reference(answered=answered)
        if reference:
            event["objectRef"] = reference
        if answered:
            event["responseStatus"] = self._status()
        if body is not None and level != "Metadata" and answered:
            event["requestObject"] = body
        if answer is not None and level == "RequestResponse" and answered:
            event["responseObject"] = answer
        event["requestReceivedTimestamp"] = iso(received_us)
        event["stageTimestamp"] = iso(stage_us)
        annotations = self._annotations() if answered else {}
        if annotations:
            event["annotations"] = annotations
        return event

    def _bodies(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """What was sent, and what the server answered; made for a create that says only what was sent."""
        sent = copy.deepcopy(self.form.get("body"))
        answer = copy.deepcopy(self.form.get("response"))
        if isinstance(sent, dict):
            head = {"kind": kind_of(self.resource), "apiVersion": f"{self.group}/{self.version}".lstrip("/")}
            sent = head | sent
            if self.verb == "create" and self.code < 300 and answer is None and "response" not in self.form:
                answer = self._created(sent)
        if isinstance(answer, dict) and "kind" not in answer:
            answer = {"kind": kind_of(self.resource), "apiVersion": f"{self.group}/{self.version}".lstrip("/")} | answer
        return sent, answer

    def _created(self, sent: dict[str, Any]) -> dict[str, Any]:
        made = copy.deepcopy(sent)
        if self.resource in _WITHOUT_METADATA or self.subresource:
            return made
        metadata = made.setdefault("metadata", {})
        prefix = metadata.get("generateName")
        name = self.form.get("name") or (prefix + made_suffix(5, *self.seed) if isinstance(prefix, str) else "")
        defaults = {
            "name": name,
            "namespace": self.form.get("namespace"),
            "uid": self.form.get("uid") or made_uuid("object", *self.seed),
            "resourceVersion": "1042",
            "creationTimestamp": whole_seconds(self.time_us),
        }
        made["metadata"] = {key: value for key, value in defaults.items() if value} | metadata
        return made

    @property
    def version(self) -> str:
        """Of the API group."""
        return _VERSIONS.get(self.group, "v1")

    def _name(self) -> str:
        """Empty for a create with ``generateName``: the API server does not know it when it writes the reference."""
        named = self.form.get("name")
        body = self.form.get("body")
        metadata = body.get("metadata") if isinstance(body, dict) else None
        if named is None and isinstance(metadata, dict):
            return str(metadata.get("name", ""))
        if isinstance(metadata, dict) and self.verb == "create" and "generateName" in metadata:
            return ""
        return str(named or "")

    def _uri(self) -> str:
        if "uri" in self.form or "path" in self.form:
            return str(self.form.get("uri", self.form.get("path")))
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.form.get("namespace"):
            parts += ["namespaces", str(self.form["namespace"])]
        parts.append(self.resource)
        if self._name() and (self.verb != "create" or self.subresource):
            parts.append(self._name())
        if self.subresource:
            parts.append(self.subresource)
        return "/".join(parts) + self._query()

    def _query(self) -> str:
        command = self.form.get("command")
        if command is not None:
            words = command if isinstance(command, list) else str(command).split()
            return (
                "?" + "&".join(f"command={quote(str(word), safe='')}" for word in words) + "&container=main&stdout=true"
            )
        if self.verb == "watch":
            return "?allowWatchBookmarks=true&resourceVersion=290&timeoutSeconds=420&watch=true"
        if self.verb == "list":
            return "?limit=500"
        return "?fieldManager=kubectl" if self.verb == "patch" else ""

    def _reference(self, *, answered: bool) -> dict[str, Any]:
        """A new object's name comes from its body, which is read after ``RequestReceived`` was written."""
        if not self.resource:
            return {}
        known = self.verb != "create" or bool(self.subresource)
        uid = self.form.get("uid") if known else None
        found = {
            "resource": self.resource,
            "namespace": self.form.get("namespace"),
            "name": self._name() if known or answered else "",
            "uid": uid,
            "apiGroup": self.group,
            "apiVersion": self.version,
            "subresource": self.subresource,
        }
        return {key: value for key, value in found.items() if value}

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = {"metadata": {}}
        if self.code >= 400:
            reason = _REASONS.get(self.code, "InternalError")
            status |= {"status": "Failure", "message": f"{self.resource} is refused", "reason": reason}
        return status | {"code": self.code}

    def _annotations(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.code != 401:
            allowed = self.decision == "allow"
            reason = reason_of(str(self.form.get("user", DEFAULT_USER)))
            found = {
                "authorization.k8s.io/decision": self.decision,
                "authorization.k8s.io/reason": self.form.get("reason", reason if allowed else ""),
            }
        more = self.form.get("annotations")
        return found | (more if isinstance(more, dict) else {})


def split_resource(text: str) -> tuple[str, str, str]:
    """(API group, resource, subresource) of ``pods``, ``pods/exec``, ``apps/deployments``."""
    parts = text.split("/")
    group = parts.pop(0) if len(parts) > 1 and ("." in parts[0] or parts[0] in _GROUPS_WITHOUT_DOT) else ""
    return group, parts[0], "/".join(parts[1:])


def kind_of(resource: str) -> str:
    """``Workflow`` for ``workflows``."""
    known = _KINDS.get(resource)
    if known:
        return known
    return re.sub(r"s$", "", resource).capitalize()
