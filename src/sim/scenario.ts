/** A run with a name, and what is to be said and drawn of it. */

export interface Scenario {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** What can be repeated: two runs of one seed have one hash. */
  run(seed: number): Promise<ScenarioRun>;
  /** What takes many runs more, and is done once. */
  further?(seed: number): Promise<ScenarioPart>;
}

export interface ScenarioPart {
  readonly tables: readonly Table[];
  readonly plots: readonly Plot[];
  /** How a figure was found; what its terms mean. */
  readonly notes: readonly string[];
}

export interface ScenarioRun extends ScenarioPart {
  readonly hash: string;
  readonly events: number;
  /** What should not have happened. */
  readonly problems: readonly string[];
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly { readonly name: string; readonly values: readonly string[] }[];
}

export interface Plot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Logarithmic; all x are above 0. */
  readonly isXLogarithmic?: boolean;
  readonly series: readonly PlotSeries[];
  /** Lines across the plot. */
  readonly marks?: readonly { readonly axis: 'x' | 'y'; readonly at: number; readonly label: string }[];
}

export interface PlotSeries {
  readonly name: string;
  /** In order of x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}
