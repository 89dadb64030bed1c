"""Exceptions of a site: which events they cover, and that they only ever take matches away."""

from __future__ import annotations

import fnmatch
import random
from typing import Any

import pytest

from streamer.detect import Detector, applies
from streamer.detect.detector import Detected
from streamer.detect.evaluate import evaluate
from streamer.model import UNKNOWN, Event
from streamer.sigma import load_text
from streamer.sigma.rules import RuleSet
from tests.decode.given import audit, decode, fluent_bit, gateway, pod, write
from tests.decode.happenings import AUDIT as HAPPENINGS
from tests.decode.happenings import AUDIT_ENVELOPES, GKE_ENVELOPES
from tests.decode.lines import LINES
from tests.decode.test_access_envoy import TODAY
from tests.detect.events import event
from tests.sigma.writing import detection

RULES = (
    detection("asked", "verb: '*'", source="{product: kubernetes, service: audit}")
    + detection("container", "container.type: '*'", source="{product: kubernetes, category: container_spec}")
    + detection("subject", "subject.name: '*'", source="{product: kubernetes, category: rbac_subject}")
    + detection("line", "message: '*'", source="{product: kubernetes, category: container_log}")
    + detection("visit", "c-ip: '*'", source="{product: kubernetes, category: webserver}")
)
CI = "system:serviceaccount:velero:velero"
SYSTEM_MASTERS = {"username": "mallory", "groups": ["system:masters"]}


def rules_with(*entries: str) -> RuleSet:
    items = [f"{{name: entry {number}, reason: r, {entry}}}" for number, entry in enumerate(entries)]
    return load_text({"r.yml": RULES}, allow=f"allow: [{', '.join(items)}]").ok()


def detected(entry: str, value: Any, kind: str = "audit") -> Detected:
    return Detector(rules_with(entry)).detect(decode(value, kind=kind, cluster="prod-1").events)


def left(entry: str, value: Any, kind: str = "audit") -> list[str]:
    """The rules that still match."""
    return [match.rule for match in detected(entry, value, kind).matches]


def by(user: str, **fields: Any) -> dict[str, Any]:
    return audit(user={"username": user}, **fields)


@pytest.mark.parametrize(
    ("entry", "value", "covered"),
    [
        ("users: [alice]", audit(), True),
        ("users: [ALICE]", audit(), True),
        ("users: [bob, 'al*']", audit(), True),
        ("users: ['a?ice']", audit(), False),
        ("users: [alice2]", audit(), False),
        ("users: [alice]", audit(user=None), False),
        ("service_accounts: [velero/velero]", by(CI), True),
        ("service_accounts: ['velero/*']", by(CI), True),
        ("service_accounts: ['*/velero']", by(CI), True),
        ("service_accounts: ['kube-system/*']", by(CI), False),
        ("service_accounts: [velero/velero]", by("velero/velero"), False),
        ("namespaces: [LAB]", audit(), True),
        ("namespaces: ['l*']", audit(), True),
        ("namespaces: [lab]", audit(objectRef={"resource": "nodes"}), False),
        ("addresses: [198.51.100.0/24]", audit(), True),
        ("addresses: [198.51.100.7]", audit(), True),
        ("addresses: [198.51.100.0/24]", audit(sourceIPs=["198.51.100.7", "203.0.113.1"]), False),
        ("addresses: ['2001:db8::/32']", audit(sourceIPs=["2001:db8::7"]), True),
        ("clusters: ['PROD-*']", audit(), True),
        ("clusters: [prod-2]", audit(), False),
        ("users: [alice], namespaces: [lab]", audit(), True),
        ("users: [alice], namespaces: [other]", audit(), False),
    ],
)
def test_attributes_are_joined_by_and_their_values_by_or(entry: str, value: Any, *, covered: bool) -> None:
    assert left(entry, value) == ([] if covered else ["asked"])


@pytest.mark.parametrize("envelope", ["raw", "EventList of the audit webhook", "Fluent Bit", "CRI line"])
def test_an_exception_holds_whatever_brought_the_event(envelope: str) -> None:
    value = AUDIT_ENVELOPES[envelope](by(CI))
    assert left("service_accounts: [velero/velero], namespaces: [lab]", value) == []
    assert left("service_accounts: [velero/other]", value) == ["asked"]


def test_an_exception_holds_for_records_of_google() -> None:
    assert left("users: [alice], namespaces: [lab]", GKE_ENVELOPES["GKE"](audit())) == []


