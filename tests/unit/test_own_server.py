"""The module's own server: keys, tokens, answers and limits, without a manager or a cluster."""

import base64
import contextlib
import csv
import gc
import hashlib
import hmac
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbdmigrate.model.errors import MigrationError
from tests.fuzz import schemathesis
from tests.unit.front_ends import FakeEngine, FakeModule

pytestmark = pytest.mark.programs

ALL = {"read", "create", "update", "delete"}
BASE = "/api/block/migration"
DOC = Path(__file__).parents[2] / "doc"


@pytest.fixture
def module(front_end):
    return FakeModule(front_end("options").OPTIONS)


class TestKeys:
    @pytest.fixture
    def keys(self, front_end, module):
        return front_end("http.auth.keys").ApiKeys(module)

    def test_a_key_is_good_for_its_role_until_it_is_removed(self, keys):
        reader, writer = keys.create("ci", "read"), keys.create("robot", "write")
        assert keys.caller(reader["key"]) == ("key ci", {"read"})
        assert keys.caller(writer["key"]).permissions == ALL
        assert keys.caller(writer["key"]).permissions == ALL  # remembered
        assert [key["name"] for key in keys.list()] == ["ci", "robot"]
        keys.remove("robot")
        keys.remove(reader["id"])
        assert keys.caller(writer["key"]) is keys.caller(reader["key"]) is None
        assert keys.list() == []

    def test_what_is_kept_does_not_hold_the_secret(self, keys, module):
        key = keys.create("ci", "read")["key"]
        assert key.split("_")[-1] not in json.dumps(module.store)
        assert "hash" not in json.dumps(keys.list())

    def test_a_key_is_good_after_a_restart(self, front_end, keys, module):
        key = keys.create("ci", "write")["key"]
        assert front_end("http.auth.keys").ApiKeys(module).caller(key).permissions == ALL

    @pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "x" * 65])
    def test_names(self, keys, name):
        with pytest.raises(MigrationError):
            keys.create(name, "read")

    def test_what_makes_no_sense_is_refused(self, keys):
        keys.create("ci", "read")
        for call in (
            lambda: keys.create("ci", "read"),
            lambda: keys.create("x", "admin"),
            lambda: keys.remove("x"),
        ):
            with pytest.raises(MigrationError):
                call()

    @settings(max_examples=20)  # each makes a key, which is slow on purpose
    @given(st.text(max_size=40))
    def test_anything_else_is_no_key(self, front_end, text):
        keys = front_end("http.auth.keys").ApiKeys(FakeModule([]))
        ident = keys.create("ci", "read")["id"]
        for wrong in (text, f"rbdm_{text}", f"rbdm_{ident}_{text}"):
            assert keys.caller(wrong) is None


def part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(secret="s", alg="HS256", **claims):
    now = time.time()
    claims = {"jti": "1", "exp": now + 60, "iat": now, "username": "ann", **claims}
    signed = f"{part({'typ': 'JWT', 'alg': alg})}.{part(claims)}"
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(mac)}"


def user(*roles, **more):
    return {"roles": list(roles), "enabled": True, "lastUpdate": 0, "pwdUpdateRequired": False,
            "pwdExpirationDate": None, **more}  # fmt: skip


GOOD_USERS = [
    (user("administrator"), ALL),
    (user("read-only"), {"read"}),
    (user("read-only", "block-manager"), ALL),
    (user("rgw-manager"), set()),
    (user("movers"), {"read", "update"}),
]
BAD_USERS = [
    user("administrator", enabled=False),
    user("administrator", pwdUpdateRequired=True),
    user("administrator", lastUpdate=9e9),
    user("administrator", pwdExpirationDate=1),
    {},
    None,
]
BAD_TOKENS = {  # the names are for pytest-xdist: the tokens differ in each of its workers
    "other secret": token(secret="other"),
    "no algorithm": token(alg="none"),
    "other algorithm": token(alg="RS256"),
    "expired": token(exp=1),
    "expiry that is no number": token(exp="x"),
    "revoked": token(jti="revoked"),
    "unknown user": token(username="bob"),
    "cut signature": token()[:-2],
    "no signature": token().rsplit(".", maxsplit=1)[0] + ".",
    "two parts": "a.b",
    "empty parts": "..",
    "long": "x" * 10_000,
}


