"""What the path of a request to Kubeflow names: a pipeline run, a namespace, a notebook."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from streamer.decode.request import parameters

_UUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_RUN: Final = re.compile(rf"/apis/v[12]beta1/runs/({_UUID})(?![0-9a-fA-F-])")
_NOTEBOOKS: Final = re.compile(r"/jupyter/api/namespaces/([^/]+)/(?:notebooks(?:/([^/]+))?|[a-z]+)")
_NOTEBOOK: Final = re.compile(r"/notebook/([^/]+)/([^/]+)(?:/|\Z)")
_RUN_PARAMETERS: Final = frozenset({"runid", "run_id"})
_NAMESPACE_PARAMETERS: Final = frozenset({"namespace", "ns"})


def kubeflow_of(stem: str, query: str) -> dict[str, str] | None:
    """``kubeflow.run_id``, ``.namespace`` and ``.notebook``, as far as path and query name them; else ``None``."""
    path = unquote(stem) if "%" in stem else stem
    while "//" in path:
        path = path.replace("//", "/")
    found: dict[str, str] = {}
    run = _RUN.search(path)
    if run:
        found["run_id"] = run[1].lower()
    notebook = _NOTEBOOKS.match(path) or _NOTEBOOK.match(path)
    if notebook:
        found["namespace"] = notebook[1]
        if notebook.lastindex == 2:
            found["notebook"] = notebook[2]
    if query and path.startswith(("/pipeline", "/apis/", "/k8s/")):
        for name, value in parameters(query, _RUN_PARAMETERS | _NAMESPACE_PARAMETERS):
            if name in _RUN_PARAMETERS and re.fullmatch(_UUID, value):
                found.setdefault("run_id", value.lower())
            elif name in _NAMESPACE_PARAMETERS and value:
                found.setdefault("namespace", value)
    return found or None
