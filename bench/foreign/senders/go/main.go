// A stranger's program: opentelemetry-go, set up by OpenTelemetry's environment variables.
//
// See ../README.md for what every sender does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const ticksPerSecond = 10

var providers = []string{"smr", "smz3"}

func main() {
	rate, err := strconv.Atoi(os.Args[1])
	must(err)
	ctx := context.Background()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { say("error", err.Error()) }))
	tracing, metering := sdks(ctx)
	tracer := tracing.Tracer("stranger")
	counter, err := metering.Meter("stranger").Int64Counter("foreign.counted")
	must(err)
	input := bufio.NewReader(os.Stdin)
	say("ready", true)
	if _, err := input.ReadString('\n'); err == nil {
		work(ctx, rate, tracer, counter, input)
	}
	for _, shutdown := range []func(context.Context) error{tracing.Shutdown, metering.Shutdown} {
		if err := shutdown(ctx); err != nil {
			say("error", err.Error())
		}
	}
	say("done", true)
}

func sdks(ctx context.Context) (*sdktrace.TracerProvider, *sdkmetric.MeterProvider) {
	var spans *otlptrace.Exporter
	var metrics sdkmetric.Exporter
	var err error
	if os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" {
		spans, err = otlptracegrpc.New(ctx)
		must(err)
		metrics, err = otlpmetricgrpc.New(ctx)
	} else {
		spans, err = otlptracehttp.New(ctx)
		must(err)
		metrics, err = otlpmetrichttp.New(ctx)
	}
	must(err)
	reader := sdkmetric.NewPeriodicReader(metrics)
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans)),
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
}

// work goes on until the input ends, and says after each tick what it has made so far.
func work(ctx context.Context, rate int, tracer trace.Tracer, counter metric.Int64Counter, input *bufio.Reader) {
	ended := make(chan struct{})
	go func() {
		_, _ = input.ReadString('\n')
		close(ended)
	}()
	ticks := time.NewTicker(time.Second / ticksPerSecond)
	for made := 0; ; {
		select {
		case <-ended:
			return
		case <-ticks.C:
		}
		for range rate / ticksPerSecond {
			attributes := []attribute.KeyValue{
				attribute.String("provider", providers[made%2]),
				attribute.String("page", fmt.Sprint("/", made%20)),
			}
			_, span := tracer.Start(ctx, "foreign.seen", trace.WithAttributes(attributes...))
			span.End()
			counter.Add(ctx, 1, metric.WithAttributes(attributes...))
			made++
		}
		say("made", made)
	}
}

func say(what string, value any) {
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{what: value}))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
