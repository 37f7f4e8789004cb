import { readFile } from 'node:fs/promises';
import { join as joinPath, resolve } from 'node:path';
import { auditHeads, auditSchemas, listAudit, sealKeyOf, verifyAudit } from '@mqtt2go/audit';
import { runnableServices } from '@mqtt2go/config';
import { provisioning } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bootstrap } from '../../../tools/bootstrap.mjs';
import { activateDevice, addDeviceTopic, fetchBrokerData, join } from './support/joining.js';
import { databasePid } from './support/program.js';
import { readiness, SeparateProcesses } from './support/separate-processes.js';
import { SpanCollector } from './support/span-collector.js';

const root = resolve(import.meta.dirname, '../../..');
const metricName = /\b(?:mqtt2go|nodejs|process)_[a-z0-9_]+/g;
const plain = (name: string): string => name.replace(/_(?:bucket|count|sum)$/, '');

describe('operating the platform, each service its own process', () => {
  let stand: SeparateProcesses;
  let collector: SpanCollector;

  beforeAll(async () => {
    await bootstrap();
    collector = await SpanCollector.start();
    stand = await SeparateProcesses.create();
    await stand.start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' });
  });
  afterAll(async () => {
    await stand.close();
    await collector.close();
  });

  const addDevice = async () => {
    const { device, app } = await stand.prepare();
    const controller = await stand.connectApp(app);
    const joined = await join(stand, app, controller, device);
    return { device, app, controller, joined };
  };
  const onboardingOf = async (deviceId: string) => {
    const bus = await stand.operator();
    const onboarding = await bus.call(provisioning.getOnboarding, { deviceId });
    await bus.close();
    return onboarding;
  };
  const withDatabase = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const read = async (name: string) => (await readFile(joinPath(stand.dataDir, 'postgres', name), 'utf8')).trim();
    const url = `postgres://mqtt2go:${await read('password')}@127.0.0.1:${await read('port')}/mqtt2go`;
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return work(client).finally(() => client.end());
  };
  const ports = () => [Number(stand.ports.MQTT2GO_HEALTH_PORT), ...Object.values(stand.healthPorts)];

  it('shows an onboarding as one trace through all four services', async () => {
    const { device } = await addDevice();
    const { onboardingId } = await onboardingOf(device.deviceId);
    const traceId = onboardingId.replaceAll('-', '');
    const ofTrace = () => collector.spans.filter((span) => span.traceId === traceId);
    const spans = await waitFor(() => {
      const found = ofTrace();
      const services = new Set(found.map(({ service }) => service));
      return services.size === 4 && found.some(({ name }) => name === 'onboarding') && found;
    }, 'the trace');
    const names = new Set(spans.map(({ service, name }) => `${service}: ${name}`));
    for (const expected of [
      'provisioning: onboarding',
      'provisioning: onboarding.certify',
      'certificate-authority: mqtt2go/certificate-authority/issue-device-certificate',
      'topic-generator: mqtt2go/topic-generator/admit-device',
      'discovery: POST /activate_device',
      'discovery: discovery.claim',
      'provisioning: mqtt2go/provisioning/claim-onboarding',
      'provisioning: onboarding.name',
    ]) {
      expect([...names]).toContain(expected);
    }
    const ids = new Set(spans.map(({ spanId }) => spanId));
    const root = spans.find(({ name }) => name === 'onboarding');
    for (const { spanId, parentSpanId } of spans) if (spanId !== root?.spanId) expect(ids).toContain(parentSpanId);
  });

  it('tells who did what in all services’ audit logs, which verify', async () => {
    const { device, app } = await addDevice();
    const sealKey = sealKeyOf(await readFile(joinPath(stand.dataDir, 'secrets', 'encryption.key'), 'utf8'));
    await withDatabase(async (client) => {
      const schemas = await auditSchemas(client);
      expect(schemas).toEqual(['certificate_authority', 'discovery', 'federation', 'provisioning', 'topic_generator']);
      for (const schema of schemas) {
        const verdict = await waitFor(async () => {
          const current = await verifyAudit(client, schema, { sealKey });
          return current.notChained === 0 && current;
        });
        expect(verdict).toMatchObject({ problemCount: 0 });
        // No gateway was invited: federation has done nothing that would be noted.
        expect(verdict.seals > 0, schema).toBe(schema !== 'federation');
      }
      const entries = await listAudit(client, schemas, { deviceId: device.deviceId, limit: 100 });
      const { onboardingId } = await onboardingOf(device.deviceId);
      const told = entries.filter((entry) => entry.onboarding_id === onboardingId).map(({ action }) => action);
      expect(told.toSorted()).toEqual(
        [
          'activation.announced',
          'activation.claimed',
          'certificate.issued',
          'device.admitted',
          'device.named',
          'onboarding.active',
          'onboarding.announced',
          'onboarding.awaiting-name',
          'onboarding.certified',
          'onboarding.claimed',
          'onboarding.requested',
        ]
          .concat(told.filter((action) => action === 'activation.withdrawn'))
          .toSorted(),
      );
      const text = JSON.stringify(await listAudit(client, schemas, { limit: 10_000 }));
      for (const secret of [device.code, app.password, 'PRIVATE KEY', 'BEGIN']) expect(text).not.toContain(secret);
      expect(await auditHeads(client)).toHaveLength(4);
    });
  });

  it('gives the metrics that docs, dashboard and alerts name, and no others', async () => {
    await addDevice();
    const texts = await Promise.all(
      ports().map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
    );
    const given = new Set(texts.flatMap((text) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name)));
    const own = [...given].filter((name) => name.startsWith('mqtt2go_'));
    const docs = await readFile(joinPath(root, 'docs/metrics.md'), 'utf8');
    const documented = [...docs.matchAll(/^\| `(mqtt2go_\w+)`/gm)].map(([, name = '']) => name);
    expect(documented.toSorted()).toEqual(own.toSorted());

    const dashboard = z
      .object({
        uid: z.string(),
        panels: z.array(
          z.object({ id: z.int(), title: z.string(), targets: z.array(z.object({ expr: z.string() })).optional() }),
        ),
      })
      .parse(JSON.parse(await readFile(joinPath(root, 'docker/grafana/mqtt2go.json'), 'utf8')));
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const alerts = z
      .object({
        groups: z.array(z.object({ rules: z.array(z.object({ alert: z.string(), expr: z.string() })) })),
      })
      .parse(parse(await readFile(joinPath(root, 'docker/prometheus/alerts.yaml'), 'utf8')));
    const shown = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const watched = alerts.groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
    for (const expr of [...shown, ...watched]) {
      const names = [...expr.matchAll(metricName)].map(([name]) => name);
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) expect({ expr, name: given.has(name) ? name : plain(name) }).toSatisfy(isGiven(given));
    }
    // Whatever is measured is on the dashboard.
    const onDashboard = new Set(shown.flatMap((expr) => [...expr.matchAll(metricName)].map(([name]) => plain(name))));
    expect(own.filter((name) => !onDashboard.has(name))).toEqual([]);
  });

  it('finishes what it has begun when it is told to end, and goes on with the rest at the next start', async () => {
    const prepared: Awaited<ReturnType<typeof stand.prepare>>[] = [];
    while (prepared.length < 6) prepared.push(await stand.prepare());
    const running = prepared.map(async ({ device, app }) => {
      const controller = await stand.connectApp(app);
      await controller.publish(addDeviceTopic(app), activateDevice(device));
      return controller;
    });
    const provisioningBefore = stand.service('provisioning');
    const discoveryBefore = stand.service('discovery');
    await provisioningBefore.says((line) => line.includes('the onboarding is requested'));
    const startedAt = performance.now();
    const ended = await Promise.all([provisioningBefore.end('SIGTERM'), discoveryBefore.end('SIGTERM')]);
    expect(ended.map(({ code }) => code)).toEqual([0, 0]);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(provisioningBefore.err).toEqual([]);
    stand.startService('discovery');
    stand.startService('provisioning');
    await stand.allReady();
    for (const { device } of prepared) {
      const state = await waitFor(
        async () => {
          const found = await onboardingOf(device.deviceId).catch(() => undefined);
          return found?.state === 'announced' && found.state;
        },
        `${device.deviceId} announced`,
        30_000,
      );
      expect(state).toBe('announced');
      // A broker that is being filled again refuses for a moment, and devices ask again.
      await waitFor(() => fetchBrokerData(stand, device).catch(() => undefined), 'the broker data', 30_000);
    }
    for (const controller of await Promise.all(running)) await controller.close();
  });

  it('says that the database is gone, and comes back with it', async () => {
    const pid = await databasePid(stand.dataDir);
    process.kill(pid ?? 0, 'SIGQUIT');
    for (const service of runnableServices) {
      const down = await waitFor(
        async () => {
          const state = await readiness(stand.healthPorts[service]);
          return state.http === 503 && state;
        },
        `${service} not ready`,
        30_000,
      );
      expect(down.dependencies['database']).toMatchObject({ status: 'down' });
      expect(down.dependencies['database']?.reason).toBeTruthy();
      expect((await fetch(`http://127.0.0.1:${stand.healthPorts[service]}/health/live`)).status).toBe(200);
      expect((await fetch(`http://127.0.0.1:${stand.healthPorts[service]}/metrics`)).status).toBe(200);
    }
    await stand.infrastructure?.end('SIGKILL');
    await stand.startInfrastructure();
    await stand.allReady();
    await addDevice();
  });
});

const isGiven =
  (given: ReadonlySet<string>) =>
  (found: unknown): boolean =>
    z.object({ name: z.string().refine((name) => given.has(name)) }).safeParse(found).success;