@pytest.mark.parametrize(
    ("user", "acting_as", "covered"),
    [
        ("alice", {"username": "alice"}, True),
        ("alice", {"username": "mallory"}, False),
        ("mallory", {"username": "alice"}, False),
        ("alice", {"uid": "7"}, False),
        ("alice", SYSTEM_MASTERS, False),
    ],
)
def test_users_must_hold_for_who_authenticated_and_for_whom_it_acts_as(
    user: str, acting_as: dict[str, Any], *, covered: bool
) -> None:
    """Else whoever may impersonate could pass for an allowed user. [A5]"""
    assert (left("users: [alice]", by(user, impersonatedUser=acting_as)) == []) is covered


def test_service_accounts_must_hold_for_both_identities_too() -> None:
    assert left("service_accounts: [velero/velero]", by("mallory", impersonatedUser={"username": CI})) == ["asked"]
    assert left("service_accounts: [velero/velero]", by(CI, impersonatedUser={"username": "mallory"})) == ["asked"]


OURS = {"name": "c", "image": "registry.example.com/ops/agent:1.2"}
THEIRS = {"name": "d", "image": "docker.io/evil/miner:1"}


def test_images_must_cover_every_image_of_the_workload_and_of_a_container_its_own() -> None:
    entry = "images: ['registry.example.com/ops/*']"
    assert left(entry, write("pods", pod(OURS))) == []
    assert left(entry, write("pods", pod(OURS, THEIRS))) == ["asked", "container"]
    both = detected(entry, write("pods", pod(OURS, THEIRS)))
    assert both.allowed == {("entry 0", "container"): 1}
    hidden = pod(OURS, initContainers=[THEIRS])
    assert left(entry, write("pods", hidden)) == ["asked", "container"]


@pytest.mark.parametrize("image", ["nginx:1", "library/nginx", "docker.io/library/nginx@sha256:00", "nginx"])
@pytest.mark.parametrize("written", ["nginx", "docker.io/library/nginx", "library/nginx"])
def test_docker_hub_goes_by_any_of_its_names(written: str, image: str) -> None:
    assert left(f"images: ['{written}']", write("pods", pod({"name": "c", "image": image}))) == []


@pytest.mark.parametrize("image", ["evil.example/nginx:1", "nginx-evil", "evil/nginx"])
def test_the_same_name_in_another_registry_is_another_image(image: str) -> None:
    assert left("images: [nginx]", write("pods", pod({"name": "c", "image": image}))) == ["asked", "container"]


def test_an_event_without_images_is_not_covered_by_images() -> None:
    assert left("images: [nginx]", audit()) == ["asked"]


def test_what_is_unknown_is_not_covered() -> None:
    """[D7] only what is certain is allowed; [D5] a field that was cut off is unknown."""
    assert left("images: [nginx]", write("pods", None, level="Metadata")) == ["asked"]
    assert left("images: [nginx]", write("pods", '{"spec":{"containers":[{"image":"nginx"[Truncated...]')) == ["asked"]
    rules = rules_with("users: [alice]")
    cut = event({"verb": "get", "user": {"username": "alice"}, "impersonatedUser": UNKNOWN})
    assert [match.rule for match in Detector(rules).detect([cut]).matches] == ["asked"]


def test_what_is_expanded_from_an_event_is_covered_as_the_event_is() -> None:
    binding = {"subjects": [{"kind": "User", "name": "x"}], "roleRef": {"kind": "Role", "name": "r"}}
    value = write("rolebindings", binding, ref={"apiGroup": "rbac.authorization.k8s.io"})
    assert left("users: [alice]", value) == []
    assert left("users: [bob]", value) == ["asked", "subject"]


@pytest.mark.parametrize(
    ("entry", "covered"),
    [
        ("namespaces: [lab]", True),
        ("images: [tensorflow/tensorflow]", True),
        ("images: ['docker.io/tensorflow/*']", True),
        ("images: [tensorflow/tensorflow-gpu]", False),
        ("images: [evil.example/tensorflow/tensorflow]", False),
        ("clusters: [prod-1]", True),
        ("users: [alice]", False),
        ("addresses: [0.0.0.0/0]", False),
    ],
)
def test_a_container_line_has_a_namespace_an_image_and_a_cluster(entry: str, *, covered: bool) -> None:
    assert (left(entry, fluent_bit("hello"), "containers") == []) is covered


@pytest.mark.parametrize(
    ("entry", "covered"),
    [
        ("addresses: [203.0.113.0/24], namespaces: [istio-system]", True),
        ("addresses: [192.0.2.0/30]", False),
        ("users: ['*.example']", False),
    ],
)
def test_an_access_line_has_the_clients_address_too(entry: str, *, covered: bool) -> None:
    assert ("visit" not in left(entry, gateway(TODAY), "containers")) is covered


