/** A service that runs, as the process around it sees it. */
export interface ServiceHandle {
  readonly name: string;
  /** Never rejects. */
  health(): Promise<HealthReport>;
  /** The service's metrics in Prometheus' text form. */
  metrics(): Promise<string>;
  /** Finishes what is being worked on, then ends. */
  stop(): Promise<void>;
}

export interface HealthReport {
  readonly name: string;
  /** `up` when every dependency is; `degraded` when what is down is none that the service cannot do without. */
  readonly status: 'up' | 'degraded' | 'down';
  readonly dependencies: readonly DependencyHealth[];
}

export interface DependencyHealth {
  readonly name: string;
  readonly status: 'up' | 'down';
  /** Why it is down. */
  readonly reason?: string;
}
