"""A text on a web server, read as a whole: a page that lists files, or a manifest."""

from __future__ import annotations

from errno import E2BIG, EOPNOTSUPP

from ..http_copied import CopiedHttpStream, WebAccess
from ..net import Rules
from ..redirects import without_query


class WebPage(CopiedHttpStream):
    """A page of at most ``longest`` bytes, wherever the server redirects to.

    ``content`` is what it has, of the type ``kind``, such as text/html.
    """

    def __init__(self, access: WebAccess, rules: Rules, longest: int) -> None:
        self.longest_body = longest
        super().__init__(access, rules)

    def _open(self) -> None:
        answer = self.followed(lambda: self.ask("GET"))
        if answer.status != 200:
            raise self.failure(answer, "GET")
        if len(answer.body) > self.longest_body:
            raise self._error(
                "LIST_TOO_LONG",
                E2BIG,
                f"gives more than {self.longest_body >> 10} KiB for {self.label}; make several "
                "lists of it",
            )
        if answer.headers.get("content-encoding", "identity") not in {"identity", ""}:
            raise self._error("HTTP_ENCODED", EOPNOTSUPP, f"sends {self.label} compressed")
        self.kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.content = answer.body
        self.size, self.identity = len(answer.body), {}

    @property
    def final_url(self) -> str:
        """The URL that the redirects ended at, without what may be a secret."""
        return without_query(f"{self.url.scheme}://{self.url.place}{self.url.path}")
