"""Reads the settings and says where a wrong one stands: file, line and column, or the name in the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings import SettingsError as EnvironmentValueError

from streamer.authoring.check import hint_about_tabs
from streamer.errors import Place, SettingsError
from streamer.service.settings import Settings
from streamer.sigma.problems import Problems, nearest
from streamer.sigma.yamltree import Node, read_documents

PREFIX: Final = "STREAMER_"
_NO_SETTINGS: Final = re.compile(
    r"DEBUG|TEST_\w+|(.*_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
"""Variables of the command line and of test runs, and those that Kubernetes gives to every pod beside a service named
``streamer``."""


def load_settings(
    path: Path | None, *, command_line: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings in force: the command line over the environment over the file.

    Args:
        path: the YAML file, or ``None``.
        command_line: values by their keys, nested as in the file.
        environment: default: the process's own.

    Raises:
        SettingsError: the first problem found, with its place and what to write instead.
    """
    variables = dict(os.environ if environment is None else environment)
    tree = read_tree(path) if path is not None else None
    _refuse_unknown_variables(variables)

    class _Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del env_settings, dotenv_settings, file_secret_settings
            from_file = InitSettingsSource(settings_cls, init_kwargs=tree.plain() if tree else {})
            return init_settings, _Environment(settings_cls, variables), from_file

    try:
        return _Sourced(**dict(command_line or {}))
    except EnvironmentValueError as error:
        raise SettingsError(
            f"environment {_not_json(str(error), variables)}: lists and mappings are written as JSON there",
            hint="""for example STREAMER_RULES='["shipped"]'""",
        ) from error
    except ValidationError as error:
        raise _first_problem(error, tree, variables) from None


class _Environment(EnvSettingsSource):
    """The environment as given, not the process's own."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = {name.lower(): value for name, value in variables.items()}
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._variables


def read_tree(path: Path) -> Node | None:
    """The file of settings with the place of every key; ``None`` for an empty one. Raises ``SettingsError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no UTF-8 text: {error.reason}") from error
    problems = Problems()
    documents = read_documents(str(path), text, problems)
    for problem in problems.in_order():
        if problem.code != "empty-file":
            line = next(iter(text.splitlines()[problem.place.line - 1 : problem.place.line]), "")
            raise SettingsError(f"{problem.place}: {problem.message}", hint=problem.hint or hint_about_tabs(line))
    if len(documents) > 1:
        raise SettingsError(f"{documents[1].place}: a second document; the settings are one")
    if documents and documents[0].entries is None:
        raise SettingsError(f"{documents[0].place}: the settings are a mapping, this is {documents[0].kind()}")
    return documents[0] if documents else None


def _refuse_unknown_variables(variables: Mapping[str, str]) -> None:
    for name in sorted(variables):
        rest = name.upper().removeprefix(PREFIX)
        if not name.upper().startswith(PREFIX) or ("__" not in rest and _NO_SETTINGS.fullmatch(rest)):
            continue
        model: type[BaseModel] | None = Settings
        for part in name[len(PREFIX) :].lower().split("__"):
            fields = model.model_fields if model else {}
            if part not in fields:
                raise SettingsError(f"environment {name}: there is no setting `{part}`", hint=nearest(part, fields))
            model = group_of(fields[part].annotation)