def test_an_entry_holds_to_the_end_of_its_last_day_by_the_time_of_the_event() -> None:
    """[D7]"""
    detector = Detector(rules_with("users: [alice], until: 1970-01-02"))
    last, next_day = (
        event({"verb": "get", "user": {"username": "alice"}}, offset=second) for second in (172_799, 172_800)
    )
    assert [match.time_us // 1_000_000 for match in detector.detect([last, next_day]).matches] == [172_800]


def test_what_was_allowed_is_counted_by_entry_and_rule_the_first_that_covers_counts() -> None:
    rules = rules_with("users: [bob]", "users: [alice]", "namespaces: [lab]")
    found = Detector(rules).detect(decode(audit(), audit(), cluster="prod-1").events)
    assert found.allowed == {("entry 1", "asked"): 2}


def test_a_failing_exception_leaves_the_match_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no")

    monkeypatch.setattr("streamer.detect.detector.allowing", broken)
    found = detected("users: [alice]", audit())
    assert ([match.rule for match in found.matches], len(found.failures)) == (["asked"], 1)


USERS = ("alice", "bob", CI, "system:node:n1")
NAMESPACES = ("lab", "velero", "")
ADDRESSES = ("198.51.100.7", "10.0.0.9")


def naive(entry: dict[str, list[str]], happened: Event) -> bool:
    """What an exception means, written once more without predicates."""
    fields = happened.fields
    names = [fields["user"]["username"]]
    if "impersonatedUser" in fields:
        names.append(fields["impersonatedUser"]["username"])
    held = True
    if "users" in entry:
        held = all(any(fnmatch.fnmatchcase(name, wanted) for wanted in entry["users"]) for name in names)
    if "namespaces" in entry:
        held = held and fields["objectRef"].get("namespace") in entry["namespaces"]
    if "addresses" in entry:
        held = held and fields["source"]["ip"] in entry["addresses"]
    return held


def random_entry(dice: random.Random) -> dict[str, list[str]]:
    choices = {"users": (*USERS, "system:*", "*o*"), "namespaces": NAMESPACES[:2], "addresses": ADDRESSES}
    keys = dice.sample(sorted(choices), dice.randint(1, 3))
    return {key: dice.sample(choices[key], dice.randint(1, 2)) for key in keys}


def random_value(dice: random.Random) -> dict[str, Any]:
    namespace = dice.choice(NAMESPACES)
    ref = {"resource": "pods"} | ({"namespace": namespace} if namespace else {})
    acting = {"impersonatedUser": {"username": dice.choice(USERS)}} if dice.random() < 0.3 else {}
    return by(dice.choice(USERS), objectRef=ref, sourceIPs=[dice.choice(ADDRESSES)], **acting)


@pytest.mark.parametrize("seed", range(20))
def test_matches_with_exceptions_are_those_without_less_what_is_covered(seed: int) -> None:
    dice = random.Random(seed)
    entries = [random_entry(dice) for _ in range(dice.randint(1, 4))]
    events = decode(*[random_value(dice) for _ in range(60)]).events
    plain = Detector(load_text({"r.yml": RULES}).ok()).detect(events).matches
    covered = [any(naive(entry, happened) for entry in entries) for happened in events]
    assert len(plain) == len(events)
    expected = [match for match, gone in zip(plain, covered, strict=True) if not gone]
    written = [", ".join(f"{key}: {values!r}" for key, values in entry.items()) for entry in entries]
    found = Detector(rules_with(*written)).detect(events)
    assert list(found.matches) == expected
    assert sum(found.allowed.values()) == sum(covered)


def slowly(rules: RuleSet, happened: Event) -> list[str]:
    """The definition: every rule that sees the event, in full, less what an exception certainly covers."""
    found = []
    for rule in rules.detections:
        if not applies(rule.logsource, happened.logsource) or evaluate(rule.predicate, happened) is not True:
            continue
        covers = (item.predicates.get(happened.logsource) for item in rule.allowed)
        if not any(predicate is not None and evaluate(predicate, happened) is True for predicate in covers):
            found.append(rule.meta.key)
    return found


@pytest.mark.parametrize(
    "entry", ["users: ['a*']", "images: ['*e*', '*i*']", "namespaces: [lab], addresses: [198.51.100.0/24]"]
)
def test_the_fast_way_with_exceptions_gives_what_the_slow_one_gives(entry: str) -> None:
    rules = rules_with(entry)
    events = [
        *(event for happening in HAPPENINGS for event in decode(happening).events),
        *(event for line in LINES for event in decode(fluent_bit(str(line)), kind="containers").events),
    ]
    for happened in events:
        fast = [match.rule for match in Detector(rules).detect([happened]).matches]
        assert happened.stage_only or fast == slowly(rules, happened)
    assert Detector(rules).detect(events).allowed
