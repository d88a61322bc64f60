"""What an agent on a hypervisor host asks a manager of the fake cluster."""

from rbdmigrate.model.agent_messages import (
    Inventory,
    OpenDisk,
    OpenGuest,
    Outcome,
    decode_answer,
    decode_request,
    encode,
)
from tests.fakes.world import spec


def guest(*images, status="running", renames=False, reason=""):
    disks = tuple(OpenDisk(spec(image), "/vda", reason) for image in images)
    return OpenGuest("web-17", "uuid-17", status, disks, renames)


def ask(world, request, host="pve3"):
    """What the manager answers, as it goes over the wire."""
    sent = decode_request(encode(request))
    return decode_answer(encode(world.call(lambda: world.engine.agents.answer(host, sent))))


def orders(world, *guests, host="pve3"):
    return ask(world, Inventory("1", guests), host)


def wait_decided(world, token, idents, answer):
    """What an agent does whose guest is paused: ask until the outcome is known."""
    for _ in range(30):
        if answer.decided:
            break
        world.run(1.0)
        answer = ask(world, Outcome(token, idents))
    assert answer.decided
