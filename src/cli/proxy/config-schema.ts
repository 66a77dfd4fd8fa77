/** The schema of a proxy's config: what `--schema` prints, what `--check` goes by, and where the defaults are. */
import { DEFAULT_TIMEOUT_MS } from '../../router/options.js';
import type { Infer, Schema } from './json-schema.js';
import { SERVICE_SCHEMA } from './service-schema.js';

const KIB = 1024;
const MIB = 1024 * KIB;

const listen = {
  type: 'object',
  description: 'Where callers come in. Changes of it need a restart; all else is reloaded.',
  default: {},
  properties: {
    addresses: {
      type: 'array',
      description: 'One or several: `host:port`, `[ipv6]:port`, or `unix:PATH`. Port 0 takes a free one.',
      default: ['127.0.0.1:4040'],
      minItems: 1,
      items: {
        type: 'string',
        pattern: '^(unix:.+|[^\\s:/]+:\\d{1,5}|\\[[0-9a-fA-F:.]+\\]:\\d{1,5})$',
        title: 'host:port, [ipv6]:port or unix:PATH',
      },
    },
    maxConnections: {
      type: 'integer',
      minimum: 1,
      default: 10_000,
      description: 'Per address; beyond it a connection is closed as it comes.',
    },
    maxStreams: {
      type: 'integer',
      minimum: 1,
      maximum: 100_000,
      default: 1000,
      description: 'Requests at once on one HTTP/2 connection.',
    },
    maxHeaderBytes: {
      type: 'integer',
      minimum: KIB,
      maximum: MIB,
      default: 16 * KIB,
      description: 'Of a request; beyond it 431.',
    },
    headersTimeoutMs: {
      type: 'integer',
      minimum: 1,
      maximum: 3_600_000,
      default: 10_000,
      description: 'To the end of the head of a request, from its first byte or from the connection; beyond it 408, or the end.',
    },
    idleTimeoutMs: {
      type: 'integer',
      minimum: 1,
      maximum: 86_400_000,
      default: 60_000,
      description: 'How long a connection without requests is kept.',
    },
  },
  additionalProperties: false,
} as const satisfies Schema;

const limits = {
  type: 'object',
  description: 'Of each request.',
  default: {},
  properties: {
    maxBodyBytes: {
      type: 'integer',
      minimum: 0,
      default: 64 * MIB,
      description: 'Of its body, counted as it streams; beyond it 413.',
    },
    maxBufferedBytes: {
      type: 'integer',
      minimum: 0,
      maximum: 16 * MIB,
      default: 64 * KIB,
      description:
        'A body of a stated length up to this is read whole before it is sent, so that the call can be repeated. 0: none is.',
    },
    requestTimeoutMs: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 86_400_000,
      default: DEFAULT_TIMEOUT_MS,
      description:
        "From the head of the request to the last byte of the answer; a caller's own deadline counts when it is earlier.",
    },
  },
  additionalProperties: false,
} as const satisfies Schema;

const route = {
  type: 'object',
  properties: {
    host: {
      type: 'string',
      pattern: '^(\\*\\.)?[A-Za-z0-9_][A-Za-z0-9._-]*$|^\\[[0-9A-Fa-f:.]+\\]$',
      title: 'a host name without a port, or *. and the rest of one',
      description: 'Of the `Host` header, without the port; `*.example.com` stands for every name below it. Absent: any.',
    },
    pathPrefix: {
      type: 'string',
      pattern: '^/[\\x21-\\x7e]*$',
      title: 'a slash, then visible ASCII',
      default: '/',
      description: 'Whole segments: `/v1` stands for `/v1` and `/v1/models`, not for `/v10`.',
    },
    service: { type: 'string', description: 'A name of `services`.' },
  },
  required: ['service'],
  additionalProperties: false,
} as const satisfies Schema;

export const CONFIG_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'The config of evenkeel proxy',
  type: 'object',
  properties: {
    $schema: { type: 'string', description: 'For editors; the proxy does not read it.' },
    listen,
    services: {
      type: 'object',
      description: 'By name.',
      minProperties: 1,
      propertyNames: { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' },
      additionalProperties: SERVICE_SCHEMA,
    },
    routes: {
      type: 'array',
      description:
        'Which service a request is for. The most exact host wins, then the longest prefix; their order does not matter.',
      minItems: 1,
      items: route,
    },
    limits,
    healthPath: {
      type: 'string',
      pattern: '^/[\\x21-\\x7e]*$',
      title: 'a slash, then visible ASCII',
      default: '/evenkeel/health',
      description: 'Answered by the proxy itself, on every host: 200, and 503 while it drains.',
    },
    forwarded: {
      type: 'string',
      enum: ['off', 'x-forwarded-for', 'forwarded'],
      default: 'off',
      description: 'Tells servers the address of the caller, in that header, after what callers say of theirs.',
    },
    trustCallers: {
      type: 'boolean',
      default: false,
      description: 'Believe callers that call themselves `critical-plus`; otherwise they are at most `critical`.',
    },
    drain: {
      type: 'object',
      description: 'How the proxy leaves.',
      default: {},
      properties: {
        lameDuckMs: {
          type: 'number',
          minimum: 0,
          maximum: 3_600_000,
          default: 0,
          description:
            'The health route says 503, and connections are still taken, for as long: time for a balancer in front to notice.',
        },
        timeoutMs: {
          type: 'number',
          minimum: 0,
          maximum: 86_400_000,
          default: 30_000,
          description: 'For requests in flight to end; then they are cut.',
        },
      },
      additionalProperties: false,
    },
    accessLog: { type: 'boolean', default: false, description: 'A line for each request.' },
  },
  required: ['services', 'routes'],
  additionalProperties: false,
} as const satisfies Schema;

/** A config without faults, every default filled in. */
export type ProxyConfig = Infer<typeof CONFIG_SCHEMA>;
export type ServiceConfig = Infer<typeof SERVICE_SCHEMA>;
export type RouteConfig = Infer<typeof route>;
export type ListenConfig = Infer<typeof listen>;
