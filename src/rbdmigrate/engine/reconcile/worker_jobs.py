"""The jobs that workers get: what an act has to know of a migration, and of now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ...control.lifecycle.cutover import clients_wait, goes_back, must_undo
from ...control.lifecycle.reverse import is_reverse
from ...model.import_policy import ImportPolicy
from ...model.jobs import acts
from ...model.migration import Migration
from ...model.states import ActKind, Method


@dataclass(frozen=True)
class ActContext:
    """What a record does not say about the act that begins now.

    ``rate``: bytes per second that the throttle gives it. ``fenced``: addresses of our dead
    workers. ``allowed_version`` and ``blind`` as in :class:`~rbdmigrate.model.jobs.acts.Abort`.
    ``arm``: a cutover follows within moments.
    """

    rate: Optional[int] = None
    trust_maps: bool = True
    fenced: tuple[str, ...] = ()
    allowed_version: Optional[int] = None
    blind: bool = False
    arm: bool = False


def ends_of(m: Migration, policy: ImportPolicy) -> acts.Ends:
    """Both ends of a migration; ``policy`` is what imports may read."""
    imported = import_ends_of(m, policy)
    if m.method is Method.WARM:
        return acts.WarmEnds(m.id, m.source, m.target, imported)
    return imported or acts.ImageEnds(m.source, m.target)


def import_ends_of(m: Migration, policy: ImportPolicy) -> Optional[acts.ImportEnds]:
    """How the source outside is reached; None for an image of this cluster."""
    if m.imported is None:
        return None
    return acts.ImportEnds(m.id, m.imported, m.target, policy, m.method)


def act_of(act: ActKind, m: Migration, context: ActContext) -> acts.Act:
    """The act ``act`` on a migration, whose record has the intent already."""
    untouched = None if m.touched else m.target_version
    if act is ActKind.PREPARE:
        return acts.Prepare(m.layout, m.comparison_snapshot, context.fenced)
    if is_reverse(m, act):
        return acts.ReverseRound(m.comparison_snapshot, context.rate, context.fenced)
    if act is ActKind.EXECUTE and context.arm:
        return acts.Arm(context.rate, context.fenced)
    if act is ActKind.EXECUTE:
        return acts.Execute(
            context.rate,
            m.holder_ops,
            untouched,
            m.comparison_snapshot,
            m.no_comparison_snapshot,
            context.fenced,
        )
    if act is ActKind.CUT_OVER:
        return acts.CutOver(context.fenced, undo=must_undo(m), clients_wait=clients_wait(m))
    if act is ActKind.VERIFY:
        assert m.verification is not None
        return acts.Verify(
            m.verification,
            context.rate,
            untouched,
            m.comparison_snapshot,
            m.no_comparison_snapshot,
            context.trust_maps,
        )
    if act is ActKind.ABORT:
        return acts.Abort(
            m.group,
            m.mirror_mode,
            context.allowed_version,
            context.blind,
            context.fenced,
            undo=goes_back(m) and must_undo(m),
            clients_wait=clients_wait(m),
            cut_over=m.cut_over_at is not None,
            without_source=m.from_another_cluster and m.abort is not None and m.abort.forced,
        )
    if act is ActKind.UNDO_PREPARE:
        return acts.UndoPrepare(m.group, m.mirror_mode)
    if act is ActKind.COMPLETE_OBJECTS:
        return acts.CompleteObjects(m.comparison_snapshot)
    if act is ActKind.REMOVE_COMPARISON_SNAPSHOT:
        return acts.RemoveComparisonSnapshot(m.comparison_snapshot)
    if act is ActKind.COMMIT:
        return acts.Commit()
    if act is ActKind.FINISH_COMMIT:
        return acts.FinishCommit()
    raise ValueError(f"no job is known for the act {act.value}")
