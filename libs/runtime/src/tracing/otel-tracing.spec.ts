import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { currentTraceparent, recordOnboarding, traced, withOnboarding } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Collector } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { startTracing } from './start-tracing.js';

const span = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  status: z.object({ code: z.int().optional() }),
  attributes: z.array(z.object({ key: z.string(), value: z.object({ stringValue: z.string().optional() }) })),
});
type Span = z.infer<typeof span>;
const request = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: span.shape.attributes }),
      scopeSpans: z.array(z.object({ spans: z.array(span) })),
    }),
  ),
});

describe('tracing', () => {
  const spans = new Collector<Span>();
  const resources = new Set<string | undefined>();
  const collector = createServer((asked, answer) => {
    const parts: Buffer[] = [];
    asked.on('data', (part: Buffer) => parts.push(part));
    asked.on('end', () => {
      for (const { resource, scopeSpans } of request.parse(JSON.parse(Buffer.concat(parts).toString())).resourceSpans) {
        resources.add(resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue);
        for (const one of scopeSpans.flatMap((scope) => scope.spans)) spans.add(one);
      }
      answer.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  let env: Record<string, string>;
  let stop = async (): Promise<void> => undefined;

  beforeAll(async () => {
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const address: AddressInfo | string | null = collector.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_SCHEDULE_DELAY: '10' };
  });
  afterEach(async () => {
    await stop();
    spans.items.length = 0;
  });
  afterAll(() => new Promise((resolve) => collector.close(resolve)));

  const start = async (more: Record<string, string> = {}): Promise<void> => {
    for (const [name, value] of Object.entries({ ...env, ...more })) vi.stubEnv(name, value);
    stop = await startTracing('provisioning', { ...env, ...more });
  };
  const sent = async (): Promise<readonly Span[]> => {
    await stop();
    return spans.items;
  };

  it('does nothing without an endpoint', async () => {
    stop = await startTracing('provisioning', {});
    await traced('step', async () => expect(currentTraceparent()).toBeUndefined());
    expect(await sent()).toEqual([]);
  });

  it('makes one trace of an onboarding, whose id is the onboarding’s, with its steps below the whole', async () => {
    await start();
    const onboardingId = randomUUID();
    let traceparent: string | undefined;
    await withOnboarding(onboardingId, () =>
      traced('certify', () =>
        traced('ask', async () => {
          traceparent = currentTraceparent();
        }),
      ),
    );
    // In another service, by what came with the request; and later, in another message.
    await withOnboarding(onboardingId, () => traced('answer', async () => undefined, { parent: traceparent }));
    await withOnboarding(onboardingId, () => traced('arrive', async () => undefined));
    recordOnboarding({ onboardingId, startMs: Date.now() - 1_000, endMs: Date.now(), outcome: 'active' });
    const all = await sent();
    const named = Object.fromEntries(all.map((one) => [one.name, one]));
    expect(new Set(all.map(({ traceId }) => traceId))).toEqual(new Set([onboardingId.replaceAll('-', '')]));
    expect(named['onboarding']?.parentSpanId ?? '').toBe('');
    expect(named['certify']?.parentSpanId).toBe(named['onboarding']?.spanId);
    expect(named['arrive']?.parentSpanId).toBe(named['onboarding']?.spanId);
    expect(named['ask']?.parentSpanId).toBe(named['certify']?.spanId);
    expect(named['answer']?.parentSpanId).toBe(named['ask']?.spanId);
    expect(resources).toEqual(new Set(['provisioning']));
  });

  it('marks what failed with its code', async () => {
    await start();
    const refused = traced('step', () => Promise.reject(new Mqtt2goError('unknown_home')));
    await expect(refused).rejects.toMatchObject({ code: 'unknown_home' });
    const [one] = await sent();
    expect(one?.status.code).toBe(2);
    expect(one?.attributes).toContainEqual({ key: 'error.type', value: { stringValue: 'unknown_home' } });
  });

  it('keeps a part of the traces if asked to, and takes no forged parent', async () => {
    await start({ OTEL_TRACES_SAMPLER_ARG: '0' });
    await traced('step', async () => undefined);
    expect(await sent()).toEqual([]);
    await start();
    await traced('step', async () => undefined, { parent: `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01` });
    await traced('step', async () => undefined, { parent: '"; DROP' });
    expect((await sent()).every(({ traceId }) => /[1-9a-f]/.test(traceId))).toBe(true);
  });

  it('ends in time where nobody takes the spans', async () => {
    await start({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    await traced('step', async () => undefined);
    await stop();
  });
});
