/**
 * The rating of a prompt: one to five stars and a note, offered in a corner of the page and in nobody's way.
 *
 * Importing this module defines the element `<footfall-psr>`. Nothing is sent before the user presses Send. No
 * function throws or waits for the network.
 */
export type Offer = {
    /**
     * What is to be rated.
     */
    promptId: string;
    /**
     * Which version of it.
     */
    version?: string;
    /**
     * What the user has done with it; "copy" when
     * not given.
     */
    source?: "copy" | "duplicate" | "manual" | "other";
    /**
     * What the widget says, where it is not to be English.
     */
    texts?: Partial<Texts>;
};
export type Texts = {
    question: string;
    /**
     * What a screen reader says of a star.
     */
    stars: (stars: number) => string;
    /**
     * The label of the note.
     */
    note: string;
    /**
     * What stands in the note while it is empty.
     */
    hint: string;
    send: string;
    /**
     * What a screen reader says of the button that closes.
     */
    dismiss: string;
    /**
     * What is said when it has arrived;
     * average and total are what the server says of the prompt, if it does.
     */
    thanks: (average?: number | null, total?: number | null) => string;
};
/**
 * Offers a rating in the page's `<footfall-psr>`, or in one that is added at its end.
 * @param {Offer} what
 * @returns {boolean} Whether it is shown: not twice on a day, nor while another prompt is being rated, nor
 *     where the server has answered that there are no ratings.
 */
export declare function offer(what: Offer): boolean;
declare const Element: typeof HTMLElement;
/**
 * The widget. Its attributes: `endpoint`, where ratings go ("/psr" when not given), and `timeout`, the milliseconds
 * after which one is given up (5000 when not given).
 */
export declare class Psr extends Element {
    #private;
    /** @internal */
    connectedCallback(): void;
    /** @internal */
    disconnectedCallback(): void;
    /**
     * Offers a rating here.
     * @param {Offer} what
     * @returns {boolean} Whether it is shown.
     */
    offer(what: Offer): boolean;
}
export {};