class TestTokens:
    @staticmethod
    def tokens(front_end, **store):
        roles = {"movers": {"scopes_permissions": {"rbd-image": ["read", "update"]}}}
        users = {"users": {"ann": store.pop("ann", user("administrator"))}, "roles": roles}
        values = {
            "jwt_secret": "s",
            "jwt_token_block_list": json.dumps({"revoked": 9e9}),
            "accessdb_v2": json.dumps(users),
            **store,
        }
        return front_end("http.auth.tokens").DashboardTokens(values.get)

    @pytest.mark.parametrize(("ann", "permissions"), GOOD_USERS)
    def test_a_user_may_what_the_roles_say(self, front_end, ann, permissions):
        assert self.tokens(front_end, ann=ann).caller(token()) == ("user ann", permissions)

    @pytest.mark.parametrize("ann", BAD_USERS)
    def test_a_user_who_may_not_log_in_may_nothing(self, front_end, ann):
        assert self.tokens(front_end, ann=ann).caller(token()) is None

    @pytest.mark.parametrize("text", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
    def test_a_token_that_is_not_good(self, front_end, text):
        assert self.tokens(front_end).caller(text) is None

    @pytest.mark.parametrize("text", ["", None])
    def test_without_a_dashboard_no_token_is_good(self, front_end, text):
        assert self.tokens(front_end, jwt_secret=text).caller(token(secret="")) is None

    def test_one_thread_reads_the_users_and_others_use_those_they_had(self, front_end, monkeypatch):
        found = front_end("http.auth.tokens")
        monkeypatch.setattr(found, "_FRESH", 0.0)
        reading, go_on = threading.Event(), threading.Event()
        values = {"jwt_secret": "s", "accessdb_v2": json.dumps({"users": {"ann": user()}})}
        slow = []

        def read(name):
            if slow:
                reading.set()
                assert go_on.wait(10)
            return values.get(name)

        tokens = found.DashboardTokens(read)
        assert tokens.caller(token()) is not None
        slow.append(True)
        first = threading.Thread(target=tokens.caller, args=(token(),))
        first.start()
        assert reading.wait(10)
        others = [threading.Thread(target=tokens.caller, args=(token(),)) for _ in range(8)]
        for other in others:
            other.start()
        for other in others:
            other.join(5)
        assert not any(other.is_alive() for other in others)
        assert tokens.caller(token()) is not None
        go_on.set()
        first.join(5)

    def test_users_that_cannot_be_read_any_more_are_good_for_a_minute(self, front_end, monkeypatch):
        found = front_end("http.auth.tokens")
        monkeypatch.setattr(found, "_FRESH", -1.0)
        values = {"jwt_secret": "s", "accessdb_v2": json.dumps({"users": {"ann": user()}})}
        silent = []

        def read(name):
            if silent:
                raise TimeoutError("no answer")
            return values.get(name)

        tokens = found.DashboardTokens(read)
        assert tokens.caller(token()) is not None
        silent.append(True)
        assert tokens.caller(token()) is not None
        monkeypatch.setattr(found, "_USABLE", 0.0)
        assert tokens.caller(token()) is None
        silent.clear()
        monkeypatch.setattr(found, "_USABLE", 60.0)
        assert tokens.caller(token()) is not None

    def test_monitors_that_do_not_answer_are_asked_once_in_five_seconds(self, front_end):
        asked = []

        def read(name):
            asked.append(name)
            raise TimeoutError("no answer")

        tokens = front_end("http.auth.tokens").DashboardTokens(read)
        for _ in range(10):
            assert tokens.caller(token()) is None
        assert len(asked) == 1

    @given(st.text(max_size=60))
    def test_anything_else_is_no_token(self, front_end, text):
        assert self.tokens(front_end).caller(text) is None


@pytest.fixture
def server(front_end):
    pytest.importorskip("prettytable")
    return front_end("http.server.wsgi")


@pytest.fixture
def application(front_end, server, module):
    """Makes an application with that engine."""
    options = front_end("options").Options(module)
    options.read()
    context = front_end("http.api.dispatch").Context
    caller = front_end("http.auth.caller").Caller
    may = {"reader": {"read"}, "writer": ALL, "nobody": set()}
    known = {name: caller(name, frozenset(permissions)) for name, permissions in may.items()}

    def make(engine):
        measured = front_end("metrics").MetricsCache(lambda: engine, "16.2.15")
        asked = context(engine, options, "16.2.15")
        return server.Application(context=lambda: asked, authenticate=known.get, measured=measured)

    return make


@pytest.fixture
def ask(application):
    """Makes a request: its status, headers and body."""

    def give(method, address, body=None, engine=FakeEngine(), bearer="writer", **more):  # noqa: B008
        raw = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        environ = {
            "REQUEST_METHOD": method,
            "REQUEST_URI": address,
            "QUERY_STRING": address.partition("?")[2],
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(raw)),
            "HTTP_AUTHORIZATION": f"Bearer {bearer}" if bearer else "",
            "wsgi.input": io.BytesIO(raw),
            **more,
        }
        answer = {}

        def start(status, headers):
            answer.update(status=int(status.split()[0]), headers=dict(headers))

        answer["body"] = b"".join(application(engine)(environ, start))
        return answer

    return give


