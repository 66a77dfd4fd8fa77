/** Figures as text, the same in the table and in the report. */

export function formatMs(ms: number | null): string {
  if (ms === null) return '–';
  return ms >= 9999.5 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
}

export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** With two digits that count: 1.3, 12, 140. */
export function formatRatio(ratio: number): string {
  return ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1);
}
