import { describe, expect, it, onTestFinished } from 'vitest';
import { checkHealth, type HealthCheck } from './health.js';
import { serveOperations } from './serve-operations.js';

const works: HealthCheck = { name: 'works', check: () => undefined };
const broken = (more: Partial<HealthCheck> = {}): HealthCheck => ({
  name: 'broken',
  check: () => {
    throw new Error('away');
  },
  ...more,
});

describe('a service', () => {
  it.each([
    ['up', [works]],
    ['down', [works, broken()]],
    ['up', [{ ...works, oneOf: 'any' }, broken({ oneOf: 'any' })]],
    ['degraded', [works, broken({ degrades: true })]],
    ['down', [broken(), broken({ degrades: true })]],
    ['up', [{ ...works, degrades: true }]],
  ])('is %s', async (status, checks) => {
    expect((await checkHealth('service', checks)).status).toBe(status);
  });

  it('tells what is wrong when it is degraded', async () => {
    const { dependencies } = await checkHealth('service', [works, broken({ degrades: true })]);
    expect(dependencies).toEqual([
      { name: 'works', status: 'up' },
      { name: 'broken', status: 'down', reason: 'away' },
    ]);
  });

  it.each([
    [200, 'degraded', [[broken({ degrades: true })], [works]]],
    [503, 'down', [[broken({ degrades: true })], [broken()]]],
    [200, 'up', [[works], [works]]],
  ])('answers %i with others that are %s', async (code, status, services) => {
    const handles = services.map((checks) => ({
      name: 'service',
      health: () => checkHealth('service', checks),
      metrics: async () => '',
      stop: async () => undefined,
    }));
    const server = await serveOperations(handles, { host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    const response = await fetch(`http://127.0.0.1:${server.port}/health/ready`);
    expect(response.status).toBe(code);
    expect(await response.json()).toMatchObject({ status });
  });
});
