import { describe, expect, it } from 'vitest';
import { WireA, WireB, WireOverlappingA } from './test-support/plugins.js';
import { RevisionRegistry } from './revision-registry.js';

describe('the registry of revisions', () => {
  const a = new WireA();
  const b = new WireB();

  it('finds a wire by revision and by topic', () => {
    const registry = new RevisionRegistry([a, b]);
    expect(registry.get('a')).toBe(a);
    expect(registry.find('z')).toBeUndefined();
    expect(registry.ofHomeTopic('b/x/in')).toBe(b);
    expect(registry.ofHomeTopic('c/x/in')).toBeUndefined();
    expect(registry.ofActivationTopic('code/activation')).toBe(b);
    expect(registry.homeFilters).toEqual(['a/+/in', 'b/+/in']);
    expect(registry.activationFilters).toEqual(['+/activation']);
  });

  it('reads by the wire that a topic belongs to, and ignores topics of nobody', () => {
    const registry = new RevisionRegistry([b]);
    expect(registry.readHome('nobody', new Uint8Array())).toEqual({ outcome: 'ignored' });
    expect(registry.readActivation('nobody', new Uint8Array())).toEqual({ outcome: 'ignored' });
    expect(registry.readHome('b/x/in', new Uint8Array())).toEqual({ outcome: 'ignored' });
  });

  it('says which revision is missing', () => {
    expect(() => new RevisionRegistry([a]).get('2.1')).toThrow(
      expect.objectContaining({ code: 'unavailable', message: expect.stringContaining('2.1') }),
    );
  });

  it('refuses a second wire for a revision, and one that reads the topics of another', () => {
    const registry = new RevisionRegistry([a]);
    expect(() => registry.add(new WireA())).toThrow(expect.objectContaining({ code: 'plugin_failed' }));
    expect(() => registry.add(new WireOverlappingA())).toThrow(/overlaps with a\/\+\/in of revision a/);
    expect(registry.wires).toEqual([a]);
    registry.remove(a);
    registry.remove(b);
    registry.add(new WireOverlappingA());
    expect(registry.find('a')).toBeUndefined();
  });
});
