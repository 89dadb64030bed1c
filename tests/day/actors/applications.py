"""What applications print: JSON, access logs, stack traces, SQL, and words that sound worse than they are."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from streamer.authoring.cases_time import iso, moment_of
from tests.day.cluster import APPS, Pod, app_pod, pod_of
from tests.day.ink import MINUTE, Day, Written
from tests.day.rhythm import Habit, moments


def _any_pod(day: Day) -> Pod:
    namespace = day.draw.choice(tuple(APPS))
    return app_pod(namespace, day.draw.choice(APPS[namespace]), day.draw.randrange(3))


def json_lines(day: Day, at: int) -> Iterator[Written]:
    """Structured lines of a service."""
    took = day.draw.randrange(2, 900)
    path = day.draw.choice(("/cart", "/checkout", "/api/v1/orders/8841", "/healthz", "/metrics", "/search?q=curl+wand"))
    text = (
        f'{{"time":"{iso(at)}","level":"info","msg":"request","method":"GET","path":"{path}","status":200,'
        f'"took_ms":{took},"trace_id":"{day.fresh().replace("-", "")}","user_agent":"curl/8.5.0"}}'
    )
    yield from day.line(at, _any_pod(day), text)


_HARMLESS = (
    "upstratum sampling: 3 strata, allocation by stratum size",
    "INFO stratum 2 clock selected, offset +0.0003 s",
    "chronyd[1]: Selected source 10.0.0.4 (stratum 3)",
    "geology-service: loaded 1204 strata from stratum_catalog.parquet",
    "text miner finished: 8812 documents, 41 topics",
    "data-miner v2.1 started, pool size 8, speed 1200 rows/s",
    "HikariPool-1 - Pool stats (total=10, active=3, idle=7, waiting=0)",
    "connection pool size 32, max 64",
    "accepted connection from 10.244.3.17:52114",
    "offer accepted (3/5) by carrier, diff to quote 12 EUR",
    "job accepted, queue=mail, pool=default",
    "share accepted: document 8841 is now visible to 3 people",
    "new job from queue invoices: 0412",
    "new job from scheduler@batch-3:5432 queued",
    "use pool default for tenant 41",
    "GET https://example.com/docs/install?cmd=curl+-sSL+https://get.example.com+|+sh 200",
    "wget is not installed, falling back to http client",
    "rx/0 errors on eth0: 0 dropped, tx/0 errors: 0",
    "algo=sha256 verify ok, difficulty easy, speed 10s",
    "speed 10s/60s/15m 1250 1248 1239 rows/s",
    "hash rate limiter: 1200 hashes/min for tenant 9",
    "hashrate of the consistent ring: 0.25 per node",
    "GPU #0: Tesla T4 - temperature 61 C",
    "monero: the accounting module does not support this currency, skipping",
    "ethereum price feed 2412.18 EUR",
    "cryptominer signature list updated: 412 rules (clamav)",
    "rejected (2/5): offer below reserve price",
    "cpu profile written to /tmp/cpu.pprof",
    "running: bash -c 'pg_dump billing | gzip | base64 > /backup/billing.b64'",
    "curl: (28) Operation timed out after 5000 milliseconds",
    "chmod +x /app/entrypoint.sh done",
    "secret rotation: 4 secrets read from vault, 0 changed",
    "kubectl get pods is only possible with a valid session",
    "nc -z postgres 5432: open",
    "rm -rf /tmp/build-8841 done",
    "eval took 14 ms; exec plan cached",
    "user typed: ' OR 1=1 -- ; input refused",
    "password reset link sent to c***@example.com",
    "ssh-rsa key of deploy bot expires in 12 days",
    "Unable to load credentials from http://169.254.169.254/latest/meta-data/iam/security-credentials/: connection refused",
    "vault agent: reading token from /var/run/secrets/kubernetes.io/serviceaccount/token",
    "dns filter: pool.supportxmr.com is on the block list (412 domains), answered NXDOMAIN",
    "modsecurity: [client 198.51.100.7] Access denied with code 403, matched ${jndi: in ARGS:x",
    "loaded rule 'Detect crypto miners using the Stratum protocol' (stratum+tcp, stratum2+tcp, stratum+ssl)",
    "trivy: CVE-2021-44228 fixed in 2.15.0; test payload ${jndi:ldap://127.0.0.1/a} not logged",
    "bash: line 1: nmap: command not found (health check skipped)",
    "Downloading https://github.com/prometheus/node_exporter/releases/download/v1.9.0/node_exporter.tar.gz",
)


def harmless_words(day: Day, at: int) -> Iterator[Written]:
    """Sentences with a word in them that somebody's rule may look for."""
    yield from day.line(at, _any_pod(day), day.draw.choice(_HARMLESS))


def sql_lines(day: Day, at: int) -> Iterator[Written]:
    """PostgreSQL, with COPY, slow statements and errors."""
    pod = pod_of("data", "postgres", "docker.io/library/postgres:17.2", kind="StatefulSet", container="postgres")
    stamp = f"{moment_of(at):%Y-%m-%d %H:%M:%S}.{day.draw.randrange(999):03d} UTC [{day.draw.randrange(30, 9000)}]"
    text = day.draw.choice((
        "LOG:  checkpoint complete: wrote 1204 buffers (7.3%); 0 WAL file(s) added",
        "LOG:  duration: 1834.221 ms  statement: SELECT * FROM orders WHERE created_at > now() - interval '1 day'",
        "LOG:  statement: COPY public.orders (id, total) FROM STDIN WITH CSV",
        "LOG:  statement: COPY (SELECT * FROM ledger) TO STDOUT WITH CSV HEADER",
        'ERROR:  duplicate key value violates unique constraint "orders_pkey"',
        "LOG:  automatic vacuum of table \"shop.public.sessions\": index scans: 1",
        "FATAL:  password authentication failed for user \"postgres\"",
        "LOG:  connection authorized: user=airflow database=airflow application_name=curl_job",
    ))  # fmt: skip
    yield from day.line(at, pod, f"{stamp} {text}", stream="stderr")


