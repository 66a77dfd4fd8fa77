/**
 * Something that can be turned off while the process runs. Modules ask it where an optional algorithm begins; whoever switches (a knob, a
 * test, an operator's command) owns the object. Reading it costs one field.
 */
export interface FeatureSwitch {
  readonly isOn: boolean;
}
