/** From the text of a config to a config, or to everything that is wrong with it. */
import { createRuntime, type Runtime } from '../../core/runtime.js';
import { virtualClock } from '../../core/virtual-clock.js';
import { CONFIG_SCHEMA, type ProxyConfig, type RouteConfig } from './config-schema.js';
import { below, type Fault, faultsOf, withDefaults } from './json-schema.js';
import { tryService } from './service.js';

export type ParsedConfig = { readonly config: ProxyConfig } | { readonly faults: readonly Fault[] };

/** A config is some kilobytes; what is longer is another file. */
export const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

export function parseConfigText(text: string): ParsedConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { faults: [{ path: '', message: `is not JSON: ${error instanceof Error ? error.message : error}` }] };
  }
  return parseConfig(value);
}

/** Nothing is looked up, opened or connected to. */
export function parseConfig(value: unknown): ParsedConfig {
  const faults = faultsOf(CONFIG_SCHEMA, value);
  if (faults.length > 0) return { faults };
  const config = withDefaults(CONFIG_SCHEMA, value) as ProxyConfig;
  const more = [...listenFaults(config), ...serviceFaults(config), ...routeFaults(config)];
  return more.length > 0 ? { faults: more } : { config };
}

/** `path message`, as a person reads it. */
export function formatFault({ path, message }: Fault): string {
  return path === '' ? `the config ${message}` : `${path} ${message}`;
}

function listenFaults({ listen }: ProxyConfig): Fault[] {
  const seen = new Set<string>();
  return listen.addresses.flatMap((address, i) => {
    const path = below(below('listen', 'addresses'), i);
    const port = address.startsWith('unix:') ? '0' : address.slice(address.lastIndexOf(':') + 1);
    if (Number(port) > 65_535) return [{ path, message: `has port ${port}; expected at most 65535` }];
    if (seen.has(address) && port !== '0') return [{ path, message: `is ${address}, which is there already` }];
    seen.add(address);
    return [];
  });
}

/** A service that could not be built is found here, and not when the proxy starts or reloads. */
function serviceFaults({ services }: ProxyConfig): Fault[] {
  // Its time does not pass: nothing that is tried may happen.
  const runtime: Runtime = createRuntime({ clock: virtualClock() });
  return Object.entries(services).flatMap(([name, service]) => {
    try {
      tryService(name, service, runtime);
      return [];
    } catch (error) {
      return [{ path: below('services', name), message: `is refused: ${error instanceof Error ? error.message : error}` }];
    }
  });
}

function routeFaults({ routes, services }: ProxyConfig): Fault[] {
  const seen = new Map<string, number>();
  return routes.flatMap((route, i) => {
    const path = below('routes', i);
    const faults: Fault[] = [];
    if (!Object.hasOwn(services, route.service)) {
      const known = Object.keys(services).join(', ');
      faults.push({ path: below(path, 'service'), message: `is ${JSON.stringify(route.service)}; expected one of ${known}` });
    }
    const earlier = seen.get(keyOf(route));
    if (earlier !== undefined) faults.push({ path, message: `has the host and prefix of ${below('routes', earlier)}` });
    else seen.set(keyOf(route), i);
    return faults;
  });
}

function keyOf({ host = '', pathPrefix }: RouteConfig): string {
  return `${host.toLowerCase()} ${pathPrefix.replace(/\/$/, '')}`;
}
