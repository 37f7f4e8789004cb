import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Mqtt2goError } from './errors.js';
import { messageLimits, parseJson } from './parse-json.js';

const limits = { maxBytes: 1024, maxDepth: 4 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const codeOf = (payload: Uint8Array): string => {
  try {
    parseJson(payload, limits);
    return 'none';
  } catch (error) {
    return error instanceof Mqtt2goError ? error.code : `not ours: ${String(error)}`;
  }
};

describe('parsing JSON from outside', () => {
  it.each([
    ['{}', 'none'],
    ['[[[[]]]]', 'none'],
    ['[[[[[]]]]]', 'malformed_message'],
    ['{"a":{"b":{"c":{"d":{}}}}}', 'malformed_message'],
    [`"${'['.repeat(100)}"`, 'none'],
    ['"\\"[[[[[[["', 'none'],
    ['"\\\\"', 'none'],
    ['', 'malformed_message'],
    ['{"a":1', 'malformed_message'],
    ["{'a':1}", 'malformed_message'],
    ['NaN', 'malformed_message'],
    ['{"__proto__":{"a":1}}', 'malformed_message'],
    ['{"\\u005f_proto__":{"a":1}}', 'malformed_message'],
    [`"${'x'.repeat(1022)}"`, 'none'],
    [`"${'x'.repeat(1023)}"`, 'message_too_large'],
    [`"${'é'.repeat(511)}"`, 'none'],
    [`"${'é'.repeat(512)}"`, 'message_too_large'],
  ])('%.40s: %s', (text, expected) => {
    expect(codeOf(bytes(text))).toBe(expected);
  });

  it.each([
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['half a character', [0x22, 0xe2, 0x82, 0x22]],
    ['half a surrogate pair', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['Latin-1', [0x22, 0xe9, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x22, 0x00, 0x22, 0x00]],
  ])('refuses %s', (_, raw) => {
    expect(codeOf(Uint8Array.from(raw))).toBe('malformed_message');
  });

  it('gives back what JSON says', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 2 }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('__proto__'));
        const expected: unknown = JSON.parse(text);
        expect(parseJson(bytes(text), messageLimits.management)).toStrictEqual(expected);
      }),
    );
  });

  it('throws nothing but a coded error, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 2000 }), fc.json({ maxDepth: 8 }).map(bytes)), (payload) => {
        expect(['none', 'malformed_message', 'message_too_large']).toContain(codeOf(payload));
      }),
      { numRuns: 1000 },
    );
  });

  it('does not look into what is too large', () => {
    expect(codeOf(new Uint8Array(1 << 20).fill(0x5b))).toBe('message_too_large');
    expect(() => parseJson(new Uint8Array(1 << 20), messageLimits.onboarding)).toThrow(
      /1048576 bytes; this topic takes 16384/,
    );
  });

  it('survives the deepest nesting that its size allows', () => {
    const deep = bytes('['.repeat(messageLimits.management.maxBytes));
    expect(() => parseJson(deep, { ...messageLimits.management, maxDepth: Number.MAX_SAFE_INTEGER })).toThrow(
      Mqtt2goError,
    );
  });
});
