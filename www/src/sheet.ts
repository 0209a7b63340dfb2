/**
 * `<tallow-sheet>`: a panel over the page, from the side on a desk and from below on a phone. The browser's own modal
 * dialog keeps the focus inside, closes on Escape and hands the focus back. Emits `close`.
 */
import { LitElement, css, html, type PropertyValues } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { icons } from "./icons.js";
import { base } from "./styles/base.js";

@customElement("tallow-sheet")
export class Sheet extends LitElement {
  static override styles = [
    base,
    css`
      dialog {
        position: fixed;
        inset: 0 0 0 auto;
        width: min(26rem, 100vw);
        max-width: none;
        height: 100dvh;
        max-height: none;
        margin: 0;
        padding: 0;
        overflow: hidden;
        border: 0;
        border-inline-start: 1px solid var(--line);
        background: var(--paper);
        color: var(--ink);
        box-shadow: -8px 0 40px var(--shadow);
      }

      dialog[open] {
        display: grid;
        grid-template-rows: auto minmax(0, 1fr);
        animation: from-side 0.2s ease-out;
      }

      dialog::backdrop {
        background: rgb(20 12 4 / 0.35);
      }

      @media (max-width: 40rem) {
        dialog {
          inset: auto 0 0;
          width: 100vw;
          height: auto;
          max-height: 88dvh;
          border: 0;
          border-radius: 1.25rem 1.25rem 0 0;
        }

        dialog[open] {
          animation-name: from-below;
        }
      }

      @keyframes from-side {
        from {
          opacity: 0;
          transform: translateX(2rem);
        }
      }

      @keyframes from-below {
        from {
          opacity: 0;
          transform: translateY(3rem);
        }
      }

      header {
        display: flex;
        align-items: center;
        justify-content: space-between;
        padding: 0.6rem 0.6rem 0.6rem 1.25rem;
        border-bottom: 1px solid var(--line);
      }

      h2 {
        margin: 0;
        font: 500 1.25rem/1.4 var(--serif);
      }

      .content {
        padding: 1.25rem;
        padding-bottom: calc(1.25rem + env(safe-area-inset-bottom));
        overflow-y: auto;
        overscroll-behavior: contain;
        scrollbar-color: var(--line) transparent;
      }
    `,
  ];

  @property({ type: Boolean }) open = false;
  @property() heading = "";
  @query("dialog") private dialog!: HTMLDialogElement;

  protected override render() {
    return html`<dialog aria-labelledby="heading" @close=${this.closed} @click=${this.pressed}>
      <header>
        <h2 id="heading">${this.heading}</h2>
        <button class="icon" type="button" aria-label="Close" title="Close (Esc)" @click=${this.close}>
          ${icons.close}
        </button>
      </header>
      <div class="content"><slot></slot></div>
    </dialog>`;
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (!changed.has("open")) return;
    if (this.open && !this.dialog.open) this.dialog.showModal();
    if (!this.open && this.dialog.open) this.dialog.close();
  }

  private close() {
    this.dialog.close();
  }

  private closed() {
    this.dispatchEvent(new Event("close"));
  }

  private pressed(event: MouseEvent) {
    if (event.target === this.dialog) this.close(); // The backdrop: what is inside has targets of its own.
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-sheet": Sheet;
  }
}