def group_of(annotation: Any) -> type[BaseModel] | None:
    """The group of settings that a field of this type holds, or ``None``."""
    if get_origin(annotation) in (Union, UnionType):
        return next(filter(None, map(group_of, get_args(annotation))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _not_json(message: str, variables: Mapping[str, str]) -> str:
    """Name of the variable whose value could not be read."""
    field = re.search(r'field "(\w+)"', message)
    name = PREFIX + (field.group(1).upper() if field else "")
    given = [variable for variable in sorted(variables) if variable.upper().split("__")[0] == name]
    return ", ".join(given) or name


def _first_problem(error: ValidationError, tree: Node | None, variables: Mapping[str, str]) -> SettingsError:
    """The first problem as a sentence with its place."""
    # A misspelt key comes first: what else is wrong may follow from it.
    problem = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    location = problem["loc"]
    where = _where(location, tree, variables)
    name = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        known = _keys_beside(location)
        return SettingsError(f"{where}there is no setting `{name}`", hint=nearest(str(location[-1]), known))
    if problem["type"] == "missing":
        hint = "for example sources: [{file: audit.log, kind: audit}]" if location == ("sources",) else None
        return SettingsError(f"{where}`{name}` is missing", hint=hint)
    message, hint = _in_words(problem)
    return SettingsError(f"{where}`{name}`: {message}" if name else f"{where}{message}", hint=hint)


_WANTED: Final = {
    "tuple": ("this must be a list", "write it as [one, another]"),
    "dict": ("this must be a mapping", "write it as {key: value}"),
    "model": ("this must be a mapping", "write it as {key: value}"),
    "int": ("this must be a whole number", None),
    "bool": ("this must be true or false", None),
    "string": ("this must be text", "put it in quotes"),
    "path": ("this must be a path", None),
}
"""What is said of a value of the wrong type, by the first word of pydantic's name for the problem."""


def _in_words(problem: ErrorDetails) -> tuple[str, str | None]:
    """What is wrong with a value and what to write instead. Never repeats a value that may be a secret."""
    kind = problem["type"]
    bounds = problem.get("ctx", {})
    if kind == "literal_error":
        expected = re.findall(r"'([^']+)'", str(bounds.get("expected")))
        return f"this must be one of {', '.join(expected)}", nearest(str(problem["input"]), expected)
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = f"at least {bounds['ge']}" if "ge" in bounds else f"at most {bounds.get('le')}"
        return f"this must be {bound}", None
    if kind == "string_pattern_mismatch":
        return f"this must match {bounds.get('pattern')}", None
    if kind == "too_short":
        return "this must not be empty", None
    wanted = _WANTED.get(kind.split("_")[0]) if kind.endswith(("_type", "_parsing", "_from_float")) else None
    return wanted or (problem["msg"].removeprefix("Value error, "), None)


def _keys_beside(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The known keys of the group in which ``location`` stands."""
    model: type[BaseModel] | None = Settings
    for part in location[:-1]:
        if isinstance(part, str) and model is not None:
            annotation = model.model_fields[part].annotation
            inner = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
            model = group_of(inner)
    return tuple(model.model_fields) if model else ()


def origin_of(location: tuple[int | str, ...], tree: Node | None, variables: Mapping[str, str]) -> str:
    """Where a value came from: ``environment NAME``, ``file:line:column``, or ``default``."""
    texts = [part for part in location if isinstance(part, str)]
    names = {PREFIX + "__".join(texts[:length]).upper() for length in range(1, len(texts) + 1)}
    for variable in variables:
        if variable.upper() in names:
            return f"environment {variable}"
    places = list(_places(location, tree))
    return str(places[-1]) if location and len(places) == len(location) else "default"


def _where(location: tuple[int | str, ...], tree: Node | None, variables: Mapping[str, str]) -> str:
    """``file:line:column: `` or ``environment NAME: `` of the innermost known part of a location."""
    texts = [part for part in location if isinstance(part, str)]
    for length in range(len(texts), 0, -1):
        name = PREFIX + "__".join(texts[:length]).upper()
        given = next((variable for variable in variables if variable.upper() == name), None)
        if given is not None:
            return f"environment {given}: "
    place = tree.place if tree else None
    for found in _places(location, tree):
        place = found
    if place is None:
        return ""
    return f"{Place(place.path) if not location else place}: "


def _places(location: tuple[int | str, ...], tree: Node | None) -> Iterator[Place]:
    """Places of the parts of a location, as far as they stand in the file."""
    node = tree
    for part in location:
        if node is None:
            return
        if isinstance(part, str) and node.entries is not None and part in node.entries:
            entry = node.entries[part]
            yield entry.place
            node = entry.node
        elif isinstance(part, int) and node.items is not None and part < len(node.items):
            node = node.items[part]
            yield node.place
        else:
            return


def secret(value: SecretStr | None, path: Path | None, name: str) -> str | None:
    """A secret from its setting or its file; read each time, for files are rotated.

    Raises:
        SettingsError: both are given, or the file cannot be read.
    """
    if value is not None and path is not None:
        raise SettingsError(f"both `{name}` and `{name}_file` are given", hint="keep the file")
    if path is None:
        return value.get_secret_value() if value is not None else None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"`{name}_file` {path} cannot be read: {error}") from error
