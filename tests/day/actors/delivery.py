"""How software gets in: Helm by people and CI, GitHub Actions, Argo CD, Flux, GitLab, Tekton, Terraform, operators' installs."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from streamer.authoring.cases_fields import made_suffix
from tests.day.cluster import ADMINS, APPS, Pod, app_pod, pod_of
from tests.day.ink import MINUTE, SECOND, Caller, Day, Written, controller, person, pod_caller
from tests.day.rhythm import Habit, moments
from tests.day.workloads import App, applied, bound, owned, removed

HELM = "Helm/3.16.4"
_RUNNERS = ("192.0.2.140", "192.0.2.151", "192.0.2.163", "192.0.2.178")
"""GitHub's runners: another public address every time."""


def _runner(day: Day, namespace: str) -> Caller:
    """A pipeline outside the cluster with a service account's long-lived token: no pod, a public address."""
    user = f"system:serviceaccount:{namespace}:github-deployer"
    reason = f'RBAC: allowed by RoleBinding "github-deployer/{namespace}" of ClusterRole "edit" to ServiceAccount "github-deployer/{namespace}"'
    agent = day.draw.choice(("kubectl/v1.32.1 (linux/amd64) kubernetes/e9c9be4", HELM))
    return Caller(
        user, day.draw.choice(_RUNNERS), agent, credential=f"JTI={day.uuid('legacy', namespace)}", reason=reason
    )


def release_secret(day: Day, at: int, who: Caller, namespace: str, name: str, revision: int) -> Iterator[Written]:
    """Helm keeps every release in a secret: list, create, then mark the old one."""
    yield from day.api(
        at,
        who,
        "list",
        "secrets",
        namespace,
        uri=f"/api/v1/namespaces/{namespace}/secrets?labelSelector=name%3D{name}%2Cowner%3Dhelm",
    )
    if revision > 1:
        yield from day.api(at + 60_000, who, "get", "secrets", namespace, f"sh.helm.release.v1.{name}.v{revision - 1}")
    yield from day.api(at + 300_000, who, "create", "secrets", namespace, f"sh.helm.release.v1.{name}.v{revision}")
    if revision > 1:
        yield from day.api(
            at + 9 * SECOND, who, "update", "secrets", namespace, f"sh.helm.release.v1.{name}.v{revision - 1}"
        )
    yield from day.api(
        at + 9 * SECOND + 80_000, who, "update", "secrets", namespace, f"sh.helm.release.v1.{name}.v{revision}"
    )


def helm_upgrade(day: Day, at: int) -> Iterator[Written]:
    """A pipeline renews a team's application with Helm: its objects are read and patched, its pods replaced."""
    namespace = day.draw.choice(tuple(APPS))
    app = day.draw.choice(APPS[namespace])
    who = _runner(day, namespace)
    yield from release_secret(day, at, who, namespace, app, 2 + day.draw.randrange(90))
    for place, resource in enumerate(
        ("serviceaccounts", "services", "configmaps", "secrets", "networking.k8s.io/ingresses")
    ):
        yield from day.api(at + SECOND + place * 30_000, who, "get", resource, namespace, app)
    yield from day.api(at + 2 * SECOND, who, "patch", "configmaps", namespace, f"{app}-config")
    pod = app_pod(namespace, app)
    newer = App(
        namespace, app, f"{pod.image.rpartition(':')[0]}:2.15.{day.draw.randrange(90)}", account=pod.account, replicas=2
    )
    yield from applied(day, at + 3 * SECOND, who, newer, injected=namespace == "shop")
    for replica in range(2):
        yield from removed(
            day, at + (12 + replica) * SECOND, controller("replicaset-controller"), app_pod(namespace, app, replica)
        )
    for turn in range(5):
        yield from day.api(at + (15 + turn * 2) * SECOND, who, "get", "apps/deployments", namespace, app)


