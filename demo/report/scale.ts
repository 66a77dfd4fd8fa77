/** From a value to a place on an axis, 0 to 1, and round numbers to mark there. */

export interface Scale {
  place(value: number): number;
  readonly ticks: readonly number[];
}

const STEPS_PER_DECADE = [1, 2, 5];

/** Logarithmic, widened to round numbers. */
export function logScale(least: number, most: number): Scale {
  const low = roundNumbers(least, least).at(-1) ?? 1;
  const high = Math.max(roundNumbers(most, most * 10)[0] ?? 1, low * 10);
  const span = Math.log(high / low);
  return {
    place: (value) => clamp(Math.log(value / low) / span),
    ticks: roundNumbers(low, high).filter((tick) => tick >= low && tick <= high),
  };
}

/** From 0 up to a round number, by square roots: a queue of a hundred leaves room to see three requests at work. */
export function rootScale(most: number): Scale {
  const high = roundNumbers(most, most * 10)[0] ?? 1;
  return { place: (value) => clamp(Math.sqrt(value / high)), ticks: [0, high] };
}

/** 1, 2, 5, 10, … around `from` to `to`: the last at or below `from`, or the first at or above it, and on. */
function roundNumbers(from: number, to: number): number[] {
  const numbers: number[] = [];
  for (let decade = Math.floor(Math.log10(from)) - 1; decade <= Math.ceil(Math.log10(to)) + 1; decade++) {
    for (const step of STEPS_PER_DECADE) numbers.push(Number((step * 10 ** decade).toPrecision(3)));
  }
  return from === to ? numbers.filter((number) => number <= from) : numbers.filter((number) => number >= from && number <= to);
}

const clamp = (share: number): number => Math.min(1, Math.max(0, share));