def test_a_name_cannot_write_a_line_of_its_own_into_the_log(ask, caplog):
    caplog.set_level("INFO")
    ask("POST", BASE + "/at/b%0A2026-01-01%20INFO%20forged%ED%A0%80%E2%80%A8/commit", {})
    acted = [record.getMessage() for record in caplog.records]
    assert [text for text in acted if text.startswith("commit by ") and "forged" in text]
    assert all(text.isprintable() and text.isascii() for text in acted)


STATUSES = [
    ("GET", BASE + "/throttle", {}, 200),
    ("HEAD", BASE + "/throttle", {}, 200),
    ("GET", BASE + "/at/ssd%2Fb", {}, 200),
    ("POST", BASE, {"body": {"source": "a"}}, 201),
    ("POST", BASE, {"body": b""}, 400),
    ("POST", BASE, {"body": b"{"}, 400),
    ("POST", BASE, {"body": b"NaN"}, 400),
    ("POST", BASE + "/at/b/commit", {"body": b"null"}, 400),
    ("POST", BASE + "/at/b/commit", {"body": b"[]"}, 400),
    ("POST", BASE, {"body": b"[" * 99_999}, 400),
    ("POST", BASE, {"body": b"\xff"}, 400),
    ("POST", BASE, {"body": {}, "CONTENT_LENGTH": ""}, 411),
    ("POST", BASE, {"body": {}, "CONTENT_LENGTH": "-1"}, 411),
    ("POST", BASE, {"body": {}, "CONTENT_LENGTH": "99999999"}, 413),
    ("POST", BASE, {"body": {}, "CONTENT_TYPE": "text/plain"}, 415),
    ("POST", BASE, {"body": {"source": "a"}, "CONTENT_TYPE": "application/json; charset=x"}, 201),
    ("GET", BASE + "/throttle", {"HTTP_ACCEPT": "text/html"}, 415),
    ("GET", BASE + "/throttle", {"HTTP_ACCEPT": "text/html, */*;q=0.1"}, 200),
    ("GET", BASE + "/throttle", {"bearer": ""}, 401),
    ("GET", BASE + "/throttle", {"bearer": "wrong"}, 401),
    ("GET", BASE + "/throttle", {"HTTP_AUTHORIZATION": "Basic writer"}, 401),
    ("GET", BASE + "/throttle", {"bearer": "nobody"}, 403),
    ("PUT", BASE + "/throttle", {"bearer": "reader", "body": {}}, 403),
    ("POST", BASE + "/at/b/commit", {"bearer": "reader", "body": {}}, 403),
    ("POST", BASE + "/check", {"bearer": "reader", "body": {"source": "a"}}, 200),
    ("POST", BASE + "/check", {"bearer": "reader", "body": {"import_only": True}}, 403),
    ("POST", BASE + "/plan/x/check", {"bearer": "reader", "body": {}}, 403),
    ("PATCH", BASE + "/throttle", {}, 405),
    ("OPTIONS", BASE, {}, 405),
    ("GET", BASE + "x", {}, 404),
    ("GET", BASE + "/x", {}, 404),
    ("GET", "http://host" + BASE + "/throttle?pool=x", {}, 400),
    ("GET", "/x", {}, 404),
    ("POST", "/healthz", {}, 405),
    ("GET", "/healthz", {"bearer": ""}, 200),
    ("GET", "/healthz", {"engine": None}, 503),
    ("GET", "/metrics", {"engine": None}, 503),
    ("GET", BASE, {"engine": None}, 503),
    ("GET", "/", {}, 302),
    ("GET", "/rbd-migration", {}, 302),
    ("GET", "/rbd-migration/menu.js", {"bearer": ""}, 200),
    ("GET", "/rbd-migration/openapi.json", {"bearer": ""}, 200),
    ("GET", "/openapi.json", {"bearer": ""}, 200),
    ("GET", "/rbd-migration/..%2fkeys.py", {}, 404),
]


