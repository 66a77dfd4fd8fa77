/**
 * Lines on axes that are readable at any width: the drawing stretches to its box while lines keep their thickness, and the words
 * around it are HTML, which does not stretch.
 */
import { type Html, html } from './html.js';

export interface Point {
  /** 0 (left, bottom) to 1. */
  readonly x: number;
  readonly y: number;
}

export interface Line {
  readonly title: string;
  /** Picks the colour. */
  readonly index: number;
  readonly points: readonly Point[];
}

export interface Tick {
  readonly at: number;
  readonly label: string;
  /** Left out where there is little room. */
  readonly isMinor?: boolean;
}

export interface Plot {
  readonly label: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
  readonly lines: readonly Line[];
}

/** The drawing's own units. */
const SIZE = 1000;

export function renderPlot({ label, xLabel, yLabel, xTicks, yTicks, lines }: Plot): Html {
  return html`<figure class="plot" role="img" aria-label="${label}">
<div class="y-label">${yLabel}</div>
<div class="box">
<svg viewBox="0 0 ${SIZE} ${SIZE}" preserveAspectRatio="none" aria-hidden="true">
${xTicks.map(({ at }) => gridLine(at, 0, at, 1))}${yTicks.map(({ at }) => gridLine(0, at, 1, at))}
${lines.map(({ title, index, points }) => html`<path class="line c${index}" d="${pathOf(points)}"><title>${title}</title></path>`)}
</svg>
${xTicks.map(({ at, label: text, isMinor }) => html`<span class="x-tick${isMinor ? ' minor' : ''}" style="left:${percent(at)}">${text}</span>`)}
${yTicks.map(({ at, label: text }) => html`<span class="y-tick" style="bottom:${percent(at)}">${text}</span>`)}
</div>
<div class="x-label">${xLabel}</div>
</figure>`;
}

export interface Mark {
  readonly at: number;
  readonly label: string;
}

export interface Spark {
  readonly title: string;
  readonly note: string;
  readonly index: number;
  /** Each piece is a line of its own: between two there was nothing to measure. */
  readonly pieces: readonly (readonly Point[])[];
  readonly marks: readonly Mark[];
  /** What the upper edge stands for. */
  readonly most: string;
  /** Where a line goes across. */
  readonly level: number;
}

/** A small filled chart with a word above it. */
export function renderSpark({ title, note, index, pieces, marks, most, level }: Spark): Html {
  return html`<div class="spark">
<div class="spark-head"><span>${title}</span><span class="muted">${note}</span></div>
<div class="spark-box">
<svg viewBox="0 0 ${SIZE} ${SIZE}" preserveAspectRatio="none" role="img" aria-label="${title}: requests in flight over time">
${gridLine(0, level, 1, level)}
${pieces.map((points) => html`<path class="area f${index}" d="${areaOf(points)}"/><path class="line thin c${index}" d="${pathOf(points)}"/>`)}
${marks.map(({ at, label }) => html`<path class="mark" d="M${units(at)} 0V${SIZE}"><title>${label}</title></path>`)}
</svg>
<span class="spark-most">${most}</span>
${marks.map(({ at, label }, row) => html`<span class="mark-label row${row}" style="left:${percent(at)}">${label}</span>`)}
</div></div>`;
}

function gridLine(x1: number, y1: number, x2: number, y2: number): Html {
  return html`<path class="grid" d="M${units(x1)} ${units(1 - y1)}L${units(x2)} ${units(1 - y2)}"/>`;
}

function pathOf(points: readonly Point[]): string {
  return points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${units(x)} ${units(1 - y)}`).join('');
}

function areaOf(points: readonly Point[]): string {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return '';
  return `${pathOf(points)}L${units(last.x)} ${SIZE}L${units(first.x)} ${SIZE}Z`;
}

const units = (share: number): string => (share * SIZE).toFixed(1).replace(/\.0$/, '');
const percent = (share: number): string => `${(share * 100).toFixed(2)}%`;
