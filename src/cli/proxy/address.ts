/** Where to listen, as a config writes it: `host:port`, `[ipv6]:port`, `unix:PATH`. */
import { once } from 'node:events';
import { unlink } from 'node:fs/promises';
import { type AddressInfo, connect, type Server } from 'node:net';
import { EvenkeelError } from '../../core/errors.js';

/**
 * Makes `server` listen there. A socket file that nobody listens at any more, as a killed process leaves it, is replaced.
 * @returns The address with the real port.
 * @throws {EvenkeelError} `already-exists` when somebody else listens there; `unavailable` otherwise.
 */
export async function listenAt(server: Server, address: string): Promise<string> {
  try {
    await tryListen(server, address);
  } catch (cause) {
    const path = unixPath(address);
    if (!isTaken(cause) || path === undefined || (await answers(path))) throw refusal(address, cause);
    await unlink(path);
    await tryListen(server, address).catch((error) => {
      throw refusal(address, error);
    });
  }
  const bound = server.address() as AddressInfo | string | null;
  if (typeof bound === 'string' || bound === null) return address;
  return `${address.slice(0, address.lastIndexOf(':'))}:${bound.port}`;
}

async function tryListen(server: Server, address: string): Promise<void> {
  const path = unixPath(address);
  const colon = address.lastIndexOf(':');
  if (path !== undefined) server.listen(path);
  else server.listen(Number(address.slice(colon + 1)), address.slice(0, colon).replace(/^\[|\]$/g, ''));
  await once(server, 'listening');
}

function unixPath(address: string): string | undefined {
  return address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}

function isTaken(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

function refusal(address: string, cause: unknown): EvenkeelError {
  const message = `cannot listen at ${address}: ${(cause as Error).message}`;
  return new EvenkeelError(isTaken(cause) ? 'already-exists' : 'unavailable', message, { cause });
}
