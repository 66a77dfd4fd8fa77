import { describe, expect, it } from 'vitest';
import { checkImports } from '../../../scripts/check-imports.mjs';

/** Findings as `file:line rule`, and the messages for those who look closer. */
function check(files: Record<string, string>) {
  const findings = checkImports(new Map(Object.entries(files)));
  return {
    places: findings.map(({ file, line, rule }) => `${file}:${line} ${rule}`),
    messages: findings.map(({ message }) => message),
  };
}

/** Checks one file of the router, by its text. */
const inRouter = (text: string) => check({ 'src/router/p2c.ts': text });

const EMPTY = 'export const x = 1;\n';

describe('levels', () => {
  it('lets a folder import lower levels', () => {
    const { places } = check({
      'src/core/clock.ts': EMPTY,
      'src/tiering/star.ts': `import { x } from '../core/clock.js';\nexport const y = x;`,
      'src/kv/blocks.ts': `import { y } from '../tiering/star.js';\nexport const z = y;`,
      'src/index.ts': `export { z } from './kv/blocks.js';\nexport type { x } from './core/clock.js';`,
    });
    expect(places).toEqual([]);
  });

  it.each([
    ['a sibling', 'src/router/a.ts', 'src/limiter/b.ts'],
    ['a sibling of level 2', 'src/kv/a.ts', 'src/calls/b.ts'],
    ['a higher level', 'src/core/a.ts', 'src/router/b.ts'],
    ['a transport from a module', 'src/router/a.ts', 'src/transports/memory/b.ts'],
    ['a transport from the root index', 'src/index.ts', 'src/transports/memory/b.ts'],
    ['a module from a transport', 'src/transports/http/a.ts', 'src/router/b.ts'],
    ['another transport', 'src/transports/http/a.ts', 'src/transports/memory/b.ts'],
    ['a module from testing', 'src/testing/a.ts', 'src/router/b.ts'],
    ['testing', 'src/sim/a.ts', 'src/testing/b.ts'],
    ['the root index', 'src/cli/a.ts', 'src/index.ts'],
  ])('refuses %s', (_, from, to) => {
    const specifier = `${'../'.repeat(from.split('/').length - 2) || './'}${to.slice(4).replace('.ts', '.js')}`;
    expect(check({ [from]: `export { x } from '${specifier}';`, [to]: EMPTY }).places).toEqual([`${from}:1 levels`]);
  });

  it('refuses types, import types and import() just the same', () => {
    const { places } = check({
      'src/core/a.ts': `import type { x } from '../router/b.js';\nexport type Y = import('../router/b.js').x;\nexport const z = () => import('../router/b.js');`,
      'src/router/b.ts': EMPTY,
    });
    expect(places).toEqual(['src/core/a.ts:1 levels', 'src/core/a.ts:2 levels', 'src/core/a.ts:3 levels']);
  });

  it('lets testing import the memory transports and the console any transport', () => {
    const { places } = check({
      'src/transports/memory/call.ts': EMPTY,
      'src/testing/index.ts': `export { x } from '../transports/memory/call.js';`,
      'src/console/page.ts': `export { x } from '../transports/memory/call.js';`,
    });
    expect(places).toEqual([]);
  });

  it('refuses a folder that has no level', () => {
    expect(check({ 'src/utils/a.ts': EMPTY }).places).toEqual(['src/utils/a.ts:1 levels']);
  });

  it("refuses the library's own name and a computed name, which would hide an import", () => {
    expect(inRouter(`import 'evenkeel/core';\nexport const load = (name: string) => import(name);`).places).toEqual([
      'src/router/p2c.ts:1 own-name',
      'src/router/p2c.ts:2 computed-import',
    ]);
  });
});

