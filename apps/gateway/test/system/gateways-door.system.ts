import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { federation, moving } from '@mqtt2go/messaging';
import { generateKeys, writePrivateKey } from '@mqtt2go/pki';
import { createTestDatabase, type RunningContainer, waitFor, within } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { askDoor, type DoorAnswer, knock } from '../support/gateways-door.js';
import { getDeviceTopics, join, now } from '../support/joining.js';
import { createManufacturer, type Identity, type MintedDevice, World } from '../support/world.js';
import { report, type Wire } from '../support/wire.js';
import { type BrokerName, insidePorts } from './support/deployment.js';
import { type EnrolledGateway, enrol, enrolGateway, identityBy } from './support/enrolled-gateway.js';
import { SystemStack, untilReady } from './support/system-stack.js';

const turnedAway: DoorAnswer = { status: 403, code: 'forbidden' };
/** The answer to what no gateway asks. */
const letIn: DoorAnswer = { status: 404, code: 'unknown_command' };
const house = { homeId: 'house', gatewayId: 'gw' };

describe('the gateways’ door of the platform in containers, with two processes behind it', () => {
  let stack: SystemStack;
  let ca: string;
  let gateway: EnrolledGateway;

  beforeAll(async () => {
    stack = await SystemStack.start({ replicas: 2, homeBrokers: 2, gateways: true });
    ca = await stack.ca();
    gateway = await enrolGateway(stack, house);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${await stack.tailOfLogs()}\n`);
  });
  afterAll(() => stack?.close());

  const come = (identity?: Identity): Promise<DoorAnswer> => knock(stack.deployment.doorPort, { ca, identity });
  const doors = (): RunningContainer[] => stack.service('federation');
  const ports = (): number[] => doors().map((container) => container.port(insidePorts.door));

  describe('lets in', () => {
    it('a gateway, at the address that it is told and at each process', async () => {
      expect(gateway.invitation).toMatchObject({
        cloudUrl: `https://localhost:${stack.deployment.doorPort}`,
        root: ca,
      });
      const { identity } = gateway;
      expect(await come(identity)).toEqual(letIn);
      for (const port of ports()) expect(await knock(port, { ca, identity })).toEqual(letIn);
    });

    it('a gateway that is enrolled while the processes run, to what it may ask', async () => {
      const { identity, invitation } = await enrolGateway(stack, { ...house, homeId: 'another-house' });
      const asked = await askDoor(invitation.cloudUrl, 'list-manufacturers', { ca, identity });
      expect(asked).toMatchObject({ status: 200, body: { manufacturers: [{ name: 'Acme' }] } });
    });

    it.each([0, 1])('a gateway after kill -9 of process %i, and again when that is back', async (index) => {
      const killed = doors()[index];
      if (killed === undefined) throw new Error(`there is no federation-${index}`);
      await killed.kill();
      // Whose turn it is at the balancer is not known: each has one.
      for (let turn = 0; turn < 2; turn += 1) expect(await come(gateway.identity)).toEqual(letIn);
      await killed.start();
      await untilReady(killed);
      for (let turn = 0; turn < 2; turn += 1) expect(await come(gateway.identity)).toEqual(letIn);
    });
  });

  describe('turns away', () => {
    let device: MintedDevice & { issued: Identity };

    beforeAll(async () => {
      const app = await stack.app();
      const minted = await stack.mint();
      const { data } = await join(stack, app, await stack.connectApp(app), minted);
      device = { ...minted, issued: { cert: data.cert, key: data.key } };
    });

    it('nobody’s certificate', async () => {
      expect(await come()).toEqual(turnedAway);
    });

    it('a device’s certificate, that of its home and that of its factory', async () => {
      expect(await come(device.issued)).toEqual(turnedAway);
      expect(await come({ cert: device.cert, key: device.key })).toEqual(turnedAway);
    });

    it.each([
      ['the operator', ['operator', 'services', 'operator']],
      ['a service', ['services', 'provisioning', 'services', 'provisioning']],
      ['the door’s own service', ['services', 'federation', 'services', 'federation']],
      ['the door itself', ['services', 'federation', 'federation']],
    ])('the certificate of %s', async (_who, path) => {
      const folder = path.slice(0, -1);
      const read = (end: string) => stack.deployment.read(...folder, `${path.at(-1)}.${end}`);
      expect(await come({ cert: await read('crt'), key: await read('key') })).toEqual(turnedAway);
    });

    it('a gateway of somebody else’s CA, with the names of one that is enrolled', async () => {
      expect(await come(await identityBy(await createManufacturer('Stranger'), house))).toEqual(turnedAway);
    });

    it('what an enrolled gateway’s own CA has made, for itself and for the gateway of another home', async () => {
      for (const homeId of [house.homeId, 'another-house'])
        expect(await come(await identityBy(gateway.authority, { ...house, homeId })), homeId).toEqual(turnedAway);
    });

    it('a gateway’s certificate without its key', async () => {
      const other = await generateKeys();
      await expect(come({ cert: gateway.identity.cert, key: writePrivateKey(other.privateKey) })).rejects.toThrow();
    });

    it('the invitation of one gateway from another, at either process', async () => {
      const keys = { issuing: await generateKeys(), server: await generateKeys(), identity: await generateKeys() };
      for (const port of ports()) {
        const { status, code } = await enrol(gateway.invitation, keys, `https://localhost:${port}`);
        expect({ status, code }).toEqual({ status: 403, code: 'invitation_invalid' });
      }
      expect(await come(gateway.identity)).toEqual(letIn);
    });

    it('a gateway from when it is revoked, at each process', async () => {
      const { name, identity } = await enrolGateway(stack, { ...house, homeId: 'sold-house' });
      const ask = () => Promise.all(ports().map((port) => knock(port, { ca, identity })));
      expect(await ask()).toEqual([letIn, letIn]);
      await (await stack.operator()).call(federation.revokeGateway, name);
      expect(await ask()).toEqual([turnedAway, turnedAway]);
      expect(await come(gateway.identity)).toEqual(letIn);
    });

    it('plain HTTP, with nothing that could be read', async () => {
      const socket = connect({ host: '127.0.0.1', port: stack.deployment.doorPort });
      const heard: Buffer[] = [];
      socket.on('data', (bytes: Buffer) => heard.push(bytes));
      socket.on('error', () => undefined);
      socket.write('POST /v1/knock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}');
      await within(once(socket, 'close'), 'the end of the connection');
      expect(Buffer.concat(heard).toString('latin1')).not.toMatch(/HTTP|problem|code/);
      expect(await come(gateway.identity)).toEqual(letIn);
    });
  });

  describe('leads a gateway in a house', () => {
    const home = { homeId: `home-${randomBytes(3).toString('hex')}`, gatewayId: 'gw' };
    let folder: string;
    let local: World;

    beforeAll(async () => {
      folder = await mkdtemp(joinPath(tmpdir(), 'mqtt2go-invitation-'));
      const invitation = joinPath(folder, 'invitation.json');
      const invited = await (await stack.operator()).call(federation.inviteGateway, home);
      await writeFile(invitation, JSON.stringify(invited), { mode: 0o600 });
      const env = { MQTT2GO_PROFILE: 'local-gateway', MQTT2GO_INVITATION: invitation };
      local = await World.create(
        { env, moverTimes: { tellingMs: 20_000, betweenBatchesMs: 10 } },
        await createTestDatabase(),
      );
    });
    afterAll(async () => {
      await local?.close();
      await rm(folder, { recursive: true, force: true });
    });

    it('to the platform’s own root', async () => {
      expect(local.ca).toBe(ca);
      expect(await local.operator.call(federation.getLinkStatus, {})).toMatchObject({ enrolled: true, ...home });
    });

    it('to its home’s Mosquitto, through which an app outside and a device inside hear each other', async () => {
      await waitFor(
        async () => (await local.operator.call(federation.getLinkStatus, {})).bridge?.connected === true,
        'the bridge',
        60_000,
      );
      const app = await local.app(home.homeId, home.gatewayId);
      const joined = await join(local, app, await local.connectApp(app), await local.mint());
      const [topic = ''] = joined.topics;
      const outside = await stack.connectApp(await stack.app(home.homeId, home.gatewayId));
      expect(await outside.subscribe(topic)).toBe(true);
      await outside.publish(topic, { type: 'command', timestamp: now(), command_type: 'set', value: 'from outside' });
      await joined.wire.hear(({ json }) => json.value === 'from outside');
      await joined.wire.publish(topic, {
        type: 'report',
        timestamp: now(),
        report_type: 'status',
        value: 'from inside',
      });
      await outside.hear(({ json }) => json.value === 'from inside');
    });

    let travelled: { readonly shard: BrokerName; readonly device: Identity & { readonly deviceId: string } };
    const move = async (to: 'remote' | 'local'): Promise<void> => {
      await local.operator.call(moving.moveHome, { to }, { retries: 0 });
    };
    const moved = async (to: 'remote' | 'local'): Promise<void> => {
      await waitFor(
        async () => {
          const { move: latest } = await local.operator.call(moving.getHomeMove, {});
          if (latest?.state === 'rolled-back') throw new Error(`the home did not move: ${JSON.stringify(latest)}`);
          return latest?.state === 'moved' && latest.to === to;
        },
        `the home has moved: ${to}`,
        60_000,
      );
    };
    const devicesPort = (name: BrokerName): number => stack.deployment.homes.get(name)?.devices ?? 0;
    const trustOf = (name: BrokerName): Promise<string[]> =>
      readdir(stack.deployment.path('deployment', 'brokers', name, 'access', 'trust'));
    /** The device comes with what it has to where it was told, and asks for its topics. */
    const arrive = async (home: Wire, minted: MintedDevice): Promise<unknown> => {
      await home.subscribe(`${minted.deviceId}/topics`);
      await home.publish(`${minted.deviceId}/topics`, getDeviceTopics());
      return (await home.hear(report('topics'))).json.value;
    };

    it('to its home’s Mosquitto, to which the home moves, its devices with certificates of the house’s own CA, and back', async () => {
      const app = await local.app(home.homeId, home.gatewayId);
      const minted = await local.mint();
      const joined = await join(local, app, await local.connectApp(app), minted);
      const [topic = ''] = joined.topics;
      await move('remote');
      const told = await joined.wire.hear(report('mqtt_credentials'));
      const { broker_port: port } = z.object({ broker_port: z.int() }).parse(told.json.value);
      const shard = [...stack.deployment.homes.keys()].find((name) => devicesPort(name) === port);
      if (shard === undefined) throw new Error(`no shard is at ${port}`);
      expect(told.json.value).toEqual({ broker_ip: 'localhost', broker_port: devicesPort(shard) });
      const devices = devicesPort(shard);
      const away = await stack.connectHome({ ...joined.data, deviceId: minted.deviceId }, 'localhost', devices);
      expect(await arrive(away, minted)).toEqual(joined.topics);
      await moved('remote');
      expect(await away.subscribe(topic)).toBe(true);
      const { url } = await stack.app(home.homeId, home.gatewayId);
      const controller = await stack.connectApp({ ...app, url });
      await controller.publish(topic, { type: 'command', timestamp: now(), command_type: 'set', value: 'moved' });
      await away.hear(({ json }) => json.value === 'moved');

      await move('local');
      const back = await away.hear(report('mqtt_credentials'));
      expect(back.json.value).toMatchObject({ broker_port: local.platform.file.ports.home });
      const again = await local.connectHome({ ...joined.data, deviceId: minted.deviceId });
      expect(await arrive(again, minted)).toEqual(joined.topics);
      await moved('local');
      expect(await again.subscribe(topic)).toBe(true);
      travelled = { shard, device: { ...joined.data, deviceId: minted.deviceId } };
    });

    it('to its home’s Mosquitto, which keeps what is said while the process that listens there is killed', async () => {
      const app = await local.app(home.homeId, home.gatewayId);
      const minted = await local.mint();
      const joined = await join(local, app, await local.connectApp(app), minted);
      const [topic = ''] = joined.topics;
      const command = (value: string): object => ({ type: 'command', timestamp: now(), command_type: 'set', value });
      await move('remote');
      const told = await joined.wire.hear(report('mqtt_credentials'));
      const { broker_port: port } = z.object({ broker_port: z.int() }).parse(told.json.value);
      const { url } = await stack.app(home.homeId, home.gatewayId);
      const controller = await stack.connectApp({ ...app, url });
      await controller.publish(topic, command('while both are there'));
      const [lease] = await stack.query<{ holder: string }>('SELECT holder FROM federation.lease WHERE name = $1', [
        `listening/${home.homeId}`,
      ]);
      const listener = doors()[Number(lease?.holder.at(-1))];
      if (listener === undefined) throw new Error(`nobody listens: ${lease?.holder}`);
      await listener.kill();
      await controller.publish(topic, command('while nobody listens'));
      const away = await stack.connectHome({ ...joined.data, deviceId: minted.deviceId }, 'localhost', port);
      expect(await arrive(away, minted)).toEqual(joined.topics);
      expect(await away.subscribe(topic)).toBe(true);
      await away.hear(({ json }) => json.value === 'while both are there', 60_000);
      await away.hear(({ json }) => json.value === 'while nobody listens', 60_000);
      await listener.start();
      await untilReady(listener);
      await moved('remote');

      await move('local');
      await away.hear(report('mqtt_credentials'));
      await arrive(await local.connectHome({ ...joined.data, deviceId: minted.deviceId }), minted);
      await moved('local');
    });

    describe('whose own CA is not trusted', () => {
      /** As who is trusted comes in, whoever he is; TLS ends before that. */
      const come = (identity: Identity & { deviceId: string }, port: number): Promise<Wire> =>
        stack.connectHome(identity, 'localhost', port);
      const isTurnedAway = async (identity: Identity & { deviceId: string }, port: number): Promise<void> => {
        await expect(come(identity, port)).rejects.toThrow(/unknown ca|ECONNRESET|closed|alert/i);
      };

      it('at the broker of other homes', async () => {
        const { shard, device } = travelled;
        for (const name of stack.deployment.homes.keys()) {
          if (name === shard) expect(await come(device, devicesPort(name))).toBeDefined();
          else await isTurnedAway(device, devicesPort(name));
        }
      });

      it('while no device of its home is in the cloud', async () => {
        const { deviceId } = travelled.device;
        const keys = await generateKeys();
        const { authority } = gateway;
        const forged = authority.issueDevice({ deviceId, publicKey: keys.publicKey, nowMs: Date.now() });
        const identity = { cert: authority.withChain(forged.pem), key: writePrivateKey(keys.privateKey), deviceId };
        for (const name of stack.deployment.homes.keys()) await isTurnedAway(identity, devicesPort(name));
      });

      it('when it was revoked: for nothing at once, and not at all from the next start of the broker on', async () => {
        const { shard, device } = travelled;
        expect(await trustOf(shard)).toHaveLength(1);
        const there = await come(device, devicesPort(shard));
        expect(await there.subscribe(`${device.deviceId}/topics`)).toBe(true);
        await (await stack.operator()).call(federation.revokeGateway, home);
        await waitFor(async () => (await trustOf(shard)).length === 0, 'the CA is taken away', 20_000);
        const isPowerless = async (): Promise<boolean> => {
          const again = await come(device, devicesPort(shard));
          return !(await again.subscribe(`${device.deviceId}/topics`));
        };
        await waitFor(isPowerless, 'the device has no rights', 20_000);
        await stack.broker(shard).kill();
        await stack.startedAgain(shard);
        await isTurnedAway(device, devicesPort(shard));
      });
    });
  });
});
