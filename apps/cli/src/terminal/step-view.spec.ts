import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { expect, it } from 'vitest';
import { shortenPem } from './layout.js';
import { StepView } from './step-view.js';
import { Terminal } from './terminal.js';

const pem = `-----BEGIN CERTIFICATE-----\n${'QUJD'.repeat(200)}\n-----END CERTIFICATE-----\n`;
const message = JSON.stringify({ type: 'report', value: { broker_ip: 'localhost', device_certificate: pem + pem } });
const step = {
  step: 7,
  who: 'device' as const,
  direction: 'in' as const,
  what: 'gets the address of its home’s broker and a certificate for it, checks that certificate and closes',
  topic: `${'a-long-home-id'.repeat(4)}/gateway/group/type/${'a-long-device-id'.repeat(4)}`,
  message,
};

function shown(options: { isTTY?: boolean; json?: boolean; env?: Record<string, string> }): string {
  let text = '';
  const stream = Object.assign(
    new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    }),
    options.isTTY === undefined ? {} : { isTTY: options.isTTY },
  );
  const terminal = new Terminal({
    stdout: stream,
    stderr: stream,
    env: options.env ?? {},
    json: options.json ?? false,
  });
  new StepView(terminal).show(step);
  return text;
}

it('fits a step into 80 columns, with the PEM put short', () => {
  const text = stripVTControlCharacters(shown({ isTTY: true }));
  expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  expect(text).toContain('<CERTIFICATE');
  expect(text).not.toContain('QUJD');
});

it('is colourful on a terminal only, and not with NO_COLOR', () => {
  const escape = '\u001B[';
  expect(shown({ isTTY: true, env: { TERM: 'xterm' } })).toContain(escape);
  expect(shown({ isTTY: true, env: { NO_COLOR: '1' } })).not.toContain(escape);
  expect(shown({})).not.toContain(escape);
});

it('is one JSON text a step for those who want that', () => {
  expect(JSON.parse(shown({ json: true }))).toMatchObject({ event: 'step', step: 7, who: 'device', topic: step.topic });
});

it('leaves everything but PEM as it is', () => {
  expect(shortenPem('{"a":"-----BEGIN"}')).toBe('{"a":"-----BEGIN"}');
  expect(shortenPem(`a${pem}b`)).toBe(`a<CERTIFICATE ${pem.length} bytes>b`);
});