describe('indexes', () => {
  it('refuses to import the index of an own folder, from any depth', () => {
    const { places } = check({
      'src/core/index.ts': EMPTY,
      'src/core/clock.ts': `export { x } from './index.js';`,
      'src/core/transport/call.ts': `export { x } from '../index.js';`,
    });
    expect(places).toEqual(['src/core/clock.ts:1 own-index', 'src/core/transport/call.ts:1 own-index']);
  });

  it("lets a file import a subfolder's index", () => {
    expect(
      check({ 'src/core/transport/index.ts': EMPTY, 'src/core/a.ts': `export { x } from './transport/index.js';` }).places,
    ).toEqual([]);
  });

  it('refuses export * in both forms', () => {
    const { places } = check({
      'src/core/a.ts': EMPTY,
      'src/core/index.ts': `export * from './a.js';\nexport * as a from './a.js';`,
    });
    expect(places).toEqual(['src/core/index.ts:1 export-all', 'src/core/index.ts:2 export-all']);
  });
});

describe('cycles', () => {
  it('names the whole cycle once, type imports included', () => {
    const { places, messages } = check({
      'src/core/a.ts': `import { b } from './b.js';\nexport const a = b;`,
      'src/core/b.ts': `import { c } from './c.js';\nexport const b = c;`,
      'src/core/c.ts': `\nimport type { a } from './a.js';\nexport const c: typeof a = 1;`,
    });
    expect(places).toEqual(['src/core/a.ts:1 cycle']);
    expect(messages[0]).toContain('src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts');
  });

  it('finds a file that imports itself', () => {
    expect(check({ 'src/core/a.ts': `export { x } from './a.js';` }).places).toEqual(['src/core/a.ts:1 cycle']);
  });
});

describe('packages', () => {
  it('lets each run-time package in by its one door', () => {
    const text = `import { LRUCache } from 'lru-cache';\nexport const cache = LRUCache;`;
    expect(check({ 'src/core/cache.ts': text }).places).toEqual([]);
    expect(check({ 'src/core/other.ts': text }).places).toEqual(['src/core/other.ts:1 packages']);
  });

  it('lets a peer in as types, in its own transport', () => {
    expect(check({ 'src/transports/http/a.ts': `import type { Pool } from 'undici';\nexport type P = Pool;` }).places).toEqual(
      [],
    );
    expect(check({ 'src/transports/http/a.ts': `import { Pool } from 'undici';\nexport const P = Pool;` }).places).toEqual([
      'src/transports/http/a.ts:1 packages',
    ]);
    expect(inRouter(`import type { Pool } from 'undici';\nexport type P = Pool;`).places).toEqual([
      'src/router/p2c.ts:1 packages',
    ]);
  });

  it('lets the programs load a peer themselves, at one place', () => {
    const text = `export const load = () => import('undici');`;
    expect(check({ 'src/cli/undici.ts': text }).places).toEqual([]);
    expect(check({ 'src/cli/proxy.ts': text }).places).toEqual(['src/cli/proxy.ts:1 packages']);
  });

  it('refuses an unknown package', () => {
    expect(inRouter(`import _ from 'lodash';\nexport const x = _;`).places).toEqual(['src/router/p2c.ts:1 packages']);
  });
});

describe('length', () => {
  const lines = (count: number) => 'export {};\n'.repeat(count);
  const length = (text: string) =>
    checkImports(new Map([['src/core/a.ts', text]])).map(({ rule, severity }) => `${rule} ${severity}`);

  it('warns above 320 lines and fails above 500', () => {
    expect(length(lines(320))).toEqual([]);
    expect(length(lines(321))).toEqual(['length warning']);
    expect(length(lines(501))).toEqual(['length error']);
  });

  it('takes a reason in the first comment for up to 500 lines', () => {
    const header = '/**\n * A table.\n * Length: one table, split it would be two.\n */\n';
    expect(length(header + lines(400))).toEqual([]);
    expect(length(header + lines(500))).toEqual(['length error']);
    expect(length(`/** A table. */\n${lines(400)}/** Length: too late. */\n`)).toEqual(['length warning']);
  });
});

