import 'reflect-metadata';
import { request as httpsRequest } from 'node:https';
import { Bus, BusModule, BusServer, Answers, contract } from '@mqtt2go/messaging';
import { Outbox, outboxAgeMigration, outboxEntity, outboxMigration, PersistenceModule } from '@mqtt2go/persistence';
import {
  collectingLogger,
  createTestCertificates,
  createTestDatabase,
  silentLogger,
  startTestBroker,
  type TestBroker,
  type TestDatabase,
  waitFor,
} from '@mqtt2go/testing';
import { Controller, Get, Injectable, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { serveOperations } from './serve-operations.js';
import { type NestServiceHandle, type NestServiceOptions, startNestService } from './start-nest-service.js';

const count = contract({
  service: 'provisioning',
  verb: 'count',
  callers: ['operator'],
  input: z.object({}),
  output: z.object({ rows: z.int() }),
});
const events: string[] = [];

@Injectable()
class Rows implements OnModuleInit, OnModuleDestroy {
  constructor(
    readonly dataSource: DataSource,
    readonly outbox: Outbox,
  ) {}
  onModuleInit(): void {
    events.push('init');
    this.outbox.on('noop', async () => undefined);
    this.outbox.start();
  }
  onModuleDestroy(): void {
    events.push('destroy');
  }
}

@Controller()
class RowsController {
  constructor(private readonly rows: Rows) {}

  @Answers(count)
  async count() {
    events.push('count begins');
    const [{ rows }]: [{ rows: number }] = await this.rows.dataSource.query(
      'SELECT count(*)::int AS rows, pg_sleep(0.1) FROM outbox',
    );
    events.push('count ends');
    return { rows };
  }

  @Get('hello')
  hello() {
    return { hello: true };
  }
}

let broker: TestBroker;
let database: TestDatabase;
let handles: NestServiceHandle[];

beforeEach(async () => {
  [broker, database] = await Promise.all([startTestBroker(), createTestDatabase()]);
  handles = [];
  events.length = 0;
});
afterEach(async () => {
  await Promise.all(handles.map((handle) => handle.stop()));
  await broker.close();
  await database.drop();
});

function options(): NestServiceOptions {
  const persistence = PersistenceModule.forRoot({
    url: database.url,
    schema: 'provisioning',
    entities: [outboxEntity],
    migrations: [outboxMigration('provisioning'), outboxAgeMigration('provisioning')],
    log: silentLogger,
  });
  @Module({
    imports: [persistence, BusModule.forRoot({ link: broker.link('provisioning'), service: 'provisioning' })],
    controllers: [RowsController],
    providers: [Rows],
  })
  class AppModule {}
  return {
    name: 'provisioning',
    module: AppModule,
    log: silentLogger,
    strategies: [new BusServer({ link: broker.link('provisioning'), service: 'provisioning' })],
  };
}

async function start(overrides: Partial<NestServiceOptions> = {}): Promise<NestServiceHandle> {
  const handle = await startNestService({ ...options(), ...overrides });
  handles.push(handle);
  return handle;
}

async function operator(): Promise<Bus> {
  const bus = new Bus(broker.link('operator'));
  await waitFor(() => {
    try {
      bus.checkHealth();
      return true;
    } catch {
      return false;
    }
  });
  return bus;
}

describe('startNestService', () => {
  it('answers on the bus with what its providers have', async () => {
    const handle = await start();
    const bus = await operator();
    expect(await bus.call(count, {})).toEqual({ rows: 0 });
    await bus.close();
    expect(handle.httpPort).toBeUndefined();
    expect(await handle.metrics()).toContain(
      'mqtt2go_handler_duration_seconds_count{service="provisioning",pattern="mqtt2go/provisioning/count"} 1',
    );
  });

  it('finishes a running request before what it needs is closed', async () => {
    const handle = await start();
    const bus = await operator();
    const answer = bus.call(count, {});
    await waitFor(() => events.includes('count begins'));
    await handle.stop();
    handles.length = 0;
    expect(await answer).toEqual({ rows: 0 });
    expect(events).toEqual(['init', 'count begins', 'count ends', 'destroy']);
    await bus.close();
  });

  it('reports each dependency, and what is wrong with it', async () => {
    const handle = await start({ checks: () => [{ name: 'own', check: () => Promise.reject(new Error('broken')) }] });
    await waitFor(
      async () => (await handle.health()).dependencies.filter(({ status }) => status === 'up').length === 3,
    );
    expect(await handle.health()).toEqual({
      name: 'provisioning',
      status: 'down',
      dependencies: [
        { name: 'database', status: 'up' },
        { name: 'bus', status: 'up' },
        { name: 'BusServer', status: 'up' },
        { name: 'own', status: 'down', reason: 'broken' },
      ],
    });
    broker.refuse = true;
    broker.disconnectAll();
    await waitFor(
      async () => (await handle.health()).dependencies.filter(({ status }) => status === 'down').length === 3,
    );
  });

  it('serves HTTPS to callers with a certificate of its CA only', async () => {
    const certificates = await createTestCertificates();
    const { httpPort } = await start({
      http: {
        host: '127.0.0.1',
        port: 0,
        https: { ca: certificates.ca, ...certificates.server, requestCert: true, rejectUnauthorized: true },
      },
    });
    const get = (identity: object): Promise<string> =>
      new Promise((resolve, reject) => {
        httpsRequest(
          { host: '127.0.0.1', port: httpPort, path: '/hello', ca: certificates.ca, agent: false, ...identity },
          (response) => response.setEncoding('utf8').on('data', resolve),
        )
          .on('error', reject)
          .end();
      });
    expect(await get(await certificates.service('provisioning'))).toBe('{"hello":true}');
    await expect(get({})).rejects.toThrow();
    await expect(get(await (await createTestCertificates()).service('provisioning'))).rejects.toThrow();
  });

  it('says which port is taken, and leaves nothing running', async () => {
    const first = await start({ http: { host: '127.0.0.1', port: 0 } });
    const second = start({ http: { host: '127.0.0.1', port: first.httpPort ?? 0 } });
    await expect(second).rejects.toMatchObject({
      code: 'port_in_use',
      message: `port ${first.httpPort} is in use by another program`,
    });
    expect(events.filter((event) => event === 'destroy')).toHaveLength(1);
  });

  it('rejects when a provider does, instead of ending the process', async () => {
    @Injectable()
    class Failing {
      constructor() {
        throw new Error('cannot be made');
      }
    }
    @Module({ providers: [Failing] })
    class FailingModule {}
    const { log, lines } = collectingLogger();
    await expect(start({ module: FailingModule, log })).rejects.toThrow('cannot be made');
    expect(lines.filter((line) => Number(line['level']) > 50)).toEqual([]);
  });
});

describe('serveOperations', () => {
  it('tells life, readiness and metrics of all services of a process', async () => {
    const [one, two] = [await start(), await start({ name: 'other' })];
    const server = await serveOperations([one, two], { host: '127.0.0.1', port: 0 });
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    expect(await get('/health/live')).toEqual({ status: 200, text: '{"status":"up"}' });
    await waitFor(async () => (await get('/health/ready')).status === 200);
    const metrics = await get('/metrics');
    expect(metrics.text.match(/^# TYPE mqtt2go_handler_duration_seconds histogram$/gm)).toHaveLength(1);
    expect(metrics.text.match(/^process_cpu_user_seconds_total /gm)).toHaveLength(1);
    broker.refuse = true;
    broker.disconnectAll();
    await waitFor(async () => (await get('/health/ready')).status === 503);
    expect(JSON.parse((await get('/health/ready')).text).services[0].dependencies[1]).toEqual({
      name: 'bus',
      status: 'down',
      reason: 'no connection to in-process test',
    });
    await expect(serveOperations([], { host: '127.0.0.1', port: server.port })).rejects.toMatchObject({
      code: 'port_in_use',
    });
    await server.close();
  });

  it('is not ready without any service', async () => {
    const server = await serveOperations(() => [], { host: '127.0.0.1', port: 0 });
    expect((await fetch(`http://127.0.0.1:${server.port}/health/ready`)).status).toBe(503);
    await server.close();
  });
});
