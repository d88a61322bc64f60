"""Checksums that cannot be computed in passing: the bytes are read once before they are copied."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from ...faults import fault_point
from ...model.checksum import Summing, parse_checksum
from ...model.copy_mark import CopyMark
from ...model.jobs.protocol import Progress, Tell
from ...model.source import StreamSpec
from ...sources import Stream
from ...sources.copying import CopySource
from ...sources.in_order import summed_in_passing
from ...sources.stream import BLOCK
from ...sources.unpacked import other_checksum


def compared(source: CopySource, mark: CopyMark, tell: Tell) -> CopyMark:
    """The mark when the checksums of all streams were compared. SourceError for a wrong one.

    What was compared before an interruption is not read again while its identity is the same.
    """
    for path, spec in source.spec.streams():
        if not spec.checksum:
            continue
        with source.open_stream(replace(spec, member="")) as stream:
            if summed_in_passing(source.spec.format, stream, spec):
                continue
            known = _known_by(path, spec, stream)
            if known in mark.checked:
                continue
            _require(stream, spec, tell)
            fault_point("external.summed", path)
            if known:
                mark = replace(mark, checked=(*mark.checked, known))
    return mark


def _known_by(path: str, spec: StreamSpec, stream: Stream) -> str:
    """What stands for these bytes; empty where a size alone would tell others from them."""
    if not stream.identity.keys() - {"size"} or stream.fickle:
        return ""
    text = json.dumps([path, spec.checksum, stream.identity], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _require(stream: Stream, spec: StreamSpec, tell: Tell) -> None:
    summing = Summing(parse_checksum(spec.checksum))
    total, done = -(-stream.size // BLOCK), 0
    content = stream.begin()
    try:
        while True:
            data = content.read(BLOCK)
            if not data:
                break
            summing.add(data)
            done += 1
            tell(Progress(min(done, total), total))
    finally:
        content.close()
    if not summing.right:
        raise other_checksum(spec.location, summing)
