//! A stranger's program: opentelemetry-rust, set up by OpenTelemetry's environment variables.
//!
//! See ../README.md for what every sender does.

use std::io::{stdin, BufRead};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::time::Duration;

use opentelemetry::metrics::{Counter, MeterProvider};
use opentelemetry::trace::{Span, SpanBuilder, Tracer, TracerProvider};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

const TICKS_PER_SECOND: u64 = 10;
const PROVIDERS: [&str; 2] = ["smr", "smz3"];

fn main() {
    let rate: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    // gRPC needs a runtime, and the blocking HTTP client must not be inside of one.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (tracing, metering) = if std::env::var("OTEL_EXPORTER_OTLP_PROTOCOL").unwrap() == "grpc" {
        let _inside = runtime.enter();
        sdks(
            SpanExporter::builder().with_tonic().build().unwrap(),
            MetricExporter::builder().with_tonic().build().unwrap(),
        )
    } else {
        sdks(
            SpanExporter::builder().with_http().build().unwrap(),
            MetricExporter::builder().with_http().build().unwrap(),
        )
    };
    println!("{{\"ready\": true}}");
    stdin().lock().read_line(&mut String::new()).unwrap();
    let (end, ended) = channel::<()>();
    let tracer = tracing.tracer("stranger");
    let counter = metering.meter("stranger").u64_counter("foreign.counted").build();
    let worker = std::thread::spawn(move || work(rate, tracer, counter, ended));
    while stdin().lock().read_line(&mut String::new()).unwrap() > 0 {}
    drop(end);
    worker.join().unwrap();
    for ended in [tracing.shutdown(), metering.shutdown()] {
        if let Err(error) = ended {
            println!("{{\"error\": {:?}}}", error.to_string());
        }
    }
    println!("{{\"done\": true}}");
}

fn sdks(spans: SpanExporter, metrics: MetricExporter) -> (SdkTracerProvider, SdkMeterProvider) {
    (
        SdkTracerProvider::builder().with_batch_exporter(spans).build(),
        SdkMeterProvider::builder().with_periodic_exporter(metrics).build(),
    )
}

/// Goes on until the input ends, and says after each tick what it has made so far.
fn work(rate: u64, tracer: SdkTracer, counter: Counter<u64>, ended: Receiver<()>) {
    let mut made = 0;
    let tick = Duration::from_millis(1000 / TICKS_PER_SECOND);
    while ended.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
        for _ in 0..rate / TICKS_PER_SECOND {
            let attributes = [
                KeyValue::new("provider", PROVIDERS[(made % 2) as usize]),
                KeyValue::new("page", format!("/{}", made % 20)),
            ];
            let span = SpanBuilder::from_name("foreign.seen").with_attributes(attributes.clone());
            tracer.build(span).end();
            counter.add(1, &attributes);
            made += 1;
        }
        println!("{{\"made\": {made}}}");
    }
}
