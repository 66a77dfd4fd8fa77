export { type FleetResult, type FleetRunOptions, fleetCapacity, runFleet } from './fleet/fleet-run.js';
export { createSimulation, type Simulation, type SimulationOptions } from './simulation.js';
