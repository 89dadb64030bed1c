"""The parts of Kubeflow that several actors are, and who uses it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.day.cluster import pod_of
from tests.day.ink import Day, Written

USERS = (("hugo", "203.0.113.20"), ("mila", "203.0.113.20"), ("nils", "192.0.2.91"), ("olga", "10.8.0.60"))
SERVER = pod_of("kubeflow", "ml-pipeline", "ghcr.io/kubeflow/kfp-api-server:2.4.0", container="ml-pipeline-api-server")
FRONTEND = pod_of("kubeflow", "ml-pipeline-ui", "ghcr.io/kubeflow/kfp-frontend:2.4.0")
ARGO = pod_of(
    "kubeflow",
    "workflow-controller",
    "gcr.io/ml-pipeline/workflow-controller:v3.1.6-patch-license-compliance",
    account="argo",
)
JUPYTER = pod_of(
    "kubeflow", "jupyter-web-app", "ghcr.io/kubeflow/jupyter-web-app:v1.9.2", account="jupyter-web-app-service-account"
)
NOTEBOOKS = pod_of(
    "kubeflow",
    "notebook-controller",
    "ghcr.io/kubeflow/notebook-controller:v1.9.2",
    account="notebook-controller-service-account",
)
PROFILES = pod_of(
    "kubeflow",
    "profiles-deployment",
    "ghcr.io/kubeflow/profile-controller:v1.9.2",
    account="profiles-controller-service-account",
)
SCHEDULED = pod_of(
    "kubeflow", "ml-pipeline-scheduledworkflow", "ghcr.io/kubeflow/kfp-scheduled-workflow-controller:2.4.0"
)
DASHBOARD = pod_of("kubeflow", "centraldashboard", "ghcr.io/kubeflow/centraldashboard:v1.9.2")
DEX = pod_of("auth", "dex", "ghcr.io/dexidp/dex:v2.41.1")
OAUTH2 = pod_of("oauth2-proxy", "oauth2-proxy", "quay.io/oauth2-proxy/oauth2-proxy:v7.7.1")
RUNS = "/pipeline/apis/v2beta1/runs"


def space_of(user: str) -> str:
    return f"kubeflow-user-{user}"


def authorized(day: Day, at: int, client: str, path: str, user: str) -> Iterator[Written]:
    """The mesh asks oauth2-proxy whether a session stands."""
    yield from day.access(at, "GET", path, client, gateway="oauth2-proxy", user=f"{user}@example.com", status=202)
