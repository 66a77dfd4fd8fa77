/**
 * The part of the config's schema that says how one service is called. Options bear the router's names and have the router's defaults
 * and ranges, which are its own to check (config.ts builds each service once to ask it): here stands only what an editor needs.
 */
import type { Schema } from './json-schema.js';

const milliseconds = { type: 'number', exclusiveMinimum: 0 } as const;
const count = { type: 'integer', minimum: 1 } as const;
const share = { type: 'number', minimum: 0, maximum: 1 } as const;
const filePath = {
  type: 'string',
  minLength: 1,
  description: 'Path of a file; a relative one counts from the working directory.',
} as const;
const routePath = { type: 'string', pattern: '^/', title: 'a path that begins with /' } as const;

const cacheFile = {
  ...filePath,
  description: 'Keeps a copy of the last good list, for a start while the source is down.',
} as const;
const allowEmpty = { type: 'boolean', description: 'Believe a source that knew endpoints and now names none.' } as const;

const endpoint = {
  type: ['string', 'object'],
  description: 'An address, or an endpoint with its properties.',
  pattern: '^https?://[^\\s/?#]+/?$',
  title: 'http://host:port or https://host:port',
  properties: {
    id: { type: 'string', minLength: 1, maxLength: 256, description: 'Default: the address.' },
    address: { type: 'string', pattern: '^https?://[^\\s/?#]+/?$', title: 'http://host:port or https://host:port' },
    weight: { type: 'number', exclusiveMinimum: 0, description: 'Relative capacity.' },
    locality: { type: 'string' },
    attributes: { type: 'object', description: 'Version, tier and the like.', additionalProperties: { type: 'string' } },
  },
  required: ['address'],
  additionalProperties: false,
} as const satisfies Schema;

const resolver = {
  type: 'object',
  description: 'Where the endpoints are: exactly one of these (docs/resolvers.md).',
  minProperties: 1,
  maxProperties: 1,
  additionalProperties: false,
  properties: {
    static: { type: 'array', description: 'A list that changes only with the config.', minItems: 1, items: endpoint },
    file: {
      type: 'object',
      description: 'A JSON file, read again whenever it changes.',
      properties: { path: filePath, intervalMs: milliseconds, cacheFile, allowEmpty },
      required: ['path'],
      additionalProperties: false,
    },
    dns: {
      type: 'object',
      description: 'A name, looked up again and again.',
      properties: {
        name: { type: 'string', minLength: 1 },
        port: { type: 'integer', minimum: 1, maximum: 65_535 },
        scheme: { type: 'string', enum: ['http', 'https'] },
        records: { type: 'array', minItems: 1, items: { type: 'string', enum: ['A', 'AAAA', 'SRV'] } },
        intervalMs: milliseconds,
        maxIntervalMs: milliseconds,
        cacheFile,
        allowEmpty,
      },
      required: ['name'],
      additionalProperties: false,
    },
    state: {
      type: 'object',
      description: 'Servers of this machine that announce themselves in a folder (`announce` on `createFileState`).',
      properties: {
        folder: { ...filePath, description: "The store's folder." },
        service: { type: 'string', minLength: 1, description: 'As the servers name it. Default: the name of the service here.' },
        cacheFile,
        allowEmpty,
      },
      required: ['folder'],
      additionalProperties: false,
    },
    rib: {
      type: 'object',
      description:
        'The routing table that a builder of this machine publishes in a folder, shards and rings included (docs/rib.md).',
      properties: {
        folder: { ...filePath, description: "The store's folder." },
        service: { type: 'string', minLength: 1, description: 'As the servers name it. Default: the name of the service here.' },
        cacheFile,
        maxTableAgeMs: milliseconds,
        maxPlanAgeMs: { type: 'number', minimum: 0 },
      },
      required: ['folder'],
      additionalProperties: false,
    },
  },
} as const satisfies Schema;

export const PICKERS = [
  'auto',
  'probe-pool',
  'p2c',
  'least-loaded',
  'peak-ewma',
  'round-robin',
  'weighted-round-robin',
  'random',
  'ring-hash',
  'prefix-affinity',
] as const;

