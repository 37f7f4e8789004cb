import { once } from 'node:events';
import { connect } from 'node:net';
import { generateKeys, writePrivateKey } from '@mqtt2go/pki';
import { type RunningContainer, within } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type DoorAnswer, knock } from '../support/gateways-door.js';
import { join } from '../support/joining.js';
import { createManufacturer, type Identity, type MintedDevice } from '../support/world.js';
import { insidePorts } from './support/deployment.js';
import { enrolGateway, identityOf, issueGateway, revokeGateway } from './support/enrolled-gateway.js';
import { SystemStack, untilReady } from './support/system-stack.js';

const turnedAway: DoorAnswer = { status: 403, code: 'forbidden' };
/** The answer to what no gateway asks. */
const letIn: DoorAnswer = { status: 404, code: 'unknown_command' };

describe('the gateways’ door of the platform in containers, with two processes behind it', () => {
  let stack: SystemStack;
  let ca: string;
  const house = { homeId: 'house', gatewayId: 'gw' };
  let gateway: Identity;

  beforeAll(async () => {
    stack = await SystemStack.start({ replicas: 2, homeBrokers: 1 });
    ca = await stack.ca();
    gateway = await enrolGateway(stack, house);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${await stack.tailOfLogs()}\n`);
  });
  afterAll(() => stack?.close());

  const come = (identity?: Identity): Promise<DoorAnswer> => knock(stack.deployment.doorPort, { ca, identity });
  const doors = (): RunningContainer[] => stack.service('federation');

  describe('lets in', () => {
    it('a gateway, at the address that it is told and at each process', async () => {
      expect(await come(gateway)).toEqual(letIn);
      for (const container of doors())
        expect(await knock(container.port(insidePorts.door), { ca, identity: gateway })).toEqual(letIn);
    });

    it('a gateway that was enrolled while the processes ran', async () => {
      expect(await come(await enrolGateway(stack, { ...house, homeId: 'another-house' }))).toEqual(letIn);
    });

    it.each([0, 1])('a gateway after kill -9 of process %i, and again when that is back', async (index) => {
      const killed = doors()[index];
      if (killed === undefined) throw new Error(`there is no federation-${index}`);
      await killed.kill();
      // Whose turn it is at the balancer is not known: each has one.
      for (let turn = 0; turn < 2; turn += 1) expect(await come(gateway)).toEqual(letIn);
      await killed.start();
      await untilReady(killed);
      for (let turn = 0; turn < 2; turn += 1) expect(await come(gateway)).toEqual(letIn);
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
      const stranger = await createManufacturer('Stranger');
      expect(await come(await identityOf(stranger, house))).toEqual(turnedAway);
    });

    it('a certificate of the platform’s CA that no enrolment has noted', async () => {
      expect(await come(await issueGateway(stack, house))).toEqual(turnedAway);
    });

    it('a gateway’s certificate without its key', async () => {
      const other = await generateKeys();
      await expect(come({ cert: gateway.cert, key: writePrivateKey(other.privateKey) })).rejects.toThrow();
    });

    it('a gateway from when it is revoked, at each process', async () => {
      const lost = { homeId: 'sold-house', gatewayId: 'gw' };
      const identity = await enrolGateway(stack, lost);
      const ask = () =>
        Promise.all(doors().map((container) => knock(container.port(insidePorts.door), { ca, identity })));
      expect(await ask()).toEqual([letIn, letIn]);
      await revokeGateway(stack, lost);
      expect(await ask()).toEqual([turnedAway, turnedAway]);
      expect(await come(gateway)).toEqual(letIn);
    });

    it('plain HTTP, with nothing that could be read', async () => {
      const socket = connect({ host: '127.0.0.1', port: stack.deployment.doorPort });
      const heard: Buffer[] = [];
      socket.on('data', (bytes: Buffer) => heard.push(bytes));
      socket.on('error', () => undefined);
      socket.write('POST /v1/knock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}');
      await within(once(socket, 'close'), 'the end of the connection');
      expect(Buffer.concat(heard).toString('latin1')).not.toMatch(/HTTP|problem|code/);
      expect(await come(gateway)).toEqual(letIn);
    });
  });
});
