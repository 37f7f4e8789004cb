import { currentTraceparent, traced } from '@mqtt2go/messaging';
import type { Clock } from '@mqtt2go/ports';
import {
  type ActivateDeviceRequest,
  activateDevicePath,
  activateDeviceResponse,
  isErrorCode,
  Mqtt2goError,
  problemDetails,
  withdrawActivationPath,
} from '@mqtt2go/protocol';
import { trustedConnector } from '@mqtt2go/runtime';
import type { OnApplicationShutdown } from '@nestjs/common';
import pRetry from 'p-retry';
import { buildConnector, Pool } from 'undici';
import { Announcer } from './announcer.js';

export interface DiscoveryAccess {
  /** `https://host:port`. */
  readonly url: string;
  /** PEM trust anchor of the Discovery server's certificate. */
  readonly ca: string;
  /** PEM: this service's certificate and key. */
  readonly cert: string;
  readonly key: string;
}

export interface DiscoveryClientLimits {
  /** For the TLS connection, the head of the answer and its body each; 5,000 by default. */
  readonly timeoutMs: number;
  /** Further attempts of an announcement when the server cannot be reached or says that it cannot; 2 by default. */
  readonly retries: number;
}

const connections = 8;

/**
 * The Discovery server's REST side, over connections with mutual TLS that are kept. All requests are idempotent.
 */
export class DiscoveryClient extends Announcer implements OnApplicationShutdown {
  private pool: Pool;
  private readonly retries: number;
  private readonly timeoutMs: number;

  constructor(
    private readonly access: DiscoveryAccess,
    private readonly clock: Clock,
    limits: Partial<DiscoveryClientLimits> = {},
  ) {
    super();
    const { timeoutMs = 5_000, retries = 2 } = limits;
    this.retries = retries;
    this.timeoutMs = timeoutMs;
    this.pool = this.openPool(access);
  }

  /** Comes with another certificate from now on; calls under way end as they began. */
  override async useIdentity(identity: { readonly cert: string; readonly key: string }): Promise<void> {
    const former = this.pool;
    this.pool = this.openPool(identity);
    await former.close();
  }

  /**
   * `POST /activate_device`.
   * @throws Mqtt2goError the code of the problem that the server answers; unavailable; internal
   */
  override async announce(device: ActivateDeviceRequest): Promise<void> {
    const body = JSON.stringify(device);
    const answer = await pRetry(() => this.attempt('POST', activateDevicePath, body), {
      retries: this.retries,
      minTimeout: 100,
      maxTimeout: 1_000,
      factor: 3,
      randomize: true,
      shouldRetry: ({ error }) => error instanceof Mqtt2goError && error.code === 'unavailable',
    });
    const parsed = activateDeviceResponse.safeParse(parseJson(answer));
    if (!parsed.success || parsed.data.onboarding_id !== device.onboarding_id) {
      throw new Mqtt2goError('internal', 'the Discovery server answered in another form than agreed');
    }
  }

  /**
   * `DELETE /activate_device/{device_id}`, once: the outbox tries again. One that is not there is fine. Same errors as
   * {@link announce}.
   * @param announcedUntilMs the latest end that was announced: what is still on its way does nothing any more
   */
  override async withdraw(deviceId: string, onboardingId: string, announcedUntilMs?: number): Promise<void> {
    await this.attempt('DELETE', withdrawActivationPath(deviceId, onboardingId, announcedUntilMs), undefined);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  async close(): Promise<void> {
    if (!this.pool.closed) await this.pool.destroy();
  }

  private openPool(identity: { readonly cert: string; readonly key: string }): Pool {
    const { timeoutMs, clock } = this;
    const { url, ca } = this.access;
    return new Pool(new URL(url).origin, {
      connections,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: 65_536,
      connect: trustedConnector(buildConnector, { ca, identity, time: () => ({ nowMs: clock.now() }), timeoutMs }),
    });
  }

  private async attempt(method: 'POST' | 'DELETE', path: string, body: string | undefined): Promise<string> {
    const { statusCode, text } = await this.exchange(method, path, body);
    if (statusCode >= 200 && statusCode < 300) return text;
    const problem = problemDetails.safeParse(parseJson(text));
    const { code, detail } = problem.success ? problem.data : {};
    if (isErrorCode(code)) throw new Mqtt2goError(code, detail);
    if (statusCode >= 500 || statusCode === 429) {
      throw new Mqtt2goError('unavailable', `the Discovery server answered ${statusCode}`);
    }
    throw new Mqtt2goError('internal', `the Discovery server answered ${statusCode} to ${method} ${path}`);
  }

  private exchange(
    method: 'POST' | 'DELETE',
    path: string,
    body: string | undefined,
  ): Promise<{ statusCode: number; text: string }> {
    return traced(`${method} ${activateDevicePath}`, () => this.request(method, path, body), { kind: 'client' });
  }

  private async request(
    method: 'POST' | 'DELETE',
    path: string,
    body: string | undefined,
  ): Promise<{ statusCode: number; text: string }> {
    const traceparent = currentTraceparent();
    try {
      const response = await this.pool.request({
        method,
        path,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(traceparent === undefined ? {} : { traceparent }),
        },
        ...(body === undefined ? {} : { body }),
      });
      return { statusCode: response.statusCode, text: await response.body.text() };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Mqtt2goError('unavailable', `the Discovery server cannot be reached: ${reason}`, { cause: error });
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
