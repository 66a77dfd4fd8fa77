/** A fetch-style handler (Request in, Response out) as the handler of a transport of this process. */
import { type CallHandler, headerEntries } from 'evenkeel/core';

export function callHandler(handler: (request: Request) => Response | Promise<Response>): CallHandler {
  return async ({ path, method, headers }) => {
    const response = await handler(new Request(`http://host${path}`, { method, headers: headerEntries(headers) }));
    return { status: response.status, headers: [...response.headers].flat(), body: await response.text() };
  };
}
