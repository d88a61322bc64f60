"""Requests over HTTP: what they may say, what is made of them, and the document about them."""

import contextlib
import json
import time
from errno import EAGAIN, EBUSY, ENOENT, EPERM

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.model.errors import MigrationError, NotPermitted
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Goal, HoldReason, State
from tests.unit.builders import migration
from tests.unit.front_ends import CHECKED, FakeEngine

A, B = ImageSpec("rbd", "", "a"), ImageSpec("ssd", "", "b")
BOTH = {"source": "rbd/a", "target": "ssd/b"}


@pytest.fixture(scope="module")
def dispatch(front_end):
    pytest.importorskip("prettytable")
    return front_end("http.api.dispatch")


@pytest.fixture(scope="module")
def routes(front_end):
    return front_end("http.api.routes")


@pytest.fixture(scope="module")
def wire(front_end):
    return front_end("http.api.urls")


@pytest.fixture
def ask(dispatch, engine, options):
    """Makes a request of the name of its route: status, body, headers."""

    def give(name, body=None, target="ssd/b", engine=engine, permissions=(), **query):
        context = dispatch.Context(engine, options, "16.2.15")
        answer = dispatch.dispatch(context, name, target, query, body, permissions)
        json.dumps(answer.body)
        return answer.status, answer.body, dict(answer.headers)

    return give


CALLS = [
    ("create", BOTH, "prepare", (A, B, LayoutOptions(), Policy(Goal.PREPARED))),
    ("create", {"source": "a"}, "prepare", (A, None, LayoutOptions(), Policy(Goal.PREPARED))),
    (
        "create",
        {**BOTH, "goal": "committed", "rate": 1000, "priority": 3, "import_only": False},
        "prepare",
        (A, B, LayoutOptions(), Policy(Goal.COMMITTED, 3, rate=1000)),
    ),
    (
        "create",
        {**BOTH, "layout": {"object_size": "4M", "image_feature": ["layering"], "flatten": True}},
        "prepare",
        (
            A,
            B,
            LayoutOptions(object_size=4 << 20, features=("layering",), flatten=True),
            Policy(Goal.PREPARED),
        ),
    ),
    ("check", BOTH, "check", (A, B, LayoutOptions())),
    ("get", None, "get", (B,)),
    ("execute", {}, "execute", (B,)),
    ("execute", {"snap": "two"}, "execute", (B,)),
    ("cutover", {}, "cutover", (B,)),
    ("resume", {}, "resume", (B,)),
    ("retry", {}, "retry", (B,)),
]


@pytest.mark.parametrize(("name", "body", "method", "args"), CALLS)
def test_a_request_is_one_call_of_the_engine(ask, engine, routes, name, body, method, args):
    status, answer, _ = ask(name, body)
    assert status == routes.BY_NAME[name].status
    assert answer == (CHECKED if name == "check" else engine.reports[0])
    named = {}
    if method in ("prepare", "check"):
        chosen = method == "check" or args[-1].goal is not Goal.PREPARED
        named = {"force": False, "method": None, "auto": chosen}
    if method == "cutover":
        named = {"policy": None}
    if method == "execute":
        named = {"snapshot": body.get("snap", ""), "force": False}
    assert engine.calls == [(method, args, named)]


RAW = {"type": "raw", "stream": {"type": "file", "file_path": "/srv/x.raw"}}
IMPORTS = [
    {"target": "ssd/b", "source_spec": RAW},
    {"target": "ssd/b", "source_spec": {}},
    {"target": "ssd/b", "source_spec": RAW, "import_only": False},
    {"target": "ssd/b", "source": "hdd/a@s", "import_only": True},
    {"target": "ssd/b", "source": "hdd/a@s", "inline_secrets": True},
    {"target": "ssd/b", "source": "hdd/a@s", "as_raw": True},
]


@pytest.mark.parametrize(
    ("name", "method"), [("create", "prepare_import"), ("check", "check_import")]
)
@pytest.mark.parametrize("as_raw", [False, True])
def test_an_import_is_one_call_of_the_engine(ask, engine, name, method, as_raw):
    body = {"target": "ssd/b", "import_only": True, "source_spec": RAW, "as_raw": as_raw}
    assert ask(name, body, permissions=("create",))[0] < 300
    ((called, _, named),) = engine.calls
    assert (called, named["as_raw"]) == (method, as_raw)


