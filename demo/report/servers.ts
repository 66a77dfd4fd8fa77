/** What each contender did to the servers: requests in flight over time, and who answered how much. */
import { formatPercent } from '../format.js';
import type { Incident } from '../incidents.js';
import { SAMPLE_MS, type ServerRole, SLOW_FACTOR } from '../parameters.js';
import type { ContenderResult, DemoResult, LoadPoint } from '../result.js';
import { type Html, html } from './html.js';
import { type Point, renderSpark } from './plot.js';
import { rootScale } from './scale.js';

/** Without a sample for that long the server was down. */
const GAP_MS = SAMPLE_MS * 4;

export function nameServer(server: number, role: ServerRole): string {
  const words: Record<ServerRole, string> = {
    steady: '',
    slow: `, ${SLOW_FACTOR}x slow`,
    degrades: ', degrades',
    dies: ', dies, returns',
  };
  return `server ${server}${words[role]}`;
}

export function renderLoad(result: DemoResult): Html {
  const { contenders, roles, incidents } = result;
  const points = contenders.flatMap(({ load }) => load.flat());
  const lastMs = Math.max(result.scenario.durationMs, ...points.map(({ atMs }) => atMs));
  // One scale for all, so that heights can be compared across contenders.
  const scale = rootScale(Math.max(1, ...points.map(({ inFlight }) => inFlight)));
  const most = String(scale.ticks.at(-1) ?? '');
  const slots = scale.place(result.scenario.server.slots);
  return html`${contenders.map(
    ({ title, load, share }, index) => html`<h3><i class="key k${index}"></i>${title}</h3><div class="sparks">
${roles.map((role, server) =>
  renderSpark({
    title: nameServer(server, role),
    note: formatPercent(share[server] ?? 0),
    index,
    pieces: piecesOf(load[server] ?? []).map((piece) =>
      piece.map(({ atMs, inFlight }): Point => ({ x: atMs / lastMs, y: scale.place(inFlight) })),
    ),
    marks: incidents
      .filter((incident) => incident.server === server)
      .map(({ atMs, kind }) => ({ at: atMs / lastMs, label: kind })),
    most,
    level: slots,
  }),
)}</div>`,
  )}`;
}

function piecesOf(points: readonly LoadPoint[]): LoadPoint[][] {
  const pieces: LoadPoint[][] = [];
  let previousMs = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point.atMs - previousMs > GAP_MS) pieces.push([]);
    pieces.at(-1)?.push(point);
    previousMs = point.atMs;
  }
  return pieces;
}

export function renderShare(contenders: readonly ContenderResult[], roles: readonly ServerRole[]): Html {
  const keys: Record<ServerRole, string> = { steady: 'steady', slow: 'slow', degrades: 'degrades', dies: 'dies and returns' };
  return html`<p class="legend">${Object.entries(keys).map(
    ([role, words]) => html`<span><i class="key role-${role}"></i>${words}</span>`,
  )}</p>${contenders.map(
    ({ title, share }) =>
      html`<div class="share-title">${title}</div><div class="share" role="img" aria-label="${title}: ${share
        .map((part, server) => `server ${server} ${formatPercent(part)}`)
        .join(', ')}">${roles.map(
        (role, server) =>
          html`<span class="role-${role}" style="flex-grow:${(share[server] ?? 0).toFixed(4)}" title="${nameServer(server, role)}: ${formatPercent(share[server] ?? 0)}"></span>`,
      )}</div>`,
  )}`;
}

export function renderIncidents(incidents: readonly Incident[]): string {
  return incidents.map(({ atMs, server, kind }) => `${(atMs / 1000).toFixed(1)} s: server ${server} ${kind}`).join('; ');
}
