/** A conversation's own context: what the model has seen of it, to be forked, cut, saved and restored. */

import { ChatCompletions, Completions } from "./completions.js";
import type { Engine } from "./engine.js";
import { check, invalid, shown } from "./validate.js";

/**
 * A context of its own with a loaded model, from {@link Model.createSession}. A request evaluates only what follows the
 * longest beginning that it shares with what the session has seen.
 *
 * What is asked of the sessions of a model is done in the order that it was asked in, one thing after the other. After
 * {@link Session.dispose} all else is refused with `invalid_request`.
 *
 * @example
 * ```ts
 * const session = await model.createSession();
 * const system = { role: "system" as const, content: "Answer in one sentence." };
 * await session.chat.completions.create({ messages: [system, { role: "user", content: "Hello!" }], max_tokens: 1 });
 * const fork = await session.fork(); // has seen the same, and takes no memory for it
 * const saved = await session.save(); // a Blob, for a file or for IndexedDB
 * await session.restore(saved);
 * await fork.dispose();
 * ```
 */
export class Session {
  /** `session.chat.completions`: answers to conversations. */
  readonly chat: {
    /** Answers to conversations. */
    readonly completions: ChatCompletions;
  };
  /** Continuations of raw text. */
  readonly completions: Completions;
  readonly #engine: Engine;
  readonly #model: string;
  readonly #session: number;

  /** @internal */
  constructor(engine: Engine, model: string, session: number) {
    this.#engine = engine;
    this.#model = model;
    this.#session = session;
    const own: Pick<Engine, "generate"> = {
      generate: (request, onPiece, signal) => engine.generate(request, onPiece, signal, session),
    };
    this.chat = { completions: new ChatCompletions(own, model) };
    this.completions = new Completions(own, model);
  }

  /** Another session that has seen the same. It shares the memory of that, but for what one of the two adds. */
  async fork(): Promise<Session> {
    const session = await this.#engine.inTurn("fork", { session: this.#session });
    return new Session(this.#engine, this.#model, session);
  }

  /** Forgets all but the first `length` tokens, and returns their memory; does nothing where there are fewer. */
  async truncate(length: number): Promise<void> {
    check("`truncate`'s arguments", { length });
    await this.#engine.inTurn("truncate", { session: this.#session, length });
  }

  /** The ids of the tokens that the session has seen. The last one that was drawn may not be among them yet. */
  async tokens(): Promise<Uint32Array> {
    return this.#engine.inTurn("tokens", { session: this.#session });
  }

  /**
   * What the session has seen, as a file that goes on where it was: with the same model, by its hash, from whatever source,
   * and the same `kvCacheType` and version of this package's layout. It takes what `model.info` and `inspect` tell of a
   * context for each token, and four bytes.
   */
  async save(): Promise<Blob> {
    return this.#engine.inTurn("save", { session: this.#session });
  }

  /**
   * Puts what {@link Session.save} gave, here or elsewhere, in the place of what the session has seen; where it rejects, the
   * session is as it was.
   *
   * @throws {@link TallowError} `integrity_error` for what is no saved session, is damaged, or of another model;
   * `invalid_request` for one of another version or `kvCacheType`; `context_length_exceeded` for one that is too long
   */
  async restore(saved: Blob): Promise<void> {
    if (!(saved instanceof Blob)) throw invalid(`\`saved\` should be a Blob, got ${shown(saved)}`);
    await this.#engine.inTurn("restore", { session: this.#session, saved });
  }

  /** Ends the session, once what was asked of it before is done, and returns the memory that it shares with no other. */
  async dispose(): Promise<void> {
    await this.#engine.inTurn("free", { session: this.#session });
  }
}
