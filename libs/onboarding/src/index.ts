export * from './deadlines.js';
export { onboardingDocument } from './document.js';
export * from './machine.js';
export * from './onboarding.js';
export * from './states.js';
export { type Activation, activate } from './steps/step-01-activate.js';
export { alreadyNamed, maximumGroups, namingRefusal } from './steps/step-11-name.js';
export { progress } from './steps/replies.js';
export { heldBy, mayComeByNetwork, undoOf } from './undo.js';
