import { withOnboarding } from '@mqtt2go/messaging';
import { collectingLogger } from '@mqtt2go/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLogger, NestLogBridge } from './logger.js';

describe('NestLogBridge', () => {
  it('keeps the context, the stack and the error of what NestJS says', () => {
    const { log, lines } = collectingLogger();
    const bridge = new NestLogBridge(log);
    bridge.log('Starting', 'NestFactory');
    bridge.error('It broke', 'the stack', 'Injector');
    bridge.error(new Error('It threw'), 'Injector');
    bridge.warn({ some: 'object' }, 'Context');
    expect(lines).toMatchObject([
      { level: 20, msg: 'Starting', context: 'NestFactory' },
      { level: 50, msg: 'It broke', context: 'Injector', stack: 'the stack' },
      { level: 50, err: { message: 'It threw' }, context: 'Injector' },
      { level: 40, some: 'object', context: 'Context' },
    ]);
  });
});

describe('createLogger', () => {
  afterEach(() => vi.restoreAllMocks());

  it('marks lines with the onboarding that is worked for and hides secrets', async () => {
    const log = createLogger({ level: 'info', format: 'json' });
    const written: string[] = [];
    const stream = Object.getOwnPropertySymbols(log)
      .map((symbol) => Reflect.get(log, symbol))
      .find((value) => typeof value?.write === 'function');
    vi.spyOn(stream, 'write').mockImplementation((line) => written.push(String(line)) > 0);
    withOnboarding('ob-1', () => log.info({ activationCode: '123', device: { password: 'x', id: 'lamp' } }, 'said'));
    log.debug('not said');
    log.info('outside');
    expect(written.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'info',
        onboardingId: 'ob-1',
        activationCode: '[Redacted]',
        device: { password: '[Redacted]', id: 'lamp' },
      },
      { level: 'info', msg: 'outside' },
    ]);
    expect(JSON.parse(written[1] ?? '')).not.toHaveProperty('onboardingId');
  });
});
