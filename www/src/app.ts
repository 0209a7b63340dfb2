/** `<tallow-app>`: the whole page. It draws the state of a `Chat`, and turns what the user does into its actions. */
import { LitElement, css, html, nothing } from "lit";
import { customElement, query, state } from "lit/decorators.js";
import { modelOf } from "./address.js";
import { Chat } from "./chat.js";
import "./composer.js";
import type { Composer } from "./composer.js";
import "./conversation.js";
import { nameOfFile } from "./format.js";
import "./header.js";
import type { Light } from "./header.js";
import "./loading.js";
import { mainQuantization } from "./model-info.js";
import "./model-panel.js";
import "./problem-view.js";
import { loadSettings, saveSettings, type Settings } from "./settings.js";
import "./settings-panel.js";
import "./sheet.js";
import { streamingTurn, type AnswerTurn, type Source, type State } from "./state.js";
import { fillsContext } from "./stats.js";
import { base } from "./styles/base.js";
import { chooseTheme, loadTheme, type Theme } from "./theme.js";
import "./welcome.js";

@customElement("tallow-app")
export class App extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: grid;
        grid-template-rows: auto minmax(0, 1fr) auto;
        height: 100dvh;
      }

      main {
        display: grid;
        grid-template-rows: minmax(0, 1fr) auto;
        min-height: 0;
      }

      .hindrance,
      footer {
        width: 100%;
        max-width: calc(var(--column) + 2 * var(--gap));
        margin: 0 auto;
        padding: 0 var(--gap);
      }

      .hindrance {
        padding-bottom: 1rem;
      }

      footer {
        position: relative;
        padding-bottom: calc(0.6rem + env(safe-area-inset-bottom));
      }

      /* The conversation fades out under the composer. */
      footer::before {
        content: "";
        position: absolute;
        inset: auto 0 100%;
        height: 1rem;
        background: linear-gradient(transparent, var(--paper));
        pointer-events: none;
      }

      /* In front of the fading, which would cut its focus ring. */
      footer tallow-composer {
        position: relative;
      }

      footer p {
        margin: 0.5rem 0 0;
        color: var(--muted);
        font-size: 0.75rem;
        text-align: center;
      }

      .full {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: space-between;
        gap: 0.5rem 1rem;
        margin-bottom: 0.75rem;
        padding: 0.75rem 1rem;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--surface);
        font-size: 0.9375rem;
      }

      .idle {
        display: flex;
        flex-wrap: wrap;
        justify-content: center;
        gap: 0.6rem;
      }

      .drop {
        position: fixed;
        inset: 0.75rem;
        z-index: 1;
        display: grid;
        place-items: center;
        border: 2px dashed var(--accent);
        border-radius: 1.25rem;
        background: color-mix(in srgb, var(--paper) 92%, transparent);
        font: 500 1.35rem/1.4 var(--serif);
        pointer-events: none;
      }
    `,
  ];

  private chat = new Chat(modelOf(new URL(location.href)), loadSettings());
  @state() private page: Readonly<State> = this.chat.store.state;
  @state() private panel: "model" | "settings" | undefined;
  @state() private theme: Theme = loadTheme();
  @state() private dropping = false;
  /** What screen readers are told: an answer once it is whole, and how the model is. */
  @state() private announcement = "";
  @query("tallow-composer") private composer!: Composer;
  private listening = new AbortController();

  override connectedCallback(): void {
    super.connectedCallback();
    this.listening = new AbortController();
    const { signal } = this.listening;
    signal.addEventListener(
      "abort",
      this.chat.store.subscribe(() => this.follow()),
    );
    window.addEventListener("keydown", (event) => this.press(event), { signal });
    window.addEventListener("dragover", (event) => this.dragOver(event), { signal });
    window.addEventListener("dragleave", (event) => this.dragLeave(event), { signal });
    window.addEventListener("drop", (event) => this.drop(event), { signal });
    window.addEventListener("pagehide", () => void this.chat.leave(), { signal });
    // A page out of the browser's back/forward cache has given its model up when it was left.
    window.addEventListener("pageshow", ({ persisted }) => persisted && void this.chat.load(), { signal });
    void this.chat.load();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.listening.abort();
    void this.chat.leave();
  }

  protected override render() {
    const { turns, settings, model, source } = this.page;
    const answering = streamingTurn(turns) !== undefined;
    return html`<tallow-header
        .name=${this.modelName}
        .status=${this.status}
        .light=${this.light}
        .talking=${turns.length > 0}
        @open-model=${() => (this.panel = "model")}
        @open-settings=${() => (this.panel = "settings")}
        @start-anew=${this.startAnew}
      ></tallow-header>
      <main>${turns.length > 0 ? this.drawConversation() : this.drawWelcome()}</main>
      <footer>
        ${this.drawContextFull()}
        <tallow-composer
          .ready=${this.ready}
          .answering=${answering}
          placeholder=${this.placeholder}
          @send=${(event: CustomEvent<string>) => this.send(event.detail)}
          @stop=${this.stop}
        ></tallow-composer>
        <p>Small models make things up. Check what matters.</p>
      </footer>
      <tallow-sheet heading="Model" .open=${this.panel === "model"} @close=${this.closePanel}>
        <tallow-model
          .model=${model}
          .source=${source}
          .shown=${this.panel === "model"}
          @choose=${(event: CustomEvent<Source>) => this.choose(event.detail)}
        ></tallow-model>
      </tallow-sheet>
      <tallow-sheet heading="Settings" .open=${this.panel === "settings"} @close=${this.closePanel}>
        <tallow-settings
          .settings=${settings}
          .theme=${this.theme}
          @change-settings=${(event: CustomEvent<Settings>) => this.changeSettings(event.detail)}
          @change-theme=${(event: CustomEvent<Theme>) => this.changeTheme(event.detail)}
        ></tallow-settings>
      </tallow-sheet>
      ${this.dropping ? html`<div class="drop">Drop a GGUF file to load it</div>` : nothing}
      <p class="visually-hidden" role="status" data-testid="announcement">${this.announcement}</p>`;
  }

  private drawWelcome() {
    const kind = this.page.model.kind;
    const mode = kind === "ready" || kind === "loading" ? kind : "waiting";
    return html`<tallow-welcome
      .mode=${mode}
      @send=${(event: CustomEvent<string>) => this.send(event.detail)}
    >
      ${this.drawHindrance()}
    </tallow-welcome>`;
  }

  private drawConversation() {
    const { turns, model } = this.page;
    return html`<tallow-conversation
        .turns=${turns}
        .ready=${this.ready}
        .contextLength=${model.kind === "ready" ? model.info.contextLength : Infinity}
        @regenerate=${() => void this.chat.regenerate()}
        @start-anew=${this.startAnew}
      ></tallow-conversation>
      ${model.kind === "ready" ? nothing : html`<div class="hindrance">${this.drawHindrance()}</div>`}`;
  }

  /** What stands between the user and a conversation. */
  private drawHindrance() {
    const { model } = this.page;
    const another = html`<button class="plain" type="button" @click=${() => (this.panel = "model")}>
      Choose another model
    </button>`;
    switch (model.kind) {
      case "ready":
        return nothing;
      case "loading":
        return html`<tallow-loading
          .name=${this.modelName}
          .progress=${model.progress}
          .bytesPerSecond=${model.bytesPerSecond}
          @cancel=${() => this.chat.cancelLoad()}
        ></tallow-loading>`;
      case "idle":
        return html`<div class="idle">
          <button class="primary" type="button" data-testid="load" @click=${() => void this.chat.load()}>
            Load the model
          </button>
          ${another}
        </div>`;
      case "failed":
        return html`<tallow-problem .problem=${model.problem}>
          <button class="primary" type="button" data-testid="retry" @click=${() => void this.chat.load()}>
            Try again
          </button>
          ${another}
        </tallow-problem>`;
    }
  }

  private drawContextFull() {
    const { turns, model } = this.page;
    const last = turns.at(-1);
    if (model.kind !== "ready" || last?.role !== "assistant" || last.problem) return nothing;
    if (!fillsContext(last, model.info.contextLength)) return nothing;
    return html`<div class="full" data-testid="context-full">
      The model’s memory for this conversation is full.
      <button class="primary" type="button" @click=${this.startAnew}>New conversation</button>
    </div>`;
  }

  private get ready(): boolean {
    return this.page.model.kind === "ready";
  }

  private get modelName(): string {
    const { model, source } = this.page;
    if (model.kind === "ready")
      return [model.info.name, mainQuantization(model.info)].filter(Boolean).join(" · ");
    return nameOfFile(source instanceof URL ? source.href : source.name);
  }

  private get status(): string {
    const { model, turns } = this.page;
    switch (model.kind) {
      case "idle":
        return "Not loaded";
      case "failed":
        return "Failed";
      case "ready":
        return streamingTurn(turns) ? "Answering" : "Ready";
      case "loading": {
        const { phase, loaded = 0, total } = model.progress ?? {};
        if (phase === "prepare") return "Preparing";
        return total ? `Loading ${Math.floor((100 * loaded) / total)}%` : "Loading";
      }
    }
  }

  private get light(): Light {
    const { model, turns } = this.page;
    if (model.kind === "idle") return "off";
    if (model.kind === "failed") return "failed";
    return model.kind === "loading" || streamingTurn(turns) ? "busy" : "ready";
  }

  private get placeholder(): string {
    if (this.ready) return "Write a message";
    return this.page.model.kind === "loading" ? "Write while it loads" : "Load a model to talk to it";
  }

  /** Takes the new state, and tells screen readers and the keyboard what has come of it. */
  private follow(): void {
    const before = this.page;
    this.page = this.chat.store.state;
    const { model, turns } = this.page;
    if (model.kind !== before.model.kind) {
      if (model.kind === "loading") this.announcement = `Loading ${this.modelName}`;
      if (model.kind === "ready") {
        this.announcement = `${model.info.name} is ready`;
        this.offerComposer();
      }
    }
    const [was, is] = [streamingTurn(before.turns), turns.at(-1)];
    if (was && is?.id === was.id && is.role === "assistant") this.announceEnd(is);
  }

  private announceEnd({ status, text }: AnswerTurn): void {
    if (status === "finished") this.announcement = text;
    if (status === "stopped") this.announcement = `Stopped. ${text}`;
  }

  private send(text: string): void {
    this.announcement = "";
    void this.chat.send(text);
    this.offerComposer();
  }

  private stop(): void {
    this.chat.stop();
    this.offerComposer();
  }

  private startAnew(): void {
    this.chat.startAnew();
    this.offerComposer();
  }

  /** Moves the focus to where one writes, except where that would raise a phone's keyboard or leave a panel. */
  private offerComposer(): void {
    if (this.panel === undefined && matchMedia("(hover: hover)").matches) this.composer.focus();
  }

  private choose(source: Source): void {
    this.panel = undefined;
    void this.chat.load(source);
  }

  private closePanel(): void {
    this.panel = undefined;
  }

  private changeSettings(settings: Settings): void {
    this.chat.settings = settings;
    saveSettings(settings);
  }

  private changeTheme(theme: Theme): void {
    this.theme = theme;
    chooseTheme(theme);
  }

  private press(event: KeyboardEvent): void {
    if (event.key === "Escape" && !event.isComposing && this.panel === undefined) this.chat.stop();
  }

  private dragOver(event: DragEvent): void {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.dropping = true;
  }

  private dragLeave(event: DragEvent): void {
    if (event.relatedTarget === null) this.dropping = false; // It has left the window.
  }

  private drop(event: DragEvent): void {
    this.dropping = false;
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    this.choose(file);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-app": App;
  }
}
