/** `evenkeel proxy`: the router as a sidecar or a remote proxy. What it does with requests is in proxy/; here are its arguments and signals. */
import { parseArgs } from 'node:util';
import { isEvenkeelError } from '../core/errors.js';
import { type Command, type CommandIo, misuse } from './command.js';
import { formatFault, MAX_CONFIG_BYTES, type ParsedConfig, parseConfigText } from './proxy/config.js';
import { CONFIG_SCHEMA, type ProxyConfig } from './proxy/config-schema.js';
import { type RunningProxy, startProxy } from './proxy/proxy.js';
import { loadUndici } from './undici.js';

const HELP = `usage: evenkeel proxy --config FILE [options]

Takes HTTP/1.1 and cleartext HTTP/2 requests and sends each to the endpoint of its service where it will end first.

  --config FILE   the config, in JSON
  --check         check it and end: 0 when it is good, else 1 and every fault
  --json          with --check: the result as JSON
  --schema        print the JSON schema of the config

signals: SIGHUP reads the config again; SIGTERM and SIGINT end the proxy when the requests in flight have their answers,
a second one ends it at once
exit codes: 0 every request had its answer; 1 it could not start, or requests were cut; 2 wrongly called`;

export const proxyCommand: Command = {
  name: 'proxy',
  summary: 'routes HTTP requests of programs that cannot import the library',
  help: HELP,
  async run(args, io) {
    let values: ReturnType<typeof parse>;
    try {
      values = parse(args);
    } catch (error) {
      return misuse(io, 'proxy', error);
    }
    if (values.schema) {
      io.out(JSON.stringify(CONFIG_SCHEMA, null, 2));
      return 0;
    }
    if (values.config === undefined) return misuse(io, 'proxy', 'no --config FILE');
    const parsed = await read(values.config, io);
    if (values.check) return check(parsed, values.config, values.json === true, io);
    if ('faults' in parsed) {
      for (const fault of parsed.faults) io.error(`${values.config}: ${formatFault(fault)}`);
      return 1;
    }
    return serve(parsed.config, values.config, io);
  },
};

function parse(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string' },
      check: { type: 'boolean' },
      json: { type: 'boolean' },
      schema: { type: 'boolean' },
    },
  });
  return values;
}

/** A file that cannot be read is a fault like any other. */
async function read(path: string, { runtime }: CommandIo): Promise<ParsedConfig> {
  try {
    const bytes = await runtime.host.readFile(path, MAX_CONFIG_BYTES);
    if (bytes === undefined) return { faults: [{ path: '', message: 'does not exist' }] };
    return parseConfigText(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return { faults: [{ path: '', message: `cannot be read: ${error instanceof Error ? error.message : error}` }] };
  }
}

function check(parsed: ParsedConfig, path: string, isJson: boolean, io: CommandIo): number {
  const faults = 'faults' in parsed ? parsed.faults : [];
  if (isJson) io.out(JSON.stringify({ ok: faults.length === 0, faults }));
  else if (faults.length === 0) io.out(`${path} is good`);
  else for (const fault of faults) io.error(`${path}: ${formatFault(fault)}`);
  return faults.length === 0 ? 0 : 1;
}

async function serve(config: ProxyConfig, path: string, io: CommandIo): Promise<number> {
  const { runtime } = io;
  const line = (event: string, fields: object) =>
    JSON.stringify({ time: new Date(runtime.clock.wallTime()).toISOString(), event, ...fields });
  const log = (event: string, fields: object = {}) => io.out(line(event, fields));
  let proxy: RunningProxy;
  try {
    const undici = await loadUndici();
    proxy = await startProxy(config, { undici, runtime, version: io.version, onAccess: (entry) => log('request', entry) });
  } catch (error) {
    // An error with a code says what to do; any other is a bug, and its stack belongs into the report.
    if (!isEvenkeelError(error)) throw error;
    io.error(`evenkeel proxy: ${error.message}`);
    return 1;
  }
  log('started', { addresses: proxy.addresses, services: Object.keys(config.services), pid: process.pid, version: io.version });

  const reload = async () => {
    const parsed = await read(path, io);
    try {
      if ('faults' in parsed) {
        io.error(line('reload-refused', { faults: parsed.faults.map(formatFault) }));
        return;
      }
      await proxy.reload(parsed.config);
      log('reloaded', { services: Object.keys(parsed.config.services) });
    } catch (error) {
      io.error(line('reload-refused', { faults: [error instanceof Error ? error.message : String(error)] }));
    }
  };
  return new Promise((resolve) => {
    /** One at a time: of two readings the later must win. */
    let reloading = Promise.resolve();
    let stops = 0;
    const stop = () => {
      if (++stops > 1) {
        log('stopped', { reason: 'a second signal' });
        resolve(1);
        return;
      }
      log('draining', { inFlight: proxy.health().inFlight });
      proxy.drain().then((cut) => {
        log('stopped', { cut });
        resolve(cut === 0 ? 0 : 1);
      });
    };
    io.onSignal('SIGHUP', () => {
      reloading = reloading.then(reload);
    });
    io.onSignal('SIGTERM', stop);
    io.onSignal('SIGINT', stop);
  });
}
