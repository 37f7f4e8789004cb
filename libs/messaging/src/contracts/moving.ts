import {
  deviceType,
  displayName,
  homeStandingNames,
  identifier,
  keyMode,
  moveStateNames,
  moveStepNames,
} from '@mqtt2go/protocol';
import { z } from 'zod';
import { revocationReason, serialNumber } from './certificate-authority.js';
import { contract } from './contract.js';
import { factoryRecord } from './provisioning.js';

/*
 * What a home consists of, service by service, and how it is taken from one platform to another. A home travels in pages,
 * each of which has all records of a range of keys: what is taken in makes the range equal to the page, so that a page that
 * comes twice, or after an earlier attempt, leaves nothing of the one before.
 */

const callers = ['federation'] as const;
/** Keys of records are ids or user names; the empty one comes before all of them. */
const key = z.string().max(129);
const base64 = z.base64().max(16_384);
const time = z.iso.datetime({ precision: 3 });

export const brokerAddress = z.object({
  /** IP address or host name, no scheme. */
  host: z.string().min(1).max(253),
  port: z.int().min(1).max(65_535),
});

/** One home in one move. */
const move = z.object({ homeId: identifier, moveId: z.uuid() });
const step = move.extend({ step: z.enum(moveStepNames), /** For `drain`. */ to: brokerAddress.optional() });
const standing = z.object({ standing: z.enum(homeStandingNames).optional() });

/**
 * How a home stands with the topic generator; without `standing` it is unknown. Counts are of what belongs to it.
 */
export const getHomeStanding = contract({
  service: 'topic-generator',
  verb: 'get-home-standing',
  callers: [...callers, 'operator'],
  input: z.object({ homeId: identifier }),
  output: standing.extend({
    moveId: z.uuid().optional(),
    movedTo: brokerAddress.optional(),
    /** The name of the home broker that it is placed on. */
    broker: z.string().optional(),
    /** Whether devices with certificates of a gateway's CA can come to that broker; of a home without one, to any. */
    trustsGateways: z.boolean(),
    gateways: z.array(identifier),
    devices: z.int(),
    controllers: z.int(),
  }),
});

/**
 * Takes a step of a move with the home and its broker (see `homeStandings` of libs/moving); in force when answered. `receive`
 * makes and places the home. Errors: unknown_home, home_is_moving, home_has_moved, conflict; unavailable without the broker.
 */
export const moveHomeAccess = contract({
  service: 'topic-generator',
  verb: 'move-home-access',
  callers,
  input: step,
  output: standing,
});

/** The same with the onboardings. `freeze`: another_device_is_being_added while a device is on its way to the home's broker. */
export const moveHomeOnboardings = contract({
  service: 'provisioning',
  verb: 'move-home-onboardings',
  callers,
  input: step,
  output: standing,
});

export const homeStructure = z.object({
  gatewayIds: z.array(identifier).max(256),
  groupIds: z.array(identifier).max(4_096),
});

export const homeDevice = z.object({
  deviceId: identifier,
  gatewayId: identifier,
  deviceType,
  /** By which it was let in, as long as it has no name by it. */
  pendingOnboardingId: z.uuid().nullable().default(null),
  namedOnboardingId: z.uuid().nullable(),
  groupIds: z.array(identifier).max(64),
  certificates: z
    .array(
      z.object({
        serialNumber,
        onboardingId: z.uuid().nullable(),
        gatewayId: identifier.nullable(),
        deviceType: deviceType.nullable(),
        admittedAt: time.nullable(),
        droppedAt: time.nullable(),
      }),
    )
    .max(256),
});
export type HomeDevice = z.infer<typeof homeDevice>;

/** Nowhere written down or logged: `password` is in clear. */
export const homeController = z.object({
  username: z.string().max(129),
  gatewayId: identifier,
  role: z.enum(['administrator', 'family_member', 'guest']),
  iterations: z.int().min(1).max(10_000_000),
  salt: z.base64().max(1_024),
  hash: z.base64().max(1_024),
  /** For brokers that take no hashes. */
  password: z.string().max(256).optional(),
});
export type HomeController = z.infer<typeof homeController>;

const pageInput = move.extend({ after: key });
/** `upTo`: the last key of the range; none in the last page. */
const range = z.object({ after: key, upTo: key.optional() });

