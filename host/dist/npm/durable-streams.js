#!/usr/bin/env node
// Runs the program from the package for this machine, with the same arguments, streams and exit status.
"use strict";

const { spawn } = require("node:child_process");

const fail = (text) => {
  console.error(`durable-streams-edge: ${text}`);
  process.exit(1);
};

const machine = `${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`durable-streams-edge-${machine}/bin/durable-streams`);
} catch {
  fail(
    `The package durable-streams-edge-${machine} is not installed. There are packages for linux-x64 and ` +
      "linux-arm64. On these machines, install durable-streams-edge again without --omit=optional.",
  );
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  fail(`${program} can't be started (${error.code}). It needs Linux with glibc 2.17 or later.`);
});

// A terminal sends its interrupt to both processes. A second one would end the server at once.
const own = { SIGTERM: true, SIGHUP: true, SIGINT: !process.stdin.isTTY };
for (const [signal, forwarded] of Object.entries(own)) {
  process.on(signal, () => forwarded && child.kill(signal));
}

child.on("exit", (status, signal) => {
  if (signal === null) process.exit(status);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
