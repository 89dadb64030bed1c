"""Kubeflow with a login in front: people log in, look around and work in notebooks; its parts talk."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from streamer.authoring.cases_time import iso, moment_of
from tests.day.cluster import GPU_NODES, Pod, pod_of
from tests.day.ink import HOUR, MINUTE, SECOND, Day, Written, controller, pod_caller
from tests.day.kubeflow_parts import (
    ARGO,
    DASHBOARD,
    DEX,
    FRONTEND,
    JUPYTER,
    NOTEBOOKS,
    OAUTH2,
    PROFILES,
    RUNS,
    SERVER,
    USERS,
    authorized,
    space_of,
)
from tests.day.rhythm import Habit, moments
from tests.day.workloads import App, owned, removed, started


def login(day: Day, at: int, user: str, client: str) -> Iterator[Written]:
    """Redirect to dex, password, callback, cookie."""
    for place, (method, path, status) in enumerate((
        ("GET", "/", 302), ("GET", "/dex/auth?client_id=kubeflow-oidc-authservice&response_type=code", 302), ("GET", "/dex/auth/local/login", 200),
        ("POST", "/dex/auth/local/login", 303), ("GET", "/oauth2/callback?code=abc&state=def", 302), ("GET", "/", 200),
        ("GET", "/api/workgroup/exists", 200), ("GET", "/api/dashboard-links", 200), ("GET", "/api/namespaces", 200),
    )):  # fmt: skip
        yield from day.access(
            at + place * 900_000,
            method,
            path,
            client,
            status=status,
            flags="UAEX" if status == 302 and place == 0 else "-",
        )
    yield from day.line(
        at + 3 * SECOND,
        DEX,
        f'time={iso(at)} level=INFO msg="login successful" connector_id=local username={user} email={user}@example.com',
        stream="stderr",
    )
    yield from day.access(
        at + 4 * SECOND,
        "GET",
        "/oauth2/callback",
        client,
        gateway="oauth2-proxy",
        user=f"{user}@example.com",
        status=302,
    )
    text = f"{client}:51010 - {day.fresh()} - {user}@example.com [{moment_of(at):%Y/%m/%d %H:%M:%S}] [AuthSuccess] Authenticated via OAuth2: Session{{email:{user}@example.com}}"
    yield from day.line(at + 4 * SECOND, OAUTH2, text)


def logins(day: Day) -> Iterator[Written]:
    """Everybody logs in in the morning; one of them has a session of yesterday and does not."""
    for place, (user, client) in enumerate(USERS):
        if place != 2:
            yield from login(day, day.clock(7.4 + place * 0.4), user, client)


def browsing(day: Day, at: int) -> Iterator[Written]:
    """The dashboard, pages of pipelines, experiments, volumes; the dashboard's own reads."""
    user, client = day.draw.choice(USERS)
    for place, path in enumerate(day.draw.sample((
        "/", "/_/pipeline/?ns=kubeflow-user-hugo", "/pipeline/apis/v2beta1/pipelines?page_size=10", f"{RUNS}?page_size=10&namespace={space_of(user)}",
        "/jupyter/", f"/jupyter/api/namespaces/{space_of(user)}/notebooks", "/volumes/", "/katib/", "/api/workgroup/env-info",
        f"/api/activities/{space_of(user)}", "/pipeline/system/cluster-name", "/kserve-endpoints/", "/tensorboards/", "/pipeline/static/js/main.js",
    ), 5)):  # fmt: skip
        yield from authorized(day, at + place * SECOND, client, path, user)
        yield from day.access(at + place * SECOND + 20_000, "GET", path, client)
        if path.startswith("/pipeline"):
            yield from day.line(at + place * SECOND + 30_000, FRONTEND, f"GET {path}")
    who = pod_caller(DASHBOARD, "kubernetes-client/javascript", "centraldashboard")
    yield from day.api(at + 2 * SECOND, who, "list", day.draw.choice(("namespaces", "events", "nodes")))


