/** Scenarios by name: `npx evenkeel sim NAME`. */
import { chaosScenario } from './chaos/chaos-scenario.js';
import { fleetOverloadScenario } from './fleet/fleet-overload-scenario.js';
import { fleetScenario } from './fleet/fleet-scenario.js';
import { overloadScenarios } from './overload/overload-scenarios.js';
import { rpcScenario } from './rpc-scenario.js';
import type { Scenario } from './scenario.js';

export const SCENARIOS: readonly Scenario[] = [
  fleetScenario('fleet', 20),
  fleetScenario('fleet-many-clients', 300),
  fleetOverloadScenario,
  rpcScenario,
  chaosScenario,
  ...overloadScenarios,
];
