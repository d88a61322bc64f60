"""A fake QEMU: a QMP server at a Unix socket with a block graph that its commands change.

It refuses what QEMU refuses: names used twice, deleting nodes in use, images that do not exist.
``die_at`` closes the connection at the nth command that changes something, before or after it
was carried out; the server goes on with the next connection, as QEMU does when a client is killed.
"""

import json
import os
import socket
import threading
from pathlib import Path

QUERIES = ("query-", "x-debug-", "qom-get", "qmp_capabilities")
MIB = 1 << 20


class FakeQemu:
    """Start it as a context manager. The process it claims to be is this one."""

    def __init__(self, path, images, uuid="11111111-2222-3333-4444-555555555555", name="web-17"):
        self.path, self.uuid, self.name, self.status = Path(path), uuid, name, "running"
        self.images = dict(images)  # "pool/image" -> size
        self.nodes, self.devices, self.extra_users = {}, {}, []
        self.jobs, self.exports, self.migration, self.bitmaps = [], [], {}, {}
        self.type, self.changes, self.die_at, self.silent = "virtio-blk-device", [], None, ()
        self.opened_while_running = []
        self.answers = {}  # command -> what it answers instead

    def __enter__(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(4)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        self.path.unlink(missing_ok=True)

    # -- what tests set up

    def add_disk(self, device, leaf, image, above=""):
        """A device with a leaf; ``above`` is a node raw between them. Return QEMU's arguments."""
        options = self.leaf(leaf, image)
        self.nodes[leaf] = options
        words = ["-blockdev", json.dumps(options)]
        if above:
            self.nodes[above] = {"driver": "raw", "node-name": above, "file": leaf}
            words += ["-blockdev", json.dumps(self.nodes[above])]
        self.devices[device] = above or leaf
        return words

    @staticmethod
    def leaf(name, image):
        pool, image = image.split("/")
        place = {"driver": "rbd", "node-name": name, "pool": pool, "image": image}
        return {**place, "conf": "/c.conf", "user": "vm", "key-secret": "s0", "discard": "unmap"}

    def used(self, device):
        """The image that a device's requests reach; None on a placeholder."""
        node = self.nodes[self.devices[device]]
        while node["driver"] not in ("rbd", "blkdebug"):
            node = self.nodes[node["file"]]
        return self._image(node) if node["driver"] == "rbd" else None

    def open_images(self):
        return sorted(self._image(node) for node in self.nodes.values() if node["driver"] == "rbd")

    # -- the server

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, client.makefile("rwb") as file:
                try:
                    self._talk(file)
                except (OSError, ValueError):
                    continue

    def _talk(self, file):
        def say(message):
            file.write(json.dumps(message).encode() + b"\n")
            file.flush()

        say({"QMP": {"version": {}, "capabilities": []}})
        for line in file:
            request = json.loads(line)
            command, arguments = request["execute"], request.get("arguments", {})
            if command in self.silent:
                return file.read()
            say({"event": "SOMETHING", "data": {}})
            changes = not command.startswith(QUERIES)
            dies = changes and self.die_at is not None and self._counted()
            if dies == "before":
                return None
            try:
                answer = {"return": self._do(command, arguments)}
                if changes:
                    self.changes.append(command)
            except Refusal as error:
                answer = {"error": {"class": "GenericError", "desc": str(error)}}
            if dies:
                return None
            say(answer)
        return None

    def _counted(self):
        number, when = self.die_at
        self.die_at = (number - 1, when)
        return when if number == 1 else ""

    def _do(self, command, arguments):
        if command in self.answers:
            return self.answers[command]
        simple = {
            "qmp_capabilities": {},
            "query-name": {"name": self.name},
            "query-uuid": {"UUID": self.uuid},
            "query-status": {"status": self.status, "running": self.status == "running"},
            "query-jobs": self.jobs,
            "query-block-exports": self.exports,
            "query-migrate": self.migration,
        }
        if command in simple:
            return simple[command]
        return getattr(self, command.replace("-", "_").replace("x_", ""))(arguments)

    def stop(self, _):
        self.status = "paused"
        return {}

    def cont(self, _):
        self.status = "running"
        return {}

    def qom_get(self, _):
        return self.type

    def qom_set(self, arguments):
        self._must_exist(arguments["value"])
        self.devices[arguments["path"]] = arguments["value"]
        return {}

    def blockdev_add(self, arguments):
        name = arguments["node-name"]
        if name in self.nodes:
            raise Refusal(f"Duplicate nodes with node-name='{name}'")
        if len(name) > 31:
            raise Refusal("Node name too long")
        if arguments["driver"] == "rbd":
            if self._image(arguments) not in self.images:
                raise Refusal(f"error reading header from {arguments['image']}: No such file")
            self.opened_while_running += [name] if self.status == "running" else []
        self.nodes[name] = arguments
        return {}

    def blockdev_del(self, arguments):
        name = arguments["node-name"]
        self._must_exist(name)
        if name in self.devices.values() or any(
            node.get("file") == name for node in self.nodes.values()
        ):
            raise Refusal(f"Node {name} is in use")
        del self.nodes[name]
        return {}

    def blockdev_reopen(self, arguments):
        for options in arguments["options"]:
            self._must_exist(options["node-name"])
            self._must_exist(options["file"])
            self.nodes[options["node-name"]] = options
        return {}

    def query_block(self, _):
        return [
            {"device": "", "qdev": device, "inserted": {"node-name": node}}
            for device, node in self.devices.items()
        ]

    def query_named_block_nodes(self, _):
        return [
            {
                "node-name": name,
                "drv": options["driver"],
                "ro": False,
                "image": {"filename": self._filename(options), "virtual-size": self._size(options)},
                "cache": {"direct": False, "no-flush": False},
                "dirty-bitmaps": [{"name": each} for each in self.bitmaps.get(name, ())],
            }
            for name, options in self.nodes.items()
        ]

    def debug_query_block_graph(self, _):
        ids = {name: number for number, name in enumerate([*self.nodes, *self.devices])}
        nodes = [
            {"id": ids[name], "name": name, "type": "block-driver" if name in self.nodes else
             "block-backend"}
            for name in ids
        ]  # fmt: skip
        edges = [
            {"parent": ids[name], "child": ids[options["file"]], "name": "file"}
            for name, options in self.nodes.items()
            if "file" in options
        ]
        edges += [
            {"parent": ids[path], "child": ids[node], "name": "root"}
            for path, node in self.devices.items()
        ]
        for number, (name, kind, child) in enumerate(self.extra_users, 1000):
            nodes.append({"id": number, "name": name, "type": kind})
            edges.append({"parent": number, "child": ids[child], "name": "root"})
        return {"nodes": nodes, "edges": edges}

    def _must_exist(self, name):
        if name not in self.nodes:
            raise Refusal(f"Failed to find node with node-name='{name}'")

    @staticmethod
    def _image(options):
        return f"{options['pool']}/{options['image']}"

    def _size(self, options):
        return self.images.get(self._image(options), 0) if options["driver"] == "rbd" else 0

    @staticmethod
    def _filename(options):
        shown = ("driver", "pool", "image", "conf", "user")
        if options["driver"] == "rbd":
            return "json:" + json.dumps({key: options[key] for key in shown})
        return "something"


class Refusal(Exception):
    """QEMU refuses a command."""


def proc_of(folder, words):
    """A folder in place of /proc, where this process was started with these arguments of QEMU."""
    proc = Path(folder) / str(os.getpid())
    proc.mkdir(parents=True)
    proc.joinpath("cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")
    stat = Path(f"/proc/{os.getpid()}/stat").read_text(encoding="utf-8")
    proc.joinpath("stat").write_text(stat, encoding="utf-8")
    return Path(folder)
