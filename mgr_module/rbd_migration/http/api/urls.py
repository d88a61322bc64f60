"""Parses the raw URL of a request into a route and its arguments, the same on both servers.

The dashboard decodes URLs twice and so mixes up images whose names contain a percent sign; both
servers therefore read the URL as it was sent.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qsl, unquote

from .fields import FieldError
from .route import BASE, Route
from .routes import ROUTES

_MOST_ARGUMENTS = 50


class Match(NamedTuple):
    """``allowed``: the methods of the path; ``route`` is None if the request's is not one of them.

    ``target`` is the name in the path: the target of a migration, or a plan.
    """

    route: Optional[Route]
    target: str
    allowed: List[str]


def split(address: str) -> Tuple[str, str]:
    """Split a request's raw URL into the path below ``BASE`` and the query string."""
    path, _, query = address.partition("?")
    return path.partition(BASE)[2], query


def match(method: str, path: str) -> Match:
    """Find the route of a raw path below ``BASE``."""
    parts = [part for part in path.split("/") if part] if path[:1] in ("", "/") else None
    found: List[Route] = []
    target = ""
    for route in ROUTES:
        words = [word for word in route.path.split("/") if word]
        if parts is None or len(words) != len(parts):
            continue
        if all(word == part or word[0] == "{" for word, part in zip(words, parts)):
            found.append(route)
            if route.parameter is not None:
                word = f"{{{route.parameter.name}}}"
                target = unquote(parts[words.index(word)], errors="surrogateescape")
    chosen = next((route for route in found if route.method == method), None)
    return Match(chosen, target, sorted({route.method for route in found}))


def arguments(query: str) -> Dict[str, str]:
    """Parse the arguments of a query string. FieldError for one given twice, or too many."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="surrogateescape", max_num_fields=_MOST_ARGUMENTS
        )
    except ValueError as error:
        raise FieldError("The address has too many arguments.") from error
    found: Dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise FieldError(f"The argument {name[:40]!r} comes twice; give it once.")
        found[name] = value
    return found
