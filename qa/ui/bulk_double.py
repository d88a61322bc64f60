"""The test double's requests about several migrations: the same act on each, one at a time."""

from collections.abc import Callable, Iterable
from typing import Any

from rbdmigrate.model.errors import MigrationError

Args = dict[str, Any]


def act_on(targets: Iterable[str], act: Callable[[str], object]) -> Args:
    """Apply ``act`` to each target and return what became of each, as the API does."""
    answer: Args = {"done": [], "refused": [], "left": 0}
    for target in dict.fromkeys(targets):
        try:
            act(target)
            answer["done"].append(target)
        except MigrationError as error:
            refused = {"target": target, "code": error.code, "message": str(error)}
            answer["refused"].append(refused)
    return answer
