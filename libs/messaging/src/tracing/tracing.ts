export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  /** `client` asks another process, `server` answers one; `internal` by default. */
  readonly kind?: 'internal' | 'client' | 'server';
  readonly attributes?: SpanAttributes;
  /** W3C `traceparent` of whoever asks, as it came. */
  readonly parent?: string | undefined;
}

/** An onboarding from beginning to end, which no one piece of work spans. */
export interface WholeOnboarding {
  readonly onboardingId: string;
  /** Unix time in milliseconds. */
  readonly startMs: number;
  readonly endMs: number;
  /** The state that it ended in. */
  readonly outcome: string;
  readonly attributes?: SpanAttributes;
}

/** Records what is done, how long it takes and what it belongs to. */
export abstract class Tracing {
  /** Runs `work` as a span; its rejection is the span's error and the caller's. */
  abstract span<T>(name: string, work: () => Promise<T>, options: SpanOptions): Promise<T>;
  /** W3C `traceparent` of the running span. */
  abstract traceparent(): string | undefined;
  abstract onboarding(whole: WholeOnboarding): void;
}

let tracing: Tracing | undefined;

/** Has this process's spans recorded from now on, or no more. */
export function useTracing(next: Tracing | undefined): void {
  tracing = next;
}

/** Runs `work`, as a span if spans are recorded; without, it costs a comparison. */
export function traced<T>(name: string, work: () => Promise<T>, options: SpanOptions = {}): Promise<T> {
  return tracing === undefined ? work() : tracing.span(name, work, options);
}

/** For the header or the field `traceparent` of what is asked of another process. */
export function currentTraceparent(): string | undefined {
  return tracing?.traceparent();
}

/** Records an onboarding that has ended; its steps' spans belong to it. */
export function recordOnboarding(whole: WholeOnboarding): void {
  tracing?.onboarding(whole);
}
