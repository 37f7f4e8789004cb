import type {
  ActivationPrincipal,
  ControllerPrincipal,
  DevicePrincipal,
  PasswordHash,
  Principal,
  PrincipalKey,
} from '@mqtt2go/access';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BrokerAdmin } from './broker-admin.js';

/** A session at the broker under test. */
export interface ContractSession {
  /** Whether a subscription to the filter is granted; false once the session is closed. */
  maySubscribe(filter: string): Promise<boolean>;
  /** Resolves when the broker has ended the session. */
  readonly closed: Promise<void>;
}

export interface ContractConnection {
  readonly key: PrincipalKey;
  /** A device comes with a certificate that has this serial number, one of {@link contractSerials}. */
  readonly certificateSerial?: string;
  /** A controller comes with one of {@link contractPasswords}. */
  readonly password?: string;
}

/** What a broker is not able to do. Its adapter makes up for it as far as that goes. */
export interface BrokerAdminTraits {
  /** False for a broker that knows a certificate by its name alone: all of a device's certificates are one to it. */
  readonly knowsCertificates?: boolean;
  /** False for a broker that lets in whomever TLS trusts, and nowhere then. Wrong passwords are turned away in any case. */
  readonly turnsAway?: boolean;
  /** False for a broker that ends a session whose rights have changed; its client comes back and has the new ones. */
  readonly keepsChangedSessions?: boolean;
}

