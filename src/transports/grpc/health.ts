/**
 * `grpc.health.v1.Health` of one listener. Two messages of one field each need no protobuf library.
 * @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
import type { CallAnswer, IncomingCall } from '../../core/transport/call.js';

const CHECK = '/grpc.health.v1.Health/Check';
const WATCH = '/grpc.health.v1.Health/Watch';

/** HealthCheckResponse: field 1, a varint. */
const SERVING = Uint8Array.of(8, 1);
const NOT_SERVING = Uint8Array.of(8, 2);

/** Answers for the whole server and for every service of it: the handler behind it is one. */
export class HealthService {
  #isServing = true;
  /** Wake those who watch. */
  readonly #watchers = new Set<() => void>();

  /** From the start of a drain: those who watch are told, and their calls end. */
  stopServing(): void {
    this.#isServing = false;
    for (const wake of this.#watchers) wake();
  }

  /** Undefined for other methods. */
  answer(call: IncomingCall): CallAnswer | undefined {
    if (call.path === CHECK) return { status: 200, body: this.#message() };
    if (call.path === WATCH) return { status: 200, body: this.#watch(call.signal) };
    return undefined;
  }

  #message(): Uint8Array {
    return this.#isServing ? SERVING : NOT_SERVING;
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    yield this.#message();
    if (!this.#isServing || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#watchers.delete(wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
    yield this.#message();
  }
}