@pytest.mark.parametrize("body", IMPORTS)
def test_checking_an_import_takes_the_permission_to_begin_one(ask, engine, body):
    for too_few in ((), ("read",), ("read", "update", "delete")):
        status, answer, _ = ask("check", body, permissions=too_few)
        assert (status, answer["code"]) == (403, "EPERM")
        assert "create" in answer["detail"]
    assert engine.calls == []
    assert ask("check", body, permissions=("create",))[0] != 403
    assert ask("check", BOTH, permissions=("read",))[0] == 200


@pytest.mark.parametrize(
    ("name", "method"), [("commit", "commit"), ("abort", "abort"), ("pause", "pause")]
)
def test_force_has_to_be_asked_for(ask, engine, name, method):
    ask(name, {})
    ask(name, {"force": True})
    assert [named["force"] for _, _, named in engine.calls] == [False, True]


REFUSED = [
    ("create", [1], "has to be a JSON object"),
    ("commit", [], "has to be a JSON object"),
    ("commit", 0, "has to be a JSON object"),
    ("create", {**BOTH, "colour": "red"}, '"colour" is not known'),
    ("create", {**BOTH, "goal": "done"}, "choose from prepared, executed"),
    ("create", {**BOTH, "priority": "7"}, "give a whole number"),
    ("create", {**BOTH, "priority": 1 << 40}, "give a number from"),
    ("create", {**BOTH, "priority": True}, "give a whole number"),
    ("create", {**BOTH, "rate": "fast"}, "rate 'fast' is not a rate"),
    ("create", {**BOTH, "rate": ["50M"]}, "a text such as 4M"),
    ("create", {**BOTH, "layout": "4M"}, "layout is"),
    ("create", {**BOTH, "layout": {"size": "4M"}}, 'layout."size" is not known'),
    ("create", {**BOTH, "layout": {"object_size": "5M"}}, "object_size"),
    ("create", {**BOTH, "layout": {"image_feature": [1]}}, "give a list of texts"),
    ("create", {"target": "ssd/b"}, "is not an image spec"),
    ("create", {"source": "a@s"}, "names a snapshot"),
    ("create", {**BOTH, "source_spec": {"type": "raw"}}, "both name the source"),
    ("create", {"target": "b", "source_spec": {}, "import_only": False}, "is for imports"),
    ("commit", {"force": "yes"}, "give true or false"),
    ("set", {}, "Say what to set: rate, priority"),
    ("limit_set", {"max_copies": -1}, "give a number from 0"),
    ("limit_set", {}, "max_copies"),
    ("throttle_set", {}, "Give either rate or timetable"),
    ("throttle_set", {"guard": "1.0"}, "factor"),
    ("window_set", {"window": "noon"}, "window"),
    ("verify", {"mode": "none"}, "choose from sample, full"),
]


@pytest.mark.parametrize(("name", "body", "words"), REFUSED)
def test_what_is_wrong_is_refused_in_a_sentence_and_nothing_is_done(ask, engine, name, body, words):
    status, answer, _ = ask(name, body)
    assert (status, answer["code"], answer["component"]) == (400, "EINVAL", "rbd_migration")
    assert words in answer["detail"]
    assert "--" not in answer["detail"]
    assert answer["detail"].endswith(".")
    assert engine.calls == []


def test_an_import_is_a_command_with_one_image_and_a_file(dispatch, front_end):
    """A file, because the monitors log arguments."""
    given, inbuf = dispatch._import({"target": "ssd/b", "source_spec": {"type": "raw"}, "rate": 1})
    assert given == {"source": "ssd/b", "import_only": True, "rate": 1}
    assert json.loads(inbuf) == {"type": "raw"}
    assert dispatch._import({"source": "a@s", "import_only": True})[1] is None


