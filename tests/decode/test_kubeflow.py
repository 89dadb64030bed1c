"""What Kubeflow's paths name."""

from __future__ import annotations

import pytest

from streamer.decode.kubeflow import kubeflow_of

RUN = "3f2c0a9e-1111-4222-8333-444455556666"


@pytest.mark.parametrize(
    ("stem", "query", "expected"),
    [
        (f"/pipeline/apis/v1beta1/runs/{RUN}", "", {"run_id": RUN}),
        (f"/pipeline/apis/v2beta1/runs/{RUN}:terminate", "", {"run_id": RUN}),
        (f"/apis/v2beta1/runs/{RUN.upper()}", "", {"run_id": RUN}),
        (f"//pipeline//apis/v1beta1/%72uns/{RUN}/nodes/x", "", {"run_id": RUN}),
        ("/pipeline/k8s/pod/logs", f"podname=x&runid={RUN}&podnamespace=lab", {"run_id": RUN}),
        ("/pipeline/apis/v2beta1/runs", "namespace=lab", {"namespace": "lab"}),
        ("/pipeline/apis/v1beta1/runs", "", None),
        ("/pipeline/apis/v1beta1/runs/not-a-uuid", "", None),
        (f"/pipeline/apis/v1beta1/experiments/{RUN}", "", None),
        ("/jupyter/api/namespaces/lab/notebooks", "", {"namespace": "lab"}),
        ("/jupyter/api/namespaces/lab/notebooks/nb", "", {"namespace": "lab", "notebook": "nb"}),
        ("/notebook/lab/nb/lab/tree", "", {"namespace": "lab", "notebook": "nb"}),
        ("/notebook/lab/nb", "", {"namespace": "lab", "notebook": "nb"}),
        ("/notebook/lab", "", None),
        ("/", "ns=lab", None),
        ("/%ff%fe/" + "/" * 60_000, "a=" + "&" * 60_000, None),
    ],
)
def test_paths_name_runs_namespaces_and_notebooks(stem, query, expected):
    assert kubeflow_of(stem, query) == expected
