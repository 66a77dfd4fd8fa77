/** What `evenkeel sim --html` writes: one file that needs no other, readable on light and dark screens. */
import type { Plot, Table } from '../../sim/scenario.js';
import { escapeHtml } from './escape.js';
import { plotSvg } from './plot-svg.js';
import type { SimReport } from './report.js';

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5f6b76; --paper: #ffffff; --grid: #e3e7eb;
  --s0: #0b62c4; --s1: #c2410c; --s2: #15803d; --s3: #7e22ce; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --soft: #9aa5b1; --paper: #14171a; --grid: #2a3037; --s0: #6cb2ff; --s1: #ff9b5e; --s2: #5fd38a; --s3: #cf9bff; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2rem auto; padding: 0 1rem; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.4rem; margin-bottom: 0.2rem; } h2 { font-size: 1.05rem; margin: 2rem 0 0.4rem; }
code { font-size: 0.9em; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem 0.25rem 0; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; color: var(--soft); }
svg { width: 100%; height: auto; } .label { font-size: 12px; fill: var(--soft); }
.grid { stroke: var(--grid); } .mark { stroke: var(--soft); stroke-dasharray: 4 3; } .curve { fill: none; stroke-width: 1.8; }
.s0 { stroke: var(--s0); } .s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); }
.key { display: flex; flex-wrap: wrap; gap: 0 1.2rem; } .key span::before { content: ''; display: inline-block; width: 1.2em; height: 0.2em; margin-right: 0.5em; vertical-align: middle; }
.k0::before { background: var(--s0); } .k1::before { background: var(--s1); } .k2::before { background: var(--s2); } .k3::before { background: var(--s3); }
.bad { color: var(--s1); }
`;

export function reportPage(report: SimReport): string {
  const { scenario, summary, seed, hashes, events, problems, tables, plots, notes, version } = report;
  const [hash, again] = hashes;
  const repeated = hash === again ? 'the same in both runs' : `<strong class="bad">another in the second run: ${again}</strong>`;
  const faults = problems.map((problem) => `<li class="bad">${escapeHtml(problem)}</li>`).join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(`${scenario}, seed ${seed}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(scenario)}</h1>
<p>${escapeHtml(summary)}</p>
<p class="soft">seed ${seed} · trace <code>${hash}</code>, ${repeated} · ${events} events · evenkeel ${escapeHtml(version)}<br>
again: <code>npx evenkeel sim ${escapeHtml(scenario)} --seed ${seed}</code></p>
${faults === '' ? '' : `<ul>${faults}</ul>`}
${tables.map(tableHtml).join('\n')}
${plots.map(plotHtml).join('\n')}
${notes.map((note) => `<p class="soft">${escapeHtml(note)}</p>`).join('\n')}
</body>
</html>
`;
}

function tableHtml({ title, columns, rows }: Table): string {
  const head = columns.map((column) => `<th>${escapeHtml(column)}</th>`).join('');
  const body = rows.map(({ name, values }) => {
    const cells = values.map((value) => `<td>${escapeHtml(value)}</td>`).join('');
    return `<tr><td>${escapeHtml(name)}</td>${cells}</tr>`;
  });
  return `<h2>${escapeHtml(title)}</h2>\n<div class="scroll"><table><tr><th></th>${head}</tr>${body.join('')}</table></div>`;
}

function plotHtml(plot: Plot): string {
  const key = plot.series.map(({ name }, i) => `<span class="k${i % 4}">${escapeHtml(name)}</span>`).join('');
  return `<h2>${escapeHtml(plot.title)}</h2>\n<p class="key">${key}</p>\n${plotSvg(plot)}`;
}
