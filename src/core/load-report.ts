/**
 * What a server tells of its load: field for field an ORCA report (xds.data.orca.v3.OrcaLoadReport), so that Envoy, gRPC and vLLM
 * speak it too. Absent numbers are absent, not 0: "unknown" and "idle" are different answers.
 */

export interface LoadReport {
  /** Share of CPU in use, 0 and up; above 1 when over its allocation. */
  readonly cpuUtilization?: number;
  /** 0 to 1. */
  readonly memUtilization?: number;
  /** The application's own measure of how busy it is, 0 and up; above 1 when overloaded. */
  readonly applicationUtilization?: number;
  /** Requests per second. */
  readonly rps?: number;
  /** Errors per second. */
  readonly eps?: number;
  /** What this request cost, by resource. */
  readonly requestCost?: Readonly<Record<string, number>>;
  /** 0 to 1, by resource. */
  readonly utilization?: Readonly<Record<string, number>>;
  /** Anything else. evenkeel puts outstanding work here, by the key of its counter: `host`, `model:NAME`. */
  readonly namedMetrics?: Readonly<Record<string, number>>;
}

/** A report as its reader holds it. */
export interface RemoteLoad {
  readonly report: LoadReport;
  /** Milliseconds since it arrived, by the reader's monotonic clock. */
  readonly ageMs: number;
}

/** Key of the counter of a server's outstanding work in milliseconds of the whole server, and its name among `namedMetrics`. */
export const OUTSTANDING_MS = 'outstanding-ms';
/** Name among `requestCost` of what a request like this one takes: milliseconds of the whole server for one unit of weight. */
export const UNIT_MS = 'ms';
/** Name among `namedMetrics` of the version of evenkeel that the server runs, as `versionNumber` writes it: on load routes, not in headers. */
export const LIBRARY_VERSION = 'evenkeel-version';