def notebook_work(day: Day, at: int) -> Iterator[Written]:
    """Kernels, terminals, contents; the notebook's own lines; the culler asks for its kernels."""
    user, client = day.draw.choice(USERS)
    base = f"/notebook/{space_of(user)}/lab"
    for place, (method, path, status) in enumerate(day.draw.sample((
        ("GET", f"{base}/api/kernels", 200), ("POST", f"{base}/api/kernels", 201), ("GET", f"{base}/api/kernels/{day.fresh()}/channels", 101),
        ("POST", f"{base}/api/terminals", 200), ("GET", f"{base}/terminals/websocket/1", 101), ("PUT", f"{base}/api/contents/train.ipynb", 200),
        ("GET", f"{base}/api/contents?type=directory", 200), ("GET", f"{base}/api/sessions", 200), ("GET", f"{base}/lab", 200),
    ), 4)):  # fmt: skip
        yield from day.access(at + place * 3 * SECOND, method, path, client, status=status)
    pod = _notebook(user)
    text = day.draw.choice((
        f"[I {moment_of(at):%Y-%m-%d %H:%M:%S}.123 ServerApp] Kernel started: {day.fresh()}", "[I ServerApp] New terminal with automatic name: 1",
        "[I ServerApp] Saving file at /train.ipynb", "[W ServerApp] 404 GET /notebook/kubeflow-user-hugo/lab/api/metrics (127.0.0.6)",
        "[I ServerApp] Starting buffering for kernel", "Collecting xgboost==2.1.3 Downloading https://files.pythonhosted.org/xgboost.whl (153.9 MB)",
    ))  # fmt: skip
    yield from day.line(at + 5 * SECOND, pod, text, stream="stderr")
    who = pod_caller(NOTEBOOKS, "notebook-controller/v0.0.0 (linux/amd64) kubernetes/$Format")
    yield from day.api(
        at + 6 * SECOND,
        who,
        day.draw.choice(("update", "patch", "get")),
        "kubeflow.org/notebooks",
        space_of(user),
        "lab",
        level="Metadata",
    )


def _notebook(user: str) -> Pod:
    return pod_of(
        space_of(user),
        "lab",
        "ghcr.io/kubeflow/notebook-servers/jupyter-tensorflow-full:v1.9.2",
        kind="StatefulSet",
        account="default-editor",
    )


def notebook_asks_cluster(day: Day, at: int) -> Iterator[Written]:
    """The KFP client in a notebook, kubectl in its terminal: the notebook's account looks at its own namespace."""
    user, _ = day.draw.choice(USERS)
    who = pod_caller(
        _notebook(user),
        day.draw.choice(("OpenAPI-Generator/31.0.0/python", "kubectl/v1.31.0 (linux/amd64) kubernetes/9edcffc")),
        "kubeflow-edit",
    )
    for place, (verb, resource) in enumerate(
        (
            ("list", "pods"),
            day.draw.choice(
                (("get", "configmaps"), ("list", "events"), ("list", "serving.kserve.io/inferenceservices"))
            ),
        )
    ):
        yield from day.api(
            at + place * SECOND, who, verb, resource, space_of(user), "pipeline-config" if verb == "get" else ""
        )


