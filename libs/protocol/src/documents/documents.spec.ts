import { readFileSync, writeFileSync } from 'node:fs';
import { env } from 'node:process';
import specs from '@asyncapi/specs';
import { Ajv, type Options } from 'ajv';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { messageNames } from '../registry.js';
import { vectors } from '../test-support/vectors.js';
import { asyncApiDocument } from './asyncapi.js';
import { fillSections, protocolSections } from './markdown.js';

const docs = new URL('../../../../docs/', import.meta.url);
const examples = new Map(vectors.map(({ name, sent }) => [name, sent]));
const isUpdate = env['UPDATE_DOCS'] === '1';

function ajv(options: Options = {}): Ajv {
  return new Ajv({ strict: false, allErrors: true, formats: fullFormats, ...options });
}

describe('docs/asyncapi.json', () => {
  const file = new URL('asyncapi.json', docs);
  const text = asyncApiDocument(examples);

  it('is what the registry gives (UPDATE_DOCS=1 writes it anew)', () => {
    if (isUpdate) writeFileSync(file, text);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('comes out the same each time', () => {
    expect(asyncApiDocument(examples)).toBe(text);
  });

  it('is an AsyncAPI 3.0 document', () => {
    // The schema brings the JSON Schema meta-schema along, under the name under which Ajv has its own.
    const validate = ajv({ meta: false, validateSchema: false }).compile(specs.schemas['3.0.0']);
    const valid = validate(JSON.parse(text));
    expect(validate.errors?.slice(0, 5) ?? []).toEqual([]);
    expect(valid).toBe(true);
    const broken: unknown = { ...z.looseObject({}).parse(JSON.parse(text)), operations: { x: { action: 'shout' } } };
    expect(validate(broken)).toBe(false);
  });

  it('refers to nothing that is not there', () => {
    const document: unknown = JSON.parse(text);
    const references = [...text.matchAll(/"\$ref": "#\/([^"]+)"/g)].map(([, path]) => String(path));
    expect(references.length).toBeGreaterThan(100);
    const dangling = references.filter(
      (path) => path.split('/').reduce<unknown>((at, key) => Object(at)[key], document) === undefined,
    );
    expect(dangling).toEqual([]);
  });

  it('has a schema for each message that takes its golden vector, and no key more', () => {
    const { components } = z
      .object({
        components: z.object({
          messages: z.record(z.string(), z.looseObject({ payload: z.looseObject({}), examples: z.array(z.unknown()) })),
        }),
      })
      .parse(JSON.parse(text));
    expect(Object.keys(components.messages)).toEqual([...messageNames]);
    for (const vector of vectors) {
      const message = components.messages[vector.name];
      expect(message?.examples).toEqual([{ payload: vector.sent }]);
      const validate = ajv().compile(message?.payload ?? false);
      validate(vector.sent);
      expect({ name: vector.name, errors: validate.errors }).toEqual({ name: vector.name, errors: null });
      expect(validate({ ...vector.sent, more: 1 })).toBe(false);
    }
  });
});

describe('docs/protocol.md', () => {
  const file = new URL('protocol.md', docs);

  it('has the tables and examples of the registry (UPDATE_DOCS=1 writes them anew)', () => {
    const page = readFileSync(file, 'utf8');
    const filled = fillSections(page, protocolSections(vectors));
    if (isUpdate) writeFileSync(file, filled);
    expect(readFileSync(file, 'utf8')).toBe(filled);
  });

  it('cannot lose a section, nor name one that does not exist', () => {
    const sections = new Map([['a', 'text']]);
    expect(fillSections('<!-- begin:a -->\nold\n<!-- end:a -->', sections)).toBe(
      '<!-- begin:a -->\ntext\n<!-- end:a -->',
    );
    expect(() => fillSections('nothing', sections)).toThrow(/no place for a/);
    expect(() => fillSections('<!-- begin:b -->\n<!-- end:b -->', sections)).toThrow(/nothing to put at b/);
  });
});
