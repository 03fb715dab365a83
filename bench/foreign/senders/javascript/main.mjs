/**
 * A stranger's program: the OpenTelemetry SDK for JavaScript, set up by OpenTelemetry's variables.
 *
 * See ../README.md for what every sender does.
 */
import { createInterface } from "node:readline";
import { diag, DiagLogLevel } from "@opentelemetry/api";
import { defaultResource, detectResources, envDetector } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const TICKS_PER_SECOND = 10;
const PROVIDERS = ["smr", "smz3"];
const rate = Number(process.argv[2]);
const say = (line) => console.log(JSON.stringify(line));
const complain = (...words) => say({ error: words.join(" ") });
diag.setLogger({ error: complain, warn: complain }, DiagLogLevel.WARN);

const kind = process.env.OTEL_EXPORTER_OTLP_PROTOCOL === "grpc" ? "grpc" : "proto";
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${kind}`);
const resource = defaultResource().merge(detectResources({ detectors: [envDetector] }));
const tracing = new NodeTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
const reader = new PeriodicExportingMetricReader({
  exporter: new OTLPMetricExporter(),
  exportIntervalMillis: Number(process.env.OTEL_METRIC_EXPORT_INTERVAL),
});
const metering = new MeterProvider({ resource, readers: [reader] });
const tracer = tracing.getTracer("stranger");
const counter = metering.getMeter("stranger").createCounter("foreign.counted");

let made = 0;
function tick() {
  for (let n = 0; n < rate / TICKS_PER_SECOND; n++, made++) {
    const attributes = { provider: PROVIDERS[made % 2], page: `/${made % 20}` };
    tracer.startSpan("foreign.seen", { attributes }).end();
    counter.add(1, attributes);
  }
  say({ made });
}

let ticking;
say({ ready: true });
for await (const _ of createInterface(process.stdin)) ticking ??= setInterval(tick, 1000 / TICKS_PER_SECOND);
clearInterval(ticking);
for (const each of [tracing, metering]) await each.shutdown().catch((error) => complain(error.message));
say({ done: true });
