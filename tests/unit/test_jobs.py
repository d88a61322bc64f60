"""Jobs and answers on the pipe between engine and worker: all of them come through as they were."""

import json
from dataclasses import replace
from typing import get_args

import pytest

from rbdmigrate.model.errors import RecordError
from rbdmigrate.model.finding import Finding, Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.import_source import Import
from rbdmigrate.model.inspection import Inspection, SnapshotInfo
from rbdmigrate.model.jobs import acts, answers, questions
from rbdmigrate.model.jobs.protocol import (
    Cause,
    DoJob,
    Done,
    Event,
    Failed,
    FromJob,
    GaveUp,
    Hello,
    Job,
    Message,
    Progress,
    Published,
    SetRate,
    Start,
    VerifyProgress,
    decode_line,
    encode_line,
)
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.obstacles import AdvisoryLock, Obstacles, RemovedSnapshot
from rbdmigrate.model.source import StreamSpec
from rbdmigrate.model.source_image import Snapshot, SourceImage
from rbdmigrate.model.source_list import ListRead, ListRow, SourceList
from rbdmigrate.model.states import ActKind, Method
from rbdmigrate.model.target_header import TargetHeader
from rbdmigrate.model.untrimmed import Untrimmed
from rbdmigrate.model.verification import Compared, Extent, Verification, Verify
from rbdmigrate.model.watchers import Watcher

