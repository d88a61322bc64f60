"""The options of the REST server of its own, and of what is added to the dashboard."""

from typing import Any, Dict, List

HTTP_OPTIONS: List[Dict[str, Any]] = [
    {
        "name": "server",
        "type": "bool",
        "default": False,
        "desc": "whether the module serves the REST API and the web page itself",
        "runtime": True,
    },
    {
        "name": "server_addr",
        "type": "str",
        "default": "::",
        "desc": "the address at which the module's own server listens",
        "runtime": True,
    },
    {
        "name": "server_port",
        "type": "uint",
        "default": 8483,
        "desc": "the port at which the module's own server listens",
        "runtime": True,
    },
    {
        "name": "server_tls",
        "type": "bool",
        "default": True,
        "desc": "whether the module's own server speaks HTTPS",
        "runtime": True,
    },
    {
        "name": "server_cert",
        "type": "str",
        "default": "",
        "desc": "file with the certificate; empty: config-key mgr/rbd_migration/server_cert",
        "runtime": True,
    },
    {
        "name": "server_key",
        "type": "str",
        "default": "",
        "desc": "file with the certificate's key; empty: config-key mgr/rbd_migration/server_key",
        "runtime": True,
    },
    {
        "name": "dashboard_metrics",
        "type": "bool",
        "default": False,
        "desc": "whether the dashboard has the metrics for Prometheus, at /rbd-migration/metrics",
        "runtime": True,
    },
    {
        "name": "dashboard_menu",
        "type": "bool",
        "default": True,
        "desc": "whether the dashboard's menu has an entry Live migration, under Block",
        "runtime": True,
    },
]
