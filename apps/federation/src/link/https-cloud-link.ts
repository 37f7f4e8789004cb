import { setTimeout } from 'node:timers/promises';
import { currentTraceparent, traced } from '@mqtt2go/messaging';
import { isErrorCode, Mqtt2goError, problemDetails } from '@mqtt2go/protocol';
import type { Clock } from '@mqtt2go/ports';
import { trustedConnector } from '@mqtt2go/runtime';
import type { OnApplicationShutdown } from '@nestjs/common';
import pRetry from 'p-retry';
import type { Pool } from 'undici';
import { z } from 'zod';
import { CloudLink, type LinkCallOptions } from './cloud-link.js';
import type { LinkContract } from './contract.js';
import { timeOf } from './time.js';
import { linkPath, maxBodyBytes } from './limits.js';

export interface CloudAccess {
  /** `https://host:port` of the gateways' door. */
  readonly url: string;
  /** PEM: the operator's root. */
  readonly ca: string;
  /** PEM: the gateway's identity; none before it is enrolled. */
  readonly identity?: { readonly cert: string; readonly key: string };
}

const connections = 4;

/** The gateways' door over HTTPS, on connections that are kept. */
export class HttpsCloudLink extends CloudLink implements OnApplicationShutdown {
  /** From the first call on: a gateway without a cloud does not load undici. */
  private pool: Promise<Pool> | undefined;
  private isClosed = false;

  constructor(
    private access: CloudAccess,
    private readonly clock: Clock,
  ) {
    super();
  }

  /** Comes with another certificate from now on; calls under way end as they began. */
  async useIdentity(identity: NonNullable<CloudAccess['identity']>): Promise<void> {
    const former = this.pool;
    this.access = { ...this.access, identity };
    this.pool = undefined;
    await (await former)?.close();
  }

  override async call<I extends z.ZodType, O extends z.ZodType>(
    contract: LinkContract<I, O>,
    request: z.input<I>,
    { timeoutMs = 10_000, retries = 2 }: LinkCallOptions = {},
  ): Promise<z.output<O>> {
    const checked = contract.input.safeParse(request);
    if (!checked.success) {
      throw new Mqtt2goError('malformed_message', `${contract.verb}: ${z.prettifyError(checked.error)}`);
    }
    const body = JSON.stringify(request);
    const text = await traced(
      `POST ${linkPath(contract.verb)}`,
      () =>
        pRetry(() => this.attempt(contract.verb, body, timeoutMs), {
          retries,
          minTimeout: 200,
          maxTimeout: 2_000,
          factor: 2,
          randomize: true,
          shouldRetry: ({ error }) => error instanceof Mqtt2goError && isTransient(error),
        }),
      { kind: 'client' },
    );
    const answer = contract.output.safeParse(parseJson(text));
    if (!answer.success) {
      throw new Mqtt2goError('internal', `the cloud answered ${contract.verb} in another form than agreed`, {
        cause: answer.error,
      });
    }
    return answer.data;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await (await this.pool)?.destroy();
  }

  private async attempt(verb: string, body: string, timeoutMs: number): Promise<string> {
    const { statusCode, text } = await this.exchange(verb, body, timeoutMs);
    if (statusCode === 200) return text;
    const problem = problemDetails.safeParse(parseJson(text));
    const { code, detail } = problem.success ? problem.data : {};
    if (isErrorCode(code)) throw new Mqtt2goError(code, detail);
    throw new Mqtt2goError(statusCode >= 500 ? 'unavailable' : 'internal', `the cloud answered ${statusCode}`);
  }

  private async exchange(verb: string, body: string, timeoutMs: number): Promise<{ statusCode: number; text: string }> {
    try {
      if (this.isClosed) throw new Error('the link is closed');
      this.pool ??= openPool(this.access, this.clock);
      return await this.inTime(this.pool, (pool) => this.request(pool, verb, body, timeoutMs), timeoutMs);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Mqtt2goError('unavailable', `the cloud (${this.access.url}) cannot be reached: ${reason}`, {
        cause: error,
      });
    }
  }

  private async request(
    pool: Pool,
    verb: string,
    body: string,
    timeoutMs: number,
  ): Promise<{ statusCode: number; text: string }> {
    const traceparent = currentTraceparent();
    const response = await pool.request({
      method: 'POST',
      path: linkPath(verb),
      headers: { 'content-type': 'application/json', ...(traceparent === undefined ? {} : { traceparent }) },
      body,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    return { statusCode: response.statusCode, text: await response.body.text() };
  }

  /** undici tries for ever to connect where connections are taken and then dropped, whatever limits it is given. */
  private async inTime<T>(opened: Promise<Pool>, ask: (pool: Pool) => Promise<T>, timeoutMs: number): Promise<T> {
    const pool = await opened;
    const answer = ask(pool);
    const over = new AbortController();
    const late = setTimeout(timeoutMs, undefined, { signal: over.signal }).then(async () => {
      if (this.pool === opened) this.pool = undefined;
      await pool.destroy();
      throw new Error(`no answer within ${timeoutMs} ms`);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      over.abort();
      late.catch(() => undefined);
      answer.catch(() => undefined);
    }
  }
}

async function openPool({ url, ca, identity }: CloudAccess, clock: Clock): Promise<Pool> {
  const { buildConnector, Pool } = await import('undici');
  return new Pool(new URL(url).origin, {
    connections,
    pipelining: 1,
    keepAliveTimeout: 30_000,
    maxResponseSize: maxBodyBytes,
    connect: trustedConnector(buildConnector, { ca, identity, time: () => timeOf(clock), timeoutMs: 5_000 }),
  });
}

function isTransient({ code }: Mqtt2goError): boolean {
  return code === 'unavailable' || code === 'timeout';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