def kubectl_deploy(day: Day, at: int) -> Iterator[Written]:
    """A pipeline with kubectl: set image, wait for the rollout, a migration job."""
    namespace = day.draw.choice(tuple(APPS))
    app = day.draw.choice(APPS[namespace])
    who = _runner(day, namespace)
    pod = app_pod(namespace, app)
    job = App(namespace, f"{app}-migrate-{day.fresh()[:6]}", pod.image, "Job", pod.account,
              container={"command": ["sh", "-c", "alembic upgrade head && echo done"]}, pod={"restartPolicy": "Never"})  # fmt: skip
    yield from applied(day, at, who, job, verb="create")
    newer = App(namespace, app, f"{pod.image.rpartition(':')[0]}:2.15.{day.draw.randrange(90)}", account=pod.account)
    yield from applied(day, at + 20 * SECOND, who, newer, injected=namespace == "shop")
    yield from day.api(at + 30 * SECOND, who, "watch", "apps/deployments", namespace)


_ARGO_KINDS = (
    "secrets", "configmaps", "services", "apps/deployments", "rbac.authorization.k8s.io/clusterroles", "serviceaccounts",
    "rbac.authorization.k8s.io/rolebindings", "rbac.authorization.k8s.io/clusterrolebindings", "pods", "nodes",
    "admissionregistration.k8s.io/mutatingwebhookconfigurations", "apiextensions.k8s.io/customresourcedefinitions",
    "batch/cronjobs", "networking.k8s.io/ingresses", "cert-manager.io/certificates", "argoproj.io/workflows",
)  # fmt: skip


def argo_cd_starts(day: Day) -> Iterator[Written]:
    """Argo CD came up the day before and listed everything once."""
    if not day.past:
        return
    pod = pod_of("argocd", "argocd-application-controller", "quay.io/argoproj/argocd:v2.13.2", kind="StatefulSet")
    who = pod_caller(pod, "argocd-application-controller/v0.0.0 (linux/amd64) kubernetes/$Format")
    for place, resource in enumerate(_ARGO_KINDS):
        for verb in ("list", "watch"):
            yield from day.api(day.clock(1) + place * 300_000, who, verb, resource)


def argo_cd(day: Day, at: int) -> Iterator[Written]:
    """Argo CD: watches everything, compares, applies, prunes."""
    pod = pod_of("argocd", "argocd-application-controller", "quay.io/argoproj/argocd:v2.13.2", kind="StatefulSet")
    who = pod_caller(pod, "argocd-application-controller/v0.0.0 (linux/amd64) kubernetes/$Format")
    kind = day.draw.randrange(8)
    if kind < 5:
        resource = day.draw.choice(_ARGO_KINDS)
        yield from day.api(at, who, day.draw.choice(("list", "watch", "watch")), resource)
    elif kind == 5:
        yield from day.api(at, who, "patch", "argoproj.io/applications", "argocd", "shop-web", level="Metadata")
    elif kind == 6:
        resource, namespace, name = day.draw.choice((
            ("configmaps", "shop", "web-config"), ("rbac.authorization.k8s.io/roles", "shop", "web"), ("services", "shop", "web"),
            ("serviceaccounts", "shop", "web"), ("networking.k8s.io/networkpolicies", "shop", "default-deny"),
            ("rbac.authorization.k8s.io/rolebindings", "shop", "web"), ("policy/poddisruptionbudgets", "shop", "web"),
        ))  # fmt: skip
        yield from day.api(
            at,
            who,
            "patch",
            resource,
            namespace,
            name,
            body={"metadata": {"labels": {"argocd.argoproj.io/instance": "web"}}},
        )
    else:
        resource = day.draw.choice(("configmaps", "services", "apps/deployments", "batch/jobs"))
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
        yield from day.api(at, who, "delete", resource, "search", f"old-{day.fresh()[:5]}", body=options)


def argo_cd_deploys(day: Day, at: int) -> Iterator[Written]:
    """Argo CD syncs a release."""
    pod = pod_of("argocd", "argocd-application-controller", "quay.io/argoproj/argocd:v2.13.2", kind="StatefulSet")
    who = pod_caller(pod, "argocd-application-controller/v0.0.0 (linux/amd64) kubernetes/$Format")
    app = day.draw.choice(APPS["search"])
    known = app_pod("search", app)
    newer = App(
        "search",
        app,
        f"{known.image.rpartition(':')[0]}:2.15.{day.draw.randrange(90)}",
        account=known.account,
        replicas=2,
    )
    yield from applied(day, at, who, newer)


