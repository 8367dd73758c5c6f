"""The server, started with the arguments and the environment of a deployment file."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import urllib.request

from claims import expect

# Directory that all deployment files give to the server.
DIRECTORY = "/var/lib/durable-streams"

# A bound for a machine that does nothing else. A server that hangs is killed, which ends its output.
MOST_SECONDS = 120

# The line that announces each listener, and the listener's name in the manifests.
LISTENERS = {"listening on": "http", "admin page at": "admin"}


def environment(given):
    """Variables for the server: `given`, and none of the caller's that the server reads."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("DS_", "OTEL_", "RUST_LOG"))}
    return own | given


def accept(program, args, given):
    """Raises an error unless the server accepts exactly these arguments and variables."""
    expect(args[0] == "serve", f"the command is {args[0]}")
    done = subprocess.run(
        [program, "config", *args[1:]], env=environment(given), capture_output=True, text=True
    )
    expect(done.returncode == 0, done.stderr)
    # An unknown name in the environment is only a warning.
    expect("unknown" not in done.stderr, done.stderr)


class Server:
    """A running server. Its directory and its ports replace those of `args`, and memory a Redis."""

    def __init__(self, program, args, given):
        self.scratch = tempfile.TemporaryDirectory()
        self.urls = {}
        own = [self._own(arg) for arg in args]
        self.child = subprocess.Popen(
            [program, *own],
            env=environment(given),
            cwd=self.scratch.name,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.timer = threading.Timer(MOST_SECONDS, self.child.kill)
        self.timer.start()
        for line in self.child.stdout:
            for words, listener in LISTENERS.items():
                if found := re.match(rf"{words} https?://\S+:(\d+)", line):
                    self.urls[listener] = f"http://127.0.0.1:{found[1]}"
            if "http" in self.urls:
                return
        raise AssertionError(f"the server did not start: {self.child.stderr.read()}")

    def _own(self, arg):
        arg = arg.replace(DIRECTORY, self.scratch.name)
        # This machine may have no IPv6.
        arg = arg.replace("[::]:", "0.0.0.0:")
        if arg.startswith("redis://"):
            return "memory"
        return re.sub(r":443[78]$", ":0", arg)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.communicate()
        self.timer.cancel()
        self.scratch.cleanup()

    def get(self, listener, path):
        """Returns the body of a response with status 200."""
        with urllib.request.urlopen(self.urls[listener] + path, timeout=MOST_SECONDS) as response:
            return response.read().decode()

    def stop(self):
        """Sends SIGTERM, as every supervisor does. Raises an error unless the stop is clean."""
        self.child.send_signal(signal.SIGTERM)
        self.child.communicate()
        expect(self.child.returncode == 0, f"exit status {self.child.returncode}")
