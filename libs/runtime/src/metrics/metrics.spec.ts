import { Counter } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { createRegistry, mergeMetrics } from './metrics.js';

describe('mergeMetrics', () => {
  it('puts the lines of one name from several services together under one heading', async () => {
    const registries = ['a', 'b'].map((service) => {
      const registry = createRegistry(service);
      new Counter({ name: 'things_total', help: 'Things.', registers: [registry] }).inc();
      return registry;
    });
    const texts = await Promise.all(registries.map((registry) => registry.metrics()));
    expect(mergeMetrics(texts)).toBe(
      '# HELP things_total Things.\n# TYPE things_total counter\nthings_total{service="a"} 1\nthings_total{service="b"} 1\n',
    );
  });

  it('makes nothing of nothing', () => {
    expect(mergeMetrics([])).toBe('');
    expect(mergeMetrics(['\n'])).toBe('');
  });
});
