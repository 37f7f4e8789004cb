import { request as httpsRequest } from 'node:https';
import { Bus, certificateAuthority, discovery, federation, topicGenerator } from '@mqtt2go/messaging';
import {
  Authority,
  createCertificateRequest,
  generateKeys,
  isLocalHost,
  readCertificate,
  writePrivateKey,
} from '@mqtt2go/pki';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FederationStand, type Node, writeInvitation } from './support/federation-stand.js';
import { freePorts } from './support/gateway-process.js';
import { HouseProcess } from './support/house-process.js';
import { activateDevice, join, now } from './support/joining.js';
import { type Heard, refusal, type Wire } from './support/wire.js';

let stand: FederationStand;
beforeAll(async () => {
  stand = await FederationStand.create();
});
afterAll(() => stand.close());

const status = async (node: Node) => (await node.operator()).call(federation.getLinkStatus, {});

async function bridgeIs(node: Node, connected: boolean): Promise<void> {
  await waitFor(
    async () => (await status(node)).bridge?.connected === connected,
    `the bridge to be ${connected}`,
    60_000,
  );
}

async function knowsManufacturer(node: Node): Promise<void> {
  const bus: Bus = await node.busAs('federation');
  await waitFor(
    async () => (await bus.call(discovery.listManufacturers, {})).manufacturers.length > 0,
    'the manufacturers of the cloud',
  );
  await bus.close();
}

const set = (value: unknown): object => ({ type: 'command', timestamp: now(), command_type: 'set', value });
const statusReport = (value: unknown): object => ({
  type: 'report',
  report_type: 'status',
  timestamp: now(),
  report_name: 'set',
  value,
});
/** Matches what was said under this name, or under this name and number. */
const says =
  (name: string, number?: number) =>
  ({ json }: Heard): boolean => {
    const value = json.value as { name?: string; number?: number } | undefined;
    return value?.name === name && (number === undefined || value.number === number);
  };
const numbersIn = (wire: Wire, name: string): number[] =>
  wire.heard.flatMap(({ json }) => {
    const value = json.value as { name?: string; number?: number } | undefined;
    return value?.name === name && value.number !== undefined ? [value.number] : [];
  });
/** Numbers in the order in which they came, each where it came first: a repeated delivery is no new message. */
const inOrder = (numbers: readonly number[]): number[] => [...new Set(numbers)];

interface Answer {
  readonly status: number;
  readonly code: unknown;
  /** Of a good answer. */
  readonly json?: unknown;
}

/** Asks the gateways' door as whoever it is. */
function ask(
  path: string,
  body: unknown,
  { identity, ca, method = 'POST' }: { identity?: { cert: string; key: string }; ca: string; method?: string },
): Promise<Answer> {
  const content = typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port: stand.cloud.file.ports.federation,
        path,
        method,
        ca,
        agent: false,
        ...identity,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const json: unknown = text.startsWith('{') ? JSON.parse(text) : {};
          const code = typeof json === 'object' && json !== null && 'code' in json ? json.code : undefined;
          const { statusCode = 0 } = response;
          resolve({ status: statusCode, code, ...(statusCode === 200 && { json }) });
        });
      },
    );
    request.once('error', reject);
    request.end(content);
  });
}

