#!/usr/bin/env python3
"""Takes the messages of rbd_migration over HTTPS, and runs a command for each.

The command gets the event as its argument and the message as its standard input. Exit code 0 is yes
(200), 1 is a veto (409) with the output as its reason, 75 is "ask again later" (202), and anything
else an error (500), after which the message comes again.

hook_receiver.py --secret FILE --certificate cert.pem --key key.pem --run /usr/local/bin/on-event
"""

import argparse
import hashlib
import hmac
import json
import ssl
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OLDEST = 300  # seconds; an older message may have been recorded and sent again by somebody
LONGEST = 1 << 20  # bytes of a message
STATUS = {0: 200, 1: 409, 75: 202}


class Receiver(BaseHTTPRequestHandler):
    """Answers one message."""

    secret = b""
    on_event = ""

    def do_POST(self):
        """A message came."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LONGEST))
        if not self.is_genuine(body):
            self.answer(401, "the signature is wrong or too old")
            return
        event = json.loads(body)["event"]
        command = [self.on_event, event]
        done = subprocess.run(command, check=False, input=body, stdout=subprocess.PIPE)
        self.answer(STATUS.get(done.returncode, 500), done.stdout.decode(errors="replace").strip())

    def is_genuine(self, body):
        """Whether the message was signed with our secret, a short time ago."""
        at = self.headers.get("X-RBD-Migration-Timestamp", "")
        ident = self.headers.get("X-RBD-Migration-Delivery", "")
        signed = f"{at}.{ident}.".encode() + body
        right = "sha256=" + hmac.new(self.secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, self.headers.get("X-RBD-Migration-Signature", "")):
            return False
        return abs(time.time() - int(at)) < OLDEST

    def answer(self, status, reason):
        """Send the answer."""
        text = json.dumps({"reason": reason}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def main():
    """Run until it is stopped."""
    options = argparse.ArgumentParser()
    options.add_argument("--secret", required=True, type=Path)
    options.add_argument("--certificate", required=True)
    options.add_argument("--key", required=True)
    options.add_argument("--run", required=True)
    options.add_argument("--address", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8443)
    given = options.parse_args()
    Receiver.secret = given.secret.read_bytes().strip()
    Receiver.on_event = given.run
    server = ThreadingHTTPServer((given.address, given.port), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.certificate, given.key)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    print(f"listening on {given.address}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