/** One broker under test, with an empty copy at first. */
export interface BrokerAdminHarness {
  readonly admin: BrokerAdmin;
  /** Undefined when the broker turns it away. */
  connect(connection: ContractConnection): Promise<ContractSession | undefined>;
  /** Loses the copy and all sessions, as in a restart. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Serial numbers that a harness has certificates of, for the device ids {@link contractDeviceIds}. */
export const contractSerials = ['0A01', '0A02'] as const;
export const contractDeviceIds = ['plug-1', 'plug-2'] as const;

/** Passwords with their hashes. */
export const contractPasswords = {
  'first-password': '1wWAZdKMIzUodPDEEX9obR9onJTOq4ekrXJKjk0qA91k7ZvI2ftxc3Wpv3DshPoCfFwsYKcW+v62O1FdWKgcpQ==',
  'second-password': 'yrV38j1A0PkQmu5zvNFTV6TfnfgRVN3ih1HOC5NTAvaJIs1o4a3dlKUd/bht/ltSSq0VpCqhRmuSOqNT7Foozw==',
} as const;

const [plug, otherPlug] = contractDeviceIds;
const [serial, newSerial] = contractSerials;

export function contractDevice(change: Partial<DevicePrincipal> = {}): DevicePrincipal {
  return {
    kind: 'device',
    id: plug,
    homeId: 'home-1',
    gatewayId: 'gw-1',
    deviceType: 'socket',
    certificateSerials: [serial],
    ...change,
  };
}

export function contractController(
  change: Partial<ControllerPrincipal> = {},
  password: keyof typeof contractPasswords = 'first-password',
): ControllerPrincipal {
  const hash: PasswordHash = {
    algorithm: 'pbkdf2-sha512',
    iterations: 1000,
    salt: 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==',
    hash: contractPasswords[password],
  };
  return {
    kind: 'controller',
    id: 'phone-1@home-1',
    homeId: 'home-1',
    gatewayId: 'gw-1',
    role: 'administrator',
    password: hash,
    secret: password,
    ...change,
  };
}

const deviceKey: PrincipalKey = { kind: 'device', id: plug };
const controllerKey: PrincipalKey = { kind: 'controller', id: 'phone-1@home-1' };

/** What every adapter of {@link BrokerAdmin} does, tried on a home broker. */
export function brokerAdminContract(
  name: string,
  start: () => Promise<BrokerAdminHarness>,
  { knowsCertificates = true, turnsAway = true, keepsChangedSessions = true }: BrokerAdminTraits = {},
): void {
  describe(`${name} as a BrokerAdmin`, () => {
    let harness: BrokerAdminHarness;
    let admin: BrokerAdmin;

    beforeEach(async () => {
      harness = await start();
      admin = harness.admin;
    });
    afterEach(() => harness.close());

    const connectDevice = (certificateSerial: string = serial, id: string = plug) =>
      harness.connect({ key: { kind: 'device', id }, certificateSerial });
    const admitted = async (session: Promise<ContractSession | undefined>): Promise<ContractSession> => {
      const there = await session;
      if (there === undefined) throw new Error('The broker has turned the client away.');
      return there;
    };
    const expectNothing = async (attempt: Promise<ContractSession | undefined>, id: string = plug): Promise<void> => {
      const session = await attempt;
      if (turnsAway) expect(session).toBeUndefined();
      const own = [`${id}/topics`, `home-1/gw-1/kitchen/socket/${id}`, 'home-1/#', '#'];
      for (const filter of own) expect(await session?.maySubscribe(filter)).not.toBe(true);
    };
    /** The session after a change of its rights, or the one after it. */
    const afterChange = async (
      session: ContractSession,
      again: () => Promise<ContractSession | undefined>,
    ): Promise<ContractSession> => {
      if (keepsChangedSessions) return session;
      await session.closed;
      return admitted(again());
    };

    it('turns away whom it was not told of', async () => {
      await expectNothing(connectDevice());
    });

    it('lets a device in when put has resolved, to its own topics and nothing else', async () => {
      await admin.put([contractDevice()]);
      const session = await admitted(connectDevice());
      expect(await session.maySubscribe('plug-1/topics')).toBe(true);
      expect(await session.maySubscribe('home-1/gw-1/kitchen/socket/plug-1')).toBe(true);
      expect(await session.maySubscribe('plug-2/topics')).toBe(false);
      expect(await session.maySubscribe('home-1/gw-1/kitchen/socket/plug-2')).toBe(false);
      expect(await session.maySubscribe('#')).toBe(false);
    });

    it('acts by changed rights at once', async () => {
      await admin.put([contractDevice()]);
      const before = await admitted(connectDevice());
      await admin.put([contractDevice({ deviceType: 'light' })]);
      const session = await afterChange(before, connectDevice);
      expect(await session.maySubscribe('home-1/gw-1/kitchen/light/plug-1')).toBe(true);
      expect(await session.maySubscribe('home-1/gw-1/kitchen/socket/plug-1')).toBe(false);
    });

    it('takes a device from a home to another', async () => {
      await admin.put([contractDevice()]);
      const before = await admitted(connectDevice());
      await admin.put([contractDevice({ homeId: 'home-2', gatewayId: 'gw-2' })]);
      const session = await afterChange(before, connectDevice);
      expect(await session.maySubscribe('home-1/gw-1/kitchen/socket/plug-1')).toBe(false);
      expect(await session.maySubscribe('home-2/gw-2/kitchen/socket/plug-1')).toBe(true);
      expect(await session.maySubscribe('plug-1/topics')).toBe(true);
    });

    it.runIf(knowsCertificates)('turns a certificate away that is not among the current ones', async () => {
      await admin.put([contractDevice()]);
      await expectNothing(connectDevice(newSerial));
    });

    it('closes the session of a certificate that is no longer current', async () => {
      await admin.put([contractDevice()]);
      const session = await admitted(connectDevice());
      await admin.put([contractDevice({ certificateSerials: [newSerial] })]);
      await session.closed;
      if (knowsCertificates) await expectNothing(connectDevice());
      await admitted(connectDevice(newSerial));
    });

    it('leaves a session alone when a second certificate is added', async () => {
      await admin.put([contractDevice()]);
      const session = await admitted(connectDevice());
      await admin.put([contractDevice({ certificateSerials: [serial, newSerial] })]);
      expect(await session.maySubscribe('plug-1/topics')).toBe(true);
    });

    it('closes the sessions of a password that was replaced', async () => {
      await admin.put([contractController()]);
      const session = await admitted(harness.connect({ key: controllerKey, password: 'first-password' }));
      await admin.put([contractController({}, 'second-password')]);
      await session.closed;
      await admitted(harness.connect({ key: controllerKey, password: 'second-password' }));
    });

    it('turns a wrong password away, and a name that it does not know', async () => {
      expect(await harness.connect({ key: controllerKey, password: 'first-password' })).toBeUndefined();
      await admin.put([contractController()]);
      expect(await harness.connect({ key: controllerKey, password: 'second-password' })).toBeUndefined();
      await admin.remove([controllerKey]);
      expect(await harness.connect({ key: controllerKey, password: 'first-password' })).toBeUndefined();
    });

    it('changes the role of a controller at once', async () => {
      const connect = () => harness.connect({ key: controllerKey, password: 'first-password' });
      await admin.put([contractController()]);
      const before = await admitted(connect());
      expect(await before.maySubscribe('home-1/gw-1/add_device')).toBe(true);
      await admin.put([contractController({ role: 'guest' })]);
      const session = await afterChange(before, connect);
      expect(await session.maySubscribe('home-1/gw-1/add_device')).toBe(false);
      expect(await session.maySubscribe('home-1/gw-1/kitchen/light/lamp-1')).toBe(true);
      expect(await session.maySubscribe('home-1/gw-1/kitchen/camera/cam-1')).toBe(false);
    });

    it('does not take a device for a controller whose name begins alike, nor the other way round', async () => {
      await admin.put([contractDevice(), contractController({ id: `${plug}@home-1` })]);
      const device = await admitted(connectDevice());
      const controller = await admitted(
        harness.connect({ key: { kind: 'controller', id: `${plug}@home-1` }, password: 'first-password' }),
      );
      expect(await device.maySubscribe('home-1/gw-1/add_device')).toBe(false);
      expect(await controller.maySubscribe('plug-1/topics')).toBe(false);
      await admin.remove([{ kind: 'controller', id: `${plug}@home-1` }]);
      await controller.closed;
      expect(await device.maySubscribe('plug-1/topics')).toBe(true);
    });

    it('closes the live session of whom it removes, and turns the next one away', async () => {
      await admin.put([contractDevice()]);
      const session = await admitted(connectDevice());
      await admin.remove([deviceKey]);
      await session.closed;
      await expectNothing(connectDevice());
    });

    it('takes it when somebody unknown is removed, and when nothing is put', async () => {
      await admin.remove([deviceKey, controllerKey]);
      await admin.put([]);
      await admin.remove([]);
    });

    it('does the same thing once when it is told twice', async () => {
      await admin.put([contractDevice()]);
      const session = await admitted(connectDevice());
      await admin.put([contractDevice()]);
      expect(await session.maySubscribe('plug-1/topics')).toBe(true);
      await admin.remove([deviceKey]);
      await admin.remove([deviceKey]);
    });

    it('keeps to the order of what it is told at once', async () => {
      const changes: Promise<void>[] = [];
      for (let i = 0; i < 20; i += 1) {
        changes.push(admin.put([contractDevice({ deviceType: `type_${i}` })]));
        changes.push(admin.remove([deviceKey]));
      }
      changes.push(admin.put([contractDevice({ deviceType: 'last' })]));
      await Promise.all(changes);
      const session = await admitted(connectDevice());
      expect(await session.maySubscribe('home-1/gw-1/kitchen/last/plug-1')).toBe(true);
    });

    it('replaces everything: who stays keeps the session, who is not in it goes', async () => {
      const other = contractDevice({ id: otherPlug, certificateSerials: [newSerial] });
      await admin.put([contractDevice(), other]);
      const stays = await admitted(connectDevice());
      const goes = await admitted(connectDevice(newSerial, otherPlug));
      await admin.replaceAll(manyActivations(1_000, [contractDevice()]));
      await goes.closed;
      expect(await stays.maySubscribe('plug-1/topics')).toBe(true);
      await expectNothing(connectDevice(newSerial, otherPlug), otherPlug);
    });

    it('takes nobody at all for an answer', async () => {
      await admin.put([contractDevice()]);
      await admin.replaceAll([]);
      await expectNothing(connectDevice());
    });

    it('lets what is put while everything is replaced win', async () => {
      const older = contractDevice({ deviceType: 'old' });
      await admin.replaceAll(
        (async function* () {
          await admin.put([
            contractDevice({ deviceType: 'new' }),
            contractDevice({ id: otherPlug, certificateSerials: [newSerial] }),
          ]);
          yield older;
        })(),
      );
      const session = await admitted(connectDevice());
      expect(await session.maySubscribe('home-1/gw-1/kitchen/new/plug-1')).toBe(true);
      expect(await session.maySubscribe('home-1/gw-1/kitchen/old/plug-1')).toBe(false);
      await admitted(connectDevice(newSerial, otherPlug));
    });

    it('asks for the copy at the first connection and after each loss, until it is told to stop', async () => {
      let rebuilds = 0;
      let wake: () => void = () => undefined;
      const rebuilt = () =>
        new Promise<void>((resolve) => {
          wake = resolve;
        });
      const first = rebuilt();
      const stop = admin.onCopyLost(async () => {
        await admin.replaceAll([contractDevice()]);
        rebuilds += 1;
        wake();
      });
      await first;
      await admitted(connectDevice());
      const second = rebuilt();
      await harness.restart();
      await second;
      await admitted(connectDevice());
      expect(rebuilds).toBe(2);
      stop();
    });
  });
}

async function* manyActivations(count: number, first: readonly Principal[]): AsyncIterable<Principal> {
  yield* first;
  for (let i = 0; i < count; i += 1) {
    const waiting: ActivationPrincipal = {
      kind: 'activation',
      id: `device-${i}`,
      activationCode: `code-${i}`,
      expiresAtMs: 0,
    };
    yield waiting;
  }
}
