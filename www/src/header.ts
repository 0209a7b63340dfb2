/** `<tallow-header>`: whom one talks to and how it is. Emits `open-model`, `open-settings` and `start-anew`. */
import { LitElement, css, html } from "lit";
import { customElement, property } from "lit/decorators.js";
import { icons, mark } from "./icons.js";
import { base } from "./styles/base.js";

export type Light = "ready" | "busy" | "off" | "failed";

@customElement("tallow-header")
export class Header extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        border-bottom: 1px solid var(--line);
      }

      header {
        display: grid;
        grid-template-columns: 1fr minmax(0, auto) 1fr;
        align-items: center;
        gap: 0.5rem;
        min-height: 3.75rem;
        padding: 0.25rem 0.75rem 0.25rem 1.25rem;
      }

      .brand {
        display: flex;
        align-items: center;
        gap: 0.55rem;
        font: 500 1.3rem/1 var(--serif);
      }

      .model {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        justify-items: center;
        max-width: 100%;
        padding: 0.3rem 0.9rem;
        border: 0;
        border-radius: var(--radius);
        background: none;
        line-height: 1.35;
      }

      .model:hover {
        background: var(--sunken);
      }

      .name {
        display: flex;
        align-items: center;
        gap: 0.15rem;
        max-width: 100%;
        font-size: 0.9375rem;
        font-weight: 600;
      }

      .name span {
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }

      .status {
        display: flex;
        align-items: center;
        gap: 0.4rem;
        color: var(--muted);
        font-size: 0.8125rem;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }

      .dot {
        width: 0.5rem;
        height: 0.5rem;
        border-radius: 50%;
        background: var(--line-strong);
      }

      .dot.ready {
        background: light-dark(#3f8f4f, #7cc48a);
      }

      .dot.busy {
        background: var(--flame);
      }

      .dot.failed {
        background: var(--danger);
      }

      nav {
        display: flex;
        justify-content: flex-end;
        gap: 0.1rem;
      }

      @media (max-width: 40rem) {
        header {
          grid-template-columns: auto minmax(0, 1fr) auto;
          gap: 0.35rem;
          padding: 0.25rem 0.5rem 0.25rem 0.9rem;
        }

        .brand span {
          position: absolute;
          clip-path: inset(50%);
        }

        .model {
          justify-items: start;
          justify-self: start;
          padding-inline: 0.5rem;
        }
      }
    `,
  ];

  @property() name = "";
  @property() status = "";
  @property() light: Light = "off";
  /** Whether there is a conversation to leave. */
  @property({ type: Boolean }) talking = false;

  protected override render() {
    return html`<header>
      <div class="brand">${mark(28)}<span>Tallow</span></div>
      <button
        type="button"
        class="model"
        data-testid="open-model"
        aria-haspopup="dialog"
        title="About this model, and others"
        @click=${() => this.emit("open-model")}
      >
        <span class="name"><span data-testid="model-name">${this.name}</span>${icons.chevron}</span>
        <span class="status"
          ><span class="dot ${this.light}"></span><span data-testid="status">${this.status}</span></span
        >
      </button>
      <nav aria-label="Page">
        <button
          type="button"
          class="icon"
          data-testid="new-conversation"
          aria-label="New conversation"
          title="New conversation"
          ?disabled=${!this.talking}
          @click=${() => this.emit("start-anew")}
        >
          ${icons.compose}
        </button>
        <button
          type="button"
          class="icon"
          data-testid="open-settings"
          aria-haspopup="dialog"
          aria-label="Settings"
          title="Settings"
          @click=${() => this.emit("open-settings")}
        >
          ${icons.settings}
        </button>
      </nav>
    </header>`;
  }

  private emit(name: string) {
    this.dispatchEvent(new Event(name));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-header": Header;
  }
}