describe('the outside world', () => {
  it.each([
    'Date.now()',
    'new Date()',
    'Date()',
    "Date['now']()",
    'const clock = Date',
    'performance.now()',
    'Math.random()',
    'const { random } = Math',
    'crypto.randomUUID()',
    'crypto.getRandomValues(new Uint8Array(1))',
    'setTimeout(() => {}, 1)',
    'const wait = { setTimeout }',
    'setInterval(() => {}, 1)',
    'setImmediate(() => {})',
    'clearTimeout(1)',
    'AbortSignal.timeout(1)',
    "fetch('http://localhost')",
    "globalThis.fetch('http://localhost')",
    '(globalThis as { setTimeout?: unknown }).setTimeout',
    'globalThis.Math.random()',
    "globalThis['x' + 'y']",
    'process.env.HOME',
    'process.hrtime()',
    'console.log(1)',
  ])('refuses %s', (statement) => {
    expect(inRouter(`export function f() {\n  ${statement};\n}`).places).toEqual(['src/router/p2c.ts:2 outside-world']);
  });

  it.each([
    'fs',
    'fs/promises',
    'net',
    'http',
    'https',
    'http2',
    'dns',
    'child_process',
    'worker_threads',
    'timers',
    'timers/promises',
    'os',
    'perf_hooks',
    'tls',
  ])('refuses the module node:%s', (name) => {
    expect(inRouter(`import { x } from 'node:${name}';\nexport const y = x;`).places).toEqual([
      'src/router/p2c.ts:1 outside-world',
    ]);
  });

  it('lets types of any built-in module in, and the pure ones', () => {
    const text = `import type { Socket } from 'node:net';\nimport { AsyncLocalStorage } from 'node:async_hooks';\nexport type S = Socket;\nexport const a = AsyncLocalStorage;`;
    expect(inRouter(text).places).toEqual([]);
  });

  it('lets hashes of node:crypto in, and no randomness', () => {
    expect(inRouter(`import { createHash } from 'node:crypto';\nexport const h = createHash;`).places).toEqual([]);
    expect(inRouter(`import { randomBytes } from 'node:crypto';\nexport const r = randomBytes;`).places).toEqual([
      'src/router/p2c.ts:1 outside-world',
    ]);
    expect(inRouter(`import * as c from 'node:crypto';\nexport const r = c;`).places).toEqual([
      'src/router/p2c.ts:1 outside-world',
    ]);
  });

  it.each([
    'new Date(0).toISOString()',
    'Math.max(1, 2)',
    'queueMicrotask(() => {})',
    'const f = (fetch: () => void) => fetch()',
    'const o = { setTimeout: 1, fetch() {} }; o.fetch(); o.setTimeout',
    'const p = { now: () => 1 }; p.now()',
    'let t: ReturnType<typeof setTimeout> | undefined',
    'let s: NodeJS.Timeout | undefined',
    'const is = (x: unknown) => x instanceof AbortSignal || x instanceof Date',
    "const s = 'Date.now() and setTimeout'; // Math.random()",
  ])('lets %s pass', (statement) => {
    expect(inRouter(`export function f() {\n  ${statement};\n}`).places).toEqual([]);
  });

  it('lets the seams pass', () => {
    const text = `import { readFileSync } from 'node:fs';\nexport const x = [Date.now(), Math.random(), readFileSync, process.env];`;
    const { places } = check({
      'src/core/clock.ts': text,
      'src/core/random.ts': text,
      'src/core/host.ts': text,
      'src/transports/http/a.ts': text,
      'src/cli/a.ts': text,
      'src/core/virtual-clock.ts': 'export const drain = () => setImmediate(() => {});',
    });
    expect(places).toEqual([]);
  });

  it('lets the virtual clock use setImmediate only', () => {
    expect(check({ 'src/core/virtual-clock.ts': 'export const t = () => setTimeout(() => {}, 1);' }).places).toEqual([
      'src/core/virtual-clock.ts:1 outside-world',
    ]);
  });
});

describe('public tests', () => {
  it('know public names only, since they also run against the built library', () => {
    const text = `import { x } from '../../src/core/clock.js';\nexport const y = x;`;
    const { places } = check({
      'src/core/clock.ts': EMPTY,
      'test/property/a.test.ts': text,
      'test/support/b.ts': text,
      'test/property/c.internal.test.ts': text,
      'test/unit/d.test.ts': text,
    });
    expect(places).toEqual(['test/property/a.test.ts:1 public-test', 'test/support/b.ts:1 public-test']);
  });
});
