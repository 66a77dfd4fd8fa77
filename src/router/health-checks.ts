/**
 * Asks every known endpoint how it is, in the background. An endpoint is taken out after some failures in a row and back in after
 * some successes; a new one counts as healthy until it is known not to be, so that it takes traffic at once.
 */
import { checkInteger, checkNumber, invalidArgument } from '../core/errors.js';
import { fanOut } from '../core/fan-out.js';
import type { Random } from '../core/random.js';
import type { Runtime } from '../core/runtime.js';
import type { CallTransport } from '../core/transport/call.js';
import type { EndpointTable, Member } from './endpoint-table.js';
import { probe } from './probe.js';

export interface HealthOptions {
  /** Route asked with GET. Default `/health`; on gRPC `/grpc.health.v1.Health/Check`, which is asked about the whole server. */
  path?: string;
  /** Milliseconds between checks of one endpoint, with a jitter of 10 %. Default 5000. */
  intervalMs?: number;
  /** Milliseconds to wait for an answer. Default 1000. */
  timeoutMs?: number;
  /** Failures in a row that take an endpoint out. Default 2. */
  unhealthyAfter?: number;
  /** Successes in a row that take it back. Default 1. */
  healthyAfter?: number;
  /** Judges an answer. Default: status 200 to 299, and gRPC's health service says `SERVING`. */
  isHealthy?: (status: number, body: Uint8Array) => boolean;
}

export interface HealthListener {
  onHealth(member: Member, isHealthy: boolean, reason: string): void;
}

const DEFAULT_HEALTH_PATH = '/health';
const GRPC_HEALTH_PATH = '/grpc.health.v1.Health/Check';
const DEFAULT_HEALTH_INTERVAL_MS = 5000;
const DEFAULT_HEALTH_TIMEOUT_MS = 1000;
const DEFAULT_UNHEALTHY_AFTER = 2;
const DEFAULT_HEALTHY_AFTER = 1;
const CHECKS_AT_ONCE = 32;
const EMPTY_PAUSE_MS = 100;

/** Runs until `signal` aborts. */
export function startHealthChecks(
  options: HealthOptions,
  env: { runtime: Runtime; random: Random; transport: CallTransport; table: EndpointTable; signal: AbortSignal } & HealthListener,
): void {
  const { runtime, random, transport, table, signal } = env;
  const path = options.path ?? DEFAULT_HEALTH_PATH;
  if (!path.startsWith('/')) throw invalidArgument('health.path', path, 'a path that begins with /');
  const intervalMs = checkNumber('health.intervalMs', options.intervalMs ?? DEFAULT_HEALTH_INTERVAL_MS, 10);
  const timeoutMs = checkNumber('health.timeoutMs', options.timeoutMs ?? DEFAULT_HEALTH_TIMEOUT_MS, 1);
  const unhealthyAfter = checkInteger('health.unhealthyAfter', options.unhealthyAfter ?? DEFAULT_UNHEALTHY_AFTER, 1);
  const healthyAfter = checkInteger('health.healthyAfter', options.healthyAfter ?? DEFAULT_HEALTHY_AFTER, 1);
  const judge = options.isHealthy ?? (path === GRPC_HEALTH_PATH ? saysServing : isSuccess);
  /** Answers in a row: above 0 good ones, below 0 bad ones. */
  const streaks = new WeakMap<Member, number>();

  const check = async (member: Member) => {
    let fault = '';
    try {
      const { status, body } = await probe(transport, runtime.clock, member.endpoint, path, timeoutMs, signal);
      if (!judge(status, body)) fault = `${path} answers ${status}`;
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
    }
    if (signal.aborted || member.isRemoved) return;
    const streak = streaks.get(member) ?? 0;
    const next = fault === '' ? Math.max(0, streak) + 1 : Math.min(0, streak) - 1;
    streaks.set(member, next);
    const isHealthy = member.isHealthy ? next > -unhealthyAfter : next >= healthyAfter;
    if (isHealthy === member.isHealthy) return;
    member.isHealthy = isHealthy;
    if (isHealthy) member.forgive();
    table.refresh();
    env.onHealth(member, isHealthy, fault);
  };

  const run = async () => {
    while (!signal.aborted) {
      await fanOut([...table.members()], check, { concurrency: CHECKS_AT_ONCE, signal }).catch((error: unknown) => {
        if (!signal.aborted) runtime.diagnostics.report('health', error);
      });
      // Before the first list there was nobody to check: look again soon.
      const pauseMs = table.size === 0 ? Math.min(intervalMs, EMPTY_PAUSE_MS) : intervalMs * (0.9 + 0.2 * random.next());
      await runtime.clock.sleep(pauseMs, signal).catch(() => {});
    }
  };
  void run();
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** A HealthCheckResponse: its one field is 1 for SERVING. A server that does not is a good answer, too. */
function saysServing(status: number, body: Uint8Array): boolean {
  return isSuccess(status) && body.length === 2 && body[0] === 8 && body[1] === 1;
}
