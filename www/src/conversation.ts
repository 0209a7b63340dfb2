/**
 * `<tallow-conversation>`: the turns, in a scroller that follows the newest words until the reader scrolls up, and
 * follows again once they are back at the end. Passes on `regenerate` and `start-anew`.
 */
import { LitElement, css, html, nothing, type PropertyValues } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { icons } from "./icons.js";
import "./message.js";
import type { Turn } from "./state.js";
import { base } from "./styles/base.js";

/** How near to the end, in pixels, still counts as being there. */
const nearEnd = 40;

@customElement("tallow-conversation")
export class Conversation extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        position: relative;
        display: block;
        min-height: 0;
      }

      .scroller {
        height: 100%;
        overflow-y: auto;
        overscroll-behavior: contain;
        scrollbar-color: var(--line) transparent;
      }

      .turns {
        display: grid;
        gap: 1.75rem;
        max-width: calc(var(--column) + 2 * var(--gap));
        margin: 0 auto;
        padding: 1.5rem var(--gap) 2rem;
      }

      .latest {
        position: absolute;
        bottom: 0.75rem;
        left: 50%;
        display: grid;
        place-items: center;
        width: 2.5rem;
        height: 2.5rem;
        padding: 0;
        border: 1px solid var(--line-strong);
        border-radius: 50%;
        background: var(--surface);
        box-shadow: 0 2px 10px var(--shadow);
        transform: translateX(-50%);
      }
    `,
  ];

  @property({ attribute: false }) turns: readonly Turn[] = [];
  @property({ type: Boolean }) ready = false;
  @property({ type: Number }) contextLength = 0;
  @state() private following = true;
  /** Whether the way to the end has the focus, which would fall to the page's body if it went. */
  @state() private held = false;
  @query(".scroller") private scroller!: HTMLElement;
  @query(".turns") private content!: HTMLElement;
  private sizes = new ResizeObserver(() => this.following && this.scrollToEnd());

  protected override firstUpdated(): void {
    // The answers are components of their own and grow after this one has drawn itself.
    this.sizes.observe(this.content);
    this.sizes.observe(this.scroller);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.sizes.disconnect();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const before = changed.get("turns");
    const asked = before && this.turns.filter(isQuestion).length > before.filter(isQuestion).length;
    if (asked) this.following = true;
  }

  protected override render() {
    return html`<div
        class="scroller"
        tabindex="0"
        role="region"
        aria-label="Conversation"
        @scroll=${this.look}
      >
        <div class="turns">
          ${repeat(
            this.turns,
            (turn) => turn.id,
            (turn, index) =>
              html`<tallow-message
                .turn=${turn}
                .last=${index === this.turns.length - 1}
                .ready=${this.ready}
                .contextLength=${this.contextLength}
                @regenerate=${this.pass}
                @start-anew=${this.pass}
              ></tallow-message>`,
          )}
        </div>
      </div>
      ${
        this.following && !this.held
          ? nothing
          : html`<button
              class="latest"
              type="button"
              aria-label="To the end"
              @click=${this.follow}
              @focus=${() => (this.held = true)}
              @blur=${() => (this.held = false)}
            >
              ${icons.arrowDown}
            </button>`
      }`;
  }

  private look() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    this.following = scrollHeight - clientHeight - scrollTop < nearEnd;
  }

  private follow() {
    this.following = true;
    this.scrollToEnd();
    this.scroller.focus({ preventScroll: true });
  }

  private scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  private pass(event: Event) {
    this.dispatchEvent(new Event(event.type));
  }
}

function isQuestion(turn: Turn): boolean {
  return turn.role === "user";
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-conversation": Conversation;
  }
}
