/** `<tallow-welcome>`: the page before a conversation. Its slot is for what stands in the way of one. Emits `send`. */
import { LitElement, css, html } from "lit";
import { customElement, property } from "lit/decorators.js";
import { mark } from "./icons.js";
import { base } from "./styles/base.js";

const examples = [
  "Explain why the sky is blue to a ten-year-old",
  "Write a short poem about candlelight",
  "Write Python that reverses a string",
  "Give me three ideas for a rainy afternoon",
];

@customElement("tallow-welcome")
export class Welcome extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        min-height: 0;
        overflow-y: auto;
      }

      .middle {
        display: grid;
        align-content: center;
        justify-items: center;
        gap: 1.5rem;
        min-height: 100%;
        max-width: calc(var(--column) + 2 * var(--gap));
        margin: 0 auto;
        padding: 2rem var(--gap);
        text-align: center;
      }

      .candle {
        position: relative;
        isolation: isolate;
      }

      .candle::before {
        content: "";
        position: absolute;
        inset: -7rem;
        z-index: -1;
        background: radial-gradient(closest-side, var(--glow), transparent);
        pointer-events: none;
      }

      .loading .flame,
      .waiting .flame {
        opacity: 0.25;
      }

      .loading .flame {
        animation: kindle 2s ease-in-out infinite;
      }

      @keyframes kindle {
        50% {
          opacity: 0.75;
        }
      }

      .waiting.candle::before {
        opacity: 0;
      }

      h1 {
        margin: 0;
        font: 500 clamp(1.6rem, 1.2rem + 2vw, 2.1rem) / 1.25 var(--serif);
        letter-spacing: -0.01em;
        text-wrap: balance;
      }

      p {
        max-width: 36rem;
        margin: -0.9rem 0 0;
        color: var(--muted);
        text-wrap: balance;
      }

      ul {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr));
        gap: 0.6rem;
        width: 100%;
        margin: 0.5rem 0 0;
        padding: 0;
        list-style: none;
      }

      li button {
        width: 100%;
        height: 100%;
        padding: 0.75rem 1rem;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--surface);
        font-size: 0.9375rem;
        line-height: 1.45;
        text-align: start;
      }

      li button:hover {
        border-color: var(--line-strong);
        background: var(--sunken);
      }

      slot {
        display: block;
        width: min(28rem, 100%);
      }
    `,
  ];

  /** `ready` shows the examples, `loading` and `waiting` what is in the slot. */
  @property() mode: "ready" | "loading" | "waiting" = "loading";

  protected override render() {
    const ready = this.mode === "ready";
    return html`<div class="middle">
      <div class="candle ${this.mode}">${mark(72)}</div>
      <h1>${ready ? "What is on your mind?" : "A language model, inside this page"}</h1>
      <p>
        ${
          ready
            ? "The model runs on this device. Nothing you write leaves it."
            : "Once it is here it runs on this device alone. Nothing you write leaves it."
        }
      </p>
      ${ready ? this.drawExamples() : html`<slot></slot>`}
    </div>`;
  }

  private drawExamples() {
    return html`<ul aria-label="Examples" data-testid="examples">
      ${examples.map(
        (example) =>
          html`<li><button type="button" @click=${() => this.send(example)}>${example}</button></li>`,
      )}
    </ul>`;
  }

  private send(text: string) {
    this.dispatchEvent(new CustomEvent("send", { detail: text }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-welcome": Welcome;
  }
}
