"""The text of a cluster's ceph.conf."""

from qa.devcluster.blueprint import Blueprint
from qa.devcluster.layout import Layout

# Makes a small cluster on one machine fast and healthy.
_SMALL = {
    # one replica
    "osd_pool_default_size": "1",
    "osd_pool_default_min_size": "1",
    "osd_crush_chooseleaf_type": "0",
    "osd_pool_default_erasure_code_profile": (
        "plugin=jerasure technique=reed_sol_van k=2 m=1 crush-failure-domain=osd"
    ),
    "mon_allow_pool_size_one": "true",
    "mon_warn_on_pool_no_redundancy": "false",
    # few placement groups, which are not moved automatically
    "osd_pool_default_pg_num": "8",
    "osd_pool_default_pgp_num": "8",
    "osd_pool_default_pg_autoscale_mode": "off",
    "mon_max_pg_per_osd": "1000",
    "mon_pg_warn_min_per_osd": "0",
    "mon_allow_pool_delete": "true",
    # the disk of a developer's machine may be nearly full
    "mon_data_avail_warn": "2",
    "mon_data_avail_crit": "1",
    # little memory
    "bluestore_cache_autotune": "false",
    "bluestore_cache_size": str(128 << 20),
    "osd_memory_target": str(1 << 30),
    # log the same, and gather no more than that for the case of a crash: it takes processor time
    **{f"debug_{part}": "1/1" for part in ("bluestore", "mon", "osd", "paxos", "rocksdb")},
    **{f"debug_{part}": "1/1" for part in ("auth", "bdev", "bluefs", "rgw")},
    **{f"debug_{part}": "0/0" for part in ("monc", "objecter", "rados", "rbd", "timer")},
    # start and notice changes quickly
    "paxos_propose_interval": "0.1",
    "mon_tick_interval": "2",
    "mgr_stats_period": "2",
    "bluestore_fsck_on_mkfs": "false",
    "osd_op_queue": "wpq",
    "osd_fast_shutdown_notify_mon": "true",
    # a machine that is suspended for minutes must not end an OSD
    "osd_op_thread_suicide_timeout": "0",
    "mgr_initial_modules": "",
}

_SECURE = {
    "auth_cluster_required": "cephx",
    "auth_service_required": "cephx",
    "auth_client_required": "cephx",
    "auth_allow_insecure_global_id_reclaim": "false",
}

_LOOPBACK = {
    "public_addr": "127.0.0.1",
    "cluster_addr": "127.0.0.1",
    "ms_bind_ipv4": "true",
    "ms_bind_ipv6": "false",
}


def conf_text(blueprint: Blueprint, layout: Layout) -> str:
    """Return the configuration; extra lines of the options replace those of the same name."""
    extra = blueprint.options.conf
    general = {
        "fsid": blueprint.fsid,
        "mon_host": blueprint.mon_host,
        "mon_initial_members": ",".join(blueprint.mons),
        "keyring": str(layout.keyring),
        "crash_dir": str(layout.crashes),
        "run_dir": str(layout.sockets),
        **_SECURE,
        **_LOOPBACK,
        **_SMALL,
        **extra,
    }
    daemons = {
        "log_file": str(layout.logs / "$name.log"),
        "admin_socket": str(layout.sockets / "$name.asok"),
        "log_to_stderr": "false",
        "err_to_stderr": "true",
        "log_flush_on_exit": "true",  # otherwise the reason why a daemon ended may be missing
    }
    sections: dict[str, dict[str, str]] = {
        "global": general,
        "mon": {**daemons, "mon_data": str(layout.data / "$name")},
        "mgr": {
            **daemons,
            "mgr_data": str(layout.data / "$name"),
            "mgr_module_path": str(layout.modules_of("$id")),
        },
        "osd": {
            **daemons,
            "osd_data": str(layout.data / "$name"),
            "osd_objectstore": "bluestore",
            "bluestore_block_size": str(blueprint.options.osd_size),
        },
        "client.rgw.a": {
            **daemons,
            "rgw_data": str(layout.data / "$name"),
            "rgw_frontends": f"beast endpoint=127.0.0.1:{blueprint.rgw_port}",
            "rgw_dns_name": "s3.test",  # other names than this one are those of buckets
        },
    }
    return "\n".join(
        f"[{name}]\n"
        + "".join(f"{key} = {extra.get(key, value)}\n" for key, value in lines.items())
        for name, lines in sections.items()
    )
