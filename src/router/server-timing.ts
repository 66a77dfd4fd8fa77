/** A server's own times, as they travel back: the standard header, with the three names that this library reads. */
import { HEADERS, type HeaderList, headerValue } from '../core/headers.js';

/** Milliseconds. */
export interface ServerTimes {
  /** From arrival to the beginning of the work. */
  queue: number;
  application: number;
  /** Writing of the answer, up to its head. */
  send: number;
}

export function writeServerTiming({ queue, application, send }: ServerTimes): string {
  return `q;dur=${rounded(queue)}, app;dur=${rounded(application)}, ser;dur=${rounded(send)}`;
}

/** Undefined when the server does not tell `app`, or not in numbers: what is told by half is not told. Other names are passed over. */
export function readServerTiming(headers: HeaderList): ServerTimes | undefined {
  const value = headerValue(headers, HEADERS.serverTiming);
  if (value === undefined) return undefined;
  const application = duration(value, 'app');
  const queue = duration(value, 'q') ?? 0;
  const send = duration(value, 'ser') ?? 0;
  if (application === undefined || !(application + queue + send < Number.POSITIVE_INFINITY)) return undefined;
  return { queue, application, send };
}

/** NaN: malformed; undefined: not there. */
function duration(value: string, name: string): number | undefined {
  const mark = `${name};dur=`;
  for (let at = value.indexOf(mark); at >= 0; at = value.indexOf(mark, at + 1)) {
    // Not the end of a longer name.
    if (at > 0 && value[at - 1] !== ' ' && value[at - 1] !== ',') continue;
    const begin = at + mark.length;
    const comma = value.indexOf(',', begin);
    const text = value.slice(begin, comma < 0 ? undefined : comma).trim();
    const ms = text === '' ? Number.NaN : Number(text);
    return ms >= 0 ? ms : Number.NaN;
  }
  return undefined;
}

/** To a microsecond. */
function rounded(ms: number): number {
  return Math.round(Math.max(0, ms) * 1000) / 1000;
}