describe('a gateway and its cloud', () => {
  let gateway: Node;
  let cloudApp: Wire;
  let houseApp: Wire;
  let device: Wire;
  let topic: string;
  const home = { homeId: 'home-1', gatewayId: 'gw' };

  beforeAll(async () => {
    gateway = await stand.gateway(await stand.invite(home.homeId, home.gatewayId));
    await gateway.start();
    await knowsManufacturer(gateway);
    await bridgeIs(gateway, true);
    const app = await gateway.app(home.homeId, home.gatewayId);
    houseApp = await gateway.connectApp(app);
    const minted = await stand.mint(gateway, 'lamp-1');
    const joined = await join(gateway, app, houseApp, minted);
    device = joined.wire;
    topic = joined.topics[0] ?? '';
    cloudApp = await stand.cloud.connectApp(await stand.cloud.app(home.homeId, home.gatewayId));
    await cloudApp.subscribe(`${home.homeId}/#`);
  });

  it('have one root, below which the gateway has CAs of its own', async () => {
    expect(await gateway.read('ca.crt')).toBe(await stand.cloud.read('ca.crt'));
    expect(readCertificate(await gateway.read('home-broker.crt')).dnsNames.every(isLocalHost)).toBe(true);
    const { gateways } = await (await stand.cloud.operator()).call(federation.listGateways, {});
    expect(gateways).toMatchObject([{ ...home, state: 'enrolled' }]);
    expect(await status(gateway)).toMatchObject({
      enrolled: true,
      ...home,
      bridge: { enabled: true, connected: true },
    });
  });

  it('let a controller at the cloud switch a device in the house and hear its report, each once', async () => {
    device.forget();
    cloudApp.forget();
    await cloudApp.publish(topic, set({ name: 'on', number: 1 }));
    await device.hear(({ json }) => json.command_type === 'set');
    await device.publish(topic, statusReport({ name: 'on', number: 2 }));
    await cloudApp.hear(({ json }) => json.report_type === 'status');
    // Something that is said after, and so heard after what would have gone round.
    await device.publish(topic, statusReport({ name: 'end', number: 3 }));
    await cloudApp.publish(topic, set({ name: 'end', number: 4 }));
    for (const wire of [device, cloudApp]) {
      await wire.hear(says('end', 3));
      await wire.hear(says('end', 4));
      expect(numbersIn(wire, 'on')).toEqual([1, 2]);
    }
  });

  it('keep equal messages apart', async () => {
    device.forget();
    for (let time = 0; time < 3; time += 1) await cloudApp.publish(topic, set({ name: 'same', number: 7 }));
    await cloudApp.publish(topic, set({ name: 'last', number: 8 }));
    await device.hear(says('last'));
    expect(numbersIn(device, 'same')).toEqual([7, 7, 7]);
  });

  it('keep what is retained in the house for whoever comes later in the cloud', async () => {
    await device.client.publishAsync(topic, JSON.stringify(statusReport({ name: 'kept', number: 1 })), {
      qos: 1,
      retain: true,
    });
    await cloudApp.hear(says('kept'));
    const late = await stand.cloud.connectApp(await stand.cloud.app(home.homeId, home.gatewayId));
    await late.subscribe(topic);
    await late.hear(says('kept'));
    await device.client.publishAsync(topic, '', { qos: 1, retain: true });
  });

  it('let a controller at the cloud add a device to the house, and the house alone answers', async () => {
    cloudApp.forget();
    const addDevice = `${home.homeId}/${home.gatewayId}/add_device`;
    await cloudApp.publish(addDevice, activateDevice({ code: 'wrong', deviceId: 'lamp-1' }));
    await cloudApp.hear(refusal('activate_device', 'activation_code_wrong'));
    await cloudApp.publish(topic, set({ name: 'after', number: 1 }));
    await cloudApp.hear(says('after'));
    expect(cloudApp.heard.filter(({ json }) => json.report_name === 'activate_device')).toHaveLength(1);
  });

  it('lose nothing and keep the order while the internet comes and goes under traffic', async () => {
    const messages = 60;
    device.forget();
    cloudApp.forget();
    const talk = async (wire: Wire, name: string): Promise<void> => {
      for (let number = 0; number < messages; number += 1) {
        await wire.publish(topic, name === 'up' ? statusReport({ name, number }) : set({ name, number }));
        if (name === 'up' && number % 20 === 10) stand.internet.cut();
        if (name === 'up' && number % 20 === 15) {
          await bridgeIs(gateway, false);
          stand.internet.mend();
          await bridgeIs(gateway, true);
        }
      }
    };
    await Promise.all([talk(device, 'up'), talk(cloudApp, 'down')]);
    const all = Array.from({ length: messages }, (_, number) => number);
    await cloudApp.hear(says('up', messages - 1));
    await device.hear(says('down', messages - 1));
    expect(inOrder(numbersIn(cloudApp, 'up'))).toEqual(all);
    expect(inOrder(numbersIn(device, 'down'))).toEqual(all);
    // Each hears itself once: what went over did not come back.
    expect(numbersIn(device, 'up')).toEqual(all);
    expect(numbersIn(cloudApp, 'down')).toEqual(all);
  }, 120_000);

  it('let the house go on without internet, its controllers and devices among themselves', async () => {
    stand.internet.cut();
    await bridgeIs(gateway, false);
    await houseApp.publish(topic, set({ name: 'alone', number: 1 }));
    await device.hear(says('alone'));
    expect((await status(gateway)).bridge).toMatchObject({ connected: false, lastError: expect.any(String) });
    stand.internet.mend();
    await bridgeIs(gateway, true);
    await cloudApp.hear(says('alone'));
  }, 90_000);

  it('keep what waits over a restart of the gateway', async () => {
    cloudApp.forget();
    stand.internet.cut();
    await bridgeIs(gateway, false);
    for (let number = 0; number < 20; number += 1)
      await device.publish(topic, statusReport({ name: 'waiting', number }));
    await waitFor(async () => ((await status(gateway)).bridge?.queued ?? 0) >= 20, 'the queue');
    await gateway.stop();
    await gateway.start();
    expect((await status(gateway)).bridge?.queued).toBeGreaterThanOrEqual(20);
    stand.internet.mend();
    await bridgeIs(gateway, true);
    await cloudApp.hear(says('waiting', 19));
    expect(inOrder(numbersIn(cloudApp, 'waiting'))).toEqual(Array.from({ length: 20 }, (_, number) => number));
  }, 120_000);
});