@pytest.mark.parametrize(("method", "address", "more", "status"), STATUSES)
def test_statuses(ask, method, address, more, status):
    answer = ask(method, address, **more)
    headers = answer["headers"]
    assert answer["status"] == status
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert headers.get("Retry-After") == ("5" if status == 503 else None)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    if method == "HEAD":
        assert answer["body"] == b""
        assert int(headers["Content-Length"]) > 0
    elif status >= 400 and address.startswith(BASE):
        assert set(json.loads(answer["body"])) == {"detail", "code", "component"}


@pytest.mark.parametrize(
    ("given", "said"),
    [("", "Give an API key"), ("wrong", "is not known")],
    ids=["nothing", "an unknown key"],
)
def test_a_key_that_is_not_known_is_told_from_none(ask, given, said):
    answer = ask("GET", BASE + "/throttle", bearer=given)
    assert said in json.loads(answer["body"])["detail"]


def test_an_error_of_ours_is_told_without_details(ask):
    class Broken(FakeEngine):
        def cluster_rate(self):
            raise ZeroDivisionError("secret")

    for address in (BASE + "/throttle", "/metrics"):
        answer = ask("GET", address, engine=Broken())
        assert answer["status"] == 500
        assert b"secret" not in answer["body"]


def test_metrics_are_worked_out_once_in_a_second(front_end, server, application, monkeypatch):
    engine = FakeEngine()
    summary = Mock(wraps=engine.listing.summary)
    monkeypatch.setattr(engine.listing, "summary", summary)
    made = application(engine)

    def scrape():
        found = []
        environ = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/metrics"}
        body = b"".join(made(environ, lambda status, headers: found.append(status)))
        assert found == ["200 OK"]
        return body

    first = scrape()
    assert [scrape() for _ in range(20)] == [first] * 20
    assert summary.call_count == 1
    monkeypatch.setattr(front_end("metrics"), "_AGE", -1.0)
    scrape()
    assert summary.call_count == 2


def test_an_address_is_known_once_a_good_key_came_from_it(front_end, server, options):
    known = front_end("http.server.networks").KnownNetworks()
    context = front_end("http.api.dispatch").Context(FakeEngine(), options, "16.2.15")
    good = front_end("http.auth.caller").Caller("key x", frozenset({"read"}))
    measured = front_end("metrics").MetricsCache(lambda: None, "")
    made = server.Application(
        context=lambda: context, authenticate={"good": good}.get, measured=measured, known=known
    )
    for key, expected in (("wrong", False), ("good", True)):
        environ = {
            "REQUEST_METHOD": "GET",
            "REQUEST_URI": BASE + "/limit",
            "REMOTE_ADDR": "::ffff:192.0.2.7",
            "HTTP_AUTHORIZATION": f"Bearer {key}",
        }
        made(environ, lambda status, headers: None)
        assert ("192.0.2.7" in known) is expected


def measured(front_end, cluster_rate=None, guard=None, release="16"):
    """The metrics of an engine with some migrations."""
    engine = FakeEngine()
    engine.listing.summary = lambda: {
        "counts": {"queued": 1}, "holds": {"limit": 2}, "copying": 3, "attention_total": 4,
        "bytes_total": 5, "bytes_copied": 6, "rate": 7,
    }  # fmt: skip
    engine.cluster_rate = lambda: cluster_rate
    engine.conditions = lambda: {"gates": [{"level": "slow"}], "guard": guard}
    return front_end("metrics").exposition(engine, release)