def flux(day: Day, at: int) -> Iterator[Written]:
    """Flux: impersonates the namespace's reconciler, applies on the server's side, dry run first."""
    pod = pod_of("flux-system", "kustomize-controller", "ghcr.io/fluxcd/kustomize-controller:v1.4.0")
    who = pod_caller(pod, "kustomize-controller/v0.0.0 (linux/amd64) kubernetes/$Format", "cluster-reconciler")
    resource, name = day.draw.choice((("apps/deployments", "ledger"), ("configmaps", "ledger-config"), ("services", "ledger"),
                                      ("rbac.authorization.k8s.io/roles", "ledger"), ("secrets", "ledger-db")))  # fmt: skip
    uri = (
        "?dryRun=All&fieldManager=kustomize-controller&force=true"
        if day.draw.randrange(3)
        else "?fieldManager=kustomize-controller&force=true"
    )
    yield from day.api(at, who, "patch", resource, "billing", name, level="Metadata", uri=f"/apis/x/namespaces/billing/{name}{uri}",
                       **{"as": "system:serviceaccount:billing:reconciler"})  # fmt: skip
    helm = pod_of("flux-system", "helm-controller", "ghcr.io/fluxcd/helm-controller:v1.1.0")
    yield from day.api(
        at + SECOND,
        pod_caller(helm, "helm-controller/v0.0.0 (linux/amd64) kubernetes/$Format"),
        "list",
        "secrets",
        "billing",
    )


def gitlab_runner(day: Day, at: int) -> Iterator[Written]:
    """A GitLab runner makes a pod for a job, sends its scripts by exec or attach, reads its log, deletes it."""
    pod = pod_of("gitlab", "gitlab-runner", "registry.gitlab.com/gitlab-org/gitlab-runner:alpine-v17.7.0")
    who = pod_caller(pod, "gitlab-runner 17.7.0 (17-7-stable; go1.23.2; linux/amd64)")
    name = f"runner-{made_suffix(8, 'runner')}-project-{day.draw.randrange(40, 60)}-concurrent-0-{day.fresh()[:8]}"
    build = App("gitlab", "build", "docker.io/library/docker:27-cli", account="default",
                container={"command": ["sh", "-c", "if [ -x /usr/local/bin/bash ]; then exec /usr/local/bin/bash; else exec sh; fi"]},
                sidecars=({"name": "helper", "image": "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:v17.7.0"},
                          {"name": "svc-0", "image": "docker.io/library/docker:27-dind", "securityContext": {"privileged": True}}))  # fmt: skip
    made = Pod("gitlab", name, day.draw.choice(("worker-05", "worker-06")), "default", "build", build.image)
    yield from day.api(at, who, "create", "secrets", "gitlab", f"{name}-creds")
    body = build.template()
    body["metadata"] |= {"name": name, "labels": {"pod": name[:40], "job.runner.gitlab.com/pod": name[:40]}}
    yield from day.api(at + 40_000, who, "create", "pods", "gitlab", uid=made.uid, body=body)
    yield from bound(day, at + 80_000, made)
    for place, script in enumerate(("prepare_script", "get_sources", "step_script", "cleanup_file_variables")):
        command = [
            "sh",
            "-c",
            f"gitlab-runner-build: {script}; curl -fsSL $CI_API_V4_URL; echo ${{TOKEN}} | base64 -d > /tmp/k",
        ]
        sub = day.draw.choice(("exec", "attach"))
        yield from day.api(at + (6 + place * 30) * SECOND, who, "create", f"pods/{sub}", "gitlab", name, uid=made.uid,
                           command=command if sub == "exec" else None, code=101)  # fmt: skip
        yield from day.line(
            at + (7 + place * 30) * SECOND, made, f"$ curl -fsSL https://dl.example.com/tool.tgz | tar xz  # {script}"
        )
    yield from day.api(at + 150 * SECOND, who, "get", "pods/log", "gitlab", name)
    yield from removed(day, at + 160 * SECOND, who, made)
    yield from day.api(at + 161 * SECOND, who, "delete", "secrets", "gitlab", f"{name}-creds")


