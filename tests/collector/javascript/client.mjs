/**
 * A stranger's program: the official OpenTelemetry SDK, with all that its users let into their telemetry.
 *
 * The first argument is JSON: {protocol, compression, endpoint, work, mark}. It does its work, waits until its
 * standard input is closed, shuts the SDK down and reports. Each line that it prints is JSON: {ok: signal} or
 * {failed: signal} when an export has ended, and at last {report}. What nobody may find begins with `mark`.
 */
import os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { createTraceState, diag, DiagLogLevel, ROOT_CONTEXT, SpanStatusCode, trace } from "@opentelemetry/api";
import {
  detectResources,
  envDetector,
  hostDetector,
  osDetector,
  processDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const { protocol, compression, endpoint, work, mark } = JSON.parse(process.argv[2]);
const INTERVAL = 50; // ms between two exports of the counters

/** What this program did, by event and action: seen is a span or a log record, counted an increment. */
const seen = {};
const counted = {};
const hidden = [];
const complaints = [];
const exports = { traces: 0, metrics: 0, logs: 0 };

const say = (line) => console.log(JSON.stringify(line));
const add = (tally, event, number) => (tally[event] = (tally[event] ?? 0) + number);

function secret(place) {
  const text = `${mark}-${place}`;
  hidden.push(text);
  return text;
}

const complain = (...words) => complaints.push(words.join(" "));
diag.setLogger({ error: complain, warn: complain }, DiagLogLevel.WARN);

// What the detectors ask the system for.
os.hostname = () => secret("host-name");
const user = os.userInfo();
os.userInfo = () => ({ ...user, username: secret("process-owner") });
process.title = secret("process-title");
process.env.OTEL_RESOURCE_ATTRIBUTES = `user.email=${secret("resource")},${secret("resource-key")}=1`;
process.argv.push(secret("command-argument"));
const resource = resourceFromAttributes({ "service.name": protocol.replace("/", "-") }).merge(
  detectResources({
    detectors: [envDetector, hostDetector, osDetector, processDetector, serviceInstanceIdDetector],
  }),
);

const packages = { grpc: "grpc", "http/protobuf": "proto", "http/json": "http" };

/** The signal's exporter for the protocol; it says how each export ended. */
async function exporter(signal, name) {
  const kind = { traces: "trace", metrics: "metrics", logs: "logs" }[signal];
  const module = await import(`@opentelemetry/exporter-${kind}-otlp-${packages[protocol]}`);
  const path = protocol === "grpc" ? "" : `/v1/${signal}`;
  const made = new module[name]({ url: `http://${endpoint}${path}`, compression });
  const send = made.export.bind(made);
  made.export = (items, done) =>
    send(items, (result) => {
      exports[signal] += result.code === 0;
      say(result.code === 0 ? { ok: signal } : { failed: signal });
      done(result);
    });
  return made;
}

const traceExporter = await exporter("traces", "OTLPTraceExporter");
const logExporter = await exporter("logs", "OTLPLogExporter");
const tracing = new NodeTracerProvider({
  resource,
  spanProcessors: [
    new BatchSpanProcessor(traceExporter, { maxExportBatchSize: 100, scheduledDelayMillis: INTERVAL }),
  ],
});
const logging = new LoggerProvider({
  resource,
  processors: [
    new BatchLogRecordProcessor({
      exporter: logExporter,
      maxExportBatchSize: 100,
      scheduledDelayMillis: INTERVAL,
    }),
  ],
});

/** A new one begins all counters anew, as a restarted program would. */
async function meters() {
  const reader = new PeriodicExportingMetricReader({
    exporter: await exporter("metrics", "OTLPMetricExporter"),
    exportIntervalMillis: INTERVAL,
  });
  return new MeterProvider({ resource, readers: [reader] });
}

const tracer = tracing.getTracer(secret("scope-name"), secret("scope-version"));
const logger = logging.getLogger(secret("log-scope"));

function spans() {
  for (let n = 0; n < 30; n++) {
    const undeclared = { "user.id": secret("attribute"), [secret("key")]: n };
    const attributes = { provider: "smz3", guild_id: secret("guild"), ...undeclared };
    tracer.startSpan("shop.order", { attributes }).end();
    add(seen, "shop.order.success", 1);
  }
  for (const name of ["shop.order", "shop.order.failure"]) {
    const span = tracer.startSpan(name);
    span.recordException(new Error(secret("exception")));
    span.addEvent(secret("event"), { who: secret("event-attribute") });
    span.setStatus({ code: SpanStatusCode.ERROR, message: secret("status") });
    span.end();
    add(seen, "shop.order.failure", 1);
  }
}

/** A span of every type, one with wrong values, undeclared ones, and one that has expired. */
function oddSpans() {
  const start = Date.now() - 5000;
  const attributes = {
    guild_id: "17",
    team_id: 42,
    org_id: "0b8d3dd2-19f0-4f2b-a2f9-0a3b5f0a5d11",
    visitor: secret("visitor"),
    provider: "smr",
    mode: "zurück",
    attempts: 7,
    ratio: 1,
    ranked: true,
    note: "kept on purpose",
    seed: "6c1d3dd2-19f0-4f2b-a2f9-0a3b5f0a5d11",
  };
  tracer.startSpan("shop.survey", { attributes, startTime: start }).end(start + 83);
  const state = createTraceState(`vendor=${secret("trace-state")}`);
  const ids = { traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 };
  const remote = { ...ids, traceState: state, isRemote: true };
  const links = [{ context: remote, attributes: { who: secret("link") } }];
  const wrong = {
    note: [secret("array")],
    mode: secret("enum"),
    attempts: secret("number"),
    ratio: 0.5,
    ranked: secret("bool"),
    seed: secret("uuid"),
    "error.type": secret("error-type"),
    "feature.status": secret("feature-status"),
  };
  const parent = trace.setSpanContext(ROOT_CONTEXT, remote);
  const span = tracer.startSpan("shop.survey", { attributes: wrong, links, startTime: start }, parent);
  span.setStatus({ code: SpanStatusCode.ERROR, message: secret("second-status") });
  span.end(start + 1500);
  add(seen, "shop.survey.success", 1);
  add(seen, "shop.survey.failure", 1);
  tracer.startSpan(secret("span-name")).end();
  tracer.startSpan(`GET /users/${secret("path")}`, { attributes: { "url.full": secret("url") } }).end();
  tracer.startSpan("shop.gone").end();
}

function records() {
  for (let n = 0; n < 20; n++) {
    const attributes = { note: "kept on purpose", attempts: n, "user.email": secret("log-attribute") };
    logger.emit({ eventName: "shop.visit.close", body: secret("body"), attributes });
    add(seen, "shop.visit.close", 1);
  }
  logger.emit({
    eventName: "shop.order",
    severityNumber: 17,
    severityText: secret("severity"),
    body: { [secret("body-key")]: [secret("body-value")] },
    attributes: { provider: { name: secret("map") } },
    exception: new Error(secret("log-exception")),
  });
  add(seen, "shop.order.failure", 1);
  logger.emit({ eventName: secret("event-name"), body: "" });
  logger.emit({ body: secret("plain-log") });
}

/** Counters that go on for some exports; those of one series come with and without a user. */
async function increments(provider, rounds) {
  const meter = provider.getMeter(secret("meter"));
  const ping = meter.createCounter("shop.ping", { description: secret("description"), unit: secret("unit") });
  const order = meter.createCounter("shop.order");
  const foreign = meter.createCounter(secret("counter"));
  for (let round = 1; round <= rounds; round++) {
    ping.add(round);
    ping.add(3, { "user.id": secret("metric-attribute") });
    ping.add(4, { "user.id": secret(`metric-attribute-${round % 3}`), [secret("metric-key")]: true });
    add(counted, "shop.ping.invoke", round + 7);
    order.add(2, { provider: "smr" });
    add(counted, "shop.order.success", 2);
    foreign.add(1);
    await sleep(INTERVAL);
  }
}

const first = await meters();
let last = first;
spans();
records();
if (work === "everything") {
  oddSpans();
  await increments(first, 6);
  await first.shutdown();
  last = await meters();
  spans();
}
await increments(last, 6);
for await (const _ of process.stdin);
await Promise.allSettled([tracing.shutdown(), logging.shutdown(), last.shutdown()]);
say({ report: { seen, counted, exports, complaints, hidden: [...new Set(hidden)] } });
