import { createHash } from 'node:crypto';
import { currentOnboardingId, type SpanOptions, Tracing, type WholeOnboarding } from '@mqtt2go/messaging';
import { Mqtt2goError } from '@mqtt2go/protocol';
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  RandomIdGenerator,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';

const kinds = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT, server: SpanKind.SERVER } as const;
const endTimeoutMs = 2_000;

/** Ids at random, except for the one span whose ids follow from its onboarding. */
class OnboardingIds implements IdGenerator {
  next: SpanContext | undefined;
  private readonly random = new RandomIdGenerator();

  generateTraceId(): string {
    return this.next?.traceId ?? this.random.generateTraceId();
  }

  generateSpanId(): string {
    return this.next?.spanId ?? this.random.generateSpanId();
  }
}

/**
 * Spans by OpenTelemetry, sent as OTLP over HTTP. All that is done for an onboarding is one trace whose id is the
 * onboarding's: controllers and devices send messages that carry no trace, and hours may lie between two of them.
 */
export class OtelTracing extends Tracing {
  private readonly contexts = new AsyncLocalStorageContextManager();
  private readonly ids = new OnboardingIds();
  private readonly provider: TracerProvider;
  private readonly tracer: Tracer;

  /** Where to and how is in OpenTelemetry's own variables, which the exporter reads. */
  constructor(service: string, env: Readonly<Record<string, string | undefined>>) {
    super();
    const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG'] ?? 1);
    const scheduledDelayMillis = Number(env['OTEL_BSP_SCHEDULE_DELAY'] ?? 1_000);
    this.provider = new TracerProvider({
      resource: resourceFromAttributes({
        'service.name': service,
        'service.namespace': 'mqtt2go',
        'service.instance.id': env['MQTT2GO_REPLICA'] ?? `${env['HOSTNAME'] ?? 'local'}-${process.pid}`,
        'process.pid': process.pid,
      }).merge(detectResources({ detectors: [envDetector] })),
      // By the trace's id alone, so that all services keep the same onboardings.
      sampler: ratio >= 0 && ratio < 1 ? new TraceIdRatioBasedSampler(ratio) : new AlwaysOnSampler(),
      idGenerator: this.ids,
      spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), scheduledDelayMillis })],
    });
    this.tracer = this.provider.getTracer('mqtt2go');
    this.contexts.enable();
  }

  override async span<T>(name: string, work: () => Promise<T>, options: SpanOptions): Promise<T> {
    const { kind = 'internal', attributes = {}, parent } = options;
    const onboardingId = currentOnboardingId();
    const span = this.tracer.startSpan(
      name,
      { kind: kinds[kind], attributes: { ...attributes, 'mqtt2go.onboarding.id': onboardingId } },
      this.parentOf(parent, onboardingId),
    );
    const context = trace.setSpan(this.contexts.active(), span);
    try {
      return await this.contexts.with(context, work);
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  override traceparent(): string | undefined {
    const context = trace.getSpanContext(this.contexts.active());
    return context && `00-${context.traceId}-${context.spanId}-0${context.traceFlags.toString(16)}`;
  }

  override onboarding({ onboardingId, startMs, endMs, outcome, attributes = {} }: WholeOnboarding): void {
    const root = rootOf(onboardingId);
    if (root === undefined) return;
    this.ids.next = root;
    const span = this.tracer.startSpan(
      'onboarding',
      {
        root: true,
        startTime: startMs,
        attributes: { ...attributes, 'mqtt2go.onboarding.id': onboardingId, 'mqtt2go.onboarding.outcome': outcome },
      },
      ROOT_CONTEXT,
    );
    this.ids.next = undefined;
    if (outcome !== 'active') span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
    span.end(endMs);
  }

  /** Sends what is left; for 2 seconds at most. */
  async stop(): Promise<void> {
    this.contexts.disable();
    let timer: NodeJS.Timeout | undefined;
    const longEnough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, endTimeoutMs);
    });
    await Promise.race([this.provider.shutdown().catch(() => undefined), longEnough]);
    clearTimeout(timer);
  }

  /** Who asks; else the span that runs, if it belongs to the same onboarding; else the onboarding as a whole. */
  private parentOf(parent: string | undefined, onboardingId: string | undefined): Context {
    const asked = parent === undefined ? undefined : contextOf(parent);
    if (asked !== undefined) return trace.setSpanContext(ROOT_CONTEXT, asked);
    const active = this.contexts.active();
    const root = onboardingId === undefined ? undefined : rootOf(onboardingId);
    if (root === undefined || trace.getSpanContext(active)?.traceId === root.traceId) return active;
    return trace.setSpanContext(ROOT_CONTEXT, root);
  }
}

function fail(span: Span, error: unknown): void {
  const code = error instanceof Mqtt2goError ? error.code : 'internal';
  span.setAttribute('error.type', code);
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
}

const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/** An onboarding's trace has the UUID's 16 bytes as its id; its whole span's id follows from it, too. */
function rootOf(onboardingId: string): SpanContext | undefined {
  if (!uuid.test(onboardingId)) return undefined;
  const spanId = createHash('sha256').update(onboardingId).digest('hex').slice(0, 16);
  return { traceId: onboardingId.replaceAll('-', ''), spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
}

/** W3C Trace Context, version 00. */
function contextOf(traceparent: string): SpanContext | undefined {
  const [, traceId, spanId, flags] = /^00-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})$/.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags ?? '0', 16) & TraceFlags.SAMPLED, isRemote: true };
}
