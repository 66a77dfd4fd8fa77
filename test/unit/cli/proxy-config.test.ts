import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatFault, parseConfig, parseConfigText } from '../../../src/cli/proxy/config.js';
import { CONFIG_SCHEMA } from '../../../src/cli/proxy/config-schema.js';
import { faultsOf, type Schema } from '../../../src/cli/proxy/json-schema.js';

const LEAST = { services: { main: { resolver: { static: ['http://10.0.0.1:80'] } } }, routes: [{ service: 'main' }] };

function faults(value: unknown): string[] {
  const parsed = parseConfig(value);
  return 'faults' in parsed ? parsed.faults.map(formatFault) : [];
}

const withService = (service: object) => ({ ...LEAST, services: { main: { ...LEAST.services.main, ...service } } });

describe('a config', () => {
  it('of two lines is whole, on the loopback', () => {
    const parsed = parseConfig(LEAST);
    expect(parsed).toMatchObject({
      config: {
        listen: { addresses: ['127.0.0.1:4040'], maxHeaderBytes: 16_384 },
        routes: [{ pathPrefix: '/', service: 'main' }],
        limits: { maxBodyBytes: 67_108_864, maxBufferedBytes: 65_536, requestTimeoutMs: 600_000 },
        healthPath: '/evenkeel/health',
        forwarded: 'off',
        drain: { lameDuckMs: 0, timeoutMs: 30_000 },
        accessLog: false,
      },
    });
  });

  it('that is no JSON is told so', () => {
    expect(parseConfigText('{ "listen": ')).toMatchObject({
      faults: [{ path: '', message: expect.stringMatching(/^is not JSON: /) }],
    });
    expect(faults(null)).toEqual(['the config is null; expected an object']);
  });

  it('is refused with what the router itself refuses, by service', () => {
    expect(faults(withService({ timeoutMs: 100, attemptTimeoutMs: 200 }))).toEqual([
      'services.main is refused: attemptTimeoutMs is 200; expected at most timeoutMs (100)',
    ]);
    expect(faults(withService({ retry: { maxAttempts: 11 } }))).toHaveLength(1);
    expect(faults(withService({ retry: { baseMs: 100, maxMs: 10 } }))).toHaveLength(1);
    expect(faults(withService({ choices: 65, picker: 'p2c' }))).toHaveLength(1);
    expect(faults(withService({ versions: { attribute: 'version', shares: { 1: 0 } } }))).toHaveLength(1);
    expect(faults(withService({ tiers: { periodMs: 1 } }))).toHaveLength(1);
    expect(faults(withService({ shardHeader: 'x-shard' }))).toEqual([
      'services.main is refused: shardHeader is "x-shard"; expected the resolver rib beside it',
    ]);
    expect(faults(withService({ shardHeader: 'x-shard', resolver: { rib: { folder: 'f' } } }))).toEqual([]);
    expect(faults(withService({ resolver: { rib: { folder: 'f', maxTableAgeMs: 1 } } }))).toHaveLength(1);
    expect(faults(withService({ http: { connections: 100_000 } }))).toHaveLength(1);
    expect(faults(withService({ load: { poll: { mode: 'background', intervalMs: 1 } } }))).toHaveLength(1);
    expect(faults(withService({ resolver: { static: ['http://a', 'http://a'] } }))).toHaveLength(1);
    expect(faults(withService({ resolver: { dns: { name: 'a', records: ['SRV', 'A'] } } }))).toHaveLength(1);
    expect(faults(withService({ resolver: { file: { path: 'a' }, dns: { name: 'a' } } }))).toEqual([
      'services.main.resolver has 2 properties; expected exactly 1 of static, file, dns, state, rib',
    ]);
  });

  it('takes every resolver, picker and option there is', () => {
    const all = {
      picker: 'peak-ewma',
      choices: 3,
      timeoutMs: 10_000,
      attemptTimeoutMs: 5000,
      firstByteTimeoutMs: 1000,
      idleTimeoutMs: 1000,
      maxInFlightPerEndpoint: 10,
      maxQueued: 0,
      panicThreshold: 0.3,
      affinityHeader: 'x-session',
      versions: { attribute: 'version', shares: { 1: 1, 2: 3 } },
      tiers: { attribute: 'pool', periodMs: 5000, gain: 0.5 },
      retry: { maxAttempts: 2, baseMs: 1, maxMs: 10, budget: { ratio: 0.1, minPerSecond: 1, windowMs: 5000 } },
      ejection: { enabled: false },
      health: { path: '/healthz', intervalMs: 1000, timeoutMs: 100, unhealthyAfter: 3, healthyAfter: 2 },
      load: { ask: 'json', poll: { mode: 'before-dispatch', path: '/load', timeoutMs: 20, choices: 2 } },
      http: { connections: 10, connectTimeoutMs: 100, keepAliveMs: 1000, maxHeaderBytes: 4096 },
    };
    expect(faults(withService(all))).toEqual([]);
    for (const resolver of [
      { file: { path: 'endpoints.json', intervalMs: 1000, cacheFile: 'c', allowEmpty: true } },
      { dns: { name: 'a.test', port: 80, scheme: 'https', records: ['A'] } },
      { state: { folder: 'folder', service: 'other' } },
      { rib: { folder: 'folder', service: 'other', cacheFile: 'c', maxTableAgeMs: 2000, maxPlanAgeMs: 0 } },
      { static: [{ address: 'https://a.test/', weight: 2, locality: 'x', attributes: { version: '1' } }, 'http://[::1]:80'] },
    ]) {
      expect(faults(withService({ resolver }))).toEqual([]);
    }
    for (const picker of [
      'ring-hash',
      'prefix-affinity',
      'auto',
      'p2c',
      'least-loaded',
      'round-robin',
      'weighted-round-robin',
      'random',
    ]) {
      expect(faults(withService({ picker }))).toEqual([]);
    }
  });

  it('has routes that lead somewhere, each once', () => {
    const routes = [
      { service: 'nobody' },
      { host: 'A.test', service: 'main' },
      { host: 'a.test', pathPrefix: '/', service: 'main' },
      { pathPrefix: 'v1', service: 'main' },
    ];
    expect(faults({ ...LEAST, routes: routes.slice(0, 3) })).toEqual([
      'routes[0].service is "nobody"; expected one of main',
      'routes[2] has the host and prefix of routes[1]',
    ]);
    expect(faults({ ...LEAST, routes })).toEqual(['routes[3].pathPrefix is "v1"; expected a slash, then visible ASCII']);
  });

  it('has places to listen at that can be, each once', () => {
    const listen = (...addresses: string[]) => faults({ ...LEAST, listen: { addresses } });
    expect(listen('127.0.0.1:1', '[::1]:1', 'unix:/a/b', 'localhost:0', 'localhost:0')).toEqual([]);
    expect(listen('127.0.0.1')).toHaveLength(1);
    expect(listen('http://127.0.0.1:80')).toHaveLength(1);
    expect(listen('127.0.0.1:65536')).toEqual(['listen.addresses[0] has port 65536; expected at most 65535']);
    expect(listen('a:1', 'a:1')).toEqual(['listen.addresses[1] is a:1, which is there already']);
  });
});

