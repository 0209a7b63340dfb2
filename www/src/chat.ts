/**
 * The page's actions: load a model, talk to it, stop. One model and one answer at a time; what is under way is
 * ended before something new begins, and what a cancelled task still reports is not listened to.
 */
import { loadModel, type LoadModelOptions, type LoadProgress, type Model, type TallowError } from "tallow";
import { describeProblem, isAbort, type Problem } from "./problem.js";
import { toRequest } from "./request.js";
import type { Settings } from "./settings.js";
import { Speed } from "./speed.js";
import { noStats, streamingTurn, type AnswerTurn, type Source, type State, type Turn } from "./state.js";
import { Store } from "./store.js";

export class Chat {
  readonly store: Store<State>;
  #options: LoadModelOptions;
  #model: Model | undefined;
  #loading: AbortController | undefined;
  #answering: AbortController | undefined;
  #nextId = 1;

  constructor(source: Source, settings: Settings, options: LoadModelOptions = {}) {
    this.#options = options;
    this.store = new Store<State>({ source, settings, model: { kind: "idle" }, turns: [] });
  }

  /** Loads `source` in place of the model there is. Another model begins another conversation. */
  async load(source: Source = this.store.state.source): Promise<void> {
    this.stop();
    this.#loading?.abort();
    const loading = (this.#loading = new AbortController());
    if (source !== this.store.state.source) this.store.update({ source, turns: [] });
    this.store.update({ model: { kind: "loading", progress: undefined, bytesPerSecond: undefined } });

    const speed = new Speed();
    const startedAt = performance.now();
    const onProgress = (progress: LoadProgress) => {
      if (loading.signal.aborted) return;
      speed.record(performance.now(), progress.loaded);
      this.store.update({ model: { kind: "loading", progress, bytesPerSecond: speed.bytesPerSecond } });
    };
    const warnings: string[] = [];
    const onWarning = ({ message }: TallowError) => void warnings.push(message);
    try {
      await this.#release(); // The memory of two models at once is more than many devices have.
      const model = await loadModel(source, {
        ...this.#options,
        onProgress,
        onWarning,
        signal: loading.signal,
      });
      if (loading.signal.aborted) return void model.dispose();
      this.#model = model;
      const loadMs = performance.now() - startedAt;
      this.store.update({ model: { kind: "ready", info: model.info, loadMs, warnings } });
    } catch (error) {
      if (!loading.signal.aborted)
        this.store.update({ model: { kind: "failed", problem: describeProblem(error) } });
    }
  }

  cancelLoad(): void {
    this.#loading?.abort();
    if (this.store.state.model.kind === "loading") this.store.update({ model: { kind: "idle" } });
  }

  /** Says `text` and streams the answer into the last turn. */
  async send(text: string): Promise<void> {
    if (!text.trim() || !this.#mayAnswer) return;
    const question: Turn = { role: "user", id: this.#nextId++, text: text.trim() };
    await this.#answer([...this.store.state.turns, question]);
  }

  /** Answers the last question again. */
  async regenerate(): Promise<void> {
    const { turns } = this.store.state;
    if (turns.at(-1)?.role === "assistant" && this.#mayAnswer) await this.#answer(turns.slice(0, -1));
  }

  /** Ends the answer under way; what has come of it stays. */
  stop(): void {
    this.#answering?.abort();
    const turn = streamingTurn(this.store.state.turns);
    if (turn) this.#change(turn.id, { status: "stopped" });
  }

  startAnew(): void {
    this.stop();
    this.store.update({ turns: [] });
  }

  set settings(settings: Settings) {
    this.store.update({ settings });
  }

  /** Ends everything: for a page that is being left. */
  async leave(): Promise<void> {
    this.stop();
    this.cancelLoad();
    await this.#release();
  }

  get #mayAnswer(): boolean {
    return this.store.state.model.kind === "ready" && !streamingTurn(this.store.state.turns);
  }

  async #answer(turns: readonly Turn[]): Promise<void> {
    const model = this.#model;
    if (!model) return;
    const answering = (this.#answering = new AbortController());
    const { signal } = answering;
    const id = this.#nextId++;
    const request = toRequest(turns, this.store.state.settings);
    const begun: AnswerTurn = {
      role: "assistant",
      id,
      text: "",
      status: "streaming",
      finishReason: undefined,
      problem: undefined,
      stats: noStats,
    };
    this.store.update({ turns: [...turns, begun] });

    let turn = begun;
    const change = (part: Partial<AnswerTurn>) => {
      turn = { ...turn, ...part };
      this.#change(id, part);
    };
    const askedAt = performance.now();
    try {
      for await (const chunk of await model.chat.completions.create(request, { signal })) {
        if (signal.aborted) return;
        const [choice] = chunk.choices;
        const elapsed = performance.now() - askedAt;
        if (choice?.delta.content) {
          const firstTokenMs = turn.stats.firstTokenMs ?? elapsed;
          const stats = {
            ...turn.stats,
            tokens: turn.stats.tokens + 1,
            firstTokenMs,
            generateMs: elapsed - firstTokenMs,
          };
          change({ text: turn.text + choice.delta.content, stats });
        }
        if (choice?.finish_reason) change({ finishReason: choice.finish_reason });
        if (chunk.timings) {
          const { predicted_n, predicted_ms } = chunk.timings;
          change({ stats: { ...turn.stats, tokens: predicted_n, generateMs: predicted_ms, counted: true } });
        }
        if (chunk.usage) change({ stats: { ...turn.stats, contextTokens: chunk.usage.total_tokens } });
      }
      if (!signal.aborted) change({ status: "finished" });
    } catch (error) {
      if (signal.aborted && isAbort(error)) return;
      this.#fail(id, describeProblem(error));
    }
  }

  #fail(id: number, problem: Problem): void {
    this.#change(id, { status: "failed", problem });
    if (problem.code === "worker_lost") this.store.update({ model: { kind: "failed", problem } });
  }

  /** Changes the answer `id`, if it is still part of the conversation. */
  #change(id: number, part: Partial<AnswerTurn>): void {
    const turns = this.store.state.turns.map((turn) =>
      turn.id === id && turn.role === "assistant" ? { ...turn, ...part } : turn,
    );
    this.store.update({ turns });
  }

  async #release(): Promise<void> {
    const model = this.#model;
    this.#model = undefined;
    await model?.dispose();
  }
}
