import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import type { OpenwrtSettings } from './openwrt-settings.js';
import { post } from './ubus-http.js';

/** libubus' status codes that mean something here. */
export const ubusStatus = { ok: 0, notFound: 4, noData: 5, denied: 6 } as const;

const record = z.record(z.string(), z.unknown());
const answer = z.union([
  z.object({ result: z.union([z.tuple([z.int()]), z.tuple([z.int(), record])]) }),
  z.object({ error: z.object({ code: z.int() }) }),
]);
const noSession = '0'.repeat(32);
const accessDenied = -32_002;
const noSuchObject = -32_000;

export interface UbusOutcome {
  readonly status: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A session at the router's ubus by JSON-RPC over HTTPS; logs in when it has to. */
export class Ubus {
  #session: string | undefined;

  constructor(private readonly settings: OpenwrtSettings) {}

  /**
   * Calls a method. A session that has ended is replaced once.
   * @throws Mqtt2goError `forbidden`, `unavailable`, `timeout`, `server_untrusted`
   */
  async call(object: string, method: string, args: object): Promise<UbusOutcome> {
    const known = this.#session;
    const first = await this.#send(known ?? (await this.#login()), object, method, args);
    if (first !== 'denied') return first;
    if (known !== undefined) {
      const second = await this.#send(await this.#login(), object, method, args);
      if (second !== 'denied') return second;
    }
    throw new Mqtt2goError(
      'forbidden',
      `The router’s user may not ${method} at ${object}; see /usr/share/rpcd/acl.d there.`,
    );
  }

  /** Like {@link call}, for methods that have to succeed. @throws also `unavailable`, `forbidden` by the status */
  async mustCall(object: string, method: string, args: object): Promise<UbusOutcome['data']> {
    const { status, data } = await this.call(object, method, args);
    if (status === ubusStatus.ok) return data;
    if (status === ubusStatus.denied) {
      const detail = `The router denies ${method} at ${object}: somebody else’s change is not confirmed yet, or its user may not.`;
      throw new Mqtt2goError('forbidden', detail);
    }
    throw new Mqtt2goError('unavailable', `The router answers ${method} at ${object} with the status ${status}.`);
  }

  async #login(): Promise<string> {
    this.#session = undefined;
    const { user, password } = this.settings;
    // Longer than the longest activation: only the session that changed something may take it back.
    const args = { username: user, password: password.reveal(), timeout: 1_200 };
    const outcome = await this.#send(noSession, 'session', 'login', args);
    const session = outcome === 'denied' ? undefined : outcome.data['ubus_rpc_session'];
    if (typeof session !== 'string' || !/^[0-9a-f]{32}$/.test(session)) {
      throw new Mqtt2goError('forbidden', 'The router does not take the user and password of the credentials file.');
    }
    this.#session = session;
    return session;
  }

  async #send(session: string, object: string, method: string, args: object): Promise<UbusOutcome | 'denied'> {
    const body = { jsonrpc: '2.0', id: 1, method: 'call', params: [session, object, method, args] };
    const text = await post(this.settings, JSON.stringify(body));
    let parsed: z.infer<typeof answer>;
    try {
      parsed = answer.parse(JSON.parse(text));
    } catch {
      // Its text may repeat what was sent.
      throw new Mqtt2goError('unavailable', 'The router’s answer is none of ubus; see the address (.../ubus).');
    }
    if ('result' in parsed) return { status: parsed.result[0], data: parsed.result[1] ?? {} };
    if (parsed.error.code === accessDenied) return 'denied';
    if (parsed.error.code === noSuchObject) return { status: ubusStatus.notFound, data: {} };
    throw new Mqtt2goError(
      'unavailable',
      `The router answers ${method} at ${object} with the error ${parsed.error.code}.`,
    );
  }
}
