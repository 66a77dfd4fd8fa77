/** The client of NATS, for programs that reach a store there. It is an optional peer of the package, so it may not be there. */
import { EvenkeelError } from '../core/errors.js';
import type { NatsClientOptions } from '../transports/nats/index.js';

/** @throws {EvenkeelError} `failed-precondition`, saying what to install. */
export async function loadNats(): Promise<NatsClientOptions['nats']> {
  try {
    return (await import('@nats-io/transport-node')) as unknown as NatsClientOptions['nats'];
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const message = isMissing
      ? "the package @nats-io/transport-node is not installed, and a store on NATS is reached with it: 'npm install @nats-io/transport-node'"
      : `the package @nats-io/transport-node cannot be loaded: ${cause instanceof Error ? cause.message : cause}`;
    throw new EvenkeelError('failed-precondition', message, { cause });
  }
}
