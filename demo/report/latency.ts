/** The two views of latency: how many answers came within a time (all of them), and how slow the slowest are (the tail). */
import type { ContenderResult } from '../result.js';
import type { Html } from './html.js';
import { renderPlot, type Tick } from './plot.js';
import { logScale, type Scale } from './scale.js';

const TENTHS = [0, 0.25, 0.5, 0.75, 1];
/** Shares of answers that are faster, as the axis of the tail shows them. */
const NINES = [0, 0.5, 0.9, 0.99, 0.999, 0.9999];

export function renderDistribution(results: readonly ContenderResult[]): Html {
  const scale = latencyScale(results);
  return renderPlot({
    label: 'Cumulative distribution of latency by contender',
    xLabel: 'latency, logarithmic',
    yLabel: 'share of answers within it',
    xTicks: latencyTicks(scale),
    yTicks: TENTHS.map((at) => ({ at, label: `${at * 100} %` })),
    lines: results.map(({ title, curve }, index) => ({
      title,
      index,
      points: curve.map(({ share, ms }) => ({ x: scale.place(ms), y: share })),
    })),
  });
}

export function renderTail(results: readonly ContenderResult[]): Html {
  const scale = latencyScale(results);
  const last = Math.max(0.9, ...results.map(({ curve }) => curve.at(-1)?.share ?? 0));
  // By nines: p99 lies as far from p90 as p90 from the left edge.
  const place = (share: number) => Math.log10(1 - share) / Math.log10(1 - last);
  return renderPlot({
    label: 'Latency by percentile for each contender',
    xLabel: 'percentile',
    yLabel: 'latency, logarithmic',
    xTicks: NINES.filter((share) => share <= last).map((share) => ({
      at: place(share),
      label: nameOf(share),
      isMinor: share === 0,
    })),
    yTicks: latencyTicks(scale),
    lines: results.map(({ title, curve }, index) => ({
      title,
      index,
      points: curve.map(({ share, ms }) => ({ x: place(share), y: scale.place(ms) })),
    })),
  });
}

function nameOf(share: number): string {
  return share === 0 ? 'min' : `p${Number((share * 100).toFixed(2))}`;
}

function latencyScale(results: readonly ContenderResult[]): Scale {
  const all = results.flatMap(({ curve }) => curve.map(({ ms }) => Math.max(1, ms)));
  return logScale(Math.min(1000, ...all), Math.max(1, ...all));
}

function latencyTicks({ place, ticks }: Scale): Tick[] {
  return ticks.map((ms) => ({
    at: place(ms),
    label: ms < 1000 ? `${ms} ms` : `${ms / 1000} s`,
    isMinor: !Number.isInteger(Math.log10(ms)),
  }));
}