/** What a home has besides devices and controllers. */
export const exportHomeStructure = contract({
  service: 'topic-generator',
  verb: 'export-home-structure',
  callers,
  input: move,
  output: homeStructure,
});
export const importHomeStructure = contract({
  service: 'topic-generator',
  verb: 'import-home-structure',
  callers,
  input: move.extend({ structure: homeStructure }),
  output: z.object({}),
});

/** Devices that have a name, in the order of their ids. Errors as of the steps. */
export const exportHomeDevices = contract({
  service: 'topic-generator',
  verb: 'export-home-devices',
  callers,
  input: pageInput,
  output: range.extend({ records: z.array(homeDevice).max(100) }),
});
/** Errors: device_already_active for a device that is in another home here. */
export const importHomeDevices = contract({
  service: 'topic-generator',
  verb: 'import-home-devices',
  callers,
  input: move.extend(range.shape).extend({ records: z.array(homeDevice).max(100) }),
  output: z.object({}),
});

export const exportHomeControllers = contract({
  service: 'topic-generator',
  verb: 'export-home-controllers',
  callers,
  input: pageInput,
  output: range.extend({ records: z.array(homeController).max(100) }),
});
export const importHomeControllers = contract({
  service: 'topic-generator',
  verb: 'import-home-controllers',
  callers,
  input: move.extend(range.shape).extend({ records: z.array(homeController).max(100) }),
  output: z.object({}),
});

const path = z.object({ revision: z.string().max(16), topic: z.string().max(256) });

/** The onboarding of a device that has come to its home's broker, with a name or without one yet. */
export const homeOnboarding = z.object({
  state: z.enum(['awaiting-name', 'active']),
  onboardingId: z.uuid(),
  deviceId: identifier,
  gatewayId: identifier,
  deviceType,
  keyMode,
  requestDigest: z.string().max(64),
  requestedAt: time,
  deadline: time,
  version: z.int(),
  certified: z.boolean(),
  announcedAgain: z.boolean(),
  controller: path,
  device: path.nullable(),
  deviceName: displayName.nullable(),
  groupIds: z.array(identifier).max(64),
  topics: z.array(z.string().max(512)).max(64),
});
export type HomeOnboarding = z.infer<typeof homeOnboarding>;

/** By device id. */
export const exportHomeOnboardings = contract({
  service: 'provisioning',
  verb: 'export-home-onboardings',
  callers,
  input: pageInput,
  output: range.extend({ records: z.array(homeOnboarding).max(100) }),
});
/** `broker`: the name of the home broker that the home is placed on now. */
export const importHomeOnboardings = contract({
  service: 'provisioning',
  verb: 'import-home-onboardings',
  callers,
  input: move.extend(range.shape).extend({
    broker: z.string().max(64),
    records: z.array(homeOnboarding).max(100),
  }),
  output: z.object({}),
});

/** Factory records of the home's devices whose activation code can be told. The codes are in clear. */
export const exportFactoryRecords = contract({
  service: 'provisioning',
  verb: 'export-factory-records',
  callers,
  input: pageInput,
  output: range.extend({ records: z.array(factoryRecord).max(100) }),
});
/** Adds the records that are not there; what a manufacturer has told this side stays. */
export const addFactoryRecords = contract({
  service: 'provisioning',
  verb: 'add-factory-records',
  callers,
  input: move.extend({ records: z.array(factoryRecord).max(100) }),
  output: z.object({}),
});

/** Where devices find the home broker of this name, as the outside sees it; of the first one by default. */
export const getBrokerAddress = contract({
  service: 'provisioning',
  verb: 'get-broker-address',
  callers,
  input: z.object({ broker: z.string().max(64).optional() }),
  output: brokerAddress,
});

/** Devices of a home that has been received which have not come here yet, by id. */
export const listAwaitedDevices = contract({
  service: 'provisioning',
  verb: 'list-awaited-devices',
  callers,
  input: z.object({ homeId: identifier, after: key }),
  output: z.object({ deviceIds: z.array(identifier).max(500), upTo: key.optional(), total: z.int() }),
});

/** Tells devices, on the broker that they have left or are to leave, where their home is now. Errors: conflict. */
export const redirectDevices = contract({
  service: 'provisioning',
  verb: 'redirect-devices',
  callers,
  input: move.extend({ deviceIds: z.array(identifier).max(100) }),
  output: z.object({ told: z.int() }),
});

