import * as certificateAuthority from './certificate-authority.js';
import type { Contract } from './contract.js';
import * as discovery from './discovery.js';
import * as federation from './federation.js';
import * as moving from './moving.js';
import * as provisioning from './provisioning.js';
import * as topicGenerator from './topic-generator.js';

export * from './contract.js';
export { certificateAuthority, discovery, federation, moving, provisioning, topicGenerator };
export type { InvitationFile } from './federation.js';
export type { HomeCertificate, HomeController, HomeDevice, HomeOnboarding, MoveView } from './moving.js';
export type { FactoryRecord } from './provisioning.js';

/** Every contract on the bus, from which the bus's access is derived. */
export const contracts: readonly Contract[] = [
  certificateAuthority,
  discovery,
  federation,
  moving,
  provisioning,
  topicGenerator,
].flatMap((module) => Object.values(module).filter(isContract));

function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'pattern' in value && 'callers' in value;
}
