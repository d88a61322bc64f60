"""The settings of the demo: images, sizes, seeds."""

from dataclasses import dataclass
from typing import Optional

from qa.demo.content import BLOCK, SIZE_STEP
from qa.demo.errors import DemoError
from qa.demo.sizes import GIB, MIB, size_text

SMALLEST = 32 * MIB
LARGEST = 4 * GIB
_OBJECTS = 1024  # enough for a copy that can be watched, whatever the size of the image


@dataclass(frozen=True)
class Settings:
    """The settings. Equal settings give equal sources and equal places of the client's writes."""

    source_pool: str = "hdd"
    target_pool: str = "nvme"
    image: str = "vm1"
    size: int = 256 * MIB
    rate: float = 100.0  # writes of the client per second
    seed: int = 1
    corrupt: Optional[str] = None  # the view whose bytes are changed before the comparison

    def __post_init__(self) -> None:
        if not SMALLEST <= self.size <= LARGEST or self.size % SIZE_STEP:
            raise DemoError(
                f"The size has to be from {size_text(SMALLEST)} to {size_text(LARGEST)}, in whole "
                f"{size_text(SIZE_STEP)}, not {size_text(self.size)}."
            )

    @property
    def source(self) -> str:
        return f"{self.source_pool}/{self.image}"

    @property
    def target(self) -> str:
        return f"{self.target_pool}/{self.image}"

    @property
    def object_size(self) -> int:
        """The target's object size: a power of two that gives about the wanted object count."""
        size = BLOCK
        while size < 4 * MIB and self.size // size > _OBJECTS:
            size *= 2
        return size