describe('the schema of the config', () => {
  it('uses no keyword that is not checked', () => {
    const known = new Set(
      '$schema title description type default enum pattern minLength maxLength minimum exclusiveMinimum maximum items minItems properties required additionalProperties propertyNames minProperties maxProperties'.split(
        ' ',
      ),
    );
    const seen: string[] = [];
    visit(CONFIG_SCHEMA, '', (schema) => seen.push(...Object.keys(schema)));
    expect([...new Set(seen)].filter((keyword) => !known.has(keyword))).toEqual([]);
  });

  it('has defaults that it takes itself', () => {
    visit(CONFIG_SCHEMA, '', (schema, path) => {
      if (schema.default !== undefined) expect(faultsOf(schema, schema.default, path)).toEqual([]);
    });
  });

  it('is what docs/proxy.md says: each option with its default, and of services each by its part', () => {
    const rows = [...PAGE.matchAll(/^\| `([\w.[\]*$-]+)` \| (.*?) \|/gm)].map(([, path, value]) => [path, value]);
    const expected: [string, string][] = [];
    visit(CONFIG_SCHEMA, '', (schema, path) => {
      const { default: value, properties = {} } = schema;
      if (!path.startsWith('services')) {
        if (path !== '' && isLeaf(schema)) expected.push([path, value === undefined ? '' : `\`${JSON.stringify(value)}\``]);
        return;
      }
      const names = Object.keys(properties).filter((name) => isLeaf(properties[name] as Schema));
      if (names.length > 0) expected.push([path, names.map((name) => `\`${name}\``).join(', ')]);
    });
    expect(new Map(rows as [string, string][])).toEqual(new Map(expected));
  });

  it('takes the example of docs/proxy.md', () => {
    expect(parseConfigText(/```json\n(.*?)```/s.exec(PAGE)?.[1] ?? '')).toHaveProperty('config');
  });
});

const PAGE = readFileSync('docs/proxy.md', 'utf8');

/** An option of one value; an endpoint of a list counts as one. */
function isLeaf({ type, properties, items, additionalProperties }: Schema): boolean {
  if (type === 'array') return items?.properties === undefined || Array.isArray(items.type);
  return properties === undefined && (additionalProperties ?? false) === false;
}

/** Every schema within, by its path as the page writes it. */
function visit(schema: Schema, path: string, on: (schema: Schema, path: string) => void): void {
  on(schema, path);
  const join = (name: string) => (path === '' ? name : `${path}.${name}`);
  for (const [name, inner] of Object.entries(schema.properties ?? {})) visit(inner, join(name), on);
  const { items, additionalProperties } = schema;
  if (items?.properties !== undefined && !isLeaf(schema)) visit(items, `${path}[]`, on);
  if (additionalProperties) visit(additionalProperties, join('*'), on);
}
