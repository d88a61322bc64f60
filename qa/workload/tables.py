"""Tables for people: columns without lines, numbers at the right."""

from collections.abc import Iterable, Sequence

from prettytable import PrettyTable


def table(head: Sequence[str], rows: Iterable[Sequence[object]], left: Iterable[str] = ()) -> str:
    """The table as text. ``left``: headings of columns of text, besides the first."""
    made = PrettyTable(list(head), border=False)
    made.left_padding_width, made.right_padding_width = 0, 2
    made.align = "r"
    for column in (head[0], *left):
        made.align[column] = "l"
    made.add_rows([list(row) for row in rows])
    return "\n".join(line.rstrip() for line in made.get_string().splitlines())