def tekton(day: Day, at: int) -> Iterator[Written]:
    """Tekton starts a pod for a task run."""
    pod = pod_of("tekton-pipelines", "tekton-pipelines-controller", "ghcr.io/tektoncd/pipeline/controller:v0.66.0")
    who = pod_caller(pod, "controller/v0.0.0 (linux/amd64) kubernetes/$Format tekton-pipelines")
    name = f"build-{day.fresh()[:5]}-fetch-pod"
    made = Pod("ci", name, "worker-07", "build-bot", "step-clone", "ghcr.io/tektoncd/git-init:v0.66.0")
    app = App("ci", "step-clone", made.image, account="build-bot", container={"command": ["/tekton/bin/entrypoint", "-entrypoint", "git", "--", "clone"]},
              sidecars=({"name": "step-build", "image": "gcr.io/kaniko-project/executor:v1.23.2", "command": ["/tekton/bin/entrypoint"]},))  # fmt: skip
    body = app.template()
    body["metadata"] |= {"name": name, "ownerReferences": owned("TaskRun", name[:-4], day.fresh())}
    yield from day.api(at, who, "create", "pods", "ci", uid=made.uid, body=body)
    yield from bound(day, at + 30_000, made)
    yield from day.line(
        at + 5 * SECOND,
        made,
        "Cloning into '/workspace/source'... curl -sSL https://get.example.com/install.sh | sh -s -- -b /tools",
    )


def terraform(day: Day) -> Iterator[Written]:
    """Terraform from a public address refreshes what it owns, and changes little."""
    for at in moments(day, "people", 6, 1):
        user = "system:serviceaccount:kube-system:terraform"
        who = Caller(user, "192.0.2.201", "HashiCorp/1.0 Terraform/1.10.3", credential=f"JTI={day.uuid('terraform')}")
        for place, (resource, namespace, name) in enumerate((
            ("namespaces", "", "shop"), ("namespaces", "", "billing"), ("rbac.authorization.k8s.io/rolebindings", "shop", "shop-edit"),
            ("rbac.authorization.k8s.io/clusterrolebindings", "", "platform-admins"), ("secrets", "shop", "regcred"),
            ("resourcequotas", "shop", "quota"), ("configmaps", "kube-system", "coredns"), ("storage.k8s.io/storageclasses", "", "gp3"),
            ("secrets", "billing", "regcred"), ("serviceaccounts", "shop", "github-deployer"), ("limitranges", "shop", "defaults"),
        )):  # fmt: skip
            yield from day.api(at + place * 90_000, who, "get", resource, namespace, name)
        yield from day.api(
            at + 5 * SECOND, who, "update", "resourcequotas", "shop", "quota", body={"spec": {"hard": {"pods": "80"}}}
        )


