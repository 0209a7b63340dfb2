/** `<tallow-copy-button>`: puts `text` on the clipboard and says so. */
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { icons } from "./icons.js";
import { base } from "./styles/base.js";

const labels = { idle: "Copy", copied: "Copied", failed: "Could not copy" };

@customElement("tallow-copy-button")
export class CopyButton extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: inline-flex;
      }

      button {
        display: inline-flex;
        align-items: center;
        gap: 0.35rem;
        min-height: 2rem;
        padding: 0 0.5rem;
        border: 0;
        border-radius: 0.5rem;
        background: none;
        color: var(--muted);
        font-size: 0.8125rem;
      }

      button:hover {
        background: var(--sunken);
        color: var(--ink);
      }
    `,
  ];

  @property({ attribute: false }) text = "";
  /** What is copied, for the label that screen readers hear. */
  @property() what = "";
  @state() private outcome: keyof typeof labels = "idle";

  protected override render() {
    if (!navigator.clipboard) return nothing; // Browsers give it to secure contexts only.
    return html`<button type="button" @click=${this.copy}>
      ${this.outcome === "copied" ? icons.check : icons.copy}
      <span aria-live="polite">${labels[this.outcome]}</span>
      <span class="visually-hidden">${this.what}</span>
    </button>`;
  }

  private async copy() {
    this.outcome = await navigator.clipboard.writeText(this.text).then(
      () => "copied" as const,
      () => "failed" as const,
    );
    setTimeout(() => (this.outcome = "idle"), 2000);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-copy-button": CopyButton;
  }
}
