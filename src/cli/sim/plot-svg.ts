/** A plot as SVG, in the colours of the page around it. */
import type { Plot } from '../../sim/scenario.js';
import { escapeHtml } from './escape.js';

const WIDTH = 720;
const HEIGHT = 300;
const LEFT = 64;
const RIGHT = 16;
const TOP = 12;
const BOTTOM = 44;
const TICKS = 5;

interface Axis {
  /** Pixels. */
  at(value: number): number;
  readonly ticks: readonly number[];
}

export function plotSvg(plot: Plot): string {
  const points = plot.series.flatMap((one) => [...one.points]);
  if (points.length === 0) return '<p>nothing to draw</p>';
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const marked = (axis: 'x' | 'y') => (plot.marks ?? []).filter((mark) => mark.axis === axis).map(({ at }) => at);
  const from = leastOf([...xs, ...marked('x')]);
  const to = mostOf([...xs, ...marked('x')]);
  const x = plot.isXLogarithmic ? logarithmic(from, to, LEFT, WIDTH - RIGHT) : linear(from, to, LEFT, WIDTH - RIGHT);
  const y = linear(Math.min(0, leastOf(ys)), mostOf([...ys, ...marked('y')]), HEIGHT - BOTTOM, TOP);
  const grid = [
    ...y.ticks.map((value) => line(LEFT, y.at(value), WIDTH - RIGHT, y.at(value), 'grid')),
    ...x.ticks.map((value) => line(x.at(value), TOP, x.at(value), HEIGHT - BOTTOM, 'grid')),
  ];
  const labels = [
    ...y.ticks.map((value) => text(LEFT - 8, y.at(value) + 4, short(value), 'end')),
    ...x.ticks.map((value) => text(x.at(value), HEIGHT - BOTTOM + 18, short(value), 'middle')),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, plot.xLabel, 'middle'),
    `<text class="label" transform="translate(14 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(plot.yLabel)}</text>`,
  ];
  const curves = plot.series.map(({ points: own }, i) => {
    const path = own.map(([px, py], n) => `${n === 0 ? 'M' : 'L'}${x.at(px).toFixed(1)} ${y.at(py).toFixed(1)}`).join('');
    return `<path class="curve s${i % COLOURS}" d="${path}"/>`;
  });
  const marks = (plot.marks ?? []).map(({ axis, at, label }) =>
    axis === 'x'
      ? line(x.at(at), TOP, x.at(at), HEIGHT - BOTTOM, 'mark') + text(x.at(at) - 4, TOP + 12, label, 'end')
      : line(LEFT, y.at(at), WIDTH - RIGHT, y.at(at), 'mark') + text(WIDTH - RIGHT, y.at(at) - 4, label, 'end'),
  );
  const body = [...grid, ...curves, ...marks, ...labels].join('');
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(plot.title)}">${body}</svg>`;
}

/** Curves are told apart by this many colours (report-page.ts). */
export const COLOURS = 4;

function linear(from: number, to: number, start: number, end: number): Axis {
  const step = niceStep((to - from || 1) / TICKS);
  const low = Math.floor(from / step) * step;
  const high = Math.max(low + step, Math.ceil(to / step - 1e-9) * step);
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
  return { at: (value) => start + ((value - low) / (high - low)) * (end - start), ticks };
}

function logarithmic(from: number, to: number, start: number, end: number): Axis {
  const low = Math.log10(from);
  const high = Math.max(low + 0.1, Math.log10(to));
  const ticks: number[] = [];
  for (let decade = Math.floor(low); decade <= high; decade++) {
    for (const digit of [1, 2, 5]) {
      const tick = digit * 10 ** decade;
      if (Math.log10(tick) >= low && Math.log10(tick) <= high) ticks.push(tick);
    }
  }
  return { at: (value) => start + ((Math.log10(value) - low) / (high - low)) * (end - start), ticks };
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const digit = least / power;
  return (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10) * power;
}

/** Not by spreading into Math.min: a plot may have more points than a call takes arguments. */
function leastOf(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
}

function mostOf(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
}

function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return `<line class="${kind}" x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}"/>`;
}

function text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text class="label" x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escapeHtml(words)}</text>`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}
