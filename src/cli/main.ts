#!/usr/bin/env node
/** `evenkeel`: the program of the package. Everything it does is in the commands; here they meet the process. */
import { readFileSync } from 'node:fs';
import { createRuntime } from '../core/runtime.js';
import type { CommandIo } from './command.js';
import { runCli } from './run-cli.js';

// Here and not in a file that others import: only this one is sure to lie two folders below the manifest when it is built.
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

const io: CommandIo = {
  version,
  runtime: createRuntime(),
  out: (line) => process.stdout.write(`${line}\n`),
  error: (line) => process.stderr.write(`${line}\n`),
  onSignal(signal, listener) {
    process.on(signal, listener);
    return () => process.off(signal, listener);
  },
};

// A reader that has gone (`| head`) is not a failure to report.
process.stdout.on('error', () => process.exit(0));

runCli(process.argv.slice(2), io)
  .catch((error: unknown) => {
    io.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  })
  // Not by the event loop running dry: a command that has ended has ended, whatever it left open.
  .then((code) => process.stdout.write('', () => process.exit(code)));
