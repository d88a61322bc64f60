"""The module's own server: TLS, API keys, roles, limits, metrics, and managers that take over."""

import contextlib
import csv
import io
import json
import socket
import ssl
import threading
import time
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, content, digests, make_image
from qa.workload.module_options import module_options
from tests.cluster.commands import Commands, is_one_sentence, wait_audited
from tests.cluster.importing import exposed
from tests.cluster.own_server import FIXTURES, OPTION, answers
from tests.cluster.rest import BASE, Rest
from tests.fuzz import schemathesis

certificate, servers, server, keys, writer, reader = FIXTURES


def test_the_whole_way_over_tls(
    writer: Rest, client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=4 * MIB)
    before = digests(client, source)
    asked = {"source": source, "target": target, "goal": "executed", "method": "live"}
    made = writer.api("POST", "", asked)
    assert made.status == 201, made
    migration.wait(target, "executed")
    assert writer.at("GET", target).body == migration.report(target)
    assert writer.at("POST", target, "commit", {}).body["state"] == "committed"
    assert digests(client, target) == before


def test_a_read_only_key_has_no_config_key_sent_anywhere(
    cluster: Cluster, reader: Rest, writer: Rest
) -> None:
    with exposed(cluster) as (listener, secret, keys):
        for key in keys:
            asked = {"target": "rbd/x", "source_spec": listener.spec(key)}
            for route in ("/check", ""):
                assert reader.api("POST", route, asked).status == 403
        assert listener.received == []
        for key in keys[1:]:
            asked = {"target": "rbd/x", "source_spec": listener.spec(key)}
            refused = writer.api("POST", "/check", asked)
            assert (refused.status, refused.body["code"]) == (400, "EPERM")
        assert listener.received == []
        writer.api("POST", "/check", {"target": "rbd/x", "source_spec": listener.spec(keys[0])})
        assert any(secret.encode() in sent for sent in listener.received)


def test_clients_that_distrust_the_certificate_end_no_thread(
    server: Rest, cluster: Cluster
) -> None:
    """Each ends the greeting with an alert, as `curl` does with a self-signed certificate."""
    distrusting = Rest(server.url, tls=ssl.create_default_context())
    for _ in range(24):
        with pytest.raises(OSError, match="certificate verify failed"):
            distrusting.ask("GET", "/healthz")
    assert server.ask("GET", "/healthz").body == "ok\n"
    assert "RBD_MIGRATION_SERVER" not in cluster.ceph_json("health")["checks"]


