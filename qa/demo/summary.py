"""The summary at the end of the demo."""

from qa.demo.console import Console
from qa.demo.result import Result
from qa.demo.sizes import milliseconds, size_text


def show(result: Result, console: Console) -> None:
    """Print the result; the last line says how many bytes differ."""
    client, comparison = result.client, result.comparison
    steps = ", ".join(f"{step} {took:.1f}" for step, took in result.seconds.items())
    rows = {
        "image": size_text(result.size),
        "to copy": f"{size_text(result.source_bytes)} of head and snapshots",
        "on target": f"{size_text(result.target_bytes)} allocated, with what the client wrote",
        "client": f"{client.writes} writes, median {milliseconds(client.median)}, "
        f"worst {milliseconds(client.worst)}{_while(result.worst_while)}",
        "compared": f"{size_text(comparison.bytes_read)} of head and snapshots",
        "seconds": steps,
    }
    console.section("Summary")
    for name, text in rows.items():
        console.say(f"{name:<10} {text}")
    for problem in result.problems:
        console.say(f"{'problem':<10} {problem}")
    for place in comparison.first:
        console.say(f"{'differs':<10} {place.view} at {place.offset}: {place.count} bytes of 4 KiB")
    console.plain()
    console.plain(f"{comparison.bytes_differ} bytes differ")


def _while(step: str) -> str:
    return f" (during {step})" if step else ""
