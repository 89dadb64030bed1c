"""Ten happenings as an API server tells them, and the envelopes that clouds and shippers put around each of them."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from tests.decode.given import NOON, audit, pod, write

CLUSTER = "c1"
RESOURCE_ID = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/C1"
_BINDING = 'RBAC: allowed by ClusterRoleBinding "dev" of ClusterRole "edit" to User "alice"'
_EXTRA = {
    "authentication.kubernetes.io/credential-id": ["JTI=5a1c"],
    "authentication.kubernetes.io/pod-name": ["nb-0"],
    "authentication.kubernetes.io/pod-uid": ["uid-nb"],
}


def numbered(happenings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [happening | {"auditID": f"id-{number}"} for number, happening in enumerate(happenings)]


AUDIT = numbered(
    [
        audit(level="Metadata", objectRef={"resource": "secrets", "namespace": "lab", "apiVersion": "v1"}),
        write(
            "pods",
            pod(
                {
                    "name": "c",
                    "image": "registry.example:5000/team/tool:1@sha256:ab",
                    "securityContext": {"privileged": True},
                },
                volumes=[{"name": "root", "hostPath": {"path": "/"}}],
            ),
            responseObject={"kind": "Pod", "metadata": {"name": "p", "namespace": "lab", "uid": "uid-p"}},
            annotations={"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": _BINDING},
        ),
        write(
            "deployments",
            {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "x"}]}}}},
            verb="patch",
            ref={"apiGroup": "apps", "name": "web"},
        ),
        write(
            "deployments",
            [{"op": "replace", "path": "/spec/template/spec/hostNetwork", "value": True}],
            verb="patch",
            ref={"apiGroup": "apps", "name": "web"},
        ),
        audit(
            verb="get",
            level="Request",
            stage="ResponseStarted",
            requestURI="/api/v1/namespaces/lab/pods/p/exec?command=sh&command=-c&command=id&container=c",
            objectRef={
                "resource": "pods",
                "namespace": "lab",
                "name": "p",
                "apiVersion": "v1",
                "subresource": "exec",
            },
            responseStatus={"code": 101},
        ),
        write(
            "clusterrolebindings",
            {
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "b"},
                "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "User", "name": "eve"}, {"kind": "Group", "name": "dev"}],
            },
            ref={"apiGroup": "rbac.authorization.k8s.io", "name": "b"},
        ),
        audit(
            verb="create",
            level="Metadata",
            requestURI="/api/v1/namespaces/lab/serviceaccounts/runner/token",
            user={"username": "system:serviceaccount:lab:default-editor", "extra": _EXTRA},
            objectRef={
                "resource": "serviceaccounts",
                "namespace": "lab",
                "name": "runner",
                "apiVersion": "v1",
                "subresource": "token",
            },
            responseStatus={"code": 201},
            annotations={
                "authentication.kubernetes.io/issued-credential-id": "JTI=77aa",
                "authorization.k8s.io/decision": "allow",
            },
        ),
        audit(
            user={"username": "system:anonymous", "groups": ["system:unauthenticated"]},
            responseStatus={"code": 403},
            annotations={"authorization.k8s.io/decision": "forbid"},
        ),
        audit(
            verb="delete",
            level="Metadata",
            impersonatedUser={"username": "bob"},
            objectRef={"resource": "events", "namespace": "lab", "name": "e", "apiVersion": "v1"},
        ),
        write(
            "workflows",
            {
                "kind": "Workflow",
                "metadata": {"generateName": "seq-", "labels": {"pipeline/runid": "run-1"}},
                "spec": {"templates": [{"name": "t", "container": {"image": "tf", "command": ["sh", "ä\n✓"]}}]},
            },
            ref={"apiGroup": "argoproj.io", "apiVersion": "v1alpha1"},
        ),
    ]
)
"""Reads, writes of every kind of body, an exec, a token, a denial, an impersonation."""


def dumped(value: Any) -> str:
    return orjson.dumps(value).decode()


def packed(value: Any, *, zipped: bool = True) -> str:
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return b64encode(gzip.compress(data) if zipped else data).decode()


def cloudwatch(*messages: str, stream: str = "kube-apiserver-audit-ab12", **fields: Any) -> dict[str, Any]:
    events = [{"id": str(n), "timestamp": 1767225600120, "message": text} for n, text in enumerate(messages)]
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "123",
        "logGroup": "/aws/eks/c1/cluster",
        "logStream": stream,
        "subscriptionFilters": ["f"],
        "logEvents": events,
    } | fields


def aks(log: Any) -> dict[str, Any]:
    return {
        "records": [
            {
                "time": NOON,
                "category": "kube-audit",
                "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
                "resourceId": RESOURCE_ID,
                "properties": {"pod": "kube-apiserver-1", "stream": "stdout", "log": log},
            }
        ]
    }


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, dict):
        pairs = [KeyValue(key=key, value=any_value(one)) for key, one in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(one) for one in value]))
    return AnyValue(string_value=value)


def json_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs_of(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [json_value(one) for one in value]}}
    return {"stringValue": value}


def pairs_of(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": json_value(value)} for key, value in attributes.items()]


def otlp_json(
    body: Any, about: dict[str, Any], own: dict[str, Any], stamp_ns: int = 1_767_225_600_500_000_000
) -> dict[str, Any]:
    record = {"timeUnixNano": str(stamp_ns), "body": json_value(body), "attributes": pairs_of(own)}
    return {"resourceLogs": [{"resource": {"attributes": pairs_of(about)}, "scopeLogs": [{"logRecords": [record]}]}]}


def otlp_proto(
    body: Any, about: dict[str, Any], own: dict[str, Any], stamp_ns: int = 1_767_225_600_500_000_000
) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.extend(KeyValue(key=key, value=any_value(one)) for key, one in about.items())
    record = resource.scope_logs.add().log_records.add()
    record.time_unix_nano = stamp_ns
    record.body.CopyFrom(any_value(body))
    record.attributes.extend(KeyValue(key=key, value=any_value(one)) for key, one in own.items())
    return request.SerializeToString()


def bare(event: dict[str, Any]) -> dict[str, Any]:
    """An element of a list that the webhook backend posts."""
    return {name: value for name, value in event.items() if name not in ("kind", "apiVersion")}


_POD = {"pod_name": "kube-apiserver-1", "namespace_name": "kube-system", "container_name": "kube-apiserver"}
_OTEL = {"k8s.cluster.name": "C1", "k8s.pod.uid": "u"}

AUDIT_ENVELOPES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "raw": lambda event: event,
    "raw with line end": lambda event: orjson.dumps(event) + b"\n",
    "array": lambda event: [event],
    "EventList of the audit webhook": lambda event: {
        "kind": "EventList",
        "apiVersion": "audit.k8s.io/v1",
        "metadata": {},
        "items": [bare(event)],
    },
    "CRI line": lambda event: b"2026-01-01T00:00:00.5Z stdout F " + orjson.dumps(event),
    "Docker line": lambda event: {"log": dumped(event) + "\n", "stream": "stdout", "time": NOON},
    "Fluent Bit": lambda event: {
        "@timestamp": 1767225600.5,
        "stream": "stdout",
        "log": dumped(event) + "\n",
        "kubernetes": _POD,
    },
    "Fluent Bit, cri parser": lambda event: {"date": 1767225600.5, "logtag": "F", "message": dumped(event)},
    "Fluent Bit around a CRI line": lambda event: {
        "@timestamp": 1767225600.5,
        "log": "2026-01-01T00:00:00.5Z stdout F " + dumped(event),
    },
    "Fluentd": lambda event: {
        "log": dumped(event) + "\n",
        "stream": "stdout",
        "docker": {"container_id": "ab12"},
        "kubernetes": {**_POD, "host": "h", "labels": {}},
    },
    "Vector": lambda event: {
        "file": "/var/log/kubernetes/audit/audit.log",
        "message": dumped(event),
        "timestamp": NOON,
        "source_type": "file",
    },
    "Filebeat": lambda event: {
        "@timestamp": NOON,
        "@metadata": {"beat": "filebeat"},
        "message": dumped(event),
        "log": {"file": {"path": "/var/log/audit.log"}, "offset": 3673},
        "orchestrator": {"cluster": {"name": "C1"}},
    },
    "Elastic Agent": lambda event: {
        "@timestamp": NOON,
        "kubernetes": {"audit": event},
        "orchestrator": {"cluster": {"name": "C1"}},
    },
    "OTLP JSON": lambda event: otlp_json(dumped(event), _OTEL, {"log.iostream": "stdout"}),
    "OTLP JSON, parsed body": lambda event: otlp_json(event, _OTEL, {}),
    "OTLP protobuf": lambda event: otlp_proto(dumped(event), _OTEL, {"log.iostream": "stdout"}),
    "OTLP protobuf, parsed body": lambda event: otlp_proto(event, _OTEL, {}),
    "AKS, log as text": lambda event: aks(dumped(event)),
    "AKS, log as object": aks,
    "EKS": lambda event: cloudwatch(dumped(event)),
    "EKS, gzip": lambda event: gzip.compress(orjson.dumps(cloudwatch(dumped(event)))),
    "EKS, gzip in base64": lambda event: packed(cloudwatch(dumped(event))).encode(),
    "EKS by Firehose": lambda event: {
        "requestId": "r",
        "records": [{"data": packed(cloudwatch(dumped(event)))}],
    },
    "EKS by Kinesis": lambda event: {"Records": [{"kinesis": {"data": packed(cloudwatch(dumped(event)))}}]},
    "EKS by Lambda": lambda event: {"awslogs": {"data": packed(cloudwatch(dumped(event)))}},
    "Fluent Bit in OTLP": lambda event: otlp_json({"log": dumped(event), "stream": "stdout"}, _OTEL, {}),
}
"""Every way in which the same event arrives, but for Google's."""