def test_what_may_be_a_secret_is_not_repeated(ask):
    for wrong in ('{"secret_key": "hidden"}', ["hidden"], 5):
        status, answer, _ = ask("create", {"target": "b", "source_spec": wrong})
        assert status == 400
        assert "hidden" not in answer["detail"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": "x"}, "whole number"),
        ({"limit": "0"}, "from 1 to 1000"),
        ({"sort": "size"}, "choose from target"),
        ({"state": "executing,done"}, "choose from queued"),
        ({"goal": "aborted"}, "choose from prepared"),
        ({"page": "2"}, '"page" is not known'),
        ({"ended": "perhaps"}, "true or false"),
    ],
)
def test_a_list_is_asked_for_rightly(ask, query, words):
    status, answer, _ = ask("list", **query)
    assert status == 400
    assert words in answer["detail"]


def test_a_refusal_has_its_errno_and_a_missing_migration_is_404(ask):
    busy = FakeEngine(refusal=MigrationError(EBUSY, "In use; add --force, or `rbd x --force`."))
    assert ask("abort", {}, engine=busy)[:2] == (
        400,
        {
            "detail": 'In use; add "force": true, or `rbd x --force`.',
            "code": "EBUSY",
            "component": "rbd_migration",
        },
    )
    missing = FakeEngine(refusal=MigrationError(ENOENT, "There is none."))
    assert ask("get", engine=missing)[0] == 404
    assert ask("create", BOTH, engine=missing)[0] == 400


def test_an_error_of_ours_is_no_traceback(ask):
    status, answer, _ = ask("get", engine=FakeEngine(refusal=ZeroDivisionError("secret")))
    assert (status, answer["code"]) == (500, "EIO")
    assert "secret" not in answer["detail"]


def test_without_an_engine_it_is_503(ask):
    status, answer, headers = ask("list", engine=None)
    assert (status, answer["code"]) == (503, "EAGAIN")
    assert headers == {"Retry-After": "5"}


def test_an_engine_that_ends_is_503_and_one_that_is_not_ready_400(ask):
    engine = FakeEngine(refusal=MigrationError(EAGAIN, "Not yet."))
    assert ask("commit", {}, engine=engine)[0] == 400
    assert ask("commit", {}, engine=engine)[2] == {}
    engine.ended.set()
    status, _, headers = ask("commit", {}, engine=engine)
    assert (status, headers) == (503, {"Retry-After": "5"})


def test_a_file_is_a_text_with_its_type_and_name(ask):
    status, body, headers = ask("plan_report", target="move", export="html")
    assert (status, body[:15]) == (200, "<!doctype html>")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Disposition"] == 'attachment; filename="plan-move.html"'
    assert "script-src" not in headers["Content-Security-Policy"]
    status, body, headers = ask("history_export")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert [row["target"] for row in json.loads(body)] == ["ssd/b"]
    status, body, headers = ask("history_export", export="html")
    assert (status, headers) == (400, {})
    status, body, headers = ask("plan_report", target="none")
    assert (status, "Content-Type" in headers) == (404, False)


def test_the_history_comes_in_pages(ask):
    engine = FakeEngine()
    query = {"search": "b", "state": "aborted", "pool": "ssd", "plan": "move", "since": "7d",
             "sort": "+seconds", "offset": "0", "limit": "1"}  # fmt: skip
    status, body, headers = ask("history", engine=engine, **query)
    assert (status, len(body), headers["X-Total-Count"]) == (200, 1, "1")
    (found,) = engine.queries
    assert (found.search, found.pool, found.plan) == ("b", "ssd", "move")
    assert (found.sort, found.descending, found.limit) == ("seconds", False, 1)
    assert found.states == {State.ABORTED}
    assert time.time() - 8 * 86400 < found.since < time.time()
    ask("history", engine=engine)
    assert (engine.queries[1].sort, engine.queries[1].descending) == ("ended", True)
    assert ask("history", since="soon")[0] == 400
    assert ask("history", state="failed")[0] == 400
    assert ask("history_export", engine=engine, state="aborted", search="b")[0] == 200
    assert engine.queries[-1].states == {State.ABORTED}


def test_between_modules_all_is_text(dispatch, engine, options):
    context = dispatch.Context(engine, options, "16.2.15")
    asked = {"target": "ssd/b", "query": {}, "body": {}}
    answer = json.loads(dispatch.answer(context, "execute", json.dumps(asked)))
    assert answer == {"status": 200, "body": engine.reports[0], "headers": {}}
    for name, text in [("fly", json.dumps(asked)), ("list", "{}"), ("list", "["), ("list", "[]")]:
        assert json.loads(dispatch.answer(context, name, text))["status"] == 400