def test_metrics_are_whole(front_end):
    shown = measured(front_end, release='16"').splitlines()
    assert 'rbd_migration_info{version="0.1.0",ceph_release="16\\""} 1' in shown
    assert 'rbd_migration_migrations{state="queued"} 1' in shown
    assert 'rbd_migration_gates{level="slow"} 1' in shown
    assert "rbd_migration_rate_bytes_per_second 7" in shown
    assert "rbd_migration_throttle_bytes_per_second +Inf" in shown
    assert 'rbd_migration_held{reason="limit"} 2' in shown
    assert 'rbd_migration_held{reason="paused"} 0' in shown
    assert 'rbd_migration_client_latency_seconds{kind="now"} NaN' in shown
    assert 'rbd_migration_plans{state="done"} 1' in shown
    assert 'rbd_migration_plans{state="stopped"} 0' in shown
    assert 'rbd_migration_warnings{code="FAILED"} 2' in shown
    assert "rbd_migration_oldest_waiting_seconds 3.5" in shown


def test_the_documented_metrics_are_those_there_are(front_end):
    text = measured(front_end)
    kinds = dict(re.findall(r"^# TYPE rbd_migration_(\w+) (\w+)$", text, re.MULTILINE))
    texts = dict(re.findall(r"^# HELP rbd_migration_(\w+) (.*)$", text, re.MULTILINE))
    with (DOC / "reference" / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["metric"].strip("`"): row["type"] for row in rows} == kinds
    told = {row["metric"].strip("`"): row["meaning"].removesuffix(" *manager*") for row in rows}
    assert told == texts
    for row in rows:
        name, labels = row["metric"].strip("`"), re.findall(r"``(\w+)``", row["labels"])
        line = re.search(rf"^rbd_migration_{name}(_bucket)?[{{ ].*$", text, re.MULTILINE)
        found = re.findall(r'(\w+)="', line[0])
        assert [label for label in found if label != "le"] == labels


def test_metrics_satisfy_promtool(front_end):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    guard = {"latency_ms": 2.5, "baseline_ms": 1, "rate": 5}
    text = measured(front_end, cluster_rate=14, guard=guard)
    assert "rbd_migration_throttle_used_ratio 0.5\n" in text
    assert 'rbd_migration_client_latency_seconds{kind="now"} 0.0025\n' in text
    found = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_there_are_no_metrics_before_the_counters_are_known(ask):
    engine = FakeEngine()
    engine.measures.is_ready = False
    answer = ask("GET", "/metrics", engine=engine)
    assert (answer["status"], b"being read" in answer["body"]) == (503, True)


def test_requests_are_counted_by_the_class_of_their_status(ask):
    engine = FakeEngine()
    ask("GET", "/healthz", engine=engine)
    ask("GET", "/nowhere", engine=engine)
    text = engine.measures.counters()
    assert 'rbd_migration_http_requests_total{code="2xx"} 1\n' in text
    assert 'rbd_migration_http_requests_total{code="4xx"} 1\n' in text


def test_a_standby_manager_sends_clients_to_the_active_one(front_end):
    redirect = front_end("http.server.standby").redirect_to

    def ask(address, active="https://10.0.0.1:8483/rbd-migration/"):
        found = {}
        redirect(lambda: active)(
            {"REQUEST_URI": address}, lambda s, h: found.update(status=s[:3], **dict(h))
        )
        assert found.get("Retry-After") == ("5" if found["status"] == "503" else None)
        return found["status"], found.get("Location")

    assert ask(BASE + "?a=%2F") == ("307", f"https://10.0.0.1:8483{BASE}?a=%2F")
    assert ask("/healthz") == ("503", None)
    assert ask(BASE, active="") == ("503", None)
    assert ask("//evil.example/") == ("400", None)
    assert ask("http://evil.example/") == ("400", None)


@pytest.fixture
def bounded(front_end, monkeypatch):
    pytest.importorskip("cheroot")
    found = front_end("http.server.cheroot_server")
    monkeypatch.setitem(sys.modules, found.__name__, found)  # it is imported when a server is made
    return found


@pytest.fixture
def http(front_end, bounded, monkeypatch):
    found = front_end("http.server.supervisor")
    monkeypatch.setattr(found, "_CHECK", 0.05)  # in place of a second
    return found


