/** Who may import whom: levels, cycles, indexes, and which file is the one door to a package. */
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';

/** @typedef {import('./parse.mjs').ParsedFile} ParsedFile */
/** @typedef {import('./parse.mjs').Import} Import */
/** @typedef {import('./parse.mjs').Finding} Finding */

/** A folder imports lower levels only. Siblings get what they need of each other as an interface from core. */
const LEVELS = new Map(
  [
    ['core'],
    ['router', 'knobs', 'limiter', 'checkpoint', 'tiering'],
    ['kv', 'calls', 'placement', 'slices', 'openfeature'],
    ['wiring', 'sim'],
    ['console', 'cli'],
    ['index'],
  ].flatMap((folders, level) => folders.map((folder) => /** @type {[string, number]} */ ([folder, level]))),
);

/** Each run-time package has one door, so that replacing it is a change of one file. */
const DOORS = new Map([
  ['eventemitter3', 'src/core/events.ts'],
  ['lru-cache', 'src/core/cache.ts'],
  ['p-limit', 'src/core/fan-out.ts'],
  ['@opentelemetry/api', 'src/core/telemetry.ts'],
]);

/** Peers belong to one folder, as types only: the user hands over the client object, importing evenkeel never loads it. */
const PEERS = new Map([
  ['undici', 'src/transports/http/'],
  ['@grpc/grpc-js', 'src/transports/grpc/'],
  ['@nats-io/transport-node', 'src/transports/nats/'],
  ['@nats-io/jetstream', 'src/transports/nats/'],
  ['@nats-io/kv', 'src/transports/nats/'],
  ['@nats-io/obj', 'src/transports/nats/'],
  ['@openfeature/server-sdk', 'src/openfeature/'],
]);

/** The programs have no user who could hand them a peer: they load it themselves, each at one place. */
const LOADERS = new Map([
  ['undici', 'src/cli/undici.ts'],
  ['@nats-io/transport-node', 'src/cli/nats.ts'],
]);

/**
 * The unit a file belongs to: `core`, `router`, `transports/http`, `testing`, `index`.
 * @param {string} path
 */
function unitOf(path) {
  const [, folder = '', ...rest] = path.split('/');
  if (folder === 'transports') return `transports/${rest[0]}`;
  return rest.length === 0 ? folder.replace(/\.ts$/, '') : folder;
}

/** @param {ParsedFile} file @returns {Finding[]} */
export function checkLayers({ path, imports }) {
  /** @type {Finding[]} */
  const findings = [];
  const report = (/** @type {number} */ line, /** @type {string} */ rule, /** @type {string} */ message) =>
    findings.push({ file: path, line, rule, message, severity: 'error' });
  const from = unitOf(path);
  if (!LEVELS.has(from) && !/^(transports\/[^/.]+|testing)$/.test(from)) {
    report(1, 'levels', `'${from}' has no level, give it one in scripts/imports/layers.mjs`);
  }
  for (const { specifier, target, line } of imports) {
    if (/^evenkeel(\/|$)/.test(specifier)) report(line, 'own-name', `imports '${specifier}', use a relative path`);
    if (specifier === '(computed)') report(line, 'computed-import', 'imports a name that is computed, write it as a literal');
    if (target === undefined) continue;
    const refusal = refuse(from, unitOf(target));
    if (refusal !== undefined) report(line, 'levels', `${from} imports ${target}, ${refusal}`);
    const folder = posix.dirname(target);
    if (target.endsWith('/index.ts') && path !== target && path.startsWith(`${folder}/`) && folder !== 'src') {
      report(line, 'own-index', `imports ${target}, the index of its own folder; import the file that holds the name`);
    }
  }
  return findings;
}

/**
 * Why one unit may not import another; undefined when it may.
 * @param {string} from @param {string} to
 */
function refuse(from, to) {
  if (from === to) return undefined;
  if (to === 'index') return 'which is for users only; import the file that holds the name';
  if (to === 'testing') return 'and testing is for users only; move what both need to core';
  if (from === 'testing')
    return to === 'core' || to === 'transports/memory' ? undefined : 'but testing imports core and transports/memory only';
  if (from.startsWith('transports/')) return to === 'core' ? undefined : 'but a transport imports core and its own peer only';
  const level = LEVELS.get(from) ?? 0;
  // A simulated transport is the reference plus faults: it wraps it rather than say it all again.
  if (from === 'sim' && to === 'transports/memory') return undefined;
  if (to.startsWith('transports/'))
    return level === 4 ? undefined : 'but a transport comes in as an option, by its contract in core/transport';
  const below = LEVELS.get(to) ?? 0;
  if (below < level) return undefined;
  const what = below === level ? 'a sibling' : 'a higher level';
  return `${what} (level ${below} from level ${level}); take it as an interface from core`;
}

/** @param {ParsedFile} file @returns {Finding[]} */
export function checkPackages({ path, imports }) {
  return imports.flatMap(({ specifier, line, isTypeOnly }) => {
    const refusal = refusePackage(path, specifier, isTypeOnly);
    return refusal === undefined
      ? []
      : [{ file: path, line, rule: 'packages', message: refusal, severity: /** @type {const} */ ('error') }];
  });
}

/** @param {string} path @param {string} specifier @param {boolean} isTypeOnly */
function refusePackage(path, specifier, isTypeOnly) {
  if (/^[.(]|^evenkeel(\/|$)/.test(specifier) || isBuiltin(specifier)) return undefined;
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const door = DOORS.get(name);
  if (door !== undefined)
    return path === door ? undefined : `imports ${name}, whose one door is ${door}; use what that file exports`;
  const folder = PEERS.get(name);
  if (folder === undefined)
    return `imports ${name}, which is no known package; use core or give it one door in scripts/imports/layers.mjs`;
  if (path === LOADERS.get(name)) return undefined;
  if (!path.startsWith(folder)) return `imports ${name}, a peer of ${folder} only; take what you need as an interface`;
  return isTypeOnly ? undefined : `imports ${name} at run time, a peer comes in as an option; use 'import type'`;
}

/**
 * Names each group of files that import each other by its shortest way round. Type imports count: they make files just as hard to
 * read and to move apart.
 * @param {ParsedFile[]} files @returns {Finding[]}
 */
export function checkCycles(files) {
  const edges = new Map(
    files.map(({ path, imports }) => [path, imports.flatMap((i) => (i.target === undefined ? [] : [i.target]))]),
  );
  /** @type {Finding[]} */
  const findings = [];
  const reported = new Set();
  for (const { path, imports } of files) {
    if (reported.has(path)) continue;
    const cycle = shortestCycle(path, edges);
    if (cycle === undefined) continue;
    for (const file of cycle) reported.add(file);
    const line = imports.find(({ target }) => target === cycle[1])?.line ?? 1;
    const message = `${cycle.join(' → ')}, move what both sides need to a file of its own`;
    findings.push({ file: path, line, rule: 'cycle', message, severity: 'error' });
  }
  return findings;
}

/**
 * @param {string} start @param {ReadonlyMap<string, string[]>} edges
 * @returns {string[] | undefined} From `start` back to `start`.
 */
function shortestCycle(start, edges) {
  /** @type {Map<string, string>} */
  const cameFrom = new Map();
  const queue = [start];
  for (const file of queue) {
    for (const next of edges.get(file) ?? []) {
      if (next === start) {
        const cycle = [start];
        for (let at = file; at !== start; at = cameFrom.get(at) ?? start) cycle.unshift(at);
        return [start, ...cycle];
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, file);
      queue.push(next);
    }
  }
  return undefined;
}
