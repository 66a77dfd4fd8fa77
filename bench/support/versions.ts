/** Versions of what is measured, as installed. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** From the root of the repository, where benchmarks run: some packages do not let their manifest be imported. */
export function versionOf(name: string): string {
  try {
    return (JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { version: string }).version;
  } catch {
    return 'not installed';
  }
}

/** Of a program that tells it when asked with `-v`. Undefined: it is not installed. */
export function programVersion(name: 'haproxy' | 'nats-server'): string | undefined {
  const { error, stdout } = spawnSync(name, ['-v'], { encoding: 'utf8' });
  return error === undefined ? (/\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'unknown') : undefined;
}

/** The undici inside of Node, behind the built-in fetch. */
export function builtInUndiciVersion(): string {
  return process.versions.undici ?? 'unknown';
}

export function versionsOf(): Record<string, string> {
  return {
    node: process.versions.node,
    'built-in undici': builtInUndiciVersion(),
    undici: versionOf('undici'),
    '@nats-io/transport-node': versionOf('@nats-io/transport-node'),
    '@grpc/grpc-js': versionOf('@grpc/grpc-js'),
    lmdb: versionOf('lmdb'),
    'classic-level': versionOf('classic-level'),
    '@sinonjs/fake-timers': versionOf('@sinonjs/fake-timers'),
    effect: versionOf('effect'),
    haproxy: programVersion('haproxy') ?? 'not installed',
    'nats-server': programVersion('nats-server') ?? 'not installed',
  };
}
