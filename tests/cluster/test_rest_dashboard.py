"""REST in the real dashboard: login, roles, errors, migrations; and the dashboard without us."""

import json
import shutil
import socket
from collections.abc import Iterator

import pytest
import rados

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions, DevClusterError
from qa.devcluster.ports import free_ports
from qa.workload.images import MIB, digests, make_image
from qa.workload.module_options import module_options
from tests.cluster.commands import Commands, is_one_sentence, wait_audited
from tests.cluster.fixtures import of_cluster
from tests.cluster.importing import exposed
from tests.cluster.rest import BASE, Rest, login

MIGRATION = {"source": "hdd/disk", "target": "nvme/disk"}
PASSWORD = "Look-at-9-disks"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own: its module folder is damaged here."""
    with Cluster(tmp_path_factory.mktemp("dashboard")) as fresh:
        fresh.up(ClusterOptions(dashboard=True, conf=FAST_FAILOVER))
        for pool in ("hdd", "nvme"):
            fresh.create_pool(pool)
        yield fresh


client, migration = of_cluster("module")


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Rest:
    """The administrator."""
    return login(**cluster.dashboard())


@pytest.fixture(scope="module")
def users(cluster: Cluster, admin: Rest) -> "dict[str, Rest]":
    """A user of each of some roles, logged in."""
    found = {}
    for role in ("read-only", "block-manager", "rgw-manager"):
        user = {"username": role, "password": PASSWORD, "roles": [role], "enabled": True}
        made = admin.ask(
            "POST", "/api/user", {**user, "name": "", "email": "", "pwdUpdateRequired": False}
        )
        assert made.status == 201, made
        found[role] = login(cluster.dashboard()["url"], role, PASSWORD)
    return found


@pytest.fixture
def disk(client: rados.Rados, migration: Commands, cluster: Cluster) -> Iterator[str]:
    """The image of MIGRATION, not migrating yet."""
    make_image(client, "hdd/disk", size=8 * MIB)
    yield "hdd/disk"
    migration.clean_up(["hdd", "nvme"])
    for spec in ("hdd/disk", "nvme/disk"):
        if spec.split("/")[1] in cluster.rbd("ls", spec.split("/")[0]).split():
            cluster.rbd("snap", "purge", spec)
            cluster.rbd("rm", spec)


def test_the_whole_way(
    admin: Rest, cluster: Cluster, client: rados.Rados, migration: Commands, disk: str
) -> None:
    before = digests(client, disk)
    found = admin.api("POST", "/check", MIGRATION)
    assert (found.status, found.body["ok"]) == (200, True)
    layout = {"object_size": "1M", "image_feature": ["layering"]}
    made = admin.api("POST", "", {**MIGRATION, "layout": layout, "rate": "1M"})
    assert made.status == 201, made
    migration.wait("nvme/disk", "prepared")  # the answer may be earlier on a busy machine
    assert made.body["layout"] == {"object_size": MIB, "features": ["layering"]}
    shown = admin.at("GET", "nvme/disk").body
    assert (shown["id"], set(shown)) == (made.body["id"], set(migration.report("nvme/disk")))

    assert admin.at("POST", "nvme/disk", "execute", {}).status == 200
    migration.wait_percent("nvme/disk", 10)
    paused = admin.at("POST", "nvme/disk", "pause", {})
    assert paused.body["by"] == "dashboard user admin"
    requests = [(entry["message"], entry["by"]) for entry in paused.body["timeline"]]
    assert ("pause", "dashboard user admin") in requests
    assert (paused.body["paused"], paused.body["acting"]) == (True, False)
    early = admin.at("POST", "nvme/disk", "commit", {})
    assert (early.status, early.body["code"]) == (400, "EAGAIN")
    changed = admin.at("PUT", "nvme/disk", body={"rate": "off", "priority": 5})
    assert (changed.body["own_rate"], changed.body["priority"]) == (None, 5)
    admin.at("POST", "nvme/disk", "resume", {})
    migration.wait("nvme/disk", "executed")
    waiting = admin.api("GET", "/summary").body
    assert (waiting["counts"]["executed"], waiting["attention_total"]) == (1, 1)
    assert waiting["attention"][0]["target"] == "nvme/disk"
    asked = admin.at("POST", "nvme/disk", "commit", {})  # it has snapshots, so it is compared first
    assert (asked.status, asked.body["goal"]) == (200, "committed")
    migration.wait("nvme/disk", "committed")
    assert digests(client, "nvme/disk") == before

    assert admin.api("GET", "/history?target=nvme%2Fdisk&since=1h").body[0]["state"] == "committed"
    exported = admin.api("GET", "/history/export?export=csv&target=nvme%2Fdisk")
    assert exported.headers["content-type"].replace(" ", "") == "text/csv;charset=utf-8"
    assert exported.headers["content-disposition"] == 'attachment; filename="history.csv"'
    assert exported.body.splitlines()[1].endswith(",dashboard user admin")
    assert admin.api("GET", "/history/export?limit=1").body[0]["state"] == "committed"
    missing = admin.api("GET", "/plan/none/report?export=html")
    assert (missing.status, missing.body["code"]) == (404, "ENOENT")
    wait_audited(
        cluster, "rbd migration commit target_image=nvme/disk by 'dashboard user admin': accepted"
    )
    assert admin.api("GET").headers["x-total-count"] == "0"
    listed = admin.api("GET", "?ended=true&sort=-created&state=committed&search=NVME&pool=hdd")
    assert int(listed.headers["x-total-count"]) == len(listed.body) >= 1


def test_a_read_only_user_has_no_config_key_sent_anywhere(
    cluster: Cluster, users: "dict[str, Rest]"
) -> None:
    with exposed(cluster) as (listener, secret, keys):
        for key in keys:
            asked = {"target": "nvme/x", "source_spec": listener.spec(key)}
            for route in ("/check", ""):
                assert users["read-only"].api("POST", route, asked).status == 403
                assert users["rgw-manager"].api("POST", route, asked).status == 403
        assert listener.received == []
        for key in keys[1:]:
            asked = {"target": "nvme/x", "source_spec": listener.spec(key)}
            refused = users["block-manager"].api("POST", "/check", asked)
            assert (refused.status, refused.body["code"]) == (400, "EPERM")
        assert listener.received == []
        asked = {"target": "nvme/x", "source_spec": listener.spec(keys[0])}
        assert users["block-manager"].api("POST", "/check", asked).status == 200
        assert any(secret.encode() in sent for sent in listener.received)


def test_a_migration_goes_back(admin: Rest, disk: str) -> None:
    admin.api("POST", "", MIGRATION)
    assert admin.at("POST", "nvme/disk", "abort", {}).body["state"] == "aborted"


def test_names_with_percent_signs_are_not_mixed_up(
    admin: Rest, client: rados.Rados, cluster: Cluster, disk: str
) -> None:
    make_image(client, "hdd/a%2Fb c", size=MIB)
    try:
        made = admin.api("POST", "", {"source": "hdd/a%2Fb c", "target": "nvme/x%20y"})
        assert made.status == 201, made
        assert admin.at("GET", "nvme/x%20y").body["target"] == "nvme/x%20y"
        assert admin.at("GET", "nvme/x y").status == 404
        assert admin.at("POST", "nvme/x%20y", "abort", {}).body["state"] == "aborted"
    finally:
        cluster.rbd("snap", "purge", "hdd/a%2Fb c")
        cluster.rbd("rm", "hdd/a%2Fb c")


def test_throttle_limit_and_window(admin: Rest, migration: Commands) -> None:
    set_to = admin.api("PUT", "/throttle", {"timetable": "Mon-Fri 08:00,50M 18:00,off"})
    assert set_to.body["timetable"] == migration.json("throttle", "get")["timetable"]
    assert admin.api("PUT", "/throttle", {"pool": "hdd", "rate": "5M"}).body["pools"] == {
        "hdd": 5 * MIB
    }
    assert admin.api("DELETE", "/throttle?pool=hdd").body["pools"] == {}
    assert admin.api("DELETE", "/throttle").body["timetable"] == "off"
    assert admin.api("PUT", "/limit", {"max_copies": 7}).body["max_copies"] == 7
    assert admin.api("PUT", "/limit", {"max_copies": 4}).body == admin.api("GET", "/limit").body
    assert admin.api("PUT", "/window", {"window": "Sat-Sun"}).body["window"] == "Sat-Sun"
    assert admin.api("DELETE", "/window").body["window"] == ""


REFUSED = [
    ("POST", "", {"source": "hdd/none", "target": "nvme/x"}, 400, "ENOENT"),
    ("POST", "", {"source": "hdd/none", "colour": "red"}, 400, "EINVAL"),
    ("POST", "", {"source": "hdd/@", "target": "nvme/x"}, 400, "EINVAL"),
    ("GET", "?limit=0", None, 400, "EINVAL"),
    ("GET", "?limit=1&limit=2", None, 400, "EINVAL"),
    ("GET", "/at/nvme%2Fnone", None, 404, "ENOENT"),
    ("POST", "/at/nvme%2Fnone/execute", {}, 404, "ENOENT"),
    ("PUT", "/throttle", {"rate": "fast"}, 400, "EINVAL"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSED)
def test_a_refusal_is_one_sentence(
    admin: Rest, method: str, path: str, body: object, status: int, code: str
) -> None:
    answer = admin.api(method, path, body)
    assert (answer.status, answer.body["code"]) == (status, code), answer
    assert answer.body["component"] == "rbd_migration"
    assert is_one_sentence(answer.body["detail"]), answer.body


def test_what_http_itself_refuses(admin: Rest) -> None:
    assert admin.api("GET", "/at/a/b").status == 404
    assert admin.ask("GET", BASE, Accept="application/vnd.ceph.api.v9.9+json").status == 415
    assert admin.ask("POST", BASE, raw=b"{").status == 400


def test_whom_the_dashboard_does_not_know(admin: Rest) -> None:
    assert Rest(admin.url).api("GET").status == 401
    head, claims, _ = admin.token.split(".")
    forged = Rest(admin.url, token=f"{head}.{claims}.AAAA")
    assert [forged.api("GET").status, forged.api("POST", "", MIGRATION).status] == [401, 401]
    # What is no token at all: dashboards from 18 on answer 500, at every endpoint.
    no_token = Rest(admin.url, token="made-up")
    assert no_token.api("GET").status == no_token.ask("GET", "/api/summary").status >= 400


ROLES = [
    ("read-only", "GET", "", 200),
    ("read-only", "GET", "/summary", 200),
    ("read-only", "POST", "/check", 400),
    ("read-only", "POST", "", 403),
    ("read-only", "PUT", "/throttle", 403),
    ("read-only", "POST", "/at/nvme%2Fx/execute", 403),
    ("read-only", "POST", "/at/nvme%2Fx/commit", 403),
    ("block-manager", "POST", "", 400),
    ("block-manager", "POST", "/at/nvme%2Fx/commit", 404),
    ("rgw-manager", "GET", "", 403),
    ("rgw-manager", "POST", "/at/nvme%2Fx/commit", 403),
]


@pytest.mark.parametrize(("role", "method", "path", "status"), ROLES)
def test_roles(users: "dict[str, Rest]", role: str, method: str, path: str, status: int) -> None:
    body = None if method == "GET" else {}
    assert users[role].api(method, path, body).status == status


def test_the_documents_are_complete(admin: Rest) -> None:
    shown = admin.ask("GET", "/docs/openapi.json", Accept="application/json").body["paths"]
    ours = Rest(admin.url).ask("GET", "/rbd-migration/openapi.json").body["paths"]
    assert {path for path in shown if path.startswith(BASE)} == set(ours)
    for path, methods in ours.items():
        assert set(methods) == set(shown[path])
    create = shown[BASE]["post"]
    schema = create["requestBody"]["content"]["application/json"]["schema"]
    assert "object_size" in schema["properties"]["layout"]["properties"]
    answer = create["responses"]["201"]["content"]["application/vnd.ceph.api.v1.0+json"]
    assert "verification" in answer["schema"]["properties"]


def test_the_page_and_the_entry_in_the_menu(admin: Rest, cluster: Cluster) -> None:
    anybody = Rest(admin.url, accept="*/*")
    script = anybody.ask("GET", "/rbd-migration/menu.js")
    assert script.status == 200
    assert script.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in script.headers["content-security-policy"]
    assert "access-control-allow-origin" not in script.headers
    for path in ("/rbd-migration/../module.py", "/rbd-migration/..%2f..%2fmodule.py"):
        assert anybody.ask("GET", path).status == 404
    cluster.wait_for(
        lambda: (
            cluster.ceph_json("mgr", "services").get("rbd_migration")
            == f"{admin.url}/rbd-migration/"
        ),
        30,
        "the page's address in ceph mgr services",
    )
    entry = '<script src="rbd-migration/menu.js"></script></body>'
    assert entry in anybody.ask("GET", "/").body
    old = anybody.ask("GET", "/", If_Modified_Since="Tue, 24 Nov 2099 00:00:00 GMT")
    assert old.status == 200
    with module_options(cluster, dashboard_menu="false"):
        cluster.wait_for(lambda: entry not in anybody.ask("GET", "/").body, 20, "the stock page")


def test_the_dashboard_has_the_metrics_where_an_option_says_so(
    admin: Rest, cluster: Cluster, migration: Commands
) -> None:
    anybody = Rest(admin.url, accept="*/*")
    refused = anybody.ask("GET", "/rbd-migration/metrics")
    assert (refused.status, "dashboard_metrics" in refused.body) == (404, True)
    with module_options(cluster, dashboard_metrics="true"):
        cluster.wait_for(
            lambda: anybody.ask("GET", "/rbd-migration/metrics").status == 200, 90, "the metrics"
        )
        found = anybody.ask("GET", "/rbd-migration/metrics")
        assert found.headers["content-type"].startswith("text/plain")
        printed = migration.text("metrics")
        for text in (found.body, printed):
            assert text.startswith("# HELP rbd_migration_info ")
            assert 'rbd_migration_migrations{state="queued"} 0' in text


def test_a_token_of_the_dashboard_is_good_at_our_own_server(
    cluster: Cluster, admin: Rest, users: "dict[str, Rest]"
) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    options = {"server_addr": "127.0.0.1", "server_port": str(port), "server_tls": "false"}
    with module_options(cluster, **options, server="true"):
        cluster.wait_for(lambda: listens(port), 20, "our own server")
        assert Rest(url, admin.token).api("POST", "", {}).status == 400
        assert Rest(url, users["block-manager"].token).api("PUT", "/limit", {}).status == 400
        reader = Rest(url, users["read-only"].token)
        assert (reader.api("GET").status, reader.api("POST", "", {}).status) == (200, 403)
        assert Rest(url, users["rgw-manager"].token).api("GET").status == 403
        head, claims, _ = admin.token.split(".")
        assert Rest(url, f"{head}.{claims}.AAAA").api("GET").status == 401
        assert users["read-only"].ask("POST", "/api/auth/logout", {}).status == 200
        cluster.wait_for(lambda: reader.api("GET").status == 401, 20, "the end of a login")
    cluster.wait_for(lambda: not listens(port), 20, "the end of our own server")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def restarted(cluster: Cluster) -> Rest:
    """The administrator, logged in at the dashboard of a manager that restarted."""
    cluster.mgr_fail()
    return logged_in(cluster)


def logged_in(cluster: Cluster) -> Rest:
    def trial() -> "Rest | None":
        try:
            return login(**cluster.dashboard())
        except (OSError, AssertionError, DevClusterError):
            return None

    found: Rest = cluster.wait_for(trial, 60, "the dashboard")
    return found


def unavailable(cluster: Cluster) -> "dict[str, str] | None":
    """What the dashboard says of the API while it is not there; the manager may start again."""
    try:
        answer = logged_in(cluster).api("GET")
    except OSError:
        return None
    if answer.status != 503:
        return None
    assert answer.headers["retry-after"] == "5"
    return answer.body


def well(admin: Rest) -> None:
    """The dashboard works."""
    assert admin.ask("GET", "/api/summary").status == 200
    assert "</body>" in Rest(admin.url, accept="*/*").ask("GET", "/").body


def test_the_dashboard_works_while_the_module_is_disabled_broken_or_removed(
    cluster: Cluster,
) -> None:
    ours = cluster.layout.modules_of(str(cluster.active_mgr())) / "rbd_migration"
    source = ours.resolve()

    cluster.ceph("mgr", "module", "disable", "rbd_migration")
    answer = cluster.wait_for(lambda: unavailable(cluster), 60, "the dashboard without the module")
    assert answer["code"] == "EAGAIN"
    assert "ceph mgr module enable rbd_migration" in answer["detail"]
    well(logged_in(cluster))

    ours.unlink()
    shutil.copytree(source, ours, ignore=shutil.ignore_patterns("__pycache__"))
    (ours / "http" / "api" / "routes.py").write_text("raise ValueError('broken')\n")
    admin = restarted(cluster)
    assert admin.api("GET").status == 404
    well(admin)
    log = cluster.mgr_log(str(cluster.active_mgr())).read_text(errors="replace")
    assert "RBD live migration is not in the dashboard" in log

    shutil.rmtree(ours)
    admin = restarted(cluster)
    assert admin.api("GET").status == 404
    well(admin)
    modules = json.loads(cluster.ceph("mgr", "module", "ls", "--format", "json"))
    assert "dashboard" in modules["enabled_modules"]