_TRACE = (
    "Traceback (most recent call last):",
    '  File "/app/jobs/fetch.py", line 41, in run',
    "    response = session.get(url, timeout=5)",
    '  File "/usr/lib/python3.12/subprocess.py", line 571, in run',
    "    raise CalledProcessError(retcode, process.args, output=stdout, stderr=stderr)",
    "subprocess.CalledProcessError: Command '['curl', '-fsS', 'http://ledger.billing.svc/export']' returned non-zero exit status 22.",
)
_JAVA = (
    "2026-03-10 10:00:00.000 ERROR 1 --- [nio-8080-exec-4] o.a.c.c.C.[.[.[/].[dispatcherServlet] : Servlet.service() threw exception",
    'java.lang.NullPointerException: Cannot invoke "Order.total()" because "order" is null',
    "\tat com.example.shop.Checkout.pay(Checkout.java:118)",
    "\tat org.apache.logging.log4j.core.lookup.JndiLookup.lookup(JndiLookup.java:56)",
    "\tat java.base/java.lang.Runtime.exec(Runtime.java:350)",
    "\t... 41 common frames omitted",
)


def stack_traces(day: Day, at: int) -> Iterator[Written]:
    """A trace, a line at a time."""
    pod = _any_pod(day)
    for place, text in enumerate(day.draw.choice((_TRACE, _JAVA))):
        yield from day.line(at + place * 150, pod, text, stream="stderr")


def base64_lines(day: Day, at: int) -> Iterator[Written]:
    """Webhooks, tokens and images in base64."""
    payload = b64encode((day.fresh() * day.draw.randrange(1, 12)).encode()).decode()
    text = day.draw.choice(
        ('{"level":"debug","msg":"webhook","payload":"%s"}', "X-Signature: sha256=%s", "data:image/png;base64,%s")
    )
    yield from day.line(at, _any_pod(day), text % payload)


def system_lines(day: Day, at: int) -> Iterator[Written]:
    """CoreDNS, etcd, the CNI and the schedulers' klog."""
    klog = f"I{moment_of(at):%m%d %H:%M:%S}.{day.draw.randrange(999_999):06d}       1"
    pod, text = day.draw.choice((
        (pod_of("kube-system", "coredns", "registry.k8s.io/coredns/coredns:v1.12.0"),
         f'[INFO] 10.244.3.{day.draw.randrange(250)}:41017 - 8812 "A IN pool.ntp.org. udp 34 false 512" NOERROR qr,rd 66 0.0021s'),
        (pod_of("kube-system", "cilium", "quay.io/cilium/cilium:v1.17.1", kind="DaemonSet"),
         'time="2026-03-10T10:00:00Z" level=info msg="Rewrote endpoint BPF program" containerID=ab12 subsys=endpoint'),
        (pod_of("kube-system", "metrics-server", "registry.k8s.io/metrics-server/metrics-server:v0.7.2"),
         f'{klog} scraper.go:149] "Failed to scrape node" err="context deadline exceeded" node="worker-03"'),
        (pod_of("monitoring", "prometheus", "quay.io/prometheus/prometheus:v3.1.0", kind="StatefulSet"),
         'ts=2026-03-10T10:00:00.000Z caller=compact.go:523 level=info component=tsdb msg="write block" duration=1.2s'),
        (pod_of("kube-system", "kube-apiserver", "registry.k8s.io/kube-apiserver:v1.33.5", host_network=True),
         f'{klog} trace.go:236] Trace[18]: "List" accept:application/json,audit-id:ab (10-Mar 10:00) (total time: 612ms)'),
        (pod_of("argocd", "argocd-server", "quay.io/argoproj/argocd:v2.13.2"),
         'time="2026-03-10T10:00:00Z" level=info msg="finished unary call" grpc.method=Get grpc.service=application'),
    ))  # fmt: skip
    yield from day.line(at, pod, text, stream=day.draw.choice(("stdout", "stderr")))


def coloured_lines(day: Day, at: int) -> Iterator[Written]:
    """Developers like colours."""
    pod = _any_pod(day)
    yield from day.line(
        at, pod, f"\x1b[32m info\x1b[0m  job accepted \x1b[36m(diff {day.draw.randrange(90)} rows)\x1b[0m"
    )


def long_lines(day: Day) -> Iterator[Written]:
    """A service that dumps its whole configuration at start, and one that dumps its environment."""
    for at in moments(day, "people", 20):
        settings = ",".join(f'"setting_{number}":"{day.draw.randrange(10**6)}"' for number in range(400))
        yield from day.line(at, _any_pod(day), f'{{"level":"info","msg":"configuration",{settings}}}')
        yield from day.line(
            at + MINUTE, _any_pod(day), "env: KUBERNETES_SERVICE_HOST=10.96.0.1 HOME=/root PATH=/usr/bin:/bin"
        )


STORIES = (long_lines,)
HABITS = (
    Habit(30, "traffic", json_lines, "containers"),
    Habit(5, "traffic", harmless_words, "containers"),
    Habit(4, "machine", sql_lines, "containers"),
    Habit(0.7, "traffic", stack_traces, "containers"),
    Habit(2, "traffic", base64_lines, "containers"),
    Habit(10, "machine", system_lines, "containers"),
    Habit(1, "traffic", coloured_lines, "containers"),
)
