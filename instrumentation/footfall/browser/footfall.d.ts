/**
 * Footfall in the browser: counts which features of a page are used, without knowing by whom.
 *
 * Nothing is kept or sent before consent, nor where the browser says DNT or GPC. No function throws or
 * waits for the network. Importing this module does nothing.
 */
export type Props = {
    readonly [field: string]: string | number | boolean | null | undefined;
};
export type Options = {
    /**
     * Where events go, as `${endpoint}/events`; "/telemetry" when not given.
     */
    endpoint?: string;
    /**
     * Where counts go; `${endpoint}/ingest` when not given.
     */
    ingest?: string;
    /**
     * The declared events with the fields
     * that each may carry. Without it every event may carry the fields of the prompt manager's schema.
     */
    events?: {
        readonly [event: string]: readonly string[];
    };
    /**
     * Whether the user has agreed; false when not given.
     */
    consent?: boolean;
    /**
     * Whether to print what would be sent and send nothing: always, or
     * only on localhost; false when not given.
     */
    dev?: boolean | "localhost";
    /**
     * Milliseconds after which a request is given up; 200 when not given.
     */
    timeout?: number;
    /**
     * How many events are sent at once, without waiting for more; when not given, all
     * wait for their time. A request has 50 at most.
     */
    batchSize?: number;
    /**
     * Milliseconds that an event may wait; 5000 when not given.
     */
    flushInterval?: number;
};
export type Status = {
    /**
     * Whether events are taken: configured, agreed to, and neither DNT nor GPC.
     */
    allowed: boolean;
    /**
     * How many events and counts wait.
     */
    queued: number;
    /**
     * How many uses were tracked that will not arrive, as far as is known here.
     */
    dropped: number;
};
/**
 * Says where to send and what is declared; may be called again.
 * @param {Options} [options]
 */
export declare function configure(options?: Options): void;
/**
 * Notes the user's decision. Revoking empties the queue and forgets the session.
 * @param {boolean} [given]
 */
export declare function consent(given?: boolean): void;
/**
 * Tracks a use of a feature; it is sent later.
 * @param {string} event The declared name.
 * @param {Props | number} [props] What the event carries. A number makes it a count, sent without time or
 *     session: at most 50 a call; nothing below 1.
 */
export declare function track(event: string, props?: Props | number): void;
/**
 * What may be tracked of a search query: it never leaves the browser itself.
 * @param {string} query
 * @returns {Promise<{query_len: number, filter_hash?: string}>} Its length in characters, and its SHA-256 in hex,
 *     both after NFKC, in lower case and with single blanks between words. On plain HTTP, where browsers do not
 *     hash, only the length. Never rejected.
 */
export declare function hashQuery(query: string): Promise<{
    query_len: number;
    filter_hash?: string;
}>;
/** Sends what waits, without waiting for it. */
export declare function flush(): void;
/**
 * What to look at when nothing arrives.
 * @returns {Status}
 */
export declare function status(): Status;
