/** Which service a request is for. The most exact host wins, then the longest prefix. */
import type { RouteConfig } from './config-schema.js';

interface Rule {
  readonly prefix: string;
  readonly service: string;
}

export class RouteTable {
  readonly #exact = new Map<string, Rule[]>();
  /** Of `*.example.com`: `.example.com`, the longest first. */
  readonly #suffixes: [suffix: string, rules: Rule[]][] = [];
  readonly #any: Rule[] = [];

  constructor(routes: readonly RouteConfig[]) {
    const byLength = [...routes].sort((a, b) => b.pathPrefix.length - a.pathPrefix.length);
    const suffixes = new Map<string, Rule[]>();
    for (const { host, pathPrefix, service } of byLength) {
      const rule = { prefix: pathPrefix.replace(/\/$/, ''), service };
      if (host === undefined) this.#any.push(rule);
      else if (host.startsWith('*.')) add(suffixes, host.slice(1).toLowerCase(), rule);
      else add(this.#exact, host.toLowerCase(), rule);
    }
    this.#suffixes = [...suffixes].sort(([a], [b]) => b.length - a.length);
  }

  /**
   * The name of a service; undefined: no route. A host whose routes do not fit falls back to less exact ones.
   * @param host - As in the header, with or without a port.
   * @param path - With or without a query.
   */
  find(host: string, path: string): string | undefined {
    if (this.#exact.size > 0 || this.#suffixes.length > 0) {
      const name = host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
      const exact = match(this.#exact.get(name), path);
      if (exact !== undefined) return exact;
      for (const [suffix, rules] of this.#suffixes) {
        const found = name.length > suffix.length && name.endsWith(suffix) ? match(rules, path) : undefined;
        if (found !== undefined) return found;
      }
    }
    return match(this.#any, path);
  }
}

function match(rules: readonly Rule[] | undefined, path: string): string | undefined {
  return rules?.find(({ prefix }) => isBelow(path, prefix))?.service;
}

/** Whole segments: `/v1` is not the beginning of `/v10`. */
function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  const next = path[prefix.length];
  return next === undefined || next === '/' || next === '?';
}

function add(map: Map<string, Rule[]>, host: string, rule: Rule): void {
  const rules = map.get(host);
  if (rules === undefined) map.set(host, [rule]);
  else rules.push(rule);
}
