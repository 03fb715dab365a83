import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.metrics.LongCounter;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.logging.Handler;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/**
 * A stranger's program: opentelemetry-java, set up by OpenTelemetry's environment variables.
 *
 * <p>See ../README.md for what every sender does.
 */
public final class Main {
  private static final int TICKS_PER_SECOND = 10;
  private static final String[] PROVIDERS = {"smr", "smz3"};

  public static void main(String[] arguments) throws Exception {
    int rate = Integer.parseInt(arguments[0]);
    complain();
    OpenTelemetrySdk sdk = AutoConfiguredOpenTelemetrySdk.builder()
        .disableShutdownHook().build().getOpenTelemetrySdk();
    Tracer tracer = sdk.getTracer("stranger");
    LongCounter counter = sdk.getMeter("stranger").counterBuilder("foreign.counted").build();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    say("ready", "true");
    input.readLine();
    CountDownLatch ended = new CountDownLatch(1);
    Thread worker = new Thread(() -> work(rate, tracer, counter, ended));
    worker.start();
    while (input.readLine() != null) {}
    ended.countDown();
    worker.join();
    sdk.shutdown().join(90, TimeUnit.SECONDS);
    say("done", "true");
    System.exit(0);
  }

  /** Goes on until the input ends, and says after each tick what it has made so far. */
  private static void work(int rate, Tracer tracer, LongCounter counter, CountDownLatch ended) {
    int made = 0;
    while (!waited(ended)) {
      for (int n = 0; n < rate / TICKS_PER_SECOND; n++, made++) {
        Attributes attributes = Attributes.of(
            AttributeKey.stringKey("provider"), PROVIDERS[made % 2],
            AttributeKey.stringKey("page"), "/" + made % 20);
        tracer.spanBuilder("foreign.seen").setAllAttributes(attributes).startSpan().end();
        counter.add(1, attributes);
      }
      say("made", String.valueOf(made));
    }
  }

  private static boolean waited(CountDownLatch ended) {
    try {
      return ended.await(1000 / TICKS_PER_SECOND, TimeUnit.MILLISECONDS);
    } catch (InterruptedException error) {
      return true;
    }
  }

  private static synchronized void say(String what, String json) {
    System.out.println("{\"" + what + "\": " + json + "}");
    System.out.flush();
  }

  /** The SDK's log, as lines of the journal. */
  private static void complain() {
    LogManager.getLogManager().reset();
    Logger.getLogger("").addHandler(new Handler() {
      @Override
      public void publish(LogRecord record) {
        if (record.getLevel().intValue() >= java.util.logging.Level.WARNING.intValue()) {
          String text = record.getMessage().replaceAll("[\"\\\\\\p{Cntrl}]", " ");
          say("error", '"' + text + '"');
        }
      }

      @Override
      public void flush() {}

      @Override
      public void close() {}
    });
  }
}