const headerName = { type: 'string', pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", title: 'the name of a header' } as const;

const versions = {
  type: 'object',
  description: 'Shares of the traffic by an attribute of the endpoints: versions of a model, say.',
  properties: {
    attribute: { type: 'string', minLength: 1 },
    shares: { type: 'object', description: 'Relative.', additionalProperties: { type: 'number', minimum: 0 } },
  },
  required: ['attribute', 'shares'],
  additionalProperties: false,
} as const satisfies Schema;

const tiers = {
  type: 'object',
  description:
    'Shares of tiers of machines by how much they are used. Absent: tiers do not matter; `{}`: by the attribute `tier`.',
  properties: { attribute: { type: 'string', minLength: 1 }, periodMs: milliseconds, gain: share },
  additionalProperties: false,
} as const satisfies Schema;

const retry = {
  type: 'object',
  description: 'When a call is repeated elsewhere; `{ "maxAttempts": 1 }`: never.',
  properties: {
    maxAttempts: count,
    baseMs: { type: 'number', minimum: 0 },
    maxMs: { type: 'number', minimum: 0 },
    budget: {
      type: 'object',
      description: 'What all calls of the service share.',
      properties: {
        ratio: { type: 'number', minimum: 0, description: 'Retries per call.' },
        minPerSecond: { type: 'number', minimum: 0 },
        windowMs: milliseconds,
      },
      additionalProperties: false,
    },
  },
  additionalProperties: false,
} as const satisfies Schema;

const hedge = {
  type: 'object',
  description: 'A second attempt of idempotent calls that take longer than nearly all. Absent: off; `{}`: on.',
  properties: { maxExtraLoad: share, minDelayMs: { type: 'number', minimum: 0 } },
  additionalProperties: false,
} as const satisfies Schema;

const rings = {
  type: 'object',
  description: 'How locality rings are cut; with a locality.',
  properties: {
    boundsMs: { type: 'array', minItems: 1, items: milliseconds, description: 'Greatest round trip of each ring but the last.' },
    neighbourMs: { type: 'number', minimum: 0, description: 'Regions at most this far apart are neighbours.' },
  },
  additionalProperties: false,
} as const satisfies Schema;

const slowStart = {
  type: 'object',
  description: 'Endpoints that join the list get less at first. Absent: off; `{}`: on.',
  properties: { windowMs: milliseconds, leastRatio: share, warmUpPath: routePath },
  additionalProperties: false,
} as const satisfies Schema;

const ejection = {
  type: 'object',
  description: 'Takes out endpoints that keep failing.',
  properties: {
    enabled: { type: 'boolean', default: true },
    consecutiveFailures: count,
    minSuccessShare: share,
    windowMs: milliseconds,
    minAttempts: count,
    baseMs: milliseconds,
    maxMs: milliseconds,
    maxShare: share,
  },
  additionalProperties: false,
} as const satisfies Schema;

const health = {
  type: 'object',
  description: 'Asks every endpoint how it is, in the background. Absent: off; `{}`: on.',
  properties: { path: routePath, intervalMs: milliseconds, timeoutMs: milliseconds, unhealthyAfter: count, healthyAfter: count },
  additionalProperties: false,
} as const satisfies Schema;

const load = {
  type: 'object',
  description: 'Where reports of the load of servers come from, beside the headers of their responses (docs/router.md).',
  properties: {
    ask: {
      type: 'string',
      enum: ['text', 'json'],
      description: 'Asks for a report with every call: vLLM and Triton tell only who asks.',
    },
    prometheus: {
      type: 'object',
      description: 'Reads the metrics page of vLLM or SGLang, in the background.',
      properties: { path: routePath, intervalMs: milliseconds, timeoutMs: milliseconds },
      additionalProperties: false,
    },
    poll: {
      type: 'object',
      description: 'Asks a route of the servers.',
      properties: {
        mode: { type: 'string', enum: ['background', 'before-dispatch'] },
        path: routePath,
        intervalMs: milliseconds,
        timeoutMs: milliseconds,
        choices: count,
      },
      required: ['mode'],
      additionalProperties: false,
    },
  },
  additionalProperties: false,
} as const satisfies Schema;

const http = {
  type: 'object',
  description: 'Connections to the servers (docs/transports.md).',
  properties: {
    connections: { ...count, description: 'Per endpoint.' },
    connectTimeoutMs: milliseconds,
    keepAliveMs: { ...milliseconds, description: 'Of an idle connection.' },
    maxHeaderBytes: { type: 'integer', minimum: 1024, description: 'Of a response.' },
  },
  additionalProperties: false,
} as const satisfies Schema;

export const SERVICE_SCHEMA = {
  type: 'object',
  description: 'One service: its endpoints, and how they are called. Options without a word here are those of the router.',
  properties: {
    resolver,
    picker: { type: 'string', enum: PICKERS, default: 'auto', description: 'How an endpoint is chosen.' },
    choices: { ...count, description: 'Random endpoints compared; with the pickers p2c and peak-ewma.' },
    timeoutMs: { ...milliseconds, description: 'For the whole call, to the last byte, attempts and waits included.' },
    attemptTimeoutMs: { ...milliseconds, description: 'For one attempt, to the last byte.' },
    firstByteTimeoutMs: { ...milliseconds, description: 'To the head of the response.' },
    idleTimeoutMs: { ...milliseconds, description: 'Without a byte of the response, while the caller reads.' },
    maxInFlightPerEndpoint: { ...count, description: 'Beyond it other endpoints are used, then calls wait.' },
    maxQueued: { type: 'integer', minimum: 0, description: 'Calls waiting; beyond it they are answered 503.' },
    panicThreshold: { ...share, description: 'Share of open endpoints below which all are used.' },
    locality: { type: 'string', minLength: 1, description: 'Where the proxy stands: continent/region/zone. Calls stay near.' },
    ringThreshold: { type: 'number', exclusiveMinimum: 0, description: 'Use of a ring above which calls go further.' },
    maxEndpoints: { type: 'integer', minimum: 12, description: 'Of a ring, that this proxy uses.' },
    rings,
    versions,
    tiers,
    shardHeader: { ...headerName, description: 'Header of requests that names their shard; with the resolver rib.' },
    affinityHeader: {
      ...headerName,
      description:
        'Header of requests with the key that they share with others, or a chain of keys: with ring-hash, prefix-affinity.',
    },
    retry,
    hedge,
    slowStart,
    ejection,
    health,
    load,
    http,
  },
  required: ['resolver'],
  additionalProperties: false,
} as const satisfies Schema;
