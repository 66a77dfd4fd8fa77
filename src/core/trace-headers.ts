/**
 * A propagator's headers among those a call has already. Which hold? The propagator's: what stands there was passed on from the
 * caller's own caller, and two `traceparent`s are as good as none. Only `baggage` is a list, whose members come together; there
 * the call's own hold.
 */
import { HEADERS } from './headers.js';

const BAGGAGE = HEADERS.baggage.text;

/**
 * Adds `injected` to a flat list, in place.
 * @param fields - Every name the propagator may set: an older `tracestate` must not stand beside a newer `traceparent`.
 */
export function addTraceHeaders(headers: string[], injected: readonly string[], fields: readonly string[]): void {
  let hasTrace = false;
  for (let i = 0; i < injected.length; i += 2) hasTrace ||= (injected[i] as string).toLowerCase() !== BAGGAGE;
  if (hasTrace) for (const field of fields) if (field.toLowerCase() !== BAGGAGE) removeHeader(headers, field.toLowerCase());
  for (let i = 0; i < injected.length; i += 2) {
    const name = injected[i] as string;
    const value = injected[i + 1] as string;
    if (name.toLowerCase() === BAGGAGE) {
      mergeBaggage(headers, value);
      continue;
    }
    removeHeader(headers, name.toLowerCase());
    headers.push(name, value);
  }
}

function removeHeader(headers: string[], name: string): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) if (isNamed(headers, i, name)) headers.splice(i, 2);
}

function mergeBaggage(headers: string[], value: string): void {
  const own = new Set<string>();
  let last = -1;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!isNamed(headers, i, BAGGAGE)) continue;
    for (const member of (headers[i + 1] as string).split(',')) own.add(keyOf(member));
    last = i;
  }
  const others = value.split(',').filter((member) => !own.has(keyOf(member)));
  if (others.length === 0) return;
  if (last < 0) headers.push(BAGGAGE, value);
  else headers[last + 1] = [headers[last + 1], ...others].filter((part) => part !== '').join(',');
}

function keyOf(member: string): string {
  return member.split(/[=;]/, 1)[0]?.trim() as string;
}

function isNamed(headers: readonly string[], i: number, name: string): boolean {
  const text = headers[i] as string;
  return text.length === name.length && text.toLowerCase() === name;
}
