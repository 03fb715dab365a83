// Reasons: what each code of a loss, or of a refused request, means, and what to do; docs/losses.md says more.

import { spoken } from "./words.js";

/** Where something was lost, by its signal. */
export const SIGNALS = /** @type {Record<string, string>} */ ({
  traces: "at the collector",
  logs: "at the collector",
  metrics: "at the collector",
  unknown: "at the collector",
  spool: "in the spool",
  sdk: "in the application",
  subscriber: "at a backend",
});

/** What happened, and what to do. @type {Record<string, [string, string]>} */
const LOSSES = {
  undeclared_event: ["No such event in the catalog", "Nothing, if it is foreign traffic; else declare the event."],
  undeclared_action: ["No such action of the event", "Add the action to the catalog, or correct the sender."],
  undeclared_attribute: ["Attribute the event may not carry", "Nothing, if it is not wanted; else declare it."],
  duplicate_attribute: ["Attribute that came twice", "Correct the sender; the first value counts."],
  enum_value: ["Value that is not in the list", "Add the value to the catalog, or correct the sender."],
  wrong_type: ["Value of another type", "Correct the sender, or the type in the catalog."],
  expired_event: ["Came after its event expired", "Ask the owner: renew the date, or remove the event from the code."],
  out_of_window: ["Too old, or ahead of time", "Set the sender’s clock; look for a queue that was held up."],
  loop: ["Sent back to where it came from", "See which exporter sends back here, and take it out."],
  body: ["Had a key “body”", "Send what the catalog declares alone."],
  malformed: ["Could not be read", "Update the sender’s SDK; if it stays, report it there."],
  unsupported_metric: ["No counter", "Send a counter instead of a gauge or a histogram."],
  deprecated_encoding: ["Form of before July 2021", "Update the sender’s SDK."],
  counter_baseline: [
    "Counter that began unseen",
    "Nothing after an upgrade; else see why senders change their identity.",
  ],
  counter_reset: ["Counter that fell", "Nothing after restarts; else give each sender a service.instance.id."],
  counter_limit: ["More counters than are kept", "Take attributes with many values off the counter."],
  fraction: ["Part of an occurrence", "Count whole occurrences, or send a cumulative counter."],
  repeated_without_id: ["Request that came twice", "Nothing, if senders retry; else give each a service.instance.id."],
  duplicate_span: ["Span that was stored before", "Nothing: it is stored."],
  refused_by_store: ["Refused by the store", "Report it to Footfall: it should have been dropped before."],
  unreadable_in_spool: ["Damaged in the spool", "See the disk of the spool."],
  salt_missing: ["Hash could not be made any more", "Nothing, if rare; else look for a queue that was held up."],
  resource_value: [
    "Service or version in no usual form",
    "Give the service a plain name, and a version such as 1.2.3.",
  ],
  resource_unlisted: ["Service that no catalog lists", "Add it to the catalog, if it is yours."],
  resource_personal: ["Service that may name somebody", "See what the sender puts there, or list it in the catalog."],
  resource_limit: [
    "Too many services from one sender",
    "List services in the catalog, and give each sender its own key.",
  ],
  queue_full: [
    "More happened than could be sent",
    "Counted all the same. Sample the event, or see why sending is slow.",
  ],
  export_failed: ["The collector could not be reached", "Look at the collector’s log and at the endpoint."],
  missed_by_retention: ["A backend was away too long", "Bring it with footfall export while it is stored."],
  erased: ["Erased, as somebody asked", "Nothing: whoever has the receipt asked for it."],
};

/** Of whole requests. @type {Record<string, [string, string]>} */
const REQUESTS = {
  admission: ["Too much at once", "Nothing, if rare: senders come again."],
  key: ["No key, or an unknown one", "Give the sender its key."],
  service: ["Key of another service", "Correct the key’s services, or give that sender its own."],
  rate: ["Too many from one key", "Nothing, if rare: senders come again; else raise the key’s limit."],
  too_large: ["Too large", "Set smaller batches in the sender."],
  invalid: ["No OTLP of this signal", "See what sends it."],
  media_type: ["Neither protobuf nor JSON", "Set the sender to OTLP over HTTP."],
  protocol: ["gRPC, or TLS, at the other port", "Send gRPC to the port of OTLP/gRPC."],
  encoding: ["Compression that is not known", "Set the sender’s compression to gzip."],
  path: ["Path that is not served", "Correct the sender’s endpoint."],
  origin: ["Page of another origin", "Add it to cors.allowed_origins, if it is yours."],
  store: ["Refused by the store", "Report it to Footfall: it should have been dropped before."],
  unavailable: ["Nothing could be stored then", "Nothing, if it is over: senders come again."],
  gone: ["Left before the answer", "Nothing, if rare: senders come again."],
  internal: ["The collector failed", "Read its log, and report it to Footfall."],
};

/** @param {string} reason Of a loss; of a whole request it begins with `refused_`. @returns {[string, string]} */
export const lost = (reason) => LOSSES[reason] ?? refused(reason.replace(/^refused_/, ""));

/** @param {string} reason Of a request. @returns {[string, string]} */
export const refused = (reason) => REQUESTS[reason] ?? [spoken(reason), "docs/losses.md explains it."];
