"""The recorded imports: the same states, over a file, HTTP and S3 with its secrets."""

import json
from pathlib import Path

from qa.upgrade.recorder import Recorder, target
from qa.workload.bucket import upload
from qa.workload.sources import make_source
from qa.workload.web_server import WebServer

_SLOWLY = ("--object-size", "4K", "--rate", "16K")  # half a minute for a source


class Imports:
    """Imports from sources in ``folder``, served by ``web``, named ``import-`` and their state."""

    def __init__(self, recorder: Recorder, folder: Path, web: WebServer) -> None:
        self._recorder = recorder
        raw, qcow = make_source(folder, "raw"), make_source(folder, "qcow3-snapshots")
        stored = upload(raw.files[0], recorder.cluster.s3(), "imports")
        self._file = json.dumps(raw.spec(_file))
        served = {"type": "http", "url": web.url(f"/{raw.files[0].name}")}
        self._http = json.dumps(raw.spec(lambda path: served))
        self._s3 = json.dumps(raw.spec(lambda path: stored))
        self._qcow = json.dumps(qcow.spec(_file))

    def begin(self) -> None:
        """Start all imports that stay in their state; :meth:`copy` starts the one that does not."""
        self._do("prepare", "prepared", self._s3)
        self._do("run", "executed", self._qcow, "--goal", "executed")
        self._do("run", "committed", self._file)
        self._do("prepare", "aborted", self._s3)
        self._recorder.do("abort", target(_name("aborted")))
        for state in ("executed", "committed", "aborted"):
            self._recorder.wait(_name(state), state)
        self._do("run", "paused", self._http, *_SLOWLY)
        self._recorder.wait_copying(_name("paused"))
        self._recorder.do("pause", target(_name("paused")))

    def copy(self) -> None:
        """Start the import that is recorded in the middle of its copy."""
        self._do("run", "executing", self._s3, *_SLOWLY)
        self._recorder.wait(_name("executing"), "executing")

    def _do(self, command: str, state: str, spec: str, *options: str) -> None:
        self._recorder.do(command, target(_name(state)), "--import-only", *options, input=spec)


def _file(path: Path) -> "dict[str, str]":
    return {"type": "file", "file_path": str(path)}


def _name(state: str) -> str:
    return f"import-{state}"