SOURCE, TARGET = Place("hdd", "", "vm", 1, "aa"), Place("nvme", "ns", "vm", 2)
IMAGES = acts.ImageEnds(SOURCE, TARGET)
IMPORT = acts.ImportEnds(
    "5f3a",
    Import('{"type": "raw"}', secrets=("a",), makers=(4, 7)),
    TARGET,
    ImportPolicy(("/srv",)),
)
CHECKPOINT = Verification(
    Verify.FULL, 7, 1.0, 1e9, views=(Compared("s", 5, differences=(Extent(0, 512),)),)
)
WARM = acts.WarmEnds("m1", SOURCE, TARGET)
ELSEWHERE = acts.WarmEnds("m1", SOURCE, TARGET, IMPORT)
ACTS = (
    acts.Prepare(LayoutOptions(object_size=1 << 20), "point", ("10.0.0.5:0/1",)),
    acts.UndoPrepare("1/group", 2),
    acts.Execute(1 << 20, 3, 17, "point", "no room"),
    acts.Arm(1 << 20, ("10.0.0.5:0/1",)),
    acts.ReverseRound("point", 1 << 20, ("10.0.0.5:0/1",)),
    acts.CutOver(("10.0.0.5:0/1",)),
    acts.CompleteObjects("point", around=0),
    acts.Verify(CHECKPOINT, None, 17, "point", "", trust_maps=False),
    acts.Commit(),
    acts.FinishCommit(),
    acts.Abort("1/group", 0, 17, blind=True, fenced=("10.0.0.5:0/1",)),
    acts.RemoveComparisonSnapshot("point"),
    acts.TakeLock(),
)
QUESTIONS = (
    questions.Examine(TARGET, blind=True, fenced=("a",)),
    questions.FindUsers((SOURCE, TARGET), ("a",)),
    questions.FindClosed((SOURCE, TARGET), ("a",)),
    questions.FindClosedSources((IMPORT,)),
    questions.MeasureWritten(TARGET, "point"),
    questions.InspectImage(SOURCE, flatten=True),
    questions.InspectSource('{"type": "raw"}', ImportPolicy(), 25.0),
    questions.ReadList(SourceList(StreamSpec("file", file_path="/x")), ImportPolicy(), 25.0),
)
ANSWERS = (
    answers.Finished(),
    answers.NotTrimmed(Untrimmed("hdd", 1, 2, 3, stopped=True)),
    answers.Prepared("bb", 17, TargetHeader(1, 2, "s", "m", "g"), "no room"),
    answers.Prepared("bb", None, None),
    answers.Copied(18, False, 1 << 30, ("The size changed.",)),
    answers.Synchronized("point", 3, 4096, 0.25, 2.0, 1 << 30),
    answers.Armed(answers.Synchronized("point", 1, 0, 0.25, 2.0, 1 << 30, 0.5), 0.25, 60.0),
    answers.CopiedBack("point", 4096, 0.25, 2.0, 0.5),
    answers.CutOverDone("point", 0.25, 4096, (answers.StepTime("name", 0.125),)),
    answers.ObjectsCompleted(3, whole=False),
    answers.Verified(CHECKPOINT),
    answers.Examined((Watcher(4711, "a", lock=True, kernel=True),), True, "1/group", 0),
    answers.UsersFound(("a", "b")),
    answers.ClosedImages(("a", "b")),
    answers.WrittenSince(None),
    answers.WrittenSince(4096),
    ListRead("/srv", ("a",), (ListRow("b", "qcow", "c", Method.COPY, as_raw=True),)),
    SourceImage(
        size=1 << 40,
        features=frozenset({"layering", "journaling"}),
        snapshots=(Snapshot("s", protected=True),),
        users=(Watcher(1, "a"),),
        untrimmed=Untrimmed("hdd", 1, 2, 3),
        obstacles=Obstacles(("g",), 1, (RemovedSnapshot("s", ("c",)),), (AdvisoryLock("l", "c"),)),
    ),
    Inspection(
        1 << 30,
        (SnapshotInfo("s", 5),),
        identity={"stream": {"ETag": "x"}},
        findings=(Finding("CODE", Severity.ERROR, "o", "m", "r", 5),),
    ),
)
ENDS = (IMAGES, IMPORT, WARM, ELSEWHERE)
JOBS = (*(acts.ActOn(ends, act) for ends in ENDS for act in ACTS), *QUESTIONS)
EVENTS = (
    Progress(12, 64, 1 << 20, 1 << 30, alone=False),
    VerifyProgress(5, 0.5, CHECKPOINT),
    Published(),
    Failed(16, Cause.LIBRBD),
    Failed(16, Cause.IN_USE, "The source is open for writing by client.1 at 10.0.0.1."),
    GaveUp("The file was exchanged."),
    *(Done(answer) for answer in ANSWERS),
)
MESSAGES = (
    Start("mgr.x", "/etc/ceph/ceph.conf", "", 4711),
    SetRate(None),
    SetRate(0),
    Hello("0.1.0", 4711, ("a",), (1, 2)),
    *(DoJob(number, job) for number, job in enumerate(JOBS)),
    *(FromJob(number, event) for number, event in enumerate(EVENTS)),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_is_one_line_and_comes_through_as_it_was(message):
    line = encode_line(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_line(line) == message


@pytest.mark.parametrize(
    ("union", "shown"),
    [
        (acts.Act, ACTS),
        (acts.Ends, ENDS),
        (questions.Question, QUESTIONS),
        (answers.Answer, ANSWERS),
        (Job, JOBS),
        (Event, EVENTS),
        (Message, MESSAGES),
    ],
)
def test_every_kind_of_message_is_tried_here(union, shown):
    assert {type(each) for each in shown} == set(get_args(union))


def test_every_act_of_the_engine_has_a_job_of_its_name():
    assert {act.name for act in ACTS} >= {act.value for act in ActKind}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"{",
        b'{"DoJob":{"number":1,"job":{"Examine":{}}},"SetRate":{"rate":1}}',
        b'{"Shutdown":{}}',
        b'{"SetRate":{"rate":"fast"}}',
        b'{"SetRate":{"rate":1,"burst":2}}',
        b'{"DoJob":{"number":1,"job":{"Commit":{}}}}',
        b'{"DoJob":{"number":1,"job":null}}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_a_message_of_this_version_is_refused(line):
    with pytest.raises(RecordError):
        decode_line(line)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_field_that_is_not_known_is_refused_wherever_it_is(message):
    def with_more(plain):
        yield {**plain, "more": 1}
        for key, value in plain.items():
            if isinstance(value, dict):
                yield from ({**plain, key: changed} for changed in with_more(value))

    plain = json.loads(encode_line(message))
    free = ("identity", "stream")  # Inspection.identity has names of streams and of headers
    for changed in with_more(plain):
        text = json.dumps(changed)
        if any(f'"{name}": ' in text and _more_in(changed, name) for name in free):
            continue
        with pytest.raises(RecordError):
            decode_line(text.encode())


def _more_in(plain, name):
    """Whether the key ``more`` was put into the object of this name."""
    if not isinstance(plain, dict):
        return False
    found = plain.get(name)
    if isinstance(found, dict) and "more" in found:
        return True
    return any(_more_in(value, name) for value in plain.values())


def test_a_source_with_its_secrets_is_not_shown_by_logs():
    question = questions.InspectSource('{"secret_key": "hidden"}', ImportPolicy(), 1.0)
    assert "hidden" not in repr(DoJob(1, question))
    assert replace(question, seconds=2.0).spec == question.spec
