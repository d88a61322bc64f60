"""Carries out HTTP requests by running commands, the same way for both servers. Never raises."""

import json
import logging
import re
from dataclasses import dataclass, field, replace
from errno import EAGAIN, EINVAL, EIO, ENOENT, EPERM
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Tuple

from rbdmigrate import __version__
from rbdmigrate.control.plans.plan_file import read_plan
from rbdmigrate.control.plans.plan_text import load_plan_text
from rbdmigrate.control.query import Query
from rbdmigrate.engine import Engine
from rbdmigrate.model.errors import MigrationError, NotPermitted, errno_name
from rbdmigrate.model.states import Goal, HoldReason, State

from ...cli import commands
from ...cli.command import Call, Report
from ...cli.history import ended_since
from ...options import Options
from . import bulk, retry
from .fields import FieldError, check, check_texts
from .route import MEDIA, PERMISSIONS, Route
from .routes import BY_NAME

log = logging.getLogger(__name__)

COMPONENT = "rbd_migration"
_PLANS = ("plan_create", "plan_apply", "plan_compare")
_ARGUMENTS = {"source": "source_image", "target": "target_image"}  # others have equal names
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


@dataclass(frozen=True)
class Response:
    """The answer to a request: an HTTP status, plain data for the body, and additional headers.

    With a ``Content-Type`` among the headers the body is a text of that type.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What requests need: ``engine``, None until it has started, options and Ceph's ``release``.

    ``audit`` takes a line for the cluster's audit log.
    """

    engine: Optional[Engine]
    options: Options
    release: str
    audit: Callable[[str], None] = lambda line: None


def refusal(status: int, errno: int, sentence: str) -> Response:
    """Return an error in the format of the dashboard."""
    body = {"detail": sentence, "code": errno_name(errno), "component": COMPONENT}
    return Response(status, body, retry.headers(status))


def dispatch(
    context: Context,
    name: str,
    target: str,
    query: Mapping[str, str],
    body: Any,
    permissions: Collection[str] = (),
    who: str = "",
) -> Response:
    """Carry out the route ``name`` for a caller who may use it and has these ``permissions``.

    ``who`` is the caller's name, for the timeline and the audit log.

    ``target`` is the name in the path: the target of a migration, or a plan.
    """
    route = BY_NAME[name]
    if context.engine is None:
        sentence = "rbd_migration is still reading its records; try again in a few seconds."
        return refusal(503, EAGAIN, sentence)
    try:
        args = {
            **check_texts(route.query, query),
            **check(route.body, {} if body is None else body),
        }
        missing = route.missing(args, permissions)
        if missing:
            return refusal(403, EPERM, f"The permission {missing} is needed for imports.")
        if route.parameter is not None:
            args.update(check_texts((route.parameter,), {route.parameter.name: target}))
        if route.name in _OWN:
            answer = _OWN[route.name](context, context.engine, args, who)
            if route.name == "summary":
                answer.body["permissions"] = {name: name in permissions for name in PERMISSIONS}
            return answer
        result = _command(route, context, context.engine, args, "create" in permissions, who)
        headers = _file_headers(route, args) if route.download else {}
        return Response(route.status, result, headers)
    except FieldError as error:
        return refusal(400, EINVAL, str(error))
    except NotPermitted as error:
        return refusal(403, error.errno, str(error))
    except MigrationError as error:
        status = _status(error.errno, route, context.engine)
        return refusal(status, error.errno, _in_fields(str(error)))
    except Exception:  # a bug of the module: users get no traceback
        log.exception("%s failed", name)
        return refusal(500, EIO, "An error in the module; the manager's log has the details.")


def answer(context: Context, name: str, text: str) -> str:
    """Carry out a request of another manager module, given and answered as JSON text."""
    try:
        asked = json.loads(text)
        found = dispatch(context, name, **asked)
    except (ValueError, LookupError, TypeError):
        found = refusal(400, EINVAL, f"This version does not have the request {name}.")
    return json.dumps({"status": found.status, "body": found.body, "headers": found.headers})


def _command(
    route: Route,
    context: Context,
    engine: Engine,
    args: Dict[str, Any],
    may_create: bool,
    who: str,
) -> Any:
    """Run the command of a route, with the fields as its arguments."""
    command = commands.BY_NAME[route.command]
    flat = {name: value for name, value in args.items() if name != "layout"}
    flat.update(args.get("layout", {}))
    flat, inbuf = _plan(flat) if route.name in _PLANS else _import(flat)
    given = {_ARGUMENTS.get(name, name): value for name, value in flat.items()}
    call = _call(context, engine, given, inbuf, may_create, who)
    return commands.plain(commands.run(command, call))


def _call(
    context: Context,
    engine: Engine,
    args: Dict[str, Any],
    inbuf: Optional[str] = None,
    may_create: bool = True,
    who: str = "",
) -> Call:
    """Return the call of a caller over HTTP, who may access all pools."""
    return Call(
        args,
        engine,
        context.options,
        lambda pool, namespace: True,
        inbuf=inbuf,
        may_create=may_create,
        who=who,
        audit=context.audit,
        logged=False,
    )


def _file_headers(route: Route, args: Dict[str, Any]) -> Dict[str, str]:
    """Return the headers of an answer that is a file, which has no scripts and opens nothing."""
    name = route.download.format(plan=args.get("plan", ""))
    return {
        "Content-Type": MEDIA[args["export"]],
        "Content-Disposition": f'attachment; filename="{name}.{args["export"]}"',
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
        "frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
    }


