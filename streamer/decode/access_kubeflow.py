"""What Kubeflow's own back ends print of requests: no access lines, but who asked for what.

The Pipelines API server (``ml-pipeline``) names the method when its handler starts, and in multi-user installs who asks
for which namespace. The notebooks' web app prints the user and the body of a request.
"""

from __future__ import annotations

import re
from typing import Final

from streamer.decode.access import Access, present
from streamer.decode.stamps import parse

_PREFIX: Final = re.compile(
    r"(?:[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{1,9} +\d{1,10} [\w.-]{1,100}:\d{1,6}\] "
    r"|(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) \| [^|]{1,100} \| [A-Z]{1,10} \| )?",
    re.ASCII,
)
_HANDLER: Final = re.compile(r"(/[\w.]{1,100}/(\w{1,100})) handler starting", re.ASCII)
_ATTRIBUTES: Final = re.compile(r"User: (\S{1,500}), ResourceAttributes: (.{0,2000})", re.DOTALL)
_NAMESPACE: Final = re.compile(r"\bNamespace:([a-z0-9-]{1,63})\b", re.ASCII)
_WANTED: Final = re.compile(r"\bVerb:(\w{1,40})\b.{0,500}?\bResource:([\w./-]{1,100})", re.ASCII | re.DOTALL)
_USER: Final = re.compile(r"Handling request for user: (\S{1,500})")
_BODY: Final = re.compile(r"(Got body|Creating Notebook): ")
_MEMBER: Final = re.compile(r"""['"](image|name|namespace)['"]: ?['"]([^'"\s]{1,500})['"]""")
_MEMBERS: Final = 200
_BODY_LENGTH: Final = 20_000


def parse_backend(message: str) -> Access | None:
    """A line of ``ml-pipeline`` or ``jupyter-web-app`` that tells of a request; ``None`` for all others."""
    prefix = _PREFIX.match(message)
    start = prefix.end() if prefix else 0
    stamp = parse(prefix[1]) if prefix and prefix[1] else None
    handler = _HANDLER.match(message, start)
    if handler:
        return Access(method="POST", uri=handler[1], stamp=stamp, kubeflow={"action": handler[2]})
    if message.startswith("Upload pipeline called", start):
        return Access(method="POST", stamp=stamp, kubeflow={"action": "UploadPipeline"})
    if message.startswith("Skipping authentication check", start):
        return Access(stamp=stamp, kubeflow={"action": "SkipAuthentication"})
    user = _USER.match(message, start)
    if user:
        return Access(user=present(user[1]), stamp=stamp)
    asked = _ATTRIBUTES.match(message, start)
    if asked:
        return Access(user=present(asked[1]), stamp=stamp, kubeflow=_asked_for(asked[2]))
    body = _BODY.match(message, start)
    if body:
        return Access(stamp=stamp, kubeflow=_notebook(message[body.end() : body.end() + _BODY_LENGTH]))
    return None


def _asked_for(attributes: str) -> dict[str, str]:
    namespace, wanted = _NAMESPACE.search(attributes), _WANTED.search(attributes)
    found = {"action": f"{wanted[1]} {wanted[2]}"} if wanted else {}
    return found | ({"namespace": namespace[1]} if namespace else {})


def _notebook(body: str) -> dict[str, str]:
    """Image, name and namespace of a notebook, from the text of an object in Python's or JSON's writing."""
    found: dict[str, str] = {"action": "CreateNotebook"}
    for number, member in enumerate(_MEMBER.finditer(body)):
        name = "notebook" if member[1] == "name" else member[1]
        found.setdefault(name, member[2])
        if number >= _MEMBERS:
            break
    return found
