import { access } from 'node:fs/promises';
import { uptime } from 'node:os';
import { dateAuditBy } from '@mqtt2go/audit';
import { clockFilePath, readLastKnownTime, writeLastKnownTime } from '@mqtt2go/config';
import { FloorClock, type SystemClockState } from '@mqtt2go/ports';
import type { Logger } from 'pino';
import { builtAtMs } from './build-time.js';

const checkEveryMs = 1_000;
/** What a power cut may cost: the time runs on from the last that was stored. */
const storeEveryMs = 5 * 60_000;
/** No check takes so long, and no correction is smaller. */
const correctionMs = 50_000;
/** There from the moment on at which systemd's time service has set the clock since the machine was started. */
const synchronisedFile = '/run/systemd/timesync/synchronized';

const explanations: Readonly<Record<Exclude<SystemClockState, 'right' | 'ahead'>, string>> = {
  behind: "the system's clock is behind a time that is known to have been; the time goes on from that one",
  unbelievable: "the system's clock is decades ahead; the time goes on from the last that is known",
};

/** The platform's clock, with the last known time kept in the data folder. */
export class ClockKeeper {
  readonly clock: FloorClock;
  #told: SystemClockState = 'right';
  #failedBefore = false;
  #timers: NodeJS.Timeout[] = [];
  readonly #undate: () => void;
  #storing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly folder: string,
    private readonly log: Logger,
    private readonly onCorrected: () => void,
    lastKnownMs: number | undefined,
  ) {
    this.clock = new FloorClock({ builtAtMs, lastKnownMs, isSynchronised, bootMs: () => uptime() * 1_000 });
    this.#undate = dateAuditBy(() => (this.clock.isFloor ? this.clock.now() : undefined));
    this.clock.onCorrection(async (byMs) => {
      log.warn({ by: `${Math.round(byMs / 1_000)} s` }, "the time is corrected to the system's clock");
    });
  }

  /**
   * A stored time that cannot be read is left aside, and told.
   * @param onCorrected called after the time was corrected
   */
  static async open(folder: string, log: Logger, onCorrected: () => void): Promise<ClockKeeper> {
    const lastKnownMs = await readLastKnownTime(folder).catch((error: unknown) => {
      log.warn({ err: error, file: clockFilePath(folder) }, 'the last known time cannot be read');
      return undefined;
    });
    const keeper = new ClockKeeper(folder, log, onCorrected, lastKnownMs);
    keeper.#tell(keeper.clock.state);
    return keeper;
  }

  /** From now on the time is corrected when it has to be; everybody who has to move something along is there. */
  async start(): Promise<void> {
    await this.#store();
    this.#timers = [
      setInterval(() => void this.#check(), checkEveryMs).unref(),
      setInterval(() => void this.#store(), storeEveryMs).unref(),
    ];
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#store();
    this.#undate();
  }

  async #check(): Promise<void> {
    try {
      const beforeMs = this.clock.now();
      this.#tell(await this.clock.check());
      this.#failedBefore = false;
      if (Math.abs(this.clock.now() - beforeMs) < correctionMs) return;
      this.onCorrected();
      await this.#store();
    } catch (error) {
      if (!this.#failedBefore) this.log.warn({ err: error }, 'the time could not be corrected; trying again');
      this.#failedBefore = true;
    }
  }

  #tell(state: SystemClockState): void {
    if (state === this.#told) return;
    this.#told = state;
    if (state === 'ahead') return;
    const time = new Date(this.clock.now()).toISOString();
    if (state === 'right') this.log.info({ time }, "the system's clock is right again");
    else this.log.warn({ time, systemTime: new Date().toISOString() }, explanations[state]);
  }

  #store(): Promise<void> {
    this.#storing = this.#storing
      .then(() => writeLastKnownTime(this.folder, this.clock.now()))
      .catch((error: unknown) => this.log.warn({ err: error }, 'the time could not be stored'));
    return this.#storing;
  }
}

async function isSynchronised(): Promise<boolean> {
  return access(synchronisedFile).then(
    () => true,
    () => false,
  );
}