def test_a_source_that_says_nothing_does_not_delay_an_abort(
    writer: Rest, client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> None:
    """It is checked by several at once, and each check waits for it as long as it may."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=4 * MIB)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/disk"
        spec = {"type": "raw", "stream": {"type": "http", "url": url}}
        body = {"target": f"{pools[1]}/new", "import_only": True, "source_spec": spec}
        checks = [
            threading.Thread(target=writer.api, args=("POST", "/check", body)) for _ in range(4)
        ]
        for check in checks:
            check.start()
        try:
            time.sleep(2)
            migration.text("prepare", source, target)
            began = time.monotonic()
            migration.text("abort", target)
            assert time.monotonic() - began < 10
            assert all(check.is_alive() for check in checks)
        finally:
            silent.close()
            for check in checks:
                check.join(60)


def test_an_import(
    writer: Rest,
    client: rados.Rados,
    migration: Commands,
    cluster: Cluster,
    pools: "tuple[str, str]",
) -> None:
    """From a source-spec; an object with secrets in it is refused without repeating them."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=4 * MIB, snapshots=["one"])
    cluster.rbd("snap", "create", f"{source}@now")
    spec = {"type": "native", "pool_name": pools[0], "image_name": "disk", "snap_name": "now"}
    request = {"source_spec": spec, "target": target}
    found = writer.api("POST", "/check", request)
    assert (found.status, found.body["ok"]) == (200, True), found
    made = writer.api("POST", "", {**request, "goal": "executed"})
    assert (made.status, made.body["import_only"]) == (201, True), made
    migration.wait(target, "executed")
    assert writer.at("POST", target, "commit", {}).body["state"] == "committed"
    assert content(client, target) == content(client, f"{source}")
    s3 = {"type": "s3", "url": "http://127.0.0.1:1/x", "access_key": "a", "secret_key": "hidden"}
    wrong = writer.api("POST", "", {**request, "source_spec": {"type": "raw", "stream": s3}})
    assert wrong.status == 400
    assert "hidden" not in str(wrong.body)


def test_a_plan(
    reader: Rest,
    writer: Rest,
    client: rados.Rados,
    cluster: Cluster,
    pools: "tuple[str, str]",
) -> None:
    """Made, checked, run, committed and removed; what is wrong with one is said by its path."""
    make_image(client, f"{pools[0]}/disk", size=64 * KIB, object_size=64 * KIB, snapshots=())
    before = digests(client, f"{pools[0]}/disk")
    plain = {
        "plan": "over-rest",
        "select": [{"pool": pools[0], "namespace": None}],
        "map": {"target_pool": pools[1]},
        "waves": {"size": 0},
        "policy": {"goal": "executed", "method": "live"},
    }
    wrong = writer.api("POST", "/plan", {"definition": plain})
    assert (wrong.status, wrong.body["code"]) == (400, "EINVAL")
    assert "waves.size in the plan is '0'" in wrong.body["detail"]
    del plain["waves"]
    assert reader.api("POST", "/plan", {"definition": plain}).status == 403
    made = writer.api("POST", "/plan", {"definition": plain})
    assert (made.status, made.body["state"]) == (201, "draft"), made
    again = writer.api("POST", "/plan", {"file": json.dumps(plain)})
    assert (again.status, again.body) == (201, made.body)
    assert reader.api("POST", "/plan/over-rest/check", {}).status == 403
    assert writer.api("POST", "/plan/none/check", {}).status == 404
    found = writer.api("POST", "/plan/over-rest/check", {})
    assert (found.status, found.body["total"]) == (200, 1), found
    assert writer.api("POST", "/plan/over-rest/start", {}).status == 200

    def done() -> bool:
        return bool(reader.api("GET", "/plan/over-rest").body["state"] == "done")

    cluster.wait_for(done, 60, "the plan to be done")
    assert digests(client, f"{pools[1]}/disk") == before
    listed = reader.api("GET", "/plan").body
    assert [plan["counts"]["done"] for plan in listed if plan["name"] == "over-rest"] == [1]
    late = writer.api("POST", "/plan/over-rest/skip", {"image": f"{pools[0]}/disk"})
    assert (late.status, late.body["code"]) == (400, "EINVAL"), late

    def to_commit() -> str:
        """How many the page would say that wait for a commit."""
        found = reader.api("GET", "?plan=over-rest&state=executed,verified&goal=executed&limit=1")
        assert found.status == 200, found
        return found.headers["x-total-count"]

    assert to_commit() == "1"
    assert reader.api("POST", "/plan/over-rest/commit", {}).status == 403
    begun = writer.api("POST", "/plan/over-rest/commit", {})
    target = f"{pools[1]}/disk"
    assert (begun.status, begun.body) == (200, {"done": [target], "refused": [], "left": 0})
    assert to_commit() == "0"
    path = f"/at/{target.replace('/', '%2F')}"

    def committed() -> bool:
        return bool(reader.api("GET", path).body["state"] == "committed")

    cluster.wait_for(committed, 60, "the commit")
    assert digests(client, target) == before
    _report_of_the_plan(reader, target)
    wait_audited(
        cluster,
        "rbd migration commit plan=over-rest by 'key test-write': accepted",
        f"migration {pools[0]}/disk -> {target}: 'asked for' by 'plan over-rest'",
        "plan over-rest: done by 'plan over-rest'",
    )
    assert reader.api("DELETE", "/plan/over-rest").status == 403
    assert writer.api("DELETE", "/plan/over-rest").status == 200
    assert reader.api("GET", "/plan/over-rest").status == 404


def _report_of_the_plan(reader: Rest, target: str) -> None:
    """All three forms, for a key that may only read."""
    plain = reader.api("GET", "/plan/over-rest/report")
    assert plain.headers["content-disposition"] == 'attachment; filename="plan-over-rest.json"'
    assert "created by key test-write" in plain.body["timeline"]
    (row,) = plain.body["images"]
    assert (row["target"], row["state"], row["by"]) == (target, "committed", "plan over-rest")
    assert "commit by key test-write" in row["requests"]
    table = reader.api("GET", "/plan/over-rest/report?export=csv")
    (line,) = csv.DictReader(io.StringIO(table.body))
    assert line["target_image_id"] == row["target_image_id"]
    printed = reader.api("GET", "/plan/over-rest/report?export=html")
    assert printed.headers["content-type"] == "text/html; charset=utf-8"
    assert f'<td class="wide">{target} {row["target_image_id"]}' in printed.body
    ended = reader.api("GET", "/history/export?export=csv&plan=over-rest")
    assert [one["target"] for one in csv.DictReader(io.StringIO(ended.body))] == [target]
    assert reader.api("GET", "/plan/none/report?export=html").status == 404
    assert reader.api("GET", "/history/export?export=html").status == 400


def test_roles(reader: Rest, writer: Rest, server: Rest) -> None:
    for who, status in ((server, 401), (reader, 403), (writer, 400)):
        assert who.api("POST", "", {}).status == status
        assert who.api("PUT", "/throttle", {}).status == status
    assert server.api("GET").status == 401
    assert server.api("GET").headers["www-authenticate"].startswith("Bearer")
    assert reader.api("GET").status == 200
    shown = reader.api("GET", "/summary").body["permissions"]
    assert shown == {"read": True, "create": False, "update": False, "delete": False}
    assert all(writer.api("GET", "/summary").body["permissions"].values())


def test_a_key_is_shown_once_and_can_be_revoked(
    server: Rest, migration: Commands, cluster: Cluster
) -> None:
    key = migration.text("api", "key", "create", "short-lived", "--role", "read").split()[0]
    assert "EEXIST" in migration.raw("api", "key", "create", "short-lived").stderr
    bearer = Rest(server.url, key, server.tls)
    assert bearer.api("GET").status == 200
    assert "short-lived" in migration.text("api", "key", "ls")
    secret = key.split("_")[-1]
    assert secret not in migration.text("api", "key", "ls", "--format", "json")
    assert secret not in cluster.ceph("config-key", "dump")
    migration.text("api", "key", "rm", "short-lived")
    assert bearer.api("GET").status == 401
    for wrong in (key[:-1] + "0", "rbdm_x_y", "a.b.c", "rbdm_" + "0" * 12 + "_", "é"):
        assert (
            Rest(server.url, wrong.encode().decode("latin-1"), server.tls).api("GET").status == 401
        )


REFUSED = [
    ("GET", "/at/none%2Fnone", None, 404, "ENOENT"),
    ("GET", "/fly", None, 404, "ENOENT"),
    ("DELETE", "", None, 405, "ENOTSUP"),
    ("OPTIONS", "", None, 405, "ENOTSUP"),
    ("POST", "", {"colour": "red"}, 400, "EINVAL"),
    ("GET", "?limit=1&limit=2", None, 400, "EINVAL"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSED)
def test_a_refusal_is_one_sentence(
    writer: Rest, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = writer.api(method, path, body)
    assert (answer.status, answer.body["code"]) == (status, code), answer
    assert is_one_sentence(answer.body["detail"]), answer.body
    assert "access-control-allow-origin" not in answer.headers


def test_bodies(writer: Rest) -> None:
    assert writer.ask("POST", BASE, raw=b"{").status == 400
    assert writer.ask("POST", BASE, raw=b"[" * 100_000).status == 400
    assert writer.ask("POST", BASE, raw=b'{"priority": NaN}').status == 400
    assert writer.ask("POST", BASE, raw=b"a=b", Content_Type="text/plain").status == 415
    assert writer.ask("POST", BASE).status in (400, 411)
    assert announced(writer, 5 << 20) == 413
    assert writer.ask("GET", BASE, Accept="application/vnd.ceph.api.v9.9+json").status == 415
    assert writer.ask("GET", BASE, Accept="text/html").status == 415
    plain = writer.ask("GET", BASE, Accept="*/*")
    assert plain.headers["content-type"] == "application/json"


def announced(server: Rest, length: int) -> int:
    """The status for a body of that length, which is never sent."""
    place = server.url.split("/")[2]
    with contextlib.closing(HTTPSConnection(place, timeout=10, context=server.tls)) as connection:
        connection.putrequest("POST", BASE)
        connection.putheader("Authorization", f"Bearer {server.token}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        return connection.getresponse().status


def test_what_needs_no_key(server: Rest) -> None:
    assert server.ask("GET", "/healthz").body == "ok\n"
    shown = server.ask("GET", "/metrics").body
    assert 'rbd_migration_migrations{state="executing"}' in shown
    assert server.ask("GET", "/openapi.json").body["openapi"].startswith("3.")
    assert server.ask("GET", "/").headers["location"] == "rbd-migration/"
    script = server.ask("GET", "/rbd-migration/menu.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "default-src 'none'" in script.headers["content-security-policy"]
    for path in ("/rbd-migration/../keys.py", "/rbd-migration/%2e%2e/keys.py", "/etc/passwd"):
        assert server.ask("GET", path).status == 404
    assert server.ask("POST", "/metrics", {}).status == 405


def test_clients_that_say_nothing_do_not_hold_the_others_up(server: Rest) -> None:
    port = int(server.url.rsplit(":", maxsplit=1)[1])
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        quick = Rest(server.url, tls=server.tls, timeout=5)
        assert quick.ask("GET", "/healthz").status == 200


def test_plain_http_gets_nothing_from_the_tls_port(server: Rest) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - reset, or no sensible answer
        Rest(server.url.replace("https", "http"), timeout=5).ask("GET", "/healthz")
    assert server.ask("GET", "/healthz").status == 200


def test_the_api_is_as_its_document_says(
    writer: Rest, certificate: "tuple[Path, Path]", migration: Commands, cluster: Cluster
) -> None:
    """Requests made from the document, good and bad, to the real engine."""
    before = {what: migration.json(what, "get") for what in ("limit", "throttle", "window")}
    done = schemathesis(
        writer.url, writer.token, certificate[0].parent,
        "--phases", "examples,fuzzing", "--max-examples", "8", "--tls-verify", str(certificate[0]),
    )  # fmt: skip
    try:
        assert done.returncode == 0, done.stdout
        paths = writer.ask("GET", "/openapi.json").body["paths"]
        assert f"Tested: {sum(map(len, paths.values()))}\n" in done.stdout
    finally:
        limits = [f"--{k.replace('_', '-')}={v}" for k, v in before["limit"].items()]
        migration.text("limit", "set", *limits)
        migration.text("throttle", "set", "--guard", "off")
        migration.text("throttle", "clear")
        migration.text("window", "clear")
        cluster.ceph("config", "set", "mgr", OPTION + "pool_throttles", "{}")
    for what in ("limit", "throttle", "window"):
        now = migration.json(what, "get")
        assert {**now, "timezone": ""} == {**before[what], "timezone": ""}


def test_services_shows_the_page_and_standby_managers_redirect_to_the_active_one(
    cluster: Cluster, servers: "dict[str, Rest]", keys: "dict[str, str]"
) -> None:
    active = str(cluster.active_mgr())
    address = f"{servers[active].url}/rbd-migration/"

    def shown() -> bool:
        return cluster.ceph_json("mgr", "services").get("rbd_migration") == address

    cluster.wait_for(shown, 20, "the page's address in ceph mgr services")
    other = next(name for name in servers if name != active)
    path = f"{BASE}?search=a%2Fb"

    def redirects() -> bool:
        found = servers[other].ask("GET", path)
        return found.headers.get("location") == servers[active].url + path

    cluster.wait_for(redirects, 30, "the standby manager's redirection")
    assert servers[other].ask("POST", BASE, {}).status == 307
    health = servers[other].ask("GET", "/healthz")
    assert (health.status, health.headers["retry-after"]) == (503, "5")

    cluster.mgr_fail()

    def took_over() -> bool:
        try:
            return (
                Rest(servers[other].url, keys["read"], servers[other].tls).api("GET").status == 200
            )
        except OSError:
            return False

    cluster.wait_for(took_over, 60, "the other manager's server")


def test_without_a_certificate_it_says_what_to_do(
    cluster: Cluster, server: Rest, certificate: "tuple[Path, Path]"
) -> None:
    """TLS is not left out unless it is asked for."""
    with module_options(cluster, server_cert="/nowhere.pem"):

        def warned() -> "str | None":
            checks = cluster.health()["checks"]
            return (
                json.dumps(checks["RBD_MIGRATION_SERVER"])
                if "RBD_MIGRATION_SERVER" in checks
                else None
            )

        found = cluster.wait_for(warned, 30, "the health warning")
        assert "HTTP server" in str(found)
        assert "/nowhere.pem" in cluster.ceph("health", "detail")
        assert answers(server) is None
    cluster.wait_for(lambda: answers(server), 30, "the server, again")