MATCHES = [
    ("GET", "", "list", ""),
    ("POST", "/", "create", ""),
    ("GET", "/at/ssd%2Fb", "get", "ssd/b"),
    ("PUT", "/at/ssd%2Fns%2Fb", "set", "ssd/ns/b"),
    ("POST", "/at/a%252Fb/commit", "commit", "a%2Fb"),
    ("GET", "/at/throttle", "get", "throttle"),
    ("DELETE", "/throttle", "throttle_clear", ""),
    ("GET", "/at/%FF", "get", "\udcff"),
    ("PATCH", "/throttle", None, ""),
    ("GET", "/at/b/commit", None, "b"),
]


@pytest.mark.parametrize(("method", "path", "name", "target"), MATCHES)
def test_addresses_lead_to_routes(wire, method, path, name, target):
    found = wire.match(method, path)
    assert (found.route.name if found.route else None, found.target) == (name, target)
    assert found.allowed


@pytest.mark.parametrize("path", ["x", "/fly", "/at/a/b/c/d", "/at/ssd/b", "/at"])
def test_other_addresses_lead_nowhere(wire, path):
    assert wire.match("GET", path).allowed == []


@given(st.text(max_size=40))
def test_whatever_is_in_an_address_is_no_error(wire, text):
    wire.match("GET", text)
    with contextlib.suppress(ValueError):
        wire.arguments(wire.split("/" + text)[1])


def test_an_argument_is_given_once(wire):
    assert wire.arguments("search=a%2Bb+c&limit=5") == {"search": "a+b c", "limit": "5"}
    with pytest.raises(ValueError, match="twice"):
        wire.arguments("limit=1&limit=2")
    with pytest.raises(ValueError, match="too many"):
        wire.arguments("&".join(f"a{i}=1" for i in range(99)))


class TestDescriptions:
    def test_every_command_of_a_route_exists_and_knows_its_fields(self, front_end, routes):
        pytest.importorskip("prettytable")
        commands = front_end("cli.commands")
        for route in routes.ROUTES:
            if (
                route.command and route.body != routes.BY_NAME["plan_create"].body
            ):  # a plan is a file
                known = {arg.name for arg in commands.BY_NAME[route.command].args}
                fields = (*route.query, *route.body)
                for field in (inner for f in fields for inner in f.fields or [f]):
                    renamed = {"source": "source_image", "target": "target_image"}
                    assert renamed.get(field.name, field.name) in known

    def test_a_report_has_the_fields_that_are_described(self, front_end):
        schemas = front_end("http.api.schemas")
        shown = report(migration(), Live())
        assert {field.name for field in schemas.REPORT} == set(shown)
        assert [state.value for state in State] == list(schemas.STATES)

    def test_the_document_is_whole(self, front_end, routes):
        openapi = front_end("http.api.openapi")
        document = json.loads(openapi.document("0.1.0"))
        operations = [op for path in document["paths"].values() for op in path.values()]
        assert len(operations) == len(routes.ROUTES)
        text = json.dumps(document)
        for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
            assert name in document["components"]["schemas"]
        for operation in operations:
            assert operation["description"].strip()
            with_header = [n for n, one in operation["responses"].items() if "Retry-After" in
                           one.get("headers", {})]  # fmt: skip
            assert with_header == ["503"]
            body = operation.get("requestBody")
            if body:
                media = body["content"]["application/json"]
                assert set(media.get("example") or {}) <= set(media["schema"]["properties"])


