/**
 * `<tallow-composer>`: where one writes. Enter sends, Shift+Enter breaks the line. Emits `send` with the text and
 * `stop`. One can write while the model loads or answers; only the sending waits.
 */
import { LitElement, css, html } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { icons } from "./icons.js";
import { base } from "./styles/base.js";

@customElement("tallow-composer")
export class Composer extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
      }

      form {
        display: flex;
        align-items: flex-end;
        gap: 0.5rem;
        padding: 0.4rem 0.4rem 0.4rem 1.1rem;
        border: 1px solid var(--line-strong);
        border-radius: 1.6rem;
        background: var(--surface);
        box-shadow: 0 4px 20px var(--shadow);
      }

      form:focus-within {
        border-color: var(--accent);
        box-shadow:
          0 0 0 1px var(--accent),
          0 4px 20px var(--shadow);
      }

      textarea {
        flex: 1;
        min-width: 0;
        max-height: 40dvh;
        padding: 0.5rem 0;
        border: 0;
        background: none;
        line-height: 1.5;
        resize: none;
      }

      textarea:focus-visible {
        outline: 0; /* The ring is drawn around the whole form. */
      }

      textarea::placeholder {
        color: var(--muted);
        opacity: 1;
      }

      button {
        display: grid;
        flex: none;
        place-items: center;
        width: 2.5rem;
        height: 2.5rem;
        padding: 0;
        border: 0;
        border-radius: 50%;
        background: var(--accent);
        color: var(--on-accent);
      }

      button:hover:not(:disabled) {
        filter: brightness(1.08);
      }

      button:disabled {
        background: var(--sunken);
        color: var(--muted);
      }

      .stop {
        background: var(--ink);
        color: var(--paper);
      }
    `,
  ];

  /** Whether a message would be answered now. */
  @property({ type: Boolean }) ready = false;
  /** Whether an answer is under way. */
  @property({ type: Boolean }) answering = false;
  @property() placeholder = "";
  @state() private text = "";
  @query("textarea") private textarea!: HTMLTextAreaElement;

  override focus(): void {
    this.textarea.focus();
  }

  protected override render() {
    return html`<form @submit=${this.submit}>
      <textarea
        data-testid="composer"
        rows="1"
        aria-label="Message"
        enterkeyhint="send"
        placeholder=${this.placeholder}
        .value=${this.text}
        @input=${this.write}
        @keydown=${this.press}
      ></textarea>
      ${
        this.answering
          ? html`<button
              type="button"
              class="stop"
              data-testid="stop"
              aria-label="Stop the answer"
              title="Stop (Esc)"
              @click=${this.stop}
            >
              ${icons.stop}
            </button>`
          : html`<button
              type="submit"
              data-testid="send"
              aria-label="Send"
              title="Send (Enter)"
              ?disabled=${!this.sendable}
            >
              ${icons.arrowUp}
            </button>`
      }
    </form>`;
  }

  protected override updated(): void {
    // The height of its content: through the object model, which a strict content security policy allows.
    this.textarea.style.height = "auto";
    this.textarea.style.height = `${this.textarea.scrollHeight}px`;
  }

  private get sendable(): boolean {
    return this.ready && !this.answering && this.text.trim() !== "";
  }

  private write() {
    this.text = this.textarea.value;
  }

  private press(event: KeyboardEvent) {
    // While an input method composes, Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.send();
  }

  private submit(event: SubmitEvent) {
    event.preventDefault();
    this.send();
  }

  private send() {
    if (!this.sendable) return;
    this.dispatchEvent(new CustomEvent("send", { detail: this.text }));
    this.text = "";
  }

  private stop() {
    this.dispatchEvent(new Event("stop"));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-composer": Composer;
  }
}
