/** What a request asks for: the path that is sent on, and the host that it is for. */

export interface Target {
  readonly path: string;
  /** With its port, as it came; empty: none was named. */
  readonly host: string;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;
const VISIBLE = /^\/[\x21-\x7e]*$/;
/** A segment that is `.` or `..`, in any spelling that some server takes for one. */
const DOT_SEGMENT = /(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\]|%2f|%5c|$)/i;

/**
 * In origin form (`/path`) or absolute form (`http://host/path`, which every server must take: RFC 9112, section 3.2.2). Undefined for
 * anything else, and for paths with dot segments: the route would be chosen by one path and the server answer another.
 */
export function parseTarget(raw: string, hostHeader: string): Target | undefined {
  let path = raw;
  let host = hostHeader;
  const absolute = raw.startsWith('/') ? null : ABSOLUTE.exec(raw);
  if (absolute !== null) {
    host = absolute[1] as string;
    const rest = absolute[2] as string;
    path = rest.startsWith('/') ? rest : `/${rest}`;
  }
  const fragment = path.indexOf('#');
  if (fragment >= 0) path = path.slice(0, fragment);
  if (!VISIBLE.test(path)) return undefined;
  if (/[.%]/.test(path) && DOT_SEGMENT.test(path.split('?', 1)[0] as string)) return undefined;
  return { path, host };
}
