"""Pools as the monitors describe them: which of them can hold the header of an image."""

import json

import pytest

from rbdmigrate.checks import run
from rbdmigrate.checks.facts import Facts, Name
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.request import MigrationRequest
from rbdmigrate.model.spec import ImageSpec
from tests.fakes.loading import load

mon_queries = load().module("cluster.mon_queries")
REPLICATED, ERASURE = 1, 3


def described(monkeypatch, kind, flags):
    """A pool called ec, from what the monitors say of it."""
    pool = {
        "pool_name": "ec",
        "type": kind,
        "flags_names": flags,
        "application_metadata": {"rbd": {}},
        "quota_max_bytes": 0,
        "quota_max_objects": 0,
    }
    said = {
        "osd dump": {"pools": [pool]},
        "df": {"stats": {"total_bytes": 1}, "pools": [{"name": "ec", "stats": {"max_avail": 9}}]},
    }
    monkeypatch.setattr(
        mon_queries, "mon_command", lambda client, prefix, **_: json.dumps(said[prefix])
    )
    return mon_queries.pools(None, ["ec"])["ec"]


@pytest.mark.parametrize(
    ("kind", "flags", "omap", "refused"),
    [
        (REPLICATED, "hashpspool,selfmanaged_snaps", True, set()),
        (ERASURE, "hashpspool", False, {"POOL_ERASURE_CODED"}),
        (ERASURE, "hashpspool,ec_overwrites", False, {"POOL_ERASURE_CODED"}),
        # The flag that ``osd pool set POOL supports_omap true`` sets, whatever the release.
        (ERASURE, "hashpspool,ec_overwrites,ec_optimizations,supports_omap", True, set()),
        (ERASURE, "hashpspool,supports_omap", True, {"DATA_POOL_NO_OVERWRITES"}),
    ],
)
def test_an_erasure_coded_pool_holds_headers_where_its_flags_say_so(
    monkeypatch, kind, flags, omap, refused
):
    pool = described(monkeypatch, kind, flags)
    assert (pool.omap, pool.erasure) == (omap, kind == ERASURE)
    request = MigrationRequest(ImageSpec("hdd", "", "a"), ImageSpec("ec", "", "a"), LayoutOptions())
    known = Facts(
        request=request,
        pools={"ec": pool},
        source=Name(Place("hdd", "", "a", 1, "a1"), exists=True),
        target=Name(Place("ec", "", "a", 2)) if omap else None,
        caps={"osd": "allow *"},
    )
    codes = {f.code for f in run(known)} & {"POOL_ERASURE_CODED", "DATA_POOL_NO_OVERWRITES"}
    assert codes == refused
