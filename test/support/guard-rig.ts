/** A guarded transport in virtual time, over calls that the test answers by hand. */
import { type CallSink, type EvenkeelError, parseEndpoint } from 'evenkeel/core';
import { fixedLimit, type GuardOptions, type LimiterOptions } from 'evenkeel/limiter';
import { limiterOf } from './limiter-rig.js';
import { PuppetTransport } from './puppet-transport.js';

export const TO = parseEndpoint({ id: 'a', address: 'http://10.0.0.1:80' });

/** What a sink hears, line by line. */
export class Log implements CallSink {
  readonly lines: string[] = [];
  error: EvenkeelError | undefined;
  onResponse(status: number) {
    this.lines.push(`response ${status}`);
  }
  onData(chunk: Uint8Array) {
    this.lines.push(`data ${Buffer.from(chunk)}`);
  }
  onEnd() {
    this.lines.push('end');
  }
  onError(error: EvenkeelError) {
    this.error = error;
    this.lines.push(`error ${error.code}`);
  }
}

/** One call at once; another waits for a second at most. */
export function guardRig(options: LimiterOptions = {}, guard: GuardOptions = {}) {
  const rig = limiterOf({ limit: fixedLimit(1), queue: { calmWaitMs: 1000 }, ...options });
  const wire = new PuppetTransport();
  const transport = rig.limiter.guard(wire, guard);
  const start = (headers: readonly string[] = []) => {
    const log = new Log();
    const handle = transport.start(TO, { path: '/', headers }, log);
    return { log, handle };
  };
  return { ...rig, wire, transport, start };
}