_GKE_NAMES = {
    "clusterrolebindings": "authorization.rbac.v1",
    "deployments": "apps.v1",
    "workflows": "argoproj.v1alpha1",
}
_GRPC = {403: 7}

GKE_LACKS = (
    *("level", "stage", "auditID", "requestURI", "requestReceivedTimestamp"),
    *("user.groups", "user.extra", "impersonatedUser", "actor.pod", "actor.credential_id", "actor.effective"),
    *("responseStatus.metadata", "responseStatus.code"),
)
"""What Google's entries do not tell, or tell in other words: a code of gRPC instead of one of HTTP."""


def gke(event: dict[str, Any]) -> dict[str, Any]:
    """The entry that Google's logging writes of the same request."""
    ref = event["objectRef"]
    names = [f"namespaces/{ref['namespace']}" if "namespace" in ref else "", ref["resource"], ref.get("name", "")]
    path = "/".join(
        part for part in (ref.get("apiGroup", "core"), ref["apiVersion"], *names, ref.get("subresource", "")) if part
    )
    what = [_GKE_NAMES.get(ref["resource"], "core.v1"), ref["resource"], ref.get("subresource", ""), event["verb"]]
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": "k8s.io",
        "methodName": "io.k8s." + ".".join(part for part in what if part),
        "resourceName": path,
        "authenticationInfo": {"principalEmail": event["user"]["username"]},
        "requestMetadata": {"callerIp": event["sourceIPs"][-1], "callerSuppliedUserAgent": event["userAgent"]},
        "status": {"code": _GRPC[code]} if (code := event["responseStatus"]["code"]) in _GRPC else {},
    }
    for name, mine in (("request", "requestObject"), ("response", "responseObject")):
        body = event.get(mine)
        if body is not None:
            payload[name] = {"@type": "k8s.io/Object"} | body if isinstance(body, dict) and "kind" in body else body
    if ref.get("subresource") == "exec":
        payload["request"] = {
            "@type": "core.k8s.io/v1.PodExecOptions",
            "kind": "PodExecOptions",
            "command": ["sh", "-c", "id"],
            "container": "c",
        }
    return {
        "insertId": event["auditID"],
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "C1"}},
        "timestamp": event["stageTimestamp"],
        "labels": event["annotations"],
        "protoPayload": payload,
    }


GKE_ENVELOPES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "GKE": gke,
    "GKE by Pub/Sub": lambda event: {
        "message": {"data": packed(gke(event), zipped=False), "attributes": {}, "messageId": "1", "publishTime": NOON},
        "subscription": "projects/p/subscriptions/s",
    },
    "GKE by a Pub/Sub connector": lambda event: {"data": packed(gke(event), zipped=False), "attributes": {"a": "b"}},
}