describe('a gateway that is killed', () => {
  it('says after its next start what waited, in order, and hears what was said to the house meanwhile', async () => {
    const home = { homeId: 'home-7', gatewayId: 'gw' };
    const node = await stand.gateway(undefined);
    const house = await HouseProcess.build({
      ...(await freePorts()),
      MQTT2GO_DATA_DIR: node.dataDir,
      DATABASE_URL: node.database.url,
      MQTT2GO_INVITATION: await writeInvitation(await stand.invite(home.homeId, home.gatewayId)),
    });
    try {
      node.attach(await house.start());
      await bridgeIs(node, true);
      const place = `${home.homeId}/${home.gatewayId}/living/socket/plug`;
      const app = await node.app(home.homeId, home.gatewayId);
      const houseApp = await node.connectApp(app);
      const cloudApp = await stand.cloud.connectApp(await stand.cloud.app(home.homeId, home.gatewayId));
      await cloudApp.subscribe(`${home.homeId}/#`);
      await houseApp.publish(place, statusReport({ name: 'before', number: 0 }));
      await cloudApp.hear(says('before'));
      stand.internet.cut();
      await bridgeIs(node, false);
      for (let number = 0; number < 30; number += 1)
        await houseApp.publish(place, statusReport({ name: 'kept', number }));
      await waitFor(async () => ((await status(node)).bridge?.queued ?? 0) >= 30, 'the queue');
      await house.kill();
      await node.stop();
      await cloudApp.publish(place, set({ name: 'to the house', number: 0 }));
      node.attach(await house.start());
      const again = await node.connectApp(app);
      await again.subscribe(place);
      stand.internet.mend();
      await cloudApp.hear(says('kept', 29), 60_000);
      expect(inOrder(numbersIn(cloudApp, 'kept'))).toEqual(Array.from({ length: 30 }, (_, number) => number));
      await again.hear(says('to the house'));
      await waitFor(async () => (await status(node)).bridge?.queued === 0, 'an empty queue');
    } finally {
      stand.internet.mend();
      await node.stop();
      await house.close();
    }
  }, 120_000);
});

