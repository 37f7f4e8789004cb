import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { HostapdSettings } from './hostapd-settings.js';

const run = promisify(execFile);

/**
 * hostapd through its own client. Its control socket is a datagram socket, which Node.js has none of; `hostapd_cli`
 * comes with each hostapd. It ends with 0 whatever the answer is, so that the answer itself is what counts.
 */
export class HostapdControl {
  #events: ChildProcess | undefined;
  #again: NodeJS.Timeout | undefined;

  constructor(private readonly settings: HostapdSettings) {}

  /** The answer to one command at an interface or at the global socket. @throws Mqtt2goError `unavailable` */
  async command(socket: string, ...words: readonly string[]): Promise<string> {
    const { MQTT2GO_HOSTAPD_CLI: cli, MQTT2GO_HOSTAPD_CONTROL_DIR: folder } = this.settings;
    const args = ['-p', folder, '-i', socket, 'raw', ...words];
    try {
      const options = { timeout: this.settings.MQTT2GO_HOSTAPD_TIMEOUT_MS, killSignal: 'SIGKILL', env: {} } as const;
      return (await run(cli, args, options)).stdout.trim();
    } catch (cause) {
      throw new Mqtt2goError(
        'unavailable',
        `hostapd does not answer at ${folder}/${socket}. See that it runs, and that this process may use the socket.`,
        { cause },
      );
    }
  }

  /** @throws Mqtt2goError `unavailable` if the answer is another than OK */
  async mustDo(socket: string, ...words: readonly string[]): Promise<void> {
    const answer = await this.command(socket, ...words);
    if (answer !== 'OK') {
      throw new Mqtt2goError('unavailable', `hostapd answers ${words[0]} with ${JSON.stringify(answer.slice(0, 80))}.`);
    }
  }

  /**
   * Calls `line` with each event of the home's and the guests' interface: `AP-STA-CONNECTED 02:..`. Calls `lost` when
   * hostapd has gone, and goes on listening as soon as it is back.
   */
  listen(socket: string, line: (text: string) => void, lost: () => void): void {
    const { MQTT2GO_HOSTAPD_CLI: cli, MQTT2GO_HOSTAPD_CONTROL_DIR: folder } = this.settings;
    // In this mode it runs the program once for each event, with the interface and the event's words.
    const child = spawn(cli, ['-p', folder, '-i', socket, '-G', '1', '-a', '/bin/echo'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: {},
    });
    this.#events = child;
    let ended = false;
    const end = (): void => {
      if (ended || this.#events !== child) return;
      ended = true;
      lost();
      this.#again = setTimeout(() => this.listen(socket, line, lost), 1_000);
    };
    child.once('error', end);
    child.once('close', end);
    createInterface({ input: child.stdout }).on('line', (text) => {
      if (text.startsWith(`${socket} `)) line(text.slice(socket.length + 1));
    });
  }

  release(): void {
    clearTimeout(this.#again);
    const child = this.#events;
    this.#events = undefined;
    child?.kill();
  }
}
