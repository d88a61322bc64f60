"""The header that tells clients when to repeat a request that was answered with status 503."""

from typing import Dict

SECONDS = 5  # a failover, and reading the records after it, take about that long


def headers(status: int) -> Dict[str, str]:
    """Return the headers that an answer with this status has because of it."""
    return {"Retry-After": str(SECONDS)} if status == 503 else {}