def notebook_created(day: Day) -> Iterator[Written]:
    """A new notebook with a GPU: form, review, Notebook, StatefulSet, pod. And deleted in the evening."""
    for at in moments(day, "people", 6, 2):
        user, client = day.draw.choice(USERS)
        space, name = space_of(user), f"exp-{day.fresh()[:4]}"
        image = day.draw.choice(
            (
                "ghcr.io/kubeflow/notebook-servers/jupyter-tensorflow-full:v1.9.2",
                "ghcr.io/kubeflow/notebook-servers/jupyter-pytorch-cuda-full:v1.9.2",
            )
        )
        yield from authorized(day, at, client, f"/jupyter/api/namespaces/{space}/notebooks", user)
        yield from day.access(at, "POST", f"/jupyter/api/namespaces/{space}/notebooks", client, status=200)
        yield from day.line(
            at + 10_000,
            JUPYTER,
            f"{moment_of(at):%Y-%m-%d %H:%M:%S} | kubeflow.kubeflow.crud_backend.authn | INFO | Handling request for user: {user}@example.com",
        )
        yield from day.line(
            at + 20_000,
            JUPYTER,
            f"INFO | Got body: {{'name': '{name}', 'namespace': '{space}', 'image': '{image}', 'gpus': {{'num': '1'}}}}",
        )
        who = pod_caller(JUPYTER, "OpenAPI-Generator/31.0.0/python", "jupyter-web-app-cluster-role")
        attributes = {"group": "kubeflow.org", "namespace": space, "resource": "notebooks", "verb": "create"}
        yield from day.api(at + 30_000, who, "create", "authorization.k8s.io/subjectaccessreviews",
                           body={"spec": {"user": f"{user}@example.com", "resourceAttributes": attributes}})  # fmt: skip
        container = {"name": name, "image": image, "resources": {"limits": {"nvidia.com/gpu": "1"}}}
        body = {
            "metadata": {"name": name, "namespace": space},
            "spec": {"template": {"spec": {"containers": [container], "serviceAccountName": "default-editor"}}},
        }
        uid = day.uuid("notebook", name)
        yield from day.api(at + 60_000, who, "create", "kubeflow.org/notebooks", space, body=body, uid=uid)
        app = App(space, name, image, "StatefulSet", "default-editor", container={"resources": container["resources"]})
        made = app.body()
        made["metadata"]["ownerReferences"] = owned("Notebook", name, uid)
        keeper = pod_caller(NOTEBOOKS, "notebook-controller/v0.0.0 (linux/amd64) kubernetes/$Format")
        yield from day.api(at + 200_000, keeper, "create", "apps/statefulsets", space, body=made)
        yield from day.api(
            at + 220_000,
            keeper,
            "create",
            "services",
            space,
            body={"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "type": "ClusterIP"}},
        )
        pod = Pod(space, f"{name}-0", day.draw.choice(GPU_NODES), "default-editor", name, image)
        owner = ("StatefulSet", name, day.uuid("StatefulSet", space, name))
        yield from started(
            day,
            at + 400_000,
            controller("statefulset-controller"),
            pod,
            app,
            owner,
            injected=True,
            labels={"notebook-name": name},
        )
        yield from removed(day, at + HOUR, controller("statefulset-controller"), pod)


def profile_created(day: Day) -> Iterator[Written]:
    """A new colleague registers: profile, namespace, accounts, bindings, policy."""
    if day.past:
        return
    at = day.clock(10.2)
    user, client = "petra", "203.0.113.21"
    yield from login(day, at - 30 * SECOND, user, client)
    yield from day.access(at, "POST", "/api/workgroup/create", client, status=200)
    kfam = pod_caller(PROFILES, "access-management/v0.0.0 (linux/amd64) kubernetes/$Format")
    owner = {"kind": "User", "name": f"{user}@example.com"}
    yield from day.api(
        at + 30_000,
        kfam,
        "create",
        "kubeflow.org/profiles",
        body={"metadata": {"name": space_of(user)}, "spec": {"owner": owner}},
    )
    who = pod_caller(PROFILES, "manager/v0.0.0 (linux/amd64) kubernetes/$Format")
    labels = {"app.kubernetes.io/part-of": "kubeflow-profile", "istio-injection": "enabled"}
    namespace = {
        "metadata": {"name": space_of(user), "annotations": {"owner": f"{user}@example.com"}, "labels": labels}
    }
    yield from day.api(at + 200_000, who, "create", "namespaces", body=namespace)
    for account in ("default-editor", "default-viewer"):
        yield from day.api(
            at + 300_000, who, "create", "serviceaccounts", space_of(user), body={"metadata": {"name": account}}
        )
        role = account.replace("default-editor", "kubeflow-edit").replace("default-viewer", "kubeflow-view")
        body = {"metadata": {"name": account}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": space_of(user)}]}  # fmt: skip
        yield from day.api(
            at + 350_000, who, "create", "rbac.authorization.k8s.io/rolebindings", space_of(user), body=body
        )
    body = {"metadata": {"name": "namespaceAdmin", "annotations": {"user": f"{user}@example.com", "role": "admin"}},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubeflow-admin"}, "subjects": [{"kind": "User", "name": f"{user}@example.com"}]}  # fmt: skip
    yield from day.api(at + 400_000, who, "create", "rbac.authorization.k8s.io/rolebindings", space_of(user), body=body)
    yield from day.api(
        at + 450_000, who, "create", "security.istio.io/authorizationpolicies", space_of(user), level="Metadata"
    )
    yield from day.api(
        at + 470_000,
        controller("root-ca-cert-publisher"),
        "create",
        "configmaps",
        space_of(user),
        body={"metadata": {"name": "kube-root-ca.crt"}},
    )
    yield from day.api(
        at + 480_000,
        controller("service-account-controller"),
        "create",
        "serviceaccounts",
        space_of(user),
        body={"metadata": {"name": "default"}},
    )


def serving(day: Day, at: int) -> Iterator[Written]:
    """KServe: requests to a model, its logs; a TensorBoard looked at."""
    user, client = day.draw.choice(USERS)
    yield from day.access(
        at,
        "POST",
        "/v1/models/classifier:predict",
        client,
        host="classifier.kubeflow-user-hugo.example.com",
        status=day.draw.choice((200, 200, 200, 503)),
    )
    pod = pod_of(
        space_of("hugo"),
        "classifier-predictor",
        "docker.io/tensorflow/serving:2.18.0-gpu",
        container="kserve-container",
        account="default",
    )
    yield from day.line(
        at + 9_000, pod, f"2026-03-10 INFO kserve.trace: classifier predict latency {day.draw.randrange(3, 90)} ms"
    )
    yield from day.access(at + SECOND, "GET", f"/tensorboard/{space_of(user)}/board/data/plugin/scalars/tags", client)


def chatter(day: Day, at: int) -> Iterator[Written]:
    """What the parts of Kubeflow print all day, and the gateway's other traffic."""
    pod, text = day.draw.choice((
        (SERVER, f"I0310 {moment_of(at):%H:%M:%S}.1 7 interceptor.go:29] /kubeflow.pipelines.backend.api.v2beta1.RunService/ListRuns handler starting"),
        (SERVER, f"I0310 {moment_of(at):%H:%M:%S}.1 7 util.go:360] Getting user identity: hugo@example.com"),
        (ARGO, f'time="{iso(at)}" level=info msg="Get leases 200"'),
        (FRONTEND, "GET /pipeline/system/cluster-name"),
        (NOTEBOOKS, '{"level":"info","logger":"controllers.Notebook","msg":"Reconciliation loop started","namespace":"kubeflow-user-hugo"}'),
        (DASHBOARD, "Using Profiles service at http://profiles-kfam.kubeflow:8081/kfam"),
    ))  # fmt: skip
    yield from day.line(at, pod, text, stream="stderr")


def culling(day: Day) -> Iterator[Written]:
    """The notebook controller stops idle notebooks in the evening."""
    who = pod_caller(NOTEBOOKS, "notebook-controller/v0.0.0 (linux/amd64) kubernetes/$Format")
    for user, _ in USERS:
        at = day.clock(21.5)
        note = {"metadata": {"annotations": {"kubeflow-resource-stopped": iso(at)}}}
        yield from day.api(at, who, "update", "kubeflow.org/notebooks", space_of(user), "lab", body=note)
        yield from day.api(
            at + 300_000, who, "update", "apps/statefulsets", space_of(user), "lab", body={"spec": {"replicas": 0}}
        )
        yield from removed(day, at + SECOND, controller("statefulset-controller"), _notebook(user))
        yield from day.api(at + MINUTE, who, "list", "pods", space_of(user))


STORIES = (logins, notebook_created, profile_created, culling)
HABITS = (
    Habit(2.5, "people", browsing, "containers"),
    Habit(1.2, "people", notebook_work, "containers"),
    Habit(0.8, "people", serving, "containers"),
    Habit(2, "machine", chatter, "containers"),
    Habit(0.2, "people", notebook_asks_cluster),
)
