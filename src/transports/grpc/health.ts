/**
 * `grpc.health.v1.Health` of one listener. Two messages of one field each need no protobuf library.
 *
 * Which services are known? Any: one handler answers every name. A service of which nothing was said is as the server, whose name is
 * the empty one.
 * @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
import type { CallAnswer, IncomingCall } from '../../core/transport/call.js';

const CHECK = '/grpc.health.v1.Health/Check';
const WATCH = '/grpc.health.v1.Health/Watch';
const WHOLE_SERVER = '';

/** HealthCheckResponse: field 1, a varint. */
const SERVING = Uint8Array.of(8, 1);
const NOT_SERVING = Uint8Array.of(8, 2);

export class HealthService {
  readonly #isServing = new Map<string, boolean>([[WHOLE_SERVER, true]]);
  #isStopped = false;
  /** Wake those who watch. */
  readonly #watchers = new Set<() => void>();

  set(service: string, isServing: boolean): void {
    this.#isServing.set(service, isServing);
    this.#wake();
  }

  /** From the start of a drain: those who watch are told, and their calls end. */
  stopServing(): void {
    this.#isStopped = true;
    this.#wake();
  }

  /** Undefined for other methods. */
  answer(call: IncomingCall): Promise<CallAnswer> | undefined {
    if (call.path !== CHECK && call.path !== WATCH) return undefined;
    return this.#answer(call);
  }

  async #answer({ path, body, signal }: IncomingCall): Promise<CallAnswer> {
    for await (const request of body) {
      const service = serviceOf(request);
      if (service === undefined) return { status: 400 };
      return { status: 200, body: path === CHECK ? this.#message(service) : this.#watch(service, signal) };
    }
    return { status: 400 };
  }

  #message(service: string): Uint8Array {
    const isServing = this.#isServing.get(service) ?? this.#isServing.get(WHOLE_SERVER);
    return isServing && !this.#isStopped ? SERVING : NOT_SERVING;
  }

  async *#watch(service: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let said: Uint8Array | undefined;
    while (!signal.aborted) {
      const message = this.#message(service);
      if (message !== said) {
        said = message;
        yield message;
      } else if (this.#isStopped) return;
      else await this.#changed(signal);
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#watchers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#watchers]) wake();
  }
}

/** Of a HealthCheckRequest: field 1, a text, of less than 128 bytes; no field is the whole server. Undefined when it is none. */
function serviceOf(request: Uint8Array): string | undefined {
  if (request.length === 0) return WHOLE_SERVER;
  const [tag, length = 0] = request;
  if (tag !== 10 || length > 127 || request.length !== length + 2) return undefined;
  return Buffer.from(request.subarray(2)).toString();
}
