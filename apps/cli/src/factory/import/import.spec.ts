import { provisioning } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { running } from '../../stand-in/running.js';
import { type StandInBus, startStandInBus } from '../../stand-in/stand-in-bus.js';

const pattern = 'mqtt2go/provisioning/import-factory-records';
const header = 'device_id,activation_code,device_type,key_mode,public_key';

describe('factory import', () => {
  let bus: StandInBus;
  let records: { device_id: string; key_mode?: string; public_key?: string }[];

  beforeEach(async () => {
    bus = await startStandInBus();
    records = [];
    bus.answers.set(pattern, takes);
  });
  afterEach(() => bus.close());

  function takes(body: unknown) {
    const given = provisioning.importFactoryRecords.input.parse(body).records;
    records.push(...given.map((record) => provisioning.factoryRecord.parse(record)));
    return { imported: given.length, rejected: [] };
  }

  async function importing(name: string, content: string, ...more: string[]) {
    const file = join(bus.dataDir, name);
    await writeFile(file, content);
    const ran = await running(['factory', 'import', file, '--json', '--data', bus.dataDir, ...more]);
    const lines = ran.out.trim().split('\n').filter(Boolean);
    return { ...ran, file, result: lines.map((line): unknown => JSON.parse(line))[0] };
  }
  const csv = (count: number, from = 0) =>
    [header, ...Array.from({ length: count }, (_unused, at) => `d${from + at},c${from + at},socket,server-key,`)].join(
      '\n',
    );
  const exists = (file: string) =>
    access(file).then(
      () => true,
      () => false,
    );

  it('takes CSV with its columns in any order, quoted fields and keys over several lines', async () => {
    const pem = '-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----';
    const content = [
      '\uFEFFDevice_ID, device_type,activation_code,public_key,note',
      'd1,socket,c1,,"says ""hello"", twice"',
      '',
      `"d2" ,light,c2,"${pem}",x`,
      'd3,socket,c3,,\r',
    ].join('\n');
    const { code, result } = await importing('a.csv', content);
    expect({ code, result }).toMatchObject({ code: 0, result: { imported: 3, rejected: 0 } });
    expect(records).toEqual([
      { device_id: 'd1', activation_code: 'c1', device_type: 'socket', key_mode: 'server-key' },
      { device_id: 'd2', activation_code: 'c2', device_type: 'light', key_mode: 'existing-key', public_key: pem },
      { device_id: 'd3', activation_code: 'c3', device_type: 'socket', key_mode: 'server-key' },
    ]);
  });

  it('takes JSON Lines', async () => {
    const lines = [
      { device_id: 'd1', activation_code: 'c1', device_type: 'socket', key_mode: 'csr' },
      { device_id: 'd2', activation_code: 'c2', device_type: 'tv' },
    ];
    const { code } = await importing('a.jsonl', `${lines.map((line) => JSON.stringify(line)).join('\r\n')}\n\n`);
    expect(code).toBe(0);
    expect(records.map(({ device_id: id, key_mode: mode }) => [id, mode])).toEqual([
      ['d1', 'csr'],
      ['d2', 'server-key'],
    ]);
  });

  it('tells bad lines by their number, leaves them out, and takes the rest', async () => {
    const content = [
      header,
      'd1,c1,socket,,',
      'a/b,c2,socket,,',
      'd3,,socket,,',
      'd4,c4,socket',
      'd5,"c5,socket,,',
      'd"6,c6,socket,,',
      'd7,c7,socket,existing-key,',
      'd8,c8,socket,magic,',
      'd9,c9,socket,,',
    ].join('\n');
    const { code, err, file, result } = await importing('a.csv', content);
    expect({ code, result }).toMatchObject({ code: 0, result: { imported: 2, rejected: 7 } });
    expect(records.map(({ device_id: id }) => id)).toEqual(['d1', 'd9']);
    const numbers = [3, 4, 5, 6, 7, 8, 9];
    expect(err.match(/^line \d+/gm)).toEqual(numbers.map((number) => `line ${number}`));
    expect(err).toContain('line 4: activation_code is missing');
    const rejected = (await readFile(`${file}.rejected.jsonl`, 'utf8')).trim().split('\n');
    expect(rejected.map((line): unknown => JSON.parse(line).line)).toEqual(numbers);
    expect(rejected.join()).not.toContain('c2');
  });

  it.each([
    ['no JSON', '{"device_id":'],
    ['no object', '[1]'],
    ['a line of a megabyte', JSON.stringify({ device_id: 'x'.repeat(1_000_000) })],
  ])('takes the rest of JSON Lines with a bad one: %s', async (_what, bad) => {
    const good = JSON.stringify({ device_id: 'd2', activation_code: 'c', device_type: 'socket' });
    const { result, err } = await importing('a.jsonl', `${bad}\n${good}`);
    expect(result).toMatchObject({ imported: 1, rejected: 1 });
    expect(err).toMatch(/^line 1: /);
  });

  it('tells what the registry does not take by the number of its line', async () => {
    bus.answers.set(pattern, () => ({ imported: 1, rejected: [{ index: 1, reason: 'not a key' }] }));
    const { result, err } = await importing('a.csv', csv(2));
    expect(result).toMatchObject({ imported: 1, rejected: 1 });
    expect(err).toBe('line 3: not a key\n');
  });

  it('sends batches of a thousand, and no line twice or never', async () => {
    const { result } = await importing('a.csv', csv(2_500));
    expect(result).toMatchObject({ imported: 2_500, rejected: 0 });
    expect(bus.calls).toHaveLength(3);
    expect(new Set(records.map(({ device_id: id }) => id)).size).toBe(2_500);
  });

  it('goes on where it ended, when it is given the same file again', async () => {
    let calls = 0;
    bus.answers.set(pattern, (body) => {
      if (++calls > 2) throw new Mqtt2goError('conflict', 'The disk is full.');
      return takes(body);
    });
    const first = await importing('a.csv', csv(5_000));
    expect(first).toMatchObject({ code: 1, err: expect.stringContaining('2,000 records are in') });
    const state = `${first.file}.import-state.json`;
    expect(await exists(state)).toBe(true);

    bus.answers.set(pattern, takes);
    const second = await importing('a.csv', csv(5_000));
    expect(second).toMatchObject({ code: 0, result: { imported: 5_000, rejected: 0 } });
    expect(records).toHaveLength(5_000);
    expect(await exists(state)).toBe(false);
  });

  it('starts anew with another file of the same name', async () => {
    let calls = 0;
    bus.answers.set(pattern, (body) => {
      if (++calls > 1) throw new Mqtt2goError('conflict');
      return takes(body);
    });
    await importing('a.csv', csv(3_000));
    bus.answers.set(pattern, takes);
    records = [];
    expect(await importing('a.csv', csv(3_000, 7))).toMatchObject({ result: { imported: 3_000 } });
    expect(records).toHaveLength(3_000);
  });

  it('does the same again when it is given a file that is in already', async () => {
    await importing('a.csv', csv(10));
    expect(await importing('a.csv', csv(10))).toMatchObject({ code: 0, result: { imported: 10 } });
  });

  it('ends with 1 if nothing was taken, and with --strict if anything was left out', async () => {
    expect(await importing('a.csv', `${header}\nbad line`)).toMatchObject({ code: 1 });
    expect(await importing('b.csv', `${csv(1)}\nbad line`)).toMatchObject({ code: 0 });
    expect(await importing('b.csv', `${csv(1)}\nbad line`, '--strict')).toMatchObject({ code: 1 });
  });

  it('refuses a CSV file without the columns that it needs', async () => {
    const { code, err } = await importing('a.csv', 'id,code\n1,2\n');
    expect(code).toBe(1);
    expect(err).toContain('device_id, activation_code, device_type are missing');
  });

  it('stops when it is interrupted, and keeps what it has', async () => {
    const aborting = new AbortController();
    const file = join(bus.dataDir, 'a.csv');
    await writeFile(file, csv(6_000));
    bus.answers.set(pattern, (body) => {
      aborting.abort();
      return takes(body);
    });
    const ran = await running(['factory', 'import', file, '--data', bus.dataDir], aborting.signal);
    expect(ran).toMatchObject({ code: 130, err: expect.stringContaining('the same command goes on') });
  });
});
