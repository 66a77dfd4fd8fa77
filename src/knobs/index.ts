export type {
  Actuator,
  ActuatorOptions,
  FlipOptions,
  Flipped,
  Plan,
  PlannedKnob,
  Propagation,
} from './actuator.js';
export type { ArmCount } from './arm-meter.js';
export type { KnobChange } from './change.js';
export type { KnobDefinition, KnobOptions, StalePolicy } from './definition.js';
export { createKnobs } from './followed-knobs.js';
export type { HistoryEntry } from './history.js';
export type { Knob } from './knob.js';
export { MAX_KNOBS } from './knob-table.js';
export type { KnobReport, Knobs, KnobsEvents, KnobsOptions, KnobsSnapshot } from './knobs.js';
export type { KnobLevel, Level } from './level.js';
export type { KnobUse, RegisteredKnob } from './report.js';
export type { KnobFlip, KnobSnapshot, LevelFlip, LevelScope } from './snapshot.js';
export { createActuator } from './state-actuator.js';
export type { KnobView, PinOptions } from './view.js';