describe('the gateways’ door', () => {
  const home = { homeId: 'home-2', gatewayId: 'gw' };
  let gateway: Node;
  let identity: { cert: string; key: string };
  let ca: string;

  beforeAll(async () => {
    gateway = await stand.gateway(await stand.invite(home.homeId, home.gatewayId));
    await gateway.start();
    await bridgeIs(gateway, true);
    identity = { cert: await gateway.read('gateway.crt'), key: await gateway.read('gateway.key') };
    ca = await stand.cloud.read('ca.crt');
  });

  it('answers an enrolled gateway', async () => {
    expect(await ask('/v1/list-manufacturers', {}, { identity, ca })).toMatchObject({ status: 200 });
  });

  it('renews the gateway’s certificates, with the same names and keys', async () => {
    const bus = await gateway.busAs('federation');
    const before = await bus.call(certificateAuthority.getGatewayRequests, {});
    const answer = await ask('/v1/renew', { requests: before.requests }, { identity, ca });
    const newer = certificateAuthority.gatewayCertificates.parse(answer.json);
    const fresh = await bus.call(certificateAuthority.installGatewayCertificates, newer);
    expect(readCertificate(fresh.cert).serialNumber).not.toBe(readCertificate(identity.cert).serialNumber);
    expect(fresh.key).toBe(identity.key);
    for (const one of [identity, fresh]) {
      expect(await ask('/v1/list-manufacturers', {}, { identity: one, ca })).toMatchObject({ status: 200 });
    }
    // Another gateway's are not taken.
    const foreign = { ...newer, issuing: newer.server };
    await expect(bus.call(certificateAuthority.installGatewayCertificates, foreign)).rejects.toMatchObject({
      code: 'certificate_not_accepted',
    });
    await bus.close();
  });

  it('refuses whoever shows no certificate, or one of another CA', async () => {
    const keys = await generateKeys();
    const nowMs = Date.now();
    const stranger = Authority.createRoot({ commonName: 'x', keys, nowMs, validityMs: 86_400_000 });
    const foreign = stranger.issueGateway({ ...home, publicKey: keys.publicKey, nowMs });
    const key = writePrivateKey(keys.privateKey);
    for (const caller of [{ ca }, { ca, identity: { cert: foreign.pem, key } }]) {
      expect(await ask('/v1/list-manufacturers', {}, caller)).toEqual({ status: 403, code: 'forbidden' });
    }
  });

  it('refuses what has the operator’s root above it and is no gateway’s: a server, a device, a gateway’s own making', async () => {
    const server = {
      cert: await stand.cloud.read('home-broker.crt'),
      key: await stand.cloud.read('home-broker.key'),
    };
    expect(await ask('/v1/list-manufacturers', {}, { identity: server, ca })).toEqual({
      status: 403,
      code: 'forbidden',
    });
    const made = { cert: await gateway.read('home-broker.crt'), key: await gateway.read('home-broker.key') };
    expect(await ask('/v1/list-manufacturers', {}, { identity: made, ca })).toEqual({ status: 403, code: 'forbidden' });
  });

  it('refuses an unknown verb, another method, and what is no request', async () => {
    const caller = { identity, ca };
    expect(await ask('/v1/export-everything', {}, caller)).toEqual({ status: 404, code: 'unknown_command' });
    expect(await ask('/v1/renew', {}, { ...caller, method: 'GET' })).toMatchObject({ status: 404 });
    expect(await ask('/', {}, caller)).toMatchObject({ status: 404 });
    expect(await ask('/v1/renew', '{', caller)).toEqual({ status: 400, code: 'malformed_message' });
    expect(await ask('/v1/renew', { requests: 1 }, caller)).toEqual({ status: 400, code: 'malformed_message' });
    const requests = { issuing: 'x', server: 'x', identity: 'x' };
    expect(await ask('/v1/renew', { requests }, caller)).toEqual({ status: 400, code: 'csr_invalid' });
  });

  it('refuses bodies that are too large, those of strangers before they are read', async () => {
    const large = { padding: 'x'.repeat(1_100_000) };
    expect(await ask('/v1/renew', large, { identity, ca })).toEqual({ status: 413, code: 'message_too_large' });
    const stranger = await ask('/v1/renew', large, { ca }).catch(() => ({ status: 403, code: 'forbidden' }));
    expect(stranger).toEqual({ status: 403, code: 'forbidden' });
  });

  it('refuses a revoked gateway at once, and ends its bridge', async () => {
    await (await stand.cloud.operator()).call(federation.revokeGateway, home);
    expect(await ask('/v1/list-manufacturers', {}, { identity, ca })).toEqual({ status: 403, code: 'forbidden' });
    await bridgeIs(gateway, false);
    await waitFor(async () => (await status(gateway)).bridge?.lastError?.includes('no enrolled gateway'), 'the reason');
    const { gateways } = await (await stand.cloud.operator()).call(federation.listGateways, { homeId: home.homeId });
    expect(gateways).toMatchObject([{ state: 'revoked' }]);
  });
});