class TestPage:
    @pytest.fixture
    def page(self, front_end):
        return front_end("http.page")

    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("index.html", "app.js", "lib/x.css", ".hidden", "lib/y.py"):
            path = tmp_path / "static" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        (tmp_path / "secret").write_text("secret")
        return tmp_path / "static"

    @pytest.mark.parametrize(
        ("path", "name"),
        [("", "index.html"), ("/", "index.html"), ("/lib/x.css", "lib/x.css")],
    )
    def test_serves_files(self, page, folder, path, name):
        assert page.find(path, folder) == folder / name

    @pytest.mark.parametrize(
        "path",
        ["../secret", "%2e%2e/secret", "lib/..%2f..%2fsecret", ".hidden", "lib", "lib/y.py", "no",
         "..\\secret", "a%00b", "//etc/passwd"],
    )  # fmt: skip
    def test_serves_nothing_else(self, page, folder, path):
        assert page.find(path, folder) is None

    def test_knows_types_and_trusts_itself_only(self, page, folder):
        assert page.content_type(folder / "app.js") == "text/javascript; charset=utf-8"
        assert page.content_type(folder / "x.unknown") == "application/octet-stream"
        policy = page.HEADERS["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_to_start_a_plan_or_to_apply_a_new_one_takes_the_permission_to_create(front_end, ask):
    assert front_end("http.api.routes").BY_NAME["plan_start"].permission == "create"
    body = {"file": "plan: move\nselect: [{pool: rbd}]\nmap: {target_pool: ssd}\n"}
    for permissions, may_create in ((("update",), False), (("update", "create"), True)):
        engine = FakeEngine()
        assert ask("plan_apply", body, target="", engine=engine, permissions=permissions)[0] == 200
        assert engine.calls[0][2] == {"may_create": may_create}
    engine = FakeEngine(refusal=NotPermitted(EPERM, "There is no plan 'move'."))
    status, answer, _ = ask("plan_apply", body, target="", engine=engine, permissions=("update",))
    assert (status, answer["code"]) == (403, "EPERM")


@pytest.fixture
def look(dispatch, engine, options):
    """Makes a request with a query: status and body."""

    def give(name, body=None, permissions=(), **query):
        context = dispatch.Context(engine, options, "16.2.15")
        answer = dispatch.dispatch(context, name, "", query, body, permissions)
        return answer.status, json.loads(json.dumps(answer.body))

    return give


def test_the_throughput_of_all_of_one_and_of_a_plan(look, engine):
    for query in ({}, {"target": "ssd/b"}, {"plan": "move"}):
        assert look("throughput", **query)[0] == 200
    assert [args for _, args, _ in engine.calls] == [(None, ""), (B, ""), (None, "move")]
    status, answer = look("throughput", target="ssd/b", plan="move")
    assert (status, "give one of them" in answer["detail"]) == (400, True)


def test_pools_and_images_are_listed(look, engine):
    assert look("pools") == (200, [{"pool": "rbd", "namespaces": [""], "answers": True}])
    assert look("images", pool="rbd", search="a") == (200, {"images": ["a"], "more": False})
    assert engine.calls == [("images", ("rbd", "", "a", 100), {})]
    assert look("images")[0] == look("images", pool="rbd", limit="1001")[0] == 400
    assert look("images", pool="rbd", limit="")[0] == 400


def test_the_text_of_a_plan_becomes_fields(look):
    text = "plan: move\nselect: [{pool: hdd}]\nmap: {target_pool: nvme}\n"
    fields = {"plan": "move", "select": [{"pool": "hdd"}], "map": {"target_pool": "nvme"}}
    assert look("plan_read", {"file": text}) == (200, {"definition": fields, "problem": ""})
    status, answer = look("plan_read", {"file": "plan: move\nselect: [{name: x}]\n"})
    assert (status, answer["definition"]["select"]) == (200, [{"name": "x"}])
    assert "select[0].pool" in answer["problem"]
    status, answer = look("plan_read", {"file": '"plan"'})
    assert (status, answer["definition"]) == (200, {})
    assert "is a text, not an object" in answer["problem"]
    status, answer = look("plan_read", {"file": "plan: ["})
    assert (status, "is not YAML" in answer["detail"]) == (400, True)


def test_migrations_are_listed_by_what_they_wait_for(look, engine):
    asked = []
    browse = engine.listing.browse
    engine.listing.browse = lambda query: asked.append(query) or browse(query)
    assert look("list", hold="limit,paused", awaiting_commit="true")[0] == 200
    assert asked[0].holds == {HoldReason.LIMIT, HoldReason.PAUSED}
    assert asked[0].awaiting_commit is True
    assert look("list", hold="rain")[0] == 400