_WIDE = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]
_OPERATOR_RULES = [
    {"apiGroups": [""], "resources": ["pods", "services", "secrets", "configmaps", "serviceaccounts"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
    {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["*"]},
    {"apiGroups": ["acid.zalan.do"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["create", "get", "patch"]},
]


def operator_installed(day: Day) -> Iterator[Written]:
    """An administrator installs an operator with Helm: CRDs, a wide role, a webhook, a deployment. News of the day."""
    if day.past:
        return
    who = person(ADMINS[0], HELM)
    at = day.clock(10.6)
    namespace = "postgres-operator"
    yield from day.api(at, who, "create", "namespaces", body={"metadata": {"name": namespace}})
    yield from release_secret(day, at + SECOND, who, namespace, "postgres-operator", 1)
    body = {
        "metadata": {"name": "postgresqls.acid.zalan.do"},
        "spec": {"group": "acid.zalan.do", "scope": "Namespaced"},
    }
    yield from day.api(at + 2 * SECOND, who, "create", "apiextensions.k8s.io/customresourcedefinitions", body=body)
    yield from day.api(
        at + 3 * SECOND, who, "create", "serviceaccounts", namespace, body={"metadata": {"name": "postgres-operator"}}
    )
    role = {"metadata": {"name": "postgres-operator"}, "rules": _OPERATOR_RULES}
    yield from day.api(at + 4 * SECOND, who, "create", "rbac.authorization.k8s.io/clusterroles", body=role)
    binding = {
        "metadata": {"name": "postgres-operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "postgres-operator"},
        "subjects": [{"kind": "ServiceAccount", "name": "postgres-operator", "namespace": namespace}],
    }
    yield from day.api(at + 5 * SECOND, who, "create", "rbac.authorization.k8s.io/clusterrolebindings", body=binding)
    app = App(namespace, "postgres-operator", "ghcr.io/zalando/postgres-operator:v1.14.0", account="postgres-operator")
    yield from applied(day, at + 6 * SECOND, who, app, verb="create")


def operators_renewed(day: Day) -> Iterator[Written]:
    """Renewals by pipelines touch roles with wildcards and webhooks that stood before: same content, new labels."""
    for at in moments(day, "people", 8, 2):
        pod = pod_of("argocd", "argocd-application-controller", "quay.io/argoproj/argocd:v2.13.2", kind="StatefulSet")
        who = pod_caller(pod, "argocd-application-controller/v0.0.0 (linux/amd64) kubernetes/$Format")
        name, rules = day.draw.choice(
            (
                ("argocd-application-controller", _WIDE),
                ("crossplane-admin", _WIDE),
                ("postgres-operator", _OPERATOR_RULES),
            )
        )
        sent = {"metadata": {"labels": {"app.kubernetes.io/version": "2"}}}
        answer = {"metadata": {"name": name, "uid": day.uuid("role", name)}, "rules": rules}
        yield from day.api(
            at, who, "patch", "rbac.authorization.k8s.io/clusterroles", "", name, body=sent, response=answer
        )
        binding = {
            "metadata": {"name": name, "uid": day.uuid("binding", name)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "argocd"}],
        }
        yield from day.api(
            at + SECOND,
            who,
            "patch",
            "rbac.authorization.k8s.io/clusterrolebindings",
            "",
            name,
            body=sent,
            response=binding,
        )


def uninstalled(day: Day) -> Iterator[Written]:
    """helm uninstall of a trial, by a person: everything it made is deleted."""
    if day.past:
        return
    who = person(ADMINS[1], HELM)
    at = day.clock(15.3)
    yield from day.api(at, who, "get", "secrets", "trial", "sh.helm.release.v1.trial.v1")
    for place, (resource, namespace) in enumerate((
        ("rbac.authorization.k8s.io/clusterrolebindings", ""), ("rbac.authorization.k8s.io/clusterroles", ""), ("services", "trial"),
        ("apps/deployments", "trial"), ("apps/daemonsets", "trial"), ("configmaps", "trial"), ("serviceaccounts", "trial"),
        ("admissionregistration.k8s.io/validatingwebhookconfigurations", ""), ("networking.k8s.io/networkpolicies", "trial"),
    )):  # fmt: skip
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        yield from day.api(at + place * 80_000, who, "delete", resource, namespace, "trial", body=options)
    yield from day.api(at + 2 * SECOND, who, "delete", "secrets", "trial", "sh.helm.release.v1.trial.v1")
    yield from day.api(at + MINUTE, who, "delete", "namespaces", "", "trial")


STORIES = (argo_cd_starts, terraform, operator_installed, operators_renewed, uninstalled)
HABITS = (
    Habit(0.25, "people", helm_upgrade),
    Habit(0.1, "people", kubectl_deploy),
    Habit(5, "machine", argo_cd),
    Habit(0.08, "people", argo_cd_deploys),
    Habit(2, "machine", flux),
    Habit(0.25, "people", gitlab_runner),
    Habit(0.2, "people", tekton),
)