class TestListening:
    @pytest.fixture
    def keeper(self, http, module):
        module.values.update(server=True, server_tls=False, server_addr="127.0.0.1")
        module.values.update(server_port=free_port())
        places = []
        keeper = http.ServerSupervisor(module=module, application=app, on_place=places.append)
        keeper.places = places
        keeper.start()
        yield keeper
        keeper.stop()
        assert not keeper.is_alive()

    def test_follows_the_options(self, keeper, module):
        url = f"http://127.0.0.1:{module.values['server_port']}/"
        until(lambda: keeper.places == [url])
        assert get(module).startswith(b"HTTP/1.1 200")
        module.values["server"] = False
        until(lambda: keeper.places == [url, ""])
        with pytest.raises(OSError, match="refused"):
            get(module)
        module.values["server_tls"] = module.values["server"] = True
        until(lambda: "There is no TLS certificate" in keeper.problem)
        module.store["server_cert"] = module.store["server_key"] = "nonsense"
        until(lambda: "do not fit together" in keeper.problem)

    def test_a_port_that_is_taken_is_told_and_tried_again(self, http, module, keeper):
        until(lambda: keeper.places)
        other = http.ServerSupervisor(module=module, application=app)
        other.start()
        try:
            until(lambda: "cannot listen" in other.problem)
            assert str(module.values["server_port"]) in other.problem
        finally:
            other.stop()

    def test_a_request_that_comes_byte_by_byte_is_ended(self, bounded, module, keeper, monkeypatch):
        monkeypatch.setattr(bounded, "_LONGEST", 0.5)
        until(lambda: keeper.places)
        with contextlib.closing(connect(module)) as slow:
            slow.sendall(b"GET / HT")
            until(lambda: ended(slow, b"T"))

    def test_too_many_connections_are_hung_up_and_it_goes_on(
        self, bounded, module, keeper, monkeypatch
    ):
        monkeypatch.setattr(bounded, "MAX_CONNECTIONS", 20)
        until(lambda: keeper.places)
        with contextlib.ExitStack() as stack:
            gc.disable()  # in a manager with much in memory it comes seldom
            stack.callback(gc.enable)
            many = [stack.enter_context(contextlib.closing(connect(module))) for _ in range(30)]
            until(lambda: sum(ended(one, b"") for one in many) >= 5)
            for one in many:
                one.close()
            until(lambda: answers(module))

    def test_connections_come_while_overdue_ones_are_looked_for(self, bounded):
        server = bounded.LimitedServer(("127.0.0.1", 0), app)

        class Quiet:
            deadline = float("inf")
            network = "192.0.2.1"

        kept = [Quiet() for _ in range(3000)]
        coming = threading.Thread(target=lambda: [server.count_in(conn) for conn in kept])
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            coming.start()
            while coming.is_alive():
                server.close_overdue()
        finally:
            sys.setswitchinterval(before)
        assert len(server._living) == 3000

    def test_headers_are_not_longer_than_they_may_be(self, module, keeper):
        until(lambda: keeper.places)
        assert b"413" in get(module, b"X: " + b"y" * 40_000 + b"\r\n")[:20]


@pytest.mark.timeout(300)
def test_the_api_is_as_its_document_says(front_end, http, application, module, tmp_path):
    pytest.importorskip("schemathesis")
    module.values.update(server=True, server_tls=False, server_addr="127.0.0.1")
    module.values.update(server_port=free_port())
    places = []
    keeper = http.ServerSupervisor(
        module=module, application=application(FakeEngine()), on_place=places.append
    )
    keeper.start()
    try:
        until(lambda: places)
        done = schemathesis(
            places[0].rstrip("/"), "writer", tmp_path, "--phases", "examples,coverage"
        )
    finally:
        keeper.stop()
    assert done.returncode == 0, done.stdout
    assert f"Tested: {len(front_end('http.api.routes').ROUTES)}\n" in done.stdout


def app(environ, start):
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(module):
    return socket.create_connection(("127.0.0.1", module.values["server_port"]), timeout=10)


def get(module, headers=b""):
    with contextlib.closing(connect(module)) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n"
        )
        return connection.recv(1000)


def answers(module):
    """Whether a request is answered, and its connection not hung up."""
    try:
        return get(module).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def ended(connection, more):
    """Whether the server has hung up, whatever is sent to it."""
    connection.settimeout(0.05)
    try:
        connection.sendall(more)
        return connection.recv(10) == b""
    except socket.timeout:
        return False
    except OSError:
        return True


def until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