def _import(args: Dict[str, Any]) -> Tuple[Dict[str, Any], Optional[str]]:
    """Return the arguments of an import's command: one image, and the source-spec as its file."""
    spec = args.get("source_spec")
    if spec is None:
        return args, None
    if "source" in args:
        raise FieldError("source and source_spec both name the source; give one of them.")
    if args.get("import_only") is False:
        raise FieldError("source_spec is for imports; leave import_only out, or give true.")
    given = {**args, "import_only": True, "source": args.get("target", "")}
    return {k: v for k, v in given.items() if k not in ("source_spec", "target")}, json.dumps(spec)


def _plan(args: Dict[str, Any]) -> Tuple[Dict[str, Any], Optional[str]]:
    """Return no arguments, and the plan as the command's file; JSON is valid there."""
    if ("definition" in args) == ("file" in args):
        raise FieldError("Give the plan either as definition or as file.")
    if "file" in args:
        return {}, args["file"]
    return {}, json.dumps(args["definition"], ensure_ascii=False)


def _status(errno: int, route: Route, engine: Engine) -> int:
    """Return the HTTP status of a refusal."""
    if errno == ENOENT and route.parameter is not None:
        return 404
    return 503 if errno == EAGAIN and engine.ended.is_set() else 400


def _in_fields(sentence: str) -> str:
    """Replace the options that a command's error message names by fields of the request."""

    def name(found: "re.Match[str]") -> str:
        text = found[1].replace("-", "_")
        return '"force": true' if text == "force" else text

    in_code = sentence.split("`")
    return "`".join(part if i % 2 else _OPTION.sub(name, part) for i, part in enumerate(in_code))


# -- routes that are not commands ------------------------------------------------------------


def _query(args: Dict[str, Any]) -> Query:
    """What both lists have; the filters of one of them are added."""
    sort = args["sort"]
    return Query(
        offset=args["offset"],
        limit=args["limit"],
        sort=sort.lstrip("+-"),
        descending=sort.startswith("-"),
        search=args.get("search", ""),
        states=frozenset(State(state) for state in args.get("state", ())),
        pool=args.get("pool", ""),
        plan=args.get("plan", ""),
    )


def _list(context: Context, engine: Engine, args: Dict[str, Any], who: str) -> Response:
    query = replace(
        _query(args),
        goals=frozenset(Goal(goal) for goal in args.get("goal", ())),
        holds=frozenset(HoldReason(reason) for reason in args.get("hold", ())),
        awaiting_commit=args["awaiting_commit"],
        ended=args["ended"],
    )
    return _page(engine.listing.browse(query))


def _history(context: Context, engine: Engine, args: Dict[str, Any], who: str) -> Response:
    target = args.get("target")
    query = replace(
        _query(args),
        target="" if target is None else str(engine.spec(target, "target")),
        since=ended_since(args.get("since"), "since"),
    )
    return _page(engine.listing.history(query))


def _page(found: Tuple[int, List[Report]]) -> Response:
    total, reports = found
    return Response(200, reports, {"X-Total-Count": str(total)})


def _summary(context: Context, engine: Engine, args: Dict[str, Any], who: str) -> Response:
    return Response(
        200,
        {
            "version": __version__,
            "ceph_release": context.release,
            **engine.listing.summary(),
            "cluster_rate": engine.cluster_rate(),
            **engine.conditions(),
            "limits": context.options.limits(),
        },
    )


def _throughput(context: Context, engine: Engine, args: Dict[str, Any], who: str) -> Response:
    if "target" in args and "plan" in args:
        raise FieldError("target and plan are both given; give one of them.")
    target = engine.spec(args["target"], "target") if "target" in args else None
    return Response(200, engine.throughput(target, args.get("plan", "")))


def _bulk(context: Context, engine: Engine, args: Dict[str, Any], who: str) -> Response:
    given = {name: args[name] for name in ("cutover", "max_pause", "name_changes") if name in args}
    call = _call(context, engine, given, who=who)
    return Response(200, bulk.act(call, args["action"], args["targets"]))


def _pools(context: Context, engine: Engine, args: Dict[str, Any], who: str) -> Response:
    return Response(200, engine.places.pools())


def _images(context: Context, engine: Engine, args: Dict[str, Any], who: str) -> Response:
    namespace, search = args.get("namespace", ""), args.get("search", "")
    found = engine.places.images(args["pool"], namespace, search, args["limit"])
    return Response(200, found)


def _plan_read(context: Context, engine: Engine, args: Dict[str, Any], who: str) -> Response:
    plain = load_plan_text(args["file"])
    definition = plain if isinstance(plain, dict) else {}
    try:
        read_plan(plain, engine.spec("x", "image").pool, context.options.settings.timezone)
    except MigrationError as error:
        return Response(200, {"definition": definition, "problem": str(error)})
    return Response(200, {"definition": definition, "problem": ""})


_OWN: Dict[str, Callable[[Context, Engine, Dict[str, Any], str], Response]] = {
    "list": _list,
    "history": _history,
    "summary": _summary,
    "throughput": _throughput,
    "bulk": _bulk,
    "pools": _pools,
    "images": _images,
    "plan_read": _plan_read,
}
