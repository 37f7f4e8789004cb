import { moving } from '@mqtt2go/messaging';
import type { BrokerAddress } from '@mqtt2go/moving';
import { homeStandingNames, identifier, moveStepNames } from '@mqtt2go/protocol';
import { z } from 'zod';
import { linkContract } from '../link/contract.js';

/** What a home consists of, in the order in which it is taken in. */
export const parts = {
  structure: moving.homeStructure,
  devices: moving.homeDevice,
  controllers: moving.homeController,
  onboardings: moving.homeOnboarding,
  'factory-records': moving.addFactoryRecords.input.shape.records.element,
  certificates: moving.homeCertificate,
} as const;
export type Part = keyof typeof parts;
export const partNames = [
  'structure',
  'devices',
  'controllers',
  'onboardings',
  'factory-records',
  'certificates',
] as const;

const move = z.object({ homeId: identifier, moveId: z.uuid() });
const key = z.string().max(129);
const part = z.enum(partNames);
/** Checked by the part's own schema before anything is made of them. */
const records = z.array(z.unknown()).max(2_000);
const message = z.object({
  topic: z.string().min(1).max(512),
  /** base64 */
  payload: z.base64().max(400_000),
});

/** What one platform does for a move, told to it over the gateways' door or done in its own house. */
export const sideContracts = {
  standing: linkContract({
    verb: 'home-standing',
    input: z.object({ homeId: identifier }),
    output: z.object({
      standing: z.enum(homeStandingNames).optional(),
      moveId: z.uuid().optional(),
      devices: z.int(),
      controllers: z.int(),
      /** Whether the home's broker here takes, or would take, certificates that the home's gateway has issued. */
      trustsGateways: z.boolean(),
    }),
  }),
  /** How many of the home's devices have a certificate of its gateway. */
  gatewayDevices: linkContract({
    verb: 'count-gateway-devices',
    input: z.object({ homeId: identifier }),
    output: moving.countGatewayDevices.output,
  }),
  /** Takes a step with everything that the platform has of the home. */
  step: linkContract({
    verb: 'home-step',
    input: move.extend({ step: z.enum(moveStepNames), to: moving.brokerAddress.optional() }),
    output: z.object({ standing: z.enum(homeStandingNames).optional() }),
  }),
  exportPage: linkContract({
    verb: 'export-home-page',
    input: move.extend({ part, after: key }),
    output: z.object({ records, upTo: key.optional() }),
  }),
  importPage: linkContract({
    verb: 'import-home-page',
    input: move.extend({ part, after: key, upTo: key.optional(), records }),
    output: z.object({}),
  }),
  /** Where the home's devices find it on this platform. */
  address: linkContract({
    verb: 'home-address',
    input: z.object({ homeId: identifier }),
    output: moving.brokerAddress,
  }),
  awaited: linkContract({
    verb: 'awaited-devices',
    input: z.object({ homeId: identifier, after: key }),
    output: moving.listAwaitedDevices.output,
  }),
  /** Tells devices, or with none of them the controllers, where the home is now. */
  redirect: linkContract({
    verb: 'redirect-devices',
    input: move.extend({ deviceIds: z.array(identifier).max(100) }),
    output: z.object({ told: z.int() }),
  }),
  relocate: linkContract({
    verb: 'relocate-devices',
    input: moving.relocateDevices.input,
    output: z.object({}),
  }),
  forgetRelocations: linkContract({
    verb: 'forget-relocations',
    input: moving.forgetRelocations.input,
    output: z.object({}),
  }),
  /** Forgets the messages up to and with `taken`, and gives those after it that were said here since the home has left. */
  takeRelayed: linkContract({
    verb: 'take-relayed',
    input: move.extend({ taken: z.int().min(0) }),
    output: z.object({ messages: z.array(message.extend({ number: z.int() })).max(200) }),
  }),
  /** Says them here. */
  deliver: linkContract({
    verb: 'deliver-messages',
    input: move.extend({ messages: z.array(message).max(200) }),
    output: z.object({}),
  }),
} as const;

export type SideVerb = keyof typeof sideContracts;
type Contracts = typeof sideContracts;
type SideCall<V extends SideVerb> = (
  input: z.input<Contracts[V]['input']>,
) => Promise<z.output<Contracts[V]['output']>>;

/** One platform, seen from the mover. Every call can be repeated. */
export type Side = { readonly [V in SideVerb]: SideCall<V> };

export type { BrokerAddress };
