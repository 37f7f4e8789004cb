import { useTracing } from '@mqtt2go/messaging';

/**
 * Records spans if OpenTelemetry's variables say where to send them; its packages are not even loaded otherwise.
 * @returns the way to stop, which sends what is left
 */
export async function startTracing(
  service: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<() => Promise<void>> {
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '';
  if (endpoint === '' || env['OTEL_SDK_DISABLED'] === 'true') return async () => undefined;
  const { OtelTracing } = await import('./otel-tracing.js');
  const tracing = new OtelTracing(env['OTEL_SERVICE_NAME'] ?? service, env);
  useTracing(tracing);
  return async () => {
    useTracing(undefined);
    await tracing.stop();
  };
}
