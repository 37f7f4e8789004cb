export { ComposeProject, hasCompose, type InspectedContainer } from './compose.js';
export { injectedImages, type SystemImages } from './images.js';
export * from './infrastructure.js';
export { createNetwork, createVolume, type TestNetwork, type TestVolume } from './networks.js';
export {
  type ContainerOptions,
  type ExecOutcome,
  type Mount,
  type PublishedPort,
  RunningContainer,
  startContainer,
} from './running-container.js';
