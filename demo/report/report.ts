/** The report: one HTML file that needs nothing else, without a script. */
import { formatCount, formatMs, formatPercent, formatRatio } from '../format.js';
import { DECODE_MS_PER_TOKEN, PREFILL_MS_PER_TOKEN } from '../parameters.js';
import type { ContenderResult, DemoResult } from '../result.js';
import { compare } from '../verdict.js';
import { Html, html } from './html.js';
import { renderDistribution, renderTail } from './latency.js';
import { renderIncidents, renderLoad, renderShare } from './servers.js';
import { STYLE } from './style.js';

/** @param ours - Name of the contender the others are compared with. */
export function renderReport(result: DemoResult, ours: string): string {
  const { contenders, roles, scenario, requests } = result;
  const title = `Eight inference servers, ${contenders.length === 1 ? 'one way' : `${contenders.length} ways`} to call them`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>evenkeel demo: ${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body><main>
<h1>${title}</h1>
<p class="muted">${formatCount(requests)} chat requests at ${scenario.rate} a second, the same for each contender. Two servers are slow, one degrades for a
while, one dies and comes back.</p>
${renderCards(contenders, ours)}
<h2>Figures</h2>
<p class="muted">Latency counts from the moment a request was due until the last byte of its answer. Timeouts count with the time waited; errors are counted
apart.</p>
<div class="panel scroll">${renderFigures(contenders, ours)}</div>
<h2>The tail</h2>
<p class="muted">How long the slowest requests take. Lower is better.</p>
${renderLegend(contenders)}<div class="panel">${renderTail(contenders)}</div>
<h2>The whole distribution</h2>
<p class="muted">The share of answers that came within a time. Further left is better.</p>
${renderLegend(contenders)}<div class="panel">${renderDistribution(contenders)}</div>
<h2>Who answered</h2>
<p class="muted">Share of the answers by server, servers 0 to 7 from left to right.</p>
<div class="panel">${renderShare(contenders, roles)}</div>
<h2>Requests in flight at each server</h2>
<p class="muted">As the servers count them, at work and waiting, on one scale (by square roots) for all. The line across is
${scenario.server.slots}, what a server works on at once; above it requests wait. The figure beside the name is the server's share of the answers.</p>
${renderLoad(result)}
<h2>What was run</h2>
<div class="panel">${renderFacts(result)}</div>
</main></body></html>
`.text;
}

function renderCards(contenders: readonly ContenderResult[], ours: string): Html {
  const cards = compare(contenders, ours).map(({ peer, ratio, figures }) => {
    const figure =
      ratio === undefined ? '–' : `${formatRatio(ratio >= 1 ? ratio : 1 / ratio)}x ${ratio >= 1 ? 'lower' : 'higher'}`;
    return html`<div class="card"><b>${figure}</b>p99 of evenkeel against ${peer}<br><span class="muted">${figures}</span></div>`;
  });
  return cards.length === 0 ? html`` : html`<div class="cards">${cards}</div>`;
}

function renderFigures(contenders: readonly ContenderResult[], ours: string): Html {
  const heads = ['p50', 'p99', 'p99.9', 'errors', 'timeouts', 'answered', 'tokens/s'];
  return html`<table><thead><tr><th></th>${heads.map((head) => html`<th>${head}</th>`)}</tr></thead><tbody>${contenders.map(
    (result, index) => {
      const { title, name, p50Ms, p99Ms, p999Ms, errors, timeouts, ok, requests, tokensPerSecond } = result;
      const cells = [formatMs(p50Ms), formatMs(p99Ms), formatMs(p999Ms), formatCount(errors), formatCount(timeouts)];
      const rest = [formatPercent(ok / Math.max(1, requests)), formatCount(tokensPerSecond)];
      return html`<tr class="${name === ours ? 'ours' : 'peer'}"><td><i class="key k${index}"></i>${title}</td>${[
        ...cells,
        ...rest,
      ].map((cell) => html`<td>${cell}</td>`)}</tr>`;
    },
  )}</tbody></table>`;
}

function renderLegend(contenders: readonly ContenderResult[]): Html {
  return html`<p class="legend">${contenders.map(({ title }, index) => html`<span><i class="key k${index}"></i>${title}</span>`)}</p>`;
}

function renderFacts({ scenario, source, incidents, versions, contenders }: DemoResult): Html {
  const { server, timeScale } = scenario;
  const facts: [string, string][] = [
    ['workload', source],
    ['seed', String(scenario.seed)],
    [
      'arrivals',
      `${scenario.rate} a second for ${formatSeconds(scenario.durationMs)}, in an open loop; a third of the answers streamed`,
    ],
    ['client timeout', formatSeconds(scenario.timeoutMs)],
    ['server', `${server.slots} requests at once, ${server.queuePlaces} may wait, 503 beyond that`],
    ['service time', serviceTime(timeScale)],
    ['incidents', renderIncidents(incidents)],
    ...contenders.map(({ title, about, faults }): [string, string] => [title, `${about}${faultsOf(faults)}`]),
    [
      'versions',
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
  ];
  return html`<dl>${facts.map(([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>`)}</dl>`;
}

function serviceTime(timeScale: number): string {
  const prefill = PREFILL_MS_PER_TOKEN.toFixed(2);
  return `${prefill} ms per prompt token and ${DECODE_MS_PER_TOKEN} ms per answer token (Splitwise, ISCA 2024), ${timeScale} times faster`;
}

function faultsOf(faults: Readonly<Record<string, number>>): string {
  const list = Object.entries(faults).map(([fault, count]) => `${formatCount(count)} x ${fault}`);
  return list.length === 0 ? '' : `. Errors: ${list.join(', ')}`;
}

const formatSeconds = (ms: number): string => `${Number((ms / 1000).toFixed(1))} s`;
