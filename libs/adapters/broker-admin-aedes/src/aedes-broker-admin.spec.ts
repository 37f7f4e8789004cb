import { accessControlTopic } from '@mqtt2go/access';
import { SystemClock } from '@mqtt2go/ports';
import { Collector, deferred, silentLogger, waitFor, Certificates, tryConnect } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AedesBrokerAdmin } from './aedes-broker-admin.js';
import { EmbeddedBroker } from './embedded-broker.js';
import { inProcess } from './test-support/clients.js';
import { device } from './test-support/stage.js';

let broker: EmbeddedBroker;
let requests: string[];
const start = () => new EmbeddedBroker({ role: 'home', clock: new SystemClock(), log: silentLogger });

function openAdmin(timeoutMs = 5_000): AedesBrokerAdmin {
  const open = (suffix: string) => {
    const client = inProcess(() => broker, 'topic-generator', suffix);
    client.on('packetsend', (packet) => {
      if (packet.cmd === 'publish' && packet.topic === accessControlTopic) requests.push(packet.payload.toString());
    });
    return client;
  };
  return new AedesBrokerAdmin({ address: 'in-process home', open }, { timeoutMs, rebuildRetryMs: 10 });
}

beforeEach(() => {
  broker = start();
  requests = [];
});
afterEach(() => broker.close());

