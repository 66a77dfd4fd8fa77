/** `evenkeel proxy` as it is run: its config, its signals, its exit codes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliProgram, cliProgram, type RunningCli } from '../support/cli-program.js';
import { eventually, httpServer } from '../support/http-servers.js';

let program: CliProgram;
let folder: string;
let path: string;
beforeAll(async () => {
  program = await cliProgram();
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  path = join(folder, 'proxy.json');
});
afterAll(() => {
  program[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function writeConfig(endpoint: string, more: Record<string, unknown> = {}): void {
  const config = {
    listen: { addresses: ['127.0.0.1:0'] },
    services: { main: { resolver: { static: [endpoint] } } },
    routes: [{ service: 'main' }],
    ...more,
  };
  writeFileSync(path, JSON.stringify(config));
}

/** Starts the proxy on the config there is; resolves when it listens. */
async function started(): Promise<{ cli: RunningCli; origin: string }> {
  const cli = program.start('proxy', '--config', path);
  await eventually(`it listens: ${cli.error}`, () => cli.events().some(({ event }) => event === 'started'), 15_000);
  const [first] = cli.events() as { addresses: string[] }[];
  return { cli, origin: `http://${first?.addresses[0]}` };
}

const eventsOf = (cli: RunningCli) => cli.events().map(({ event }) => event);

describe('evenkeel proxy', () => {
  it('serves, takes a good config over at SIGHUP, keeps the old one when the new is bad, and says why', async () => {
    await using one = await httpServer((_request, response) => response.end('one'));
    await using two = await httpServer((_request, response) => response.end('two'));
    writeConfig(one.address);
    const { cli, origin } = await started();
    await using _ = cli;
    const text = async () => (await fetch(origin)).text();
    expect(await text()).toBe('one');

    writeConfig(two.address);
    cli.process.kill('SIGHUP');
    await eventually('it has reloaded', () => eventsOf(cli).includes('reloaded'));
    expect(await text()).toBe('two');

    writeConfig(one.address, { routes: [{ service: 'nobody' }], limits: { maxBodyBytes: 1 } });
    cli.process.kill('SIGHUP');
    await eventually('it has refused', () => cli.error.includes('reload-refused'));
    expect(JSON.parse(cli.error)).toMatchObject({
      event: 'reload-refused',
      faults: ['routes[0].service is "nobody"; expected one of main'],
    });
    expect(await text()).toBe('two');

    writeConfig(one.address, { listen: { addresses: ['127.0.0.1:1'] } });
    cli.process.kill('SIGHUP');
    await eventually('it has refused again', () => cli.error.includes('listen cannot be changed'));
    expect(await text()).toBe('two');
    expect(cli.out).not.toContain('request');

    cli.process.kill('SIGTERM');
    expect(await cli.ended).toBe(0);
    expect(eventsOf(cli)).toEqual(['started', 'reloaded', 'draining', 'stopped']);
  });

  it('ends at SIGTERM with 0 when the request in flight has its answer', async () => {
    const held: ServerResponse[] = [];
    await using server = await httpServer((_request, response) => void held.push(response));
    writeConfig(server.address);
    const { cli, origin } = await started();
    await using _ = cli;
    const answer = fetch(origin).then(async (response) => [response.headers.get('connection'), await response.text()]);
    await eventually('it is there', () => held.length === 1);
    cli.process.kill('SIGTERM');
    await eventually('it drains', () => eventsOf(cli).includes('draining'));
    await expect(fetch(origin)).rejects.toThrow();
    held[0]?.end('whole');
    expect(await answer).toEqual(['close', 'whole']);
    expect(await cli.ended).toBe(0);
    expect(cli.events().at(-1)).toMatchObject({ event: 'stopped', cut: 0 });
  });

  it('ends at once with 1 at the second signal, and with 1 when drain.timeoutMs cuts a request', async () => {
    const held: ServerResponse[] = [];
    await using server = await httpServer((_request, response) => void held.push(response));
    for (const timeoutMs of [30_000, 50]) {
      held.length = 0;
      writeConfig(server.address, { drain: { timeoutMs } });
      const { cli, origin } = await started();
      await using _ = cli;
      const outcome = fetch(origin).catch(() => 'cut');
      await eventually('it is there', () => held.length === 1);
      cli.process.kill('SIGINT');
      await eventually('it drains', () => eventsOf(cli).includes('draining'));
      if (timeoutMs > 1000) cli.process.kill('SIGINT');
      expect(await cli.ended).toBe(1);
      expect(await outcome).toBe('cut');
    }
  });

  it('checks a config and ends: 0 when it is good, 1 with every fault when it is not', async () => {
    writeConfig('http://127.0.0.1:1');
    expect(await program.run('proxy', '--config', path, '--check')).toEqual({ code: 0, out: `${path} is good\n`, error: '' });
    writeConfig('ftp://127.0.0.1', { routes: [{}], colour: 'red' });
    const bad = await program.run('proxy', '--config', path, '--check');
    expect([bad.code, bad.out]).toEqual([1, '']);
    expect(bad.error.split('\n')).toHaveLength(4);
    expect(bad.error).toContain(
      `${path}: services.main.resolver.static[0] is "ftp://127.0.0.1"; expected http://host:port or https://host:port`,
    );
    expect(bad.error).toContain(`${path}: routes[0].service is missing`);
    expect(bad.error).toContain(`${path}: colour is unknown; known are $schema, listen,`);
    const json = await program.run('proxy', '--config', path, '--check', '--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, faults: [{ path: 'services.main.resolver.static[0]' }, {}, {}] });
    const none = await program.run('proxy', '--config', join(folder, 'none.json'));
    expect([none.code, none.error]).toEqual([1, `${join(folder, 'none.json')}: the config does not exist\n`]);
  });

  it('ends with 1 where it cannot listen, and says where', async () => {
    await using server = await httpServer((_request, response) => response.end());
    const address = server.address.replace('http://', '');
    writeConfig(server.address, { listen: { addresses: [address] } });
    const { code, error } = await program.run('proxy', '--config', path);
    expect(code).toBe(1);
    expect(error).toContain(`cannot listen at ${address}`);
  });
});

describe('evenkeel', () => {
  it('tells its version and its commands, and refuses what is none', async () => {
    expect((await program.run('--version')).out).toMatch(/^\d+\.\d+\.\d+/);
    expect((await program.run('--help')).out).toContain('proxy');
    expect((await program.run('proxy', '--help')).out).toContain('--config FILE');
    const unknown = await program.run('fly');
    expect([unknown.code, unknown.error.split('\n')[0]]).toEqual([2, "'fly' is no command of evenkeel"]);
    const wrong = await program.run('proxy', '--colour');
    expect([wrong.code, wrong.error]).toEqual([2, expect.stringContaining("Unknown option '--colour'")]);
    expect((await program.run('proxy')).code).toBe(2);
  });
});