describe('the account of a bridge', () => {
  const home = { homeId: 'home-3', gatewayId: 'gw' };
  let bridge: Wire;
  let cloudApp: Wire;

  beforeAll(async () => {
    const bus = await stand.cloud.busAs('federation');
    const { username, password } = await bus.call(topicGenerator.openBridge, home);
    await bus.close();
    bridge = await stand.cloud.connect({ username, password, clientId: `${username}/other` });
    cloudApp = await stand.cloud.connectApp(await stand.cloud.app(home.homeId, home.gatewayId));
  });

  it.each([
    'home-1/#',
    '/home-1/#',
    '#',
    '+/#',
    '+/topics',
    'lamp-1/topics',
    'home-3/topics',
    '+/activation',
    '$SYS/#',
  ])('may not listen to %s', async (filter) => {
    expect(await bridge.subscribe(filter)).toBe(false);
  });

  it('may say nothing in another home, nor on what is a device’s own', async () => {
    const other = await stand.cloud.connectApp(await stand.cloud.app('home-1', 'gw'));
    await other.subscribe('home-1/#');
    await cloudApp.subscribe('home-3/#');
    const refused = [
      'home-1/gw/living/socket/lamp-1',
      'lamp-1/topics',
      'home-3/topics',
      'CODE/activation',
      'home-1/users',
    ];
    for (const topic of refused) await bridge.publish(topic, statusReport({ name: 'attack', number: 1 }));
    await bridge.publish('home-3/gw/living/socket/plug', statusReport({ name: 'own', number: 1 }));
    await cloudApp.hear(says('own'));
    const observer = await stand.cloud.app('home-1', 'gw');
    const witness = await stand.cloud.connectApp(observer);
    await witness.publish('home-1/gw/living/socket/lamp-1', statusReport({ name: 'own', number: 2 }));
    await other.hear(says('own', 2));
    expect(other.heard.filter(says('attack'))).toEqual([]);
  });
});

describe('an enrolment', () => {
  it('goes on where a killed gateway ended, with the same keys', async () => {
    const invitation = await stand.invite('home-4');
    const gateway = await stand.gateway(invitation);
    // As long as it cannot reach the cloud it has made its keys and nothing else.
    stand.internet.cut();
    await expect(gateway.start()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('start it again'),
    });
    stand.internet.mend();
    await gateway.start();
    expect(await gateway.read('ca.crt')).toBe(await stand.cloud.read('ca.crt'));
    // Started once more the invitation is not looked at, and may be gone.
    await gateway.stop();
    await gateway.start();
    expect(await status(gateway)).toMatchObject({ enrolled: true, homeId: 'home-4' });
  }, 60_000);

  it('is answered again when the answer was lost, and to nobody else', async () => {
    const invitation = await stand.invite('home-5');
    const requests = async () => {
      const csr = async () => createCertificateRequest({ deviceId: 'x', keys: await generateKeys() });
      return { issuing: await csr(), server: await csr(), identity: await csr() };
    };
    const { homeId, gatewayId, token } = invitation;
    const ca = await stand.cloud.read('ca.crt');
    const mine = { homeId, gatewayId, token, requests: await requests() };
    expect(await ask('/v1/enrol', mine, { ca })).toMatchObject({ status: 200 });
    expect(await ask('/v1/enrol', mine, { ca })).toMatchObject({ status: 200 });
    const refused = { status: 403, code: 'invitation_invalid' };
    expect(await ask('/v1/enrol', { ...mine, requests: await requests() }, { ca })).toEqual(refused);
    expect(await ask('/v1/enrol', { ...mine, token: `${token.slice(1)}A` }, { ca })).toEqual(refused);
    expect(await ask('/v1/enrol', { ...mine, homeId: 'home-1' }, { ca })).toEqual(refused);
    expect(await ask('/v1/enrol', { ...mine, homeId: 'home-99' }, { ca })).toEqual(refused);
    await (await stand.cloud.operator()).call(federation.revokeGateway, { homeId, gatewayId });
    expect(await ask('/v1/enrol', mine, { ca })).toEqual(refused);
  });

  it('is not for a platform that has a root of its own', async () => {
    const alone = await stand.gateway(undefined);
    await alone.start();
    expect(await status(alone)).toEqual({ enrolled: false });
    await alone.stop();
    await alone.configure({ invitation: await stand.invite('home-6') });
    await expect(alone.start()).rejects.toMatchObject({
      code: 'own_root',
      message: expect.stringContaining('empty data folder'),
    });
  });

  it('is refused to whoever tries too often', async () => {
    const ca = await stand.cloud.read('ca.crt');
    const guess = {
      homeId: 'home-1',
      gatewayId: 'gw',
      token: 'x',
      requests: { issuing: '', server: '', identity: '' },
    };
    const answers: unknown[] = [];
    for (let tries = 0; tries < 15; tries += 1) answers.push((await ask('/v1/enrol', guess, { ca })).code);
    expect(answers.at(-1)).toBe('too_many_attempts');
  });
});