describe('AedesBrokerAdmin', () => {
  it('sends as one message what has come while another was under way', async () => {
    const admin = openAdmin();
    await admin.put([]);
    await admin.put([device('warm')]);
    requests.length = 0;
    await Promise.all(Array.from({ length: 100 }, (_unused, i) => admin.put([device(`plug-${i}`)])));
    expect(requests.length).toBeLessThanOrEqual(2);
    expect(broker.stats().principals).toBe(101);
    await admin.close();
  });

  it('splits what is too much for one message', async () => {
    const admin = openAdmin();
    await admin.put(Array.from({ length: 1_000 }, (_unused, i) => device(`plug-${i}`)));
    expect(broker.stats().principals).toBe(1_000);
    await admin.remove(Array.from({ length: 1_000 }, (_unused, i) => ({ kind: 'device', id: `plug-${i}` })));
    expect(broker.stats().principals).toBe(0);
    await admin.close();
  });

  it('refuses a principal that is none for its own caller only', async () => {
    const admin = openAdmin();
    const bad = admin.put([device('a/b')]);
    const good = admin.put([device('plug-1')]);
    await expect(bad).rejects.toMatchObject({ code: 'malformed_message' });
    await good;
    expect(broker.stats().principals).toBe(1);
    await admin.close();
  });

  it('says unavailable when the broker is away, and goes on when it is back', async () => {
    const admin = openAdmin(200);
    await admin.put([device('plug-1')]);
    await broker.close();
    await expect(admin.put([device('plug-2')])).rejects.toMatchObject({ code: 'unavailable' });
    broker = start();
    await waitFor(
      () =>
        admin.put([device('plug-2')]).then(
          () => true,
          () => false,
        ),
      'a put',
    );
    expect(broker.stats().principals).toBe(1);
    await admin.close();
    await expect(admin.put([device('plug-3')])).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('rejects what waits when it is closed', async () => {
    const admin = openAdmin();
    await broker.close();
    const waiting = admin.setTrustAnchors([]);
    await Promise.all([expect(waiting).rejects.toMatchObject({ code: 'unavailable' }), admin.close()]);
  });

  it('tries a rebuild again that has failed', async () => {
    const admin = openAdmin();
    const tries = new Collector<number>();
    admin.onCopyLost(async () => {
      tries.add(tries.items.length);
      if (tries.items.length < 3) throw new Error('the database is away');
      await admin.replaceAll([device('plug-1')]);
    });
    await tries.first(3);
    await waitFor(() => broker.stats().isCopyComplete);
    expect(broker.stats().principals).toBe(1);
    await admin.close();
  });

  it('does not ask for the copy again when only the connection was lost', async () => {
    let rebuilds = 0;
    const connected = new Collector<void>();
    const admin = new AedesBrokerAdmin({
      address: 'in-process home',
      open: (suffix) => {
        const client = inProcess(() => broker, 'topic-generator', suffix);
        client.on('connect', () => connected.add());
        client.on('packetreceive', () => {
          if (rebuilds === 1 && connected.items.length === 1) client.stream.destroy();
        });
        return client;
      },
    });
    admin.onCopyLost(async () => {
      await admin.replaceAll([device('plug-1')]);
      rebuilds += 1;
    });
    await waitFor(() => rebuilds === 1);
    void admin.put([device('plug-2')]);
    await connected.first(2);
    await admin.put([device('plug-3')]);
    expect(rebuilds).toBe(1);
    expect(broker.stats().principals).toBe(3);
    await admin.close();
  });

  it('lets the newer of two replacements win', async () => {
    const admin = openAdmin();
    const isUnderWay = deferred();
    const goOn = deferred();
    const older = admin.replaceAll(
      (async function* () {
        yield device('old');
        isUnderWay.resolve();
        await goOn.promise;
      })(),
    );
    await isUnderWay.promise;
    await admin.replaceAll([device('new')]);
    goOn.resolve();
    await expect(older).rejects.toMatchObject({ code: 'conflict' });
    expect(broker.stats()).toMatchObject({ principals: 1, isCopyComplete: true });
    await admin.close();
  });

  it('gives the trust anchors again to a broker that has lost them', async () => {
    const certificates = await Certificates.create();
    const credentials = { ca: certificates.root.certificate, ...(await certificates.preloaded('plug-1')) };
    const listen = async () => {
      const options = { host: '127.0.0.1', port: 0, ca: [], ...certificates.server } as const;
      const { port } = await broker.listenTls({ ...options, clientCertificates: 'required' });
      return `mqtts://127.0.0.1:${port}`;
    };
    broker = new EmbeddedBroker({ role: 'activation', clock: new SystemClock(), log: silentLogger });
    expect(await tryConnect(await listen(), credentials)).toHaveProperty('refusedWith');
    const admin = new AedesBrokerAdmin({
      address: 'in-process activation',
      open: (suffix) => inProcess(() => broker, 'discovery', suffix),
    });
    await admin.setTrustAnchors([certificates.manufacturer.certificate]);
    admin.onCopyLost(() => admin.replaceAll([]));
    const first = await tryConnect(await listen(), credentials);
    expect(first).toHaveProperty('client');
    await broker.close();
    broker = new EmbeddedBroker({ role: 'activation', clock: new SystemClock(), log: silentLogger });
    await waitFor(() => broker.stats().isCopyComplete);
    const second = await tryConnect(await listen(), credentials);
    expect(second).toHaveProperty('client');
    for (const outcome of [first, second]) if ('client' in outcome) outcome.client.end(true);
    await admin.close();
  });
});

describe('the control topic', () => {
  it('answers nonsense with an error or not at all, and goes on', async () => {
    const client = inProcess(() => broker, 'topic-generator', 'raw');
    const answers = new Collector<unknown>();
    client.on('message', (_topic, payload) => answers.add(JSON.parse(payload.toString())));
    await client.subscribeAsync(`${accessControlTopic}/response`);
    for (const request of ['', '{', '[]', '"x"', '{"id":"1"}', '{"id":"2","commands":[{"command":"format-disk"}]}']) {
      await client.publishAsync(accessControlTopic, request, { qos: 1 });
    }
    const evil = device('a+b');
    await client.publishAsync(
      accessControlTopic,
      JSON.stringify({ id: '3', commands: [{ command: 'put', principals: [evil] }] }),
      { qos: 1 },
    );
    await client.publishAsync(accessControlTopic, JSON.stringify({ id: '4', commands: [] }), { qos: 1 });
    const malformed = { error: { code: 'malformed_message' } };
    expect(await answers.first(4)).toMatchObject([
      { id: '1', ...malformed },
      { id: '2', ...malformed },
      { id: '3', ...malformed },
      { id: '4', isComplete: false },
    ]);
    expect(broker.stats().principals).toBe(0);
    client.end(true);
  });
});