export const homeCertificate = z.object({
  serialNumber,
  deviceId: identifier,
  /** DER. */
  certificate: base64,
  /** PEM: the CAs above the certificate, without the root. */
  issuerChain: z.string().max(32_768),
  /** That it was issued for, as long as that may come to nothing: then it is revoked. */
  openOnboarding: z.object({ id: z.uuid(), keyMode }).nullable().default(null),
  renewedFrom: serialNumber.nullable(),
  revokedAt: time.nullable(),
  revocationReason: revocationReason.nullable(),
});
export type HomeCertificate = z.infer<typeof homeCertificate>;

/** All certificates of devices, with who issued them. */
export const exportCertificates = contract({
  service: 'certificate-authority',
  verb: 'export-certificates',
  callers,
  input: z.object({ deviceIds: z.array(identifier).max(25) }),
  output: z.object({ records: z.array(homeCertificate).max(2_000) }),
});
/**
 * Takes in certificates that another CA under the same root has issued; known ones become revoked where they are so there.
 * Errors: certificate_not_accepted for one that does not chain to this root, or whose CA is confined to another home; csr_key_mismatch for another device's key.
 */
export const importCertificates = contract({
  service: 'certificate-authority',
  verb: 'import-certificates',
  callers,
  input: z.object({ homeId: identifier, records: z.array(homeCertificate).max(500) }),
  output: z.object({}),
});

/** How many devices have a certificate that is not revoked from the CA of a gateway of the home. */
export const countGatewayDevices = contract({
  service: 'certificate-authority',
  verb: 'count-gateway-devices',
  callers,
  input: z.object({ homeId: identifier }),
  output: z.object({ devices: z.int() }),
});

/**
 * Lets devices that come to the Discovery server be told where their home is now, until `expiresAt`; replaces what was said
 * of them before.
 */
export const relocateDevices = contract({
  service: 'discovery',
  verb: 'relocate-devices',
  callers,
  input: z.object({
    homeId: identifier,
    broker: brokerAddress,
    expiresAt: time,
    devices: z
      .array(
        z.object({
          deviceId: identifier,
          activationCode: identifier,
          /** PEM: the certificate that it has and its chain; no key. */
          deviceCertificate: z.string().max(65_536),
        }),
      )
      .max(50),
  }),
  output: z.object({}),
});
/** Forgets devices that have come to their home's broker. */
export const forgetRelocations = contract({
  service: 'discovery',
  verb: 'forget-relocations',
  callers,
  input: z.object({ homeId: identifier, deviceIds: z.array(identifier).max(500) }),
  output: z.object({}),
});

export const moveDirection = z.enum(['remote', 'local']);

/** How a move goes; what `mqtt2go home status` shows. */
export const moveView = z.object({
  moveId: z.uuid(),
  homeId: identifier,
  to: moveDirection,
  state: z.enum(moveStateNames),
  /** The code of the error that has ended the move, or that keeps it waiting now. */
  reason: z.string().optional(),
  detail: z.string().max(1_000).optional(),
  devices: z.int(),
  /** Records that are on the other side. */
  copied: z.int(),
  /** Devices that have not come to the new broker yet. */
  awaited: z.int(),
  broker: brokerAddress.optional(),
  requestedAt: time,
  deadline: time,
  changedAt: time,
});
export type MoveView = z.infer<typeof moveView>;

/**
 * Begins to move the home of this gateway, or answers the move that is under way in the same direction. Errors:
 * not_enrolled, unknown_home for another home than the gateway's, home_is_moving in the other direction, conflict when
 * the home is there already.
 */
export const moveHome = contract({
  service: 'federation',
  verb: 'move-home',
  callers: ['operator'],
  input: z.object({ homeId: identifier.optional(), to: moveDirection }),
  output: moveView,
});

/** The newest move of this gateway's home, and where the home is. Errors: not_enrolled, unknown_home. */
export const getHomeMove = contract({
  service: 'federation',
  verb: 'get-home-move',
  callers: ['operator'],
  input: z.object({ homeId: identifier.optional() }),
  output: z.object({
    homeId: identifier,
    /** How the home stands with this gateway. */
    standing: z.enum(homeStandingNames).optional(),
    devices: z.int(),
    move: moveView.optional(),
  }),
});
