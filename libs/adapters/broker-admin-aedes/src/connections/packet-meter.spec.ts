import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketMeter } from './packet-meter.js';
import { TokenBucket } from './token-bucket.js';

function packet(bodyLength: number): Uint8Array {
  const length: number[] = [];
  let left = bodyLength;
  do {
    const more = left >> 7;
    length.push((left & 0x7f) | (more > 0 ? 0x80 : 0));
    left = more;
  } while (left > 0);
  return Uint8Array.from([0x30, ...length, ...new Uint8Array(bodyLength)]);
}

describe('PacketMeter', () => {
  it('counts the packets, however the bytes are cut', () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 5 });
    fc.assert(
      fc.property(lengths, fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1 }), (bodies, cuts) => {
        const bytes = Buffer.concat(bodies.map(packet));
        const meter = new PacketMeter();
        for (let at = 0, i = 0; at < bytes.length; i += 1) {
          const end = at + (cuts[i % cuts.length] ?? 1);
          expect(meter.accept(bytes.subarray(at, end), 40_000)).toBe(true);
          at = end;
        }
        expect(meter.packets).toBe(bodies.length);
      }),
    );
  });

  it('knows a packet that is too large by its header', () => {
    const meter = new PacketMeter();
    expect(meter.accept(packet(1_000), 1_000)).toBe(true);
    expect(meter.accept(packet(1_001).subarray(0, 3), 1_000)).toBe(false);
  });

  it('does not take a length of five bytes', () => {
    expect(new PacketMeter().accept(Uint8Array.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x01]), 1e9)).toBe(false);
  });
});

describe('TokenBucket', () => {
  it('lets a burst through and then so much a second', () => {
    const bucket = new TokenBucket(1_000, 100, 0);
    expect(bucket.waitMs(0)).toBe(0);
    bucket.take(1_500);
    const waitMs = bucket.waitMs(0);
    expect(waitMs).toBeGreaterThan(5_000);
    expect(waitMs).toBeLessThan(5_100);
    expect(bucket.waitMs(waitMs)).toBe(0);
    expect(bucket.waitMs(1e9)).toBe(0);
    bucket.take(999);
    expect(bucket.waitMs(1e9)).toBe(0);
  });
});
